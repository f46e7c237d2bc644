# SPDX-License-Identifier: Apache-2.0
"""What a gateway answers and is sent, as the types of its JSON.

`make generate` writes this file from the table of operations.

A record has the fields of its kind; an entry is a record with the transaction that wrote
it, and a page is a list of entries. Instants are milliseconds since 1970-01-01T00:00:00Z. A member that is
`NotRequired` is left out where it has no value.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NotRequired, TypedDict

__all__ = [
    "REFERENCES",
    "UNMET",
    "About",
    "Access",
    "AccessAction",
    "AccessApproval",
    "AccessApprovalEntry",
    "AccessApprovalPage",
    "AccessAttempt",
    "AccessAttemptEntry",
    "AccessAttemptPage",
    "AccessBatch",
    "AccessBatchEntry",
    "AccessBatchPage",
    "AccessDecision",
    "AccessForm",
    "AccessGrant",
    "AccessGrantEntry",
    "AccessGrantPage",
    "AccessOffer",
    "AccessOfferEntry",
    "AccessOfferPage",
    "AccessPolicy",
    "AccessPolicyEntry",
    "AccessPolicyPage",
    "AccessRead",
    "AccessReadEntry",
    "AccessReads",
    "AccessRequest",
    "AccessRequestEntry",
    "AccessRequestPage",
    "AccessReview",
    "AccessReviewEntry",
    "AccessReviewPage",
    "AccessSlot",
    "AccessSlotEntry",
    "AccessSlotPage",
    "Accesses",
    "ActingClient",
    "Activity",
    "AdvanceArtifact",
    "AnchorAccess",
    "AnchorAudit",
    "AnchoredLog",
    "AnswerClaim",
    "AnyRecord",
    "ApproveAccess",
    "ArtifactKind",
    "ArtifactStage",
    "ArtifactStatus",
    "AttemptAccess",
    "AuditAnchor",
    "AuditAnchorEntry",
    "AuditAnchorPage",
    "AuditEntry",
    "AuditOutcome",
    "AuditPage",
    "AuditProof",
    "BatchOutcome",
    "BatchReply",
    "BatchedRefusal",
    "BatchedReply",
    "Caller",
    "Cause",
    "Change",
    "ChangeConsent",
    "Code",
    "CommandOutcome",
    "CommitDatasetVersion",
    "CommitSelection",
    "Comparator",
    "ComposedStatement",
    "ConfirmQuarantine",
    "Consent",
    "ConsentEvidence",
    "ConsentHistory",
    "ConsentImpact",
    "ConsentIndication",
    "ConsentMap",
    "ConsentMapEntry",
    "ConsentMapVersion",
    "ConsentMapVersionEntry",
    "ConsentMapVersionPage",
    "ConsentReceipt",
    "ConsentStatus",
    "ConsentStep",
    "CounterClaim",
    "CounterClaimEntry",
    "CounterClaimPage",
    "Criteria",
    "CriteriaEntry",
    "CriteriaPage",
    "Criterion",
    "Dataset",
    "DatasetComparison",
    "DatasetEntry",
    "DatasetPage",
    "DatasetVersion",
    "DatasetVersionDetails",
    "DatasetVersionEntry",
    "DatasetVersionPage",
    "Decision",
    "DeclareModelParent",
    "DeclareRoots",
    "DefiningTransaction",
    "Deliveries",
    "DeliveryEntry",
    "DenyAccess",
    "Deployment",
    "DeploymentDetails",
    "DeploymentDuty",
    "DeploymentEnd",
    "DeploymentEndEntry",
    "DeploymentEndPage",
    "DeploymentEntry",
    "DeploymentPage",
    "Derivation",
    "DifferenceCounts",
    "DigestClaimFields",
    "Direction",
    "DisabledMember",
    "DueClaim",
    "DueDeployment",
    "Edge",
    "EdgeEntry",
    "EdgeFields",
    "EdgePage",
    "EffectiveLicence",
    "EncodedCertificate",
    "EndDeployment",
    "EndorseArtifact",
    "Endorsement",
    "EndorsementEntry",
    "EndorsementPage",
    "EndorsementPredicate",
    "Envelope",
    "Environment",
    "Evaluation",
    "EvaluationEntry",
    "EvaluationPage",
    "EvaluationVerdict",
    "Event",
    "Evidence",
    "EvidenceRecord",
    "ExpireAccess",
    "Facts",
    "FetchStatement",
    "FileEntry",
    "ForeseenRefusal",
    "Found",
    "FoundDigest",
    "From",
    "GivenRange",
    "GrantAccess",
    "GrantStatus",
    "Header",
    "ImpactBeyond",
    "ImpactDuty",
    "ImpactItem",
    "ImpactMap",
    "ImpactRecord",
    "ImpactRole",
    "ImpactSubject",
    "ImpactVersion",
    "ImpactWord",
    "Inbox",
    "InboxItem",
    "Indication",
    "InputRole",
    "Judged",
    "Key",
    "KeyRole",
    "KeyScope",
    "Kind",
    "KindCount",
    "LaterParents",
    "LawfulBasis",
    "LeafSchema",
    "Ledger",
    "LeftOut",
    "LicenceOnPath",
    "LicenceVerdict",
    "LiftQuarantine",
    "LiftVote",
    "Lineage",
    "LineagePage",
    "ListedTransaction",
    "LogHead",
    "LogWitness",
    "MapProof",
    "MapState",
    "MarkSelections",
    "MediaType",
    "Member",
    "MemberSignature",
    "Metric",
    "MetricHistory",
    "MirroredLog",
    "Model",
    "ModelEntry",
    "ModelPage",
    "ModelParent",
    "ModelVersion",
    "ModelVersionDetails",
    "ModelVersionEntry",
    "ModelVersionPage",
    "Node",
    "OffendingAncestor",
    "OnQuorumLost",
    "OpenClaims",
    "OpenConsent",
    "Order",
    "OrderedBlock",
    "OrderedPlace",
    "OrganisationRoots",
    "OrganisationRootsEntry",
    "OrganisationRootsPage",
    "Origin",
    "Outcome",
    "Parameter",
    "PeersWords",
    "Policy",
    "PolicyEntry",
    "PolicyFields",
    "PolicyVersion",
    "PolicyVersionEntry",
    "PolicyVersionPage",
    "PolicyVote",
    "PolicyVoteEntry",
    "PolicyVotePage",
    "Problem",
    "Progress",
    "Publication",
    "Purpose",
    "PurposeEntry",
    "PurposePage",
    "QuarantineArtifact",
    "QuorumRule",
    "Range",
    "ReachedArtifact",
    "ReadPart",
    "Reading",
    "Reason",
    "ReceiptDocument",
    "RecordDeployment",
    "RecordEvaluation",
    "RecordModelVersion",
    "RecordProof",
    "RecordRun",
    "RecordedAccessApproval",
    "RecordedAccessAttempt",
    "RecordedAccessBatch",
    "RecordedAccessGrant",
    "RecordedAccessPolicy",
    "RecordedAccessRequest",
    "RecordedAccessReview",
    "RecordedAny",
    "RecordedArtifactStage",
    "RecordedArtifactStageOrLiftVote",
    "RecordedAuditAnchor",
    "RecordedConsentMapVersion",
    "RecordedCounterClaim",
    "RecordedCriteria",
    "RecordedDataset",
    "RecordedDatasetVersion",
    "RecordedDeployment",
    "RecordedDeploymentEnd",
    "RecordedEndorsement",
    "RecordedEndorsementOrArtifactStage",
    "RecordedEvaluation",
    "RecordedLaterParents",
    "RecordedModel",
    "RecordedModelVersion",
    "RecordedOrganisationRoots",
    "RecordedPolicyOrPolicyVote",
    "RecordedPurpose",
    "RecordedRejection",
    "RecordedSelection",
    "RecordedSelectionMark",
    "RecordedTrainingRun",
    "RefusedCheckpoint",
    "RegisterCriteria",
    "RegisterDataset",
    "RegisterModel",
    "RegisterPurpose",
    "RegisteredPurpose",
    "RejectArtifact",
    "Rejection",
    "RejectionEntry",
    "RejectionPage",
    "Relation",
    "ReleaseArtifact",
    "Reminder",
    "ReminderKind",
    "Reminders",
    "Reply",
    "RequestAccess",
    "Result",
    "ResumeAccess",
    "ReviewAccess",
    "RevokeAccess",
    "RunArtifact",
    "RunInput",
    "RunSignature",
    "Said",
    "SearchResult",
    "SearchResults",
    "SeenEvaluation",
    "Selection",
    "SelectionEntry",
    "SelectionEvidence",
    "SelectionMark",
    "SelectionPage",
    "SelectionProof",
    "Sensitivity",
    "SetAccessPolicy",
    "Signature",
    "SignedImpact",
    "SignedStatement",
    "SigningIdentity",
    "SigningStage",
    "Source",
    "SplitBy",
    "Stage",
    "State",
    "StateClaim",
    "StatementDigest",
    "StatementDraft",
    "StatementSubject",
    "Status",
    "StatusCount",
    "Step",
    "Stopped",
    "SubjectChange",
    "Submission",
    "SubmissionState",
    "SubmitArtifact",
    "SubmittedTransaction",
    "SuspendAccess",
    "Taint",
    "TaintRules",
    "Taken",
    "TrainingRun",
    "TrainingRunEntry",
    "TrainingRunPage",
    "Transaction",
    "TransactionEvidence",
    "TransactionOutcome",
    "TransactionPage",
    "TransparencyLog",
    "UnshownReply",
    "UnsignedTransaction",
    "UploadStage",
    "Verdict",
    "VoteForPolicy",
    "WithdrawClaim",
    "WithdrawEndorsement",
    "WitnessedLog",
    "Word",
]

About = Literal["awaits-endorsement", "approval-expires", "quorum-lost"]

AccessAction = Literal["download", "process", "anonymise"]

AccessDecision = Literal["allowed", "denied"]

AccessForm = Literal["attempt", "read"]

Activity = Literal["filter", "split", "join", "label", "transform", "synthesise", "anonymise"]

ArtifactKind = Literal["dataset-version", "model-version"]

AuditOutcome = Literal["refused", "failed"]

Cause = Literal["quarantined", "withdrawn", "not-looked-at"]

Change = Literal["first", "extends", "replaces"]

Comparator = Literal[">=", ">", "<=", "<", "=="]

Consent = Literal[
    "ConsentUnknown",
    "ConsentRequested",
    "ConsentGiven",
    "RenewedConsentGiven",
    "ConsentRefused",
    "ConsentWithdrawn",
    "ConsentExpired",
    "ConsentInvalidated",
    "ConsentTerminated",
]

ConsentStatus = Literal[
    "ConsentUnknown",
    "ConsentRequested",
    "ConsentGiven",
    "RenewedConsentGiven",
    "ConsentRefused",
    "ConsentWithdrawn",
    "ConsentExpired",
    "ConsentInvalidated",
    "ConsentTerminated",
]

Decision = Literal["endorse", "reject", "withdraw", "counter-claim"]

DeploymentDuty = Literal["must-stop"]

Direction = Literal["up", "down"]

EvaluationVerdict = Literal["pass", "fail"]

Found = Literal["verified", "unverified", "differs"]

From = Literal["read-model", "ledger"]

GrantStatus = Literal["active", "suspended", "revoked", "expired"]

ImpactRole = Literal["train", "held-out", "data"]

ImpactWord = Literal["leave-out", "stop-using", "retrain-or-document", "re-evaluate", "replace-or-stop"]

InputRole = Literal["train", "validation", "test"]

KeyRole = Literal["reader", "recorder", "endorser", "operator"]

KeyScope = Literal[
    "records:read",
    "consent:read",
    "access:read",
    "accesses:read",
    "transactions:read",
    "operations:read",
    "records:write",
    "consent:write",
    "subjects:read",
    "data:read",
    "access:use",
    "transactions:submit",
    "endorsements:write",
    "access:decide",
    "access:manage",
    "consortium:manage",
    "audit:read",
    "audit:write",
    "operations:read-all",
]

Kind = Literal[
    "dataset",
    "dataset-version",
    "selection",
    "consent-map",
    "consent-map-version",
    "model",
    "model-version",
    "training-run",
    "criteria",
    "evaluation",
    "deployment",
    "access-policy",
    "access-offer",
    "access-request",
    "access-grant",
    "access-attempt",
]

LawfulBasis = Literal[
    "consent",
    "contract",
    "legal-obligation",
    "vital-interests",
    "public-task",
    "legitimate-interests",
    "hipaa-authorisation",
]

LeafSchema = Literal["pedigree-record/v1", "pedigree-record/v2"]

LicenceVerdict = Literal["met", "none", "undecided"]

MediaType = Literal["text/csv", "application/jsonl", "application/vnd.apache.parquet"]

OnQuorumLost = Literal["note", "stop"]

OpenClaims = Literal["note", "refuse"]

Order = Literal["ledger", "newest"]

Outcome = Literal["refused", "failed"]

ReadPart = Literal["content", "bundle"]

Reason = Literal[
    "no-such-grant",
    "another-organisation",
    "another-user",
    "revoked",
    "suspended",
    "not-yet",
    "expired",
    "another-version",
    "another-action",
    "another-purpose",
    "quarantined",
    "consent",
    "no-use-left",
]

ReceiptDocument = Mapping[str, Any]

Relation = Literal["fine-tuned", "distilled", "merged", "quantised", "adapter"]

ReminderKind = Literal["awaits-endorsement", "approval-expires", "quorum-lost"]

Sensitivity = Literal["public", "internal", "confidential", "personal", "special-category"]

SigningStage = Literal["proposal", "transaction"]

Source = Literal["read-model", "ledger"]

SplitBy = Literal["record", "subject"]

Stage = Literal["draft", "submitted", "endorsed", "approved", "deployed", "deprecated", "retired", "quarantined"]

State = Literal["due", "over"]

Step = Literal["submit", "endorse", "advance", "record", "deploy"]

Stopped = Literal["quarantined", "withdrawn"]

SubmissionState = Literal["pending", "succeeded", "failed"]

UnshownReply = Mapping[str, Any]

UploadStage = Literal["reading", "recording"]

Verdict = Literal["pass", "fail"]

Word = Literal["approved", "denied"]


class Access(TypedDict):
    """A part of an answer."""

    form: "AccessForm"
    at: int | None
    """Milliseconds since 1970."""
    by: str | None
    """The MSP id of who used the data, or would have."""
    owner: str | None
    """Whose data it is, where that is known."""
    grant: str | None
    artifact: str | None
    action: str | None
    purpose: str | None
    decision: str | None
    """`allowed` or `denied`."""
    reason: str | None
    """Why it was denied."""
    attempt: str | None
    """The id of the attempt's transaction; of a read, that of the attempt that it is under."""
    transaction: "Transaction | None"
    """The attempt's; null for a read."""
    read: "AccessReadEntry | None"
    """What is kept of the read, with its proof; null for an attempt."""


