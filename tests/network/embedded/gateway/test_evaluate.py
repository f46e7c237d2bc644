# SPDX-License-Identifier: Apache-2.0
"""Evaluate: one peer after another, and what each failure becomes (G-7 to G-11)."""

import asyncio
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from fabric_protos.gateway import gateway_pb2
from fabric_protos.peer import (
    proposal_response_pb2,
)

StatusCode = grpc.StatusCode


def test_evaluate_asks_the_own_peer_and_answers_the_actions_payload(world: Any) -> None:
    answer = world.evaluate()
    assert (answer.result.status, answer.result.payload) == (200, b"result")
    assert [peer.asked for peer in world.peers.values()] == [0, 1, 0]


def test_evaluate_keeps_the_outer_payload_when_there_is_no_action(world: Any) -> None:
    async def process(_signed: Any) -> Any:
        response = proposal_response_pb2.Response(status=200, payload=b"outer")
        return SimpleNamespace(response=proposal_response_pb2.ProposalResponse(response=response), error=None)

    world.peers["lab"].process = process  # type: ignore[method-assign]
    assert world.evaluate().result.payload == b"outer"


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda r: r.ClearField("proposed_transaction"), "a signed proposal is required"),
        (lambda r: setattr(r.proposed_transaction, "proposal_bytes", b"\xff"), "proto: "),
        (lambda r: setattr(r.proposed_transaction, "proposal_bytes", b""), "no channel id provided"),
    ],
)
def test_evaluate_refuses_what_is_no_proposal(world: Any, spoil: Any, problem: str) -> None:
    request = gateway_pb2.EvaluateRequest(proposed_transaction=world.proposal())
    spoil(request)
    refusal = world.refused(lambda: asyncio.run(world.gateway.Evaluate(request, world.context())))
    assert refusal.code is StatusCode.INVALID_ARGUMENT
    assert refusal.message.startswith(f"failed to unpack transaction proposal: {problem}")


def test_evaluate_wants_a_chaincode_name(world: Any) -> None:
    refusal = world.refused(lambda: world.evaluate(chaincode=""))
    assert refusal.message == (
        "failed to unpack transaction proposal: no chaincode name is provided, channel id [pedigree]"
    )


def test_evaluate_on_an_unknown_channel_is_unavailable(world: Any) -> None:
    refusal = world.refused(lambda: world.evaluate(channel="nowhere"))
    assert refusal.code is StatusCode.UNAVAILABLE
    assert refusal.message.startswith("failed to get config for channel [nowhere]: ")


def test_evaluate_of_an_unknown_chaincode_has_no_peers(world: Any) -> None:
    for peer in world.peers.values():
        peer.installed = False
    refusal = world.refused(lambda: world.evaluate(chaincode="nope"))
    assert refusal.code is StatusCode.FAILED_PRECONDITION
    assert refusal.message == "no peers available to evaluate chaincode nope in channel pedigree"


def test_evaluate_goes_to_another_organisation_unless_transient_data_would(world: Any) -> None:
    world.peers["lab"].installed = False
    world.evaluate()
    assert world.peers["hospital"].asked == 1
    refusal = world.refused(lambda: world.evaluate(transient=True))
    assert refusal.code is StatusCode.FAILED_PRECONDITION
    assert refusal.message.startswith(
        "no endorsers found in the gateway's organization; "
        "retry specifying target organization(s) to protect transient data: no peers available"
    )
    world.evaluate("RegulatorMSP", transient=True)
    assert world.peers["regulator"].asked == 1


def test_evaluate_targets_only_the_named_organisations(world: Any) -> None:
    world.evaluate("NoMSP", "RegulatorMSP")
    assert [peer.asked for peer in world.peers.values()] == [0, 0, 1]
    assert "no peers available" in world.refused(lambda: world.evaluate("NoMSP")).message


def test_a_chaincodes_refusal_ends_evaluate_at_once(world: Any) -> None:
    world.peers["lab"].status, world.peers["lab"].message = 400, "not allowed"
    refusal = world.refused(world.evaluate)
    assert refusal.code is StatusCode.UNKNOWN
    assert refusal.message == "evaluate call to endorser returned error: chaincode response 400, not allowed"
    (detail,) = refusal.details
    assert (detail.address, detail.msp_id) == ("lab:7051", "LabMSP")
    assert detail.message == "chaincode response 400, not allowed"
    assert world.peers["hospital"].asked == 0


def test_a_status_without_message_is_told_alone(world: Any) -> None:
    world.peers["lab"].status = 100
    assert world.refused(world.evaluate).message == "evaluate call to endorser returned error: chaincode response 100"


def test_a_500_with_payload_is_the_chaincodes_and_without_is_the_peers(world: Any) -> None:
    for peer in world.peers.values():
        peer.status, peer.message, peer.keep_payload = 500, "boom", True
    refusal = world.refused(world.evaluate)
    assert (refusal.code, len(refusal.details)) == (StatusCode.UNKNOWN, 1)
    for peer in world.peers.values():
        peer.keep_payload = False
    refusal = world.refused(world.evaluate)
    assert refusal.code is StatusCode.ABORTED
    assert refusal.message == "failed to evaluate transaction, see attached details for more info"
    assert [detail.msp_id for detail in refusal.details] == ["LabMSP", "HospitalMSP", "RegulatorMSP"]
    assert {detail.message for detail in refusal.details} == {"boom"}


def test_evaluate_tries_the_next_peer_when_one_is_unavailable(world: Any) -> None:
    world.peers["lab"].error, world.peers["lab"].error_only = "proposal client identity expired", True
    assert world.evaluate().result.payload == b"result"
    assert world.peers["hospital"].asked == 1


def test_the_same_refusal_is_final_at_the_own_peer_and_unavailable_at_another(world: Any) -> None:
    for peer in world.peers.values():
        peer.error = "access denied"
    own = world.refused(world.evaluate)
    assert own.code is StatusCode.FAILED_PRECONDITION
    assert own.message == "evaluate call to endorser returned error: access denied"
    other = world.refused(lambda: world.evaluate("HospitalMSP"))
    assert other.code is StatusCode.UNAVAILABLE
    assert other.details[0].message == "rpc error: code = Unknown desc = access denied"


def test_the_callers_deadline_is_kept(world: Any) -> None:
    world.peers["lab"].delay = 30
    request = gateway_pb2.EvaluateRequest(proposed_transaction=world.proposal())
    refusal = world.refused(lambda: asyncio.run(world.gateway.Evaluate(request, world.context(0.01))))
    assert (refusal.code, refusal.message) == (StatusCode.DEADLINE_EXCEEDED, "evaluate timeout expired")
