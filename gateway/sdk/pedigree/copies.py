# SPDX-License-Identifier: Apache-2.0
"""A copy of a version's records, or of a selection's, beside the committed ones: what differs, and the copy's root.

Both are read once, in their order, and side by side. In memory are some 50 bytes for each record, and a digest of 16
bytes for each record of the copy that the version does not have.
"""

from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from typing import Any, Final, Generic, Protocol, TypeVar

from pedigree import merkle
from pedigree.members import Members
from pedigree.recordfiles import Reading, repeated
from pedigree.tables import Row

MOST_NAMED = 10_000
"""Records of each kind of difference that a report names; `counts` says how many there are."""
KINDS: Final = ("columns", "changed", "added", "removed", "moved", "outside")
"""The ways in which a copy differs: its columns, and its records; `outside` beside a selection only."""
_ALIGNED = 4
"""Records in a row that were found elsewhere, one after another, before reading goes on from there."""
_SALTS = b"pedigree-copy/v1"


class CommittedRecord(Protocol):
    """A record of the version."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def leaf(self) -> bytes:
        """The leaf hash that the version commits to."""


R = TypeVar("R", bound=CommittedRecord)


class Committed(Protocol[R]):
    """The records of a version, wherever they are kept."""

    @property
    def size(self) -> int:
        """How many there are."""

    def all(self, start: int = 0) -> Iterator[R]:
        """Every record from position `start` on, in their order."""

    def find(self, record_id: str) -> tuple[int, R] | None:
        """Position and record of an id; None where the version has none such."""

    def leaf(self, record: R | None, row: Row) -> bytes:
        """The leaf hash of a row of the copy in the place of the record with its id; of no record, see `LoneSalts`.

        It is the record's own where, and only where, its content is the committed one.
        """


class LoneSalts:
    """Salts for records that a version does not have, so that their copy has a root, and everybody finds the same one.

    A salt is ``SHA-256(seed ‖ id)``, cut to 16 bytes, where the seed is SHA-256 over `pedigree-copy/v1` and all salts
    of the version in their order: none who does not know these can guess at contents by the root.
    """

    def __init__(self) -> None:
        self._seed = sha256(_SALTS)

    def note(self, salts: bytes) -> None:
        """Take in the next salts of the version, joined."""
        self._seed.update(salts)

    def of(self, record_id: str) -> bytes:
        """The salt for a record with this id."""
        return sha256(self._seed.digest() + record_id.encode()).digest()[: merkle.SALT]


@dataclass(frozen=True, slots=True)
class Part:
    """The selection from a version whose records a copy should have, and no others."""

    reference: str
    root: str
    """In hex, as the ledger has it."""
    members: Members | None
    """The positions of its records in the version; None where nobody here knows them: then only roots are compared."""
    alone: bool = False
    """Whether the committed records are those of the selection, and nothing is known here of the version's others."""


class _Names:
    """Ids of records, as many as a report names."""

    def __init__(self) -> None:
        self.first: list[str] = []
        self.count = 0

    def note(self, record_id: str) -> None:
        self.count += 1
        if self.count <= MOST_NAMED:
            self.first.append(record_id)