class AccessApproval(TypedDict):
    """What an organisation that has a say said of a request; never rewritten."""

    kind: Literal["access-approval"]
    schema: int
    request: str
    by: str
    at: int
    word: "Word"
    note: NotRequired[str]


class AccessApprovalEntry(TypedDict):
    """A record and the transaction that wrote it."""

    record: "AccessApproval"
    transaction: NotRequired["Transaction"]
    source: NotRequired["Source"]
    height: NotRequired[int]
    """How many blocks the answer reflects, at least."""


class AccessApprovalPage(TypedDict):
    """A page of entries; `next` is the `cursor` of the page after it."""

    items: Sequence["AccessApprovalEntry"]
    next: str | None
    count: int
    """How many the whole list holds."""
    count_exact: bool
    """False where there are more than `count`, or may be."""


class AccessAttempt(TypedDict):
    """An attempt and its decision; never rewritten."""

    kind: Literal["access-attempt"]
    schema: int
    attempt: str
    by: str
    at: int
    grant: str
    artifact: str
    action: "AccessAction"
    purpose: str
    recipient: NotRequired[str]
    decision: "AccessDecision"
    reason: NotRequired["Reason"]
    owner: NotRequired[str]
    recipient_key_digest: NotRequired[str]
    slot: NotRequired[int]


class AccessAttemptEntry(TypedDict):
    """A record and the transaction that wrote it."""

    record: "AccessAttempt"
    transaction: NotRequired["Transaction"]
    source: NotRequired["Source"]
    height: NotRequired[int]
    """How many blocks the answer reflects, at least."""


class AccessAttemptPage(TypedDict):
    """A page of entries; `next` is the `cursor` of the page after it."""

    items: Sequence["AccessAttemptEntry"]
    next: str | None
    count: int
    """How many the whole list holds."""
    count_exact: bool
    """False where there are more than `count`, or may be."""


class AccessBatch(TypedDict):
    """A list of reads by its root; never rewritten."""

    kind: Literal["access-batch"]
    schema: int
    owner: str
    number: int
    at: int
    root: str
    size: int
    since: int
    until: int


class AccessBatchEntry(TypedDict):
    """A record and the transaction that wrote it."""

    record: "AccessBatch"
    transaction: NotRequired["Transaction"]
    source: NotRequired["Source"]
    height: NotRequired[int]
    """How many blocks the answer reflects, at least."""


class AccessBatchPage(TypedDict):
    """A page of entries; `next` is the `cursor` of the page after it."""

    items: Sequence["AccessBatchEntry"]
    next: str | None
    count: int
    """How many the whole list holds."""
    count_exact: bool
    """False where there are more than `count`, or may be."""


class AccessGrant(TypedDict):
    """A grant; rewritten when its status changes, so that an attempt ordered after that sees it."""

    kind: Literal["access-grant"]
    schema: int
    grant: str
    owner: str
    granted_at: int
    grantee: str
    artifact: str
    purpose: str
    actions: Sequence["AccessAction"]
    not_before: int
    expires: int
    uses: int
    recipient: NotRequired[str]
    recipient_key: NotRequired[str]
    recipient_key_digest: NotRequired[str]
    request: NotRequired[str]
    renews: NotRequired[str]
    policy: NotRequired[int]
    emergency: NotRequired[str]
    status: "GrantStatus"
    changed_at: int
    reason: NotRequired[str]
    batched: NotRequired[bool]


class AccessGrantEntry(TypedDict):
    """A record and the transaction that wrote it."""

    record: "AccessGrant"
    transaction: NotRequired["Transaction"]
    source: NotRequired["Source"]
    height: NotRequired[int]
    """How many blocks the answer reflects, at least."""


class AccessGrantPage(TypedDict):
    """A page of entries; `next` is the `cursor` of the page after it."""

    items: Sequence["AccessGrantEntry"]
    next: str | None
    count: int
    """How many the whole list holds."""
    count_exact: bool
    """False where there are more than `count`, or may be."""


class AccessOffer(TypedDict):
    """Which version of a data set's access policy is in force; rewritten with every version."""

    kind: Literal["access-offer"]
    schema: int
    dataset: str
    owner: str
    number: int
    changed_at: int


class AccessOfferEntry(TypedDict):
    """A record and the transaction that wrote it."""

    record: "AccessOffer"
    transaction: NotRequired["Transaction"]
    source: NotRequired["Source"]
    height: NotRequired[int]
    """How many blocks the answer reflects, at least."""


class AccessOfferPage(TypedDict):
    """A page of entries; `next` is the `cursor` of the page after it."""

    items: Sequence["AccessOfferEntry"]
    next: str | None
    count: int
    """How many the whole list holds."""
    count_exact: bool
    """False where there are more than `count`, or may be."""


class AccessPolicy(TypedDict):
    """A version of a data set's access policy; never rewritten."""

    kind: Literal["access-policy"]
    schema: int
    dataset: str
    number: int
    owner: str
    set_at: int
    purposes: Sequence[str]
    actions: Sequence["AccessAction"]
    longest: int
    most_uses: int
    organisations: Sequence[str]
    roles: Sequence[str]
    approvers: Sequence[str]
    conditions: NotRequired[str]
    conditions_digest: NotRequired[str]


class AccessPolicyEntry(TypedDict):
    """A record and the transaction that wrote it."""

    record: "AccessPolicy"
    transaction: NotRequired["Transaction"]
    source: NotRequired["Source"]
    height: NotRequired[int]
    """How many blocks the answer reflects, at least."""


class AccessPolicyPage(TypedDict):
    """A page of entries; `next` is the `cursor` of the page after it."""

    items: Sequence["AccessPolicyEntry"]
    next: str | None
    count: int
    """How many the whole list holds."""
    count_exact: bool
    """False where there are more than `count`, or may be."""


class AccessRead(TypedDict):
    """A read and its decision, as the data's owner keeps it; its canonical JSON is a leaf of a list."""

    kind: Literal["access-read"]
    schema: int
    attempt: str
    grant: str
    by: str
    at: int
    artifact: str
    action: "AccessAction"
    purpose: str
    part: "ReadPart"
    start: int
    stop: int
    decision: "AccessDecision"
    reason: NotRequired["Reason"]


class AccessReadEntry(TypedDict):
    """A part of an answer."""

    read: "AccessRead | None"
    """What is kept; null where it was altered so that it is none any more."""
    leaf: str
    """Its canonical JSON, which is the leaf of the list."""
    batch: int | None
    """The list that it is in; null while it waits."""
    index: int | None
    """Its place there."""
    size: int | None
    """How many reads that list has."""
    path: Sequence[str]
    """From the leaf to the list's root."""
    state: str
    """`waiting` for the ledger, `anchored`, or `altered`: the list has another root there."""


class AccessReads(TypedDict):
    """What `access_reads` answers."""

    items: Sequence["AccessReadEntry"]
    next: int | None
    """Pass it as `before`; null at the end."""


class AccessRequest(TypedDict):
    """A request for access; never rewritten."""

    kind: Literal["access-request"]
    schema: int
    request: str
    by: str
    at: int
    owner: str
    artifact: str
    purpose: str
    actions: Sequence["AccessAction"]
    not_before: int
    expires: int
    uses: int
    recipient: NotRequired[str]
    recipient_key: NotRequired[str]
    recipient_key_digest: NotRequired[str]
    justification: NotRequired[str]
    policy: NotRequired[int]


class AccessRequestEntry(TypedDict):
    """A record and the transaction that wrote it."""

    record: "AccessRequest"
    transaction: NotRequired["Transaction"]
    source: NotRequired["Source"]
    height: NotRequired[int]
    """How many blocks the answer reflects, at least."""


class AccessRequestPage(TypedDict):
    """A page of entries; `next` is the `cursor` of the page after it."""

    items: Sequence["AccessRequestEntry"]
    next: str | None
    count: int
    """How many the whole list holds."""
    count_exact: bool
    """False where there are more than `count`, or may be."""


class AccessReview(TypedDict):
    """What a third member found of a grant that was given in an emergency; never rewritten."""

    kind: Literal["access-review"]
    schema: int
    grant: str
    by: str
    at: int
    justified: bool
    note: str


class AccessReviewEntry(TypedDict):
    """A record and the transaction that wrote it."""

    record: "AccessReview"
    transaction: NotRequired["Transaction"]
    source: NotRequired["Source"]
    height: NotRequired[int]
    """How many blocks the answer reflects, at least."""


class AccessReviewPage(TypedDict):
    """A page of entries; `next` is the `cursor` of the page after it."""

    items: Sequence["AccessReviewEntry"]
    next: str | None
    count: int
    """How many the whole list holds."""
    count_exact: bool
    """False where there are more than `count`, or may be."""


class AccessSlot(TypedDict):
    """One of a grant's uses, taken; never rewritten."""

    kind: Literal["access-slot"]
    schema: int
    grant: str
    slot: int
    attempt: str
    by: str
    at: int


class AccessSlotEntry(TypedDict):
    """A record and the transaction that wrote it."""

    record: "AccessSlot"
    transaction: NotRequired["Transaction"]
    source: NotRequired["Source"]
    height: NotRequired[int]
    """How many blocks the answer reflects, at least."""


class AccessSlotPage(TypedDict):
    """A page of entries; `next` is the `cursor` of the page after it."""

    items: Sequence["AccessSlotEntry"]
    next: str | None
    count: int
    """How many the whole list holds."""
    count_exact: bool
    """False where there are more than `count`, or may be."""


class Accesses(TypedDict):
    """What `accesses` answers."""

    items: Sequence["Access"]
    next: str | None
    """Pass it as `cursor` for the page after this one; a page may hold few items and have one."""


class ActingClient(TypedDict):
    """A part of an answer."""

    id: str
    name: str | None
    """The name of the key, where it is one of this gateway."""


class AdvanceArtifact(TypedDict):
    """What `advance` sends."""

    to: "Stage"


class AnchorAccess(TypedDict):
    """Commit to a list of reads of one's own data that had no transaction each."""

    number: int
    root: str
    size: int
    since: int
    until: int


class AnchorAudit(TypedDict):
    """Commit to an audit log of one's own organisation as it is now."""

    log: NotRequired[str]
    number: NotRequired[int]
    size: NotRequired[int]
    root: NotRequired[str]
    previous: NotRequired[str]


class AnchoredLog(TypedDict):
    """An anchor of an audit log."""

    number: int
    size: int
    root: str
    transaction: str
    """The id of the transaction that anchored it."""


class AnswerClaim(TypedDict):
    """Answer a claim against one's own artifact or endorsement."""

    answer: str


class ApproveAccess(TypedDict):
    """Approve a request for access, as an organisation that the access policy names."""

    note: NotRequired[str]


class ArtifactStage(TypedDict):
    """An artifact's state; rewritten with every step."""

    kind: Literal["artifact-stage"]
    schema: int
    artifact: str
    owner: str
    digest: str
    stage: "Stage"
    since: int
    round: int
    quarantined_from: NotRequired["Stage"]
    quarantined_by: NotRequired[str]
    reason: NotRequired[str]
    lapses_at: NotRequired[int]
    confirmed_by: NotRequired[str]
    unconfirmed_by: NotRequired[str]
    quarantines: NotRequired[int]
    lost_at: NotRequired[int]
    evaluation: NotRequired[str]


class ArtifactStatus(TypedDict):
    """What `artifact` answers."""

    artifact: str
    record: "Dataset | DatasetVersion | Selection | ConsentMap | ConsentMapVersion | Model | ModelVersion | TrainingRun | Criteria | Evaluation | Deployment | AccessPolicy | AccessOffer | AccessRequest | AccessGrant | AccessAttempt"
    transaction: "Transaction"
    stage: "Stage"
    quorum_lost: bool
    """Whether it was approved by a quorum that is not there any more, and needs renewal."""
    standing: "ArtifactStage | None"
    """The record of its stage; null for what was never submitted."""
    tainted_by: Sequence["Taint"]
    status: "Status | None"
    """The count for the stage; null while no policy is set."""
    endorsements: Sequence["EndorsementEntry"]
    rejections: Sequence["RejectionEntry"]
    counter_claims: Sequence["CounterClaimEntry"]
    """The last one of each organisation, open or not."""


class AttemptAccess(TypedDict):
    """Ask to use data under a grant, now."""

    grant: str
    artifact: str
    action: "AccessAction"
    purpose: str
    """The purpose's IRI, or its name: `research`, or the title that it was registered with."""
    recipient: NotRequired[str]


class AuditAnchor(TypedDict):
    """An audit log by its size and root; never rewritten."""

    kind: Literal["audit-anchor"]
    schema: int
    owner: str
    log: str
    number: int
    at: int
    size: int
    root: str
    previous: NotRequired[str]


class AuditAnchorEntry(TypedDict):
    """A record and the transaction that wrote it."""

    record: "AuditAnchor"
    transaction: NotRequired["Transaction"]
    source: NotRequired["Source"]
    height: NotRequired[int]
    """How many blocks the answer reflects, at least."""


