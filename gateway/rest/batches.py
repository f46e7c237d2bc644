# SPDX-License-Identifier: Apache-2.0
"""Batches: many commands in one request, each with its own outcome."""

import re
from collections.abc import Mapping
from typing import Any, Final

from chaincode.domain import canonical
from chaincode.domain.errors import InvalidField, MissingField, UnknownField
from gateway.api.rows import RECORDED
from gateway.rest import problems
from gateway.rest.auth import authorise_command
from gateway.rest.problems import HttpProblem
from gateway.rest.routing import Call, Reply, View
from gateway.services.batches import MOST, Asked, Batches, endings_of
from gateway.services.endings import failed
from gateway.services.ports import Category, Failed, Json, Recorded

LARGEST: Final = canonical.MAX_BYTES
"""Bytes of one request."""
_MEMBERS: Final = ("function", "command", "key")
_KEY: Final = re.compile(r"[\x21-\x7e]{1,200}")


def views(batches: Batches) -> Mapping[str, View]:
    """The operations on batches, by name."""

    def record(call: Call) -> Reply:
        asked = [_asked(call, f"/{at}", each) for at, each in enumerate(_commands(call))]
        answer = batches.record(call.recording, asked)
        if answer.ending is not None and not isinstance(answer.ending, Recorded):
            return problems.reply_for(answer.ending)
        headers = {"Idempotent-Replayed": "true"} if answer.replayed else {}
        if answer.ending is None:
            location = {"Location": f"/v1/operations/{answer.submission_id}", "Retry-After": "1"}
            return Reply({"operation": answer.submission_id}, 202, {**headers, **location})
        if answer.ending.height:
            headers["Min-Ledger-Height"] = str(answer.ending.height)
        return Reply(shown(answer.ending), headers=headers)

    return {"recordBatch": record}


def shown(whole: Recorded) -> Json:
    """How the commands of a batch ended: for each its HTTP status, and what it would have been answered alone."""
    replies = [problems.reply_for(each) for each in endings_of(whole)]
    outcomes = [{"status": each.status, "result": each.body} for each in replies]
    transactions = [each.body["transaction"]["id"] for each in replies if each.status == RECORDED]
    return {
        "recorded": len(transactions),
        "failed": len(outcomes) - len(transactions),
        "transactions": list(dict.fromkeys(transactions)),
        "outcomes": outcomes,
    }


def _commands(call: Call) -> list[Any]:
    upload = call.upload
    content = b"" if upload is None else upload.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise HttpProblem(413, "body-too-large", f"The body may have {LARGEST} bytes.", limit=LARGEST)
    value = canonical.parse(content)
    if not isinstance(value, list):
        raise InvalidField("", "it must be a JSON array of commands")
    if not 1 <= len(value) <= MOST:
        raise InvalidField("", f"a batch has 1 to {MOST} commands, and this one {len(value)}")
    return value


def _asked(call: Call, pointer: str, value: Any) -> Asked:
    """One command; raises for what is not one at all, and keeps what else is wrong with it for its outcome."""
    if not isinstance(value, dict):
        raise InvalidField(pointer, "it must be an object with a function and a command")
    for name in sorted(set(value) - set(_MEMBERS)):
        raise UnknownField(f"{pointer}/{name}")
    for name in ("function", "command"):
        if name not in value:
            raise MissingField(f"{pointer}/{name}")
    function, command, key = value["function"], value["command"], value.get("key")
    if not isinstance(function, str):
        raise InvalidField(f"{pointer}/function", "it must be text")
    if not isinstance(command, dict):
        raise InvalidField(f"{pointer}/command", "it must be an object with the fields of the command")
    if key is not None and (not isinstance(key, str) or _KEY.fullmatch(key) is None):
        raise InvalidField(f"{pointer}/key", "it must be an idempotency key of 1 to 200 visible ASCII characters")
    return Asked(function, command, key, _why_not(call, function))


def _why_not(call: Call, function: str) -> Failed | None:
    try:
        authorise_command(call.client, function)
    except InvalidField as unknown:
        return failed(unknown)
    except HttpProblem as refused:
        return Failed(Category.FORBIDDEN, refused.code, refused.detail, retryable=False, facts=refused.facts)
    return None
