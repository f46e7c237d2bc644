# SPDX-License-Identifier: Apache-2.0
"""Models and their versions: the exact files, the licence, the run that made them and the models they came from.

A version commits to every file of the model by its SHA-256 and is written once. What it was made from is part of it;
a parent that becomes known later can be added by the owner, as long as no circle closes and the licence allows it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from itertools import pairwise
from typing import Final

from chaincode.domain.claims import MOST_CLAIMS, DigestClaim, earlier_claims, first_claims
from chaincode.domain.errors import (
    AlreadyExists,
    ArtifactAltered,
    InvalidField,
    NotTheOwner,
    ParentMissing,
    RecordNotFound,
    RepeatedEntry,
    SelfParent,
    TooLarge,
    VersionOutOfOrder,
)
from chaincode.domain.licensing import check_licence
from chaincode.domain.lineage import Edge, refuse_circle
from chaincode.domain.provenance import DatasetVersion
from chaincode.domain.spdx import Licence
from chaincode.domain.taint import MOST_MARKS, Taint
from chaincode.domain.training import TrainingRun
from chaincode.domain.usage import InputRole
from chaincode.domain.values import (
    Command,
    Count,
    Digest,
    Event,
    FilePath,
    Instant,
    Name,
    Number,
    OrgId,
    Outcome,
    Record,
    Ref,
    Text,
    model_ref,
    model_version_ref,
    refuse_repeats,
    run_ref,
)

_MOST_LATER: Final = 64
"""How many parents may be added to a model version: the record that holds them is read with every step of a walk."""
_MOST_IGNORED: Final = 64
_WILDCARDS: Final = frozenset("*?[")


class Relation(StrEnum):
    """How a model version was made from another."""

    FINE_TUNED = "fine-tuned"
    DISTILLED = "distilled"
    MERGED = "merged"
    QUANTISED = "quantised"
    ADAPTER = "adapter"


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a model."""

    path: FilePath
    digest: Digest
    size: Count


@dataclass(frozen=True, slots=True)
class ModelParent:
    """A model version that another was made from."""

    version: Ref
    relation: Relation


@dataclass(frozen=True, slots=True)
class RegisterModel(Command):
    """Register a model; the caller's organisation becomes its owner."""

    model: Name
    title: Text
    task: Text | None = None
    description: Text | None = None
    card: Digest | None = None


@dataclass(frozen=True, slots=True)
class RecordModelVersion(Command):
    """Record a version of one's own model."""

    model: Name
    number: Number
    digest: Digest
    """`manifest_digest` of `files`: the subject digest of an OpenSSF model signature."""
    files: tuple[FileEntry, ...] = field(metadata={"max": 4_096})
    """Every file, in the order of their paths."""
    licence: Licence
    run: Name | None = None
    parents: tuple[ModelParent, ...] = field(default=(), metadata={"max": 64})
    note: Text | None = None
    ignore_paths: tuple[FilePath, ...] = field(default=(), metadata={"max": _MOST_IGNORED})
    """What of the model's folder is not part of it, in order: `ignore_paths` of an OpenSSF model signature."""


@dataclass(frozen=True, slots=True)
class DeclareParent(Command):
    """Add a parent to one's own model version after it was recorded."""

    child: Ref
    parent: Ref
    relation: Relation


@dataclass(frozen=True, slots=True)
class Model(Record):
    """A model; never rewritten."""

    model: Name
    owner: OrgId
    registered_at: Instant
    title: Text
    task: Text | None
    description: Text | None
    card: Digest | None
    earlier_claims: tuple[DigestClaim, ...] = field(default=(), metadata={"max": MOST_CLAIMS})
    """Who had recorded the same bytes first, where that was another organisation."""


@dataclass(frozen=True, slots=True)
class ModelVersion(Record):
    """A version of a model; never rewritten."""

    model: Name
    number: Number
    owner: OrgId
    recorded_at: Instant
    digest: Digest
    files: tuple[FileEntry, ...] = field(metadata={"max": 4_096})
    licence: Licence
    run: Name | None
    parents: tuple[ModelParent, ...]
    note: Text | None
    ignore_paths: tuple[FilePath, ...] = field(default=(), metadata={"max": _MOST_IGNORED})
    earlier_claims: tuple[DigestClaim, ...] = field(default=(), metadata={"max": MOST_CLAIMS})
    """Who had recorded the same bytes first, where that was another organisation."""
    tainted_by: tuple[Taint, ...] | None = field(default=None, metadata={"max": MOST_MARKS})
    """What above it was stopped when it was recorded, the nearest first; None: nothing, or recorded before marks."""


