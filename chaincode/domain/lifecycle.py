# SPDX-License-Identifier: Apache-2.0
"""The stages of an artifact's life: where it stands, how its owner moves it on, and how anyone may stop it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from chaincode.domain.errors import (
    InvalidField,
    NotAMember,
    NotTheOwner,
    NotTheQuarantiner,
    PolicyMissing,
    QuorumMissing,
    RecordNotFound,
    StageSkipped,
    WrongStage,
)
from chaincode.domain.policy import Policy, QuorumRule, Stage, roles_of, rule_for, tally
from chaincode.domain.values import (
    Command,
    Count,
    Digest,
    Event,
    Instant,
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


@dataclass(frozen=True, slots=True)
class Quarantine(Command):
    """Stop an artifact at whatever stage it is."""

    artifact: Ref
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
        # An approved artifact still takes endorsements: they renew what expires.
        Stage.APPROVED: (Stage.SUBMITTED, Stage.ENDORSED, Stage.APPROVED),
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


def quarantine(
    command: Quarantine,
    *,
    by: OrgId,
    at: Instant,
    artifact: Artifact | None,
    standing: ArtifactStage | None,
    policy: Policy | None,
) -> Outcome:
    """Stop an artifact at once; any member may, and so may the owner, whose quarantine another may take over."""
    if artifact is None:
        raise RecordNotFound(command.artifact)
    if policy is None:
        raise PolicyMissing
    if roles_of(policy, by) is None and by != artifact.owner:
        raise NotAMember(by)
    was = Stage.DRAFT if standing is None else standing.stage
    if standing is not None and standing.quarantined_from is not None:
        if standing.quarantined_by != artifact.owner or by == artifact.owner:
            raise WrongStage(command.artifact, was, "quarantining it", "at another stage")
        # An owner must not keep others from stopping an artifact by stopping it first.
        was = standing.quarantined_from
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
    )
    return Outcome(writes=(stopped,), event=ArtifactQuarantined(command.artifact, by, was))


def release(
    command: Release, *, by: OrgId, at: Instant, standing: ArtifactStage | None, policy: Policy | None
) -> Outcome:
    """End a quarantine; the artifact is back at the stage at which it was stopped.

    The organisation that imposed it ends it. When that one is no longer a member, any other than the owner may.
    """
    if standing is None or standing.quarantined_from is None or standing.quarantined_by is None:
        stage = Stage.DRAFT if standing is None else standing.stage
        raise WrongStage(command.artifact, stage, "releasing it", Stage.QUARANTINED)
    if standing.quarantined_by != by and not _inherits(by, standing, standing.quarantined_by, policy):
        raise NotTheQuarantiner(command.artifact, standing.quarantined_by, by)
    back = replace(
        standing,
        stage=standing.quarantined_from,
        since=at,
        quarantined_from=None,
        quarantined_by=None,
        reason=command.reason,
    )
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
) -> Outcome:
    """Move an artifact on by one stage; `endorsers` answers whose word counts at `at` under a rule.

    Where a rule guards the stage its quorum is needed; to be deployed, the approval must still hold.
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
            quorum = tally(rule, policy, standing.owner, endorsers(rule))
            if not quorum.complete:
                roles = ", ".join(quorum.missing_roles) or "none"
                raise QuorumMissing(command.artifact, stage, quorum.missing, roles)
    return Outcome(writes=moved(standing, command.to, at), event=ArtifactAdvanced(command.artifact, by, command.to))


def _misstep(command: Advance, stage: Stage, before: Stage) -> StageSkipped | WrongStage:
    if stage is not Stage.QUARANTINED and _ORDER.index(stage) < _ORDER.index(before):
        return StageSkipped(command.artifact, stage, command.to, _ORDER[_ORDER.index(stage) + 1])
    return WrongStage(command.artifact, stage, f"its becoming {command.to}", before)
