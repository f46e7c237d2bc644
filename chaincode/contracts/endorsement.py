# SPDX-License-Identifier: Apache-2.0
"""Policy, endorsements and stages: what the rules need, always by key, organisation by organisation."""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final

from chaincode.contracts.state import Ledger, Load
from chaincode.domain import codec, status
from chaincode.domain.approval import Approval
from chaincode.domain.assessment import Assessment
from chaincode.domain.counterclaim import CounterClaim, claimants
from chaincode.domain.deployment import Deployment, RecordDeployment
from chaincode.domain.endorsement import Ballot, Endorse, Endorsement, Reject, Rejection
from chaincode.domain.evaluation import Evaluation, assessment_of
from chaincode.domain.evidence import Envelope, Presented, SignatureCheck
from chaincode.domain.intoto import decode_statement
from chaincode.domain.lifecycle import (
    AWAITING,
    Advance,
    Artifact,
    ArtifactStage,
    ConfirmQuarantine,
    LiftQuarantine,
    LiftVote,
    Quarantine,
    Release,
    standing_at,
)
from chaincode.domain.policy import Member, Policy, PolicyVote, SetPolicy, Stage, refuses_claims, stops_deployments
from chaincode.domain.register import locate
from chaincode.domain.speakers import DeclareRoots, EncodedCertificate, OrganisationRoots, signer_of
from chaincode.domain.status import GetStatus, Status
from chaincode.domain.submission import Submit
from chaincode.domain.values import Command, Digest, Name, Record, Ref
from chaincode.domain.withdrawal import Withdraw


def for_policy(ledger: Ledger, command: SetPolicy) -> Mapping[str, object]:
    """What a vote for a version of the policy needs."""
    current = ledger.get(Policy)
    voters = [member.organisation for member in (command.members if current is None else current.members)]
    votes = ledger.get_each(PolicyVote, [(command.number, voter) for voter in dict.fromkeys(voters)])
    return {
        "digest": Digest(sha256(codec.to_json(command)).digest()),
        "current": current,
        "votes": {vote.by: vote for vote in votes if vote is not None},
        "founders": ledger.site.founders,
    }


def for_submission(ledger: Ledger, command: Submit) -> Mapping[str, object]:
    """What asking for the endorsement of an artifact needs."""
    in_force, standing = ledger.get(Policy), standing_of(ledger, command.artifact)
    named = (command.evaluation, None if standing is None else standing.evaluation)
    return {
        "artifact": artifact_of(ledger, command.artifact),
        "standing": standing,
        "policy": in_force,
        "ballot": _ballot(ledger, in_force, command.artifact, Stage.APPROVED),
        "assessments": _assessments(ledger, named),
    }


def for_word(ledger: Ledger, command: Endorse | Reject) -> Mapping[str, Any]:
    """What vouching for an artifact or rejecting it needs: also the statement that was signed."""
    needed = _said(ledger, command)
    return {**needed, "presented": presented_of(ledger, command.envelope, command.chain, needed["policy"])}


def for_endorsement(ledger: Ledger, command: Endorse) -> Mapping[str, object]:
    """What vouching for an artifact needs: also the evaluation that the submission names, and open counter-claims."""
    needed = for_word(ledger, command)
    in_force: Policy | None = needed["policy"]
    members: tuple[Member, ...] = ()
    if in_force is not None and command.stage is Stage.APPROVED and refuses_claims(in_force, command.artifact):
        members = in_force.members
    claims = ledger.get_each(CounterClaim, [(command.artifact, member.organisation) for member in members])
    return {
        **needed,
        "open_claims": claimants(claim for claim in claims if claim is not None),
        "assessment": _assessment(ledger, needed["standing"]),
    }


