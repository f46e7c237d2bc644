# SPDX-License-Identifier: Apache-2.0
"""Records in blocks of some hundred, each two runs of bytes: what is said of the records, and their contents.

The first of them is, for n records, integers little-endian::

    form (1) ‖ 02 bit: tails differ, 01 bit: subjects (1)
    ‖ length of each id (2n) ‖ length of each content (4n) ‖ salts (16n) ‖ leaf hashes (32n)
    ‖ consent and purposes as at the end of a leaf (9, or 9n where they differ) ‖ subjects (32n, or 0) ‖ ids in UTF-8
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import accumulate, pairwise
from struct import iter_unpack
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from chaincode.domain.merkle import HASH, SALT
from gateway.services.ports import RecordColumns, RecordHead, StoredRecord

MOST: Final = 250
"""Records of a block, at the most."""
_LARGE: Final = 256 << 10
"""Bytes of content after which a block has no further record."""
PLAIN: Final = 1
"""The first byte of heads that are not sealed."""
_SUBJECTS: Final = 1
_TAILS_DIFFER: Final = 2
_TAIL: Final = 9

Lengths = npt.NDArray[np.unsignedinteger[Any]]


class Packed(NamedTuple):
    """A block as it is kept."""

    start: int
    """The position of its first record."""
    size: int
    heads: bytes
    contents: bytes


def pack(records: RecordColumns, start: int) -> Iterator[Packed]:
    """The blocks of records, the first of which is at position `start`."""
    count = len(records.ids)
    id_lengths = np.fromiter(map(len, records.ids), "<u2", count)
    content_lengths = np.fromiter(map(len, records.contents), "<u4", count)
    before = [0, *accumulate(map(len, records.contents))]
    differ = len(records.tails) != _TAIL or count == 1
    flags = bytes([PLAIN, (_SUBJECTS if records.subjects else 0) | (_TAILS_DIFFER if differ else 0)])
    at = 0
    while at < count:
        end = _end(before, at, min(count, at + MOST))
        heads = (
            flags,
            id_lengths[at:end].tobytes(),
            content_lengths[at:end].tobytes(),
            records.salts[at * SALT : end * SALT],
            records.leaves[at * HASH : end * HASH],
            records.tails[at * _TAIL : end * _TAIL] if differ else records.tails,
            records.subjects[at * HASH : end * HASH],
            *records.ids[at:end],
        )
        yield Packed(start + at, end - at, b"".join(heads), b"".join(records.contents[at:end]))
        at = end


def _end(before: Sequence[int], start: int, end: int) -> int:
    """Where a block ends that begins at `start`; `before` has the bytes of content before each record."""
    while end - start > 1 and before[end] - before[start] > _LARGE:
        end = start + (end - start) // 2
    return end


class Block:
    """A block that is read: of each record what is asked for, by its place in the block."""

    def __init__(self, start: int, size: int, heads: bytes) -> None:
        if heads[0] != PLAIN:
            raise ValueError(f"a block of records has the unknown form {heads[0]}")
        self.start = start
        self.size = size
        self._heads = heads
        self._ids_at = self._section(_TAIL * (size if heads[1] & _TAILS_DIFFER else 1), HASH * size)

    @property
    def end(self) -> int:
        """The position after its last record."""
        return self.start + self.size

    @property
    def has_subjects(self) -> bool:
        """Whether its records are about subjects."""
        return bool(self._heads[1] & _SUBJECTS)

    def id(self, place: int) -> bytes:
        """The id of a record, in UTF-8."""
        first = self._ids_at + self._id_ends[place - 1] if place else self._ids_at
        return self._heads[first : self._ids_at + self._id_ends[place]]

    def leaf(self, place: int) -> bytes:
        """The leaf hash of a record."""
        return self._of(self._leaves_at, HASH, place)

    def subject(self, place: int) -> bytes:
        """The reference of a record's subject; empty where it is about none."""
        return self._of(self._ids_at - HASH * self.size, HASH, place) if self.has_subjects else b""

    def all_heads(self) -> Iterator[RecordHead]:
        """Every record without its content."""
        said = self._said(0)
        leaves, subjects = self._each(self._leaves_at, HASH, 0), self._each_subject(0)
        for record_id, (consent, purposes), leaf, subject in zip(self._each_id(0), said, leaves, subjects, strict=True):
            yield RecordHead(record_id, consent, purposes, leaf, subject)

    def record(self, place: int, contents: bytes) -> StoredRecord:
        """A record, out of the contents of the block."""
        consent, purposes = self._tail(place)
        return StoredRecord(
            self.id(place).decode(),
            self._of(self._salts_at, SALT, place),
            contents[self._content_ends[place - 1] if place else 0 : self._content_ends[place]],
            consent,
            purposes,
            self.leaf(place),
            self.subject(place),
        )

    def records(self, contents: bytes, first: int) -> Iterator[StoredRecord]:
        """The records from a place on, out of the contents of the block; `record` is for one of them."""
        each_content = [contents[start:end] for start, end in pairwise([0, *self._content_ends][first:])]
        columns = (
            self._each_id(first),
            self._each(self._salts_at, SALT, first),
            each_content,
            self._said(first),
            self._each(self._leaves_at, HASH, first),
            self._each_subject(first),
        )
        for record_id, salt, content, (consent, purposes), leaf, subject in zip(*columns, strict=True):
            yield StoredRecord(record_id, salt, content, consent, purposes, leaf, subject)

    def _each_id(self, first: int) -> list[str]:
        ids = self._heads[self._ids_at :]
        return [ids[start:end].decode() for start, end in pairwise([0, *self._id_ends][first:])]

    def _each(self, at: int, width: int, first: int) -> list[bytes]:
        return [
            self._heads[place : place + width] for place in range(at + width * first, at + width * self.size, width)
        ]

    def _each_subject(self, first: int) -> list[bytes]:
        if not self.has_subjects:
            return [b""] * (self.size - first)
        return self._each(self._ids_at - HASH * self.size, HASH, first)

    def _said(self, first: int) -> list[tuple[int, ...]]:
        """Consent and purposes of the records from a place on."""
        if not self._heads[1] & _TAILS_DIFFER:
            return [self._tail(0)] * (self.size - first)
        at = self._leaves_at + HASH * self.size
        return list(iter_unpack(">BQ", self._heads[at + _TAIL * first : at + _TAIL * self.size]))

    @cached_property
    def _id_ends(self) -> list[int]:
        return self._ends("<u2", 2)

    @cached_property
    def _content_ends(self) -> list[int]:
        return self._ends("<u4", 2 + 2 * self.size)

    def _ends(self, kind: str, at: int) -> list[int]:
        lengths: Lengths = np.frombuffer(self._heads, kind, self.size, at)
        ends: list[int] = np.cumsum(lengths, dtype=np.int64).tolist()
        return ends

    @property
    def _salts_at(self) -> int:
        return 2 + 6 * self.size

    @property
    def _leaves_at(self) -> int:
        return self._salts_at + SALT * self.size

    def _section(self, tails: int, subjects: int) -> int:
        """Where the ids begin."""
        return self._leaves_at + HASH * self.size + tails + (subjects if self.has_subjects else 0)

    def _of(self, at: int, width: int, place: int) -> bytes:
        return self._heads[at + width * place : at + width * (place + 1)]

    def _tail(self, place: int) -> tuple[int, int]:
        found = self._of(self._leaves_at + HASH * self.size, _TAIL, place if self._heads[1] & _TAILS_DIFFER else 0)
        return found[0], int.from_bytes(found[1:])
