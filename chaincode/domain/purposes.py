# SPDX-License-Identifier: Apache-2.0
"""What consent is given for: purposes by their IRI, and the bit that stands for each in a record's leaf.

Bits 0 to 31 are the same for everybody. Bits 32 to 63 are the owner's: each organisation registers what they mean in
its own data sets, so that none can use up another's. A bit that has a meaning keeps it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from chaincode.domain.errors import AlreadyExists, InvalidField
from chaincode.domain.values import Command, Event, Instant, Iri, Number, OrgId, Outcome, Record, Text

_DPV: Final = "https://w3id.org/dpv"
_OWN: Final = "https://pedigree.example/purposes"
"""For what the Data Privacy Vocabulary (DPV 2) has no term as narrow: a wider one would say more than was asked."""

PURPOSES: Final[tuple[tuple[str, Iri], ...]] = (
    ("research", Iri(f"{_DPV}#ScientificResearch")),
    ("model-training", Iri(f"{_OWN}#ModelTraining")),
    ("model-evaluation", Iri(f"{_OWN}#ModelEvaluation")),
    ("care", Iri(f"{_DPV}/sector/health#PrimaryCareManagement")),
    ("public-health", Iri(f"{_OWN}#PublicHealth")),
    ("commercial", Iri(f"{_DPV}#CommercialPurpose")),
)
"""Everybody's purposes, each by its name and IRI; the place is the bit, so more are only ever added at the end.

Training and evaluation are narrower than `TrainTestAndEvaluateAISystemsAlgorithms` of DPV's terms for the European
Health Data Space, and public health is narrower than `dpv:PublicBenefit`.
"""
BIT_OF: Final[Mapping[str, int]] = MappingProxyType({iri: bit for bit, (_, iri) in enumerate(PURPOSES)})
"""The bits of everybody's purposes, by IRI."""
FIRST_OWN: Final = 32
"""The first bit that is the owner's."""
LAST: Final = 63


@dataclass(frozen=True, slots=True)
class RegisterPurpose(Command):
    """Give one of the bits 32 to 63 a meaning in the data sets of one's own organisation."""

    bit: Number
    iri: Iri
    title: Text | None = None


@dataclass(frozen=True, slots=True)
class Purpose(Record):
    """What a bit means in the data sets of its owner; never rewritten."""

    owner: OrgId
    bit: Number
    iri: Iri
    registered_at: Instant
    title: Text | None = None


@dataclass(frozen=True, slots=True)
class PurposeRegistered(Event):
    """An organisation gave a bit a meaning."""

    owner: OrgId
    bit: Number
    iri: Iri


def register_purpose(command: RegisterPurpose, *, by: OrgId, at: Instant, own: tuple[Purpose, ...]) -> Outcome:
    """Register a purpose; `own` are those that the caller's organisation has registered already."""
    if not FIRST_OWN <= command.bit <= LAST:
        raise InvalidField("/bit", f"an organisation's own purposes have the bits {FIRST_OWN} to {LAST}")
    if command.iri in BIT_OF:
        raise InvalidField("/iri", f"everybody has this purpose as bit {BIT_OF[command.iri]}")
    for known in own:
        if command.bit == known.bit or command.iri == known.iri:
            raise AlreadyExists(f"purpose {known.bit} of {by}: {known.iri}")
    purpose = Purpose(by, command.bit, command.iri, at, command.title)
    return Outcome(writes=(purpose,), event=PurposeRegistered(by, command.bit, command.iri))
