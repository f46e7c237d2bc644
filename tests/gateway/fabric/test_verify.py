# SPDX-License-Identifier: Apache-2.0
"""A lying Gateway peer: whatever it changes, the client notices before it signs, and nothing is submitted."""

from __future__ import annotations

import dataclasses

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from gateway.fabric import Identity, MalformedData, Trust, UntrustedResponse, blocks, decode_block, wire
from gateway.fabric.identity import CURVE_ORDERS
from gateway.fabric.policy import SignaturePolicy
from gateway.fabric.verify import BlockChecker


def refused(stage, reason, **options):
    """Submits and demands the refusal: the right reason, the transaction's id, and no Submit call."""
    with pytest.raises(UntrustedResponse) as caught:
        stage.contract.submit("write", "a", **options)
    assert caught.value.reason == reason
    assert len(caught.value.transaction_id) == 64
    assert reason in str(caught.value)
    assert not [r for r in stage.peer.requests if isinstance(r, wire.gateway.SubmitRequest)]
    assert len(stage.peer.chain) == 1


def other_channel(draft):
    header = wire.common.ChannelHeader.FromString(draft.channel_header)
    header.channel_id = "elsewhere"
    draft.channel_header = header.SerializeToString()


def other_transaction_id(draft):
    header = wire.common.ChannelHeader.FromString(draft.channel_header)
    header.tx_id = "0" * 64
    draft.channel_header = header.SerializeToString()


def other_nonce(draft):
    header = wire.common.SignatureHeader.FromString(draft.signature_header)
    header.nonce = b"x" * 24
    draft.signature_header = header.SerializeToString()


def other_action_header(draft):
    draft.action_header = draft.action_header[:-1] + b"\0"


def other_arguments(draft):
    payload = wire.proposal.ChaincodeProposalPayload.FromString(draft.input)
    invocation = wire.chaincode.ChaincodeInvocationSpec.FromString(payload.input)
    invocation.chaincode_spec.input.args[1] = b"b"
    payload.input = invocation.SerializeToString()
    draft.input = payload.SerializeToString()


def transient_left_in(draft):
    payload = wire.proposal.ChaincodeProposalPayload.FromString(draft.input)
    payload.TransientMap["key"] = b"secret"
    draft.input = payload.SerializeToString()


def other_proposal(draft):
    draft.proposal_hash = b"\0" * 32


def failed_response(draft):
    draft.action.response.status = 500


def too_low_response(draft):
    draft.action.response.status = 199


def other_chaincode(draft):
    draft.action.chaincode_id.name = "other"


def event_of_other_chaincode(draft):
    draft.action.events = wire.chaincode_event.ChaincodeEvent(
        chaincode_id="other", tx_id=draft.transaction_id, event_name="E"
    ).SerializeToString()


def event_of_other_transaction(draft):
    draft.action.events = wire.chaincode_event.ChaincodeEvent(
        chaincode_id="pedigree", tx_id="0", event_name="E"
    ).SerializeToString()


def nobody_endorses(draft):
    draft.endorsers = []


def same_peer_twice(draft):
    draft.endorsers.append(draft.endorsers[0])


def same_peer_twice_encoded_differently(draft):
    first = draft.endorsers[0].identity
    draft.endorsers.append(draft.endorsers[0])
    draft.names = [p.identity for p in draft.endorsers]
    draft.names[-1] = Identity(first.mspid, b"\n" + first.credentials)


def forged_signature(draft):
    draft.signatures[1] = draft.endorsers[1].sign(b"another payload")


def unreadable_signature(draft):
    draft.signatures[1] = b"\xff"


def signature_with_high_s(draft):
    endorsed = wire.proposal_response.ProposalResponsePayload(
        proposal_hash=draft.proposal_hash, extension=draft.action.SerializeToString()
    ).SerializeToString()
    peer = draft.endorsers[0]
    r, s = decode_dss_signature(peer.sign(endorsed + peer.identity.serialized))
    draft.signatures[0] = encode_dss_signature(r, CURVE_ORDERS["secp256r1"] - s)


def another_persons_key(draft):
    draft.names = [draft.endorsers[0].identity, draft.endorsers[0].identity]
    draft.endorsers = draft.endorsers[1:2]


def borrowed_msp(draft):
    """A certificate of one MSP shown under another's name."""
    draft.names = [Identity("HospitalMSP", draft.endorsers[1].identity.credentials)]
    draft.endorsers = [draft.endorsers[1]]


def unknown_msp(draft):
    draft.names = [Identity("NobodyMSP", draft.endorsers[0].identity.credentials)]


def no_certificate(draft):
    draft.names = [Identity("HospitalMSP", b"no certificate")]


