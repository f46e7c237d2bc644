# SPDX-License-Identifier: Apache-2.0
"""Access to data: what the rules of `access`, `asking`, `granting`, `grants` and `attempting` need, always by key."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from chaincode.contracts.consent import own_purposes
from chaincode.contracts.state import Ledger, Load
from chaincode.domain.access import (
    AccessOffer,
    AccessPolicy,
    Offered,
    SetAccessPolicy,
    check_kind,
    data_of,
)
from chaincode.domain.asking import AccessApproval, AccessRequest, ApproveAccess, DenyAccess, RequestAccess
from chaincode.domain.attempting import (
    AccessBatch,
    AccessSlot,
    AnchorAccess,
    AttemptAccess,
    Condition,
    looks,
)
from chaincode.domain.consent import ConsentMapVersion, SelectionMark
from chaincode.domain.granting import GrantAccess, Source, maps_of
from chaincode.domain.grants import (
    AccessGrant,
    AccessReview,
    ExpireAccess,
    ResumeAccess,
    ReviewAccess,
    RevokeAccess,
    SuspendAccess,
)
from chaincode.domain.lifecycle import ArtifactStage, standing_at
from chaincode.domain.policy import Policy, Stage
from chaincode.domain.provenance import Dataset
from chaincode.domain.purposes import BIT_OF
from chaincode.domain.values import Command, Name, Number, Record, Ref


def for_policy(ledger: Ledger, command: SetAccessPolicy) -> Mapping[str, object]:
    """What setting an access policy needs."""
    registered = any(purpose not in BIT_OF for purpose in command.purposes)
    return {
        "dataset": ledger.get(Dataset, command.dataset),
        "offer": ledger.get(AccessOffer, command.dataset),
        "own": own_purposes(ledger) if registered else (),
    }


def for_request(ledger: Ledger, command: RequestAccess) -> Mapping[str, object]:
    """What asking for access needs."""
    return {
        "existing": ledger.get(AccessRequest, command.request),
        "offered": _offered(ledger, command.artifact),
    }


def for_word(ledger: Ledger, command: ApproveAccess | DenyAccess) -> Mapping[str, object]:
    """What approving or denying a request needs: the policy in force says who has a say."""
    request = ledger.get(AccessRequest, command.request)
    return {
        "request": request,
        "policy": None if request is None else _policy(ledger, request.artifact.name),
        "existing": ledger.get(AccessApproval, command.request, ledger.by),
    }


def for_grant(ledger: Ledger, command: GrantAccess) -> Mapping[str, object]:
    """What giving a grant needs: what was asked for, what was said of it, and what subjects have said since."""
    source = Source(
        None if command.request is None else ledger.get(AccessRequest, command.request),
        None if command.renews is None else ledger.get(AccessGrant, command.renews),
    )
    offered = _offered(ledger, source.artifact(command)) if _is_there(command, source) else _NOTHING
    approvers = () if offered.policy is None else offered.policy.approvers
    names = [] if command.request is None else [(command.request, by) for by in dict.fromkeys((ledger.by, *approvers))]
    words = ledger.get_each(AccessApproval, names)
    return {
        "existing": ledger.get(AccessGrant, command.grant),
        "source": source,
        "words": {word.by: word for word in words if word is not None},
        "offered": offered,
        "maps": ledger.cited(ConsentMapVersion, maps_of(offered.data)),
    }


def _is_there(command: GrantAccess, source: Source) -> bool:
    """Whether what a grant goes by exists, so that it says which data it is to."""
    return (command.request is None or source.request is not None) and (
        command.renews is None or source.renewed is not None
    )


def for_status(
    ledger: Ledger, command: SuspendAccess | ResumeAccess | RevokeAccess | ExpireAccess
) -> Mapping[str, object]:
    """What changing the status of a grant needs."""
    return {"existing": ledger.get(AccessGrant, command.grant)}


def for_review(ledger: Ledger, command: ReviewAccess) -> Mapping[str, object]:
    """What looking at a grant afterwards needs."""
    return {
        "existing": ledger.get(AccessReview, command.grant, ledger.by),
        "grant": ledger.get(AccessGrant, command.grant),
        "members": ledger.get(Policy),
    }


def for_attempt(ledger: Ledger, command: AttemptAccess) -> Mapping[str, object]:
    """What deciding an attempt needs: grant and data by one call of the peer, and a use where uses are counted."""
    check_kind("/artifact", command.artifact)
    version = data_of(command.artifact)
    grant, standing, mark = ledger.get_all(
        [(AccessGrant, (command.grant,)), (ArtifactStage, (version,)), (SelectionMark, (command.artifact,))]
    )

    def free_slot(given: AccessGrant) -> Number | None:
        for look in looks(ledger.transaction, given.uses):
            taken = ledger.get_each(AccessSlot, [(command.grant, slot) for slot in look])
            for slot, found in zip(look, taken, strict=True):
                if found is None:
                    return slot
        return None

    stopped = isinstance(standing, ArtifactStage) and standing_at(standing, ledger.at).stage is Stage.QUARANTINED
    return {
        "transaction": ledger.transaction,
        "grant": grant,
        "condition": Condition(quarantined=stopped, withdrawn=mark is not None),
        "free_slot": free_slot,
    }


def for_batch(ledger: Ledger, command: AnchorAccess) -> Mapping[str, object]:
    """What committing to a list of reads needs."""
    return {
        "existing": ledger.get(AccessBatch, ledger.by, command.number),
        "previous": ledger.get(AccessBatch, ledger.by, Number(command.number - 1)) if command.number > 1 else None,
    }


def _offered(ledger: Ledger, artifact: Ref) -> Offered:
    """What there is of the data that access is to, and under which terms it is offered."""
    check_kind("/artifact", artifact)
    return Offered(
        data=ledger.cited(Record, (artifact,)).get(artifact),
        dataset=ledger.get(Dataset, artifact.name),
        policy=_policy(ledger, artifact.name),
        members=ledger.get(Policy),
    )


def _policy(ledger: Ledger, dataset: Name) -> AccessPolicy | None:
    """The access policy in force."""
    offer = ledger.get(AccessOffer, dataset)
    return None if offer is None else ledger.get(AccessPolicy, dataset, offer.number)


_NOTHING: Final = Offered(None, None, None, None)

LOADS: Final[Mapping[type[Command], Load]] = MappingProxyType(
    {
        SetAccessPolicy: for_policy,
        RequestAccess: for_request,
        ApproveAccess: for_word,
        DenyAccess: for_word,
        GrantAccess: for_grant,
        SuspendAccess: for_status,
        ResumeAccess: for_status,
        RevokeAccess: for_status,
        ExpireAccess: for_status,
        ReviewAccess: for_review,
        AttemptAccess: for_attempt,
        AnchorAccess: for_batch,
    }
)
