# SPDX-License-Identifier: Apache-2.0
"""Records at rest open under their data set's key and nowhere else; stores from before are sealed once, kill or not."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from keptrecords import KEYS, record_store, unseal

from chaincode.domain.merkle import HASH, SALT
from gateway.sealing.datakeys import KeyEncryptionKeys
from gateway.services.ports import Reading, RecordColumns, StoredRecord
from gateway.services.publications import KeysUnusable
from gateway.stores.database import Database
from gateway.stores.records import RecordStore
from gateway.stores.recordseals import (
    PieceDamaged,
    RecordsDestroyed,
    RecordSeals,
    count_keys,
)

READING = Reading("text/csv", "id", ",", ("id", "secret"))
COUNT = 1_200


def record(number: int) -> StoredRecord:
    salt = b"SALT%012d" % number
    content = b"CONTENT-OF-%08d" % number
    subject = b"SUBJECT%025d" % (number % 50)
    assert (len(salt), len(subject)) == (SALT, HASH)
    return StoredRecord(f"IDENTITY-{number:06d}", salt, content, 1, 3, os.urandom(HASH), subject)


RECORDS = [record(number) for number in range(COUNT)]
MARKS = (b"IDENTITY-0", b"CONTENT-OF-", b"SALT0000", b"SUBJECT00000")


def add(store: RecordStore, dataset: str, root: str, base: str | None = None, count: int = COUNT) -> None:
    key, start = store.begin(dataset, READING), 0
    if base is not None:
        store.copy(key, base)
        held = store.held(base)
        assert held is not None
        start = held.size
    store.add(key, start, RecordColumns.of(RECORDS[start:count]))
    store.finish(key, root, count)


def check(store: RecordStore, root: str, count: int = COUNT) -> None:
    assert list(store.all(root)) == RECORDS[:count]
    assert store.find(root, "IDENTITY-000700") == (700, RECORDS[700])
    assert store.positions(root, ["IDENTITY-000003", "nobody"]) == [3, None]
    assert len(store.of_subject(root, RECORDS[7].subject)) == count // 50
    assert store.names_subjects(root)


def in_the_open(path: Path) -> set[bytes]:
    """Which marks are in a store's file, or its log."""
    content = b"".join(each.read_bytes() for each in path.parent.glob(f"{path.name}*"))
    return {mark for mark in MARKS if mark in content}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database.open(tmp_path / "records.db", "records", durable=False)) as opened:
        yield opened


def test_nothing_of_a_record_is_on_the_disk_in_the_open(database: Database, tmp_path: Path) -> None:
    store = record_store(database)
    add(store, "d", "one", count=1_000)
    add(store, "d", "two", base="one")
    add(store, "e", "three")
    check(store, "one", 1_000)
    check(store, "two")
    database.flush()
    assert in_the_open(tmp_path / "records.db") == set()
    check(record_store(database), "three")
    assert count_keys(database) == 2
    store.remove(3)
    assert in_the_open(tmp_path / "records.db") == set()


def test_a_renewed_key_opens_and_the_old_one_does_not(database: Database) -> None:
    add(record_store(database), "d", "one")
    add(record_store(database), "e", "two")
    renewed = KEYS.renewed()
    seals = RecordSeals(database, lambda: renewed)
    assert seals.rewrap(renewed) == 2
    assert seals.rewrap(renewed) == 0
    check(RecordStore(database, RecordSeals(database, renewed.alone)), "one")
    with pytest.raises(KeysUnusable, match="the data key of the records of 'd' does not open"):
        list(record_store(database).all("one"))
    other = RecordStore(database, RecordSeals(database, lambda: KeyEncryptionKeys([b"o" * 32])))
    with pytest.raises(KeysUnusable):
        other.find("one", "IDENTITY-000000")
    with pytest.raises(KeysUnusable):
        other.begin("d", READING)


