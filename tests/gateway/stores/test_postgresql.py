# SPDX-License-Identifier: Apache-2.0
"""What is of PostgreSQL alone: several gateways on one database, and a server that goes and comes back."""

import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from dialects import open_store

from gateway.services.logs import Head, Published, Refusal, SignedHead
from gateway.services.ports import Category, Failed, PortError, Recorded, Submission, Unavailable
from gateway.stores import readmodel
from gateway.stores.consent import ConsentStore
from gateway.stores.database import Database
from gateway.stores.heads import HeadStore
from gateway.stores.keys import KeyStore
from gateway.stores.postgresql import PostgresDatabase
from gateway.stores.replicas import SharedNonces
from gateway.stores.sql import Dialect, scripts
from gateway.stores.submissions import SubmissionStore

if TYPE_CHECKING:
    from postgresqlserver import Server

LOCAL = ("readmodel",)
"""What each gateway builds from the blocks for itself."""

INTO = "INSERT INTO api_key (id, name, role, digest, created, revoked) VALUES"


@pytest.fixture
def opened(postgresql_url: str) -> Iterator[Any]:
    """Opens a store's schema, as a gateway does; each call is another gateway."""
    with ExitStack() as stack:

        def one(name: str = "keys") -> PostgresDatabase:
            return stack.enter_context(closing(PostgresDatabase.open(postgresql_url, name)))

        yield one


def test_every_store_but_those_that_are_local_has_the_same_columns_in_both_dialects(
    opened: Any, tmp_path: Path
) -> None:
    folder = Path(readmodel.__file__).parent / "migrations"
    names = {each.name for each in folder.iterdir() if each.is_dir() and any(each.glob("*.sql"))}
    assert {name for name in names if not scripts_of(name)} == set(LOCAL)
    only_here = {("submissions", "claim"), ("sealed", "given.replica"), ("consent", "map.replica")}
    for name in sorted(names - set(LOCAL)):
        with closing(Database.open(tmp_path / f"{name}.db", name, durable=False)) as database:
            rows = database.reader().execute(
                'SELECT m.name, c.name, c."notnull" OR c.pk > 0 FROM sqlite_schema m JOIN pragma_table_info(m.name) c '
                "WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%'"
            )
            # The packed store has no table of rows any more; it is dropped when the store is opened.
            expected = {tuple(row) for row in rows if (name, row[0]) != ("records", "record")}
        rows = opened(name).reader().execute(
            "SELECT table_name, column_name, CASE is_nullable WHEN 'NO' THEN 1 ELSE 0 END "
            "FROM information_schema.columns WHERE table_schema = ?", (f"pedigree_{name}",)
        )  # fmt: skip
        found = {
            (table, column, needed)
            for table, column, needed in rows
            if table != "schema_version" and not {(name, table), (name, f"{table}.{column}")} & only_here
        }
        assert found == expected, f"write a migration for both dialects of {name}"


def scripts_of(name: str) -> list[tuple[int, str]]:
    try:
        return scripts(name, Dialect.POSTGRESQL)
    except FileNotFoundError:
        return []


def test_one_write_is_under_way_at_a_time_whoever_writes(opened: Any) -> None:
    """What a store looks up before it writes holds, as it does in a file."""
    databases = [opened() for _ in range(2)]
    databases[0].write(lambda c: c.execute(f"{INTO} ('n', 'n', 'reader', '', 0, NULL)"))

    def add(connection: Any) -> None:
        (seen,) = connection.execute("SELECT created FROM api_key").fetchone()
        time.sleep(0.001)
        connection.execute("UPDATE api_key SET created = ?", (seen + 1,))

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(databases[number % 2].write, add) for number in range(80)]:
            done.result()
    assert databases[0].reader().execute("SELECT created FROM api_key").fetchone() == (80.0,)


def test_gateways_that_start_together_make_the_schema_once(postgresql_url: str) -> None:
    with ThreadPoolExecutor(6) as pool, ExitStack() as stack:
        for opening in [pool.submit(PostgresDatabase.open, postgresql_url, "keys") for _ in range(6)]:
            stack.enter_context(closing(opening.result()))
    with psycopg.connect(postgresql_url) as connection:
        (made,) = connection.execute("SELECT count(*) FROM pedigree_keys.schema_version").fetchone() or (0,)
    assert made == len(scripts_of("keys"))


def test_a_schema_of_a_newer_version_is_refused(opened: Any, postgresql_url: str) -> None:
    opened().write(lambda c: c.execute("INSERT INTO schema_version VALUES (99)"))
    with pytest.raises(PortError, match="newer version"):
        PostgresDatabase.open(postgresql_url, "keys")


