# SPDX-License-Identifier: Apache-2.0
"""Requests for access to data, and what those say of them who have a say.

An organisation asks for what it needs, within the access policy of the data set. Those whom the policy names approve or
deny the request, each once; the data's owner denies it, or grants it (`granting`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from chaincode.domain.access import (
    MOST_ACTIONS,
    AccessAction,
    AccessPolicy,
    Offered,
    Terms,
    check_offer,
    check_terms,
    owner_of,
)
from chaincode.domain.errors import AlreadyDecided, AlreadyExists, NotAnApprover, OwnData, RecordNotFound
from chaincode.domain.recipients import KEY_SIZE, key_digest
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


class Word(StrEnum):
    """What an organisation that has a say said of a request."""

    APPROVED = "approved"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class RequestAccess(Command):
    """Ask for access to a version of another organisation's data set, or to a selection from one."""

    request: Name
    artifact: Ref
    purpose: Iri
    actions: tuple[AccessAction, ...] = field(metadata={"max": MOST_ACTIONS})
    expires: Instant
    """When the access is to end; not at that instant any more."""
    not_before: Instant | None = None
    """None: now."""
    uses: Count | None = None
    """How often; None or 0: as often as it runs."""
    recipient: ClientId | None = None
    """Who of the caller's organisation it is for; None: anyone of it."""
    recipient_key: Blob | None = field(default=None, metadata={"max": KEY_SIZE})
    """The public key to which the data's key is to be wrapped."""
    justification: Text | None = None


@dataclass(frozen=True, slots=True)
class AccessRequest(Record):
    """A request for access; never rewritten."""

    request: Name
    by: OrgId
    at: Instant
    owner: OrgId
    """Whose data it is."""
    artifact: Ref
    purpose: Iri
    actions: tuple[AccessAction, ...] = field(metadata={"max": MOST_ACTIONS})
    not_before: Instant
    expires: Instant
    uses: Count
    recipient: ClientId | None
    recipient_key: Blob | None = field(metadata={"max": KEY_SIZE})
    recipient_key_digest: Digest | None
    """The SHA-256 of the key's bytes."""
    justification: Text | None
    policy: Number | None
    """The version of the access policy that was in force; None where there was none."""


@dataclass(frozen=True, slots=True)
class ApproveAccess(Command):
    """Approve a request for access, as an organisation that the access policy names."""

    request: Name
    note: Text | None = None


@dataclass(frozen=True, slots=True)
class DenyAccess(Command):
    """Deny a request for access, as the data's owner or as an organisation that the access policy names."""

    request: Name
    reason: Text


@dataclass(frozen=True, slots=True)
class AccessApproval(Record):
    """What an organisation that has a say said of a request; never rewritten."""

    request: Name
    by: OrgId
    at: Instant
    word: Word
    note: Text | None


@dataclass(frozen=True, slots=True)
class AccessRequested(Event):
    """An organisation asked for access."""

    request: Name
    by: OrgId
    owner: OrgId
    artifact: Ref


@dataclass(frozen=True, slots=True)
class AccessApproved(Event):
    """An organisation that must approve a request did."""

    request: Name
    by: OrgId


@dataclass(frozen=True, slots=True)
class AccessDenied(Event):
    """A request was denied."""

    request: Name
    by: OrgId


def access_request_ref(request: str) -> Ref:
    """The reference to a request for access."""
    return Ref.of("access-request", request)


# --- Rules ------------------------------------------------------------------------------------------------------


def request_access(
    command: RequestAccess, *, by: OrgId, at: Instant, existing: AccessRequest | None, offered: Offered
) -> Outcome:
    """Ask for access, within what the owner offers."""
    reference = access_request_ref(command.request)
    if existing is not None:
        raise AlreadyExists(reference)
    owner = owner_of(command.artifact, offered)
    if owner == by:
        raise OwnData(command.artifact, owner)
    begins = at if command.not_before is None else command.not_before
    uses = command.uses or Count(0)
    terms = Terms(by, command.artifact, command.purpose, command.actions, begins, command.expires, uses)
    check_terms(terms, at)
    check_offer(reference, terms, offered)
    request = AccessRequest(
        request=command.request,
        by=by,
        at=at,
        owner=owner,
        artifact=command.artifact,
        purpose=command.purpose,
        actions=command.actions,
        not_before=begins,
        expires=command.expires,
        uses=uses,
        recipient=command.recipient,
        recipient_key=command.recipient_key,
        recipient_key_digest=key_digest(command.recipient_key),
        justification=command.justification,
        policy=None if offered.policy is None else offered.policy.number,
    )
    return Outcome(writes=(request,), event=AccessRequested(command.request, by, owner, command.artifact))


def approve_access(
    command: ApproveAccess,
    *,
    by: OrgId,
    at: Instant,
    request: AccessRequest | None,
    policy: AccessPolicy | None,
    existing: AccessApproval | None,
) -> Outcome:
    """Approve a request; `policy` is the access policy in force."""
    _check_say(command.request, by, request, policy, existing, owner_too=False)
    approval = AccessApproval(command.request, by, at, Word.APPROVED, command.note)
    return Outcome(writes=(approval,), event=AccessApproved(command.request, by))


def deny_access(
    command: DenyAccess,
    *,
    by: OrgId,
    at: Instant,
    request: AccessRequest | None,
    policy: AccessPolicy | None,
    existing: AccessApproval | None,
) -> Outcome:
    """Deny a request; `policy` is the access policy in force."""
    _check_say(command.request, by, request, policy, existing, owner_too=True)
    denial = AccessApproval(command.request, by, at, Word.DENIED, command.reason)
    return Outcome(writes=(denial,), event=AccessDenied(command.request, by))


def _check_say(
    name: Name,
    by: OrgId,
    request: AccessRequest | None,
    policy: AccessPolicy | None,
    existing: AccessApproval | None,
    *,
    owner_too: bool,
) -> None:
    """Refuse where there is no such request, who has no say, and who has spoken already."""
    reference = access_request_ref(name)
    if request is None:
        raise RecordNotFound(reference)
    approvers = () if policy is None else policy.approvers
    if by not in approvers and not (owner_too and by == request.owner):
        raise NotAnApprover(reference, by, ", ".join(approvers) or "nobody else")
    if existing is not None:
        raise AlreadyDecided(reference, by, existing.word)


def said_of(words: Mapping[OrgId, AccessApproval], word: Word) -> tuple[OrgId, ...]:
    """Who said this of a request."""
    return tuple(by for by, given in words.items() if given.word is word)
