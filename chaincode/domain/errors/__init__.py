# SPDX-License-Identifier: Apache-2.0
"""Every refusal that the consortium knows, each with a permanent code.

::

    LedgerError
    ├── Malformed      the input cannot be understood (its author must correct it)
    ├── NotFound       something that the command names is not on the ledger
    ├── Conflict       the ledger already holds something that excludes this
    ├── Forbidden      another organisation could do this; the caller's cannot
    └── Unmet          well formed and permitted, but a rule of the law is not satisfied

A refusal is part of the job, never a bug. Its `code` is never changed or reused; its facts are its fields; its
sentence is for people. Facts are plain strings, integers and tuples of them, so that a refusal can be rendered and
rebuilt without loss: ``rebuild(e.code, e.facts()) == e``.
"""

from collections.abc import Mapping
from dataclasses import fields

from chaincode.domain.errors.access import (
    AccessBackdated,
    AccessEndsBeforeItStarts,
    AlreadyDecided,
    ApprovalMissing,
    DataWithheld,
    GrantDoesNotCover,
    GrantMissing,
    GrantStillRuns,
    GrantWiderThanAsked,
    NotAmongAskers,
    NotAnApprover,
    NotEmergency,
    OutsideAccessPolicy,
    OwnData,
    OwnGrant,
    RequestDenied,
    SensitivityLowered,
    WrongGrantStatus,
)
from chaincode.domain.errors.base import Conflict, Fact, Forbidden, LedgerError, Malformed, NotFound, Unmet
from chaincode.domain.errors.common import (
    AlreadyExists,
    AlreadyRecorded,
    AncestryTooLarge,
    ArtifactAltered,
    DerivativesForbidden,
    DigestTaken,
    LicenceTooWide,
    LicenceUnclassified,
    LineageCycle,
    NotTheOwner,
    ParentMissing,
    RecordNotFound,
    RepeatedEntry,
    SelfParent,
    Tainted,
    TokenReused,
    VersionOutOfOrder,
)
from chaincode.domain.errors.data import (
    AlreadyEnded,
    ConsentBackdated,
    ConsentProofFails,
    ConsentStatusCannotFollow,
    ConsistencyProofFails,
    DatedInTheFuture,
    DeploymentEndsBeforeItStarts,
    InclusionProofFails,
    MapMoved,
    NotOnConsent,
    ParentRootDiffers,
    PurposeDiffers,
    PurposeMissing,
    QuorumLost,
    RecordIdRepeated,
    RoleDiffers,
    RootWithoutSize,
    RunEndsBeforeItStarts,
    RunWithoutInput,
    SelectionMissing,
    SelectionOutdated,
    SelectionOutOfRange,
    SelectionTooLate,
)
from chaincode.domain.errors.form import (
    DuplicateName,
    FloatRefused,
    IntegerOutOfRange,
    InvalidField,
    InvalidJson,
    LicenceMalformed,
    LicenceUnknown,
    MissingField,
    NotANumber,
    NotNormalised,
    TooDeep,
    TooLarge,
    UnknownField,
    UnknownKind,
    UnknownSchema,
    WrongArguments,
)
from chaincode.domain.errors.judging import (
    CriteriaDataDiffers,
    CriteriaMetricMissing,
    CriteriaModelDiffers,
    CriteriaTooLate,
    CriteriaWithoutRun,
    EvaluatedBeforeRun,
)
from chaincode.domain.errors.speaking import (
    AuthorityUnrooted,
    CertificateUnreadable,
    NotAnAuthority,
    RootsMissing,
    SignerExpired,
    SignerIsAuthority,
    SignerNotYetValid,
    SignerOfAnother,
    SignerRevoked,
    SignerUnrooted,
    SignerWithoutUnit,
)
from chaincode.domain.errors.vouching import (
    AlreadyEndorsed,
    AlreadyRejected,
    AlreadyVoted,
    BadSignature,
    EndorsedAfterWithdrawal,
    FoundersDiffer,
    NotAMember,
    NotEndorsed,
    NotTheQuarantiner,
    OwnArtifact,
    PolicyMissing,
    PolicyNumberWrong,
    QuarantineConfirmed,
    QuarantineUnconfirmed,
    QuorumMissing,
    RuleMissing,
    StageSkipped,
    StatementDigestDiffers,
    StatementInvalid,
    StatementOutOfTime,
    VotedToLift,
    WithoutRole,
    WrongStage,
)

