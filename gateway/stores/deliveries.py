# SPDX-License-Identifier: Apache-2.0
"""Deliveries and the nonces that were taken, in the SQLite file of what was published.

What is about to be sent is on the disk before it is sent. A crash leaves parts that nobody ended: the next start counts
them to what was given out, and to what makes a delivery complete once the recipient asks for what follows on them.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from enum import IntEnum
from typing import Any, Final

from gateway.services.deliverylog import (
    COMPLETE,
    ENDED,
    MOST_BEGUN,
    OPEN,
    REPLACED,
    Asked,
    Begun,
    Delivery,
    Range,
    bounded,
    joined,
)
from gateway.stores.sql import Connection, Dialect, SqlDatabase

NONCES_KEPT: Final = 600.0
"""Seconds; longer than a statement is fresh, whichever way clocks differ."""
_SENT: Final = "sent + (SELECT coalesce(sum(stop - start), 0) FROM given WHERE delivery = d.key AND state = 0)"
_COLUMNS: Final = f"key, attempt, organisation, signer, nonce, at, blob_id, total, until, {_SENT}, outcome"
_INSERT: Final = (
    "INSERT INTO delivery (attempt, organisation, signer, nonce, at, token, blob_id, total, until, sent, outcome) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_TAKE: Final = "INSERT INTO nonce VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_OF_ATTEMPT: Final = (
    "SELECT count(*), coalesce(sum(CASE WHEN outcome = ? THEN 1 ELSE 0 END), 0) FROM delivery "
    "WHERE attempt = ? AND total > 0"
)
_OF_BLOB: Final = (
    "SELECT start, stop, delivery, given.key FROM delivery this JOIN delivery each ON each.attempt = this.attempt "
    "AND each.blob_id = this.blob_id JOIN given ON given.delivery = each.key WHERE this.key = ? AND state = ?"
)
"""What was given of one blob under one attempt, in all deliveries."""
_PROMISE: Final = "INSERT INTO given (delivery, start, stop, state) VALUES (?, ?, ?, ?)"


class _State(IntEnum):
    """What is known of a part."""

    PROMISED = 0
    SENT = 1
    LOST = 2


class DeliveryStore:
    """Implements `services.deliverylog.DeliveryLog`."""

    def __init__(self, database: SqlDatabase) -> None:
        self._database = database

    def recover(self, living: Collection[int] = ()) -> int:
        """Count to what was given what a process that died may have sent; of how many deliveries that was.

        Args:
            living: the numbers of the gateways that give things out now, in PostgreSQL; in a file it is for the one
                process that writes there, before it gives anything out.
        """
        left, those = "state = ?", [int(_State.PROMISED)]
        if self._database.dialect is Dialect.POSTGRESQL and living:
            left = f"state = ? AND (replica IS NULL OR replica NOT IN ({', '.join('?' * len(living))}))"
            those += living

        def work(connection: Connection) -> int:
            open_ = f"SELECT DISTINCT delivery FROM given WHERE {left}"  # noqa: S608 - question marks
            found = [row[0] for row in connection.execute(open_, those).fetchall()]
            for key in found:
                lost = f"(SELECT coalesce(sum(stop - start), 0) FROM given WHERE delivery = d.key AND {left})"  # noqa: S608
                update = f"UPDATE delivery AS d SET sent = sent + {lost} WHERE key = ?"  # noqa: S608
                connection.execute(update, (*those, key))
                update = f"UPDATE given SET state = ? WHERE delivery = ? AND {left}"  # noqa: S608
                connection.execute(update, (_State.LOST, key, *those))
            return len(found)

        return self._database.write(work)

    def refused(self, asked: Asked, code: str) -> None:
        row = (*_row(asked), None, b"", 0, 0.0, 0, code)
        self._database.write(lambda c: c.execute(_INSERT, row))

    def begin(self, asked: Asked, token: bytes, blob_id: bytes, total: int, until: float) -> Begun:
        def work(connection: Connection) -> Begun:
            connection.execute("DELETE FROM nonce WHERE until < ?", (asked.at,))
            known = "SELECT 1 FROM nonce WHERE organisation = ? AND value = ?"
            if connection.execute(known, (asked.organisation, asked.nonce)).fetchone() is not None:
                return Begun.REPEATED
            count, complete = connection.execute(_OF_ATTEMPT, (COMPLETE, asked.attempt)).fetchone()
            if complete:
                return Begun.USED
            if count >= MOST_BEGUN:
                return Begun.TOO_OFTEN
            connection.execute(_TAKE, (asked.organisation, asked.nonce, asked.at + NONCES_KEPT))
            replaced = "UPDATE delivery SET outcome = ? WHERE attempt = ? AND outcome = ?"
            connection.execute(replaced, (REPLACED, asked.attempt, OPEN))
            connection.execute(_INSERT, (*_row(asked), token, blob_id, total, until, 0, OPEN))
            return Begun.BEGUN

        return self._database.write(work)

    def find(self, token: bytes) -> Delivery | None:
        select = f"SELECT {_COLUMNS} FROM delivery d WHERE token = ?"  # noqa: S608 - our own names
        row = self._database.reader().execute(select, (token,)).fetchone()
        return None if row is None else self._delivery(row)

    def promise(self, key: int, part: int | None, start: int, stop: int) -> int | None:
        def work(connection: Connection) -> int | None:
            row = connection.execute("SELECT outcome FROM delivery WHERE key = ?", (key,)).fetchone()
            if row is None or row[0] not in (OPEN, COMPLETE):
                return None
            if part is None:
                _acknowledge(connection, key, start)
                made = connection.execute(f"{_PROMISE} RETURNING key", (key, start, stop, _State.PROMISED))
                return int(made.fetchone()[0])
            connection.execute("UPDATE given SET stop = ? WHERE key = ?", (stop, part))
            return part

        return self._database.write(work)

    def sent(self, key: int, part: int, stop: int, most: int) -> None:
        def work(connection: Connection) -> None:
            ended = "UPDATE given SET stop = ?, state = ? WHERE key = ? RETURNING start"
            ((start,),) = connection.execute(ended, (stop, _State.SENT, part)).fetchall()
            connection.execute("UPDATE delivery SET sent = sent + ? WHERE key = ?", (most - start, key))
            connection.execute(_PROMISE, (key, stop, most, _State.LOST))
            for state in (_State.SENT, _State.LOST):
                _join(connection, key, state)
            known = joined(row[:2] for row in connection.execute(_OF_BLOB, (key, _State.SENT)).fetchall())
            whole = "UPDATE delivery SET outcome = ? WHERE key = ? AND outcome = ? AND total = ?"
            if len(known) == 1 and known[0][0] == 0:
                connection.execute(whole, (COMPLETE, key, OPEN, known[0][1]))

        self._database.write(work)

    def is_used(self, attempt: str) -> bool:
        select = "SELECT 1 FROM delivery WHERE attempt = ? AND outcome = ? LIMIT 1"
        return self._database.reader().execute(select, (attempt, COMPLETE)).fetchone() is not None

    def end_old(self, now: float, most: int) -> int:
        old = (
            "SELECT key FROM delivery d WHERE outcome = ? AND until < ? AND NOT EXISTS "
            "(SELECT 1 FROM given WHERE delivery = d.key AND state = ?) LIMIT ?"
        )
        end = f"UPDATE delivery SET outcome = ? WHERE key IN ({old})"  # noqa: S608 - our own names
        return self._count(end, (ENDED, OPEN, now, _State.PROMISED, most))

    def forget_nonces(self, now: float, most: int) -> int:
        old = "SELECT organisation, value FROM nonce WHERE until < ? LIMIT ?"
        return self._count(f"DELETE FROM nonce WHERE (organisation, value) IN ({old})", (now, most))  # noqa: S608

    def forget_refusals(self, before: float, kept: int, most: int) -> int:
        newest = "SELECT key FROM delivery WHERE token IS NULL ORDER BY key DESC LIMIT 1 OFFSET ?"
        row = self._database.reader().execute(newest, (kept,)).fetchone()
        old = "SELECT key FROM delivery WHERE token IS NULL AND (at < ? OR key <= ?) ORDER BY key LIMIT ?"
        forget = f"DELETE FROM delivery WHERE key IN ({old})"  # noqa: S608
        return self._count(forget, (before, -1 if row is None else row[0], most))

    def _count(self, statement: str, values: tuple[Any, ...]) -> int:
        """Change rows; how many these were."""
        count: int = self._database.write(lambda connection: connection.execute(statement, values).rowcount)
        return count

    def list(self, *, before: int | None, limit: int) -> Sequence[Delivery]:
        select = f"SELECT {_COLUMNS} FROM delivery d WHERE key < ? ORDER BY key DESC LIMIT ?"  # noqa: S608
        last = (1 << 62) if before is None else before
        return [self._delivery(row) for row in self._database.reader().execute(select, (last, limit)).fetchall()]

    def _delivery(self, row: tuple[Any, ...]) -> Delivery:
        given = joined(_parts(self._database.reader(), row[0], *_State))
        return replace(Delivery(row[0], Asked(*row[1:6]), *row[6:]), given=tuple(given))


def _parts(connection: Connection, key: int, *states: _State) -> Iterable[Range]:
    select = f"SELECT start, stop FROM given WHERE delivery = ? AND state IN ({', '.join('?' * len(states))})"  # noqa: S608
    rows: list[Range] = connection.execute(select, (key, *states)).fetchall()
    return rows


def _acknowledge(connection: Connection, key: int, start: int) -> None:
    """Who asks for the bytes from a place on has those before it, of what may have been lost or is still leaving."""
    for state in (_State.LOST, _State.PROMISED):
        for first, stop, of, part in connection.execute(f"{_OF_BLOB} AND start < ?", (key, state, start)).fetchall():
            connection.execute(_PROMISE, (of, first, min(stop, start), _State.SENT))
            if state is _State.LOST:
                connection.execute("UPDATE given SET start = ? WHERE key = ?", (min(stop, start), part))


def _join(connection: Connection, key: int, state: _State) -> None:
    """Join the parts of a delivery that are in a state, so that there are never many."""
    found = bounded(_parts(connection, key, state))
    connection.execute("DELETE FROM given WHERE delivery = ? AND state = ?", (key, state))
    connection.executemany(_PROMISE, [(key, *each, state) for each in found])


def _row(asked: Asked) -> tuple[str, str, str, str, float]:
    return asked.attempt, asked.organisation, asked.signer, asked.nonce, asked.at
