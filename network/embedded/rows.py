# SPDX-License-Identifier: Apache-2.0
"""The SQL of a ledger file: connections, queries on committed rows, and the one transaction that writes a block."""

import sqlite3
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

from google.protobuf import timestamp_pb2

from network.embedded.entries import (
    Commit,
    Entry,
    Expiry,
    HashEntry,
    HistoryEntry,
    PrivateEntry,
    PrivateWriteSet,
    TransactionPlace,
    hash_key,
)

SCHEMA_VERSION = 1


def connect_writer(path: Path, connect: Callable[..., Any] = sqlite3.connect, *, durable: bool = True) -> Any:
    """The one connection that writes and checkpoints; creates the tables in an empty file."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    connection = connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'OFF'}")
    path.chmod(0o600)
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        schema = files("network.embedded").joinpath("schema.sql").read_text(encoding="utf-8")
        connection.executescript(f"BEGIN IMMEDIATE;\n{schema}\nPRAGMA user_version = {SCHEMA_VERSION};\nCOMMIT;")
    elif version != SCHEMA_VERSION:
        connection.close()
        raise sqlite3.DatabaseError(f"schema version {version} is not {SCHEMA_VERSION}")
    return connection


def connect_reader(path: Path, connect: Callable[..., Any] = sqlite3.connect) -> Any:
    """A connection that can only read and never checkpoints."""
    connection = connect(path.absolute().as_uri() + "?mode=rw", uri=True, isolation_level=None,
                         check_same_thread=False, cached_statements=256)  # fmt: skip
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version != SCHEMA_VERSION:
        connection.close()
        raise sqlite3.DatabaseError(f"schema version {version} is not {SCHEMA_VERSION}")
    return connection


def _timestamp(raw: bytes) -> Any:
    return timestamp_pb2.Timestamp.FromString(raw)


class Rows:
    """Queries on the newest committed rows. No cursor outlives its call, so no read transaction holds the WAL back."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def _one(self, sql: str, *args: Any) -> Any:
        return self._db.execute(sql, args).fetchone()

    def _all(self, sql: str, *args: Any) -> list[Any]:
        return self._db.execute(sql, args).fetchall()

    def height(self) -> int:
        return int(self._one("SELECT COALESCE(MAX(number) + 1, 0) FROM blocks")[0])

    def commit_hash(self, number: int) -> bytes:
        row = self._one("SELECT commit_hash FROM blocks WHERE number = ?", number)
        return b"" if row is None else bytes(row[0])

    def header_hash(self, number: int) -> bytes:
        row = self._one("SELECT hash FROM blocks WHERE number = ?", number)
        return b"" if row is None else bytes(row[0])

    def block(self, number: int) -> bytes:
        row = self._one("SELECT block FROM blocks WHERE number = ?", number)
        if row is None:
            raise sqlite3.DatabaseError(f"block {number} is missing from the ledger file")
        return bytes(row[0])

    def number_of(self, header_hash: bytes) -> int | None:
        row = self._one("SELECT number FROM blocks WHERE hash = ?", header_hash)
        return None if row is None else int(row[0])

    def place_of(self, transaction_id: str, height: int) -> TransactionPlace | None:
        row = self._one(
            "SELECT block, tx, code FROM transactions WHERE txid = ? AND block < ? ORDER BY block, tx LIMIT 1",
            transaction_id,
            height,
        )
        return None if row is None else TransactionPlace(*row)

    def public(self, ns: str, key: str) -> Entry | None:
        row = self._one("SELECT value, block, tx, metadata FROM state WHERE ns = ? AND key = ?", ns, key.encode())
        return None if row is None else Entry(row[0], (row[1], row[2]), row[3])

    def public_range(self, ns: str, start: bytes, end: bytes, limit: int) -> list[tuple[str, Entry]]:
        below = "AND key < ?3" if end else ""
        rows = self._all(
            f"SELECT key, value, block, tx, metadata FROM state WHERE ns = ?1 AND key >= ?2 {below}"  # noqa: S608
            f" ORDER BY key LIMIT {limit}",
            *((ns, start, end) if end else (ns, start)),
        )
        return [(row[0].decode(), Entry(row[1], (row[2], row[3]), row[4])) for row in rows]

    def hashed(self, ns: str, coll: str, key_hash: bytes) -> HashEntry | None:
        row = self._one(
            "SELECT value_hash, block, tx, metadata FROM hashes WHERE ns = ? AND coll = ? AND key_hash = ?",
            ns,
            coll,
            key_hash,
        )
        return None if row is None else HashEntry(row[0], (row[1], row[2]), row[3])

    def private(self, org: str, ns: str, coll: str, key: str) -> PrivateEntry | None:
        row = self._one(
            "SELECT value, block, tx FROM private WHERE org = ? AND ns = ? AND coll = ? AND key = ?",
            org,
            ns,
            coll,
            key.encode(),
        )
        return None if row is None else PrivateEntry(row[0], (row[1], row[2]))

    def private_range(
        self, org: str, ns: str, coll: str, start: bytes, end: bytes, limit: int
    ) -> list[tuple[str, PrivateEntry]]:
        below = "AND key < ?5" if end else ""
        rows = self._all(
            "SELECT key, value, block, tx FROM private WHERE org = ?1 AND ns = ?2 AND coll = ?3 AND key >= ?4"  # noqa: S608
            f" {below} ORDER BY key LIMIT {limit}",
            *((org, ns, coll, start, end) if end else (org, ns, coll, start)),
        )
        return [(row[0].decode(), PrivateEntry(row[1], (row[2], row[3]))) for row in rows]

    def private_by_hash(self, ns: str, coll: str, key_hash: bytes) -> list[tuple[str, str, PrivateEntry]]:
        rows = self._all(
            "SELECT org, key, value, block, tx FROM private WHERE ns = ? AND coll = ? AND key_hash = ?",
            ns,
            coll,
            key_hash,
        )
        return [(row[0], row[1].decode(), PrivateEntry(row[2], (row[3], row[4]))) for row in rows]

    def history(self, ns: str, key: str, before: tuple[int, int], limit: int) -> list[tuple[int, int, HistoryEntry]]:
        rows = self._all(
            "SELECT block, tx, txid, value, timestamp, is_delete FROM history JOIN transactions USING (block, tx)"
            " WHERE ns = ? AND key = ? AND (block, tx) < (?, ?) ORDER BY block DESC, tx DESC LIMIT ?",
            ns,
            key.encode(),
            *before,
            limit,
        )
        return [(row[0], row[1], HistoryEntry(row[2], row[3], _timestamp(row[4]), bool(row[5]))) for row in rows]

    def private_writes(self, block: int, org: str | None) -> list[PrivateWriteSet]:
        rows = self._all(
            "SELECT org, block, tx, ns, coll, rwset FROM private_writes WHERE block = ? AND (?2 IS NULL OR org = ?2)"
            " ORDER BY block, tx, ns, coll, org",
            block,
            org,
        )
        return [PrivateWriteSet(*row) for row in rows]

    def private_writes_of(self, ns: str, coll: str) -> list[PrivateWriteSet]:
        rows = self._all(
            "SELECT org, block, tx, ns, coll, rwset FROM private_writes WHERE ns = ? AND coll = ?"
            " ORDER BY block, tx, ns, coll, org",
            ns,
            coll,
        )
        return [PrivateWriteSet(*row) for row in rows]

    def due(self, number: int) -> list[Expiry]:
        rows = self._all("SELECT due, ns, coll, key_hash, block, tx FROM expiry WHERE due = ?", number)
        return [Expiry(*row) for row in rows]

    def meta(self, key: str) -> bytes | None:
        row = self._one("SELECT value FROM meta WHERE key = ?", key)
        return None if row is None else bytes(row[0])

    def transient(self, transaction_id: str) -> list[tuple[str, bytes]]:
        return self._all("SELECT org, rwset FROM transient WHERE txid = ? ORDER BY org", transaction_id)

    def private_of(self, org: str, ns: str, coll: str) -> list[tuple[str, PrivateEntry]]:
        rows = self._all(
            "SELECT key, value, block, tx FROM private WHERE org = ? AND ns = ? AND coll = ? ORDER BY key",
            org,
            ns,
            coll,
        )
        return [(row[0].decode(), PrivateEntry(row[1], (row[2], row[3]))) for row in rows]


