# SPDX-License-Identifier: Apache-2.0
"""The register: every kind of record, what is asked to record it, and every question; one row each.

Keys, the codec's kinds, the functions of the chaincode, references, lineage and the policies of keys follow from these
rows, here and in the gateway. A new kind of record is a chapter with its rule, a row here and a row in the gateway's
table of operations.

A command of the standard form (its row says what it `cites`) needs nothing else. Its rule is
``rule(command, *, by, at, existing, cited)``: `existing` is the record that is under the key already, or None, and
`cited` holds those of the records that the command cites which exist, by their references. What any other rule needs
is loaded by a function of `chaincode.contracts`.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Final

from chaincode.domain import (
    access,
    asking,
    attempting,
    auditing,
    claims,
    consent,
    counterclaim,
    criteria,
    deployment,
    endorsement,
    evaluation,
    granting,
    grants,
    idempotency,
    lifecycle,
    lineage,
    model,
    policy,
    provenance,
    purposes,
    reading,
    reads,
    records,
    selection,
    speakers,
    status,
    submission,
    training,
    withdrawal,
)
from chaincode.domain.errors import InvalidField
from chaincode.domain.lineage import Edge
from chaincode.domain.policy import Stage
from chaincode.domain.values import (
    Answer,
    Command,
    Digest,
    Event,
    Name,
    Number,
    OrgId,
    Outcome,
    Query,
    Record,
    Ref,
)

Part = str | int | Digest
"""A part of a key."""

_WHOLE: Final = re.compile(r"[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True)
class Action:
    """A function of the chaincode that records, and the rule that decides."""

    function: str
    takes: type[Command]
    rule: Callable[..., Outcome]
    events: tuple[type[Event], ...]
    """What it announces: one of these."""
    cites: Callable[[Any], Iterable[Ref]] | None = None
    """What the command cites, where it is of the standard form; None where a contract loads what the rule needs."""
    then: Callable[[Mapping[Ref, Record]], Iterable[Ref]] | None = None
    """What is needed of what those records cite in turn, once they are known; only of the standard form."""
    or_writes: tuple[type[Record], ...] = ()
    """What it may write first in place of a record of the row's kind."""


@dataclass(frozen=True, slots=True)
class Question:
    """A function of the chaincode that answers and never records."""

    function: str
    takes: type[Query]
    answers: type[Answer] | type[Record]
    """`Record` where any kind of record may be the answer."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of record."""

    name: str
    """What it calls itself in JSON, at the beginning of its key and in the read model."""
    record: type[Record]
    key: Mapping[str, type]
    """The fields that identify a record, in the order of its key, and what each is."""
    reference: str = ""
    """What a reference to it begins with, before the parts of its key; empty for what nobody cites."""
    belongs_to: str = ""
    """The kind of which this is a version: its key without the number is that one's key."""
    guard: str = ""
    """The field with the organisation without whose peers the entry cannot be changed.

    Empty: the chaincode's own policy holds, so that no owner can block it.
    """
    digest: str = ""
    """The field that says which bytes it is about, where it is an artifact that passes through stages."""
    edges: Callable[[Any], tuple[Edge, ...]] | None = None
    """The edges to what a record was made from, where it has a lineage."""
    amended_by: type[Record] | None = None
    """What adds edges later: a record whose key is the reference of this one."""
    replaces: tuple[str, str] | None = None
    """By which field and value a version says that it was put in the place of the one before."""
    actions: tuple[Action, ...] = ()
    """What records it first of all that it writes."""
    schema: int = 1
    """The version of its form in JSON."""

    def parts_of(self, record: Record) -> tuple[Part, ...]:
        """The parts of a record's key."""
        return tuple(attrgetter(name)(record) for name in self.key)

    def replaced_by(self, said: Callable[[str], object]) -> bool:
        """Whether a version was put in the place of the one before it; `said` answers what a field of it holds."""
        return self.replaces is not None and said(self.replaces[0]) == self.replaces[1]

    def read_key(self, texts: Sequence[str]) -> tuple[Part, ...]:
        """The parts of a key out of their texts; `InvalidField` names the part that is wrong by its place."""
        if len(texts) != len(self.key):
            raise InvalidField("", f"a {self.name} has {len(self.key)} parts: {', '.join(self.key) or 'none'}")
        return tuple(_part(kind, texts[place], f"/{place}") for place, kind in enumerate(self.key.values()))


