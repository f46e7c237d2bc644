# SPDX-License-Identifier: Apache-2.0
"""Endorsement of artifacts by several organisations: submission, evidence, rejection, withdrawal and quorum."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from chaincode.domain.errors import (
    AlreadyEndorsed,
    AlreadyRejected,
    ArtifactAltered,
    EndorsedAfterWithdrawal,
    NotAMember,
    NotEndorsed,
    NotTheOwner,
    OwnArtifact,
    PolicyMissing,
    RecordNotFound,
    RuleMissing,
    WithoutRole,
    WrongStage,
)
from chaincode.domain.evidence import Decision, Envelope, SignatureCheck, Statement, verify_evidence
from chaincode.domain.lifecycle import AWAITING, Artifact, ArtifactStage, moved
from chaincode.domain.policy import Policy, QuorumRule, Stage, eligible, roles_of, rule_for, tally
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
class Submit(Command):
    """Ask the consortium to endorse one's own artifact; opens a round."""

    artifact: Ref
    digest: Digest
    note: Text | None = None


@dataclass(frozen=True, slots=True)
class Endorse(Command):
    """Vouch for an artifact at a stage, with a signed statement as evidence."""

    artifact: Ref
    envelope: Envelope
    stage: Stage = Stage.APPROVED


@dataclass(frozen=True, slots=True)
class Reject(Command):
    """Say that an artifact must not reach a stage, with a signed statement as evidence."""

    artifact: Ref
    envelope: Envelope
    reason: Text
    stage: Stage = Stage.APPROVED


@dataclass(frozen=True, slots=True)
class Withdraw(Command):
    """Take back one's own endorsement."""

    artifact: Ref
    reason: Text
    stage: Stage = Stage.APPROVED


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

    def counts(self, round_: int, at: Instant) -> bool:
        """Whether it is of this round, not withdrawn and not expired at `at`."""
        return self.round == round_ and self.withdrawn_at is None and not self.expired(at)

    def expired(self, at: Instant) -> bool:
        """Whether its time is over at `at`."""
        return self.expires_at is not None and at >= self.expires_at

    def spoken(self, at: Instant) -> bool:
        """Whether its organisation cannot give it again in its round."""
        return self.withdrawn_at is not None or not self.expired(at)


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


@dataclass(frozen=True, slots=True)
class ArtifactSubmitted(Event):
    """An artifact awaits endorsement."""

    artifact: Ref
    owner: OrgId
    round: Number


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


@dataclass(frozen=True, slots=True)
class EndorsementWithdrawn(Event):
    """An organisation took its endorsement back."""

    artifact: Ref
    by: OrgId
    at_stage: Stage
    stage: Stage


# --- Rules ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Voices:
    """What the ledger holds of the organisations' words on one artifact and stage, of whatever round."""

    endorsements: Mapping[OrgId, Endorsement]
    rejections: Mapping[OrgId, Rejection]

    def endorsers(self, round_: int, at: Instant) -> frozenset[OrgId]:
        """Those whose endorsement is of this round, not withdrawn and not expired at `at`."""
        return frozenset(org for org, given in self.endorsements.items() if given.counts(round_, at))

    def rejecters(self, round_: int) -> frozenset[OrgId]:
        """Those who rejected the artifact in this round."""
        return frozenset(org for org, given in self.rejections.items() if given.round == round_)


def submit(
    command: Submit,
    *,
    by: OrgId,
    at: Instant,
    artifact: Artifact | None,
    standing: ArtifactStage | None,
    policy: Policy | None,
) -> Outcome:
    """Open a round of endorsement for an artifact of `by`."""
    if artifact is None:
        raise RecordNotFound(command.artifact)
    if artifact.owner != by:
        raise NotTheOwner(artifact.reference, artifact.owner, by)
    if artifact.digest != command.digest:
        raise ArtifactAltered(artifact.reference, str(artifact.digest), str(command.digest))
    rule_in_force(policy, artifact.reference, Stage.APPROVED)
    if standing is not None and standing.stage is not Stage.DRAFT:
        raise WrongStage(artifact.reference, standing.stage, "submitting it", Stage.DRAFT)
    round_ = Number(1 if standing is None else standing.round + 1)
    submitted = ArtifactStage(artifact.reference, by, artifact.digest, Stage.SUBMITTED, at, Count(round_))
    return Outcome(writes=(submitted,), event=ArtifactSubmitted(artifact.reference, by, round_))


