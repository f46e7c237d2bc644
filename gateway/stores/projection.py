# SPDX-License-Identifier: Apache-2.0
"""The writes of a block become entries, their history, and the attributes that they are found by."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from chaincode.domain.policy import Stage
from gateway.services.attributes import (
    INHERITED,
    SENSITIVITY,
    STAGE,
    STAGED,
    STANDING,
    attributes,
)
from gateway.services.conditions import ANY_KIND, REFERENCE
from gateway.services.ports import Json, LedgerBlock
from gateway.services.references import name_of, reference_to_whole, whole_of
from gateway.services.walks import Standing

_ENCODER: Final = json.JSONEncoder(ensure_ascii=False)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ADD: Final = "INSERT OR IGNORE INTO attribute VALUES (?, ?, ?, ?)"
_TAKE: Final = "DELETE FROM attribute WHERE kind = ? AND name = ? AND value = ? AND place = ?"
_PLACE_OF: Final = "SELECT place FROM attribute WHERE kind = ? AND name = ? AND value = ?"
_SAME_KEY: Final = 500
"""How many keys are looked up by one statement."""
_Row = tuple[str, str, str, int]
"""An attribute and the place of its entry."""


class _Write(NamedTuple):
    """One write, where it stands and what it wrote, as text too."""

    key: str
    kind: str
    text: str | None
    value: Json | None
    transaction_id: str
    block: int
    number: int
    at: str


class _Kept(NamedTuple):
    """What was under a key."""

    place: int
    kind: str
    value: Json


def project(connection: sqlite3.Connection, block: LedgerBlock, places: int) -> int:
    """Apply the writes of a block; `places` entries were ever made before, and it answers how many have been now."""
    for writes in _rounds(block):
        places = _apply(connection, writes, places)
    return places


def _rounds(block: LedgerBlock) -> Iterator[list[_Write]]:
    """The writes of a block in their order, cut wherever a key comes again, so that each cut can be applied at once."""
    writes: dict[str, _Write] = {}
    for transaction in block.transactions:
        for key, value in ((write.key, write.value) for write in transaction.writes):
            if key in writes:
                yield list(writes.values())
                writes.clear()
            writes[key] = _Write(
                key=key,
                kind="" if value is None else str(value.get("kind", "")),
                text=None if value is None else _ENCODER.encode(value),
                value=value,
                transaction_id=transaction.transaction_id,
                block=block.number,
                number=transaction.index,
                at=transaction.at,
            )
    yield list(writes.values())


def _apply(connection: sqlite3.Connection, writes: Sequence[_Write], places: int) -> int:
    """Apply writes to different keys; an entry that exists keeps its place, and a deletion the entry's kind."""
    kept = _kept(connection, [write.key for write in writes])
    connection.executemany(
        "INSERT OR REPLACE INTO history VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(w.key, w.block, w.number, w.transaction_id, w.kind or _kind(kept.get(w.key)), w.text, w.at) for w in writes],
    )
    connection.executemany(_TAKE, [row for each in kept.values() for row in _rows(each)])
    connection.executemany("DELETE FROM entry WHERE key = ?", [(w.key,) for w in writes if w.value is None])
    now: list[tuple[_Write, _Kept]] = []
    entries: list[tuple[Any, ...]] = []
    for write in writes:
        if write.value is None:
            continue
        before = kept.get(write.key)
        if before is None:
            places += 1
        place = places if before is None else before.place
        now.append((write, _Kept(place, write.kind, write.value)))
        name = name_of(write.kind, write.value)
        entries.append(
            (place, write.kind, name, milliseconds(write.at), write.key, write.transaction_id, write.block, write.at,
             write.text)
        )  # fmt: skip
    connection.executemany(
        "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET kind = excluded.kind, "
        "name = excluded.name, value = excluded.value, transaction_id = excluded.transaction_id, "
        "block = excluded.block, at = excluded.at",
        entries,
    )
    # Sorted, so that neighbours in the table are written one after the other.
    connection.executemany(_ADD, sorted(row for _, each in now for row in _rows(each)))
    for write, each in now:
        if each.kind == STANDING:
            _stand(connection, kept.get(write.key), each)
        elif (whole := whole_of(each.kind)) is not None and write.key not in kept:
            _belong(connection, each, whole)
    return places


def _kept(connection: sqlite3.Connection, keys: Sequence[str]) -> dict[str, _Kept]:
    found: dict[str, _Kept] = {}
    for start in range(0, len(keys), _SAME_KEY):
        some = keys[start : start + _SAME_KEY]
        query = f"SELECT key, place, kind, value FROM entry WHERE key IN ({', '.join('?' * len(some))})"  # noqa: S608
        for key, place, kind, value in connection.execute(query, some):
            found[key] = _Kept(place, kind, json.loads(value))
    return found


def _rows(entry: _Kept) -> Iterable[_Row]:
    return ((*attribute, entry.place) for attribute in attributes(entry.kind, entry.value))


def _kind(kept: _Kept | None) -> str:
    return "" if kept is None else kept.kind


def milliseconds(at: str) -> int | None:
    """The time of a transaction; `None` where it says none that can be read."""
    found = microseconds(at)
    return None if found is None else found // 1000


