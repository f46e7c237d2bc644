# SPDX-License-Identifier: Apache-2.0
"""Consent: what the rules of `domain.consent` and `domain.purposes` need."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from chaincode.contracts.state import Ledger, Load
from chaincode.domain.consent import (
    ChangeConsent,
    ConsentMap,
    ConsentMapVersion,
    MarkSelections,
    OpenConsent,
    SelectionMark,
)
from chaincode.domain.marking import Chosen, Known, wants_own
from chaincode.domain.provenance import Dataset
from chaincode.domain.purposes import FIRST_OWN, LAST, Purpose, RegisterPurpose
from chaincode.domain.selection import Selection
from chaincode.domain.values import Command, Number, Ref


def for_opening(ledger: Ledger, command: OpenConsent) -> Mapping[str, object]:
    """What opening a consent map needs."""
    return {
        "dataset": ledger.get(Dataset, command.dataset),
        "existing": ledger.get(ConsentMap, command.dataset),
    }


def for_changing(ledger: Ledger, command: ChangeConsent) -> Mapping[str, object]:
    """What changing a consent map needs."""
    return {
        "dataset": ledger.get(Dataset, command.dataset),
        "head": ledger.get(ConsentMap, command.dataset),
        "known": _known(ledger, command.affects),
    }


def for_marking(ledger: Ledger, command: MarkSelections) -> Mapping[str, object]:
    """What marking selections for an earlier change needs."""
    return {
        "dataset": ledger.get(Dataset, command.dataset),
        "version": ledger.get(ConsentMapVersion, command.dataset, command.number),
        "known": _known(ledger, command.selections),
    }


def _known(ledger: Ledger, named: Sequence[Ref]) -> Known:
    """What there is of selections, and of the purposes of the caller's organisation, which has to be their owner."""
    marks = ledger.get_each(SelectionMark, [(reference,) for reference in named])
    found = ledger.cited(Selection, named)
    selections = {
        reference: Chosen(each.purpose, None if each.consent_map is None else each.consent_map.number)
        for reference, each in found.items()
    }
    own = own_purposes(ledger) if wants_own(each.purpose for each in found.values()) else ()
    return Known(selections, {mark.selection for mark in marks if mark is not None}, own)


def own_purposes(ledger: Ledger) -> tuple[Purpose, ...]:
    """The purposes that the caller's organisation has registered, read by key."""
    found = ledger.get_each(Purpose, [(ledger.by, Number(bit)) for bit in range(FIRST_OWN, LAST + 1)])
    return tuple(purpose for purpose in found if purpose is not None)


def for_purpose(ledger: Ledger, command: RegisterPurpose) -> Mapping[str, object]:
    """What registering a purpose needs: everything that the organisation has registered."""
    return {"own": own_purposes(ledger)}


LOADS: Final[Mapping[type[Command], Load]] = MappingProxyType(
    {
        OpenConsent: for_opening,
        ChangeConsent: for_changing,
        MarkSelections: for_marking,
        RegisterPurpose: for_purpose,
    }
)
