# SPDX-License-Identifier: Apache-2.0
"""Consent that counts: of each subject of a data set the status, the purposes, and when they were indicated.

The data set's owner keeps a map from subject references (32 random bytes; nothing else on the ledger is of a person) to
what each subject has said; see `sparsemerkle`. The ledger has the root of every version of the map. A value is::

    status (1) ‖ purposes (8, big-endian) ‖ indicated at (8, big-endian, signed, milliseconds since 1970)

The owner claims the root of the first version. Every later one is proven: the command shows what each subject had
under the root before, and the law computes the root after. The statuses are those of the DPV profile of ISO/IEC TS
27560, and one follows another as `FOLLOWS` says. Only consent that is given or renewed permits anything.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import reduce
from operator import or_
from types import MappingProxyType
from typing import Final

from chaincode.domain import sparsemerkle
from chaincode.domain.errors import (
    AlreadyExists,
    ConsentBackdated,
    ConsentProofFails,
    ConsentStatusCannotFollow,
    InvalidField,
    MapMoved,
    NotOnConsent,
    NotTheOwner,
    RecordNotFound,
)
from chaincode.domain.marking import EVERY_PURPOSE, Known, affected
from chaincode.domain.merkle import ProofError
from chaincode.domain.provenance import Dataset, LawfulBasis
from chaincode.domain.sparsemerkle import Proof
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
    Outcome,
    Purposes,
    Record,
    Ref,
    SignedInstant,
    dataset_ref,
    refuse_future,
    refuse_repeats,
)

MOST_CHANGES: Final = 500
"""How many subjects one transaction can change."""
MOST_AFFECTED: Final = 64
"""How many selections one transaction can mark; others are marked by transactions of their own."""

WITHDRAWABLE: Final = frozenset({LawfulBasis.CONSENT, LawfulBasis.HIPAA_AUTHORISATION})
"""The lawful bases that a subject gives and takes back: data sets on these have a map."""


class ConsentStatus(StrEnum):
    """What a subject has said, in the terms of the Data Privacy Vocabulary; `records.Consent` has the byte of each."""

    UNKNOWN = "ConsentUnknown"
    REQUESTED = "ConsentRequested"
    GIVEN = "ConsentGiven"
    RENEWED = "RenewedConsentGiven"
    REFUSED = "ConsentRefused"
    WITHDRAWN = "ConsentWithdrawn"
    EXPIRED = "ConsentExpired"
    INVALIDATED = "ConsentInvalidated"
    TERMINATED = "ConsentTerminated"


STATUSES: Final = tuple(ConsentStatus)
"""The statuses; the place of each is its byte."""
PERMITTING: Final = frozenset({ConsentStatus.GIVEN, ConsentStatus.RENEWED})
"""The statuses under which the purposes are permitted; under every other nothing is."""

_AGAIN: Final = frozenset({ConsentStatus.REQUESTED, ConsentStatus.GIVEN})
_ENDS: Final = frozenset(
    {ConsentStatus.WITHDRAWN, ConsentStatus.EXPIRED, ConsentStatus.INVALIDATED, ConsentStatus.TERMINATED}
)
FOLLOWS: Final[Mapping[ConsentStatus | None, frozenset[ConsentStatus]]] = MappingProxyType(
    {
        None: frozenset(STATUSES),
        ConsentStatus.UNKNOWN: frozenset(STATUSES) - {ConsentStatus.UNKNOWN},
        ConsentStatus.REQUESTED: frozenset(
            {ConsentStatus.GIVEN, ConsentStatus.REFUSED, ConsentStatus.INVALIDATED, ConsentStatus.TERMINATED}
        ),
        # Given again, or renewed again: for other purposes, or reaffirmed.
        ConsentStatus.GIVEN: frozenset({ConsentStatus.GIVEN, ConsentStatus.RENEWED}) | _ENDS,
        ConsentStatus.RENEWED: frozenset({ConsentStatus.RENEWED}) | _ENDS,
        ConsentStatus.REFUSED: _AGAIN,
        # What was withdrawn is not renewed: it is asked for, or given, anew.
        ConsentStatus.WITHDRAWN: _AGAIN,
        ConsentStatus.EXPIRED: _AGAIN | {ConsentStatus.RENEWED},
        ConsentStatus.INVALIDATED: _AGAIN,
        ConsentStatus.TERMINATED: _AGAIN,
    }
)
"""Which statuses may follow which; None is for a subject who is not in the map yet."""


@dataclass(frozen=True, slots=True)
class Indication:
    """What a subject has said: the value in the map."""

    status: ConsentStatus
    purposes: Purposes
    indicated_at: SignedInstant

    def value(self) -> bytes:
        """Its 17 bytes."""
        state = STATUSES.index(self.status)
        return state.to_bytes(1) + self.purposes.to_bytes(8) + self.indicated_at.to_bytes(8, signed=True)


@dataclass(frozen=True, slots=True)
class SubjectChange:
    """What one subject had and has now, with the proof of the former under the root that the changes before it made."""

    subject: Digest
    """The subject reference, 32 random bytes."""
    new: Indication
    siblings: Blob = field(metadata={"max": sparsemerkle.DEPTH * sparsemerkle.HASH})
    """The hashes beside the subject's path, from the root downwards, 32 bytes each."""
    old: Indication | None = None
    """None for a subject who is not in the map yet."""
    other: Blob | None = field(default=None, metadata={"max": sparsemerkle.KEY + sparsemerkle.VALUE})
    """``key ‖ value`` of the leaf at the end of that subject's path; None where nothing is there."""

    def proof(self) -> Proof:
        """The proof of what it had."""
        own = b"" if self.old is None else self.subject + self.old.value()
        return Proof(self.siblings, own or self.other or b"")


