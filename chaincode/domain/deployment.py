# SPDX-License-Identifier: Apache-2.0
"""Deployments: where a model version is in use, by whom, and from when to when.

Who puts a model version to use records it: its owner, or another organisation that has it from the owner. The
organisation that records is the deployer, and it alone says, once, when the use ended. Both records are written once.

Where the policy says so, nobody deploys a version whose approval has lost its quorum, and what runs must stop: that is
computed on reading and never written.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from chaincode.domain.approval import Approval, refuse_lost
from chaincode.domain.errors import (
    AlreadyEnded,
    AlreadyExists,
    ArtifactAltered,
    DeploymentEndsBeforeItStarts,
    NotTheOwner,
    ParentMissing,
    RecordNotFound,
)
from chaincode.domain.lineage import Edge
from chaincode.domain.model import ModelVersion
from chaincode.domain.taint import MOST_MARKS, Taint
from chaincode.domain.values import (
    Command,
    Digest,
    Event,
    Instant,
    Iri,
    Name,
    OrgId,
    Outcome,
    Record,
    Ref,
    Territory,
    Text,
    deployment_ref,
    refuse_future,
    refuse_repeats,
)

_MOST_TERRITORIES: Final = 64


@dataclass(frozen=True, slots=True)
class RecordDeployment(Command):
    """Record that the caller's organisation puts a model version to use."""

    deployment: Name
    version: Ref
    """The model version."""
    location: Text
    """Where it is in use: a service, a device, a ward."""
    territories: tuple[Territory, ...] = field(default=(), metadata={"max": _MOST_TERRITORIES})
    """The countries and regions whose people it is used for."""
    digest: Digest | None = None
    """The digest of the model version as the deployer found it; None where nothing was compared."""
    started: Instant | None = None
    """None: now."""
    purpose: Iri | None = None
    note: Text | None = None


@dataclass(frozen=True, slots=True)
class EndDeployment(Command):
    """Record that a deployment of the caller's organisation ended."""

    deployment: Name
    ended: Instant | None = None
    """None: now."""
    reason: Text | None = None


@dataclass(frozen=True, slots=True)
class Deployment(Record):
    """A deployment; never rewritten."""

    deployment: Name
    owner: OrgId
    """The organisation that deploys."""
    recorded_at: Instant
    version: Ref
    location: Text
    territories: tuple[Territory, ...] = field(metadata={"max": _MOST_TERRITORIES})
    digest: Digest | None
    started: Instant
    purpose: Iri | None
    note: Text | None
    tainted_by: tuple[Taint, ...] | None = field(default=None, metadata={"max": MOST_MARKS})
    """What above it was stopped when it was recorded, the nearest first; None: nothing."""


@dataclass(frozen=True, slots=True)
class DeploymentEnd(Record):
    """The end of a deployment; never rewritten."""

    deployment: Name
    owner: OrgId
    recorded_at: Instant
    ended: Instant
    reason: Text | None


@dataclass(frozen=True, slots=True)
class DeploymentRecorded(Event):
    """A deployment was recorded."""

    deployment: Name
    owner: OrgId
    version: Ref


@dataclass(frozen=True, slots=True)
class DeploymentEnded(Event):
    """A deployment ended."""

    deployment: Name
    owner: OrgId


# --- Rules ------------------------------------------------------------------------------------------------------


def record_deployment(
    command: RecordDeployment,
    *,
    by: OrgId,
    at: Instant,
    existing: Deployment | None,
    version: Record | None,
    approval: Approval | None,
) -> Outcome:
    """Record a deployment by `by` of the model version `version`.

    `approval` is that of the version where the policy stops deployments without one; None where it does not.
    """
    reference = deployment_ref(command.deployment)
    if existing is not None:
        raise AlreadyExists(reference)
    if not isinstance(version, ModelVersion):
        raise ParentMissing(reference, command.version)
    if command.digest not in (None, version.digest):
        raise ArtifactAltered(command.version, str(version.digest), str(command.digest))
    refuse_repeats("/territories", command.territories)
    started = at if command.started is None else command.started
    refuse_future("/started", started, at)
    if approval is not None:
        refuse_lost(command.version, approval, at)
    deployment = Deployment(
        deployment=command.deployment,
        owner=by,
        recorded_at=at,
        version=command.version,
        location=command.location,
        territories=command.territories,
        digest=command.digest,
        started=started,
        purpose=command.purpose,
        note=command.note,
    )
    return Outcome(
        writes=(deployment, *parents_of_deployment(deployment)),
        event=DeploymentRecorded(command.deployment, by, command.version),
    )


def end_deployment(
    command: EndDeployment,
    *,
    by: OrgId,
    at: Instant,
    existing: DeploymentEnd | None,
    cited: Mapping[Ref, Record],
) -> Outcome:
    """Record the end of a deployment of `by`; `cited` holds the deployment where it exists."""
    reference = deployment_ref(command.deployment)
    deployment = cited.get(reference)
    if not isinstance(deployment, Deployment):
        raise RecordNotFound(reference)
    if deployment.owner != by:
        raise NotTheOwner(reference, deployment.owner, by)
    if existing is not None:
        raise AlreadyEnded(reference, existing.ended)
    ended = at if command.ended is None else command.ended
    refuse_future("/ended", ended, at)
    if ended < deployment.started:
        raise DeploymentEndsBeforeItStarts(reference, deployment.started, ended)
    return Outcome(
        writes=(DeploymentEnd(command.deployment, by, at, ended, command.reason),),
        event=DeploymentEnded(command.deployment, by),
    )


def cited_by_end(command: EndDeployment) -> tuple[Ref, ...]:
    """What the end of a deployment cites: the deployment."""
    return (deployment_ref(command.deployment),)


def parents_of_deployment(deployment: Deployment) -> tuple[Edge, ...]:
    """The edge to the model version that is in use."""
    return (Edge(deployment.version, deployment_ref(deployment.deployment), Text("deployed")),)
