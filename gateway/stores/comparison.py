# SPDX-License-Identifier: Apache-2.0
"""A read model beside one that was built afresh from the blocks: which rows differ."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

__all__ = ["copy_of", "differences", "genesis_of", "height_of"]

_KEYS = {
    "entry": "key",
    "attribute": "kind || ' ' || name || ' ' || value",
    "block_time": "block",
    "history": "key",
    "lapse": "artifact",
    "ledger_transaction": "id",
    "channel_config": "block",
    "log_entry": "number",
    "log_tile": "level || ' ' || number",
    "deed": "block || ' ' || number",
    "deed_about": "reference",
    "position": "hash",
    "term": "text",
}
_MOST = 5
"""How many rows of a table are named."""


def copy_of(path: Path, target: Path) -> None:
    """Copy a read model as it is at one moment; the gateway that owns it may be running.

    Nothing is written beside the original: where no log lies there, it is read as a file that nobody writes.
    Raises `sqlite3.Error` when it is not a database.
    """
    logged = path.with_name(f"{path.name}-wal").exists()
    uri = f"{path.absolute().as_uri()}?mode=ro{'' if logged else '&immutable=1'}"
    with closing(sqlite3.connect(uri, uri=True)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)


def height_of(path: Path) -> int:
    """How many blocks a copied read model holds; raises `sqlite3.Error` when it is none."""
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT height FROM position").fetchone()[0])


def genesis_of(path: Path) -> str | None:
    """The hash of the first block of the chain that a copied read model is of; `None` where none was kept."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT * FROM position")
        columns = [column[0] for column in found.description]
        return dict(zip(columns, found.fetchone(), strict=True)).get("genesis")


def differences(kept: Path, rebuilt: Path) -> Iterator[tuple[str, str]]:
    """Each table that differs and what is wrong in it, naming a few rows."""
    with closing(sqlite3.connect(rebuilt)) as connection:
        connection.execute("ATTACH ? AS kept", (str(kept),))
        for table, key in _KEYS.items():
            for sign, one, other in (("lacks", "main", "kept"), ("has", "kept", "main")):
                query = f"SELECT {key} FROM (SELECT * FROM {one}.{table} EXCEPT SELECT * FROM {other}.{table})"  # noqa: S608
                rows = [str(row[0]) for row in connection.execute(query)]
                if rows:
                    named = ", ".join(repr(row) for row in rows[:_MOST])
                    yield table, f"{sign} {len(rows)} rows that the blocks {_VERB[sign]}: {named}"


_VERB = {"lacks": "give", "has": "do not give"}
