# SPDX-License-Identifier: Apache-2.0
"""Other organisations' witnesses and mirrors over HTTP (c2sp.org/tlog-witness, c2sp.org/tlog-mirror).

With limits of time and size, and errors in one line.
"""

import select
import socket
import ssl
import time
from functools import cached_property
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from gateway.services.logs import AnotherSize, WitnessRefused
from gateway.services.ports import Unavailable

_WITHIN: Final = 5.0
_LARGEST_ANSWER: Final = 64 << 10
_LONGEST_SIZE: Final = 20
_LONGEST_REASON: Final = 200
_FINAL: Final = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY}
)
"""What asking again does not change; that a log or a path is not known is a matter of configuration."""


_NO_MIRROR: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED})
"""What a witness answers that is asked as a mirror; the log is known to it, or it would not have come to that."""


class _Place(NamedTuple):
    """Where a witness listens."""

    is_tls: bool
    host: str
    port: int | None


class HttpWitnesses:
    """Implements `services.logs.Witnesses`; one connection to each witness is kept open."""

    def __init__(self, *, within: float = _WITHIN) -> None:
        """Assign.

        Args:
            within: seconds for a whole call, from connecting to the last byte of the answer.
        """
        self._within = within
        self._kept: dict[_Place, HTTPConnection] = {}
        """Connections that no call uses; a call takes its own out."""

    def close(self) -> None:
        """Close the connections."""
        while self._kept:
            self._kept.popitem()[1].close()

    def add_checkpoint(self, url: str, submission: bytes) -> bytes:
        status, content = self._post(url, "add-checkpoint", submission)
        return _lines(status, content)

    def add_entries(self, url: str, upload: bytes) -> bytes:
        status, content = self._post(url, "add-entries", upload)
        if status in _NO_MIRROR:
            raise WitnessRefused("it answered with no signature of its known keys, and it is not a mirror")
        if status in (HTTPStatus.CONFLICT, HTTPStatus.ACCEPTED):
            raise WitnessRefused("it mirrors another checkpoint, or asks for entries, which a gateway does not send")
        return _lines(status, content)

    def _post(self, url: str, name: str, body: bytes) -> tuple[int, bytes]:
        """Status and content of the answer; raises `Unavailable`."""
        deadline = time.monotonic() + self._within
        try:
            place, path = _address(url)
            connection = self._take(place)
            try:
                status, content, is_open = _ask(connection, f"{path}/{name}", body, deadline)
            except BaseException:
                connection.close()
                raise
        except TimeoutError:
            raise Unavailable(f"it did not answer within {self._within:g} s", code="witness-unavailable") from None
        except (OSError, HTTPException, ValueError) as exc:
            said = str(exc) or type(exc).__name__
            raise Unavailable(f"it cannot be reached: {said}", code="witness-unavailable") from None
        if is_open:
            self._keep(place, connection)
        return status, content

    def _take(self, place: _Place) -> HTTPConnection:
        """The connection that was kept, where the witness has not closed it meanwhile, or a new one."""
        kept = self._kept.pop(place, None)
        if kept is not None:
            if kept.sock is not None and not select.select([kept.sock], [], [], 0)[0]:
                return kept
            kept.close()
        if place.is_tls:
            return HTTPSConnection(place.host, place.port, context=self._trust)
        return HTTPConnection(place.host, place.port)

    def _keep(self, place: _Place, connection: HTTPConnection) -> None:
        other = self._kept.pop(place, None)
        self._kept[place] = connection
        if other is not None:
            other.close()

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        """The system's certificates, or those that SSL_CERT_FILE names."""
        return ssl.create_default_context()


def _address(url: str) -> tuple[_Place, str]:
    """Where a witness listens and the path of its URL without a slash at the end; raises `ValueError`."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is not the address of a witness, which begins with http:// or https://")
    return _Place(parts.scheme == "https", parts.hostname, parts.port), parts.path.rstrip("/")


def _ask(connection: HTTPConnection, path: str, body: bytes, deadline: float) -> tuple[int, bytes, bool]:
    """The status and the content of an answer, and whether the connection may be used again."""
    connection.timeout = _left(deadline)
    if connection.sock is None:
        connection.connect()
    sock = connection.sock
    sock.settimeout(_left(deadline))
    kind = "text/plain" if path.endswith("/add-checkpoint") else "application/octet-stream"
    connection.request("POST", path, body=body, headers={"Content-Type": kind})
    sock.settimeout(_left(deadline))
    with connection.getresponse() as response:
        content = _read(response, sock, deadline)
    return response.status, content, not response.will_close


def _read(response: HTTPResponse, sock: socket.socket, deadline: float) -> bytes:
    content = bytearray()
    while chunk := response.read1(_LARGEST_ANSWER):
        content += chunk
        if len(content) > _LARGEST_ANSWER:
            raise Unavailable("it answered more than 64 KiB", code="witness-unavailable")
        sock.settimeout(_left(deadline))
    return bytes(content)


def _left(deadline: float) -> float:
    """The seconds that are left; raises `TimeoutError` where there are none."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _lines(status: int, content: bytes) -> bytes:
    """The signature lines of an answer, or what it says instead."""
    if status == HTTPStatus.OK:
        return content
    text = content.removesuffix(b"\n")
    if status == HTTPStatus.CONFLICT and 0 < len(text) < _LONGEST_SIZE and text.isdigit():
        raise AnotherSize(int(text))
    said = content.decode("utf-8", "replace")[:_LONGEST_REASON]
    shown = "".join(each if each.isprintable() else " " for each in said).strip()
    if status in _FINAL:
        raise WitnessRefused(f"it refused with status {status}: {shown}")
    raise Unavailable(f"it answered status {status}: {shown}", code="witness-unavailable")
