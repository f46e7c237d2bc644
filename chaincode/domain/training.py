# SPDX-License-Identifier: Apache-2.0
"""Training runs and evaluations: what was trained on which data, with which code and settings, and how it did.

A run names the data set versions, the code, the environment and the parameters that it used; an evaluation names the
model version and the data that judged it. Each is written once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from chaincode.domain.errors import (
    AlreadyExists,
    ArtifactAltered,
    InvalidField,
    ParentMissing,
    RepeatedEntry,
    RunEndsBeforeItStarts,
    RunWithoutInput,
)
from chaincode.domain.float64 import Float64
from chaincode.domain.lineage import Edge
from chaincode.domain.provenance import DatasetVersion
from chaincode.domain.values import (
    Command,
    CommitId,
    Count,
    Digest,
    Event,
    Instant,
    Name,
    OrgId,
    Outcome,
    Query,
    Record,
    Ref,
    Setting,
    Text,
    evaluation_ref,
    refuse_future,
    refuse_repeats,
    run_ref,
)

MOST_PARAMETERS: Final = 1_024
"""How many parameters a run has at most."""
MOST_METRICS: Final = 10_000
"""How many metrics a run or an evaluation has at most, each step of each counted."""


class InputRole(StrEnum):
    """What a run used a data set version for."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class RunInput:
    """A data set version that a run used, and the root that the trainer found in its copy."""

    version: Ref
    root: Digest
    role: InputRole = InputRole.TRAIN


@dataclass(frozen=True, slots=True)
class Code:
    """The code that ran: the digest of its files and, where there is one, its repository and commit."""

    digest: Digest
    repository: Text | None = None
    commit: CommitId | None = None
    ignored: tuple[Text, ...] = field(default=(), metadata={"max": 64})
    """What the digest of a folder leaves out: names of files and folders at any depth; `*` is any characters."""


@dataclass(frozen=True, slots=True)
class Environment:
    """Where it ran: the digest of the lock file or image, and a few words."""

    digest: Digest
    description: Text | None = None


@dataclass(frozen=True, slots=True)
class Parameter:
    """A named setting of a run, as text."""

    name: Text
    value: Setting


@dataclass(frozen=True, slots=True)
class Metric:
    """A named measurement, and at which step of the run it was taken; without a step, it speaks of the whole."""

    name: Text
    value: Float64
    step: Count | None = None


@dataclass(frozen=True, slots=True)
class RecordRun(Command):
    """Record a training run that is over."""

    run: Name
    code: Code
    environment: Environment
    started: Instant
    finished: Instant
    inputs: tuple[RunInput, ...] = field(default=(), metadata={"max": 64})
    parents: tuple[Ref, ...] = field(default=(), metadata={"max": 64})
    """The model versions that the run began from."""
    parameters: tuple[Parameter, ...] = field(default=(), metadata={"max": MOST_PARAMETERS})
    metrics: tuple[Metric, ...] = field(default=(), metadata={"max": MOST_METRICS})
    note: Text | None = None


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


@dataclass(frozen=True, slots=True)
class TrainingRun(Record):
    """A training run; never rewritten."""

    run: Name
    owner: OrgId
    recorded_at: Instant
    code: Code
    environment: Environment
    started: Instant
    finished: Instant
    inputs: tuple[RunInput, ...]
    parents: tuple[Ref, ...]
    parameters: tuple[Parameter, ...] = field(metadata={"max": MOST_PARAMETERS})
    metrics: tuple[Metric, ...] = field(metadata={"max": MOST_METRICS})
    note: Text | None


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


@dataclass(frozen=True, slots=True)
class RunRecorded(Event):
    """A training run was recorded."""

    run: Name
    owner: OrgId


@dataclass(frozen=True, slots=True)
class EvaluationRecorded(Event):
    """An evaluation was recorded."""

    evaluation: Name
    owner: OrgId
    subject: Ref


@dataclass(frozen=True, slots=True)
class GetRun(Query):
    """Ask for a training run."""

    run: Name


@dataclass(frozen=True, slots=True)
class GetEvaluation(Query):
    """Ask for an evaluation."""

    evaluation: Name


# --- Rules ------------------------------------------------------------------------------------------------------


