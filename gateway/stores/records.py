# SPDX-License-Identifier: Apache-2.0
"""The owner's record store: the records and salts behind each committed root, off the ledger.

A set of records is written in batches, each a transaction of its own, so that large sets do not keep others from
writing. It has no root until it is whole, and what has no root is seen by nobody. What a crash leaves is a set without
a root, which `pedigree records gc` names and removes.
"""

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from functools import cache
from itertools import chain
from typing import Any

from chaincode.domain.provenance import LeafSchema
from gateway.services.ports import Reading, RecordHead, RecordSet, RepeatedRecord, StoredRecord
from gateway.services.tiles import COMPLETE, WIDTH, Tile
from gateway.stores.database import Database

_SIGN = 1 << 63
_READ = 500
"""Records that are read at once."""
_READ_SIZE = 4 << 20
"""Bytes of content after which no more are read at once."""
_HEADS = 5_000
"""Records whose content is left out that are read at once."""
_WRITTEN = 80 * WIDTH
"""Records that are copied or removed at once, those under whole tiles; others write in between."""
_INSERTED = 50
"""Records of one statement, which takes less time than a statement for each."""
_RECORD = "id, salt, content, consent, purposes, leaf, subject"
_CONTENT = 2
"""Its place among them."""
_SET = "root, dataset, size, created, reading, key, leaf_schema"


