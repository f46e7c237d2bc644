# SPDX-License-Identifier: Apache-2.0
"""Deliveries and the nonces that were taken, in the SQLite file of what was published."""

import sqlite3
from collections.abc import Sequence
from typing import Final

from gateway.services.deliverylog import Asked, Delivery
from gateway.stores.database import Database

NONCES_KEPT: Final = 600.0
"""Seconds; longer than a statement is fresh, whichever way clocks differ."""
_COLUMNS: Final = "key, attempt, organisation, signer, nonce, at, blob_id, total, until, sent, outcome"
_INSERT: Final = (
    "INSERT INTO delivery (attempt, organisation, signer, nonce, at, token, blob_id, total, until, sent, outcome) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


class DeliveryStore:
    """Implements `services.deliverylog.DeliveryLog`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def refused(self, asked: Asked, code: str) -> None:
        row = (*_row(asked), None, b"", 0, 0.0, 0, code)
        self._database.write(lambda c: c.execute(_INSERT, row))

    def begin(self, asked: Asked, token: bytes, blob_id: bytes, total: int, until: float) -> bool:
        def work(connection: sqlite3.Connection) -> bool:
            connection.execute("DELETE FROM nonce WHERE until < ?", (asked.at,))
            taken = connection.execute(
                "INSERT INTO nonce VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (asked.organisation, asked.nonce, asked.at + NONCES_KEPT),
            )
            if taken.rowcount == 0:
                return False
            connection.execute(_INSERT, (*_row(asked), token, blob_id, total, until, 0, "open"))
            return True

        return self._database.write(work)

    def find(self, token: bytes) -> Delivery | None:
        select = f"SELECT {_COLUMNS} FROM delivery WHERE token = ?"  # noqa: S608 - our own names
        row = self._database.reader().execute(select, (token,)).fetchone()
        return None if row is None else _delivery(row)

    def sent(self, key: int, count: int, *, complete: bool) -> None:
        more = "UPDATE delivery SET sent = sent + ? WHERE key = ?"
        ended = "UPDATE delivery SET outcome = 'complete' WHERE key = ?"

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(more, (count, key))
            if complete:
                connection.execute(ended, (key,))

        self._database.write(work)

    def is_used(self, attempt: str) -> bool:
        select = "SELECT 1 FROM delivery WHERE attempt = ? AND outcome = 'complete' LIMIT 1"
        return self._database.reader().execute(select, (attempt,)).fetchone() is not None

    def list(self, *, before: int | None, limit: int) -> Sequence[Delivery]:
        select = f"SELECT {_COLUMNS} FROM delivery WHERE key < ? ORDER BY key DESC LIMIT ?"  # noqa: S608
        last = (1 << 62) if before is None else before
        return [_delivery(row) for row in self._database.reader().execute(select, (last, limit))]


def _row(asked: Asked) -> tuple[str, str, str, str, float]:
    return asked.attempt, asked.organisation, asked.signer, asked.nonce, asked.at


def _delivery(row: tuple[int, str, str, str, str, float, bytes, int, float, int, str]) -> Delivery:
    return Delivery(row[0], Asked(*row[1:6]), *row[6:])
