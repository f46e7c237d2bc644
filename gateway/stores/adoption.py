# SPDX-License-Identifier: Apache-2.0
"""Consent maps that one gateway takes over from another of its organisation: whose each reference is, and whole maps.

Maps that both have are not copied: a gateway follows the ledger by what transactions say. What only the other one has
are the ids of the subjects that it brought into a map, and the map's first version. A crash leaves some of the ids,
which are good, and a map that nobody sees.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from gateway.services.failures import PortError
from gateway.services.statustree import Crown, subtrees
from gateway.stores.database import Database

_AT_ONCE = 10_000
_NOW = "SELECT reference, value, max(version) FROM leaf WHERE map = ? GROUP BY reference ORDER BY reference"


class NotAConsentStore(PortError):
    """A file that is not a consent store, or one that does not agree with itself."""


@dataclass(frozen=True, slots=True)
class Adopted:
    """What was taken over of a data set."""

    dataset: str
    subjects: int
    """Subjects that are known from now on, or by the reference that is in the map."""
    version: int
    """The last version of the map that was taken over; 0 where the map was here."""
    unknown: int
    """Subjects in the map whose ids are in neither store: nobody can be added until a third one is adopted."""
    doubled: int
    """Subjects that are in the map twice, by a reference of each store; the one of this store is used."""


def adopt(database: Database, copy: Path) -> list[Adopted]:
    """Take over all that a copy of another gateway's `consent.db` has; a second time nothing changes.

    Raises `NotAConsentStore`.
    """
    try:
        with closing(sqlite3.connect(f"{copy.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as other:
            schema, known = (_schema(connection) for connection in (other, database.reader()))
            if not 1 <= schema <= known:
                raise NotAConsentStore(f"it has the schema {schema}; known are 1 to {known}")
            names = other.execute("SELECT key, name FROM dataset ORDER BY name").fetchall()
            return [_Adoption(database, other, theirs, name).run() for theirs, name in names]
    except sqlite3.DatabaseError as exc:
        raise NotAConsentStore(f"it cannot be read as a consent store: {exc}") from None


def _schema(connection: sqlite3.Connection) -> int:
    """The number of the last migration that a store has."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


