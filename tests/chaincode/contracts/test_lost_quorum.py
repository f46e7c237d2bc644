# SPDX-License-Identifier: Apache-2.0
"""Approvals whose quorum is lost, and deployments where the policy stops them for it."""

import pytest

from chaincode.domain import errors
from chaincode.domain.deployment import RecordDeployment
from chaincode.domain.lifecycle import Advance, ArtifactStage, Quarantine, Release
from chaincode.domain.lineage import Ancestry, Impact
from chaincode.domain.policy import Member, OnQuorumLost, QuorumRule, Stage, TaintRules
from chaincode.domain.submission import Submit
from chaincode.domain.values import ArtifactKind, Name, Number, OrgId, Ref, Role, Seconds, Text

HOSPITAL, LAB, REGULATOR, MAKER = (OrgId(f"{name}MSP") for name in ("Hospital", "Lab", "Regulator", "Maker"))
NET = Ref("model-version:net:1")
STOP = OnQuorumLost.STOP


def deploy(name="ward-3"):
    return RecordDeployment(deployment=Name(name), version=NET, location=Text("triage"))


def approve(case):
    case.endorse(HOSPITAL)
    assert case.endorse(REGULATOR)["stage"] == "approved"


def lost(case):
    """Whether lineage says so of the model, both ways."""
    said = [case.world.ask(question(NET))["nodes"][0].get("quorum_lost") for question in (Ancestry, Impact)]
    assert said[0] is said[1]
    return said[0] is True


@pytest.fixture
def stopping(case_under):
    """The lab's model, approved, where the policy stops deployments without a quorum."""
    case = case_under(on_quorum_lost=STOP, required_roles=(Role("auditor"),), valid_seconds=Seconds(600))
    approve(case)
    return case


def test_a_withdrawal_stops_deployments_until_the_approval_is_given_again(stopping):
    stopping.world.submit(HOSPITAL, deploy("ward-1"))
    stopping.withdraw(REGULATOR)
    since = stopping.world.read(ArtifactStage, NET)
    assert (since.stage, since.lost_at) == (Stage.ENDORSED, stopping.world.at)
    refusal = stopping.refused(HOSPITAL, deploy("ward-2"))
    assert refusal == errors.QuorumLost(NET, 1, "auditor")
    stopping.submit()
    assert stopping.refused(HOSPITAL, deploy("ward-2")) == errors.QuorumLost(NET, 2, "auditor")
    stopping.endorse(REGULATOR)
    assert stopping.refused(HOSPITAL, deploy("ward-2")) == errors.QuorumLost(NET, 1, "none")
    assert stopping.endorse(HOSPITAL)["stage"] == "approved"
    assert stopping.world.read(ArtifactStage, NET).lost_at is None
    stopping.world.submit(HOSPITAL, deploy("ward-2"))


def test_an_expiry_stops_deployments_until_the_endorsements_are_renewed(stopping):
    stopping.world.submit(LAB, Advance(NET, Stage.DEPLOYED))
    stopping.world.wait(seconds=599)
    stopping.world.submit(HOSPITAL, deploy("ward-1"))
    stopping.world.wait(seconds=1)
    assert stopping.refused(LAB, deploy("lab-1")) == errors.QuorumLost(NET, 2, "auditor")
    assert stopping.endorse(HOSPITAL)["stage"] == "deployed"
    assert stopping.refused(LAB, deploy("lab-1")) == errors.QuorumLost(NET, 1, "auditor")
    assert stopping.endorse(REGULATOR)["stage"] == "deployed"
    stopping.world.submit(LAB, deploy("lab-1"))


def test_what_is_deployed_and_can_have_no_quorum_any_more_is_submitted_anew(stopping):
    stopping.world.submit(LAB, Advance(NET, Stage.DEPLOYED))
    assert stopping.refused(LAB, Submit(NET, stopping.digest)).code == "wrong-stage"
    assert stopping.withdraw(REGULATOR)["stage"] == "deployed"
    assert stopping.refused(HOSPITAL, deploy()).code == "quorum-lost"
    assert stopping.submit()["round"] == 2
    assert stopping.refused(HOSPITAL, deploy()).code == "quorum-lost"
    approve(stopping)
    stopping.world.submit(HOSPITAL, deploy())