class AuditAnchorPage(TypedDict):
    """A page of entries; `next` is the `cursor` of the page after it."""

    items: Sequence["AuditAnchorEntry"]
    next: str | None
    count: int
    """How many the whole list holds."""
    count_exact: bool
    """False where there are more than `count`, or may be."""


class AuditEntry(TypedDict):
    """What a gateway refused, or failed to do."""

    number: int
    """Its place in the log."""
    at: str
    """When it was written (RFC 3339)."""
    since: str | None
    """When the first of several attempts was; null where it is about one."""
    count: int
    """How many attempts it stands for."""
    client: "ActingClient | None"
    """Who asked; null where no key that is known was shown."""
    operation: str | None
    """What was asked for, such as registerModel."""
    target: str | None
    """The reference of the record that it is about."""
    outcome: "AuditOutcome"
    code: str
    """The permanent code of what was answered."""
    request: str | None
    """The id under which it was answered."""


class AuditPage(TypedDict):
    """A page of entries; `next` is the `cursor` of the page after it."""

    items: Sequence["AuditEntry"]
    next: str | None
    size: int
    """How many entries the whole log has."""
    anchored: int
    """How many of them the last anchor covers."""


class AuditProof(TypedDict):
    """What `audit_entry` answers."""

    entry: "AuditEntry"
    content: str
    """The entry as it is hashed: canonical JSON."""
    hash: str
    """SHA-256 of a byte 00 and the entry, in hex."""
    anchor: "AnchoredLog | None"
    """The last anchor of the log; null where it does not cover the entry."""
    path: Sequence[str]
    """The way from the hash to the anchor's root (RFC 6962), in hex."""


class BatchOutcome(TypedDict):
    """What `batch` answers."""

    recorded: int
    """How many commands are recorded."""
    failed: int
    """How many are not."""
    transactions: Sequence[str]
    """Ids of the transactions that recorded them."""
    outcomes: Sequence["CommandOutcome"]
    """One for each command, in their order."""


class BatchReply(TypedDict):
    """The chaincode's answer to several commands."""

    outcomes: Sequence["BatchedReply"]


class BatchedRefusal(TypedDict):
    """A part of an answer."""

    code: str
    message: str
    facts: "Facts"


class BatchedReply(TypedDict):
    """A part of an answer."""

    token: str
    """By which its organisation names the request."""
    record: NotRequired["AnyRecord"]
    event: NotRequired["Event"]
    refusal: NotRequired["BatchedRefusal"]


class Caller(TypedDict):
    """What `whoami` answers."""

    organisation: str
    domain: str
    channel: str
    chaincode: str
    genesis_hash: str
    height: int
    caught_up: bool
    key: "Key"
    roles: Sequence["KeyRole"]
    """The role that the key has, and those below it."""
    scopes: Sequence["KeyScope"]
    """What the key may do: each of these."""
    owners: Sequence[str] | None
    """Whose records alone the key may see, by MSP id; null where it may see everybody's."""
    consortium_roles: Sequence[str] | None
    """Roles of the organisation in the policy in force; null where it is not a member."""


class ChangeConsent(TypedDict):
    """Change what subjects have said, and prove it; each change follows the root that those before it lead to."""

    number: int
    previous_root: str
    changes: Sequence["SubjectChange"]
    affects: NotRequired[Sequence[str]]


class Code(TypedDict):
    """The code that ran: the digest of its files and, where there is one, its repository and commit."""

    digest: str
    repository: NotRequired[str]
    commit: NotRequired[str]
    ignored: NotRequired[Sequence[str]]


class CommandOutcome(TypedDict):
    """A part of an answer."""

    status: int
    """The HTTP status that the command would have had alone."""
    result: "RecordedAny | Problem"
    """What it would have been answered."""


class CommitDatasetVersion(TypedDict):
    """What `commit_records` sends."""

    number: NotRequired[int]
    root: str
    size: NotRequired[int]
    leaf_schema: NotRequired["LeafSchema"]
    change: NotRequired["Change"]
    parent_root: NotRequired[str]
    consistency: NotRequired[Sequence[str]]
    header: NotRequired[str]
    card: NotRequired[str]
    derivation: NotRequired["Derivation"]
    note: NotRequired[str]


class CommitSelection(TypedDict):
    """Commit to some of the records of a version of one's own data set."""

    selection: str
    root: str
    size: int
    parent: NotRequired[str]
    purpose: NotRequired[str]
    """The purpose's IRI, or its name: `research`, or the title that it was registered with."""
    role: NotRequired["InputRole"]
    left_out: NotRequired[Sequence["LeftOut"]]
    note: NotRequired[str]
    consent_map: NotRequired["MapState"]


class ComposedStatement(TypedDict):
    """The in-toto statement, as JSON."""

    _type: str
    subject: Sequence["StatementSubject"]
    predicateType: str
    predicate: "EndorsementPredicate"


class ConfirmQuarantine(TypedDict):
    """Make the quarantine that another member imposed a lasting one."""

    reason: str


class ConsentEvidence(TypedDict):
    """What `consent_proof` answers."""

    kind: Literal["consent-evidence"]
    schema: int
    channel: str
    version: "ConsentMapVersion"
    transaction: "Transaction"
    subject: str
    """The subject's reference."""
    status: "ConsentIndication | None"
    """What the subject indicated; null where it is not in the map."""
    proof: "MapProof"
    purposes: NotRequired[Sequence["RegisteredPurpose"]]
    """What the owner has registered of the purposes that it is for; left out where that is none."""


class ConsentHistory(TypedDict):
    """What `consent_history` answers."""

    dataset: str
    number: int
    """The last version of the map."""
    subject: str
    """The subject's reference."""
    status: "ConsentIndication | None"
    """What it is now; null where the subject is not in the map."""
    purposes: Sequence[str]
    """What it covers, by name or IRI."""
    history: Sequence["ConsentStep"]
    left: int
    """How many changes are older than these."""


class ConsentImpact(TypedDict):
    """What `consent_impact` answers."""

    dataset: str
    as_of: int
    """The height that all of it is as of."""
    map: "ImpactMap | None"
    """The version of the consent map that was in force; null before the first."""
    subjects: Sequence["ImpactSubject"]
    permitted: bool
    """Whether every subject permits something."""
    versions: Sequence["ImpactVersion"]
    items: Sequence["ImpactItem"]
    next: str | None
    count: int
    """How many the whole list holds."""
    count_exact: bool
    """False where there are more than `count`, or may be."""
    beyond: Sequence["ImpactBeyond"] | None
    """Where more was made from the versions than is looked at: how much of each, as `GET
    /v1/lineage/{version}/artifacts` lists it. Null where all was looked at.
    """
    duties: Sequence["ImpactDuty"]
    covered: Sequence[str]
    """The kinds of record that were followed."""
    not_covered: Sequence[str]
    """What models go on to that is on no ledger yet."""


class ConsentIndication(TypedDict):
    """What a data subject said, and when."""

    status: "ConsentStatus"
    purposes: str
    indicated_at: int


class ConsentMap(TypedDict):
    """The map as it is now; rewritten with every change, which is why of two at once one loses."""

    kind: Literal["consent-map"]
    schema: int
    dataset: str
    owner: str
    number: int
    root: str
    size: int
    changed_at: int


class ConsentMapEntry(TypedDict):
    """A record and the transaction that wrote it."""

    record: "ConsentMap"
    transaction: NotRequired["Transaction"]
    source: NotRequired["Source"]
    height: NotRequired[int]
    """How many blocks the answer reflects, at least."""


class ConsentMapVersion(TypedDict):
    """The map as it was from `at` until the next version; never rewritten."""

    kind: Literal["consent-map-version"]
    schema: int
    dataset: str
    number: int
    owner: str
    at: int
    root: str
    size: int
    changed: int
    counts: Sequence["StatusCount"]
    previous_root: NotRequired[str]
    ended: NotRequired[str]


class ConsentMapVersionEntry(TypedDict):
    """A record and the transaction that wrote it."""

    record: "ConsentMapVersion"
    transaction: NotRequired["Transaction"]
    source: NotRequired["Source"]
    height: NotRequired[int]
    """How many blocks the answer reflects, at least."""


class ConsentMapVersionPage(TypedDict):
    """A page of entries; `next` is the `cursor` of the page after it."""

    items: Sequence["ConsentMapVersionEntry"]
    next: str | None
    count: int
    """How many the whole list holds."""
    count_exact: bool
    """False where there are more than `count`, or may be."""


class ConsentReceipt(TypedDict):
    """What `consent_receipt` answers."""

    dataset: str
    number: int
    """The version of the map that it is of."""
    receipt: "ReceiptDocument"


class ConsentStep(TypedDict):
    """A change of what a data subject indicated, and the version that made it."""

    number: int
    status: "ConsentIndication"
    purposes: Sequence[str]
    """What it covers, by name or IRI."""
    transaction: "Transaction"


class CounterClaim(TypedDict):
    """An organisation's objection to an artifact or an endorsement; the last one only."""

    kind: Literal["counter-claim"]
    schema: int
    artifact: str
    by: str
    number: int
    at: int
    stage: "Stage"
    against: NotRequired[str]
    due_from: str
    round: int
    policy: int
    reason: str
    evidence: NotRequired[str]
    evidence_digest: NotRequired[str]
    envelope: "Envelope"
    chain: NotRequired[Sequence["EncodedCertificate"]]
    answer: NotRequired[str]
    answered_at: NotRequired[int]
    withdrawn_at: NotRequired[int]
    withdrawn_because: NotRequired[str]


class CounterClaimEntry(TypedDict):
    """A record and the transaction that wrote it."""

    record: "CounterClaim"
    transaction: NotRequired["Transaction"]
    source: NotRequired["Source"]
    height: NotRequired[int]
    """How many blocks the answer reflects, at least."""


class CounterClaimPage(TypedDict):
    """A page of entries; `next` is the `cursor` of the page after it."""

    items: Sequence["CounterClaimEntry"]
    next: str | None
    count: int
    """How many the whole list holds."""
    count_exact: bool
    """False where there are more than `count`, or may be."""


class Criteria(TypedDict):
    """Criteria of evaluations; never rewritten."""

    kind: Literal["criteria"]
    schema: int
    criteria: str
    owner: str
    registered_at: int
    title: str
    version: str
    root: str
    size: int
    all_of: Sequence["Criterion"]
    selection: NotRequired[str]
    model: NotRequired[str]
    note: NotRequired[str]
    tainted_by: NotRequired[Sequence["Taint"]]


class CriteriaEntry(TypedDict):
    """A record and the transaction that wrote it."""

    record: "Criteria"
    transaction: NotRequired["Transaction"]
    source: NotRequired["Source"]
    height: NotRequired[int]
    """How many blocks the answer reflects, at least."""


class CriteriaPage(TypedDict):
    """A page of entries; `next` is the `cursor` of the page after it."""

    items: Sequence["CriteriaEntry"]
    next: str | None
    count: int
    """How many the whole list holds."""
    count_exact: bool
    """False where there are more than `count`, or may be."""


class Criterion(TypedDict):
    """What one metric has to reach, such as ``auc >= 0.95``."""

    metric: str
    comparator: "Comparator"
    threshold: str
    """A decimal number as text, kept to the last digit: 0.95, 1e-7."""


class Dataset(TypedDict):
    """A data set; never rewritten."""

    kind: Literal["dataset"]
    schema: int
    dataset: str
    owner: str
    registered_at: int
    title: str
    licence: str
    origin: "Origin"
    sensitivity: "Sensitivity"
    jurisdictions: Sequence[str]
    description: NotRequired[str]
    creator: NotRequired[str]
    card: NotRequired[str]
    distributions: Sequence[str]
    basis: NotRequired["LawfulBasis"]
    earlier_claims: NotRequired[Sequence["DigestClaimFields"]]


class DatasetComparison(TypedDict):
    """What `verify_dataset` answers."""

    dataset: str
    number: int
    root: str
    size: int
    transaction: NotRequired["Transaction"]
    verified: bool
    store_complete: NotRequired[bool]
    copy_root: NotRequired[str]
    """The root over the records of the copy, in its order."""
    unreadable: NotRequired[str]
    """Why the records could not be compared under other columns."""
    counts: NotRequired["DifferenceCounts"]
    selection: NotRequired[str]
    """The selection that the copy was compared with."""
    selection_root: NotRequired[str]
    """That of the selection; the copy's, where it agrees."""
    remark: NotRequired[str]
    """What could not be named, and why."""
    fields: NotRequired[Sequence[str]]
    columns: Sequence[str]
    changed: Sequence[str]
    added: Sequence[str]
    removed: Sequence[str]
    moved: Sequence[str]
    outside: NotRequired[Sequence[str]]
    altered_in_store: NotRequired[Sequence[str]]


class DatasetEntry(TypedDict):
    """A record and the transaction that wrote it."""

    record: "Dataset"
    transaction: NotRequired["Transaction"]
    source: NotRequired["Source"]
    height: NotRequired[int]
    """How many blocks the answer reflects, at least."""


class DatasetPage(TypedDict):
    """A page of entries; `next` is the `cursor` of the page after it."""

    items: Sequence["DatasetEntry"]
    next: str | None
    count: int
    """How many the whole list holds."""
    count_exact: bool
    """False where there are more than `count`, or may be."""


class DatasetVersion(TypedDict):
    """A version of a data set; never rewritten."""

    kind: Literal["dataset-version"]
    schema: int
    dataset: str
    number: int
    owner: str
    committed_at: int
    licence: str
    root: str
    size: int
    leaf_schema: "LeafSchema"
    change: "Change"
    parent_root: NotRequired[str]
    card: NotRequired[str]
    derivation: NotRequired["Derivation"]
    note: NotRequired[str]
    header: NotRequired[str]
    earlier_claims: NotRequired[Sequence["DigestClaimFields"]]
    tainted_by: NotRequired[Sequence["Taint"]]


