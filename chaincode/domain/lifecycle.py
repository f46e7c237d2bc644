# SPDX-License-Identifier: Apache-2.0
"""The stages of an artifact's life: where it stands, how its owner moves it on, and how anyone may stop it.

One member stops an artifact at once, and only for a time: its quarantine lapses after the policy's period unless a
second member confirms it. A lapse is not written; who reads an artifact's state does so with `standing_at`. The
quorum of an amendment lifts any quarantine by its votes.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from chaincode.domain.assessment import Assessment, required
from chaincode.domain.errors import (
    InvalidField,
    NotAMember,
    NotTheOwner,
    NotTheQuarantiner,
    PolicyMissing,
    QuarantineConfirmed,
    QuarantineUnconfirmed,
    QuorumMissing,
    RecordNotFound,
    StageSkipped,
    VotedToLift,
    WrongStage,
)
from chaincode.domain.policy import Policy, QuorumRule, Stage, amendment, roles_of, rule_for, taint_rules, tally
from chaincode.domain.values import (
    Command,
    Count,
    Digest,
    Event,
    Instant,
    Name,
    OrgId,
    Outcome,
    Record,
    Ref,
    Text,
)


@dataclass(frozen=True, slots=True)
class ArtifactStage(Record):
    """An artifact's state; rewritten with every step."""

    artifact: Ref
    owner: OrgId
    digest: Digest
    stage: Stage
    since: Instant
    round: Count
    """Counts the submissions; endorsements of an earlier round do not count."""
    quarantined_from: Stage | None = None
    quarantined_by: OrgId | None = None
    reason: Text | None = None
    lapses_at: Instant | None = None
    """When the quarantine ends by itself; None: it was confirmed, or imposed before quarantines lapsed."""
    confirmed_by: OrgId | None = None
    unconfirmed_by: OrgId | None = None
    """Whose quarantine ended last without having been confirmed; somebody else has to impose the next one."""
    quarantines: Count | None = None
    """Counts the quarantines, so that votes to lift one never count for another; None before there were such votes."""
    lost_at: Instant | None = None
    """Since when it lacks an approval that it had; None: it has it, or never had one."""
    evaluation: Name | None = None
    """The evaluation that the last submission names; None: none, or submitted before evaluations were named."""


@dataclass(frozen=True, slots=True)
class Quarantine(Command):
    """Stop an artifact at whatever stage it is."""

    artifact: Ref
    reason: Text


@dataclass(frozen=True, slots=True)
class ConfirmQuarantine(Command):
    """Make the quarantine that another member imposed a lasting one."""

    artifact: Ref
    reason: Text


@dataclass(frozen=True, slots=True)
class LiftQuarantine(Command):
    """Vote for the end of a quarantine, no matter which member imposed it."""

    artifact: Ref
    reason: Text


@dataclass(frozen=True, slots=True)
class LiftVote(Record):
    """An organisation's vote for the end of a quarantine; the last one only."""

    artifact: Ref
    by: OrgId
    at: Instant
    quarantine: Count
    """Which of the artifact's quarantines it is about, by `ArtifactStage.quarantines`; 0 for one from before."""
    reason: Text


@dataclass(frozen=True, slots=True)
class Release(Command):
    """End a quarantine that one's own organisation imposed."""

    artifact: Ref
    reason: Text


@dataclass(frozen=True, slots=True)
class Advance(Command):
    """Move one's own artifact to the next stage: deployed, deprecated or retired."""

    artifact: Ref
    to: Stage


@dataclass(frozen=True, slots=True)
class ArtifactQuarantined(Event):
    """An artifact was stopped."""

    artifact: Ref
    by: OrgId
    stopped_at: Stage


@dataclass(frozen=True, slots=True)
class QuarantineMadeLasting(Event):
    """A second member confirmed a quarantine."""

    artifact: Ref
    by: OrgId
    quarantined_by: OrgId


@dataclass(frozen=True, slots=True)
class LiftProposed(Event):
    """A vote for the end of a quarantine was counted and the quorum is still open."""

    artifact: Ref
    by: OrgId
    missing: Count


@dataclass(frozen=True, slots=True)
class QuarantineLifted(Event):
    """The quorum of an amendment ended a quarantine."""

    artifact: Ref
    by: OrgId
    stage: Stage


@dataclass(frozen=True, slots=True)
class ArtifactReleased(Event):
    """A quarantine ended."""

    artifact: Ref
    by: OrgId
    stage: Stage


@dataclass(frozen=True, slots=True)
class ArtifactAdvanced(Event):
    """An artifact moved to its next stage."""

    artifact: Ref
    owner: OrgId
    stage: Stage


# --- Rules ------------------------------------------------------------------------------------------------------