RECORDS: Final = (
    Kind(
        "dataset", provenance.Dataset, key={"dataset": Name}, reference="dataset", guard="owner",
        actions=(
            Action("dataset:register", provenance.RegisterDataset, provenance.register_dataset,
                   events=(provenance.DatasetRegistered,)),
        ),
    ),
    Kind(
        "dataset-version", provenance.DatasetVersion, key={"dataset": Name, "number": Number},
        reference="dataset-version", belongs_to="dataset", guard="owner", digest="root",
        edges=provenance.parents_of_dataset_version, replaces=("change", provenance.Change.REPLACES),
        actions=(
            Action("dataset:commit-version", provenance.CommitVersion, provenance.commit_version,
                   events=(provenance.DatasetVersionCommitted,)),
        ),
    ),
    Kind(
        "selection", selection.Selection, key={"dataset": Name, "number": Number, "selection": Name},
        reference="selection", guard="owner", edges=selection.parents_of_selection,
        actions=(
            Action("selection:commit", selection.CommitSelection, selection.commit_selection,
                   events=(selection.SelectionCommitted,)),
        ),
    ),
    Kind(
        "consent-map", consent.ConsentMap, key={"dataset": Name}, reference="consent-map", guard="owner",
    ),
    Kind(
        "consent-map-version", consent.ConsentMapVersion, key={"dataset": Name, "number": Number},
        reference="consent-map-version", guard="owner",
        actions=(
            Action("consent:open", consent.OpenConsent, consent.open_consent, events=(consent.ConsentOpened,)),
            Action("consent:change", consent.ChangeConsent, consent.change_consent, events=(consent.ConsentChanged,)),
        ),
    ),
    Kind(
        "selection-mark", consent.SelectionMark, key={"selection": Ref}, guard="owner",
        actions=(
            Action("consent:mark", consent.MarkSelections, consent.mark_selections, events=(consent.SelectionsMarked,)),
        ),
    ),
    Kind(
        "purpose", purposes.Purpose, key={"owner": OrgId, "bit": Number}, guard="owner",
        actions=(
            Action("purpose:register", purposes.RegisterPurpose, purposes.register_purpose,
                   events=(purposes.PurposeRegistered,)),
        ),
    ),
    Kind("digest-claim", claims.DigestClaim, key={"digest": Digest}, guard="owner"),
    Kind("root-claim", claims.RootClaim, key={"root": Digest}, guard="owner"),
    Kind(
        "model", model.Model, key={"model": Name}, reference="model", guard="owner",
        actions=(
            Action("model:register", model.RegisterModel, model.register_model, events=(model.ModelRegistered,)),
        ),
    ),
    Kind(
        "model-version", model.ModelVersion, key={"model": Name, "number": Number},
        reference="model-version", belongs_to="model", guard="owner", digest="digest",
        edges=model.parents_of_model_version, amended_by=model.LaterParents,
        actions=(
            Action("model:record-version", model.RecordModelVersion, model.record_model_version,
                   events=(model.ModelVersionRecorded,)),
        ),
    ),
    Kind(
        "later-parents", model.LaterParents, key={"child": Ref}, guard="owner", edges=model.parents_declared,
        actions=(
            Action("model:declare-parent", model.DeclareParent, model.declare_parent, events=(model.ParentDeclared,)),
        ),
    ),
    Kind(
        "training-run", training.TrainingRun, key={"run": Name}, reference="run", guard="owner",
        edges=training.parents_of_run,
        actions=(
            Action("run:record", training.RecordRun, training.record_run, events=(training.RunRecorded,)),
        ),
    ),
    Kind(
        "criteria", criteria.Criteria, key={"criteria": Name}, reference="criteria", guard="owner",
        edges=criteria.parents_of_criteria,
        actions=(
            Action("criteria:register", criteria.RegisterCriteria, criteria.register_criteria,
                   events=(criteria.CriteriaRegistered,), cites=criteria.cited_by_criteria),
        ),
    ),
    Kind(
        "evaluation", evaluation.Evaluation, key={"evaluation": Name}, reference="evaluation", guard="owner",
        edges=evaluation.parents_of_evaluation,
        actions=(
            Action("evaluation:record", evaluation.RecordEvaluation, evaluation.record_evaluation,
                   events=(evaluation.EvaluationRecorded,)),
        ),
    ),
    Kind(
        "deployment", deployment.Deployment, key={"deployment": Name}, reference="deployment", guard="owner",
        edges=deployment.parents_of_deployment,
        actions=(
            Action("deployment:record", deployment.RecordDeployment, deployment.record_deployment,
                   events=(deployment.DeploymentRecorded,)),
        ),
    ),
    Kind(
        "deployment-end", deployment.DeploymentEnd, key={"deployment": Name}, guard="owner",
        actions=(
            Action("deployment:end", deployment.EndDeployment, deployment.end_deployment,
                   events=(deployment.DeploymentEnded,), cites=deployment.cited_by_end),
        ),
    ),
    Kind("edge", Edge, key={"parent": Ref, "child": Ref}),
    Kind(
        "policy", policy.Policy, key={},
        actions=(
            Action("endorsement:set-policy", policy.SetPolicy, policy.set_policy,
                   events=(policy.PolicySet, policy.PolicyProposed), or_writes=(policy.PolicyVote,)),
        ),
    ),
    Kind("policy-version", policy.PolicyVersion, key={"policy.number": Number}),
    Kind("policy-vote", policy.PolicyVote, key={"number": Number, "by": OrgId}),
    Kind(
        "artifact-stage", lifecycle.ArtifactStage, key={"artifact": Ref},
        actions=(
            Action("endorsement:submit", submission.Submit, submission.submit,
                   events=(submission.ArtifactSubmitted,)),
            Action("endorsement:quarantine", lifecycle.Quarantine, lifecycle.quarantine,
                   events=(lifecycle.ArtifactQuarantined,)),
            Action("endorsement:confirm-quarantine", lifecycle.ConfirmQuarantine, lifecycle.confirm_quarantine,
                   events=(lifecycle.QuarantineMadeLasting,)),
            Action("endorsement:lift-quarantine", lifecycle.LiftQuarantine, lifecycle.lift_quarantine,
                   events=(lifecycle.QuarantineLifted, lifecycle.LiftProposed), or_writes=(lifecycle.LiftVote,)),
            Action("endorsement:release", lifecycle.Release, lifecycle.release, events=(lifecycle.ArtifactReleased,)),
            Action("endorsement:advance", lifecycle.Advance, lifecycle.advance, events=(lifecycle.ArtifactAdvanced,)),
        ),
    ),
    Kind("lift-vote", lifecycle.LiftVote, key={"artifact": Ref, "by": OrgId}),
    Kind(
        "endorsement", endorsement.Endorsement, key={"artifact": Ref, "stage": Stage, "by": OrgId},
        actions=(
            Action("endorsement:endorse", endorsement.Endorse, endorsement.endorse,
                   events=(endorsement.ArtifactEndorsed,)),
            Action("endorsement:withdraw", withdrawal.Withdraw, withdrawal.withdraw,
                   events=(withdrawal.EndorsementWithdrawn,)),
        ),
    ),
    Kind(
        "rejection", endorsement.Rejection, key={"artifact": Ref, "stage": Stage, "by": OrgId},
        actions=(
            Action("endorsement:reject", endorsement.Reject, endorsement.reject,
                   events=(endorsement.ArtifactRejected,)),
        ),
    ),
    Kind(
        "counter-claim", counterclaim.CounterClaim, key={"artifact": Ref, "by": OrgId},
        actions=(
            Action("claim:state", counterclaim.StateClaim, counterclaim.state_claim,
                   events=(counterclaim.ClaimStated,)),
            Action("claim:answer", counterclaim.AnswerClaim, counterclaim.answer_claim,
                   events=(counterclaim.ClaimAnswered,)),
            Action("claim:withdraw", counterclaim.WithdrawClaim, counterclaim.withdraw_claim,
                   events=(counterclaim.ClaimWithdrawn,)),
        ),
    ),
    Kind(
        "access-policy", access.AccessPolicy, key={"dataset": Name, "number": Number}, reference="access-policy",
        guard="owner",
        actions=(
            Action("access:set-policy", access.SetAccessPolicy, access.set_access_policy,
                   events=(access.AccessPolicySet,)),
        ),
    ),
    Kind("access-offer", access.AccessOffer, key={"dataset": Name}, reference="access-offer", guard="owner"),
    Kind(
        "access-request", asking.AccessRequest, key={"request": Name}, reference="access-request", guard="by",
        actions=(
            Action("access:request", asking.RequestAccess, asking.request_access, events=(asking.AccessRequested,)),
        ),
    ),
    Kind(
        "access-approval", asking.AccessApproval, key={"request": Name, "by": OrgId}, guard="by",
        actions=(
            Action("access:approve", asking.ApproveAccess, asking.approve_access, events=(asking.AccessApproved,)),
            Action("access:deny", asking.DenyAccess, asking.deny_access, events=(asking.AccessDenied,)),
        ),
    ),
    Kind(
        "access-grant", grants.AccessGrant, key={"grant": Name}, reference="access-grant", guard="owner",
        actions=(
            Action("access:grant", granting.GrantAccess, granting.grant_access, events=(granting.AccessGranted,)),
            Action("access:suspend", grants.SuspendAccess, grants.suspend_access, events=(grants.AccessSuspended,)),
            Action("access:resume", grants.ResumeAccess, grants.resume_access, events=(grants.AccessResumed,)),
            Action("access:revoke", grants.RevokeAccess, grants.revoke_access, events=(grants.AccessRevoked,)),
            Action("access:expire", grants.ExpireAccess, grants.expire_access, events=(grants.AccessExpired,)),
        ),
    ),
    Kind(
        "access-review", grants.AccessReview, key={"grant": Name, "by": OrgId}, guard="by",
        actions=(
            Action("access:review", grants.ReviewAccess, grants.review_access, events=(grants.AccessReviewed,)),
        ),
    ),
    Kind(
        "access-attempt", attempting.AccessAttempt, key={"attempt": Digest}, reference="access-attempt",
        actions=(
            Action("access:attempt", attempting.AttemptAccess, attempting.attempt_access,
                   events=(attempting.AccessAttempted,)),
        ),
    ),
    Kind("access-slot", attempting.AccessSlot, key={"grant": Name, "slot": Number}),
    Kind(
        "access-batch", attempting.AccessBatch, key={"owner": OrgId, "number": Number}, guard="owner",
        actions=(
            Action("access:anchor", attempting.AnchorAccess, attempting.anchor_access,
                   events=(attempting.AccessAnchored,)),
        ),
    ),
    Kind(
        "audit-anchor", auditing.AuditAnchor, key={"owner": OrgId, "log": Digest, "number": Number}, guard="owner",
        actions=(
            Action("audit:anchor", auditing.AnchorAudit, auditing.anchor_audit, events=(auditing.AuditAnchored,)),
        ),
    ),
    Kind(
        "organisation-roots", speakers.OrganisationRoots, key={"owner": OrgId}, guard="owner",
        actions=(
            Action("organisation:declare-roots", speakers.DeclareRoots, speakers.declare_roots,
                   events=(speakers.RootsDeclared,)),
        ),
    ),
    Kind("idempotency", idempotency.Idempotency, key={"by": OrgId, "token": Digest}),
)  # fmt: skip
"""Every kind of record.

All but `consent-map`, `later-parents`, `policy`, `artifact-stage`, `lift-vote`, `endorsement`, `rejection`,
`counter-claim`, `access-offer`, `access-grant` and `organisation-roots` are written once.
"""

