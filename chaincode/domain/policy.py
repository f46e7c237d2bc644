# SPDX-License-Identifier: Apache-2.0
"""The consortium's policy: who its members are, and how many of them, in which roles, must vouch for what.

The policy is one document with numbered versions. Organisations vote for a version by submitting it; the vote that
completes the quorum writes it. The first version needs the majority of the organisations that it names, at least
two; every later one needs what the version in force says.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from chaincode.domain.errors import (
    AlreadyVoted,
    FoundersDiffer,
    InvalidField,
    NotAMember,
    PolicyMissing,
    PolicyNumberWrong,
    RuleMissing,
)
from chaincode.domain.values import (
    ArtifactKind,
    Command,
    Digest,
    Event,
    Instant,
    Number,
    OrgId,
    Outcome,
    Record,
    Ref,
    Role,
    Seconds,
    refuse_repeats,
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


class OnQuorumLost(StrEnum):
    """What happens to deployments of a model version whose approval has lost its quorum."""

    NOTE = "note"
    """It is said wherever the version is read."""
    STOP = "stop"
    """Nobody deploys it, and what runs must stop, until the quorum is there again."""


class OpenClaims(StrEnum):
    """What a counter-claim that is open does to an approval."""

    NOTE = "note"
    """It is shown."""
    REFUSE = "refuse"
    """While a member has one, no endorsement completes the quorum."""


@dataclass(frozen=True, slots=True)
class QuorumRule:
    """Who must endorse artifacts of a kind before they reach a stage."""

    artifact_kind: ArtifactKind
    threshold: Number
    """How many distinct organisations."""
    stage: Stage = Stage.APPROVED
    """`APPROVED`, `DEPLOYED`, `DEPRECATED` or `RETIRED`."""
    eligible_roles: tuple[Role, ...] = field(default=(), metadata={"max": 16})
    """An endorser must have one of these; empty: every member may endorse."""
    required_roles: tuple[Role, ...] = field(default=(), metadata={"max": 16})
    """For each of these roles, an organisation that has it must be among the endorsers."""
    owner_counts: bool = False
    valid_seconds: Seconds | None = None
    """How long an endorsement counts; None: for ever."""
    on_quorum_lost: OnQuorumLost | None = None
    """Only of the rule for model versions to become approved; None: `NOTE`."""
    judged_by_roles: tuple[Role, ...] | None = field(default=None, metadata={"max": 16})
    """A pre-registered evaluation has to have passed, made by a member with one of these roles, not by the owner.

    Empty: by any member; None: no evaluation is needed.
    """
    open_claims: OpenClaims | None = None
    """Only of rules to become approved; None: `NOTE`."""


class Step(StrEnum):
    """The steps at which the law looks at what an artifact was made from."""

    SUBMIT = "submit"
    ENDORSE = "endorse"
    ADVANCE = "advance"
    RECORD = "record"
    DEPLOY = "deploy"


DEFAULT_LAPSE: Final = Seconds(14 * 86_400)
"""How long a quarantine by one member holds where the policy does not say."""
_REFUSED: Final = (Step.SUBMIT, Step.ENDORSE, Step.ADVANCE, Step.DEPLOY)


@dataclass(frozen=True, slots=True)
class TaintRules:
    """What is refused to that which was made from something stopped, and how long one member alone may stop it.

    What is not refused is marked.
    """

    quarantined: tuple[Step, ...] = field(default=_REFUSED, metadata={"max": len(Step)})
    """The steps that a quarantined ancestor refuses."""
    withdrawn: tuple[Step, ...] = field(default=_REFUSED, metadata={"max": len(Step)})
    """The steps that an ancestor refuses whose consent was withdrawn."""
    lapse_seconds: Seconds = DEFAULT_LAPSE
    """How long a quarantine holds that no second member confirms."""


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
    taint: TaintRules | None = None
    """None: the defaults of `TaintRules`."""


@dataclass(frozen=True, slots=True)
class Policy(Record):
    """The policy in force; under a second key, each version as it was."""

    number: Number
    set_at: Instant
    members: tuple[Member, ...]
    rules: tuple[QuorumRule, ...]
    amendment_threshold: Number
    amendment_roles: tuple[Role, ...]
    taint: TaintRules | None = None
    """None, as in policies from before there were such rules: the defaults of `TaintRules`."""


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


# --- Quorum -----------------------------------------------------------------------------------------------------

GATED: Final = frozenset({Stage.APPROVED, Stage.DEPLOYED, Stage.DEPRECATED, Stage.RETIRED})
"""The stages that a rule may guard."""
_DEPLOYABLE: Final = (ArtifactKind.MODEL_VERSION, Stage.APPROVED)
"""Deployments are of model versions, and rest on their approval."""
ASSESSED: Final = (Stage.APPROVED, Stage.DEPLOYED)
"""The stages for which a rule may ask for an evaluation; none is needed to take an artifact out of use."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How far a quorum has come."""

    counted: frozenset[OrgId]
    missing: int
    """How many more organisations are needed at least."""
    missing_roles: tuple[Role, ...]

    @property
    def complete(self) -> bool:
        """Whether the quorum is reached."""
        return self.missing == 0


