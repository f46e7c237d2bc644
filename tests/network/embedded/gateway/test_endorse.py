# SPDX-License-Identifier: Apache-2.0
"""Endorse: who is asked, what is compared, and what is put together (G-12 to G-19)."""

import asyncio
import math
import selectors
from typing import Any

import grpc
import pytest
from fabric_protos.common import common_pb2
from fabric_protos.gateway import gateway_pb2
from fabric_protos.peer import (
    collection_pb2,
    proposal_pb2,
    proposal_response_pb2,
    transaction_pb2,
)

from gateway.fabric import Deadlines
from network.embedded.policy import parse
from network.patience import ENDORSEMENT_TIMEOUT_S

StatusCode = grpc.StatusCode
PLAN = "no combination of peers can be derived which satisfy the endorsement policy: "


def test_endorse_collects_what_the_policy_needs(world: Any) -> None:
    response = world.endorse()
    assert len(world.endorsers(response)) == 2
    assert "lab" in world.endorsers(response)
    assert sum(peer.asked for peer in world.peers.values()) == 2


def test_the_prepared_transaction_is_the_proposals_without_transient_data(world: Any) -> None:
    signed = world.proposal(transient=True)
    request = gateway_pb2.EndorseRequest(proposed_transaction=signed)
    envelope = asyncio.run(world.gateway.Endorse(request, world.context())).prepared_transaction
    assert envelope.signature == b""
    assert b"cleartext" not in envelope.SerializeToString()
    proposal = proposal_pb2.Proposal.FromString(signed.proposal_bytes)
    header = common_pb2.Header.FromString(proposal.header)
    payload = common_pb2.Payload.FromString(envelope.payload)
    assert payload.header == header
    (action,) = transaction_pb2.Transaction.FromString(payload.data).actions
    assert action.header == header.signature_header
    body = world.action(envelope)
    for endorsement in body.action.endorsements:
        identity = world.channel.config.msps.deserialise(endorsement.endorser)
        identity.verify(body.action.proposal_response_payload + endorsement.endorser, endorsement.signature)


def test_one_organisation_down_is_made_good_by_another(world: Any) -> None:
    world.peers["hospital"].error = "down"
    assert world.endorsers(world.endorse()) == ["lab", "regulator"]


def test_differing_results_are_refused_and_named(world: Any) -> None:
    world.channel.define("cc", "AND('HospitalMSP.peer','LabMSP.peer')")
    world.peers["hospital"].result = b"other"
    refusal = world.refused(world.endorse)
    assert refusal.code is StatusCode.ABORTED
    assert refusal.message == ("failed to collect enough transaction endorsements, see attached details for more info")
    assert [(d.msp_id, d.message) for d in refusal.details] == [
        ("HospitalMSP", "ProposalResponsePayloads do not match")
    ]


def test_the_own_peers_failure_ends_endorse_with_its_reason(world: Any) -> None:
    world.peers["lab"].status, world.peers["lab"].message = 500, "refused"
    world.peers["lab"].keep_payload = True
    refusal = world.refused(world.endorse)
    assert refusal.code is StatusCode.ABORTED
    assert refusal.message == "failed to endorse transaction, see attached details for more info"
    assert [(d.msp_id, d.message) for d in refusal.details] == [("LabMSP", "chaincode response 500, refused")]


def test_anothers_failure_is_told_when_nobody_can_replace_it(world: Any) -> None:
    world.channel.define("cc", "AND('HospitalMSP.peer','LabMSP.peer')")
    world.peers["hospital"].status, world.peers["hospital"].message = 400, "refused"
    refusal = world.refused(world.endorse)
    assert refusal.message.startswith("failed to collect enough transaction endorsements")
    assert [(d.msp_id, d.message) for d in refusal.details] == [("HospitalMSP", "chaincode response 400, refused")]


def test_a_policy_without_the_own_organisation_still_takes_it_as_the_measure(world: Any) -> None:
    world.channel.define("cc", "OR('HospitalMSP.peer')")
    assert world.endorsers(world.endorse()) == ["hospital"]
    assert world.peers["lab"].asked == 1
    world.peers["hospital"].result = b"other"
    assert "ProposalResponsePayloads do not match" in world.refused(world.endorse).details[0].message