class Comparison(Generic[R]):
    """Compares rows with the records of one version, or with those of a selection from it."""

    def __init__(self, committed: Committed[R], part: Part | None = None) -> None:
        self._committed = committed
        self._part = part
        self._changed, self._added, self._removed, self._moved, self._outside = (_Names() for _ in range(5))
        self._given = array("q", bytes(8 * committed.size))
        """For each committed record its number in the copy, from 1; 0 where it is not there."""
        self._order = array("q")
        """Positions of the committed records in the order of the copy."""
        self._leaves = bytearray()
        """Leaf hashes of the copy."""
        self._fresh: dict[bytes, int] = {}
        self._stream = committed.all()
        self._ahead = next(self._stream, None)
        self._at = 0
        self._expected = self._aligned = 0

    def run(self, rows: Iterable[Row]) -> dict[str, Any]:
        """Name what differs: `changed`, `added`, `removed`, `moved`, and `counts` of each; raises `RepeatedId`.

        `copy_root` is the root (RFC 6962) over the records of the copy in its order, each with the salt, consent,
        purposes and subject that the version has for its id. It is the version's own where nothing differs.

        Beside a selection, `removed` are those of its records that the copy does not have, and `outside` the records of
        the version that the copy has and the selection does not. Where nobody knows which records it has, nothing is
        said of either, but for a copy that differs in `remark`. Who has the records of the selection alone cannot tell
        what lies outside from what was `added`.
        """
        for number, row in enumerate(rows, start=1):
            self._note(number, row)
        if len(self._order) < self._committed.size or any(a > b for a, b in _pairs(self._order)):
            self._name_those_not_in_place()
        kinds = {"changed": self._changed, "added": self._added, "removed": self._removed, "moved": self._moved}
        if self._part is not None and self._part.members is not None:
            kinds["outside"] = self._outside
        root = merkle.root_of_hashes(bytes(self._leaves)).hex()
        return {
            **{kind: names.first for kind, names in kinds.items()},
            "counts": {kind: names.count for kind, names in kinds.items()},
            "copy_root": root,
            **self._said_of_the_part(root),
        }

    def _said_of_the_part(self, root: str) -> dict[str, str]:
        part = self._part
        if part is None:
            return {}
        said = {"selection": part.reference, "selection_root": part.root}
        if part.members is None and not part.alone and root != part.root:
            said["remark"] = (
                f"it is not known here which records {part.reference} has: "
                "those that are missing and those that lie outside cannot be named"
            )
        return said

    def _note(self, number: int, row: Row) -> None:
        found = self._match(row.id)
        if found is None:
            first = self._fresh.setdefault(sha256(row.id.encode()).digest()[:16], number)
            if first != number:
                raise repeated(row.id, number - 1, first - 1)
            self._added.note(row.id)
            self._leaves += self._committed.leaf(None, row)
            return
        position, record = found
        if self._given[position]:
            raise repeated(row.id, number - 1, self._given[position] - 1)
        if self._part is not None and not self._expects(position):
            self._outside.note(row.id)
        self._given[position] = number
        self._order.append(position)
        leaf = self._committed.leaf(record, row)
        self._leaves += leaf
        if leaf != record.leaf:
            self._changed.note(row.id)

    def _expects(self, position: int) -> bool:
        """Whether the record at a position is known to be one that the copy should have."""
        part = self._part
        return part is None or part.alone or (part.members is not None and position in part.members)

    def _match(self, record_id: str) -> tuple[int, R] | None:
        ahead = self._ahead
        if ahead is not None and ahead.id == record_id:
            found = self._at, ahead
            self._ahead = next(self._stream, None)
            self._at += 1
            self._aligned = 0
            return found
        elsewhere = self._committed.find(record_id)
        if elsewhere is None:
            return None
        position = elsewhere[0]
        self._aligned = self._aligned + 1 if position == self._expected else 0
        self._expected = position + 1
        if self._aligned >= _ALIGNED:
            self._stream = self._committed.all(position + 1)
            self._ahead = next(self._stream, None)
            self._at = position + 1
            self._aligned = 0
        return elsewhere

    def _name_those_not_in_place(self) -> None:
        """Of the records that both have, those that do not stand where they would in the version's own order."""
        kept = 0
        for position, record in enumerate(self._committed.all()):
            if not self._given[position]:
                if self._expects(position):
                    self._removed.note(record.id)
                continue
            if self._order[kept] != position:
                self._moved.note(record.id)
            kept += 1


def in_their_order(rows: Iterable[Row], ids: Iterable[str]) -> Iterator[Row]:
    """The rows of a copy of a selection whose records are numbered: each under the id of the record in its place.

    A record of the version is called by its number there, and a row by its number here. What comes after the last
    record has a name that no record has.
    """
    known = iter(ids)
    for row in rows:
        record_id = next(known, None)
        yield Row(f"row {row.id}" if record_id is None else record_id, row.content)


def agrees(report: Mapping[str, Any]) -> bool:
    """Whether a report names no difference of a copy; of a selection's, whether it has that one's root besides."""
    if any(report.get(kind) for kind in KINDS):
        return False
    return report.get("selection_root") in (None, report.get("copy_root"))


def column_differences(committed: Reading, given: Reading) -> list[str]:
    """How the columns of a copy differ from those of the version, one sentence each."""
    before, after = committed.fields, given.fields
    found = [f"{name!r} is missing" for name in before if name not in after]
    found += [f"{name!r} was added" for name in after if name not in before]
    if len(before) == len(after):
        found = [
            f"column {number} is {new!r} where the version has {old!r}"
            for number, (old, new) in enumerate(zip(before, after, strict=True), start=1)
            if old != new
        ]
    if committed.delimiter != given.delimiter:
        found.append(f"fields are separated by {given.delimiter!r} where the version has {committed.delimiter!r}")
    return found


def _pairs(values: "array[int]") -> Iterator[tuple[int, int]]:
    return zip(values, islice(values, 1, None), strict=False)
