# SPDX-License-Identifier: Apache-2.0
"""Which gateways share a PostgreSQL database, and what they have to agree on."""

from hashlib import sha256
from typing import Final

from gateway.services.replicas import LEASE, Living
from gateway.stores.sql import Connection, SqlDatabase

SCHEMA: Final = "pedigree_replicas"
# Not `now()`: that is when the transaction began, which may have waited for its turn since.
_UNTIL: Final = "clock_timestamp() + make_interval(secs => ?)"


_OLD_NONCES: Final = 100
"""Nonces that nobody needs any more, and that go when another one comes."""


class ReplicaStore:
    """Implements `services.replicas.ReplicaLog`. The database's clock decides, and one gateway at a time asks it."""

    def __init__(self, database: SqlDatabase) -> None:
        self._database = database

    def enter(self, name: str) -> int:
        """Enter a gateway that starts; its number, which no other ever has."""
        insert = f"INSERT INTO replica (name, until) VALUES (?, {_UNTIL}) RETURNING number"  # noqa: S608 - constants

        def work(connection: Connection) -> int:
            return int(connection.execute(insert, (name, LEASE)).fetchone()[0])

        return self._database.write(work)

    def beat(self, number: int, lease: float) -> Living:
        def work(connection: Connection) -> Living:
            # Who finds its own time over, and was not removed: the database was away, for the others as well. They all
            # have their time again.
            silent = "SELECT 1 FROM replica WHERE number = ? AND until < clock_timestamp()"
            everybody = connection.execute(silent, (number,)).fetchone() is not None
            update = f"UPDATE replica SET until = {_UNTIL} WHERE ? OR number = ?"  # noqa: S608 - constants
            connection.execute(update, (lease, everybody, number))
            died = connection.execute("DELETE FROM replica WHERE until < clock_timestamp() RETURNING number").fetchall()
            living = connection.execute("SELECT number FROM replica ORDER BY number").fetchall()
            return Living([each for (each,) in living], [each for (each,) in died])

        return self._database.write(work)

    def leave(self, number: int) -> None:
        self._database.write(lambda c: c.execute("DELETE FROM replica WHERE number = ?", (number,)))

    def others(self) -> list[str]:
        """The names of the gateways that run, as far as the database knows."""
        rows = self._database.reader().execute(
            "SELECT name FROM replica WHERE until > clock_timestamp() ORDER BY number"
        )
        return [name for (name,) in rows]

    def is_agreed(self, what: str) -> bool:
        """Whether anything is agreed on."""
        return self._database.reader().execute("SELECT 1 FROM agreed WHERE what = ?", (what,)).fetchone() is not None

    def agree(self, what: str, value: bytes) -> bool:
        """Agree on a value, of which its digest is kept; False where it is another one than the others'."""
        row = (what, sha256(value).hexdigest())

        def work(connection: Connection) -> bool:
            connection.execute("INSERT INTO agreed VALUES (?, ?) ON CONFLICT DO NOTHING", row)
            kept = connection.execute("SELECT digest FROM agreed WHERE what = ?", row[:1]).fetchone()[0]
            return bool(kept == row[1])

        return self._database.write(work)


class SharedNonces:
    """Implements `callers.signatures.Nonces` for all gateways of the database, whose clock decides."""

    def __init__(self, database: SqlDatabase) -> None:
        self._database = database

    def use(self, name: bytes, seconds: float) -> bool:
        taken = f"INSERT INTO nonce VALUES (?, {_UNTIL}) ON CONFLICT DO NOTHING"  # noqa: S608 - constants
        old = "SELECT name FROM nonce WHERE until < clock_timestamp() LIMIT ?"

        def work(connection: Connection) -> bool:
            connection.execute(f"DELETE FROM nonce WHERE name IN ({old})", (_OLD_NONCES,))  # noqa: S608 - constants
            return connection.execute(taken, (name, seconds)).rowcount == 1

        return self._database.write(work)
