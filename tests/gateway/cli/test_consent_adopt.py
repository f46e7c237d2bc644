# SPDX-License-Identifier: Apache-2.0
"""`pedigree consent copy` and `adopt`: a second gateway takes over what only the first one knows."""

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.server.sharing import sole_owner
from gateway.services.statusmaps import MapBehind, SubjectsElsewhere
from gateway.services.statustree import Leaf
from gateway.stores.adoption import NotAConsentStore, adopt
from gateway.stores.consent import ConsentStore
from gateway.stores.database import Database
from pedigree.exits import Exit

DATASET = "cohort"
GIVEN = b"\x02" + bytes(16)
WITHDRAWN = b"\x05" + bytes(16)


@contextmanager
def store_in(folder: Path) -> Iterator[ConsentStore]:
    folder.mkdir(exist_ok=True)
    database = Database.open(folder / "consent.db", "consent", durable=False)
    try:
        yield ConsentStore(database)
    finally:
        database.close()


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["consent", *map(str, arguments)])


def adopted(into: Path, of: Path) -> dict[str, Any]:
    """What was taken over of the data set."""
    copy = into / "copy.db"
    assert run("copy", copy, "--data", of).output == ""
    assert copy.stat().st_mode & 0o777 == 0o600
    result = run("adopt", copy, "--data", into, "--json")
    assert result.exit_code == 0, result.output
    copy.unlink()
    (found,) = json.loads(result.output)
    assert found.pop("dataset") == DATASET
    return dict(found)


def opened(store: ConsentStore, subjects: Sequence[str]) -> None:
    store.collect(DATASET, [(reference, GIVEN) for reference in store.references(DATASET, subjects)])
    store.settle(DATASET, 1, store.build(DATASET).root)


def changed(store: ConsentStore, subject: str, value: bytes) -> tuple[int, bytes, list[Leaf]]:
    """A change as the ledger then holds it."""
    head = store.head(DATASET)
    assert head is not None
    changes = [(store.references(DATASET, [subject])[0], value)]
    draft = store.draft(DATASET, head.number, changes)
    store.settle(DATASET, head.number + 1, draft.root)
    return head.number + 1, draft.root, changes


@pytest.fixture
def first(tmp_path: Path) -> Path:
    with store_in(tmp_path / "first") as store:
        opened(store, ["ann", "bob"])
    return tmp_path / "first"


@pytest.fixture
def second(tmp_path: Path) -> Path:
    with store_in(tmp_path / "second") as store:
        store.references(DATASET, ["bob"])
    return tmp_path / "second"


def test_a_gateway_that_opened_nothing_takes_the_map_over_and_follows_from_there(first: Path, second: Path) -> None:
    with store_in(first) as store:
        root = changed(store, "ann", WITHDRAWN)[1]
    assert adopted(second, first) == {"subjects": 2, "version": 2, "unknown": 0, "doubled": 0}
    assert adopted(second, first) == {"subjects": 0, "version": 0, "unknown": 0, "doubled": 0}
    with store_in(first) as store, store_in(second) as other:
        assert other.references(DATASET, ["ann", "bob"]) == store.references(DATASET, ["ann", "bob"])
        assert [other.state(DATASET, number) for number in (1, 2)] == [
            store.state(DATASET, number) for number in (1, 2)
        ]
        assert other.state(DATASET, 2).root == root
        for number in (1, 2):
            for reference in store.references(DATASET, ["ann", "bob"]):
                assert other.find(DATASET, number, reference) == store.find(DATASET, number, reference)
        third = changed(other, "eve", GIVEN)
        assert store.settle(DATASET, *third).number == 3


def test_ids_of_subjects_that_another_gateway_added_are_learnt(first: Path, second: Path) -> None:
    adopted(second, first)
    with store_in(first) as store, store_in(second) as other:
        added = changed(store, "eve", GIVEN)
        with pytest.raises(MapBehind):
            other.settle(DATASET, 2, added[1])
        other.settle(DATASET, *added)
        for new in ("eve", "joe"):
            with pytest.raises(SubjectsElsewhere):
                other.references(DATASET, [new])
    assert adopted(second, first) == {"subjects": 1, "version": 0, "unknown": 0, "doubled": 0}
    with store_in(second) as other:
        assert other.references(DATASET, ["eve"]) == [added[2][0][0]]
        assert changed(other, "joe", GIVEN)[0] == 3


