# SPDX-License-Identifier: Apache-2.0
"""A set of records while it is written: its blocks, a few MiB at a time, and what its records are found by."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from functools import partial
from typing import Any, Final

from chaincode.domain.merkle import HASH
from gateway.services.ports import RecordColumns, RepeatedRecord
from gateway.services.tiles import Tile
from gateway.stores.recordblocks import Packed, pack
from gateway.stores.recordindex import RUN, Entries, Kind, RecordIndex, Run, bits_for, keep, merged, name_hash, packed
from gateway.stores.recordindex import repeats as with_one_hash
from gateway.stores.recordseals import RecordSeals, bucket_place, contents_place, heads_place
from gateway.stores.sql import Connection, SqlDatabase, Work, upsert, write_rows

_WRITTEN: Final = 4 << 20
"""Bytes after which blocks are written; others write in between."""
_AHEAD: Final = 2
"""How many such writes may be under way, while what comes after them is read."""
_SPILLED: Final = 11
"""Bits of the buckets of a run that is not the last."""
_KEEP_TILE: Final = upsert("tile", "set_key, level, number, hashes", "set_key, level, number")
Identify = Callable[[int], bytes]
"""The id of the record at a position."""


class Writing:
    """What is added to one set, until it is finished; for one thread.

    A crash leaves blocks and runs of a set that has no root.
    """

    def __init__(self, database: SqlDatabase, key: int, hash_key: bytes, seals: RecordSeals) -> None:
        self._database = database
        self._index = RecordIndex(database, seals)
        self._seal = seals.of_set(key)
        self._key = key
        self._hash = name_hash(hash_key)
        self._blocks: list[Packed] = []
        self._tiles: list[Tile] = []
        self._waiting = 0
        self._under_way: deque[Future[Any]] = deque()
        self._base: int | None = None
        self._size = self._spilled = 0
        self._runs = {Kind.ID: Run(0)}

    def after(self, base: int, size: int) -> None:
        """Let the records come after those of a finished set, whose blocks this one has."""
        self._base = base
        self._size = size
        self._runs = {Kind.ID: Run(size)}

    def add(self, start: int, records: RecordColumns, tiles: Sequence[Tile]) -> None:
        """The next records, the first at position `start`."""
        if start != self._size:
            raise ValueError(f"set {self._key} goes on at position {self._size}, not {start}")
        if self._runs[Kind.ID].count + len(records.ids) > RUN:
            self._spill()
        self._size += len(records.ids)
        self._note(Kind.ID, start, records.ids)
        if records.subjects:
            joined = records.subjects
            self._note(Kind.SUBJECT, start, [joined[at : at + HASH] for at in range(0, len(joined), HASH)])
        for block in pack(records, start):
            self._blocks.append(self._sealed(block))
            self._waiting += len(block.heads) + len(block.contents)
            if self._waiting >= _WRITTEN:
                self._write()
        self._tiles += tiles

    def finish(self, identify: Identify, tiles: Sequence[Tile]) -> None:
        """Write what is left, and what the records are found by; raises `RepeatedRecord`."""
        self._tiles += tiles
        self._write()
        self._until(0)
        for kind in Kind:
            runs: list[Iterable[Entries]] = [] if self._base is None else [self._index.run(self._base, kind, 0)]
            runs += [self._index.run(self._key, kind, number) for number in range(1, self._spilled + 1)]
            runs += [[self._runs[kind].entries()]] if kind in self._runs else []
            self._keep_run(kind, 0, merged(runs, bits_for(self._size)), identify)
        for number in range(1, self._spilled + 1):
            self._write_soon(partial(_forget, self._key, number))
        self._until(0)

    def stop(self) -> None:
        """Wait until nothing is under way, whatever becomes of it; nothing is added any more."""
        wait(self._under_way)

    def _sealed(self, block: Packed) -> Packed:
        place = (block.start, block.size)
        heads = self._seal.seal(heads_place(*place), block.heads)
        return Packed(*place, heads, self._seal.seal(contents_place(*place), block.contents))

    def _note(self, kind: Kind, start: int, names: Sequence[bytes]) -> None:
        self._runs.setdefault(kind, Run(start)).add(self._hash.of_all(names))

    def _write(self) -> None:
        blocks, tiles = self._blocks, self._tiles
        self._blocks, self._tiles, self._waiting = [], [], 0
        if blocks or tiles:
            self._write_soon(partial(_insert, self._key, blocks, tiles))

    def _write_soon(self, work: Work) -> None:
        """Write while what comes next is read; raises why an earlier write failed."""
        self._under_way.append(self._database.write_soon(work))
        self._until(_AHEAD)

    def _until(self, left: int) -> None:
        """Wait until so many writes are under way; raises why one of the others failed."""
        while len(self._under_way) > left:
            self._under_way.popleft().result()

    def _spill(self) -> None:
        self._spilled += 1
        for kind, run in self._runs.items():
            self._keep_run(kind, self._spilled, merged([[run.entries()]], _SPILLED))
        self._runs = {kind: Run(self._size) for kind in self._runs}

    def _keep_run(
        self, kind: Kind, number: int, buckets: Iterator[tuple[int, Entries]], identify: Identify | None = None
    ) -> None:
        rows: list[tuple[int, bytes]] = []
        waiting, first = 0, None
        for bucket, entries in buckets:
            if kind is Kind.ID and identify is not None:
                first = _earlier(first, entries, identify)
            rows.append((bucket, self._seal.seal(bucket_place(kind, number, bucket), packed(entries))))
            waiting += len(rows[-1][1])
            if waiting >= _WRITTEN:
                self._write_soon(partial(keep, key=self._key, kind=kind, run=number, rows=rows))
                rows, waiting = [], 0
        if first is not None:
            raise first
        self._write_soon(partial(keep, key=self._key, kind=kind, run=number, rows=rows))


def insert(connection: Connection, key: int, blocks: Sequence[Packed]) -> None:
    """Write blocks of a set."""
    write_rows(connection, "INSERT INTO record_block VALUES (?, ?, ?, ?, ?)", [(key, *block) for block in blocks])


def keep_tiles(connection: Connection, key: int, tiles: Sequence[Tile]) -> None:
    """Write tiles of a set's tree in the place of those that there are."""
    write_rows(connection, _KEEP_TILE, [(key, *tile) for tile in tiles])


def _insert(key: int, blocks: Sequence[Packed], tiles: Sequence[Tile], connection: Connection) -> None:
    insert(connection, key, blocks)
    keep_tiles(connection, key, tiles)


def _forget(key: int, run: int, connection: Connection) -> None:
    connection.executemany(
        "DELETE FROM record_index WHERE set_key = ? AND kind = ? AND run = ?", [(key, kind, run) for kind in Kind]
    )


def _earlier(known: RepeatedRecord | None, entries: Entries, identify: Identify) -> RepeatedRecord | None:
    """Of the repeats in a bucket and the one that is known, the one that is first in the file."""
    for positions in with_one_hash(entries):
        seen: dict[bytes, int] = {}
        for position in positions:
            if known is not None and position >= known.position:
                break
            record_id = identify(position)
            first = seen.setdefault(record_id, position)
            if first != position:
                known = RepeatedRecord(record_id.decode(), position, first)
    return known
