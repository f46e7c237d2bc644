# SPDX-License-Identifier: Apache-2.0
"""Which records of a version are in which of its selections: a bit for each record, and where that is asked and kept.

A root over salted leaves says which records it is over. So it is kept under two roots, that of the version's
records and that of the selection; it is true whether the ledger ever holds the selection or not, and a crash between
keeping it and recording the selection leaves nothing that is wrong.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, Protocol, Self

from chaincode.domain.usage import InputRole
from chaincode.domain.values import Iri, Ref
from gateway.services.tiles import Tile

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


class Memberships(Protocol):
    """What an owner keeps of its selections; thread-safe."""

    def keep(self, records: str, root: str, members: Members, tiles: Sequence[Tile]) -> None:
        """Keep that the selection with `root` has these of the records under the root `records` (both in hex).

        When this returns it would survive a power cut. A second time nothing changes.

        Args:
            tiles: those of the selection's tree that are above the leaves, which stay with the records.
        """
        ...

    def find(self, records: str, root: str) -> Members | None:
        """Which of the records under `records` the selection with `root` has; `None` where nobody here knows."""
        ...

    def tile(self, records: str, root: str, level: int, number: int) -> bytes:
        """The hashes of a tile of that selection's tree above its leaves; empty where there is none."""
        ...


@dataclass(frozen=True, slots=True)
class InSelection:
    """Which of the records that were asked for are in one selection."""

    selection: Ref
    role: InputRole | None
    purpose: Iri | None
    parent: Ref | None
    """The selection that it is a part of."""
    positions: tuple[int, ...]
    """In the version, ascending."""
    known: bool = True
    """False where this gateway does not keep which records it has: any of them may be in it, and `positions` is
    empty."""


@dataclass(frozen=True, slots=True)
class InVersion:
    """Which of the records that were asked for are in one version, and in which of its selections."""

    version: Ref
    positions: tuple[int, ...]
    """In the version, ascending."""
    selections: tuple[InSelection, ...]
    """Those that have one of them or may have one, in the order of their names."""
    known: bool = True
    """False where this gateway does not hold the records of the version: then `positions` is empty, and every selection
    may have one of them."""


class Whereabouts(Protocol):
    """Where records are, as far as the read model's ledger goes; thread-safe."""

    def of_records(self, dataset: str, number: int, positions: Collection[int]) -> InVersion:
        """In which selections records of a version are, by their positions; raises `RecordNotFound`."""
        ...

    def of_subjects(self, dataset: str, references: Sequence[bytes]) -> Iterator[InVersion]:
        """In which versions of a data set, and selections from them, the records of data subjects are.

        Subjects are named by their references (32 bytes, see `StatusMaps.reference`). Versions come in the order of
        their numbers; those without such a record are passed over.
        """
        ...
