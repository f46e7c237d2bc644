# SPDX-License-Identifier: Apache-2.0
"""Policies that ask for a pre-registered evaluation: what is endorsed under them, and every refusal with its code."""

from dataclasses import replace

import pytest

from chaincode.domain import errors
from chaincode.domain.criteria import Comparator, Criterion, RegisterCriteria
from chaincode.domain.endorsement import Endorse
from chaincode.domain.evaluation import RecordEvaluation
from chaincode.domain.exactdecimal import ExactDecimal
from chaincode.domain.float64 import Float64
from chaincode.domain.lifecycle import Advance, ArtifactStage, Quarantine, Release
from chaincode.domain.policy import Member, QuorumRule, Stage
from chaincode.domain.status import GetStatus
from chaincode.domain.submission import Submit
from chaincode.domain.training import Code, Environment, RecordRun
from chaincode.domain.usage import Metric, RunInput
from chaincode.domain.values import ArtifactKind, Digest, Instant, Name, Number, OrgId, Ref, Role, Text

HOSPITAL, LAB, REGULATOR, MAKER = (OrgId(f"{name}MSP") for name in ("Hospital", "Lab", "Regulator", "Maker"))
AUDITOR = Role("auditor")
DATA, NET, SECOND = Ref("dataset-version:wdbc:1"), Ref("model-version:net:1"), Ref("model-version:net:2")
ZERO, AUC = Digest(bytes(32)), Text("auc")
RULE = QuorumRule(ArtifactKind.MODEL_VERSION, Number(1), judged_by_roles=(AUDITOR,))
ANY = replace(RULE, judged_by_roles=())
PLAIN = replace(RULE, judged_by_roles=None)
GUARDED = replace(RULE, stage=Stage.DEPLOYED)


class Bar:
    """A consortium of four whose policy asks for an evaluation, criteria of the regulator's, and the lab's model."""

    def __init__(self, world, *rules):
        self.world = world
        members = (*world.founding_policy().members, Member(MAKER, (AUDITOR,)))
        world.found(members=members, rules=rules)
        self.members = members
        world.dataset(HOSPITAL, "wdbc")
        world.dataset_version(HOSPITAL, "wdbc")
        criterion = Criterion(AUC, Comparator.AT_LEAST, ExactDecimal("0.95"))
        world.submit(REGULATOR, RegisterCriteria(Name("bar"), Text("Bar"), DATA, (criterion,)))
        self.digest = self.train(1)

    def train(self, number):
        world = self.world
        world.wait(seconds=1)
        started = Instant(world.at)
        world.wait(seconds=1)
        run, inputs = Name(f"r-{number}"), (RunInput(DATA, world.digest_of("wdbc:1")),)
        world.submit(LAB, RecordRun(run, Code(ZERO), Environment(ZERO), started, world.at, inputs))
        return world.model_version(LAB, "net", number, run=run).digest

    def evaluate(self, by=REGULATOR, name="e-1", auc="0.97", subject=NET, criteria="bar"):
        self.world.submit(
            by,
            RecordEvaluation(
                evaluation=Name(name), subject=subject,
                digest=self.world.record_model_version("net", subject.number).digest,
                data=RunInput(DATA, self.world.digest_of("wdbc:1")), metrics=(Metric(AUC, Float64(auc)),),
                evaluated_at=self.world.at, criteria=None if criteria is None else Name(criteria),
            ),
        )  # fmt: skip
        return Name(name)

    def submission(self, evaluation=None):
        return Submit(NET, self.digest, evaluation=evaluation)

    def submit(self, evaluation=None):
        return self.world.submit(LAB, self.submission(evaluation))

    def endorsing(self, by=HOSPITAL, stage=Stage.APPROVED, seen=("evaluation:e-1",)):
        statement = replace(self.world.statement(by, NET, self.digest, stage=stage), seen=seen)
        return Endorse(NET, self.world.envelope(by, NET, self.digest, statement=statement), stage)

    def refuses_word(self, **more):
        return self.world.refused(HOSPITAL, self.endorsing(**more))

    def amend(self, number, *rules, members=None):
        policy = self.world.founding_policy(number=Number(number), members=members or self.members, rules=rules)
        for org in (HOSPITAL, LAB):
            self.world.submit(org, policy)

    def status(self, stage=Stage.APPROVED):
        found = self.world.ask(GetStatus(NET, stage))
        return found.get("evaluation"), found.get("assessed")


@pytest.fixture
def under(empty_world):
    """Makes a consortium under some rules."""
    return lambda *rules: Bar(empty_world, *rules)


