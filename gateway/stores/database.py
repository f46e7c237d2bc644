# SPDX-License-Identifier: Apache-2.0
"""One SQLite file: one connection that writes and groups commits (`sql.py`), and one reading connection per thread.

Readers never block the writer (WAL) and cannot write (`query_only`).
"""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gateway.services.ports import PortError, StorageFailed, StorageFull
from gateway.stores.sql import Dialect, Done, Item, SqlDatabase, Work, scripts, tell

_LONGEST_LOG = 8 << 20
"""Bytes that a log keeps for good; what one big write made it longer is given back."""
_CHECKPOINT = 4 << 20
"""Bytes of a log from which on a commit brings it into the file."""
_PAGE = 4 << 10
_PAGES = {"records": 32 << 10}
"""Bytes of a page, by schema, where it is not `_PAGE`: a block of records is near one, and a tile fits in a quarter."""


class Database(SqlDatabase):
    """A SQLite file with grouped commits; safe to use from any thread."""

    dialect = Dialect.SQLITE

    def __init__(
        self, path: Path, connection: sqlite3.Connection, *, on_failure: Callable[[Exception], None] | None = None
    ) -> None:
        super().__init__(path.name)
        self._path = path
        self._connection = connection
        self._on_failure = on_failure
        self._readers = threading.local()
        self._all_readers: list[sqlite3.Connection] = []

    @classmethod
    def open(
        cls,
        path: Path,
        migrations: str,
        *,
        durable: bool,
        on_failure: Callable[[Exception], None] | None = None,
    ) -> "Database":
        """Open or create the file and bring its schema up to date.

        Args:
            migrations: folder below `gateway/stores/migrations`.
            durable: whether a finished write must survive a power cut (`synchronous=FULL`); without it a power
                cut may lose the last writes but never corrupts the file.
            on_failure: called once when the disk fails; the gateway stops its process there.
        """
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        connection.execute(f"PRAGMA page_size={_PAGES.get(migrations, _PAGE)}")  # of a new file; else it has its own
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute(f"PRAGMA journal_size_limit={_LONGEST_LOG}")
        (page,) = connection.execute("PRAGMA page_size").fetchone()
        connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT // page}")
        migrate(connection, migrations)
        database = cls(path, connection, on_failure=on_failure)
        database._start()
        return database

    def reader(self) -> sqlite3.Connection:
        """This thread's reading connection, which sees every commit that has returned."""
        connection: sqlite3.Connection | None = getattr(self._readers, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            connection.execute("PRAGMA query_only=ON")
            self._readers.connection = connection
            with self._lock:
                self._all_readers.append(connection)
        return connection

    def sync(self) -> None:
        """Return when every commit that has returned would survive a power cut, in a file that is not durable too.

        Raises `StorageFailed`.
        """
        try:
            for path in (self._path.with_name(f"{self._path.name}-wal"), self._path.parent):
                with contextlib.suppress(FileNotFoundError):  # nothing was written since the file was opened
                    descriptor = os.open(path, os.O_RDONLY)
                    try:
                        os.fsync(descriptor)
                    finally:
                        os.close(descriptor)
        except OSError as exc:
            if self._on_failure is not None:
                self._on_failure(exc)
            raise StorageFailed(f"writing {self._path.name} failed: {exc.strerror}") from exc

    def shorten_log(self) -> None:
        """Give the room of a log that a big write has made long back to the disk, where nobody is reading just now.

        Otherwise SQLite does it itself, when the log is next written from its beginning.
        """
        log = self._path.with_name(f"{self._path.name}-wal")
        try:
            if log.stat().st_size <= _LONGEST_LOG:
                return
        except FileNotFoundError:
            return
        self.empty_log()

    def empty_log(self) -> None:
        """Bring the log into the file and cut it to nothing, where nobody is reading just now."""
        # A connection of its own: the one that writes is in a transaction whenever somebody else has it.
        other = sqlite3.connect(self._path, isolation_level=None, timeout=1.0)
        with contextlib.closing(other), contextlib.suppress(sqlite3.OperationalError):
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def overwrite_removed(self, connection: Any) -> None:
        connection.execute("PRAGMA secure_delete = ON").fetchall()

    def _close_connections(self) -> None:
        for reader in self._all_readers:
            reader.close()
        self._connection.close()

    def _settle(self, batch: Sequence[Item]) -> None:
        try:
            results = self._together(batch)
        except sqlite3.Error as exc:
            # Nothing of the batch is kept, so nobody may be notified that it was.
            failure = self._failure(exc)
            for item in batch:
                item.future.set_exception(failure)
            return
        tell(batch, results)

    def _together(self, batch: Sequence[Item]) -> list[Done]:
        """Run the whole batch in one transaction; once more, each in a savepoint of its own, if any of it fails."""
        try:
            return self._transaction(lambda: [(self._run_one(item.work), None) for item in batch])
        except Exception as exc:
            if _is_of_the_disk(exc):
                raise
        return self._transaction(lambda: [self._attempt(item.work) for item in batch])

    def _transaction(self, work: Callable[[], list[Done]]) -> list[Done]:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            done = work()
            self._connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise
        return done

    def _run_one(self, work: Work) -> Any:
        value = work(self._connection)
        if isinstance(value, sqlite3.Cursor):
            # Dropping a cursor resets its statement, which the connection may be using again by then.
            value.close()
            return None
        return value

    def _attempt(self, work: Work) -> Done:
        """Run one piece of work in its own savepoint, so that its failure does not undo its neighbours."""
        self._connection.execute("SAVEPOINT work")
        try:
            value = self._run_one(work)
        except Exception as exc:
            if _is_of_the_disk(exc):
                raise
            self._connection.execute("ROLLBACK TO work")
            self._connection.execute("RELEASE work")
            return None, exc
        self._connection.execute("RELEASE work")
        return value, None

    def _failure(self, exc: sqlite3.Error) -> PortError:
        if _primary_code(exc) == sqlite3.SQLITE_FULL:
            return StorageFull("the gateway's disk is full")
        # After a failed fsync the kernel may have dropped the pages: what is on disk is unknown, so stop.
        self._failed = exc
        if self._on_failure is not None:
            self._on_failure(exc)
        return StorageFailed(f"writing {self._path.name} failed: {exc}")


def _is_of_the_disk(exc: Exception) -> bool:
    return isinstance(exc, sqlite3.Error) and _primary_code(exc) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


def _primary_code(exc: sqlite3.Error) -> int:
    return (getattr(exc, "sqlite_errorcode", 0) or 0) & 0xFF


def migrate(connection: sqlite3.Connection, folder: str) -> None:
    """Apply the numbered `.sql` files that `PRAGMA user_version` says are missing, each in one transaction."""
    applied = int(connection.execute("PRAGMA user_version").fetchone()[0])
    known = scripts(folder, Dialect.SQLITE)
    if applied > len(known):
        raise PortError(f"the database was written by a newer version (schema {applied}, known {len(known)})")
    for number, text in known[applied:]:
        connection.executescript(f"BEGIN;\n{text}\nPRAGMA user_version={number};\nCOMMIT;")
