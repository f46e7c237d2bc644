# SPDX-License-Identifier: Apache-2.0
"""Endorsements that are taken back, expire, or meet another policy than they were given under."""

from dataclasses import replace

from chaincode.domain import errors
from chaincode.domain.endorsement import Endorsement
from chaincode.domain.evidence import Decision
from chaincode.domain.lifecycle import Advance, Quarantine, Release
from chaincode.domain.policy import Member, QuorumRule, Stage
from chaincode.domain.submission import Submit
from chaincode.domain.values import ArtifactKind, Number, OrgId, Ref, Seconds, Text
from chaincode.domain.withdrawal import Withdraw

HOSPITAL, LAB, REGULATOR = OrgId("HospitalMSP"), OrgId("LabMSP"), OrgId("RegulatorMSP")
NET = Ref("model-version:net:1")
REASON = Text("second thoughts")


def test_a_withdrawal_takes_the_approval_with_it(open_case):
    open_case.endorse(HOSPITAL)
    open_case.endorse(REGULATOR)
    event = open_case.withdraw(REGULATOR)
    assert (event["name"], event["stage"]) == ("EndorsementWithdrawn", "endorsed")
    assert open_case.withdraw(HOSPITAL)["stage"] == "submitted"


def test_an_approval_stands_that_does_not_rest_on_what_is_withdrawn(empty_world, make_case):
    policy = empty_world.founding_policy()
    empty_world.found(members=(*policy.members, Member(OrgId("MakerMSP"))))
    case = make_case(empty_world)
    case.submit()
    for org in (HOSPITAL, REGULATOR, OrgId("MakerMSP")):
        case.endorse(org)
    assert case.withdraw(HOSPITAL)["stage"] == "approved"


def test_an_approval_falls_under_a_quarantine_too(open_case):
    open_case.endorse(HOSPITAL)
    open_case.endorse(REGULATOR)
    open_case.world.submit(REGULATOR, Quarantine(NET, Text("wait")))
    assert open_case.withdraw(HOSPITAL)["stage"] == "quarantined"
    assert open_case.world.submit(REGULATOR, Release(NET, Text("go on")))["stage"] == "endorsed"


def test_a_deployment_under_quarantine_stays_one_when_an_endorsement_is_withdrawn(open_case):
    open_case.endorse(HOSPITAL)
    open_case.endorse(REGULATOR)
    open_case.world.submit(LAB, Advance(NET, Stage.DEPLOYED))
    open_case.world.submit(REGULATOR, Quarantine(NET, Text("wait")))
    assert open_case.withdraw(HOSPITAL)["stage"] == "quarantined"
    assert open_case.world.submit(REGULATOR, Release(NET, Text("go on")))["stage"] == "deployed"


def test_a_round_that_can_lead_nowhere_can_be_opened_anew(open_case):
    open_case.endorse(HOSPITAL)
    assert open_case.refused(LAB, Submit(NET, open_case.digest)).code == "wrong-stage"
    open_case.withdraw(HOSPITAL)
    assert open_case.submit()["round"] == 2
    open_case.endorse(HOSPITAL)
    assert open_case.endorse(REGULATOR)["stage"] == "approved"


def test_those_who_withdrew_cannot_make_a_quorum_any_more(empty_world, make_case):
    policy = empty_world.founding_policy()
    rule = QuorumRule(ArtifactKind.MODEL_VERSION, Number(2))
    empty_world.found(members=(*policy.members, Member(OrgId("MakerMSP"))), rules=(rule,))
    case = make_case(empty_world)
    case.submit()
    case.endorse(HOSPITAL)
    case.withdraw(HOSPITAL)
    assert case.stage is Stage.SUBMITTED
    assert case.reject(REGULATOR)["stage"] == "draft"


def amend(world, **changes):
    amended = world.founding_policy(number=Number(2), **changes)
    world.submit(HOSPITAL, amended)
    world.submit(REGULATOR, amended)


def test_an_endorsement_can_be_withdrawn_when_no_rule_asks_for_it_any_more(open_case):
    open_case.endorse(HOSPITAL)
    open_case.endorse(REGULATOR)
    amend(open_case.world, rules=())
    assert open_case.withdraw(HOSPITAL)["stage"] == "endorsed"
    assert open_case.withdraw(REGULATOR)["stage"] == "submitted"


def test_a_withdrawal_approves_nothing_under_a_milder_policy(empty_world, make_case):
    policy = empty_world.founding_policy()
    members = (*policy.members, Member(OrgId("MakerMSP")))
    empty_world.found(members=members, rules=(QuorumRule(ArtifactKind.MODEL_VERSION, Number(3)),))
    case = make_case(empty_world)
    case.submit()
    case.endorse(HOSPITAL)
    case.endorse(REGULATOR)
    amend(empty_world, members=members, rules=(QuorumRule(ArtifactKind.MODEL_VERSION, Number(1)),))
    assert case.withdraw(HOSPITAL)["stage"] == "endorsed"


