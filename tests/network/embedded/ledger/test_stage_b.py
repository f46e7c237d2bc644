# SPDX-License-Identifier: Apache-2.0
"""Conflicts between transactions, within a block and across blocks (rules V-29 to V-35)."""

from typing import Any

import pytest
from fabric_protos.ledger.rwset import rwset_pb2
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2

from network.embedded.rwset import RangeQuery


def put(kit: Any, key: str, value: bytes = b"v", *, read: Any = "blind", ns: str = "cc") -> Any:
    rwset = kit.Rwset()
    if read != "blind":
        rwset.add_read(ns, key, read)
    rwset.add_write(ns, key, value)
    return kit.Draft(rwset, chaincode=ns)


def delete(kit: Any, key: str) -> Any:
    rwset = kit.Rwset()
    rwset.add_write("cc", key, None)
    return kit.Draft(rwset)


def scan(kit: Any, ledger: Any, start: str, end: str, *, stop_after: int | None = None) -> Any:
    """A range query as a simulation records it, with a write beside it."""
    rwset, query = kit.Rwset(), RangeQuery(start, end)
    with ledger.store.snapshot() as snapshot:
        rows = list(snapshot.range("cc", start, end))
    for key, entry in rows[:stop_after]:
        query.fetched(key, entry.version)
    if stop_after is None or stop_after > len(rows):
        query.ran_out()
    rwset.add_range_query("cc", query)
    rwset.add_write("cc", "zz", b"scanned")
    return kit.Draft(rwset)


def test_of_two_read_modify_writes_in_a_block_the_second_conflicts(ledger: Any, kit: Any) -> None:
    assert ledger.commit(put(kit, "k", read=None), put(kit, "k", b"w", read=None)) == [0, 11]
    assert ledger.value("k") == b"v"


def test_blind_writes_do_not_conflict_and_the_last_wins(ledger: Any, kit: Any) -> None:
    assert ledger.commit(put(kit, "k", b"1"), put(kit, "k", b"2")) == [0, 0]
    assert (ledger.value("k"), ledger.version("k")) == (b"2", (2, 1))


def test_a_read_is_stale_after_a_write_of_the_same_value(ledger: Any, kit: Any) -> None:
    ledger.commit(put(kit, "k"))
    seen = ledger.version("k")
    ledger.commit(put(kit, "k"))
    assert ledger.commit(put(kit, "k", read=seen)) == [11]


def test_a_conflicting_transaction_leaves_nothing_for_the_next(ledger: Any, kit: Any) -> None:
    assert ledger.commit(put(kit, "k", b"x", read=(9, 9)), put(kit, "k", b"y", read=None)) == [11, 0]


def test_a_key_deleted_in_the_block_conflicts_with_its_reader(ledger: Any, kit: Any) -> None:
    ledger.commit(put(kit, "k"))
    assert ledger.commit(delete(kit, "k"), put(kit, "k", read=(2, 0))) == [0, 11]
    assert ledger.value("k") is None


def test_version_zero_zero_is_not_absence(ledger: Any, kit: Any) -> None:
    assert ledger.commit(put(kit, "k", read=(0, 0))) == [11]


@pytest.mark.parametrize("count", [3, 60])
@pytest.mark.parametrize("same_block", [True, False])
def test_an_insert_into_a_range_is_a_phantom(ledger: Any, kit: Any, count: int, same_block: bool) -> None:
    ledger.commit(*(put(kit, f"a{n:03d}") for n in range(count)))
    reader, writer = scan(kit, ledger, "a", "b"), put(kit, "a001x")
    codes = ledger.commit(writer, reader) if same_block else ledger.commit(writer) + ledger.commit(reader)
    assert codes == [0, 12]


@pytest.mark.parametrize("count", [3, 60])
def test_a_delete_and_an_update_in_a_range_are_phantoms(ledger: Any, kit: Any, count: int) -> None:
    ledger.commit(*(put(kit, f"a{n:03d}") for n in range(count)))
    reader = scan(kit, ledger, "a", "b")
    assert ledger.commit(delete(kit, "a001"), reader) == [0, 12]
    ledger.commit(put(kit, "a001"))
    reader = scan(kit, ledger, "a", "b")
    assert ledger.commit(put(kit, "a002"), reader) == [0, 12]


@pytest.mark.parametrize("count", [0, 3, 50, 51, 60])
def test_an_undisturbed_range_holds(ledger: Any, kit: Any, count: int) -> None:
    if count:
        ledger.commit(*(put(kit, f"a{n:03d}") for n in range(count)))
    assert ledger.commit(put(kit, "b"), scan(kit, ledger, "a", "b")) == [0, 0]


