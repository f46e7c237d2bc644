# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL schema that several gateways of one organisation share: grouped commits (`sql.py`), readers in a pool.

Each store has a schema of its own in the one database that the URL names. A write takes that schema's advisory lock for
its transaction, so that, as with a SQLite file, one write is under way at a time, in all gateways. Every commit is
durable. A server that is away, or restarts, ends no gateway: what somebody waits for fails with `Unavailable`, and what
nobody waits for is written when the server is back.
"""

import logging
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, TypeVar

import psycopg
from psycopg.adapt import Loader
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.string import StrDumperUnknown
from psycopg_pool import ConnectionPool, PoolTimeout

from gateway.services.ports import PortError, StorageFull, Unavailable
from gateway.stores.sql import Dialect, Done, Item, Rows, SqlDatabase, scripts, tell

_LOG = logging.getLogger(__name__)
_READERS: Final = {"submissions": 6, "keys": 4, "records": 4, "sealed": 4}
_FEW_READERS: Final = 2
"""Connections that read, of each store, at most; requests beyond these wait for one of them."""
_PATIENCE: Final = 5
"""Seconds that a connection may take to be made, or to become free."""
_AGAIN: Final = 0.5
"""Seconds after which what nobody waits for is written again."""
_LOCKS: Final = 0x50454447
"""The first half of our advisory locks; the second is of the schema's name."""
_NUL: Final = "\N{SYMBOL FOR NULL}"
"""Stands for the one character that PostgreSQL keeps in no text; only what strangers wrote can have it."""
_SESSION: Final = (
    "SET search_path TO {schema}; SET synchronous_commit TO on; SET client_min_messages TO warning; "
    # Who is paused in the middle of a write, or cut off, must not keep the others from writing for long.
    "SET idle_in_transaction_session_timeout TO '10s'; SET tcp_keepalives_idle TO 5; "
    "SET tcp_keepalives_interval TO 2; SET tcp_keepalives_count TO 3"
)
_VERSIONS: Final = "CREATE TABLE IF NOT EXISTS schema_version (number INTEGER PRIMARY KEY)"
_Result = TypeVar("_Result")
_Raw = psycopg.Connection[tuple[Any, ...]]


def problem_of(url: str) -> str | None:
    """What keeps a URL from being used, in one line: its form, or that nobody answers there; `None` where nothing does.

    A password in it would be seen by all who list processes: libpq reads one from `PGPASSFILE` or `PGPASSWORD`.
    """
    try:
        parts = conninfo_to_dict(url)
        if not url.startswith(("postgresql://", "postgres://")):
            return "a URL such as postgresql://USER@HOST/DATABASE is wanted"
        if "password" in parts:
            return "no password belongs into it: put it into a file that PGPASSFILE names, or into PGPASSWORD"
        psycopg.connect(url, connect_timeout=_PATIENCE).close()
    except psycopg.Error as exc:
        return str(exc).strip().replace("\n", "; ")
    return None


