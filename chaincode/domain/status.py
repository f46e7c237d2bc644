# SPDX-License-Identifier: Apache-2.0
"""How far an artifact is on its way to a stage: who endorsed it, what is missing and who could give it."""

from dataclasses import dataclass

from chaincode.domain.endorsement import Ballot
from chaincode.domain.errors import RecordNotFound
from chaincode.domain.lifecycle import Artifact, ArtifactStage
from chaincode.domain.policy import Policy, Stage, eligible, rule_in_force, tally
from chaincode.domain.values import Answer, Count, Instant, OrgId, Query, Ref, Role


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


def status(
    query: GetStatus,
    *,
    at: Instant,
    artifact: Artifact | None,
    standing: ArtifactStage | None,
    policy: Policy | None,
    ballot: Ballot,
) -> Status:
    """How far an artifact is on its way to a stage, as of `at`."""
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
    )