@dataclass(frozen=True, slots=True)
class StatusCount:
    """How many subjects were given a status."""

    status: ConsentStatus
    count: Count


@dataclass(frozen=True, slots=True)
class OpenConsent(Command):
    """Begin the consent map of one's own data set with the root of what is known of its subjects."""

    dataset: Name
    root: Digest
    """32 zero bytes for a map without subjects."""
    size: Count
    """The number of subjects."""


@dataclass(frozen=True, slots=True)
class ChangeConsent(Command):
    """Change what subjects have said, and prove it; each change follows the root that those before it lead to."""

    dataset: Name
    number: Number
    """Of the version that the changes make: one more than the last."""
    previous_root: Digest
    changes: tuple[SubjectChange, ...] = field(metadata={"max": MOST_CHANGES})
    affects: tuple[Ref, ...] = field(default=(), metadata={"max": MOST_AFFECTED})
    """Selections of the data set's versions that hold records of these subjects, as the owner says.

    Those for a purpose that none of the subjects has stopped to permit are not marked.
    """


@dataclass(frozen=True, slots=True)
class MarkSelections(Command):
    """Mark more selections that a version of the consent map affects than the change that made it has named."""

    dataset: Name
    number: Number
    """Of that version of the map."""
    selections: tuple[Ref, ...] = field(metadata={"max": MOST_AFFECTED})


@dataclass(frozen=True, slots=True)
class ConsentMap(Record):
    """The map as it is now; rewritten with every change, which is why of two at once one loses."""

    dataset: Name
    owner: OrgId
    number: Number
    root: Digest
    size: Count
    changed_at: Instant


@dataclass(frozen=True, slots=True)
class ConsentMapVersion(Record):
    """The map as it was from `at` until the next version; never rewritten."""

    dataset: Name
    number: Number
    owner: OrgId
    at: Instant
    root: Digest
    size: Count
    """The number of subjects: as claimed for the first version, and counted from there."""
    changed: Count
    """The number of subjects that this version changed; 0 for the first."""
    counts: tuple[StatusCount, ...] = field(metadata={"max": len(STATUSES)})
    """To which statuses it changed them."""
    previous_root: Digest | None = None
    """None for the first version only."""
    ended: Purposes | None = None
    """What a subject of it no longer permits; None for the first version, and where none was said yet."""


@dataclass(frozen=True, slots=True)
class SelectionMark(Record):
    """That a selection holds records of subjects whose consent changed after it was made; never rewritten or lifted."""

    selection: Ref
    owner: OrgId
    number: Number
    """The first version of the consent map that affects it."""
    marked_at: Instant


@dataclass(frozen=True, slots=True)
class SelectionsMarked(Event):
    """Selections of a data set are marked, for a change that was recorded before."""

    dataset: Name
    owner: OrgId
    number: Number
    marked: Count


@dataclass(frozen=True, slots=True)
class ConsentOpened(Event):
    """A data set has a consent map."""

    dataset: Name
    owner: OrgId
    root: Digest
    size: Count


@dataclass(frozen=True, slots=True)
class ConsentChanged(Event):
    """Subjects of a data set have said something new."""

    dataset: Name
    owner: OrgId
    number: Number
    root: Digest
    changed: Count


def consent_map_ref(dataset: str) -> Ref:
    """The reference to the consent map of a data set."""
    return Ref.of("consent-map", dataset)


def consent_map_version_ref(dataset: str, number: int) -> Ref:
    """The reference to a version of the consent map of a data set."""
    return Ref.of("consent-map-version", dataset, number)


def open_consent(
    command: OpenConsent, *, by: OrgId, at: Instant, dataset: Dataset | None, existing: ConsentMap | None
) -> Outcome:
    """Open a data set's consent map, once."""
    _refuse_others(command.dataset, dataset, by)
    if existing is not None:
        raise AlreadyExists(consent_map_ref(command.dataset))
    if (command.root == sparsemerkle.EMPTY) is not (command.size == 0):
        raise InvalidField("/root", "32 zero bytes are the root of a map without subjects, and of no other")
    head = ConsentMap(command.dataset, by, Number(1), command.root, command.size, at)
    version = ConsentMapVersion(command.dataset, head.number, by, at, command.root, command.size, Count(0), ())
    return Outcome(writes=(version, head), event=ConsentOpened(command.dataset, by, command.root, command.size))


