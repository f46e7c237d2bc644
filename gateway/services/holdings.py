# SPDX-License-Identifier: Apache-2.0
"""What an owner keeps of committed records: their content, their salts, and how they were read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Self

from chaincode.domain import merkle
from chaincode.domain.provenance import LeafSchema
from gateway.services.recordfiles import Reading as Reading
from gateway.services.tiles import Tile


class StoredRecord(NamedTuple):
    """One committed record as its owner keeps it."""

    id: str
    salt: bytes
    content: bytes
    consent: int
    purposes: int
    """Bit set of 64 purposes."""
    leaf: bytes
    """The leaf hash that was committed, so that a later change can be pinned to this record."""
    subject: bytes = b""
    """The reference of its data subject (32 bytes); empty where the file did not say who that is."""


@dataclass(frozen=True, slots=True)
class RecordColumns:
    """Records that follow one another, by column: what is kept of thousands of them without an object for each."""

    ids: Sequence[bytes]
    """In UTF-8."""
    contents: Sequence[bytes]
    salts: bytes
    """Joined, of 16 bytes each."""
    leaves: bytes
    """Leaf hashes, joined."""
    tails: bytes
    """Consent and purposes as `merkle.record_tail` has them: of each record, or once where they are alike."""
    subjects: bytes = b""
    """The references of their data subjects, joined; empty where the file did not say whose they are."""
    tile_roots: bytes = b""
    """Those of the last tiles that their leaves complete, joined, where they are known; nobody keeps them as such."""

    @classmethod
    def of(cls, records: Sequence[StoredRecord]) -> Self:
        """Records one by one; `ValueError` where some are about subjects and others are not."""
        if len({bool(record.subject) for record in records}) > 1:
            raise ValueError("either all records are about subjects or none is")
        tails = [merkle.record_tail(record.consent, record.purposes) for record in records]
        return cls(
            [record.id.encode() for record in records],
            [record.content for record in records],
            b"".join(record.salt for record in records),
            b"".join(record.leaf for record in records),
            tails[0] if len(set(tails)) == 1 else b"".join(tails),
            b"".join(record.subject for record in records),
        )


class RecordHead(NamedTuple):
    """What a stored record says beside its content."""

    id: str
    consent: int
    purposes: int
    leaf: bytes
    subject: bytes


@dataclass(frozen=True, slots=True)
class RecordSet:
    """The records under one root."""

    root: str
    """In hex; empty while they are being written."""
    dataset: str
    size: int
    created: float
    """Seconds since the epoch."""
    reading: Reading | None
    """`None` where nobody knows it any more."""
    key: int
    """Names the set in its store."""
    leaf_schema: LeafSchema = LeafSchema.RECORD_V1
    """What the leaves say of each record."""


class Records(Protocol):
    """The owner's copy of committed records, by the root that they are under.

    A set is written in batches and becomes visible as a whole. Nothing here removes a set that has a root but `remove`,
    which only an operator calls.
    """

    def begin(self, dataset: str, reading: Reading, leaf_schema: LeafSchema = LeafSchema.RECORD_V1) -> int:
        """Begin a set without a root, which nobody sees; returns its key."""
        ...

    def add(self, key: int, start: int, records: RecordColumns, tiles: Sequence[Tile] = ()) -> None:
        """Append records, the first of them at position `start`, and the tiles that their leaves complete.

        They are on the disk only once the set is finished. May raise `RepeatedRecord`, as `finish` does.
        """
        ...

    def copy(self, key: int, root: str) -> None:
        """Let a set begin with all records under `root`, and with the complete tiles over them."""
        ...

    def finish(self, key: int, root: str, size: int, tiles: Sequence[Tile] = ()) -> None:
        """Give a set its root and its last tiles; when this returns, all of it would survive a power cut.

        Raises `RepeatedRecord` where two of its records have one id.
        """
        ...

    def abandon(self, key: int) -> None:
        """Remove a set that has no root yet; one that has it stays."""
        ...

    def held(self, root: str) -> RecordSet | None:
        """What is under a root; `None` when this organisation does not hold its records."""
        ...

    def all(self, root: str, start: int = 0) -> Iterator[StoredRecord]:
        """Every record from position `start` on, in tree order; read piece by piece."""
        ...

    def find(self, root: str, record_id: str) -> tuple[int, StoredRecord] | None:
        """Position in the tree and record."""
        ...

    def heads(self, root: str) -> Iterator[RecordHead]:
        """Every record without its content, in tree order; read piece by piece."""
        ...

    def positions(self, root: str, ids: Sequence[str]) -> Sequence[int | None]:
        """The position in the tree of each of these records; `None` for an id that no record has."""
        ...

    def leaves(self, root: str, positions: Sequence[int]) -> bytes:
        """The leaf hashes of the records at these positions, joined, in tree order."""
        ...

    def of_subject(self, root: str, subject: bytes) -> Sequence[tuple[int, str]]:
        """Positions in the tree and ids of the records of a data subject, in tree order."""
        ...

    def tile(self, key: int, level: int, number: int) -> bytes:
        """The hashes of a tile of a set's tree; empty where it is not kept."""
        ...

    def keep_tiles(self, key: int, tiles: Sequence[Tile]) -> None:
        """Keep tiles of a set's tree in the place of those that there are."""
        ...

    def names_subjects(self, root: str) -> bool:
        """Whether the records under a root say whose each of them is; False also where they are not here."""
        ...

    def unfinished(self, *, before: float) -> Sequence[int]:
        """Keys of sets that were begun before a time (seconds since 1970), and that nobody finished or is writing.

        `abandon` removes one.
        """
        ...

    def sets(self) -> Sequence[RecordSet]:
        """Every set, those without a root too."""
        ...

    def remove(self, key: int) -> None:
        """Remove a set for good, with the salts without which nothing about its records can be proven."""
        ...


class RepeatedRecord(Exception):
    """A record has the id of one before it: that id, and the positions of both."""

    def __init__(self, record_id: str, position: int, first: int) -> None:
        super().__init__(f"record {position} has the id of record {first}")
        self.id = record_id
        self.position = position
        self.first = first
