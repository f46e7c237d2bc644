# SPDX-License-Identifier: Apache-2.0
"""What nobody finishes is ended and removed: deliveries whose time is over, and what a killed process left half made.

Each chore does a bounded piece of work at a time, so that others write in between, and touches nothing that is younger
than a request can be, or that a request of this process is at. What a version on the ledger may need is none of its
business: the operator's collectors (`pedigree blobs gc`, `pedigree records gc`) look at the ledger first.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.services.blobstores import BlobStore, Publications
from gateway.services.deliverylog import DeliveryLog
from gateway.services.failures import PortError
from gateway.services.holdings import Records
from gateway.services.ports import Clock, Meter

OLDEST: Final = 86_400.0
"""Seconds after which no request can be at what is half made; a request has hours at the most."""
REFUSALS_KEPT: Final = 90 * 86_400.0
"""Seconds that it is kept who was refused data, where nothing was given out."""
MOST_REFUSALS: Final = 100_000
"""Refusals that are kept, so that nobody fills the disk by being refused."""
AT_ONCE: Final = 500
"""Things that one chore ends or removes at a time."""
_OFTEN: Final = 30.0
_SELDOM: Final = 3_600.0
_PAUSE: Final = 1.0
"""Seconds until a chore goes on that had more to do than it does at a time."""
_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class Chore:
    """Something that is done from time to time."""

    what: str
    """What it ends or removes, as the log line and the metric name it."""
    every: float
    """Seconds from one time to the next."""
    work: Callable[[float], int]
    """Given the time, ends or removes at most `AT_ONCE` things; how many these were."""
    due: float = field(default=0.0)


class Sweeper:
    """Does the chores that are due, in a thread of its own."""

    def __init__(
        self, chores: Sequence[Chore], meter: Meter, clock: Clock, leads: Callable[[], bool] = lambda: True
    ) -> None:
        """Assign.

        Args:
            clock: seconds since 1970; by it chores are due, and things are old.
            leads: whether it is for this gateway to do them.
        """
        self._chores = chores
        self._meter = meter
        self._clock = clock
        self._leads = leads
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)

    def start(self) -> None:
        """Begin; every chore is due."""
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Stop after the chore that is under way."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def sweep(self) -> Mapping[str, int]:
        """Do what is due now; how much of what was ended or removed."""
        done: dict[str, int] = {}
        for chore in self._chores:
            now = self._clock()
            if self._stopping.is_set() or chore.due > now:
                continue
            chore.due = now + chore.every
            try:
                count = chore.work(now)
            except (PortError, OSError, RuntimeError) as exc:
                self._meter.count("sweep_failed")
                _LOG.warning("%s could not be swept, and are tried again: %s", chore.what, exc)
                continue
            if count >= AT_ONCE:
                chore.due = now + _PAUSE
            if count:
                done[chore.what] = count
                for _ in range(count):
                    self._meter.count(f"swept_{chore.what.replace(' ', '_')}")
        if done:
            _LOG.info("swept: %s", ", ".join(f"{count} {what}" for what, count in done.items()))
        return done

    def _run(self) -> None:
        while not self._stopping.wait(0):
            if self._leads():
                self.sweep()
            soonest = min((chore.due for chore in self._chores), default=0.0)
            self._stopping.wait(min(_OFTEN, max(_PAUSE, soonest - self._clock())))


def chores(
    deliveries: DeliveryLog,
    records: Records,
    blobs: BlobStore,
    publications: Publications,
    publishing: Callable[[str], bool],
) -> Sequence[Chore]:
    """What a gateway sweeps.

    Args:
        publishing: whether a request of this process puts a blob of this name now.
    """

    def unfinished_records(now: float) -> int:
        found = records.unfinished(before=now - OLDEST)[:AT_ONCE]
        for key in found:
            records.abandon(key)
        return len(found)

    def orphans(now: float) -> int:
        count = 0
        for found in blobs.list():
            if found.at >= now - OLDEST or publishing(found.name):
                continue
            if publications.find(bytes.fromhex(found.name)) is not None:
                continue
            # No key of it was ever kept: nothing opens it.
            blobs.remove(found.name)
            count += 1
            if count == AT_ONCE:
                break
        return count

    return (
        Chore("deliveries ended", _OFTEN, lambda now: deliveries.end_old(now, AT_ONCE)),
        Chore("nonces", _OFTEN, lambda now: deliveries.forget_nonces(now, AT_ONCE)),
        Chore(
            "refusals", _SELDOM,
            lambda now: deliveries.forget_refusals(now - REFUSALS_KEPT, MOST_REFUSALS, AT_ONCE),
        ),
        Chore("unfinished record sets", _SELDOM, unfinished_records),
        Chore("unfinished blobs", _SELDOM, lambda now: blobs.forget_unfinished(now - OLDEST, AT_ONCE)),
        Chore("orphaned blobs", 6 * _SELDOM, orphans),
    )  # fmt: skip
