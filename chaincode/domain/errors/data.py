# SPDX-License-Identifier: Apache-2.0
"""Refusals about data sets, records and training runs."""

from dataclasses import dataclass

from chaincode.domain.errors.base import Conflict, Malformed, Unmet


@dataclass
class RootWithoutSize(Malformed):
    """A Merkle root commits to nothing definite without the size of its tree."""

    code = "root-without-size"
    sentence = "A version needs the size of its tree (at least one record) beside the root."


@dataclass
class ParentRootDiffers(Conflict):
    """The version says that it follows a root that is not the last one."""

    code = "parent-root-differs"
    sentence = "Version {number} of '{reference}' follows the root {expected}, not {given}."
    reference: str
    number: int
    expected: str
    given: str


@dataclass
class ConsistencyProofFails(Unmet):
    """The version is said to extend the last one, and the proof does not show it."""

    code = "consistency-proof-fails"
    sentence = "The consistency proof for version {number} of '{reference}' fails: {reason}."
    reference: str
    number: int
    reason: str


@dataclass
class InclusionProofFails(Unmet):
    """A record is said to be under a root, and the proof does not show it."""

    code = "inclusion-proof-fails"
    sentence = "The record is not proven to be under this root: {reason}."
    reason: str


@dataclass
class RecordIdRepeated(Unmet):
    """A record id stands twice in one version."""

    code = "record-id-repeated"
    sentence = "The record id at position {index} is already at position {first}."
    index: int
    first: int


@dataclass
class SelectionOutOfRange(Unmet):
    """A split selects records that its parent does not have."""

    code = "selection-out-of-range"
    sentence = "The selection from '{parent}' reaches beyond its {size} records."
    parent: str
    size: int


@dataclass
class RunEndsBeforeItStarts(Unmet):
    """A training run that finished before it began."""

    code = "run-ends-before-it-starts"
    sentence = "The run started at {started} and is said to have finished at {finished} (milliseconds since 1970)."
    started: int
    finished: int


@dataclass
class DeploymentEndsBeforeItStarts(Unmet):
    """A deployment that ended before it began."""

    code = "deployment-ends-before-it-starts"
    sentence = "'{reference}' started at {started} and is said to have ended at {ended} (milliseconds since 1970)."
    reference: str
    started: int
    ended: int


@dataclass
class QuorumLost(Unmet):
    """A deployment of what was approved by a quorum that is not there any more, where the policy stops that."""

    code = "quorum-lost"
    sentence = (
        "'{reference}' was approved by a quorum that is not there any more, and the policy lets nobody deploy it: it "
        "lacks {missing} endorsements (roles still missing: {roles})."
    )
    reference: str
    missing: int
    roles: str


@dataclass
class AlreadyEnded(Conflict):
    """A deployment ends once."""

    code = "already-ended"
    sentence = "'{reference}' ended at {ended} (milliseconds since 1970); that is recorded once."
    reference: str
    ended: int


@dataclass
class DatedInTheFuture(Unmet):
    """Something is said to have happened after the transaction that reports it."""

    code = "dated-in-the-future"
    sentence = "'{pointer}' is dated {given}, later than the transaction at {at} (milliseconds since 1970)."
    pointer: str
    given: int
    at: int


@dataclass
class RunWithoutInput(Unmet):
    """A training run that used neither data nor a parent model."""

    code = "run-without-input"
    sentence = "The run '{reference}' names no data set version and no parent model."
    reference: str


@dataclass
class NotOnConsent(Unmet):
    """A consent map of a data set that is not processed on the consent of its subjects."""

    code = "not-on-consent"
    sentence = "'{reference}' has the lawful basis '{basis}', which its subjects neither give nor take back."
    reference: str
    basis: str


@dataclass
class MapMoved(Conflict):
    """A consent map has another version than the one that a change was made for."""

    code = "consent-map-moved"
    sentence = "'{reference}' is at version {number} with the root {root}; changes follow that."
    reference: str
    number: int
    root: str


@dataclass
class ConsentProofFails(Unmet):
    """What a subject is said to have had is not shown to be under the root of the consent map."""

    code = "consent-proof-fails"
    sentence = "The change at position {position} is not proven: {reason}."
    position: int
    reason: str


@dataclass
class ConsentStatusCannotFollow(Unmet):
    """A consent status that does not come after the one that a subject has."""

    code = "consent-status-cannot-follow"
    sentence = "At position {position}, {status} cannot follow {before}."
    position: int
    status: str
    before: str


@dataclass
class ConsentBackdated(Unmet):
    """What a subject is said to have indicated is older than what the ledger has of that subject."""

    code = "consent-backdated"
    sentence = "At position {position}, what is indicated at {given} is before {before} (milliseconds since 1970)."
    position: int
    given: int
    before: int


@dataclass
class PurposeMissing(Unmet):
    """Data that its subjects gave for purposes is used without saying for what."""

    code = "purpose-missing"
    sentence = "'{version}' is processed on {basis}: '{reference}' must say for what purpose it uses it."
    reference: str
    version: str
    basis: str


@dataclass
class SelectionMissing(Unmet):
    """Data that its subjects gave for purposes is used without a selection of those who gave it for this one."""

    code = "selection-missing"
    sentence = "'{version}' is processed on {basis}: '{reference}' must name a selection from it that is for {purpose}."
    reference: str
    version: str
    basis: str
    purpose: str


@dataclass
class PurposeDiffers(Unmet):
    """A selection is used for another purpose than it was made for."""

    code = "purpose-differs"
    sentence = "The selection '{selection}' is for {expected}, and the purpose given is {given}."
    selection: str
    expected: str
    given: str


@dataclass
class RoleDiffers(Unmet):
    """A part of a split is used as another part, such as what was held out for training."""

    code = "role-differs"
    sentence = "The selection '{selection}' is for {expected}, and is said to be used for {given}."
    selection: str
    expected: str
    given: str


@dataclass
class SelectionOutdated(Unmet):
    """Subjects had said something new before the data was used, and the selection does not know it."""

    code = "selection-outdated"
    sentence = (
        "'{selection}' was made from version {number} of the consent map, which was replaced at {replaced_at}; "
        "'{reference}' began at {began} (milliseconds since 1970) and needs a selection made from the map of that time."
    )
    selection: str
    number: int
    replaced_at: int
    reference: str
    began: int


@dataclass
class SelectionTooLate(Unmet):
    """Data was used before there was the consent map that a selection was made from."""

    code = "selection-too-late"
    sentence = (
        "'{selection}' was made from version {number} of the consent map, which is in force since {since}; "
        "'{reference}' began at {began} (milliseconds since 1970), before that."
    )
    selection: str
    number: int
    since: int
    reference: str
    began: int
