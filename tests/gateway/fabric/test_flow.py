# SPDX-License-Identifier: Apache-2.0
"""Evaluate, endorse, submit and commit status, whole and in stages."""

from __future__ import annotations

import datetime
import hashlib
import threading

import grpc
import pytest

from gateway.fabric import (
    CommitError,
    CommitStatusError,
    Deadlines,
    EndorseError,
    ErrorDetail,
    Gateway,
    GatewayError,
    MalformedData,
    SigningError,
    SubmitError,
    UntrustedResponse,
    connect,
    no_hash,
    sha3_256,
    sha3_384,
    sha384,
    wire,
)

CODE = grpc.StatusCode


def test_evaluate_sends_text_and_bytes_and_transient_data(stage):
    result = stage.contract.evaluate("read", "é", b"\xff\x00", transient={"key": b"secret"})
    assert result == b"read|" + "é".encode() + b"|\xff\x00|secret"


def test_a_named_contract_prefixes_the_function(stage):
    contract = stage.network.contract("pedigree", "dataset")
    assert contract.evaluate("register") == b"dataset:register|"
    assert (contract.chaincode_name, contract.contract_name) == ("pedigree", "dataset")


def test_endorsing_organisations_reach_the_peer_on_evaluate_and_endorse(stage):
    stage.contract.evaluate("read", endorsing_organisations=["LabMSP"])
    stage.contract.submit("write", endorsing_organisations=["LabMSP", "HospitalMSP"])
    assert list(stage.peer.requests[0].target_organizations) == ["LabMSP"]
    assert list(stage.peer.requests[1].endorsing_organizations) == ["LabMSP", "HospitalMSP"]


def test_submit_answers_with_the_chaincodes_result_once_committed(stage):
    stage.peer.event = ("Written", b"payload")
    assert stage.contract.submit("write", "a", b"b", transient={"k": b"kept out of the ledger"}) == b"result"
    assert len(stage.peer.chain) == 2
    # Transient data is in the proposal and nowhere in the transaction.
    envelope = stage.peer.chain[1].data.data[0]
    assert b"kept out of the ledger" not in envelope


def test_submit_async_answers_before_the_outcome_is_asked_for(stage):
    submitted = stage.contract.submit_async("write")
    assert submitted.result == b"result"
    assert submitted.transaction_id == submitted.commit.transaction_id
    status = submitted.commit.status()
    assert (status.successful, status.code_name, status.block_number) == (True, "VALID", 1)
    status.raise_for_status()


def test_an_invalid_transaction_is_a_commit_error(stage):
    stage.peer.code = 11
    with pytest.raises(CommitError) as caught:
        stage.contract.submit("write")
    error = caught.value
    assert (error.code, error.code_name, error.block_number) == (11, "MVCC_READ_CONFLICT", 1)
    assert error.transaction_id in str(error)


def test_an_unknown_validation_code_keeps_its_number(stage):
    stage.peer.code = 200
    assert stage.contract.submit_async("write").commit.status().code_name == "200"


def test_the_status_request_is_signed_before_submit(stage):
    """A signer that fails at the third signature leaves nothing submitted."""
    signatures = []

    def signer(digest: bytes) -> bytes:
        signatures.append(digest)
        if len(signatures) == 3:
            raise OSError("the HSM is gone")
        return stage.world.client.signer(digest)

    gateway = Gateway(stage.connection, stage.world.client.identity, signer, trust=stage.world.trust())
    with pytest.raises(OSError, match="HSM"):
        gateway.network("pedigree").contract("pedigree").submit("write")
    assert len(stage.peer.chain) == 1


@pytest.mark.parametrize(
    ("method", "error"),
    [("Endorse", EndorseError), ("Submit", SubmitError), ("CommitStatus", CommitStatusError)],
)
def test_each_stage_has_its_own_error_with_the_transaction_id_and_every_peers_words(stage, fail, method, error):
    details = [("peer0:7051", "LabMSP", "chaincode response 400, no"), ("peer1:8051", "HospitalMSP", "also no")]
    stage.peer.failures[method] = fail(CODE.ABORTED, "see details", *details)
    proposal = stage.contract.new_proposal("write")
    with pytest.raises(error) as caught:
        proposal.endorse().submit().status()
    assert caught.value.code is CODE.ABORTED
    assert caught.value.message == "see details"
    assert caught.value.transaction_id == proposal.transaction_id
    assert caught.value.details == tuple(ErrorDetail(*detail) for detail in details)
    text = str(caught.value)
    assert "ABORTED" in text
    assert "HospitalMSP at peer1:8051: also no" in text


