# SPDX-License-Identifier: Apache-2.0
"""Submission, endorsement, rejection and withdrawal through the contracts, with every refusal."""

from dataclasses import replace

import pytest

from chaincode.domain import errors
from chaincode.domain.endorsement import Endorse, Endorsement, Reject, Rejection
from chaincode.domain.evidence import PREDICATE_TYPE_1, Decision, Signature, Subject
from chaincode.domain.intoto import decode_statement, encode_statement
from chaincode.domain.lifecycle import ArtifactStage
from chaincode.domain.policy import Member, QuorumRule, Stage
from chaincode.domain.status import GetStatus
from chaincode.domain.submission import Submit
from chaincode.domain.values import ArtifactKind, Blob, Digest, Number, OrgId, Ref, Role, Text

HOSPITAL, LAB, REGULATOR = OrgId("HospitalMSP"), OrgId("LabMSP"), OrgId("RegulatorMSP")
NET = Ref("model-version:net:1")
ZERO = Digest(bytes(32))
PREDICATE = (
    b'{"subject":[],"predicate":{"channel":"c","organisation":"o","artifact":"a","stage":"s","decision":"d",'
    b'"round":%b}}'
)


# --- The way to approval ----------------------------------------------------------------------------------------


def test_the_endorsement_that_completes_the_quorum_approves(open_case):
    assert open_case.stage is Stage.SUBMITTED
    first = open_case.endorse(HOSPITAL)
    assert (first["stage"], first["complete"]) == ("endorsed", False)
    second = open_case.endorse(REGULATOR)
    assert (second["name"], second["stage"], second["complete"]) == ("ArtifactEndorsed", "approved", True)
    assert open_case.stage is Stage.APPROVED
    stored = open_case.world.read(Endorsement, NET, Stage.APPROVED, REGULATOR)
    assert (stored.round, stored.policy, stored.expires_at) == (1, 1, None)


def test_two_endorsements_at_once_are_not_both_counted_as_the_first(open_case):
    world = open_case.world
    one = world.simulate(HOSPITAL, open_case.endorsing(HOSPITAL))
    other = world.simulate(REGULATOR, open_case.endorsing(REGULATOR))
    assert (world.commit(one), world.commit(other)) == (True, False)
    assert open_case.endorse(REGULATOR)["complete"]


def test_endorsements_and_stages_stay_under_the_chaincode_policy(open_case):
    open_case.endorse(HOSPITAL)
    assert not [key for key in open_case.world.policies if key.startswith(("\x00endorsement", "\x00artifact-stage"))]


def test_a_data_set_version_is_endorsed_by_its_root(world):
    world.dataset(HOSPITAL, "wdbc")
    root = world.dataset_version(HOSPITAL, "wdbc").root
    data = Ref("dataset-version:wdbc:1")
    world.submit(HOSPITAL, Submit(data, root))
    assert world.submit(LAB, Endorse(data, world.envelope(LAB, data, root)))["stage"] == "approved"


def test_a_required_role_must_be_among_the_endorsers(empty_world, make_case):
    policy = empty_world.founding_policy()
    empty_world.found(members=(*policy.members, Member(OrgId("MakerMSP"))))
    case = make_case(empty_world)
    case.submit()
    case.endorse(HOSPITAL)
    case.endorse(OrgId("MakerMSP"))
    status = case.status()
    assert (case.stage, status["missing"], status["missing_roles"]) == (Stage.ENDORSED, 1, ["auditor"])
    assert case.endorse(REGULATOR)["stage"] == "approved"


def test_status_says_what_is_missing_and_who_could_give_it(case):
    before = case.status()
    assert (before["stage"], before["round"], before["missing"]) == ("draft", 0, 2)
    assert "since" not in before
    case.submit()
    case.endorse(HOSPITAL)
    status = case.status()
    assert (status["endorsed_by"], status["may_endorse"], status["missing"]) == ([HOSPITAL], [REGULATOR], 1)
    assert status["missing_roles"] == ["auditor"]
    assert not status["complete"]


def test_the_status_of_nothing_is_not_found(world):
    assert world.refused(LAB, GetStatus(NET)) == errors.RecordNotFound(NET)
    assert world.refused(LAB, GetStatus(Ref("run:r-1"))) == errors.RecordNotFound("run:r-1")
    assert world.refused(LAB, GetStatus(Ref("dataset-version:x:1"))).code == "not-found"


