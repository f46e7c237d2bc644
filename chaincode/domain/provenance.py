# SPDX-License-Identifier: Apache-2.0
"""Data sets and their versions: who supplied which records, from where, under which licence and consent.

A version commits to every record by one Merkle root (RFC 6962) over leaves of fixed width. Records and salts stay
with the owner; the ledger holds the root and the size of the tree, and anyone who has a record and its path can prove
that it was there. Where records are rows under names, the version commits to those as well.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from chaincode.domain import merkle
from chaincode.domain.claims import MOST_CLAIMS, DigestClaim, RootClaim, claim_root, earlier_claims, first_claims
from chaincode.domain.derivation import Derivation, check_derivation
from chaincode.domain.errors import (
    AlreadyExists,
    ConsistencyProofFails,
    InvalidField,
    NotTheOwner,
    ParentRootDiffers,
    RecordNotFound,
    RootWithoutSize,
    VersionOutOfOrder,
)
from chaincode.domain.lineage import Edge
from chaincode.domain.spdx import Licence
from chaincode.domain.taint import MOST_MARKS, Taint
from chaincode.domain.values import (
    Command,
    Count,
    Digest,
    Event,
    Instant,
    Name,
    Number,
    OrgId,
    Outcome,
    Record,
    Ref,
    SignedInstant,
    Territory,
    Text,
    dataset_ref,
    dataset_version_ref,
    refuse_future,
)


class Sensitivity(StrEnum):
    """How closely a data set must be held, the least first; `covering` says what follows for others."""

    PUBLIC = "public"
    INTERNAL = "internal"
    CONFIDENTIAL = "confidential"
    PERSONAL = "personal"
    SPECIAL_CATEGORY = "special-category"


class LawfulBasis(StrEnum):
    """Why personal data may be processed: the terms of the GDPR, Art. 6(1), and the authorisation of HIPAA."""

    CONSENT = "consent"
    CONTRACT = "contract"
    LEGAL_OBLIGATION = "legal-obligation"
    VITAL_INTERESTS = "vital-interests"
    PUBLIC_TASK = "public-task"
    LEGITIMATE_INTERESTS = "legitimate-interests"
    HIPAA_AUTHORISATION = "hipaa-authorisation"
    """Of 45 CFR 164.508; like consent, those whom the records are about give it and can revoke it."""


class LeafSchema(StrEnum):
    """How a record becomes a leaf; see `merkle`."""

    RECORD_V1 = "pedigree-record/v1"
    RECORD_V2 = "pedigree-record/v2"
    """With the subject that each record is about."""


class Change(StrEnum):
    """How a version relates to the one before it."""

    FIRST = "first"
    EXTENDS = "extends"
    REPLACES = "replaces"


_PERSONAL: Final = frozenset({Sensitivity.PERSONAL, Sensitivity.SPECIAL_CATEGORY})


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the data came from, in the terms of the Data & Trust Alliance's provenance standard."""

    source: Text
    method: Text
    geography: tuple[Territory, ...] = field(metadata={"max": 64})
    collected_from: SignedInstant | None = None
    collected_until: SignedInstant | None = None


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
    basis: LawfulBasis | None = None
    """The lawful basis; needed where the data is personal or of a special category."""


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
    header: Digest | None = None
    """What `tabular.header_digest` says of the columns; None where records have no common row of names."""
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
    basis: LawfulBasis | None = None
    """The lawful basis; None for what is not personal, and for what was registered before there was this field."""
    earlier_claims: tuple[DigestClaim, ...] = field(default=(), metadata={"max": MOST_CLAIMS})
    """Who had recorded the same bytes first, where that was another organisation."""


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
    header: Digest | None = None
    """The SHA-256 over delimiter and column names, which decide what a record means; see `tabular.header_digest`."""
    earlier_claims: tuple[DigestClaim, ...] = field(default=(), metadata={"max": MOST_CLAIMS})
    """Who had recorded the same bytes first, where that was another organisation."""
    tainted_by: tuple[Taint, ...] | None = field(default=None, metadata={"max": MOST_MARKS})
    """What above it was stopped when it was recorded, the nearest first; None: nothing, or recorded before marks."""


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


def register_dataset(
    command: RegisterDataset, *, by: OrgId, at: Instant, existing: Dataset | None, claims: Mapping[Digest, DigestClaim]
) -> Outcome:
    """Register a data set for `by`; `claims` holds what is on the ledger of the digests that the command names."""
    reference = dataset_ref(command.dataset)
    if existing is not None:
        raise AlreadyExists(reference)
    _refuse_odd_period(command.origin, at)
    if command.basis is None and command.sensitivity in _PERSONAL:
        choices = ", ".join(LawfulBasis)
        raise InvalidField("/basis", f"{command.sensitivity} data has a lawful basis, one of {choices}")
    digests = ((command.card,) if command.card is not None else ()) + command.distributions
    dataset = Dataset(
        dataset=command.dataset,
        owner=by,
        registered_at=at,
        title=command.title,
        licence=command.licence,
        origin=command.origin,
        sensitivity=command.sensitivity,
        jurisdictions=command.jurisdictions,
        description=command.description,
        creator=command.creator,
        card=command.card,
        distributions=command.distributions,
        basis=command.basis,
        earlier_claims=earlier_claims(digests, by=by, claims=claims),
    )
    return Outcome(
        writes=(dataset, *first_claims(digests, by=by, at=at, reference=reference, claims=claims)),
        event=DatasetRegistered(command.dataset, by),
    )