class DatasetVersionDetails(TypedDict):
    """What `dataset_version` answers."""

    record: "DatasetVersion"
    transaction: NotRequired["Transaction"]
    source: "Source"
    height: int
    """How many blocks the answer reflects, at least."""
    reading: NotRequired["Reading"]


class DatasetVersionEntry(TypedDict):
    """A record and the transaction that wrote it."""

    record: "DatasetVersion"
    transaction: NotRequired["Transaction"]
    source: NotRequired["Source"]
    height: NotRequired[int]
    """How many blocks the answer reflects, at least."""


class DatasetVersionPage(TypedDict):
    """A page of entries; `next` is the `cursor` of the page after it."""

    items: Sequence["DatasetVersionEntry"]
    next: str | None
    count: int
    """How many the whole list holds."""
    count_exact: bool
    """False where there are more than `count`, or may be."""


class DeclareModelParent(TypedDict):
    """What `declare_parent` sends."""

    parent: str
    relation: "Relation"


class DeclareRoots(TypedDict):
    """Say under which certificate authorities those are who may speak for one's own organisation."""

    roots: Sequence["EncodedCertificate"]
    intermediates: NotRequired[Sequence["EncodedCertificate"]]
    revoked: NotRequired[Sequence[str]]
    units: NotRequired[Sequence[str]]


class DefiningTransaction(TypedDict):
    """A part of an answer."""

    block: "OrderedBlock"
    index: int


class Deliveries(TypedDict):
    """What `deliveries` answers."""

    items: Sequence["DeliveryEntry"]
    next: int | None
    """Pass it as `before`; null at the end."""


class DeliveryEntry(TypedDict):
    """A part of an answer."""

    attempt: str
    """The id of the attempt's transaction."""
    organisation: str
    """The MSP id of who came."""
    signer: str
    """SHA-256 of the certificate or the public key that signed."""
    at: int
    """When, in milliseconds since 1970."""
    blob: str | None
    """What was given out; null where nothing was."""
    sealed_size: int
    """Bytes of all of it."""
    sent: int
    """Bytes that were sent, in all requests; never less than were."""
    given: Sequence["GivenRange"]
    """Which bytes were given out, with what may have left before a crash."""
    outcome: str
    """`open`, `complete`, `replaced` by a later one, `ended`, or a refusal's code."""


class DenyAccess(TypedDict):
    """Deny a request for access, as the data's owner or as an organisation that the access policy names."""

    reason: str


class Deployment(TypedDict):
    """A deployment; never rewritten."""

    kind: Literal["deployment"]
    schema: int
    deployment: str
    owner: str
    recorded_at: int
    version: str
    location: str
    territories: Sequence[str]
    digest: NotRequired[str]
    started: int
    purpose: NotRequired[str]
    note: NotRequired[str]
    tainted_by: NotRequired[Sequence["Taint"]]


class DeploymentDetails(TypedDict):
    """What `deployment` answers."""

    record: "Deployment"
    transaction: NotRequired["Transaction"]
    source: "Source"
    height: int
    """How many blocks the answer reflects, at least."""
    end: "DeploymentEnd | None"
    """Its end; null while it goes on."""
    quorum_lost: bool
    """Whether the model version was approved by a quorum that is not there any more."""
    duty: "DeploymentDuty | None"
    """What is due of it; null where nothing is."""


class DeploymentEnd(TypedDict):
    """The end of a deployment; never rewritten."""

    kind: Literal["deployment-end"]
    schema: int
    deployment: str
    owner: str
    recorded_at: int
    ended: int
    reason: NotRequired[str]


class DeploymentEndEntry(TypedDict):
    """A record and the transaction that wrote it."""

    record: "DeploymentEnd"
    transaction: NotRequired["Transaction"]
    source: NotRequired["Source"]
    height: NotRequired[int]
    """How many blocks the answer reflects, at least."""


class DeploymentEndPage(TypedDict):
    """A page of entries; `next` is the `cursor` of the page after it."""

    items: Sequence["DeploymentEndEntry"]
    next: str | None
    count: int
    """How many the whole list holds."""
    count_exact: bool
    """False where there are more than `count`, or may be."""


class DeploymentEntry(TypedDict):
    """A record and the transaction that wrote it."""

    record: "Deployment"
    transaction: NotRequired["Transaction"]
    source: NotRequired["Source"]
    height: NotRequired[int]
    """How many blocks the answer reflects, at least."""


class DeploymentPage(TypedDict):
    """A page of entries; `next` is the `cursor` of the page after it."""

    items: Sequence["DeploymentEntry"]
    next: str | None
    count: int
    """How many the whole list holds."""
    count_exact: bool
    """False where there are more than `count`, or may be."""


class Derivation(TypedDict):
    """The data set versions that this one was made from, and how."""

    activity: "Activity"
    parents: Sequence[str]
    description: NotRequired[str]
    code: NotRequired[str]
    selection: NotRequired["Taken"]
    grants: NotRequired[Sequence[str]]


class DifferenceCounts(TypedDict):
    """How many records differ, and how."""

    changed: int
    added: int
    removed: int
    moved: int
    outside: NotRequired[int]


class DigestClaimFields(TypedDict):
    """Who recorded a digest of a file, a model or a card first, and as what; never rewritten."""

    digest: str
    owner: str
    reference: str
    claimed_at: int


class DisabledMember(TypedDict):
    """A member whose definition on the channel this gateway does not understand."""

    organisation: str
    reason: str


class DueClaim(TypedDict):
    """A part of an answer."""

    artifact: str
    by: str
    """The MSP id of who made it."""
    against: str | None
    """Whose endorsement; null: the artifact itself."""
    since: int
    reason: str


class DueDeployment(TypedDict):
    """A part of an answer."""

    deployment: str
    version: str
    duty: "DeploymentDuty"


class Edge(TypedDict):
    """`child` was made from `parent` or replaces it; written with the child, so that it can be read from the parent."""

    kind: Literal["edge"]
    schema: int
    parent: str
    child: str
    relation: str


class EdgeEntry(TypedDict):
    """A record and the transaction that wrote it."""

    record: "Edge"
    transaction: NotRequired["Transaction"]
    source: NotRequired["Source"]
    height: NotRequired[int]
    """How many blocks the answer reflects, at least."""


class EdgeFields(TypedDict):
    """`child` was made from `parent` or replaces it; written with the child, so that it can be read from the parent."""

    parent: str
    child: str
    relation: str


class EdgePage(TypedDict):
    """A page of entries; `next` is the `cursor` of the page after it."""

    items: Sequence["EdgeEntry"]
    next: str | None
    count: int
    """How many the whole list holds."""
    count_exact: bool
    """False where there are more than `count`, or may be."""


class EffectiveLicence(TypedDict):
    """What `effective_licence` answers."""

    of: str
    as_of: int
    """The height that it is as of."""
    declared: str | None
    """The version's own; null for one not known here."""
    licence: str | None
    """The one of all these licences that keeps what each of them asks for; null where none does, or where that cannot
    be decided.
    """
    verdict: "LicenceVerdict"
    conditions: Sequence[str] | None
    """What that licence asks for in any case; null where it is not classified."""
    inherited: str | None
    """The same of the ancestors alone: null too where none has a licence."""
    offending: "OffendingAncestor | None"
    """The nearest of which the declared licence does not keep what it asks for."""
    licences: Sequence["LicenceOnPath"]
    ancestors: int
    """How many were looked at."""
    unknown: Sequence[str]
    """Whose licence was not compared."""
    complete: bool
    """False where there are more ancestors, or where the licence of one was not compared."""


class EncodedCertificate(TypedDict):
    """A certificate as it was issued."""

    der: str


class EndDeployment(TypedDict):
    """Record that a deployment of the caller's organisation ended."""

    ended: NotRequired[int]
    reason: NotRequired[str]


class EndorseArtifact(TypedDict):
    """What `endorse` sends."""

    envelope: NotRequired["Envelope"]
    stage: NotRequired["Stage"]
    chain: NotRequired[Sequence["EncodedCertificate"]]
    digest: NotRequired[str]
    """The digest that was examined; the recorded one by default."""


class Endorsement(TypedDict):
    """An organisation vouches for an artifact at a stage."""

    kind: Literal["endorsement"]
    schema: int
    artifact: str
    stage: "Stage"
    by: str
    at: int
    round: int
    policy: int
    envelope: "Envelope"
    expires_at: NotRequired[int]
    withdrawn_at: NotRequired[int]
    reason: NotRequired[str]
    chain: NotRequired[Sequence["EncodedCertificate"]]
    withdrawal: NotRequired["Envelope"]
    withdrawal_chain: NotRequired[Sequence["EncodedCertificate"]]


class EndorsementEntry(TypedDict):
    """A record and the transaction that wrote it."""

    record: "Endorsement"
    transaction: NotRequired["Transaction"]
    source: NotRequired["Source"]
    height: NotRequired[int]
    """How many blocks the answer reflects, at least."""


class EndorsementPage(TypedDict):
    """A page of entries; `next` is the `cursor` of the page after it."""

    items: Sequence["EndorsementEntry"]
    next: str | None
    count: int
    """How many the whole list holds."""
    count_exact: bool
    """False where there are more than `count`, or may be."""


class EndorsementPredicate(TypedDict):
    """What a statement says: docs/statements.md."""

    channel: str
    genesis: NotRequired[str]
    organisation: str
    artifact: str
    stage: "Stage"
    decision: "Decision"
    reason: NotRequired[str]
    round: int
    policy: int
    at: int
    seen: NotRequired[Sequence[str]]
    against: NotRequired[str]
    evidence: NotRequired[str]
    evidence_digest: NotRequired[str]


class Envelope(TypedDict):
    """A DSSE envelope; its JSON names are those of the DSSE specification."""

    payload: str
    payloadType: str
    signatures: Sequence["Signature"]


class Environment(TypedDict):
    """Where it ran: the digest of the lock file or image, and a few words."""

    digest: str
    description: NotRequired[str]


class Evaluation(TypedDict):
    """An evaluation; never rewritten."""

    kind: Literal["evaluation"]
    schema: int
    evaluation: str
    owner: str
    recorded_at: int
    subject: str
    digest: str
    data: "RunInput"
    metrics: Sequence["Metric"]
    evaluated_at: int
    note: NotRequired[str]
    tainted_by: NotRequired[Sequence["Taint"]]
    purpose: NotRequired[str]
    criteria: NotRequired[str]
    verdict: NotRequired["EvaluationVerdict"]
    judged: NotRequired[Sequence["Judged"]]
    runs: NotRequired[Sequence[str]]


class EvaluationEntry(TypedDict):
    """A record and the transaction that wrote it."""

    record: "Evaluation"
    transaction: NotRequired["Transaction"]
    source: NotRequired["Source"]
    height: NotRequired[int]
    """How many blocks the answer reflects, at least."""


class EvaluationPage(TypedDict):
    """A page of entries; `next` is the `cursor` of the page after it."""

    items: Sequence["EvaluationEntry"]
    next: str | None
    count: int
    """How many the whole list holds."""
    count_exact: bool
    """False where there are more than `count`, or may be."""


class Event(TypedDict):
    """What a transaction announced; its `name` says which of the other members it has."""

    name: str
    schema: int
    dataset: NotRequired[str]
    owner: NotRequired[str]
    version: NotRequired[str]
    root: NotRequired[str]
    size: NotRequired[int]
    selection: NotRequired[str]
    number: NotRequired[int]
    changed: NotRequired[int]
    marked: NotRequired[int]
    bit: NotRequired[int]
    iri: NotRequired[str]
    model: NotRequired[str]
    digest: NotRequired[str]
    child: NotRequired[str]
    parent: NotRequired[str]
    relation: NotRequired["Relation"]
    run: NotRequired[str]
    criteria: NotRequired[str]
    evaluation: NotRequired[str]
    subject: NotRequired[str]
    deployment: NotRequired[str]
    by: NotRequired[str]
    artifact: NotRequired[str]
    round: NotRequired[int]
    stopped_at: NotRequired["Stage"]
    quarantined_by: NotRequired[str]
    stage: NotRequired["Stage"]
    missing: NotRequired[int]
    at_stage: NotRequired["Stage"]
    complete: NotRequired[bool]
    due_from: NotRequired[str]
    claimant: NotRequired[str]
    request: NotRequired[str]
    grant: NotRequired[str]
    grantee: NotRequired[str]
    expires: NotRequired[int]
    justified: NotRequired[bool]
    attempt: NotRequired[str]
    decision: NotRequired["AccessDecision"]
    reason: NotRequired["Reason"]
    log: NotRequired[str]


class Evidence(TypedDict):
    """What `record_proof` answers."""

    kind: Literal["record-evidence"]
    schema: int
    channel: str
    version: "DatasetVersion"
    transaction: "Transaction"
    proof: "RecordProof"
    record: "EvidenceRecord"
    purposes: NotRequired[Sequence["RegisteredPurpose"]]
    """What the owner has registered of the purposes that it is for; left out where that is none."""


class EvidenceRecord(TypedDict):
    """The one record that evidence is about; its content is base64."""

    id: str
    content: str
    header: NotRequired["Header"]


class ExpireAccess(TypedDict):
    """Write that a grant of one's own is over, once its time has passed."""


