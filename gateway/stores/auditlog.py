# SPDX-License-Identifier: Apache-2.0
"""The audit log in a SQLite file of its own.

An append is a commit that waits for no disk: it is in the file as soon as it returns, and stays there when the process
is killed. `sync` makes it outlast a power cut, which could otherwise take entries from the end, always whole.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from gateway.services.auditlog import Anchor, Sought, StoredEntry
from gateway.stores.sql import Connection, SqlDatabase, upsert

_AT_ONCE: Final = 1_000
MOST_WALKED: Final = 20_000
"""Entries that one call looks at."""
_LAST: Final = "SELECT number, hash FROM entry ORDER BY number DESC LIMIT 1"
_ANCHOR: Final = "SELECT number, size, root, transaction_id, block FROM anchor"
_PROPOSE: Final = "INSERT INTO anchor VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_KEEP: Final = upsert("anchor", "number, size, root, transaction_id, block", "number")
_CONDITIONS: Final = {
    "client": "coalesce(client, '') = ?", "operation": "operation = ?", "outcome": "outcome = ?", "code": "code = ?",
    "target": "target = ?", "since": "at >= ?", "before": "at < ?",
}  # fmt: skip


class AuditLogStore:
    """Implements `services.auditlog.AuditStore`."""

    def __init__(self, database: SqlDatabase) -> None:
        self._database = database

    def append(self, make: Callable[[int, bytes | None], StoredEntry]) -> None:
        def work(connection: Connection) -> None:
            number, previous = connection.execute(_LAST).fetchone() or (0, None)
            entry = make(number + 1, previous)
            about = entry.refusal
            row = (
                entry.number, entry.content, entry.hash, entry.at, about.client, about.operation, about.outcome,
                about.code, about.target,
            )  # fmt: skip
            connection.execute("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

        self._database.write(work)

    def sync(self) -> None:
        self._database.sync()

    def size(self) -> int:
        row = self._one(_LAST)
        return 0 if row is None else int(row[0])

    def hashes(self, first: int) -> Iterable[bytes]:
        select = "SELECT hash FROM entry WHERE number >= ? ORDER BY number"
        return [row[0] for row in self._database.reader().execute(select, (first,))]

    def content(self, number: int) -> bytes | None:
        row = self._one("SELECT content FROM entry WHERE number = ?", number)
        return None if row is None else bytes(row[0])

    def contents(self) -> Iterator[bytes]:
        select = "SELECT content FROM entry WHERE number > ? AND number <= ? ORDER BY number LIMIT ?"
        done, size = 0, self.size()
        while done < size:
            # Read to its end each time: a statement that is open keeps the file's log from being shortened.
            rows = self._database.reader().execute(select, (done, size, _AT_ONCE)).fetchall()
            if not rows:
                return
            yield from (row[0] for row in rows)
            done += len(rows)

    def listed(self, sought: Sought, *, below: int | None, limit: int) -> tuple[list[bytes], int | None]:
        upper = self.size() + 1 if below is None else below
        lowest = max(1, upper - MOST_WALKED)
        asked = [(text, value) for name, text in _CONDITIONS.items() if (value := getattr(sought, name)) is not None]
        where = " AND ".join(("number < ?", "number >= ?", *(text for text, _ in asked)))
        select = f"SELECT number, content FROM entry WHERE {where} ORDER BY number DESC LIMIT ?"  # noqa: S608 - our own
        values = (upper, lowest, *(value for _, value in asked), limit)
        rows = self._database.reader().execute(select, values).fetchall()
        end = rows[-1][0] if len(rows) == limit else lowest
        return [content for _, content in rows], end if end > 1 else None

    def anchors(self) -> tuple[Anchor | None, Anchor | None]:
        last = self._one(f"{_ANCHOR} WHERE transaction_id IS NOT NULL ORDER BY number DESC LIMIT 1")
        after = self._one(f"{_ANCHOR} WHERE transaction_id IS NULL ORDER BY number DESC LIMIT 1")
        return None if last is None else Anchor(*last), None if after is None else Anchor(*after)

    def keep_anchor(self, anchor: Anchor) -> None:
        row = (anchor.number, anchor.size, anchor.root, anchor.transaction_id, anchor.block)
        # What is to be anchored next is decided once, also where two gateways do at the same moment.
        keep = _PROPOSE if anchor.transaction_id is None else _KEEP
        self._database.write(lambda c: c.execute(keep, row))
        self.sync()

    def _one(self, select: str, *values: Any) -> Any:
        return self._database.reader().execute(select, values).fetchone()
