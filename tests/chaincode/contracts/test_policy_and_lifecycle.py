# SPDX-License-Identifier: Apache-2.0
"""Votes on the policy, and the stages beyond approval, through the contracts."""

import pytest

from chaincode.domain import errors
from chaincode.domain.endorsement import Endorse
from chaincode.domain.evidence import Decision
from chaincode.domain.lifecycle import Advance, ArtifactStage, ConfirmQuarantine, LiftQuarantine, Quarantine, Release
from chaincode.domain.policy import Member, QuorumRule, Stage, Step, TaintRules
from chaincode.domain.status import GetStatus
from chaincode.domain.submission import Submit
from chaincode.domain.values import ArtifactKind, Number, OrgId, Ref, Role, Seconds, Text
from chaincode.domain.withdrawal import Withdraw

HOSPITAL, LAB, REGULATOR = OrgId("HospitalMSP"), OrgId("LabMSP"), OrgId("RegulatorMSP")
NET = Ref("model-version:net:1")


# --- The policy -------------------------------------------------------------------------------------------------


def test_the_majority_of_those_it_names_founds_the_policy(empty_world):
    first = empty_world.submit(HOSPITAL, empty_world.founding_policy())
    assert (first["name"], first["number"], first["by"]) == ("PolicyProposed", 1, HOSPITAL)
    assert empty_world.refused(LAB, empty_world.one("policy")) == errors.RecordNotFound("policy")
    assert empty_world.submit(REGULATOR, empty_world.founding_policy())["name"] == "PolicySet"
    assert empty_world.shown("policy")["number"] == 1


def test_the_founding_policy_is_written_once(world):
    assert world.refused(LAB, world.founding_policy()) == errors.PolicyNumberWrong(2, 1)


def test_votes_for_different_texts_are_not_added_up(empty_world):
    empty_world.submit(HOSPITAL, empty_world.founding_policy())
    other = empty_world.founding_policy(amendment_threshold=Number(3))
    assert empty_world.submit(REGULATOR, other)["name"] == "PolicyProposed"
    assert empty_world.submit(REGULATOR, empty_world.founding_policy())["name"] == "PolicySet"


def test_an_organisation_votes_once_for_a_text(empty_world):
    empty_world.submit(HOSPITAL, empty_world.founding_policy())
    assert empty_world.refused(HOSPITAL, empty_world.founding_policy()) == errors.AlreadyVoted(HOSPITAL, 1)


def test_two_votes_at_once_do_not_both_leave_the_quorum_open(empty_world):
    one = empty_world.simulate(HOSPITAL, empty_world.founding_policy())
    other = empty_world.simulate(REGULATOR, empty_world.founding_policy())
    assert (empty_world.commit(one), empty_world.commit(other)) == (True, False)


def test_only_those_that_it_names_found_it(empty_world):
    assert empty_world.refused("MakerMSP", empty_world.founding_policy()) == errors.NotAMember("MakerMSP")


def test_a_process_that_was_told_its_founders_endorses_no_other_founding(make_world):
    world = make_world(frozenset({HOSPITAL, LAB, REGULATOR}))
    alone = world.founding_policy(members=(Member(LAB), Member(REGULATOR)), rules=())
    assert world.refused(LAB, alone) == errors.FoundersDiffer("HospitalMSP, LabMSP, RegulatorMSP")
    world.found()
    assert world.shown("policy")["number"] == 1


def test_an_amendment_needs_the_quorum_of_the_policy_in_force(empty_world):
    empty_world.found(amendment_threshold=Number(2), amendment_roles=(Role("auditor"),))
    amended = empty_world.founding_policy(
        number=Number(2), members=(*empty_world.founding_policy().members, Member(OrgId("MakerMSP")))
    )
    assert empty_world.refused("MakerMSP", amended) == errors.NotAMember("MakerMSP")
    assert empty_world.submit(HOSPITAL, amended)["name"] == "PolicyProposed"
    assert empty_world.submit(LAB, amended)["name"] == "PolicyProposed"
    assert empty_world.submit(REGULATOR, amended)["name"] == "PolicySet"
    assert len(empty_world.shown("policy")["members"]) == 4
    assert len(empty_world.shown("policy-version", 1)["policy"]["members"]) == 3
    assert empty_world.refused(LAB, empty_world.one("policy-version", 3)) == errors.RecordNotFound("policy-version:3")


