# SPDX-License-Identifier: Apache-2.0
"""Endorsement of artifacts by several organisations: submission, evidence, rejection, withdrawal and quorum."""

from dataclasses import dataclass

from chaincode.domain.evidence import Envelope
from chaincode.domain.policy import Stage
from chaincode.domain.values import (
    Answer,
    Command,
    Count,
    Digest,
    Event,
    Instant,
    Number,
    OrgId,
    Query,
    Record,
    Ref,
    Role,
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


@dataclass(frozen=True, slots=True)
class GetStatus(Query):
    """Ask where an artifact stands, who endorsed it and who is still missing."""

    artifact: Ref
    stage: Stage = Stage.APPROVED


@dataclass(frozen=True, slots=True)
class Status(Answer):
    """Where an artifact stands on its way to `for_stage`."""

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