AWAITING: Final[Mapping[Stage, tuple[Stage, ...]]] = MappingProxyType(
    {
        # What is approved or deployed still takes endorsements: they renew what expires.
        Stage.APPROVED: (Stage.SUBMITTED, Stage.ENDORSED, Stage.APPROVED, Stage.DEPLOYED),
        Stage.DEPLOYED: (Stage.APPROVED,),
        Stage.DEPRECATED: (Stage.DEPLOYED,),
        Stage.RETIRED: (Stage.DEPRECATED,),
    }
)
"""The stages at which the organisations may speak about a stage that a rule guards."""

_BEFORE: Final[Mapping[Stage, Stage]] = MappingProxyType(
    {Stage.DEPLOYED: Stage.APPROVED, Stage.DEPRECATED: Stage.DEPLOYED, Stage.RETIRED: Stage.DEPRECATED}
)
_ORDER: Final = tuple(stage for stage in Stage if stage is not Stage.QUARANTINED)


@dataclass(frozen=True, slots=True)
class Artifact:
    """What the law of endorsement needs to know of an artifact."""

    reference: Ref
    owner: OrgId
    digest: Digest


def moved(standing: ArtifactStage, stage: Stage, at: Instant) -> tuple[ArtifactStage, ...]:
    """What to write for an artifact that is now at `stage`: nothing where it was there already."""
    return () if stage is standing.stage else (replace(standing, stage=stage, since=at, reason=None),)


def standing_at(standing: ArtifactStage, at: Instant) -> ArtifactStage:
    """Where an artifact stands at `at`: what the ledger holds, but for a quarantine that has lapsed."""
    if standing.lapses_at is None or at < standing.lapses_at:
        return standing
    return _ended(standing, standing.lapses_at, None)


def _ended(standing: ArtifactStage, at: Instant, reason: Text | None) -> ArtifactStage:
    """An artifact back at the stage at which it was stopped."""
    lasting = standing.confirmed_by is not None
    return replace(
        standing,
        stage=standing.quarantined_from or standing.stage,
        since=at,
        quarantined_from=None,
        quarantined_by=None,
        reason=reason,
        lapses_at=None,
        confirmed_by=None,
        unconfirmed_by=standing.unconfirmed_by if lasting else standing.quarantined_by,
    )


def quarantine(
    command: Quarantine,
    *,
    by: OrgId,
    at: Instant,
    artifact: Artifact | None,
    standing: ArtifactStage | None,
    policy: Policy | None,
) -> Outcome:
    """Stop an artifact at once, for the policy's period; any member may, and so may the owner.

    An owner's quarantine another may take over. A member whose last quarantine of the artifact ended without having
    been confirmed does not stop it again before somebody else has: one member alone stops nothing for good.
    """
    if artifact is None:
        raise RecordNotFound(command.artifact)
    if policy is None:
        raise PolicyMissing
    if roles_of(policy, by) is None and by != artifact.owner:
        raise NotAMember(by)
    was = Stage.DRAFT if standing is None else standing.stage
    if standing is not None and standing.quarantined_from is not None:
        taken = standing.quarantined_by != artifact.owner or by == artifact.owner
        if taken or standing.confirmed_by is not None:
            raise WrongStage(command.artifact, was, "quarantining it", "at another stage")
        # An owner must not keep others from stopping an artifact by stopping it first.
        was = standing.quarantined_from
    if standing is not None and standing.unconfirmed_by == by:
        raise QuarantineUnconfirmed(command.artifact, by)
    stopped = ArtifactStage(
        artifact=command.artifact,
        owner=artifact.owner,
        digest=artifact.digest,
        stage=Stage.QUARANTINED,
        since=at,
        round=Count(0) if standing is None else standing.round,
        quarantined_from=was,
        quarantined_by=by,
        reason=command.reason,
        lapses_at=at.plus(taint_rules(policy).lapse_seconds),
        unconfirmed_by=None if standing is None else standing.unconfirmed_by,
        quarantines=Count(_quarantines(standing) + 1),
        lost_at=None if standing is None else standing.lost_at,
        evaluation=None if standing is None else standing.evaluation,
    )
    return Outcome(writes=(stopped,), event=ArtifactQuarantined(command.artifact, by, was))


def confirm_quarantine(
    command: ConfirmQuarantine, *, by: OrgId, at: Instant, standing: ArtifactStage | None, policy: Policy | None
) -> Outcome:
    """Make the quarantine of another lasting; it takes any second member, the owner among them."""
    del at  # A lapse before `at` is in `standing` already.
    standing, imposer = _stopped(command.artifact, "confirming its quarantine", standing)
    if policy is None or roles_of(policy, by) is None:
        raise NotAMember(by)
    if standing.confirmed_by is not None or imposer == by:
        raise WrongStage(command.artifact, standing.stage, "confirming it", "quarantined by another alone")
    lasting = replace(standing, lapses_at=None, confirmed_by=by)
    return Outcome(writes=(lasting,), event=QuarantineMadeLasting(command.artifact, by, imposer))


