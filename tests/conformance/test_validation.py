# SPDX-License-Identifier: Apache-2.0
"""Validation and commit: rules V-1 to V-36, apart from key-level policies."""

from fabric_protos.peer import proposal_pb2, proposal_response_pb2
from fabricharness import blocks, lifecycle, messages
from fabricharness.deployments import ANYONE, PROBE
from fabricharness.expect import ABORTED, refused, value
from fabricharness.networks import BLOCKS, VALID, Network, Outcome, in_parallel
from test_simulation import end_of, numbered

MVCC = "MVCC_READ_CONFLICT"
PHANTOM = "PHANTOM_READ_CONFLICT"
POLICY = "ENDORSEMENT_POLICY_FAILURE"


def endorse_then_order(net: Network, *calls: tuple[str, ...], channel: str = BLOCKS) -> list[Outcome]:
    """Endorse all calls of chaincode `anyone` on the same state, then order them in their order."""
    org = net.hospital
    proposals = [org.propose("anyone", *call, channel=channel) for call in calls]
    payloads = in_parallel(lambda p=proposal: org.peer.endorse_raw(p) for proposal in proposals)
    net.order_in_turn(proposals, payloads)
    return [net.outcome(org, proposal) for proposal in proposals]


def same_block(outcomes: list[Outcome]) -> list[str]:
    assert len({outcome.block for outcome in outcomes}) == 1, "the orderer cut a block in between"
    return [outcome.code for outcome in outcomes]


def late_code(net: Network, late: tuple[str, ...], *meanwhile: tuple[str, ...]) -> str:
    """The code of a transaction that is endorsed first and ordered after others have committed."""
    proposal = net.hospital.propose("anyone", *late)
    payload = net.hospital.peer.endorse_raw(proposal)
    for call in meanwhile:
        assert net.hospital.submit("anyone", *call).code == VALID
    return net.finish(net.hospital, proposal, payload).code


def test_c140_mvcc_two_rmw(net: Network, key: str) -> None:
    net.hospital.submit("anyone", "put", key, "v", channel=BLOCKS)
    outcomes = endorse_then_order(net, ("getPut", key, "1"), ("getPut", key, "2"))
    assert same_block(outcomes) == [VALID, MVCC]
    assert value(net.hospital.evaluate("anyone", "get", key, channel=BLOCKS)) == "1"


def test_c141_mvcc_blind_writes(net: Network, key: str) -> None:
    outcomes = endorse_then_order(net, ("put", key, "1"), ("put", key, "2"))
    assert same_block(outcomes) == [VALID, VALID]
    assert value(net.hospital.evaluate("anyone", "get", key, channel=BLOCKS)) == "2"


def test_c142_mvcc_across_blocks(net: Network, key: str) -> None:
    net.hospital.submit("anyone", "put", key, "0")
    assert late_code(net, ("getPut", key, "1"), ("put", key, "2")) == MVCC


def test_c143_mvcc_same_value(net: Network, key: str) -> None:
    net.hospital.submit("anyone", "put", key, "0")
    assert late_code(net, ("getPut", key, "1"), ("put", key, "0")) == MVCC


def test_c144_phantom_insert(net: Network, key: str) -> None:
    prefix = f"{key}-"
    net.hospital.submit("anyone", "many", prefix, "3")
    late = ("rangePut", prefix, end_of(prefix), f"{key}!", "v")
    assert late_code(net, late, ("put", f"{prefix}00001x", "v")) == PHANTOM


def test_c144_phantom_delete(net: Network, key: str) -> None:
    prefix = f"{key}-"
    net.hospital.submit("anyone", "many", prefix, "3")
    late = ("rangePut", prefix, end_of(prefix), f"{key}!", "v")
    assert late_code(net, late, ("del", f"{prefix}00001")) == PHANTOM


def test_c145_phantom_beyond_lookahead(net: Network, key: str) -> None:
    prefix = f"{key}-"
    net.hospital.submit("anyone", "many", prefix, "250")
    names = numbered(prefix, 250)
    late = ("rangeFirst", prefix, end_of(prefix), "1", f"{key}!")
    assert late_code(net, late, ("put", f"{names[150]}x", "v")) == VALID
    assert late_code(net, late, ("put", f"{names[50]}x", "v")) == PHANTOM


def test_c147_upgrade_race(net: Network, key: str) -> None:
    proposal = net.hospital.propose("race", "put", key, "v")
    payload = net.hospital.peer.endorse_raw(proposal)
    net.deploy(PROBE, [lifecycle.Definition("race", ANYONE, sequence=2)])
    assert net.finish(net.hospital, proposal, payload).code == MVCC
    assert net.hospital.submit("race", "put", key, "v").code == VALID


