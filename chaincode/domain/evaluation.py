# SPDX-License-Identifier: Apache-2.0
"""Evaluations: how a model version did on the data that judged it; each is written once.

An evaluation that names criteria is pre-registered: `domain.judging` says what that takes, and what it comes to.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from chaincode.domain.assessment import Assessment
from chaincode.domain.criteria import MOST_CRITERIA, Criteria, EvaluationVerdict, Judged
from chaincode.domain.errors import AlreadyExists, ArtifactAltered, InvalidField, ParentMissing
from chaincode.domain.judging import (
    MOST_LOOKED_AT,
    Look,
    check_applies,
    judge,
    refuse_early,
    refuse_late,
    runs_that_made,
    verdict_of,
)
from chaincode.domain.lineage import Edge
from chaincode.domain.model import ModelVersion
from chaincode.domain.permission import Use, check_input, cited_by_input
from chaincode.domain.taint import MOST_MARKS, Taint
from chaincode.domain.usage import MOST_METRICS, Metric, RunInput, refuse_measuring_twice
from chaincode.domain.values import (
    Command,
    Digest,
    Event,
    Instant,
    Iri,
    Name,
    OrgId,
    Outcome,
    Record,
    Ref,
    Text,
    criteria_ref,
    evaluation_ref,
    refuse_future,
)


@dataclass(frozen=True, slots=True)
class RecordEvaluation(Command):
    """Record how a model version did on a data set version."""

    evaluation: Name
    subject: Ref
    """The model version."""
    digest: Digest
    """The digest of the model version as the evaluator found it."""
    data: RunInput
    metrics: tuple[Metric, ...] = field(metadata={"max": MOST_METRICS})
    evaluated_at: Instant
    note: Text | None = None
    purpose: Iri | None = None
    """What it was for; needed where data is used that its subjects gave for purposes."""
    criteria: Name | None = None
    """The criteria that were registered before the training; None where it is judged by none."""


@dataclass(frozen=True, slots=True)
class Evaluation(Record):
    """An evaluation; never rewritten."""

    evaluation: Name
    owner: OrgId
    """The organisation that evaluated."""
    recorded_at: Instant
    subject: Ref
    digest: Digest
    data: RunInput
    metrics: tuple[Metric, ...] = field(metadata={"max": MOST_METRICS})
    evaluated_at: Instant
    note: Text | None
    tainted_by: tuple[Taint, ...] | None = field(default=None, metadata={"max": MOST_MARKS})
    """What above it was stopped when it was recorded, the nearest first; None: nothing, or recorded before marks."""
    purpose: Iri | None = None
    criteria: Name | None = None
    """The criteria by which it was judged; None: by none, or recorded before there were any."""
    verdict: EvaluationVerdict | None = None
    """Whether all of them are met, as the rule computed it; None where there are none."""
    judged: tuple[Judged, ...] | None = field(default=None, metadata={"max": MOST_CRITERIA})
    """Each criterion beside what was measured."""
    runs: tuple[Name, ...] | None = field(default=None, metadata={"max": MOST_LOOKED_AT})
    """The runs that made the model version, each started after the criteria were registered."""


@dataclass(frozen=True, slots=True)
class EvaluationRecorded(Event):
    """An evaluation was recorded."""

    evaluation: Name
    owner: OrgId
    subject: Ref


def record_evaluation(
    command: RecordEvaluation,
    *,
    by: OrgId,
    at: Instant,
    existing: Evaluation | None,
    cited: Mapping[Ref, Record],
    look: Look,
) -> Outcome:
    """Record an evaluation by `by`; `cited` holds the model version, the data and the criteria where they exist."""
    reference = evaluation_ref(command.evaluation)
    if existing is not None:
        raise AlreadyExists(reference)
    subject = cited.get(command.subject)
    if not isinstance(subject, ModelVersion):
        raise ParentMissing(reference, command.subject)
    if subject.digest != command.digest:
        raise ArtifactAltered(command.subject, str(subject.digest), str(command.digest))
    check_input(command.data, "/data", Use(reference, by, command.purpose, command.evaluated_at), cited)
    refuse_future("/evaluated_at", command.evaluated_at, at)
    if not command.metrics:
        raise InvalidField("/metrics", "an evaluation has at least one metric")
    refuse_measuring_twice(command.metrics)
    evaluation = Evaluation(
        evaluation=command.evaluation,
        owner=by,
        recorded_at=at,
        subject=command.subject,
        digest=command.digest,
        data=command.data,
        metrics=command.metrics,
        evaluated_at=command.evaluated_at,
        note=command.note,
        purpose=command.purpose,
        criteria=command.criteria,
    )
    if command.criteria is not None:
        evaluation = _judged(evaluation, criteria_ref(command.criteria), cited, look)
    return Outcome(
        writes=(evaluation, *parents_of_evaluation(evaluation)),
        event=EvaluationRecorded(command.evaluation, by, command.subject),
    )


def assessment_of(evaluation: Evaluation) -> Assessment:
    """What the law of endorsement needs to know of an evaluation."""
    return Assessment(
        evaluation_ref(evaluation.evaluation),
        evaluation.owner,
        evaluation.subject,
        passed=evaluation.verdict is EvaluationVerdict.PASSED,
    )


def _judged(evaluation: Evaluation, reference: Ref, cited: Mapping[Ref, Record], look: Look) -> Evaluation:
    """The evaluation with what judging it by criteria comes to, where these came first and are about it."""
    criteria = cited.get(reference)
    if not isinstance(criteria, Criteria):
        raise ParentMissing(evaluation_ref(evaluation.evaluation), reference)
    check_applies(criteria, evaluation.subject, evaluation.data)
    runs = runs_that_made(evaluation.subject, reference, look)
    refuse_late(criteria, runs)
    refuse_early(evaluation.evaluation, evaluation.evaluated_at, runs)
    judged = judge(criteria, evaluation.metrics)
    return replace(evaluation, verdict=verdict_of(judged), judged=judged, runs=tuple(run.run for run in runs))


def cited_by_evaluation(command: RecordEvaluation) -> tuple[Ref, ...]:
    """What an evaluation cites: the model version that is judged, the data that judge it, and the criteria."""
    criteria = () if command.criteria is None else (criteria_ref(command.criteria),)
    return (command.subject, *cited_by_input(command.data), *criteria)


def parents_of_evaluation(evaluation: Evaluation) -> tuple[Edge, ...]:
    """The edges to the model version that was judged, to the data that judged it, and to the criteria."""
    reference = evaluation_ref(evaluation.evaluation)
    data = filter(None, (evaluation.data.version, evaluation.data.selection))
    criteria = () if evaluation.criteria is None else (criteria_ref(evaluation.criteria),)
    return (
        Edge(evaluation.subject, reference, Text("evaluated")),
        *(Edge(source, reference, Text(f"input:{evaluation.data.role}")) for source in data),
        *(Edge(source, reference, Text("applied")) for source in criteria),
    )
