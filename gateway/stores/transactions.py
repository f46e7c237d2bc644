# SPDX-License-Identifier: Apache-2.0
"""Every transaction in the read model: written with its block, found along the index that says most, bounded.

A walk follows one index, in the order of the ledger or, where only times narrow it, in that of the times; what else is
asked is looked at on the way. It ends after `MOST_WALKED` transactions, even when the page is not full.
"""

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from gateway.services.conditions import Tally
from gateway.services.ports import LedgerBlock, LedgerTransaction
from gateway.services.references import about
from gateway.services.transactions import INVALID, Listed, Listing, Sought
from gateway.stores.database import Database
from gateway.stores.projection import microseconds

TABLES: Final = ("term", "deed", "deed_about")
MOST_WALKED: Final = 10_000
_WORDS: Final = (
    "validity", "organisation", "subject", "certificate", "client", "chaincode", "function", "event", "endorsers",
)  # fmt: skip
"""The columns that name a word in the table of terms."""
_TERM: Final = "(SELECT text FROM term WHERE term.number = deed.{0}) AS {0}"
_LISTED: Final = (
    f"deed.id, deed.block, deed.number, deed.code, deed.at, deed.about, {', '.join(map(_TERM.format, _WORDS))}"
)
_INSERT: Final = f"INSERT INTO deed VALUES ({', '.join('?' * 16)})"  # noqa: S608 - question marks
_AFTER: Final = re.compile(r"([0-9]{1,18})(?::(-?[0-9]{1,18}))?")
_SEPARATOR: Final = "\n"
_LONGEST_ID: Final = 128
"""Characters of an id that are kept; those of valid transactions have 64."""


class TransactionStore:
    """Implements `services.transactions.Transactions` on the read model's file; safe to use from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def listed(self, sought: Sought, *, after: str | None, limit: int) -> Listing:
        with self._one_moment() as connection:
            walk = _walk(connection, sought)
            start = _start(after, by_time=walk is not None and walk.by_time)
            if walk is None:
                return Listing((), None)
            rows = connection.execute(*walk.page(start, limit + 1)).fetchall()
            end = rows[limit - 1] if len(rows) > limit else connection.execute(*walk.end(start)).fetchone()
        return Listing(tuple(_listed(row[2:]) for row in rows[:limit]), None if end is None else _text(walk, end))

    def counted(self, sought: Sought) -> Tally:
        with self._one_moment() as connection:
            walk = _walk(connection, sought)
            if walk is None:
                return Tally(0, exact=True)
            text, values = walk.page(None, MOST_WALKED + 1)
            found = int(connection.execute(f"SELECT count(*) FROM ({text})", values).fetchone()[0])  # noqa: S608
            more = connection.execute(*walk.end(None)).fetchone() is not None
        return Tally(min(found, MOST_WALKED), exact=not more)

    def at(self, block: int, number: int) -> Listed | None:
        query = f"SELECT {_LISTED} FROM deed WHERE block = ? AND number = ?"  # noqa: S608 - constants
        row = self._database.reader().execute(query, (block, number)).fetchone()
        return None if row is None else _listed(row)

    def found(self, transaction_id: str) -> Listed | None:
        query = "SELECT block, number FROM ledger_transaction WHERE id = ?"
        row = self._database.reader().execute(query, (transaction_id,)).fetchone()
        return None if row is None else self.at(*row)

    @contextmanager
    def _one_moment(self) -> Iterator[sqlite3.Connection]:
        """A connection for which no block is applied meanwhile."""
        connection = self._database.reader()
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            connection.execute("COMMIT")


# --- What a block adds ----------------------------------------------------------------------------------------------


def note(connection: sqlite3.Connection, block: LedgerBlock) -> None:
    """Write who did what in the transactions of a block."""
    if not block.transactions:
        return
    last = int(connection.execute("SELECT coalesce(max(place), 0) FROM deed").fetchone()[0])
    terms = _Terms(connection)
    rows: list[tuple[Any, ...]] = []
    mentions: list[tuple[str, int]] = []
    for place, transaction in enumerate(block.transactions, last + 1):
        writes = transaction.writes if transaction.code == 0 else transaction.deed.refused
        references = about(write.value for write in writes)
        mentions += [(reference, place) for reference in references]
        rows.append(
            (
                place, _plain(transaction.transaction_id), block.number, transaction.index, transaction.code,
                microseconds(transaction.at), *(terms.number(*each) for each in _words(transaction)),
                _SEPARATOR.join(references),
            )
        )  # fmt: skip
    connection.executemany(_INSERT, rows)
    connection.executemany("INSERT INTO deed_about VALUES (?, ?)", mentions)


def _words(transaction: LedgerTransaction) -> Iterator[tuple[str, str | None]]:
    deed = transaction.deed
    said = (
        deed.validity or str(transaction.code), _plain(transaction.creator), deed.subject, deed.certificate,
        deed.client, deed.chaincode, deed.function, deed.event, _SEPARATOR.join(deed.endorsers),
    )  # fmt: skip
    return zip(_WORDS, said, strict=True)


class _Terms:
    """The numbers of words, looked up once for a block."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._known: dict[tuple[str, str], int] = {}

    def number(self, kind: str, text: str | None) -> int | None:
        """The number of a word; `None` where there is none."""
        if not text:
            return None
        known = self._known.get((kind, text))
        if known is None:
            known = _term(self._connection, kind, text)
            if known is None:
                known = self._connection.execute("INSERT INTO term (kind, text) VALUES (?, ?)", (kind, text)).lastrowid
            self._known[kind, text] = known = int(known or 0)
        return known