LIES = [
    (other_channel, "header-mismatch"),
    (other_transaction_id, "header-mismatch"),
    (other_nonce, "header-mismatch"),
    (other_action_header, "action-header-mismatch"),
    (other_arguments, "input-mismatch"),
    (transient_left_in, "input-mismatch"),
    (other_proposal, "proposal-hash-mismatch"),
    (failed_response, "response-status"),
    (too_low_response, "response-status"),
    (other_chaincode, "chaincode-mismatch"),
    (event_of_other_chaincode, "chaincode-mismatch"),
    (event_of_other_transaction, "event-mismatch"),
    (nobody_endorses, "missing-endorsement"),
    (same_peer_twice, "duplicate-endorsement"),
    (same_peer_twice_encoded_differently, "duplicate-endorsement"),
    (forged_signature, "endorsement-signature"),
    (unreadable_signature, "endorsement-signature"),
    (signature_with_high_s, "endorsement-signature"),
    (another_persons_key, "endorsement-signature"),
    (borrowed_msp, "untrusted-endorser"),
    (unknown_msp, "untrusted-endorser"),
    (no_certificate, "malformed-endorser"),
]


@pytest.mark.parametrize(("lie", "reason"), LIES, ids=[lie.__name__ for lie, _ in LIES])
def test_a_lie_is_refused(stage, lie, reason):
    stage.peer.lie = lie
    refused(stage, reason, transient={"key": b"secret"})


def test_an_endorser_must_be_a_peer_by_its_own_certificate(stage):
    lab = stage.world.organisations["LabMSP"]
    stage.peer.endorsers = [lab.client]
    refused(stage, "endorser-role")


@pytest.mark.parametrize(("units", "reason"), [((), "untrusted-endorser"), (("peer", "admin"), "untrusted-endorser")])
def test_an_endorser_has_exactly_one_role(stage, units, reason):
    stage.peer.endorsers = [stage.world.organisations["LabMSP"].issue("odd", *units)]
    refused(stage, reason)


def test_an_endorser_is_no_ca(stage):
    stage.peer.endorsers = [stage.world.organisations["LabMSP"].issue("ca2", "peer", ca=True)]
    refused(stage, "untrusted-endorser")


def test_an_earlier_transaction_of_ours_is_not_this_one(stage):
    stale = []
    stage.peer.corrupt = lambda envelope: stale.append(envelope) or stale[0]
    stage.contract.new_proposal("write", ["a"]).endorse()
    refused(stage, "header-mismatch")


def test_an_altered_result_breaks_the_endorsements(stage):
    def alter(envelope):
        payload = envelope.payload.replace(b"result", b"denied")
        return wire.common.Envelope(payload=payload)

    stage.peer.corrupt = alter
    refused(stage, "endorsement-signature")


def test_an_envelope_that_is_signed_already_is_refused(stage):
    stage.peer.corrupt = lambda envelope: wire.common.Envelope(payload=envelope.payload, signature=b"x")
    refused(stage, "signed-already")


def test_unreadable_answers_are_refused(stage):
    stage.peer.corrupt = lambda envelope: wire.common.Envelope(payload=b"\xff\xff")
    refused(stage, "malformed")


@pytest.mark.parametrize("count", [0, 2])
def test_a_transaction_has_one_action(stage, count):
    def multiply(envelope):
        payload = wire.common.Payload.FromString(envelope.payload)
        transaction = wire.transaction.Transaction.FromString(payload.data)
        action = transaction.actions[0]
        del transaction.actions[:]
        transaction.actions.extend([action] * count)
        payload.data = transaction.SerializeToString()
        return wire.common.Envelope(payload=payload.SerializeToString())

    stage.peer.corrupt = multiply
    refused(stage, "action-count")


def test_data_that_no_field_of_ours_names_is_refused(stage):
    # Field 15, of a type that this version of the protocol does not know, at the end of the payload.
    stage.peer.corrupt = lambda envelope: wire.common.Envelope(payload=envelope.payload + b"\x7a\x03abc")
    refused(stage, "surplus-data")


def test_an_organisation_that_was_named_must_have_endorsed(stage):
    stage.peer.lie = lambda draft: draft.endorsers.pop()
    refused(stage, "missing-endorsement", endorsing_organisations=["LabMSP", "RegulatorMSP"])


def test_a_pinned_policy_must_be_satisfied_before_signing(stage):
    trust = stage.world.trust()
    envelope = wire.policies.SignaturePolicyEnvelope()
    for name in stage.world.organisations:
        role = wire.msp_principal.MSPRole(msp_identifier=name, role=wire.msp_principal.MSPRole.PEER)
        envelope.identities.add(principal_classification=0, principal=role.SerializeToString())
    envelope.rule.n_out_of.n = 2
    for index in range(3):
        envelope.rule.n_out_of.rules.add(signed_by=index)
    trust.policies["pedigree"] = SignaturePolicy(envelope, trust.msps)
    gateway = stage.connect_as(stage.world.client, trust=trust)
    stage = dataclasses.replace(stage, gateway=gateway)
    stage.peer.lie = lambda draft: draft.endorsers.__delitem__(slice(1, None))
    refused(stage, "policy-not-satisfied")
    stage.peer.lie = lambda draft: draft.endorsers.pop()
    assert stage.contract.submit("write") == b"result"


