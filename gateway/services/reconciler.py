# SPDX-License-Identifier: Apache-2.0
"""Finishes what requests left behind: unknown outcomes, promises, and whatever a crash interrupted.

It runs the very code that requests run (`Submitter.settle`), over and over, until a block decides.
"""

import heapq
import logging
import threading
import time

from gateway.services.ports import Submission
from gateway.services.submitter import Submitter

_LOG = logging.getLogger(__name__)
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 5.0


class Reconciler:
    """A few threads that work through the orphans; each orphan keeps its own growing pause."""

    def __init__(self, submitter: Submitter, *, threads: int = 4) -> None:
        self._submitter = submitter
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self.run, name=f"reconciler-{number}", daemon=True) for number in range(threads)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Stop between two rounds; open submissions stay on disk."""
        self._stopping.set()
        self._submitter.wake(len(self._threads))
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout)

    def run(self) -> None:
        """Work until stopped."""
        later: list[tuple[float, str, float, Submission]] = []
        while not self._stopping.is_set():
            now = time.monotonic()
            timeout = min(0.5, max(0.0, later[0][0] - now)) if later else 0.5
            orphan = self._submitter.take_orphan(timeout)
            if orphan is not None:
                self._round(orphan, _FIRST_PAUSE, later)
            if later and later[0][0] <= time.monotonic():
                _, _, pause, submission = heapq.heappop(later)
                self._round(submission, min(pause * 2, _LONGEST_PAUSE), later)

    def _round(self, submission: Submission, pause: float, later: list[tuple[float, str, float, Submission]]) -> None:
        try:
            remaining = self._submitter.settle(submission)
        except Exception:  # the disk, most likely: not even an end could be written down
            _LOG.exception("submission %s could not be settled; trying again", submission.id)
            remaining = submission
        if remaining is not None:
            heapq.heappush(later, (time.monotonic() + pause, remaining.id, pause, remaining))
