# SPDX-License-Identifier: Apache-2.0
"""Where the records of a set are, by id and by subject: runs of keyed hashes, sorted and cut into buckets.

A bucket holds the entries whose hashes begin with the same bits: first all hashes (8 bytes each, little-endian), then
all positions (4 bytes). A hash names a record only nearly: who looks one up compares the ids. A set that is being
written has a run in memory and one for each million records before that; what is found when it is finished is run 0.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from functools import lru_cache
from itertools import groupby
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gateway.stores.recordseals import RecordSeals, bucket_place
from gateway.stores.sql import Connection, SqlDatabase, upsert, write_rows

Numbers = npt.NDArray[np.unsignedinteger[Any]]
Entries = tuple[Numbers, Numbers]
"""Hashes and positions, in the order of both."""

HASH_KEY: Final = 16
"""Bytes of the secret that a set's hashes are made with: nobody who names records can have many of one hash."""
_BITS: Final = 44
"""Of a hash."""
_PLACES: Final = 20
"""Bits of a record's place in its run; with its hash they are one number to sort by."""
RUN: Final = 1 << _PLACES
"""Records of a run."""
_BUCKET: Final = 9
"""A bucket has about 2 to the power of this many entries."""
_LONGEST: Final = 1024
"""Bytes of a name."""
_ALL: Final = (1 << 64) - 1
_READ: Final = 64
"""Buckets that are read at once."""
ENTRY: Final = 12
"""Bytes of an entry."""


class Kind(IntEnum):
    """What records are found by."""

    ID = 0
    SUBJECT = 1


class NameHash:
    """A keyed hash of names: multilinear over their bytes modulo 2^64 (Lemire and Kaser 2014), and mixed.

    Two names have one hash with a probability near 2^-44 for anyone who does not know the key. Unlike SHA-256 it can be
    computed for thousands of names at once.
    """

    def __init__(self, key: bytes) -> None:
        drawn = hashlib.shake_128(key).digest(8 * (_LONGEST + 1))
        self._factors: Numbers = np.frombuffer(drawn, "<u8")
        self._whole: list[int] = self._factors.tolist()

    def of(self, name: bytes) -> int:
        """The hash of one name."""
        found = sum((byte + 1) * factor for byte, factor in zip(name, self._whole, strict=False)) & _ALL
        found ^= found >> 33
        found = found * 0xFF51AFD7ED558CCD & _ALL
        found ^= found >> 33
        found = found * 0xC4CEB9FE1A85EC53 & _ALL
        return (found ^ found >> 33) >> 64 - _BITS

    def of_all(self, names: Sequence[bytes]) -> Numbers:
        """The hashes of names, as `of` gives them."""
        lengths = np.fromiter(map(len, names), np.int64, len(names))
        if not lengths.all() or lengths.max(initial=0) > _LONGEST:
            return np.fromiter(map(self.of, names), np.uint64, len(names))
        flat = np.frombuffer(b"".join(names), np.uint8)
        starts = np.cumsum(lengths) - lengths
        places = np.arange(len(flat)) - np.repeat(starts, lengths)
        found: Numbers = np.add.reduceat((flat.astype(np.uint64) + np.uint64(1)) * self._factors[places], starts)
        found ^= found >> np.uint64(33)
        found *= np.uint64(0xFF51AFD7ED558CCD)
        found ^= found >> np.uint64(33)
        found *= np.uint64(0xC4CEB9FE1A85EC53)
        found ^= found >> np.uint64(33)
        return found >> np.uint64(64 - _BITS)


@lru_cache(maxsize=16)
def name_hash(key: bytes) -> NameHash:
    """The hash of a set's names; made once for some sets at a time, as it is 8 KiB."""
    return NameHash(key)


class Run:
    """The entries of records that are being written, in memory: 8 bytes of each."""

    def __init__(self, start: int) -> None:
        self._start = start
        self._parts: list[Numbers] = []
        self.count = 0

    def add(self, hashes: Numbers) -> None:
        """The next records, which are at most as many as `RUN` leaves."""
        places = np.arange(self.count, self.count + len(hashes), dtype=np.uint64)
        self._parts.append(hashes << np.uint64(_PLACES) | places)
        self.count += len(hashes)

    def entries(self) -> Entries:
        """All of them in order."""
        if not self._parts:
            return np.empty(0, np.uint64), np.empty(0, np.uint64)
        found = np.concatenate(self._parts)
        self._parts = [found]
        found.sort()
        places = found & np.uint64(RUN - 1)
        return found >> np.uint64(_PLACES), places + np.uint64(self._start)


class _Stream:
    """Entries in order, taken from the beginning on."""

    def __init__(self, parts: Iterable[Entries]) -> None:
        self._parts = iter(parts)
        self._ahead = next(self._parts, None)

    def below(self, limit: int) -> Iterator[Entries]:
        """Those not taken yet whose hash is below a limit."""
        while self._ahead is not None:
            hashes, positions = self._ahead
            end = int(np.searchsorted(hashes, np.uint64(limit)))
            yield hashes[:end], positions[:end]
            if end < len(hashes):
                self._ahead = hashes[end:], positions[end:]
                return
            self._ahead = next(self._parts, None)