QUESTIONS: Final = (
    Question("record:get", reading.GetRecord, Record),
    Question("endorsement:status", status.GetStatus, status.Status),
    Question("lineage:ancestry", lineage.Ancestry, lineage.Lineage),
    Question("lineage:impact", lineage.Impact, lineage.Lineage),
)
"""What may be asked of the ledger itself."""

SENT_OFF_CHAIN: Final = (records.RecordProof, records.SelectionProof, reads.AccessRead)
"""Documents that no function takes or answers: owners keep and send them."""

# --- What follows from the rows ---------------------------------------------------------------------------------

KIND: Final[Mapping[str, Kind]] = MappingProxyType({kind.name: kind for kind in RECORDS})
"""The rows by the names of their kinds."""
KIND_OF: Final[Mapping[type[Record], Kind]] = MappingProxyType({kind.record: kind for kind in RECORDS})
"""The rows by the classes of their records."""
ACTION: Final[Mapping[str, tuple[Kind, Action]]] = MappingProxyType(
    {action.function: (kind, action) for kind in RECORDS for action in kind.actions}
)
"""Every command's row and action, by the name of the function."""
COMMANDS: Final[Mapping[str, type[Command]]] = MappingProxyType(
    {function: action.takes for function, (_, action) in ACTION.items()}
)
"""What each function that records takes."""
QUERIES: Final[Mapping[str, type[Query]]] = MappingProxyType(
    {question.function: question.takes for question in QUESTIONS}
)
"""What each function that answers takes."""
FUNCTION_OF: Final[Mapping[type[Command] | type[Query], str]] = MappingProxyType(
    {takes: function for table in (COMMANDS, QUERIES) for function, takes in table.items()}
)
"""The function that takes a command or query, by its class."""