class PostgresDatabase(SqlDatabase):
    """One schema with grouped commits; safe to use from any thread. Make it after forking."""

    dialect = Dialect.POSTGRESQL

    def __init__(self, url: str, name: str, settings: Mapping[str, str]) -> None:
        super().__init__(name)
        self._url = url
        self._settings = settings
        self._schema = f"pedigree_{name}"
        self._lock_key = _signed(zlib.crc32(name.encode()))
        self._writer: _Raw | None = None
        self._pool: ConnectionPool[_Raw] | None = None
        self._is_migrated = False

    @classmethod
    def open(cls, url: str, name: str, *, settings: Mapping[str, str] | None = None) -> "PostgresDatabase":
        """Connect, make the schema where there is none, and bring it up to date.

        Args:
            url: as libpq reads it; passwords come from its environment variables or its password file.
            name: of the store, and of the folder of its migrations.
            settings: parameters of every session, such as `pedigree.replica`.

        Raises `Unavailable` where the server cannot be reached, and `PortError` for a schema of a newer version.
        """
        database = cls(url, name, dict(settings or {}))
        try:
            database._migrate(database._connection())
        except psycopg.Error as exc:
            raise database._failure(exc) from exc
        finally:
            if not database._is_migrated:
                database._close_connections()
        database._pool = ConnectionPool(
            url, connection_class=psycopg.Connection, kwargs={"autocommit": True, "connect_timeout": _PATIENCE},
            configure=database._configure_reader, min_size=1, max_size=_READERS.get(name, _FEW_READERS), num_workers=1,
            timeout=_PATIENCE, name=f"readers-{name}", open=True,
        )  # fmt: skip
        database._start()
        return database

    def reader(self) -> "_Reading":
        return _Reading(self._read)

    def sync(self) -> None:
        """Return at once: every commit that has returned is durable."""

    def overwrite_removed(self, connection: Any) -> None:
        """Do nothing: a removed row goes with the next `VACUUM`, and from the server's log when that is recycled."""

    # -- writing -----------------------------------------------------------------------------------------------------

    def _settle(self, batch: Sequence[Item]) -> None:
        try:
            results = self._together(batch)
        except psycopg.Error as exc:
            self._failed_together(batch, self._failure(exc))
            return
        tell(batch, results)

    def _failed_together(self, batch: Sequence[Item], failure: PortError) -> None:
        """Tell those who wait; what nobody waits for is written again, in its order, until the gateway stops."""
        later = [item for item in batch if not item.awaited]
        with self._lock:
            if later and not self._closed:
                self._queue.extendleft(reversed(later))
                self._due = min(self._due, time.monotonic() + _AGAIN)
                later = []
        for item in batch:
            if item.awaited or item in later:
                item.future.set_exception(failure)

    def _together(self, batch: Sequence[Item]) -> list[Done]:
        """Run the whole batch in one transaction; once more, each in a savepoint of its own, if any of it fails."""
        try:
            return self._transaction(lambda session: [(item.work(session), None) for item in batch])
        except Exception as exc:
            if _is_of_the_server(exc):
                raise
        return self._transaction(lambda session: [_attempt(session, item) for item in batch])

    def _transaction(self, work: "Callable[[_Session], list[Done]]") -> list[Done]:
        session = self._begun()
        try:
            done = [(_plain(value), error) for value, error in work(session)]
            session.raw.execute("COMMIT")
        except BaseException:
            self._undo(session.raw)
            raise
        return done

    def _begun(self) -> "_Session":
        """The connection that writes, in a transaction, with the lock; a connection that was lost is made anew."""
        begin = f"BEGIN; SELECT pg_advisory_xact_lock({_LOCKS}, {self._lock_key})".encode()
        raw = self._connection()
        try:
            raw.execute(begin)
        except psycopg.OperationalError:
            self._undo(raw)
            raw = self._connection()
            raw.execute(begin)
        return _Session(raw)

    def _undo(self, raw: _Raw) -> None:
        try:
            raw.execute("ROLLBACK")
        except psycopg.Error:
            raw.close()  # the server undoes what it has
            self._writer = None

    def _connection(self) -> _Raw:
        if self._writer is None or self._writer.closed:
            self._writer = psycopg.connect(self._url, autocommit=True, connect_timeout=_PATIENCE)
            self._configure(self._writer)
        return self._writer

    def _configure(self, raw: _Raw) -> None:
        raw.adapters.register_dumper(str, _TextDumper)
        raw.adapters.register_loader("numeric", _WholeNumber)
        raw.execute(_SESSION.format(schema=self._schema).encode())
        for name, value in self._settings.items():
            raw.execute("SELECT set_config(%s, %s, false)", (name, value))

    def _configure_reader(self, raw: _Raw) -> None:
        self._configure(raw)
        raw.execute("SET default_transaction_read_only TO on")

    # -- reading -----------------------------------------------------------------------------------------------------

    def _read(self, sql: str, parameters: Sequence[Any]) -> "_Fetched":
        if self._closed or self._pool is None:
            raise RuntimeError(f"{self._name} is closed")
        left = self._pool.max_size
        while True:
            try:
                with self._pool.connection() as raw:
                    try:
                        return _Fetched(raw.execute(_translated(sql), tuple(parameters)).fetchall())
                    finally:
                        lost = raw.closed
            except PoolTimeout as exc:
                raise self._failure(exc) from exc
            except psycopg.OperationalError as exc:
                # After the server restarted, each connection turns out to be lost when it is next used.
                if not lost or not left:
                    raise self._failure(exc) from exc
                left -= 1

    # -- the schema, and failures --------------------------------------------------------------------------------------

    def _migrate(self, raw: _Raw) -> None:
        """Apply the numbered scripts that are missing, each in a transaction; gateways take turns."""
        raw.execute("SELECT pg_advisory_lock(%s, %s)", (_LOCKS, self._lock_key))
        try:
            raw.execute(f"CREATE SCHEMA IF NOT EXISTS {self._schema}".encode())
            raw.execute(_VERSIONS)
            row = raw.execute("SELECT coalesce(max(number), 0) FROM schema_version").fetchone()
            applied, known = int(row[0]) if row else 0, scripts(self._name, self.dialect)
            if applied > len(known):
                raise PortError(f"{self._schema} was written by a newer version (schema {applied}, known {len(known)})")
            for number, text in known[applied:]:
                raw.execute(f"BEGIN;\n{text}\nINSERT INTO schema_version VALUES ({number});\nCOMMIT".encode())
            self._is_migrated = True
        finally:
            if not raw.closed:
                raw.execute("ROLLBACK")
                raw.execute("SELECT pg_advisory_unlock(%s, %s)", (_LOCKS, self._lock_key))

    def _failure(self, exc: psycopg.Error) -> PortError:
        if exc.sqlstate == psycopg.errors.DiskFull.sqlstate:
            return StorageFull("the disk of the gateway's database is full")
        _LOG.warning("the database of %s: %s", self._name, str(exc).strip().replace("\n", "; "))
        return Unavailable("the gateway's database cannot be reached", code="database-unavailable", retry_after=1)

    def _close_connections(self) -> None:
        if self._pool is not None:
            self._pool.close()
        if self._writer is not None:
            self._writer.close()


