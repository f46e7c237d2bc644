# SPDX-License-Identifier: Apache-2.0
"""Which records the owner's selections have, a bit for each record of the version."""

from collections.abc import Sequence

from gateway.services.members import Members
from gateway.services.tiles import Tile
from gateway.stores.sql import Connection, SqlDatabase


class MemberStore:
    """Implements `services.memberships.Memberships`."""

    def __init__(self, database: SqlDatabase) -> None:
        self._database = database

    def keep(self, records: str, root: str, members: Members, tiles: Sequence[Tile]) -> None:
        insert = "INSERT INTO selected (records, root, bits) VALUES (?, ?, ?) ON CONFLICT DO NOTHING RETURNING key"

        def work(connection: Connection) -> None:
            made = connection.execute(insert, (records, root, members.bits)).fetchone()
            if made is not None:
                rows = [(made[0], *tile) for tile in tiles]
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
