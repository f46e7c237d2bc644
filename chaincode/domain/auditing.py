# SPDX-License-Identifier: Apache-2.0
"""Anchors of the audit logs that gateways keep of what they refused: how long a log is, and the root over its entries.

The entries stay with the organisation. An anchor binds it to them: a log that was anchored can grow and nothing else,
and an entry that is altered, taken out or put in afterwards leads to another root.
"""

from dataclasses import dataclass

from chaincode.domain.errors import AlreadyExists, InvalidField, VersionOutOfOrder
from chaincode.domain.values import Command, Count, Digest, Event, Instant, Number, OrgId, Outcome, Record


@dataclass(frozen=True, slots=True)
class AnchorAudit(Command):
    """Commit to an audit log of one's own organisation as it is now."""

    log: Digest
    """Which log: the hash of its first entry."""
    number: Number
    """1 for the first anchor of this log, then one more each time."""
    size: Count
    """How many entries the log has, more than at the anchor before."""
    root: Digest
    """Over the entries, in their order (RFC 6962, section 2.1)."""
    previous: Digest | None = None
    """The root of the anchor before; None for the first one."""


@dataclass(frozen=True, slots=True)
class AuditAnchor(Record):
    """An audit log by its size and root; never rewritten."""

    owner: OrgId
    log: Digest
    number: Number
    at: Instant
    size: Count
    root: Digest
    previous: Digest | None


@dataclass(frozen=True, slots=True)
class AuditAnchored(Event):
    """An organisation committed to its audit log."""

    owner: OrgId
    log: Digest
    number: Number
    size: Count
    root: Digest


def anchor_audit(
    command: AnchorAudit, *, by: OrgId, at: Instant, existing: AuditAnchor | None, previous: AuditAnchor | None
) -> Outcome:
    """Commit to a log that goes on from its anchor before, `previous`."""
    name = f"audit-anchor {command.number} of {command.log} of {by}"
    if existing is not None:
        raise AlreadyExists(name)
    if command.number > 1 and previous is None:
        raise VersionOutOfOrder(f"audit-anchors of {command.log} of {by}", command.number, command.number - 1)
    if command.previous != (None if previous is None else previous.root):
        raise InvalidField("/previous", "it must be the root of the anchor before, and is left out of the first one")
    least = 1 if previous is None else previous.size + 1
    if command.size < least:
        raise InvalidField("/size", f"it must be {least} or more: a log grows between its anchors")
    anchor = AuditAnchor(by, command.log, command.number, at, command.size, command.root, command.previous)
    return Outcome(writes=(anchor,), event=AuditAnchored(by, command.log, command.number, command.size, command.root))
