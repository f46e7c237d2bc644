# SPDX-License-Identifier: Apache-2.0
"""Judging an evaluation by criteria: whether they were there first, and whether what was measured meets them."""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from chaincode.domain.criteria import Comparator, Criteria, Criterion, EvaluationVerdict, Judged
from chaincode.domain.errors import (
    AncestryTooLarge,
    CriteriaDataDiffers,
    CriteriaMetricMissing,
    CriteriaModelDiffers,
    CriteriaTooLate,
    CriteriaWithoutRun,
    EvaluatedBeforeRun,
)
from chaincode.domain.float64 import Float64
from chaincode.domain.training import TrainingRun
from chaincode.domain.usage import Found, Metric, RunInput
from chaincode.domain.values import SKEW, Instant, Name, Ref, criteria_ref, evaluation_ref, run_ref

MOST_LOOKED_AT: Final = 64
"""How many model versions are looked at, at most, to find the runs that made one."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What the ledger holds of how a model version was made."""

    run: TrainingRun | None
    parents: tuple[Ref, ...]
    """The versions it was made from, those that were declared later among them."""


Look = Callable[[Sequence[Ref]], Sequence[Origin]]
"""How several model versions were made, in their order."""


_COMPARES: Final[Mapping[Comparator, Callable[[Decimal, Decimal], bool]]] = MappingProxyType(
    {
        Comparator.AT_LEAST: operator.ge,
        Comparator.ABOVE: operator.gt,
        Comparator.AT_MOST: operator.le,
        Comparator.BELOW: operator.lt,
        Comparator.EQUAL: operator.eq,
    }
)
"""Comparing decimal numbers rounds nothing."""


def check_applies(criteria: Criteria, subject: Ref, data: RunInput) -> None:
    """Refuse to judge another model by criteria, or by what was measured on other data."""
    reference = criteria_ref(criteria.criteria)
    if criteria.model not in (None, subject.name):
        raise CriteriaModelDiffers(reference, str(criteria.model), subject)
    if (data.version, data.selection) != (criteria.version, criteria.selection):
        raise CriteriaDataDiffers(reference, criteria.selection or criteria.version, data.selection or data.version)
    if data.found is Found.DIFFERS:
        raise CriteriaDataDiffers(reference, str(criteria.root), str(data.root))


def runs_that_made(version: Ref, reference: Ref, look: Look) -> tuple[TrainingRun, ...]:
    """The run that made a model version or, where it names none, those that made what it was made from, and so on.

    A version that was merged or quantised names no run: its weights are those of its parents. `CriteriaWithoutRun`
    where a way up ends without a run, `AncestryTooLarge` beyond `MOST_LOOKED_AT` versions.
    """
    found: dict[Name, TrainingRun] = {}
    seen = {version}
    level: Sequence[Ref] = (version,)
    while level:
        above: list[Ref] = []
        for here, origin in zip(level, look(level), strict=True):
            if origin.run is not None:
                found[origin.run.run] = origin.run
            elif not origin.parents:
                raise CriteriaWithoutRun(reference, version, here)
            else:
                above += origin.parents
        level = [each for each in dict.fromkeys(above) if each not in seen]
        seen.update(level)
        if len(seen) > MOST_LOOKED_AT:
            raise AncestryTooLarge(version, "judge", MOST_LOOKED_AT, (version, level[-1]))
    return tuple(found.values())


def refuse_late(criteria: Criteria, runs: Iterable[TrainingRun]) -> None:
    """Refuse criteria that were registered when a run had started, or at the same moment."""
    for run in runs:
        if run.started <= criteria.registered_at:
            raise CriteriaTooLate(
                criteria_ref(criteria.criteria), criteria.registered_at, run_ref(run.run), run.started
            )


def refuse_early(evaluation: Name, evaluated_at: Instant, runs: Iterable[TrainingRun]) -> None:
    """Refuse an evaluation that was made before what it judges was begun, as far as clocks agree."""
    for run in runs:
        if evaluated_at + SKEW < run.started:
            raise EvaluatedBeforeRun(evaluation_ref(evaluation), evaluated_at, run_ref(run.run), run.started)


def judge(criteria: Criteria, metrics: Iterable[Metric]) -> tuple[Judged, ...]:
    """Each criterion beside what was measured; only metrics without a step speak of the whole."""
    measured = {metric.name: metric.value for metric in metrics if metric.step is None}
    missing = tuple(dict.fromkeys(each.metric for each in criteria.all_of if each.metric not in measured))
    if missing:
        raise CriteriaMetricMissing(criteria_ref(criteria.criteria), missing)
    return tuple(
        Judged(each.metric, each.comparator, each.threshold, value, _verdict(meets(value, each)))
        for each in criteria.all_of
        for value in (measured[each.metric],)
    )


def verdict_of(judged: Iterable[Judged]) -> EvaluationVerdict:
    """Whether all criteria are met."""
    return _verdict(all(each.verdict is EvaluationVerdict.PASSED for each in judged))


def meets(value: Float64, criterion: Criterion) -> bool:
    """Whether the recorded number, to its last digit, compares so with the threshold; ``nan`` never does."""
    measured = Decimal(value)
    return not measured.is_nan() and _COMPARES[criterion.comparator](measured, Decimal(criterion.threshold))


def _verdict(met: bool) -> EvaluationVerdict:
    return EvaluationVerdict.PASSED if met else EvaluationVerdict.FAILED
