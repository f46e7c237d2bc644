# SPDX-License-Identifier: Apache-2.0
"""Proposals and identities: rules P-1 to P-28."""

import os
from datetime import UTC, datetime, timedelta

from fabricharness import messages
from fabricharness.expect import (
    ABORTED,
    ENDORSEMENT_FAILED,
    FAILED_PRECONDITION,
    INVALID_ARGUMENT,
    PERMISSION_DENIED,
    UNAVAILABLE,
    refused,
    value,
)
from fabricharness.members import Member, issue
from fabricharness.networks import MAIN, VALID, Network

UNKNOWN_CHANNEL = "failed to get config for channel [nochan]: could not get last config for channel nochan"
MALFORMED_CREATOR = "creator org unknown, creator is malformed"


def denied(channel: str = MAIN, mspid: str = "HospitalMSP") -> str:
    return f"access denied: channel [{channel}] creator org [{mspid}]"


def test_c001_evaluate_ok(net: Network, key: str) -> None:
    assert net.hospital.submit("anyone", "put", key, "v").code == VALID
    assert value(net.hospital.evaluate("anyone", "get", key)) == "v"
    response = net.hospital.peer.evaluate_raw(net.hospital.propose("anyone", "get", key))
    assert response.status == 200


def test_c002_txid_mismatch(net: Network) -> None:
    wrong = net.hospital.propose("anyone", "get", "k", transaction_id="00" * 32)
    refusal = refused(net.hospital.peer.evaluate_raw, wrong)
    assert refusal.code == FAILED_PRECONDITION
    assert "incorrectly computed txid" in refusal.text


def test_c003_epoch_nonzero(net: Network) -> None:
    refusal = refused(net.hospital.peer.evaluate_raw, net.hospital.propose("anyone", "get", "k", epoch=1))
    assert refusal.code == FAILED_PRECONDITION
    assert "epoch is non-zero" in refusal.text


def test_c004_wrong_signature(net: Network) -> None:
    thief = net.hospital.user.with_key_of(net.regulator.user)
    refusal = refused(net.hospital.peer.evaluate_raw, net.hospital.propose("anyone", "get", "k", member=thief))
    assert refusal.code == FAILED_PRECONDITION
    assert denied() in refusal.text


def test_c005_high_s_signature(net: Network) -> None:
    proposal = net.hospital.propose("anyone", "get", "k")
    proposal.signed.signature = net.hospital.user.sign_high(proposal.signed.proposal_bytes)
    refusal = refused(net.hospital.peer.evaluate_raw, proposal)
    assert refusal.code == FAILED_PRECONDITION
    assert denied() in refusal.text


def assert_malformed_creator(net: Network, member: Member) -> None:
    refusal = refused(net.hospital.peer.evaluate_raw, net.hospital.propose("anyone", "get", "k", member=member))
    assert refusal.code == FAILED_PRECONDITION
    assert MALFORMED_CREATOR in refusal.text


def test_c006_unknown_msp(net: Network) -> None:
    assert_malformed_creator(net, net.hospital.user.claiming("NoMSP"))


def test_c007_foreign_ca_cert(net: Network) -> None:
    assert_malformed_creator(net, issue("HospitalMSP", None))


def test_c008_nodeou_missing(net: Network) -> None:
    nobody = issue("HospitalMSP", net.ca, units=())
    refusal = refused(net.hospital.peer.evaluate_raw, net.hospital.propose("anyone", "get", "k", member=nobody))
    assert refusal.code == FAILED_PRECONDITION
    assert denied() in refusal.text
    # The same certificate with the unit is accepted, so the unit is what was missing.
    client = issue("HospitalMSP", net.ca)
    assert net.hospital.peer.evaluate_raw(net.hospital.propose("anyone", "get", "k", member=client)).status == 200


def test_c009_reader_not_writer(net: Network) -> None:
    reader = net.hospital.peer_member
    refusal = refused(net.hospital.peer.evaluate_raw, net.hospital.propose("anyone", "get", "k", member=reader))
    assert refusal.code == FAILED_PRECONDITION
    assert "requires 1 of the 'Writers' sub-policies" in refusal.text