def test_a_range_left_early_ends_with_its_last_key_included(ledger: Any, kit: Any) -> None:
    ledger.commit(*(put(kit, f"a{n}") for n in range(6)))
    assert ledger.commit(put(kit, "a3x"), scan(kit, ledger, "a", "b", stop_after=4)) == [0, 0]
    reader = scan(kit, ledger, "a", "b", stop_after=4)
    assert ledger.commit(put(kit, "a3"), reader) == [0, 12]
    reader = scan(kit, ledger, "a", "b", stop_after=4)
    assert ledger.commit(put(kit, "a2x"), reader) == [0, 12]


def test_within_a_namespace_a_stale_read_masks_a_phantom(ledger: Any, kit: Any) -> None:
    reader = scan(kit, ledger, "a", "b")
    reader.rwset.add_read("cc", "q", (9, 9))
    assert ledger.commit(put(kit, "a1"), reader) == [0, 11]


def test_a_phantom_in_an_earlier_namespace_wins(ledger: Any, kit: Any) -> None:
    ledger.define(kit.definition("dd"))
    reader = scan(kit, ledger, "a", "b")
    reader.rwset.add_read("dd", "q", (9, 9))
    assert ledger.commit(put(kit, "a1"), reader) == [0, 12]


def test_a_merkle_summary_that_no_simulation_makes_never_matches(ledger: Any, kit: Any) -> None:
    info = kv_rwset_pb2.RangeQueryInfo(start_key="a", end_key="b", itr_exhausted=True)
    info.reads_merkle_hashes.max_degree = 0
    one = rwset_pb2.NsReadWriteSet(
        namespace="cc", rwset=kv_rwset_pb2.KVRWSet(range_queries_info=[info]).SerializeToString()
    )
    results = rwset_pb2.TxReadWriteSet(ns_rwset=[one]).SerializeToString()
    assert ledger.commit(kit.Draft(results=results)) == [12]


def test_metadata_survives_a_write_but_not_a_delete(ledger: Any, kit: Any) -> None:
    metadata = kit.Draft()
    metadata.rwset.add_metadata_write("cc", "k", {"note": b"n"})
    assert ledger.commit(put(kit, "k"), metadata, put(kit, "k", b"w")) == [0, 0, 10]
    assert ledger.commit(put(kit, "k", b"w")) == [0]

    def stored() -> Any:
        with ledger.store.snapshot() as snapshot:
            return snapshot.get("cc", "k")

    assert stored().value == b"w"
    assert stored().metadata is not None
    ledger.commit(delete(kit, "k"), put(kit, "k"))
    assert stored().metadata is None


def test_metadata_alone_bumps_the_version_of_a_present_key_only(ledger: Any, kit: Any) -> None:
    def mark(key: str) -> Any:
        draft = kit.Draft()
        draft.rwset.add_metadata_write("cc", key, {"note": b"n"})
        return draft

    ledger.commit(put(kit, "k"))
    assert ledger.commit(mark("k"), mark("absent")) == [0, 0]
    assert (ledger.value("k"), ledger.version("k"), ledger.version("absent")) == (b"v", (3, 0), None)
    assert ledger.commit(delete(kit, "k"), mark("k")) == [0, 0]  # the second finds nothing to mark
    assert ledger.version("k") is None


def test_history_lists_valid_writes_and_deletes_newest_first(ledger: Any, kit: Any) -> None:
    ledger.commit(put(kit, "k", b"1"), put(kit, "k", b"2"))
    ledger.commit(put(kit, "k", b"stale", read=(9, 9)), delete(kit, "k"))
    mark = kit.Draft()
    mark.rwset.add_metadata_write("cc", "k", {"note": b"n"})
    ledger.commit(mark)
    late = put(kit, "k", b"3")
    late.timestamp = 42
    ledger.commit(late)
    with ledger.store.snapshot() as snapshot:
        entries = list(snapshot.history("cc", "k"))
    assert [(e.value, e.is_delete) for e in entries] == [(b"3", False), (b"", True), (b"2", False), (b"1", False)]
    assert entries[0].timestamp.seconds == 42
    assert ledger.store.by_transaction(entries[0].transaction_id)[:2] == (5, 0)


def test_an_empty_value_deletes_even_when_it_does_not_say_so(ledger: Any, kit: Any) -> None:
    ledger.commit(put(kit, "k"))
    rwset = kv_rwset_pb2.KVRWSet(writes=[kv_rwset_pb2.KVWrite(key="k", value=b"")]).SerializeToString()
    one = rwset_pb2.NsReadWriteSet(namespace="cc", rwset=rwset)
    results = rwset_pb2.TxReadWriteSet(ns_rwset=[one]).SerializeToString()
    assert ledger.commit(kit.Draft(results=results)) == [0]
    assert ledger.version("k") is None
    with ledger.store.snapshot() as snapshot:
        assert next(snapshot.history("cc", "k")).is_delete
