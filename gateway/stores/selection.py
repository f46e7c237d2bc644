# SPDX-License-Identifier: Apache-2.0
"""Queries of the read model's entries by kind and conditions: in a fixed order, and bounded in what they look at.

Attributes are in their table by kind, name, value and the place of their entry in ledger order, so that a page of
those with one value is one walk along the key. Where several are asked for, the walk follows the one that fewest
entries have and looks the others up. Names and times are walked along indexes of their own. A walk ends after
`MOST_WALKED` entries, or sooner where each takes many look-ups, even when the page is not full.

Words are attributes too, and not FTS5's: Python does not promise that its SQLite has that module, a query of FTS5 is an
expression that untrusted text must be kept out of, and what it reads for a beginning or a rank grows with the ledger.
"""

import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from gateway.services.attributes import LONGEST_VALUE
from gateway.services.conditions import (
    CREATED,
    LAST_CHARACTER,
    MOST_BEGINNINGS,
    NAME,
    Begins,
    OfKinds,
    OneOf,
    Where,
    Within,
    conditions,
)
from gateway.services.ports import Tally

ENTRY: Final = "entry.key, entry.kind, entry.value, entry.transaction_id, entry.block, entry.at"
MOST_WALKED: Final = 10_000
MOST_LOOKED_UP: Final = 100_000
"""How many look-ups one walk may take: for each entry, one for each value of the other attributes."""
_FEW: Final = 100
"""How far entries with an attribute are counted to find out which attribute fewest have."""
_ORDERED: Final = {NAME: "entry_by_name", CREATED: "entry_by_time"}
_PLACE: Final = re.compile(r"([0-9]{1,18})(?::(.*))?", re.DOTALL)

_Values = list[Any]


class Selected(NamedTuple):
    """Rows of entries, and what a walk goes on after; `None` where there is nothing after them."""

    rows: Sequence[tuple[Any, ...]]
    next: str | None
    complete: bool


class _Place(NamedTuple):
    """Where a page ended: the name or time of its last entry where these order it, and the entry's place."""

    value: str | int | None
    place: int


class _Pairs(NamedTuple):
    """What is asked of attributes: one of these pairs of name and value."""

    pairs: tuple[tuple[str, str], ...]


class _Asked(NamedTuple):
    """Conditions as SQLite looks them up."""

    kind: str
    attributes: tuple[_Pairs, ...]
    ranges: tuple[Within, ...]
    kinds: tuple[str, ...]
    order: str | None
    """The column that orders the entries before their place does."""
    complete: bool

    @property
    def hopeless(self) -> bool:
        """Whether no entry can be as asked for."""
        return any(not each.pairs for each in self.attributes)


class _Query(NamedTuple):
    """A statement and its values."""

    text: str
    values: _Values


def select(connection: sqlite3.Connection, kind: str, where: Where, after: str | None, limit: int) -> Selected:
    """At most `limit` entries, after what a page before ended with; `ValueError` where that is not the end of one."""
    asked = _asked(connection, kind, where)
    start = None if after is None else _place(after, asked.order)
    if asked.hopeless:
        return Selected((), None, asked.complete)
    query, end = _walk(connection, asked, start, limit + 1)
    found = [_Place(value, place) for place, value in connection.execute(*query)]
    if len(found) > limit:
        found, end = found[:limit], found[limit - 1]
    return Selected(_rows(connection, found), None if end is None else _text(end), asked.complete)


def last(connection: sqlite3.Connection, kind: str, where: Where) -> tuple[Any, ...] | None:
    """The entry of a kind with these attributes that was first written last."""
    asked = _asked(connection, kind, where)
    if asked.hopeless:
        return None
    walked, *others = _rarest_first(connection, asked)
    query = _along_attribute(asked, walked, others, None, None, 1, newest=True)
    rows = _rows(connection, [_Place(value, place) for place, value in connection.execute(*query)])
    return rows[0] if rows else None