def microseconds(at: str) -> int | None:
    """The same to the microsecond."""
    try:
        return (datetime.fromisoformat(at) - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, TypeError):
        return None


# --- What a record is found by because of others --------------------------------------------------------------------


def _belong(connection: sqlite3.Connection, version: _Kept, whole: str) -> None:
    """A version is a draft, as sensitive as what it is a version of, and that is found by what its versions are."""
    reference = str(reference_to_whole(version.kind, version.value))
    own = [(version.kind, STAGE, Stage.DRAFT.value), (version.kind, STAGED, f"{reference} {Stage.DRAFT.value}")]
    rows: list[_Row] = [(*each, version.place) for each in own]
    place = _place_of(connection, reference)
    if place is not None:
        rows += _sensitivity(connection, version, place)
        rows.append((whole, STAGE, Stage.DRAFT.value, place))
        inherited = (each for each in attributes(version.kind, version.value) if each.kind == version.kind)
        rows += [(whole, each.name, each.value, place) for each in inherited if each.name in INHERITED]
    connection.executemany(_ADD, rows)


def _sensitivity(connection: sqlite3.Connection, version: _Kept, whole: int) -> Iterator[_Row]:
    (text,) = connection.execute("SELECT value FROM entry WHERE place = ?", (whole,)).fetchone()
    if isinstance(said := json.loads(text).get(SENSITIVITY), str):
        yield (version.kind, SENSITIVITY, said, version.place)


def _stand(connection: sqlite3.Connection, before: _Kept | None, standing: _Kept) -> None:
    """Move a version from its stage to the one that is written."""
    place = _place_of(connection, str(standing.value.get("artifact")))
    if place is None:
        return
    kind, text = connection.execute("SELECT kind, value FROM entry WHERE place = ?", (place,)).fetchone()
    if whole_of(kind) is None:
        return
    _move(connection, place, kind, text, _stage_before(connection, before), str(standing.value.get(STAGE)))
    _note_lapse(connection, standing.value)


def _stage_before(connection: sqlite3.Connection, before: _Kept | None) -> str:
    """The stage that a version is found by: the one that was written, or that followed where a quarantine has ended."""
    if before is None:
        return Stage.DRAFT.value
    query = "SELECT after FROM lapse WHERE artifact = ? AND ended"
    row = connection.execute(query, (str(before.value.get("artifact")),)).fetchone()
    return str(before.value.get(STAGE) if row is None else row[0])


def _note_lapse(connection: sqlite3.Connection, value: Json) -> None:
    """Keep when the quarantine ends that a stage says, or that there is none that ends by itself."""
    standing = Standing.read(value, 0)
    connection.execute("DELETE FROM lapse WHERE artifact = ?", (standing.artifact,))
    if standing.lapses_at is not None:
        after = standing.at(standing.lapses_at)
        connection.execute("INSERT INTO lapse VALUES (?, ?, ?, 0)", (standing.artifact, standing.lapses_at, after))


def lapse(connection: sqlite3.Connection, now: int) -> None:
    """Have versions found by the stages that they are at by the time of a block, in milliseconds since 1970.

    The time of a block may be a little before that of an earlier one: then what has ended by that one has not by this.
    """
    for ended, query in (
        (1, "SELECT artifact, after FROM lapse WHERE ended = 0 AND at <= ?"),
        (0, "SELECT artifact, after FROM lapse WHERE ended = 1 AND at > ?"),
    ):
        for artifact, after in connection.execute(query, (now,)).fetchall():
            place = _place_of(connection, artifact)
            if place is None:
                raise LookupError(artifact)
            kind, text = connection.execute("SELECT kind, value FROM entry WHERE place = ?", (place,)).fetchone()
            stages = (Stage.QUARANTINED.value, after) if ended else (after, Stage.QUARANTINED.value)
            _move(connection, place, kind, text, *stages)
            connection.execute("UPDATE lapse SET ended = ? WHERE artifact = ?", (ended, artifact))


def _move(connection: sqlite3.Connection, place: int, kind: str, text: str, old: str, new: str) -> None:
    """Move a version from its stage to another, and what it is a version of where no other version is at the former."""
    whole = str(whole_of(kind))
    reference = str(reference_to_whole(kind, json.loads(text)))
    connection.executemany(_TAKE, [(kind, STAGE, old, place), (kind, STAGED, f"{reference} {old}", place)])
    connection.executemany(_ADD, [(kind, STAGE, new, place), (kind, STAGED, f"{reference} {new}", place)])
    above = _place_of(connection, reference)
    if above is None:
        return
    if connection.execute(f"{_PLACE_OF} LIMIT 1", (kind, STAGED, f"{reference} {old}")).fetchone() is None:
        connection.execute(_TAKE, (whole, STAGE, old, above))
    connection.execute(_ADD, (whole, STAGE, new, above))


def _place_of(connection: sqlite3.Connection, reference: str) -> int | None:
    """The place of the record that a reference points at."""
    row = connection.execute(f"{_PLACE_OF} LIMIT 1", (ANY_KIND, REFERENCE, reference)).fetchone()
    return None if row is None else int(row[0])