def test_evaluate_fails_with_a_gateway_error(stage, fail):
    stage.peer.failures["Evaluate"] = fail(CODE.UNKNOWN, "chaincode response 500, no")
    with pytest.raises(GatewayError) as caught:
        stage.contract.evaluate("read")
    assert type(caught.value) is GatewayError
    assert caught.value.details == ()


def test_details_of_other_types_are_passed_over_and_rubbish_is_reported(stage, fail):
    foreign = wire.rpc_status.Status(code=10, message="x")
    foreign.details.add(type_url="type.googleapis.com/protos.Response", value=b"")
    metadata = (("other", "x"), ("grpc-status-details-bin", foreign.SerializeToString()))
    stage.peer.failures["Evaluate"] = (CODE.ABORTED, "no", metadata)
    with pytest.raises(GatewayError) as caught:
        stage.contract.evaluate("read")
    assert caught.value.details == ()
    stage.peer.failures["Evaluate"] = (CODE.ABORTED, "no", (("grpc-status-details-bin", b"\xff\xff"),))
    with pytest.raises(GatewayError) as caught:
        stage.contract.evaluate("read")
    assert "cannot be decoded" in caught.value.details[0].message


def test_a_lost_connection_is_unavailable(world):
    with connect("127.0.0.1:1") as connection:
        gateway = Gateway(connection, world.client.identity, world.client.signer, trust=world.trust())
        with pytest.raises(EndorseError) as caught:
            gateway.network("pedigree").contract("pedigree").submit("write")
    assert caught.value.code is CODE.UNAVAILABLE


def test_deadlines_hold_for_each_call_and_can_be_replaced(stage):
    never = stage.gateway.new_commit(
        wire.gateway.SignedCommitStatusRequest(
            request=wire.gateway.CommitStatusRequest(
                transaction_id="unknown", channel_id="pedigree", identity=stage.world.client.identity.serialized
            ).SerializeToString()
        ).SerializeToString()
    )
    with pytest.raises(CommitStatusError) as caught:
        never.status(timeout=0.1)
    assert caught.value.code is CODE.DEADLINE_EXCEEDED
    assert caught.value.transaction_id == "unknown"
    hasty = stage.connect_as(stage.world.client, deadlines=Deadlines(commit_status=0.1))
    with pytest.raises(CommitStatusError):
        hasty.new_commit(never.bytes).status()
    slow = Deadlines(endorse=5.0, submit=5.0, commit_status=5.0)
    assert stage.contract.submit("write", deadlines=slow) == b"result"
    assert stage.contract.evaluate("read", timeout=5.0) == b"read|"


def test_the_transaction_id_follows_from_nonce_and_identity(stage):
    nonce = bytes(range(24))
    first = stage.contract.new_proposal("write", ["a"], nonce=nonce)
    again = stage.contract.new_proposal("other", nonce=nonce)
    want = hashlib.sha256(nonce + stage.world.client.identity.serialized).hexdigest()
    assert first.transaction_id == again.transaction_id == want
    assert stage.contract.new_proposal("write").transaction_id != want


@pytest.mark.parametrize("nonce", [b"", bytes(128)])
def test_a_nonce_of_another_size_is_refused(stage, nonce):
    with pytest.raises(ValueError, match="nonce"):
        stage.contract.new_proposal("write", nonce=nonce)


def test_the_proposal_carries_the_clocks_time(stage):
    gateway = stage.connect_as(stage.world.client, clock=lambda: 1_700_000_000_123_456_789)
    proposal = gateway.network("pedigree").contract("pedigree").new_proposal("write")
    message = wire.gateway.ProposedTransaction.FromString(proposal.bytes).proposal.proposal_bytes
    header = wire.common.Header.FromString(wire.proposal.Proposal.FromString(message).header)
    stamp = wire.common.ChannelHeader.FromString(header.channel_header).timestamp
    assert stamp.ToDatetime(datetime.UTC) == datetime.datetime.fromtimestamp(1_700_000_000.123456, datetime.UTC)
    assert stamp.nanos == 123_456_789


def test_every_stage_can_be_signed_off_line_and_rebuilt_elsewhere(stage):
    person = stage.world.client
    other = Gateway(stage.connection, person.identity, trust=stage.world.trust())  # has no signer
    unsigned = other.network("pedigree").contract("pedigree").new_proposal("write", endorsing_organisations=["LabMSP"])
    with pytest.raises(SigningError):
        unsigned.evaluate()
    proposal = other.new_signed_proposal(unsigned.bytes, person.signer(unsigned.digest))
    assert proposal.evaluate() == b"write|"
    transaction = other.new_proposal(proposal.bytes).endorse()
    with pytest.raises(SigningError):
        transaction.submit()
    signed = other.new_signed_transaction(transaction.bytes, person.signer(transaction.digest))
    assert (signed.result, signed.transaction_id) == (b"result", unsigned.transaction_id)
    unasked = signed.submit()
    with pytest.raises(SigningError):
        unasked.status()
    commit = other.new_signed_commit(unasked.bytes, person.signer(unasked.digest))
    assert commit.status().successful
    assert other.new_commit(commit.bytes).status().block_number == 1
    assert list(stage.peer.requests[1].endorsing_organizations) == ["LabMSP"]