def for_withdrawal(ledger: Ledger, command: Withdraw) -> Mapping[str, object]:
    """What taking back an endorsement needs: also the statement, where one was signed."""
    needed, envelope = _said(ledger, command), command.envelope
    presented = None if envelope is None else presented_of(ledger, envelope, command.chain, needed["policy"])
    return {**needed, "presented": presented}


def _said(ledger: Ledger, command: Endorse | Reject | Withdraw) -> Mapping[str, Any]:
    """Where an artifact stands, and what everyone has said of the stage."""
    in_force = ledger.get(Policy)
    return {
        "standing": standing_of(ledger, command.artifact),
        "policy": in_force,
        "ballot": _ballot(ledger, in_force, command.artifact, command.stage),
    }


def for_declaration(ledger: Ledger, command: DeclareRoots) -> Mapping[str, object]:
    """What saying who may speak for the caller needs: what it said before."""
    del command
    return {"existing": ledger.get(OrganisationRoots, ledger.by), "trace": ledger.site.trace}


def for_quarantine(ledger: Ledger, command: Quarantine) -> Mapping[str, object]:
    """What stopping an artifact needs."""
    return {"artifact": artifact_of(ledger, command.artifact), **for_release(ledger, command)}


def for_release(
    ledger: Ledger, command: Quarantine | ConfirmQuarantine | LiftQuarantine | Release
) -> Mapping[str, object]:
    """What confirming or ending a quarantine needs: where the artifact stands, and the policy in force."""
    return {"standing": standing_of(ledger, command.artifact), "policy": ledger.get(Policy)}


def for_lifting(ledger: Ledger, command: LiftQuarantine) -> Mapping[str, object]:
    """What a vote for the end of a quarantine needs: also the votes of the other members."""
    in_force = ledger.get(Policy)
    members = () if in_force is None else in_force.members
    votes = ledger.get_each(LiftVote, [(command.artifact, member.organisation) for member in members])
    return {**for_release(ledger, command), "votes": {vote.by: vote for vote in votes if vote is not None}}


def for_advance(ledger: Ledger, command: Advance) -> Mapping[str, object]:
    """What moving an artifact on needs: also whose word counts, for each stage whose quorum may matter."""
    standing, in_force = standing_of(ledger, command.artifact), ledger.get(Policy)
    round_ = 0 if standing is None else standing.round
    stages = [Stage.APPROVED, command.to] if command.to in AWAITING else []
    ballots = {stage: _ballot(ledger, in_force, command.artifact, stage) for stage in stages}
    return {
        "standing": standing,
        "policy": in_force,
        "endorsers": lambda rule: ballots[rule.stage].endorsers(round_, ledger.at, rule),
        "assessment": _assessment(ledger, standing),
    }


def for_deployment(ledger: Ledger, command: RecordDeployment) -> Mapping[str, object]:
    """What putting a model version to use needs: the approval only where the policy stops deployments without one."""
    in_force = ledger.get(Policy)
    stops = stops_deployments(in_force, command.version)
    return {
        "existing": ledger.get(Deployment, command.deployment),
        "version": ledger.cited(Record, (command.version,)).get(command.version),
        "approval": approval_of(ledger, in_force, command.version) if stops else None,
    }


LOADS: Final[Mapping[type[Command], Load]] = MappingProxyType(
    {
        SetPolicy: for_policy,
        Submit: for_submission,
        Endorse: for_endorsement,
        Reject: for_word,
        Withdraw: for_withdrawal,
        Quarantine: for_quarantine,
        ConfirmQuarantine: for_release,
        LiftQuarantine: for_lifting,
        Release: for_release,
        Advance: for_advance,
        DeclareRoots: for_declaration,
        RecordDeployment: for_deployment,
    }
)


def get_status(ledger: Ledger, query: GetStatus) -> Status:
    """An artifact's state."""
    in_force, standing = ledger.get(Policy), standing_of(ledger, query.artifact)
    return status.status(
        query,
        at=ledger.at,
        artifact=artifact_of(ledger, query.artifact),
        standing=standing,
        policy=in_force,
        ballot=_ballot(ledger, in_force, query.artifact, query.stage),
        assessment=_assessment(ledger, standing),
    )