def test_c010_old_timestamp(net: Network) -> None:
    old = net.hospital.propose("anyone", "get", "k", at=datetime.now(UTC) - timedelta(minutes=20))
    refusal = refused(net.hospital.peer.evaluate_raw, old)
    assert refusal.code == UNAVAILABLE
    assert "request unauthorized due to incorrect timestamp" in refusal.text


def test_c011_expired_client_cert(net: Network, key: str) -> None:
    now = datetime.now(UTC)
    expired = issue("HospitalMSP", net.ca, begins=now - timedelta(minutes=2), ends=now - timedelta(seconds=1))
    refusal = refused(net.hospital.peer.evaluate_raw, net.hospital.propose("anyone", "get", "k", member=expired))
    assert "proposal client identity expired" in refusal.text
    committed = net.hospital.submit("anyone", "put", key, "v")
    asked = messages.status_request(MAIN, committed.transaction_id, expired)
    assert net.hospital.peer.status_raw(asked).block_number == committed.block


def test_c012_unknown_channel_evaluate(net: Network) -> None:
    refusal = refused(net.hospital.peer.evaluate_raw, net.hospital.propose("anyone", "get", "k", channel="nochan"))
    assert refusal.code == UNAVAILABLE
    assert refusal.message == UNKNOWN_CHANNEL


def test_c227_unknown_channel_texts(net: Network) -> None:
    """The other calls of the Gateway service, and the endorser; Deliver and Broadcast have cases of their own."""
    org = net.hospital
    proposal = org.propose("anyone", "get", "k", channel="nochan")
    submit = refused(org.peer.submit_raw, proposal, messages.envelope(b"x", org.user))
    assert (submit.code, submit.message) == (FAILED_PRECONDITION, UNKNOWN_CHANNEL)
    named = refused(org.peer.endorse_raw, proposal, organisations=["HospitalMSP"])
    assert (named.code, named.message) == (UNAVAILABLE, "failed to find any endorsing peers for org(s): HospitalMSP")
    status = refused(org.peer.status_raw, messages.status_request("nochan", "0" * 64, org.user))
    assert (status.code, status.message) == (PERMISSION_DENIED, "Failed to get policy manager for channel [nochan]")
    with org.peer.events(messages.events_request("nochan", "anyone", org.user)) as events:
        stream = refused(next, events)
    assert (stream.code, stream.message) == (PERMISSION_DENIED, "Failed to get policy manager for channel [nochan]")
    response = org.peer.process_proposal(proposal).response
    assert (response.status, response.message) == (500, "channel 'nochan' not found")


def test_c013_unknown_channel_endorse(net: Network) -> None:
    refusal = refused(net.hospital.peer.endorse_raw, net.hospital.propose("anyone", "get", "k", channel="nochan"))
    assert refusal.code == FAILED_PRECONDITION
    assert "No metadata was found for chaincode anyone in channel nochan" in refusal.message


def test_c014_duplicate_txid_propose(net: Network, key: str) -> None:
    proposal = net.hospital.propose("anyone", "put", key, "v")
    assert net.finish(net.hospital, proposal, net.hospital.peer.endorse_raw(proposal)).code == VALID
    refusal = refused(net.hospital.peer.endorse_raw, proposal)
    assert refusal.code == ABORTED
    assert refusal.message == ENDORSEMENT_FAILED
    assert f"duplicate transaction found [{proposal.transaction_id}]" in refusal.text


def test_c015_malformed_proposal(net: Network) -> None:
    proposal = net.hospital.propose("anyone", "get", "k")
    for garbage in (b"\xff" * 40, os.urandom(64) + b"\xff", b""):
        proposal.signed.proposal_bytes = garbage
        assert refused(net.hospital.peer.evaluate_raw, proposal).code == INVALID_ARGUMENT
    proposal.signed.proposal_bytes = b"\xff" * 40
    assert refused(net.hospital.peer.endorse_raw, proposal).code == INVALID_ARGUMENT


def test_c016_nonce_any_length(net: Network) -> None:
    for length in (1, 24, 100):
        proposal = net.hospital.propose("anyone", "get", "k", nonce=os.urandom(length))
        assert net.hospital.peer.evaluate_raw(proposal).status == 200