class _Session:
    """The connection that writes, as stores use it."""

    def __init__(self, raw: _Raw) -> None:
        self.raw = raw

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Rows:
        return self.raw.execute(_translated(sql), tuple(parameters))

    def executemany(self, sql: str, parameters: Sequence[Sequence[Any]], /) -> Rows:
        cursor = self.raw.cursor()
        rows = list(parameters)
        if not rows:
            return _Fetched([])
        cursor.executemany(_translated(sql), rows)
        return cursor


class _Reading:
    """What a thread reads with: each statement has a connection of the pool for as long as it runs."""

    def __init__(self, read: "Callable[[str, Sequence[Any]], _Fetched]") -> None:
        self._read = read

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Rows:
        return self._read(sql, parameters)

    def executemany(self, sql: str, parameters: Sequence[Sequence[Any]], /) -> Rows:
        raise RuntimeError("a reader does not write")


class _Fetched:
    """Rows that were read, all of them."""

    def __init__(self, rows: list[Any]) -> None:
        self._rows = iter(rows)
        self.rowcount = len(rows)

    def fetchone(self) -> Any:
        return next(self._rows, None)

    def fetchall(self) -> list[Any]:
        return list(self._rows)

    def fetchmany(self, size: int = 1, /) -> list[Any]:
        return [row for _, row in zip(range(size), self._rows, strict=False)]

    def __iter__(self) -> Iterator[Any]:
        return self._rows

    def close(self) -> None:
        self._rows = iter(())


class _TextDumper(StrDumperUnknown):
    def dump(self, obj: str) -> Any:
        return super().dump(obj.replace("\0", _NUL))


class _WholeNumber(Loader):
    """PostgreSQL's sums of whole numbers are of another type than these; here all of that type are whole."""

    def load(self, data: Any) -> int:
        return int(bytes(data))


@lru_cache(maxsize=1024)
def _translated(sql: str) -> bytes:
    """A statement with psycopg's placeholders."""
    return sql.replace("%", "%%").replace("?", "%s").encode()


def _attempt(session: _Session, item: Item) -> Done:
    """Run one piece of work in its own savepoint, so that its failure does not undo its neighbours."""
    session.raw.execute("SAVEPOINT work")
    try:
        value = item.work(session)
    except Exception as exc:
        if _is_of_the_server(exc):
            raise
        session.raw.execute("ROLLBACK TO work; RELEASE work")
        return None, exc
    session.raw.execute("RELEASE work")
    return value, None


def _plain(value: Any) -> Any:
    """What work returned, but for a cursor, which stays in the thread that writes."""
    return None if isinstance(value, psycopg.Cursor | _Fetched) else value


def _is_of_the_server(exc: Exception) -> bool:
    """Whether the server, or the way to it, is at fault, and not what was asked of it."""
    return isinstance(exc, psycopg.OperationalError | psycopg.errors.ReadOnlySqlTransaction)


def _signed(number: int) -> int:
    return number - (1 << 32) if number >= 1 << 31 else number
