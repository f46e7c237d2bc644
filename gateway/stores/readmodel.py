# SPDX-License-Identifier: Apache-2.0
"""The read model in SQLite: entries by key and kind, their history, and every transaction's outcome.

Not durable on purpose (`synchronous=NORMAL`): a power cut may set it back some blocks, and the projector
then applies those again by the path it always uses.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

from gateway.services.ports import Entry, Json, LedgerBlock, LedgerTransaction, Outcome, Page, PortError, Seen, Where
from gateway.stores.database import Database
from gateway.stores.selection import ENTRY, INDEXED_LENGTH, last, select

_TABLES = ("attribute", "channel_config", "entry", "history", "ledger_transaction")
_OCCURRENCE = """
INSERT INTO ledger_transaction VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET
  block = excluded.block, number = excluded.number, code = excluded.code, creator = excluded.creator, at = excluded.at,
  envelope = excluded.envelope, request = excluded.request, reply = excluded.reply, said = excluded.said
WHERE excluded.code = 0 AND ledger_transaction.code <> 0"""
"""Others may order invalid transactions under any id, before the true one or beside it; none stands in for it."""


class ReadModelStore:
    """Implements `services.ports.ReadModel`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def height(self) -> int:
        return int(self._database.reader().execute("SELECT height FROM position").fetchone()[0])

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
            connection.execute("UPDATE position SET height = 0, hash = NULL, genesis = NULL")

        self._database.write(empty)

    def get(self, key: str) -> Entry | None:
        row = self._database.reader().execute(f"SELECT {ENTRY} FROM entry WHERE key = ?", (key,)).fetchone()  # noqa: S608
        return None if row is None else _entry(row)

    def list(self, kind: str, *, where: Where, after: str | None, limit: int) -> Page:
        found = select(self._database.reader(), kind, where, after or "", limit)
        return Page(tuple(map(_entry, found.rows)), found.next)

    def last(self, kind: str, *, where: Where) -> Entry | None:
        row = last(self._database.reader(), kind, where)
        return None if row is None else _entry(row)

    def transaction(self, transaction_id: str) -> Seen | None:
        query = "SELECT code, block, envelope, creator, request, reply, said FROM ledger_transaction WHERE id = ?"
        row = self._database.reader().execute(query, (transaction_id,)).fetchone()
        if row is None:
            return None
        code, block, envelope, creator, request, reply, said = row
        return Seen(Outcome(transaction_id, code, block, envelope), creator, request, _json_of(reply), _json_of(said))

    def history(self, key: str) -> Sequence[Entry]:
        rows = self._database.reader().execute(
            "SELECT key, kind, value, transaction_id, block, at FROM history"
            " WHERE key = ? AND value IS NOT NULL ORDER BY block, number",
            (key,),
        )
        return [_entry(row) for row in rows]


def _apply(connection: sqlite3.Connection, block: LedgerBlock) -> None:
    height, last = connection.execute("SELECT height, hash FROM position").fetchone()
    if block.number != height:
        raise PortError(f"block {block.number} does not follow height {height}", height=height)
    if last is not None and block.previous_hash != last:
        raise PortError(f"block {block.number} does not continue the chain that was read so far", height=height)
    connection.executemany(
        _OCCURRENCE, [_transaction_row(block.number, transaction) for transaction in block.transactions]
    )
    for writes in _rounds(block):
        _apply_writes(connection, writes)
    if block.config is not None:
        connection.execute("INSERT OR REPLACE INTO channel_config VALUES (1, ?, ?)", (block.number, block.config))
    connection.execute(
        "UPDATE position SET height = ?, hash = ?, genesis = coalesce(genesis, ?)",
        (block.number + 1, block.hash, block.hash),
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


class _Write(NamedTuple):
    """One write, where it stands and what it wrote, as text too."""

    key: str
    kind: str
    text: str | None
    value: Json | None
    transaction_id: str
    block: int
    number: int
    at: str
    position: str


def _rounds(block: LedgerBlock) -> Iterator[list[_Write]]:
    """The writes of a block in their order, cut wherever a key comes again, so that each cut can be applied at once."""
    writes: dict[str, _Write] = {}
    for transaction in block.transactions:
        for number, (key, value) in enumerate((write.key, write.value) for write in transaction.writes):
            if key in writes:
                yield list(writes.values())
                writes.clear()
            writes[key] = _Write(
                key=key,
                kind="" if value is None else str(value.get("kind", "")),
                text=None if value is None else json.dumps(value, ensure_ascii=False),
                value=value,
                transaction_id=transaction.transaction_id,
                block=block.number,
                number=transaction.index,
                at=transaction.at,
                position=f"{block.number:012d}.{transaction.index:06d}.{number:06d}",
            )
    yield list(writes.values())


def _apply_writes(connection: sqlite3.Connection, writes: Sequence[_Write]) -> None:
    """Apply writes to different keys; an entry that exists keeps its position, and a deletion the entry's kind."""
    connection.executemany(
        "INSERT OR REPLACE INTO history VALUES (?, ?, ?, ?, "
        "coalesce(nullif(?, ''), (SELECT kind FROM entry WHERE key = ?), ''), ?, ?)",
        [(w.key, w.block, w.number, w.transaction_id, w.kind, w.key, w.text, w.at) for w in writes],
    )
    connection.executemany("DELETE FROM attribute WHERE key = ?", [(w.key,) for w in writes])
    connection.executemany("DELETE FROM entry WHERE key = ?", [(w.key,) for w in writes if w.value is None])
    connection.executemany(
        "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET kind = excluded.kind, "
        "value = excluded.value, transaction_id = excluded.transaction_id, block = excluded.block, at = excluded.at",
        [(w.key, w.kind, w.text, w.transaction_id, w.block, w.at, w.position) for w in writes if w.value is not None],
    )
    connection.executemany(
        "INSERT OR IGNORE INTO attribute SELECT ?, ?, ?, position, key FROM entry WHERE key = ?",
        [
            (w.kind, name, str(field)[:INDEXED_LENGTH], w.key)
            for w in writes
            for name, field in (w.value or {}).items()
            if _indexed(name, field)
        ],
    )


def _indexed(name: str, field: Any) -> bool:
    return name not in ("kind", "schema") and isinstance(field, str | int) and not isinstance(field, bool)


def _entry(row: tuple[Any, ...]) -> Entry:
    key, kind, value, transaction_id, block, at = row[:6]
    return Entry(key, kind, json.loads(value), transaction_id, block, at)
