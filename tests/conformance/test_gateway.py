# SPDX-License-Identifier: Apache-2.0
"""The Gateway service: rules G-1 to G-25."""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor

from fabric_protos.common import common_pb2, ledger_pb2
from fabric_protos.msp import identities_pb2
from fabricharness import blocks, messages
from fabricharness.expect import (
    ABORTED,
    COLLECTION_FAILED,
    DEADLINE_EXCEEDED,
    ENDORSEMENT_FAILED,
    FAILED_PRECONDITION,
    INVALID_ARGUMENT,
    PERMISSION_DENIED,
    UNAVAILABLE,
    UNKNOWN,
    refused,
    value,
)
from fabricharness.ledgers import BLOCKS_LARGEST
from fabricharness.networks import BLOCKS, MAIN, VALID, Network, Org, Outcome

from gateway import fabric


def endorsers(org: Org, outcome: Outcome) -> set[str]:
    """The MSP ids of whoever endorsed a committed transaction."""
    found = blocks.recorded(org, outcome).endorsements
    return {identities_pb2.SerializedIdentity.FromString(entry.endorser).mspid for entry in found}


def test_c080_submit_and_result(net: Network, key: str) -> None:
    net.hospital.submit("anyone", "put", key, "old")
    transaction = net.hospital.endorsed("anyone", "getPut", key, "new")
    assert value(transaction.result) == "old"
    assert value(net.hospital.evaluate("anyone", "get", key)) == "old"
    assert transaction.submit().status().successful
    assert value(net.hospital.evaluate("anyone", "get", key)) == "new"


def test_c081_nondet_rejected(net: Network, key: str) -> None:
    refusal = refused(net.hospital.submit, "pairs", "rand", key)
    assert (refusal.code, refusal.message) == (ABORTED, COLLECTION_FAILED)
    assert "ProposalResponsePayloads do not match" in refusal.text


def test_c082_orgs_fail_other(net: Network) -> None:
    refusal = refused(net.hospital.submit, "pairs", "orgsFail", json.dumps(["LabMSP"]))
    assert (refusal.code, refusal.message) == (ABORTED, COLLECTION_FAILED)
    assert [mspid for mspid, _ in refusal.details] == ["LabMSP"]
    assert "LabMSP refuses" in refusal.text


def test_c083_orgs_fail_own(net: Network) -> None:
    refusal = refused(net.hospital.submit, "pairs", "orgsFail", json.dumps(["HospitalMSP"]))
    assert (refusal.code, refusal.message) == (ABORTED, ENDORSEMENT_FAILED)
    assert [mspid for mspid, _ in refusal.details] == ["HospitalMSP"]


def test_c084_unknown_cc_evaluate(net: Network) -> None:
    refusal = refused(net.hospital.evaluate, "nope", "get", "k")
    assert refusal.code == FAILED_PRECONDITION
    assert f"no peers available to evaluate chaincode nope in channel {MAIN}" in refusal.message


def test_c085_unknown_cc_submit(net: Network) -> None:
    refusal = refused(net.hospital.submit, "nope", "get", "k")
    assert refusal.code == FAILED_PRECONDITION
    assert f"No metadata was found for chaincode nope in channel {MAIN}" in refusal.message


def test_c086_unknown_function(net: Network) -> None:
    evaluated = refused(net.hospital.evaluate, "anyone", "nofunction")
    assert evaluated.code == UNKNOWN
    submitted = refused(net.hospital.submit, "anyone", "nofunction")
    assert submitted.code == ABORTED
    for refusal in (evaluated, submitted):
        assert any("no function nofunction" in text for _, text in refusal.details)


def test_c087_target_orgs_eval(net: Network) -> None:
    assert net.hospital.evaluate("anyone", "mspid", endorsing_organisations=["LabMSP"]) == b"LabMSP"