RULE = QuorumRule(ArtifactKind.MODEL_VERSION, Number(1))


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"members": (Member(HOSPITAL),)}, "/members"),
        ({"members": (Member(HOSPITAL), Member(HOSPITAL))}, "/members"),
        ({"members": (Member(HOSPITAL, (Role("a"), Role("a"))), Member(LAB))}, "/members/0/roles"),
        ({"amendment_threshold": Number(1)}, "/amendment_threshold"),
        ({"amendment_threshold": Number(4)}, "/amendment_threshold"),
        ({"amendment_roles": (Role("judge"),)}, "/amendment_roles"),
        ({"rules": (RULE, RULE)}, "/rules"),
        ({"taint": TaintRules(quarantined=(Step.SUBMIT, Step.SUBMIT))}, "/taint/quarantined"),
        ({"taint": TaintRules(withdrawn=(Step.RECORD, Step.RECORD))}, "/taint/withdrawn"),
        ({"rules": (QuorumRule(ArtifactKind.MODEL_VERSION, Number(1), Stage.DRAFT),)}, "/rules/0/stage"),
        ({"rules": (QuorumRule(ArtifactKind.MODEL_VERSION, Number(4)),)}, "/rules/0/threshold"),
        ({"rules": (QuorumRule(ArtifactKind.MODEL_VERSION, Number(3)),)}, "/rules/0/threshold"),
        (
            {"rules": (QuorumRule(ArtifactKind.MODEL_VERSION, Number(2), eligible_roles=(Role("auditor"),)),)},
            "/rules/0/threshold",
        ),
        (
            {"rules": (QuorumRule(ArtifactKind.MODEL_VERSION, Number(1), required_roles=(Role("judge"),)),)},
            "/rules/0/required_roles",
        ),
    ],
)
def test_a_policy_that_could_not_work_is_refused(empty_world, changes, pointer):
    refusal = empty_world.refused(HOSPITAL, empty_world.founding_policy(**changes))
    assert isinstance(refusal, errors.InvalidField | errors.RepeatedEntry)
    assert refusal.pointer == pointer


@pytest.mark.parametrize(
    "rule",
    [
        QuorumRule(ArtifactKind.MODEL_VERSION, Number(3), owner_counts=True),
        QuorumRule(ArtifactKind.MODEL_VERSION, Number(1), eligible_roles=(Role("auditor"),)),
    ],
)
def test_a_rule_that_somebody_could_satisfy_is_accepted(empty_world, rule):
    empty_world.found(rules=(rule,))
    assert empty_world.shown("policy")["number"] == 1


# --- Stages beyond approval -------------------------------------------------------------------------------------


def _approved(world):
    digest = world.model_version(LAB, "net").digest
    world.submit(LAB, Submit(NET, digest))
    for org in (HOSPITAL, REGULATOR):
        world.submit(org, Endorse(NET, world.envelope(org, NET, digest)))
    return digest


@pytest.fixture
def approved(world):
    _approved(world)
    return world


def test_an_owner_deploys_deprecates_and_retires(approved):
    for stage in (Stage.DEPLOYED, Stage.DEPRECATED, Stage.RETIRED):
        event = approved.submit(LAB, Advance(NET, stage))
        assert (event["name"], event["stage"]) == ("ArtifactAdvanced", stage)
    assert approved.read(ArtifactStage, NET).stage is Stage.RETIRED


@pytest.mark.parametrize(
    ("to", "refusal"),
    [
        (Stage.DEPRECATED, errors.StageSkipped(NET, "approved", "deprecated", "deployed")),
        (Stage.RETIRED, errors.StageSkipped(NET, "approved", "retired", "deployed")),
        (Stage.APPROVED, None),
        (Stage.QUARANTINED, None),
    ],
)
def test_no_stage_is_skipped(approved, to, refusal):
    said = approved.refused(LAB, Advance(NET, to))
    assert said == refusal if refusal is not None else isinstance(said, errors.InvalidField)


