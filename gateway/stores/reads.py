# SPDX-License-Identifier: Apache-2.0
"""Reads that had no transaction each, and the lists of them, in the SQLite file of what was published."""

from collections.abc import Sequence
from typing import Final

from gateway.services.readlog import Batch, Kept
from gateway.stores.deliveries import NONCES_KEPT
from gateway.stores.sql import Connection, SqlDatabase

_KEPT: Final = "key, CAST(leaf AS BLOB), batch, place"
"""What somebody wrote into the file by hand is read as the bytes that it is, and shown to be another leaf."""
_BATCH: Final = "number, root, size, since, until"


class ReadStore:
    """Implements `services.readlog.ReadLog`."""

    def __init__(self, database: SqlDatabase) -> None:
        self._database = database

    def keep(self, leaf: bytes, grant: str) -> None:
        insert = "INSERT INTO access_read (grant_name, leaf) VALUES (?, ?)"
        self._database.write(lambda c: c.execute(insert, (grant, leaf)))

    def waiting(self, limit: int) -> Sequence[Kept]:
        select = f"SELECT {_KEPT} FROM access_read WHERE batch IS NULL ORDER BY key LIMIT ?"  # noqa: S608 - our names
        return [Kept(*row) for row in self._database.reader().execute(select, (limit,))]

    def close(self, batch: Batch, reads: Sequence[Kept]) -> None:
        placed = [(batch.number, place, each.key) for place, each in enumerate(reads)]

        def work(connection: Connection) -> None:
            row = (batch.number, batch.root, batch.size, batch.since, batch.until)
            connection.execute(f"INSERT INTO access_batch ({_BATCH}, anchored) VALUES (?, ?, ?, ?, ?, 0)", row)  # noqa: S608
            connection.executemany("UPDATE access_read SET batch = ?, place = ? WHERE key = ?", placed)

        self._database.write(work)

    def open_batch(self) -> Batch | None:
        select = f"SELECT {_BATCH} FROM access_batch WHERE anchored = 0 ORDER BY number LIMIT 1"  # noqa: S608
        row = self._database.reader().execute(select).fetchone()
        return None if row is None else Batch(*row)

    def renumber(self, batch: Batch, number: int) -> None:
        def work(connection: Connection) -> None:
            connection.execute("UPDATE access_batch SET number = ? WHERE number = ?", (number, batch.number))
            connection.execute("UPDATE access_read SET batch = ? WHERE batch = ?", (number, batch.number))

        self._database.write(work)

    def anchored(self, number: int) -> None:
        self._database.write(lambda c: c.execute("UPDATE access_batch SET anchored = 1 WHERE number = ?", (number,)))

    def last_number(self) -> int:
        return int(self._database.reader().execute("SELECT coalesce(max(number), 0) FROM access_batch").fetchone()[0])

    def of_batch(self, number: int) -> Sequence[bytes]:
        select = "SELECT CAST(leaf AS BLOB) FROM access_read WHERE batch = ? ORDER BY place, key"
        return [leaf for (leaf,) in self._database.reader().execute(select, (number,))]

    def list(self, *, before: int | None, grant: str | None, limit: int) -> Sequence[Kept]:
        last = (1 << 62) if before is None else before
        narrowed, values = ("", (last, limit)) if grant is None else ("grant_name = ? AND ", (grant, last, limit))
        select = f"SELECT {_KEPT} FROM access_read WHERE {narrowed}key < ? ORDER BY key DESC LIMIT ?"  # noqa: S608
        return [Kept(*row) for row in self._database.reader().execute(select, values)]

    def following(self, after: int, *, grant: str | None, limit: int) -> Sequence[Kept]:
        narrowed, values = ("", (after, limit)) if grant is None else ("grant_name = ? AND ", (grant, after, limit))
        select = f"SELECT {_KEPT} FROM access_read WHERE {narrowed}key > ? ORDER BY key LIMIT ?"  # noqa: S608
        return [Kept(*row) for row in self._database.reader().execute(select, values)]

    def take(self, organisation: str, nonce: str, at: float) -> bool:
        def work(connection: Connection) -> bool:
            connection.execute("DELETE FROM nonce WHERE until < ?", (at,))
            row = (organisation, nonce, at + NONCES_KEPT)
            return connection.execute("INSERT INTO nonce VALUES (?, ?, ?) ON CONFLICT DO NOTHING", row).rowcount == 1

        return self._database.write(work)