def test_c088_target_org_missing(net: Network) -> None:
    refusal = refused(net.hospital.evaluate, "anyone", "mspid", endorsing_organisations=["NoMSP"])
    assert refusal.code == FAILED_PRECONDITION
    assert "no peers available" in refusal.message


def test_c089_endorsing_org_missing(net: Network, key: str) -> None:
    refusal = refused(net.hospital.submit, "anyone", "put", key, "v", endorsing_organisations=["NoMSP"])
    assert refusal.code == UNAVAILABLE
    assert "failed to find any endorsing peers for org(s): NoMSP" in refusal.message


def test_c090_endorsing_orgs_insufficient(net: Network, key: str) -> None:
    outcome = net.hospital.submit("pairs", "put", key, "v", endorsing_organisations=["HospitalMSP"])
    assert outcome.code == "ENDORSEMENT_POLICY_FAILURE"
    assert value(net.hospital.evaluate("pairs", "get", key)) is None


def test_c091_transient_eval_own_only(net: Network) -> None:
    refusal = refused(net.hospital.evaluate, "away", "mspid", transient={"k": b"v"})
    assert refusal.code == FAILED_PRECONDITION
    assert "no endorsers found in the gateway's organization" in refusal.message
    # Without anything to protect another organisation's peer answers.
    assert net.hospital.evaluate("away", "mspid") in (b"LabMSP", b"RegulatorMSP")


def test_c092_transient_protected(net: Network, key: str) -> None:
    refusal = refused(net.hospital.submit, "apart", "pput", "pair", key, transient={"value": b"v"})
    assert refusal.code == FAILED_PRECONDITION
    said = "requires endorsement from organisation(s) that are not in the distribution policy"
    assert said in refusal.message


def test_c093_org_not_installed(net: Network, key: str) -> None:
    refusal = refused(net.hospital.submit, "halfway", "put", key, "v")
    assert refusal.code == FAILED_PRECONDITION
    assert "required chaincodes are not installed on sufficient peers" in refusal.message


def test_c094_policy_unsatisfiable(net: Network, key: str) -> None:
    refusal = refused(net.hospital.submit, "ghost", "put", key, "v")
    assert refusal.code == FAILED_PRECONDITION
    assert "no peer combination can satisfy the endorsement policy" in refusal.message


def test_c095_policy_not_own_org(net: Network, key: str) -> None:
    outcome = net.hospital.submit("labonly", "put", key, "v")
    assert outcome.code == VALID
    assert endorsers(net.hospital, outcome) == {"LabMSP"}


def test_c096_submit_unsigned(net: Network, key: str) -> None:
    proposal = net.hospital.propose("anyone", "put", key, "v")
    unsigned = common_pb2.Envelope(payload=net.hospital.peer.endorse_raw(proposal))
    refusal = refused(net.hospital.peer.submit_raw, proposal, unsigned)
    assert refusal.code == INVALID_ARGUMENT
    assert refusal.message == "prepared transaction must be signed"


def test_c097_submit_bad_sig(net: Network, key: str) -> None:
    proposal = net.hospital.propose("anyone", "put", key, "v")
    payload = net.hospital.peer.endorse_raw(proposal)
    forged = common_pb2.Envelope(payload=payload, signature=net.hospital.user.sign(payload + b"?"))
    refusal = refused(net.hospital.peer.submit_raw, proposal, forged)
    assert refusal.code == ABORTED
    assert "status=FORBIDDEN" in refusal.message


def test_c098_submit_oversize(net: Network, key: str) -> None:
    refusal = refused(net.hospital.submit, "anyone", "putBlob", key, str(BLOCKS_LARGEST + 1))
    assert refusal.code == ABORTED
    assert "status=BAD_REQUEST, info=message payload is" in refusal.message
    assert f"exceeds maximum allowed {BLOCKS_LARGEST} bytes" in refusal.message


