# SPDX-License-Identifier: Apache-2.0
"""What a block's hash and its orderers' signatures are over, for those who have the bytes alone.

A block's data hash is over its envelopes one after the other (rule O-14), and says nothing of where one ends. Peers
take no block whose envelopes are not written as they would write them (rule O-20): payload, then signature, then fields
that nobody knows. So there is one way only to cut the bytes, and an envelope that lies inside another one is none of
the block's.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from gateway.fabric import wire
from gateway.fabric.errors import MalformedData

__all__ = ["configured_by", "split_envelopes"]

_MOST_FIELDS = 200_000
"""More than that and the block is not an honest one; it bounds the time that a stranger's bytes take."""


def split_envelopes(data: bytes) -> list[bytes]:
    """The envelopes of a block's data, as every peer cuts them; raises `MalformedData` where they cannot be cut."""
    starts: list[int] = []
    # The first byte of a field is its tag: 0x0A is that of `common.Envelope.payload`, 0x12 that of `signature`.
    position, fields, signed = 0, 0, True
    while position < len(data):
        match data[position]:
            case 0x0A if signed:
                starts.append(position)
                signed = False
            case 0x12 if not signed:
                signed = True
            case 0x0A | 0x12:
                raise MalformedData("block data: an envelope is not one payload and then one signature")
            case _ if not signed or not starts:
                raise MalformedData("block data: an envelope does not begin with its payload and its signature")
        position = _end(data, position)
        fields += 1
        if fields > _MOST_FIELDS:
            raise MalformedData("block data: too many envelopes, or fields in them")
    if not signed and len(starts) > 1:  # the one envelope of a channel's first block has none
        raise MalformedData("block data: the last envelope has no signature")
    return [data[start:end] for start, end in pairwise([*starts, len(data)])]


def configured_by(block: Any) -> int:
    """The number of the block with the configuration in force, as the orderers of a `common.Block` signed it.

    Of a block that holds a configuration it is its own number (rule O-16). Raises `MalformedData`.
    """
    slots = block.metadata.metadata
    if len(slots) <= wire.common.SIGNATURES:
        raise MalformedData(f"block {block.header.number}: it has no signatures")
    try:
        signed = wire.common.Metadata.FromString(slots[wire.common.SIGNATURES]).value
        return int(wire.common.OrdererBlockMetadata.FromString(signed).last_config.index)
    except wire.DecodeError as exc:
        raise MalformedData(f"block {block.header.number}: its signatures cannot be read") from exc


def _end(data: bytes, position: int) -> int:
    """Where the field that begins here ends; groups are none of those that peers write."""
    tag, position = _varint(data, position)
    match tag & 7:
        case 0:
            _, end = _varint(data, position)
        case 1:
            end = position + 8
        case 2:
            length, start = _varint(data, position)
            end = start + length
        case 5:
            end = position + 4
        case _:
            raise MalformedData("block data: a field of no known form")
    if end > len(data):
        raise MalformedData("block data: the last envelope is not whole")
    return end


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for index, byte in enumerate(data[position : position + 10]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, position + index + 1
    raise MalformedData("block data: a number does not end")
