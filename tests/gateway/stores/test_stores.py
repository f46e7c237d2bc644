# SPDX-License-Identifier: Apache-2.0
"""Grouped commits, failing disks and keys."""

import json
import sqlite3
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from dialects import open_store
from keptrecords import record_store

from gateway.rest.problems import STATUSES, problem, reply_for
from gateway.services.ports import (
    Json,
    LedgerBlock,
    LedgerTransaction,
    Outcome,
    PortError,
    Reading,
    RecordColumns,
    Recorded,
    RepeatedRecord,
    StorageFailed,
    StorageFull,
    StoredRecord,
    Submission,
)
from gateway.services.rates import Rate
from gateway.stores import readmodel
from gateway.stores.database import Database
from gateway.stores.keys import InvalidKeyRequest, KeyStore
from gateway.stores.logtree import LogTree
from gateway.stores.readmodel import ReadModelStore
from gateway.stores.records import RecordStore
from gateway.stores.sql import SqlDatabase, upsert, write_rows
from gateway.stores.submissions import SubmissionStore

INTO = "INSERT INTO api_key (id, name, role, digest, created, revoked) VALUES"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database.open(tmp_path / "d" / "keys.db", "keys", durable=True)
    yield opened
    opened.close()


@pytest.fixture
def either(dialect: str, tmp_path: Path) -> Iterator[SqlDatabase]:
    """The same in either dialect."""
    opened = open_store(tmp_path / "d" / "keys.db", "keys", durable=True)
    yield opened
    opened.close()


KEEP = f"{INTO} (?, ?, 'reader', '', ?, NULL) ON CONFLICT (id) DO UPDATE SET created = excluded.created"


def insert(name: str) -> Any:
    return lambda c: c.execute(f"{INTO} (?, ?, 'reader', ?, 0, NULL)", (name, name, b"0"))


def names(database: SqlDatabase) -> list[str]:
    return [row[0] for row in database.reader().execute("SELECT name FROM api_key ORDER BY name")]


def test_a_finished_write_is_visible_to_every_thread(either: SqlDatabase) -> None:
    either.write(insert("a"))
    seen: list[str] = []
    thread = threading.Thread(target=lambda: seen.extend(names(either)))
    thread.start()
    thread.join()
    assert seen == ["a"]


def test_one_failing_write_does_not_undo_its_neighbours(either: SqlDatabase) -> None:
    gate = threading.Event()
    either.write_later(lambda _: gate.wait(5))
    good = [either.write_later(insert(name)) for name in "ab"]
    bad = either.write_later(insert("a"))
    last = either.write_later(insert("c"))
    gate.set()
    for future in (*good, last):
        future.result(5)
    with pytest.raises((sqlite3.IntegrityError, psycopg.IntegrityError)):
        bad.result(5)
    assert names(either) == ["a", "b", "c"]


def test_what_nobody_waits_for_shares_the_next_commit_and_needs_none(either: SqlDatabase) -> None:
    seen: list[set[str]] = []
    later = either.write_later(insert("a"))
    either.write(lambda c: seen.append({row[0] for row in c.execute("SELECT name FROM api_key")}))
    assert seen == [{"a"}]  # in order, and in one transaction with the write that somebody waited for
    assert later.done()
    alone = either.write_later(insert("b"))
    assert alone.result(5) is None
    assert names(either) == ["a", "b"]
    unwritten = either.write_later(insert("c"))
    either.close()
    assert unwritten.done()


def test_writes_keep_their_order_whoever_commits_them(either: SqlDatabase) -> None:
    def keep(name: str, value: int) -> Any:
        row = (name, name, value)
        return lambda c: c.execute(KEEP, row)

    def work(name: str) -> None:
        for value in range(0, 60, 3):
            either.write_later(keep(name, value))
            either.write_soon(keep(name, value + 1))
            either.write(keep(name, value + 2))
            found = either.reader().execute("SELECT created FROM api_key WHERE id = ?", (name,)).fetchone()
            assert found == (value + 2,)

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(work, f"k{number}") for number in range(8)]:
            done.result()


