# SPDX-License-Identifier: Apache-2.0
"""Back-pressure: how many calls this gateway has at one peer, kept below what the peer allows.

A Fabric peer refuses the 501st call to its Gateway service, and calls that wait (CommitStatus) count as well as
calls that work, of any client. So one limiter is before every kind of call to a peer:

*  new work (Endorse) leaves `reserved` places free, so that work which was begun can always go on;
*  Submit and Evaluate may use every place;
*  CommitStatus, which holds its place while it waits, never holds more than half of what is reserved.

When the peer says all the same that it is full, because others use it too, the limit shrinks by a quarter and grows
back by one place for every `_GROWS_AFTER` calls that end.
"""

import threading
import time
from enum import Enum

PEER_LIMIT = 500
"""Fabric's default of `peer.limits.concurrency.gatewayService`."""
_GROWS_AFTER = 20


class Kind(Enum):
    """A call of the Gateway service."""

    ENDORSE = "endorse"
    SUBMIT = "submit"
    EVALUATE = "evaluate"
    COMMIT_STATUS = "commit-status"


class Slots:
    """Places at one peer; thread-safe."""

    def __init__(self, total: int = 400, reserved: int = 64) -> None:
        """Assign; raises `ValueError` unless 2 <= `reserved` < `total`."""
        if not 2 <= reserved < total:
            raise ValueError(f"from 2 to {total - 1} of {total} places can be reserved, not {reserved}")
        self._most = total
        self._limit = total
        self._reserved = reserved
        self._least = reserved + 1
        self._used = 0
        self._asking = 0
        self._ended = 0
        self._waiting = 0
        self._changed = threading.Condition(threading.Lock())

    @property
    def used(self) -> int:
        """Calls that are at the peer now."""
        return self._used

    @property
    def limit(self) -> int:
        """Calls that may be at the peer at the moment."""
        return self._limit

    @property
    def waiting(self) -> int:
        """Calls that wait for a place."""
        return self._waiting

    def take(self, kind: Kind, timeout: float = 0.0) -> bool:
        """Take a place if one is free, or becomes free within `timeout` seconds; its taker gives it back."""
        with self._changed:
            return self._take(kind) or (timeout > 0 and self._wait(kind, timeout))

    def give_back(self, kind: Kind) -> None:
        """End what `take` began."""
        with self._changed:
            self._used -= 1
            self._asking -= kind is Kind.COMMIT_STATUS
            self._ended += 1
            if self._ended % _GROWS_AFTER == 0 and self._limit < self._most:
                self._limit += 1
            if self._waiting:
                self._changed.notify_all()

    def crowded(self) -> None:
        """The peer said that it is full: ask for less from now on."""
        with self._changed:
            self._limit = max(self._least, self._limit * 3 // 4)

    def _take(self, kind: Kind) -> bool:
        room = self._limit - self._used
        if kind is Kind.ENDORSE:
            free = room > self._reserved
        elif kind is Kind.COMMIT_STATUS:
            free = room > 0 and self._asking < self._reserved // 2
        else:
            free = room > 0
        if free:
            self._used += 1
            self._asking += kind is Kind.COMMIT_STATUS
        return free

    def _wait(self, kind: Kind, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        self._waiting += 1
        try:
            while not self._take(kind):
                remaining = deadline - time.monotonic()
                if remaining <= 0 or not self._changed.wait(remaining):
                    return self._take(kind)
            return True
        finally:
            self._waiting -= 1
