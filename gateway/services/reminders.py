# SPDX-License-Identifier: Apache-2.0
"""Reminds this organisation, once, of what it is to do: when a block brings it, or when its time has come.

Each reminder is on disk with a number before it is logged, so that a restart repeats none of the list; a crash between
the two has its line logged again. One that is over and comes back is another reminder. Nothing is looked for before
every block that is known to exist was read, since half a ledger awaits what the whole does not.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.services.duties import Due, Duties, ReminderKind
from gateway.services.ports import Clock, Json, Meter, PortError

_LOG = logging.getLogger(__name__)
_NOT_READ: Final = 0.5
"""Seconds after which it is asked again whether all blocks were read."""
_NOT_LEADING: Final = 30.0
"""Seconds after which one that does not remind looks whether it is to."""
_SHORTEST: Final = 1.0
_RATIO: Final = 20.0
"""A round is followed by a pause of so many times as long as it took, so that it costs a busy gateway little."""
_LONGEST: Final = 86_400.0
PAGE: Final = 100
"""Reminders of one answer."""
_WORDS: Final[Mapping[ReminderKind, str]] = {
    ReminderKind.AWAITS: "awaits your endorsement for the stage {stage}",
    ReminderKind.EXPIRES: "is approved by endorsements of which the first that counts ends soon",
    ReminderKind.LOST: "was approved by a quorum that is not there any more",
}


@dataclass(frozen=True, slots=True)
class Reminder:
    """A reminder as it is kept."""

    number: int
    due: Due
    at: int
    """When it was given, milliseconds since 1970."""
    ended_at: int | None
    """When it was found that nothing is due any more; None while it is."""


class ReminderStore(Protocol):
    """Keeps reminders by their numbers; thread-safe. What returned would survive a power cut."""

    def keep(self, duties: Duties, at: int) -> None:
        """Make reminders of what is due and has none, and end those of what is not due any more, if all is known."""
        ...

    def unlogged(self) -> Sequence[Reminder]:
        """Those that may not have been logged, in their order."""
        ...

    def logged(self, number: int) -> None:
        """Note that those up to a number were logged."""
        ...

    def following(self, after: int, *, kind: str | None, ended: bool | None, limit: int) -> Sequence[Reminder]:
        """Those after a number, in their order; of one kind, and those that have ended or not, where that is said."""
        ...


class Reminders:
    """A thread that reminds, and the list of what it has reminded of."""

    def __init__(
        self, find: Callable[[], Duties], store: ReminderStore, *, caught_up: Callable[[], bool], meter: Meter,
        organisation: str, clock: Clock, leads: Callable[[], bool] = lambda: True, shortest: float = _SHORTEST,
    ) -> None:  # fmt: skip
        """Assign.

        Args:
            find: what is due now.
            leads: whether this is the one of the gateways with these stores that reminds; the others only count.
            caught_up: whether every block that is known to exist has been read.
            shortest: seconds between two rounds, at least.
        """
        self._find = find
        self._store = store
        self._caught_up = caught_up
        self._meter = meter
        self._organisation = organisation
        self._clock = clock
        self._leads = leads
        self._shortest = shortest
        self._changed = threading.Event()
        self._stopping = threading.Event()
        self._due: Counter[str] = Counter()
        self._thread = threading.Thread(target=self.run, name="reminders", daemon=True)

    def start(self) -> None:
        """Begin with what is due now."""
        self._changed.set()
        self._thread.start()

    def changed(self) -> None:
        """Something was written to the ledger; returns at once."""
        self._changed.set()

    def stop(self, timeout: float = 5.0) -> None:
        """Stop between two rounds."""
        self._stopping.set()
        self._changed.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def due(self, kind: ReminderKind) -> int:
        """How many things of a kind were due when it was last looked at."""
        return self._due[kind]

    def page(self, *, after: int | None, kind: str | None, ended: bool | None) -> Json:
        """Reminders after a number, and the number to go on from: where nothing more has come yet, the one given."""
        found = self._store.following(after or 0, kind=kind, ended=ended, limit=PAGE)
        return {
            "organisation": self._organisation,
            "items": [_shown(each) for each in found],
            "next": found[-1].number if found else after,
        }

    def run(self) -> None:
        """Work until stopped: after each block, and when the next time has come."""
        wait = _LONGEST
        failed = False
        while not self._stopping.is_set():
            self._changed.wait(wait)
            self._changed.clear()
            if self._stopping.is_set():
                return
            began = time.monotonic()
            try:
                wait = self.round()
                failed = False
            except Exception as exc:
                # Also where the stores were closed meanwhile; what is on disk is not repeated.
                if not failed and not self._stopping.is_set():
                    _LOG.warning(
                        "reminders wait: %s", exc.message if isinstance(exc, PortError) else type(exc).__name__
                    )
                failed, wait = True, self._shortest
            pause = max(self._shortest, _RATIO * (time.monotonic() - began))
            self._stopping.wait(pause)
            wait = max(0.0, wait - pause)

    def round(self) -> float:
        """Look once, and remind; answers the seconds until time alone makes it worth looking again."""
        if not self._caught_up():
            return _NOT_READ
        duties = self._find()
        now = int(self._clock() * 1_000)
        self._due = Counter(each.kind for each in duties.due)
        if not self._leads():
            return _NOT_LEADING
        self._store.keep(duties, now)
        for each in self._store.unlogged():
            _LOG.warning("reminder %d: %s", each.number, sentence_of(each.due))
            self._meter.count(f"reminded_{each.due.kind}")
            self._store.logged(each.number)
        if duties.following is None:
            return _LONGEST
        return min(_LONGEST, max(0.0, duties.following / 1_000 - self._clock()))


def sentence_of(due: Due) -> str:
    """What a reminder says, in words."""
    return f"{due.artifact} of {due.owner} {_WORDS[due.kind].format(stage=due.stage)}"


def _shown(reminder: Reminder) -> Json:
    due = reminder.due
    return {
        "number": reminder.number,
        "kind": due.kind.value,
        "artifact": due.artifact,
        "owner": due.owner,
        "stage": due.stage,
        "ends_at": due.ends_at,
        "at": reminder.at,
        "ended_at": reminder.ended_at,
        "says": sentence_of(due),
    }
