# SPDX-License-Identifier: Apache-2.0
"""Whether an artifact's approval still stands: it rests on a quorum for as long as it is in use.

A quorum is lost by a withdrawal, when endorsements expire, or when the policy asks for more. It is there again when
enough organisations vouch for the artifact anew. What happens to deployments meanwhile the policy says.
"""

from dataclasses import dataclass
from typing import Final

from chaincode.domain.endorsement import Ballot
from chaincode.domain.errors import QuorumLost
from chaincode.domain.lifecycle import ArtifactStage
from chaincode.domain.policy import Policy, QuorumRule, Stage, Tally, rule_for, tally
from chaincode.domain.values import Instant, Ref

RESTS: Final = frozenset({Stage.APPROVED, Stage.DEPLOYED, Stage.DEPRECATED, Stage.RETIRED})
"""The stages that an artifact reaches by an approval, and at which that has to stand."""


@dataclass(frozen=True, slots=True)
class Approval:
    """What the ledger holds of an artifact's approval."""

    standing: ArtifactStage | None
    policy: Policy | None
    ballot: Ballot
    """What the organisations said of its approval."""

    def lost(self, at: Instant) -> Tally | None:
        """The count of what is left where the quorum of an approval is not there any more at `at`; None otherwise."""
        if self.standing is None or self.policy is None or not rests(self.standing):
            return None
        rule = rule_for(self.policy, self.standing.artifact.kind, Stage.APPROVED)
        if rule is None:
            return None
        return self._without_quorum(self.standing, self.policy, rule, at)

    def _without_quorum(self, standing: ArtifactStage, policy: Policy, rule: QuorumRule, at: Instant) -> Tally | None:
        count = tally(rule, policy, standing.owner, self.ballot.endorsers(standing.round, at, rule))
        # An approval that fell stands again when it is given again, not when there would be enough for it.
        return count if standing.lost_at is not None or not count.complete else None


def rests(standing: ArtifactStage) -> bool:
    """Whether an artifact has an approval, or lacks one that it had; a quarantine changes neither."""
    return standing.lost_at is not None or (standing.quarantined_from or standing.stage) in RESTS


def refuse_lost(artifact: Ref, approval: Approval, at: Instant) -> None:
    """Refuse to put to use what was approved by a quorum that is not there any more."""
    count = approval.lost(at)
    if count is not None:
        raise QuorumLost(artifact, count.missing, ", ".join(count.missing_roles) or "none")
