# SPDX-License-Identifier: Apache-2.0
"""The read model in SQLite: entries by key and kind, their history, and every transaction's outcome.

Not durable on purpose (`synchronous=NORMAL`): a power cut may set it back some blocks, and the projector
then applies those again by the path it always uses.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

from gateway.services.ports import (
    Entry,
    Json,
    LedgerBlock,
    LedgerTransaction,
    Outcome,
    Page,
    PortError,
    Seen,
    Tally,
    Where,
)
from gateway.services.walks import Links
from gateway.stores.database import Database
from gateway.stores.links import links, marks, standings
from gateway.stores.logtree import TABLES as LOG
from gateway.stores.logtree import append
from gateway.stores.projection import lapse, milliseconds, project
from gateway.stores.selection import ENTRY, count, last, select
from gateway.stores.transactions import TABLES as DEEDS
from gateway.stores.transactions import note

_TABLES = ("attribute", "block_time", "channel_config", "entry", "history", "lapse", "ledger_transaction", *LOG, *DEEDS)
_OCCURRENCE = """
INSERT INTO ledger_transaction VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET
  block = excluded.block, number = excluded.number, code = excluded.code, creator = excluded.creator, at = excluded.at,
  envelope = excluded.envelope, request = excluded.request, reply = excluded.reply, said = excluded.said,
  logged = excluded.logged
WHERE excluded.code = 0 AND ledger_transaction.code <> 0"""
"""Others may order invalid transactions under any id, before the true one or beside it; none counts for it."""


class ReadModelStore:
    """Implements `services.ports.ReadModel`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def height(self) -> int:
        return int(self._database.reader().execute("SELECT height FROM position").fetchone()[0])

    def time_below(self, height: int) -> int:
        query = "SELECT at FROM block_time WHERE block < ? ORDER BY block DESC LIMIT 1"
        row = self._database.reader().execute(query, (height,)).fetchone()
        return 0 if row is None else int(row[0])

    def last_hash(self) -> str | None:
        value = self._database.reader().execute("SELECT hash FROM position").fetchone()[0]
        return None if value is None else str(value)

    def genesis(self) -> str | None:
        value = self._database.reader().execute("SELECT genesis FROM position").fetchone()[0]
        return None if value is None else str(value)

    def config(self) -> bytes | None:
        row = self._database.reader().execute("SELECT envelope FROM channel_config").fetchone()
        return None if row is None else bytes(row[0])

    def apply(self, block: LedgerBlock) -> None:
        self._database.write(lambda connection: _apply(connection, block))

    def clear(self) -> None:
        def empty(connection: sqlite3.Connection) -> None:
            for table in _TABLES:
                connection.execute(f"DELETE FROM {table}")  # noqa: S608 - constants
            connection.execute("UPDATE position SET height = 0, hash = NULL, genesis = NULL, places = 0, logged = 0")

        self._database.write(empty)

    def get(self, key: str) -> Entry | None:
        row = self._database.reader().execute(f"SELECT {ENTRY} FROM entry WHERE key = ?", (key,)).fetchone()  # noqa: S608
        return None if row is None else _entry(row)

    def list(self, kind: str, *, where: Where, after: str | None, limit: int) -> Page:
        with self._one_moment() as connection:
            found = select(connection, kind, where, after, limit)
        return Page(tuple(map(_entry, found.rows)), found.next, found.complete)

    def count(self, kind: str, *, where: Where) -> Tally:
        with self._one_moment() as connection:
            return count(connection, kind, where)

    def last(self, kind: str, *, where: Where) -> Entry | None:
        with self._one_moment() as connection:
            row = last(connection, kind, where)
        return None if row is None else _entry(row)

    def transaction(self, transaction_id: str) -> Seen | None:
        query = "SELECT code, block, envelope, creator, request, reply, said FROM ledger_transaction WHERE id = ?"
        row = self._database.reader().execute(query, (transaction_id,)).fetchone()
        if row is None:
            return None
        code, block, envelope, creator, request, reply, said = row
        return Seen(Outcome(transaction_id, code, block, envelope), creator, request, _json_of(reply), _json_of(said))

    def recorded(self, request: str) -> Seen | None:
        first = "substr(request, 1, 160)"  # as it is indexed
        query = (
            f"SELECT id FROM ledger_transaction WHERE code = 0 AND request IS NOT NULL AND {first} >= ? AND {first} < ?"  # noqa: S608
        )
        row = self._database.reader().execute(query, (request, request[:-1] + chr(ord(request[-1]) + 1))).fetchone()
        return None if row is None else self.transaction(row[0])

    def history(self, key: str) -> Sequence[Entry]:
        rows = self._database.reader().execute(
            "SELECT key, kind, value, transaction_id, block, at FROM history"
            " WHERE key = ? AND value IS NOT NULL ORDER BY block, number",
            (key,),
        )
        return [_entry(row) for row in rows]

    def links(self, place: int, block: int, limit: int) -> Links:
        with self._one_moment() as connection:
            height, places = connection.execute("SELECT height, places FROM position").fetchone()
            found = links(connection, place, limit + 1)
            more = len(found) > limit
            if more:
                return Links(height, places, found[:limit], more, ())
            return Links(height, places, found, more, standings(connection, block), marks(connection, block))

    @contextmanager
    def _one_moment(self) -> Iterator[sqlite3.Connection]:
        """A connection for which no block is applied meanwhile."""
        connection = self._database.reader()
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            connection.execute("COMMIT")


