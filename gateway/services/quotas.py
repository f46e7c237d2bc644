# SPDX-License-Identifier: Apache-2.0
"""Quotas: how many requests each client, and each address, may make.

A quota is a bucket that holds a whole window's requests and fills up again evenly while the window passes (the generic
cell rate algorithm): who was silent for a window may make all of them at once, and then one whenever another has
come in. What is kept of each is one number, in memory, and only until the bucket is full again; of more than can be
kept, those who come later share one bucket, so that nobody is let through by a crowd.
"""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Final

from gateway.services.ports import Category, Unavailable
from gateway.services.rates import Rate

MOST: Final = 10_000
"""Clients, or addresses, that are distinguished at once."""
_LOOKED_AT: Final = 32
"""Of those that are kept, how many are looked at for one that is as good as new, where another one comes."""
_OTHERS: Final = "\0others"
_SLACK: Final = 1e-6


class QuotaExceeded(Unavailable):
    """There were as many requests as there may be; `retry_after` says when the next may be made."""

    category = Category.TOO_MANY


@dataclass(frozen=True, slots=True)
class Standing:
    """How a quota stands after a request."""

    policy: str
    rate: Rate
    remaining: int
    """Requests that may be made at once."""
    full_in: int
    """Seconds until the whole quota is there again."""
    wait: float = 0.0
    """Seconds until the next request may be made, where this one may not."""


class Quota:
    """One quota for each of many; thread-safe."""

    def __init__(
        self, policy: str, rate: Rate | None, *, most: int = MOST, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Assign.

        Args:
            policy: what it is called in answers.
            rate: of everybody who has none of their own; `None` leaves them unlimited.
            most: how many are distinguished.
        """
        self._policy = policy
        self._rate = rate
        self._most = most
        self._clock = clock
        self._full_at: dict[str, float] = {}
        """When the bucket of each is full again; who used it last comes last."""
        self._lock = threading.Lock()

    def take(self, who: str, rate: Rate | None = None) -> Standing | None:
        """Count one request; what may not be made counts for nothing. `None` where there is no quota.

        Args:
            rate: of this one alone.
        """
        rate = rate or self._rate
        if rate is None:
            return None
        step, now = rate.seconds / rate.requests, self._clock()
        with self._lock:
            who = self._place(who, now)
            before = max(now, self._full_at.pop(who, now))
            wait = before + step - now - rate.seconds
            full_at = self._full_at[who] = before if wait > _SLACK else before + step
        left = rate.seconds - (full_at - now)
        return Standing(
            self._policy, rate, int(left / step + _SLACK), math.ceil(full_at - now - _SLACK), max(0.0, wait - _SLACK)
        )

    def tracked(self) -> int:
        """How many buckets are not known to be full."""
        return len(self._full_at)

    def _place(self, who: str, now: float) -> str:
        """Whose bucket counts: one's own where there is, or can be made, room for it."""
        if who in self._full_at or len(self._full_at) < self._most:
            return who
        full = [each for each, at in islice(self._full_at.items(), _LOOKED_AT) if at <= now]
        for each in full:
            del self._full_at[each]
        return who if full else _OTHERS


@dataclass(frozen=True, slots=True)
class Quotas:
    """The quotas of a gateway."""

    client: Quota
    address: Quota

    @classmethod
    def of(cls, client: Rate | None = None, address: Rate | None = None) -> "Quotas":
        """Quotas with these rates; without any, nobody is limited but those who have a rate of their own."""
        return cls(Quota("client", client), Quota("address", address))
