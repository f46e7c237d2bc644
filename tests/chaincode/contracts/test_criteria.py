# SPDX-License-Identifier: Apache-2.0
"""Pre-registered evaluations through the contracts: what is judged, and every refusal with its code."""

import pytest

from chaincode.domain import errors
from chaincode.domain.criteria import Comparator, Criteria, Criterion, RegisterCriteria
from chaincode.domain.evaluation import Evaluation, RecordEvaluation
from chaincode.domain.exactdecimal import ExactDecimal
from chaincode.domain.float64 import Float64
from chaincode.domain.lifecycle import Quarantine
from chaincode.domain.lineage import Ancestry, Edge
from chaincode.domain.model import DeclareParent, ModelParent, RegisterModel, Relation
from chaincode.domain.provenance import Change
from chaincode.domain.selection import CommitSelection, LeftOut
from chaincode.domain.taint import Cause, Taint
from chaincode.domain.training import Code, Environment, RecordRun
from chaincode.domain.usage import Found, InputRole, Metric, RunInput
from chaincode.domain.values import Count, Digest, Instant, Name, Number, Ref, Text

HOSPITAL, LAB, REGULATOR = "HospitalMSP", "LabMSP", "RegulatorMSP"
DATA, HELD_OUT = Ref("dataset-version:wdbc:1"), Ref("selection:wdbc:1:held-out")
NET, BAR, JUDGED = Ref("model-version:net:1"), Ref("criteria:bar"), Ref("evaluation:e-1")
ZERO = Digest(bytes(32))
AUC, LOSS = Text("auc"), Text("loss")


@pytest.fixture
def set_up(world):
    """A world in which the hospital has held some records out, and the lab has said that it will make a model."""
    world.dataset(HOSPITAL, "wdbc")
    world.dataset_version(HOSPITAL, "wdbc")
    world.submit(
        HOSPITAL,
        CommitSelection(
            selection=Name("held-out"), version=DATA, root=world.digest_of("held-out"), size=Count(4),
            role=InputRole.TEST, left_out=(LeftOut(Text("trains"), Count(6)),),
        ),
    )  # fmt: skip
    world.submit(LAB, RegisterModel(Name("net"), Text("net")))
    return world


def criteria(name="bar", **changes):
    values = {
        "title": Text("What net has to reach"),
        "version": DATA,
        "selection": HELD_OUT,
        "model": Name("net"),
        "all_of": (
            Criterion(AUC, Comparator.AT_LEAST, ExactDecimal("0.95")),
            Criterion(LOSS, Comparator.BELOW, ExactDecimal("0.2")),
        ),
    }
    return RegisterCriteria(criteria=Name(name), **(values | changes))


def train(world, name="net", number=1, **changes):
    """A run that starts now, and the version that it made; answers the version."""
    world.wait(seconds=1)
    started = Instant(world.at)
    world.wait(seconds=10)
    run = Name(f"{name}-{number}")
    inputs = (RunInput(DATA, world.digest_of("wdbc:1")),)
    world.submit(
        LAB, RecordRun(run, Code(ZERO), Environment(ZERO), **({"started": started} | changes), finished=world.at,
                       inputs=inputs)
    )  # fmt: skip
    world.submit(LAB, world.record_model_version(name, number, run=run))
    return Ref(f"model-version:{name}:{number}")


def evaluation(world, subject=NET, name="e-1", auc="0.97", loss="0.1", **changes):
    values = {
        "subject": subject,
        "digest": world.record_model_version(subject.name, subject.number).digest,
        "data": RunInput(DATA, world.digest_of("held-out"), InputRole.TEST, HELD_OUT),
        "metrics": (Metric(AUC, Float64(auc)), Metric(LOSS, Float64(loss))),
        "evaluated_at": world.at,
        "criteria": Name("bar"),
    }
    return RecordEvaluation(evaluation=Name(name), **(values | changes))


# --- Criteria ---------------------------------------------------------------------------------------------------


def test_criteria_are_registered_with_the_data_that_is_measured_on(set_up):
    event = set_up.submit(REGULATOR, criteria())
    assert (event["name"], event["owner"], event["criteria"]) == ("CriteriaRegistered", REGULATOR, "bar")
    found = set_up.read(Criteria, "bar")
    assert (found.root, found.size, found.registered_at) == (set_up.digest_of("held-out"), 4, set_up.at)
    assert {Edge(DATA, BAR, Text("named")), Edge(HELD_OUT, BAR, Text("named"))} <= set(set_up.records())


def test_criteria_may_be_about_a_whole_version_and_any_model(set_up):
    set_up.submit(HOSPITAL, criteria(selection=None, model=None))
    found = set_up.read(Criteria, "bar")
    assert (found.root, found.size, found.model) == (set_up.digest_of("wdbc:1"), 10, None)


