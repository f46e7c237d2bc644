# SPDX-License-Identifier: Apache-2.0
"""How a data set version was made from others, and that its licence keeps what theirs ask for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from chaincode.domain.errors import (
    InvalidField,
    ParentMissing,
    RepeatedEntry,
    SelectionOutOfRange,
    SelfParent,
)
from chaincode.domain.licensing import check_licence
from chaincode.domain.spdx import Licence
from chaincode.domain.values import Blob, Count, Digest, Ref, Text


class Parent(Protocol):
    """What the law asks of a parent: a `provenance.DatasetVersion` has it."""

    @property
    def licence(self) -> Licence:
        """The licence under which the parent was committed."""
        ...

    @property
    def size(self) -> Count:
        """The number of its records."""
        ...


class Activity(StrEnum):
    """How a data set was made from others."""

    FILTER = "filter"
    SPLIT = "split"
    JOIN = "join"
    LABEL = "label"
    TRANSFORM = "transform"
    SYNTHESISE = "synthesise"
    ANONYMISE = "anonymise"


@dataclass(frozen=True, slots=True)
class Range:
    """Records `start` up to, not including, `end`, by their position in the tree."""

    start: Count
    end: Count


@dataclass(frozen=True, slots=True)
class Taken:
    """Which records of a parent were taken: ranges, or a bitmap whose bit ``i % 8`` of byte ``i // 8`` is record i."""

    parent: Ref
    ranges: tuple[Range, ...] = ()
    bitmap: Blob | None = field(default=None, metadata={"max": 1_048_576})


@dataclass(frozen=True, slots=True)
class Derivation:
    """The data set versions that this one was made from, and how."""

    activity: Activity
    parents: tuple[Ref, ...] = field(metadata={"max": 64})
    description: Text | None = None
    code: Digest | None = None
    selection: Taken | None = None
    grants: tuple[Ref, ...] | None = field(default=None, metadata={"max": 64})
    """The grants under which other organisations' data among them was had; see `covering`."""


def check_derivation(
    derivation: Derivation | None, reference: Ref, licence: Licence, parents: Mapping[Ref, Parent]
) -> None:
    """Refuse a derivation from what is not there, from itself, or under a licence that does not keep a parent's."""
    if derivation is None:
        return
    if not derivation.parents:
        raise InvalidField("/derivation/parents", "a derivation names what it was made from")
    seen: set[Ref] = set()
    for parent in derivation.parents:
        if parent == reference:
            raise SelfParent(reference)
        if parent not in parents:
            raise ParentMissing(reference, parent)
        if parent in seen:
            raise RepeatedEntry("/derivation/parents", parent)
        seen.add(parent)
    # An earlier version of the same data set is the owner's own work under the same licence, not somebody's source.
    sources = [parent for parent in derivation.parents if parent.name != reference.name]
    check_licence(licence, reference, [((parent,), parents[parent].licence) for parent in sources])
    if derivation.selection is not None:
        _check_selection(derivation.selection, parents)


def _check_selection(selection: Taken, parents: Mapping[Ref, Parent]) -> None:
    parent = parents.get(selection.parent)
    if parent is None:
        raise InvalidField("/derivation/selection/parent", "it is not among the parents")
    if bool(selection.ranges) is (selection.bitmap is not None):
        raise InvalidField("/derivation/selection", "it has either ranges or a bitmap")
    end = Count(0)
    for index, taken in enumerate(selection.ranges):
        if not end <= taken.start < taken.end:
            raise InvalidField(f"/derivation/selection/ranges/{index}", "ranges are ascending, apart and not empty")
        end = taken.end
    if selection.bitmap is not None:
        last = int.from_bytes(selection.bitmap, "little").bit_length()
        if last == 0:
            raise InvalidField("/derivation/selection/bitmap", "it selects nothing")
        end = Count(last)
    if end > parent.size:
        raise SelectionOutOfRange(selection.parent, parent.size)
