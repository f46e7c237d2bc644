# SPDX-License-Identifier: Apache-2.0
"""Attempts to use data under a grant: each is decided here and written, the denied ones as well.

A command that is well formed is always recorded, also where there is no such grant: what is refused leaves no trace,
and an attempt has to leave one. The grant is read by its key, so that an attempt which was decided before a revocation
and is ordered after it is invalid.

A grant that is used so many times has as many slots. An attempt takes a free one, whose place follows from the
transaction's id; of two that take one slot at once, one is invalid, and is decided again under another id. So nobody
uses a grant once too often, and attempts do not wait for a counter.

Reads that are too many for a transaction each are listed by the data's owner: a batch commits to the list by one Merkle
root (RFC 6962) over leaves that stay with the owner's gateway.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from chaincode.domain.access import AccessAction
from chaincode.domain.errors import AlreadyExists, InvalidField, VersionOutOfOrder
from chaincode.domain.grants import AccessGrant, Asked, Reason, outside, stopped
from chaincode.domain.values import (
    ClientId,
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
    refuse_future,
)


class AccessDecision(StrEnum):
    """What an attempt came to."""

    ALLOWED = "allowed"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class AttemptAccess(Command):
    """Ask to use data under a grant, now."""

    grant: Name
    artifact: Ref
    """The data set version or the selection."""
    action: AccessAction
    purpose: Iri
    recipient: ClientId | None = None
    """Who of the caller's organisation asks."""


@dataclass(frozen=True, slots=True)
class AccessAttempt(Record):
    """An attempt and its decision; never rewritten."""

    attempt: Digest
    """The id of the transaction."""
    by: OrgId
    at: Instant
    grant: Name
    artifact: Ref
    action: AccessAction
    purpose: Iri
    recipient: ClientId | None
    decision: AccessDecision
    reason: Reason | None
    """Why it was denied; None where it was allowed."""
    owner: OrgId | None
    """Whose grant it is; None where there is no such grant."""
    recipient_key_digest: Digest | None
    """Of the key to which an allowed attempt's data goes, as the grant says."""
    slot: Number | None
    """Which of the grant's uses it took; None where these are not counted, or none was taken."""


@dataclass(frozen=True, slots=True)
class AccessSlot(Record):
    """One of a grant's uses, taken; never rewritten."""

    grant: Name
    slot: Number
    attempt: Digest
    by: OrgId
    at: Instant


@dataclass(frozen=True, slots=True)
class AccessAttempted(Event):
    """An attempt was decided."""

    attempt: Digest
    grant: Name
    by: OrgId
    decision: AccessDecision
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class AnchorAccess(Command):
    """Commit to a list of reads of one's own data that had no transaction each."""

    number: Number
    """1 for the first list of the organisation, then one more each time."""
    root: Digest
    """Over the leaves, in their order (RFC 6962, section 2.1)."""
    size: Count
    """How many there are, at least one."""
    since: Instant
    """When the first of them was."""
    until: Instant
    """When the last of them was."""


@dataclass(frozen=True, slots=True)
class AccessBatch(Record):
    """A list of reads by its root; never rewritten."""

    owner: OrgId
    number: Number
    at: Instant
    root: Digest
    size: Count
    since: Instant
    until: Instant


@dataclass(frozen=True, slots=True)
class AccessAnchored(Event):
    """A list of reads is committed to."""

    owner: OrgId
    number: Number
    root: Digest
    size: Count


@dataclass(frozen=True, slots=True)
class Condition:
    """What there is of the data, beside the grant."""

    quarantined: bool
    """Whether its version is stopped."""
    withdrawn: bool
    """Whether subjects of it no longer permit what it was selected for."""


_FIRST_LOOK: Final = 4


def looks(transaction: Digest, uses: int) -> Iterator[tuple[Number, ...]]:
    """The slots of a grant in the order in which a transaction looks for a free one, some at a time.

    The first of them is anywhere. Where it is taken, each look is at twice as many: a slot that is seen to be free ties
    the transaction to its staying so, and few are seen to be until most are taken.
    """
    first, seen, most = int.from_bytes(transaction) % uses, 0, 1
    while seen < uses:
        last = min(seen + most, uses)
        yield tuple(Number((first + place) % uses + 1) for place in range(seen, last))
        seen, most = last, 2 * most if most > 1 else _FIRST_LOOK


# --- Rules ------------------------------------------------------------------------------------------------------


def attempt_access(
    command: AttemptAccess,
    *,
    by: OrgId,
    at: Instant,
    transaction: Digest,
    grant: AccessGrant | None,
    condition: Condition,
    free_slot: Callable[[AccessGrant], Number | None],
) -> Outcome:
    """Decide an attempt by `by`; `free_slot` finds a use of a counted grant that is not taken, None where all are."""
    reason = objection(command, by, at, grant, condition)
    slot = None
    if grant is not None and reason is None and grant.uses:
        slot = free_slot(grant)
        reason = Reason.NO_USE_LEFT if slot is None else None
    allowed = grant is not None and reason is None
    decision = AccessDecision.ALLOWED if allowed else AccessDecision.DENIED
    attempt = AccessAttempt(
        attempt=transaction,
        by=by,
        at=at,
        grant=command.grant,
        artifact=command.artifact,
        action=command.action,
        purpose=command.purpose,
        recipient=command.recipient,
        decision=decision,
        reason=reason,
        owner=None if grant is None else grant.owner,
        recipient_key_digest=grant.recipient_key_digest if grant is not None and allowed else None,
        slot=slot,
    )
    taken = () if slot is None else (AccessSlot(command.grant, slot, transaction, by, at),)
    return Outcome(writes=(attempt, *taken), event=AccessAttempted(transaction, command.grant, by, decision, reason))


def objection(
    command: AttemptAccess, by: OrgId, at: Instant, grant: AccessGrant | None, condition: Condition
) -> Reason | None:
    """The first reason for which an attempt is denied, before its use is counted."""
    if grant is None:
        return Reason.NO_SUCH_GRANT
    if by != grant.grantee:
        return Reason.ANOTHER_ORGANISATION
    if grant.recipient not in (None, command.recipient):
        return Reason.ANOTHER_USER
    asked = Asked(at, (command.artifact,), command.purpose, command.action)
    reason = stopped(grant) or outside(grant, asked)
    if reason is None and condition.quarantined:
        return Reason.QUARANTINED
    if reason is None and condition.withdrawn:
        return Reason.CONSENT
    return reason


def anchor_access(
    command: AnchorAccess, *, by: OrgId, at: Instant, existing: AccessBatch | None, previous: AccessBatch | None
) -> Outcome:
    """Commit to a list of reads; `previous` is the organisation's list before this one."""
    name = f"access-batch {command.number} of {by}"
    if existing is not None:
        raise AlreadyExists(name)
    if command.number > 1 and previous is None:
        raise VersionOutOfOrder(f"access-batches of {by}", command.number, command.number - 1)
    if not command.size:
        raise InvalidField("/size", "a list has at least one read")
    if command.until < command.since:
        raise InvalidField("/until", "it is before the first of them")
    refuse_future("/until", command.until, at)
    batch = AccessBatch(by, command.number, at, command.root, command.size, command.since, command.until)
    return Outcome(writes=(batch,), event=AccessAnchored(by, command.number, command.root, command.size))