__all__ = [
    "AccessBackdated",
    "AccessEndsBeforeItStarts",
    "AlreadyDecided",
    "AlreadyEnded",
    "AlreadyEndorsed",
    "AlreadyExists",
    "AlreadyRecorded",
    "AlreadyRejected",
    "AlreadyVoted",
    "AncestryTooLarge",
    "ApprovalMissing",
    "ArtifactAltered",
    "AuthorityUnrooted",
    "BadSignature",
    "CertificateUnreadable",
    "Conflict",
    "ConsentBackdated",
    "ConsentProofFails",
    "ConsentStatusCannotFollow",
    "ConsistencyProofFails",
    "CriteriaDataDiffers",
    "CriteriaMetricMissing",
    "CriteriaModelDiffers",
    "CriteriaTooLate",
    "CriteriaWithoutRun",
    "DataWithheld",
    "DatedInTheFuture",
    "DeploymentEndsBeforeItStarts",
    "DerivativesForbidden",
    "DigestTaken",
    "DuplicateName",
    "EndorsedAfterWithdrawal",
    "EvaluatedBeforeRun",
    "Fact",
    "FloatRefused",
    "Forbidden",
    "FoundersDiffer",
    "GrantDoesNotCover",
    "GrantMissing",
    "GrantStillRuns",
    "GrantWiderThanAsked",
    "InclusionProofFails",
    "IntegerOutOfRange",
    "InvalidField",
    "InvalidJson",
    "LedgerError",
    "LicenceMalformed",
    "LicenceTooWide",
    "LicenceUnclassified",
    "LicenceUnknown",
    "LineageCycle",
    "Malformed",
    "MapMoved",
    "MissingField",
    "NotAMember",
    "NotANumber",
    "NotAmongAskers",
    "NotAnApprover",
    "NotAnAuthority",
    "NotEmergency",
    "NotEndorsed",
    "NotFound",
    "NotNormalised",
    "NotOnConsent",
    "NotTheOwner",
    "NotTheQuarantiner",
    "OutsideAccessPolicy",
    "OwnArtifact",
    "OwnData",
    "OwnGrant",
    "ParentMissing",
    "ParentRootDiffers",
    "PolicyMissing",
    "PolicyNumberWrong",
    "PurposeDiffers",
    "PurposeMissing",
    "QuarantineConfirmed",
    "QuarantineUnconfirmed",
    "QuorumLost",
    "QuorumMissing",
    "RecordIdRepeated",
    "RecordNotFound",
    "RepeatedEntry",
    "RequestDenied",
    "RoleDiffers",
    "RootWithoutSize",
    "RootsMissing",
    "RuleMissing",
    "RunEndsBeforeItStarts",
    "RunWithoutInput",
    "SelectionMissing",
    "SelectionOutOfRange",
    "SelectionOutdated",
    "SelectionTooLate",
    "SelfParent",
    "SensitivityLowered",
    "SignerExpired",
    "SignerIsAuthority",
    "SignerNotYetValid",
    "SignerOfAnother",
    "SignerRevoked",
    "SignerUnrooted",
    "SignerWithoutUnit",
    "StageSkipped",
    "StatementDigestDiffers",
    "StatementInvalid",
    "StatementOutOfTime",
    "Tainted",
    "TokenReused",
    "TooDeep",
    "TooLarge",
    "UnknownField",
    "UnknownKind",
    "UnknownSchema",
    "Unmet",
    "VersionOutOfOrder",
    "VotedToLift",
    "WithoutRole",
    "WrongArguments",
    "WrongGrantStatus",
    "WrongStage",
    "rebuild",
]


def _by_code() -> dict[str, type[LedgerError]]:
    found: dict[str, type[LedgerError]] = {}
    open_families: list[type[LedgerError]] = [LedgerError]
    while open_families:
        for child in open_families.pop().__subclasses__():
            open_families.append(child)
            if child.code:
                found[child.code] = child
    return found


def rebuild(code: str, facts: Mapping[str, object]) -> LedgerError:
    """The refusal with this code and these facts; `ValueError` for a code that does not exist or facts that differ."""
    kind = _by_code().get(code)
    if kind is None:
        raise ValueError(f"no refusal has the code '{code}'")
    if set(facts) != {field.name for field in fields(kind)}:
        raise ValueError(f"the facts of '{code}' are others")
    return kind(**{name: tuple(fact) if isinstance(fact, list) else fact for name, fact in facts.items()})
