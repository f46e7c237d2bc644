# SPDX-License-Identifier: Apache-2.0
"""Puts load on something and measures it: so many clients one call after the other, or so many calls a second.

At a given rate a call's time counts from when it was due, not from when a client got round to it, so that a system
that stalls does not look fast.
"""

import itertools
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["Call", "Figures", "Load", "Target", "put"]

_TICK_S = 0.2


class Call(Protocol):
    """One client's way to make a transaction; used by one thread at a time."""

    def __call__(self, number: int) -> str | None:
        """Make the transaction of this number; None when it is committed and valid, else a short error code."""
        ...


Target = Callable[[], AbstractContextManager[Call]]
"""Opens one client's connection."""


@dataclass(frozen=True, slots=True)
class Load:
    """What to put on: `rate` calls a second if given, else as many as `clients` make one after the other."""

    clients: int
    seconds: float
    rate: float | None = None


@dataclass(slots=True)
class Figures:
    """What was measured; times in seconds."""

    seconds: float = 0.0
    committed: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    times: list[float] = field(default_factory=list)
    """Of the committed ones."""

    @property
    def per_second(self) -> float:
        """Committed transactions a second."""
        return self.committed / self.seconds if self.seconds else 0.0

    def quantile(self, share: float) -> float | None:
        """The time within which this share of the committed ones was done (nearest rank); None without any."""
        if not self.times:
            return None
        return sorted(self.times)[max(0, math.ceil(share * len(self.times)) - 1)]


@dataclass(slots=True)
class _Shared:
    load: Load
    begin: float = 0.0
    numbers: Iterator[int] = field(default_factory=itertools.count)
    lock: threading.Lock = field(default_factory=threading.Lock)
    figures: Figures = field(default_factory=Figures)
    failure: BaseException | None = None

    def start(self) -> None:
        self.begin = time.monotonic()

    def next_due(self) -> tuple[int, float] | None:
        """The next call's number and when it is due; None when time is up."""
        with self.lock:
            number = next(self.numbers)
        due = time.monotonic() if self.load.rate is None else self.begin + number / self.load.rate
        return None if due >= self.begin + self.load.seconds else (number, due)

    def note(self, error: str | None, took: float) -> None:
        with self.lock:
            if error is None:
                self.figures.committed += 1
                self.figures.times.append(took)
            else:
                self.figures.errors[error] += 1


def put(targets: Sequence[Target], load: Load, progress: Callable[[float, Figures], None] | None = None) -> Figures:
    """Put `load` on, its clients spread over `targets`; answers the figures.

    `progress` is given the seconds passed about five times a second. What a target raises ends the load and is raised.
    """
    shared = _Shared(load)
    ready = threading.Barrier(load.clients, action=shared.start)  # time runs once all are connected
    threads = [
        threading.Thread(target=_work, args=(targets[index % len(targets)], shared, ready), name=f"load-{index}")
        for index in range(load.clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(_TICK_S)
            if progress is not None and shared.begin:
                progress(time.monotonic() - shared.begin, shared.figures)
    if shared.failure is not None:
        raise shared.failure
    shared.figures.seconds = time.monotonic() - shared.begin
    return shared.figures


def _work(target: Target, shared: _Shared, ready: threading.Barrier) -> None:
    try:
        with target() as call:
            ready.wait()
            while shared.failure is None and (task := shared.next_due()) is not None:
                number, due = task
                time.sleep(max(0.0, due - time.monotonic()))
                error = call(number)
                shared.note(error, time.monotonic() - due)
    except threading.BrokenBarrierError:
        return
    except Exception as error:  # handed to the thread that waits
        shared.failure = error
        ready.abort()
