# SPDX-License-Identifier: Apache-2.0
"""Which records of a version are in which of its selections: a bit for each record, and where that is asked and kept.

A root over salted leaves says which records it is over. So it is kept under two roots, that of the version's
records and that of the selection; it is true whether the ledger ever holds the selection or not, and a crash between
keeping it and recording the selection leaves nothing that is wrong.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from chaincode.domain.usage import InputRole
from chaincode.domain.values import Iri, Ref
from gateway.services.failures import Category, PortError
from gateway.services.members import Members
from gateway.services.tiles import Tile


class SelectionNotHeld(PortError):
    """Nobody here knows which records that selection has: its root was computed elsewhere."""

    code = "selection-not-held"
    category = Category.NOT_FOUND

    @classmethod
    def of(cls, selection: Ref) -> Self:
        """Of this selection."""
        return cls(f"this gateway does not know which records {selection} has: its root was computed elsewhere")


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
