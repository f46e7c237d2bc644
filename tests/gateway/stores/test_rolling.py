# SPDX-License-Identifier: Apache-2.0
"""A rolling upgrade: gateways of an older version serve on the newer schema, until each of them is renewed.

So a migration of PostgreSQL adds, and nothing else: all that an older gateway reads and writes is there afterwards, and
what it does not know of needs no value.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

import psycopg
import pytest

from gateway.server.folders import SHARED
from gateway.services.ports import PortError
from gateway.stores import postgresql
from gateway.stores.keys import KeyStore
from gateway.stores.postgresql import PostgresDatabase
from gateway.stores.sql import Dialect, scripts

STORES = (*SHARED, "replicas")
OLDER = [(name, number) for name in STORES for number in range(1, len(scripts(name, Dialect.POSTGRESQL)))]
"""Every schema that a gateway of a version before may have made."""
COLUMNS = (
    "SELECT table_name, column_name, data_type, is_nullable, column_default IS NOT NULL OR is_identity = 'YES' "
    "FROM information_schema.columns WHERE table_schema = ?"
)
RULES = (
    "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint "
    "WHERE connamespace = ?::regnamespace AND conrelid <> 0"
)
ONE_OF_A_KIND = (
    "SELECT tablename, regexp_replace(indexdef, '.* ON ', '') FROM pg_indexes "
    "WHERE schemaname = ? AND indexdef LIKE 'CREATE UNIQUE%'"
)

Known = Callable[[int | None], None]


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Known:
    """Lets what opens a store know so many of its migrations; all of them after `None`."""

    def set_to(number: int | None) -> None:
        def older(name: str, dialect: Dialect) -> Sequence[tuple[int, str]]:
            return scripts(name, dialect)[:number]

        monkeypatch.setattr(postgresql, "scripts", older)

    return set_to


def catalogue(url: str, name: str) -> tuple[dict[tuple[str, str], tuple[str, str, bool]], set[Any]]:
    """The columns of a schema, and what keeps rows from being written."""
    with closing(PostgresDatabase.open(url, name)) as database:
        reader = database.reader()
        schema = (f"pedigree_{name}",)
        rows = reader.execute(COLUMNS, schema).fetchall()
        rules = {(*row,) for query in (RULES, ONE_OF_A_KIND) for row in reader.execute(query, schema).fetchall()}
    return {(table, column): (kind, empty, default) for table, column, kind, empty, default in rows}, rules


def names(rule: Sequence[str]) -> set[str]:
    """The columns that a rule is about."""
    return set(rule[1].partition("(")[2].partition(")")[0].split(", "))


@pytest.mark.parametrize(("name", "number"), OLDER)
def test_what_an_older_gateway_reads_and_writes_is_the_same_in_the_newer_schema(
    known: Known, postgresql_url: str, name: str, number: int
) -> None:
    known(number)
    before, rules = catalogue(postgresql_url, name)
    known(None)
    after, newer = catalogue(postgresql_url, name)
    assert {each: after.get(each) for each in before} == before
    tables = {table for table, _ in before}
    columns = {column for _, column in after.keys() - before.keys()}
    added = {each: after[each] for each in after.keys() - before.keys() if each[0] in tables}
    assert {each: what for each, what in added.items() if what[1:] == ("NO", False)} == {}, "they need a value"
    # In a column that an older gateway does not write there is nothing that could be there twice.
    refusing = {rule for rule in newer - rules if rule[0].rpartition(".")[2] in tables and not names(rule) & columns}
    assert refusing == set()
    assert rules <= newer


def test_an_older_gateway_goes_on_while_the_schema_changes_and_does_not_start_on_it(
    known: Known, postgresql_url: str
) -> None:
    known(1)
    insert = "INSERT INTO api_key (id, name, role, digest, created, revoked) VALUES (?, ?, 'reader', '', 0, NULL)"
    with closing(PostgresDatabase.open(postgresql_url, "keys")) as old:

        def serve(name: str) -> None:
            old.write(lambda connection: connection.execute(insert, (name, name)))
            names = [each for (each,) in old.reader().execute("SELECT name FROM api_key ORDER BY name")]
            assert name in names

        for number in range(20):  # so often that the driver keeps the statements prepared
            serve(f"before-{number:02}")
        known(None)
        with closing(PostgresDatabase.open(postgresql_url, "keys")) as new:
            for number in range(20):
                serve(f"during-{number:02}")
            assert len(KeyStore(new).list()) == 40
        serve("after")
    known(1)
    with pytest.raises(PortError, match=r"was written by a newer version \(schema \d, known 1\)"):
        PostgresDatabase.open(postgresql_url, "keys")


def test_a_migration_that_breaks_off_leaves_the_schema_as_it_was_for_those_who_serve(
    monkeypatch: pytest.MonkeyPatch, postgresql_url: str
) -> None:
    with closing(PostgresDatabase.open(postgresql_url, "log")) as old:
        newer = [*scripts("log", Dialect.POSTGRESQL), (99, "CREATE TABLE later (a INT); SELECT 1 / 0")]
        monkeypatch.setattr(postgresql, "scripts", lambda *_: newer)
        with pytest.raises(PortError):
            PostgresDatabase.open(postgresql_url, "log")
        assert old.reader().execute("SELECT max(number) FROM schema_version").fetchone() == (len(newer) - 1,)
        with psycopg.connect(postgresql_url) as connection:
            found = connection.execute("SELECT to_regclass('pedigree_log.later')").fetchone()
    assert found == (None,)
