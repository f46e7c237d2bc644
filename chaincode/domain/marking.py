# SPDX-License-Identifier: Apache-2.0
"""Which selections a change of consent affects: those for a purpose that a subject no longer permits.

The data set's owner says which selections hold records of the subjects whose consent changed; nobody else knows. What
each subject permitted before and permits now is in the change, and what a purpose's bit is, everybody's table and the
owner's own on the ledger say. So the law decides the rest: a selection for a purpose that none of these subjects has
stopped to permit is not marked.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from chaincode.domain.errors import InvalidField, RecordNotFound
from chaincode.domain.purposes import BIT_OF, Purpose
from chaincode.domain.values import Iri, Name, Number, Purposes, Ref, refuse_repeats

EVERY_PURPOSE: Final = Purposes((1 << 64) - 1)
"""The set of all of them."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is known of a selection that may have to be marked."""

    purpose: Iri | None
    map_number: Number | None
    """Of the consent map that it was made from; None where it was made from none."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is on the ledger of the selections that an owner names."""

    selections: Mapping[Ref, Chosen]
    """Those that there are."""
    marks: Collection[Ref]
    """Those that are marked already."""
    own: Collection[Purpose]
    """The purposes that the owner has registered; needed where a selection is for one that is not everybody's."""


def affected(
    pointer: str, dataset: Name, number: Number, named: tuple[Ref, ...], ended: int, known: Known
) -> Iterator[Ref]:
    """Those of the named selections that version `number` of a data set's consent map affects, and are not marked yet.

    `ended` is the set of purposes that a subject of that version no longer permits. Raises `InvalidField`, which names
    the place below `pointer`, and `RecordNotFound`.
    """
    refuse_repeats(pointer, named)
    bits: dict[str, int] = {**BIT_OF, **{purpose.iri: purpose.bit for purpose in known.own}}
    for place, reference in enumerate(named):
        if reference.kind != "selection" or reference.name != dataset:
            raise InvalidField(f"{pointer}/{place}", "it must be a selection from a version of this data set")
        selection = known.selections.get(reference)
        if selection is None:
            raise RecordNotFound(reference)
        if selection.map_number is not None and selection.map_number >= number:
            raise InvalidField(f"{pointer}/{place}", f"it was made from version {selection.map_number} of the map")
        if reference not in known.marks and is_for(selection.purpose, ended, bits):
            yield reference


def is_for(purpose: Iri | None, ended: int, bits: Mapping[str, int]) -> bool:
    """Whether a selection for a purpose is affected where a set of purposes ended; `bits` has the bit of each.

    A selection for no purpose is, and one for a purpose that the data set's owner has not registered: what subjects
    permit says nothing of it.
    """
    bit = None if purpose is None else bits.get(purpose)
    return bit is None or bool(ended >> bit & 1)


def wants_own(purposes: Iterable[Iri | None]) -> bool:
    """Whether one of these is not everybody's, so that the owner's own have to be read."""
    return any(purpose is not None and purpose not in BIT_OF for purpose in purposes)