def test_c099_commit_status_before_commit(net: Network, key: str) -> None:
    before = blocks.height(net.hospital, BLOCKS)
    submitted = net.hospital.contract("anyone", BLOCKS).submit_async("put", key, "v")
    assert blocks.height(net.hospital, BLOCKS) == before
    status = submitted.commit.status()
    assert status.successful
    assert status.block_number == before


def test_c100_commit_status_unknown_deadline(net: Network) -> None:
    asked = messages.status_request(MAIN, os.urandom(32).hex(), net.hospital.user)
    began = time.monotonic()
    refusal = refused(net.hospital.peer.status_raw, asked, timeout=2)
    assert refusal.code == DEADLINE_EXCEEDED
    assert time.monotonic() - began > 1.5


def test_c101_commit_status_other_identity(net: Network, key: str) -> None:
    outcome = net.hospital.submit("anyone", "put", key, "v")
    asked = messages.status_request(MAIN, outcome.transaction_id, net.lab.user)
    assert net.hospital.peer.status_raw(asked).block_number == outcome.block


def test_c102_commit_status_bad_sig(net: Network, key: str) -> None:
    outcome = net.hospital.submit("anyone", "put", key, "v")
    forged = messages.status_request(MAIN, outcome.transaction_id, net.hospital.user, signature=b"0")
    assert refused(net.hospital.peer.status_raw, forged).code == PERMISSION_DENIED


def test_c103_commit_then_read(net: Network, key: str) -> None:
    def write_and_read(worker: int) -> list[bool]:
        mine = f"{key}-{worker}"
        seen = []
        for step in range(25):
            assert net.hospital.submit("anyone", "put", mine, str(step)).code == VALID
            seen.append(value(net.hospital.evaluate("anyone", "get", mine)) == str(step))
        return seen

    with ThreadPoolExecutor(max_workers=8) as pool:
        seen = [right for worker in pool.map(write_and_read, range(8)) for right in worker]
    assert seen == [True] * 200


def test_c104_offline_sign(net: Network, key: str) -> None:
    org = net.hospital
    trust = org.trusts[MAIN]
    keyless = fabric.Gateway(org.connection, org.identity, trust=trust)
    unsigned = keyless.network(MAIN).contract("anyone").new_proposal("put", (key, "v"))
    proposal = keyless.new_signed_proposal(unsigned.bytes, org.signer(unsigned.digest))
    assert proposal.transaction_id == unsigned.transaction_id
    prepared = proposal.endorse()
    transaction = keyless.new_signed_transaction(prepared.bytes, org.signer(prepared.digest))
    submitted = transaction.submit()
    commit = keyless.new_signed_commit(submitted.bytes, org.signer(submitted.digest))
    assert commit.status().successful
    assert value(org.evaluate("anyone", "get", key)) == "v"


def test_c105_qscc_chaininfo_evaluate(net: Network) -> None:
    info = ledger_pb2.BlockchainInfo.FromString(net.hospital.evaluate("qscc", "GetChainInfo", MAIN))
    assert info.height == blocks.height(net.hospital)
    assert refused(net.hospital.submit, "qscc", "GetChainInfo", MAIN).code == FAILED_PRECONDITION


def test_c106_error_details_shape(net: Network, key: str) -> None:
    refusal = refused(net.hospital.peer.endorse_raw, net.hospital.propose("pairs", "rand", key))
    assert refusal.detail_types == {"type.googleapis.com/gateway.ErrorDetail"}
    assert [mspid for mspid, _ in refusal.details] == ["LabMSP"]
    client = refused(net.hospital.submit, "pairs", "rand", key)
    assert client.details == refusal.details


def test_c107_cc2cc_policy_combine(net: Network, key: str) -> None:
    outcome = net.hospital.submit("peeronly", "putCc2cc", key, "v", "calleepair", "", "put", key, "w")
    assert outcome.code == VALID
    assert endorsers(net.hospital, outcome) == {"HospitalMSP", "LabMSP"}
