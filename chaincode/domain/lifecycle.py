# SPDX-License-Identifier: Apache-2.0
"""The stages of an artifact's life: where it stands, how its owner moves it on, and how anyone may stop it."""

from dataclasses import dataclass

from chaincode.domain.policy import Stage
from chaincode.domain.values import (
    Command,
    Digest,
    Event,
    Instant,
    Number,
    OrgId,
    Record,
    Ref,
    Text,
)


@dataclass(frozen=True, slots=True)
class ArtifactStage(Record):
    """Where an artifact stands; rewritten with every step."""

    artifact: Ref
    owner: OrgId
    digest: Digest
    stage: Stage
    since: Instant
    round: Number
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