@dataclass(frozen=True, slots=True)
class LaterParents(Record):
    """The parents that were added to a model version after it was recorded."""

    child: Ref
    owner: OrgId
    changed_at: Instant
    parents: tuple[ModelParent, ...] = field(metadata={"max": _MOST_LATER})
    tainted_by: tuple[Taint, ...] | None = field(default=None, metadata={"max": MOST_MARKS})
    """What above it was stopped when it was recorded, the nearest first; None: nothing, or recorded before marks."""


@dataclass(frozen=True, slots=True)
class ModelRegistered(Event):
    """A model was registered."""

    model: Name
    owner: OrgId


@dataclass(frozen=True, slots=True)
class ModelVersionRecorded(Event):
    """A version of a model was recorded."""

    version: Ref
    owner: OrgId
    digest: Digest


@dataclass(frozen=True, slots=True)
class ParentDeclared(Event):
    """A parent was added to a model version."""

    child: Ref
    parent: Ref
    relation: Relation


# --- Rules ------------------------------------------------------------------------------------------------------


def manifest_digest(files: Iterable[FileEntry]) -> Digest:
    """SHA-256 over the digests of the files in the order of their paths.

    The same as the subject digest of an OpenSSF model signature (OMS 1.0, serialisation method ``files``).
    """
    return Digest(sha256(b"".join(file.digest for file in files)).digest())


def register_model(
    command: RegisterModel, *, by: OrgId, at: Instant, existing: Model | None, claims: Mapping[Digest, DigestClaim]
) -> Outcome:
    """Register a model for `by`."""
    reference = model_ref(command.model)
    if existing is not None:
        raise AlreadyExists(reference)
    digests = () if command.card is None else (command.card,)
    model = Model(
        model=command.model,
        owner=by,
        registered_at=at,
        title=command.title,
        task=command.task,
        description=command.description,
        card=command.card,
        earlier_claims=earlier_claims(digests, by=by, claims=claims),
    )
    return Outcome(
        writes=(model, *first_claims(digests, by=by, at=at, reference=reference, claims=claims)),
        event=ModelRegistered(command.model, by),
    )


def record_model_version(
    command: RecordModelVersion,
    *,
    by: OrgId,
    at: Instant,
    model: Model | None,
    previous: ModelVersion | None,
    existing: ModelVersion | None,
    run: TrainingRun | None,
    data: Mapping[Ref, DatasetVersion],
    parents: Mapping[Ref, ModelVersion],
    claims: Mapping[Digest, DigestClaim],
) -> Outcome:
    """Record a version; `run` is the one that made it, `data` its inputs, `parents` the run's and the command's."""
    reference = model_version_ref(command.model, command.number)
    if model is None:
        raise RecordNotFound(model_ref(command.model))
    if model.owner != by:
        raise NotTheOwner(model_ref(command.model), model.owner, by)
    if existing is not None:
        raise AlreadyExists(reference)
    if command.number > 1 and previous is None:
        raise VersionOutOfOrder(model_ref(command.model), command.number, command.number - 1)
    _check_manifest(command, reference)
    _check_parents(command.parents, reference, parents)
    if command.run is not None:
        _check_run(command.run, run, reference, by)
    ancestors = [((parent.version,), parents[parent.version].licence) for parent in command.parents]
    check_licence(command.licence, reference, [*ancestors, *_ancestors_by_run(run, data, parents)])
    version = ModelVersion(
        model=command.model,
        number=command.number,
        owner=by,
        recorded_at=at,
        digest=command.digest,
        files=command.files,
        licence=command.licence,
        run=command.run,
        parents=command.parents,
        note=command.note,
        ignore_paths=command.ignore_paths,
        earlier_claims=earlier_claims((command.digest,), by=by, claims=claims),
    )
    return Outcome(
        writes=(
            version,
            *parents_of_model_version(version),
            *first_claims((command.digest,), by=by, at=at, reference=reference, claims=claims),
        ),
        event=ModelVersionRecorded(reference, by, command.digest),
    )