def approval_of(ledger: Ledger, in_force: Policy | None, artifact: Ref) -> Approval:
    """What the ledger holds of an artifact's approval."""
    return Approval(standing_of(ledger, artifact), in_force, _ballot(ledger, in_force, artifact, Stage.APPROVED))


def artifact_of(ledger: Ledger, reference: Ref) -> Artifact | None:
    """The owner and digest of an artifact; None for what is not on the ledger or passes through no stages."""
    kind, _ = locate(reference)
    record = ledger.cited(Record, (reference,)).get(reference) if kind.digest else None
    if record is None:
        return None
    return Artifact(reference, getattr(record, kind.guard), getattr(record, kind.digest))


def standing_of(ledger: Ledger, artifact: Ref) -> ArtifactStage | None:
    """Where an artifact stands now: a quarantine that has lapsed is over, although nobody wrote so."""
    standing = ledger.get(ArtifactStage, artifact)
    return None if standing is None else standing_at(standing, ledger.at)


def _assessment(ledger: Ledger, standing: ArtifactStage | None) -> Assessment | None:
    """The evaluation that an artifact's submission names."""
    if standing is None or standing.evaluation is None:
        return None
    return _assessments(ledger, (standing.evaluation,)).get(standing.evaluation)


def _assessments(ledger: Ledger, named: Iterable[Name | None]) -> dict[Name, Assessment]:
    """Those of the evaluations that exist, as the law of endorsement looks at them."""
    names = dict.fromkeys(name for name in named if name is not None)
    found = ledger.get_each(Evaluation, [(name,) for name in names])
    return {each.evaluation: assessment_of(each) for each in found if each is not None}


def _ballot(ledger: Ledger, in_force: Policy | None, artifact: Ref, stage: Stage) -> Ballot:
    """What every member, and the caller even if it is a member no more, has said."""
    members = () if in_force is None else in_force.members
    names = [(artifact, stage, by) for by in dict.fromkeys((*(member.organisation for member in members), ledger.by))]
    endorsements, rejections = ledger.get_each(Endorsement, names), ledger.get_each(Rejection, names)
    return Ballot(
        endorsements={given.by: given for given in endorsements if given is not None},
        rejections={given.by: given for given in rejections if given is not None},
    )


def presented_of(
    ledger: Ledger, envelope: Envelope, chain: tuple[EncodedCertificate, ...] | None, in_force: Policy | None
) -> Presented:
    """The statement, and the check of its signature: with the creator's key, or that of the person who signed it."""
    check = _by_creator(ledger) if chain is None else _by_person(ledger, chain, in_force)
    return Presented(ledger.channel, decode_statement(envelope.payload), check)


def _by_creator(ledger: Ledger) -> SignatureCheck:
    """Checks with the key of the creator's certificate, which is read only when a rule comes to it."""

    def check(message: bytes, signature: bytes) -> None:
        ledger.site.check(ledger.creator_key, message, signature)

    return check


def _by_person(ledger: Ledger, chain: tuple[EncodedCertificate, ...], in_force: Policy | None) -> SignatureCheck:
    """Checks with the key of the first certificate, where that one may speak for the caller."""
    declared = ledger.get(OrganisationRoots, ledger.by)

    def others() -> Iterable[OrganisationRoots]:
        names = [(member.organisation,) for member in (() if in_force is None else in_force.members)]
        found = ledger.get_each(OrganisationRoots, [name for name in names if name != (ledger.by,)])
        return (each for each in found if each is not None)

    def check(message: bytes, signature: bytes) -> None:
        signer = signer_of(chain, by=ledger.by, at=ledger.at, declared=declared, others=others, trace=ledger.site.trace)
        ledger.site.check(signer.key, message, signature)

    return check
