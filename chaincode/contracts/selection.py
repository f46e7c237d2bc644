# SPDX-License-Identifier: Apache-2.0
"""Selections: what the rule of `domain.selection` needs."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from chaincode.contracts.state import Ledger, Load
from chaincode.domain.register import locate
from chaincode.domain.selection import CommitSelection, Selection, cited_by_selection
from chaincode.domain.values import ArtifactKind, Command, Record


def for_selection(ledger: Ledger, command: CommitSelection) -> Mapping[str, object]:
    """What committing a selection needs."""
    existing = None
    if command.version.kind == ArtifactKind.DATASET_VERSION:
        _, version = locate(command.version)
        existing = ledger.get(Selection, *version, command.selection)
    return {"existing": existing, "cited": ledger.cited(Record, cited_by_selection(command))}


LOADS: Final[Mapping[type[Command], Load]] = MappingProxyType({CommitSelection: for_selection})
