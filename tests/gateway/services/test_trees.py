# SPDX-License-Identifier: Apache-2.0
"""Proofs of stored records: out of a few tiles after a restart, and right or refused whatever became of the tiles."""

import io
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from keptrecords import alter_block, record_store

from chaincode.domain import merkle
from chaincode.domain.provenance import LeafSchema
from gateway.services.drafting import Drafts, Upload
from gateway.services.holdings import RecordSet, StoredRecord
from gateway.services.indications import Columns
from gateway.services.progress import Progress
from gateway.services.tables import CSV
from gateway.services.tiles import WIDTH
from gateway.services.trees import NotHeld, Trees, in_batches, leaf_hashes
from gateway.stores.consent import ConsentStore
from gateway.stores.database import Database
from gateway.stores.recordblocks import MOST
from gateway.stores.records import RecordStore

ROWS = 3 * WIDTH + 5


def table(rows: int) -> bytes:
    return "".join(["id,patient\n", *(f"r{number},p{number % 7}\n" for number in range(rows))]).encode()


@dataclass
class Owner:
    """An owner's stores, and the services over them."""

    folder: Path
    databases: list[Database]
    store: RecordStore
    trees: Trees
    drafts: Drafts

    def commit(self, content: bytes, last: Any = None, *, subjects: bool = True) -> Any:
        columns = Columns("patient") if subjects else Columns()
        return self.drafts.draft("d", Upload(io.BytesIO(content), CSV, "id", columns=columns), last, Progress())

    def held(self, body: Any) -> RecordSet:
        found = self.store.held(body["root"])
        assert found is not None
        return found

    def prove(self, held: RecordSet, index: int) -> None:
        record = list(self.store.all(held.root))[index]
        path = self.trees.inclusion(held, index, record)
        leaf = leaf_hashes([record], held.leaf_schema)
        merkle.verify_inclusion(leaf, index, held.size, path, bytes.fromhex(held.root))

    def alter(self, sql: str) -> int:
        with closing(sqlite3.connect(self.folder / "records.db")) as other:
            changed = other.execute(sql).rowcount
            other.commit()
        return changed

    def tiles(self) -> list[Any]:
        return self.databases[0].reader().execute("SELECT * FROM tile ORDER BY 1, 2, 3").fetchall()


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Owner]]:
    owners: list[Owner] = []

    def make(folder: Path = tmp_path) -> Owner:
        databases = [Database.open(folder / f"{name}.db", name, durable=False) for name in ("records", "consent")]
        store = record_store(databases[0])
        trees = Trees(store)
        made = Owner(folder, databases, store, trees, Drafts(store, trees, ConsentStore(databases[1]), lambda: 1.0))
        owners.append(made)
        return made

    yield make
    for owner in owners:
        for database in owner.databases:
            database.close()


@pytest.fixture
def owner(opened: Callable[..., Owner]) -> Owner:
    return opened()


@pytest.mark.parametrize("subjects", [True, False])
def test_a_record_is_proven_after_a_restart_out_of_a_few_tiles(opened: Callable[..., Owner], subjects: bool) -> None:
    body = opened().commit(table(ROWS), subjects=subjects)
    owner = opened()
    held = owner.held(body)
    assert held.leaf_schema is (LeafSchema.RECORD_V2 if subjects else LeafSchema.RECORD_V1)
    before = owner.tiles()
    for index in (0, WIDTH, ROWS - 1):
        owner.prove(held, index)
    assert owner.tiles() == before != []


def test_the_leaf_commits_to_the_subject_where_the_file_says_who_that_is(owner: Owner) -> None:
    body = owner.commit(table(10))
    assert body["leaf_schema"] == "pedigree-record/v2"
    held, records = owner.held(body), list(owner.store.all(body["root"]))
    assert len({record.subject for record in records}) == 7
    assert leaf_hashes(records, held.leaf_schema) == b"".join(record.leaf for record in records)
    other = records[0]._replace(subject=records[1].subject)
    with pytest.raises(NotHeld):
        owner.trees.inclusion(held, 0, other)
    assert "leaf_schema" not in owner.commit(table(10), subjects=False)


@pytest.mark.parametrize(
    "harm",
    [
        "DELETE FROM tile",
        "DELETE FROM tile WHERE level = 1",
        "UPDATE tile SET hashes = zeroblob(4096) WHERE level = 0 AND number = 1",
        "UPDATE tile SET hashes = x'' WHERE level = 0",
        "UPDATE tile SET hashes = zeroblob(96) WHERE level = 1",
    ],
)
def test_tiles_that_do_not_lead_to_the_root_are_written_again(owner: Owner, harm: str) -> None:
    held = owner.held(owner.commit(table(ROWS)))
    before = owner.tiles()
    assert owner.alter(harm)
    for index in (0, WIDTH + 1, ROWS - 1):
        owner.prove(held, index)
    assert owner.tiles() == before


def test_an_altered_record_is_not_proven_and_the_others_are(owner: Owner) -> None:
    held = owner.held(owner.commit(table(ROWS)))
    alter_block(owner.databases[0], "contents", 7 * len("r0,p0"))
    with pytest.raises(NotHeld, match="run dataset verify"):
        owner.prove(held, 7)
    owner.prove(held, 8)


def test_where_neither_tiles_nor_leaves_lead_to_the_root_nothing_is_proven_or_written(owner: Owner) -> None:
    held = owner.held(owner.commit(table(ROWS)))
    alter_block(owner.databases[0], "heads", 2 + (6 + merkle.SALT) * MOST + 7 * merkle.HASH)
    owner.prove(held, 300)
    assert owner.alter("DELETE FROM tile WHERE level = 0 AND number = 2")
    before = owner.tiles()
    with pytest.raises(NotHeld, match="run dataset verify"):
        owner.prove(held, 300)
    assert owner.tiles() == before
    owner.prove(held, 100)


