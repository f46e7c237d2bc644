# SPDX-License-Identifier: Apache-2.0
"""Access to data: under which terms an owner offers it, and what every request and grant has to keep to.

An owner sets an access policy for a data set: for which purposes and actions, for how long and how often, who may ask,
and who else must approve. Every version stays; the offer says which is in force. `asking` has what others ask for,
`granting` what the owner gives, and `attempting` how each attempt to use it is decided.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from chaincode.domain.errors import (
    AccessBackdated,
    AccessEndsBeforeItStarts,
    AlreadyExists,
    InvalidField,
    NotAmongAskers,
    NotTheOwner,
    OutsideAccessPolicy,
    RecordNotFound,
    VersionOutOfOrder,
)
from chaincode.domain.policy import Policy, roles_of
from chaincode.domain.provenance import Dataset, DatasetVersion
from chaincode.domain.purposes import BIT_OF, Purpose
from chaincode.domain.selection import Selection, version_of
from chaincode.domain.values import (
    SKEW,
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
    Role,
    Seconds,
    Text,
    dataset_ref,
    refuse_repeats,
)

MOST_USES: Final = 1_000
"""How many uses are counted at most; 0 is for as many as there are until the grant ends."""
MOST_PURPOSES: Final = 64
MOST_ACTIONS: Final = 8


class AccessAction(StrEnum):
    """What may be done with data: have a copy, have it processed where it is, or make less sensitive data from it."""

    DOWNLOAD = "download"
    PROCESS = "process"
    ANONYMISE = "anonymise"
    """Derive from it what is less sensitive; see `covering.check_sensitivity`."""


@dataclass(frozen=True, slots=True)
class SetAccessPolicy(Command):
    """Say under which terms others get access to one's own data set."""

    dataset: Name
    number: Number
    """1 for the first, otherwise one more than the version in force."""
    purposes: tuple[Iri, ...] = field(metadata={"max": MOST_PURPOSES})
    actions: tuple[AccessAction, ...] = field(metadata={"max": MOST_ACTIONS})
    longest: Seconds
    """How long a grant may run."""
    most_uses: Count | None = None
    """How often a grant may be used; None or 0: as often as it runs."""
    organisations: tuple[OrgId, ...] = field(default=(), metadata={"max": 64})
    """Who may ask, beside those with one of the roles; both empty: every member."""
    roles: tuple[Role, ...] = field(default=(), metadata={"max": 16})
    approvers: tuple[OrgId, ...] = field(default=(), metadata={"max": 16})
    """Who must approve a request before the owner grants it, such as an ethics committee's organisation."""
    conditions: Text | None = None
    conditions_digest: Digest | None = None
    """The SHA-256 of a document with the conditions."""


@dataclass(frozen=True, slots=True)
class AccessPolicy(Record):
    """A version of a data set's access policy; never rewritten."""

    dataset: Name
    number: Number
    owner: OrgId
    set_at: Instant
    purposes: tuple[Iri, ...] = field(metadata={"max": MOST_PURPOSES})
    actions: tuple[AccessAction, ...] = field(metadata={"max": MOST_ACTIONS})
    longest: Seconds
    most_uses: Count
    organisations: tuple[OrgId, ...] = field(metadata={"max": 64})
    roles: tuple[Role, ...] = field(metadata={"max": 16})
    approvers: tuple[OrgId, ...] = field(metadata={"max": 16})
    conditions: Text | None
    conditions_digest: Digest | None


@dataclass(frozen=True, slots=True)
class AccessOffer(Record):
    """Which version of a data set's access policy is in force; rewritten with every version."""

    dataset: Name
    owner: OrgId
    number: Number
    changed_at: Instant


@dataclass(frozen=True, slots=True)
class AccessPolicySet(Event):
    """A version of an access policy is in force."""

    dataset: Name
    owner: OrgId
    number: Number


def access_offer_ref(dataset: str) -> Ref:
    """The reference to what says which access policy of a data set is in force."""
    return Ref.of("access-offer", dataset)


def access_policy_ref(dataset: str, number: int) -> Ref:
    """The reference to a version of a data set's access policy."""
    return Ref.of("access-policy", dataset, number)


# --- What a request and a grant have in common ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Terms:
    """For whom, to what, for what and for how long access is."""

    grantee: OrgId
    artifact: Ref
    purpose: Iri
    actions: tuple[AccessAction, ...]
    not_before: Instant
    expires: Instant
    uses: Count


@dataclass(frozen=True, slots=True)
class Offered:
    """What the ledger holds of the data that access is to, and of who may have it."""

    data: Record | None
    """The version or the selection."""
    dataset: Dataset | None
    policy: AccessPolicy | None
    """The access policy in force; None where the owner has set none."""
    members: Policy | None
    """The consortium's policy, which says who has which role."""


def owner_of(artifact: Ref, offered: Offered) -> OrgId:
    """Whose data it is; refuses what is not data, and what is not on the ledger."""
    check_kind("/artifact", artifact)
    if not isinstance(offered.data, DatasetVersion | Selection):
        raise RecordNotFound(artifact)
    return offered.data.owner


