# SPDX-License-Identifier: Apache-2.0
"""HTTP as gunicorn reads and writes it, with time-outs that count from a request's beginning, and our own refusals.

A pause is bounded by the socket's own time-out; what is bounded here is the whole: a client that sends or takes a byte
every few seconds keeps a thread, and must not keep it for long.
"""

import errno
import json
import socket
import time
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from gunicorn.http import errors, wsgi
from gunicorn.http.body import ChunkedReader

from gateway.rest.problems import HttpProblem, problem

HEAD_WITHIN = 10.0
"""Seconds from the first look at a connection until the head of its request must be complete."""
BODY_WITHIN = 20.0
"""Seconds that a body may take, or an answer to be taken, however short it is."""
PACE = 16 * 1024
"""Bytes that each further second must bring."""
_AGAIN = b"HTTP/1.1 100 Continue\r\n\r\n"
_LONGEST_DETAIL = 200

_REFUSALS: tuple[tuple[type[Exception], int, str], ...] = (
    (errors.LimitRequestLine, 414, "uri-too-long"),
    (errors.LimitRequestHeaders, 431, "headers-too-large"),
    (errors.UnsupportedTransferCoding, 501, "unsupported-transfer-coding"),
    (errors.ExpectationFailed, 417, "expectation-failed"),
    (errors.ParseException, 400, "malformed-request"),
)


def answer(status: int, code: str, detail: str, *, retryable: bool = False, **headers: str) -> bytes:
    """A whole response that refuses a request and ends its connection."""
    body = json.dumps(problem(status, code, detail, retryable=retryable)).encode()
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "Connection: close",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(body)}",
        "X-Content-Type-Options: nosniff",
        "Cache-Control: no-store",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


TOO_SLOW = answer(408, "request-timeout", "The request did not arrive in time.", retryable=True)
HEAD_INCOMPLETE = answer(400, "malformed-request", "The connection ended within the head of a request.")
HEAD_TOO_LARGE = answer(431, "headers-too-large", "The head of the request is larger than this server reads.")
TOO_MANY_CONNECTIONS = answer(
    429, "too-many-connections", "Too many requests come from this address at once.", retryable=True, Retry_After="1"
)
TLS_NEEDED = answer(400, "tls-needed", "This server is spoken to over TLS: its address begins with https://.")
NO_TLS = answer(400, "malformed-request", "This server is spoken to without TLS: its address begins with http://.")
DEFECT = answer(500, "internal", "The gateway failed; its operator finds why.")


def refusal_of(error: Exception) -> bytes:
    """The answer to a head that is not HTTP as this server takes it."""
    status, code = next((status, code) for kind, status, code in _REFUSALS if isinstance(error, kind))
    return answer(status, code, str(error)[:_LONGEST_DETAIL])


class TimedSocket:
    """The reading end of a connection, which gives up on a client that takes too long in all."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._until = 0.0

    def begin(self, within: float) -> None:
        """Begin to count: what comes must be complete in `within` seconds, and a second more for every `PACE` bytes."""
        self._until = time.monotonic() + within

    def recv(self, size: int) -> bytes:
        if time.monotonic() >= self._until:
            raise TimeoutError("what was to come did not come in time")
        found: bytes = self._sock.recv(size)
        self._until += len(found) / PACE
        return found


class Body:
    """A request's body as the application reads it: WSGI's `wsgi.input`."""

    def __init__(self, req: Any, sock: Any, timed: TimedSocket) -> None:
        self._body = req.body
        self._sock = sock
        self._timed = timed
        self._begun = False
        self._continues = req._expected_100_continue
        # gunicorn would ask for the body before anybody has looked at the head.
        req._expected_100_continue = False

    @property
    def complete(self) -> bool:
        """Whether all of it was read, so that what follows on the connection is another request."""
        reader = self._body.reader
        left = reader.parser is not None if isinstance(reader, ChunkedReader) else reader.length
        return not (left or self._body.failed or self._body.buf.tell())

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes.

        Raises OSError where the connection ends or takes too long, and `HttpProblem` for chunks that are none.
        """
        if not self._begun:
            self._begun = True
            self._timed.begin(BODY_WITHIN)
            if self._continues:
                self._sock.sendall(_AGAIN)
        try:
            found: bytes = self._body.read(size)
        except errors.ChunkMissingTerminator as exc:
            if len(exc.term) < 2:
                raise ConnectionResetError("the connection ended within a chunk") from None
            raise _malformed(exc) from None
        except errors.ParseException as exc:
            raise _malformed(exc) from None
        return found


class OneWrite(wsgi.Response):  # type: ignore[misc]  # gunicorn ships no types
    """A response whose head travels with its body's first bytes; it ends a connection with a body that was not read."""

    headers_sent: bool
    body: Body
    """The body of the request that it answers."""
    begun = False
    """Whether the client may have received a part of it."""
    _head = b""

    def send_headers(self) -> None:
        if not self.headers_sent:
            if not self.body.complete:
                self.force_close()  # to read the rest would serve somebody who was refused
            lines = [*self.default_headers(), *(f"{name}: {value}\r\n" for name, value in self.headers), "\r\n"]
            self._head = "".join(lines).encode("latin-1")
            self.headers_sent = True

    def close(self) -> None:
        self.send_headers()
        if self._head or self.chunked:
            self._send(b"0\r\n\r\n" if self.chunked else b"")

    def _emit_body(self, data: bytes) -> None:
        self._send(b"%X\r\n%b\r\n" % (len(data), data) if self.chunked else data)

    def _send(self, data: bytes) -> None:
        head, self._head = self._head, b""
        self.begun = True
        rest = memoryview(head + data)
        until = time.monotonic() + BODY_WITHIN + len(rest) / PACE
        while rest:
            if time.monotonic() >= until:
                raise ConnectionAbortedError(errno.ECONNABORTED, "the answer was not taken in time")
            rest = rest[self.sock.send(rest) :]


def _malformed(error: Exception) -> HttpProblem:
    return HttpProblem(400, "malformed-request", str(error)[:_LONGEST_DETAIL])


def send_at_once(sock: Any, data: bytes) -> None:
    """Send what the kernel takes without waiting; the client may be gone."""
    with suppress(OSError):
        sock.send(data, socket.MSG_DONTWAIT)
