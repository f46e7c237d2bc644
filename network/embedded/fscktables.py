# SPDX-License-Identifier: Apache-2.0
"""Compare the tables of two ledger files row by row: the stored one, and the one recomputed from its blocks."""

import sqlite3
from collections.abc import Iterator
from hashlib import sha256
from typing import Any, NamedTuple

Difference = tuple[str, str]
"""Place, problem."""


class _Table(NamedTuple):
    """A table whose first `key` columns of `columns` identify and order its rows."""

    name: str
    columns: str
    key: int
    where: str = "1"


_TABLES = (
    _Table("transactions", "block, tx, txid, code, timestamp", 2),
    _Table("state", "ns, key, value, metadata, block, tx", 2),
    _Table("hashes", "ns, coll, key_hash, value_hash, metadata, block, tx", 3),
    _Table("history", "ns, key, block, tx, value, is_delete", 4),
    # Rows without key hash follow private write sets, which an organisation may lack.
    _Table("expiry", "due, ns, coll, key_hash, block, tx", 6, "length(key_hash) > 0"),
)


def compare_tables(stored: sqlite3.Connection, fresh: sqlite3.Connection) -> Iterator[Difference]:
    """Every row of public state, hashes, history and indices that differs; both are read once, in order."""
    for table in _TABLES:
        yield from _compare(table, stored, fresh)


def _rows(table: _Table, connection: sqlite3.Connection) -> Iterator[tuple[Any, ...]]:
    order = ", ".join(table.columns.split(", ")[: table.key])
    sql = f"SELECT {table.columns} FROM {table.name} WHERE {table.where} ORDER BY {order}"  # noqa: S608 - constants
    return iter(connection.execute(sql))


def _compare(table: _Table, stored: sqlite3.Connection, fresh: sqlite3.Connection) -> Iterator[Difference]:
    left, right = _rows(table, stored), _rows(table, fresh)
    was, must = next(left, None), next(right, None)
    while was is not None or must is not None:
        if must is None or (was is not None and was[: table.key] < must[: table.key]):
            assert was is not None
            yield _place(table, was), "must not be there"
            was = next(left, None)
        elif was is None or must[: table.key] < was[: table.key]:
            yield _place(table, must), "is missing"
            must = next(right, None)
        else:
            if was != must:
                yield _place(table, was), f"differs in {_differing(table, was, must)}"
            was, must = next(left, None), next(right, None)


def _differing(table: _Table, was: tuple[Any, ...], must: tuple[Any, ...]) -> str:
    names = table.columns.split(", ")
    return ", ".join(name for name, a, b in zip(names, was, must, strict=True) if a != b)


def _place(table: _Table, row: tuple[Any, ...]) -> str:
    names = table.columns.split(", ")[: table.key]
    parts = (f"{name} {_shown(value)}" for name, value in zip(names, row, strict=False))
    return f"{table.name}: {', '.join(parts)}"


def _shown(value: Any) -> str:
    if not isinstance(value, bytes):
        return str(value)
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return value.hex()
    return repr(text)


def compare_private(stored: sqlite3.Connection, fresh: sqlite3.Connection) -> Iterator[Difference]:
    """Cleartext that its hash does not match, that belongs to no hash, or that a member has lost."""
    rows = stored.execute(
        "SELECT p.org, p.ns, p.coll, p.key, p.key_hash, p.value, p.block, p.tx, h.value_hash, h.block, h.tx"
        " FROM private p LEFT JOIN hashes h ON h.ns = p.ns AND h.coll = p.coll AND h.key_hash = p.key_hash"
    )
    for org, ns, coll, key, key_hash, value, block, tx, value_hash, hash_block, hash_tx in rows:
        place = f"private: {org}, {ns}/{coll}, key {_shown(key)}"
        if sha256(key).digest() != key_hash:
            yield place, "is indexed under another key hash"
        elif value_hash is None:
            yield place, "has cleartext without a hash"
        elif (block, tx) > (hash_block, hash_tx):
            yield place, "is newer than its hash"
        elif (block, tx) == (hash_block, hash_tx) and sha256(value).digest() != value_hash:
            yield place, "has a value that its hash does not match"
    for org, ns, coll, key, block, tx in fresh.execute("SELECT org, ns, coll, key, block, tx FROM private"):
        row = stored.execute(
            "SELECT block, tx FROM private WHERE org = ? AND ns = ? AND coll = ? AND key = ?", (org, ns, coll, key)
        ).fetchone()
        if row != (block, tx):
            yield f"private: {org}, {ns}/{coll}, key {_shown(key)}", "is missing or of another version"
