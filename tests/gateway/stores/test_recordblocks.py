# SPDX-License-Identifier: Apache-2.0
"""Records in blocks and the index beside them: what was put in comes out, in any size, order and number of runs."""

import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from dialects import open_store
from hypothesis import given, settings
from hypothesis import strategies as st
from keptrecords import record_store

from chaincode.domain.merkle import HASH, SALT
from gateway.services.ports import Reading, RecordColumns, RecordHead, RepeatedRecord, StoredRecord
from gateway.stores import recordindex, recordwriting
from gateway.stores import records as store_module
from gateway.stores.database import Database
from gateway.stores.recordblocks import MOST, Block, pack
from gateway.stores.recordindex import NameHash, bits_for, merged, repeats
from gateway.stores.records import RecordStore
from gateway.stores.sql import SqlDatabase

READING = Reading("text/csv", "id", ",", ("id", "x"))
ALL_PURPOSES = (1 << 64) - 1


def record(number: int, *, subjects: int = 0) -> StoredRecord:
    subject = (number % subjects).to_bytes(HASH) if subjects else b""
    return StoredRecord(f"r{number}", number.to_bytes(SALT), b"%d" % number, number % 5, number, b"l" * HASH, subject)


def names(least: int = 0) -> st.SearchStrategy[bytes]:
    return st.text(min_size=least, max_size=256).map(lambda text: text.encode("utf-8", "replace"))


@st.composite
def stored(draw: st.DrawFn) -> list[StoredRecord]:
    about = draw(st.booleans())
    alike = draw(st.booleans())
    said = (draw(st.integers(0, 255)), draw(st.integers(0, ALL_PURPOSES)))
    return [
        StoredRecord(
            name.decode(),
            draw(st.binary(min_size=SALT, max_size=SALT)),
            draw(st.binary(max_size=50)),
            *(said if alike else (draw(st.integers(0, 255)), draw(st.integers(0, ALL_PURPOSES)))),
            draw(st.binary(min_size=HASH, max_size=HASH)),
            draw(st.binary(min_size=HASH, max_size=HASH)) if about else b"",
        )
        for name in draw(st.lists(names(1), min_size=1, max_size=6))
    ]