def write_commit(db: Any, commit: Commit) -> None:
    """Write one block and everything derived from it in one transaction."""
    db.execute("BEGIN IMMEDIATE")
    _write_chain(db, commit)
    _write_public(db, commit)
    _write_private(db, commit)
    _write_bookkeeping(db, commit)
    db.execute("COMMIT")


def _many(db: Any, sql: str, rows: list[Any]) -> None:
    if rows:
        db.executemany(sql, rows)


def _write_chain(db: Any, commit: Commit) -> None:
    number = commit.number
    db.execute(
        "INSERT INTO blocks VALUES (?, ?, ?, ?)",
        (number, commit.header_hash, commit.commit_hash, commit.block.SerializeToString()),
    )
    _many(
        db,
        "INSERT INTO transactions VALUES (?, ?, ?, ?, ?)",
        [(number, tx, txid, code, timestamp) for tx, (txid, code, timestamp) in enumerate(commit.transactions)],
    )
    _many(
        db,
        "INSERT INTO history VALUES (?, ?, ?, ?, ?, ?)",
        [(ns, key.encode(), number, tx, value, deleted) for ns, key, tx, value, deleted in commit.history],
    )


def _write_public(db: Any, commit: Commit) -> None:
    public, hashed = commit.changes.public, commit.changes.hashed
    _many(
        db,
        "INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?, ?, ?)",
        [(ns, key.encode(), e.value, e.metadata, *e.version) for (ns, key), e in public.items() if e is not None],
    )
    _many(
        db,
        "DELETE FROM state WHERE ns = ? AND key = ?",
        [(ns, key.encode()) for (ns, key), e in public.items() if e is None],
    )
    _many(
        db,
        "INSERT OR REPLACE INTO hashes VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(*key, e.value_hash, e.metadata, *e.version) for key, e in hashed.items() if e is not None],
    )
    _many(
        db,
        "DELETE FROM hashes WHERE ns = ? AND coll = ? AND key_hash = ?",
        [key for key, e in hashed.items() if e is None],
    )


def _write_private(db: Any, commit: Commit) -> None:
    private = commit.changes.private
    _many(
        db,
        "INSERT OR REPLACE INTO private VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (org, ns, coll, key.encode(), hash_key(key), e.value, *e.version)
            for (org, ns, coll, key), e in private.items()
            if e is not None
        ],
    )
    _many(
        db,
        "DELETE FROM private WHERE org = ? AND ns = ? AND coll = ? AND key = ?",
        [(org, ns, coll, key.encode()) for (org, ns, coll, key), e in private.items() if e is None],
    )
    _many(
        db,
        "DELETE FROM private_writes WHERE block = ? AND tx = ? AND ns = ? AND coll = ?",
        commit.removed_private_writes,
    )
    _many(db, "INSERT OR REPLACE INTO private_writes VALUES (?, ?, ?, ?, ?, ?)", commit.private_writes)


def _write_bookkeeping(db: Any, commit: Commit) -> None:
    _many(db, "INSERT OR REPLACE INTO expiry VALUES (?, ?, ?, ?, ?, ?)", commit.expiries)
    db.execute("DELETE FROM expiry WHERE due = ?", (commit.number,))