def test_criteria_are_never_changed(set_up):
    set_up.submit(REGULATOR, criteria())
    lower = criteria(all_of=(Criterion(AUC, Comparator.AT_LEAST, ExactDecimal("0.5")),))
    for org in (REGULATOR, LAB):
        assert set_up.refused(org, lower) == errors.AlreadyExists(BAR)


def test_only_a_member_sets_criteria(set_up):
    set_up.simulate(LAB, criteria())
    assert set_up.refused("OtherMSP", criteria()) == errors.NotAMember("OtherMSP")


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"version": Ref("dataset-version:wdbc:2")}, errors.ParentMissing(BAR, "dataset-version:wdbc:2")),
        ({"version": Ref("model:net")}, errors.ParentMissing(BAR, "model:net")),
        ({"selection": Ref("selection:wdbc:1:no")}, errors.ParentMissing(BAR, "selection:wdbc:1:no")),
        ({"selection": DATA}, errors.ParentMissing(BAR, DATA)),
        ({"model": Name("no")}, errors.ParentMissing(BAR, "model:no")),
        ({"all_of": ()}, errors.InvalidField("/all_of", "there must be at least one criterion")),
        (
            {"all_of": criteria().all_of + criteria().all_of[:1]},
            errors.RepeatedEntry("/all_of", "auc >="),
        ),
    ],
)
def test_criteria_of_nothing_are_refused(set_up, changes, refusal):
    assert set_up.refused(REGULATOR, criteria(**changes)) == refusal


def test_criteria_name_a_selection_from_their_version(set_up):
    set_up.dataset_version(HOSPITAL, "wdbc", 2, change=Change.REPLACES, parent_root=set_up.digest_of("wdbc:1"))
    refusal = set_up.refused(REGULATOR, criteria(version=Ref("dataset-version:wdbc:2")))
    assert refusal == errors.InvalidField("/selection", "it is not a selection from 'dataset-version:wdbc:2'")


def test_criteria_have_the_data_above_them_and_bear_its_mark_where_it_is_stopped(set_up):
    set_up.submit(HOSPITAL, Quarantine(DATA, Text("wrong labels")))
    set_up.submit(REGULATOR, criteria())
    assert set_up.read(Criteria, "bar").tainted_by == (Taint(Cause.QUARANTINED, (BAR, DATA)),)
    lineage = set_up.ask(Ancestry(BAR, Number(10)))
    assert {node["reference"] for node in lineage["nodes"]} >= {DATA, HELD_OUT}


# --- Evaluations ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("auc", "loss", "verdicts", "verdict"),
    [
        ("0.97", "0.1", ["pass", "pass"], "pass"),
        ("0.95", "0.1", ["pass", "pass"], "pass"),
        ("0.9499999999999998", "0.1", ["fail", "pass"], "fail"),
        ("0.97", "0.2", ["pass", "fail"], "fail"),
        ("nan", "inf", ["fail", "fail"], "fail"),
    ],
)
def test_the_rule_says_what_is_met(set_up, auc, loss, verdicts, verdict):
    set_up.submit(REGULATOR, criteria())
    train(set_up)
    set_up.submit(HOSPITAL, evaluation(set_up, auc=auc, loss=loss))
    shown = set_up.shown("evaluation", "e-1")
    assert [each["verdict"] for each in shown["judged"]] == verdicts
    assert (shown["criteria"], shown["verdict"], shown["runs"]) == ("bar", verdict, ["net-1"])
    assert shown["judged"][0] == {
        "metric": "auc", "comparator": ">=", "threshold": "0.95", "value": auc, "verdict": verdicts[0],
    }  # fmt: skip
    assert Edge(BAR, JUDGED, Text("applied")) in set_up.records()


def test_an_evaluation_without_criteria_has_no_verdict(set_up):
    train(set_up)
    set_up.submit(HOSPITAL, evaluation(set_up, criteria=None))
    found = set_up.read(Evaluation, "e-1")
    assert (found.criteria, found.verdict, found.judged, found.runs) == (None, None, None, None)


def test_criteria_that_came_after_the_run_started_judge_nothing(set_up):
    train(set_up)
    set_up.submit(REGULATOR, criteria())
    started, registered = set_up.shown("training-run", "net-1")["started"], int(set_up.at)
    refusal = set_up.refused(HOSPITAL, evaluation(set_up))
    assert refusal == errors.CriteriaTooLate(BAR, registered, "run:net-1", started)
    assert refusal.code == "criteria-too-late"


def test_criteria_of_the_very_moment_at_which_the_run_started_are_late(set_up):
    set_up.submit(REGULATOR, criteria())
    train(set_up, started=Instant(set_up.at))
    assert isinstance(set_up.refused(HOSPITAL, evaluation(set_up)), errors.CriteriaTooLate)


