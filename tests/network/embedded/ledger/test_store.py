# SPDX-License-Identifier: Apache-2.0
"""The ledger file: isolation of snapshots, one transaction per block, and what happens when a write fails."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from network.embedded.blockcommit import prepare, run
from network.embedded.fsck import fsck
from network.embedded.lock import DirectoryInUseError, DirectoryLock
from network.embedded.store import Store, StoreError, decode_metadata, encode_metadata


def put(kit: Any, **writes: bytes | None) -> Any:
    draft = kit.Draft()
    for key, value in writes.items():
        draft.rwset.add_write("cc", key, value)
    return draft


def contents(view: Any) -> dict[str, bytes]:
    return {key: entry.value for key, entry in view.range("cc", "", "")}


def test_a_snapshot_stays_as_it_was(ledger: Any, kit: Any) -> None:
    ledger.commit(put(kit, a=b"1", b=b"1"))
    first = ledger.store.snapshot()
    ledger.commit(put(kit, a=b"2", c=b"2"))
    second = ledger.store.snapshot()
    ledger.commit(put(kit, a=None, b=b"3"))
    assert contents(first) == {"a": b"1", "b": b"1"}
    assert contents(second) == {"a": b"2", "b": b"1", "c": b"2"}
    assert (first.get("cc", "a").version, first.get("cc", "c")) == ((2, 0), None)
    with ledger.store.snapshot() as now:
        assert contents(now) == {"b": b"3", "c": b"2"}
        assert len(list(now.history("cc", "a"))) == 3
    assert len(list(first.history("cc", "a"))) == 1


def test_a_range_that_is_being_read_does_not_notice_commits(ledger: Any, kit: Any) -> None:
    keys = [f"k{n:04d}" for n in range(700)]
    ledger.commit(put(kit, **dict.fromkeys(keys, b"1")))
    with ledger.store.snapshot() as view:
        rows = view.range("cc", "", "")
        seen = [next(rows)[0] for _ in range(10)]
        ledger.commit(put(kit, k0300=None, k0300x=b"2", k0600=b"2", a=b"2"))
        seen += [key for key, _ in rows]
    assert seen == keys


def test_a_snapshot_taken_while_a_block_is_written_does_not_see_it(ledger: Any, kit: Any) -> None:
    ledger.commit(put(kit, a=b"1"))
    _, raw = ledger.transaction(put(kit, a=b"2", b=b"2"))
    commit = run(prepare(ledger.store, ledger.config, ledger.transient, ledger.block([raw])))
    ledger.store.begin(commit)
    ledger.store.write(commit)
    view = ledger.store.snapshot()
    assert contents(view) == {"a": b"1"}
    assert ledger.store.block(3) is None
    assert ledger.store.by_transaction(commit.transactions[0][0]) is None
    ledger.store.publish(commit)
    assert contents(view) == {"a": b"1"}
    assert contents(ledger.store.snapshot()) == {"a": b"2", "b": b"2"}
    assert ledger.store.by_transaction(commit.transactions[0][0]) == (3, 0, 0)


def test_what_no_snapshot_needs_is_forgotten(ledger: Any, kit: Any) -> None:
    view = ledger.store.snapshot()
    ledger.commit(put(kit, a=b"1"))
    assert ledger.store.undone(0)
    view.close()
    dropped = ledger.store.snapshot()
    del dropped
    ledger.commit(put(kit, a=b"2"))
    assert ledger.store.undone(0) == []


def test_blocks_are_found_by_number_hash_and_transaction(ledger: Any, kit: Any) -> None:
    txid, raw = ledger.transaction(put(kit, a=b"1"))
    ledger.commit_raw(raw)
    store = ledger.store
    assert store.by_hash(store.tip_hash).header.number == 2
    assert store.by_hash(b"no such hash") is None
    assert store.envelope(2, 0).SerializeToString() == raw
    assert (store.envelope(2, 1), store.block(3), store.block(2**64 - 1)) == (None, None, None)
    assert store.by_transaction(txid) == (2, 0, 0)


def test_a_reopened_store_goes_on_where_it_was(ledger: Any, kit: Any, make_ledger: Any, store_path: Path) -> None:
    ledger.commit(put(kit, a=b"1"))
    before = (ledger.store.height, ledger.store.tip_hash, ledger.store.commit_hash)
    ledger.store.close()
    again = make_ledger(store_path)
    assert (again.store.height, again.store.tip_hash, again.store.commit_hash) == before
    assert again.commit(put(kit, a=b"2")) == [9]  # the same nonce as in the first life
    assert again.commit(put(kit, a=b"2")) == [9]
    again.store.close()
    assert fsck(store_path).ok


def test_small_values_survive(ledger: Any, make_ledger: Any, store_path: Path) -> None:
    ledger.store.put_meta("a", b"1")
    ledger.store.put_meta("b", b"2")
    ledger.store.put_meta("b", None)
    ledger.store.close()
    again = make_ledger(store_path)
    assert (again.store.meta("a"), again.store.meta("b")) == (b"1", None)
    again.store.close()


def test_transient_data_survive_and_go_with_their_transaction(ledger: Any, kit: Any) -> None:
    draft = kit.Draft()
    draft.rwset.add_private_write("cc", "_implicit_org_LabMSP", "k", b"v")
    ledger.transient.put("t1", "LabMSP", draft.rwset.private())
    flush = ledger.transient.flush()
    flush.write()
    ledger.transient.flushed(flush)
    assert not ledger.transient.dirty
    restarted = type(ledger.transient)(ledger.store)
    assert restarted.get("t1") == {"LabMSP": draft.rwset.private()}
    restarted.drop(["t1"])
    restarted.flush().write()
    assert type(ledger.transient)(ledger.store).get("t1") == {}


def test_one_process_per_directory(tmp_path: Path) -> None:
    lock = DirectoryLock(tmp_path)
    with pytest.raises(DirectoryInUseError, match=f"in use by process {os.getpid()}"):
        DirectoryLock(tmp_path)
    lock.release()
    lock.release()
    DirectoryLock(tmp_path).release()


def test_a_file_of_another_schema_is_refused(ledger: Any, store_path: Path) -> None:
    ledger.store.close()
    connection = sqlite3.connect(store_path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match="schema version 99"):
        Store.open(store_path)


@given(st.dictionaries(st.text(max_size=5), st.binary(max_size=5), max_size=4))
def test_metadata_round_trips(entries: dict[str, bytes]) -> None:
    assert decode_metadata(encode_metadata(entries.items())) == entries


# -- failures ------------------------------------------------------------------------------------------------------


class FailingConnection(sqlite3.Connection):
    """Fails at the n-th statement from when it is armed, before or after it took effect."""

    countdown = -1
    after = False

    def _step(self, act: Any) -> Any:
        if FailingConnection.countdown == 0 and not FailingConnection.after:
            raise sqlite3.OperationalError("disk I/O error")
        result = act()
        if FailingConnection.countdown == 0:
            raise sqlite3.OperationalError("disk I/O error")
        FailingConnection.countdown -= 1
        return result

    def execute(self, *args: Any) -> Any:
        return self._step(lambda: super(FailingConnection, self).execute(*args))

    def executemany(self, *args: Any) -> Any:
        return self._step(lambda: super(FailingConnection, self).executemany(*args))


@pytest.mark.parametrize("persisted", [False, True])
@pytest.mark.parametrize("step", range(9))
def test_after_a_failed_write_nothing_is_answered_and_the_file_is_whole(
    ledger: Any, kit: Any, make_ledger: Any, store_path: Path, step: int, persisted: bool
) -> None:
    ledger.commit(put(kit, a=b"1"))
    ledger.store.close()
    failing = make_ledger(
        store_path,
        connect=lambda *a, **k: sqlite3.connect(
            *a, **k, factory=sqlite3.Connection if "uri" in k else FailingConnection
        ),
    )
    draft = put(kit, a=b"2", b=b"2")
    draft.rwset.add_private_write("cc", "_implicit_org_LabMSP", "k", b"v")
    draft.endorsers = ("HospitalMSP", "LabMSP")
    draft.nonce = b"n" * 24
    txid, raw = failing.transaction(draft)
    failing.transient.put(txid, "LabMSP", draft.rwset.private())
    commit = run(prepare(failing.store, failing.config, failing.transient, failing.block([raw])))
    failing.store.begin(commit)
    FailingConnection.countdown, FailingConnection.after = step, persisted
    try:
        failing.store.write(commit)
        reached = False
    except StoreError:
        reached = True
    FailingConnection.countdown = -1
    if not reached:
        pytest.fail("the write has fewer statements than this test assumes")
    for use in (failing.store.snapshot, lambda: failing.store.block(0), lambda: failing.store.write(commit)):
        with pytest.raises(StoreError):
            use()
    failing.store.close()
    again = make_ledger(store_path)
    assert again.value("a") in (b"1", b"2")
    assert (again.value("a") == b"2") == (again.store.height == 4)
    again.store.close()
    assert fsck(store_path).findings == []


CRASHING = textwrap.dedent("""
    import sys
    from pathlib import Path
    from types import SimpleNamespace
    sys.path[:0] = sys.argv[3:]
    from conftest import Draft, Ledger, definition, load_world
    from network.embedded.store import Store
    world = load_world(Path(sys.argv[2]))
    ledger = Ledger(world, Store.open(Path(sys.argv[1])))
    ledger.start_nonces(ledger.store.height * 1000)
    if ledger.store.height == 1:
        ledger.define(definition())
    while True:
        drafts = []
        for n in range(5):
            draft = Draft()
            draft.rwset.add_write("cc", f"count{n}", str(ledger.store.height).encode())
            draft.rwset.add_private_write("cc", "_implicit_org_LabMSP", f"p{n}", str(ledger.store.height).encode())
            drafts.append(draft)
        assert ledger.commit(*drafts) == [0] * 5
        print(ledger.store.height, flush=True)