def test_a_server_that_cannot_be_reached_is_named_and_retryable() -> None:
    with pytest.raises(Unavailable) as caught:
        PostgresDatabase.open("postgresql://nobody@127.0.0.1:1/none", "keys")
    assert (caught.value.code, caught.value.retryable) == ("database-unavailable", True)


def test_a_character_that_texts_cannot_have_is_shown_as_its_symbol(opened: Any) -> None:
    database = opened()
    database.write(lambda c: c.execute(f"{INTO} ('a', ?, 'reader', '', 0, NULL)", ("x\0y",)))
    assert database.reader().execute("SELECT name FROM api_key WHERE name = ?", ("x\0y",)).fetchone() == ("x␀y",)


def test_a_server_that_restarts_loses_nothing_and_ends_nobody(postgresql_server: "Server") -> None:
    with closing(PostgresDatabase.open(postgresql_server.database(), "keys")) as database:
        keys = KeyStore(database)
        first = keys.add("first", "reader")
        assert keys.recognise(first) is not None
        postgresql_server.stop(signal.SIGQUIT)
        try:
            with pytest.raises(Unavailable):
                keys.add("second", "reader")
            with pytest.raises(Unavailable):
                keys.recognise(first)
            insert = f"{INTO} ('l', 'later', 'reader', '', 0, NULL)"
            later = database.write_later(lambda c: c.execute(insert))
            time.sleep(0.2)
            assert not later.done(), "nobody waits for it, so it waits for the server"
        finally:
            postgresql_server.start()
        assert later.result(30) is None
        keys.add("third", "reader")
        assert keys.recognise(first) is not None
        assert {key.name for key in keys.list()} == {"first", "third", "later"}


def test_what_nobody_waits_for_is_told_when_the_gateway_stops_without_a_server(postgresql_server: "Server") -> None:
    database = PostgresDatabase.open(postgresql_server.database(), "keys")
    postgresql_server.stop()
    try:
        later = database.write_later(lambda c: c.execute("SELECT 1"))
        database.close()
        assert isinstance(later.exception(5), Unavailable)
        with pytest.raises(RuntimeError):
            database.reader().execute("SELECT 1")
    finally:
        postgresql_server.start()


def test_who_is_cut_off_in_the_middle_of_a_write_undoes_it_and_lets_others_write(
    opened: Any, postgresql_url: str
) -> None:
    one, other = opened(), opened()
    inside, cut = threading.Event(), threading.Event()

    def slow(connection: Any) -> None:
        connection.execute(f"{INTO} ('a', 'half', 'reader', '', 0, NULL)")
        inside.set()
        cut.wait(10)
        connection.execute("SELECT 1")

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(one.write, slow)
        assert inside.wait(10)
        with psycopg.connect(postgresql_url, autocommit=True) as operator:
            operator.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                "AND state = 'idle in transaction'"
            )
        cut.set()
        with pytest.raises(Unavailable):
            writing.result(10)
    keys = KeyStore(other)
    keys.add("whole", "reader")
    assert [key.name for key in keys.list()] == ["whole"]
    KeyStore(one).add("again", "reader")


@pytest.mark.usefixtures("dialect")
def test_submissions_are_kept_as_they_stand_and_found_by_what_they_name(tmp_path: Path) -> None:
    with closing(open_store(tmp_path / "submissions.db", "submissions", durable=True)) as database:
        store = SubmissionStore(database, "aa")
        made = Submission(
            "id", "client", "k", "hash", "dataset:commit-version", '{"root":"ab%_12"}', "accepted", 1, 0.5,
            organisations=("A", "B"), filled=("number",),
        )  # fmt: skip
        store.save(made)
        assert (store.find("client", "k"), list(store.unfinished())) == (made, [made])
        prepared = Submission(**{**fields(made), "state": "prepared", "envelope": b"\0\xff", "reply": {"é": [1]}})
        store.save(prepared)
        assert store.get("id") == prepared
        assert (store.may_record("ab%_12"), store.may_record("zz")) == (True, False)
        store.finish(Submission(**{**fields(prepared), "state": "final", "ending": Recorded({"a": "\u20ac"}, 7)}))
        database.flush()
        found = SubmissionStore(database, "aa").find("client", "k")
        assert found is not None
        assert (found.ending, found.envelope, found.elsewhere) == (Recorded({"a": "\u20ac"}, 7), None, False)
        failed = Failed(Category.CONFLICT, "taken", "taken", retryable=False, facts={})
        store.save(Submission(**{**fields(made), "id": "i2", "key": "k2", "state": "final", "ending": failed}))
        assert SubmissionStore(database, "aa").get("i2").ending == failed  # type: ignore[union-attr]
        assert list(store.unfinished()) == []


def fields(made: Submission) -> dict[str, Any]:
    return {name: getattr(made, name) for name in made.__slots__}