def test_a_draft_and_a_submission_cannot_be_deployed(world):
    digest = world.model_version(LAB, "net").digest
    assert world.refused(LAB, Advance(NET, Stage.DEPLOYED)) == errors.StageSkipped(
        NET, "draft", "deployed", "submitted"
    )
    world.submit(LAB, Submit(NET, digest))
    assert world.refused(LAB, Advance(NET, Stage.DEPLOYED)).code == "stage-skipped"


def test_no_stage_is_taken_twice(approved):
    approved.submit(LAB, Advance(NET, Stage.DEPLOYED))
    assert approved.refused(LAB, Advance(NET, Stage.DEPLOYED)).code == "wrong-stage"


def test_only_the_owner_advances(approved):
    assert approved.refused(HOSPITAL, Advance(NET, Stage.DEPLOYED)) == errors.NotTheOwner(NET, LAB, HOSPITAL)


def test_an_approval_that_has_expired_does_not_deploy(empty_world):
    empty_world.found(rules=(QuorumRule(ArtifactKind.MODEL_VERSION, Number(2), valid_seconds=Seconds(60)),))
    _approved(empty_world)
    empty_world.wait(minutes=1)
    refusal = empty_world.refused(LAB, Advance(NET, Stage.DEPLOYED))
    assert refusal == errors.QuorumMissing(NET, "approved", 2, "none")


def test_a_rule_may_guard_deployment(empty_world):
    empty_world.found(
        rules=(
            QuorumRule(ArtifactKind.MODEL_VERSION, Number(2)),
            QuorumRule(ArtifactKind.MODEL_VERSION, Number(1), Stage.DEPLOYED, required_roles=(Role("auditor"),)),
        )
    )
    digest = _approved(empty_world)
    refusal = empty_world.refused(LAB, Advance(NET, Stage.DEPLOYED))
    assert refusal == errors.QuorumMissing(NET, "deployed", 1, "auditor")
    envelope = empty_world.envelope(REGULATOR, NET, digest, Decision.ENDORSE, Stage.DEPLOYED)
    event = empty_world.submit(REGULATOR, Endorse(NET, envelope, Stage.DEPLOYED))
    assert (event["stage"], event["complete"]) == ("approved", True)
    empty_world.submit(LAB, Advance(NET, Stage.DEPLOYED))
    withdrawn = empty_world.submit(REGULATOR, Withdraw(NET, Text("late doubts"), Stage.DEPLOYED))
    assert withdrawn["stage"] == "deployed"


def test_any_member_quarantines_and_ends_its_own_quarantine(approved):
    event = approved.submit(HOSPITAL, Quarantine(NET, Text("harm seen")))
    assert (event["name"], event["stopped_at"]) == ("ArtifactQuarantined", "approved")
    assert approved.refused(LAB, Advance(NET, Stage.DEPLOYED)).code == "wrong-stage"
    assert approved.refused(REGULATOR, Quarantine(NET, Text("too"))).code == "wrong-stage"
    assert approved.refused(LAB, Release(NET, Text("please"))) == errors.NotTheQuarantiner(NET, HOSPITAL, LAB)
    assert approved.submit(HOSPITAL, Release(NET, Text("explained")))["stage"] == "approved"
    assert approved.refused(HOSPITAL, Release(NET, Text("again"))).code == "wrong-stage"


def test_a_draft_can_be_quarantined_and_nothing_else_released(world):
    world.model_version(LAB, "net")
    assert world.refused(LAB, Release(NET, Text("x"))).code == "wrong-stage"
    assert world.submit(LAB, Quarantine(NET, Text("mine, and wrong")))["stopped_at"] == "draft"


def test_a_stranger_quarantines_nothing(world):
    assert world.refused(LAB, Quarantine(NET, Text("x"))) == errors.RecordNotFound(NET)
    world.model_version(LAB, "net")
    assert world.refused("MakerMSP", Quarantine(NET, Text("x"))) == errors.NotAMember("MakerMSP")


