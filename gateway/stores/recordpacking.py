# SPDX-License-Identifier: Apache-2.0
"""Records that a former version kept, a row each, packed into blocks: once, when the store is opened.

A crash leaves sets of both kinds. The next start begins again with the first set that has rows; each set is seen by
nobody before the last one is packed, because the store is not open yet.
"""

import secrets
from collections.abc import Iterator
from typing import Any, Final

from gateway.services.ports import RecordColumns, StoredRecord
from gateway.stores.recordindex import HASH_KEY
from gateway.stores.recordseals import HASH_KEY_PLACE, RecordSeals
from gateway.stores.recordwriting import Writing
from gateway.stores.sql import Connection, Dialect, Rows, SqlDatabase

_ROWS: Final = 5_000
"""Rows that are read at once."""
_SIZE: Final = 4 << 20
"""Bytes of content after which no more are read at once."""
_TABLE: Final = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'record'"
_SETS: Final = (
    "SELECT key FROM record_set WHERE root IS NOT NULL "
    "AND (hash_key IS NULL OR EXISTS (SELECT 1 FROM record WHERE set_key = key)) ORDER BY key"
)
_SELECT: Final = (
    "SELECT id, salt, content, consent, purposes, leaf, subject FROM record "
    "WHERE set_key = ? AND position >= ? ORDER BY position LIMIT ?"
)


def pack_former(database: SqlDatabase, seals: RecordSeals) -> None:
    """Pack what is kept by row, and drop the table of rows; nothing where it is gone."""
    if database.dialect is not Dialect.SQLITE:
        return  # there never were any
    reader = database.reader()
    if reader.execute(_TABLE).fetchone() is None:
        return
    for (key,) in reader.execute(_SETS).fetchall():
        _pack(database, key, seals)
    # What is left are rows of sets that were never finished.
    database.write(lambda connection: connection.execute("DROP TABLE record"))
    database.shorten_log()


def _pack(database: SqlDatabase, key: int, seals: RecordSeals) -> None:
    hash_key = secrets.token_bytes(HASH_KEY)
    (dataset,) = database.reader().execute("SELECT dataset FROM record_set WHERE key = ?", (key,)).fetchone()
    number = seals.key_for(dataset)
    kept = seals.of_key(number).seal(HASH_KEY_PLACE, hash_key)

    def begin(connection: Connection) -> None:
        for table in ("record_block", "record_index"):  # what a crash left of it
            connection.execute(f"DELETE FROM {table} WHERE set_key = ?", (key,))  # noqa: S608 - constants
        connection.execute("UPDATE record_set SET hash_key = ?, data_key = ? WHERE key = ?", (kept, number, key))

    database.write(begin)
    writing = Writing(database, key, hash_key, seals)
    start = 0
    for records in _rows(database, key):
        writing.add(start, RecordColumns.of(records), ())
        start += len(records)
    writing.finish(lambda position: b"%d" % position, ())
    # Only now: what is in blocks is whole.
    database.write(lambda connection: connection.execute("DELETE FROM record WHERE set_key = ?", (key,)))


def _rows(database: SqlDatabase, key: int) -> Iterator[list[StoredRecord]]:
    start = 0
    while records := _near(database.reader().execute(_SELECT, (key, start, _ROWS))):
        yield records
        start += len(records)


def _near(rows: Rows) -> list[StoredRecord]:
    """The first records of a query, about `_SIZE` bytes of content; those of subjects and others not together."""
    records: list[StoredRecord] = []
    size = 0
    for row in rows:
        record = _record(row)
        if records and bool(record.subject) is not bool(records[0].subject):
            break
        records.append(record)
        size += len(record.content)
        if size >= _SIZE:
            break
    rows.close()
    return records


def _record(row: Any) -> StoredRecord:
    record_id, salt, content, consent, purposes, leaf, subject = row
    return StoredRecord(record_id, salt, content, consent, purposes % (1 << 64), leaf, subject or b"")
