# SPDX-License-Identifier: Apache-2.0
"""The entries of the transparency log and the Merkle tree over them, written with the blocks that they are of.

Rows of the read model: what a block adds is committed with everything else of the block, so that a crash leaves both or
neither, and a rebuild comes to the same tree.
"""

import sqlite3
from collections.abc import Sequence

from chaincode.domain import merkle
from gateway.services.logs import TILE_HEIGHT
from gateway.services.tiles import Growing, TiledTree
from gateway.stores.database import Database

TABLES = ("log_entry", "log_tile")
_TILE = "SELECT hashes FROM log_tile WHERE level = ? AND number = ?"


class LogTree:
    """Implements `services.logs.Leaves` on the read model's file; safe to use from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def size(self) -> int:
        return int(self._database.reader().execute("SELECT logged FROM position").fetchone()[0])

    def tree(self) -> TiledTree:
        return TiledTree(self.size(), self.tile, TILE_HEIGHT)

    def tile(self, level: int, number: int) -> bytes:
        return _tile(self._database.reader(), level, number)

    def entries(self, first: int, count: int) -> bytes:
        query = "SELECT entry FROM log_entry WHERE number >= ? AND number < ? ORDER BY number"
        return b"".join(row[0] for row in self._database.reader().execute(query, (first, first + count)))

    def number_of(self, transaction_id: str) -> int | None:
        query = "SELECT logged FROM ledger_transaction WHERE id = ?"
        row = self._database.reader().execute(query, (transaction_id,)).fetchone()
        return None if row is None or row[0] is None else int(row[0])


def append(connection: sqlite3.Connection, size: int, entries: Sequence[bytes]) -> int:
    """Append entries to the log of so many, and answer how many there are then."""
    if not entries:
        return size
    growing = Growing.over(size, lambda level, number: _tile(connection, level, number), TILE_HEIGHT)
    done = growing.extend(b"".join(map(merkle.leaf_hash, entries)))
    connection.executemany("INSERT INTO log_entry VALUES (?, ?)", enumerate(entries, size))
    connection.executemany("INSERT OR REPLACE INTO log_tile VALUES (?, ?, ?)", [*done, *growing.edge()])
    return growing.size


def _tile(connection: sqlite3.Connection, level: int, number: int) -> bytes:
    row = connection.execute(_TILE, (level, number)).fetchone()
    return b"" if row is None else bytes(row[0])
