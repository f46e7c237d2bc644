# SPDX-License-Identifier: Apache-2.0
"""What every SQL database of a gateway does alike, whichever server or library is behind it: grouped commits.

Grouping matters because a durable commit costs one fsync whatever it holds: writes that arrive while a commit
is under way share the next one, which a thread of the database's own makes. Where none is under way, the writing
thread makes the commit itself, which saves two changes of threads.

Stores are written in the SQL that all dialects understand, with `?` for values; where that is not possible they have a
statement for each (`Statement`). One write is under way at a time, in whatever process: what a piece of work looks up
holds until it is committed.
"""

import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from enum import Enum
from importlib import resources
from itertools import chain
from typing import Any, NamedTuple, Protocol, TypeVar

from gateway.services.ports import StorageFailed

Result = TypeVar("Result")
_BATCH = 256
NEVER = float("inf")
_LATER = 0.05
"""Seconds that work which nobody waits for may wait for a commit to share."""
_ROWS = 1_000
"""Rows of a statement; with 32 columns they are as many values as SQLite takes."""


class Dialect(Enum):
    """Which SQL a database speaks; the value is the folder of its migrations, below that of the database."""

    SQLITE = ""
    POSTGRESQL = "postgresql"


class Statement(NamedTuple):
    """One statement in the words of each dialect, where no words are common to them."""

    sqlite: str
    postgresql: str

    def of(self, database: "SqlDatabase") -> str:
        """The statement as a database understands it."""
        return self.sqlite if database.dialect is Dialect.SQLITE else self.postgresql


class Rows(Protocol):
    """What a statement answered."""

    @property
    def rowcount(self) -> int:
        """How many rows it wrote."""
        ...

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...

    def fetchmany(self, size: int = ..., /) -> list[Any]: ...

    def __iter__(self) -> Iterator[Any]: ...

    def close(self) -> None: ...


class Connection(Protocol):
    """What statements are run on."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Rows: ...

    def executemany(self, sql: str, parameters: Sequence[Sequence[Any]], /) -> Rows: ...


Work = Callable[[Any], Any]
Done = tuple[Any, Exception | None]
"""What a piece of work returned, or why it failed."""


class Item(NamedTuple):
    """Queued work, and who is notified of its end."""

    work: Work
    future: "Future[Any]"
    awaited: bool = True
    """Whether somebody waits for it."""


class SqlDatabase(ABC):
    """A database with grouped commits; safe to use from any thread."""

    dialect: Dialect

    def __init__(self, name: str) -> None:
        """Assign; `_start` begins.

        Args:
            name: what the database is called where it fails.
        """
        self._name = name
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._queue: deque[Item] = deque()
        self._due = NEVER
        """When the thread has to commit what is queued (monotonic)."""
        self._busy = False
        """Whether some thread uses the connection that writes."""
        self._failed: Exception | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"db-{name}", daemon=True)

    @abstractmethod
    def reader(self) -> Connection:
        """What this thread reads with, which sees every commit that has returned."""

    @abstractmethod
    def sync(self) -> None:
        """Return when every commit that has returned would survive a power cut. Raises `StorageFailed`."""

    @abstractmethod
    def overwrite_removed(self, connection: Any) -> None:
        """From here on overwrite what is removed, and not only forget it, as far as the database can."""

    def shorten_log(self) -> None:  # noqa: B027 - few databases have such a log
        """Give the room of a log that a big write has made long back to the disk, where nobody is reading just now."""

    def empty_log(self) -> None:  # noqa: B027
        """Bring the log into the file and cut it to nothing, where nobody is reading just now."""

    @abstractmethod
    def _settle(self, batch: Sequence[Item]) -> None:
        """Commit a batch and notify everybody in it."""

    @abstractmethod
    def _close_connections(self) -> None:
        """Close what is open; nothing is queued any more."""

    def write(self, work: Callable[[Any], Result]) -> Result:
        """Run `work` inside the next grouped transaction and return once that is committed.

        It may run twice, the first time in a transaction that is undone, when a neighbour's work fails. A cursor is not
        returned: cursors stay in the thread that writes.
        """
        future: Future[Any] = Future()
        with self._lock:
            self._enqueue(Item(work, future), time.monotonic())
            mine = [] if self._busy else self._take()
        if mine:
            self._commit(mine)
        result: Result = future.result()
        return result

    def write_later(self, work: Work) -> "Future[Any]":
        """Run `work` in a later commit, its own after 50 ms, without waiting; its order among the writes is kept."""
        future: Future[Any] = Future()
        with self._lock:
            self._enqueue(Item(work, future, awaited=False), time.monotonic() + _LATER)
            self._changed.notify()
        return future

    def write_soon(self, work: Work) -> "Future[Any]":
        """Run `work` in the next commit while the caller goes on; who asked waits for the future in the end."""
        future: Future[Any] = Future()
        with self._lock:
            self._enqueue(Item(work, future), time.monotonic())
            self._changed.notify()
        return future

    def flush(self) -> None:
        """Wait until everything enqueued so far is committed."""
        self.write(lambda _: None)

    def close(self) -> None:
        """Commit what is queued and close; later calls do nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._due = 0.0
            self._changed.notify()
        self._thread.join()
        self._close_connections()

    def _start(self) -> None:
        self._thread.start()

    def _enqueue(self, item: Item, due: float) -> None:
        if self._closed:
            raise RuntimeError(f"{self._name} is closed")
        if self._failed is not None:
            raise StorageFailed(f"{self._name} failed earlier") from self._failed
        self._queue.append(item)
        self._due = min(self._due, due)

    def _take(self) -> list[Item]:
        """What is to be committed next; the thread that takes it has the connection alone until `_commit` is over."""
        self._busy = True
        batch = [self._queue.popleft() for _ in range(min(len(self._queue), _BATCH))]
        self._due = 0.0 if self._queue or self._closed else NEVER
        return batch

    def _run(self) -> None:
        while batch := self._next_batch():
            self._commit(batch)

    def _next_batch(self) -> list[Item]:
        """What is due, once nobody else is at it; nothing at the end."""
        with self._changed:
            while self._busy or (wait := self._due - time.monotonic()) > 0:
                self._changed.wait(None if self._busy or self._due == NEVER else wait)
            return self._take()

    def _commit(self, batch: Sequence[Item]) -> None:
        try:
            self._settle(batch)
        finally:
            with self._changed:
                self._busy = False
                if self._due != NEVER or self._closed:
                    self._changed.notify()


