# SPDX-License-Identifier: Apache-2.0
"""A gateway's data folder and the databases that go with it; imports little, as `pedigree keys` needs only one.

The databases are SQLite files in the folder, or, where the file `database` there says so, schemas of the PostgreSQL
database whose URL it has, which gateways of one organisation share. The read model is a file in any case.
"""

import logging
import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from gateway.fabric.durable import write_file
from gateway.server.settings import SettingsError
from gateway.stores.database import Database
from gateway.stores.keys import KeyStore
from gateway.stores.sql import SqlDatabase

_LOG = logging.getLogger(__name__)
_EXIT_IO_ERROR = 74
SHARED: Final = ("audit", "consent", "keys", "log", "members", "records", "sealed", "submissions")
"""The stores that gateways may share."""
_MARKER: Final = "database"


def private_folder(path: Path) -> Path:
    """Create a folder that only its owner may enter, and refuse one that others may."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.stat().st_mode & 0o077:
        path.chmod(0o700)
    return path


def database_of(data: Path) -> str | None:
    """The URL of the PostgreSQL database that the stores of a data folder are in; `None` where they are files."""
    try:
        return (data / _MARKER).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None


def keep_database(data: Path, url: str) -> None:
    """Say in a data folder that its stores are in this PostgreSQL database. Raises `SettingsError` where there are some
    in files: nothing moves them."""
    if database_of(data) is None and (found := [name for name in SHARED if (data / f"{name}.db").exists()]):
        raise SettingsError(
            f"--database: {data} has stores in files ({', '.join(f'{name}.db' for name in found)}), which nothing "
            "moves into a database; give --data a new folder"
        )
    if database_of(data) != url:
        write_file(private_folder(data) / _MARKER, f"{url}\n".encode(), mode=0o600)


def has_store(data: Path, name: str) -> bool:
    """Whether a data folder goes with a store of this name."""
    return (data / f"{name}.db").exists() or (name in SHARED and database_of(data) is not None)


def open_keys(data: Path, guard: ExitStack) -> KeyStore:
    """The key store of a data folder; another process may have it open too."""
    return KeyStore(open_store(guard, private_folder(data), "keys", durable=True))


def open_store(
    guard: ExitStack, data: Path, name: str, *, durable: bool, settings: Mapping[str, str] | None = None
) -> SqlDatabase:
    """One of the databases of a data folder; the process ends where a write to a file fails.

    Args:
        settings: parameters of every session with a PostgreSQL server.

    Raises `SettingsError` where the database's driver is not installed, and `Unavailable` where nobody answers.
    """
    url = database_of(data) if name in SHARED else None
    if url is None:
        database: SqlDatabase = Database.open(data / f"{name}.db", name, durable=durable, on_failure=_fail_stop)
    else:
        database = open_shared(url, name, settings)
    guard.callback(database.close)
    return database


def open_readmodel(guard: ExitStack, data: Path) -> Database:
    """The read model, a file of each gateway's own."""
    database = Database.open(data / "readmodel.db", "readmodel", durable=False, on_failure=_fail_stop)
    guard.callback(database.close)
    return database


def open_shared(url: str, name: str, settings: Mapping[str, str] | None = None) -> SqlDatabase:
    """One of the schemas of a PostgreSQL database; raises as `open_store`."""
    try:
        # Few gateways need it, and it is an extra.
        from gateway.stores.postgresql import PostgresDatabase
    except ImportError:
        raise SettingsError(NO_DRIVER) from None
    return PostgresDatabase.open(url, name, settings=settings)


NO_DRIVER: Final = "psycopg is not installed, which is Pedigree's extra postgresql"


def _fail_stop(error: Exception) -> None:
    """After a failed write nobody knows what is on disk, so nothing may be promised from memory any more."""
    _LOG.critical("the disk failed, stopping: %s", error)
    os._exit(_EXIT_IO_ERROR)
