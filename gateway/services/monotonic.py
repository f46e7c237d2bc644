# SPDX-License-Identifier: Apache-2.0
"""Time that only goes on, and waiting in it: one object, so that a test can let hours pass in no time."""

import threading
import time
from concurrent.futures import Future
from typing import Protocol, TypeVar

_Result = TypeVar("_Result")


class Monotonic(Protocol):
    """A monotonic clock and those who wait by it; times in seconds from a beginning of its own."""

    def now(self) -> float:
        """The time."""
        ...

    def result(self, future: "Future[_Result]", within: float) -> _Result:
        """What the future brings, or raises; `concurrent.futures.TimeoutError` when it brings nothing in that time."""
        ...

    def pause(self, stopping: threading.Event, within: float) -> None:
        """Return after that time, or once `stopping` is set."""
        ...


class SystemMonotonic:
    """The system's own (`time.monotonic`)."""

    def now(self) -> float:
        """The time."""
        return time.monotonic()

    def result(self, future: "Future[_Result]", within: float) -> _Result:
        """As `Monotonic.result`."""
        return future.result(timeout=within)

    def pause(self, stopping: threading.Event, within: float) -> None:
        """As `Monotonic.pause`."""
        stopping.wait(within)


SYSTEM = SystemMonotonic()