_CITED: Final = {kind.reference: kind for kind in RECORDS if kind.reference}


@lru_cache(maxsize=4_096)
def locate(reference: Ref) -> tuple[Kind, tuple[Part, ...]]:
    """Which record a reference cites: its kind and the parts of its key; `InvalidField` where there is no such kind."""
    kind = _CITED.get(reference.kind)
    if kind is None or len(reference.parts) != len(kind.key):
        raise InvalidField("", "it must be a reference such as 'model:net' or 'model-version:net:1'")
    try:
        return kind, kind.read_key(reference.parts)
    except InvalidField:
        raise InvalidField("", "it must name a record and, if versioned, a version from 1") from None


def reference_to(record: Record) -> Ref:
    """The reference that cites a record; only of kinds that can be cited."""
    kind = KIND_OF[type(record)]
    return Ref.of(kind.reference, *(str(part) for part in kind.parts_of(record)))


def edges_of(record: Record) -> tuple[Edge, ...]:
    """The edges to what a record was made from; none for kinds without a lineage."""
    upwards = KIND_OF[type(record)].edges
    return () if upwards is None else upwards(record)


def successor(reference: Ref) -> Ref | None:
    """The version that may replace another: the next one, where versions of its kind replace others."""
    kind, _ = locate(reference)
    number = reference.number
    if kind.replaces is None or number is None or number == Number.LAST:
        return None
    return Ref.of(reference.kind, reference.name, number + 1)


def _part(kind: Any, text: str, pointer: str) -> Part:
    """A part of a key out of its text."""
    if kind is Number:
        if _WHOLE.fullmatch(text) is None:
            raise InvalidField(pointer, "it must be a whole number from 1")
        return Number(int(text))
    try:
        made: Part = getattr(kind, "parse", kind)(text)
        if isinstance(made, Ref):
            locate(made)
    except InvalidField as refusal:
        raise InvalidField(pointer, refusal.reason) from None
    except ValueError:
        choices = ", ".join(choice.value for choice in kind) if issubclass(kind, Enum) else ""
        raise InvalidField(pointer, f"it must be one of {choices}") from None
    return made