def test_a_data_set_whose_key_was_destroyed_is_erased_and_no_other(database: Database, tmp_path: Path) -> None:
    store = record_store(database)
    add(store, "d", "one")
    add(store, "e", "two")
    (wrapped,) = database.reader().execute("SELECT wrapped FROM data_key WHERE dataset = 'd'").fetchone()
    seals = RecordSeals(database, lambda: KEYS)
    assert (seals.count_of("d"), seals.destroy("d"), seals.destroy("d")) == (1, 1, 0)
    database.empty_log()
    assert wrapped not in (tmp_path / "records.db").read_bytes()
    erased = record_store(database)
    for ask in (
        lambda: list(erased.all("one")), lambda: erased.find("one", "IDENTITY-000001"),
        lambda: list(erased.heads("one")), lambda: erased.positions("one", ["IDENTITY-000001"]),
        lambda: erased.names_subjects("one"),
    ):  # fmt: skip
        with pytest.raises(RecordsDestroyed, match="they are erased"):
            ask()
    check(erased, "two")
    add(erased, "d", "three")
    check(erased, "three")


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE record_block SET contents = heads WHERE start = 0",
        "UPDATE record_block SET heads = (SELECT heads FROM record_block WHERE start = 250) WHERE start = 0",
        "UPDATE record_block SET contents = (SELECT contents FROM record_block WHERE start = 250) WHERE start = 0",
        "UPDATE record_block SET heads = x'01' WHERE start = 0",
        "UPDATE record_block SET heads = x'' WHERE start = 0",
        "UPDATE record_block SET heads = CAST(substr(heads, 1, 99) || x'00' || substr(heads, 101) AS BLOB)",
        "UPDATE record_block SET size = 249 WHERE start = 0",
        "UPDATE record_set SET data_key = 3 - data_key",
    ],
)
def test_a_piece_opens_in_its_own_place_only(database: Database, change: str) -> None:
    store = record_store(database)
    add(store, "d", "one")
    add(store, "e", "two")
    database.write(lambda connection: connection.execute(change))
    with pytest.raises(PieceDamaged, match=r"restore records\.db"):
        list(record_store(database).all("one"))


def test_buckets_that_were_altered_are_refused(database: Database) -> None:
    add(record_store(database), "d", "one")
    swap = "UPDATE record_index SET entries = (SELECT entries FROM record_index WHERE bucket = 1 AND kind = 0)"
    database.write(lambda connection: connection.execute(swap))
    with pytest.raises(PieceDamaged):
        record_store(database).positions("one", [each.id for each in RECORDS])


@pytest.fixture
def former(tmp_path: Path) -> Path:
    path = tmp_path / "former" / "records.db"
    with closing(Database.open(path, "records", durable=False)) as database:
        store = record_store(database)
        add(store, "d", "one", count=1_000)
        add(store, "d", "two", base="one")
        add(store, "e", "three")
        store.begin("f", READING)
        unseal(database)
        database.empty_log()
    assert in_the_open(path) == set(MARKS)
    return path


def test_a_store_from_before_is_sealed_and_nothing_stays_in_the_open(former: Path) -> None:
    for _ in range(2):
        with closing(Database.open(former, "records", durable=False)) as database:
            store = record_store(database)
            check(store, "one", 1_000)
            check(store, "two")
            check(store, "three")
            assert count_keys(database) == 3
    assert in_the_open(former) == set()


class Killed(BaseException):
    pass


def test_sealing_that_is_killed_at_any_write_goes_on(former: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.stores.recordsealing._AT_ONCE", 2)
    genuine, left, kills = Database.write, 0, 0

    def write(self: Database, work: Any) -> Any:
        nonlocal left
        if left == 0:
            raise Killed
        left -= 1
        return genuine(self, work)

    monkeypatch.setattr(Database, "write", write)
    for allowed in range(1, 200):
        left = 2 + allowed % 3
        with closing(Database.open(former, "records", durable=False)) as database:
            try:
                record_store(database)
            except Killed:
                kills += 1
                continue
            break
    monkeypatch.undo()
    assert kills > 5
    with closing(Database.open(former, "records", durable=False)) as database:
        store = record_store(database)
        check(store, "one", 1_000)
        check(store, "two")
        check(store, "three")
    assert in_the_open(former) == set()


def test_without_keys_a_store_from_before_stays_as_it_was(former: Path) -> None:
    def none() -> KeyEncryptionKeys:
        raise KeysUnusable("the key-encryption key is gone")

    before = former.read_bytes()
    with closing(Database.open(former, "records", durable=False)) as database, pytest.raises(KeysUnusable):
        RecordStore(database, RecordSeals(database, none))
    with closing(sqlite3.connect(former)) as database:
        assert database.execute("SELECT count(*) FROM record_set WHERE data_key IS NOT NULL").fetchone() == (0,)
    assert len(before)