def tampered_result(payload: bytes, results: bytes) -> bytes:
    """The response payload of an endorsed transaction, with other results in it."""
    response = proposal_response_pb2.ProposalResponsePayload.FromString(
        messages.action_payload(payload).action.proposal_response_payload
    )
    action = proposal_pb2.ChaincodeAction.FromString(response.extension)
    action.results = results
    response.extension = action.SerializeToString()
    changed: bytes = response.SerializeToString()
    return changed


def test_c148_tampered_rwset(net: Network, key: str) -> None:
    org = net.hospital
    proposal = org.propose("anyone", "put", key, "v")
    action = messages.action_payload(org.peer.endorse_raw(proposal))
    other = org.propose("anyone", "put", key, "another value")
    results = proposal_pb2.ChaincodeAction.FromString(
        proposal_response_pb2.ProposalResponsePayload.FromString(org.peer.respond(other).payload).extension
    ).results
    payload = messages.payload_of(
        proposal,
        proposal_payload=action.chaincode_proposal_payload,
        response_payload=tampered_result(org.peer.endorse_raw(proposal), results),
        endorsements=action.action.endorsements,
    )
    assert net.finish(org, proposal, payload).code == POLICY
    assert value(org.evaluate("anyone", "get", key)) is None


def test_c149_tampered_input(net: Network, key: str) -> None:
    org = net.hospital
    proposal = org.propose("anyone", "put", key, "v")
    action = messages.action_payload(org.peer.endorse_raw(proposal))
    other = org.propose("anyone", "put", key, "another value")
    payload = messages.payload_of(
        proposal,
        proposal_payload=messages.action_payload(org.peer.endorse_raw(other)).chaincode_proposal_payload,
        response_payload=action.action.proposal_response_payload,
        endorsements=action.action.endorsements,
    )
    assert net.finish(org, proposal, payload).code == "INVALID_ENDORSER_TRANSACTION"


def test_c150_double_endorsement(net: Network, key: str) -> None:
    proposal = net.hospital.propose("twice", "put", key, "v")
    response = net.hospital.peer.respond(proposal)
    payload = messages.assemble(proposal, [response, response])
    assert net.finish(net.hospital, proposal, payload).code == POLICY


def test_c151_greedy_policy(net: Network, key: str) -> None:
    for chaincode, code in (("greedy", POLICY), ("patient", VALID)):
        proposal = net.hospital.propose(chaincode, "put", key, "v")
        payload = net.endorse_by(proposal, net.hospital, net.lab)
        assert net.finish(net.hospital, proposal, payload).code == code, chaincode


def test_c152_role_peer_vs_member(net: Network, key: str) -> None:
    for member, code in ((net.hospital.user, POLICY), (net.hospital.peer_member, VALID)):
        proposal = net.hospital.propose("peeronly", "put", key, "v")
        action = messages.action_payload(net.hospital.peer.endorse_raw(proposal))
        response_payload = action.action.proposal_response_payload
        payload = messages.payload_of(
            proposal,
            proposal_payload=action.chaincode_proposal_payload,
            response_payload=response_payload,
            endorsements=[messages.endorsement(member, response_payload)],
        )
        assert net.finish(net.hospital, proposal, payload).code == code


def test_c153_majority_default(net: Network, key: str) -> None:
    for orgs, code in (((net.hospital,), POLICY), ((net.lab, net.regulator), VALID)):
        proposal = net.hospital.propose("probe", "put", key, "v")
        payload = net.endorse_by(proposal, *orgs)
        assert net.finish(net.hospital, proposal, payload).code == code


def test_c154_submit_other_signer(net: Network, key: str) -> None:
    proposal = net.hospital.propose("anyone", "put", key, "v")
    stolen = messages.envelope(net.hospital.peer.endorse_raw(proposal), net.lab.user)
    refusal = refused(net.hospital.peer.submit_raw, proposal, stolen)
    assert refusal.code == ABORTED
    assert "status=FORBIDDEN" in refusal.message


def test_c165_tx_after_failed_in_block(net: Network, key: str) -> None:
    org = net.hospital
    org.submit("anyone", "put", key, "v", channel=BLOCKS)
    last = f"{key}-last"
    outcomes = endorse_then_order(net, ("getPut", key, "1"), ("getPut", key, "2"), ("put", last, "3"))
    assert same_block(outcomes) == [VALID, MVCC, VALID]
    reading = org.submit("anyone", "get", last, channel=BLOCKS)
    (read,) = blocks.recorded(org, reading, BLOCKS).namespace("anyone").reads
    assert (read.version.block_num, read.version.tx_num) == (outcomes[2].block, 2)