def test_named_organisations_endorse_whatever_the_policy_says(world: Any) -> None:
    assert world.endorsers(world.endorse("RegulatorMSP")) == ["regulator"]
    assert world.peers["lab"].asked == 0
    assert world.endorsers(world.endorse("RegulatorMSP", "LabMSP", "RegulatorMSP")) == ["lab", "regulator"]
    refusal = world.refused(lambda: world.endorse("XMSP", "LabMSP", "YMSP"))
    assert refusal.code is StatusCode.UNAVAILABLE
    assert refusal.message == "failed to find any endorsing peers for org(s): XMSP, YMSP"


def test_endorse_checks_only_that_there_is_a_proposal(world: Any) -> None:
    for request in (gateway_pb2.EndorseRequest(), gateway_pb2.EndorseRequest(proposed_transaction={})):
        refusal = world.refused(lambda request=request: asyncio.run(world.gateway.Endorse(request, world.context())))
        assert refusal.code is StatusCode.INVALID_ARGUMENT
        assert refusal.message == "the proposed transaction must contain a signed proposal"


@pytest.mark.parametrize("proposal", [{"chaincode": "nope"}, {"channel": "nowhere"}])
def test_endorse_of_the_unknown_finds_no_metadata(world: Any, proposal: dict[str, str]) -> None:
    for peer in world.peers.values():
        peer.installed = False
    refusal = world.refused(lambda: world.endorse(**proposal))
    names = {"chaincode": "cc", "channel": "pedigree"} | proposal
    assert refusal.code is StatusCode.FAILED_PRECONDITION
    assert refusal.message == (
        f"{PLAN}No metadata was found for chaincode {names['chaincode']} in channel {names['channel']}"
    )


def test_endorse_of_a_system_chaincode_finds_no_metadata(world: Any) -> None:
    refusal = world.refused(lambda: world.endorse(chaincode="qscc"))
    assert refusal.code is StatusCode.FAILED_PRECONDITION
    assert "No metadata was found for chaincode qscc" in refusal.message


def test_without_the_chaincode_at_home_another_organisation_endorses_first(world: Any) -> None:
    world.peers["lab"].installed = False
    assert world.endorsers(world.endorse()) == ["hospital", "regulator"]
    refusal = world.refused(lambda: world.endorse(transient=True))
    assert refusal.code is StatusCode.FAILED_PRECONDITION
    assert refusal.message == (
        "no endorsers found in the gateway's organization; "
        "retry specifying endorsing organization(s) to protect transient data"
    )


def _collection(name: str, *members: str) -> Any:
    policy = parse("OR(" + ", ".join(f"'{member}.member'" for member in members) + ")")
    config = collection_pb2.StaticCollectionConfig(name=name, maximum_peer_count=1)
    config.member_orgs_policy.signature_policy.CopyFrom(policy)
    package = collection_pb2.CollectionConfigPackage()
    package.config.add().static_collection_config.CopyFrom(config)
    return package


def test_transient_data_goes_to_members_of_the_collection_only(world: Any) -> None:
    world.channel.define("cc", None, _collection("c", "LabMSP", "RegulatorMSP"))
    call = proposal_response_pb2.ChaincodeCall(name="cc", collection_names=["c"], no_private_reads=True)
    world.peers["lab"].interest = proposal_response_pb2.ChaincodeInterest(chaincodes=[call])
    assert world.endorsers(world.endorse(transient=True)) == ["lab", "regulator"]
    assert world.peers["hospital"].asked == 0


def test_transient_data_that_would_leave_the_collection_is_held_back(world: Any) -> None:
    world.channel.define("cc", "AND('LabMSP.peer','HospitalMSP.peer')", _collection("c", "LabMSP"))
    call = proposal_response_pb2.ChaincodeCall(name="cc", collection_names=["c"], no_private_reads=True)
    world.peers["lab"].interest = proposal_response_pb2.ChaincodeInterest(chaincodes=[call])
    assert world.endorsers(world.endorse()) == ["hospital", "lab"]
    asked = world.peers["hospital"].asked
    refusal = world.refused(lambda: world.endorse(transient=True))
    assert refusal.code is StatusCode.FAILED_PRECONDITION
    assert refusal.message == (
        "requires endorsement from organisation(s) that are not in the distribution policy of the private data "
        "collection(s): [c]; retry specifying trusted endorsing organizations to protect transient data"
    )
    assert world.peers["hospital"].asked == asked


