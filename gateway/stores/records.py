# SPDX-License-Identifier: Apache-2.0
"""The owner's record store: the records and salts behind each committed root, off the ledger."""

from collections.abc import Iterator, Sequence
from typing import Any

from gateway.services.ports import StoredRecord
from gateway.stores.database import Database

_SIGN = 1 << 63


class RecordStore:
    """Implements `services.ports.Records`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, root: str, records: Sequence[StoredRecord]) -> None:
        rows = [
            (root, index, r.id, r.salt, r.content, r.consent, _signed(r.purposes), r.leaf)
            for index, r in enumerate(records)
        ]
        insert = "INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        self._database.write(lambda connection: connection.executemany(insert, rows))

    def discard(self, root: str) -> None:
        self._database.write(lambda c: c.execute("DELETE FROM record WHERE root = ?", (root,)))

    def all(self, root: str) -> Iterator[StoredRecord]:
        rows = self._database.reader().execute(
            "SELECT id, salt, content, consent, purposes, leaf FROM record WHERE root = ? ORDER BY position", (root,)
        )
        return map(_record, rows)

    def find(self, root: str, record_id: str) -> tuple[int, StoredRecord] | None:
        row = (
            self._database.reader()
            .execute(
                "SELECT position, id, salt, content, consent, purposes, leaf FROM record WHERE root = ? AND id = ?",
                (root, record_id),
            )
            .fetchone()
        )
        return None if row is None else (row[0], _record(row[1:]))


def _record(row: Sequence[Any]) -> StoredRecord:
    record_id, salt, content, consent, purposes, leaf = row
    return StoredRecord(record_id, salt, content, consent, purposes % (1 << 64), leaf)


def _signed(value: int) -> int:
    """SQLite keeps signed 64-bit integers; purposes are unsigned."""
    return value - (1 << 64) if value >= _SIGN else value
