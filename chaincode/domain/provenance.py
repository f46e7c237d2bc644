# SPDX-License-Identifier: Apache-2.0
"""Data sets and their versions: who supplied which records, from where, under which licence and consent.

A version commits to every record by one Merkle root (RFC 6962) over leaves of fixed width. Records and salts stay
with the owner; the ledger holds the root and the size of the tree, and whoever has a record and its path can prove
that it was there.
"""

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from chaincode.domain.spdx import Licence
from chaincode.domain.values import (
    Blob,
    Command,
    Count,
    Digest,
    Event,
    Instant,
    Name,
    Number,
    OrgId,
    Query,
    Record,
    Ref,
    Territory,
    Text,
)


class Sensitivity(StrEnum):
    """How closely a data set must be held."""

    PUBLIC = "public"
    INTERNAL = "internal"
    CONFIDENTIAL = "confidential"
    PERSONAL = "personal"
    SPECIAL_CATEGORY = "special-category"


class Consent(IntEnum):
    """The consent states of the DPV profile of ISO/IEC TS 27560, by the byte that stands for each in a leaf."""

    UNKNOWN = 0
    REQUESTED = 1
    GIVEN = 2
    RENEWED = 3
    REFUSED = 4
    WITHDRAWN = 5
    EXPIRED = 6
    INVALIDATED = 7
    TERMINATED = 8

    @property
    def permits(self) -> bool:
        """Whether processing is permitted: only by consent that was given or renewed."""
        return self in {Consent.GIVEN, Consent.RENEWED}


class LeafSchema(StrEnum):
    """How a record becomes a leaf; see `merkle.record_leaf`."""

    RECORD_V1 = "pedigree-record/v1"


class Change(StrEnum):
    """How a version relates to the one before it."""

    FIRST = "first"
    EXTENDS = "extends"
    REPLACES = "replaces"


class Activity(StrEnum):
    """How a data set was made from others."""

    FILTER = "filter"
    SPLIT = "split"
    JOIN = "join"
    LABEL = "label"
    TRANSFORM = "transform"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the data came from, in the terms of the Data & Trust Alliance's provenance standard."""

    source: Text
    method: Text
    geography: tuple[Territory, ...] = field(metadata={"max": 64})
    collected_from: Instant | None = None
    collected_until: Instant | None = None


@dataclass(frozen=True, slots=True)
class Range:
    """Records `start` up to, not including, `end`, by their position in the tree."""

    start: Count
    end: Count


@dataclass(frozen=True, slots=True)
class Selection:
    """Which records of a parent were taken: ranges, or a bitmap whose bit ``i % 8`` of byte ``i // 8`` is record i."""

    parent: Ref
    ranges: tuple[Range, ...] = ()
    bitmap: Blob | None = None


@dataclass(frozen=True, slots=True)
class Derivation:
    """The data set versions that this one was made from, and how."""

    activity: Activity
    parents: tuple[Ref, ...] = field(metadata={"max": 64})
    description: Text | None = None
    code: Digest | None = None
    selection: Selection | None = None


@dataclass(frozen=True, slots=True)
class RegisterDataset(Command):
    """Register a data set; the caller's organisation becomes its owner."""

    dataset: Name
    title: Text
    licence: Licence
    origin: Origin
    sensitivity: Sensitivity
    jurisdictions: tuple[Territory, ...] = field(default=(), metadata={"max": 64})
    description: Text | None = None
    creator: Text | None = None
    card: Digest | None = None
    """The SHA-256 of the Croissant card."""
    distributions: tuple[Digest, ...] = field(default=(), metadata={"max": 256})
    """The SHA-256 of every file that the card lists."""


@dataclass(frozen=True, slots=True)
class CommitVersion(Command):
    """Commit to every record of a version of one's own data set."""

    dataset: Name
    number: Number
    root: Digest
    size: Count | None = None
    """The number of records under `root`; a root without it is refused."""
    leaf_schema: LeafSchema = LeafSchema.RECORD_V1
    change: Change = Change.FIRST
    parent_root: Digest | None = None
    """The root of the version before; None for the first version only."""
    consistency: tuple[Digest, ...] = field(default=(), metadata={"max": 64})
    """The RFC 6962 consistency proof from the version before, where `change` is `EXTENDS`."""
    card: Digest | None = None
    derivation: Derivation | None = None
    note: Text | None = None


@dataclass(frozen=True, slots=True)
class Dataset(Record):
    """A data set; never rewritten."""

    dataset: Name
    owner: OrgId
    registered_at: Instant
    title: Text
    licence: Licence
    origin: Origin
    sensitivity: Sensitivity
    jurisdictions: tuple[Territory, ...]
    description: Text | None
    creator: Text | None
    card: Digest | None
    distributions: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class DatasetVersion(Record):
    """A version of a data set; never rewritten."""

    dataset: Name
    number: Number
    owner: OrgId
    committed_at: Instant
    licence: Licence
    """The data set's licence when the version was committed."""
    root: Digest
    size: Count
    leaf_schema: LeafSchema
    change: Change
    parent_root: Digest | None
    card: Digest | None
    derivation: Derivation | None
    note: Text | None


@dataclass(frozen=True, slots=True)
class DigestClaim(Record):
    """Who registered a digest first, and as what; never rewritten."""

    digest: Digest
    owner: OrgId
    reference: Ref
    claimed_at: Instant


@dataclass(frozen=True, slots=True)
class DatasetRegistered(Event):
    """A data set was registered."""

    dataset: Name
    owner: OrgId


@dataclass(frozen=True, slots=True)
class DatasetVersionCommitted(Event):
    """A version of a data set was committed."""

    version: Ref
    owner: OrgId
    root: Digest
    size: Count


@dataclass(frozen=True, slots=True)
class GetDataset(Query):
    """Ask for a data set."""

    dataset: Name


@dataclass(frozen=True, slots=True)
class GetDatasetVersion(Query):
    """Ask for a version of a data set."""

    dataset: Name
    number: Number
