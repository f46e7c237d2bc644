# SPDX-License-Identifier: Apache-2.0
"""Consent maps that outlive crashes, and whose paths are those of a tree that is built naively."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from dialects import open_store
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.services.ports import StorageFailed, StorageFull
from gateway.services.statusmaps import MapBehind, MapState, MapUnknown
from gateway.services.statustree import EMPTY, Crown, Leaf, Sketch, bounds, place_of, subtrees
from gateway.services.statustree import Path as Way
from gateway.stores.consent import ConsentStore
from gateway.stores.database import Database
from gateway.stores.sql import SqlDatabase

GIVEN = b"\x02" + bytes(16)
WITHDRAWN = b"\x05" + bytes(16)
DATASET = "cohort"

# Few bits that differ, at both ends, so that references share long beginnings and subtrees hold several.
REFERENCES = st.builds(
    lambda first, rest, last: bytes([first]) + bytes([rest]) * 30 + bytes([last]),
    st.integers(0, 255),
    st.sampled_from((0, 1, 255)),
    st.integers(0, 7),
)
VALUES = st.sampled_from((GIVEN, WITHDRAWN))


def bits(reference: bytes) -> str:
    return f"{int.from_bytes(reference, 'big'):0256b}"


def naive(leaves: Mapping[bytes, bytes], prefix: str = "") -> bytes:
    """The tree as its definition says."""
    below = [(key, value) for key, value in leaves.items() if bits(key).startswith(prefix)]
    if not below:
        return EMPTY
    if len(below) == 1:
        return sha256(b"\x00" + below[0][0] + below[0][1]).digest()
    return sha256(b"\x01" + naive(dict(below), prefix + "0") + naive(dict(below), prefix + "1")).digest()


def root_of(reference: bytes, way: Way) -> bytes:
    """The root that a path leads to."""
    digest = EMPTY if way.terminal is None else sha256(b"\x00" + b"".join(way.terminal)).digest()
    for depth in range(len(way.siblings) - 1, -1, -1):
        sibling = way.siblings[depth]
        left, right = (sibling, digest) if bits(reference)[depth] == "1" else (digest, sibling)
        digest = sha256(b"\x01" + left + right).digest()
    return digest


def read_from(leaves: Mapping[bytes, bytes]) -> Any:
    def leaves_of(place: int) -> Sequence[Leaf]:
        first, last = bounds(place)
        return sorted((key, value) for key, value in leaves.items() if first <= key <= last)

    return leaves_of


@given(st.dictionaries(REFERENCES, VALUES, max_size=40), REFERENCES)
@settings(max_examples=60)
def test_a_path_leads_to_the_root_of_the_naive_tree(leaves: dict[bytes, bytes], asked: bytes) -> None:
    crown = Crown.over(subtrees(sorted(leaves.items())))
    way = crown.path(asked, read_from(leaves))
    assert crown.root == naive(leaves) == root_of(asked, way)
    assert crown.size == len(leaves)
    found = way.terminal is not None and way.terminal[0] == asked
    assert found == (asked in leaves)
    assert not found or (way.terminal is not None and way.terminal[1] == leaves[asked])


@given(st.dictionaries(REFERENCES, VALUES, max_size=20), st.lists(st.tuples(REFERENCES, VALUES), max_size=20))
@settings(max_examples=40)
def test_each_change_is_made_in_the_tree_that_those_before_it_left(
    leaves: dict[bytes, bytes], changes: list[Leaf]
) -> None:
    before = dict(leaves)
    sketch = Sketch(Crown.over(subtrees(sorted(leaves.items()))), read_from(before))
    for reference, value in changes:
        assert root_of(reference, sketch.change(reference, value)) == naive(leaves)
        leaves[reference] = value
        assert sketch.crown.root == naive(leaves)
    assert {place for place, _, _ in sketch.changed} == {place_of(reference) for reference, _ in changes}


@pytest.fixture
def database(dialect: str, tmp_path: Path) -> Iterator[SqlDatabase]:
    opened = open_store(tmp_path / "d" / "consent.db", "consent", durable=True)
    yield opened
    opened.close()


def opened_with(store: ConsentStore, subjects: Sequence[str]) -> MapState:
    store.collect(DATASET, ((reference, GIVEN) for reference in store.references(DATASET, subjects)))
    return store.settle(DATASET, 1, store.build(DATASET).root)


SUBJECTS = [f"subject {number}" for number in range(300)]


def test_a_subject_keeps_its_reference_and_has_another_in_another_data_set(database: SqlDatabase) -> None:
    store = ConsentStore(database)
    assert store.reference(DATASET, "a") is None
    first = store.references(DATASET, ["a", "b", "a"])
    assert first[0] == first[2] != first[1]
    assert store.references(DATASET, ["b", "a"]) == [first[1], first[0]]
    assert store.reference(DATASET, "a") == first[0]
    assert store.references("another", ["a"]) != [first[0]]


def test_every_past_version_is_proven_as_it_was(database: SqlDatabase) -> None:
    store = ConsentStore(database)
    opened_with(store, SUBJECTS)
    held = dict.fromkeys(store.references(DATASET, SUBJECTS), GIVEN)
    versions = [dict(held)]
    for number in range(1, 6):
        changes = [
            (store.references(DATASET, [SUBJECTS[number * 7]])[0], WITHDRAWN),
            (store.references(DATASET, [f"late {number}"])[0], GIVEN),
        ]
        draft = store.draft(DATASET, number, changes)
        assert [step.before for step in draft.steps] == [GIVEN, None]
        held.update(changes)
        assert store.settle(DATASET, number + 1, draft.root).size == len(held)
        versions.append(dict(held))
    for reader in (store, ConsentStore(database)):
        for number, leaves in enumerate(versions, start=1):
            assert reader.state(DATASET, number).root == naive(leaves)
            for reference in store.references(DATASET, [SUBJECTS[7], SUBJECTS[0], "late 3", "nobody"]):
                way = reader.find(DATASET, number, reference)
                assert root_of(reference, way) == naive(leaves)
                assert leaves.get(reference) == (dict([way.terminal]).get(reference) if way.terminal else None)


def test_the_ledger_decides_which_of_two_drafts_holds(database: SqlDatabase) -> None:
    store = ConsentStore(database)
    opened_with(store, SUBJECTS)
    one, other = store.references(DATASET, SUBJECTS[:2])
    first = store.draft(DATASET, 1, [(one, WITHDRAWN)])
    second = store.draft(DATASET, 1, [(other, WITHDRAWN)])
    assert store.settle(DATASET, 2, second.root).root == second.root
    assert store.settle(DATASET, 2, second.root).number == 2
    with pytest.raises(MapBehind):
        store.settle(DATASET, 2, first.root)
    with pytest.raises(MapBehind):
        store.settle(DATASET, 3, first.root)
    with pytest.raises(MapUnknown):
        store.draft(DATASET, 3, [(one, WITHDRAWN)])
    assert store.drafted(DATASET, 1, first.root) is None
    again = store.draft(DATASET, 2, [(one, WITHDRAWN)])
    assert store.drafted(DATASET, 2, again.root) == [(one, WITHDRAWN)]
    assert store.settle(DATASET, 3, again.root).number == 3


def test_what_the_ledger_holds_and_the_store_never_saw_is_named(database: SqlDatabase) -> None:
    store = ConsentStore(database)
    with pytest.raises(MapBehind):
        store.settle(DATASET, 1, bytes(32))
    assert store.head(DATASET) is None
    opened_with(store, SUBJECTS)
    with pytest.raises(MapBehind) as refusal:
        store.settle(DATASET, 2, bytes(32))
    assert refusal.value.facts == {"dataset": DATASET, "number": 2, "held": 1}


def test_what_was_collected_after_the_map_was_built_is_kept_for_its_next_version(database: SqlDatabase) -> None:
    store = ConsentStore(database)
    store.collect(DATASET, ((reference, GIVEN) for reference in store.references(DATASET, SUBJECTS)))
    other = store.build(DATASET)
    late = store.references(DATASET, ["late"])[0]
    store.collect(DATASET, [(late, GIVEN)])
    unused = store.build(DATASET)
    assert unused.size == other.size + 1
    assert store.settle(DATASET, 1, other.root).size == len(SUBJECTS)
    assert list(store.collected(DATASET)) == [(late, GIVEN)]
    draft = store.draft(DATASET, 1, list(store.collected(DATASET)))
    store.settle(DATASET, 2, draft.root)
    assert list(store.collected(DATASET)) == []
    assert database.reader().execute("SELECT count(*) FROM map").fetchone() == (1,)


def test_the_same_map_built_twice_is_kept_once(database: SqlDatabase) -> None:
    store = ConsentStore(database)
    store.collect(DATASET, ((reference, GIVEN) for reference in store.references(DATASET, SUBJECTS)))
    assert store.build(DATASET) == store.build(DATASET)
    assert database.reader().execute("SELECT count(*) FROM leaf").fetchone() == (len(SUBJECTS),)


def test_a_stored_tree_that_was_altered_is_never_proven_from(database: SqlDatabase) -> None:
    store = ConsentStore(database)
    state = opened_with(store, SUBJECTS)
    database.write(lambda connection: connection.execute("UPDATE subtree SET hash = ?", (bytes(32),)))
    with pytest.raises(MapUnknown):
        ConsentStore(database).find(DATASET, state.number, bytes(32))


@pytest.mark.parametrize("code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_FSYNC])
def test_a_version_is_written_whole_or_not_at_all(tmp_path: Path, code: int) -> None:
    """The disk fails at each statement of a change in turn; the ledger's version is followed afterwards."""
    for at in range(9):
        path = tmp_path / f"{code}-{at}" / "consent.db"
        database = Database.open(path, "consent", durable=True)
        store = ConsentStore(database)
        opened_with(store, SUBJECTS[:50])
        reference = store.references(DATASET, SUBJECTS[:1])[0]
        draft = store.draft(DATASET, 1, [(reference, WITHDRAWN)])
        fail_at(database, code, at)
        with pytest.raises((StorageFull, StorageFailed)):
            store.settle(DATASET, 2, draft.root)
        assert store.head(DATASET) == MapState(1, draft.base.root, 50)
        database.close()
        database = Database.open(path, "consent", durable=True)
        assert ConsentStore(database).settle(DATASET, 2, draft.root) == MapState(2, draft.root, 50)
        database.close()