def count(connection: sqlite3.Connection, kind: str, where: Where) -> Tally:
    """How many entries there are, as far as one walk goes."""
    asked = _asked(connection, kind, where)
    if asked.hopeless:
        return Tally(0, asked.complete)
    query, end = _walk(connection, asked, None, MOST_WALKED + 1)
    found = int(connection.execute(f"SELECT count(*) FROM ({query.text})", query.values).fetchone()[0])  # noqa: S608
    return Tally(min(found, MOST_WALKED), asked.complete and end is None and found <= MOST_WALKED)


# --- What is asked --------------------------------------------------------------------------------------------------


def _asked(connection: sqlite3.Connection, kind: str, where: Where) -> _Asked:
    attributes: list[_Pairs] = []
    ranges: list[Within] = []
    kinds: tuple[str, ...] = ()
    complete = True
    for condition in conditions(where):
        match condition:
            case OneOf():
                attributes.append(_Pairs(tuple((condition.name, each[:LONGEST_VALUE]) for each in condition.values)))
            case Begins():
                found = list(_beginning(connection, kind, condition))
                complete = complete and len(found) <= MOST_BEGINNINGS
                attributes.append(_Pairs(tuple(found[:MOST_BEGINNINGS])))
            case Within():
                ranges.append(condition)
            case OfKinds():
                kinds = condition.kinds
    named = {each.name for each in ranges}
    order = next((column for column in _ORDERED if column in named), None)
    return _Asked(kind, tuple(attributes), tuple(ranges), kinds, order, complete)


def _beginning(connection: sqlite3.Connection, kind: str, asked: Begins) -> Iterator[tuple[str, str]]:
    """Values that begin so, in their order and each found along the key; one more than may be looked at."""
    query = (
        "SELECT value FROM attribute WHERE kind = ? AND name = ? AND value {} ? AND value < ? ORDER BY value LIMIT 1"
    )
    left = MOST_BEGINNINGS + 1
    for name in asked.names:
        sign, low, high = ">=", asked.text, asked.text + LAST_CHARACTER
        while left and (row := connection.execute(query.format(sign), (kind, name, low, high)).fetchone()):
            yield name, row[0]
            sign, low, left = ">", row[0], left - 1


def _rarest_first(connection: sqlite3.Connection, asked: _Asked) -> list[_Pairs]:
    if len(asked.attributes) < 2:
        return list(asked.attributes)
    return sorted(asked.attributes, key=lambda each: _counted(connection, asked.kind, each))


def _counted(connection: sqlite3.Connection, kind: str, asked: _Pairs) -> int:
    query = "SELECT count(*) FROM (SELECT 1 FROM attribute WHERE kind = ? AND name = ? AND value = ? LIMIT ?)"
    return sum(int(connection.execute(query, (kind, *pair, _FEW)).fetchone()[0]) for pair in asked.pairs)


# --- Walks ----------------------------------------------------------------------------------------------------------


def _walk(
    connection: sqlite3.Connection, asked: _Asked, start: _Place | None, limit: int
) -> tuple[_Query, _Place | None]:
    """The statement that finds places (and what orders them) after `start`, and where it has to end before the last."""
    found = _rarest_first(connection, asked)
    walked, others = (found[0], found[1:]) if found else (None, [])
    if asked.order is not None:
        if walked is not None and _counted(connection, asked.kind, walked) < _FEW:
            return _few(asked, walked, others, asked.order, start, limit), None
        narrowed = len(asked.ranges) > 1 or bool(found)
        end = _end_of_range(connection, asked, asked.order, start, _reach(1, found)) if narrowed else None
        return _along_order(asked, asked.order, found, start, end, limit), end
    after = 0 if start is None else start.place
    if walked is None:
        query = f"SELECT place, NULL FROM entry INDEXED BY entry_by_kind WHERE kind = ? AND place > ? ORDER BY place LIMIT {limit:d}"  # noqa: E501, S608
        return _Query(query, [asked.kind, after]), None
    narrowed = bool(others or asked.kinds)
    end = _end_of_values(connection, asked.kind, walked, after, _reach(len(walked.pairs), others)) if narrowed else None
    return _along_attribute(asked, walked, others, start, end, limit), end


