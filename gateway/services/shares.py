# SPDX-License-Identifier: Apache-2.0
"""A capacity that several clients use: each has a share, so that one of them cannot take it all."""

import threading
from collections import Counter

from gateway.services.ports import Category, Unavailable

_OVER_WHAT_IS_FREE = 3


class ShareTaken(Unavailable):
    """A client has as much under way as it may have while others may come."""

    category = Category.TOO_MANY


class Shares:
    """Gives out a capacity; thread-safe.

    A client may hold three times what nobody holds: three quarters when it is alone, three sevenths each when there
    are two. So a part stays free for those who come next, whatever the ones before them do (dynamic thresholds,
    Choudhury and Hahne 1998).
    """

    def __init__(self, limit: int, what: str) -> None:
        """Assign.

        Args:
            what: is given out, as a refusal names it, such as `submissions`.
        """
        self._free = limit
        self._what = what
        self._held: Counter[str] = Counter()
        self._lock = threading.Lock()

    def take(self, client: str, amount: int = 1) -> None:
        """Give a client a part; raises `ShareTaken`, or `Unavailable` with code `capacity` where nothing is left."""
        with self._lock:
            if amount > self._free:
                raise Unavailable(f"the gateway has no room for more {self._what}", code="capacity", retry_after=1)
            held = self._held[client]
            if held + amount > _OVER_WHAT_IS_FREE * self._free:
                raise ShareTaken(
                    f"this client has its share of the gateway's {self._what}; wait until some of them end",
                    code="too-many-requests",
                    retry_after=1,
                )
            self._add(client, amount)

    def take_anyway(self, client: str, amount: int = 1) -> None:
        """Count what a client holds already, however much it is."""
        with self._lock:
            self._add(client, amount)

    def give_back(self, client: str, amount: int = 1) -> None:
        """End what was taken."""
        with self._lock:
            self._add(client, -amount)

    def _add(self, client: str, amount: int) -> None:
        self._free -= amount
        self._held[client] += amount
        if not self._held[client]:
            del self._held[client]
