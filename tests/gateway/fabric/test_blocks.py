# SPDX-License-Identifier: Apache-2.0
"""Blocks decoded, their hashes recomputed: Fabric's golden values, and whatever else may stand in a block."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.fabric import Identity, MalformedData, decode_block, wire
from gateway.fabric.blocks import (
    NOT_VALIDATED,
    channel_config,
    data_hash,
    decode_transaction,
    header_bytes,
    header_hash,
    validation_code_name,
)
from gateway.fabric.messages import Creator, build_proposal, read_proposal, read_transaction
from gateway.fabric.rwset import HashedRead, HashedWrite, MetadataWrite, Read, Version, Write, decode_read_write_sets
from gateway.fabric.verify import proposal_hash

VECTORS = Path(__file__).parents[2] / "vectors" / "fabric"
BLOCK = json.loads((VECTORS / "block.json").read_text())
TRANSACTION = json.loads((VECTORS / "transaction.json").read_text())
RWSET = json.loads((VECTORS / "rwset.json").read_text())


class FixedIdentity(Identity):
    """The identity of the golden values, which is serialised as plain bytes."""

    def __init__(self):
        self.serialized = b"creator-bytes"


@pytest.mark.parametrize("case", BLOCK["headers"], ids=lambda case: str(case["number"]))
def test_header_hashes_are_fabrics(case):
    encoded = header_bytes(case["number"], b"prevhash", b"datahash")
    assert encoded.hex() == case["asn1"]
    assert header_hash(case["number"], b"prevhash", b"datahash").hex() == case["hash"]


def test_the_genesis_blocks_previous_hash_is_empty():
    assert header_bytes(0, b"", b"datahash").hex() == BLOCK["genesis_nil_prev"]["asn1"]
    assert header_hash(0, b"", b"datahash").hex() == BLOCK["genesis_nil_prev"]["hash"]


def test_long_hashes_take_long_lengths():
    assert header_bytes(0, b"x" * 200, b"")[:7].hex() == "3081d002010004"


def test_data_hashes_are_fabrics():
    assert data_hash([b"ab", b"cd"]).hex() == BLOCK["datahash_ab_cd"]


def test_a_proposal_is_encoded_as_fabric_encodes_it():
    parts = build_proposal(
        Creator(FixedIdentity()),
        "mychannel",
        "basic",
        [b"fn", b"a1"],
        transient={"secret": b"s"},
        nonce=b"n" * 24,
        timestamp_ns=1_700_000_000_123_456_789,
    )
    want = TRANSACTION
    assert parts.transaction_id == want["txid"]
    assert parts.signature_header.hex() == want["signature_header"]
    # The golden values leave the chaincode's language out, which nobody reads and official clients fill in.
    payload = wire.proposal.ChaincodeProposalPayload.FromString(parts.payload)
    invocation = wire.chaincode.ChaincodeInvocationSpec.FromString(payload.input)
    invocation.chaincode_spec.ClearField("type")
    payload.input = invocation.SerializeToString()
    assert payload.SerializeToString().hex() == want["proposal_payload_without_transient"]
    header = wire.common.ChannelHeader.FromString(bytes.fromhex(want["channel_header"]))
    got = wire.common.ChannelHeader.FromString(parts.channel_header)
    got.timestamp.CopyFrom(header.timestamp)
    assert got.SerializeToString().hex() == want["channel_header"]
    read = read_proposal(bytes.fromhex(want["proposal_bytes"]))
    assert (read.channel, read.chaincode) == ("mychannel", "basic")
    assert read.payload.hex() == want["proposal_payload_without_transient"]
    assert proposal_hash(read.channel_header, read.signature_header, read.payload).hex() == want["proposal_hash"]


def test_a_transaction_is_read_as_fabric_lays_it_out():
    payload = bytes.fromhex(TRANSACTION["envelope_payload"])
    assert read_transaction(payload) == (TRANSACTION["txid"], "mychannel", b"result")
    envelope = wire.common.Envelope(payload=payload, signature=b"signature").SerializeToString()
    # The golden creator is no serialised identity; that is found, and the header before it is not lost.
    broken = decode_transaction(envelope, 3, 0)
    assert broken.malformed is not None
    assert (broken.index, broken.payload) == (3, payload)


def test_the_endorsed_bytes_are_payload_and_endorser():
    payload = bytes.fromhex(TRANSACTION["envelope_payload"])
    message = wire.transaction.Transaction.FromString(wire.common.Payload.FromString(payload).data)
    action = wire.transaction.ChaincodeActionPayload.FromString(message.actions[0].payload).action
    endorsed = action.proposal_response_payload + action.endorsements[0].endorser
    assert endorsed.hex() == TRANSACTION["endorsement_signed_bytes"]


def test_public_read_write_sets_are_fabrics():
    lifecycle, basic = decode_read_write_sets(bytes.fromhex(RWSET["public"]))
    assert lifecycle.namespace == "_lifecycle"
    assert lifecycle.reads == (Read("namespaces/fields/basic/Sequence", Version(5, 0)),)
    # Version (0, 0) is a version; no version means that the key was absent.
    assert basic.reads == (Read("k0", Version(0, 0)), Read("k1", None), Read("k2", Version(7, 3)))
    assert basic.writes == (
        Write("k1", b"v1", False),
        Write("k2", b"v2", False),
        Write("k3", b"", True),
        Write("k4", b"", True),
    )
    assert basic.metadata_writes == (
        MetadataWrite("k1", (("VALIDATION_PARAMETER", b"ep"),)),
        MetadataWrite("k2", ()),
    )


def test_private_read_write_sets_are_fabrics():
    (basic,) = decode_read_write_sets(bytes.fromhex(RWSET["private_public_part"]))
    (collection,) = basic.collections

    def digest(text):
        return hashlib.sha256(text.encode()).digest()

    assert collection.name == "coll"
    assert collection.reads == (HashedRead(digest("pk0"), Version(3, 1)), HashedRead(digest("pk9"), None))
    assert collection.writes[0] == HashedWrite(digest("pk1"), digest("pv1"), False, False)
    assert collection.writes[3] == HashedWrite(digest("pk4"), b"", True, True)
    assert collection.metadata_writes == (MetadataWrite(digest("pk1"), (("VALIDATION_PARAMETER", b"ep"),)),)
    private = wire.rwset.TxPvtReadWriteSet.FromString(bytes.fromhex(RWSET["private_private_part"]))
    whole = private.ns_pvt_rwset[0].collection_pvt_rwset[0].rwset
    assert collection.private_hash == hashlib.sha256(whole).digest()


def test_range_queries_are_listed_or_summarised():
    sets = wire.kv_rwset.KVRWSet()
    listed = sets.range_queries_info.add(start_key="a", end_key="b", itr_exhausted=True)
    listed.raw_reads.kv_reads.add(key="a1")
    summary = sets.range_queries_info.add(start_key="c", end_key="d").reads_merkle_hashes
    summary.max_degree, summary.max_level = 50, 1
    summary.max_level_hashes.append(b"h")
    sets.range_queries_info.add(start_key="e")
    message = wire.rwset.TxReadWriteSet()
    message.ns_rwset.add(namespace="n", rwset=sets.SerializeToString())
    (namespace,) = decode_read_write_sets(message.SerializeToString())
    first, second, third = namespace.range_queries
    assert (first.start_key, first.end_key, first.exhausted, first.reads) == ("a", "b", True, (Read("a1", None),))
    assert (second.reads, second.merkle_max_degree, second.merkle_max_level) == (None, 50, 1)
    assert second.merkle_hashes == (b"h",)
    assert third.reads == ()


def test_a_committed_transaction_is_read_back_whole(stage):
    sets = wire.kv_rwset.KVRWSet(writes=[wire.kv_rwset.KVWrite(key="k", value=b"v")])
    results = wire.rwset.TxReadWriteSet()
    results.ns_rwset.add(namespace="pedigree", rwset=sets.SerializeToString())

    def write(draft):
        draft.action.results = results.SerializeToString()

    stage.peer.lie = write
    stage.peer.event = ("Written", b"payload")
    gateway = stage.connect_as(stage.world.client, clock=lambda: 1_700_000_000_123_456_789)
    contract = gateway.network("pedigree").contract("pedigree")
    submitted = contract.submit_async("write", "a")
    submitted.commit.status()
    with stage.network.block_events(start_block=1, stop_block=1) as events:
        block = decode_block(next(events))
    (transaction,) = block.transactions
    assert (block.number, block.previous_hash) == (1, stage.world.genesis_hash)
    assert transaction.malformed is None
    assert transaction.valid
    assert (transaction.type, transaction.channel) == (wire.common.ENDORSER_TRANSACTION, "pedigree")
    assert transaction.transaction_id == submitted.transaction_id
    assert transaction.timestamp == datetime(2023, 11, 14, 22, 13, 20, 123456, tzinfo=UTC)
    assert transaction.creator == stage.world.client.identity.serialized
    assert transaction.creator_msp_id == "LabMSP"
    assert (transaction.chaincode, transaction.chaincode_version) == ("pedigree", "1.0")
    assert transaction.arguments == (b"write", b"a")
    assert (transaction.response_status, transaction.result) == (200, b"result")
    assert transaction.event == ("pedigree", submitted.transaction_id, "Written", b"payload")
    assert transaction.namespaces[0].writes == (Write("k", b"v", False),)
    assert len(transaction.nonce) == 24
    assert len(transaction.endorsements) == 3
    msps = stage.world.trust().msps
    msps.member(transaction.creator).verify(transaction.payload, transaction.signature)
    for endorsement in transaction.endorsements:
        message = transaction.response_payload + endorsement.endorser
        msps.member(endorsement.endorser).verify(message, endorsement.signature)


def test_a_transaction_without_event_has_none(stage):
    stage.contract.submit("write")
    (transaction,) = decode_block(stage.peer.chain[1]).transactions
    assert (transaction.malformed, transaction.event) == (None, None)


def test_a_configuration_has_a_header_and_no_action(kit):
    header = wire.common.ChannelHeader(type=wire.common.CONFIG, channel_id="pedigree")
    payload = wire.common.Payload(header=wire.common.Header(channel_header=header.SerializeToString()))
    entry = wire.common.Envelope(payload=payload.SerializeToString()).SerializeToString()
    block = kit.next_block([], [entry], b"\0")
    (transaction,) = decode_block(block).transactions
    assert (transaction.malformed, transaction.type, transaction.timestamp) == (None, wire.common.CONFIG, None)
    assert (transaction.chaincode, transaction.namespaces) == ("", ())
    assert channel_config(block).config.sequence == 0


def test_rubbish_in_a_block_is_named_and_stops_nothing(kit):
    header = wire.common.ChannelHeader(type=wire.common.ENDORSER_TRANSACTION)
    hollow = wire.common.Payload(
        header=wire.common.Header(channel_header=header.SerializeToString()), data=b""
    ).SerializeToString()
    entries = [
        b"\xff",
        wire.common.Envelope(payload=b"\xff").SerializeToString(),
        wire.common.Envelope(
            payload=wire.common.Payload(header=wire.common.Header(channel_header=b"\xff")).SerializeToString()
        ).SerializeToString(),
        wire.common.Envelope(payload=hollow).SerializeToString(),
    ]
    parts = [t.malformed.split(":")[0] for t in decode_block(kit.next_block([], entries, b"")).transactions]
    assert parts == ["envelope", "payload", "header", "transaction"]


def test_a_timestamp_beyond_all_calendars_is_left_out_and_the_rest_is_read():
    header = wire.common.ChannelHeader(type=1, tx_id="used up")
    header.timestamp.seconds = 2**62
    payload = wire.common.Payload(header=wire.common.Header(channel_header=header.SerializeToString()))
    envelope = wire.common.Envelope(payload=payload.SerializeToString()).SerializeToString()
    found = decode_transaction(envelope)
    assert (found.malformed, found.timestamp, found.transaction_id) == (None, None, "used up")


def test_an_id_stands_there_although_what_follows_it_cannot_be_read():
    header = wire.common.Header(
        channel_header=wire.common.ChannelHeader(tx_id="used up").SerializeToString(), signature_header=b"\xff"
    )
    envelope = wire.common.Envelope(payload=wire.common.Payload(header=header).SerializeToString())
    found = decode_transaction(envelope.SerializeToString())
    assert found.transaction_id == "used up"
    assert found.malformed.startswith("header")


@given(st.binary(max_size=200))
def test_no_bytes_break_the_decoder(data):
    decode_transaction(data)
    wrapped = wire.common.Envelope(payload=wire.common.Payload(data=data).SerializeToString())
    decode_transaction(wrapped.SerializeToString())


def test_flags_are_one_for_each_transaction_or_absent(kit):
    block = kit.next_block([], [b"a", b"b"], b"\0\x0b")
    assert [t.validation_code for t in decode_block(block.SerializeToString()).transactions] == [0, 11]
    block.metadata.metadata[2] = b"\0"
    with pytest.raises(MalformedData, match="1 validation flags for 2"):
        decode_block(block)
    del block.metadata.metadata[:]
    assert [t.validation_code for t in decode_block(block).transactions] == [NOT_VALIDATED] * 2
    assert not decode_block(block).transactions[0].valid
    with pytest.raises(MalformedData, match="not readable"):
        decode_block(b"\xff")


def test_validation_codes_have_names():
    assert [validation_code_name(code) for code in (0, 12, 99)] == ["VALID", "PHANTOM_READ_CONFLICT", "99"]


def test_only_configuration_blocks_hold_a_configuration(kit):
    with pytest.raises(MalformedData, match="no configuration block"):
        channel_config(kit.next_block([], [], b""))
    with pytest.raises(MalformedData, match="not readable"):
        channel_config(kit.next_block([], [b"\xff"], b"\0"))
    plain = wire.common.Envelope(payload=wire.common.Payload().SerializeToString()).SerializeToString()
    header = wire.common.ChannelHeader(type=3)
    typed = wire.common.Payload(header=wire.common.Header(channel_header=header.SerializeToString()))
    envelope = wire.common.Envelope(payload=typed.SerializeToString()).SerializeToString()
    for entry in (plain, envelope):
        with pytest.raises(MalformedData, match="no configuration block"):
            channel_config(kit.next_block([], [entry], b"\0"))