def _apply(connection: sqlite3.Connection, block: LedgerBlock) -> None:
    height, last, places, logged = connection.execute("SELECT height, hash, places, logged FROM position").fetchone()
    if block.number != height:
        raise PortError(f"block {block.number} does not follow height {height}", height=height)
    if last is not None and block.previous_hash != last:
        raise PortError(f"block {block.number} does not continue the chain that was read so far", height=height)
    rows = []
    entries: list[bytes] = []
    for transaction in block.transactions:
        rows.append((*_transaction_row(block.number, transaction), logged + len(entries) if transaction.leaf else None))
        if transaction.leaf:
            entries.append(transaction.leaf)
    connection.executemany(_OCCURRENCE, rows)
    logged = append(connection, logged, entries)
    note(connection, block)
    places = project(connection, block, places)
    # Of transactions that wrote nothing here no endorser of this chaincode has compared the time with its clock.
    times = [milliseconds(each.at) for each in block.transactions if each.code == 0 and each.writes]
    if known := [time for time in times if time is not None]:
        connection.execute("INSERT INTO block_time VALUES (?, ?)", (block.number, max(known)))
        lapse(connection, max(known))
    if block.config is not None:
        connection.execute("INSERT OR REPLACE INTO channel_config VALUES (1, ?, ?)", (block.number, block.config))
    connection.execute(
        "UPDATE position SET height = ?, hash = ?, genesis = coalesce(genesis, ?), places = ?, logged = ?",
        (block.number + 1, block.hash, block.hash, places, logged),
    )


def _transaction_row(block: int, transaction: LedgerTransaction) -> tuple[Any, ...]:
    return (
        transaction.transaction_id, block, transaction.index, transaction.code, transaction.creator, transaction.at,
        transaction.envelope, transaction.request, _text_of(transaction.reply), _text_of(transaction.said),
    )  # fmt: skip


def _text_of(value: Json | None) -> str | None:
    return None if value is None else json.dumps(value)


def _json_of(text: str | None) -> Json | None:
    return None if text is None else cast("Json", json.loads(text))


def _entry(row: tuple[Any, ...]) -> Entry:
    key, kind, value, transaction_id, block, at = row[:6]
    return Entry(key, kind, json.loads(value), transaction_id, block, at)
