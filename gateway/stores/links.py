# SPDX-License-Identifier: Apache-2.0
"""The lineage as the read model's tables have it, in the order of the ledger."""

import json
import sqlite3
from typing import Any, Final

from chaincode.domain.register import RECORDS
from chaincode.domain.values import Text
from gateway.services.attributes import STANDING
from gateway.services.references import reference_of, reference_to_whole
from gateway.services.walks import Link, Mark, Standing

BELONGING: Final = Text("version")
"""The relation of a version to what it is a version of; the ledger says so by the name, not by an edge."""
_EDGE: Final = "edge"
_KINDS: Final = (_EDGE, *(kind.name for kind in RECORDS if kind.belongs_to))
# Each kind is walked along its index; SQLite merges them, each comes in the order of places.
_PIECE: Final = (
    "SELECT * FROM (SELECT place, kind, block, value FROM entry INDEXED BY entry_by_kind "
    "WHERE kind = '{}' AND place > :place ORDER BY place LIMIT :limit)"
)
_LINKS: Final = " UNION ALL ".join(map(_PIECE.format, _KINDS)) + " ORDER BY place LIMIT :limit"
_MARK: Final = "selection-mark"
_WRITTEN: Final = (
    "SELECT block, value FROM history INDEXED BY {} WHERE kind = '{}' "
    "AND block >= ? AND value IS NOT NULL ORDER BY block, number"
)
_STANDINGS: Final = _WRITTEN.format("history_of_stages", STANDING)
_MARKS: Final = _WRITTEN.format("history_of_marks", _MARK)


def links(connection: sqlite3.Connection, place: int, limit: int) -> list[Link]:
    """At most so many edges and versions that stand after a place."""
    rows = connection.execute(_LINKS, {"place": place, "limit": limit})
    return [_link(kind, json.loads(value), block, at) for at, kind, block, value in rows]


def standings(connection: sqlite3.Connection, block: int) -> list[Standing]:
    """Every stage that was written from a block on."""
    return [Standing.read(json.loads(value), at) for at, value in connection.execute(_STANDINGS, (block,))]


def marks(connection: sqlite3.Connection, block: int) -> list[Mark]:
    """Every mark of a withdrawal that was written from a block on."""
    found = connection.execute(_MARKS, (block,))
    return [Mark(str(json.loads(value).get("selection")), at) for at, value in found]


def _link(kind: str, record: dict[str, Any], block: int, place: int) -> Link:
    if kind == _EDGE:
        return Link(str(record["parent"]), str(record["child"]), str(record["relation"]), block, place)
    return Link(str(reference_to_whole(kind, record)), str(reference_of(kind, record)), BELONGING, block, place)
