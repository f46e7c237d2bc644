# SPDX-License-Identifier: Apache-2.0
"""Training runs and evaluations: what was trained on which data, with which code and settings, and how it did.

A run names the data set versions, the code, the environment and the parameters that it used; an evaluation names the
model version and the data that judged it. Each is written once.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from chaincode.domain.values import (
    Command,
    CommitId,
    Decimal,
    Digest,
    Event,
    Instant,
    Name,
    OrgId,
    Query,
    Record,
    Ref,
    Text,
)


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


@dataclass(frozen=True, slots=True)
class Environment:
    """Where it ran: the digest of the lock file or image, and a few words."""

    digest: Digest
    description: Text | None = None


@dataclass(frozen=True, slots=True)
class Parameter:
    """A named setting of a run, as text."""

    name: Text
    value: Text


@dataclass(frozen=True, slots=True)
class Metric:
    """A named measurement, as an exact decimal."""

    name: Text
    value: Decimal


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
    parameters: tuple[Parameter, ...] = field(default=(), metadata={"max": 1_024})
    metrics: tuple[Metric, ...] = field(default=(), metadata={"max": 1_024})
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
    metrics: tuple[Metric, ...] = field(metadata={"max": 1_024})
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
    parameters: tuple[Parameter, ...]
    metrics: tuple[Metric, ...]
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
    metrics: tuple[Metric, ...]
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