def change_consent(
    command: ChangeConsent,
    *,
    by: OrgId,
    at: Instant,
    dataset: Dataset | None,
    head: ConsentMap | None,
    known: Known,
) -> Outcome:
    """Change what subjects have said; `head` is the map as it is, and `known` what there is of those affected."""
    _refuse_others(command.dataset, dataset, by)
    if head is None:
        raise RecordNotFound(consent_map_ref(command.dataset))
    if command.number != head.number + 1 or command.previous_root != head.root:
        raise MapMoved(consent_map_ref(command.dataset), head.number, str(head.root))
    if not command.changes:
        raise InvalidField("/changes", "it must have a change or more")
    refuse_repeats("/changes", (str(change.subject) for change in command.changes))
    root = bytes(head.root)
    for place, change in enumerate(command.changes):
        _check_indication(place, change, at)
        try:
            root = sparsemerkle.change(root, change.subject, change.proof(), change.new.value())
        except ProofError as exc:
            raise ConsentProofFails(place, str(exc)) from None
    size = Count(head.size + sum(change.old is None for change in command.changes))
    ended = Purposes(reduce(or_, (lost(change.old, change.new) for change in command.changes)))
    after = replace(head, number=command.number, root=Digest(root), size=size, changed_at=at)
    version = ConsentMapVersion(
        dataset=command.dataset,
        number=command.number,
        owner=by,
        at=at,
        root=after.root,
        size=size,
        changed=Count(len(command.changes)),
        counts=tuple(_counts(command)),
        previous_root=head.root,
        ended=ended,
    )
    event = ConsentChanged(command.dataset, by, command.number, after.root, version.changed)
    found = affected("/affects", command.dataset, command.number, command.affects, ended, known)
    marks = (SelectionMark(reference, by, command.number, at) for reference in found)
    return Outcome(writes=(version, after, *marks), event=event)


def mark_selections(
    command: MarkSelections,
    *,
    by: OrgId,
    at: Instant,
    dataset: Dataset | None,
    version: ConsentMapVersion | None,
    known: Known,
) -> Outcome:
    """Mark selections that a version of the map affects; `version` is that one, and `known` what there is of them."""
    _refuse_others(command.dataset, dataset, by)
    if version is None:
        raise RecordNotFound(consent_map_version_ref(command.dataset, command.number))
    if version.previous_root is None:
        raise InvalidField("/number", "the first version of a map changes nothing that a subject had said")
    ended = EVERY_PURPOSE if version.ended is None else version.ended
    found = tuple(affected("/selections", command.dataset, command.number, command.selections, ended, known))
    if not found:
        raise InvalidField("/selections", "it must name one that is not marked, for a purpose that the version ended")
    return Outcome(
        writes=tuple(SelectionMark(reference, by, command.number, at) for reference in found),
        event=SelectionsMarked(command.dataset, by, command.number, Count(len(found))),
    )


def lost(before: Indication | None, after: Indication) -> int:
    """The set of purposes that a subject no longer permits: all where consent has just ended."""
    if after.status in _ENDS and (before is None or before.status not in _ENDS):
        return EVERY_PURPOSE
    return _permitted(before) & ~_permitted(after)


def _permitted(said: Indication | None) -> int:
    return said.purposes if said is not None and said.status in PERMITTING else 0


def _refuse_others(name: Name, dataset: Dataset | None, by: OrgId) -> None:
    if dataset is None:
        raise RecordNotFound(dataset_ref(name))
    if dataset.owner != by:
        raise NotTheOwner(dataset_ref(name), dataset.owner, by)
    if dataset.basis not in WITHDRAWABLE:
        raise NotOnConsent(dataset_ref(name), dataset.basis or "none")


def _check_indication(place: int, change: SubjectChange, at: Instant) -> None:
    pointer = f"/changes/{place}/new"
    old, new = change.old, change.new
    if old is not None and change.other is not None:
        raise InvalidField(f"/changes/{place}/other", "it is for a subject who is not in the map yet")
    if new == old:
        raise InvalidField(pointer, "it changes nothing")
    if new.status not in FOLLOWS[None if old is None else old.status]:
        raise ConsentStatusCannotFollow(place, new.status, "nothing" if old is None else old.status)
    if old is not None and new.indicated_at < old.indicated_at:
        raise ConsentBackdated(place, new.indicated_at, old.indicated_at)
    refuse_future(f"{pointer}/indicated_at", Instant(max(new.indicated_at, 0)), at)


def _counts(command: ChangeConsent) -> Iterator[StatusCount]:
    found = Counter(change.new.status for change in command.changes)
    for status in STATUSES:
        if found[status]:
            yield StatusCount(status, Count(found[status]))
