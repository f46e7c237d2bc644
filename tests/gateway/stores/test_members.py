# SPDX-License-Identifier: Apache-2.0
"""What selections are made from and kept in: records without their content, positions by id, values of a map, bits."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from dialects import open_store
from keptrecords import record_store

from gateway.services.members import Members
from gateway.services.ports import Reading, RecordColumns, RecordHead, StoredRecord
from gateway.services.statusmaps import MapUnknown
from gateway.services.tiles import Tile
from gateway.stores.consent import ConsentStore
from gateway.stores.members import MemberStore
from gateway.stores.sql import SqlDatabase

ALL_PURPOSES = (1 << 64) - 1


pytestmark = pytest.mark.usefixtures("dialect")


def opened(folder: Path, name: str) -> Iterator[SqlDatabase]:
    database = open_store(folder / f"{name}.db", name, durable=True)
    yield database
    database.close()


@pytest.fixture
def members(tmp_path: Path) -> Iterator[SqlDatabase]:
    yield from opened(tmp_path, "members")


@pytest.fixture
def records(tmp_path: Path) -> Iterator[SqlDatabase]:
    yield from opened(tmp_path, "records")


@pytest.fixture
def consent(tmp_path: Path) -> Iterator[SqlDatabase]:
    yield from opened(tmp_path, "consent")


def test_members_outlive_the_process_and_are_written_once(members: SqlDatabase, tmp_path: Path) -> None:
    store = MemberStore(members)
    assert store.find("aa", "bb") is None
    store.keep("aa", "bb", Members(b"\x05"), [Tile(1, 0, b"hash")])
    store.keep("aa", "bb", Members(b"\x07"), [Tile(1, 0, b"other"), Tile(1, 1, b"more")])
    members.close()
    again = open_store(tmp_path / "members.db", "members", durable=True)
    assert MemberStore(again).find("aa", "bb") == Members(b"\x05")
    assert MemberStore(again).find("bb", "aa") is None
    assert [MemberStore(again).tile("aa", "bb", 1, number) for number in (0, 1)] == [b"hash", b""]
    assert MemberStore(again).tile("bb", "aa", 1, 0) == b""
    again.close()


def test_heads_and_positions_are_those_of_the_records(records: SqlDatabase) -> None:
    store = record_store(records)
    rows = [
        StoredRecord(f"r{n}", b"s" * 16, b"content %d" % n, n % 9, ALL_PURPOSES, bytes([n % 256]) * 32, b"w" * 32)
        for n in range(12_000)
    ]
    key = store.begin("d", Reading("text/csv"))
    store.add(key, 0, RecordColumns.of(rows))
    assert list(store.heads("ab" * 32)) == []
    assert store.positions("ab" * 32, ["r1"]) == [None]
    store.finish(key, "ab" * 32, len(rows))
    heads = [RecordHead(row.id, row.consent, row.purposes, row.leaf, row.subject) for row in rows]
    assert list(store.heads("ab" * 32)) == heads
    assert store.leaves("ab" * 32, [700, 3, 11_999]) == b"".join(rows[n].leaf for n in (3, 700, 11_999))
    assert store.leaves("ab" * 32, range(600)) == b"".join(row.leaf for row in rows[:600])
    assert store.leaves("cd" * 32, [3]) == b""
    asked = [f"r{n}" for n in range(11_999, 10_500, -1)]
    assert store.positions("ab" * 32, [*asked, "none", "r0", "r0"]) == [*range(11_999, 10_500, -1), None, 0, 0]


def test_values_are_those_of_the_version_that_is_asked_for(consent: SqlDatabase) -> None:
    store = ConsentStore(consent)
    given, withdrawn = b"\x02" + bytes(16), b"\x05" + bytes(16)
    references = store.references("cohort", [f"p{n}" for n in range(1_200)])
    store.collect("cohort", [(reference, given) for reference in references[:-1]])
    store.settle("cohort", 1, store.build("cohort").root)
    draft = store.draft("cohort", 1, [(references[3], withdrawn), (references[-1], given)])
    store.settle("cohort", 2, draft.root)
    assert store.values("cohort", 1, references) == [*[given] * 1_199, None]
    assert store.values("cohort", 2, references) == [*[given] * 3, withdrawn, *[given] * 1_196]
    assert store.values("cohort", 2, []) == []
    with pytest.raises(MapUnknown):
        store.values("cohort", 3, references)