class Facts(TypedDict):
    """What a refusal is about: its code defines which of these there are. Those of a newer ledger may have others."""

    action: NotRequired[str]
    added: NotRequired[Sequence[str]]
    allowed: NotRequired[str]
    altered_in_store: NotRequired[Sequence[str]]
    ancestor: NotRequired[str]
    ancestor_licence: NotRequired[str]
    answerer: NotRequired[str]
    approvers: NotRequired[str]
    artifact: NotRequired[str]
    asked: NotRequired[str]
    at: NotRequired[int]
    basis: NotRequired[str]
    before: NotRequired["int | str"]
    began: NotRequired[int]
    block: NotRequired[int]
    by: NotRequired[str]
    cause: NotRequired[str]
    changed: NotRequired[Sequence[str]]
    claimant: NotRequired[str]
    claimants: NotRequired[str]
    columns: NotRequired[Sequence[str]]
    confirmed_by: NotRequired[str]
    count: NotRequired[int]
    counts: NotRequired["DifferenceCounts"]
    criteria: NotRequired[str]
    dataset: NotRequired[str]
    dated: NotRequired[int]
    decision: NotRequired[str]
    delimiter: NotRequired[str]
    digest: NotRequired[str]
    ended: NotRequired[int]
    entry: NotRequired[str]
    evaluated_at: NotRequired[int]
    evaluation: NotRequired[str]
    expected: NotRequired["int | str"]
    expires: NotRequired[int]
    expression: NotRequired[str]
    field: NotRequired[str]
    """The argument that was not sent, because the ledger would refuse it."""
    finished: NotRequired[int]
    first: NotRequired[int]
    function: NotRequired[str]
    given: NotRequired["int | str"]
    grant: NotRequired[str]
    grantee: NotRequired[str]
    grpc: NotRequired[str]
    header: NotRequired[str]
    height: NotRequired[int]
    held: NotRequired[int]
    identifier: NotRequired[str]
    index: NotRequired[int]
    kind: NotRequired[str]
    licence: NotRequired[str]
    limit: NotRequired[int]
    line: NotRequired[int]
    list_version: NotRequired[str]
    metrics: NotRequired[Sequence[str]]
    missing: NotRequired["Sequence[str] | int | str"]
    model: NotRequired[str]
    moved: NotRequired[Sequence[str]]
    name: NotRequired[str]
    needed: NotRequired[str]
    next: NotRequired[str]
    not_before: NotRequired[int]
    number: NotRequired[int]
    operation: NotRequired[str]
    organisation: NotRequired[str]
    organisations: NotRequired[Sequence[str]]
    outside: NotRequired[Sequence[str]]
    owner: NotRequired[str]
    parameter: NotRequired[str]
    parent: NotRequired[str]
    path: NotRequired[Sequence[str]]
    pointer: NotRequired[str]
    pointers: NotRequired[Sequence[str]]
    position: NotRequired[int]
    purpose: NotRequired[str]
    quarantined_by: NotRequired[str]
    reason: NotRequired[str]
    recorded: NotRequired[bool]
    reference: NotRequired[str]
    registered_at: NotRequired[int]
    removed: NotRequired[Sequence[str]]
    replaced_at: NotRequired[int]
    request: NotRequired[str]
    roles: NotRequired[str]
    root: NotRequired[str]
    row: NotRequired[int]
    run: NotRequired[str]
    said: NotRequired[Sequence["PeersWords"]]
    schema: NotRequired[int]
    selection: NotRequired[str]
    sensitivity: NotRequired[str]
    serial: NotRequired[str]
    since: NotRequired[int]
    size: NotRequired[int]
    source: NotRequired[str]
    stage: NotRequired[str]
    started: NotRequired[int]
    starts: NotRequired[int]
    status: NotRequired[str]
    step: NotRequired[str]
    subject: NotRequired[str]
    term: NotRequired[str]
    theirs: NotRequired[str]
    to: NotRequired[str]
    transaction: NotRequired[str]
    transaction_id: NotRequired[str]
    unclassified: NotRequired[str]
    units: NotRequired[str]
    validation_code: NotRequired[int]
    version: NotRequired[str]
    violated_policies: NotRequired[Sequence[str]]
    wanted: NotRequired[str]
    idempotency_key: NotRequired[str]
    """The key to send again, where the outcome is not known."""


class FetchStatement(TypedDict):
    """A DSSE envelope of what the owner's gateway takes; see docs/sealing.md."""

    payload: str
    payloadType: str
    signatures: Sequence["MemberSignature"]


class FileEntry(TypedDict):
    """One file of a model."""

    path: str
    digest: str
    size: int


class ForeseenRefusal(TypedDict):
    """A refusal that would be met now."""

    code: str
    detail: str


class FoundDigest(TypedDict):
    """Where the record names a digest that was searched for."""

    pointer: str
    digest: str


class GivenRange(TypedDict):
    """A part of an answer."""

    start: int
    """The first byte."""
    stop: int
    """The byte after the last."""


class GrantAccess(TypedDict):
    """Give another organisation access to one's own data."""

    grant: str
    request: NotRequired[str]
    renews: NotRequired[str]
    grantee: NotRequired[str]
    artifact: NotRequired[str]
    purpose: NotRequired[str]
    """The purpose's IRI, or its name: `research`, or the title that it was registered with."""
    actions: NotRequired[Sequence["AccessAction"]]
    not_before: NotRequired[int]
    expires: NotRequired[int]
    uses: NotRequired[int]
    recipient: NotRequired[str]
    recipient_key: NotRequired[str]
    emergency: NotRequired[str]
    batched: NotRequired[bool]


class Header(TypedDict):
    """What a table says above its records."""

    delimiter: str
    fields: Sequence[str]


class ImpactBeyond(TypedDict):
    """A part of an answer."""

    version: str
    count: int | None


class ImpactDuty(TypedDict):
    """What an organisation has to do, and for how many artifacts."""

    organisation: str
    duty: "ImpactWord"
    count: int
    first: str


class ImpactItem(TypedDict):
    """An artifact that a subject's records reached, or may have."""

    reference: str
    kind: str
    owner: str
    distance: int
    role: "ImpactRole"
    certain: bool
    """False where it can only not be ruled out."""
    path: Sequence[str]
    """From it up to a version that holds the records."""
    duty: "ImpactWord | None"
    """What its owner has to do; null where every subject permits what it was selected for, or it ended."""
    because: str | None


class ImpactMap(TypedDict):
    """A version of a consent map."""

    number: int
    root: str


class ImpactRecord(TypedDict):
    """A record of a subject, by its place in the version."""

    index: int
    id: NotRequired[str]


class ImpactSubject(TypedDict):
    """A data subject, and what it had indicated."""

    subject: str
    """The subject's reference."""
    status: "ConsentIndication | None"
    """What the subject had indicated; null where it was not in the map."""


class ImpactVersion(TypedDict):
    """A version that holds records of the subjects, or may."""

    version: str
    certain: bool
    """False where the records are not here, or do not say whose they are."""
    count: int
    """How many records of the subjects it holds."""
    records: Sequence["ImpactRecord"]
    selections: int
    """How many selections hold any of them."""


class Inbox(TypedDict):
    """What `inbox` answers."""

    organisation: str
    items: Sequence["InboxItem"]
    next: str | None
    """Pass it as `cursor` for the page after this one; a page may hold few items and have one."""
    count: int
    """How many the whole list holds."""
    count_exact: bool
    """False where there are more than `count`, or may be."""
    claims: Sequence["DueClaim"]
    """Open counter-claims that await your organisation's answer, on every page."""
    claims_complete: bool
    """False where there are more of them, or may be."""
    must_stop: Sequence["DueDeployment"]
    """Your organisation's running deployments that must stop, on every page."""
    must_stop_complete: bool
    """False where so many are running that not all were looked at."""


class InboxItem(TypedDict):
    """An artifact that awaits an endorsement of this organisation."""

    artifact: str
    owner: str
    since: int
    status: "Status"
    quorum_lost: bool
    """Whether it was approved by a quorum that is not there any more."""
    ends_at: int | None
    """When the first endorsement that counts expires; null where none does."""
    open_claims: Sequence[str]
    """MSP ids of those with an open counter-claim against it."""
    tainted_by: Sequence["Taint"]


class Indication(TypedDict):
    """What a subject has said: the value in the map."""

    status: "ConsentStatus"
    purposes: str
    indicated_at: int
    """Milliseconds since 1970-01-01T00:00:00Z, negative before."""


class Judged(TypedDict):
    """A criterion, what was measured, and whether it is met."""

    metric: str
    comparator: "Comparator"
    threshold: str
    """A decimal number as text, kept to the last digit: 0.95, 1e-7."""
    value: str
    """A float64 as text: 0.97, 1e-16, nan, inf or -inf; answered in the spelling of RFC 8785."""
    verdict: "EvaluationVerdict"


class Key(TypedDict):
    """The API key that a request came with."""

    id: str
    name: str


class KindCount(TypedDict):
    """How many there are of a kind."""

    kind: str
    count: int


class LaterParents(TypedDict):
    """The parents that were added to a model version after it was recorded."""

    kind: Literal["later-parents"]
    schema: int
    child: str
    owner: str
    changed_at: int
    parents: Sequence["ModelParent"]
    tainted_by: NotRequired[Sequence["Taint"]]


class Ledger(TypedDict):
    """What `ledger` answers."""

    organisation: str
    domain: str
    channel: str
    chaincode: str
    genesis_hash: str
    height: int
    caught_up: bool
    disabled_members: Sequence["DisabledMember"]
    """Members whose definition on the channel this gateway does not understand: what they sign is not believed here,
    and the channel goes on without it.
    """


class LeftOut(TypedDict):
    """Why records were left out, and how many of them."""

    reason: str
    count: int


class LicenceOnPath(TypedDict):
    """A licence along a lineage."""

    licence: str
    nearest: str
    """The nearest that is under it."""
    count: int
    """How many are, the version itself included."""


class LiftQuarantine(TypedDict):
    """Vote for the end of a quarantine, no matter which member imposed it."""

    reason: str


class LiftVote(TypedDict):
    """An organisation's vote for the end of a quarantine; the last one only."""

    kind: Literal["lift-vote"]
    schema: int
    artifact: str
    by: str
    at: int
    quarantine: int
    reason: str


class Lineage(TypedDict):
    """The artifacts reached from `of`, nearest first, and the edges among them."""

    kind: Literal["lineage"]
    schema: int
    of: str
    nodes: Sequence["Node"]
    edges: Sequence["EdgeFields"]
    complete: bool


class LineagePage(TypedDict):
    """A page of entries; `next` is the `cursor` of the page after it."""

    of: str
    direction: "Direction"
    as_of: int
    """The height that all of it is as of."""
    time: int
    """The time by which quarantines had lapsed: now, or that of the last block below the height that was asked for;
    milliseconds since 1970.
    """
    items: Sequence["ReachedArtifact"]
    next: str | None
    count: int
    """How many the whole list holds."""
    count_exact: bool
    """False where there are more than `count`, or may be."""
    left: int
    """How many follow this page."""
    depth: int
    """The distance of the farthest of all."""
    kinds: Sequence["KindCount"]


class ListedTransaction(TypedDict):
    """A part of an answer."""

    id: str
    block: int
    number: int
    """Its place in the block."""
    at: str | None
    """The time that its client claims."""
    organisation: str
    """MSP id of the creator."""
    identity: "SigningIdentity | None"
    """Whose certificate signed it; null where none can be read."""
    client: "ActingClient | None"
    """For whom the organisation's gateway signed it, by that gateway's word; null where it does not say."""
    chaincode: str | None
    """Null for a configuration of the channel."""
    function: str | None
    """What was called, cut after 100 characters."""
    about: Sequence[str]
    """The records that it wrote, or would have, and those that these name; at most 256."""
    endorsed_by: Sequence[str]
    """MSP ids of the endorsements that are with it; that each of them holds, its evidence shows."""
    valid: bool
    validation_code: int
    validity: str
    """Fabric's name for the code, such as MVCC_READ_CONFLICT."""
    event: str | None
    """The name of the event that it carries; null also where it writes nothing for all to see."""


class LogHead(TypedDict):
    """The size of a log, and the root of the Merkle tree over it in hex."""

    size: int
    root: str


class LogWitness(TypedDict):
    """A witness that this organisation asks to cosign its log."""

    name: str
    """The name of its key."""
    url: str
    cosigned: int
    """How many entries it has cosigned since this gateway was started."""
    trouble: str | None
    """Why it has not cosigned the last checkpoint."""


class MapProof(TypedDict):
    """The way from the map's root to the subject's place in it."""

    siblings: str
    leaf: str


class MapState(TypedDict):
    """A version of a data set's consent map, by its number and its root."""

    number: int
    root: str


class MarkSelections(TypedDict):
    """Mark more selections that a version of the consent map affects than the change that made it has named."""

    number: int
    selections: Sequence[str]


class Member(TypedDict):
    """An organisation of the consortium and what it is there."""

    organisation: str
    roles: NotRequired[Sequence[str]]


class MemberSignature(TypedDict):
    """A part of an answer."""

    sig: str
    organisation: str
    """The MSP id of who signed."""
    certificate: str
    """In PEM."""


class Metric(TypedDict):
    """A named measurement, and at which step of the run it was taken; without a step, it speaks of the whole."""

    name: str
    value: str
    """A float64 as text: 0.97, 1e-16, nan, inf or -inf; answered in the spelling of RFC 8785."""
    step: NotRequired[int]


class MetricHistory(TypedDict):
    """Every measurement of a run, in a file that stays with the owner: JSON Lines of name, value and step."""

    digest: str
    size: int
    entries: int


class MirroredLog(TypedDict):
    """A part of an answer."""

    origin: str
    checkpoint: "LogHead | None"
    """Up to which it is mirrored; null where it is not yet."""


class Model(TypedDict):
    """A model; never rewritten."""

    kind: Literal["model"]
    schema: int
    model: str
    owner: str
    registered_at: int
    title: str
    task: NotRequired[str]
    description: NotRequired[str]
    card: NotRequired[str]
    earlier_claims: NotRequired[Sequence["DigestClaimFields"]]


class ModelEntry(TypedDict):
    """A record and the transaction that wrote it."""

    record: "Model"
    transaction: NotRequired["Transaction"]
    source: NotRequired["Source"]
    height: NotRequired[int]
    """How many blocks the answer reflects, at least."""


class ModelPage(TypedDict):
    """A page of entries; `next` is the `cursor` of the page after it."""

    items: Sequence["ModelEntry"]
    next: str | None
    count: int
    """How many the whole list holds."""
    count_exact: bool
    """False where there are more than `count`, or may be."""