def _term(connection: sqlite3.Connection, kind: str, text: str) -> int | None:
    row = connection.execute("SELECT number FROM term WHERE kind = ? AND text = ?", (kind, text)).fetchone()
    return None if row is None else int(row[0])


# --- What is found --------------------------------------------------------------------------------------------------


class _Walk(NamedTuple):
    """A walk along one index, and what is asked of what it meets."""

    source: str
    """Table and index."""
    by_time: bool
    newest: bool
    along: tuple[str, ...]
    """Conditions that the index answers."""
    beside: tuple[str, ...]
    values: tuple[Any, ...]
    """Of both, in their order."""
    others: tuple[Any, ...]

    def page(self, start: tuple[int, ...] | None, limit: int) -> tuple[str, tuple[Any, ...]]:
        """The first `limit` transactions after a place that are as asked for: its place and time, and what is shown."""
        beside = " AND ".join(self.beside) or "1"
        text = (
            f"SELECT deed.place, deed.at, {_LISTED} FROM ({self._met(start)} LIMIT {MOST_WALKED}) AS met"  # noqa: S608
            f" JOIN deed ON deed.place = met.place WHERE {beside} ORDER BY {self._order('deed')} LIMIT ?"
        )
        return text, (*self.values, *(start or ()), *self.others, limit)

    def end(self, start: tuple[int, ...] | None) -> tuple[str, tuple[Any, ...]]:
        """Place and time of the last transaction that the walk meets, where there may be more."""
        return f"{self._met(start)} LIMIT 1 OFFSET {MOST_WALKED - 1}", (*self.values, *(start or ()))

    def _met(self, start: tuple[int, ...] | None) -> str:
        sign = "<" if self.newest else ">"
        after = () if start is None else (f"(at, place) {sign} (?, ?)" if self.by_time else f"place {sign} ?",)
        where = " AND ".join((*self.along, *after)) or "1"
        at = "at" if self.by_time else "NULL"
        return f"SELECT place, {at} AS at FROM {self.source} WHERE {where} ORDER BY {self._order()}"  # noqa: S608

    def _order(self, table: str = "") -> str:
        columns = [f"{table}.{name}" if table else name for name in (("at", "place") if self.by_time else ("place",))]
        return ", ".join(f"{column} DESC" if self.newest else column for column in columns)


_INDEXED: Final = ("client", "subject", "function", "organisation")
"""Columns with an index, those first that fewer transactions have in common."""


