# SPDX-License-Identifier: Apache-2.0
"""Refusals about evaluations that were registered before the training that they judge."""

from dataclasses import dataclass

from chaincode.domain.errors.base import Unmet


@dataclass
class CriteriaTooLate(Unmet):
    """The training had begun when the criteria were registered: the bar was not set first."""

    code = "criteria-too-late"
    sentence = (
        "'{criteria}' was registered at {registered_at}, and '{run}' had started at {started} (milliseconds since "
        "1970): only what was registered before a run judges what the run made."
    )
    criteria: str
    registered_at: int
    run: str
    started: int


@dataclass
class CriteriaWithoutRun(Unmet):
    """Nothing says when a model version was trained, so nothing shows that the criteria were there before."""

    code = "criteria-without-run"
    sentence = (
        "'{criteria}' cannot judge '{subject}': no run is recorded that made '{version}', so nothing shows which of "
        "them came first."
    )
    criteria: str
    subject: str
    version: str


@dataclass
class CriteriaModelDiffers(Unmet):
    """The criteria are for versions of another model."""

    code = "criteria-model-differs"
    sentence = "'{criteria}' is for versions of the model '{model}', and '{subject}' is of another."
    criteria: str
    model: str
    subject: str


@dataclass
class CriteriaDataDiffers(Unmet):
    """The evaluation was made on other data than the criteria name."""

    code = "criteria-data-differs"
    sentence = "'{criteria}' asks for what is measured on '{expected}', not on '{given}'."
    criteria: str
    expected: str
    given: str


@dataclass
class CriteriaMetricMissing(Unmet):
    """The evaluation does not have every metric that the criteria ask for."""

    code = "criteria-metric-missing"
    sentence = "'{criteria}' asks for metrics that the evaluation does not have, each without a step: {metrics}."
    criteria: str
    metrics: tuple[str, ...]


@dataclass
class EvaluatedBeforeRun(Unmet):
    """The evaluation is dated before the run that made what it judges."""

    code = "evaluated-before-run"
    sentence = (
        "'{evaluation}' was made at {evaluated_at}, before '{run}' started at {started} (milliseconds since 1970)."
    )
    evaluation: str
    evaluated_at: int
    run: str
    started: int
