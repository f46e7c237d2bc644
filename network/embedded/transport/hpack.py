# SPDX-License-Identifier: Apache-2.0
"""Header compression of HTTP/2 (RFC 7541): decoding in full, encoding without a table of its own.

What this side sends is short and never changes, so an encoder's table would cost more than it saved.
"""

from collections import deque
from collections.abc import Iterable

from network.embedded.transport import huffman
from network.embedded.transport.frames import Error, Fault

__all__ = ["TABLE_SIZE", "Decoder", "Headers", "encode"]

TABLE_SIZE = 4096
"""Bytes of the decoder's table that the other side may use; the protocol's default."""

_OVERHEAD = 32
_REMEMBERED = 64

Headers = tuple[tuple[bytes, bytes], ...]

_STATIC_TEXT = """:authority|:method GET|:method POST|:path /|:path /index.html|:scheme http|:scheme https|:status 200
:status 204|:status 206|:status 304|:status 400|:status 404|:status 500|accept-charset|accept-encoding gzip, deflate
accept-language|accept-ranges|accept|access-control-allow-origin|age|allow|authorization|cache-control
content-disposition|content-encoding|content-language|content-length|content-location|content-range|content-type|cookie
date|etag|expect|expires|from|host|if-match|if-modified-since|if-none-match|if-range|if-unmodified-since|last-modified
link|location|max-forwards|proxy-authenticate|proxy-authorization|range|referer|refresh|retry-after|server|set-cookie
strict-transport-security|transfer-encoding|user-agent|vary|via|www-authenticate"""


def _static() -> tuple[tuple[bytes, bytes], ...]:
    entries = (entry.partition(" ") for entry in _STATIC_TEXT.replace("\n", "|").split("|"))
    return ((b"", b""), *((name.encode(), value.encode()) for name, _, value in entries))


_STATIC = _static()
"""Appendix A; there is no entry 0."""

_INDEX = {entry: index for index, entry in enumerate(_STATIC) if index and entry[1]}
_NAMES = {name: index for index, (name, _) in reversed(list(enumerate(_STATIC))) if index}


class Decoder:
    """Decodes the header blocks of one direction of a connection, every one of them and in order."""

    def __init__(self) -> None:
        self._table: deque[tuple[bytes, bytes]] = deque()
        self._size = 0
        self._limit = TABLE_SIZE
        self._known: dict[bytes, Headers] = {}
        """Blocks decoded since the table last changed: calls of one client mostly look alike."""

    def decode(self, block: bytes) -> Headers:
        """The fields of a block; raises Fault."""
        known = self._known.get(block)
        if known is not None:
            return known
        before = self._known
        try:
            headers = tuple(self._fields(block))
        except (IndexError, ValueError) as error:
            raise Fault(Error.COMPRESSION_ERROR, f"a header block cannot be decoded: {error}") from error
        if before is self._known:
            if len(before) >= _REMEMBERED:
                before.clear()
            before[block] = headers
        return headers

    def _fields(self, block: bytes) -> Iterable[tuple[bytes, bytes]]:
        position, end = 0, len(block)
        while position < end:
            first = block[position]
            if first & 0x80:
                index, position = _integer(block, position, 7)
                yield self._entry(index)
            elif first & 0xE0 == 0x20:
                size, position = _integer(block, position, 5)
                self._resize(size)
            else:
                indexed = bool(first & 0x40)
                index, position = _integer(block, position, 6 if indexed else 4)
                if index:
                    name = self._entry(index)[0]
                else:
                    name, position = _string(block, position)
                value, position = _string(block, position)
                if indexed:
                    self._add(name, value)
                yield name, value

    def _entry(self, index: int) -> tuple[bytes, bytes]:
        if index == 0:
            raise ValueError("index 0")
        return _STATIC[index] if index < len(_STATIC) else self._table[index - len(_STATIC)]

    def _add(self, name: bytes, value: bytes) -> None:
        self._known = {}
        self._table.appendleft((name, value))
        self._size += len(name) + len(value) + _OVERHEAD
        self._evict()

    def _resize(self, size: int) -> None:
        if size > TABLE_SIZE:
            raise ValueError(f"a table of {size} bytes was not offered")
        self._known = {}
        self._limit = size
        self._evict()

    def _evict(self) -> None:
        while self._size > self._limit:
            name, value = self._table.pop()
            self._size -= len(name) + len(value) + _OVERHEAD


def encode(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A block that leaves every decoder's table as it was."""
    parts = []
    for name, value in headers:
        index = _INDEX.get((name, value))
        if index is not None:
            parts.append(_encoded_integer(index, 7, 0x80))
            continue
        index = _NAMES.get(name, 0)
        parts.append(_encoded_integer(index, 4, 0))
        if not index:
            parts.append(_encoded_integer(len(name), 7, 0) + name)
        parts.append(_encoded_integer(len(value), 7, 0) + value)
    return b"".join(parts)


def _integer(block: bytes, position: int, bits: int) -> tuple[int, int]:
    """An integer whose prefix has so many bits, and where it ends."""
    most = (1 << bits) - 1
    value = block[position] & most
    position += 1
    if value < most:
        return value, position
    for shift in range(0, 28, 7):
        byte = block[position]
        position += 1
        value += (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("an integer is too large")


def _string(block: bytes, position: int) -> tuple[bytes, int]:
    coded = bool(block[position] & 0x80)
    size, position = _integer(block, position, 7)
    if position + size > len(block):
        raise ValueError("a string is longer than its block")
    raw = block[position : position + size]
    return (huffman.decode(raw) if coded else raw), position + size


def _encoded_integer(value: int, bits: int, pattern: int) -> bytes:
    most = (1 << bits) - 1
    if value < most:
        return bytes((pattern | value,))
    encoded = bytearray((pattern | most,))
    value -= most
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
