# SPDX-License-Identifier: Apache-2.0
"""Selections: some of the records of a data set version, committed to by the same leaves.

A selection is what was permitted for a purpose, the part of a split that trains or is held out, or both. Its root
(RFC 6962) is over the leaf hashes of the records it holds, in the order of their positions in the version; so one leaf
is proven to be in the version and in the selection, and the ledger learns nothing else of the record.

A selection may be taken from another one of the same version: a split of what was permitted is permitted for the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from chaincode.domain.consent import WITHDRAWABLE, ConsentMap, consent_map_ref
from chaincode.domain.errors import (
    AlreadyExists,
    InvalidField,
    MapMoved,
    NotTheOwner,
    ParentMissing,
    RecordNotFound,
    SelectionOutOfRange,
)
from chaincode.domain.lineage import Edge
from chaincode.domain.provenance import Dataset, DatasetVersion
from chaincode.domain.taint import MOST_MARKS, Taint
from chaincode.domain.usage import InputRole
from chaincode.domain.values import (
    ArtifactKind,
    Command,
    Count,
    Digest,
    Event,
    Instant,
    Iri,
    Name,
    Number,
    OrgId,
    Outcome,
    Record,
    Ref,
    Text,
    dataset_ref,
    dataset_version_ref,
    refuse_repeats,
    selection_ref,
)

T = TypeVar("T", bound=str)

MOST_REASONS: Final = 64
"""How many reasons for leaving records out a selection gives at most."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Why records were left out, and how many of them."""

    reason: Text
    count: Count


@dataclass(frozen=True, slots=True)
class MapState:
    """A version of a data set's consent map, by its number and its root."""

    number: Number
    root: Digest


@dataclass(frozen=True, slots=True)
class CommitSelection(Command):
    """Commit to some of the records of a version of one's own data set."""

    version: Ref
    selection: Name
    root: Digest
    """Over the leaf hashes of the records, in the order of their positions in the version."""
    size: Count
    """How many records it holds, at least one."""
    parent: Ref | None = None
    """The selection of the same version that this one is a part of; None where it is taken from the whole version."""
    purpose: Iri | None = None
    """What the records may be used for; a part of a selection has the purpose of the whole, and need not say so."""
    role: InputRole | None = None
    """Which part of a split it is; None where it is none."""
    left_out: tuple[LeftOut, ...] = field(default=(), metadata={"max": MOST_REASONS})
    """Every record that it was taken from and does not hold, by the reasons, each counted under one."""
    note: Text | None = None
    consent_map: MapState | None = None
    """The consent map as it is now, which says whose records are permitted.

    Needed, and taken, of a selection for a purpose where subjects gave the data; a part has that of the whole.
    """


@dataclass(frozen=True, slots=True)
class Selection(Record):
    """A selection; never rewritten."""

    dataset: Name
    number: Number
    selection: Name
    owner: OrgId
    committed_at: Instant
    root: Digest
    size: Count
    parent: Ref | None
    purpose: Iri | None
    role: InputRole | None
    left_out: tuple[LeftOut, ...] = field(metadata={"max": MOST_REASONS})
    note: Text | None
    tainted_by: tuple[Taint, ...] | None = field(default=None, metadata={"max": MOST_MARKS})
    """What above it was stopped when it was recorded, the nearest first; None: nothing."""
    consent_map: MapState | None = None
    """The consent map that said whose records are permitted: the one in force at `committed_at`, or at the whole's."""


@dataclass(frozen=True, slots=True)
class SelectionCommitted(Event):
    """A selection was committed."""

    selection: Ref
    owner: OrgId
    root: Digest
    size: Count


# --- Rules ------------------------------------------------------------------------------------------------------


