# SPDX-License-Identifier: Apache-2.0
"""Entity tags of what is read, and the conditions on them (RFC 9110, sections 8.8.3 and 13).

A tag follows from what is answered: the records, and the transactions that wrote them. Of an answer that says which
height it reflects, that is left out: a later block alone changes no tag, and `Ledger-Height` says it all the same.
"""

import json
from collections.abc import Mapping
from hashlib import sha256
from http import HTTPStatus

from flask import Request

from gateway.rest.problems import HttpProblem
from gateway.rest.replies import Reply
from gateway.services.ports import Json

_HEIGHT = "height"
_DIGITS = 32
_PLAIN = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def tag_of(body: Json) -> str:
    """The tag of an answer, without quotation marks."""
    content = {name: value for name, value in body.items() if name != _HEIGHT}
    return sha256(_PLAIN.encode(content).encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]


def conditioned(reply: Reply, incoming: Request) -> Reply:
    """The answer to a question with its tag; 304 without a body where the caller has it already.

    Raises `HttpProblem` 412 where the caller wants that answer only which has another tag.
    """
    if reply.status != HTTPStatus.OK:
        return reply
    tag = tag_of(reply.body)
    tagged: Mapping[str, str] = {**reply.headers, "ETag": f'"{tag}"'}
    if "If-Match" in incoming.headers and not incoming.if_match.contains(tag):
        raise HttpProblem(
            412, "precondition-failed", "What is there now has another tag.", headers={"ETag": f'"{tag}"'}
        )
    if incoming.if_none_match.contains_weak(tag):
        return Reply({}, HTTPStatus.NOT_MODIFIED, tagged, iter(()))
    return Reply(reply.body, reply.status, tagged)


def refuse_conditions(incoming: Request) -> None:
    """Refuse conditions on what is not a question: they would have to be checked by the ledger, and are not."""
    for name in ("If-Match", "If-None-Match"):
        if name in incoming.headers:
            raise HttpProblem(
                400, "invalid-header", f"{name} is for reading; a command names itself what it builds on.", header=name
            )
