# SPDX-License-Identifier: Apache-2.0
"""Refusals about access to data: what an owner offers, what is asked for, and what a grant covers.

An attempt that a grant does not cover is not refused but recorded: see `attempting`.
"""

from dataclasses import dataclass

from chaincode.domain.errors.base import Conflict, Forbidden, Unmet


@dataclass
class OutsideAccessPolicy(Unmet):
    """More is asked for, or given, than the owner's access policy allows."""

    code = "outside-access-policy"
    sentence = "'{reference}' is for {given}; version {number} of the access policy of '{dataset}' allows {allowed}."
    reference: str
    dataset: str
    number: int
    given: str
    allowed: str


@dataclass
class NotAmongAskers(Forbidden):
    """The owner's access policy names who may ask, and this organisation is not among them."""

    code = "not-among-askers"
    sentence = "Version {number} of the access policy of '{dataset}' lets {allowed} ask for access, and not {by}."
    dataset: str
    number: int
    allowed: str
    by: str


@dataclass
class OwnData(Unmet):
    """Access to what is one's own is neither asked for nor granted."""

    code = "own-data"
    sentence = "'{artifact}' belongs to {owner}, which has access without a grant."
    artifact: str
    owner: str


@dataclass
class AccessEndsBeforeItStarts(Unmet):
    """Access that ends before it begins, or before it is asked for or granted."""

    code = "access-ends-before-it-starts"
    sentence = "Access from {not_before} cannot expire at {expires}, seen at {at} (milliseconds since 1970)."
    not_before: int
    expires: int
    at: int


@dataclass
class AccessBackdated(Unmet):
    """Access is said to have begun before the transaction that asks for it or grants it."""

    code = "access-backdated"
    sentence = "'{pointer}' is dated {given}, before the transaction at {at} (milliseconds since 1970)."
    pointer: str
    given: int
    at: int


@dataclass
class GrantWiderThanAsked(Unmet):
    """A grant gives more than the request that it answers, or another thing than the grant that it renews."""

    code = "grant-wider-than-asked"
    sentence = "'{reference}' has {given} as '{field}', and '{source}' has {asked}."
    reference: str
    field: str
    given: str
    source: str
    asked: str


@dataclass
class NotAnApprover(Forbidden):
    """Somebody else than the owner and those whom the access policy names speaks on a request."""

    code = "not-an-approver"
    sentence = "{by} has no say on '{request}': the owner grants or denies, and these approve first: {approvers}."
    request: str
    by: str
    approvers: str


@dataclass
class AlreadyDecided(Conflict):
    """An organisation speaks on a request once."""

    code = "already-decided"
    sentence = "{by} has {decision} '{request}' already."
    request: str
    by: str
    decision: str


@dataclass
class ApprovalMissing(Unmet):
    """Others must approve a request before its grant."""

    code = "approval-missing"
    sentence = "'{reference}' needs a request that these have approved: {missing}."
    reference: str
    missing: tuple[str, ...]

    def __str__(self) -> str:
        return self.sentence.format(reference=self.reference, missing=", ".join(self.missing))


@dataclass
class RequestDenied(Conflict):
    """A request that somebody who has a say denied is not granted."""

    code = "request-denied"
    sentence = "'{request}' was denied by {by}."
    request: str
    by: str


@dataclass
class WrongGrantStatus(Conflict):
    """A grant is not in the status in which this can be done."""

    code = "wrong-grant-status"
    sentence = "'{reference}' is {status}; to {step} it, it must be {wanted}."
    reference: str
    status: str
    step: str
    wanted: str


@dataclass
class GrantStillRuns(Unmet):
    """A grant is said to have expired before its time."""

    code = "grant-still-runs"
    sentence = "'{reference}' expires at {expires}, and the transaction is at {at} (milliseconds since 1970)."
    reference: str
    expires: int
    at: int


@dataclass
class GrantMissing(Unmet):
    """Another organisation's data is used without a grant, and its owner has set an access policy for it."""

    code = "grant-missing"
    sentence = "'{reference}' uses '{artifact}', for which {owner} has set an access policy: it must name a grant."
    reference: str
    artifact: str
    owner: str


@dataclass
class DataWithheld(Unmet):
    """Another organisation's sensitive data is used without a grant; its owner has set no access policy for it."""

    code = "data-withheld"
    sentence = (
        "'{reference}' uses '{artifact}', which is {sensitivity} data of {owner}: without a grant of {owner} nobody "
        "else may use it. Ask {owner} for access, and name the grant."
    )
    reference: str
    artifact: str
    sensitivity: str
    owner: str


@dataclass
class SensitivityLowered(Unmet):
    """What was made from another organisation's data is said to be less sensitive than that, and no grant allows it."""

    code = "sensitivity-lowered"
    sentence = (
        "'{reference}' is {sensitivity} and was made from '{artifact}', which is {source} data of {owner}: name a "
        "grant of '{artifact}' that allows 'anonymise', or commit it to a data set that is {source}."
    )
    reference: str
    sensitivity: str
    artifact: str
    source: str
    owner: str


@dataclass
class GrantDoesNotCover(Unmet):
    """The grant that is named does not cover the use."""

    code = "grant-does-not-cover"
    sentence = "'{grant}' does not cover the use of '{artifact}' by '{reference}': {reason}."
    grant: str
    artifact: str
    reference: str
    reason: str


@dataclass
class NotEmergency(Unmet):
    """Only a grant that was given in an emergency is looked at afterwards."""

    code = "not-an-emergency"
    sentence = "'{reference}' was not given in an emergency; there is nothing to look at afterwards."
    reference: str


@dataclass
class OwnGrant(Forbidden):
    """Neither who gave a grant in an emergency nor who got it looks at it afterwards."""

    code = "own-grant"
    sentence = "'{reference}' was given by {owner} to {grantee}; another member looks at it afterwards."
    reference: str
    owner: str
    grantee: str