@given(stored(), st.integers(0, 1 << 40), st.integers(1, 4))
@settings(deadline=None)
def test_a_block_holds_its_records_to_the_byte(records: list[StoredRecord], start: int, times: int) -> None:
    repeated = records * (times * 60)
    found: list[StoredRecord] = []
    heads: list[RecordHead] = []
    for packed in pack(RecordColumns.of(repeated), start):
        block = Block(packed.start, packed.size, packed.heads)
        assert (block.start, block.end - block.start) == (start + len(found), packed.size)
        assert packed.size <= MOST
        one_by_one = [block.record(place, packed.contents) for place in range(packed.size)]
        assert list(block.records(packed.contents, packed.size // 2)) == one_by_one[packed.size // 2 :]
        found += block.records(packed.contents, 0)
        heads += block.all_heads()
        assert block.has_subjects == bool(records[0].subject)
    assert found == repeated
    assert heads == [RecordHead(one.id, one.consent, one.purposes, one.leaf, one.subject) for one in repeated]


def test_long_records_have_blocks_of_their_own_and_an_unknown_form_is_refused() -> None:
    long = [record(number)._replace(content=b"x" * (300 << 10)) for number in range(3)]
    blocks = list(pack(RecordColumns.of(long), 0))
    assert [block.size for block in blocks] == [1, 1, 1]
    with pytest.raises(ValueError, match="unknown form 9"):
        Block(0, 1, b"\x09" + blocks[0].heads[1:])
    with pytest.raises(ValueError, match="subjects"):
        RecordColumns.of([record(0), record(1, subjects=3)])


@given(st.binary(min_size=16, max_size=16), st.lists(names(), max_size=20))
def test_names_are_hashed_alike_one_by_one_and_together(key: bytes, given_names: list[bytes]) -> None:
    made = NameHash(key)
    assert made.of_all(given_names).tolist() == [made.of(name) for name in given_names]


def test_hashes_depend_on_the_key_and_fill_their_buckets_evenly() -> None:
    ids = [b"r%07d" % number for number in range(50_000)]
    hashes = [NameHash(secrets.token_bytes(16)).of_all(ids) for _ in range(2)]
    assert not np.intersect1d(*hashes).size > 5
    for each in hashes:
        assert np.bincount((each >> np.uint64(44 - 7)).astype(int), minlength=128).max() < 2 * 50_000 / 128
        assert len(np.unique(each)) == len(ids)


@given(st.lists(st.lists(st.integers(0, (1 << 44) - 1), max_size=30), max_size=4), st.integers(0, 6))
def test_runs_are_merged_in_order(given_runs: list[list[int]], bits: int) -> None:
    start = 0
    runs, expected = [], []
    for each in given_runs:
        run = recordindex.Run(start)
        run.add(np.array(each, np.uint64))
        runs.append([run.entries()])
        expected += [(hashed, start + place) for place, hashed in enumerate(each)]
        start += len(each)
    found = list(merged(runs, bits))
    assert all((hashes >> np.uint64(44 - bits) == bucket).all() for bucket, (hashes, _) in found)
    pairs = [pair for _, part in found for pair in zip(*(field.tolist() for field in part), strict=True)]
    assert pairs == sorted(expected)
    same: dict[int, list[int]] = {}
    for hashed, position in expected:
        same.setdefault(hashed, []).append(position)
    twice = sorted(tuple(each) for each in same.values() if len(each) > 1)
    assert sorted(tuple(group) for _, part in found for group in repeats(part)) == twice


@pytest.mark.parametrize(("size", "bits"), [(0, 0), (1, 0), (512, 0), (513, 1), (1_000_000, 11)])
def test_buckets_have_about_500_entries(size: int, bits: int) -> None:
    assert bits_for(size) == bits


@pytest.fixture
def opened(dialect: str, tmp_path: Path) -> Iterator[SqlDatabase]:
    database = open_store(tmp_path / "records.db", "records", durable=False)
    yield database
    database.close()


@pytest.fixture
def short_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of 1,000 records, so that a set has several."""
    monkeypatch.setattr(recordwriting, "RUN", 1_000)


def kept(store: RecordStore, records: Sequence[StoredRecord], root: str, base: str | None = None) -> int:
    key, start = store.begin("d", READING), 0
    if base is not None:
        store.copy(key, base)
        held = store.held(base)
        assert held is not None
        start = held.size
    for at in range(0, len(records), 400):
        store.add(key, start + at, RecordColumns.of(records[at : at + 400]))
    store.finish(key, root, start + len(records))
    return key


@pytest.mark.usefixtures("short_runs")
def test_records_of_several_runs_and_versions_are_found(opened: SqlDatabase) -> None:
    store = record_store(opened)
    records = [record(number, subjects=40) for number in range(5_600)]
    kept(store, records[:100], "one")
    kept(store, records[100:3_300], "two", "one")
    kept(store, records[3_300:], "three", "two")
    for root, size in (("one", 100), ("two", 3_300), ("three", 5_600)):
        assert list(store.all(root)) == records[:size]
        assert [store.find(root, f"r{number}") for number in (0, 99, size - 1)] == [
            (number, records[number]) for number in (0, 99, size - 1)
        ]
        assert store.find(root, f"r{size}") is None
        asked = [f"r{number}" for number in (size, *range(size - 1, -1, -3))]
        assert store.positions(root, asked) == [None, *range(size - 1, -1, -3)]
        subject = (7).to_bytes(HASH)
        assert store.of_subject(root, subject) == [(number, f"r{number}") for number in range(7, size, 40)]
        assert store.of_subject(root, b"\xff" * HASH) == []
        assert store.names_subjects(root)
    runs = opened.reader().execute("SELECT DISTINCT run FROM record_index").fetchall()
    assert runs == [(0,)]
    assert store.find("four", "r0") is None


@pytest.mark.usefixtures("short_runs")
@pytest.mark.parametrize(
    ("ids", "says"),
    [
        ([*range(3_000), 1_500], (3_000, 1_500)),
        ([*range(3_000), 0, 2_999], (3_000, 0)),
        ([5, *range(1, 2_000), *range(2_000)], (5, 0)),
        ([7] * 1_900, (1, 0)),
    ],
)
def test_a_repeat_is_found_across_runs(opened: SqlDatabase, ids: list[int], says: tuple[int, int]) -> None:
    store = record_store(opened)
    with pytest.raises(RepeatedRecord) as caught:
        kept(store, [record(number) for number in ids], "root")
    assert (caught.value.position, caught.value.first) == says
    assert caught.value.id == f"r{ids[says[0]]}"
    (held,) = store.sets()
    store.abandon(held.key)
    tables = ("record_set", "record_block", "record_index", "tile")
    assert [opened.reader().execute(f"SELECT * FROM {table}").fetchall() for table in tables] == [[]] * 4


def test_an_id_that_an_earlier_version_has_is_a_repeat(opened: SqlDatabase) -> None:
    store = record_store(opened)
    kept(store, [record(number) for number in range(10)], "one")
    with pytest.raises(RepeatedRecord) as caught:
        kept(store, [record(10), record(3)], "two", "one")
    assert (caught.value.position, caught.value.first) == (11, 3)


def test_two_ids_of_one_hash_are_two_records(opened: SqlDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    class Poor(NameHash):
        def of(self, name: bytes) -> int:
            return len(name)

        def of_all(self, names: Sequence[bytes]) -> recordindex.Numbers:
            return np.array([len(name) for name in names], np.uint64)

    for module in (recordwriting, store_module):
        monkeypatch.setattr(module, "name_hash", Poor)
    store = record_store(opened)
    records = [record(number) for number in range(2_000)]
    kept(store, records, "root")
    assert [store.find("root", f"r{number}") for number in (0, 1_000, 1_999)] == [
        (number, records[number]) for number in (0, 1_000, 1_999)
    ]
    assert store.find("root", "r9999") is None
    assert store.positions("root", ["r5", "r9999", "r1998"]) == [5, None, 1_998]


def test_records_go_on_where_the_last_ones_ended(opened: SqlDatabase) -> None:
    store = record_store(opened)
    key = store.begin("d", READING)
    with pytest.raises(ValueError, match="goes on at position 0, not 1"):
        store.add(key, 1, RecordColumns.of([record(1)]))


# --- What a former version kept --------------------------------------------------------------------------------------

MIGRATIONS = Path(store_module.__file__).parent / "migrations" / "records"


@pytest.fixture
def former(tmp_path: Path) -> Path:
    """A store of a former version: a set with subjects, one without, and one that was never finished."""
    path = tmp_path / "former.db"
    with closing(sqlite3.connect(path)) as database:
        for script in sorted(MIGRATIONS.glob("000[1-4]_*.sql")):
            database.executescript(script.read_text(encoding="utf-8"))
        database.execute("PRAGMA user_version=4")
        for key, root, subjects in ((1, "one", 3), (2, "two", 0), (3, None, 0)):
            database.execute("INSERT INTO record_set VALUES (?, ?, 'd', 6001, 0, NULL, 'v')", (key, root))
            for number in range(6_001):
                one = record(number, subjects=subjects)._replace(purposes=-1 if number == 5 else number)
                row = (one.id, one.salt, one.content, one.consent, one.purposes, one.leaf, one.subject or None)
                database.execute("INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (key, number, *row))
        database.execute("UPDATE record_set SET leaf_schema = 'pedigree-record/v1'")
        database.commit()
    return path


def test_rows_of_a_former_version_are_packed_once(former: Path) -> None:
    for _ in range(2):
        with closing(Database.open(former, "records", durable=False)) as database:
            store = record_store(database)
            assert [(each.root, each.size) for each in store.sets()] == [("one", 6_001), ("two", 6_001), ("", 6_001)]
            for root, subjects in (("one", 3), ("two", 0)):
                expected = [record(number, subjects=subjects) for number in range(6_001)]
                expected[5] = expected[5]._replace(purposes=ALL_PURPOSES)
                assert list(store.all(root)) == expected
                assert store.find(root, "r6000") == (6_000, expected[-1])
            assert len(store.of_subject("one", (2).to_bytes(HASH))) == 2_000
            tables = {
                name for (name,) in database.reader().execute("SELECT name FROM sqlite_schema WHERE type='table'")
            }
            assert "record" not in tables


def test_packing_that_was_cut_off_is_done_again(former: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    finish = recordwriting.Writing.finish

    def die(self: recordwriting.Writing, *given: object) -> None:
        finish(self, *given)  # type: ignore[arg-type]
        raise Killed

    monkeypatch.setattr(recordwriting.Writing, "finish", die)
    with closing(Database.open(former, "records", durable=False)) as database, pytest.raises(Killed):
        record_store(database)
    monkeypatch.undo()
    test_rows_of_a_former_version_are_packed_once(former)
