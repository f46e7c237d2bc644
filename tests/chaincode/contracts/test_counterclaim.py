# SPDX-License-Identifier: Apache-2.0
"""Counter-claims through the contracts: stated, answered, taken back, and what an open one does to an approval."""

from dataclasses import replace

import pytest

from chaincode.domain import errors
from chaincode.domain.counterclaim import AnswerClaim, CounterClaim, StateClaim, WithdrawClaim
from chaincode.domain.evidence import Decision, Statement
from chaincode.domain.intoto import decode_statement, encode_statement
from chaincode.domain.policy import Member, OpenClaims, QuorumRule, Stage
from chaincode.domain.values import ArtifactKind, Number, OrgId, Ref, Text

HOSPITAL, LAB, REGULATOR, MAKER = (OrgId(f"{name}MSP") for name in ("Hospital", "Lab", "Regulator", "Maker"))
NET = Ref("model-version:net:1")
REASON, ANSWER = Text("trained on records that we withdrew"), Text("they are in no split")


def signed(case, org, *, round_=None, digest=None, **said):
    """A claim and its statement, which say the same but for what is changed."""
    statement = case.world.statement(org, NET, digest or case.digest, Decision.COUNTER_CLAIM, reason=REASON)
    statement = replace(statement, round=case.round if round_ is None else round_, **said)
    return case.world.envelope(org, NET, case.digest, statement=statement)


def stating(case, org, **said):
    said = {name: value for name, value in said.items() if value is not None}
    return StateClaim(NET, REASON, signed(case, org, **said), **said)


@pytest.fixture
def claimed(open_case):
    """The lab's model, submitted, with which the regulator does not agree."""
    open_case.round = 1
    open_case.world.submit(REGULATOR, stating(open_case, REGULATOR))
    return open_case


def test_a_claim_is_stated_answered_and_taken_back(claimed):
    world = claimed.world
    claim = world.read(CounterClaim, NET, REGULATOR)
    assert (claim.number, claim.at, claim.due_from, claim.round, claim.policy) == (1, world.at, LAB, 1, 1)
    assert (claim.reason, claim.against, claim.evidence, claim.open) == (REASON, None, None, True)
    event = world.submit(LAB, AnswerClaim(NET, REGULATOR, ANSWER))
    assert (event["name"], event["claimant"], event["by"]) == ("ClaimAnswered", REGULATOR, LAB)
    answered = world.read(CounterClaim, NET, REGULATOR)
    assert answered == replace(claim, answer=ANSWER, answered_at=world.at)
    event = world.submit(REGULATOR, WithdrawClaim(NET, Text("so it is")))
    assert (event["name"], event["by"]) == ("ClaimWithdrawn", REGULATOR)
    over = world.read(CounterClaim, NET, REGULATOR)
    assert (over.open, over.answer, over.withdrawn_because) == (False, ANSWER, "so it is")
    again = world.submit(REGULATOR, stating(claimed, REGULATOR))
    assert (again["name"], again["due_from"]) == ("ClaimStated", LAB)
    assert world.read(CounterClaim, NET, REGULATOR).number == 2


def test_a_claim_can_be_against_a_draft_and_name_evidence(case):
    case.round = 0
    case.world.dataset(HOSPITAL, "wdbc")
    evidence, digest = Ref("dataset:wdbc"), case.world.digest_of("letter")
    command = stating(case, HOSPITAL, evidence=evidence, evidence_digest=digest)
    case.world.submit(HOSPITAL, command)
    claim = case.world.read(CounterClaim, NET, HOSPITAL)
    assert (claim.evidence, claim.evidence_digest, claim.round) == (evidence, digest, 0)
    statement = decode_statement(command.envelope.payload)
    assert (statement.evidence, statement.evidence_digest) == (evidence, digest)


