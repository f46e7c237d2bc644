# SPDX-License-Identifier: Apache-2.0
"""Refusals that any chapter may give."""

from dataclasses import dataclass

from chaincode.domain.errors.base import Conflict, Forbidden, Malformed, NotFound, Unmet


@dataclass
class RecordNotFound(NotFound):
    """The command names a record that is not on the ledger."""

    code = "not-found"
    sentence = "'{reference}' is not on the ledger."
    reference: str


@dataclass
class AlreadyExists(Conflict):
    """The identifier is taken."""

    code = "already-exists"
    sentence = "'{reference}' already exists."
    reference: str


@dataclass
class AlreadyRecorded(Conflict):
    """This organisation's command with this idempotency token was recorded before; here is where."""

    code = "already-recorded"
    sentence = "This command was recorded before, by the transaction {transaction}."
    transaction: str


@dataclass
class TokenReused(Conflict):
    """An idempotency token names one command."""

    code = "token-reused"
    sentence = "The idempotency token was used for another command, by the transaction {transaction}."
    transaction: str


@dataclass
class NotTheOwner(Forbidden):
    """Only the owner may do this."""

    code = "not-the-owner"
    sentence = "'{reference}' belongs to {owner}, not to {by}."
    reference: str
    owner: str
    by: str


@dataclass
class DigestTaken(Conflict):
    """Another organisation has committed to this root, which is salted and so its own."""

    code = "digest-taken"
    sentence = "The root {digest} was committed by {owner} as '{reference}'; new salts give the same records another."
    digest: str
    owner: str
    reference: str


@dataclass
class VersionOutOfOrder(Conflict):
    """Versions are numbered from 1 without a gap."""

    code = "version-out-of-order"
    sentence = "Version {number} of '{reference}' cannot come before version {missing}."
    reference: str
    number: int
    missing: int


@dataclass
class ArtifactAltered(Unmet):
    """A digest does not agree with what it is said to describe."""

    code = "artifact-altered"
    sentence = "'{reference}' has the digest {expected}, not {given}."
    reference: str
    expected: str
    given: str


@dataclass
class LicenceTooWide(Unmet):
    """A licence does not keep what the licence of something it was made from asks for."""

    code = "licence-too-wide"
    sentence = "The licence {licence} does not keep what {ancestor_licence} asks for ({missing}), on the path {path}."
    licence: str
    ancestor_licence: str
    missing: str
    path: tuple[str, ...]


@dataclass
class LicenceUnclassified(Unmet):
    """Two licences cannot be compared, for the law knows too little of one of them."""

    code = "licence-unclassified"
    sentence = (
        "The licences {licence} and {ancestor_licence} cannot be compared: {unclassified} is not classified. The "
        "owner of '{ancestor}' decides; a licence that joins both with AND keeps both. The path is {path}."
    )
    licence: str
    ancestor_licence: str
    unclassified: str
    ancestor: str
    path: tuple[str, ...]


@dataclass
class DerivativesForbidden(Unmet):
    """Something was made from what its licence lets nobody make anything from."""

    code = "derivatives-forbidden"
    sentence = (
        "The licence {ancestor_licence} permits nothing to be made from '{ancestor}'. Its owner can permit it by "
        "registering it under a choice that names the permission, such as {ancestor_licence} OR LicenseRef-NAME. "
        "The path is {path}."
    )
    ancestor: str
    ancestor_licence: str
    path: tuple[str, ...]


@dataclass
class ParentMissing(NotFound):
    """Something is said to be made from an artifact that is not on the ledger."""

    code = "parent-missing"
    sentence = "The parent '{parent}' of '{reference}' is not on the ledger."
    reference: str
    parent: str


@dataclass
class SelfParent(Unmet):
    """Something is said to be made from itself."""

    code = "self-parent"
    sentence = "'{reference}' cannot be its own parent."
    reference: str


@dataclass
class LineageCycle(Unmet):
    """An edge would make something its own ancestor."""

    code = "lineage-cycle"
    sentence = "This would close a circle: {path}."
    path: tuple[str, ...]


@dataclass
class Tainted(Unmet):
    """Something above an artifact is stopped, and the policy refuses this step for it."""

    code = "tainted"
    sentence = (
        "The policy refuses to {step} '{reference}': it was made from '{ancestor}', which is {cause}. Path: {path}."
    )
    reference: str
    step: str
    ancestor: str
    cause: str
    path: tuple[str, ...]


@dataclass
class AncestryTooLarge(Unmet):
    """More lies above an artifact than a transaction looks at, and so nobody knows whether any of it is stopped."""

    code = "ancestry-too-large"
    sentence = (
        "'{reference}' was made from more than {limit} artifacts, too many to look at before one may {step} it. The "
        "first that was left out ends this path: {path}."
    )
    reference: str
    step: str
    limit: int
    path: tuple[str, ...]


@dataclass
class RepeatedEntry(Malformed):
    """A list that must not repeat an entry does."""

    code = "repeated-entry"
    sentence = "'{entry}' stands twice in '{pointer}'."
    pointer: str
    entry: str
