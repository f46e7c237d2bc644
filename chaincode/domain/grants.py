# SPDX-License-Identifier: Apache-2.0
"""Grants of access to data as they stand: what each covers, how its owner changes that, and who looks at it afterwards.

The owner alone suspends, resumes and revokes a grant; that is in force with the transaction that says so. A grant
expires by its time, whatever is written: that it has is written later. A grant cannot be passed on.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from chaincode.domain.access import MOST_ACTIONS, AccessAction
from chaincode.domain.errors import (
    AlreadyExists,
    GrantStillRuns,
    NotAMember,
    NotEmergency,
    NotTheOwner,
    OwnGrant,
    RecordNotFound,
    WrongGrantStatus,
)
from chaincode.domain.policy import Policy, roles_of
from chaincode.domain.recipients import KEY_SIZE
from chaincode.domain.values import (
    Blob,
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
    Text,
)


class GrantStatus(StrEnum):
    """How it stands with a grant, as somebody wrote; its time is another matter."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    REVOKED = "revoked"
    EXPIRED = "expired"


class Reason(StrEnum):
    """Why an attempt is denied: the first of these that holds, in this order."""

    NO_SUCH_GRANT = "no-such-grant"
    ANOTHER_ORGANISATION = "another-organisation"
    ANOTHER_USER = "another-user"
    REVOKED = "revoked"
    SUSPENDED = "suspended"
    NOT_YET = "not-yet"
    EXPIRED = "expired"
    ANOTHER_VERSION = "another-version"
    ANOTHER_ACTION = "another-action"
    ANOTHER_PURPOSE = "another-purpose"
    QUARANTINED = "quarantined"
    CONSENT = "consent"
    """Subjects of the data no longer permit the purpose: the selection is marked."""
    NO_USE_LEFT = "no-use-left"


@dataclass(frozen=True, slots=True)
class AccessGrant(Record):
    """A grant; rewritten when its status changes, so that an attempt ordered after that sees it."""

    grant: Name
    owner: OrgId
    granted_at: Instant
    grantee: OrgId
    artifact: Ref
    """The data: a data set version, or a selection from one."""
    purpose: Iri
    actions: tuple[AccessAction, ...] = field(metadata={"max": MOST_ACTIONS})
    not_before: Instant
    expires: Instant
    """The first instant at which it is over."""
    uses: Count
    """How often it may be used; 0: as often as it runs."""
    recipient: ClientId | None
    """Who of the grantee may use it; None: anyone."""
    recipient_key: Blob | None = field(metadata={"max": KEY_SIZE})
    """The public key to which the data's key is wrapped."""
    recipient_key_digest: Digest | None
    """The SHA-256 of that key's bytes."""
    request: Name | None
    renews: Name | None
    policy: Number | None
    """The version of the access policy that was in force; None where there was none."""
    emergency: Text | None
    """Why it was given without those who must approve; None where it was not."""
    status: GrantStatus
    changed_at: Instant
    """When its status last changed."""
    reason: Text | None
    """Why it did."""
    batched: bool | None = None
    """Whether its owner's gateway decides reads by itself, and commits to lists of them; see `reads`. None: no."""


@dataclass(frozen=True, slots=True)
class SuspendAccess(Command):
    """Stop a grant of one's own until it is resumed."""

    grant: Name
    reason: Text


@dataclass(frozen=True, slots=True)
class ResumeAccess(Command):
    """Let a suspended grant of one's own run on."""

    grant: Name
    reason: Text | None = None


@dataclass(frozen=True, slots=True)
class RevokeAccess(Command):
    """End a grant of one's own at once, for good."""

    grant: Name
    reason: Text


@dataclass(frozen=True, slots=True)
class ExpireAccess(Command):
    """Write that a grant of one's own is over, once its time has passed."""

    grant: Name


@dataclass(frozen=True, slots=True)
class ReviewAccess(Command):
    """Say, as a third member, whether a grant that was given in an emergency was right."""

    grant: Name
    justified: bool
    note: Text


@dataclass(frozen=True, slots=True)
class AccessReview(Record):
    """What a third member found of a grant that was given in an emergency; never rewritten."""

    grant: Name
    by: OrgId
    at: Instant
    justified: bool
    note: Text


@dataclass(frozen=True, slots=True)
class AccessSuspended(Event):
    """A grant is stopped until it is resumed."""

    grant: Name
    owner: OrgId
    grantee: OrgId


@dataclass(frozen=True, slots=True)
class AccessResumed(Event):
    """A suspended grant runs on."""

    grant: Name
    owner: OrgId
    grantee: OrgId


@dataclass(frozen=True, slots=True)
class AccessRevoked(Event):
    """A grant was ended by its owner."""

    grant: Name
    owner: OrgId
    grantee: OrgId


@dataclass(frozen=True, slots=True)
class AccessExpired(Event):
    """That a grant's time is over was written."""

    grant: Name
    owner: OrgId
    grantee: OrgId


@dataclass(frozen=True, slots=True)
class AccessReviewed(Event):
    """A member looked at a grant that was given in an emergency."""

    grant: Name
    by: OrgId
    justified: bool


