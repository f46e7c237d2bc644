# SPDX-License-Identifier: Apache-2.0
"""A set of records of one version by their positions: a bit for each record."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final, Self

_PIECE: Final = 1_024
"""Bytes whose members are counted at once."""
_BITS: Final = tuple(tuple(bit for bit in range(8) if byte >> bit & 1) for byte in range(256))


@dataclass(frozen=True, slots=True)
class Members:
    """Positions in a version, from 0; position `p` is bit ``p % 8``, from the lowest, of byte ``p // 8``."""

    bits: bytes

    @classmethod
    def of(cls, positions: Iterable[int], size: int) -> Self:
        """These positions of a version with `size` records; `IndexError` for one that is not in it."""
        bits = bytearray((size + 7) // 8)
        for position in positions:
            if not 0 <= position < size:
                raise IndexError(position)
            bits[position >> 3] |= 1 << (position & 7)
        return cls(bytes(bits))

    def __contains__(self, position: int) -> bool:
        return 0 <= position < 8 * len(self.bits) and bool(self.bits[position >> 3] >> (position & 7) & 1)

    def __len__(self) -> int:
        return int.from_bytes(self.bits, "little").bit_count()

    def __iter__(self) -> Iterator[int]:
        """Ascending."""
        for place, byte in enumerate(self.bits):
            if byte:
                start = place << 3
                yield from (start + bit for bit in _BITS[byte])

    def numbered(self, first: int, last: int) -> list[int]:
        """The positions of the members from number `first` to before `last`, counted from 0."""
        found: list[int] = []
        number = 0
        for at in range(0, len(self.bits), _PIECE):
            piece = self.bits[at : at + _PIECE]
            count = int.from_bytes(piece, "little").bit_count()
            if number < last and number + count > first:
                positions = ((place << 3) + bit for place, byte in enumerate(piece, at) for bit in _BITS[byte])
                found += islice(positions, max(0, first - number), last - number)
            number += count
        return found

    def before(self, position: int) -> int:
        """How many members come before a position: of a member, its own place among them."""
        whole, rest = position >> 3, position & 7
        partial = (self.bits[whole] & ((1 << rest) - 1)).bit_count() if rest else 0
        return int.from_bytes(self.bits[:whole], "little").bit_count() + partial
