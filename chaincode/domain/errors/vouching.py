# SPDX-License-Identifier: Apache-2.0
"""Refusals about the policy, endorsements and stages."""

from dataclasses import dataclass

from chaincode.domain.errors.base import Conflict, Forbidden, Malformed, NotFound, Unmet


@dataclass
class PolicyMissing(NotFound):
    """The consortium has no policy yet, or the version asked for does not exist."""

    code = "policy-missing"
    sentence = "The consortium has no policy yet (or not this version); its members set the first one by their votes."


@dataclass
class PolicyNumberWrong(Conflict):
    """Policies are numbered without a gap, and each version is set once."""

    code = "policy-number-wrong"
    sentence = "The next version of the policy is {expected}, not {given}."
    expected: int
    given: int


@dataclass
class FoundersDiffer(Forbidden):
    """The founding policy names other members than those with which this organisation agreed to bootstrap it."""

    code = "founders-differ"
    sentence = "The founding policy must name exactly these members: {expected}."
    expected: str


@dataclass
class NotAMember(Forbidden):
    """Only members that the policy names may do this."""

    code = "not-a-member"
    sentence = "{by} is not among the members that the policy names."
    by: str


@dataclass
class AlreadyVoted(Conflict):
    """An organisation votes once for the same text."""

    code = "already-voted"
    sentence = "{by} has voted for this text of version {number} already."
    by: str
    number: int


@dataclass
class RuleMissing(NotFound):
    """The policy says nothing of this kind of artifact at this stage."""

    code = "rule-missing"
    sentence = "The policy has no rule for a {kind} to become {stage}."
    kind: str
    stage: str


@dataclass
class WithoutRole(Forbidden):
    """The organisation has none of the roles that the rule asks for."""

    code = "without-role"
    sentence = "{by} has none of the roles that may endorse this: {roles}."
    by: str
    roles: str


@dataclass
class OwnArtifact(Forbidden):
    """An owner does not endorse what is its own."""

    code = "own-artifact"
    sentence = "'{reference}' belongs to {by}, and the policy does not count its owner."
    reference: str
    by: str


@dataclass
class WrongStage(Unmet):
    """The artifact is at a stage at which this cannot be done."""

    code = "wrong-stage"
    sentence = "'{reference}' is {stage}; {action} needs it to be {needed}."
    reference: str
    stage: str
    action: str
    needed: str


@dataclass
class StageSkipped(Unmet):
    """Stages are passed one by one."""

    code = "stage-skipped"
    sentence = "'{reference}' is {stage} and cannot become {to} without being {next} first."
    reference: str
    stage: str
    to: str
    next: str


@dataclass
class QuorumMissing(Unmet):
    """Not enough organisations vouch for the artifact now."""

    code = "quorum-missing"
    sentence = "'{reference}' lacks {missing} endorsements to be {stage} (roles still missing: {roles})."
    reference: str
    stage: str
    missing: int
    roles: str


@dataclass
class EvaluationMissing(Unmet):
    """The policy asks for an evaluation, and the artifact was submitted without one."""

    code = "evaluation-missing"
    sentence = (
        "To be {stage}, '{reference}' needs a pre-registered evaluation that passed (roles that may evaluate: {roles});"
        " its owner names it when it submits it."
    )
    reference: str
    stage: str
    roles: str


@dataclass
class EvaluationNotPassed(Unmet):
    """The evaluation failed, or was judged by no criteria from before the training."""

    code = "evaluation-not-passed"
    sentence = "'{evaluation}' did not meet criteria that were registered before the training."
    evaluation: str


@dataclass
class EvaluationOfAnother(Unmet):
    """The evaluation is of another version."""

    code = "evaluation-of-another"
    sentence = "'{evaluation}' is of '{subject}', not of '{reference}'."
    evaluation: str
    subject: str
    reference: str


