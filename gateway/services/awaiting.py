# SPDX-License-Identifier: Apache-2.0
"""Which artifacts may await an organisation's word, and how one stands for it."""

from dataclasses import dataclass
from typing import Final

from chaincode.domain.lifecycle import AWAITING, ArtifactStage
from chaincode.domain.policy import OnQuorumLost, Policy, Stage
from chaincode.domain.values import Instant
from gateway.services.ports import Json

OPEN: Final = frozenset({Stage.SUBMITTED, Stage.ENDORSED, Stage.QUARANTINED})
"""What may await a word: also what was stopped, since a quarantine may have lapsed without being rewritten."""
RESTS: Final = frozenset({Stage.APPROVED, Stage.DEPLOYED})
"""The stages at which an artifact rests on the endorsements for approval."""
SOON: Final = 7 * 86_400
"""How many seconds before a quorum ends the inbox asks for another word, unless it is said otherwise."""


@dataclass(frozen=True, slots=True)
class Judged:
    """How an artifact stands for this organisation now."""

    standing: ArtifactStage
    status: Json | None
    """The count for the stage that its word is awaited for; None where it is not."""
    lost: bool
    """Whether it was approved by a quorum that is not there any more."""
    ends: Instant | None
    """When the first endorsement that its approval rests on ends."""


def stages_of(policy: Policy | None) -> tuple[str, ...]:
    """The stages at which something may await a word, as the policy asks for it."""
    found = set(OPEN)
    for rule in () if policy is None else policy.rules:
        ends = rule.valid_seconds is not None or rule.on_quorum_lost is OnQuorumLost.STOP
        if rule.stage is not Stage.APPROVED or ends:
            found.update(AWAITING[rule.stage])
    return tuple(sorted(stage.value for stage in found))
