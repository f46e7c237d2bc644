# SPDX-License-Identifier: Apache-2.0
"""The owner's record store: the records and salts behind each committed root, off the ledger.

A set of records is written in blocks, a few MiB in a transaction, so that large sets do not keep others from writing.
It has no root until it is whole, and what has no root is seen by nobody. What a crash leaves is a set without a root,
which the sweeper removes. Blocks, the index and its key are sealed under a data key of the data set (`recordseals`).
"""

import json
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from chaincode.domain.provenance import LeafSchema
from gateway.services.ports import Reading, RecordColumns, RecordHead, RecordSet, StoredRecord
from gateway.services.tiles import COMPLETE, WIDTH, Tile
from gateway.stores.recordblocks import Block
from gateway.stores.recordindex import HASH_KEY, Kind, RecordIndex, bits_for, name_hash
from gateway.stores.recordpacking import pack_former
from gateway.stores.recordsealing import seal_former
from gateway.stores.recordseals import HASH_KEY_PLACE, RecordSeals, contents_place, heads_place
from gateway.stores.recordwriting import Writing, keep_tiles
from gateway.stores.sql import Connection, SqlDatabase

_WRITTEN = 80 * WIDTH
"""Records that are copied or removed at once, those under whole tiles; others write in between."""
_SET = "root, dataset, size, created, reading, key, leaf_schema"
_HEADS = "start, size, heads"