def test_cursors_stay_in_the_thread_that_writes(either: SqlDatabase) -> None:
    insertion = f"{INTO} (?, ?, 'reader', '', 0, NULL)"
    assert either.write(lambda c: c.execute(insertion, ("a", "a"))) is None
    assert either.write(lambda c: c.executemany(insertion, [("b", "b")])) is None

    def write(thread: int) -> None:
        for number in range(100):
            rows = [(name := f"{thread}-{number}-{row}", name) for row in range(10)]
            either.write(lambda c, rows=rows: c.executemany(insertion, rows))  # type: ignore[misc]

    with ThreadPoolExecutor(16) as pool:
        for done in [pool.submit(write, thread) for thread in range(16)]:
            done.result()
    assert len(names(either)) == 2 + 16 * 100 * 10


def test_readers_cannot_write(either: SqlDatabase) -> None:
    with pytest.raises((sqlite3.OperationalError, psycopg.errors.ReadOnlySqlTransaction), match=r"read-?only"):
        either.reader().execute("DELETE FROM api_key")


def test_a_full_disk_is_told_and_passes(database: Database) -> None:
    page = database.write(lambda c: c.execute("PRAGMA page_count").fetchone()[0])
    database.write(lambda c: c.execute(f"PRAGMA max_page_count={page}").fetchone())
    big = "x" * 60_000

    def fill(connection: sqlite3.Connection) -> None:
        connection.execute(f"{INTO} (?, 'b', 'reader', ?, 0, NULL)", ("big", big))

    with pytest.raises(StorageFull):
        database.write(fill)
    database.write(lambda c: c.execute("PRAGMA max_page_count=100000").fetchone())
    database.write(fill)
    assert names(database) == ["b"]


def test_a_failed_disk_stops_everything_that_follows(tmp_path: Path) -> None:
    failures: list[Exception] = []
    database = Database.open(tmp_path / "keys.db", "keys", durable=True, on_failure=failures.append)

    def fail(_: sqlite3.Connection) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
        raise error

    with pytest.raises(StorageFailed):
        database.write(fail)
    assert len(failures) == 1
    with pytest.raises(StorageFailed):
        database.write(insert("a"))
    database.close()


def test_files_belong_to_their_owner_alone(database: Database, tmp_path: Path) -> None:
    assert stat.S_IMODE((tmp_path / "d" / "keys.db").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "d").stat().st_mode) == 0o700


def test_a_file_of_a_newer_version_is_refused(database: Database, tmp_path: Path) -> None:
    database.write(lambda c: c.execute("PRAGMA user_version=99"))
    database.close()
    with pytest.raises(PortError, match="newer version"):
        Database.open(tmp_path / "d" / "keys.db", "keys", durable=True)


def test_what_is_queued_is_committed_before_closing(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "keys.db", "keys", durable=True)
    for number in range(300):
        database.write_later(insert(f"{number:03}"))
    database.close()
    again = Database.open(tmp_path / "keys.db", "keys", durable=True)
    assert len(names(again)) == 300
    again.close()


def test_a_key_is_recognised_until_it_is_revoked(either: SqlDatabase) -> None:
    keys = KeyStore(either)
    secret = keys.add("ci", "recorder")
    found = keys.recognise(secret)
    assert found is not None
    assert (found.name, found.role) == ("ci", "recorder")
    keys.revoke("ci")
    assert keys.recognise(secret) is None
    with pytest.raises(InvalidKeyRequest):
        keys.revoke("ci")


def test_a_key_may_have_a_rate_of_its_own(either: SqlDatabase) -> None:
    keys = KeyStore(either)
    own, common = (
        keys.recognise(keys.add("busy", "reader", rate=Rate(100, 60))),
        keys.recognise(keys.add("ci", "reader")),
    )
    assert own is not None
    assert common is not None
    assert (own.rate, common.rate) == (Rate(100, 60), None)


def test_the_file_does_not_hold_the_secret(database: Database, tmp_path: Path) -> None:
    secret = KeyStore(database).add("ci", "reader").split(".")[1]
    database.close()
    stored = b"".join(path.read_bytes() for path in (tmp_path / "d").iterdir())
    assert secret.encode() not in stored