# --- Submission -------------------------------------------------------------------------------------------------


def test_only_the_owner_submits(case):
    assert case.refused(HOSPITAL, Submit(NET, case.digest)) == errors.NotTheOwner(NET, LAB, HOSPITAL)


def test_an_altered_artifact_is_not_submitted(case):
    assert case.refused(LAB, Submit(NET, ZERO)) == errors.ArtifactAltered(NET, str(case.digest), str(ZERO))


def test_what_is_not_there_is_not_submitted(case):
    assert case.refused(LAB, Submit(Ref("model-version:net:2"), ZERO)).code == "not-found"


def test_an_artifact_is_submitted_once_a_round(open_case):
    refusal = open_case.refused(LAB, Submit(NET, open_case.digest))
    assert refusal == errors.WrongStage(NET, "submitted", "submitting it", "draft")


def test_without_a_rule_there_is_nothing_to_submit_to(empty_world, make_case):
    empty_world.found(rules=())
    case = make_case(empty_world)
    assert case.refused(LAB, Submit(NET, case.digest)) == errors.RuleMissing("model-version", "approved")


def test_without_a_policy_nothing_is_endorsed(empty_world):
    envelope = empty_world.envelope(LAB, NET, ZERO)
    assert empty_world.refused(LAB, Endorse(NET, envelope)) == errors.PolicyMissing()


# --- Who may not endorse, and when ------------------------------------------------------------------------------


def test_an_organisation_cannot_endorse_twice(open_case):
    open_case.endorse(HOSPITAL)
    refusal = open_case.refused(HOSPITAL, open_case.endorsing(HOSPITAL))
    assert refusal == errors.AlreadyEndorsed(NET, "approved", HOSPITAL)


def test_an_owner_cannot_endorse_its_own(open_case):
    assert open_case.refused(LAB, open_case.endorsing(LAB)) == errors.OwnArtifact(NET, LAB)


def test_an_owner_counts_where_the_policy_says_so(case_under):
    case = case_under(owner_counts=True)
    assert case.endorse(LAB)["stage"] == "endorsed"
    assert case.endorse(HOSPITAL)["stage"] == "approved"


def test_an_organisation_outside_the_policy_cannot_endorse(open_case):
    assert open_case.refused("MakerMSP", open_case.endorsing("MakerMSP")) == errors.NotAMember("MakerMSP")


def test_an_organisation_without_the_role_cannot_endorse(case_under):
    case = case_under(threshold=Number(1), eligible_roles=(Role("auditor"),))
    assert case.refused(HOSPITAL, case.endorsing(HOSPITAL)) == errors.WithoutRole(HOSPITAL, "auditor")
    assert case.endorse(REGULATOR)["complete"]


def test_a_draft_cannot_be_endorsed(case):
    refusal = case.refused(HOSPITAL, case.endorsing(HOSPITAL))
    assert isinstance(refusal, errors.WrongStage)
    assert (refusal.stage, refusal.needed) == ("draft", "submitted or endorsed or approved or deployed")


def test_an_artifact_that_was_sent_back_cannot_be_endorsed(open_case):
    open_case.reject(REGULATOR)
    assert open_case.refused(HOSPITAL, open_case.endorsing(HOSPITAL)).code == "wrong-stage"


def test_an_organisation_cannot_endorse_after_its_withdrawal(open_case):
    open_case.endorse(HOSPITAL)
    open_case.withdraw(HOSPITAL)
    refusal = open_case.refused(HOSPITAL, open_case.endorsing(HOSPITAL))
    assert refusal == errors.EndorsedAfterWithdrawal(NET, "approved", HOSPITAL)
    assert open_case.status()["may_endorse"] == [REGULATOR]


def test_a_stage_that_no_rule_guards_cannot_be_endorsed(open_case):
    command = replace(open_case.endorsing(HOSPITAL), stage=Stage.DEPLOYED)
    assert open_case.refused(HOSPITAL, command) == errors.RuleMissing("model-version", "deployed")


