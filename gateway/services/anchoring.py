# SPDX-License-Identifier: Apache-2.0
"""Commits to the reads that were kept: every few seconds, one transaction for all that came since.

A list is closed on disk, with its number and root, before it is sent; so what a crash interrupts is sent again as it
was, and under the same key. Where the ledger has that list already, it is done; where it has another one under the
number, as after a backup was put back, the list takes the next.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

from chaincode.domain import codec, merkle
from chaincode.domain.reads import AccessRead
from gateway.services.catalogue import Catalogue
from gateway.services.endings import Failed
from gateway.services.ports import Json
from gateway.services.readlog import Batch, Kept, ReadLog
from gateway.services.submitter import Answer, Intent

MOST: Final = 4_096
"""Reads of one list."""
_LOG = logging.getLogger(__name__)
CLIENT: Final = "pedigree-reads"
"""On whose behalf the gateway records them: its own."""

Record = Callable[[Intent, str, Json], Answer]


class Anchoring:
    """A thread that anchors, and what it does."""

    def __init__(
        self, log: ReadLog, catalogue: Catalogue, record: Record, organisation: str, *, every: float,
        leads: Callable[[], bool] = lambda: True,
    ) -> None:  # fmt: skip
        """Assign.

        Args:
            record: has a command recorded, of an intent, a function and a body.
            every: seconds between two lists.
            leads: whether it is for this gateway to anchor.
        """
        self._leads = leads
        self._log = log
        self._catalogue = catalogue
        self._record = record
        self._organisation = organisation
        self._every = every
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self.run, name="anchoring", daemon=True)

    def start(self) -> None:
        """Anchor what a former process left, and go on."""
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Stop between two lists; what waits is on disk."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def run(self) -> None:
        """Work until stopped."""
        failed = False
        while not self._stopping.is_set():
            try:
                while self._leads() and self.anchor():
                    failed = False
            except Exception:  # the ledger or the disk: what was read is kept, and is anchored later
                if not failed:
                    _LOG.exception("reads could not be anchored; trying again every %.0f s", self._every)
                failed = True
            self._stopping.wait(self._every)

    def anchor(self) -> bool:
        """Commit to what is kept; whether a list of the most reads was anchored, after which more may wait."""
        batch = self._log.open_batch() or self._closed()
        return batch is not None and self._anchored(batch) and batch.size == MOST

    def _closed(self) -> Batch | None:
        """A list of what waits, on disk; None where nothing does."""
        reads = self._log.waiting(MOST)
        if not reads:
            return None
        last = self._catalogue.last("access-batch", owner=self._organisation)
        number = max(self._log.last_number(), 0 if last is None else last["number"]) + 1
        batch = _batch(number, reads)
        self._log.close(batch, reads)
        return batch

    def _anchored(self, batch: Batch) -> bool:
        """Whether the ledger has a list; it is sent where that is not known."""
        found = self._catalogue.find("access-batch", owner=self._organisation, number=str(batch.number))
        if found is not None and found.value["root"] == batch.root.hex():
            self._log.anchored(batch.number)
            return True
        if found is not None:
            last = self._catalogue.last("access-batch", owner=self._organisation)
            number = batch.number + 1 if last is None else int(last["number"]) + 1
            _LOG.warning("the ledger has another list of reads as number %d; this one is %d", batch.number, number)
            self._log.renumber(batch, number)
            return False
        answer = self._record(_intent(batch), "access:anchor", _body(batch))
        if isinstance(answer.ending, Failed):
            _LOG.warning("list %d of reads was not taken: %s", batch.number, answer.ending.detail)
        elif answer.ending is not None:
            self._log.anchored(batch.number)
            return True
        return False


def _batch(number: int, reads: Sequence[Kept]) -> Batch:
    times = [int(read.at) for each in reads if isinstance(read := codec.from_json(each.leaf), AccessRead)]
    return Batch(number, merkle.root(each.leaf for each in reads), len(reads), min(times), max(times))


def _body(batch: Batch) -> Json:
    return {
        "number": batch.number,
        "root": batch.root.hex(),
        "size": batch.size,
        "since": batch.since,
        "until": batch.until,
    }


def _intent(batch: Batch) -> Intent:
    """The same for a list whenever it is sent."""
    key = f"reads-{batch.number}-{batch.root.hex()}"
    return Intent(CLIENT, key, sha256(key.encode()).hexdigest())
