# SPDX-License-Identifier: Apache-2.0
"""Reminders in the database of submissions, which outlasts a power cut."""

from collections.abc import Sequence
from typing import Any, Final

from gateway.services.duties import Due, Duties, ReminderKind
from gateway.services.reminders import Reminder
from gateway.stores.sql import Connection, SqlDatabase

_COLUMNS: Final = "number, kind, artifact, stage, owner, ends_at, at, ended_at"
_SELECT: Final = f"SELECT {_COLUMNS} FROM reminder WHERE chain = ?"  # noqa: S608 - our own names
KEPT: Final = 20_000
"""How many reminders are kept; of those that have ended, the oldest are left out."""


class KeptReminders:
    """Implements `services.reminders.ReminderStore`."""

    def __init__(self, database: SqlDatabase, chain: str = "") -> None:
        """Assign; `chain` is the header hash of the first block of the chain that they are of."""
        self._database = database
        self._chain = chain

    def keep(self, duties: Duties, at: int) -> None:
        def work(connection: Connection) -> None:
            rows = connection.execute(f"{_SELECT} AND ended_at IS NULL", (self._chain,)).fetchall()
            known = {each.due: each.number for each in map(_reminder, rows)}
            if duties.whole:
                over = [number for due, number in known.items() if due not in set(duties.due)]
                end = "UPDATE reminder SET ended_at = ? WHERE number = ?"
                connection.executemany(end, [(at, number) for number in over])
            (last,) = connection.execute("SELECT coalesce(max(number), 0) FROM reminder").fetchone()
            fresh = [due for due in dict.fromkeys(duties.due) if due not in known]
            connection.executemany(
                f"INSERT INTO reminder (chain, {_COLUMNS}, logged) VALUES ({', '.join('?' * 9)}, 0)",  # noqa: S608
                [
                    (self._chain, number, due.kind.value, due.artifact, due.stage, due.owner, due.ends_at, at, None)
                    for number, due in enumerate(fresh, last + 1)
                ],
            )
            sweep = "DELETE FROM reminder WHERE ended_at IS NOT NULL AND number <= ?"
            connection.execute(sweep, (last + len(fresh) - KEPT,))

        if self._differs(duties):
            self._database.write(work)

    def unlogged(self) -> Sequence[Reminder]:
        return self._read("AND logged = 0 ORDER BY number", ())

    def logged(self, number: int) -> None:
        done = "UPDATE reminder SET logged = 1 WHERE chain = ? AND number <= ? AND logged = 0"
        self._database.write(lambda connection: connection.execute(done, (self._chain, number)))

    def following(self, after: int, *, kind: str | None, ended: bool | None, limit: int) -> Sequence[Reminder]:
        narrowed = "AND number > ?"
        given: list[Any] = [after]
        if kind is not None:
            narrowed, given = f"{narrowed} AND kind = ?", [*given, kind]
        if ended is not None:
            narrowed = f"{narrowed} AND ended_at IS {'NOT ' if ended else ''}NULL"
        return self._read(f"{narrowed} ORDER BY number LIMIT ?", (*given, limit))

    def _differs(self, duties: Duties) -> bool:
        """Whether there is anything to write: most rounds find what the one before them found."""
        known = {each.due for each in self._read("AND ended_at IS NULL", ())}
        return not set(duties.due) <= known or (duties.whole and not known <= set(duties.due))

    def _read(self, rest: str, values: Sequence[Any]) -> list[Reminder]:
        rows = self._database.reader().execute(f"{_SELECT} {rest}", (self._chain, *values)).fetchall()
        return [_reminder(row) for row in rows]


def _reminder(row: Sequence[Any]) -> Reminder:
    number, kind, artifact, stage, owner, ends_at, at, ended_at = row
    return Reminder(number, Due(ReminderKind(kind), artifact, stage, owner, ends_at), at, ended_at)