def test_a_late_endorsement_of_an_approved_artifact_is_kept(empty_world, make_case):
    policy = empty_world.founding_policy()
    empty_world.found(members=(*policy.members, Member(OrgId("MakerMSP"))))
    case = make_case(empty_world)
    case.submit()
    for org in (HOSPITAL, REGULATOR):
        case.endorse(org)
    since = empty_world.read(ArtifactStage, NET).since
    empty_world.wait(hours=1)
    assert case.endorse(OrgId("MakerMSP"))["stage"] == "approved"
    assert empty_world.read(ArtifactStage, NET).since == since


# --- Evidence ---------------------------------------------------------------------------------------------------


def test_a_statement_about_another_digest_is_refused(open_case):
    envelope = open_case.world.envelope(HOSPITAL, NET, ZERO)
    refusal = open_case.refused(HOSPITAL, Endorse(NET, envelope))
    assert refusal == errors.StatementDigestDiffers(NET, str(open_case.digest))


def test_a_signature_of_another_organisation_is_refused(open_case):
    statement = open_case.world.statement(HOSPITAL, NET, open_case.digest)
    envelope = open_case.world.envelope(REGULATOR, NET, open_case.digest, statement=statement)
    assert open_case.refused(HOSPITAL, Endorse(NET, envelope)).code == "bad-signature"


def test_a_changed_payload_is_refused(open_case):
    envelope = open_case.endorsing(HOSPITAL).envelope
    other = open_case.world.envelope(REGULATOR, NET, open_case.digest)
    forged = replace(envelope, signatures=other.signatures)
    assert open_case.refused(HOSPITAL, Endorse(NET, forged)).code == "bad-signature"


@pytest.mark.parametrize(
    "change",
    [
        {"channel": "another"},
        {"organisation": "RegulatorMSP"},
        {"artifact": "model-version:net:2"},
        {"stage": "deployed"},
        {"decision": "reject"},
        {"round": 2},
        {"policy": 2},
        {"statement_type": "https://in-toto.io/Statement/v0.1"},
        {"predicate_type": "https://example.org/other"},
    ],
)
def test_a_statement_that_says_something_else_is_refused(open_case, change):
    statement = replace(open_case.world.statement(HOSPITAL, NET, open_case.digest), **change)
    envelope = open_case.world.envelope(HOSPITAL, NET, open_case.digest, statement=statement)
    assert open_case.refused(HOSPITAL, Endorse(NET, envelope)).code == "statement-invalid"


def test_the_name_of_the_subject_is_the_artifact(open_case):
    right = open_case.world.statement(HOSPITAL, NET, open_case.digest)
    statement = replace(right, subjects=(Subject("model-version:net:2", open_case.digest),))
    envelope = open_case.world.envelope(HOSPITAL, NET, open_case.digest, statement=statement)
    assert "its subject is not 'model-version:net:1' alone" in str(open_case.refused(HOSPITAL, Endorse(NET, envelope)))


def test_a_statement_of_an_earlier_round_is_refused(open_case):
    """An artifact that was rejected and submitted again is judged anew; nobody repeats an old word in its name."""
    earlier = open_case.endorsing(HOSPITAL)
    open_case.reject(REGULATOR)
    open_case.submit()
    refusal = open_case.refused(HOSPITAL, earlier)
    assert (refusal.code, str(refusal)) == (
        "statement-invalid",
        "The signed statement does not serve: its 'round' is not '2'.",
    )
    assert open_case.endorse(HOSPITAL)["stage"] == "endorsed"


def test_a_statement_under_an_earlier_policy_is_refused(open_case):
    earlier = open_case.endorsing(HOSPITAL)
    open_case.world.found(number=Number(2))
    assert "'policy' is not '2'" in str(open_case.refused(HOSPITAL, earlier))


def test_a_statement_may_name_the_first_block(open_case):
    statement = replace(open_case.world.statement(HOSPITAL, NET, open_case.digest), genesis=ZERO)
    envelope = open_case.world.envelope(HOSPITAL, NET, open_case.digest, statement=statement)
    assert open_case.world.submit(HOSPITAL, Endorse(NET, envelope))["stage"] == "endorsed"