def roles_of(policy: Policy, organisation: OrgId) -> frozenset[Role] | None:
    """The roles of a member; None for an organisation that is not a member."""
    for member in policy.members:
        if member.organisation == organisation:
            return frozenset(member.roles)
    return None


def rule_for(policy: Policy, kind: str, stage: Stage) -> QuorumRule | None:
    """The rule for artifacts of a kind to reach a stage; None where the policy asks for nothing."""
    for rule in policy.rules:
        if rule.artifact_kind == kind and rule.stage is stage:
            return rule
    return None


def stops_deployments(policy: Policy | None, artifact: Ref) -> bool:
    """Whether deployments of an artifact stop where its approval has lost its quorum."""
    rule = None if policy is None else rule_for(policy, artifact.kind, Stage.APPROVED)
    return rule is not None and rule.on_quorum_lost is OnQuorumLost.STOP


def refuses_claims(policy: Policy, artifact: Ref) -> bool:
    """Whether an artifact is not approved while a member has an open counter-claim against it."""
    rule = rule_for(policy, artifact.kind, Stage.APPROVED)
    return rule is not None and rule.open_claims is OpenClaims.REFUSE


def rule_in_force(policy: Policy | None, artifact: Ref, stage: Stage) -> tuple[Policy, QuorumRule]:
    """The policy and its rule for an artifact at a stage; raises `PolicyMissing` and `RuleMissing`."""
    if policy is None:
        raise PolicyMissing
    rule = rule_for(policy, artifact.kind, stage)
    if rule is None:
        raise RuleMissing(artifact.kind, stage)
    return policy, rule


def eligible(rule: QuorumRule, policy: Policy, owner: OrgId) -> frozenset[OrgId]:
    """Those whose endorsement of an artifact of `owner` counts."""
    return frozenset(
        member.organisation
        for member in policy.members
        if (rule.owner_counts or member.organisation != owner)
        and (not rule.eligible_roles or not set(rule.eligible_roles).isdisjoint(member.roles))
    )


def tally(rule: QuorumRule, policy: Policy, owner: OrgId, endorsers: Iterable[OrgId]) -> Tally:
    """Count `endorsers` under `rule`; one more endorser never makes a quorum less complete."""
    counted = eligible(rule, policy, owner).intersection(endorsers)
    return _count(policy.members, counted, rule.threshold, rule.required_roles)


def amendment(policy: Policy, agreed: Iterable[OrgId]) -> Tally:
    """Count members who agree to what needs the quorum of an amendment."""
    counted = frozenset(member.organisation for member in policy.members).intersection(agreed)
    return _count(policy.members, counted, policy.amendment_threshold, policy.amendment_roles)


def taint_rules(policy: Policy | None) -> TaintRules:
    """What holds of what was made from something stopped."""
    return TaintRules() if policy is None or policy.taint is None else policy.taint


def _count(members: Iterable[Member], counted: frozenset[OrgId], threshold: int, required: tuple[Role, ...]) -> Tally:
    held = {role for member in members if member.organisation in counted for role in member.roles}
    missing_roles = tuple(role for role in required if role not in held)
    # One organisation may hold several of the roles, so that roles still missing ask for one more at least.
    missing = max(threshold - len(counted), min(len(missing_roles), 1), 0)
    return Tally(counted, missing, missing_roles)


# --- Rules ------------------------------------------------------------------------------------------------------


