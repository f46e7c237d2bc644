# SPDX-License-Identifier: Apache-2.0
"""Taking an endorsement back, and what becomes of the approval that rested on it."""

from dataclasses import dataclass, field, replace
from typing import Final

from chaincode.domain.endorsement import Ballot
from chaincode.domain.errors import InvalidField, NotEndorsed, PolicyMissing
from chaincode.domain.evidence import Decision, Envelope, Presented, statement_about, verify_evidence
from chaincode.domain.lifecycle import ArtifactStage, moved
from chaincode.domain.policy import Policy, Stage, rule_for, tally
from chaincode.domain.speakers import MOST_SENT, EncodedCertificate
from chaincode.domain.values import Command, Event, Instant, OrgId, Outcome, Ref, Text


@dataclass(frozen=True, slots=True)
class Withdraw(Command):
    """Take back one's own endorsement, with a signed statement as evidence where there is one."""

    artifact: Ref
    reason: Text
    stage: Stage = Stage.APPROVED
    envelope: Envelope | None = None
    """None: the transaction alone says it."""
    chain: tuple[EncodedCertificate, ...] | None = field(default=None, metadata={"max": MOST_SENT})
    """As of an endorsement."""


@dataclass(frozen=True, slots=True)
class EndorsementWithdrawn(Event):
    """An organisation took its endorsement back."""

    artifact: Ref
    by: OrgId
    at_stage: Stage
    stage: Stage


# --- Rules ------------------------------------------------------------------------------------------------------

_OPEN: Final = frozenset({Stage.SUBMITTED, Stage.ENDORSED, Stage.APPROVED})
"""The stages that rest on the endorsements for approval."""


def withdraw(
    command: Withdraw,
    *,
    by: OrgId,
    at: Instant,
    standing: ArtifactStage | None,
    policy: Policy | None,
    ballot: Ballot,
    presented: Presented | None,
) -> Outcome:
    """Take back the endorsement of `by`; an approval that rested on it falls, even under a quarantine.

    An artifact that is deployed or later keeps its stage; whether its deployments must stop is for the policy to say
    (`domain.approval`). `presented` is the statement where the command has one.
    """
    if policy is None:
        raise PolicyMissing
    held = ballot.endorsements.get(by)
    if standing is None or held is None or held.round != standing.round or held.withdrawn_at is not None:
        raise NotEndorsed(command.artifact, command.stage, by)
    if command.envelope is not None and presented is not None:
        due = statement_about(
            command.artifact, standing.digest, command.stage, Decision.WITHDRAW, channel=presented.channel,
            organisation=by, round_=standing.round, policy=policy.number, at=None, reason=command.reason,
        )  # fmt: skip
        verify_evidence(command.envelope, presented, due, at)
    elif command.chain is not None:
        raise InvalidField("/chain", "it goes with the envelope of a signed statement")
    fallen = standing
    if command.stage is Stage.APPROVED:
        fallen = _without(by, standing, at, policy, ballot)
    taken_back = replace(
        held, withdrawn_at=at, reason=command.reason, withdrawal=command.envelope, withdrawal_chain=command.chain
    )
    return Outcome(
        writes=(taken_back, *((fallen,) if fallen != standing else ())),
        event=EndorsementWithdrawn(command.artifact, by, command.stage, fallen.stage),
    )


def _without(by: OrgId, standing: ArtifactStage, at: Instant, policy: Policy, ballot: Ballot) -> ArtifactStage:
    """An artifact's state when the endorsement of `by` for approval counts no more."""
    was = standing.quarantined_from or standing.stage
    if was not in _OPEN:
        return standing
    rule = rule_for(policy, standing.artifact.kind, Stage.APPROVED)
    left, complete = ballot.endorsers(standing.round, at, rule) - {by}, False
    if rule is not None:
        # What no rule asks for any more cannot be complete; a word can be taken back all the same.
        quorum = tally(rule, policy, standing.owner, left)
        left, complete = quorum.counted, quorum.complete
    stage = Stage.ENDORSED if left else Stage.SUBMITTED
    if was is Stage.APPROVED:
        if complete:
            return standing
        standing = replace(standing, lost_at=at)
    if standing.quarantined_from is not None:
        return replace(standing, quarantined_from=stage)
    return next(iter(moved(standing, stage, at)), standing)