def test_a_version_that_extends_another_keeps_its_tiles_and_its_leaves(owner: Owner) -> None:
    first = owner.commit(table(ROWS))
    longer = owner.commit(table(2 * ROWS), first)
    assert (longer["change"], longer["leaf_schema"]) == ("extends", "pedigree-record/v2")
    proof = [bytes.fromhex(node) for node in longer["consistency"]]
    merkle.verify_consistency(ROWS, bytes.fromhex(first["root"]), 2 * ROWS, bytes.fromhex(longer["root"]), proof)
    held = owner.held(longer)
    whole = merkle.Tree(b"".join(record.leaf for record in owner.store.all(held.root)))
    assert whole.root().hex() == held.root
    before = owner.tiles()
    for index in (0, ROWS - 1, ROWS, 2 * ROWS - 1):
        owner.prove(held, index)
    assert owner.tiles() == before


def test_a_set_is_extended_also_where_its_tiles_were_lost(owner: Owner) -> None:
    first = owner.commit(table(ROWS))
    assert owner.alter("DELETE FROM tile")
    longer = owner.commit(table(ROWS + 1), first)
    assert longer["change"] == "extends"
    owner.prove(owner.held(longer), ROWS)


def test_long_records_are_few_at_a_time_in_memory(owner: Owner) -> None:
    content = b"".join(b"r%d," % number + b"x" * (1 << 20) + b"\n" for number in range(12))
    held = owner.held(owner.commit(b"id,patient\n" + content, subjects=False))
    sizes = [sum(len(record.content) for record in batch) for batch in in_batches(owner.store.all(held.root))]
    assert max(sizes) < 6 << 20 < sum(sizes)
    assert [len(batch) for batch in in_batches(owner.store.all(held.root, 9))] == [3]
    owner.prove(held, 11)


def test_tiles_go_with_their_set(owner: Owner) -> None:
    first, second = owner.commit(table(ROWS)), owner.commit(table(3))
    owner.store.remove(owner.held(first).key)
    assert {row[0] for row in owner.tiles()} == {owner.held(second).key}


MIGRATIONS = Path(__file__).parents[3] / "gateway" / "stores" / "migrations" / "records"


@pytest.fixture
def former(tmp_path: Path) -> Path:
    """Stores as they were before there were tiles and leaves about subjects; a set of `ROWS` with subjects."""
    folder = tmp_path / "former"
    folder.mkdir()
    leaves = merkle.Tree()
    with closing(sqlite3.connect(folder / "records.db")) as database:
        for number, script in enumerate(("0001_records", "0002_sets", "0003_subjects"), start=1):
            database.executescript((MIGRATIONS / f"{script}.sql").read_text(encoding="utf-8"))
            database.execute(f"PRAGMA user_version={number}")
        reading = '{"media_type":"text/csv","id_field":"id","delimiter":",","fields":["id","patient"]}'
        database.execute("INSERT INTO record_set VALUES (1, NULL, 'd', ?, 0, ?)", (ROWS, reading))
        for number, line in enumerate(table(ROWS).splitlines()[1:]):
            record = StoredRecord(f"r{number}", bytes(16), line, 0, 0, b"", bytes([number % 7]) * 32)
            leaf = leaf_hashes([record], LeafSchema.RECORD_V1)
            leaves.extend(leaf)
            row = (1, number, record.id, record.salt, record.content, 0, 0, leaf, record.subject)
            database.execute("INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        database.execute("UPDATE record_set SET root = ?", (leaves.root().hex(),))
        database.commit()
    with closing(Database.open(folder / "consent.db", "consent", durable=False)) as consent:
        rows = [(1, f"p{number}", bytes([number]) * 32) for number in range(7)]
        consent.write(lambda connection: connection.execute("INSERT INTO dataset VALUES (1, 'd')"))
        consent.write(lambda connection: connection.executemany("INSERT INTO subject VALUES (?, ?, ?)", rows))
    return folder


def test_what_was_stored_before_is_proven_and_extended_with_the_leaves_that_it_has(
    opened: Callable[..., Owner], former: Path
) -> None:
    owner = opened(former)
    (held,) = owner.store.sets()
    assert (held.size, held.leaf_schema, owner.tiles()) == (ROWS, LeafSchema.RECORD_V1, [])
    owner.prove(held, ROWS - 1)
    assert len(owner.tiles()) == 5
    last = {"root": held.root, "size": held.size, "leaf_schema": "pedigree-record/v1", "header": None}
    header = owner.commit(table(1))["header"]
    longer = owner.commit(table(ROWS + 3), {**last, "header": header})
    assert (longer["change"], "leaf_schema" in longer) == ("extends", False)
    found = owner.held(longer)
    assert found.leaf_schema is LeafSchema.RECORD_V1
    owner.prove(found, ROWS + 2)
    other = owner.commit(table(ROWS + 3), {**last, "header": header, "leaf_schema": "pedigree-record/v2"})
    assert (other["change"], other["leaf_schema"]) == ("replaces", "pedigree-record/v2")


def test_a_set_that_never_had_tiles_can_be_removed(opened: Callable[..., Owner], former: Path) -> None:
    owner = opened(former)
    (held,) = owner.store.sets()
    owner.store.remove(held.key)
    assert owner.store.sets() == []