""")


def test_kill_9_loses_nothing_that_was_acknowledged(
    world: Any, store_path: Path, make_ledger: Any, tmp_path: Path
) -> None:
    (tmp_path / "crash.py").write_text(CRASHING, encoding="utf-8")
    here, root = Path(__file__).parent, Path(__file__).parents[4]
    arguments = [str(store_path), str(world.directory), str(here), str(root)]
    acknowledged = 1
    for blocks in (1, 4, 9):
        with subprocess.Popen(
            [sys.executable, str(tmp_path / "crash.py"), *arguments], stdout=subprocess.PIPE, text=True
        ) as child:
            for _ in range(blocks):
                acknowledged = int(child.stdout.readline())
            child.send_signal(signal.SIGKILL)
        ledger = make_ledger(store_path)
        assert ledger.store.height >= acknowledged
        newest = str(ledger.store.height - 1).encode()
        assert [ledger.value(f"count{n}") for n in range(5)] == [newest] * 5
        with ledger.store.snapshot() as view:
            private = [entry.value for _, entry in view.range_private("LabMSP", "cc", "_implicit_org_LabMSP", "", "")]
        assert private == [newest] * 5
        ledger.store.close()
    report = fsck(store_path)
    assert report.findings == []


# -- a naive model ---------------------------------------------------------------------------------------------------

KEYS = st.sampled_from(["a", "b", "c", "d"])
STEP = st.tuples(KEYS, KEYS, st.sampled_from(["rmw", "blind", "delete", "scan", "stale"]))


@settings(max_examples=25, deadline=None)
@given(blocks=st.lists(st.lists(STEP, min_size=1, max_size=5), max_size=6))
def test_random_histories_agree_with_a_naive_ledger(
    world: Any, kit: Any, tmp_path_factory: pytest.TempPathFactory, make_ledger: Any, blocks: Any
) -> None:
    """All transactions of a block are simulated before it, then a model that knows no storage replays them."""
    from fabric_protos.common import common_pb2

    from network.embedded.blockcommit import commit_genesis
    from network.embedded.rwset import RangeQuery

    ledger = make_ledger(tmp_path_factory.mktemp("model") / "pedigree.db", durable=False)
    commit_genesis(ledger.store, common_pb2.Block.FromString(world.genesis))
    ledger.define(kit.definition())
    model: dict[str, tuple[bytes, tuple[int, int]]] = {}
    versions_before: dict[str, Any] = {}
    for number, steps in enumerate(blocks, 2):
        before = dict(model)
        touched: set[str] = set()
        drafts, expected = [], []
        for index, (key, other, kind) in enumerate(steps):
            value = f"{number}.{index}".encode()
            draft = kit.Draft()
            seen = before[key][1] if key in before else None
            code = 0
            if kind in ("rmw", "stale"):
                read = seen if kind == "rmw" else versions_before.get(key)
                draft.rwset.add_read("cc", key, read)
                code = 0 if key not in touched and seen == read else 11
            if kind == "scan":
                query = RangeQuery("a", other)
                for found in sorted(k for k in before if "a" <= k < other):
                    query.fetched(found, before[found][1])
                query.ran_out()
                draft.rwset.add_range_query("cc", query)
                then = {k: v[1] for k, v in before.items() if "a" <= k < other}
                code = 0 if then == {k: v[1] for k, v in model.items() if "a" <= k < other} else 12
            draft.rwset.add_write("cc", key, None if kind == "delete" else value)
            drafts.append(draft)
            expected.append(code)
            if code == 0:
                touched.add(key)
            if code == 0 and kind == "delete":
                model.pop(key, None)
            elif code == 0:
                model[key] = (value, (number, index))
        versions_before = {key: entry[1] for key, entry in before.items()}
        assert ledger.commit(*drafts) == expected
        with ledger.store.snapshot() as view:
            assert {k: (e.value, e.version) for k, e in view.range("cc", "", "")} == model
    path = Path(ledger.store.pin().execute("PRAGMA database_list").fetchone()[2])
    assert fsck(path).findings == []
    ledger.store.close()
