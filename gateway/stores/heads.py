# SPDX-License-Identifier: Apache-2.0
"""The heads that this gateway signed, as a log, a witness and a mirror: its memory against forks.

Durable: what `sign`, `witness` and `mirror` keep is on the disk before they return, and only then is a signature given
out.
"""

from collections.abc import Sequence
from typing import Final

from gateway.services.logs import Head, Published, Refusal, SignedHead
from gateway.stores.sql import Connection, SqlDatabase, upsert

_MIRRORED: Final = "SELECT size, root, note FROM mirrored WHERE origin = ?"
_SIGN: Final = upsert("signed", "id, size, root", "id") + " WHERE excluded.size >= signed.size"
"""A gateway that led before and wakes up late does not set back what was signed since."""
_WITNESS: Final = upsert("witnessed", "origin, size, root, note", "origin")
_MIRROR: Final = upsert("mirrored", "origin, size, root, note", "origin")
_PUBLISH: Final = upsert("checkpoint", "size, root, note, witnesses", "size")
_REFUSALS: Final = 100
"""Refused checkpoints that are kept beside the first one of each log."""


class HeadStore:
    """Implements `services.logs.Heads`."""

    def __init__(self, database: SqlDatabase) -> None:
        self._database = database

    def signed(self) -> Head | None:
        row = self._database.reader().execute("SELECT size, root FROM signed").fetchone()
        return None if row is None else Head(*row)

    def sign(self, published: Published) -> None:
        head = published.head

        def work(connection: Connection) -> None:
            connection.execute(_SIGN, (1, head.size, head.root))
            _keep(connection, published)

        self._database.write(work)

    def keep(self, published: Sequence[Published]) -> None:
        def work(connection: Connection) -> None:
            connection.execute("DELETE FROM checkpoint")
            for each in published:
                _keep(connection, each)

        self._database.write_later(work)

    def published(self) -> Sequence[Published]:
        rows = self._database.reader().execute("SELECT size, root, note, witnesses FROM checkpoint ORDER BY size DESC")
        return [Published(Head(size, root), note, tuple(names.splitlines())) for size, root, note, names in rows]

    def witnessed(self, origin: str) -> Head | None:
        return _witnessed(self._database.reader(), origin)

    def witness(self, origin: str, old: int, head: Head, note: bytes | None = None) -> bool:
        def work(connection: Connection) -> bool:
            last = _witnessed(connection, origin)
            if (0 if last is None else last.size) != old or head.size < old:
                return False
            row = (origin, head.size, head.root, note)
            connection.execute(_WITNESS, row)
            return True

        return self._database.write(work)

    def pending(self, origin: str) -> SignedHead | None:
        query = "SELECT size, root, note FROM witnessed WHERE origin = ? AND note IS NOT NULL"
        return _signed_head(self._database.reader(), query, origin)

    def mirrored(self, origin: str) -> SignedHead | None:
        return _signed_head(self._database.reader(), _MIRRORED, origin)

    def mirror(self, origin: str, found: SignedHead) -> bool:
        row = (origin, found.head.size, found.head.root, found.note)

        def work(connection: Connection) -> bool:
            last = _signed_head(connection, _MIRRORED, origin)
            if last is not None and last.head.size > found.head.size:
                return False
            connection.execute(_MIRROR, row)
            return True

        return self._database.write(work)

    def refuse(self, refusal: Refusal) -> bool:
        row = (refusal.origin, refusal.at, refusal.why, refusal.note)
        known = "SELECT 1 FROM refusal WHERE origin = ? AND note = ?"
        if self._database.reader().execute(known, (refusal.origin, refusal.note)).fetchone():
            return False  # anyone can send again what they have seen, and that costs no write

        def work(connection: Connection) -> None:
            connection.execute("INSERT INTO refusal (origin, at, why, note) VALUES (?, ?, ?, ?)", row)
            connection.execute(
                "DELETE FROM refusal WHERE id NOT IN (SELECT min(id) FROM refusal GROUP BY origin)"
                " AND id NOT IN (SELECT id FROM refusal ORDER BY id DESC LIMIT ?)",
                (_REFUSALS,),
            )

        self._database.write(work)
        return True

    def refusals(self) -> Sequence[Refusal]:
        rows = self._database.reader().execute("SELECT origin, at, why, note FROM refusal ORDER BY id DESC")
        return [Refusal(*row) for row in rows]


def _keep(connection: Connection, published: Published) -> None:
    row = (published.head.size, published.head.root, published.note, "\n".join(published.witnesses))
    connection.execute(_PUBLISH, row)


def _witnessed(connection: Connection, origin: str) -> Head | None:
    row = connection.execute("SELECT size, root FROM witnessed WHERE origin = ?", (origin,)).fetchone()
    return None if row is None else Head(*row)


def _signed_head(connection: Connection, query: str, origin: str) -> SignedHead | None:
    row = connection.execute(query, (origin,)).fetchone()
    return None if row is None else SignedHead(Head(row[0], row[1]), row[2])