def check_kind(pointer: str, artifact: Ref) -> None:
    """Refuse a reference to something else than data."""
    if artifact.kind not in {"dataset-version", "selection"}:
        raise InvalidField(pointer, "it must be a data set version or a selection, such as 'dataset-version:wdbc:1'")


def data_of(artifact: Ref) -> Ref:
    """The version that data is, or is a selection from."""
    return version_of(artifact) if artifact.kind == "selection" else artifact


def check_terms(terms: Terms, at: Instant) -> None:
    """Refuse terms that say nothing, or that no time is left for."""
    if not terms.actions:
        raise InvalidField("/actions", "it must name an action or more")
    refuse_repeats("/actions", terms.actions)
    if terms.uses > MOST_USES:
        raise InvalidField("/uses", f"it must be at most {MOST_USES}, or 0 for as often as it runs")
    if terms.not_before < at - SKEW:
        raise AccessBackdated("/not_before", terms.not_before, at)
    if terms.expires <= max(terms.not_before, at):
        raise AccessEndsBeforeItStarts(terms.not_before, terms.expires, at)


def check_offer(reference: Ref, terms: Terms, offered: Offered) -> None:
    """Refuse terms that the access policy in force does not allow; where there is none, the owner alone decides."""
    policy = offered.policy
    if policy is None:
        return
    if not _may_ask(policy, terms.grantee, offered.members):
        allowed = ", ".join((*policy.organisations, *(f"members with the role {role}" for role in policy.roles)))
        raise NotAmongAskers(policy.dataset, policy.number, allowed, terms.grantee)
    if terms.purpose not in policy.purposes:
        raise _outside(reference, policy, f"the purpose {terms.purpose}", ", ".join(policy.purposes))
    for action in terms.actions:
        if action not in policy.actions:
            raise _outside(reference, policy, f"the action {action}", ", ".join(policy.actions))
    asked = terms.expires - terms.not_before
    if asked > 1_000 * policy.longest:
        raise _outside(reference, policy, f"{asked} ms", f"{policy.longest} seconds at most")
    if policy.most_uses and not 0 < terms.uses <= policy.most_uses:
        given = f"{terms.uses} uses" if terms.uses else "uses without number"
        raise _outside(reference, policy, given, f"{policy.most_uses} at most")


def _outside(reference: Ref, policy: AccessPolicy, given: str, allowed: str) -> OutsideAccessPolicy:
    return OutsideAccessPolicy(reference, policy.dataset, policy.number, given, allowed)


def _may_ask(policy: AccessPolicy, organisation: OrgId, members: Policy | None) -> bool:
    if not policy.organisations and not policy.roles:
        return True
    held = None if members is None else roles_of(members, organisation)
    return organisation in policy.organisations or not (held or frozenset()).isdisjoint(policy.roles)


# --- Rules ------------------------------------------------------------------------------------------------------


def set_access_policy(
    command: SetAccessPolicy,
    *,
    by: OrgId,
    at: Instant,
    dataset: Dataset | None,
    offer: AccessOffer | None,
    own: Iterable[Purpose],
) -> Outcome:
    """Set a version of an access policy; `own` are the purposes that the caller's organisation has registered."""
    if dataset is None:
        raise RecordNotFound(dataset_ref(command.dataset))
    if dataset.owner != by:
        raise NotTheOwner(dataset_ref(command.dataset), dataset.owner, by)
    expected = 1 if offer is None else Number.after(offer.number, "/number")
    if command.number < expected:
        raise AlreadyExists(access_policy_ref(command.dataset, command.number))
    if command.number > expected:
        raise VersionOutOfOrder(access_offer_ref(command.dataset), command.number, expected)
    _check_lists(command, by, {purpose.iri for purpose in own})
    policy = AccessPolicy(
        dataset=command.dataset,
        number=command.number,
        owner=by,
        set_at=at,
        purposes=command.purposes,
        actions=command.actions,
        longest=command.longest,
        most_uses=command.most_uses or Count(0),
        organisations=command.organisations,
        roles=command.roles,
        approvers=command.approvers,
        conditions=command.conditions,
        conditions_digest=command.conditions_digest,
    )
    offer = AccessOffer(command.dataset, by, command.number, at)
    return Outcome(writes=(policy, offer), event=AccessPolicySet(command.dataset, by, command.number))


def _check_lists(command: SetAccessPolicy, by: OrgId, own: Collection[Iri]) -> None:
    for pointer, entries in (("/purposes", command.purposes), ("/actions", command.actions)):
        if not entries:
            raise InvalidField(pointer, "it must name one or more")
        refuse_repeats(pointer, entries)
    for place, purpose in enumerate(command.purposes):
        if purpose not in BIT_OF and purpose not in own:
            raise InvalidField(f"/purposes/{place}", "it is neither everybody's purpose nor one that you registered")
    if (command.most_uses or 0) > MOST_USES:
        raise InvalidField("/most_uses", f"it must be at most {MOST_USES}, or 0 for as often as a grant runs")
    refuse_repeats("/organisations", command.organisations)
    refuse_repeats("/roles", command.roles)
    refuse_repeats("/approvers", command.approvers)
    if by in command.approvers:
        raise InvalidField("/approvers", "the owner grants, and need not approve as well")