def test_an_owner_that_stops_its_artifact_first_does_not_keep_others_from_stopping_it(approved):
    approved.submit(LAB, Quarantine(NET, Text("mine")))
    assert approved.refused(LAB, Quarantine(NET, Text("again"))).code == "wrong-stage"
    assert approved.submit(REGULATOR, Quarantine(NET, Text("ours now")))["stopped_at"] == "approved"
    assert approved.refused(LAB, Release(NET, Text("x"))) == errors.NotTheQuarantiner(NET, REGULATOR, LAB)
    assert approved.submit(REGULATOR, Release(NET, Text("cleared")))["stage"] == "approved"


def test_a_quarantine_does_not_outlive_the_membership_of_whoever_imposed_it(approved):
    approved.submit(HOSPITAL, Quarantine(NET, Text("gone")))
    assert approved.refused(REGULATOR, Release(NET, Text("x"))).code == "not-the-quarantiner"
    amended = approved.founding_policy(number=Number(2), members=(Member(LAB), Member(REGULATOR)), rules=())
    for org in (HOSPITAL, REGULATOR):
        approved.submit(org, amended)
    assert approved.refused(LAB, Release(NET, Text("mine"))).code == "not-the-quarantiner"
    assert approved.refused("MakerMSP", Release(NET, Text("?"))).code == "not-the-quarantiner"
    assert approved.submit(REGULATOR, Release(NET, Text("nobody asks for it")))["stage"] == "approved"


# --- Quarantines that lapse, last and are lifted ------------------------------------------------------------------

LAPSE = Seconds(600)


@pytest.fixture
def stopped(empty_world):
    """The lab's approved model, which the hospital alone has stopped, under a policy whose quarantines lapse soon."""
    empty_world.found(taint=TaintRules(lapse_seconds=LAPSE))
    _approved(empty_world)
    empty_world.submit(HOSPITAL, Quarantine(NET, Text("harm seen")))
    return empty_world


def test_a_quarantine_by_one_member_lapses_to_the_millisecond(stopped):
    stopped.wait(seconds=LAPSE, milliseconds=-1)
    assert stopped.refused(LAB, Advance(NET, Stage.DEPLOYED)).code == "wrong-stage"
    assert stopped.ask(GetStatus(NET))["stage"] == "quarantined"
    stopped.wait(milliseconds=1)
    assert stopped.ask(GetStatus(NET))["stage"] == "approved"
    assert stopped.refused(HOSPITAL, Release(NET, Text("late"))).code == "wrong-stage"
    assert stopped.refused(REGULATOR, ConfirmQuarantine(NET, Text("late"))).code == "wrong-stage"
    assert stopped.refused(REGULATOR, LiftQuarantine(NET, Text("late"))).code == "wrong-stage"
    stopped.submit(LAB, Advance(NET, Stage.DEPLOYED))


def test_one_member_alone_does_not_stop_an_artifact_again_and_again(stopped):
    stopped.wait(seconds=LAPSE)
    again = Quarantine(NET, Text("again"))
    assert stopped.refused(HOSPITAL, again) == errors.QuarantineUnconfirmed(NET, HOSPITAL)
    stopped.submit(REGULATOR, again)
    stopped.submit(REGULATOR, Release(NET, Text("no")))
    assert stopped.refused(REGULATOR, again) == errors.QuarantineUnconfirmed(NET, REGULATOR)
    assert stopped.submit(HOSPITAL, again)["stopped_at"] == "approved"


def test_a_second_member_makes_a_quarantine_last(stopped):
    assert stopped.refused(HOSPITAL, ConfirmQuarantine(NET, Text("mine"))).code == "wrong-stage"
    assert stopped.refused("MakerMSP", ConfirmQuarantine(NET, Text("?"))) == errors.NotAMember("MakerMSP")
    assert stopped.submit(REGULATOR, ConfirmQuarantine(NET, Text("seen too")))["quarantined_by"] == HOSPITAL
    assert stopped.refused(LAB, ConfirmQuarantine(NET, Text("me too"))).code == "wrong-stage"
    stopped.wait(seconds=10 * LAPSE)
    assert stopped.ask(GetStatus(NET))["stage"] == "quarantined"
    assert stopped.refused(HOSPITAL, Release(NET, Text("x"))) == errors.QuarantineConfirmed(NET, HOSPITAL, REGULATOR)