def test_a_claim_against_an_endorsement_is_for_the_endorser_to_answer(open_case):
    open_case.round = 1
    against_nothing = stating(open_case, REGULATOR, against=HOSPITAL)
    assert open_case.refused(REGULATOR, against_nothing) == errors.NotEndorsed(NET, "approved", HOSPITAL)
    open_case.endorse(HOSPITAL)
    assert open_case.world.submit(REGULATOR, stating(open_case, REGULATOR, against=HOSPITAL))["due_from"] == HOSPITAL
    refusal = open_case.refused(LAB, AnswerClaim(NET, REGULATOR, ANSWER))
    assert refusal == errors.NotTheAnswerer(NET, HOSPITAL, LAB)
    open_case.world.submit(HOSPITAL, AnswerClaim(NET, REGULATOR, ANSWER))
    open_case.world.submit(REGULATOR, WithdrawClaim(NET, Text("so it is")))
    open_case.withdraw(HOSPITAL)
    assert open_case.refused(REGULATOR, stating(open_case, REGULATOR, against=HOSPITAL)).code == "not-endorsed"


def test_nobody_claims_against_its_own(open_case):
    open_case.round = 1
    open_case.endorse(HOSPITAL)
    assert open_case.refused(LAB, stating(open_case, LAB)) == errors.OwnClaim(NET, LAB)
    assert open_case.refused(HOSPITAL, stating(open_case, HOSPITAL, against=HOSPITAL)) == errors.OwnClaim(NET, HOSPITAL)


def test_only_members_claim_and_only_of_what_is_on_the_ledger(claimed, empty_world, make_case):
    assert claimed.refused(MAKER, stating(claimed, MAKER)) == errors.NotAMember(MAKER)
    other = Ref("model-version:net:2")
    assert claimed.refused(HOSPITAL, replace(stating(claimed, HOSPITAL), artifact=other)) == errors.RecordNotFound(
        other
    )
    gone = Ref("evaluation:none")
    assert claimed.refused(HOSPITAL, stating(claimed, HOSPITAL, evidence=gone)) == errors.RecordNotFound(gone)


def test_without_a_policy_nothing_is_claimed(case):
    case.round = 0
    command = stating(case, HOSPITAL)
    # What is registered needs a policy, so that only its going away shows it.
    case.world.state = {key: value for key, value in case.world.state.items() if not key.startswith("\x00policy\x00")}
    assert case.refused(HOSPITAL, command) == errors.PolicyMissing()


def test_one_claim_is_open_at_a_time_and_answered_once(claimed):
    assert claimed.refused(REGULATOR, stating(claimed, REGULATOR)) == errors.ClaimAlreadyOpen(NET, REGULATOR)
    claimed.world.submit(LAB, AnswerClaim(NET, REGULATOR, ANSWER))
    refusal = claimed.refused(LAB, AnswerClaim(NET, REGULATOR, ANSWER))
    assert refusal == errors.AlreadyAnswered(NET, REGULATOR, LAB)
    claimed.world.submit(REGULATOR, WithdrawClaim(NET, Text("so it is")))
    for org, command in ((REGULATOR, WithdrawClaim(NET, Text("x"))), (LAB, AnswerClaim(NET, REGULATOR, ANSWER))):
        assert claimed.refused(org, command) == errors.NoOpenClaim(NET, REGULATOR)
    assert claimed.refused(HOSPITAL, WithdrawClaim(NET, Text("x"))) == errors.NoOpenClaim(NET, HOSPITAL)


def test_what_was_signed_is_what_is_claimed(open_case):
    open_case.round = 1
    world = open_case.world
    world.dataset(HOSPITAL, "wdbc")
    command = stating(open_case, REGULATOR, evidence=Ref("dataset:wdbc"))
    for changed in (
        {"reason": Text("another")},
        {"evidence": None},
        {"evidence_digest": world.digest_of("letter")},
        {"envelope": signed(open_case, REGULATOR, round_=2, evidence=Ref("dataset:wdbc"))},
        {"envelope": open_case.endorsing(REGULATOR).envelope},
    ):
        assert open_case.refused(REGULATOR, replace(command, **changed)).code == "statement-invalid"
    open_case.endorse(HOSPITAL)
    assert open_case.refused(REGULATOR, replace(command, against=HOSPITAL)).code == "statement-invalid"
    other = signed(open_case, REGULATOR, digest=world.digest_of("other"))
    assert open_case.refused(REGULATOR, StateClaim(NET, REASON, other)).code == "statement-digest-differs"