class ModelParent(TypedDict):
    """A model version that another was made from."""

    version: str
    relation: "Relation"


class ModelVersion(TypedDict):
    """A version of a model; never rewritten."""

    kind: Literal["model-version"]
    schema: int
    model: str
    number: int
    owner: str
    recorded_at: int
    digest: str
    files: Sequence["FileEntry"]
    licence: str
    run: NotRequired[str]
    parents: Sequence["ModelParent"]
    note: NotRequired[str]
    ignore_paths: NotRequired[Sequence[str]]
    earlier_claims: NotRequired[Sequence["DigestClaimFields"]]
    tainted_by: NotRequired[Sequence["Taint"]]


class ModelVersionDetails(TypedDict):
    """What `model_version` answers."""

    record: "ModelVersion"
    transaction: NotRequired["Transaction"]
    source: "Source"
    height: int
    """How many blocks the answer reflects, at least."""
    later_parents: Sequence["ModelParent"]


class ModelVersionEntry(TypedDict):
    """A record and the transaction that wrote it."""

    record: "ModelVersion"
    transaction: NotRequired["Transaction"]
    source: NotRequired["Source"]
    height: NotRequired[int]
    """How many blocks the answer reflects, at least."""


class ModelVersionPage(TypedDict):
    """A page of entries; `next` is the `cursor` of the page after it."""

    items: Sequence["ModelVersionEntry"]
    next: str | None
    count: int
    """How many the whole list holds."""
    count_exact: bool
    """False where there are more than `count`, or may be."""


class Node(TypedDict):
    """An artifact in a lineage, by its least distance from the one that was asked about."""

    reference: str
    distance: int
    quarantined: bool
    review_path: NotRequired[Sequence[str]]
    superseded_by: NotRequired[str]
    withdrawn: NotRequired[bool]
    quorum_lost: NotRequired[bool]


class OffendingAncestor(TypedDict):
    """An ancestor of which a licence does not keep what it asks for."""

    licence: str
    path: Sequence[str]
    """From the version up to the ancestor."""
    code: str
    """That of the refusal by the law that this would meet."""
    detail: str


class OpenConsent(TypedDict):
    """Begin the consent map of one's own data set with the root of what is known of its subjects."""

    root: NotRequired[str]
    size: NotRequired[int]


class OrderedBlock(TypedDict):
    """A part of an answer."""

    number: int
    previous_hash: str
    """In hexadecimal digits; of block 0 empty."""
    data: str
    """All its envelopes, one after another, in base64."""
    signatures: str
    """The orderers', with what they signed, in base64."""


class OrderedPlace(TypedDict):
    """A part of an answer."""

    id: str
    block: int
    index: int


class OrganisationRoots(TypedDict):
    """Under which authorities those are who may speak for an organisation; rewritten by each declaration."""

    kind: Literal["organisation-roots"]
    schema: int
    owner: str
    number: int
    at: int
    roots: Sequence["EncodedCertificate"]
    intermediates: Sequence["EncodedCertificate"]
    revoked: Sequence[str]
    units: Sequence[str]


class OrganisationRootsEntry(TypedDict):
    """A record and the transaction that wrote it."""

    record: "OrganisationRoots"
    transaction: NotRequired["Transaction"]
    source: NotRequired["Source"]
    height: NotRequired[int]
    """How many blocks the answer reflects, at least."""


class OrganisationRootsPage(TypedDict):
    """A page of entries; `next` is the `cursor` of the page after it."""

    items: Sequence["OrganisationRootsEntry"]
    next: str | None
    count: int
    """How many the whole list holds."""
    count_exact: bool
    """False where there are more than `count`, or may be."""


class Origin(TypedDict):
    """Where the data came from, in the terms of the Data & Trust Alliance's provenance standard."""

    source: str
    method: str
    geography: Sequence[str]
    collected_from: NotRequired[int]
    """Milliseconds since 1970-01-01T00:00:00Z, negative before."""
    collected_until: NotRequired[int]
    """Milliseconds since 1970-01-01T00:00:00Z, negative before."""


class Parameter(TypedDict):
    """A named setting of a run, as text."""

    name: str
    value: str


class PeersWords(TypedDict):
    """What another organisation's peer said, which proves nothing."""

    organisation: str
    text: str


class Policy(TypedDict):
    """The policy in force; under a second key, each version as it was."""

    kind: Literal["policy"]
    schema: int
    number: int
    set_at: int
    members: Sequence["Member"]
    rules: Sequence["QuorumRule"]
    amendment_threshold: int
    amendment_roles: Sequence[str]
    taint: NotRequired["TaintRules"]


class PolicyEntry(TypedDict):
    """A record and the transaction that wrote it."""

    record: "Policy"
    transaction: NotRequired["Transaction"]
    source: NotRequired["Source"]
    height: NotRequired[int]
    """How many blocks the answer reflects, at least."""


class PolicyFields(TypedDict):
    """The policy in force; under a second key, each version as it was."""

    number: int
    set_at: int
    members: Sequence["Member"]
    rules: Sequence["QuorumRule"]
    amendment_threshold: int
    amendment_roles: Sequence[str]
    taint: NotRequired["TaintRules"]


class PolicyVersion(TypedDict):
    """A version of the policy as it was set; never rewritten."""

    kind: Literal["policy-version"]
    schema: int
    policy: "PolicyFields"


class PolicyVersionEntry(TypedDict):
    """A record and the transaction that wrote it."""

    record: "PolicyVersion"
    transaction: NotRequired["Transaction"]
    source: NotRequired["Source"]
    height: NotRequired[int]
    """How many blocks the answer reflects, at least."""


class PolicyVersionPage(TypedDict):
    """A page of entries; `next` is the `cursor` of the page after it."""

    items: Sequence["PolicyVersionEntry"]
    next: str | None
    count: int
    """How many the whole list holds."""
    count_exact: bool
    """False where there are more than `count`, or may be."""


class PolicyVote(TypedDict):
    """An organisation's vote for version `number` of the policy with the content `digest`."""

    kind: Literal["policy-vote"]
    schema: int
    number: int
    digest: str
    by: str
    at: int


class PolicyVoteEntry(TypedDict):
    """A record and the transaction that wrote it."""

    record: "PolicyVote"
    transaction: NotRequired["Transaction"]
    source: NotRequired["Source"]
    height: NotRequired[int]
    """How many blocks the answer reflects, at least."""


class PolicyVotePage(TypedDict):
    """A page of entries; `next` is the `cursor` of the page after it."""

    items: Sequence["PolicyVoteEntry"]
    next: str | None
    count: int
    """How many the whole list holds."""
    count_exact: bool
    """False where there are more than `count`, or may be."""


class Problem(TypedDict):
    """What is answered to what was refused or failed (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    retryable: bool
    facts: "Facts"


class Progress(TypedDict):
    """How far an upload has come that is read after the request was answered."""

    stage: "UploadStage"
    bytes: int
    """Size of the upload."""
    bytes_read: int
    records: int
    """Records read and hashed."""


class Publication(TypedDict):
    """What `publish_dataset` answers."""

    dataset: str
    number: int
    selection: NotRequired[str]
    """The name of the selection; missing of a version."""
    root: str
    media_type: str
    size: int
    """Bytes of the file."""
    digest: str
    """The SHA-256 of the file."""
    blob: str
    """The id of the sealed blob."""
    sealed_size: int
    """Bytes of the sealed blob."""
    transaction: NotRequired["Transaction"]


class Purpose(TypedDict):
    """What a bit means in the data sets of its owner; never rewritten."""

    kind: Literal["purpose"]
    schema: int
    owner: str
    bit: int
    iri: str
    registered_at: int
    title: NotRequired[str]


class PurposeEntry(TypedDict):
    """A record and the transaction that wrote it."""

    record: "Purpose"
    transaction: NotRequired["Transaction"]
    source: NotRequired["Source"]
    height: NotRequired[int]
    """How many blocks the answer reflects, at least."""


class PurposePage(TypedDict):
    """A page of entries; `next` is the `cursor` of the page after it."""

    items: Sequence["PurposeEntry"]
    next: str | None
    count: int
    """How many the whole list holds."""
    count_exact: bool
    """False where there are more than `count`, or may be."""


class QuarantineArtifact(TypedDict):
    """What `quarantine` sends."""

    reason: str


class QuorumRule(TypedDict):
    """Who must endorse artifacts of a kind before they reach a stage."""

    artifact_kind: "ArtifactKind"
    threshold: int
    stage: NotRequired["Stage"]
    eligible_roles: NotRequired[Sequence[str]]
    required_roles: NotRequired[Sequence[str]]
    owner_counts: NotRequired[bool]
    valid_seconds: NotRequired[int]
    on_quorum_lost: NotRequired["OnQuorumLost"]
    judged_by_roles: NotRequired[Sequence[str]]
    open_claims: NotRequired["OpenClaims"]


class Range(TypedDict):
    """Records `start` up to, not including, `end`, by their position in the tree."""

    start: int
    end: int


class ReachedArtifact(TypedDict):
    """An artifact that a lineage comes to."""

    reference: str
    distance: int
    stage: str | None
    """Null for what was not submitted."""
    stopped: "Stopped | None"
    """Why it was stopped itself; null where it was not."""
    review_path: Sequence[str]
    """From it up to the nearest stopped ancestor; not empty: review is required."""
    review_cause: "Stopped | None"
    """Why that ancestor was stopped; null where there is none."""
    superseded_by: str | None
    """The version that replaces it."""
    quorum_lost: bool
    """Whether it was approved by a quorum that was not there any more."""
    duty: "DeploymentDuty | None"
    """What is due of a deployment; null where nothing is."""


class Reading(TypedDict):
    """How the file was read, where this gateway holds the records."""

    media_type: "MediaType"
    id_field: str | None
    delimiter: NotRequired[str]
    fields: NotRequired[Sequence[str]]


class RecordDeployment(TypedDict):
    """Record that the caller's organisation puts a model version to use."""

    deployment: str
    version: str
    location: str
    territories: NotRequired[Sequence[str]]
    digest: NotRequired[str]
    started: NotRequired[int]
    purpose: NotRequired[str]
    """The purpose's IRI, or its name: `research`, or the title that it was registered with."""
    note: NotRequired[str]


class RecordEvaluation(TypedDict):
    """Record how a model version did on a data set version."""

    evaluation: str
    subject: str
    digest: str
    data: "RunInput"
    metrics: Sequence["Metric"]
    evaluated_at: int
    note: NotRequired[str]
    purpose: NotRequired[str]
    """The purpose's IRI, or its name: `research`, or the title that it was registered with."""
    criteria: NotRequired[str]


class RecordModelVersion(TypedDict):
    """Record a version of one's own model."""

    number: NotRequired[int]
    digest: str
    files: Sequence["FileEntry"]
    licence: str
    run: NotRequired[str]
    parents: NotRequired[Sequence["ModelParent"]]
    note: NotRequired[str]
    ignore_paths: NotRequired[Sequence[str]]


class RecordProof(TypedDict):
    """That a record is in a version: its leaf, its position and the path to the root; kept and sent off chain."""

    kind: Literal["record-proof"]
    schema: int
    version: str
    index: int
    size: int
    salt: str
    id_digest: str
    content_digest: str
    consent: int
    purposes: str
    path: Sequence[str]
    subject_digest: NotRequired[str]


class RecordRun(TypedDict):
    """Record a training run that is over."""

    run: str
    code: "Code"
    environment: "Environment"
    started: int
    finished: int
    inputs: NotRequired[Sequence["RunInput"]]
    parents: NotRequired[Sequence[str]]
    parameters: NotRequired[Sequence["Parameter"]]
    metrics: NotRequired[Sequence["Metric"]]
    note: NotRequired[str]
    purpose: NotRequired[str]
    """The purpose's IRI, or its name: `research`, or the title that it was registered with."""
    artifacts: NotRequired[Sequence["RunArtifact"]]
    history: NotRequired["MetricHistory"]
    signature: NotRequired["RunSignature"]


class RecordedAccessApproval(TypedDict):
    """What is answered where this was recorded; methods make a `Recorded` of it."""

    record: "AccessApproval"
    event: "Event"
    transaction: "Transaction"


class RecordedAccessAttempt(TypedDict):
    """What is answered where this was recorded; methods make a `Recorded` of it."""

    record: "AccessAttempt"
    event: "Event"
    transaction: "Transaction"


class RecordedAccessBatch(TypedDict):
    """What is answered where this was recorded; methods make a `Recorded` of it."""

    record: "AccessBatch"
    event: "Event"
    transaction: "Transaction"


class RecordedAccessGrant(TypedDict):
    """What is answered where this was recorded; methods make a `Recorded` of it."""

    record: "AccessGrant"
    event: "Event"
    transaction: "Transaction"


class RecordedAccessPolicy(TypedDict):
    """What is answered where this was recorded; methods make a `Recorded` of it."""

    record: "AccessPolicy"
    event: "Event"
    transaction: "Transaction"


class RecordedAccessRequest(TypedDict):
    """What is answered where this was recorded; methods make a `Recorded` of it."""

    record: "AccessRequest"
    event: "Event"
    transaction: "Transaction"


class RecordedAccessReview(TypedDict):
    """What is answered where this was recorded; methods make a `Recorded` of it."""

    record: "AccessReview"
    event: "Event"
    transaction: "Transaction"


class RecordedAny(TypedDict):
    """A part of an answer."""

    record: "AnyRecord"
    event: "Event"
    transaction: "Transaction"


class RecordedArtifactStage(TypedDict):
    """What is answered where this was recorded; methods make a `Recorded` of it."""

    record: "ArtifactStage"
    event: "Event"
    transaction: "Transaction"


class RecordedArtifactStageOrLiftVote(TypedDict):
    """What is answered where this was recorded; methods make a `Recorded` of it."""

    record: "ArtifactStage | LiftVote"
    event: "Event"
    transaction: "Transaction"