@dataclass
class EvaluatedByOwner(Unmet):
    """The owner of an artifact is not the one who judges it."""

    code = "evaluated-by-owner"
    sentence = "'{evaluation}' was made by {by}, which owns '{reference}': another member has to evaluate it."
    evaluation: str
    by: str
    reference: str


@dataclass
class EvaluatorWithoutRole(Unmet):
    """The organisation that evaluated is not a member, or has none of the roles that the rule asks for."""

    code = "evaluator-without-role"
    sentence = "'{evaluation}' was made by {by}; the policy asks for a member with one of these roles: {roles}."
    evaluation: str
    by: str
    roles: str


@dataclass
class ClaimsOpen(Unmet):
    """The policy lets nothing be approved while a member has an open counter-claim."""

    code = "claims-open"
    sentence = "'{reference}' is not approved while counter-claims against it are open: those of {claimants}."
    reference: str
    claimants: str


@dataclass
class AlreadyEndorsed(Conflict):
    """An organisation endorses once."""

    code = "already-endorsed"
    sentence = "{by} has endorsed '{reference}' for {stage} already."
    reference: str
    stage: str
    by: str


@dataclass
class AlreadyRejected(Conflict):
    """An organisation that rejected an artifact has spoken for this round."""

    code = "already-rejected"
    sentence = "{by} has rejected '{reference}' for {stage} in this round."
    reference: str
    stage: str
    by: str


@dataclass
class EndorsedAfterWithdrawal(Conflict):
    """An organisation that withdrew its endorsement cannot give it again in the same round."""

    code = "endorsed-after-withdrawal"
    sentence = "{by} has withdrawn its endorsement of '{reference}' for {stage} in this round."
    reference: str
    stage: str
    by: str


@dataclass
class NotEndorsed(NotFound):
    """There is no endorsement to withdraw."""

    code = "not-endorsed"
    sentence = "{by} has no endorsement of '{reference}' for {stage} in this round."
    reference: str
    stage: str
    by: str


@dataclass
class NotTheQuarantiner(Forbidden):
    """A quarantine is ended by the organisation that imposed it."""

    code = "not-the-quarantiner"
    sentence = "'{reference}' was quarantined by {quarantined_by}, not by {by}."
    reference: str
    quarantined_by: str
    by: str


@dataclass
class QuarantineConfirmed(Forbidden):
    """A quarantine that two members want is ended by the quorum of an amendment."""

    code = "quarantine-confirmed"
    sentence = "'{reference}' is quarantined by {quarantined_by} and {confirmed_by}; the votes of an amendment lift it."
    reference: str
    quarantined_by: str
    confirmed_by: str


@dataclass
class QuarantineUnconfirmed(Forbidden):
    """A member alone does not stop the same artifact again and again."""

    code = "quarantine-unconfirmed"
    sentence = "{by} has stopped '{reference}' before and nobody confirmed it; another member has to stop it now."
    reference: str
    by: str


@dataclass
class VotedToLift(Conflict):
    """An organisation votes once for the end of a quarantine."""

    code = "voted-to-lift"
    sentence = "{by} has voted for the end of the quarantine of '{reference}' already."
    reference: str
    by: str


@dataclass
class StatementInvalid(Malformed):
    """The evidence is not the statement that this step needs."""

    code = "statement-invalid"
    sentence = "The signed statement does not serve: {reason}."
    reason: str


@dataclass
class StatementOutOfTime(Unmet):
    """The statement is dated after its transaction, or more than a day before it."""

    code = "statement-out-of-time"
    sentence = (
        "The statement is dated {dated}, and the transaction {at}: it must be of the day before it, and not later."
    )
    dated: int
    at: int


@dataclass
class StatementDigestDiffers(Unmet):
    """The statement is about another digest."""

    code = "statement-digest-differs"
    sentence = "The statement is not about '{reference}' with the digest {expected}."
    reference: str
    expected: str


@dataclass
class BadSignature(Unmet):
    """The signature is not the caller's over this statement."""

    code = "bad-signature"
    sentence = "The signature is not valid: {reason}."
    reason: str
