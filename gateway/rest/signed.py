# SPDX-License-Identifier: Apache-2.0
"""Requests that their clients sign (RFC 9421): their head, and a body held to its digest (RFC 9530)."""

import base64
import hashlib
import hmac
import re
from typing import Any

from flask import Request

from gateway.rest import bodies
from gateway.rest.problems import HttpProblem
from gateway.services.callers import SignedHead

_DIGEST = re.compile(r"(sha-256|sha-512)=:([A-Za-z0-9+/]{1,100}={0,2}):")


def head_of(incoming: Request) -> SignedHead | None:
    """The head of a request that brings a signature; `None` where it brings none.

    A body that it has is compared with `Content-Digest` when all of it was read: what the signature covers is the
    digest. Raises `HttpProblem`.
    """
    if "Signature-Input" not in incoming.headers:
        return None
    target = incoming.environ.get("RAW_URI", "")
    if not target.startswith("/"):
        raise HttpProblem(400, "invalid-header", "A signed request names its target by path.", header="Signature-Input")
    url = f"{incoming.environ['wsgi.url_scheme']}://{incoming.headers.get('Host', '')}{target}"
    has_body = bodies.announced(incoming)
    if has_body:
        source = incoming.environ["wsgi.input"]
        incoming.environ["wsgi.input"] = _Digested(source, incoming.headers, incoming.content_length)
    return SignedHead(incoming.method, url, tuple(incoming.headers.items()), has_body)


class _Digested:
    """A body whose last piece is not given out unless all of it has the digest that was signed."""

    def __init__(self, source: Any, headers: Any, length: int | None) -> None:
        named = [_DIGEST.fullmatch(each.strip()) for each in headers.get("Content-Digest", "").split(",")]
        known = {each[1]: each[2] for each in named if each is not None}
        if not known:
            raise HttpProblem(
                400, "invalid-header", "A signed body needs Content-Digest: sha-256=:…: or sha-512=:…:",
                header="Content-Digest",
            )  # fmt: skip
        name = max(known)  # the longest of them
        self._source = source
        self._hash = hashlib.new(name.replace("-", ""))
        self._wanted = known[name]
        self._left = length

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes; raises `HttpProblem` at the end of a body with another digest."""
        found: bytes = self._source.read(size)
        self._hash.update(found)
        if self._left is not None:
            self._left -= len(found)
        ended = self._left == 0 or (self._left is None and not found and size != 0)
        if ended and not hmac.compare_digest(base64.b64encode(self._hash.digest()).decode(), self._wanted):
            raise HttpProblem(400, "digest-mismatch", "The body has another digest than Content-Digest says.")
        return found
