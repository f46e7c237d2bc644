# SPDX-License-Identifier: Apache-2.0
"""Read-write sets are encoded in the bytes of the reference vectors, whatever the order of the calls."""

import json
from hashlib import sha256
from pathlib import Path

import pytest
from fabric_protos.ledger.rwset import rwset_pb2
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from network.embedded.rwset import RangeQuery, RwsetBuilder, range_query_info, summarise

VECTORS = Path(__file__).parent / "vectors"


def vectors(name: str):
    return json.loads((VECTORS / name).read_text())


def test_the_public_part_equals_the_reference_bytes():
    builder = RwsetBuilder()
    builder.add_write("basic", "k4", b"")
    builder.add_write("basic", "k3", None)
    builder.add_write("basic", "k2", b"earlier")
    builder.add_write("basic", "k2", b"v2")
    builder.add_write("basic", "k1", b"v1")
    builder.add_metadata_write("basic", "k2", {})
    builder.add_metadata_write("basic", "k1", {"VALIDATION_PARAMETER": b"ep"})
    builder.add_read("basic", "k2", (7, 3))
    builder.add_read("basic", "k1", None)
    builder.add_read("basic", "k0", (0, 0))
    builder.add_read("basic", "k0", (9, 9))
    builder.add_read("_lifecycle", "namespaces/fields/basic/Sequence", (5, 0))
    assert builder.public().hex() == vectors("rwset.json")["public"]
    assert builder.private() is None


def private_builder() -> RwsetBuilder:
    builder = RwsetBuilder()
    builder.add_private_write("basic", "coll", "pk4", None, purge=True)
    builder.add_private_write("basic", "coll", "pk3", b"")
    builder.add_private_write("basic", "coll", "pk2", b"pv2")
    builder.add_private_write("basic", "coll", "pk1", b"pv1")
    builder.add_private_metadata_write("basic", "coll", "pk1", {"VALIDATION_PARAMETER": b"ep"})
    builder.add_hashed_read("basic", "coll", "pk9", None)
    builder.add_hashed_read("basic", "coll", "pk0", (3, 1))
    return builder


def test_the_private_parts_equal_the_reference_bytes():
    builder = private_builder()
    expected = vectors("rwset.json")
    assert builder.public().hex() == expected["private_public_part"]
    assert builder.private().SerializeToString().hex() == expected["private_private_part"]


def test_a_write_after_a_purge_is_no_purge():
    builder = RwsetBuilder()
    builder.add_private_write("basic", "c", "k", None, purge=True)
    builder.add_private_write("basic", "c", "k", b"again")
    public = rwset_pb2.TxReadWriteSet.FromString(builder.public())
    hashed = kv_rwset_pb2.HashedRWSet.FromString(public.ns_rwset[0].collection_hashed_rwset[0].hashed_rwset)
    assert list(hashed.hashed_writes) == [
        kv_rwset_pb2.KVWriteHash(key_hash=sha256(b"k").digest(), value_hash=sha256(b"again").digest())
    ]


def test_a_collection_that_was_only_read_has_no_private_hash():
    builder = RwsetBuilder()
    builder.add_hashed_read("basic", "coll", "k", (1, 2))
    public = rwset_pb2.TxReadWriteSet.FromString(builder.public())
    assert public.ns_rwset[0].rwset == b""
    assert public.ns_rwset[0].collection_hashed_rwset[0].pvt_rwset_hash == b""
    assert builder.private() is None
    assert builder.written_private_keys("basic") == {}


def test_nothing_read_or_written_is_empty_bytes():
    assert RwsetBuilder().public() == b""
    assert RwsetBuilder().namespaces == []
    assert RwsetBuilder().written_keys("basic") == []
    assert RwsetBuilder().written_private_keys("basic") == {}


def reads(count: int):
    return [(f"key{i:05d}", (i // 10 + 1, i % 10)) for i in range(count)]


@pytest.mark.parametrize("case", vectors("range_merkle.json"), ids=lambda case: f"n={case['N']}")
def test_range_results_are_summarised_as_the_reference_does(case):
    summary = summarise(reads(case["N"]))
    if case["Hashes"]:
        assert (summary.max_degree, summary.max_level) == (case["MaxDegree"], case["MaxLevel"])
        assert summary.max_level_hashes[0].hex() == case["Hashes"][0]
        assert summary.max_level_hashes[-1].hex() == case["Hashes"][-1]
    elif case["N"]:
        assert len(summary.kv_reads) == case["Raw"]
    else:
        assert summary is None
    if case["RQIHex"]:
        info = range_query_info("key00000", "key99999", True, reads(case["N"]))
        assert info.SerializeToString().hex() == case["RQIHex"]


def test_equal_range_queries_are_recorded_once_and_in_order_of_execution():
    builder = RwsetBuilder()
    for start, exhausted in (("b", True), ("a", False), ("b", True)):
        query = RangeQuery(start, "z")
        query.fetched("c", (1, 0))
        if exhausted:
            query.ran_out()
        builder.add_range_query("basic", query)
    public = kv_rwset_pb2.KVRWSet.FromString(rwset_pb2.TxReadWriteSet.FromString(builder.public()).ns_rwset[0].rwset)
    assert [(q.start_key, q.end_key, q.itr_exhausted) for q in public.range_queries_info] == [
        ("b", "z", True),
        ("a", "c", False),
    ]


keys = st.text(st.characters(codec="utf-8"), max_size=5)
values = st.one_of(st.none(), st.binary(max_size=4))
versions = st.one_of(st.none(), st.tuples(st.integers(0, 9), st.integers(0, 9)))
operations = st.one_of(
    st.tuples(st.just("add_write"), st.sampled_from(["a", "B", "_lifecycle"]), keys, values),
    st.tuples(st.just("add_private_write"), st.sampled_from(["a", "B"]), st.sampled_from(["c", "D"]), keys, values),
)


# Generating is quick, but other work on the same machine must not make this fail.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@patient
@given(st.lists(operations, unique_by=lambda op: op[:-1]), st.randoms(use_true_random=False))
def test_the_order_of_calls_does_not_change_the_bytes(calls, random):
    one, other = RwsetBuilder(), RwsetBuilder()
    for name, *arguments in calls:
        getattr(one, name)(*arguments)
    random.shuffle(calls)
    for name, *arguments in calls:
        getattr(other, name)(*arguments)
    assert one.public() == other.public()
    assert (one.private() is None) == (other.private() is None)


@patient
@given(st.dictionaries(keys, versions), st.dictionaries(keys, values))
def test_every_list_is_sorted_by_the_bytes_of_its_keys(read, written):
    builder = RwsetBuilder()
    for key, version in read.items():
        builder.add_read("n", key, version)
    for key, value in written.items():
        builder.add_write("n", key, value)
    parsed = rwset_pb2.TxReadWriteSet.FromString(builder.public())
    public = kv_rwset_pb2.KVRWSet.FromString(parsed.ns_rwset[0].rwset if parsed.ns_rwset else b"")
    assert [r.key.encode() for r in public.reads] == sorted(key.encode() for key in read)
    assert [w.key.encode() for w in public.writes] == sorted(key.encode() for key in written)
    assert [r.HasField("version") for r in public.reads] == [read[r.key] is not None for r in public.reads]
    assert [w.is_delete for w in public.writes] == [not written[w.key] for w in public.writes]
