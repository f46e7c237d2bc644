# SPDX-License-Identifier: Apache-2.0
"""Whatever a writer gets ordered, the block is committed, with a code for each entry, and the ledger stays sound."""

from pathlib import Path
from typing import Any

import pytest
from fabric_protos.common import common_pb2
from fabric_protos.ledger.rwset import rwset_pb2
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from network.embedded.blockcommit import commit_genesis
from network.embedded.fsck import fsck

MEMBERS = "OR('HospitalMSP.member','LabMSP.member')"
NAMES = st.sampled_from(["", "cc", "_lifecycle", "nope"])
KEYS = st.sampled_from(["", "a", "b", "\0x", "\U0010ffff", "namespaces/fields/cc/Sequence"])
HASHES = st.binary(max_size=4)
NUMBERS = st.sampled_from([0, 1, 2, 2**63, 2**64 - 1])
VERSIONS = st.none() | st.builds(kv_rwset_pb2.Version, block_num=NUMBERS, tx_num=NUMBERS)
ENTRIES = st.lists(
    st.builds(
        kv_rwset_pb2.KVMetadataEntry,
        name=st.sampled_from(["VALIDATION_PARAMETER", "other", ""]),
        value=st.binary(max_size=3),
    ),
    max_size=2,
)
READS = st.lists(st.builds(kv_rwset_pb2.KVRead, key=KEYS, version=VERSIONS), max_size=2)
SUMMARIES = st.builds(
    kv_rwset_pb2.QueryReadsMerkleSummary, max_degree=st.sampled_from([0, 1, 2, 2**32 - 1]), max_level=st.just(1)
)
RANGES = st.builds(
    kv_rwset_pb2.RangeQueryInfo,
    start_key=KEYS,
    end_key=KEYS,
    itr_exhausted=st.booleans(),
    reads_merkle_hashes=SUMMARIES,
) | st.builds(kv_rwset_pb2.RangeQueryInfo, start_key=KEYS, end_key=KEYS, itr_exhausted=st.booleans())
PUBLIC = st.builds(
    kv_rwset_pb2.KVRWSet,
    reads=READS,
    range_queries_info=st.lists(RANGES, max_size=2),
    writes=st.lists(
        st.builds(kv_rwset_pb2.KVWrite, key=KEYS, is_delete=st.booleans(), value=st.binary(max_size=2)), max_size=3
    ),
    metadata_writes=st.lists(st.builds(kv_rwset_pb2.KVMetadataWrite, key=KEYS, entries=ENTRIES), max_size=2),
)
HASHED = st.builds(
    kv_rwset_pb2.HashedRWSet,
    hashed_reads=st.lists(st.builds(kv_rwset_pb2.KVReadHash, key_hash=HASHES, version=VERSIONS), max_size=1),
    hashed_writes=st.lists(
        st.builds(
            kv_rwset_pb2.KVWriteHash,
            key_hash=HASHES,
            is_delete=st.booleans(),
            value_hash=HASHES,
            is_purge=st.booleans(),
        ),
        max_size=3,
    ),
    metadata_writes=st.lists(st.builds(kv_rwset_pb2.KVMetadataWriteHash, key_hash=HASHES, entries=ENTRIES), max_size=2),
)
RAW_OR = lambda strategy: strategy.map(lambda m: m.SerializeToString()) | st.binary(max_size=6)  # noqa: E731
COLLECTIONS = st.lists(
    st.builds(
        rwset_pb2.CollectionHashedReadWriteSet,
        collection_name=st.sampled_from(["", "c", "b", "_implicit_org_LabMSP", "_implicit_org_"]),
        hashed_rwset=RAW_OR(HASHED),
        pvt_rwset_hash=st.binary(max_size=2),
    ),
    max_size=2,
)
RESULTS = RAW_OR(
    st.builds(
        rwset_pb2.TxReadWriteSet,
        ns_rwset=st.lists(
            st.builds(
                rwset_pb2.NsReadWriteSet, namespace=NAMES, rwset=RAW_OR(PUBLIC), collection_hashed_rwset=COLLECTIONS
            ),
            max_size=3,
        ),
    )
)


@pytest.fixture(scope="module")
def target(world: Any, kit: Any, make_ledger: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("fuzz") / "pedigree.db"
    ledger = make_ledger(path, durable=False)
    commit_genesis(ledger.store, common_pb2.Block.FromString(world.genesis))
    ledger.define(kit.definition(collections=[kit.collection("c", MEMBERS), kit.collection("b", MEMBERS, btl=2)]))
    yield ledger
    ledger.store.close()
    assert fsck(Path(path)).findings == []


@settings(max_examples=60, deadline=None)
@given(results=st.lists(RESULTS, min_size=1, max_size=4), chaincode=st.sampled_from(["cc", "cc", "_lifecycle", ""]))
def test_any_endorsed_results_can_be_committed(target: Any, kit: Any, results: list[bytes], chaincode: str) -> None:
    drafts = [kit.Draft(results=raw, chaincode=chaincode, endorsers=kit.orgs) for raw in results]
    assert len(target.commit(*drafts)) == len(results)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 4000), st.integers(0, 50), st.binary(max_size=3), st.binary(max_size=20))
def test_any_mutilated_transaction_can_be_committed(
    target: Any, kit: Any, at: int, lost: int, instead: bytes, garbage: bytes
) -> None:
    draft = kit.Draft(event="E")
    draft.rwset.add_write("cc", "k", b"v")
    _, raw = target.transaction(draft)
    payload = common_pb2.Envelope.FromString(raw).payload
    at %= len(payload)
    mutilated = payload[:at] + instead + payload[at + lost :]
    signature = target.world.users["HospitalMSP"].sign(mutilated)
    entry = common_pb2.Envelope(payload=mutilated, signature=signature).SerializeToString()
    assert len(target.commit_raw(entry, garbage)) == 2