def record_run(
    command: RecordRun,
    *,
    by: OrgId,
    at: Instant,
    existing: TrainingRun | None,
    data: Mapping[Ref, DatasetVersion],
    parents: Mapping[Ref, Digest],
) -> Outcome:
    """Record a run of `by`; `data` and `parents` hold those that the command names and that exist."""
    reference = run_ref(command.run)
    if existing is not None:
        raise AlreadyExists(reference)
    if not command.inputs and not command.parents:
        raise RunWithoutInput(reference)
    if command.finished < command.started:
        raise RunEndsBeforeItStarts(command.started, command.finished)
    refuse_future("/finished", command.finished, at)
    for used in command.inputs:
        _check_input(used, reference, data)
    refuse_repeats("/inputs", (f"{used.version} ({used.role})" for used in command.inputs))
    for parent in command.parents:
        if parent not in parents:
            raise ParentMissing(reference, parent)
    refuse_repeats("/parents", command.parents)
    refuse_repeats("/parameters", (parameter.name for parameter in command.parameters))
    _refuse_measuring_twice(command.metrics)
    run = TrainingRun(
        run=command.run,
        owner=by,
        recorded_at=at,
        code=command.code,
        environment=command.environment,
        started=command.started,
        finished=command.finished,
        inputs=command.inputs,
        parents=command.parents,
        parameters=command.parameters,
        metrics=command.metrics,
        note=command.note,
    )
    return Outcome(writes=(run, *parents_of_run(run)), event=RunRecorded(command.run, by))


def record_evaluation(
    command: RecordEvaluation,
    *,
    by: OrgId,
    at: Instant,
    existing: Evaluation | None,
    subject: Digest | None,
    data: Mapping[Ref, DatasetVersion],
) -> Outcome:
    """Record an evaluation by `by`; `subject` is the digest of the model version on the ledger, None without one."""
    reference = evaluation_ref(command.evaluation)
    if existing is not None:
        raise AlreadyExists(reference)
    if subject is None:
        raise ParentMissing(reference, command.subject)
    if subject != command.digest:
        raise ArtifactAltered(command.subject, str(subject), str(command.digest))
    _check_input(command.data, reference, data)
    refuse_future("/evaluated_at", command.evaluated_at, at)
    if not command.metrics:
        raise InvalidField("/metrics", "an evaluation has at least one metric")
    _refuse_measuring_twice(command.metrics)
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
    )
    return Outcome(
        writes=(evaluation, *parents_of_evaluation(evaluation)),
        event=EvaluationRecorded(command.evaluation, by, command.subject),
    )


def _check_input(used: RunInput, reference: Ref, data: Mapping[Ref, DatasetVersion]) -> None:
    version = data.get(used.version)
    if version is None:
        raise ParentMissing(reference, used.version)
    if version.root != used.root:
        raise ArtifactAltered(used.version, str(version.root), str(used.root))


def _refuse_measuring_twice(metrics: tuple[Metric, ...]) -> None:
    """A name has one value at each step, and one for the whole."""
    seen: set[tuple[Text, Count | None]] = set()
    for metric in metrics:
        if (metric.name, metric.step) in seen:
            at = "" if metric.step is None else f" at step {metric.step}"
            raise RepeatedEntry("/metrics", metric.name + at)
        seen.add((metric.name, metric.step))


def parents_of_run(run: TrainingRun) -> tuple[Edge, ...]:
    """One edge to everything the run used; an input that was used in several roles has them all in one edge."""
    reference = run_ref(run.run)
    relations: dict[Ref, list[str]] = {}
    for used in run.inputs:
        relations.setdefault(used.version, []).append(used.role)
    inputs = [Edge(version, reference, Text("input:" + "+".join(roles))) for version, roles in relations.items()]
    return (*inputs, *(Edge(parent, reference, Text("initialised")) for parent in run.parents))


def parents_of_evaluation(evaluation: Evaluation) -> tuple[Edge, ...]:
    """The edges to the model version that was judged and to the data that judged it."""
    reference = evaluation_ref(evaluation.evaluation)
    return (
        Edge(evaluation.subject, reference, Text("evaluated")),
        Edge(evaluation.data.version, reference, Text(f"input:{evaluation.data.role}")),
    )