def test_a_version_without_a_run_is_not_judged(set_up):
    set_up.submit(REGULATOR, criteria())
    set_up.submit(LAB, set_up.record_model_version("net"))
    assert set_up.refused(HOSPITAL, evaluation(set_up)) == errors.CriteriaWithoutRun(BAR, NET, NET)


def test_a_merged_version_is_judged_by_the_runs_of_what_it_was_merged_from(set_up):
    set_up.submit(LAB, RegisterModel(Name("old"), Text("old")))
    old = train(set_up, "old")
    set_up.submit(REGULATOR, criteria(model=None))
    one, two = train(set_up), train(set_up, number=2)
    parents = tuple(ModelParent(each, Relation.MERGED) for each in (one, two))
    merged = set_up.model_version(LAB, "merged", parents=parents)
    subject = Ref("model-version:merged:1")
    set_up.submit(HOSPITAL, evaluation(set_up, subject, digest=merged.digest))
    assert set_up.read(Evaluation, "e-1").runs == ("net-1", "net-2")
    set_up.submit(LAB, DeclareParent(subject, old, Relation.MERGED))
    refusal = set_up.refused(HOSPITAL, evaluation(set_up, subject, "e-2"))
    assert isinstance(refusal, errors.CriteriaTooLate)
    assert refusal.run == "run:old-1"


def test_what_a_run_began_from_may_be_older_than_the_criteria(set_up):
    base = train(set_up)
    set_up.submit(REGULATOR, criteria(model=None))
    tuned = train(set_up, number=2, parents=(base,))
    set_up.submit(HOSPITAL, evaluation(set_up, tuned))
    assert set_up.read(Evaluation, "e-1").runs == ("net-2",)


def test_a_parent_that_is_declared_meanwhile_makes_the_evaluation_invalid(set_up):
    set_up.submit(LAB, RegisterModel(Name("old"), Text("old")))
    old = train(set_up, "old")
    set_up.submit(REGULATOR, criteria(model=None))
    new = train(set_up)
    set_up.model_version(LAB, "small", parents=(ModelParent(new, Relation.QUANTISED),))
    small = Ref("model-version:small:1")
    judged = set_up.simulate(HOSPITAL, evaluation(set_up, small))
    set_up.submit(LAB, DeclareParent(small, old, Relation.MERGED))
    assert not set_up.commit(judged)


def test_criteria_judge_their_own_model_on_their_own_data(set_up):
    set_up.submit(REGULATOR, criteria())
    train(set_up)
    set_up.submit(LAB, RegisterModel(Name("other"), Text("other")))
    other = train(set_up, "other")
    assert set_up.refused(HOSPITAL, evaluation(set_up, other)) == errors.CriteriaModelDiffers(BAR, "net", other)
    whole = RunInput(DATA, set_up.digest_of("wdbc:1"), InputRole.TEST)
    assert set_up.refused(HOSPITAL, evaluation(set_up, data=whole)) == errors.CriteriaDataDiffers(BAR, HELD_OUT, DATA)
    differs = RunInput(DATA, ZERO, InputRole.TEST, HELD_OUT, Found.DIFFERS)
    refusal = set_up.refused(HOSPITAL, evaluation(set_up, data=differs))
    assert refusal == errors.CriteriaDataDiffers(BAR, str(set_up.digest_of("held-out")), str(ZERO))


def test_criteria_about_a_whole_version_do_not_judge_what_was_measured_on_a_part(set_up):
    set_up.submit(REGULATOR, criteria(selection=None))
    train(set_up)
    assert set_up.refused(HOSPITAL, evaluation(set_up)) == errors.CriteriaDataDiffers(BAR, DATA, HELD_OUT)


def test_every_metric_of_the_criteria_is_measured(set_up):
    set_up.submit(REGULATOR, criteria())
    train(set_up)
    given = evaluation(set_up, metrics=(Metric(AUC, Float64("0.99")), Metric(LOSS, Float64("0.1"), Count(3))))
    assert set_up.refused(HOSPITAL, given) == errors.CriteriaMetricMissing(BAR, ("loss",))


def test_criteria_that_nobody_registered_judge_nothing(set_up):
    train(set_up)
    assert set_up.refused(HOSPITAL, evaluation(set_up)) == errors.ParentMissing(JUDGED, BAR)


def test_an_evaluation_is_not_dated_before_the_run(set_up):
    set_up.submit(REGULATOR, criteria())
    before = Instant(set_up.at)
    set_up.wait(minutes=5)
    train(set_up)
    started = set_up.shown("training-run", "net-1")["started"]
    refusal = set_up.refused(HOSPITAL, evaluation(set_up, evaluated_at=before))
    assert refusal == errors.EvaluatedBeforeRun(JUDGED, before, "run:net-1", started)
