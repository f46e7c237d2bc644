# SPDX-License-Identifier: Apache-2.0
"""Frames of HTTP/2: writing them, and cutting a stream of bytes into them (RFC 9113, section 4)."""

from collections.abc import Iterator
from enum import IntEnum
from struct import Struct
from typing import NamedTuple

__all__ = [
    "FRAME_LIMIT",
    "Error",
    "Fault",
    "Flag",
    "Frame",
    "FrameReader",
    "Kind",
    "frame",
    "setting",
    "settings",
    "unpadded",
]

FRAME_LIMIT = 64 * 1024
"""The largest payload that this side takes in one frame, in bytes."""

_HEAD = Struct(">HBBBL")
_SETTING = Struct(">HL")


class Kind(IntEnum):
    """Types of frames (RFC 9113, section 6)."""

    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


class Flag(IntEnum):
    """Flags of frames; END_STREAM and ACK share a bit on different types."""

    END_STREAM = 0x1
    ACK = 0x1
    END_HEADERS = 0x4
    PADDED = 0x8
    PRIORITY = 0x20


class Error(IntEnum):
    """Error codes (RFC 9113, section 7)."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    ENHANCE_YOUR_CALM = 11


class Fault(Exception):
    """The other side broke the protocol so that the connection has to end."""

    def __init__(self, code: Error, text: str) -> None:
        super().__init__(text)
        self.code = code


class Frame(NamedTuple):
    """One frame as it was received."""

    kind: int
    flags: int
    stream_id: int
    payload: bytes


def frame(kind: int, flags: int, stream_id: int, payload: bytes | memoryview = b"") -> bytes:
    """One frame, encoded."""
    size = len(payload)
    return _HEAD.pack(size >> 8, size & 0xFF, kind, flags, stream_id) + payload


def block_frames(stream_id: int, flags: int, block: bytes | memoryview, largest: int) -> list[bytes]:
    """A header block in frames of at most `largest` bytes; no other frame may come between them (RFC 9113, 6.10)."""
    found: list[bytes] = []
    kind: int = Kind.HEADERS
    while len(block) > largest:
        found.append(frame(kind, flags, stream_id, block[:largest]))
        kind, flags, block = Kind.CONTINUATION, 0, block[largest:]
    return [*found, frame(kind, flags | Flag.END_HEADERS, stream_id, block)]


def reset_frame(stream_id: int, code: Error) -> bytes:
    """The end of a stream at once, and why."""
    return frame(Kind.RST_STREAM, 0, stream_id, int(code).to_bytes(4, "big"))


def check_size(one: Frame, size: int) -> None:
    """Raise Fault for a frame whose payload has another size than all of its kind."""
    if len(one.payload) != size:
        raise Fault(Error.FRAME_SIZE_ERROR, f"a frame of {len(one.payload)} bytes instead of {size}")


def setting(identifier: int, value: int) -> bytes:
    """One entry of a SETTINGS frame."""
    return _SETTING.pack(identifier, value)


def settings(payload: bytes) -> Iterator[tuple[int, int]]:
    """The entries of a SETTINGS frame; raises Fault."""
    if len(payload) % _SETTING.size:
        raise Fault(Error.FRAME_SIZE_ERROR, "a SETTINGS frame of a wrong size")
    yield from _SETTING.iter_unpack(payload)


class FrameReader:
    """Cuts what arrives into frames, however it was divided on the way; holds back at most one incomplete frame."""

    def __init__(self, limit: int = FRAME_LIMIT) -> None:
        self._limit = limit
        self._rest = bytearray()
        self._needed = 0

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that `data` completes; raises Fault for one that is larger than announced."""
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed:
                return
            data = bytes(self._rest)
            self._rest = bytearray()
        position, end = 0, len(data)
        self._needed = _HEAD.size
        while end - position >= _HEAD.size:
            high, low, kind, flags, stream_id = _HEAD.unpack_from(data, position)
            size = high << 8 | low
            if size > self._limit:
                raise Fault(Error.FRAME_SIZE_ERROR, f"a frame of {size} bytes")
            start = position + _HEAD.size
            if start + size > end:
                self._needed = _HEAD.size + size
                break
            position = start + size
            yield Frame(kind, flags, stream_id & 0x7FFFFFFF, data[start:position])
        if position < end:
            self._rest = bytearray(data[position:])


def unpadded(flags: int, payload: bytes) -> bytes:
    """The payload of DATA or HEADERS without its padding; raises Fault."""
    if not flags & Flag.PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise Fault(Error.PROTOCOL_ERROR, "a frame is padded by more than it holds")
    return payload[1 : len(payload) - payload[0]]
