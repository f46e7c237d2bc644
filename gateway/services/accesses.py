# SPDX-License-Identifier: Apache-2.0
"""Every use of data in one list: attempts, which are transactions, and the small reads that this gateway decided.

Both are kept in the order in which they were made; the list merges them by their times, the first one first. A cursor
says how far each of the two was listed, so what comes meanwhile is listed where it belongs or at the end, and nothing
twice.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from gateway.services.catalogue import Catalogue, shown
from gateway.services.conditions import CREATED, Conditions, OneOf, Within
from gateway.services.cursors import closed, opened
from gateway.services.filters import InvalidParameter, conditions_of
from gateway.services.ports import Entry, Json
from gateway.services.readlistings import ReadListings
from gateway.services.readlog import Kept, ReadLog

_ATTEMPT: Final = "access-attempt"
_LIST: Final = "accesses"
"""What its cursors are of."""
_ROUNDS: Final = 8
"""How often one page asks for attempts that suit its filters."""
MOST_LOOKED_AT: Final = 2_000
"""Reads that one page looks at for those that suit its filters."""
_AT_ONCE: Final = 200
_SAID: Final = ("at", "by", "grant", "artifact", "action", "purpose", "decision", "reason", "attempt")


class _Place(NamedTuple):
    """How far both were listed."""

    attempts: str | None = None
    """A cursor of the attempts."""
    beyond: int = 0
    """How many were listed behind it: where a list ends there is no cursor yet."""
    reads: int = 0
    """The key of a read."""


@dataclass(frozen=True, slots=True)
class _Attempts:
    """What comes next of the attempts."""

    items: Sequence[Entry]
    after: str | None
    whole: bool
    """Whether there is nothing behind them."""


@dataclass(frozen=True, slots=True)
class _Reads:
    """What comes next of the reads, each with the time by which it is placed."""

    items: Sequence[tuple[int, Kept]]
    after: int
    whole: bool


class Accesses:
    """Lists them."""

    def __init__(self, catalogue: Catalogue, log: ReadLog, listings: ReadListings, organisation: str) -> None:
        """Assign.

        Args:
            organisation: the MSP id of the one whose data the reads are of.
        """
        self._catalogue = catalogue
        self._log = log
        self._listings = listings
        self._organisation = organisation

    def page(self, *, cursor: str | None, limit: int, filters: Mapping[str, str]) -> Json:
        """A page of `items`, and `next` for the one after it; a page may hold few items and have a `next`.

        What was altered so that nobody can say what it was is listed whatever was asked for, but for the grant. Raises
        `InvalidParameter`.
        """
        asked = conditions_of(filters)
        place = _opened(cursor, asked)
        attempts = self._attempts(asked, place, limit)
        reads = self._reads(asked, place.reads, filters.get("grant"), limit)
        taken = _merged(attempts, reads, limit)
        kept = [each for each in taken if isinstance(each, Kept)]
        shown_reads = iter(self._listings.entries(kept))
        items = [self._attempt(each) if isinstance(each, Entry) else self._read(next(shown_reads)) for each in taken]
        if attempts.whole and reads.whole and len(taken) == len(attempts.items) + len(reads.items):
            return {"items": items, "next": None}
        after, beyond = self._after(asked, place, attempts, len(taken) - len(kept))
        last = reads.after if len(kept) == len(reads.items) else kept[-1].key if kept else place.reads
        return {"items": items, "next": closed(json.dumps([after, beyond, last]), _LIST, asked)}

    def _attempts(self, asked: Conditions, place: _Place, limit: int) -> _Attempts:
        found: list[Entry] = []
        after: str | None = place.attempts
        wanted = limit + place.beyond
        for _ in range(_ROUNDS):
            some, following = self._catalogue.some(_ATTEMPT, asked, cursor=after, limit=wanted - len(found))
            found += some
            if following is None:
                return _Attempts(found[place.beyond :], after, whole=True)
            after = following
            if len(found) >= wanted:
                break
        return _Attempts(found[place.beyond :], after, whole=False)

    def _after(self, asked: Conditions, place: _Place, attempts: _Attempts, count: int) -> tuple[str | None, int]:
        """Where the attempts go on behind the first so many of those that were found."""
        if count == len(attempts.items) and not attempts.whole:
            return attempts.after, 0
        after, left = place.attempts, place.beyond + count
        while left:
            some, following = self._catalogue.some(_ATTEMPT, asked, cursor=after, limit=left)
            if following is None:
                break
            after, left = following, left - len(some)
        return after, left

    def _reads(self, asked: Conditions, after: int, grant: str | None, limit: int) -> _Reads:
        if any(
            isinstance(each, OneOf) and each.name == "owner" and self._organisation not in each.values for each in asked
        ):
            return _Reads((), after, whole=True)
        found: list[tuple[int, Kept]] = []
        at = 0
        for _ in range(MOST_LOOKED_AT // _AT_ONCE):
            some = self._log.following(after, grant=grant, limit=_AT_ONCE)
            for each in some:
                after = each.key
                said = _said(each)
                at = int(said["at"]) if said is not None else at
                if said is None or _suits(said, asked):
                    found.append((at, each))
                    if len(found) == limit:
                        return _Reads(found, after, whole=False)
            if len(some) < _AT_ONCE:
                return _Reads(found, after, whole=True)
        return _Reads(found, after, whole=False)

    def _attempt(self, entry: Entry) -> Json:
        plain = shown(entry)
        return {
            **_columns(entry.value),
            "form": "attempt",
            "owner": entry.value.get("owner"),
            "transaction": plain["transaction"],
            "read": None,
        }

    def _read(self, entry: Json) -> Json:
        return {
            **_columns(entry["read"] or {}),
            "form": "read",
            "owner": self._organisation,
            "transaction": None,
            "read": entry,
        }


def _columns(said: Json) -> Json:
    return {name: said.get(name) for name in _SAID}


def _opened(cursor: str | None, asked: Conditions) -> _Place:
    text = opened(cursor, _LIST, asked)
    if text is None:
        return _Place()
    try:
        attempts, beyond, reads = json.loads(text)
        return _Place(attempts if attempts is None else str(attempts), int(beyond), int(reads))
    except (ValueError, TypeError):
        raise InvalidParameter("cursor", "it must be the 'next' of an earlier page of this list") from None


def _merged(attempts: _Attempts, reads: _Reads, limit: int) -> list[Entry | Kept]:
    """The first so many of both; where one of them may go on before the other's next, that one waits."""
    taken: list[Entry | Kept] = []
    first, second = 0, 0
    while len(taken) < limit:
        attempt = attempts.items[first] if first < len(attempts.items) else None
        read = reads.items[second] if second < len(reads.items) else None
        if (attempt is None and not attempts.whole) or (read is None and not reads.whole):
            break
        if attempt is not None and (read is None or int(attempt.value["at"]) <= read[0]):
            taken.append(attempt)
            first += 1
        elif read is not None:
            taken.append(read[1])
            second += 1
        else:
            break
    return taken


def _said(kept: Kept) -> Json | None:
    """What a read says; None where it was altered so that it says nothing."""
    try:
        value = json.loads(kept.leaf)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and type(value.get("at")) is int else None


def _suits(said: Json, asked: Conditions) -> bool:
    """Whether a read is as it is asked for, but for whose data it is of."""
    for each in asked:
        if isinstance(each, OneOf) and each.name != "owner" and said.get(each.name) not in each.values:
            return False
        if isinstance(each, Within) and each.name == CREATED:
            low, high = int(each.low), each.high
            if not (low <= said["at"] and (high is None or said["at"] < int(high))):
                return False
    return True