# --- The way to approval ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rule", "by"), [(RULE, REGULATOR), (RULE, MAKER), (ANY, HOSPITAL)])
def test_what_passed_is_endorsed_and_the_record_names_the_evaluation(under, rule, by):
    bar = under(rule)
    bar.submit(bar.evaluate(by))
    assert bar.world.read(ArtifactStage, NET).evaluation == "e-1"
    assert bar.status() == ("e-1", True)
    assert bar.world.submit(HOSPITAL, bar.endorsing())["stage"] == "approved"
    assert bar.world.submit(LAB, Advance(NET, Stage.DEPLOYED))["stage"] == "deployed"


def test_without_an_evaluation_nobody_endorses(under):
    bar = under(RULE)
    bar.submit()
    assert bar.status() == (None, False)
    assert bar.refuses_word() == errors.EvaluationMissing(NET, "approved", "auditor")
    envelope = bar.world.envelope(HOSPITAL, NET, bar.digest, statement=None)
    assert bar.world.refused(HOSPITAL, Endorse(NET, envelope)).code == "evaluation-missing"


def test_where_no_rule_asks_nothing_is_needed_and_what_is_named_is_kept(under):
    bar = under(PLAIN)
    bar.submit(bar.evaluate())
    assert bar.status() == ("e-1", None)
    assert bar.world.submit(HOSPITAL, bar.endorsing(seen=()))["stage"] == "approved"


def test_a_statement_that_does_not_list_the_evaluation_is_refused(under):
    bar = under(RULE)
    bar.submit(bar.evaluate())
    for seen in ((), ("evaluation:e-2",)):
        refusal = bar.refuses_word(seen=seen)
        assert refusal == errors.StatementInvalid("it does not list 'evaluation:e-1' among what was 'seen'")


# --- What a submission may name -----------------------------------------------------------------------------------


def test_an_evaluation_that_nobody_recorded_is_refused(under):
    bar = under(RULE)
    assert bar.world.refused(LAB, bar.submission(Name("no"))) == errors.RecordNotFound("evaluation:no")


def test_an_evaluation_that_failed_is_refused(under):
    bar = under(RULE)
    refusal = bar.world.refused(LAB, bar.submission(bar.evaluate(auc="0.94")))
    assert refusal == errors.EvaluationNotPassed("evaluation:e-1")


def test_an_evaluation_without_criteria_is_refused(under):
    bar = under(PLAIN)
    refusal = bar.world.refused(LAB, bar.submission(bar.evaluate(criteria=None)))
    assert refusal == errors.EvaluationNotPassed("evaluation:e-1")


def test_an_evaluation_of_another_version_is_refused(under):
    bar = under(RULE)
    bar.train(2)
    refusal = bar.world.refused(LAB, bar.submission(bar.evaluate(subject=SECOND)))
    assert refusal == errors.EvaluationOfAnother("evaluation:e-1", SECOND, NET)


@pytest.mark.parametrize("rule", [RULE, ANY, PLAIN])
def test_an_evaluation_by_the_owner_is_refused(under, rule):
    bar = under(rule)
    refusal = bar.world.refused(LAB, bar.submission(bar.evaluate(LAB)))
    assert refusal == errors.EvaluatedByOwner("evaluation:e-1", LAB, NET)


def test_an_evaluation_by_a_member_without_the_role_is_refused(under):
    bar = under(RULE)
    refusal = bar.world.refused(LAB, bar.submission(bar.evaluate(HOSPITAL)))
    assert refusal == errors.EvaluatorWithoutRole("evaluation:e-1", HOSPITAL, "auditor")


# --- The rule in force when the word is given -------------------------------------------------------------------


def test_a_rule_that_came_after_the_submission_is_asked(under):
    bar = under(PLAIN)
    bar.submit(bar.evaluate(HOSPITAL))
    bar.amend(2, RULE)
    assert bar.refuses_word() == errors.EvaluatorWithoutRole("evaluation:e-1", HOSPITAL, "auditor")
    assert bar.status() == ("e-1", False)
    bar.amend(3, ANY)
    assert bar.status() == ("e-1", True)
    assert bar.world.submit(HOSPITAL, bar.endorsing())["stage"] == "approved"


def test_an_evaluator_that_is_a_member_no_more_does_not_count(under):
    bar = under(ANY)
    bar.submit(bar.evaluate(MAKER))
    bar.amend(2, ANY, members=bar.members[:3])
    assert bar.refuses_word() == errors.EvaluatorWithoutRole("evaluation:e-1", MAKER, "any")


