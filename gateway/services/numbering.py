# SPDX-License-Identifier: Apache-2.0
"""The number of a version where nobody chose one: the next, and the one after that where another took it.

A submission says which fields the gateway filled in. Those alone are changed when its number is lost, only while
nothing of its present attempt was ordered, and under the next attempt's transaction id. What the caller chose is left
as it is and refused as it would be.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from chaincode.domain import codec
from chaincode.domain.errors import AlreadyExists, LedgerError, VersionOutOfOrder
from chaincode.domain.register import ACTION, RECORDS
from gateway.services.catalogue import Catalogue
from gateway.services.ports import Json, PortError, Submission, Unavailable

NUMBER: Final = "number"
UPLOADED: Final = ("number", "change", "parent_root", "root", "size", "leaf_schema", "consistency", "header")
"""What the gateway fills in of a version whose records it was sent."""
_SUCCESSION: Final = ("change", "parent_root")
"""What a version says of the one before it, where its kind's versions can replace one another."""
_ALONE: Final = ("access-policy",)
"""Kinds with numbers that are versions of no record."""
_VERSIONS: Final = {
    action.function: (kind.name, next(iter(kind.key)))
    for kind in RECORDS
    if kind.belongs_to or kind.name in _ALONE
    for action in kind.actions
}
"""The functions that record a version: its kind, and the field with the name of what it is a version of."""
_SEEN_WITHIN: Final = 5.0
"""Seconds within which a version that the peer has must be visible here."""
_POLL: Final = 0.02


class Numbering:
    """Fills numbers in; thread-safe. One submission at a time is on its way to the next version of one thing."""

    def __init__(self, catalogue: Catalogue, follow: Callable[[str, str, Json], Json]) -> None:
        """Assign.

        Args:
            follow: what a version is that has the records under a root and comes after another one; see
                `Drafts.follow`.
        """
        self._catalogue = catalogue
        self._follow = follow
        self._lock = threading.Lock()
        self._turns: dict[tuple[str, str], threading.Lock] = {}
        self._waiting: Counter[tuple[str, str]] = Counter()

    def filled(self, function: str, body: Json) -> tuple[str, ...]:
        """The fields that are left to the gateway in what a client sends; none where it names the number."""
        if function not in _VERSIONS or NUMBER in body:
            return ()
        kind, _ = ACTION[function]
        return (NUMBER, *(name for name in _SUCCESSION if kind.replaces is not None and name not in body))

    def fill(self, function: str, body: Json, name: str, filled: tuple[str, ...]) -> Json:
        """The body with what follows from the last version that is known here."""
        kind, field = _VERSIONS[function]
        last = self._catalogue.last(kind, **{field: name})
        given: Json = {NUMBER: 1 if last is None else last[NUMBER] + 1}
        if last is not None:
            given |= {"change": "replaces", "parent_root": last.get("root")}
        return {**body, **{field: value for field, value in given.items() if field in filled}}

    @contextmanager
    def turn(self, submission: Submission, within: float) -> Iterator[bool]:
        """Whether it is this submission's turn `within` so many seconds: two at once could not both succeed."""
        kind, field = _VERSIONS[submission.function]
        key = kind, str(json.loads(submission.command)[field])
        with self._lock:
            turn = self._turns.setdefault(key, threading.Lock())
            self._waiting[key] += 1
        mine = turn.acquire(timeout=max(0.0, within))
        try:
            yield mine
        finally:
            if mine:
                turn.release()
            with self._lock:
                self._waiting[key] -= 1
                if not self._waiting[key]:
                    del self._waiting[key], self._turns[key]

    def renewed(self, submission: Submission) -> Submission:
        """The submission as what comes after the last version that is known here; itself where it is that."""
        command: Json = json.loads(submission.command)
        kind, field = _VERSIONS[submission.function]
        last = self._catalogue.last(kind, **{field: command[field]})
        if last is None or last[NUMBER] + 1 == command[NUMBER]:
            return submission
        kept = {name: value for name, value in command.items() if name not in submission.filled}
        if "root" in submission.filled:
            following = {NUMBER: last[NUMBER] + 1, **self._follow(command[field], str(command["root"]), last), **kept}
        else:
            following = self.fill(submission.function, kept, str(command[field]), submission.filled)
        return replace(submission, command=codec.to_json(codec.from_plain(following)).decode())

    def after(self, submission: Submission, refusal: PortError | LedgerError) -> Submission | None:
        """The next attempt of a submission that was refused for a number which nobody chose; `None` for any other.

        Raises `Unavailable` where what is in the way cannot be seen here yet.
        """
        if not submission.filled or refusal.code not in (AlreadyExists.code, VersionOutOfOrder.code):
            return None
        kind, field = _VERSIONS[submission.function]
        command = json.loads(submission.command)
        if refusal.code == VersionOutOfOrder.code:
            raise self._behind(f"the peer does not have the version before {command[NUMBER]} yet")
        until = time.monotonic() + _SEEN_WITHIN
        while True:
            last = self._catalogue.last(kind, **{field: command[field]})
            if last is not None and last[NUMBER] >= command[NUMBER]:
                break
            if time.monotonic() > until:
                raise self._behind(f"version {command[NUMBER]} exists already and is not visible here yet")
            time.sleep(_POLL)
        return replace(self.renewed(submission), attempt=submission.attempt + 1)

    @staticmethod
    def _behind(what: str) -> Unavailable:
        return Unavailable(what, code="behind", retry_after=1)
