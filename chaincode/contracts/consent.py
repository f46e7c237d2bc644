# SPDX-License-Identifier: Apache-2.0
"""Consent: what the rules of `domain.consent` and `domain.purposes` need."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from chaincode.contracts.state import Ledger, Load
from chaincode.domain.consent import ChangeConsent, ConsentMap, OpenConsent, SelectionMark
from chaincode.domain.provenance import Dataset
from chaincode.domain.purposes import FIRST_OWN, LAST, Purpose, RegisterPurpose
from chaincode.domain.selection import Selection
from chaincode.domain.values import Command, Number


def for_opening(ledger: Ledger, command: OpenConsent) -> Mapping[str, object]:
    """What opening a consent map needs."""
    return {
        "dataset": ledger.get(Dataset, command.dataset),
        "existing": ledger.get(ConsentMap, command.dataset),
    }


def for_changing(ledger: Ledger, command: ChangeConsent) -> Mapping[str, object]:
    """What changing a consent map needs."""
    marks = ledger.get_each(SelectionMark, [(reference,) for reference in command.affects])
    return {
        "dataset": ledger.get(Dataset, command.dataset),
        "head": ledger.get(ConsentMap, command.dataset),
        "selections": ledger.cited(Selection, command.affects),
        "marks": {mark.selection for mark in marks if mark is not None},
    }


def for_purpose(ledger: Ledger, command: RegisterPurpose) -> Mapping[str, object]:
    """What registering a purpose needs: everything that the organisation has registered, read by key."""
    found = ledger.get_each(Purpose, [(ledger.by, Number(bit)) for bit in range(FIRST_OWN, LAST + 1)])
    return {"own": tuple(purpose for purpose in found if purpose is not None)}


LOADS: Final[Mapping[type[Command], Load]] = MappingProxyType(
    {OpenConsent: for_opening, ChangeConsent: for_changing, RegisterPurpose: for_purpose}
)