def test_a_validity_that_the_policy_shortens_holds_for_what_was_given_before(open_case):
    open_case.endorse(HOSPITAL)
    rule = QuorumRule(ArtifactKind.MODEL_VERSION, Number(2), valid_seconds=Seconds(60))
    amend(open_case.world, rules=(rule,))
    assert open_case.status()["endorsed_by"] == [HOSPITAL]
    open_case.world.wait(minutes=1)
    assert (open_case.status()["endorsed_by"], open_case.status()["may_endorse"]) == ([], [HOSPITAL, REGULATOR])
    assert open_case.endorse(HOSPITAL)["stage"] == "endorsed"


def test_a_validity_that_the_policy_lengthens_does_not(case_under):
    case = case_under(valid_seconds=Seconds(60))
    case.endorse(HOSPITAL)
    rule = QuorumRule(ArtifactKind.MODEL_VERSION, Number(2), valid_seconds=Seconds(600))
    amend(case.world, rules=(rule,))
    case.world.wait(minutes=1)
    assert case.status()["endorsed_by"] == []


def test_an_owner_that_is_a_member_no_more_submits_nothing(case):
    rule = QuorumRule(ArtifactKind.MODEL_VERSION, Number(1))
    amend(case.world, members=(Member(HOSPITAL), Member(REGULATOR)), rules=(rule,))
    assert case.refused(LAB, Submit(NET, case.digest)) == errors.NotAMember(LAB)


def test_only_what_was_given_can_be_withdrawn(open_case):
    nothing = Withdraw(NET, Text("x"))
    assert open_case.refused(HOSPITAL, nothing) == errors.NotEndorsed(NET, "approved", HOSPITAL)
    open_case.endorse(HOSPITAL)
    open_case.withdraw(HOSPITAL)
    assert open_case.refused(HOSPITAL, nothing).code == "not-endorsed"


def withdrawing(case, org=HOSPITAL, said=REASON, signed=REASON, decision=Decision.WITHDRAW, **more):
    statement = case.world.statement(org, NET, case.digest, decision, reason=signed)
    return Withdraw(NET, said, envelope=case.world.envelope(org, NET, case.digest, statement=statement), **more)


def test_a_withdrawal_is_kept_with_its_signed_statement(open_case):
    given = open_case.endorsing(HOSPITAL)
    open_case.world.submit(HOSPITAL, given)
    command = withdrawing(open_case)
    assert open_case.world.submit(HOSPITAL, command)["stage"] == "submitted"
    stored = open_case.world.read(Endorsement, NET, Stage.APPROVED, HOSPITAL)
    assert (stored.envelope, stored.withdrawal, stored.withdrawal_chain) == (given.envelope, command.envelope, None)


def test_a_withdrawal_under_another_statement_is_refused(open_case):
    open_case.endorse(HOSPITAL)
    others = open_case.world.envelope(HOSPITAL, NET, open_case.world.digest_of("other"), Decision.WITHDRAW)
    for command, code in (
        (withdrawing(open_case, signed=Text("another")), "statement-invalid"),
        (withdrawing(open_case, decision=Decision.REJECT), "statement-invalid"),
        (withdrawing(open_case, org=REGULATOR), "statement-invalid"),
        (Withdraw(NET, Text("unsafe"), envelope=others), "statement-digest-differs"),
    ):
        assert open_case.refused(HOSPITAL, command).code == code
    unsigned = withdrawing(open_case)
    forged = replace(unsigned.envelope, signatures=open_case.endorsing(REGULATOR).envelope.signatures)
    assert open_case.refused(HOSPITAL, replace(unsigned, envelope=forged)).code == "bad-signature"
    open_case.world.wait(days=2)
    assert open_case.refused(HOSPITAL, unsigned).code == "statement-out-of-time"
    assert open_case.status()["endorsed_by"] == [HOSPITAL]


def test_certificates_travel_with_a_signed_statement_alone(open_case):
    open_case.endorse(HOSPITAL)
    refusal = open_case.refused(HOSPITAL, Withdraw(NET, REASON, chain=()))
    assert refusal == errors.InvalidField("/chain", "it goes with the envelope of a signed statement")


def test_without_a_policy_nothing_is_withdrawn(empty_world):
    assert empty_world.refused(HOSPITAL, Withdraw(NET, REASON)) == errors.PolicyMissing()


def test_what_was_never_submitted_has_no_endorsement_to_withdraw(case):
    assert case.refused(HOSPITAL, Withdraw(NET, Text("x"))).code == "not-endorsed"


def test_an_endorsement_of_an_earlier_round_cannot_be_withdrawn(open_case):
    open_case.endorse(HOSPITAL)
    open_case.reject(REGULATOR)
    open_case.submit()
    assert open_case.refused(HOSPITAL, Withdraw(NET, Text("x"))).code == "not-endorsed"


def test_an_endorsement_expires_and_can_be_given_again(case_under):
    case = case_under(valid_seconds=Seconds(60))
    case.endorse(HOSPITAL)
    case.world.wait(seconds=59)
    assert case.status()["endorsed_by"] == [HOSPITAL]
    case.world.wait(seconds=1)
    assert (case.status()["endorsed_by"], HOSPITAL in case.status()["may_endorse"]) == ([], True)
    assert case.endorse(REGULATOR)["stage"] == "endorsed"
    assert case.endorse(HOSPITAL)["stage"] == "approved"
