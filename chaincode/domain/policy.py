# SPDX-License-Identifier: Apache-2.0
"""The consortium's policy: who its members are, and how many of them, in which roles, must vouch for what.

The policy is one document with numbered versions. Organisations vote for a version by submitting it; the vote that
completes the quorum writes it. The first version needs the majority of the organisations that it names, at least
two; every later one needs what the version in force says.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from chaincode.domain.values import (
    ArtifactKind,
    Command,
    Count,
    Digest,
    Event,
    Instant,
    Number,
    OrgId,
    Query,
    Record,
    Role,
)


class Stage(StrEnum):
    """The stages of an artifact's life; an artifact of which nothing is recorded is a draft."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    ENDORSED = "endorsed"
    APPROVED = "approved"
    DEPLOYED = "deployed"
    DEPRECATED = "deprecated"
    RETIRED = "retired"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class Member:
    """An organisation of the consortium and what it is there."""

    organisation: OrgId
    roles: tuple[Role, ...] = field(default=(), metadata={"max": 16})


@dataclass(frozen=True, slots=True)
class QuorumRule:
    """Who must endorse artifacts of a kind before they reach a stage."""

    artifact_kind: ArtifactKind
    """`DATASET_VERSION` or `MODEL_VERSION`."""
    threshold: Number
    """How many distinct organisations."""
    stage: Stage = Stage.APPROVED
    """`APPROVED`, `DEPLOYED`, `DEPRECATED` or `RETIRED`."""
    eligible_roles: tuple[Role, ...] = field(default=(), metadata={"max": 16})
    """An endorser must have one of these; empty: every member may endorse."""
    required_roles: tuple[Role, ...] = field(default=(), metadata={"max": 16})
    """For each of these roles, an organisation that has it must be among the endorsers."""
    owner_counts: bool = False
    valid_seconds: Count | None = None
    """How long an endorsement counts; None: for ever."""


@dataclass(frozen=True, slots=True)
class SetPolicy(Command):
    """Vote for a version of the consortium's policy."""

    number: Number
    """1 for the founding policy, otherwise one more than the version in force."""
    members: tuple[Member, ...] = field(metadata={"max": 64})
    rules: tuple[QuorumRule, ...] = field(metadata={"max": 64})
    amendment_threshold: Number
    """How many members must vote for the version after this one."""
    amendment_roles: tuple[Role, ...] = field(default=(), metadata={"max": 16})
    """For each of these roles, a member that has it must be among those votes."""


@dataclass(frozen=True, slots=True)
class Policy(Record):
    """The policy in force; under a second key, each version as it was."""

    number: Number
    set_at: Instant
    members: tuple[Member, ...]
    rules: tuple[QuorumRule, ...]
    amendment_threshold: Number
    amendment_roles: tuple[Role, ...]


@dataclass(frozen=True, slots=True)
class PolicyVersion(Record):
    """A version of the policy as it was set; never rewritten."""

    policy: Policy


@dataclass(frozen=True, slots=True)
class PolicyVote(Record):
    """An organisation's vote for version `number` of the policy with the content `digest`."""

    number: Number
    digest: Digest
    by: OrgId
    at: Instant


@dataclass(frozen=True, slots=True)
class PolicyProposed(Event):
    """A vote for a version of the policy was counted and the quorum is still open."""

    number: Number
    digest: Digest
    by: OrgId


@dataclass(frozen=True, slots=True)
class PolicySet(Event):
    """A version of the policy is in force."""

    number: Number
    digest: Digest
    by: OrgId


@dataclass(frozen=True, slots=True)
class GetPolicy(Query):
    """Ask for the policy in force, or for one version of it."""

    number: Number | None = None