@pytest.mark.parametrize("subjects", [0, 2])
def test_a_statement_has_one_subject(open_case, subjects):
    right = open_case.world.statement(HOSPITAL, NET, open_case.digest)
    statement = replace(right, subjects=right.subjects * subjects)
    envelope = open_case.world.envelope(HOSPITAL, NET, open_case.digest, statement=statement)
    assert open_case.refused(HOSPITAL, Endorse(NET, envelope)).code == "statement-invalid"


def test_an_envelope_of_another_type_is_refused(open_case):
    envelope = replace(open_case.endorsing(HOSPITAL).envelope, payload_type=Text("text/plain"))
    assert open_case.refused(HOSPITAL, Endorse(NET, envelope)).code == "statement-invalid"


@pytest.mark.parametrize("count", [0, 2])
def test_an_envelope_bears_one_signature(open_case, count):
    envelope = open_case.endorsing(HOSPITAL).envelope
    more = replace(envelope, signatures=(Signature(Blob(b"x")),) * count)
    assert open_case.refused(HOSPITAL, Endorse(NET, more)).code == "statement-invalid"


@pytest.mark.parametrize(
    "payload",
    [
        b"no json",
        b"[]",
        b"{}",
        b'{"predicate":1}',
        b'{"predicate":{},"subject":1}',
        b'{"predicate":{},"subject":[{"name":1}]}',
        b'{"predicate":{},"subject":[{"name":"n","digest":{"sha256":"00"}}]}',
        b'{"predicate":{"x":1.5},"subject":[]}',
        PREDICATE % b'"1","policy":1',
        PREDICATE % b'true,"policy":1',
        PREDICATE % b'1,"policy":1,"genesis":"00"',
    ],
)
def test_a_payload_that_is_no_statement_is_refused(open_case, payload):
    envelope = open_case.world.envelope(HOSPITAL, NET, open_case.digest, payload=payload)
    assert open_case.refused(HOSPITAL, Endorse(NET, envelope)).code == "statement-invalid"


# --- Rejection --------------------------------------------------------------------------------------------------


def test_a_rejection_that_makes_the_quorum_impossible_sends_the_artifact_back(open_case):
    event = open_case.reject(REGULATOR)
    assert (event["name"], event["stage"]) == ("ArtifactRejected", "draft")
    assert open_case.world.read(Rejection, NET, Stage.APPROVED, REGULATOR).reason == "unsafe"
    assert open_case.status()["rejected_by"] == [REGULATOR]


def test_a_rejection_that_leaves_the_quorum_possible_leaves_it_open(case_under):
    case = case_under(threshold=Number(1))
    assert case.reject(REGULATOR)["stage"] == "submitted"
    assert case.endorse(HOSPITAL)["stage"] == "approved"


def test_a_new_round_begins_without_the_words_of_the_last(open_case):
    open_case.endorse(HOSPITAL)
    open_case.reject(REGULATOR)
    assert open_case.submit()["round"] == 2
    assert open_case.status()["endorsed_by"] == []
    open_case.endorse(HOSPITAL)
    assert open_case.endorse(REGULATOR)["stage"] == "approved"


def test_an_organisation_speaks_once_in_a_round(case_under):
    case = case_under(threshold=Number(1))
    case.reject(REGULATOR)
    assert case.refused(REGULATOR, case.rejecting(REGULATOR)) == errors.AlreadyRejected(NET, "approved", REGULATOR)
    assert case.refused(REGULATOR, case.endorsing(REGULATOR)).code == "already-rejected"
    case.endorse(HOSPITAL)
    assert case.refused(HOSPITAL, case.rejecting(HOSPITAL)).code == "already-endorsed"


def test_a_rejection_needs_a_statement_that_rejects(open_case):
    envelope = open_case.endorsing(REGULATOR).envelope
    assert open_case.refused(REGULATOR, Reject(NET, envelope, Text("no"))).code == "statement-invalid"


def test_a_late_rejection_does_not_undo_an_approval(empty_world, make_case):
    policy = empty_world.founding_policy()
    rule = QuorumRule(ArtifactKind.MODEL_VERSION, Number(1), required_roles=(Role("auditor"),))
    empty_world.found(members=(*policy.members, Member(OrgId("MakerMSP"))), rules=(rule,))
    case = make_case(empty_world)
    case.submit()
    case.endorse(REGULATOR)
    assert case.reject(OrgId("MakerMSP"))["stage"] == "approved"