def lift_quarantine(
    command: LiftQuarantine,
    *,
    by: OrgId,
    at: Instant,
    standing: ArtifactStage | None,
    policy: Policy | None,
    votes: Mapping[OrgId, LiftVote],
) -> Outcome:
    """Count the vote of `by` for the end of a quarantine, and end it when that completes the quorum of an amendment."""
    standing, _ = _stopped(command.artifact, "lifting its quarantine", standing)
    if policy is None or roles_of(policy, by) is None:
        raise NotAMember(by)
    which = _quarantines(standing)
    agreed = {voter for voter, vote in votes.items() if vote.quarantine == which}
    if by in agreed:
        raise VotedToLift(command.artifact, by)
    vote = LiftVote(command.artifact, by, at, which, command.reason)
    quorum = amendment(policy, agreed | {by})
    if not quorum.complete:
        return Outcome(writes=(vote,), event=LiftProposed(command.artifact, by, Count(quorum.missing)))
    back = _ended(standing, at, command.reason)
    return Outcome(writes=(back, vote), event=QuarantineLifted(command.artifact, by, back.stage))


def _quarantines(standing: ArtifactStage | None) -> Count:
    """How many quarantines of an artifact were counted."""
    return Count(0) if standing is None or standing.quarantines is None else standing.quarantines


def _stopped(artifact: Ref, action: str, standing: ArtifactStage | None) -> tuple[ArtifactStage, OrgId]:
    """An artifact that is quarantined, and by whom."""
    if standing is None or standing.quarantined_by is None:
        raise WrongStage(artifact, Stage.DRAFT if standing is None else standing.stage, action, Stage.QUARANTINED)
    return standing, standing.quarantined_by


def release(
    command: Release, *, by: OrgId, at: Instant, standing: ArtifactStage | None, policy: Policy | None
) -> Outcome:
    """End a quarantine; the artifact is back at the stage at which it was stopped.

    The organisation that imposed it ends it. When that one is no longer a member, any other than the owner may. One
    that a second member confirmed takes the quorum of an amendment.
    """
    standing, imposer = _stopped(command.artifact, "releasing it", standing)
    if standing.confirmed_by is not None:
        raise QuarantineConfirmed(command.artifact, imposer, standing.confirmed_by)
    if imposer != by and not _inherits(by, standing, imposer, policy):
        raise NotTheQuarantiner(command.artifact, imposer, by)
    back = _ended(standing, at, command.reason)
    return Outcome(writes=(back,), event=ArtifactReleased(command.artifact, by, back.stage))


def _inherits(by: OrgId, standing: ArtifactStage, imposer: OrgId, policy: Policy | None) -> bool:
    if policy is None or roles_of(policy, imposer) is not None:
        return False
    return by != standing.owner and roles_of(policy, by) is not None


def advance(
    command: Advance,
    *,
    by: OrgId,
    at: Instant,
    standing: ArtifactStage | None,
    policy: Policy | None,
    endorsers: Callable[[QuorumRule], Iterable[OrgId]],
    assessment: Assessment | None,
) -> Outcome:
    """Move an artifact on by one stage; `endorsers` answers whose word counts at `at` under a rule.

    Where a rule guards the stage its quorum is needed, and the evaluation that it asks for; to be deployed, the
    approval must still hold. `assessment` is the evaluation that the submission names.
    """
    before = _BEFORE.get(command.to)
    if before is None:
        raise InvalidField("/to", "an owner moves an artifact to deployed, deprecated or retired")
    if standing is None:
        raise StageSkipped(command.artifact, Stage.DRAFT, command.to, Stage.SUBMITTED)
    if standing.owner != by:
        raise NotTheOwner(command.artifact, standing.owner, by)
    if policy is None:
        raise PolicyMissing
    if standing.stage is not before:
        raise _misstep(command, standing.stage, before)
    guards = (Stage.APPROVED, Stage.DEPLOYED) if command.to is Stage.DEPLOYED else (command.to,)
    for stage in guards:
        rule = rule_for(policy, command.artifact.kind, stage)
        if rule is not None:
            required(rule, policy, command.artifact, standing.owner, assessment)
            quorum = tally(rule, policy, standing.owner, endorsers(rule))
            if not quorum.complete:
                roles = ", ".join(quorum.missing_roles) or "none"
                raise QuorumMissing(command.artifact, stage, quorum.missing, roles)
    return Outcome(writes=moved(standing, command.to, at), event=ArtifactAdvanced(command.artifact, by, command.to))


def _misstep(command: Advance, stage: Stage, before: Stage) -> StageSkipped | WrongStage:
    if stage is not Stage.QUARANTINED and _ORDER.index(stage) < _ORDER.index(before):
        return StageSkipped(command.artifact, stage, command.to, _ORDER[_ORDER.index(stage) + 1])
    return WrongStage(command.artifact, stage, f"its becoming {command.to}", before)
