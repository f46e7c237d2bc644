# SPDX-License-Identifier: Apache-2.0
"""What a peer refuses before it simulates, in the order and with the texts of rules P-7 to P-18."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from fabric_protos.common import common_pb2
from fabric_protos.msp import identities_pb2
from fabric_protos.peer import peer_pb2_grpc, proposal_pb2
from grpc import StatusCode, aio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from network.embedded.proposal import ProposalRefused, Unauthenticated, check_filters, check_proposal, unpack

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


async def nothing(stub):
    return b""


def set_field(part: str, name: str, value):
    def spoil(draft):
        target = getattr(draft, part)
        if value is None:
            target.ClearField(name)
        else:
            setattr(target, name, value)

    return spoil


def clear_input(draft):
    draft.spec.chaincode_spec.ClearField("input")


def clear_spec(draft):
    draft.spec.ClearField("chaincode_spec")


STARRED = [
    (set_field("extension", "chaincode_id", None), "ChaincodeHeaderExtension.ChaincodeId is nil"),
    (lambda d: d.extension.chaincode_id.ClearField("name"), "ChaincodeHeaderExtension.ChaincodeId.Name is empty"),
    (clear_spec, "chaincode invocation spec did not contain chaincode spec"),
    (clear_input, "chaincode input did not contain any input"),
    (set_field("channel", "type", 5), "error validating proposal: invalid header type DELIVER_SEEK_INFO"),
    (set_field("channel", "type", 99), "error validating proposal: invalid header type 99"),
    (set_field("channel", "epoch", 1), "error validating proposal: epoch is non-zero"),
    (set_field("signature_header", "nonce", b""), "error validating proposal: nonce is empty"),
    (set_field("signature_header", "creator", b""), "error validating proposal: creator is empty"),
    (set_field("channel", "tx_id", "ab"), "error validating proposal: incorrectly computed txid 'ab' -- expected '"),
]


def test_every_malformed_part_is_named_in_error_and_response(play, kit):
    async def scenario(world):
        await world.deploy("basic", nothing)
        endorser = world.node.orgs["HospitalMSP"].endorser
        for spoil, text in STARRED:
            draft = kit.build(world.signer("HospitalMSP"), "basic")
            spoil(draft)
            answer = await endorser.process(kit.sign(draft))
            assert answer.error is not None, text
            assert answer.error.startswith(text)
            assert answer.response.response.status == 500
            assert answer.response.response.message == answer.error
            assert not answer.response.payload

    play(scenario)


def test_filters_answer_an_error_alone(play, kit):
    async def scenario(world):
        endorser = world.node.orgs["HospitalMSP"].endorser
        for minutes in (-20, 20):
            draft = kit.build(world.signer("HospitalMSP"), "basic")
            draft.channel.timestamp.FromDatetime(datetime.now(UTC) + timedelta(minutes=minutes))
            response, error = await endorser.process(kit.sign(draft))
            assert response is None
            assert error.startswith("request unauthorized due to incorrect timestamp ")
            assert error.endswith(", peer.authentication.timewindow 15m0s")
        draft = kit.build(world.signer("HospitalMSP"), "basic")
        draft.channel.ClearField("timestamp")
        _, error = await endorser.process(kit.sign(draft))
        assert "incorrect timestamp 1970-01-01T00:00:00Z" in error

    play(scenario)


def test_an_expired_certificate_is_refused_before_the_signature_is_looked_at(play, kit):
    async def scenario(world):
        identity = world.node.channels["pedigree"].config.msps.deserialise(world.signer("HospitalMSP").serialized)
        endorser = world.node.orgs["HospitalMSP"].endorser
        endorser._clock = lambda: identity.not_after + timedelta(seconds=1)
        answer = await world.ask("basic")
        assert answer == (None, "proposal client identity expired")

    play(scenario)


def high_s(signed):
    r, s = decode_dss_signature(signed.signature)
    signed.signature = encode_dss_signature(r, P256_ORDER - s)


def with_creator(world, kit, creator: bytes):
    """A proposal by `creator`, signed by someone else, with the transaction id that belongs to it."""
    draft = kit.build(world.signer("HospitalMSP"), "basic")
    from hashlib import sha256

    draft.signature_header.creator = creator
    draft.channel.tx_id = sha256(draft.signature_header.nonce + creator).hexdigest()
    return kit.sign(draft)


def test_strangers_and_bad_signatures_get_two_texts_and_no_more(play, kit):
    denied = "error validating proposal: access denied: channel [pedigree] creator org "
    malformed = denied + "unknown, creator is malformed"

    async def scenario(world):
        endorser = world.node.orgs["HospitalMSP"].endorser
        certificate = world.signer("HospitalMSP").certificate_pem
        creators = [
            (identities_pb2.SerializedIdentity(mspid="NoMSP", id_bytes=certificate), malformed),
            (identities_pb2.SerializedIdentity(mspid="LabMSP", id_bytes=certificate), malformed),
            (identities_pb2.SerializedIdentity(mspid="HospitalMSP", id_bytes=b"no certificate"), malformed),
        ]
        for creator, text in creators:
            answer = await endorser.process(with_creator(world, kit, creator.SerializeToString()))
            assert answer.error == text
        other = with_creator(world, kit, world.signer("LabMSP").serialized)
        assert (await endorser.process(other)).error == denied + "[LabMSP]"
        signed = world.propose("basic")
        high_s(signed)
        assert (await endorser.process(signed)).error == denied + "[HospitalMSP]"
        signed = world.propose("basic")
        signed.ClearField("signature")
        assert (await endorser.process(signed)).error == "error validating proposal: empty signature bytes"

    play(scenario)


def test_a_good_verdict_is_not_lent_to_another_signature(play):
    async def scenario(world):
        await world.deploy("basic", nothing)
        signed = world.propose("basic")
        for org in ("HospitalMSP", "LabMSP"):
            assert (await world.node.orgs[org].endorser.process(signed)).error is None
        high_s(signed)
        answer = await world.node.orgs["LabMSP"].endorser.process(signed)
        assert answer.error.endswith("creator org [HospitalMSP]")

    play(scenario)


def test_unknown_channels_and_chaincodes_are_answered_without_an_error(play):
    async def scenario(world):
        answer = await world.ask("basic", channel_id="nochan")
        assert answer.error is None
        assert answer.response.response.message == "channel 'nochan' not found"
        answer = await world.ask("nope")
        assert answer.error is None
        assert answer.response.response.status == 500
        assert not answer.response.payload
        assert answer.response.response.message == (
            "make sure the chaincode nope has been successfully defined on channel pedigree and try again: "
            "chaincode nope not found"
        )

    play(scenario)


def test_a_committed_transaction_id_is_refused_valid_or_not(play):
    async def scenario(world):
        await world.deploy("basic", nothing)
        signed = world.propose("basic")
        endorser = world.node.orgs["HospitalMSP"].endorser
        endorsed = (await endorser.process(signed)).response
        # One endorsement of three does not satisfy the majority, so the transaction is on the ledger as invalid.
        assert await world.order(signed, [endorsed], world.signer("HospitalMSP")) == 10
        answer = await endorser.process(signed)
        creator = world.signer("HospitalMSP").serialized.hex()
        header = common_pb2.Header.FromString(proposal_pb2.Proposal.FromString(signed.proposal_bytes).header)
        txid = common_pb2.ChannelHeader.FromString(header.channel_header).tx_id
        assert answer.error == f"duplicate transaction found [{txid}]. Creator [{creator}]"
        assert answer.response.response.status == 500

    play(scenario)


def test_a_reader_who_is_no_writer_cannot_even_evaluate(play):
    async def scenario(world):
        await world.deploy("basic", nothing)
        answer = await world.ask("basic", user="peer")
        assert answer.error == (
            "Failed evaluating policy on signed data during check policy on channel [pedigree] with policy "
            "[/Channel/Application/Writers]: [implicit policy evaluation failed - 0 sub-policies were satisfied, "
            "but this policy requires 1 of the 'Writers' sub-policies to be satisfied]"
        )

    play(scenario)


def test_over_grpc_an_error_becomes_a_status_without_a_response(play, kit):
    async def scenario(world):
        await world.deploy("basic", nothing)
        server = aio.server()
        peer_pb2_grpc.add_EndorserServicer_to_server(world.node.orgs["LabMSP"].endorser, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            async with aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                stub = peer_pb2_grpc.EndorserStub(channel)
                response = await stub.ProcessProposal(world.propose("basic"))
                assert response.version == 1
                assert response.response.status == 200
                draft = kit.build(world.signer("HospitalMSP"), "basic")
                draft.channel.epoch = 3
                with pytest.raises(aio.AioRpcError) as refused:
                    await stub.ProcessProposal(kit.sign(draft))
                assert refused.value.code() == StatusCode.UNKNOWN
                assert refused.value.details() == "error validating proposal: epoch is non-zero"
        finally:
            await server.stop(0)

    play(scenario)


def test_the_proposal_hash_leaves_the_transient_map_out():
    vectors = json.loads((Path(__file__).parents[1] / "vectors" / "transaction.json").read_text())
    proposal = unpack(bytes.fromhex(vectors["proposal_bytes"]))
    assert proposal.hash.hex() == vectors["proposal_hash"]
    assert proposal.transaction_id == vectors["txid"]
    assert proposal.chaincode == "basic"


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_taken_apart_without_another_error(raw):
    try:
        proposal = unpack(raw)
    except ProposalRefused:
        return
    with pytest.raises(Unauthenticated):
        check_filters(proposal, None, datetime.now(UTC))
    assert proposal.complaint is not None
    with pytest.raises(ProposalRefused):
        check_proposal(proposal, b"", None)