def _reach(walked: int, others: Sequence[_Pairs]) -> int:
    """How many entries may be walked of each value."""
    looked_up = sum(len(each.pairs) for each in others) or 1
    return max(1, min(MOST_WALKED // walked, MOST_LOOKED_UP // (walked * looked_up)))


def _along_attribute(
    asked: _Asked,
    walked: _Pairs,
    others: Sequence[_Pairs],
    start: _Place | None,
    end: _Place | None,
    limit: int,
    *,
    newest: bool = False,
) -> _Query:
    """Each value of the walked attribute is a query of its own; SQLite merges them, each comes in the order of the key.

    CROSS JOIN keeps SQLite to this order.
    """
    branches: list[str] = []
    values: _Values = []
    joined = " CROSS JOIN entry ON entry.place = walked.place" if asked.kinds else ""
    for pair in walked.pairs:
        condition = _Query("walked.kind = ? AND walked.name = ? AND walked.value = ?", [asked.kind, *pair])
        if start is not None:
            condition = _Query(f"{condition.text} AND walked.place > ?", [*condition.values, start.place])
        if end is not None:
            condition = _Query(f"{condition.text} AND walked.place <= ?", [*condition.values, end.place])
        condition = _and(condition, *_look_ups(asked.kind, others, "walked.place"), *_of_entry(asked))
        branches.append(
            f"SELECT walked.place AS place, NULL FROM attribute walked{joined} WHERE {condition.text}"  # noqa: S608
        )
        values += condition.values
    order = "place DESC" if newest else "place"
    return _Query(f"{' UNION '.join(branches)} ORDER BY {order} LIMIT {limit:d}", values)


def _along_order(
    asked: _Asked, order: str, looked_up: Sequence[_Pairs], start: _Place | None, end: _Place | None, limit: int
) -> _Query:
    """A walk along names or times."""
    condition = _and(_range(asked, order, start), *_look_ups(asked.kind, looked_up, "entry.place"), *_of_entry(asked))
    if end is not None:
        condition = _and(condition, _Query(f"(entry.{order}, entry.place) <= (?, ?)", [end.value, end.place]))
    return _Query(
        f"SELECT entry.place, entry.{order} FROM entry INDEXED BY {_ORDERED[order]} WHERE {condition.text} "  # noqa: S608
        f"ORDER BY entry.{order}, entry.place LIMIT {limit:d}",
        condition.values,
    )


def _few(
    asked: _Asked, walked: _Pairs, others: Sequence[_Pairs], order: str, start: _Place | None, limit: int
) -> _Query:
    """Where an attribute has few entries all of them are read and sorted."""
    found = _and(*_look_ups(asked.kind, [walked], None))
    condition = _and(
        _Query("entry.kind = ?", [asked.kind]),
        *([] if start is None else [_after(order, start)]),
        *_look_ups(asked.kind, others, "entry.place"),
        *_of_entry(asked),
    )
    return _Query(
        f"SELECT entry.place, entry.{order} FROM ({found.text}) walked CROSS JOIN entry "  # noqa: S608
        f"ON entry.place = walked.place WHERE {condition.text} ORDER BY entry.{order}, entry.place LIMIT {limit:d}",
        [*found.values, *condition.values],
    )


def _end_of_values(connection: sqlite3.Connection, kind: str, walked: _Pairs, after: int, reach: int) -> _Place | None:
    """Where a walk along values has to end; `None` where it reaches the last entry before that."""
    query = (
        "SELECT place FROM attribute WHERE kind = ? AND name = ? AND value = ? AND place > ? ORDER BY place"
        " LIMIT 1 OFFSET ?"
    )
    rows = (connection.execute(query, (kind, *pair, after, reach - 1)).fetchone() for pair in walked.pairs)
    ends = [int(row[0]) for row in rows if row is not None]
    return _Place(None, min(ends)) if ends else None


def _end_of_range(
    connection: sqlite3.Connection, asked: _Asked, order: str, start: _Place | None, reach: int
) -> _Place | None:
    condition = _range(asked, order, start)
    row = connection.execute(
        f"SELECT {order}, place FROM entry INDEXED BY {_ORDERED[order]} WHERE {condition.text} "  # noqa: S608
        f"ORDER BY {order}, place LIMIT 1 OFFSET {reach - 1:d}",
        condition.values,
    ).fetchone()
    return None if row is None else _Place(*row)


# --- Conditions in SQL ----------------------------------------------------------------------------------------------


def _and(*parts: _Query) -> _Query:
    return _Query(" AND ".join(part.text for part in parts), [value for part in parts for value in part.values])


def _after(order: str, start: _Place) -> _Query:
    return _Query(f"(entry.{order}, entry.place) > (?, ?)", [start.value, start.place])


def _range(asked: _Asked, order: str, start: _Place | None) -> _Query:
    """The entries of a kind whose name or time is in the range that is walked, after `start`."""
    parts = [_Query(f"entry.kind = ? AND entry.{order} IS NOT NULL", [asked.kind])]
    parts += [] if start is None else [_after(order, start)]
    return _and(*parts, *_bounds(each for each in asked.ranges if each.name == order))


def _bounds(ranges: Iterable[Within]) -> Iterator[_Query]:
    for each in ranges:
        yield _Query(f"entry.{each.name} >= ?", [each.low])
        if each.high is not None:
            yield _Query(f"entry.{each.name} < ?", [each.high])


def _of_entry(asked: _Asked) -> Iterator[_Query]:
    """What is asked of the entry itself, but for what orders it."""
    yield from _bounds(asked.ranges)
    if asked.kinds:
        yield _Query(f"entry.kind IN ({_marks(asked.kinds)})", list(asked.kinds))


def _look_ups(kind: str, asked: Iterable[_Pairs], place: str | None) -> Iterator[_Query]:
    """That the entry at a place has one of the pairs; without a place, the places of those that have."""
    for each in asked:
        parts: list[str] = []
        values: _Values = []
        for name in dict.fromkeys(name for name, _ in each.pairs):
            found = [value for other, value in each.pairs if other == name]
            where = f"kind = ? AND name = ? AND value IN ({_marks(found)})"
            if place is None:
                parts.append(f"SELECT DISTINCT place FROM attribute WHERE {where}")  # noqa: S608
            else:
                parts.append(f"EXISTS (SELECT 1 FROM attribute WHERE {where} AND place = {place})")  # noqa: S608
            values += [kind, name, *found]
        yield _Query(" UNION ".join(parts) if place is None else f"({' OR '.join(parts)})", values)


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


# --- Places and rows ------------------------------------------------------------------------------------------------


def _rows(connection: sqlite3.Connection, found: Sequence[_Place]) -> Sequence[tuple[Any, ...]]:
    places = [each.place for each in found]
    query = f"SELECT {ENTRY}, entry.place FROM entry WHERE place IN ({', '.join('?' * len(places))})"  # noqa: S608
    rows = {row[6]: row for row in connection.execute(query, places)}
    return [rows[place] for place in places]


def _text(place: _Place) -> str:
    return str(place.place) if place.value is None else f"{place.place}:{place.value}"


def _place(text: str, order: str | None) -> _Place:
    found = _PLACE.fullmatch(text)
    if found is None or (found[2] is None) is not (order is None):
        raise ValueError("this is not where a page of this list ended")
    value = found[2]
    return _Place(int(value) if order == CREATED else value, int(found[1]))