def commit_selection(
    command: CommitSelection, *, by: OrgId, at: Instant, existing: Selection | None, cited: Mapping[Ref, Record]
) -> Outcome:
    """Commit a selection by `by`; `cited` holds the version and the parent where they exist."""
    version = cited.get(command.version)
    if not isinstance(version, DatasetVersion):
        raise RecordNotFound(command.version)
    reference = selection_ref(version.dataset, version.number, command.selection)
    if version.owner != by:
        raise NotTheOwner(command.version, version.owner, by)
    if existing is not None:
        raise AlreadyExists(reference)
    parent = _parent(command, reference, cited)
    _check_extent(command, version if parent is None else parent)
    selection = Selection(
        dataset=version.dataset,
        number=version.number,
        selection=command.selection,
        owner=by,
        committed_at=at,
        root=command.root,
        size=command.size,
        parent=command.parent,
        purpose=_same("/purpose", command.purpose, None if parent is None else parent.purpose),
        role=_same("/role", command.role, None if parent is None else parent.role),
        left_out=command.left_out,
        note=command.note,
        consent_map=_consent_map(command, parent, cited),
    )
    return Outcome(
        writes=(selection, *parents_of_selection(selection)),
        event=SelectionCommitted(reference, by, selection.root, selection.size),
    )


def cited_by_selection(command: CommitSelection) -> tuple[Ref, ...]:
    """What a selection cites: the version and its data set, the selection that it is a part of, and the consent map."""
    dataset = command.version.name
    parents = () if command.parent is None else (command.parent,)
    return (command.version, *parents, dataset_ref(dataset), consent_map_ref(dataset))


def parents_of_selection(selection: Selection) -> tuple[Edge, ...]:
    """The edges to the version and to the selection that it is a part of."""
    reference = selection_ref(selection.dataset, selection.number, selection.selection)
    whole = (dataset_version_ref(selection.dataset, selection.number), selection.parent)
    return tuple(Edge(parent, reference, Text("selected")) for parent in whole if parent is not None)


def version_of(selection: Ref) -> Ref:
    """The version that a selection was taken from, by their references."""
    return Ref.of(ArtifactKind.DATASET_VERSION, *selection.parts[:-1])


def _parent(command: CommitSelection, reference: Ref, cited: Mapping[Ref, Record]) -> Selection | None:
    if command.parent is None:
        return None
    parent = cited.get(command.parent)
    if not isinstance(parent, Selection):
        raise ParentMissing(reference, command.parent)
    if version_of(command.parent) != command.version:
        raise InvalidField("/parent", f"it is not a selection from '{command.version}'")
    return parent


def _check_extent(command: CommitSelection, source: DatasetVersion | Selection) -> None:
    """Refuse more records than there are, none, and a root or reasons that do not go with their number."""
    if not command.size:
        raise InvalidField("/size", "a selection holds at least one record")
    if command.size > source.size:
        raise SelectionOutOfRange(command.parent or command.version, source.size)
    if (command.size == source.size) is not (command.root == source.root):
        raise InvalidField("/root", "it is the root of what it was taken from if, and only if, it holds all of that")
    refuse_repeats("/left_out", (each.reason for each in command.left_out))
    for index, each in enumerate(command.left_out):
        if not each.count:
            raise InvalidField(f"/left_out/{index}/count", "a reason leaves out at least one record")
    left = source.size - command.size
    if sum(each.count for each in command.left_out) != left:
        raise InvalidField("/left_out", f"the counts must add up to the {left} records that are left out")


def _consent_map(command: CommitSelection, parent: Selection | None, cited: Mapping[Ref, Record]) -> MapState | None:
    """The consent map that a selection is made from; refused where it is not the one in force."""
    given = command.consent_map
    if parent is not None and parent.purpose is not None:
        if given not in (None, parent.consent_map):
            raise InvalidField("/consent_map", "a part of a selection has that of the whole")
        return parent.consent_map
    dataset = cited.get(dataset_ref(command.version.name))
    withdrawable = isinstance(dataset, Dataset) and dataset.basis in WITHDRAWABLE
    if (given is not None) is not (withdrawable and command.purpose is not None):
        raise InvalidField("/consent_map", "it is given with a purpose where subjects gave the data, and only there")
    if given is None:
        return None
    reference = consent_map_ref(command.version.name)
    head = cited.get(reference)
    if not isinstance(head, ConsentMap):
        raise RecordNotFound(reference)
    if given != MapState(head.number, head.root):
        raise MapMoved(reference, head.number, str(head.root))
    return given


def _same(pointer: str, given: T | None, whole: T | None) -> T | None:
    """What a part is given or, where nothing is said, what the whole has; where both say something, it is the same."""
    if given is not None and whole is not None and given != whole:
        raise InvalidField(pointer, f"a part of a selection has that of the whole, which is {whole}")
    return whole if given is None else given
