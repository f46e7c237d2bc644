# SPDX-License-Identifier: Apache-2.0
"""Anchors of audit logs: what the rule of `auditing` needs, always by key."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from chaincode.contracts.state import Ledger, Load
from chaincode.domain.auditing import AnchorAudit, AuditAnchor
from chaincode.domain.values import Command, Number


def for_anchor(ledger: Ledger, command: AnchorAudit) -> Mapping[str, object]:
    """What anchoring a log needs: the anchor under this number, and the one before it."""
    before = Number(command.number - 1) if command.number > 1 else None
    return {
        "existing": ledger.get(AuditAnchor, ledger.by, command.log, command.number),
        "previous": None if before is None else ledger.get(AuditAnchor, ledger.by, command.log, before),
    }


LOADS: Final[Mapping[type[Command], Load]] = MappingProxyType({AnchorAudit: for_anchor})
