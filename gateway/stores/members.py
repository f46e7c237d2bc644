# SPDX-License-Identifier: Apache-2.0
"""Which records the owner's selections have, in a SQLite file: a bit for each record of the version."""

import sqlite3
from collections.abc import Sequence

from gateway.services.members import Members
from gateway.services.tiles import Tile
from gateway.stores.database import Database


class MemberStore:
    """Implements `services.memberships.Memberships`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, records: str, root: str, members: Members, tiles: Sequence[Tile]) -> None:
        insert = "INSERT INTO selected (records, root, bits) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"

        def work(connection: sqlite3.Connection) -> None:
            made = connection.execute(insert, (records, root, members.bits))
            if made.rowcount:
                rows = [(made.lastrowid, *tile) for tile in tiles]
                connection.executemany("INSERT INTO tile VALUES (?, ?, ?, ?)", rows)

        self._database.write(work)

    def find(self, records: str, root: str) -> Members | None:
        select = "SELECT bits FROM selected WHERE records = ? AND root = ?"
        row = self._database.reader().execute(select, (records, root)).fetchone()
        return None if row is None else Members(row[0])

    def tile(self, records: str, root: str, level: int, number: int) -> bytes:
        select = (
            "SELECT hashes FROM tile WHERE selected = (SELECT key FROM selected WHERE records = ? AND root = ?) "
            "AND level = ? AND number = ?"
        )
        row = self._database.reader().execute(select, (records, root, level, number)).fetchone()
        return b"" if row is None else bytes(row[0])