class RecordStore:
    """Implements `services.ports.Records`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, dataset: str, reading: Reading, leaf_schema: LeafSchema = LeafSchema.RECORD_V1) -> int:
        row = (dataset, time.time(), json.dumps(asdict(reading)), leaf_schema.value)
        insert = "INSERT INTO record_set (dataset, size, created, reading, leaf_schema) VALUES (?, 0, ?, ?, ?)"

        def work(connection: sqlite3.Connection) -> int:
            return connection.execute(insert, row).lastrowid or 0

        return self._database.write(work)

    def add(self, key: int, start: int, records: Sequence[StoredRecord], tiles: Sequence[Tile] = ()) -> None:
        if any(record.purposes >= _SIGN for record in records):
            records = [record._replace(purposes=_signed(record.purposes)) for record in records]
        whole = len(records) // _INSERTED * _INSERTED

        def work(connection: sqlite3.Connection) -> None:
            for inserted, first, end in ((_INSERTED, 0, whole), (1, whole, len(records))):
                runs = range(first, end, inserted)
                rows = ((key, start + at, *chain.from_iterable(records[at : at + inserted])) for at in runs)
                connection.executemany(_insert(inserted), rows)
            _keep(connection, key, tiles)

        try:
            self._database.write(work)
        except sqlite3.IntegrityError:
            raise self._repeated(key, start, records) from None

    def _repeated(self, key: int, start: int, records: Sequence[StoredRecord]) -> Exception:
        seen: dict[str, int] = {}
        for index, record in enumerate(records):
            found = self._one("SELECT position FROM record WHERE set_key = ? AND id = ?", (key, record.id))
            first = seen.setdefault(record.id, start + index) if found is None else int(found[0])
            if first != start + index:
                return RepeatedRecord(start + index, first)
        return RuntimeError(f"set {key} holds records at {start} already")

    def copy(self, key: int, root: str) -> None:
        source = self.held(root)
        if source is None:
            raise KeyError(root)
        insert = (
            f"INSERT INTO record SELECT ?, position, {_RECORD} FROM record "  # noqa: S608 - constants
            "WHERE set_key = ? AND position >= ? AND position < ?"
        )
        complete = "INSERT INTO tile SELECT ?, level, number, hashes FROM tile WHERE set_key = ?"
        for start in range(0, source.size, _WRITTEN):
            records = (key, source.key, start, start + _WRITTEN)
            tiles = (key, source.key, start // WIDTH, (start + _WRITTEN) // WIDTH, COMPLETE)

            def work(connection: sqlite3.Connection, records: Any = records, tiles: Any = tiles) -> None:
                connection.execute(insert, records)
                connection.execute(
                    f"{complete} AND level = 0 AND number >= ? AND number < ? AND length(hashes) = ?", tiles
                )

            self._database.write(work)
        above = f"{complete} AND level > 0 AND length(hashes) = ?"
        self._database.write(lambda connection: connection.execute(above, (key, source.key, COMPLETE)))

    def finish(self, key: int, root: str, size: int, tiles: Sequence[Tile] = ()) -> None:
        def work(connection: sqlite3.Connection) -> None:
            _keep(connection, key, tiles)
            connection.execute("UPDATE record_set SET root = ?, size = ? WHERE key = ?", (root, size, key))

        self._database.write(work)
        self._database.shorten_log()

    def abandon(self, key: int) -> None:
        if self._one("SELECT 1 FROM record_set WHERE key = ? AND root IS NULL", (key,)) is not None:
            self.remove(key)

    def held(self, root: str) -> RecordSet | None:
        row = self._one(f"SELECT {_SET} FROM record_set WHERE root = ?", (root,))  # noqa: S608 - constants
        return None if row is None else _set(row)

    def all(self, root: str, start: int = 0) -> Iterator[StoredRecord]:
        # Piece by piece: a query that stays open would keep the log from being shortened as long as somebody reads.
        select = (
            f"SELECT {_RECORD} FROM record WHERE set_key = ? "  # noqa: S608 - constants
            "AND position >= ? ORDER BY position LIMIT ?"
        )
        found = self.held(root)
        while found is not None and start < found.size:
            rows = self._near(select, (found.key, start, _READ))
            if not rows:
                return
            yield from map(_record, rows)
            start += len(rows)

    def _near(self, select: str, values: tuple[Any, ...]) -> list[Any]:
        """The first rows that a query gives, about `_READ_SIZE` bytes of content."""
        rows: list[Any] = []
        size = 0
        with closing(self._database.reader().execute(select, values)) as cursor:
            for row in cursor:
                rows.append(row)
                size += len(row[_CONTENT])
                if size >= _READ_SIZE:
                    break
        return rows

    def find(self, root: str, record_id: str) -> tuple[int, StoredRecord] | None:
        row = self._one(
            f"SELECT position, {_RECORD} FROM record "  # noqa: S608 - constants
            "WHERE set_key = (SELECT key FROM record_set WHERE root = ?) AND id = ?",
            (root, record_id),
        )
        return None if row is None else (row[0], _record(row[1:]))

    def heads(self, root: str) -> Iterator[RecordHead]:
        select = (
            "SELECT id, consent, purposes, leaf, subject FROM record WHERE set_key = ? "
            "AND position >= ? ORDER BY position LIMIT ?"
        )
        found = self.held(root)
        start = 0
        while found is not None and start < found.size:
            rows = self._database.reader().execute(select, (found.key, start, _HEADS)).fetchall()
            if not rows:
                return
            for record_id, consent, purposes, leaf, subject in rows:
                yield RecordHead(record_id, consent, purposes % (1 << 64), leaf, subject or b"")
            start += len(rows)

    def positions(self, root: str, ids: Sequence[str]) -> list[int | None]:
        held = self.held(root)
        if held is None:
            return [None] * len(ids)
        known: dict[str, int] = {}
        for start in range(0, len(ids), _READ):
            asked = ids[start : start + _READ]
            places = ", ".join("?" * len(asked))
            select = f"SELECT id, position FROM record WHERE set_key = ? AND id IN ({places})"  # noqa: S608 - places
            known.update(self._database.reader().execute(select, (held.key, *asked)).fetchall())
        return [known.get(each) for each in ids]

    def leaves(self, root: str, positions: Sequence[int]) -> bytes:
        select = "SELECT leaf FROM record WHERE set_key = (SELECT key FROM record_set WHERE root = ?) AND position IN "
        ordered = sorted(positions)
        found: list[bytes] = []
        for start in range(0, len(ordered), _READ):
            asked = ordered[start : start + _READ]
            places = f"({', '.join('?' * len(asked))}) ORDER BY position"
            rows = self._database.reader().execute(select + places, (root, *asked)).fetchall()
            found += (leaf for (leaf,) in rows)
        return b"".join(found)

    def of_subject(self, root: str, subject: bytes) -> Sequence[tuple[int, str]]:
        rows = self._database.reader().execute(
            "SELECT position, id FROM record WHERE set_key = (SELECT key FROM record_set WHERE root = ?) "
            "AND subject = ? ORDER BY position",
            (root, subject),
        )
        return [(position, record_id) for position, record_id in rows.fetchall()]

    def tile(self, key: int, level: int, number: int) -> bytes:
        select = "SELECT hashes FROM tile WHERE set_key = ? AND level = ? AND number = ?"
        row = self._one(select, (key, level, number))
        return b"" if row is None else bytes(row[0])

    def keep_tiles(self, key: int, tiles: Sequence[Tile]) -> None:
        self._database.write(lambda connection: _keep(connection, key, tiles))

    def names_subjects(self, root: str) -> bool:
        # One file has a column of subjects or has none, and what extends a version says it of every record again.
        select = (
            "SELECT subject IS NOT NULL FROM record WHERE set_key = (SELECT key FROM record_set WHERE root = ?) "
            "AND position = 0"
        )
        row = self._one(select, (root,))
        return row is not None and bool(row[0])

    def sets(self) -> Sequence[RecordSet]:
        rows = self._database.reader().execute(f"SELECT {_SET} FROM record_set ORDER BY key")  # noqa: S608 - constants
        return [_set(row) for row in rows.fetchall()]

    def remove(self, key: int) -> None:
        # The set itself goes last: what a crash leaves of it can be removed again.
        delete = "DELETE FROM record WHERE set_key = ? AND position >= ? AND position < ?"
        last = self._one("SELECT max(position) FROM record WHERE set_key = ?", (key,))
        size = 0 if last is None or last[0] is None else int(last[0]) + 1
        self._database.write(
            lambda connection: connection.execute("UPDATE record_set SET root = NULL WHERE key = ?", (key,))
        )
        for start in range(0, size, _WRITTEN):
            values = (key, start, start + _WRITTEN)
            self._database.write(lambda connection, values=values: connection.execute(delete, values))  # type: ignore[misc]
        while self._database.write(lambda connection: _remove_tiles(connection, key)):
            pass
        self._database.write(lambda connection: connection.execute("DELETE FROM record_set WHERE key = ?", (key,)))
        self._database.shorten_log()

    def _one(self, query: str, values: tuple[Any, ...]) -> Any:
        return self._database.reader().execute(query, values).fetchone()


def _set(row: Sequence[Any]) -> RecordSet:
    root, dataset, size, created, reading, key, leaves = row
    said = None if reading is None else _reading(reading)
    return RecordSet(root or "", dataset, size, created, said, key, LeafSchema(leaves))


def _reading(text: str) -> Reading:
    members = json.loads(text)
    return Reading(**{**members, "fields": tuple(members["fields"])})


def _record(row: Sequence[Any]) -> StoredRecord:
    record_id, salt, content, consent, purposes, leaf, subject = row
    return StoredRecord(record_id, salt, content, consent, purposes % (1 << 64), leaf, subject or b"")


def _signed(value: int) -> int:
    """SQLite keeps signed 64-bit integers; purposes are unsigned."""
    return value - (1 << 64) if value >= _SIGN else value


@cache
def _insert(records: int) -> str:
    """The statement that takes a set's key, the position of the first of so many records, and then what these say."""
    fields = len(StoredRecord._fields)
    rows = []
    for index in range(records):
        *said, subject = (f"?{3 + fields * index + field}" for field in range(fields))
        rows.append(f"(?1, ?2 + {index}, {', '.join(said)}, nullif({subject}, x''))")
    return f"INSERT INTO record VALUES {', '.join(rows)}"  # noqa: S608 - numbers of parameters


def _keep(connection: sqlite3.Connection, key: int, tiles: Sequence[Tile]) -> None:
    connection.executemany("INSERT OR REPLACE INTO tile VALUES (?, ?, ?, ?)", [(key, *tile) for tile in tiles])


def _remove_tiles(connection: sqlite3.Connection, key: int) -> int:
    """Remove some; how many they were."""
    some = f"SELECT level, number FROM tile WHERE set_key = ? LIMIT {_WRITTEN // WIDTH}"  # noqa: S608 - a constant
    delete = f"DELETE FROM tile WHERE set_key = ? AND (level, number) IN ({some})"  # noqa: S608 - a constant
    return connection.execute(delete, (key, key)).rowcount
