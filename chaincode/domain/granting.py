# SPDX-License-Identifier: Apache-2.0
"""Giving access to data: within what the owner offers, what was asked for, and what subjects permit.

The owner gives a grant for a request, or directly. A grant is renewed by a new one that names it. Where the access
policy names others who must approve, a grant answers a request that all of them approved, but for an emergency, which
another member looks at afterwards.

Where subjects gave the data, a grant is to a selection for its purpose, made from the consent map in force.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from chaincode.domain.access import MOST_ACTIONS, AccessAction, Offered, Terms, check_offer, check_terms, owner_of
from chaincode.domain.asking import AccessApproval, AccessRequest, Word, access_request_ref, said_of
from chaincode.domain.consent import WITHDRAWABLE, ConsentMapVersion, consent_map_version_ref
from chaincode.domain.errors import (
    AlreadyExists,
    ApprovalMissing,
    GrantWiderThanAsked,
    InvalidField,
    MissingField,
    NotAMember,
    NotTheOwner,
    OwnData,
    PurposeDiffers,
    RecordNotFound,
    RequestDenied,
    SelectionMissing,
    SelectionOutdated,
)
from chaincode.domain.grants import AccessGrant, GrantStatus, access_grant_ref
from chaincode.domain.policy import roles_of
from chaincode.domain.recipients import KEY_SIZE, key_digest
from chaincode.domain.selection import Selection
from chaincode.domain.values import (
    Blob,
    ClientId,
    Command,
    Count,
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

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class GrantAccess(Command):
    """Give another organisation access to one's own data.

    What is left out is as in the request that is answered or, without one, as in the grant that is renewed.
    """

    grant: Name
    request: Name | None = None
    renews: Name | None = None
    """The grant that this one follows: to the same organisation and data, for the same purpose."""
    grantee: OrgId | None = None
    artifact: Ref | None = None
    purpose: Iri | None = None
    actions: tuple[AccessAction, ...] | None = field(default=None, metadata={"max": MOST_ACTIONS})
    not_before: Instant | None = None
    """None: as requested, and where that is over or nothing was, now."""
    expires: Instant | None = None
    """The first instant at which it is over; a renewal says it anew."""
    uses: Count | None = None
    """0: as often as it runs."""
    recipient: ClientId | None = None
    recipient_key: Blob | None = field(default=None, metadata={"max": KEY_SIZE})
    emergency: Text | None = None
    """Why it cannot wait for those who must approve."""
    batched: bool | None = None
    """Whether reads need no transaction each, once an attempt was allowed: for downloads that are not counted."""


@dataclass(frozen=True, slots=True)
class AccessGranted(Event):
    """An organisation has access."""

    grant: Name
    owner: OrgId
    grantee: OrgId
    artifact: Ref
    expires: Instant


@dataclass(frozen=True, slots=True)
class Source:
    """What a grant goes by: the request that it answers, and the grant that it renews, where they exist."""

    request: AccessRequest | None
    renewed: AccessGrant | None

    @property
    def before(self) -> AccessRequest | AccessGrant | None:
        """That of the two which says what the command leaves out."""
        return self.renewed if self.request is None else self.request

    def artifact(self, command: GrantAccess) -> Ref:
        """The data that the grant is to; `MissingField` where nothing says so."""
        return _said("/artifact", command.artifact, None if self.before is None else self.before.artifact)


def maps_of(data: Record | None) -> Iterator[Ref]:
    """The version of the consent map that comes after the one from which a selection was made."""
    if isinstance(data, Selection) and data.consent_map is not None and data.consent_map.number < Number.LAST:
        yield consent_map_version_ref(data.dataset, data.consent_map.number + 1)


# --- The rule ---------------------------------------------------------------------------------------------------


def grant_access(
    command: GrantAccess,
    *,
    by: OrgId,
    at: Instant,
    existing: AccessGrant | None,
    source: Source,
    words: Mapping[OrgId, AccessApproval],
    offered: Offered,
    maps: Mapping[Ref, ConsentMapVersion],
) -> Outcome:
    """Give a grant; `words` are what was said of the request, and `maps` those of `maps_of` that exist."""
    reference = access_grant_ref(command.grant)
    if existing is not None:
        raise AlreadyExists(reference)
    if command.request is not None and source.request is None:
        raise RecordNotFound(access_request_ref(command.request))
    if command.renews is not None and source.renewed is None:
        raise RecordNotFound(access_grant_ref(command.renews))
    artifact = source.artifact(command)
    owner = owner_of(artifact, offered)
    if owner != by:
        raise NotTheOwner(artifact, owner, by)
    terms = _terms(command, artifact, source, at)
    if terms.grantee == by:
        raise OwnData(artifact, owner)
    if offered.members is None or roles_of(offered.members, terms.grantee) is None:
        raise NotAMember(terms.grantee)
    check_terms(terms, at)
    _check_request(reference, terms, source.request)
    _check_renewal(reference, terms, source.renewed)
    check_offer(reference, terms, offered)
    _check_words(reference, command, words, offered)
    _check_consent(reference, terms, at, offered, maps)
    before = source.before
    key = command.recipient_key or (None if before is None else before.recipient_key)
    grant = AccessGrant(
        grant=command.grant,
        owner=by,
        granted_at=at,
        grantee=terms.grantee,
        artifact=artifact,
        purpose=terms.purpose,
        actions=terms.actions,
        not_before=terms.not_before,
        expires=terms.expires,
        uses=terms.uses,
        recipient=command.recipient or (None if before is None else before.recipient),
        recipient_key=key,
        recipient_key_digest=key_digest(key),
        request=command.request,
        renews=command.renews,
        policy=None if offered.policy is None else offered.policy.number,
        emergency=command.emergency,
        status=GrantStatus.ACTIVE,
        changed_at=at,
        reason=None,
        batched=_batched(command, terms, source.renewed),
    )
    _check_recipient(reference, grant, source.request)
    return Outcome(writes=(grant,), event=AccessGranted(command.grant, by, terms.grantee, artifact, terms.expires))


def _terms(command: GrantAccess, artifact: Ref, source: Source, at: Instant) -> Terms:
    """What the grant says, with what was asked for where it says nothing."""
    request, renewed, before = source.request, source.renewed, source.before
    asked = None if request is None else request.by
    given = command.not_before
    if given is None:
        given = at if request is None else Instant(max(request.not_before, at))
    return Terms(
        grantee=_said("/grantee", command.grantee, renewed.grantee if asked is None and renewed else asked),
        artifact=artifact,
        purpose=_said("/purpose", command.purpose, None if before is None else before.purpose),
        actions=_said("/actions", command.actions, None if before is None else before.actions),
        not_before=given,
        # A renewal is for another time than what it renews.
        expires=_said("/expires", command.expires, None if request is None else request.expires),
        uses=_said("/uses", command.uses, Count(0) if before is None else before.uses),
    )


def _batched(command: GrantAccess, terms: Terms, renewed: AccessGrant | None) -> bool | None:
    """Whether reads need no transaction each, which says nothing of uses that are counted or of processing."""
    batched = command.batched
    if batched is None and renewed is not None:
        batched = renewed.batched
    if batched and terms.uses:
        raise InvalidField("/batched", "each of the uses that are counted is a transaction")
    if batched and AccessAction.DOWNLOAD not in terms.actions:
        raise InvalidField("/batched", "what is read in small parts is downloaded: the actions must have 'download'")
    return batched


def _said(pointer: str, given: T | None, before: T | None) -> T:
    """What the command says or, where it says nothing, what there was before."""
    said = before if given is None else given
    if said is None:
        raise MissingField(pointer)
    return said


def _check_request(reference: Ref, terms: Terms, request: AccessRequest | None) -> None:
    """Refuse to give more than was asked for, or to somebody else."""
    if request is None:
        return
    source = access_request_ref(request.request)
    for name, given, asked in (
        ("grantee", terms.grantee, request.by),
        ("artifact", terms.artifact, request.artifact),
        ("purpose", terms.purpose, request.purpose),
    ):
        if given != asked:
            raise GrantWiderThanAsked(reference, name, given, source, asked)
    if not set(terms.actions) <= set(request.actions):
        raise GrantWiderThanAsked(reference, "actions", ", ".join(terms.actions), source, ", ".join(request.actions))
    if terms.not_before < request.not_before:
        raise GrantWiderThanAsked(reference, "not_before", str(terms.not_before), source, str(request.not_before))
    if terms.expires > request.expires:
        raise GrantWiderThanAsked(reference, "expires", str(terms.expires), source, str(request.expires))
    if request.uses and not 0 < terms.uses <= request.uses:
        raise GrantWiderThanAsked(reference, "uses", str(terms.uses), source, str(request.uses))


def _check_recipient(reference: Ref, grant: AccessGrant, request: AccessRequest | None) -> None:
    """Refuse another user than the request names, and another key."""
    if request is None:
        return
    source = access_request_ref(request.request)
    if request.recipient not in (None, grant.recipient):
        raise GrantWiderThanAsked(reference, "recipient", str(grant.recipient), source, str(request.recipient))
    if request.recipient_key not in (None, grant.recipient_key):
        raise GrantWiderThanAsked(reference, "recipient_key", str(grant.recipient_key), source,
                                  str(request.recipient_key))  # fmt: skip


def _check_renewal(reference: Ref, terms: Terms, renewed: AccessGrant | None) -> None:
    """Refuse to renew a grant for somebody else, for other data or for another purpose."""
    if renewed is None:
        return
    source = access_grant_ref(renewed.grant)
    for name, given, before in (
        ("grantee", terms.grantee, renewed.grantee),
        ("artifact", terms.artifact, renewed.artifact),
        ("purpose", terms.purpose, renewed.purpose),
    ):
        if given != before:
            raise GrantWiderThanAsked(reference, name, given, source, before)


def _check_words(reference: Ref, command: GrantAccess, words: Mapping[OrgId, AccessApproval], offered: Offered) -> None:
    """Refuse what somebody denied, and what others who must approve have not; these are passed by in an emergency."""
    for by in said_of(words, Word.DENIED):
        raise RequestDenied(access_request_ref(words[by].request), by)
    if offered.policy is None or command.emergency is not None:
        return
    approved = said_of(words, Word.APPROVED)
    missing = tuple(approver for approver in offered.policy.approvers if approver not in approved)
    if missing:
        raise ApprovalMissing(reference, missing)


def _check_consent(
    reference: Ref, terms: Terms, at: Instant, offered: Offered, maps: Mapping[Ref, ConsentMapVersion]
) -> None:
    """Refuse what subjects have not permitted for this purpose, as the map in force has it."""
    data, dataset = offered.data, offered.dataset
    selection = data if isinstance(data, Selection) else None
    if selection is not None and selection.purpose not in (None, terms.purpose):
        raise PurposeDiffers(terms.artifact, str(selection.purpose), terms.purpose)
    if dataset is None or dataset.basis not in WITHDRAWABLE:
        return
    if selection is None or selection.consent_map is None:
        raise SelectionMissing(reference, terms.artifact, dataset.basis, terms.purpose)
    for after in maps.values():
        raise SelectionOutdated(terms.artifact, selection.consent_map.number, after.at, reference, at)
