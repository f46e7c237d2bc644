# SPDX-License-Identifier: Apache-2.0
"""Who waits for which transaction or height; notified by the projector after each applied block."""

import math
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from gateway.services.monotonic import SYSTEM, Monotonic
from gateway.services.ports import Category, LedgerBlock, Outcome, PortError

_PAUSE = 3.0
"""Seconds without a block after which the next one means that ordering, or the stream, had stopped and goes on."""
_GRACE = 1.0
"""Seconds that an envelope from before a pause has to turn up in the blocks behind it."""


class Behind(PortError):
    """The read model has not reached the height that was asked for within the time allowed."""

    code = "behind"
    category = Category.UNAVAILABLE
    retryable = True


class Commits:
    """Meeting point of the one block stream and the many threads that wait for it; thread-safe."""

    def __init__(self, height: int = 0, *, waiters: int = 16, monotonic: Monotonic = SYSTEM) -> None:
        self._monotonic = monotonic
        self._height = height
        self._known_height = height
        self._behind_since: float | None = None
        self._last_block = self._resumed = -math.inf
        self._waiting: dict[str, list[Future[Outcome]]] = {}
        self._changed = threading.Condition()
        self._patience = threading.BoundedSemaphore(waiters)

    @property
    def height(self) -> int:
        """Blocks applied to the read model."""
        return self._height

    @property
    def lag(self) -> int:
        """How many blocks are known to exist that the read model does not hold yet."""
        return max(0, self._known_height - self._height)

    @property
    def behind_for(self) -> float:
        """Seconds since the read model last held every block that was known to exist; 0 while it does."""
        since = self._behind_since
        return 0.0 if since is None else max(0.0, self._monotonic.now() - since)

    def passed_over(self, sent: float) -> bool:
        """Whether what was ordered at `sent` (monotonic) should have been in a block, because blocks come again.

        Ordering that stopped, as while a leader is elected, may have lost what it had accepted.
        """
        return sent < self._resumed <= self._monotonic.now() - _GRACE

    def applied(self, block: LedgerBlock) -> None:
        """Say that a block is visible in the read model; called by the projector only."""
        now = self._monotonic.now()
        with self._changed:
            if now - self._last_block >= _PAUSE:
                self._resumed = now
            self._last_block = now
            self._height = block.number + 1
            self._known_height = max(self._known_height, self._height)
            if self._known_height == self._height:
                self._behind_since = None
            found = [
                (future, Outcome(transaction.transaction_id, transaction.code, block.number, transaction.envelope))
                # What is valid first: others may have ordered something invalid under the same id, in the same block.
                for transaction in sorted(block.transactions, key=lambda each: each.code != 0)
                for future in self._waiting.pop(transaction.transaction_id, ())
            ]
            self._changed.notify_all()
        for future, outcome in found:
            future.set_result(outcome)

    def reset(self, height: int) -> None:
        """Start over from another height, when the read model was cleared or opened."""
        with self._changed:
            self._height = height
            self._changed.notify_all()

    def seen(self, block: int) -> None:
        """Note that the ledger holds this block, learnt elsewhere than from the stream."""
        with self._changed:
            self._known_height = max(self._known_height, block + 1)
            if self._known_height > self._height and self._behind_since is None:
                self._behind_since = self._monotonic.now()

    @contextmanager
    def expect(self, transaction_id: str) -> "Iterator[Future[Outcome]]":
        """A future for the first sight of a transaction; ask for it *before* submitting."""
        future: Future[Outcome] = Future()
        with self._changed:
            self._waiting.setdefault(transaction_id, []).append(future)
        try:
            yield future
        finally:
            with self._changed:
                waiting = self._waiting.get(transaction_id)
                if waiting is not None and future in waiting:
                    waiting.remove(future)
                    if not waiting:
                        del self._waiting[transaction_id]

    def wait_for_height(self, height: int, timeout: float) -> None:
        """Return once the read model holds `height` blocks; raises `Behind` after `timeout` seconds.

        Only a bounded number of callers may wait, so that waiting cannot use up the server's threads.
        """
        if self._height >= height:
            return
        if not self._patience.acquire(blocking=False):
            raise Behind("too many requests wait for a later height", height=self._height, asked=height)
        try:
            deadline = time.monotonic() + timeout
            with self._changed:
                while self._height < height:
                    remaining = deadline - time.monotonic()
                    if remaining <= 0 or not self._changed.wait(remaining):
                        break
                reached = self._height
        finally:
            self._patience.release()
        if reached < height:
            raise Behind(f"the read model is at height {reached}", height=reached, asked=height)