def commit_version(
    command: CommitVersion,
    *,
    by: OrgId,
    at: Instant,
    dataset: Dataset | None,
    previous: DatasetVersion | None,
    existing: DatasetVersion | None,
    parents: Mapping[Ref, DatasetVersion],
    root_claim: RootClaim | None,
    claims: Mapping[Digest, DigestClaim],
    check_cover: Callable[[Sensitivity], None],
) -> Outcome:
    """Commit a version; `previous` is the version before it, `parents` those of its derivation that exist.

    `root_claim` and `claims` are what is on the ledger of its root and of its card. `check_cover` refuses what is
    derived from other organisations' data without the grants that this needs, given how sensitive the result is.
    """
    reference = dataset_version_ref(command.dataset, command.number)
    if dataset is None:
        raise RecordNotFound(dataset_ref(command.dataset))
    if dataset.owner != by:
        raise NotTheOwner(dataset_ref(command.dataset), dataset.owner, by)
    if existing is not None:
        raise AlreadyExists(reference)
    if not command.size:
        raise RootWithoutSize
    _check_succession(command, command.size, previous)
    check_derivation(command.derivation, reference, dataset.licence, parents)
    check_cover(dataset.sensitivity)
    cards = () if command.card is None else (command.card,)
    version = DatasetVersion(
        dataset=command.dataset,
        number=command.number,
        owner=by,
        committed_at=at,
        licence=dataset.licence,
        root=command.root,
        size=command.size,
        leaf_schema=command.leaf_schema,
        change=command.change,
        parent_root=command.parent_root,
        card=command.card,
        derivation=command.derivation,
        note=command.note,
        header=command.header,
        earlier_claims=earlier_claims(cards, by=by, claims=claims),
    )
    return Outcome(
        writes=(
            version,
            *parents_of_dataset_version(version),
            *claim_root(command.root, by=by, at=at, reference=reference, held=root_claim),
            *first_claims(cards, by=by, at=at, reference=reference, claims=claims),
        ),
        event=DatasetVersionCommitted(reference, by, command.root, command.size),
    )


def _refuse_odd_period(origin: Origin, at: Instant) -> None:
    start, end = origin.collected_from, origin.collected_until
    if start is not None and end is not None and end < start:
        raise InvalidField("/origin/collected_until", "it is before the collection began")
    for pointer, given in (("/origin/collected_from", start), ("/origin/collected_until", end)):
        if given is not None:
            refuse_future(pointer, given, at)


def _check_succession(command: CommitVersion, size: Count, previous: DatasetVersion | None) -> None:
    reference = dataset_ref(command.dataset)
    if command.number == 1:
        if command.change is not Change.FIRST or command.parent_root is not None or command.consistency:
            raise InvalidField("/change", "the first version follows nothing")
        return
    if previous is None:
        raise VersionOutOfOrder(reference, command.number, command.number - 1)
    if command.parent_root != previous.root:
        raise ParentRootDiffers(reference, command.number, str(previous.root), str(command.parent_root))
    if command.change is Change.FIRST:
        raise InvalidField("/change", "a later version extends the one before it or replaces it")
    if command.change is Change.REPLACES:
        if command.consistency:
            raise InvalidField("/consistency", "a version that replaces another proves no consistency with it")
        return
    _check_extension(command, size, previous)


def _check_extension(command: CommitVersion, size: Count, previous: DatasetVersion) -> None:
    """That what the version before has is the beginning of this one, and means the same."""
    if command.header != previous.header:
        # Under other names the same bytes mean something else.
        raise InvalidField("/header", "a version that extends another has the same columns and the same delimiter")
    if command.leaf_schema is not previous.leaf_schema:
        raise InvalidField("/leaf_schema", f"a version that extends another has its leaves: {previous.leaf_schema}")
    try:
        merkle.verify_consistency(previous.size, previous.root, size, command.root, command.consistency)
    except merkle.ProofError as exc:
        raise ConsistencyProofFails(dataset_ref(command.dataset), command.number, str(exc)) from None


def parents_of_dataset_version(version: DatasetVersion) -> tuple[Edge, ...]:
    """The edges to the version before and to what a version was derived from; one edge where these are the same."""
    reference = dataset_version_ref(version.dataset, version.number)
    relations: dict[Ref, list[str]] = {}
    if version.change is not Change.FIRST:
        relations[dataset_version_ref(version.dataset, version.number - 1)] = [version.change]
    if version.derivation is not None:
        for parent in version.derivation.parents:
            relations.setdefault(parent, []).append(version.derivation.activity)
    return tuple(Edge(parent, reference, Text("+".join(said))) for parent, said in relations.items())