def test_a_plan_is_made_anew_when_an_organisation_installs_the_chaincode(world: Any) -> None:
    world.peers["hospital"].installed = False
    assert world.endorsers(world.endorse()) == ["lab", "regulator"]
    world.peers["hospital"].installed, world.peers["regulator"].installed = True, False
    assert world.endorsers(world.endorse()) == ["hospital", "lab"]


def test_a_slow_peer_counts_as_one_that_failed(world: Any) -> None:
    world.gateway = world.service(endorsement_timeout=0.05)
    world.peers["hospital"].delay = 30
    assert world.endorsers(world.endorse()) == ["lab", "regulator"]


def test_a_peer_that_hangs_for_good_ends_the_call_that_names_it(world: Any) -> None:
    world.gateway = world.service(endorsement_timeout=0.05)
    world.peers["hospital"].delay = 3600
    refusal = world.refused(lambda: world.endorse("HospitalMSP", "LabMSP"))
    assert refusal.code is StatusCode.ABORTED
    assert [(d.msp_id, "context deadline exceeded" in d.message) for d in refusal.details] == [("HospitalMSP", True)]
    assert world.endorsers(world.endorse("LabMSP", "RegulatorMSP")) == ["lab", "regulator"]


class SkippingLoop(asyncio.SelectorEventLoop):
    """A loop whose time passes at once whenever there is nothing to do but to wait."""

    skipped = 0.0

    def __init__(self) -> None:
        loop = self

        class Selector(selectors.DefaultSelector):
            def select(self, timeout: float | None = None) -> Any:
                loop.skipped += timeout or 0.0
                return super().select(0)

        super().__init__(Selector())

    def time(self) -> float:
        return super().time() + self.skipped


def endorsed_in_time(world: Any) -> Any:
    """What a client gets that names no organisations and waits for as long as ours does."""
    request = gateway_pb2.EndorseRequest(proposed_transaction=world.proposal())
    with asyncio.Runner(loop_factory=SkippingLoop) as runner:
        return runner.run(world.gateway.Endorse(request, world.context(Deadlines().endorse)))


@pytest.mark.parametrize("hanging", ["hospital", "regulator"])
def test_a_peer_that_hangs_for_good_leaves_the_client_time_for_the_others(world: Any, hanging: str) -> None:
    world.peers[hanging].delay = math.inf
    others = sorted({"hospital", "lab", "regulator"} - {hanging})
    assert world.endorsers(endorsed_in_time(world)) == others


def test_the_clients_deadline_lasts_for_two_that_hang_one_after_the_other() -> None:
    deadline = Deadlines().endorse
    assert deadline is not None
    assert deadline >= 2 * ENDORSEMENT_TIMEOUT_S + 2


def test_the_own_peer_is_cut_short_by_the_client_alone(world: Any) -> None:
    world.peers["lab"].delay = ENDORSEMENT_TIMEOUT_S + 2
    assert "lab" in world.endorsers(endorsed_in_time(world))
    world.peers["lab"].delay = math.inf
    assert world.refused(lambda: endorsed_in_time(world)).code is StatusCode.DEADLINE_EXCEEDED


def test_more_calls_than_allowed_are_refused_in_fabrics_words(world: Any) -> None:
    gateway = world.service(concurrency=2)
    world.peers["lab"].delay = 0.05

    async def three() -> list[Any]:
        request = gateway_pb2.EvaluateRequest(proposed_transaction=world.proposal())
        calls = [gateway.Evaluate(request, world.context()) for _ in range(3)]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        return [*answers, await gateway.Evaluate(request, world.context())]

    first, second, third, later = asyncio.run(three())
    assert isinstance(third, Exception)
    assert third.code is StatusCode.UNKNOWN
    assert third.message == "too many requests for /gateway.Gateway, exceeding concurrency limit (2)"
    assert {answer.result.payload for answer in (first, second, later)} == {b"result"}