def test_a_subject_that_both_drew_has_the_reference_of_the_map(first: Path, second: Path) -> None:
    adopted(second, first)
    with store_in(first) as store, store_in(second) as other:
        mine = other.references(DATASET, ["eve"])
        added = changed(store, "eve", GIVEN)
        other.settle(DATASET, *added)
        assert mine != [added[2][0][0]]
    # Who only drew one takes the map's; who has the map's keeps it.
    assert adopted(first, second) == {"subjects": 0, "version": 0, "unknown": 0, "doubled": 0}
    assert adopted(second, first) == {"subjects": 1, "version": 0, "unknown": 0, "doubled": 0}
    with store_in(second) as other:
        assert other.references(DATASET, ["eve"]) == [added[2][0][0]]


def test_a_subject_who_is_in_the_map_twice_and_ids_that_neither_knows_are_counted(first: Path, second: Path) -> None:
    adopted(second, first)
    with store_in(first) as store, store_in(second) as other:
        other.references(DATASET, ["eve"])
        added = changed(store, "eve", GIVEN)
        # What a third gateway adds, and this one's own place for the same subject, as the ledger may come to hold them.
        reference = other.references(DATASET, ["eve"])[0]
        theirs = [(reference, WITHDRAWN), (b"\x07" * 32, GIVEN)]
        draft = store.draft(DATASET, 2, theirs)
        other.settle(DATASET, *added)
        other.settle(DATASET, 3, draft.root, theirs)
    assert adopted(second, first) == {"subjects": 0, "version": 0, "unknown": 2, "doubled": 1}


def test_a_gateway_that_runs_can_be_copied_and_adopts_nothing(first: Path, second: Path, tmp_path: Path) -> None:
    with sole_owner(first / "lock"), sole_owner(second / "lock"), store_in(first):
        assert run("copy", tmp_path / "copy.db", "--data", first).exit_code == 0
        refused = run("adopt", tmp_path / "copy.db", "--data", second)
    assert refused.exit_code == Exit.FAILED
    assert "stop it first" in refused.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.db", "first", "second"]


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0" + bytes(200), os.urandom(5_000)], ids=len)
def test_what_is_no_consent_store_is_refused(content: bytes, second: Path, tmp_path: Path) -> None:
    file = tmp_path / "false.db"
    file.write_bytes(content)
    refused = run("adopt", file, "--data", second)
    assert refused.exit_code == Exit.FAILED
    assert "false.db" in refused.output
    assert len(refused.output.splitlines()) == 1


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE leaf SET value = x'0500000000000000000000000000000000'",
        "DELETE FROM leaf WHERE reference = (SELECT min(reference) FROM leaf)",
        "UPDATE version SET root = zeroblob(32)",
        "DELETE FROM version",
        "PRAGMA user_version = 99",
    ],
)
def test_a_copy_that_does_not_agree_with_itself_is_refused(
    first: Path, second: Path, tmp_path: Path, change: str
) -> None:
    copy = tmp_path / "copy.db"
    assert run("copy", copy, "--data", first).exit_code == 0
    with closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute(change)
    assert run("adopt", copy, "--data", second).exit_code == Exit.FAILED
    database = Database.open(second / "consent.db", "consent", durable=False)
    with pytest.raises(NotAConsentStore):
        adopt(database, copy)
    assert ConsentStore(database).head(DATASET) is None
    database.close()


def test_without_a_store_nothing_is_made(tmp_path: Path) -> None:
    for verb in ("copy", "adopt"):
        file = tmp_path / "a.db"
        if verb == "adopt":
            file.touch()
        refused = run(verb, file, "--data", tmp_path)
        assert refused.exit_code == Exit.FAILED
        assert "no consent.db" in refused.output
    assert [path.name for path in tmp_path.iterdir()] == ["a.db"]
