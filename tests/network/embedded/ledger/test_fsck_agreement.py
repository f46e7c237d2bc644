# SPDX-License-Identifier: Apache-2.0
"""The auditor's judge and the node's validator follow one law: what the node finds valid, `pedigree fsck` finds sound.

Random blocks, hostile shapes included: metadata of absent keys, keys twice in a set, empty values, deletes, policies of
single keys, reads of what stood or did not stand there, hashes of private data.
"""

from pathlib import Path
from typing import Any

import pytest
from fabric_protos.common import common_pb2
from fabric_protos.ledger.rwset import rwset_pb2
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.verifier.ledger import LedgerCheck
from network.embedded.blockcommit import commit_genesis
from network.embedded.blocks import header_hash
from network.embedded.fsck import fsck
from network.embedded.policy import parse
from network.embedded.rwset import RangeQuery

VALID, ENDORSEMENT_POLICY_FAILURE, MVCC_READ_CONFLICT = 0, 10, 11
KEYS = st.sampled_from(["a", "b", "c"])
HASHES = st.sampled_from([b"h1", b"h2"])
POLICIES = [parse(text).SerializeToString() for text in ("OR('LabMSP.peer')", "AND('HospitalMSP.peer','LabMSP.peer')")]
ENTRIES = st.lists(
    st.builds(
        kv_rwset_pb2.KVMetadataEntry,
        name=st.sampled_from(["VALIDATION_PARAMETER", "VALIDATION_PARAMETER", "note"]),
        value=st.sampled_from([*POLICIES, b""]),
    ),
    max_size=1,
)
WRITES = st.lists(
    st.builds(
        kv_rwset_pb2.KVWrite,
        key=KEYS,
        is_delete=st.sampled_from([False, False, True]),
        value=st.sampled_from([b"v", b"v", b""]),
    ),
    max_size=2,
)
METADATA = st.lists(st.builds(kv_rwset_pb2.KVMetadataWrite, key=KEYS, entries=ENTRIES), max_size=1)
HASHED = st.builds(
    kv_rwset_pb2.HashedRWSet,
    hashed_writes=st.lists(
        st.builds(
            kv_rwset_pb2.KVWriteHash,
            key_hash=HASHES,
            is_delete=st.sampled_from([False, False, True]),
            value_hash=st.sampled_from([b"value", b""]),
        ),
        max_size=2,
    ),
    metadata_writes=st.lists(st.builds(kv_rwset_pb2.KVMetadataWriteHash, key_hash=HASHES, entries=ENTRIES), max_size=1),
)
COLLECTIONS = st.lists(
    st.tuples(st.sampled_from(["c", "_implicit_org_LabMSP"]), HASHED), max_size=1, unique_by=lambda pair: pair[0]
)
ENDORSERS = st.sampled_from([("HospitalMSP", "LabMSP"), ("LabMSP",), ("LabMSP", "RegulatorMSP"), ("HospitalMSP",)])
READS = st.sampled_from(["none", "none", "true", "false", "range"])
TRANSACTIONS = st.tuples(WRITES, METADATA, COLLECTIONS, KEYS, READS, ENDORSERS)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("agreement") / "pedigree.db"


@pytest.fixture(scope="module")
def judged(world: Any, kit: Any, make_ledger: Any, path: Path) -> Any:
    """One ledger that grows, and the auditor's judge who reads every block of it."""
    ledger = make_ledger(path, durable=False)
    genesis = common_pb2.Block.FromString(world.genesis)
    commit_genesis(ledger.store, genesis)
    ledger.define(kit.definition(collections=[kit.collection("c", "OR('LabMSP.member')", policy="OR('LabMSP.peer')")]))
    ledger.check = LedgerCheck("pedigree", header_hash(genesis.header))
    ledger.read = 0
    yield ledger
    ledger.store.close()
    assert fsck(path).findings == []


