# SPDX-License-Identifier: Apache-2.0
"""A circuit breaker: a peer that failed several times in a row is left alone, and then tried by one caller at a time.

    closed ──(threshold failures in a row)──▶ open ──(pause over)──▶ half-open ──(trial succeeds)──▶ closed
                                               ▲                         │
                                               └──(trial fails: twice the pause, with jitter)

It opens no socket and starts no thread: time and chance are arguments.
"""

import random
import threading
import time
from collections.abc import Callable
from typing import Literal

State = Literal["closed", "open", "half-open"]


class Breaker:
    """Counts failures in a row; thread-safe. Times in seconds."""

    def __init__(
        self,
        *,
        threshold: int = 3,
        first_pause: float = 0.5,
        longest_pause: float = 5.0,
        trial_within: float = 20.0,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """Assign.

        Args:
            trial_within: a trial that nobody ended by then is taken for lost, and another caller may try.
            jitter: a number between its two arguments, so that many callers do not come back together.
        """
        self._threshold = threshold
        self._first_pause = first_pause
        self._longest_pause = longest_pause
        self._trial_within = trial_within
        self._clock = clock
        self._jitter = jitter
        self._lock = threading.Lock()
        self._failures = 0
        self._opened = 0
        """How many times in a row it has opened without closing in between."""
        self._until = 0.0
        self._trial_until: float | None = None

    @property
    def state(self) -> State:
        if self._opened == 0:
            return "closed"  # by far the most frequent answer, and it needs no lock
        with self._lock:
            return self._state()

    @property
    def retry_in(self) -> float:
        """Seconds until the next trial is allowed; 0 when calls are."""
        with self._lock:
            if self._opened == 0:
                return 0.0
            due = self._until if self._trial_until is None else max(self._until, self._trial_until)
            return max(0.0, due - self._clock())

    def allows(self) -> bool:
        """Whether to call now; in the half-open state the one caller who gets a yes makes the trial."""
        with self._lock:
            state = self._state()
            if state == "half-open":
                if self._trial_until is not None and self._clock() < self._trial_until:
                    return False
                self._trial_until = self._clock() + self._trial_within
            return state != "open"

    def succeeded(self) -> None:
        """A call went well; while open it is one that began before, and proves nothing about now."""
        if self._failures == 0 and self._opened == 0:
            return
        with self._lock:
            if self._state() == "open":
                return
            self._failures = self._opened = 0
            self._trial_until = None

    def failed(self, *, certain: bool = False) -> bool:
        """A call failed; `certain` opens at once. Answers whether this opened it."""
        with self._lock:
            state = self._state()
            if state == "open":
                return False
            self._failures += 1
            if state == "closed" and not certain and self._failures < self._threshold:
                return False
            self._opened += 1
            pause = min(self._longest_pause, self._first_pause * 2 ** min(self._opened - 1, 32))
            self._until = self._clock() + self._jitter(pause / 2, pause)
            self._trial_until = None
            return True

    def _state(self) -> State:
        if self._opened == 0:
            return "closed"
        return "open" if self._clock() < self._until else "half-open"