@pytest.mark.parametrize("wrong", ["", ".", "x", "x.y", "\ud800.\ud800", "a" * 500])
def test_what_is_no_key_is_nobody(either: SqlDatabase, wrong: str) -> None:
    assert KeyStore(either).recognise(wrong) is None


@pytest.mark.parametrize(("name", "role"), [("", "reader"), ("a b", "reader"), ("x" * 65, "reader"), ("a", "root")])
def test_names_and_roles_are_checked(either: SqlDatabase, name: str, role: str) -> None:
    with pytest.raises(InvalidKeyRequest):
        KeyStore(either).add(name, role)


def test_a_name_is_given_once(either: SqlDatabase) -> None:
    KeyStore(either).add("a", "reader")
    with pytest.raises(InvalidKeyRequest, match="already"):
        KeyStore(either).add("a", "reader")


@pytest.fixture
def record_file(tmp_path: Path) -> Iterator[Database]:
    database = Database.open(tmp_path / "records.db", "records", durable=True)
    yield database
    database.close()


@pytest.fixture
def records(record_file: Database) -> RecordStore:
    return record_store(record_file)


READING = Reading("text/csv", "id", ",", ("id", "x"))


def kept(number: int) -> StoredRecord:
    return StoredRecord(f"r{number}", b"s" * 16, b"%d" % number, 2, 1, b"l" * 32)


def test_records_keep_all_64_purposes(records: RecordStore) -> None:
    given = [
        StoredRecord("a", b"s" * 16, b"c", 2, 2**64 - 1, b"l" * 32),
        StoredRecord("b", b"t" * 16, b"", 0, 0, b"m" * 32),
    ]
    key = records.begin("d", READING)
    records.add(key, 0, RecordColumns.of(given))
    assert list(records.all("root")) == []
    records.finish(key, "root", 2)
    assert list(records.all("root")) == given
    assert list(records.all("root", 1)) == given[1:]
    assert records.find("root", "b") == (1, given[1])
    assert records.find("root", "c") is None
    held = records.held("root")
    assert held is not None
    assert (held.dataset, held.size, held.reading) == ("d", 2, READING)


def test_a_set_is_seen_whole_or_not_at_all_and_stays_once_it_has_a_root(records: RecordStore) -> None:
    first, second = records.begin("d", READING), records.begin("d", READING)
    records.add(first, 0, RecordColumns.of([kept(number) for number in range(3)]))
    records.finish(first, "root", 3)
    records.copy(second, "root")
    records.add(second, 3, RecordColumns.of([kept(3)]))
    assert records.held("other") is None
    records.abandon(first)
    assert len(list(records.all("root"))) == 3
    records.finish(second, "other", 4)
    assert [record.id for record in records.all("other")] == ["r0", "r1", "r2", "r3"]
    third = records.begin("d", READING)
    records.add(third, 0, RecordColumns.of([kept(0)]))
    records.abandon(third)
    assert [found.root for found in records.sets()] == ["root", "other"]
    records.remove(first)
    assert records.held("root") is None
    assert len(list(records.all("other"))) == 4


@pytest.mark.parametrize(("ids", "says"), [((3, 3), (3, 2)), ((1, 5), (2, 1)), ((5, 0), (3, 0))])
def test_a_repeated_id_is_named_with_the_first_one(
    records: RecordStore, ids: tuple[int, int], says: tuple[int, int]
) -> None:
    key = records.begin("d", READING)
    records.add(key, 0, RecordColumns.of([kept(0), kept(1)]))
    records.add(key, 2, RecordColumns.of([kept(number) for number in ids]))
    with pytest.raises(RepeatedRecord) as caught:
        records.finish(key, "root", 4)
    assert (caught.value.id, caught.value.position, caught.value.first) == (f"r{ids[says[0] - 2]}", *says)
    records.abandon(key)
    assert records.sets() == []


