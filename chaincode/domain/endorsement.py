# SPDX-License-Identifier: Apache-2.0
"""Endorsement of artifacts by several organisations: evidence, rejection, withdrawal and quorum."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from chaincode.domain.assessment import Assessment, required
from chaincode.domain.errors import (
    AlreadyEndorsed,
    AlreadyRejected,
    ClaimsOpen,
    EndorsedAfterWithdrawal,
    NotAMember,
    OwnArtifact,
    WithoutRole,
    WrongStage,
)
from chaincode.domain.evidence import Decision, Envelope, Presented, Statement, statement_about, verify_evidence
from chaincode.domain.lifecycle import AWAITING, ArtifactStage, moved
from chaincode.domain.policy import Policy, QuorumRule, Stage, eligible, roles_of, rule_in_force, tally
from chaincode.domain.speakers import MOST_SENT, EncodedCertificate
from chaincode.domain.values import (
    Command,
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
class Endorse(Command):
    """Vouch for an artifact at a stage, with a signed statement as evidence."""

    artifact: Ref
    envelope: Envelope
    stage: Stage = Stage.APPROVED
    chain: tuple[EncodedCertificate, ...] | None = field(default=None, metadata={"max": MOST_SENT})
    """Of a statement that a person signed: that one's certificate, then those above it, but for the root."""


@dataclass(frozen=True, slots=True)
class Reject(Command):
    """Say that an artifact must not reach a stage, with a signed statement as evidence."""

    artifact: Ref
    envelope: Envelope
    reason: Text
    stage: Stage = Stage.APPROVED
    chain: tuple[EncodedCertificate, ...] | None = field(default=None, metadata={"max": MOST_SENT})
    """As of an endorsement."""


@dataclass(frozen=True, slots=True)
class Endorsement(Record):
    """An organisation vouches for an artifact at a stage."""

    artifact: Ref
    stage: Stage
    by: OrgId
    at: Instant
    round: Number
    policy: Number
    envelope: Envelope
    expires_at: Instant | None = None
    withdrawn_at: Instant | None = None
    reason: Text | None = None
    """Why it was withdrawn."""
    chain: tuple[EncodedCertificate, ...] | None = field(default=None, metadata={"max": MOST_SENT})
    """The certificate that the statement was signed with, then those above it; None: that of the transaction."""
    withdrawal: Envelope | None = None
    """The signed statement by which it was withdrawn; None too where it was withdrawn without one."""
    withdrawal_chain: tuple[EncodedCertificate, ...] | None = field(default=None, metadata={"max": MOST_SENT})
    """As `chain`, of that statement."""

    def counts(self, round_: int, at: Instant, rule: QuorumRule | None) -> bool:
        """Whether it is of this round, not withdrawn and not expired at `at`."""
        return self.round == round_ and self.withdrawn_at is None and not self.expired(at, rule)

    def expired(self, at: Instant, rule: QuorumRule | None) -> bool:
        """Whether its time is over at `at`: as was said when it was given, or earlier where `rule` now says so."""
        spans = (self.expires_at, expiry(self.at, rule))
        return any(end is not None and at >= end for end in spans)


def expiry(given: Instant, rule: QuorumRule | None) -> Instant | None:
    """When an endorsement that was given at `given` stops counting under `rule`; None: never."""
    return None if rule is None or rule.valid_seconds is None else given.plus(rule.valid_seconds)


@dataclass(frozen=True, slots=True)
class Rejection(Record):
    """An organisation says that an artifact must not reach a stage."""

    artifact: Ref
    stage: Stage
    by: OrgId
    at: Instant
    round: Number
    policy: Number
    envelope: Envelope
    reason: Text
    chain: tuple[EncodedCertificate, ...] | None = field(default=None, metadata={"max": MOST_SENT})
    """The certificate that the statement was signed with, then those above it; None: that of the transaction."""


@dataclass(frozen=True, slots=True)
class ArtifactEndorsed(Event):
    """An organisation vouches for an artifact."""

    artifact: Ref
    by: OrgId
    at_stage: Stage
    stage: Stage
    """The stage that the artifact has now: `APPROVED` where this endorsement completed the quorum."""
    complete: bool


@dataclass(frozen=True, slots=True)
class ArtifactRejected(Event):
    """An organisation rejects an artifact."""

    artifact: Ref
    by: OrgId
    at_stage: Stage
    stage: Stage
    """The stage that the artifact has now: `DRAFT` where the quorum has become impossible."""


# --- Rules ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ballot:
    """What the ledger holds of the organisations' words on one artifact and stage, of whatever round."""

    endorsements: Mapping[OrgId, Endorsement]
    rejections: Mapping[OrgId, Rejection]

    def endorsers(self, round_: int, at: Instant, rule: QuorumRule | None) -> frozenset[OrgId]:
        """Those whose endorsement is of this round, not withdrawn and not expired at `at`."""
        return frozenset(org for org, given in self.endorsements.items() if given.counts(round_, at, rule))

    def rejecters(self, round_: int) -> frozenset[OrgId]:
        """Those who rejected the artifact in this round."""
        return frozenset(org for org, given in self.rejections.items() if given.round == round_)

    def silenced(self, round_: int) -> frozenset[OrgId]:
        """Those who rejected the artifact or withdrew their endorsement, and so cannot endorse it in this round."""
        given = (one for one in self.endorsements.values() if one.round == round_)
        return self.rejecters(round_).union(one.by for one in given if one.withdrawn_at is not None)


