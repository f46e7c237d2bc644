# SPDX-License-Identifier: Apache-2.0
"""Opens the databases of stores in the dialect that a test is run on (the fixture `dialect`)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.stores.database import Database
from gateway.stores.sql import SqlDatabase


class Databases:
    """Opens databases in SQLite files, or for each folder of such in a PostgreSQL database of its own."""

    def __init__(self) -> None:
        self._make_url: Callable[[], str] | None = None
        self._urls: dict[Path, str] = {}

    def use(self, make_url: Callable[[], str] | None) -> None:
        """From here on use PostgreSQL databases that this makes; SQLite files without it."""
        self._make_url = make_url
        self._urls = {}

    def open(self, path: Path, name: str, **options: Any) -> SqlDatabase:
        """As `Database.open`; the same path again is a restart, or another process."""
        if self._make_url is None:
            return Database.open(path, name, **{"durable": False, **options})
        from gateway.stores.postgresql import PostgresDatabase

        if path.parent not in self._urls:
            self._urls[path.parent] = self._make_url()
        return PostgresDatabase.open(self._urls[path.parent], name)


DATABASES = Databases()
open_store = DATABASES.open
IN_A_FILE = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
"""For a test that copies or alters a SQLite file."""
