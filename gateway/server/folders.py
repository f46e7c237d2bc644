# SPDX-License-Identifier: Apache-2.0
"""A gateway's data folder and the databases in it; imports little, as `pedigree keys` needs only one."""

import logging
import os
from contextlib import ExitStack
from pathlib import Path

from gateway.stores.database import Database
from gateway.stores.keys import KeyStore

_LOG = logging.getLogger(__name__)
_EXIT_IO_ERROR = 74


def private_folder(path: Path) -> Path:
    """Create a folder that only its owner may enter, and refuse one that others may."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.stat().st_mode & 0o077:
        path.chmod(0o700)
    return path


def open_keys(data: Path, guard: ExitStack) -> KeyStore:
    """The key store of a data folder; another process may have it open too."""
    return KeyStore(open_store(guard, private_folder(data), "keys", durable=True))


def open_store(guard: ExitStack, data: Path, name: str, *, durable: bool) -> Database:
    """One of the databases of a data folder; the process ends where a write to it fails."""
    database = Database.open(data / f"{name}.db", name, durable=durable, on_failure=_fail_stop)
    guard.callback(database.close)
    return database


def _fail_stop(error: Exception) -> None:
    """After a failed write nobody knows what is on disk, so nothing may be promised from memory any more."""
    _LOG.critical("the disk failed, stopping: %s", error)
    os._exit(_EXIT_IO_ERROR)