class RecordedAuditAnchor(TypedDict):
    """What is answered where this was recorded; methods make a `Recorded` of it."""

    record: "AuditAnchor"
    event: "Event"
    transaction: "Transaction"


class RecordedConsentMapVersion(TypedDict):
    """What is answered where this was recorded; methods make a `Recorded` of it."""

    record: "ConsentMapVersion"
    event: "Event"
    transaction: "Transaction"
    impact: NotRequired["ConsentImpact"]
    unmarked: NotRequired[int]
    """How many selections that the change affects are not marked yet; the same request, with the same Idempotency-Key,
    marks them.
    """


class RecordedCounterClaim(TypedDict):
    """What is answered where this was recorded; methods make a `Recorded` of it."""

    record: "CounterClaim"
    event: "Event"
    transaction: "Transaction"


class RecordedCriteria(TypedDict):
    """What is answered where this was recorded; methods make a `Recorded` of it."""

    record: "Criteria"
    event: "Event"
    transaction: "Transaction"


class RecordedDataset(TypedDict):
    """What is answered where this was recorded; methods make a `Recorded` of it."""

    record: "Dataset"
    event: "Event"
    transaction: "Transaction"


class RecordedDatasetVersion(TypedDict):
    """What is answered where this was recorded; methods make a `Recorded` of it."""

    record: "DatasetVersion"
    event: "Event"
    transaction: "Transaction"


class RecordedDeployment(TypedDict):
    """What is answered where this was recorded; methods make a `Recorded` of it."""

    record: "Deployment"
    event: "Event"
    transaction: "Transaction"


class RecordedDeploymentEnd(TypedDict):
    """What is answered where this was recorded; methods make a `Recorded` of it."""

    record: "DeploymentEnd"
    event: "Event"
    transaction: "Transaction"


class RecordedEndorsement(TypedDict):
    """What is answered where this was recorded; methods make a `Recorded` of it."""

    record: "Endorsement"
    event: "Event"
    transaction: "Transaction"


class RecordedEndorsementOrArtifactStage(TypedDict):
    """What is answered where this was recorded; methods make a `Recorded` of it."""

    record: "Endorsement | ArtifactStage"
    event: "Event"
    transaction: "Transaction"


class RecordedEvaluation(TypedDict):
    """What is answered where this was recorded; methods make a `Recorded` of it."""

    record: "Evaluation"
    event: "Event"
    transaction: "Transaction"


class RecordedLaterParents(TypedDict):
    """What is answered where this was recorded; methods make a `Recorded` of it."""

    record: "LaterParents"
    event: "Event"
    transaction: "Transaction"


class RecordedModel(TypedDict):
    """What is answered where this was recorded; methods make a `Recorded` of it."""

    record: "Model"
    event: "Event"
    transaction: "Transaction"


class RecordedModelVersion(TypedDict):
    """What is answered where this was recorded; methods make a `Recorded` of it."""

    record: "ModelVersion"
    event: "Event"
    transaction: "Transaction"


class RecordedOrganisationRoots(TypedDict):
    """What is answered where this was recorded; methods make a `Recorded` of it."""

    record: "OrganisationRoots"
    event: "Event"
    transaction: "Transaction"


class RecordedPolicyOrPolicyVote(TypedDict):
    """What is answered where this was recorded; methods make a `Recorded` of it."""

    record: "Policy | PolicyVote"
    event: "Event"
    transaction: "Transaction"


class RecordedPurpose(TypedDict):
    """What is answered where this was recorded; methods make a `Recorded` of it."""

    record: "Purpose"
    event: "Event"
    transaction: "Transaction"


class RecordedRejection(TypedDict):
    """What is answered where this was recorded; methods make a `Recorded` of it."""

    record: "Rejection"
    event: "Event"
    transaction: "Transaction"


class RecordedSelection(TypedDict):
    """What is answered where this was recorded; methods make a `Recorded` of it."""

    record: "Selection"
    event: "Event"
    transaction: "Transaction"


class RecordedSelectionMark(TypedDict):
    """What is answered where this was recorded; methods make a `Recorded` of it."""

    record: "SelectionMark"
    event: "Event"
    transaction: "Transaction"


class RecordedTrainingRun(TypedDict):
    """What is answered where this was recorded; methods make a `Recorded` of it."""

    record: "TrainingRun"
    event: "Event"
    transaction: "Transaction"


class RefusedCheckpoint(TypedDict):
    """A checkpoint that was refused."""

    origin: str
    """Of the log."""
    at: int
    """Seconds since 1970."""
    reason: str
    checkpoint: str
    """The signed note."""


class RegisterCriteria(TypedDict):
    """Say what evaluations on some data have to reach, before the training that they judge."""

    criteria: str
    title: str
    version: str
    all_of: Sequence["Criterion"]
    selection: NotRequired[str]
    model: NotRequired[str]
    note: NotRequired[str]


class RegisterDataset(TypedDict):
    """Register a data set; the caller's organisation becomes its owner."""

    dataset: str
    title: str
    licence: str
    origin: "Origin"
    sensitivity: "Sensitivity"
    jurisdictions: NotRequired[Sequence[str]]
    description: NotRequired[str]
    creator: NotRequired[str]
    card: NotRequired[str]
    distributions: NotRequired[Sequence[str]]
    basis: NotRequired["LawfulBasis"]


class RegisterModel(TypedDict):
    """Register a model; the caller's organisation becomes its owner."""

    model: str
    title: str
    task: NotRequired[str]
    description: NotRequired[str]
    card: NotRequired[str]


class RegisterPurpose(TypedDict):
    """Give one of the bits 32 to 63 a meaning in the data sets of one's own organisation."""

    bit: int
    iri: str
    title: NotRequired[str]


class RegisteredPurpose(TypedDict):
    """A part of an answer."""

    record: "Purpose"
    transaction: "Transaction"


class RejectArtifact(TypedDict):
    """What `reject` sends."""

    envelope: NotRequired["Envelope"]
    reason: str
    stage: NotRequired["Stage"]
    chain: NotRequired[Sequence["EncodedCertificate"]]
    digest: NotRequired[str]
    """The digest that was examined; the recorded one by default."""


class Rejection(TypedDict):
    """An organisation says that an artifact must not reach a stage."""

    kind: Literal["rejection"]
    schema: int
    artifact: str
    stage: "Stage"
    by: str
    at: int
    round: int
    policy: int
    envelope: "Envelope"
    reason: str
    chain: NotRequired[Sequence["EncodedCertificate"]]


class RejectionEntry(TypedDict):
    """A record and the transaction that wrote it."""

    record: "Rejection"
    transaction: NotRequired["Transaction"]
    source: NotRequired["Source"]
    height: NotRequired[int]
    """How many blocks the answer reflects, at least."""


class RejectionPage(TypedDict):
    """A page of entries; `next` is the `cursor` of the page after it."""

    items: Sequence["RejectionEntry"]
    next: str | None
    count: int
    """How many the whole list holds."""
    count_exact: bool
    """False where there are more than `count`, or may be."""


class ReleaseArtifact(TypedDict):
    """What `release` sends."""

    reason: str


class Reminder(TypedDict):
    """A part of an answer."""

    number: int
    kind: "ReminderKind"
    artifact: str
    owner: str
    stage: str
    """That the word is awaited for, or that the approval is of."""
    ends_at: int | None
    """When the first endorsement that the approval rests on ends, milliseconds since 1970."""
    at: int
    """When it was given."""
    ended_at: int | None
    """When it was found over; null while it is due."""
    says: str
    """The same in words."""


class Reminders(TypedDict):
    """What `reminders` answers."""

    organisation: str
    items: Sequence["Reminder"]
    next: int | None
    """Pass it as `after` to go on: for those that there are, and later for those that come. Null while there is none at
    all.
    """


class Reply(TypedDict):
    """The chaincode's answer: the record, and the event."""

    record: "AnyRecord"
    event: "Event"


class RequestAccess(TypedDict):
    """Ask for access to a version of another organisation's data set, or to a selection from one."""

    request: str
    artifact: str
    purpose: str
    """The purpose's IRI, or its name: `research`, or the title that it was registered with."""
    actions: Sequence["AccessAction"]
    expires: int
    not_before: NotRequired[int]
    uses: NotRequired[int]
    recipient: NotRequired[str]
    recipient_key: NotRequired[str]
    justification: NotRequired[str]


class ResumeAccess(TypedDict):
    """Let a suspended grant of one's own run on."""

    reason: NotRequired[str]


class ReviewAccess(TypedDict):
    """Say, as a third member, whether a grant that was given in an emergency was right."""

    justified: bool
    note: str


class RevokeAccess(TypedDict):
    """End a grant of one's own at once, for good."""

    reason: str


class RunArtifact(TypedDict):
    """A file that a run wrote; it stays with the owner."""

    path: str
    digest: str
    size: int
    media_type: NotRequired[str]


class RunInput(TypedDict):
    """A data set version that a run used, or a selection from it, and the root that the trainer found in its copy."""

    version: str
    root: str
    role: NotRequired["InputRole"]
    selection: NotRequired[str]
    found: NotRequired["Found"]
    grant: NotRequired[str]


class RunSignature(TypedDict):
    """Whose word a run is: the signature of a DSSE envelope around the statement that `slsa` makes of the record."""

    sig: str
    keyid: NotRequired[str]
    genesis: NotRequired[str]


class Said(TypedDict):
    """What one organisation says a transaction answered."""

    by: str
    reply: "UnshownReply"


class SearchResult(TypedDict):
    """A record that was found."""

    reference: str
    kind: str
    title: str | None
    owner: str | None
    digests: Sequence["FoundDigest"]
    transaction: "Transaction"


class SearchResults(TypedDict):
    """What `search` answers."""

    items: Sequence["SearchResult"]
    next: str | None
    count: int
    """How many the whole list holds."""
    count_exact: bool
    """False where there are more than `count`, or may be."""
    complete: bool
    """False where so many words begin with one of the query's that not all were looked at."""


class SeenEvaluation(TypedDict):
    """An evaluation that a statement names."""

    evaluation: str
    owner: str
    verdict: str | None
    """Whether its criteria are met, where it has any."""
    transaction: str
    """Its receipt is that of this transaction."""


class Selection(TypedDict):
    """A selection; never rewritten."""

    kind: Literal["selection"]
    schema: int
    dataset: str
    number: int
    selection: str
    owner: str
    committed_at: int
    root: str
    size: int
    parent: NotRequired[str]
    purpose: NotRequired[str]
    role: NotRequired["InputRole"]
    left_out: Sequence["LeftOut"]
    note: NotRequired[str]
    tainted_by: NotRequired[Sequence["Taint"]]
    consent_map: NotRequired["MapState"]


class SelectionEntry(TypedDict):
    """A record and the transaction that wrote it."""

    record: "Selection"
    transaction: NotRequired["Transaction"]
    source: NotRequired["Source"]
    height: NotRequired[int]
    """How many blocks the answer reflects, at least."""


class SelectionEvidence(TypedDict):
    """What `selection_proof` answers."""

    kind: Literal["selection-evidence"]
    schema: int
    channel: str
    version: "DatasetVersion"
    transaction: "Transaction"
    proof: "RecordProof"
    record: "EvidenceRecord"
    selection: "Selection"
    selection_transaction: "Transaction"
    selection_proof: "SelectionProof"
    purposes: NotRequired[Sequence["RegisteredPurpose"]]
    """What the owner has registered of the purposes that it is for; left out where that is none."""


class SelectionMark(TypedDict):
    """That a selection holds records of subjects whose consent changed after it was made; never rewritten or lifted."""

    kind: Literal["selection-mark"]
    schema: int
    selection: str
    owner: str
    number: int
    marked_at: int


class SelectionPage(TypedDict):
    """A page of entries; `next` is the `cursor` of the page after it."""

    items: Sequence["SelectionEntry"]
    next: str | None
    count: int
    """How many the whole list holds."""
    count_exact: bool
    """False where there are more than `count`, or may be."""


class SelectionProof(TypedDict):
    """That a record is in a selection: the place of its leaf there and the path to the root; kept and sent off chain."""

    kind: Literal["selection-proof"]
    schema: int
    selection: str
    index: int
    size: int
    path: Sequence[str]


class SetAccessPolicy(TypedDict):
    """Say under which terms others get access to one's own data set."""

    number: NotRequired[int]
    purposes: Sequence[str]
    actions: Sequence["AccessAction"]
    longest: int
    most_uses: NotRequired[int]
    organisations: NotRequired[Sequence[str]]
    roles: NotRequired[Sequence[str]]
    approvers: NotRequired[Sequence[str]]
    conditions: NotRequired[str]
    conditions_digest: NotRequired[str]


class Signature(TypedDict):
    """A signature of a DSSE envelope; the key id is a hint and is not relied on."""

    sig: str
    keyid: NotRequired[str]


class SignedImpact(TypedDict):
    """A DSSE envelope of an in-toto statement with the predicate impact-report/v1."""

    payload: str
    payloadType: str
    signatures: Sequence["Signature"]


class SignedStatement(TypedDict):
    """A DSSE envelope of an in-toto statement with the predicate https://slsa.dev/provenance/v1."""

    payload: str
    payloadType: str
    signatures: Sequence["Signature"]


class SigningIdentity(TypedDict):
    """A part of an answer."""

    subject: str
    """Of the certificate, as RFC 4514 writes it."""
    certificate: str
    """SHA-256 of the certificate in DER."""


class StateClaim(TypedDict):
    """Object to another organisation's artifact, with a signed statement."""

    reason: str
    envelope: NotRequired["Envelope"]
    stage: NotRequired["Stage"]
    against: NotRequired[str]
    evidence: NotRequired[str]
    evidence_digest: NotRequired[str]
    chain: NotRequired[Sequence["EncodedCertificate"]]
    digest: NotRequired[str]
    """The digest that was examined; the recorded one by default."""


class StatementDigest(TypedDict):
    """The SHA-256 of it, in hex."""

    sha256: str