def endorse(
    command: Endorse,
    *,
    by: OrgId,
    at: Instant,
    standing: ArtifactStage | None,
    policy: Policy | None,
    voices: Voices,
    statement: Statement,
    check: SignatureCheck,
) -> Outcome:
    """Record that `by` vouches for an artifact; the endorsement that completes the quorum approves it."""
    policy, rule, standing = _admit(command, by, standing, policy)
    _refuse_second_word(command.artifact, command.stage, by, at, standing, voices)
    verify_evidence(
        command.envelope,
        statement,
        artifact=command.artifact,
        digest=standing.digest,
        stage=command.stage,
        decision=Decision.ENDORSE,
        check=check,
    )
    endorsement = Endorsement(
        artifact=command.artifact,
        stage=command.stage,
        by=by,
        at=at,
        round=Number(standing.round),
        policy=policy.number,
        envelope=command.envelope,
        expires_at=None if rule.valid_seconds is None else Instant(at + 1_000 * rule.valid_seconds),
    )
    quorum = tally(rule, policy, standing.owner, voices.endorsers(standing.round, at) | {by})
    stage = standing.stage
    if command.stage is Stage.APPROVED and stage is not Stage.APPROVED:
        stage = Stage.APPROVED if quorum.complete else Stage.ENDORSED
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
    voices: Voices,
    statement: Statement,
    check: SignatureCheck,
) -> Outcome:
    """Record that `by` rejects an artifact; it is a draft again when the quorum has become impossible."""
    policy, rule, standing = _admit(command, by, standing, policy)
    _refuse_second_word(command.artifact, command.stage, by, at, standing, voices)
    verify_evidence(
        command.envelope,
        statement,
        artifact=command.artifact,
        digest=standing.digest,
        stage=command.stage,
        decision=Decision.REJECT,
        check=check,
    )
    rejection = Rejection(
        artifact=command.artifact,
        stage=command.stage,
        by=by,
        at=at,
        round=Number(standing.round),
        policy=policy.number,
        envelope=command.envelope,
        reason=command.reason,
    )
    open_to = eligible(rule, policy, standing.owner) - voices.rejecters(standing.round) - {by}
    possible = tally(rule, policy, standing.owner, open_to).complete
    stage = standing.stage
    if stage in {Stage.SUBMITTED, Stage.ENDORSED} and not possible:
        stage = Stage.DRAFT
    return Outcome(
        writes=(rejection, *moved(standing, stage, at)),
        event=ArtifactRejected(command.artifact, by, command.stage, stage),
    )


def withdraw(
    command: Withdraw,
    *,
    by: OrgId,
    at: Instant,
    standing: ArtifactStage | None,
    policy: Policy | None,
    voices: Voices,
) -> Outcome:
    """Take back the endorsement of `by`; an approval that rested on it falls.

    An artifact that is deployed or later keeps its stage: whoever wants it stopped quarantines it.
    """
    held = voices.endorsements.get(by)
    if standing is None or held is None or held.round != standing.round or held.withdrawn_at is not None:
        raise NotEndorsed(command.artifact, command.stage, by)
    policy, rule = rule_in_force(policy, command.artifact, command.stage)
    endorsers = voices.endorsers(standing.round, at) - {by}
    stage = standing.stage
    if command.stage is Stage.APPROVED and stage in {Stage.ENDORSED, Stage.APPROVED}:
        quorum = tally(rule, policy, standing.owner, endorsers)
        reached = Stage.ENDORSED if quorum.counted else Stage.SUBMITTED
        stage = Stage.APPROVED if quorum.complete else reached
    return Outcome(
        writes=(replace(held, withdrawn_at=at, reason=command.reason), *moved(standing, stage, at)),
        event=EndorsementWithdrawn(command.artifact, by, command.stage, stage),
    )


def rule_in_force(policy: Policy | None, artifact: Ref, stage: Stage) -> tuple[Policy, QuorumRule]:
    if policy is None:
        raise PolicyMissing
    rule = rule_for(policy, artifact.kind, stage)
    if rule is None:
        raise RuleMissing(artifact.kind, stage)
    return policy, rule


def _admit(
    command: Endorse | Reject, by: OrgId, standing: ArtifactStage | None, policy: Policy | None
) -> tuple[Policy, QuorumRule, ArtifactStage]:
    """Whether `by` has a voice, and whether this is the time for it."""
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


def _refuse_second_word(
    artifact: Ref, stage: Stage, by: OrgId, at: Instant, standing: ArtifactStage, voices: Voices
) -> None:
    """In one round an organisation speaks once; only an endorsement that has expired may be given again."""
    if by in voices.rejecters(standing.round):
        raise AlreadyRejected(artifact, stage, by)
    given = voices.endorsements.get(by)
    if given is None or given.round != standing.round:
        return
    if given.withdrawn_at is not None:
        raise EndorsedAfterWithdrawal(artifact, stage, by)
    if given.counts(standing.round, at):
        raise AlreadyEndorsed(artifact, stage, by)
