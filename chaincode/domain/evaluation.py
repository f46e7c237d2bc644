# SPDX-License-Identifier: Apache-2.0
"""Evaluations: how a model version did on the data that judged it; each is written once."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from chaincode.domain.errors import AlreadyExists, ArtifactAltered, InvalidField, ParentMissing
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
) -> Outcome:
    """Record an evaluation by `by`; `cited` holds the model version and the data where they exist."""
    reference = evaluation_ref(command.evaluation)
    if existing is not None:
        raise AlreadyExists(reference)
    subject = cited.get(command.subject)
    if not isinstance(subject, ModelVersion):
        raise ParentMissing(reference, command.subject)
    if subject.digest != command.digest:
        raise ArtifactAltered(command.subject, str(subject.digest), str(command.digest))
    check_input(command.data, "/data", Use(reference, command.purpose, command.evaluated_at), cited)
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
    )
    return Outcome(
        writes=(evaluation, *parents_of_evaluation(evaluation)),
        event=EvaluationRecorded(command.evaluation, by, command.subject),
    )


def cited_by_evaluation(command: RecordEvaluation) -> tuple[Ref, ...]:
    """What an evaluation cites: the model version that is judged and the data that judge it."""
    return (command.subject, *cited_by_input(command.data))


def parents_of_evaluation(evaluation: Evaluation) -> tuple[Edge, ...]:
    """The edges to the model version that was judged and to the data that judged it."""
    reference = evaluation_ref(evaluation.evaluation)
    data = filter(None, (evaluation.data.version, evaluation.data.selection))
    return (
        Edge(evaluation.subject, reference, Text("evaluated")),
        *(Edge(source, reference, Text(f"input:{evaluation.data.role}")) for source in data),
    )
