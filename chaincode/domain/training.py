# SPDX-License-Identifier: Apache-2.0
"""Training runs: what was trained on which data, with which code and settings.

A run names the data set versions, the code, the environment and the parameters that it used; it is written once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

from chaincode.domain.errors import (
    AlreadyExists,
    ParentMissing,
    RunEndsBeforeItStarts,
    RunWithoutInput,
)
from chaincode.domain.lineage import Edge
from chaincode.domain.permission import Use, check_input, cited_by_input
from chaincode.domain.taint import MOST_MARKS, Taint
from chaincode.domain.usage import MOST_METRICS, Metric, RunInput, refuse_measuring_twice
from chaincode.domain.values import (
    ArtifactKind,
    Blob,
    Command,
    CommitId,
    Count,
    Digest,
    Event,
    FilePath,
    Instant,
    Iri,
    Name,
    OrgId,
    Outcome,
    Record,
    Ref,
    Setting,
    Text,
    refuse_future,
    refuse_repeats,
    run_ref,
)

MOST_PARAMETERS: Final = 1_024
"""How many parameters a run has at most."""
MOST_ARTIFACTS: Final = 1_024
"""How many files a run names at most."""


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
class RunArtifact:
    """A file that a run wrote; it stays with the owner."""

    path: FilePath
    digest: Digest
    size: Count
    media_type: Text | None = None


@dataclass(frozen=True, slots=True)
class MetricHistory:
    """Every measurement of a run, in a file that stays with the owner: JSON Lines of name, value and step."""

    digest: Digest
    """The SHA-256 of the file's bytes."""
    size: Count
    """In bytes."""
    entries: Count


@dataclass(frozen=True, slots=True)
class RunSignature:
    """Whose word a run is: the signature of a DSSE envelope around the statement that `slsa` makes of the record."""

    sig: Blob = field(metadata={"max": 512})
    keyid: Text | None = None
    """A hint, which is not relied on."""
    genesis: Digest | None = None
    """The header hash of the channel's first block, where the signer knows it; it is part of what is signed."""


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
    purpose: Iri | None = None
    """What the run was for; needed where data is used that its subjects gave for purposes."""
    artifacts: tuple[RunArtifact, ...] | None = field(default=None, metadata={"max": MOST_ARTIFACTS})
    """The files that it wrote, each path once."""
    history: MetricHistory | None = None
    signature: RunSignature | None = None


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
    tainted_by: tuple[Taint, ...] | None = field(default=None, metadata={"max": MOST_MARKS})
    """What above it was stopped when it was recorded, the nearest first; None: nothing, or recorded before marks."""
    purpose: Iri | None = None
    artifacts: tuple[RunArtifact, ...] | None = field(default=None, metadata={"max": MOST_ARTIFACTS})
    history: MetricHistory | None = None
    signature: RunSignature | None = None
    """Of its owner; None in runs from before they were signed."""


@dataclass(frozen=True, slots=True)
class RunRecorded(Event):
    """A training run was recorded."""

    run: Name
    owner: OrgId


# --- Rules ------------------------------------------------------------------------------------------------------


def record_run(
    command: RecordRun,
    *,
    by: OrgId,
    at: Instant,
    existing: TrainingRun | None,
    cited: Mapping[Ref, Record],
    check: Callable[[RunSignature], None],
) -> Outcome:
    """Record a run of `by`; `cited` holds those of its inputs and parents that exist.

    `check` shows that a signature is the creator's over the statement of this run; it raises `BadSignature`.
    """
    reference = run_ref(command.run)
    if existing is not None:
        raise AlreadyExists(reference)
    if not command.inputs and not command.parents:
        raise RunWithoutInput(reference)
    if command.finished < command.started:
        raise RunEndsBeforeItStarts(command.started, command.finished)
    refuse_future("/finished", command.finished, at)
    for index, used in enumerate(command.inputs):
        check_input(used, f"/inputs/{index}", Use(reference, by, command.purpose, command.started), cited)
    refuse_repeats("/inputs", (f"{used.selection or used.version} ({used.role})" for used in command.inputs))
    for parent in command.parents:
        if parent.kind != ArtifactKind.MODEL_VERSION or parent not in cited:
            raise ParentMissing(reference, parent)
    refuse_repeats("/parents", command.parents)
    refuse_repeats("/parameters", (parameter.name for parameter in command.parameters))
    refuse_measuring_twice(command.metrics)
    refuse_repeats("/artifacts", (artifact.path for artifact in command.artifacts or ()))
    if command.signature is not None:
        check(command.signature)
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
        purpose=command.purpose,
        artifacts=command.artifacts,
        history=command.history,
        signature=command.signature,
    )
    return Outcome(writes=(run, *parents_of_run(run)), event=RunRecorded(command.run, by))


def cited_by_run(command: RecordRun) -> tuple[Ref, ...]:
    """What a run cites: what its inputs do, and the model versions that it began from."""
    return (*chain.from_iterable(map(cited_by_input, command.inputs)), *command.parents)


def parents_of_run(run: TrainingRun) -> tuple[Edge, ...]:
    """One edge to everything the run used; an input that was used in several roles has them all in one edge."""
    reference = run_ref(run.run)
    relations: dict[Ref, list[str]] = {}
    for used in run.inputs:
        for source in filter(None, (used.version, used.selection)):
            roles = relations.setdefault(source, [])
            if used.role not in roles:
                roles.append(used.role)
    inputs = [Edge(source, reference, Text("input:" + "+".join(roles))) for source, roles in relations.items()]
    return (*inputs, *(Edge(parent, reference, Text("initialised")) for parent in run.parents))
