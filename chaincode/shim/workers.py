# SPDX-License-Identifier: Apache-2.0
"""Threads that execute transactions: reused, bounded by how many run, and never deadlocked by nested calls."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Task = Callable[[], None]


class _Worker:
    """One thread; it sleeps on a lock of its own, the cheapest way to hand a thread its next task."""

    __slots__ = ("task", "wake")

    def __init__(self, task: Task) -> None:
        self.task: Task | None = task
        self.wake = threading.Lock()
        self.wake.acquire()


class Workers:
    """Runs tasks on at most `limit` threads at once; further tasks wait in order.

    A task that waits for another chaincode gives up its place meanwhile (`elsewhere`): what it waits for
    may need this very process, and places held by waiters only would wait for ever. Tasks do not raise.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._waiting: deque[Task] = deque()
        self._idle: list[_Worker] = []
        self._busy = 0
        self._pending = 0
        self._quiet = threading.Condition(self._lock)
        self._closed = False

    @property
    def pending(self) -> int:
        """The tasks that run or wait."""
        return self._pending

    def submit(self, task: Task) -> None:
        """Run a task as soon as there is a place."""
        with self._lock:
            self._pending += 1
            if self._busy >= self._limit:
                self._waiting.append(task)
            else:
                self._start(task)

    @contextmanager
    def elsewhere(self) -> Iterator[None]:
        """Lend this task's place to another while it waits for another chaincode."""
        with self._lock:
            self._busy -= 1
            if self._waiting:
                self._start(self._waiting.popleft())
        try:
            yield
        finally:
            with self._lock:
                # Not waiting for a place here is what makes deadlock impossible; the limit is exceeded briefly.
                self._busy += 1

    def wait_until_quiet(self, seconds: float) -> bool:
        """Wait until no task runs or waits; `False` when that took too long."""
        with self._quiet:
            return self._quiet.wait_for(lambda: self._pending == 0, seconds)

    def close(self) -> None:
        """Let idle threads end, and busy ones when their task ends."""
        with self._lock:
            self._closed = True
            for worker in self._idle:
                worker.task = None
                worker.wake.release()
            self._idle.clear()

    def _start(self, task: Task) -> None:
        self._busy += 1
        if self._idle:
            # The thread that fell idle last has the warmest caches.
            worker = self._idle.pop()
            worker.task = task
            worker.wake.release()
        else:
            threading.Thread(target=self._run, args=(_Worker(task),), name="transaction", daemon=True).start()

    def _run(self, worker: _Worker) -> None:
        while (task := worker.task) is not None:
            task()
            del task
            if not self._next(worker):
                worker.wake.acquire()

    def _next(self, worker: _Worker) -> bool:
        """Give a worker its next task, if there is one now; otherwise it is to sleep or to end."""
        with self._lock:
            self._pending -= 1
            if self._pending == 0:
                self._quiet.notify_all()
            if self._waiting and self._busy <= self._limit:
                worker.task = self._waiting.popleft()
                return True
            self._busy -= 1
            worker.task = None
            if self._closed:
                return True
            self._idle.append(worker)
            return False