def merged(runs: Sequence[Iterable[Entries]], bits: int) -> Iterator[tuple[int, Entries]]:
    """The buckets of runs together, each with its number; positions of a run are below those of the runs after it."""
    streams = [_Stream(run) for run in runs]
    for bucket in range(1 << bits):
        limit = bucket + 1 << _BITS - bits
        parts = [part for stream in streams for part in stream.below(limit) if len(part[0])]
        if len(parts) == 1:
            yield bucket, parts[0]
        elif parts:
            hashes, positions = (np.concatenate([part[field] for part in parts]) for field in (0, 1))
            order = np.argsort(hashes, kind="stable")
            yield bucket, (hashes[order], positions[order])


def repeats(entries: Entries) -> Iterator[Sequence[int]]:
    """The positions of records that have one hash, where there are several, in their order."""
    hashes, positions = entries
    same = np.flatnonzero(hashes[1:] == hashes[:-1])
    places: list[tuple[int, int]] = [(int(hashes[at]), at) for at in same.tolist()]
    for _, group in groupby(places, key=lambda each: each[0]):
        found = [at for _, at in group]
        yield [int(position) for position in positions[found[0] : found[-1] + 2]]


def packed(entries: Entries) -> bytes:
    """A bucket as it is kept."""
    hashes, positions = entries
    return hashes.astype("<u8").tobytes() + positions.astype("<u4").tobytes()


def bits_for(size: int) -> int:
    """How many first bits of a hash name the bucket, in a set of so many records."""
    return max(0, (size - 1).bit_length() - _BUCKET) if size else 0


class RecordIndex:
    """The buckets of all sets."""

    def __init__(self, database: SqlDatabase, seals: RecordSeals) -> None:
        self._database = database
        self._seals = seals

    def run(self, key: int, kind: Kind, number: int) -> Iterator[Entries]:
        """The entries of a run, a bucket at a time, in order."""
        select = (
            "SELECT bucket, entries FROM record_index WHERE set_key = ? AND kind = ? AND run = ? AND bucket > ? "
            "ORDER BY bucket LIMIT ?"
        )
        seal, last = self._seals.of_set(key), -1
        while rows := self._database.reader().execute(select, (key, kind, number, last, _READ)).fetchall():
            for bucket, entries in rows:
                yield _unpacked(seal.open(bucket_place(kind, number, bucket), entries))
            last = rows[-1][0]

    def positions(self, key: int, kind: Kind, bits: int, hashed: int) -> list[int]:
        """The positions of the records that have a hash, in their order."""
        hashes, positions = self._bucket(key, kind, hashed >> _BITS - bits)
        first = int(np.searchsorted(hashes, np.uint64(hashed)))
        end = int(np.searchsorted(hashes, np.uint64(hashed), "right"))
        found: list[int] = positions[first:end].tolist()
        return found

    def many(self, key: int, bits: int, hashes: Numbers) -> Iterator[tuple[int, int]]:
        """For the hashes of ids: the number of each that is there, counted from 0, and a position that has it."""
        order = np.argsort(hashes, kind="stable")
        asked = hashes[order]
        buckets, starts = np.unique(asked >> np.uint64(_BITS - bits), return_index=True)
        ends = [*starts[1:].tolist(), len(asked)]
        for bucket, start, end in zip(buckets.tolist(), starts.tolist(), ends, strict=True):
            there, positions = self._bucket(key, Kind.ID, bucket)
            firsts = np.searchsorted(there, asked[start:end])
            lasts = np.searchsorted(there, asked[start:end], "right")
            for at in np.flatnonzero(lasts > firsts).tolist():
                for position in positions[firsts[at] : lasts[at]].tolist():
                    yield int(order[start + at]), position

    def _bucket(self, key: int, kind: Kind, bucket: int) -> Entries:
        select = "SELECT entries FROM record_index WHERE set_key = ? AND kind = ? AND run = 0 AND bucket = ?"
        row = self._database.reader().execute(select, (key, kind, bucket)).fetchone()
        return _unpacked(b"" if row is None else self._seals.of_set(key).open(bucket_place(kind, 0, bucket), row[0]))


def keep(connection: Connection, key: int, kind: Kind, run: int, rows: Sequence[tuple[int, bytes]]) -> None:
    """Write buckets of a run, which are sealed."""
    insert = upsert("record_index", "set_key, kind, run, bucket, entries", "set_key, kind, run, bucket")
    write_rows(connection, insert, [(key, kind, run, *row) for row in rows])


def _unpacked(entries: bytes) -> Entries:
    count = len(entries) // ENTRY
    return np.frombuffer(entries, "<u8", count), np.frombuffer(entries, "<u4", count, 8 * count)