def test_a_wrong_offline_signature_is_refused_by_the_peer(stage):
    proposal = stage.contract.new_proposal("write")
    forged = stage.gateway.new_signed_proposal(proposal.bytes, b"\x30\x00")
    with pytest.raises(EndorseError) as caught:
        forged.endorse()
    assert caught.value.code is CODE.PERMISSION_DENIED


def test_a_signed_envelope_can_be_kept_before_submit_and_submitted_again_after_it(stage):
    transaction = stage.contract.new_proposal("write").endorse()
    assert transaction.signature == b""
    transaction.sign()
    signature = transaction.signature
    kept = transaction.bytes
    transaction.sign()
    assert transaction.signature == signature
    transaction.submit()
    # After a crash: the same bytes, by a gateway that could not sign them.
    later = Gateway(stage.connection, stage.world.client.identity, trust=stage.world.trust())
    again = later.new_transaction(kept)
    assert again.bytes == kept
    again.submit()
    assert stage.peer.chain[1].data.data[0] == stage.peer.chain[2].data.data[0]
    later.new_signed_transaction(kept, signature).submit()


def test_rebuilding_refuses_what_is_no_stage(stage):
    transaction = stage.contract.new_proposal("write").endorse()
    swapped = wire.gateway.PreparedTransaction.FromString(transaction.bytes)
    swapped.transaction_id = "0"
    proposed = wire.gateway.ProposedTransaction.FromString(stage.contract.new_proposal("write").bytes)
    renamed = wire.gateway.ProposedTransaction.FromString(proposed.SerializeToString())
    renamed.transaction_id = "0"
    nameless = wire.gateway.ProposedTransaction()
    hollow = wire.gateway.PreparedTransaction()
    for rebuild, data in [
        (stage.gateway.new_proposal, b"\xff"),
        (stage.gateway.new_proposal, renamed.SerializeToString()),
        (stage.gateway.new_proposal, nameless.SerializeToString()),
        (stage.gateway.new_transaction, b"\xff"),
        (stage.gateway.new_transaction, swapped.SerializeToString()),
        (stage.gateway.new_transaction, hollow.SerializeToString()),
        (stage.gateway.new_commit, b"\xff"),
    ]:
        with pytest.raises(MalformedData):
            rebuild(data)


@pytest.mark.parametrize(
    ("kind", "digest"),
    [
        ("p256", None),
        ("p384", None),
        ("p384", sha384),
        ("p256", sha3_256),
        ("p384", sha3_384),
        ("ed25519", None),
        ("ed25519", no_hash),
    ],
)
def test_every_kind_of_key_signs_what_a_peer_can_check(stage, kind, digest):
    person = stage.world.organisations["LabMSP"].issue("someone", "client", kind=kind)
    stage.peer.digest = digest or (no_hash if kind == "ed25519" else stage.peer.digest)
    gateway = stage.connect_as(person, hash=digest)
    for _ in range(8):  # high S would come up in one of two
        assert gateway.network("pedigree").contract("pedigree").submit("write") == b"result"


def test_endorsers_may_have_p384_and_ed25519_keys(stage):
    lab = stage.world.organisations["LabMSP"]
    stage.peer.endorsers = [lab.issue("peer1", "peer", kind="p384"), lab.issue("peer2", "peer", kind="ed25519")]
    assert stage.contract.submit("write") == b"result"


def test_a_gateway_without_trust_must_be_told_so(stage):
    with pytest.raises(ValueError, match="verify=False"):
        Gateway(stage.connection, stage.world.client.identity)


def test_without_verification_any_endorsed_answer_is_taken(stage):
    stage.peer.endorsers = []
    gateway = stage.connect_as(stage.world.client, trust=None, verify=False)
    assert gateway.network("pedigree").contract("pedigree").submit("write") == b"result"
    stage.peer.corrupt = lambda envelope: wire.common.Envelope(payload=b"\xff")
    with pytest.raises(UntrustedResponse, match="malformed"):
        gateway.network("pedigree").contract("pedigree").submit("write")


def test_one_gateway_serves_many_threads(stage):
    results = []

    def work() -> None:
        results.extend(stage.contract.submit("write") for _ in range(5))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [b"result"] * 40
    assert len(stage.peer.committed) == 40