def endorse(
    command: Endorse,
    *,
    by: OrgId,
    at: Instant,
    standing: ArtifactStage | None,
    policy: Policy | None,
    ballot: Ballot,
    presented: Presented,
    assessment: Assessment | None,
    open_claims: frozenset[OrgId],
) -> Outcome:
    """Record that `by` vouches for an artifact; the endorsement that completes the quorum approves it.

    `assessment` is the evaluation that the submission names; where the rule asks for it, the statement has to list it.
    `open_claims` says which members have an open counter-claim against it, where the policy refuses approval for that.
    """
    policy, rule, standing = _admit(command, by, standing, policy)
    _refuse_second_word(command.artifact, rule, by, at, standing, ballot)
    seen = required(rule, policy, standing.artifact, standing.owner, assessment)
    due = replace(_due(command, presented.channel, by, standing, policy), seen=seen)
    verify_evidence(command.envelope, presented, due, at)
    endorsement = Endorsement(
        artifact=command.artifact,
        stage=command.stage,
        by=by,
        at=at,
        round=Number(standing.round),
        policy=policy.number,
        envelope=command.envelope,
        expires_at=expiry(at, rule),
        chain=command.chain,
    )
    quorum = tally(rule, policy, standing.owner, ballot.endorsers(standing.round, at, rule) | {by})
    stage = standing.stage
    if command.stage is Stage.APPROVED and stage in {Stage.SUBMITTED, Stage.ENDORSED}:
        stage = Stage.APPROVED if quorum.complete else Stage.ENDORSED
        if quorum.complete and open_claims:
            raise ClaimsOpen(command.artifact, ", ".join(sorted(open_claims)))
    if stage is Stage.APPROVED:
        standing = replace(standing, lost_at=None)
    return Outcome(
        writes=(endorsement, *moved(standing, stage, at)),
        event=ArtifactEndorsed(command.artifact, by, command.stage, stage, quorum.complete),
    )


def reject(
    command: Reject,
    *,
    by: OrgId,
    at: Instant,
    standing: ArtifactStage | None,
    policy: Policy | None,
    ballot: Ballot,
    presented: Presented,
) -> Outcome:
    """Record that `by` rejects an artifact; it is a draft again when the quorum has become impossible."""
    policy, rule, standing = _admit(command, by, standing, policy)
    _refuse_second_word(command.artifact, rule, by, at, standing, ballot)
    due = _due(command, presented.channel, by, standing, policy)
    verify_evidence(command.envelope, presented, due, at)
    rejection = Rejection(
        artifact=command.artifact,
        stage=command.stage,
        by=by,
        at=at,
        round=Number(standing.round),
        policy=policy.number,
        envelope=command.envelope,
        reason=command.reason,
        chain=command.chain,
    )
    silenced = ballot.silenced(standing.round) | {by}
    stage = standing.stage
    if stage in {Stage.SUBMITTED, Stage.ENDORSED} and not is_possible(standing, rule, policy, silenced):
        stage = Stage.DRAFT
    return Outcome(
        writes=(rejection, *moved(standing, stage, at)),
        event=ArtifactRejected(command.artifact, by, command.stage, stage),
    )


def is_possible(standing: ArtifactStage, rule: QuorumRule, policy: Policy, silenced: frozenset[OrgId]) -> bool:
    """Whether the quorum can still be reached in this round without those who are silenced."""
    return tally(rule, policy, standing.owner, eligible(rule, policy, standing.owner) - silenced).complete


def _admit(
    command: Endorse | Reject, by: OrgId, standing: ArtifactStage | None, policy: Policy | None
) -> tuple[Policy, QuorumRule, ArtifactStage]:
    """Whether `by` has a vote, and whether this is the time for it."""
    policy, rule = rule_in_force(policy, command.artifact, command.stage)
    roles = roles_of(policy, by)
    if roles is None:
        raise NotAMember(by)
    needed = AWAITING[command.stage]
    if standing is None or standing.stage not in needed:
        stage = Stage.DRAFT if standing is None else standing.stage
        raise WrongStage(command.artifact, stage, f"a word on its being {command.stage}", " or ".join(needed))
    if by == standing.owner and not rule.owner_counts:
        raise OwnArtifact(command.artifact, by)
    if rule.eligible_roles and roles.isdisjoint(rule.eligible_roles):
        raise WithoutRole(by, ", ".join(rule.eligible_roles))
    return policy, rule, standing


def _due(command: Endorse | Reject, channel: str, by: OrgId, standing: ArtifactStage, policy: Policy) -> Statement:
    """What `by` must have signed for this word to be taken; when, and what else it has seen, it says itself."""
    decision, reason = (Decision.REJECT, command.reason) if isinstance(command, Reject) else (Decision.ENDORSE, None)
    return statement_about(
        command.artifact, standing.digest, command.stage, decision,
        channel=channel, organisation=by, round_=standing.round, policy=policy.number, at=None, reason=reason,
    )  # fmt: skip


def _refuse_second_word(
    artifact: Ref, rule: QuorumRule, by: OrgId, at: Instant, standing: ArtifactStage, ballot: Ballot
) -> None:
    """In one round an organisation speaks once; only an endorsement that has expired may be given again."""
    if by in ballot.rejecters(standing.round):
        raise AlreadyRejected(artifact, rule.stage, by)
    given = ballot.endorsements.get(by)
    if given is None or given.round != standing.round:
        return
    if given.withdrawn_at is not None:
        raise EndorsedAfterWithdrawal(artifact, rule.stage, by)
    if given.counts(standing.round, at, rule):
        raise AlreadyEndorsed(artifact, rule.stage, by)