class _Adoption:
    """Takes over one data set."""

    def __init__(self, database: Database, other: sqlite3.Connection, theirs: int, name: str) -> None:
        self._database = database
        self._other = other
        self._theirs = theirs
        self._name = name
        self._ours = self._dataset()

    def run(self) -> Adopted:
        version = 0 if self._opened(self._database.reader(), self._ours) else self._copy_map()
        subjects = doubled = 0
        for rows in _pieces(self._other, "SELECT id, reference FROM subject WHERE dataset = ?", (self._theirs,)):
            known, twice = self._database.write(partial(self._take, rows))
            subjects += known
            doubled += twice
        unknown = self._database.write(self._tell_strangers)
        self._database.shorten_log()
        return Adopted(self._name, subjects, version, unknown, doubled)

    def _dataset(self) -> int:
        insert = "INSERT INTO dataset (name) VALUES (?) ON CONFLICT DO NOTHING"
        self._database.write(lambda connection: connection.execute(insert, (self._name,)))
        return int(
            self._database.reader().execute("SELECT key FROM dataset WHERE name = ?", (self._name,)).fetchone()[0]
        )

    @staticmethod
    def _opened(connection: sqlite3.Connection, dataset: int) -> tuple[int, int, int] | None:
        """Key, size and head of the map that the ledger is known to hold."""
        select = "SELECT key, size, head FROM map WHERE dataset = ? AND head > 0"
        row: tuple[int, int, int] | None = connection.execute(select, (dataset,)).fetchone()
        return row

    def _take(self, rows: Sequence[tuple[str, bytes]], connection: sqlite3.Connection) -> tuple[int, int]:
        """Take ids over; where an id has another reference here, the one that is in the map holds."""
        opened = self._opened(connection, self._ours)
        key = 0 if opened is None else opened[0]
        taken = doubled = 0
        for subject, reference in rows:
            row = connection.execute(
                "SELECT reference FROM subject WHERE dataset = ? AND id = ?", (self._ours, subject)
            ).fetchone()
            if row is None:
                connection.execute("INSERT INTO subject VALUES (?, ?, ?)", (self._ours, subject, reference))
                taken += 1
            elif row[0] != reference and _is_in(connection, key, reference):
                if _is_in(connection, key, row[0]):
                    doubled += 1
                    continue
                change = "UPDATE subject SET reference = ? WHERE dataset = ? AND id = ?"
                connection.execute(change, (reference, self._ours, subject))
                taken += 1
        return taken, doubled

    def _tell_strangers(self, connection: sqlite3.Connection) -> int:
        """Note the references of the map whose subjects are not known, and return how many there are."""
        opened = self._opened(connection, self._ours)
        connection.execute("DELETE FROM stranger WHERE dataset = ?", (self._ours,))
        if opened is None:
            return 0
        return connection.execute(
            "INSERT INTO stranger SELECT ?1, reference FROM leaf WHERE map = ?2 "
            "EXCEPT SELECT ?1, reference FROM subject WHERE dataset = ?1",
            (self._ours, opened[0]),
        ).rowcount

    def _copy_map(self) -> int:
        """Copy the map that the other store has of the ledger, with all its versions; returns the last of them."""
        opened = self._opened(self._other, self._theirs)
        if opened is None:
            return 0
        theirs, size, head = opened
        versions = self._other.execute("SELECT number, root, size FROM version WHERE map = ?", (theirs,)).fetchall()
        roots = {number: root for number, root, _ in versions}
        crown = Crown.over(subtrees((reference, value) for reference, value, _ in self._other.execute(_NOW, (theirs,))))
        if sorted(roots) != list(range(1, head + 1)) or crown.root != roots[head]:
            raise NotAConsentStore(f"what it has of {self._name} does not lead to the root that it has of it")
        key = self._database.write(self._begin)
        for table, columns in (("leaf", "reference, version, value"), ("subtree", "place, version, hash, size")):
            insert = f"INSERT INTO {table} (map, {columns}) VALUES (?{', ?' * (columns.count(',') + 1)})"  # noqa: S608
            select = f"SELECT {columns} FROM {table} WHERE map = ?"  # noqa: S608 - names of ours
            for rows in _pieces(self._other, select, (theirs,)):
                self._database.write(partial(_insert, insert, [(key, *row) for row in rows]))
        self._database.write(partial(_open, key, (roots[1], size, head), versions))
        return head

    def _begin(self, connection: sqlite3.Connection) -> int:
        """Begin a map that nobody sees; what was built here to be opened, or left by a crash, can be none any more."""
        maps = "(SELECT key FROM map WHERE dataset = ?)"
        for table in ("leaf", "subtree", "draft"):
            connection.execute(f"DELETE FROM {table} WHERE map IN {maps}", (self._ours,))  # noqa: S608
        connection.execute("DELETE FROM map WHERE dataset = ?", (self._ours,))
        return connection.execute("INSERT INTO map (dataset, size) VALUES (?, 0)", (self._ours,)).lastrowid or 0


def _open(
    key: int, state: tuple[bytes, int, int], versions: Sequence[tuple[int, bytes, int]], connection: sqlite3.Connection
) -> None:
    connection.execute("UPDATE map SET root = ?, size = ?, head = ? WHERE key = ?", (*state, key))
    connection.executemany("INSERT INTO version VALUES (?, ?, ?, ?)", [(key, *version) for version in versions])


def _insert(statement: str, rows: Sequence[tuple[Any, ...]], connection: sqlite3.Connection) -> None:
    connection.executemany(statement, rows)


def _is_in(connection: sqlite3.Connection, key: int, reference: bytes) -> bool:
    select = "SELECT 1 FROM leaf WHERE map = ? AND reference = ? LIMIT 1"
    return connection.execute(select, (key, reference)).fetchone() is not None


def _pieces(connection: sqlite3.Connection, select: str, values: tuple[Any, ...]) -> Iterator[list[Any]]:
    cursor = connection.execute(select, values)
    while rows := cursor.fetchmany(_AT_ONCE):
        yield rows