def set_policy(
    command: SetPolicy,
    *,
    by: OrgId,
    at: Instant,
    digest: Digest,
    current: Policy | None,
    votes: Mapping[OrgId, PolicyVote],
    founders: frozenset[OrgId] | None,
) -> Outcome:
    """Count the vote of `by`, and set the version when that completes the quorum.

    `digest` identifies the text; `votes` are those that the ledger holds for this number, by organisation;
    `founders` are the members with which this process is to bootstrap the consortium, None if that is not configured.
    """
    expected = 1 if current is None else current.number + 1
    if command.number != expected:
        raise PolicyNumberWrong(expected, command.number)
    _check_members(command)
    for index, rule in enumerate(command.rules):
        _check_rule(rule, f"/rules/{index}", command)
    refuse_repeats("/rules", (f"{rule.artifact_kind} {rule.stage}" for rule in command.rules))
    if command.taint is not None:
        refuse_repeats("/taint/quarantined", command.taint.quarantined)
        refuse_repeats("/taint/withdrawn", command.taint.withdrawn)
    named = frozenset(member.organisation for member in command.members)
    if current is None and founders is not None and named != founders:
        raise FoundersDiffer(", ".join(sorted(founders)))
    electorate = command.members if current is None else current.members
    if by not in {member.organisation for member in electorate}:
        raise NotAMember(by)
    held = votes.get(by)
    if held is not None and held.digest == digest:
        raise AlreadyVoted(by, command.number)
    vote = PolicyVote(command.number, digest, by, at)
    agreed = frozenset({by, *(voter for voter, cast in votes.items() if cast.digest == digest)})
    if not _carried(agreed, current, command):
        return Outcome(writes=(vote,), event=PolicyProposed(command.number, digest, by))
    policy = Policy(
        number=command.number,
        set_at=at,
        members=command.members,
        rules=command.rules,
        amendment_threshold=command.amendment_threshold,
        amendment_roles=command.amendment_roles,
        taint=command.taint,
    )
    return Outcome(writes=(policy, PolicyVersion(policy), vote), event=PolicySet(command.number, digest, by))


def _carried(agreed: frozenset[OrgId], current: Policy | None, command: SetPolicy) -> bool:
    if current is None:
        return 2 * len(agreed.intersection(member.organisation for member in command.members)) > len(command.members)
    return amendment(current, agreed).complete


def _check_members(command: SetPolicy) -> None:
    if len(command.members) < 2:
        raise InvalidField("/members", "a consortium has at least two members")
    refuse_repeats("/members", (member.organisation for member in command.members))
    for index, member in enumerate(command.members):
        refuse_repeats(f"/members/{index}/roles", member.roles)
    if not 2 <= command.amendment_threshold <= len(command.members):
        raise InvalidField("/amendment_threshold", "it must be from 2 to the number of members")
    held = {role for member in command.members for role in member.roles}
    if not held.issuperset(command.amendment_roles):
        raise InvalidField("/amendment_roles", "no member has one of these roles")


def _check_rule(rule: QuorumRule, pointer: str, command: SetPolicy) -> None:
    if rule.stage not in GATED:
        raise InvalidField(f"{pointer}/stage", "a rule guards approved, deployed, deprecated or retired")
    if rule.on_quorum_lost is not None and (rule.artifact_kind, rule.stage) != _DEPLOYABLE:
        raise InvalidField(f"{pointer}/on_quorum_lost", "it belongs to the rule for model versions to become approved")
    if rule.open_claims is not None and rule.stage is not Stage.APPROVED:
        raise InvalidField(f"{pointer}/open_claims", "it belongs to a rule to become approved")
    able = [
        member
        for member in command.members
        if not rule.eligible_roles or not set(rule.eligible_roles).isdisjoint(member.roles)
    ]
    # An owner whose word does not count is one of those who may endorse, unless the roles leave somebody else.
    owner_among = not rule.owner_counts and len(able) == len(command.members)
    if rule.threshold > len(able) - owner_among:
        raise InvalidField(f"{pointer}/threshold", "fewer members than this may endorse")
    if not {role for member in able for role in member.roles}.issuperset(rule.required_roles):
        raise InvalidField(f"{pointer}/required_roles", "nobody who may endorse has one of these roles")
    if rule.judged_by_roles is not None:
        _check_judges(rule, rule.judged_by_roles, f"{pointer}/judged_by_roles", command)


def _check_judges(rule: QuorumRule, roles: tuple[Role, ...], pointer: str, command: SetPolicy) -> None:
    if rule.artifact_kind is not ArtifactKind.MODEL_VERSION or rule.stage not in ASSESSED:
        raise InvalidField(pointer, "only what makes a model version approved or deployed can ask for an evaluation")
    refuse_repeats(pointer, roles)
    if roles and all(set(roles).isdisjoint(member.roles) for member in command.members):
        raise InvalidField(pointer, "no member has one of these roles")
