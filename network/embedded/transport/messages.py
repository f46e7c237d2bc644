# SPDX-License-Identifier: Apache-2.0
"""What gRPC adds to HTTP/2: length-prefixed messages, deadlines, statuses and metadata (gRPC's PROTOCOL-HTTP2)."""

import base64
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from network.embedded.transport.hpack import Headers, encode

__all__ = ["MAX_MESSAGE", "MessageFault", "MessageReader", "Metadata", "framed", "status_of", "timeout_of", "trailers"]

MAX_MESSAGE = 100 * 1024 * 1024
"""Bytes of one message, both ways (rules S-47, T-5)."""

Metadata = Iterable[tuple[str, str | bytes]]

_PREFIX = 5
_LONGEST_CODE = 10
_UNITS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_PLAIN = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")


class MessageFault(Exception):
    """What was sent is not a message that can be taken; `code` is the number of the gRPC status."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class MessageReader:
    """Cuts the data of a stream into messages; holds back at most one incomplete message."""

    def __init__(self, limit: int = MAX_MESSAGE) -> None:
        self._limit = limit
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The messages that `data` completes; raises MessageFault."""
        if not self._rest:
            size = len(data)
            if size >= _PREFIX and data[0] == 0 and int.from_bytes(data[1:5], "big") == size - _PREFIX <= self._limit:
                yield data[_PREFIX:]  # by far most often: one message in one frame
                return
        self._rest += data
        start = 0
        while len(self._rest) - start >= _PREFIX:
            size = int.from_bytes(self._rest[start + 1 : start + _PREFIX], "big")
            if self._rest[start]:
                raise MessageFault(12, "compressed messages are not supported")
            if size > self._limit:
                raise MessageFault(8, f"received message larger than max ({size} vs. {self._limit})")
            end = start + _PREFIX + size
            if len(self._rest) < end:
                break
            yield bytes(self._rest[start + _PREFIX : end])
            start = end
        del self._rest[:start]


def framed(message: bytes) -> bytes:
    """A message with its prefix, not compressed."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def timeout_of(value: bytes) -> float | None:
    """The seconds of a `grpc-timeout`, None for one that cannot be read."""
    number, unit = value[:-1], _UNITS.get(value[-1:])
    return int(number) * unit if unit is not None and 1 <= len(number) <= 8 and number.isdigit() else None


def fields(metadata: Metadata) -> Iterator[tuple[bytes, bytes]]:
    """Metadata as header fields; binary values, whose names end in -bin, in base 64."""
    for name, value in metadata:
        raw = value if isinstance(value, bytes) else value.encode()
        if name.endswith("-bin"):
            raw = base64.b64encode(raw).rstrip(b"=")
        yield name.lower().encode(), raw


def trailers(code: int, text: str = "", metadata: Metadata = ()) -> list[tuple[bytes, bytes]]:
    """The header fields that end a call."""
    message = [(b"grpc-message", quote(text, safe=_PLAIN).encode())] if text else []
    return [(b"grpc-status", str(code).encode()), *message, *fields(metadata)]


def status_of(headers: Headers) -> tuple[int, str] | None:
    """Code and text of the status in trailers, None when there is none that can be read."""
    found = dict(headers)
    code = found.get(b"grpc-status", b"")
    if not code.isdigit() or len(code) > _LONGEST_CODE:
        return None
    return int(code), unquote_to_bytes(found.get(b"grpc-message", b"")).decode(errors="replace")


def answer_headers(metadata: Metadata = ()) -> bytes:
    """The header block that begins an answer."""
    return encode([(b":status", b"200"), (b"content-type", b"application/grpc"), *fields(metadata)])


def call_headers(scheme: str, authority: str, path: str) -> bytes:
    """The header block that begins a call without a deadline."""
    return encode(
        [
            (b":method", b"POST"),
            (b":scheme", scheme.encode()),
            (b":path", path.encode()),
            (b":authority", authority.encode()),
            (b"te", b"trailers"),
            (b"content-type", b"application/grpc"),
            (b"user-agent", b"pedigree-network"),
        ]
    )


def check_answer(headers: Headers) -> str | None:
    """Why these headers do not begin an answer of a gRPC server, None when they do."""
    found: dict[bytes, Any] = dict(headers)
    if found.get(b":status") != b"200":
        return f"the other side answered with HTTP status {found.get(b':status', b'').decode(errors='replace')}"
    if not found.get(b"content-type", b"").startswith(b"application/grpc"):
        return "the other side does not speak gRPC"
    return None
