# SPDX-License-Identifier: Apache-2.0
"""What the store of consent maps writes, each function in one transaction of its own."""

from collections.abc import Collection, Sequence

from gateway.services.statusmaps import MapState
from gateway.services.statustree import Crown, Leaf
from gateway.stores.sql import Connection, Statement, upsert

_MERGED = 250_000
"""Rows that were collected and are brought to their references at once."""
_INSTANT = "(hex(substr(value, 10, 1)) < '80') || hex(substr(value, 10, 8))"
"""When a value was indicated, as text that sorts by time: its last eight bytes, those before 1970 first."""


OWN = Statement("", " AND replica IS NOT DISTINCT FROM nullif(current_setting('pedigree.replica', true), '')::BIGINT")
"""Which maps without a root nobody but this gateway can be building: of a file, all."""


def begin_map(key: int, own: str, connection: Connection) -> int:
    """Begin a map without a root, which nobody sees; what broke off of one that this gateway built before goes."""
    left = f"SELECT key FROM map WHERE dataset = ? AND root IS NULL{own}"  # noqa: S608 - words of ours
    for (found,) in connection.execute(left, (key,)).fetchall():
        remove_map(connection, found)
    made = connection.execute("INSERT INTO map (dataset, size) VALUES (?, 0) RETURNING key", (key,)).fetchone()
    return int(made[0])


def forget_builds(living: Collection[int], connection: Connection) -> int:
    """Remove what gateways were building that live no more; how many maps that were.

    Who names itself with none is of the version before, and may live as long as anybody else does.
    """
    others = f"replica NOT IN ({', '.join('?' * len(living))})" + (" OR replica IS NULL" if len(living) == 1 else "")
    left = f"SELECT key FROM map WHERE root IS NULL AND ({others})"  # noqa: S608 - question marks
    found = connection.execute(left, tuple(living)).fetchall()
    for (each,) in found:
        remove_map(connection, each)
    return len(found)


def merge_said(connection: Connection) -> None:
    """Of what was said first, let what each reference indicated last hold; of the same instant what was said last."""
    said = "SELECT number FROM said ORDER BY number LIMIT ?"
    last = connection.execute(f"SELECT max(number) FROM ({said}) AS first", (_MERGED,)).fetchone()  # noqa: S608 - words of ours
    ordered = f"row_number() OVER (PARTITION BY dataset, reference ORDER BY {_INSTANT} DESC, number DESC) AS place"
    connection.execute(
        "INSERT INTO collected SELECT dataset, reference, value FROM "  # noqa: S608 - words of ours
        f"(SELECT dataset, reference, value, {ordered} FROM said WHERE number <= ?) AS ordered WHERE place = 1 "
        "ON CONFLICT (dataset, reference) DO UPDATE SET value = excluded.value WHERE "
        f"({_INSTANT.replace('value', 'excluded.value')}) >= ({_INSTANT.replace('value', 'collected.value')})",
        last,
    )
    connection.execute("DELETE FROM said WHERE number <= ?", last)


def finish_map(key: int, found: int, crown: Crown, connection: Connection) -> tuple[int, MapState]:
    """Give a map its root; the same one that was built before is taken instead of it. Returns its key too."""
    state = MapState(0, crown.root, crown.size)
    same = connection.execute("SELECT key FROM map WHERE dataset = ? AND root = ?", (key, crown.root)).fetchone()
    if same is not None:
        remove_map(connection, found)
        return int(same[0]), state
    connection.execute("UPDATE map SET root = ?, size = ? WHERE key = ?", (crown.root, crown.size, found))
    return found, state


def open_map(found: int, root: bytes, size: int, connection: Connection) -> None:
    """The ledger holds this map. What was collected for it is in it; what came later stays collected."""
    opened = connection.execute("UPDATE map SET head = 1 WHERE key = ? AND head = 0", (found,))
    if not opened.rowcount:
        return
    connection.execute("INSERT INTO version VALUES (?, 1, ?, ?)", (found, root, size))
    connection.execute(
        "DELETE FROM collected WHERE dataset = (SELECT dataset FROM map WHERE key = ?) AND value = "
        "(SELECT value FROM leaf WHERE map = ? AND leaf.reference = collected.reference AND version = 1)",
        (found, found),
    )
    others = "SELECT other.key FROM map AS other JOIN map ON map.dataset = other.dataset AND map.key = ?"
    for (other,) in connection.execute(f"{others} WHERE other.root != map.root", (found,)).fetchall():
        remove_map(connection, other)


def write_version(
    found: int,
    number: int,
    changes: Sequence[Leaf],
    below: Sequence[tuple[int, bytes, int]],
    crown: Crown,
    strangers: Sequence[bytes],
    connection: Connection,
) -> None:
    """Write a version of the ledger's as a whole; a second time nothing changes."""
    changed = connection.execute("UPDATE map SET head = ? WHERE key = ? AND head = ?", (number, found, number - 1))
    if not changed.rowcount:
        return
    connection.execute("INSERT INTO version VALUES (?, ?, ?, ?)", (found, number, crown.root, crown.size))
    connection.executemany(
        upsert("leaf", "map, reference, version, value", "map, reference, version"),
        [(found, reference, number, value) for reference, value in changes],
    )
    connection.executemany(
        "INSERT INTO subtree VALUES (?, ?, ?, ?, ?)", [(found, place, number, *rest) for place, *rest in below]
    )
    connection.executemany(
        "DELETE FROM collected WHERE dataset = (SELECT dataset FROM map WHERE key = ?) AND reference = ? AND value = ?",
        [(found, *change) for change in changes],
    )
    connection.executemany(
        "INSERT INTO stranger SELECT dataset, ? FROM map WHERE key = ? ON CONFLICT DO NOTHING",
        [(reference, found) for reference in strangers],
    )
    connection.execute("DELETE FROM draft WHERE map = ? AND base < ?", (found, number))


def remove_map(connection: Connection, found: int) -> None:
    for statement in (
        "DELETE FROM leaf WHERE map = ?",
        "DELETE FROM subtree WHERE map = ?",
        "DELETE FROM map WHERE key = ?",
    ):
        connection.execute(statement, (found,))