def _walk(connection: sqlite3.Connection, sought: Sought) -> _Walk | None:
    """How to find what is sought; `None` where no transaction can be so."""
    places = _places(connection, sought)
    words = _sought_words(connection, sought)
    if places is None or words is None:
        return None
    timed = [(f"at {sign} ?", at) for sign, at in ((">=", sought.since), ("<", sought.before)) if at is not None]
    refused = sought.validity not in (None, "VALID")
    index = next((name for name in _INDEXED if name in words), None)
    by_time = bool(timed) and sought.reference is None and not refused and index != "client"
    along: list[tuple[str, Any]] = []
    if sought.reference is not None:
        source, along = "deed_about", [("reference = ?", sought.reference)]
    elif index == "client":
        source, along = "deed INDEXED BY deed_by_client", [("client = ?", words.pop("client"))]
    elif refused:
        source = "deed INDEXED BY deed_refused"
    elif by_time:
        source, along = "deed INDEXED BY deed_by_time", timed
    elif index is not None:
        source, along = f"deed INDEXED BY deed_by_{index}", [(f"{index} = ?", words.pop(index))]
    else:
        source = "deed"
    plain = ("code <> 0",) if source.endswith("deed_refused") else ()
    ranged = [(f"place {sign} ?", place) for sign, place in zip((">=", "<="), places, strict=True) if place is not None]
    beside = [(f"{name} = ?", number) for name, number in words.items()]
    if by_time:
        beside += ranged
    else:
        along += ranged
        beside += timed
    others = ("code <> 0",) if sought.validity == INVALID else ()
    return _Walk(
        source, by_time, sought.newest,
        (*plain, *(text for text, _ in along)),
        (*others, *(f"deed.{text}" for text, _ in beside)),
        tuple(value for _, value in along),
        tuple(value for _, value in beside),
    )  # fmt: skip


def _sought_words(connection: sqlite3.Connection, sought: Sought) -> dict[str, int] | None:
    """The numbers of the words that are asked for; `None` where one is nowhere."""
    asked = {name: getattr(sought, name) for name in (*_INDEXED, "certificate", "validity")}
    found: dict[str, int] = {}
    for name, text in asked.items():
        if text is None or (name == "validity" and text == INVALID):
            continue
        number = _term(connection, name, text)
        if number is None:
            return None
        found[name] = number
    return found


def _places(connection: sqlite3.Connection, sought: Sought) -> tuple[int | None, int | None] | None:
    """The first and the last place of the blocks that are asked for; `None` where they hold none."""
    ends: list[int | None] = []
    for height, sign, order in ((sought.from_height, ">=", "ASC"), (sought.until_height, "<", "DESC")):
        if height is None:
            ends.append(None)
            continue
        query = f"SELECT place FROM deed WHERE block {sign} ? ORDER BY block {order}, number {order} LIMIT 1"  # noqa: S608
        row = connection.execute(query, (height,)).fetchone()
        if row is None:
            return None
        ends.append(int(row[0]))
    return ends[0], ends[1]


def _start(after: str | None, *, by_time: bool) -> tuple[int, ...] | None:
    """Where a page ended, as the walk goes on after it; `ValueError` where that is not the end of one."""
    if after is None:
        return None
    found = _AFTER.fullmatch(after)
    if found is None or (found[2] is not None) is not by_time:
        raise ValueError(after)
    place = int(found[1])
    return (int(found[2]), place) if by_time else (place,)


def _text(walk: _Walk, end: Sequence[Any]) -> str:
    return f"{end[0]}:{end[1]}" if walk.by_time else str(end[0])


def _listed(row: Sequence[Any]) -> Listed:
    transaction_id, block, number, code, at, references, *words = row
    word = dict(zip(_WORDS, words, strict=True))
    return Listed(
        id=transaction_id,
        block=block,
        number=number,
        code=code,
        validity=word["validity"],
        at=at,
        organisation=word["organisation"] or "",
        subject=word["subject"] or "",
        certificate=word["certificate"] or "",
        client=word["client"],
        chaincode=word["chaincode"] or "",
        function=word["function"],
        event=word["event"],
        endorsers=_parts(word["endorsers"]),
        about=_parts(references),
    )


def _parts(joined: str | None) -> tuple[str, ...]:
    return tuple(joined.split(_SEPARATOR)) if joined else ()


def _plain(text: str) -> str:
    """Text of an envelope's header, bounded and fit to be shown."""
    cut = text[:_LONGEST_ID]
    return cut if cut.isprintable() else cut.encode("unicode_escape").decode("ascii")
