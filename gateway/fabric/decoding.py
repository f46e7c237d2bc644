# SPDX-License-Identifier: Apache-2.0
"""Reading messages as Go reads them, so that nothing the ledger accepted is unreadable here.

Go's parser skips fields that it does not know however deeply their groups are nested (10,000 levels) and however long
their tags are written; Python's refuses both. One member could put such a field into its own part of a configuration,
or into a valid transaction. Fields that are not known say nothing to this program, so a message that cannot be read as
it stands is read without them.
"""

from __future__ import annotations

from typing import Any

from gateway.fabric import wire

__all__ = ["decode"]

_BYTES, _GROUP, _END_GROUP = 2, 3, 4
_DEEPEST_MESSAGE = 100
_DEEPEST_GROUP = 10_000
_LONGEST_VARINT = 10


def decode(kind: Any, data: bytes) -> Any:
    """The message of class `kind` in `data`; raises protobuf's `DecodeError`."""
    try:
        return kind.FromString(data)
    except wire.DecodeError:
        return kind.FromString(_known_fields(kind.DESCRIPTOR, bytes(data), 0))


def _known_fields(descriptor: Any, data: bytes, depth: int) -> bytes:
    if depth > _DEEPEST_MESSAGE:
        raise wire.DecodeError("messages are nested too deeply")
    kept = bytearray()
    position = 0
    while position < len(data):
        tag, start = _varint(data, position)
        number, kind = tag >> 3, tag & 7
        field = descriptor.fields_by_number.get(number)
        position = _end(data, start, number, kind)
        if field is None or kind == _GROUP:
            continue
        value = data[start:position]
        if kind == _BYTES and field.message_type is not None:
            _, begin = _varint(data, start)
            body = _known_fields(field.message_type, data[begin:position], depth + 1)
            value = _as_varint(len(body)) + body
        kept += _as_varint(tag) + value
    return bytes(kept)


def _end(data: bytes, start: int, number: int, kind: int) -> int:
    """Where the value that begins at `start` ends."""
    match kind:
        case 0:
            end = _varint(data, start)[1]
        case 1:
            end = start + 8
        case 2:
            length, begin = _varint(data, start)
            end = begin + length
        case 3:
            end = _end_of_group(data, start, number)
        case 5:
            end = start + 4
        case _:
            raise wire.DecodeError("a field of no known form")
    if end > len(data):
        raise wire.DecodeError("a field is longer than its message")
    return end


def _end_of_group(data: bytes, position: int, number: int) -> int:
    open_groups = [number]
    while open_groups:
        tag, start = _varint(data, position)
        inner, kind = tag >> 3, tag & 7
        if kind == _GROUP:
            open_groups.append(inner)
            position = start
        elif kind == _END_GROUP:
            if open_groups.pop() != inner:
                raise wire.DecodeError("a group ends that did not begin")
            position = start
        else:
            position = _end(data, start, inner, kind)
        if len(open_groups) > _DEEPEST_GROUP:
            raise wire.DecodeError("groups are nested too deeply")
    return position


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for index, byte in enumerate(data[position : position + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, position + index + 1
    raise wire.DecodeError("a number does not end")


def _as_varint(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)