def fail_at(database: Database, code: int, at: int) -> None:
    """Let the statement with this number, and none before it, fail as a disk does."""

    class Failing:
        def __init__(self, connection: sqlite3.Connection) -> None:
            self._connection = connection
            self._count = 0

        def execute(self, *args: Any) -> Any:
            return self._counted(self._connection.execute, args)

        def executemany(self, *args: Any) -> Any:
            return self._counted(self._connection.executemany, args)

        def close(self) -> None:
            self._connection.close()

        def _counted(self, call: Any, args: tuple[Any, ...]) -> Any:
            if args[0] == "ROLLBACK":
                return call(*args)
            self._count += 1
            if self._count > at:
                error = sqlite3.OperationalError("the disk")
                error.sqlite_errorcode = code
                raise error
            return call(*args)

    database._connection = Failing(database._connection)  # type: ignore[assignment]


CHANGES_FOR_EVER = """
import sys
from pathlib import Path
from gateway.stores.consent import ConsentStore
from gateway.stores.database import Database

store = ConsentStore(Database.open(Path(sys.argv[1]), "consent", durable=True))
while True:
    number = store.head("cohort").number
    subject = f"subject {number % 300}"
    draft = store.draft("cohort", number, [(store.references("cohort", [subject])[0], bytes([number % 9]) + bytes(16))])
    print(number + 1, draft.root.hex(), flush=True)
    store.settle("cohort", number + 1, draft.root)
"""


def test_a_process_that_is_killed_anywhere_leaves_what_the_ledger_lets_continue(tmp_path: Path) -> None:
    """What a killed process had asked the ledger to hold is followed by the next one, and every version still leads
    to its root."""
    path = tmp_path / "consent.db"
    database = Database.open(path, "consent", durable=True)
    opened_with(ConsentStore(database), SUBJECTS)
    for lines in (1, 4, 9):
        database.close()
        process = subprocess.Popen(
            [sys.executable, "-c", CHANGES_FOR_EVER, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        asked = [process.stdout.readline().split() for _ in range(lines)]
        os.kill(process.pid, signal.SIGKILL)
        asked += [line.split() for line in process.stdout.read().splitlines()]
        process.stdout.close()
        process.wait()
        number, root = asked[-1]
        database = Database.open(path, "consent", durable=True)
        store = ConsentStore(database)
        assert store.settle(DATASET, int(number), bytes.fromhex(root)).root.hex() == root
        for each in range(1, int(number) + 1):
            way = store.find(DATASET, each, bytes(32))
            assert root_of(bytes(32), way) == store.state(DATASET, each).root
    database.close()