def declare_parent(
    command: DeclareParent,
    *,
    by: OrgId,
    at: Instant,
    child: ModelVersion | None,
    parent: ModelVersion | None,
    later: LaterParents | None,
    parents_of: Callable[[Ref], Iterable[Ref]],
) -> Outcome:
    """Add a parent to `child`; `parents_of` answers what any artifact was made from, as the ledger knows it."""
    if child is None:
        raise RecordNotFound(command.child)
    if child.owner != by:
        raise NotTheOwner(command.child, child.owner, by)
    if command.child == command.parent:
        raise SelfParent(command.child)
    if parent is None:
        raise ParentMissing(command.child, command.parent)
    declared = later.parents if later is not None else ()
    if len(declared) == _MOST_LATER:
        raise TooLarge("/parent", _MOST_LATER)
    if command.parent in {known.version for known in (*child.parents, *declared)}:
        raise AlreadyExists(f"{command.parent} → {command.child}")
    refuse_circle(command.child, command.parent, parents_of)
    check_licence(child.licence, command.child, [((command.parent,), parent.licence)])
    return Outcome(
        writes=(
            LaterParents(command.child, by, at, (*declared, ModelParent(command.parent, command.relation))),
            Edge(command.parent, command.child, Text(command.relation)),
        ),
        event=ParentDeclared(command.child, command.parent, command.relation),
    )


def _check_manifest(command: RecordModelVersion, reference: Ref) -> None:
    if not command.files:
        raise InvalidField("/files", "a model has at least one file")
    for index, (before, after) in enumerate(pairwise(command.files), start=1):
        if before.path == after.path:
            raise RepeatedEntry("/files", after.path)
        if before.path > after.path:
            raise InvalidField(f"/files/{index}/path", "files must be in the order of their paths")
    _check_ignored(command)
    digest = manifest_digest(command.files)
    if digest != command.digest:
        raise ArtifactAltered(reference, str(digest), str(command.digest))


def _check_ignored(command: RecordModelVersion) -> None:
    """Ignored paths are exact, relative to the model's folder, and cover what is below them (OMS 1.0, 6.2.1)."""
    ignored = set(command.ignore_paths)
    for index, path in enumerate(command.ignore_paths):
        if not _WILDCARDS.isdisjoint(path):
            raise InvalidField(f"/ignore_paths/{index}", "it must be an exact path, without '*', '?' and '['")
        if index and path <= command.ignore_paths[index - 1]:
            raise InvalidField(f"/ignore_paths/{index}", "ignored paths must be in order, each of them once")
    for index, file in enumerate(command.files):
        parts = file.path.split("/")
        if any("/".join(parts[:length]) in ignored for length in range(1, len(parts) + 1)):
            raise InvalidField(f"/files/{index}/path", "it lies under one of the ignored paths")


def parents_of_model_version(version: ModelVersion) -> tuple[Edge, ...]:
    """The edges to the run that made a version and to the versions it was made from, as they were recorded with it."""
    reference = model_version_ref(version.model, version.number)
    trained = () if version.run is None else (Edge(run_ref(version.run), reference, Text("trained")),)
    return (*trained, *(Edge(parent.version, reference, Text(parent.relation)) for parent in version.parents))


def parents_declared(later: LaterParents) -> tuple[Edge, ...]:
    """The edges to the versions that a model version was made from, as they were declared later."""
    return tuple(Edge(parent.version, later.child, Text(parent.relation)) for parent in later.parents)


def _check_parents(named: tuple[ModelParent, ...], reference: Ref, parents: Mapping[Ref, ModelVersion]) -> None:
    for parent in named:
        if parent.version == reference:
            raise SelfParent(reference)
        if parent.version not in parents:
            raise ParentMissing(reference, parent.version)
    refuse_repeats("/parents", (parent.version for parent in named))


def _check_run(name: Name, run: TrainingRun | None, reference: Ref, by: OrgId) -> None:
    if run is None:
        raise ParentMissing(reference, run_ref(name))
    if run.owner != by:
        raise NotTheOwner(run_ref(name), run.owner, by)


def _ancestors_by_run(
    run: TrainingRun | None, data: Mapping[Ref, DatasetVersion], parents: Mapping[Ref, ModelVersion]
) -> Iterable[tuple[tuple[Ref, ...], Licence]]:
    """What the weights came from through the run; data that only tested them did not shape them."""
    if run is None:
        return
    for used in run.inputs:
        if used.role is not InputRole.TEST:
            yield (run_ref(run.run), used.version), data[used.version].licence
    for parent in run.parents:
        yield (run_ref(run.run), parent), parents[parent].licence