class RecordStore:
    """Implements `services.ports.Records`. A set is written by one thread; all else is for any."""

    def __init__(self, database: SqlDatabase, seals: RecordSeals) -> None:
        """Open the store; records of a former version are packed and sealed first, some seconds a million.

        Raises `KeysUnusable` where there are such and they cannot be sealed.
        """
        self._database = database
        self._seals = seals
        self._index = RecordIndex(database, seals)
        self._writing: dict[int, Writing] = {}
        # What is deleted or sealed anew is overwritten, and not only forgotten.
        database.write(database.overwrite_removed)
        pack_former(database, seals)
        seal_former(database, seals)

    def begin(self, dataset: str, reading: Reading, leaf_schema: LeafSchema = LeafSchema.RECORD_V1) -> int:
        hash_key, number = secrets.token_bytes(HASH_KEY), self._seals.key_for(dataset)
        kept = self._seals.of_key(number).seal(HASH_KEY_PLACE, hash_key)
        row = (dataset, time.time(), json.dumps(asdict(reading)), leaf_schema.value, kept, number)
        insert = (
            "INSERT INTO record_set (dataset, size, created, reading, leaf_schema, hash_key, data_key) "
            "VALUES (?, 0, ?, ?, ?, ?, ?) RETURNING key"
        )

        def work(connection: Connection) -> int:
            return int(connection.execute(insert, row).fetchone()[0])

        key = self._database.write(work)
        self._writing[key] = Writing(self._database, key, hash_key, self._seals)
        return key

    def add(self, key: int, start: int, records: RecordColumns, tiles: Sequence[Tile] = ()) -> None:
        self._writing[key].add(start, records, tiles)

    def copy(self, key: int, root: str) -> None:
        source = self.held(root)
        if source is None:
            raise KeyError(root)
        # The index is made of that set's entries too, so both hash in the same way, and the blocks are the very same.
        kept, number = self._one("SELECT hash_key, data_key FROM record_set WHERE key = ?", (source.key,))
        update = "UPDATE record_set SET hash_key = ?, data_key = ? WHERE key = ?"
        self._database.write(lambda connection: connection.execute(update, (kept, number, key)))
        self._seals.forget_set(key)
        hash_key = self._seals.of_key(number).open(HASH_KEY_PLACE, kept)
        blocks = (
            "INSERT INTO record_block SELECT ?, start, size, heads, contents FROM record_block "
            "WHERE set_key = ? AND start >= ? AND start < ?"
        )
        complete = "INSERT INTO tile SELECT ?, level, number, hashes FROM tile WHERE set_key = ?"
        for start in range(0, source.size, _WRITTEN):
            records = (key, source.key, start, start + _WRITTEN)
            tiles = (key, source.key, start // WIDTH, (start + _WRITTEN) // WIDTH, COMPLETE)

            def work(connection: Connection, records: Any = records, tiles: Any = tiles) -> None:
                connection.execute(blocks, records)
                connection.execute(
                    f"{complete} AND level = 0 AND number >= ? AND number < ? AND length(hashes) = ?", tiles
                )

            self._database.write(work)
        above = f"{complete} AND level > 0 AND length(hashes) = ?"
        self._database.write(lambda connection: connection.execute(above, (key, source.key, COMPLETE)))
        self._writing[key] = Writing(self._database, key, hash_key, self._seals)
        self._writing[key].after(source.key, source.size)

    def finish(self, key: int, root: str, size: int, tiles: Sequence[Tile] = ()) -> None:
        self._writing[key].finish(lambda position: self._id(key, position), tiles)
        update = "UPDATE record_set SET root = ?, size = ? WHERE key = ?"
        self._database.write(lambda connection: connection.execute(update, (root, size, key)))
        del self._writing[key]
        self._database.shorten_log()

    def _id(self, key: int, position: int) -> bytes:
        """The id of a record that was written, also in a set that is not finished."""
        block = self._heads(key, position)
        if block is None:
            raise KeyError(position)
        return block.id(position - block.start)

    def abandon(self, key: int) -> None:
        if self._one("SELECT 1 FROM record_set WHERE key = ? AND root IS NULL", (key,)) is not None:
            self.remove(key)

    def held(self, root: str) -> RecordSet | None:
        row = self._one(f"SELECT {_SET} FROM record_set WHERE root = ?", (root,))  # noqa: S608 - constants
        return None if row is None else _set(row)

    def all(self, root: str, start: int = 0) -> Iterator[StoredRecord]:
        # A block at a time: a query that stays open would keep the log from being shortened as long as somebody reads.
        found = self.held(root)
        while found is not None and (read := self._block(found.key, start)) is not None:
            block, contents = read
            yield from block.records(contents, start - block.start)
            start = block.end

    def find(self, root: str, record_id: str) -> tuple[int, StoredRecord] | None:
        for position in self._candidates(root, Kind.ID, name := record_id.encode()):
            read = self._block(*position)
            if read is not None and read[0].id(place := position[1] - read[0].start) == name:
                return position[1], read[0].record(place, read[1])
        return None

    def heads(self, root: str) -> Iterator[RecordHead]:
        found = self.held(root)
        start = 0
        while found is not None and (block := self._heads(found.key, start)) is not None:
            yield from block.all_heads()
            start = block.end

    def positions(self, root: str, ids: Sequence[str]) -> list[int | None]:
        known: list[int | None] = [None] * len(ids)
        row = self._one("SELECT key, size, hash_key FROM record_set WHERE root = ?", (root,))
        if row is None or not ids:
            return known
        key, size, kept = row
        hash_key = self._seals.of_set(key).open(HASH_KEY_PLACE, kept)
        names = [each.encode() for each in ids]
        found = self._index.many(key, bits_for(size), name_hash(hash_key).of_all(names))
        block: Block | None = None
        for number, position in sorted(found, key=lambda each: each[1]):
            if block is None or position >= block.end:
                block = self._heads(key, position)
            if block is not None and block.id(position - block.start) == names[number]:
                known[number] = position
        return known

    def leaves(self, root: str, positions: Sequence[int]) -> bytes:
        held = self.held(root)
        if held is None:
            return b""
        found: list[bytes] = []
        block: Block | None = None
        for position in sorted(positions):
            if block is None or position >= block.end:
                block = self._heads(held.key, position)
            if block is not None:
                found.append(block.leaf(position - block.start))
        return b"".join(found)

    def of_subject(self, root: str, subject: bytes) -> Sequence[tuple[int, str]]:
        found: list[tuple[int, str]] = []
        block: Block | None = None
        for key, position in self._candidates(root, Kind.SUBJECT, subject):
            if block is None or position >= block.end:
                block = self._heads(key, position)
            if block is not None and block.subject(place := position - block.start) == subject:
                found.append((position, block.id(place).decode()))
        return found

    def _candidates(self, root: str, kind: Kind, name: bytes) -> Iterator[tuple[int, int]]:
        """Set and position of each record that may have an id or a subject, in tree order."""
        row = self._one("SELECT key, size, hash_key FROM record_set WHERE root = ?", (root,))
        if row is not None:
            key, size, kept = row
            hash_key = self._seals.of_set(key).open(HASH_KEY_PLACE, kept)
            for position in self._index.positions(key, kind, bits_for(size), name_hash(hash_key).of(name)):
                yield key, position

    def tile(self, key: int, level: int, number: int) -> bytes:
        select = "SELECT hashes FROM tile WHERE set_key = ? AND level = ? AND number = ?"
        row = self._one(select, (key, level, number))
        return b"" if row is None else bytes(row[0])

    def keep_tiles(self, key: int, tiles: Sequence[Tile]) -> None:
        self._database.write(lambda connection: keep_tiles(connection, key, tiles))

    def names_subjects(self, root: str) -> bool:
        # One file has a column of subjects or has none, and what extends a version says it of every record again.
        held = self.held(root)
        block = None if held is None else self._heads(held.key, 0)
        return block is not None and block.has_subjects

    def sets(self) -> Sequence[RecordSet]:
        rows = self._database.reader().execute(f"SELECT {_SET} FROM record_set ORDER BY key")  # noqa: S608 - constants
        return [_set(row) for row in rows.fetchall()]

    def unfinished(self, *, before: float) -> Sequence[int]:
        select = "SELECT key FROM record_set WHERE root IS NULL AND created < ? ORDER BY key"
        rows = self._database.reader().execute(select, (before,)).fetchall()
        return [key for (key,) in rows if key not in self._writing]

    def remove(self, key: int) -> None:
        # The set itself goes last: what a crash leaves of it can be removed again.
        if (writing := self._writing.pop(key, None)) is not None:
            writing.stop()
        delete = "DELETE FROM record_block WHERE set_key = ? AND start >= ? AND start < ?"
        last = self._one("SELECT max(start) FROM record_block WHERE set_key = ?", (key,))
        size = 0 if last is None or last[0] is None else int(last[0]) + 1
        self._database.write(
            lambda connection: connection.execute("UPDATE record_set SET root = NULL WHERE key = ?", (key,))
        )
        for start in range(0, size, _WRITTEN):
            values = (key, start, start + _WRITTEN)
            self._database.write(lambda connection, values=values: connection.execute(delete, values))  # type: ignore[misc]
        for table, row in (("tile", "level, number"), ("record_index", "kind, run, bucket")):
            while self._database.write(lambda connection, of=(table, row): _remove_some(connection, key, *of)):  # type: ignore[misc]
                pass
        self._database.write(lambda connection: connection.execute("DELETE FROM record_set WHERE key = ?", (key,)))
        self._database.shorten_log()

    def _block(self, key: int, position: int) -> tuple[Block, bytes] | None:
        """The block that holds a position, and its contents."""
        row = self._at(f"{_HEADS}, contents", key, position)
        if row is None:
            return None
        start, size, heads, contents = row
        seal = self._seals.of_set(key)
        opened = seal.open(heads_place(start, size), heads)
        return Block(start, size, opened), seal.open(contents_place(start, size), contents)

    def _heads(self, key: int, position: int) -> Block | None:
        row = self._at(_HEADS, key, position)
        if row is None:
            return None
        start, size, heads = row
        return Block(start, size, self._seals.of_set(key).open(heads_place(start, size), heads))

    def _at(self, columns: str, key: int, position: int) -> Any:
        select = (
            f"SELECT {columns} FROM record_block "  # noqa: S608 - constants
            "WHERE set_key = ? AND start <= ? ORDER BY start DESC LIMIT 1"
        )
        row = self._one(select, (key, position))
        return None if row is None or position >= row[0] + row[1] else row

    def _one(self, query: str, values: tuple[Any, ...]) -> Any:
        return self._database.reader().execute(query, values).fetchone()


def _set(row: Sequence[Any]) -> RecordSet:
    root, dataset, size, created, reading, key, leaves = row
    said = None if reading is None else _reading(reading)
    return RecordSet(root or "", dataset, size, created, said, key, LeafSchema(leaves))


def _reading(text: str) -> Reading:
    members = json.loads(text)
    return Reading(**{**members, "fields": tuple(members["fields"])})


def _remove_some(connection: Connection, key: int, table: str, columns: str) -> int:
    """Remove some of a set's rows of a table; how many they were."""
    some = f"SELECT {columns} FROM {table} WHERE set_key = ? LIMIT {_WRITTEN // WIDTH}"  # noqa: S608 - constants
    delete = f"DELETE FROM {table} WHERE set_key = ? AND ({columns}) IN ({some})"  # noqa: S608 - constants
    return connection.execute(delete, (key, key)).rowcount
