# SPDX-License-Identifier: Apache-2.0
"""Counter-claims: an organisation's objection to another's artifact, or to an endorsement of it.

A claim is a signed statement with its reason, and with evidence where there is some. The organisation that it is
against answers once; an answer closes nothing. A claim is open until the one that made it takes it back. An open claim
is shown; whether an artifact is approved while there is one the policy says.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from chaincode.domain.endorsement import Endorsement
from chaincode.domain.errors import (
    AlreadyAnswered,
    ClaimAlreadyOpen,
    NoOpenClaim,
    NotAMember,
    NotEndorsed,
    NotTheAnswerer,
    OwnClaim,
    PolicyMissing,
    RecordNotFound,
)
from chaincode.domain.evidence import Decision, Envelope, Presented, statement_about, verify_evidence
from chaincode.domain.lifecycle import Artifact, ArtifactStage
from chaincode.domain.policy import Policy, Stage, roles_of
from chaincode.domain.speakers import MOST_SENT, EncodedCertificate
from chaincode.domain.values import (
    Command,
    Count,
    Digest,
    Event,
    Instant,
    Number,
    OrgId,
    Outcome,
    Record,
    Ref,
    Text,
)


@dataclass(frozen=True, slots=True)
class StateClaim(Command):
    """Object to another organisation's artifact, with a signed statement."""

    artifact: Ref
    reason: Text
    envelope: Envelope
    stage: Stage = Stage.APPROVED
    """The stage that the claim speaks of."""
    against: OrgId | None = None
    """Whose endorsement for that stage it is against; None: the artifact itself."""
    evidence: Ref | None = None
    """A record that shows it, such as an evaluation."""
    evidence_digest: Digest | None = None
    """SHA-256 of a document that shows it and is kept off the ledger."""
    chain: tuple[EncodedCertificate, ...] | None = field(default=None, metadata={"max": MOST_SENT})
    """As of an endorsement."""


@dataclass(frozen=True, slots=True)
class AnswerClaim(Command):
    """Answer a claim against one's own artifact or endorsement."""

    artifact: Ref
    claimant: OrgId
    answer: Text


@dataclass(frozen=True, slots=True)
class WithdrawClaim(Command):
    """Take one's own claim back."""

    artifact: Ref
    reason: Text


@dataclass(frozen=True, slots=True)
class CounterClaim(Record):
    """An organisation's objection to an artifact or an endorsement; the last one only."""

    artifact: Ref
    by: OrgId
    number: Number
    """Counts this organisation's claims against the artifact."""
    at: Instant
    stage: Stage
    against: OrgId | None
    due_from: OrgId
    """Who answers: the endorser, or the artifact's owner."""
    round: Count
    policy: Number
    reason: Text
    evidence: Ref | None
    evidence_digest: Digest | None
    envelope: Envelope
    chain: tuple[EncodedCertificate, ...] | None = field(default=None, metadata={"max": MOST_SENT})
    """The certificate that the statement was signed with, then those above it; None: that of the transaction."""
    answer: Text | None = None
    answered_at: Instant | None = None
    withdrawn_at: Instant | None = None
    withdrawn_because: Text | None = None

    @property
    def open(self) -> bool:
        """Whether it was not taken back."""
        return self.withdrawn_at is None


@dataclass(frozen=True, slots=True)
class ClaimStated(Event):
    """An organisation objects to an artifact or an endorsement."""

    artifact: Ref
    by: OrgId
    due_from: OrgId


@dataclass(frozen=True, slots=True)
class ClaimAnswered(Event):
    """The organisation that a claim is against answered it."""

    artifact: Ref
    claimant: OrgId
    by: OrgId


@dataclass(frozen=True, slots=True)
class ClaimWithdrawn(Event):
    """An organisation took its claim back."""

    artifact: Ref
    by: OrgId


# --- Rules ------------------------------------------------------------------------------------------------------


def claimants(claims: Iterable[CounterClaim]) -> frozenset[OrgId]:
    """Those whose claim is open."""
    return frozenset(claim.by for claim in claims if claim.open)


def state_claim(
    command: StateClaim,
    *,
    by: OrgId,
    at: Instant,
    artifact: Artifact | None,
    standing: ArtifactStage | None,
    policy: Policy | None,
    existing: CounterClaim | None,
    endorsement: Endorsement | None,
    evidence: Record | None,
    presented: Presented,
) -> Outcome:
    """Record the objection of `by` to an artifact or an endorsement of it.

    `endorsement` is that of `command.against`, and `evidence` the record that the command names, where they exist.
    """
    if artifact is None:
        raise RecordNotFound(command.artifact)
    if policy is None:
        raise PolicyMissing
    if roles_of(policy, by) is None:
        raise NotAMember(by)
    if by in (artifact.owner, command.against):
        raise OwnClaim(command.artifact, by)
    if existing is not None and existing.open:
        raise ClaimAlreadyOpen(command.artifact, by)
    if command.against is not None and (endorsement is None or endorsement.withdrawn_at is not None):
        raise NotEndorsed(command.artifact, command.stage, command.against)
    if command.evidence is not None and evidence is None:
        raise RecordNotFound(command.evidence)
    round_ = 0 if standing is None else standing.round
    due = statement_about(
        command.artifact, artifact.digest, command.stage, Decision.COUNTER_CLAIM, channel=presented.channel,
        organisation=by, round_=round_, policy=policy.number, at=None, reason=command.reason,
        against=command.against, evidence=command.evidence, evidence_digest=command.evidence_digest,
    )  # fmt: skip
    verify_evidence(command.envelope, presented, due, at)
    claim = CounterClaim(
        artifact=command.artifact,
        by=by,
        number=Number.after(0 if existing is None else existing.number, "/artifact"),
        at=at,
        stage=command.stage,
        against=command.against,
        due_from=command.against or artifact.owner,
        round=Count(round_),
        policy=policy.number,
        reason=command.reason,
        evidence=command.evidence,
        evidence_digest=command.evidence_digest,
        envelope=command.envelope,
        chain=command.chain,
    )
    return Outcome(writes=(claim,), event=ClaimStated(command.artifact, by, claim.due_from))


def answer_claim(command: AnswerClaim, *, by: OrgId, at: Instant, existing: CounterClaim | None) -> Outcome:
    """Record the answer of the organisation that a claim is against."""
    claim = _open(existing, command.artifact, command.claimant)
    if by != claim.due_from:
        raise NotTheAnswerer(command.artifact, claim.due_from, by)
    if claim.answered_at is not None:
        raise AlreadyAnswered(command.artifact, claim.by, by)
    return Outcome(
        writes=(replace(claim, answer=command.answer, answered_at=at),),
        event=ClaimAnswered(command.artifact, claim.by, by),
    )


def withdraw_claim(command: WithdrawClaim, *, by: OrgId, at: Instant, existing: CounterClaim | None) -> Outcome:
    """Take the claim of `by` back."""
    claim = _open(existing, command.artifact, by)
    return Outcome(
        writes=(replace(claim, withdrawn_at=at, withdrawn_because=command.reason),),
        event=ClaimWithdrawn(command.artifact, by),
    )


def _open(existing: CounterClaim | None, artifact: Ref, claimant: OrgId) -> CounterClaim:
    if existing is None or not existing.open:
        raise NoOpenClaim(artifact, claimant)
    return existing