def test_what_the_owner_stopped_and_another_confirmed_nobody_takes_over(approved):
    approved.submit(LAB, Quarantine(NET, Text("mine")))
    approved.submit(HOSPITAL, ConfirmQuarantine(NET, Text("indeed")))
    assert approved.refused(REGULATOR, Quarantine(NET, Text("ours"))).code == "wrong-stage"


@pytest.mark.parametrize("confirmed", [False, True])
def test_the_quorum_of_an_amendment_lifts_a_quarantine_and_the_owner_alone_does_not(stopped, confirmed):
    lift = LiftQuarantine(NET, Text("it was a false alarm"))
    if confirmed:
        stopped.submit(HOSPITAL, LiftQuarantine(NET, Text("oh")))
        stopped.submit(REGULATOR, ConfirmQuarantine(NET, Text("seen too")))
    else:
        event = stopped.submit(LAB, lift)
        assert (event["name"], event["missing"]) == ("LiftProposed", 1)
        assert stopped.refused(LAB, lift) == errors.VotedToLift(NET, LAB)
        assert stopped.refused("MakerMSP", lift) == errors.NotAMember("MakerMSP")
    event = stopped.submit(REGULATOR, lift)
    assert (event["name"], event["stage"]) == ("QuarantineLifted", "approved")
    stopped.submit(LAB, Advance(NET, Stage.DEPLOYED))


def test_votes_against_an_earlier_quarantine_do_not_count_against_a_later_one(stopped):
    lift = LiftQuarantine(NET, Text("false alarm"))
    stopped.submit(LAB, lift)
    stopped.wait(seconds=LAPSE)
    stopped.submit(REGULATOR, Quarantine(NET, Text("once more")))
    assert stopped.submit(HOSPITAL, lift)["name"] == "LiftProposed"
    assert stopped.submit(LAB, lift)["name"] == "QuarantineLifted"


def test_votes_do_not_count_against_another_quarantine_of_the_same_instant(approved):
    lift = LiftQuarantine(NET, Text("false alarm"))
    approved.submit(LAB, Quarantine(NET, Text("ours")))
    approved.submit(REGULATOR, lift)
    approved.submit(HOSPITAL, Quarantine(NET, Text("harm seen")))
    assert approved.submit(LAB, lift)["name"] == "LiftProposed"
    assert approved.submit(REGULATOR, lift)["name"] == "QuarantineLifted"


def test_quarantines_are_counted_through_submissions(world):
    digest, lift = world.model_version(LAB, "net").digest, LiftQuarantine(NET, Text("false alarm"))
    world.submit(HOSPITAL, Quarantine(NET, Text("harm seen")))
    world.submit(REGULATOR, lift)
    world.submit(HOSPITAL, Release(NET, Text("no")))
    world.submit(LAB, Submit(NET, digest))
    world.submit(REGULATOR, Quarantine(NET, Text("harm seen")))
    assert world.submit(HOSPITAL, lift)["name"] == "LiftProposed"


def test_two_votes_at_once_do_not_both_leave_a_quarantine_standing(stopped):
    lift = LiftQuarantine(NET, Text("false alarm"))
    one, other = stopped.simulate(LAB, lift), stopped.simulate(REGULATOR, lift)
    assert (stopped.commit(one), stopped.commit(other)) == (True, False)


def test_an_advance_that_was_endorsed_before_a_quarantine_is_ordered_after_it_in_vain(approved):
    advance = approved.simulate(LAB, Advance(NET, Stage.DEPLOYED))
    approved.submit(HOSPITAL, Quarantine(NET, Text("harm seen")))
    assert not approved.commit(advance)


def test_votes_to_lift_need_a_consortium(empty_world):
    lift = LiftQuarantine(NET, Text("x"))
    assert empty_world.refused(LAB, lift).code == "wrong-stage"
