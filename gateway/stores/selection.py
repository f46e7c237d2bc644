# SPDX-License-Identifier: Apache-2.0
"""Queries of the read model's entries by kind and attributes: in ledger order, and bounded in what they look at.

Attributes stand in their table by kind, name, value and ledger position, so that a page of those with one value is one
walk along the key. Where several attributes are asked for, the walk follows the one that fewest entries have and looks
the others up; it ends after `MOST_WALKED` entries even when the page is not full.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from gateway.services.ports import Where

ENTRY: Final = "entry.key, entry.kind, entry.value, entry.transaction_id, entry.block, entry.at"
INDEXED_LENGTH: Final = 256
"""How much of an attribute's text is compared."""
MOST_WALKED: Final = 10_000
_FEW: Final = 100
"""How far entries with an attribute are counted to find out which attribute fewest have."""

_Row = tuple[Any, ...]
_COUNT = (
    "SELECT count(*) FROM (SELECT 1 FROM attribute WHERE kind = ? AND name = ? AND value = ? AND position > ? LIMIT ?)"
)
_END = (
    "SELECT position FROM attribute WHERE kind = ? AND name = ? AND value = ? AND position > ? ORDER BY position"
    " LIMIT 1 OFFSET ?"
)
_OF_A_KIND = f"SELECT {ENTRY}, entry.position FROM entry WHERE kind = ? AND position > ? ORDER BY position LIMIT ?"  # noqa: S608


class Selected(NamedTuple):
    """Rows of entries, and the position from which a walk goes on; `None` where there is nothing after them."""

    rows: Sequence[_Row]
    next: str | None


class _Attribute(NamedTuple):
    """What is asked of an attribute: one of these values."""

    name: str
    values: tuple[str, ...]


def select(connection: sqlite3.Connection, kind: str, where: Where, after: str, limit: int) -> Selected:
    """At most `limit` entries of a kind with these attributes, after a position."""
    if not where:
        rows = connection.execute(_OF_A_KIND, (kind, after, limit + 1)).fetchall()
        return _cut(rows, limit, None)
    walked, *others = _rarest_first(connection, kind, where, after)
    end = _end(connection, kind, walked, after) if others else None
    query, values = statement(kind, walked, others, after, end, limit + 1)
    return _cut(connection.execute(query, values).fetchall(), limit, end)


def last(connection: sqlite3.Connection, kind: str, where: Where) -> _Row | None:
    """The entry of a kind with these attributes that was first written last."""
    walked, *others = _rarest_first(connection, kind, where, "")
    query, values = statement(kind, walked, others, "", None, 1, newest=True)
    row: _Row | None = connection.execute(query, values).fetchone()
    return row


def statement(
    kind: str,
    walked: _Attribute,
    others: Sequence[_Attribute],
    after: str,
    end: str | None,
    limit: int,
    *,
    newest: bool = False,
) -> tuple[str, list[Any]]:
    """The query that walks one attribute and looks the others up, and its values.

    CROSS JOIN keeps SQLite to this order. Each value of the walked attribute is a query of its own; SQLite merges
    them, because each comes in the order of the key.
    """
    branches: list[str] = []
    bound: list[Any] = []
    for value in walked.values:
        tables, conditions = "attribute a0", "a0.kind = ? AND a0.name = ? AND a0.value = ? AND a0.position > ?"
        bound += [kind, walked.name, value, after]
        if end is not None:
            conditions += " AND a0.position <= ?"
            bound.append(end)
        for number, other in enumerate(others, start=1):
            tables += f" CROSS JOIN attribute a{number}"
            conditions += (
                f" AND a{number}.kind = ? AND a{number}.name = ? AND a{number}.value IN ({_marks(other.values)})"
                f" AND a{number}.position = a0.position"
            )
            bound += [kind, other.name, *other.values]
        branches.append(
            f"SELECT {ENTRY}, a0.position AS place FROM {tables} CROSS JOIN entry"  # noqa: S608 - values are bound
            f" WHERE {conditions} AND entry.key = a0.key"
        )
    return f"{' UNION ALL '.join(branches)} ORDER BY place{' DESC' if newest else ''} LIMIT ?", [*bound, limit]


def _rarest_first(connection: sqlite3.Connection, kind: str, where: Where, after: str) -> list[_Attribute]:
    asked = [_Attribute(name, _values(value)) for name, value in where.items()]
    if len(asked) < 2:
        return asked
    return sorted(asked, key=lambda each: _count(connection, kind, each, after))


def _cut(rows: Sequence[_Row], limit: int, end: str | None) -> Selected:
    if len(rows) > limit:
        return Selected(rows[:limit], str(rows[limit - 1][6]))
    return Selected(rows, end)


def _values(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return tuple(each[:INDEXED_LENGTH] for each in ((value,) if isinstance(value, str) else value))


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


def _count(connection: sqlite3.Connection, kind: str, asked: _Attribute, after: str) -> int:
    return sum(
        int(connection.execute(_COUNT, (kind, asked.name, value, after, _FEW)).fetchone()[0]) for value in asked.values
    )


def _end(connection: sqlite3.Connection, kind: str, walked: _Attribute, after: str) -> str | None:
    """Where a walk has to end; `None` where it reaches the last entry before that."""
    return min(_ends(connection, kind, walked, after), default=None)


def _ends(connection: sqlite3.Connection, kind: str, walked: _Attribute, after: str) -> Iterator[str]:
    for value in walked.values:
        row = connection.execute(_END, (kind, walked.name, value, after, MOST_WALKED - 1)).fetchone()
        if row is not None:
            yield str(row[0])
