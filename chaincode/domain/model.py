# SPDX-License-Identifier: Apache-2.0
"""Models and their versions: the exact files, the licence, the run that made them and the models they came from.

A version commits to every file of the model by its SHA-256 and is written once. What it was made from is part of it;
a parent that becomes known later can be added by the owner, as long as no circle closes and the licence allows it.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from chaincode.domain.spdx import Licence
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
    Query,
    Record,
    Ref,
    Text,
)


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


@dataclass(frozen=True, slots=True)
class LaterParents(Record):
    """The parents that were added to a model version after it was recorded."""

    child: Ref
    owner: OrgId
    parents: tuple[ModelParent, ...]


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


@dataclass(frozen=True, slots=True)
class GetModel(Query):
    """Ask for a model."""

    model: Name


@dataclass(frozen=True, slots=True)
class GetModelVersion(Query):
    """Ask for a version of a model."""

    model: Name
    number: Number
