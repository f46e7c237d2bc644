# SPDX-License-Identifier: Apache-2.0
"""Judging by criteria: exact whatever the numbers, and by every run that went into the weights."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chaincode.domain import errors
from chaincode.domain.criteria import Comparator, Criterion, EvaluationVerdict
from chaincode.domain.exactdecimal import ExactDecimal
from chaincode.domain.float64 import Float64
from chaincode.domain.judging import (
    MOST_LOOKED_AT,
    Origin,
    judge,
    meets,
    refuse_early,
    refuse_late,
    runs_that_made,
    verdict_of,
)
from chaincode.domain.usage import Metric
from chaincode.domain.values import SKEW, Count, Instant, Name, Ref, Text
from tests.chaincode.samples import sample

AUC = Text("auc")
PASS, FAIL = EvaluationVerdict.PASSED, EvaluationVerdict.FAILED
BAR, TOP = Ref("criteria:bar"), Ref("model-version:top:1")
REGISTERED = Instant(1_767_225_600_000)
MEANS = {
    Comparator.AT_LEAST: lambda measured, threshold: measured >= threshold,
    Comparator.ABOVE: lambda measured, threshold: measured > threshold,
    Comparator.AT_MOST: lambda measured, threshold: measured <= threshold,
    Comparator.BELOW: lambda measured, threshold: measured < threshold,
    Comparator.EQUAL: lambda measured, threshold: measured == threshold,
}
finite = st.floats(allow_nan=False, allow_infinity=False).map(lambda number: Float64(repr(number)))
near = st.integers(-3, 3).map(lambda step: f"0.95{'0' * 15}{abs(step)}" if step >= 0 else f"0.94{'9' * 15}{10 + step}")
thresholds = st.one_of(finite.map(ExactDecimal), near.map(ExactDecimal))


def criterion(comparator, threshold, metric=AUC):
    return Criterion(metric, comparator, ExactDecimal(threshold))


def bar(*all_of):
    return replace(sample("criteria"), criteria=Name("bar"), registered_at=REGISTERED, all_of=all_of)


def run(name, started=REGISTERED + 1):
    return replace(sample("training-run"), run=Name(name), started=Instant(started))


def looking(origins):
    """What a ledger with these versions says of them."""
    return lambda references: [origins[reference] for reference in references]


@given(st.one_of(finite, st.just(Float64("0.95"))), st.sampled_from(Comparator), thresholds)
def test_a_comparison_is_that_of_the_numbers_to_their_last_digit(value, comparator, threshold):
    expected = MEANS[comparator](Fraction(value), Fraction(threshold))
    assert meets(value, criterion(comparator, threshold)) is expected


@given(st.sampled_from(Comparator), thresholds)
def test_what_is_not_a_number_meets_nothing_and_the_infinities_are_beyond_all(comparator, threshold):
    assert not meets(Float64("nan"), criterion(comparator, threshold))
    above = comparator in (Comparator.AT_LEAST, Comparator.ABOVE)
    below = comparator in (Comparator.AT_MOST, Comparator.BELOW)
    assert meets(Float64("inf"), criterion(comparator, threshold)) is above
    assert meets(Float64("-inf"), criterion(comparator, threshold)) is below


def test_a_threshold_between_two_floats_is_not_rounded_to_either():
    assert meets(Float64("0.1"), criterion(Comparator.BELOW, "0.1000000000000000055511151231257827"))
    assert not meets(Float64("0.1"), criterion(Comparator.AT_LEAST, "0.1000000000000000055511151231257827"))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(Comparator), thresholds), min_size=1, max_size=6))
def test_an_evaluation_passes_where_it_meets_each_criterion(given_):
    all_of = [criterion(comparator, threshold, Text(metric)) for metric, comparator, threshold in given_]
    metrics = [Metric(Text(name), Float64("0.95")) for name in "abc"]
    judged = judge(bar(*all_of), metrics)
    assert [(each.metric, each.comparator, each.threshold) for each in judged] == [
        (each.metric, each.comparator, each.threshold) for each in all_of
    ]
    assert [each.verdict is PASS for each in judged] == [meets(Float64("0.95"), each) for each in all_of]
    assert verdict_of(judged) is (PASS if all(each.verdict is PASS for each in judged) else FAIL)


def test_only_what_speaks_of_the_whole_is_judged():
    wanted = bar(criterion(Comparator.AT_LEAST, "0.9"), criterion(Comparator.BELOW, "1", Text("loss")))
    metrics = [Metric(AUC, Float64("0.99"), Count(7)), Metric(AUC, Float64("0.5"))]
    with pytest.raises(errors.CriteriaMetricMissing) as refusal:
        judge(wanted, metrics)
    assert refusal.value == errors.CriteriaMetricMissing(BAR, ("loss",))
    judged = judge(wanted, [*metrics, Metric(Text("loss"), Float64("0.2"))])
    assert [each.verdict for each in judged] == [FAIL, PASS]


# --- Which came first -------------------------------------------------------------------------------------------


@given(st.integers(-10, 10), st.integers(-10, 10))
def test_every_run_has_to_start_after_the_criteria(first, second):
    assume((first, second) != (1, 1))
    runs = [run("a", REGISTERED + first), run("b", REGISTERED + second)]
    late = next((each for each in runs if each.started <= REGISTERED), None)
    if late is None:
        refuse_late(bar(), runs)
        return
    with pytest.raises(errors.CriteriaTooLate) as refusal:
        refuse_late(bar(), runs)
    assert refusal.value == errors.CriteriaTooLate(BAR, REGISTERED, f"run:{late.run}", late.started)


def test_an_evaluation_is_made_after_the_run_starts_as_far_as_clocks_agree():
    refuse_early(Name("e"), Instant(REGISTERED), [run("a", REGISTERED + SKEW)])
    with pytest.raises(errors.EvaluatedBeforeRun):
        refuse_early(Name("e"), Instant(REGISTERED), [run("a", REGISTERED + SKEW + 1)])


def version(number):
    return Ref(f"model-version:net:{number}")


@given(st.data())
def test_the_runs_are_the_nearest_above_on_every_way_up(data):
    """Of a graph in which each version was made from later ones, by a slow and obvious walk."""
    size = data.draw(st.integers(1, 12))
    origins = {}
    for number in range(1, size + 1):
        above = data.draw(st.sets(st.integers(number + 1, size + 1), max_size=3)) if number < size else set()
        trained = data.draw(st.booleans()) or not above
        origins[version(number)] = Origin(
            run(f"r-{number}") if trained else None, tuple(version(each) for each in sorted(above) if each <= size)
        )

    def expected(of):
        origin = origins[of]
        if origin.run is not None:
            return {origin.run.run}
        if not origin.parents:
            return {None}
        return set().union(*map(expected, origin.parents))

    wanted = expected(version(1))
    if None in wanted:
        with pytest.raises(errors.CriteriaWithoutRun) as refusal:
            runs_that_made(version(1), BAR, looking(origins))
        assert origins[Ref(refusal.value.version)] == Origin(None, ())
        return
    assert {each.run for each in runs_that_made(version(1), BAR, looking(origins))} == wanted


def test_a_version_of_which_no_run_is_recorded_is_not_judged():
    with pytest.raises(errors.CriteriaWithoutRun) as refusal:
        runs_that_made(TOP, BAR, looking({TOP: Origin(None, (version(1),)), version(1): Origin(None, ())}))
    assert refusal.value == errors.CriteriaWithoutRun(BAR, TOP, version(1))


@pytest.mark.parametrize("count", [MOST_LOOKED_AT - 1, MOST_LOOKED_AT])
def test_so_many_versions_are_looked_at_and_no_more(count):
    parents = [version(number) for number in range(1, count + 1)]
    origins = {TOP: Origin(None, tuple(parents))} | {each: Origin(run("r-1"), ()) for each in parents}
    if count < MOST_LOOKED_AT:
        assert [each.run for each in runs_that_made(TOP, BAR, looking(origins))] == ["r-1"]
        return
    with pytest.raises(errors.AncestryTooLarge) as refusal:
        runs_that_made(TOP, BAR, looking(origins))
    assert refusal.value.limit == MOST_LOOKED_AT