def test_an_owner_does_not_evade_it_by_moving_the_artifact_on(stopping):
    stopping.world.submit(LAB, Advance(NET, Stage.DEPLOYED))
    stopping.withdraw(REGULATOR)
    for stage in (Stage.DEPRECATED, Stage.RETIRED):
        stopping.world.submit(LAB, Advance(NET, stage))
        assert stopping.refused(LAB, deploy()).code == "quorum-lost"


def test_a_rejection_on_what_is_deployed_changes_no_stage(stopping):
    stopping.world.submit(LAB, Advance(NET, Stage.DEPLOYED))
    stopping.world.wait(seconds=600)
    assert stopping.reject(REGULATOR)["stage"] == "deployed"
    assert stopping.refused(REGULATOR, stopping.endorsing(REGULATOR)).code == "already-rejected"


def test_a_quarantine_does_not_hide_a_lost_quorum(empty_world, make_case):
    rule = QuorumRule(ArtifactKind.MODEL_VERSION, Number(2), on_quorum_lost=STOP)
    # A policy that refuses nothing for what is quarantined: only the quorum decides here.
    empty_world.found(rules=(rule,), taint=TaintRules(quarantined=(), withdrawn=()))
    case = make_case(empty_world)
    case.submit()
    approve(case)
    case.world.submit(HOSPITAL, Quarantine(NET, Text("wait")))
    case.world.submit(HOSPITAL, deploy("ward-1"))
    case.withdraw(REGULATOR)
    assert case.refused(HOSPITAL, deploy()).code == "quorum-lost"
    case.world.submit(HOSPITAL, Release(NET, Text("go on")))
    case.world.submit(REGULATOR, Quarantine(NET, Text("not yet")))
    assert case.refused(HOSPITAL, deploy()).code == "quorum-lost"
    assert lost(case)


@pytest.mark.parametrize("rule", [{}, {"on_quorum_lost": OnQuorumLost.NOTE}])
def test_by_default_a_lost_quorum_is_noted_only(case_under, rule):
    case = case_under(**rule)
    assert not lost(case)
    approve(case)
    assert not lost(case)
    case.withdraw(REGULATOR)
    assert lost(case)
    case.world.submit(HOSPITAL, deploy())


def test_what_never_had_an_approval_has_lost_none(case_under):
    case = case_under(on_quorum_lost=STOP)
    case.world.submit(HOSPITAL, deploy("ward-1"))
    case.endorse(HOSPITAL)
    case.withdraw(HOSPITAL)
    case.world.submit(HOSPITAL, deploy("ward-2"))
    assert not lost(case)


def test_a_draft_is_deployed_where_only_lost_quorums_stop(empty_world, make_case):
    empty_world.found(rules=(QuorumRule(ArtifactKind.MODEL_VERSION, Number(2), on_quorum_lost=STOP),))
    make_case(empty_world)
    empty_world.submit(HOSPITAL, deploy())


def test_an_approval_that_does_not_rest_on_what_is_withdrawn_stands(empty_world, make_case):
    members = (*empty_world.founding_policy().members, Member(MAKER))
    empty_world.found(members=members, rules=(QuorumRule(ArtifactKind.MODEL_VERSION, Number(2), on_quorum_lost=STOP),))
    case = make_case(empty_world)
    case.submit()
    for org in (HOSPITAL, REGULATOR, MAKER):
        case.endorse(org)
    case.withdraw(MAKER)
    assert case.world.read(ArtifactStage, NET).lost_at is None
    case.world.submit(HOSPITAL, deploy())


def test_where_no_rule_asks_for_a_quorum_any_more_none_is_lost(open_case):
    approve(open_case)
    open_case.withdraw(REGULATOR)
    amended = open_case.world.founding_policy(number=Number(2), rules=())
    open_case.world.submit(HOSPITAL, amended)
    open_case.world.submit(REGULATOR, amended)
    assert not lost(open_case)


@pytest.mark.parametrize(
    "rule",
    [
        QuorumRule(ArtifactKind.DATASET_VERSION, Number(1), on_quorum_lost=STOP),
        QuorumRule(ArtifactKind.MODEL_VERSION, Number(1), Stage.DEPLOYED, on_quorum_lost=OnQuorumLost.NOTE),
    ],
)
def test_only_the_rule_for_models_to_be_approved_speaks_of_deployments(empty_world, rule):
    refusal = empty_world.refused(HOSPITAL, empty_world.founding_policy(rules=(rule,)))
    assert refusal == errors.InvalidField(
        "/rules/0/on_quorum_lost", "it belongs to the rule for model versions to become approved"
    )