def tell(batch: Sequence[Item], results: Sequence[Done]) -> None:
    """Notify everybody in a batch that was committed."""
    for item, (value, error) in zip(batch, results, strict=True):
        if error is None:
            item.future.set_result(value)
        else:
            item.future.set_exception(error)


def scripts(database: str, dialect: Dialect) -> list[tuple[int, str]]:
    """The numbered migrations of a database, in their order."""
    folder = resources.files("gateway.stores").joinpath("migrations", database)
    if dialect.value:
        folder = folder.joinpath(dialect.value)
    found = [
        (int(file.name.split("_", 1)[0]), file.read_text(encoding="utf-8"))
        for file in folder.iterdir()
        if file.name.endswith(".sql")
    ]
    return sorted(found, key=lambda script: script[0])


def write_rows(connection: Connection, insert: str, rows: Sequence[Sequence[Any]]) -> None:
    """Insert rows, hundreds with one statement.

    Between two statements the thread that writes may have to wait for one that computes, 5 ms each time.

    Args:
        insert: the statement for one row, with a mark for each of its values.
    """
    for start in range(0, len(rows), _ROWS):
        some = rows[start : start + _ROWS]
        one = f"({', '.join('?' * len(some[0]))})"
        before, found, after = insert.partition(one)
        if not found:
            raise ValueError(f"there is not a mark for each value of a row: {insert}")
        marks = ", ".join([one] * len(some))
        connection.execute(f"{before}{marks}{after}", list(chain.from_iterable(some)))


def upsert(table: str, columns: str, key: str) -> str:
    """Write a row in the place of the one that has its key, if there is one.

    Args:
        columns: those of the key first, separated by commas; so are those of `key`.
    """
    names = [name.strip() for name in columns.split(",")]
    changed = ", ".join(f"{name} = excluded.{name}" for name in names[len(key.split(",")) :])
    marks = ", ".join("?" * len(names))
    return f"INSERT INTO {table} ({columns}) VALUES ({marks}) ON CONFLICT ({key}) DO UPDATE SET {changed}"  # noqa: S608