def test_what_is_approved_does_not_deploy_where_the_policy_asks_for_more_since(under):
    bar = under(PLAIN)
    bar.submit()
    bar.world.submit(HOSPITAL, bar.endorsing(seen=()))
    bar.amend(2, RULE)
    assert bar.world.refused(LAB, Advance(NET, Stage.DEPLOYED)) == errors.EvaluationMissing(NET, "approved", "auditor")
    bar.submit(bar.evaluate())
    assert bar.world.read(ArtifactStage, NET).round == 2
    bar.world.submit(HOSPITAL, bar.endorsing())
    assert bar.world.submit(LAB, Advance(NET, Stage.DEPLOYED))["stage"] == "deployed"


def test_a_rule_may_guard_deployment_alone(under):
    bar = under(PLAIN, GUARDED)
    bar.submit()
    bar.world.submit(HOSPITAL, bar.endorsing(seen=()))
    assert bar.status(Stage.DEPLOYED) == (None, False)
    missing = errors.EvaluationMissing(NET, "deployed", "auditor")
    assert bar.refuses_word(stage=Stage.DEPLOYED) == missing
    assert bar.world.refused(LAB, Advance(NET, Stage.DEPLOYED)) == missing
    bar.submit(bar.evaluate())
    bar.world.submit(HOSPITAL, bar.endorsing(seen=()))
    assert bar.world.submit(HOSPITAL, bar.endorsing(stage=Stage.DEPLOYED))["complete"]
    assert bar.world.submit(LAB, Advance(NET, Stage.DEPLOYED))["stage"] == "deployed"


# --- Submitting again -------------------------------------------------------------------------------------------


def test_a_submission_is_made_again_with_the_evaluation_that_it_lacked_and_only_then(under):
    bar = under(RULE)
    bar.submit()
    again = errors.WrongStage(NET, "submitted", "submitting it", "draft")
    assert bar.world.refused(LAB, bar.submission()) == again
    bar.submit(bar.evaluate())
    assert bar.world.read(ArtifactStage, NET).round == 2
    for evaluation in (None, Name("e-1"), bar.evaluate(name="e-2")):
        assert bar.world.refused(LAB, bar.submission(evaluation)) == again


def test_an_evaluation_that_no_rule_asks_for_opens_no_round(under):
    bar = under(PLAIN)
    bar.submit()
    assert bar.world.refused(LAB, bar.submission(bar.evaluate())).code == "wrong-stage"


def test_what_is_deployed_can_be_submitted_with_the_evaluation_that_its_renewal_needs(under):
    bar = under(PLAIN)
    bar.submit()
    bar.world.submit(HOSPITAL, bar.endorsing(seen=()))
    bar.world.submit(LAB, Advance(NET, Stage.DEPLOYED))
    bar.amend(2, RULE)
    assert bar.world.refused(LAB, bar.submission()).code == "wrong-stage"
    bar.submit(bar.evaluate())
    standing = bar.world.read(ArtifactStage, NET)
    assert (standing.stage, standing.lost_at) == (Stage.SUBMITTED, bar.world.at)


def test_what_is_retired_is_not_submitted_again(under):
    bar = under(PLAIN)
    bar.submit()
    bar.world.submit(HOSPITAL, bar.endorsing(seen=()))
    for stage in (Stage.DEPLOYED, Stage.DEPRECATED):
        bar.world.submit(LAB, Advance(NET, stage))
    bar.amend(2, RULE)
    assert bar.world.refused(LAB, bar.submission(bar.evaluate())).code == "wrong-stage"


def test_a_quarantine_does_not_lose_the_evaluation(under):
    bar = under(RULE)
    bar.submit(bar.evaluate())
    bar.world.submit(REGULATOR, Quarantine(NET, Text("look")))
    assert bar.world.read(ArtifactStage, NET).evaluation == "e-1"
    bar.world.submit(REGULATOR, Release(NET, Text("looked")))
    assert bar.world.submit(HOSPITAL, bar.endorsing())["stage"] == "approved"


# --- Policies that could not work ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rule",
    [
        replace(RULE, judged_by_roles=(Role("judge"),)),
        replace(RULE, artifact_kind=ArtifactKind.DATASET_VERSION),
        replace(RULE, stage=Stage.RETIRED),
        replace(RULE, judged_by_roles=(AUDITOR, AUDITOR)),
    ],
)
def test_a_rule_by_which_nothing_could_be_judged_is_refused(empty_world, rule):
    refusal = empty_world.refused(HOSPITAL, empty_world.founding_policy(rules=(rule,)))
    assert isinstance(refusal, errors.InvalidField | errors.RepeatedEntry)
    assert refusal.pointer == "/rules/0/judged_by_roles"