def test_what_only_claims_say_means_nothing_in_another_statement(open_case):
    statement = replace(open_case.world.statement(HOSPITAL, NET, open_case.digest), against="LabMSP")
    envelope = open_case.world.envelope(HOSPITAL, NET, open_case.digest, payload=encode_statement(statement))
    assert isinstance(read := decode_statement(envelope.payload), Statement)
    assert read.against is None
    assert open_case.world.submit(HOSPITAL, replace(open_case.endorsing(HOSPITAL), envelope=envelope))


# --- Approval ---------------------------------------------------------------------------------------------------


@pytest.fixture
def demanding(empty_world, make_case):
    """The lab's model, submitted, where an open claim keeps it from being approved."""
    members = (*empty_world.founding_policy().members, Member(MAKER))
    rule = QuorumRule(ArtifactKind.MODEL_VERSION, Number(2), open_claims=OpenClaims.REFUSE)
    empty_world.found(members=members, rules=(rule,))
    case = make_case(empty_world)
    case.submit()
    case.round = 1
    return case


def test_an_open_claim_keeps_an_artifact_from_being_approved(demanding):
    world = demanding.world
    world.submit(REGULATOR, stating(demanding, REGULATOR))
    assert demanding.endorse(HOSPITAL)["stage"] == "endorsed"
    refusal = demanding.refused(MAKER, demanding.endorsing(MAKER))
    assert refusal == errors.ClaimsOpen(NET, REGULATOR)
    world.submit(LAB, AnswerClaim(NET, REGULATOR, ANSWER))
    assert demanding.refused(MAKER, demanding.endorsing(MAKER)).code == "claims-open"
    world.submit(REGULATOR, WithdrawClaim(NET, Text("so it is")))
    assert demanding.endorse(MAKER)["stage"] == "approved"
    world.submit(REGULATOR, stating(demanding, REGULATOR))
    assert demanding.stage is Stage.APPROVED
    assert demanding.endorse(REGULATOR)["stage"] == "approved"


def test_the_claim_of_an_organisation_that_left_stands_in_nobody_s_way(demanding):
    world = demanding.world
    world.submit(MAKER, stating(demanding, MAKER))
    demanding.endorse(HOSPITAL)
    rule = QuorumRule(ArtifactKind.MODEL_VERSION, Number(2), open_claims=OpenClaims.REFUSE)
    amended = world.founding_policy(number=Number(2), rules=(rule,))
    for org in (HOSPITAL, REGULATOR):
        world.submit(org, amended)
    assert demanding.endorse(REGULATOR)["stage"] == "approved"


@pytest.mark.parametrize("rule", [{}, {"open_claims": OpenClaims.NOTE}])
def test_by_default_an_open_claim_is_noted_only(case_under, rule):
    case = case_under(**rule)
    case.round = 1
    case.world.submit(REGULATOR, stating(case, REGULATOR))
    case.endorse(HOSPITAL)
    assert case.endorse(REGULATOR)["stage"] == "approved"


def test_where_no_rule_asks_for_endorsements_claims_change_nothing(open_case):
    amended = open_case.world.founding_policy(number=Number(2), rules=())
    for org in (HOSPITAL, REGULATOR):
        open_case.world.submit(org, amended)
    assert open_case.refused(HOSPITAL, open_case.endorsing(HOSPITAL)).code == "rule-missing"


def test_only_rules_to_become_approved_speak_of_claims(empty_world):
    rule = QuorumRule(ArtifactKind.MODEL_VERSION, Number(1), Stage.DEPLOYED, open_claims=OpenClaims.REFUSE)
    refusal = empty_world.refused(HOSPITAL, empty_world.founding_policy(rules=(rule,)))
    assert refusal == errors.InvalidField("/rules/0/open_claims", "it belongs to a rule to become approved")
