# SPDX-License-Identifier: Apache-2.0
"""Submission: an owner asks the consortium to endorse its artifact, and names the evaluation that it passed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from chaincode.domain.assessment import Assessment, check_assessment, required, supplies
from chaincode.domain.endorsement import Ballot, is_possible
from chaincode.domain.errors import ArtifactAltered, NotAMember, NotTheOwner, RecordNotFound, WrongStage
from chaincode.domain.lifecycle import Artifact, ArtifactStage
from chaincode.domain.policy import Policy, QuorumRule, Stage, roles_of, rule_in_force
from chaincode.domain.values import (
    Command,
    Count,
    Digest,
    Event,
    Instant,
    Name,
    Number,
    OrgId,
    Outcome,
    Ref,
    Text,
    evaluation_ref,
)

_REOPENED: Final = frozenset({Stage.SUBMITTED, Stage.ENDORSED, Stage.APPROVED, Stage.DEPLOYED})
"""The stages at which an owner opens another round where the open one can lead nowhere."""


@dataclass(frozen=True, slots=True)
class Submit(Command):
    """Ask the consortium to endorse one's own artifact; opens a round."""

    artifact: Ref
    digest: Digest
    note: Text | None = None
    evaluation: Name | None = None
    """The evaluation that it passed; needed for an endorsement where the policy asks for one."""


@dataclass(frozen=True, slots=True)
class ArtifactSubmitted(Event):
    """An artifact awaits endorsement."""

    artifact: Ref
    owner: OrgId
    round: Number


def submit(
    command: Submit,
    *,
    by: OrgId,
    at: Instant,
    artifact: Artifact | None,
    standing: ArtifactStage | None,
    policy: Policy | None,
    ballot: Ballot,
    assessments: Mapping[Name, Assessment],
) -> Outcome:
    """Open a round of endorsement for an artifact of `by`: of a draft, or where the open round can lead nowhere.

    `assessments` holds the evaluations that the command names, and that the last submission named, where they exist.
    """
    if artifact is None:
        raise RecordNotFound(command.artifact)
    if artifact.owner != by:
        raise NotTheOwner(artifact.reference, artifact.owner, by)
    if artifact.digest != command.digest:
        raise ArtifactAltered(artifact.reference, str(artifact.digest), str(command.digest))
    policy, rule = rule_in_force(policy, artifact.reference, Stage.APPROVED)
    if roles_of(policy, by) is None:
        raise NotAMember(by)
    given = None
    if command.evaluation is not None:
        given = assessments.get(command.evaluation)
        if given is None:
            raise RecordNotFound(evaluation_ref(command.evaluation))
        check_assessment(artifact.reference, by, given)
        required(rule, policy, artifact.reference, by, given)
    if standing is not None and not _may_reopen(standing, rule, policy, ballot, given, assessments):
        raise WrongStage(artifact.reference, standing.stage, "submitting it", Stage.DRAFT)
    round_ = Number.after(0 if standing is None else standing.round, "/artifact")
    submitted = ArtifactStage(
        artifact.reference, by, artifact.digest, Stage.SUBMITTED, at, Count(round_),
        unconfirmed_by=None if standing is None else standing.unconfirmed_by,
        quarantines=None if standing is None else standing.quarantines,
        lost_at=None if standing is None else _lost_by_reopening(standing, at),
        evaluation=command.evaluation,
    )  # fmt: skip
    return Outcome(writes=(submitted,), event=ArtifactSubmitted(artifact.reference, by, round_))


def _may_reopen(
    standing: ArtifactStage,
    rule: QuorumRule,
    policy: Policy,
    ballot: Ballot,
    given: Assessment | None,
    assessments: Mapping[Name, Assessment],
) -> bool:
    """Whether the round is over, lost, or waits for an evaluation that was not named, or does not serve any more."""
    if standing.stage is Stage.DRAFT:
        return True
    if standing.stage not in _REOPENED:
        return False
    if not is_possible(standing, rule, policy, ballot.silenced(standing.round)):
        return True
    kept = None if standing.evaluation is None else assessments.get(standing.evaluation)
    return supplies(policy, standing.artifact, standing.owner, kept=kept, given=given)


def _lost_by_reopening(standing: ArtifactStage, at: Instant) -> Instant | None:
    """Since when an artifact that is submitted anew lacks an approval that it had; None: it had none."""
    return at if standing.stage in {Stage.APPROVED, Stage.DEPLOYED} else standing.lost_at