@pytest.mark.usefixtures("dialect")
def test_heads_are_kept_and_never_forked(tmp_path: Path) -> None:
    with closing(open_store(tmp_path / "log.db", "log", durable=True)) as database:
        store = HeadStore(database)
        one, two = Published(Head(1, b"r1"), b"n1", ()), Published(Head(2, b"r2"), b"n2", ("w", "x"))
        store.sign(one)
        store.sign(two)
        store.sign(two)
        assert (store.signed(), list(store.published())) == (two.head, [two, one])
        store.keep([two])
        database.flush()
        assert list(store.published()) == [two]
        assert store.witness("o", 0, Head(3, b"a"), b"note")
        assert not store.witness("o", 0, Head(4, b"b"), b"note"), "another continued it meanwhile"
        assert (store.witnessed("o"), store.pending("o")) == (Head(3, b"a"), SignedHead(Head(3, b"a"), b"note"))
        assert store.mirror("o", SignedHead(Head(3, b"a"), b"m"))
        assert not store.mirror("o", SignedHead(Head(2, b"a"), b"m"))
        assert store.mirrored("o") == SignedHead(Head(3, b"a"), b"m")
        assert [store.refuse(Refusal("o", 1.5, "why", b"n")) for _ in range(2)] == [True, False]
        assert list(store.refusals()) == [Refusal("o", 1.5, "why", b"n")]


@pytest.fixture
def numbered(postgresql_url: str) -> Iterator[Any]:
    """Opens a store's schema as the gateway with a number does."""
    with ExitStack() as stack:

        def one(name: str, number: int) -> PostgresDatabase:
            settings = {"pedigree.replica": str(number)}
            return stack.enter_context(closing(PostgresDatabase.open(postgresql_url, name, settings=settings)))

        yield one


def test_a_nonce_counts_once_at_whichever_gateway_and_again_when_its_time_is_over(opened: Any) -> None:
    nonces = [SharedNonces(opened("replicas")) for _ in range(2)]
    with ThreadPoolExecutor(8) as pool:
        for name in (b"a", b"b"):
            taken = [each.result() for each in [pool.submit(nonces[n % 2].use, name, 300.0) for n in range(16)]]
            assert taken.count(True) == 1
    assert nonces[0].use(b"short", 0.0)
    time.sleep(0.01)
    assert nonces[1].use(b"short", 300.0)
    (kept,) = opened("replicas").reader().execute("SELECT count(*) FROM nonce").fetchone()
    assert kept == 3


def sayings(count: int, begin: int = 0) -> list[tuple[bytes, bytes]]:
    return [(bytes([n >> 8, n & 255]) + bytes(30), b"\x02" + bytes(16)) for n in range(begin, begin + count)]


def test_two_gateways_that_open_a_consent_map_at_once_build_the_same_one(numbered: Any) -> None:
    """Each builds in rows of its own; neither takes the other's for what a crash left."""
    stores = [ConsentStore(numbered("consent", number)) for number in (1, 2)]
    for turn in range(4):
        dataset = f"cohort-{turn}"
        stores[0].collect(dataset, sayings(3_000))
        barrier = threading.Barrier(2)

        def build(store: ConsentStore, dataset: str = dataset, barrier: Any = barrier) -> Any:
            barrier.wait()
            return store.build(dataset)

        with ThreadPoolExecutor(2) as pool:
            built = [each.result() for each in [pool.submit(build, store) for store in stores]]
        assert built[0] == built[1]
        assert built[0].size == 3_000
        assert [store.settle(dataset, 1, built[0].root) for store in stores] == [stores[0].head(dataset)] * 2


def test_what_a_gateway_was_building_when_it_died_goes_and_what_others_build_stays(numbered: Any) -> None:
    stores = [ConsentStore(numbered("consent", number)) for number in (1, 2, 3)]
    stores[0].collect("cohort", sayings(10))
    maps = numbered("consent", 9)

    def building() -> list[int]:
        return [number for (number,) in maps.reader().execute("SELECT replica FROM map WHERE root IS NULL ORDER BY 1")]

    def begin(number: int | None) -> None:
        insert = "INSERT INTO map (dataset, size, replica) SELECT key, 0, ? FROM dataset"
        maps.write(lambda connection: connection.execute(insert, (number,)))

    for number in (1, 2, 3):
        begin(number)
    stores[1].build("cohort")
    assert building() == [1, 3], "what it left itself is gone, the others' is not"
    assert stores[1].recover({2, 3}) == 1
    assert building() == [3]
    begin(None)  # a gateway of the version before may be at it, as long as anybody else lives
    assert stores[1].recover({2, 3}) == 0
    assert stores[1].recover({2}) == 2
    assert stores[1].recover({2}) == 0
    assert building() == []