def access_grant_ref(grant: str) -> Ref:
    """The reference to a grant."""
    return Ref.of("access-grant", grant)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a grant is to cover; what is None is not asked for."""

    at: Instant
    artifacts: Collection[Ref]
    """The data; a grant of any of these covers it."""
    purpose: Iri | None = None
    action: AccessAction | None = None


_STOPPED: Final[Mapping[GrantStatus, Reason]] = MappingProxyType(
    {
        GrantStatus.REVOKED: Reason.REVOKED,
        GrantStatus.SUSPENDED: Reason.SUSPENDED,
        GrantStatus.EXPIRED: Reason.EXPIRED,
    }
)


def stopped(grant: AccessGrant) -> Reason | None:
    """Why a grant is not in force, as its owner wrote; None where it is, or where its time alone says otherwise."""
    return _STOPPED.get(grant.status)


def outside(grant: AccessGrant, asked: Asked) -> Reason | None:
    """Why a grant's terms do not cover something; None where they do. Who asks, and its status, are not looked at."""
    if asked.at < grant.not_before:
        return Reason.NOT_YET
    if asked.at >= grant.expires:
        return Reason.EXPIRED
    if grant.artifact not in asked.artifacts:
        return Reason.ANOTHER_VERSION
    if asked.action is not None and asked.action not in grant.actions:
        return Reason.ANOTHER_ACTION
    if asked.purpose is not None and asked.purpose != grant.purpose:
        return Reason.ANOTHER_PURPOSE
    return None


# --- Rules ------------------------------------------------------------------------------------------------------


def suspend_access(command: SuspendAccess, *, by: OrgId, at: Instant, existing: AccessGrant | None) -> Outcome:
    """Suspend a grant of `by` that is active."""
    grant = _own(command.grant, by, existing, "suspend", GrantStatus.ACTIVE)
    changed = replace(grant, status=GrantStatus.SUSPENDED, changed_at=at, reason=command.reason)
    return Outcome(writes=(changed,), event=AccessSuspended(grant.grant, by, grant.grantee))


def resume_access(command: ResumeAccess, *, by: OrgId, at: Instant, existing: AccessGrant | None) -> Outcome:
    """Resume a grant of `by` that is suspended."""
    grant = _own(command.grant, by, existing, "resume", GrantStatus.SUSPENDED)
    changed = replace(grant, status=GrantStatus.ACTIVE, changed_at=at, reason=command.reason)
    return Outcome(writes=(changed,), event=AccessResumed(grant.grant, by, grant.grantee))


def revoke_access(command: RevokeAccess, *, by: OrgId, at: Instant, existing: AccessGrant | None) -> Outcome:
    """Revoke a grant of `by`, also one that is suspended."""
    grant = _own(command.grant, by, existing, "revoke", GrantStatus.ACTIVE, GrantStatus.SUSPENDED)
    changed = replace(grant, status=GrantStatus.REVOKED, changed_at=at, reason=command.reason)
    return Outcome(writes=(changed,), event=AccessRevoked(grant.grant, by, grant.grantee))


def expire_access(command: ExpireAccess, *, by: OrgId, at: Instant, existing: AccessGrant | None) -> Outcome:
    """Write that a grant of `by` has expired."""
    grant = _own(command.grant, by, existing, "expire", GrantStatus.ACTIVE, GrantStatus.SUSPENDED)
    if at < grant.expires:
        raise GrantStillRuns(access_grant_ref(grant.grant), grant.expires, at)
    changed = replace(grant, status=GrantStatus.EXPIRED, changed_at=at, reason=None)
    return Outcome(writes=(changed,), event=AccessExpired(grant.grant, by, grant.grantee))


def _own(name: Name, by: OrgId, grant: AccessGrant | None, step: str, *wanted: GrantStatus) -> AccessGrant:
    """The grant, which is there, is of `by`, and is in a status that the step needs."""
    reference = access_grant_ref(name)
    if grant is None:
        raise RecordNotFound(reference)
    if grant.owner != by:
        raise NotTheOwner(reference, grant.owner, by)
    if grant.status not in wanted:
        raise WrongGrantStatus(reference, grant.status, step, " or ".join(wanted))
    return grant


def review_access(
    command: ReviewAccess,
    *,
    by: OrgId,
    at: Instant,
    existing: AccessReview | None,
    grant: AccessGrant | None,
    members: Policy | None,
) -> Outcome:
    """Say as a member, which neither gave a grant nor got it, what it finds of an emergency."""
    reference = access_grant_ref(command.grant)
    if grant is None:
        raise RecordNotFound(reference)
    if grant.emergency is None:
        raise NotEmergency(reference)
    if by in {grant.owner, grant.grantee}:
        raise OwnGrant(reference, grant.owner, grant.grantee)
    if members is None or roles_of(members, by) is None:
        raise NotAMember(by)
    if existing is not None:
        raise AlreadyExists(f"the review of '{reference}' by {by}")
    review = AccessReview(command.grant, by, at, command.justified, command.note)
    return Outcome(writes=(review,), event=AccessReviewed(command.grant, by, command.justified))
