# SPDX-License-Identifier: Apache-2.0
"""Records that a former version kept in the open, sealed: once, when the store is opened.

Every row says itself whether it is sealed, and a set gets its key when all of its rows are: what a crash leaves is gone
on with at the next start. What was in the open is overwritten, in the file and in its log.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from gateway.stores.recordblocks import PLAIN
from gateway.stores.recordindex import ENTRY
from gateway.stores.recordseals import HASH_KEY_PLACE, RecordSeals, Seal, bucket_place, contents_place, heads_place
from gateway.stores.sql import Connection, SqlDatabase

_AT_ONCE: Final = 64
"""Rows that are sealed in one transaction."""
_SETS: Final = "SELECT key, dataset, hash_key FROM record_set WHERE data_key IS NULL ORDER BY key"
_BLOCKS: Final = (
    "SELECT start, size, heads, contents FROM record_block WHERE set_key = ? AND start > ? ORDER BY start LIMIT ?"
)
_BUCKETS: Final = (
    "SELECT kind, run, bucket, entries FROM record_index WHERE set_key = ? AND (kind, run, bucket) > (?, ?, ?) "
    "ORDER BY kind, run, bucket LIMIT ?"
)
_KEEP_BLOCK: Final = "UPDATE record_block SET heads = ?, contents = ? WHERE set_key = ? AND start = ?"
_KEEP_BUCKET: Final = "UPDATE record_index SET entries = ? WHERE set_key = ? AND kind = ? AND run = ? AND bucket = ?"


def seal_former(database: SqlDatabase, seals: RecordSeals) -> int:
    """Seal what is kept in the open; how many sets these were. Raises `KeysUnusable`, and then seals nothing."""
    sets = database.reader().execute(_SETS).fetchall()
    for key, dataset, hash_key in sets:
        number = seals.key_for(dataset)
        seal = seals.of_key(number)
        _seal_blocks(database, key, seal)
        _seal_buckets(database, key, seal)
        kept = None if hash_key is None else seal.seal(HASH_KEY_PLACE, hash_key)
        update = "UPDATE record_set SET hash_key = ?, data_key = ? WHERE key = ?"
        database.write(partial(_execute, update, (kept, number, key)))
    if sets:
        database.empty_log()
    return len(sets)


def _seal_blocks(database: SqlDatabase, key: int, seal: Seal) -> None:
    last = -1
    while rows := database.reader().execute(_BLOCKS, (key, last, _AT_ONCE)).fetchall():
        sealed = [
            (seal.seal(heads_place(start, size), heads), seal.seal(contents_place(start, size), contents), key, start)
            for start, size, heads, contents in rows
            if heads[0] == PLAIN
        ]
        database.write(partial(_execute_many, _KEEP_BLOCK, sealed))
        last = rows[-1][0]


def _seal_buckets(database: SqlDatabase, key: int, seal: Seal) -> None:
    last: tuple[int, int, int] = (-1, -1, -1)
    while rows := database.reader().execute(_BUCKETS, (key, *last, _AT_ONCE)).fetchall():
        sealed = [
            (seal.seal(bucket_place(kind, run, bucket), entries), key, kind, run, bucket)
            for kind, run, bucket, entries in rows
            if len(entries) % ENTRY == 0
        ]
        database.write(partial(_execute_many, _KEEP_BUCKET, sealed))
        last = rows[-1][:3]


def _execute(statement: str, values: tuple[Any, ...], connection: Connection) -> None:
    connection.execute(statement, values)


def _execute_many(statement: str, rows: Sequence[tuple[Any, ...]], connection: Connection) -> None:
    connection.executemany(statement, rows)