def test_the_log_of_a_big_write_is_given_back(records: RecordStore, record_file: Database, tmp_path: Path) -> None:
    key = records.begin("d", READING)
    big = [StoredRecord(f"{number}", b"s" * 16, b"x" * 4_000, 0, 0, b"l" * 32) for number in range(5_000)]
    with closing(sqlite3.connect(tmp_path / "records.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM record_set").fetchall()  # what is read here keeps the log from being shortened
        records.add(key, 0, RecordColumns.of(big))
        record_file.flush()
    log = tmp_path / "records.db-wal"
    assert log.stat().st_size > 16 << 20
    records.finish(key, "root", len(big))
    assert log.stat().st_size <= 8 << 20
    assert len(list(records.all("root"))) == len(big)


def test_a_full_disk_is_told_while_later_records_are_read_and_leaves_nothing(
    records: RecordStore, record_file: Database
) -> None:
    page = record_file.write(lambda c: c.execute("PRAGMA page_count").fetchone()[0])
    big = [StoredRecord(f"{number}", b"s" * 16, b"x" * 4_000, 0, 0, b"l" * 32) for number in range(1_500)]

    def fill(key: int) -> None:
        for start in range(0, 6_000, 1_500):
            later = [record._replace(id=f"{start + place}") for place, record in enumerate(big)]
            records.add(key, start, RecordColumns.of(later))
        records.finish(key, "root", 6_000)

    # There is room for some of it.
    record_file.write(lambda c: c.execute(f"PRAGMA max_page_count={page + 200}").fetchone())
    key = records.begin("d", READING)
    with pytest.raises(StorageFull):
        fill(key)
    records.abandon(key)
    assert records.sets() == []
    for table in ("record_block", "tile", "record_index"):
        assert record_file.reader().execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    record_file.write(lambda c: c.execute("PRAGMA max_page_count=100000").fetchone())
    fill(records.begin("d", READING))
    assert sum(1 for _ in records.all("root")) == 6_000


def test_what_is_abandoned_while_it_is_written_is_gone(records: RecordStore, record_file: Database) -> None:
    key = records.begin("d", READING)
    big = [StoredRecord(f"{number}", b"s" * 16, b"x" * 4_000, 0, 0, b"l" * 32) for number in range(2_500)]
    begun, may_go_on = threading.Event(), threading.Event()

    def wait(_: sqlite3.Connection) -> None:
        begun.set()
        assert may_go_on.wait(60)

    record_file.write_soon(wait)
    assert begun.wait(60)
    records.add(key, 0, RecordColumns.of(big))  # is queued behind that
    abandoning = threading.Thread(target=records.abandon, args=(key,))
    abandoning.start()
    may_go_on.set()
    abandoning.join(60)
    assert not abandoning.is_alive()
    assert record_file.reader().execute("SELECT count(*) FROM record_block").fetchone() == (0,)
    assert records.sets() == []


def test_pages_are_as_large_as_blocks_and_those_of_a_former_file_stay(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "former.db", isolation_level=None)) as former:
        former.execute("PRAGMA page_size=4096")
        former.execute("PRAGMA journal_mode=WAL")
        former.execute("PRAGMA user_version=0")
    for name, page in (("new", 32_768), ("former", 4_096)):
        database = Database.open(tmp_path / f"{name}.db", "records", durable=True)
        found = database.write(
            lambda c: [c.execute(f"PRAGMA {of}").fetchone()[0] for of in ("page_size", "wal_autocheckpoint")]
        )
        assert found == [page, (4 << 20) // page]
        database.close()


def test_rows_are_inserted_by_the_thousand(either: SqlDatabase) -> None:
    rows = [(f"{number}", f"n{number}", "reader", b"", 0) for number in range(2_345)]
    keep = upsert("api_key", "id, name, role, digest, created", "id")
    for some in (rows, [], rows[:3]):
        either.write(partial(write_rows, insert=keep, rows=some))
    assert sorted(names(either)) == sorted(row[1] for row in rows)
    with pytest.raises(ValueError, match="mark"):
        either.write(partial(write_rows, insert=keep, rows=[("a", "b")]))


def test_records_from_before_there_were_sets_are_still_there(tmp_path: Path) -> None:
    path = tmp_path / "records.db"
    script = Path(readmodel.__file__).parent / "migrations" / "records" / "0001_records.sql"
    with closing(sqlite3.connect(path)) as former:
        former.executescript(script.read_text(encoding="utf-8"))
        for root in ("one", "two"):
            for number in (1, 0):
                row = (root, number, f"r{number}", b"s" * 16, b"%d" % number, 2, 1, b"l" * 32)
                former.execute("INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        former.execute("PRAGMA user_version=1")
        former.commit()
    database = Database.open(path, "records", durable=True)
    store = record_store(database)
    for root in ("one", "two"):
        held = store.held(root)
        assert held is not None
        assert (held.size, held.reading) == (2, None)
        assert list(store.all(root)) == [kept(0), kept(1)]
        assert store.find(root, "r1") == (1, kept(1))
    database.close()


def test_the_configuration_moves_with_the_position(tmp_path: Path) -> None:
    path = tmp_path / "readmodel.db"
    database = Database.open(path, "readmodel", durable=False)
    model = ReadModelStore(database)
    assert model.config() is None
    model.apply(LedgerBlock(0, "00", "", (), config=b"first"))
    model.apply(LedgerBlock(1, "01", "00", ()))
    assert model.config() == b"first"
    with pytest.raises(PortError):
        model.apply(LedgerBlock(2, "02", "another", (), config=b"of another chain"))
    assert (model.height(), model.config()) == (2, b"first")
    model.apply(LedgerBlock(2, "02", "01", (), config=b"second"))
    database.close()
    database = Database.open(path, "readmodel", durable=False)
    model = ReadModelStore(database)
    assert (model.height(), model.config()) == (3, b"second")
    model.clear()
    assert (model.height(), model.config()) == (0, None)
    database.close()


def test_a_read_model_that_knows_no_configuration_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "readmodel.db"
    script = Path(readmodel.__file__).parent / "migrations" / "readmodel" / "0001_readmodel.sql"
    with closing(sqlite3.connect(path)) as former:
        former.executescript(script.read_text(encoding="utf-8"))
        former.execute("UPDATE position SET height = 7, hash = 'ff'")
        former.execute("INSERT INTO ledger_transaction VALUES ('id', 6, 0, 0, 'LabMSP', '', NULL)")
        former.execute("PRAGMA user_version=1")
        former.commit()
    database = Database.open(path, "readmodel", durable=False)
    model = ReadModelStore(database)
    assert (model.height(), model.last_hash(), model.config()) == (0, None, None)
    assert model.transaction("id") is None
    database.close()


def test_transactions_that_a_former_version_kept_by_id_are_still_there(tmp_path: Path) -> None:
    path = tmp_path / "readmodel.db"
    folder = Path(readmodel.__file__).parent / "migrations" / "readmodel"
    with closing(sqlite3.connect(path)) as former:
        for script in sorted(folder.glob("*.sql"))[:11]:
            former.executescript(script.read_text(encoding="utf-8"))
        former.execute("UPDATE position SET height = 3, hash = 'ff', logged = 2")
        for id_, block, logged in (("bb", 1, 0), ("aa", 2, 1)):
            row = (id_, block, 0, 0, "LabMSP", "", "mark", None, '{"said": true}', None, logged)
            former.execute(f"INSERT INTO ledger_transaction VALUES ({', '.join('?' * 11)})", row)
        former.execute("PRAGMA user_version=11")
        former.commit()
    database = Database.open(path, "readmodel", durable=False)
    model = ReadModelStore(database)
    assert model.height() == 3
    for id_, block, logged in (("bb", 1, 0), ("aa", 2, 1)):
        seen = model.transaction(id_)
        assert seen is not None
        assert (seen.outcome, seen.reply) == (Outcome(id_, 0, block, "mark"), {"said": True})
        assert LogTree(database).number_of(id_) == logged
    rows = database.reader().execute("SELECT id FROM ledger_transaction ORDER BY rowid").fetchall()
    assert [id_ for (id_,) in rows] == ["bb", "aa"]
    database.close()


def test_requests_of_another_chain_are_kept_and_not_seen(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "submissions.db", "submissions", durable=True)
    kept = Submission("id", "client", "key", "hash", "f", "{}", "final", 1, 0.0, ending=Recorded({}, 1))
    SubmissionStore(database).save(kept)  # as a former version left it
    one = SubmissionStore(database, "aa")
    assert one.find("client", "key") == kept
    other = SubmissionStore(database, "bb")
    assert (other.find("client", "key"), other.get("id"), list(other.unfinished())) == (None, None, [])
    other.save(replace(kept, state="accepted", ending=None))
    assert SubmissionStore(database, "aa").find("client", "key") == kept
    assert [each.state for each in SubmissionStore(database, "bb").unfinished()] == ["accepted"]
    database.close()


NOT_OWNER = problem(403, "not-the-owner", "Not \ud800 yours: é", facts={"owner": "LabMSP", "at": [1.5, None]})
BEHIND = problem(503, "behind", "later", retryable=True)
KEPT = {"record": {"kind": "model", "name": "é"}, "event": {}, "transaction": {"id": "t", "block": 3}}


def test_answers_that_a_former_version_kept_are_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "submissions.db"
    scripts = Path(readmodel.__file__).parent / "migrations" / "submissions"
    answers: list[tuple[int, Json, int | None]] = [(201, KEPT, 4), (403, NOT_OWNER, None), (503, BEHIND, None)]
    answers += [(status, problem(status, "x", "y"), None) for status in STATUSES.values()]
    insertion = f"INSERT INTO submission VALUES ({', '.join('?' * 19)})"
    with closing(sqlite3.connect(path)) as former:
        for name in ("0001_submissions.sql", "0002_chain.sql", "0003_filled.sql"):
            former.executescript((scripts / name).read_text(encoding="utf-8"))
        for number, (status, body, height) in enumerate(answers):
            asked = ("aa", f"{number}", "c", f"{number}", "h", "f", "{}", 201, "final", 1, 0.0, "", "t", None, None)
            former.execute(insertion, (*asked, status, json.dumps(body), height, "number"))
        asked = ("aa", "open", "c", "open", "h", "f", "{}", 201, "prepared", 2, 5.0, "A,B", "t", b"e", "{}")
        former.execute(insertion, (*asked, None, None, None, ""))
        former.execute("PRAGMA user_version=3")
        former.commit()
    database = Database.open(path, "submissions", durable=True)
    store = SubmissionStore(database, "aa")
    for number, (status, body, height) in enumerate(answers):
        found = store.get(f"{number}")
        assert found is not None
        assert found.ending is not None
        reply = reply_for(found.ending)
        assert (reply.status, json.dumps(reply.body)) == (status, json.dumps(body))
        assert getattr(found.ending, "height", None) == height
        store.save(found)
        assert store.get(found.id) == found
    assert list(store.unfinished()) == [
        Submission("open", "c", "open", "h", "f", "{}", "prepared", 2, 5.0, ("A", "B"), (), "t", b"e", {})
    ]
    database.close()


def test_a_read_model_knows_its_first_block_until_it_is_cleared(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "readmodel.db", "readmodel", durable=False)
    model = ReadModelStore(database)
    assert model.genesis() is None
    model.apply(LedgerBlock(0, "00", "", ()))
    model.apply(LedgerBlock(1, "01", "00", ()))
    assert model.genesis() == "00"
    model.clear()
    assert model.genesis() is None
    database.close()


def test_of_an_ids_occurrences_the_valid_one_counts_else_the_first(tmp_path: Path) -> None:
    def one(code: int, mark: str, number: int = 0) -> LedgerTransaction:
        return LedgerTransaction("id", number, code, "LabMSP", "", None, (), mark)

    database = Database.open(tmp_path / "readmodel.db", "readmodel", durable=False)
    model = ReadModelStore(database)
    model.apply(LedgerBlock(0, "00", "", (one(8, "garbage"), one(4, "more garbage", 1))))
    assert model.transaction("id").outcome == Outcome("id", 8, 0, "garbage")
    model.apply(LedgerBlock(1, "01", "00", (one(8, "garbage again"), one(0, "ours", 1), one(9, "copy", 2))))
    model.apply(LedgerBlock(2, "02", "01", (one(9, "copy"),)))
    assert model.transaction("id").outcome == Outcome("id", 0, 1, "ours")
    database.close()
