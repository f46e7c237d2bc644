# SPDX-License-Identifier: Apache-2.0
"""Who is at an idempotency key, where several gateways of one organisation share their submissions."""

import threading
from collections.abc import Callable
from typing import Final

from gateway.services.intents import InProgress, KeyReused
from gateway.services.monotonic import Monotonic
from gateway.services.submissions import Submissions

_LOOK: Final = 0.05
"""Seconds after which it is looked again whether another gateway has ended what it is at."""


def busy(submission_id: str) -> InProgress:
    """What is raised for a key whose first request goes on."""
    return InProgress("the first request with this key is still in progress", operation=submission_id)


class Claims:
    """Takes keys for this gateway; thread-safe."""

    def __init__(
        self,
        submissions: Submissions,
        waiters: threading.BoundedSemaphore,
        patience: float,
        submission_id: Callable[[str, str], str],
        monotonic: Monotonic,
    ) -> None:
        """Assign.

        Args:
            waiters: how many requests may wait for others at a time.
            patience: seconds that one waits.
            submission_id: of a client's key.
        """
        self._submissions = submissions
        self._waiters = waiters
        self._patience = patience
        self._submission_id = submission_id
        self._monotonic = monotonic
        self._never = threading.Event()

    def take(self, client: str, key: str, digest: str, *, wait: bool) -> bool:
        """Take a key for this gateway, which may wait until another one has ended what it is at; False without waiting.

        Raises `KeyReused` where the other one is at another request, and `InProgress` where it takes too long.
        """
        held = self._submissions.claim(client, key, digest)
        if held is None:
            return True
        _refuse_another(held, digest)
        if not wait:
            return False
        if not self._waiters.acquire(blocking=False):
            raise busy(self._submission_id(client, key))
        try:
            until = self._monotonic.now() + self._patience
            while held is not None:
                if self._monotonic.now() >= until:
                    raise busy(self._submission_id(client, key))
                self._monotonic.pause(self._never, _LOOK)
                held = self._submissions.claim(client, key, digest)
                _refuse_another(held, digest)
        finally:
            self._waiters.release()
        return True


def _refuse_another(held: str | None, digest: str) -> None:
    if held not in (None, digest):
        raise KeyReused("this Idempotency-Key was used with another payload")