def test_an_honest_answer_with_event_and_transient_data_passes(stage):
    stage.peer.event = ("Written", b"payload")
    assert stage.contract.submit("write", "a", transient={"key": b"secret"}) == b"result"


# Trust, and chains of blocks


def test_a_genesis_hash_has_32_bytes():
    with pytest.raises(ValueError, match="32 bytes"):
        Trust((), b"short")


def test_trust_can_be_read_from_msp_folders(world):
    trust = Trust.from_msp_folders(world.folders, world.genesis_hash)
    assert trust.msps.ids == set(world.organisations)


def test_the_genesis_block_must_be_the_pinned_one(world):
    block = wire.common.Block()
    block.header.data_hash = blocks.data_hash([b"x"])
    block.data.data.append(b"x")
    with pytest.raises(UntrustedResponse, match="genesis-mismatch"):
        Trust.from_genesis_block(block.SerializeToString(), world.genesis_hash)
    with pytest.raises(MalformedData, match="genesis block"):
        Trust.from_genesis_block(b"\xff", world.genesis_hash)


def test_check_genesis_compares_block_0_with_what_was_pinned(stage):
    stage.network.check_genesis()
    strange = stage.connect_as(stage.world.client, trust=Trust((), b"\0" * 32))
    with pytest.raises(UntrustedResponse, match="genesis-mismatch"):
        strange.network("pedigree").check_genesis()
    blind = stage.connect_as(stage.world.client, trust=None, verify=False)
    with pytest.raises(ValueError, match="pinned"):
        blind.network("pedigree").check_genesis()


def chain_of(stage, length):
    for _ in range(length - 1):
        stage.contract.submit("write")
    return stage.peer.chain


def test_an_altered_block_is_found_in_the_stream(stage):
    chain_of(stage, 4)[2].data.data[0] += b"\0"
    with stage.network.block_events(start_block=1) as events:
        assert next(events).header.number == 1
        with pytest.raises(UntrustedResponse, match="data-hash"):
            next(events)
        with pytest.raises(StopIteration):
            next(events)


def test_a_replaced_block_breaks_the_chain(stage):
    chain = chain_of(stage, 4)
    chain[2].data.data[0] += b"\0"
    chain[2].header.data_hash = blocks.data_hash(chain[2].data.data)
    with (
        stage.network.block_and_private_data_events(start_block=1) as events,
        pytest.raises(UntrustedResponse, match="chain-broken"),
    ):
        list(events)


def test_a_block_left_out_is_a_gap(stage):
    del chain_of(stage, 5)[2]
    for stream in (stage.network.block_events, stage.network.filtered_block_events):
        with stream(start_block=1) as events, pytest.raises(UntrustedResponse, match="block-gap"):
            list(events)


@pytest.mark.parametrize("kind", ["block_events", "block_and_private_data_events"])
def test_a_resumed_stream_is_of_the_same_chain(stage, kind):
    chain = chain_of(stage, 4)
    last = decode_block(chain[1]).header_hash
    with getattr(stage.network, kind)(start_block=2, stop_block=3, previous_hash=last) as events:
        assert len(list(events)) == 2
    chain[2].header.previous_hash = b"x" * 32  # a chain of the peer's own making, consistent from here on
    chain[3].header.previous_hash = decode_block(chain[2]).header_hash
    with getattr(stage.network, kind)(start_block=2, stop_block=3) as events:
        assert len(list(events)) == 2
    with (
        getattr(stage.network, kind)(start_block=2, previous_hash=last) as events,
        pytest.raises(UntrustedResponse, match="chain-broken"),
    ):
        next(events)


def test_a_stream_that_begins_elsewhere_is_a_gap(stage):
    checker = BlockChecker(stage.world.genesis_hash, first=7)
    with pytest.raises(UntrustedResponse, match="block-gap"):
        checker.check(stage.peer.chain[0])


def test_without_trust_blocks_come_as_they_are(stage):
    del chain_of(stage, 4)[2]
    blind = stage.connect_as(stage.world.client, trust=None, verify=False).network("pedigree")
    for stream in (blind.block_events, blind.filtered_block_events, blind.block_and_private_data_events):
        with stream(start_block=0, stop_block=2) as events:
            assert len(list(events)) == 3
