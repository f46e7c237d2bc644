# SPDX-License-Identifier: Apache-2.0
"""How far an artifact is on its way to a stage: who endorsed it, what is missing and who could give it."""

from dataclasses import dataclass

from chaincode.domain.assessment import Assessment, is_assessed
from chaincode.domain.endorsement import Ballot
from chaincode.domain.errors import RecordNotFound
from chaincode.domain.lifecycle import Artifact, ArtifactStage
from chaincode.domain.policy import Policy, Stage, eligible, rule_in_force, tally
from chaincode.domain.values import Answer, Count, Instant, Name, OrgId, Query, Ref, Role


@dataclass(frozen=True, slots=True)
class GetStatus(Query):
    """Ask where an artifact stands, who endorsed it and who is still missing."""

    artifact: Ref
    stage: Stage = Stage.APPROVED


@dataclass(frozen=True, slots=True)
class Status(Answer):
    """How far an artifact is on its way to `for_stage`."""

    artifact: Ref
    owner: OrgId
    stage: Stage
    round: Count
    """0 for an artifact that was never submitted."""
    since: Instant | None
    for_stage: Stage
    threshold: Count
    endorsed_by: tuple[OrgId, ...]
    """Those that count now."""
    rejected_by: tuple[OrgId, ...]
    missing: Count
    """How many more organisations are needed."""
    missing_roles: tuple[Role, ...]
    may_endorse: tuple[OrgId, ...]
    """Those that could still endorse."""
    complete: bool
    """Whether the quorum is there."""
    evaluation: Name | None = None
    """The evaluation that the submission names."""
    assessed: bool | None = None
    """Whether that is one which the rule asks for; None: it asks for none."""


def status(
    query: GetStatus,
    *,
    at: Instant,
    artifact: Artifact | None,
    standing: ArtifactStage | None,
    policy: Policy | None,
    ballot: Ballot,
    assessment: Assessment | None,
) -> Status:
    """How far an artifact is on its way to a stage at `at`; `assessment` is what its submission names."""
    if artifact is None:
        raise RecordNotFound(query.artifact)
    policy, rule = rule_in_force(policy, query.artifact, query.stage)
    round_ = 0 if standing is None else standing.round
    endorsers = ballot.endorsers(round_, at, rule)
    quorum = tally(rule, policy, artifact.owner, endorsers)
    return Status(
        artifact=query.artifact,
        owner=artifact.owner,
        stage=Stage.DRAFT if standing is None else standing.stage,
        round=Count(round_),
        since=None if standing is None else standing.since,
        for_stage=query.stage,
        threshold=Count(rule.threshold),
        endorsed_by=tuple(sorted(quorum.counted)),
        rejected_by=tuple(sorted(ballot.rejecters(round_))),
        missing=Count(quorum.missing),
        missing_roles=quorum.missing_roles,
        may_endorse=tuple(sorted(eligible(rule, policy, artifact.owner) - endorsers - ballot.silenced(round_))),
        complete=quorum.complete,
        evaluation=None if standing is None else standing.evaluation,
        assessed=is_assessed(rule, policy, query.artifact, artifact.owner, assessment),
    )