def draft(ledger: Any, kit: Any, transaction: Any) -> Any:
    writes, metadata, collections, key, reading, endorsers = transaction
    public = kv_rwset_pb2.KVRWSet(writes=writes, metadata_writes=metadata)
    standing = ledger.version(key)
    if reading in ("true", "false"):
        read = public.reads.add(key=key)
        claimed = standing if reading == "true" else (7, 7)
        if claimed is not None:
            read.version.block_num, read.version.tx_num = claimed
    if reading == "range":
        query = RangeQuery("a", "z")
        with ledger.store.snapshot() as snapshot:
            for each, entry in snapshot.range("cc", "a", "z"):
                query.fetched(each, entry.version)
        query.ran_out()
        public.range_queries_info.append(query.encode())
    hashed = [
        rwset_pb2.CollectionHashedReadWriteSet(collection_name=name, hashed_rwset=part.SerializeToString())
        for name, part in collections
    ]
    one = rwset_pb2.NsReadWriteSet(namespace="cc", rwset=public.SerializeToString(), collection_hashed_rwset=hashed)
    results = rwset_pb2.TxReadWriteSet(ns_rwset=[one]).SerializeToString()
    return kit.Draft(results=results, endorsers=endorsers)


def codes_of(ledger: Any, kit: Any, transactions: list[Any]) -> list[int]:
    return list(ledger.commit(*[draft(ledger, kit, each) for each in transactions]))


def unread(ledger: Any) -> list[str]:
    """What the auditor finds in the blocks since the last time."""
    found = []
    for number in range(ledger.read, ledger.store.height):
        found += [str(finding) for finding in ledger.check.read(ledger.store.block(number))]
    ledger.read = ledger.store.height
    assert not ledger.check.broken, found
    return found


@settings(max_examples=120, deadline=None)
@given(transactions=st.lists(TRANSACTIONS, min_size=1, max_size=4))
def test_what_the_node_finds_valid_the_auditor_finds_sound(judged: Any, kit: Any, transactions: list[Any]) -> None:
    codes_of(judged, kit, transactions)
    assert unread(judged) == []


@settings(max_examples=12, deadline=None)
@given(transactions=st.lists(TRANSACTIONS, min_size=1, max_size=4))
def test_what_the_node_finds_invalid_the_auditor_does_not_take_for_valid(
    world: Any, kit: Any, judged: Any, transactions: list[Any]
) -> None:
    codes = codes_of(judged, kit, transactions)
    last = judged.store.height - 1
    for index, code in enumerate(codes):
        if code not in (ENDORSEMENT_POLICY_FAILURE, MVCC_READ_CONFLICT):
            continue
        check = LedgerCheck("pedigree", header_hash(judged.store.block(0).header))
        for number in range(last):
            assert list(check.read(judged.store.block(number))) == []
        forged = common_pb2.Block()
        forged.CopyFrom(judged.store.block(last))
        flags = bytearray(forged.metadata.metadata[2])
        flags[index] = VALID
        forged.metadata.metadata[2] = bytes(flags)
        assert list(check.read(forged)), f"transaction {index} with code {code}"
        break
    assert unread(judged) == []


def test_metadata_of_an_absent_key_bind_nobody(judged: Any, kit: Any) -> None:
    """Two valid transactions of one member: the metadata are dropped at commit, so the key has no policy of its own."""
    policy = kv_rwset_pb2.KVMetadataEntry(name="VALIDATION_PARAMETER", value=POLICIES[1])
    first = kit.Draft(endorsers=("HospitalMSP", "LabMSP"))
    first.rwset.add_metadata_write("cc", "absent", {policy.name: policy.value})
    second = kit.Draft(endorsers=("LabMSP", "RegulatorMSP"))
    second.rwset.add_write("cc", "absent", b"v")
    third = kit.Draft(endorsers=("LabMSP", "RegulatorMSP"))
    third.rwset.add_write("cc", "absent", b"w")
    for one in (first, second, third):
        assert judged.commit(one) == [VALID]
    assert unread(judged) == []


def test_an_organisation_without_a_policy_of_its_own_endorses_by_any_member(
    running: Any, ledger: Any, kit: Any
) -> None:
    """An administrator may take its Endorsement policy out of the channel; its implicit collection goes on."""

    def wanted(config: Any) -> Any:
        updated = type(config)()
        updated.CopyFrom(config)
        group = updated.channel_group.groups["Application"].groups["LabMSP"]
        del group.policies["Endorsement"]
        return updated

    draft = kit.Draft(endorsers=("LabMSP",))
    draft.rwset.add_private_write("cc", "_implicit_org_LabMSP", "k", b"v")

    async def use(one: Any) -> None:
        await one.change(wanted, "LabMSP")
        await one.submit(draft)

    running(use, keep_open=True)
    check = LedgerCheck("pedigree", header_hash(ledger.store.block(0).header))
    for number in range(ledger.store.height):
        assert [str(found) for found in check.read(ledger.store.block(number))] == []
    assert ledger.store.block(ledger.store.height - 1).metadata.metadata[2] == b"\0"