class StatementDraft(TypedDict):
    """What `draft_statement` answers."""

    artifact: str
    decision: "Decision"
    words: Sequence[str]
    """What the statement says, sentence by sentence."""
    not_covered: Sequence[str]
    """What it does not say."""
    statement: "ComposedStatement"
    payload: str
    """The very bytes of it that are signed."""
    payloadType: str
    evaluations: Sequence["SeenEvaluation"]
    tainted_by: Sequence["Taint"]
    refused: "ForeseenRefusal | None"
    """What the ledger would say to it now; null where it would take it."""


class StatementSubject(TypedDict):
    """What a statement is about."""

    name: str
    digest: "StatementDigest"


class Status(TypedDict):
    """How far an artifact is on its way to `for_stage`."""

    kind: Literal["status"]
    schema: int
    artifact: str
    owner: str
    stage: "Stage"
    round: int
    since: NotRequired[int]
    for_stage: "Stage"
    threshold: int
    endorsed_by: Sequence[str]
    rejected_by: Sequence[str]
    missing: int
    missing_roles: Sequence[str]
    may_endorse: Sequence[str]
    complete: bool
    evaluation: NotRequired[str]
    assessed: NotRequired[bool]


class StatusCount(TypedDict):
    """How many subjects were given a status."""

    status: "ConsentStatus"
    count: int


class SubjectChange(TypedDict):
    """What one subject had and has now, with the proof of the former under the root that the changes before it made."""

    subject: str
    new: "Indication"
    siblings: str
    old: NotRequired["Indication"]
    other: NotRequired[str]


class Submission(TypedDict):
    """What `find_operation` answers."""

    id: str
    state: "SubmissionState"
    attempt: int
    transaction_id: NotRequired[str | None]
    status: NotRequired[int | None]
    """HTTP status of the final answer."""
    progress: NotRequired["Progress"]
    result: NotRequired["Result | None"]
    """Body of the final answer."""


class SubmitArtifact(TypedDict):
    """What `submit` sends."""

    digest: NotRequired[str]
    """The digest that was examined; the recorded one by default."""
    note: NotRequired[str]
    evaluation: NotRequired[str]


class SubmittedTransaction(TypedDict):
    """What `submit_transaction` answers."""

    operation: str
    """What became of it says `getOperation`."""
    state: "SubmissionState"
    result: "Result | None"
    """What was recorded; null while that is pending."""


class SuspendAccess(TypedDict):
    """Stop a grant of one's own until it is resumed."""

    reason: str


class Taint(TypedDict):
    """An ancestor that taints, and the way to it."""

    cause: "Cause"
    path: Sequence[str]


class TaintRules(TypedDict):
    """What is refused to that which was made from something stopped, and how long one member alone may stop it."""

    quarantined: NotRequired[Sequence["Step"]]
    withdrawn: NotRequired[Sequence["Step"]]
    lapse_seconds: NotRequired[int]


class Taken(TypedDict):
    """Which records of a parent were taken: ranges, or a bitmap whose bit ``i % 8`` of byte ``i // 8`` is record i."""

    parent: str
    ranges: NotRequired[Sequence["Range"]]
    bitmap: NotRequired[str]


class TrainingRun(TypedDict):
    """A training run; never rewritten."""

    kind: Literal["training-run"]
    schema: int
    run: str
    owner: str
    recorded_at: int
    code: "Code"
    environment: "Environment"
    started: int
    finished: int
    inputs: Sequence["RunInput"]
    parents: Sequence[str]
    parameters: Sequence["Parameter"]
    metrics: Sequence["Metric"]
    note: NotRequired[str]
    tainted_by: NotRequired[Sequence["Taint"]]
    purpose: NotRequired[str]
    artifacts: NotRequired[Sequence["RunArtifact"]]
    history: NotRequired["MetricHistory"]
    signature: NotRequired["RunSignature"]


class TrainingRunEntry(TypedDict):
    """A record and the transaction that wrote it."""

    record: "TrainingRun"
    transaction: NotRequired["Transaction"]
    source: NotRequired["Source"]
    height: NotRequired[int]
    """How many blocks the answer reflects, at least."""


class TrainingRunPage(TypedDict):
    """A page of entries; `next` is the `cursor` of the page after it."""

    items: Sequence["TrainingRunEntry"]
    next: str | None
    count: int
    """How many the whole list holds."""
    count_exact: bool
    """False where there are more than `count`, or may be."""


class Transaction(TypedDict):
    """Where something is on the ledger."""

    id: str
    block: int
    at: NotRequired[str]


class TransactionEvidence(TypedDict):
    """A transaction as it was ordered, with what shows that; `pedigree verify` checks it offline."""

    kind: Literal["transaction-evidence"]
    schema: Literal[1]
    channel: str
    reference: NotRequired[str]
    """The record that it was asked for."""
    transaction: "OrderedPlace"
    validation: str
    """What this gateway's peer found it, such as VALID."""
    block: "OrderedBlock"
    configurations: Sequence["OrderedBlock"]
    """Each holds a configuration of the channel, from its first block on."""
    definitions: Sequence["DefiningTransaction"]
    """Where the chaincode's endorsement policy was defined."""


class TransactionOutcome(TypedDict):
    """What `transaction` answers."""

    id: str
    block: int
    number: int
    """Its place in the block."""
    at: str | None
    """The time that its client claims."""
    organisation: str
    """MSP id of the creator."""
    identity: "SigningIdentity | None"
    """Whose certificate signed it; null where none can be read."""
    client: "ActingClient | None"
    """For whom the organisation's gateway signed it, by that gateway's word; null where it does not say."""
    chaincode: str | None
    """Null for a configuration of the channel."""
    function: str | None
    """What was called, cut after 100 characters."""
    about: Sequence[str]
    """The records that it wrote, or would have, and those that these name; at most 256."""
    endorsed_by: Sequence[str]
    """MSP ids of the endorsements that are with it; that each of them holds, its evidence shows."""
    valid: bool
    validation_code: int
    validity: str
    """Fabric's name for the code, such as MVCC_READ_CONFLICT."""
    event: str | None
    """The name of the event that it carries; null also where it writes nothing for all to see."""
    reply: "Reply | BatchReply | None"
    """What the chaincode answered, where the ledger's public entries show it."""
    said: "Said | None"
    """What a valid transaction says it answered, without public entries to show for it: the word of the organisation
    that signed it, and of nobody else.
    """


class TransactionPage(TypedDict):
    """A page of entries; `next` is the `cursor` of the page after it."""

    items: Sequence["ListedTransaction"]
    next: str | None
    count: int
    """How many the whole list holds."""
    count_exact: bool
    """False where there are more than `count`, or may be."""


class TransparencyLog(TypedDict):
    """What `log` answers."""

    origin: str
    """The first line of its checkpoints, and the name of its key."""
    key: str
    """The log's key (C2SP verifier key)."""
    cosigner_keys: Sequence[str]
    """The keys that this gateway cosigns others' logs with."""
    mirror_keys: Sequence[str]
    """The keys that it cosigns with what it mirrors of others' logs."""
    entries: int
    """One for each valid transaction that was read."""
    checkpoint: "LogHead | None"
    """What was signed last; null before that."""
    trouble: str | None
    """Why nothing is signed, or why the policy's file cannot be used."""
    witnesses: Sequence["LogWitness"]
    witnessed: Sequence["WitnessedLog"]
    mirrored: Sequence["MirroredLog"]
    refused: Sequence["RefusedCheckpoint"]
    """Checkpoints that show that a log forked, or that a witness refused; the latest first."""


class UnsignedTransaction(TypedDict):
    """A step of a transaction, to be sent back as it is, with `signature`."""

    format: Literal["pedigree-transaction/v1"]
    stage: "SigningStage"
    function: str
    key: str
    """By which the transaction is recorded once."""
    certificate: str
    """In PEM: whose key signs."""
    command: str
    """Canonical JSON."""
    transaction_id: str
    content: str
    """`gateway.ProposedTransaction` or `gateway.PreparedTransaction` of Fabric."""
    digest: str
    """What is signed, in hexadecimal digits: SHA-256 of the proposal's or the payload's bytes, or for a key of Ed25519
    these themselves.
    """
    sign_before: int
    """Milliseconds since 1970."""
    reply: "Result | None"
    """What the ledger will answer; null before it was endorsed."""
    seal: str
    signature: NotRequired[str]
    """ECDSA in DER with low S, or Ed25519; only in what is sent."""


class VoteForPolicy(TypedDict):
    """What `set_policy` sends."""

    number: int
    members: Sequence["Member"]
    rules: Sequence["QuorumRule"]
    amendment_threshold: int
    amendment_roles: NotRequired[Sequence[str]]
    taint: NotRequired["TaintRules"]


class WithdrawClaim(TypedDict):
    """Take one's own claim back."""

    reason: str


class WithdrawEndorsement(TypedDict):
    """What `withdraw` sends."""

    reason: str
    stage: NotRequired["Stage"]
    envelope: NotRequired["Envelope"]
    chain: NotRequired[Sequence["EncodedCertificate"]]


class WitnessedLog(TypedDict):
    """Another organisation's log that this gateway witnesses."""

    origin: str
    checkpoint: "LogHead | None"
    """What was cosigned last, or what was read when it first came; or null."""


AnyRecord = (
    Dataset
    | DatasetVersion
    | Selection
    | ConsentMapVersion
    | SelectionMark
    | Purpose
    | Model
    | ModelVersion
    | LaterParents
    | TrainingRun
    | Criteria
    | Evaluation
    | Deployment
    | DeploymentEnd
    | AccessPolicy
    | AccessRequest
    | AccessApproval
    | AccessGrant
    | AccessReview
    | AccessAttempt
    | AccessBatch
    | Policy
    | PolicyVote
    | OrganisationRoots
    | ArtifactStage
    | Endorsement
    | Rejection
    | LiftVote
    | CounterClaim
    | AuditAnchor
)

Result = (
    RecordedDataset
    | RecordedDatasetVersion
    | RecordedSelection
    | RecordedConsentMapVersion
    | RecordedSelectionMark
    | RecordedPurpose
    | RecordedModel
    | RecordedModelVersion
    | RecordedLaterParents
    | RecordedTrainingRun
    | RecordedCriteria
    | RecordedEvaluation
    | RecordedDeployment
    | RecordedDeploymentEnd
    | RecordedAccessPolicy
    | RecordedAccessRequest
    | RecordedAccessApproval
    | RecordedAccessGrant
    | RecordedAccessReview
    | RecordedAccessAttempt
    | RecordedAccessBatch
    | RecordedPolicyOrPolicyVote
    | RecordedOrganisationRoots
    | RecordedArtifactStage
    | RecordedEndorsement
    | RecordedRejection
    | RecordedEndorsementOrArtifactStage
    | RecordedArtifactStageOrLiftVote
    | RecordedCounterClaim
    | RecordedAuditAnchor
    | BatchOutcome
    | Problem
)


REFERENCES: Final[Mapping[str, tuple[str, ...]]] = {
    "access-attempt": ("access-attempt", "attempt"),
    "access-grant": ("access-grant", "grant"),
    "access-policy": ("access-policy", "dataset", "number"),
    "access-request": ("access-request", "request"),
    "artifact-stage": ("", "artifact"),
    "consent-map-version": ("consent-map-version", "dataset", "number"),
    "counter-claim": ("", "artifact"),
    "criteria": ("criteria", "criteria"),
    "dataset": ("dataset", "dataset"),
    "dataset-version": ("dataset-version", "dataset", "number"),
    "deployment": ("deployment", "deployment"),
    "deployment-end": ("deployment", "deployment"),
    "endorsement": ("", "artifact"),
    "evaluation": ("evaluation", "evaluation"),
    "later-parents": ("", "child"),
    "lift-vote": ("", "artifact"),
    "model": ("model", "model"),
    "model-version": ("model-version", "model", "number"),
    "rejection": ("", "artifact"),
    "selection": ("selection", "dataset", "number", "selection"),
    "selection-mark": ("", "selection"),
    "training-run": ("run", "run"),
}
"""How a record is referred to, by its kind: the word that begins it, if there is one, and its fields."""

UNMET: Final = frozenset(
    [
        "access-backdated",
        "access-ends-before-it-starts",
        "ancestry-too-large",
        "approval-missing",
        "artifact-altered",
        "authority-unrooted",
        "bad-signature",
        "claims-open",
        "consent-backdated",
        "consent-proof-fails",
        "consent-status-cannot-follow",
        "consistency-proof-fails",
        "criteria-data-differs",
        "criteria-metric-missing",
        "criteria-model-differs",
        "criteria-too-late",
        "criteria-without-run",
        "data-withheld",
        "dated-in-the-future",
        "deployment-ends-before-it-starts",
        "derivatives-forbidden",
        "evaluated-before-run",
        "evaluated-by-owner",
        "evaluation-missing",
        "evaluation-not-passed",
        "evaluation-of-another",
        "evaluator-without-role",
        "grant-does-not-cover",
        "grant-missing",
        "grant-still-runs",
        "grant-wider-than-asked",
        "inclusion-proof-fails",
        "licence-too-wide",
        "licence-unclassified",
        "lineage-cycle",
        "not-an-authority",
        "not-an-emergency",
        "not-on-consent",
        "outside-access-policy",
        "own-data",
        "purpose-differs",
        "purpose-missing",
        "quorum-lost",
        "quorum-missing",
        "record-id-repeated",
        "role-differs",
        "run-ends-before-it-starts",
        "run-without-input",
        "selection-missing",
        "selection-out-of-range",
        "selection-outdated",
        "selection-too-late",
        "self-parent",
        "sensitivity-lowered",
        "signer-expired",
        "signer-not-yet-valid",
        "stage-skipped",
        "statement-digest-differs",
        "statement-out-of-time",
        "tainted",
        "wrong-stage",
    ]
)
"""The codes of refusals of what is well formed, because a rule of the ledger is not met."""
