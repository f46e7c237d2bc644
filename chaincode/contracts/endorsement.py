# SPDX-License-Identifier: Apache-2.0
"""Policy, endorsements and stages: what the rules need, always by key, organisation by organisation."""

from collections.abc import Callable
from hashlib import sha256

from chaincode.contracts.state import Ledger
from chaincode.domain import codec, endorsement, lifecycle, policy, status
from chaincode.domain.endorsement import Endorse, Endorsement, Reject, Rejection, Submit, Voices, Withdraw
from chaincode.domain.errors import PolicyMissing
from chaincode.domain.evidence import Envelope, Presented
from chaincode.domain.intoto import decode_statement
from chaincode.domain.lifecycle import AWAITING, Advance, Artifact, ArtifactStage, Quarantine, Release
from chaincode.domain.model import ModelVersion
from chaincode.domain.policy import GetPolicy, Policy, PolicyVersion, PolicyVote, SetPolicy, Stage
from chaincode.domain.provenance import DatasetVersion
from chaincode.domain.status import GetStatus, Status
from chaincode.domain.values import ArtifactKind, Digest, OrgId, Outcome, Ref

KeyCheck = Callable[[object, bytes, bytes], None]
"""Checks with a public key that a message bears a signature: (key, message, signature); raises `BadSignature`."""


def set_policy(founders: frozenset[OrgId] | None, ledger: Ledger, command: SetPolicy) -> Outcome:
    """Vote for a version of the policy."""
    current = ledger.get(Policy)
    voters = [member.organisation for member in (command.members if current is None else current.members)]
    votes = ledger.get_each(PolicyVote, [(command.number, voter) for voter in dict.fromkeys(voters)])
    return policy.set_policy(
        command,
        by=ledger.by,
        at=ledger.at,
        digest=Digest(sha256(codec.to_json(command)).digest()),
        current=current,
        votes={vote.by: vote for vote in votes if vote is not None},
        founders=founders,
    )


def submit(ledger: Ledger, command: Submit) -> Outcome:
    """Ask for the endorsement of an artifact."""
    in_force = ledger.get(Policy)
    return endorsement.submit(
        command,
        by=ledger.by,
        at=ledger.at,
        artifact=_artifact(ledger, command.artifact),
        standing=ledger.get(ArtifactStage, command.artifact),
        policy=in_force,
        voices=_voices(ledger, in_force, command.artifact, Stage.APPROVED),
    )


def endorse(check: KeyCheck, ledger: Ledger, command: Endorse) -> Outcome:
    """Vouch for an artifact."""
    in_force = ledger.get(Policy)
    return endorsement.endorse(
        command,
        by=ledger.by,
        at=ledger.at,
        standing=ledger.get(ArtifactStage, command.artifact),
        policy=in_force,
        voices=_voices(ledger, in_force, command.artifact, command.stage),
        presented=_presented(check, ledger, command.envelope),
    )


def reject(check: KeyCheck, ledger: Ledger, command: Reject) -> Outcome:
    """Reject an artifact."""
    in_force = ledger.get(Policy)
    return endorsement.reject(
        command,
        by=ledger.by,
        at=ledger.at,
        standing=ledger.get(ArtifactStage, command.artifact),
        policy=in_force,
        voices=_voices(ledger, in_force, command.artifact, command.stage),
        presented=_presented(check, ledger, command.envelope),
    )


def withdraw(ledger: Ledger, command: Withdraw) -> Outcome:
    """Take back an endorsement."""
    in_force = ledger.get(Policy)
    return endorsement.withdraw(
        command,
        by=ledger.by,
        at=ledger.at,
        standing=ledger.get(ArtifactStage, command.artifact),
        policy=in_force,
        voices=_voices(ledger, in_force, command.artifact, command.stage),
    )


def quarantine(ledger: Ledger, command: Quarantine) -> Outcome:
    """Stop an artifact."""
    return lifecycle.quarantine(
        command,
        by=ledger.by,
        at=ledger.at,
        artifact=_artifact(ledger, command.artifact),
        standing=ledger.get(ArtifactStage, command.artifact),
        policy=ledger.get(Policy),
    )


def release(ledger: Ledger, command: Release) -> Outcome:
    """End a quarantine."""
    return lifecycle.release(
        command,
        by=ledger.by,
        at=ledger.at,
        standing=ledger.get(ArtifactStage, command.artifact),
        policy=ledger.get(Policy),
    )


def advance(ledger: Ledger, command: Advance) -> Outcome:
    """Move an artifact on."""
    standing, in_force = ledger.get(ArtifactStage, command.artifact), ledger.get(Policy)
    round_ = 0 if standing is None else standing.round
    stages = [Stage.APPROVED, command.to] if command.to in AWAITING else []
    voices = {stage: _voices(ledger, in_force, command.artifact, stage) for stage in stages}
    return lifecycle.advance(
        command,
        by=ledger.by,
        at=ledger.at,
        standing=standing,
        policy=in_force,
        endorsers=lambda rule: voices[rule.stage].endorsers(round_, ledger.at, rule),
    )


def get_policy(ledger: Ledger, query: GetPolicy) -> Policy:
    """The policy in force, or one version of it."""
    if query.number is None:
        found = ledger.get(Policy)
    else:
        version = ledger.get(PolicyVersion, query.number)
        found = None if version is None else version.policy
    if found is None:
        raise PolicyMissing
    return found


def get_status(ledger: Ledger, query: GetStatus) -> Status:
    """Where an artifact stands."""
    in_force = ledger.get(Policy)
    return status.status(
        query,
        at=ledger.at,
        artifact=_artifact(ledger, query.artifact),
        standing=ledger.get(ArtifactStage, query.artifact),
        policy=in_force,
        voices=_voices(ledger, in_force, query.artifact, query.stage),
    )


def _artifact(ledger: Ledger, reference: Ref) -> Artifact | None:
    """The owner and digest of a version; for a data set version the digest is its root."""
    name, number = reference.name, reference.number or 0
    if reference.kind is ArtifactKind.DATASET_VERSION:
        data = ledger.get(DatasetVersion, name, number)
        return None if data is None else Artifact(reference, data.owner, data.root)
    if reference.kind is ArtifactKind.MODEL_VERSION:
        version = ledger.get(ModelVersion, name, number)
        return None if version is None else Artifact(reference, version.owner, version.digest)
    return None


def _voices(ledger: Ledger, in_force: Policy | None, artifact: Ref, stage: Stage) -> Voices:
    """What every member, and the caller even if it is a member no more, has said."""
    members = () if in_force is None else in_force.members
    names = [(artifact, stage, by) for by in dict.fromkeys((*(member.organisation for member in members), ledger.by))]
    endorsements, rejections = ledger.get_each(Endorsement, names), ledger.get_each(Rejection, names)
    return Voices(
        endorsements={given.by: given for given in endorsements if given is not None},
        rejections={given.by: given for given in rejections if given is not None},
    )


def _presented(check: KeyCheck, ledger: Ledger, envelope: Envelope) -> Presented:
    """The statement, and its check with the key of the creator's certificate, read only when a rule comes to it."""

    def bound(message: bytes, signature: bytes) -> None:
        check(ledger.creator_key, message, signature)

    return Presented(ledger.channel, decode_statement(envelope.payload), bound)