# --- What a statement says of reason and time ---------------------------------------------------------------------


def test_a_rejection_without_its_reason_signed_is_refused(open_case):
    right = open_case.world.statement(REGULATOR, NET, open_case.digest, Decision.REJECT)
    statement = replace(right, reason=None)
    envelope = open_case.world.envelope(REGULATOR, NET, open_case.digest, statement=statement)
    refusal = open_case.refused(REGULATOR, Reject(NET, envelope, Text("unsafe")))
    assert str(refusal) == "The signed statement does not serve: its 'reason' is not 'unsafe'."


def test_a_rejection_with_another_reason_than_was_signed_is_refused(open_case):
    envelope = open_case.rejecting(REGULATOR).envelope
    refusal = open_case.refused(REGULATOR, Reject(NET, envelope, Text("too slow")))
    assert str(refusal) == "The signed statement does not serve: its 'reason' is not 'too slow'."


def test_an_endorsement_has_no_reason(open_case):
    statement = open_case.world.statement(HOSPITAL, NET, open_case.digest, reason=Text("good"))
    envelope = open_case.world.envelope(HOSPITAL, NET, open_case.digest, statement=statement)
    assert "its 'reason' is not 'None'" in str(open_case.refused(HOSPITAL, Endorse(NET, envelope)))


@pytest.mark.parametrize(
    ("hours", "accepted"), [(0, True), (24, True), (24.001, False), (-0.033, True), (-0.034, False)]
)
def test_a_statement_is_of_the_day_before_its_transaction(open_case, hours, accepted):
    command = open_case.endorsing(HOSPITAL)
    dated = open_case.world.at
    open_case.world.wait(hours=hours)
    if accepted:
        assert open_case.world.submit(HOSPITAL, command)["stage"] == "endorsed"
        return
    refusal = open_case.refused(HOSPITAL, command)
    assert refusal == errors.StatementOutOfTime(int(dated), int(open_case.world.at))


def test_a_statement_without_a_time_is_refused(open_case):
    statement = replace(open_case.world.statement(HOSPITAL, NET, open_case.digest), at=None)
    envelope = open_case.world.envelope(HOSPITAL, NET, open_case.digest, statement=statement)
    assert "it does not say when it was made" in str(open_case.refused(HOSPITAL, Endorse(NET, envelope)))


def test_a_statement_of_version_1_is_refused_and_still_read(open_case):
    statement = replace(
        open_case.world.statement(HOSPITAL, NET, open_case.digest), at=None, predicate_type=PREDICATE_TYPE_1
    )
    payload = encode_statement(statement)
    assert decode_statement(payload) == statement
    # What version 1 does not define meant nothing in it.
    more = payload.replace(b'"artifact":', b'"at":"yesterday","reason":1,"seen":{},"artifact":', 1)
    assert decode_statement(more) == statement
    envelope = open_case.world.envelope(HOSPITAL, NET, open_case.digest, payload=payload)
    assert open_case.refused(HOSPITAL, Endorse(NET, envelope)).code == "statement-invalid"


def test_what_was_seen_is_the_signer_s_own_word(open_case):
    statement = replace(open_case.world.statement(HOSPITAL, NET, open_case.digest), seen=("evaluation:e-1",))
    envelope = open_case.world.envelope(HOSPITAL, NET, open_case.digest, statement=statement)
    assert open_case.world.submit(HOSPITAL, Endorse(NET, envelope))["stage"] == "endorsed"
    assert decode_statement(envelope.payload) == statement


@pytest.mark.parametrize(
    "member", [b'"at":"now"', b'"at":-1', b'"reason":1', b'"reason":""', b'"seen":{}', b'"seen":[1]', b'"seen":[%b]']
)
def test_members_of_version_2_have_their_forms(open_case, member):
    member = member.replace(b"%b", b",".join([b'"x"'] * 65))
    payload = encode_statement(replace(open_case.world.statement(HOSPITAL, NET, open_case.digest), at=None))
    payload = payload.replace(b'"artifact":', member + b',"artifact":', 1)
    envelope = open_case.world.envelope(HOSPITAL, NET, open_case.digest, payload=payload)
    assert open_case.refused(HOSPITAL, Endorse(NET, envelope)).code == "statement-invalid"
