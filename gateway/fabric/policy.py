# SPDX-License-Identifier: Apache-2.0
"""Endorsement policies, judged exactly as Fabric's validators judge them (rules V-20 to V-23).

Matching is greedy and depends on the order of signatures: `AND(OR(A,B),B)` refuses signatures of A and B in that
order. That is Fabric's behaviour and what a channel agreed to, so it is reproduced and not improved.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from cryptography.exceptions import InvalidSignature

from gateway.fabric import wire
from gateway.fabric.errors import FabricError, MalformedData
from gateway.fabric.msp import Member, Msps
from gateway.fabric.mspfolder import msp_from_config

__all__ = [
    "ChannelConfig",
    "ImplicitMetaPolicy",
    "Policy",
    "PolicyNotSatisfied",
    "SignaturePolicy",
    "SignedData",
    "policy_from_application",
    "verified_members",
]

# Protobuf reads about fifty levels at most; a policy deeper than this is no honest one.
_DEEPEST_RULE = 32
_POLICY = wire.policies.Policy
_META = wire.policies.ImplicitMetaPolicy


class PolicyNotSatisfied(FabricError):
    """The identities given do not satisfy the policy."""


class SignedData(NamedTuple):
    """A message, who claims to have signed it (a serialised identity), and the signature."""

    data: bytes
    identity: bytes
    signature: bytes


class Policy(Protocol):
    """Judges members whose signatures have been verified already and among whom nobody appears twice."""

    def evaluate(self, members: Sequence[Member]) -> None:
        """Raises `PolicyNotSatisfied`; the order of `members` is the order of the signatures."""
        ...


def verified_members(signed: Iterable[SignedData], msps: Msps) -> list[Member]:
    """The members behind valid signatures, each once, in order; the rest is skipped as Fabric does (rule V-20)."""
    members: dict[tuple[str, bytes], Member] = {}
    for entry in signed:
        try:
            member = msps.member(entry.identity)
            if member.key not in members:
                member.verify(entry.data, entry.signature)
                members[member.key] = member
        except (MalformedData, InvalidSignature):
            continue
    return list(members.values())


class SignaturePolicy:
    """A rule tree over principals, from a `SignaturePolicyEnvelope`.

    Raises `MalformedData` at once when the tree is empty, too deep or names a principal that is not listed.
    """

    def __init__(self, envelope: Any, msps: Msps) -> None:
        self._msps = msps
        self._principals = list(envelope.identities)
        self._rule = envelope.rule
        self._check(self._rule, 0)

    @classmethod
    def from_bytes(cls, data: bytes, msps: Msps) -> SignaturePolicy:
        """The policy of a serialised `SignaturePolicyEnvelope`."""
        try:
            return cls(wire.policies.SignaturePolicyEnvelope.FromString(data), msps)
        except wire.DecodeError as exc:
            raise MalformedData("signature policy: not a policy envelope") from exc

    def evaluate(self, members: Sequence[Member]) -> None:
        """Raises `PolicyNotSatisfied` unless the rule holds, each member counting once along a branch."""
        if not self._holds(self._rule, members, [False] * len(members)):
            raise PolicyNotSatisfied("signature set did not satisfy policy")

    def _check(self, rule: Any, depth: int) -> None:
        kind = rule.WhichOneof("Type")
        if kind is None or depth > _DEEPEST_RULE:
            raise MalformedData("signature policy: an empty rule" if kind is None else "signature policy: too deep")
        if kind == "signed_by":
            if not 0 <= rule.signed_by < len(self._principals):
                raise MalformedData(f"signature policy: principal {rule.signed_by} is not listed")
            return
        for child in rule.n_out_of.rules:
            self._check(child, depth + 1)

    def _holds(self, rule: Any, members: Sequence[Member], used: list[bool]) -> bool:
        if rule.WhichOneof("Type") == "signed_by":
            principal = self._principals[rule.signed_by]
            for index, member in enumerate(members):
                if not used[index] and self._msps.satisfies(member, principal):
                    used[index] = True
                    return True
            return False
        held = 0
        # Every rule is tried, also after n have held: what the later ones consume is part of the outcome.
        for child in rule.n_out_of.rules:
            attempt = used.copy()
            if self._holds(child, members, attempt):
                held += 1
                used[:] = attempt
        return held >= int(rule.n_out_of.n)


class ImplicitMetaPolicy:
    """ANY, ALL or MAJORITY of the sub-groups' policies of one name; a group without it never counts (rule V-22)."""

    def __init__(self, threshold: int, parts: Sequence[Policy], name: str) -> None:
        self._threshold = threshold
        self._parts = tuple(parts)
        self._name = name

    def evaluate(self, members: Sequence[Member]) -> None:
        """Raises `PolicyNotSatisfied`; every sub-policy judges the whole set of members independently."""
        held = sum(_holds(part, members) for part in self._parts)
        if held < self._threshold:
            raise PolicyNotSatisfied(
                f"implicit policy evaluation failed - {held} sub-policies were satisfied, but this policy requires "
                f"{self._threshold} of the '{self._name}' sub-policies to be satisfied"
            )


def _holds(policy: Policy, members: Sequence[Member]) -> bool:
    try:
        policy.evaluate(members)
    except PolicyNotSatisfied:
        return False
    return True


class ChannelConfig:
    """What a channel configuration says about membership and policies, read from a `ConfigEnvelope`."""

    def __init__(self, envelope: Any) -> None:
        self._root = envelope.config.channel_group
        self.organisations: Mapping[str, str] = dict(_organisations(self._root, "Application"))
        """Name of each application organisation's group to its MSP id."""
        groups = [group for section in ("Application", "Orderer") for _, group in _members(self._root, section)]
        self.msps = Msps({msp.msp_id: msp for msp in map(_group_msp, groups)}.values())

    def policy(self, path: str) -> Policy:
        """The policy at a path such as `/Channel/Application/Endorsement`; `MalformedData` when there is none."""
        names = path.removeprefix("/Channel/").split("/")
        group = self._root
        for name in names[:-1]:
            if name not in group.groups:
                raise MalformedData(f"policy {path}: the channel has no group {name}")
            group = group.groups[name]
        policy = self._policy(group, names[-1])
        if policy is None:
            raise MalformedData(f"policy {path}: not defined in the channel configuration")
        return policy

    def _policy(self, group: Any, name: str) -> Policy | None:
        if name not in group.policies:
            return None
        policy = group.policies[name].policy
        if policy.type == _POLICY.SIGNATURE:
            return SignaturePolicy.from_bytes(policy.value, self.msps)
        if policy.type == _POLICY.IMPLICIT_META:
            return self._implicit(group, policy.value)
        raise MalformedData(f"policy {name}: type {policy.type} is not supported")

    def _implicit(self, group: Any, value: bytes) -> Policy:
        try:
            meta = _META.FromString(value)
        except wire.DecodeError as exc:
            raise MalformedData("implicit meta policy: not readable") from exc
        count = len(group.groups)
        thresholds = {_META.ANY: min(count, 1), _META.ALL: count, _META.MAJORITY: count // 2 + 1 if count else 0}
        parts = [self._policy(child, meta.sub_policy) for child in group.groups.values()]
        return ImplicitMetaPolicy(thresholds[meta.rule], [p for p in parts if p is not None], str(meta.sub_policy))


def policy_from_application(data: bytes, config: ChannelConfig) -> Policy:
    """The policy of a chaincode definition's `ApplicationPolicy` bytes: inline, or a reference (rule V-23)."""
    try:
        application = wire.policies.ApplicationPolicy.FromString(data)
    except wire.DecodeError as exc:
        raise MalformedData("application policy: not readable") from exc
    kind = application.WhichOneof("Type")
    if kind == "signature_policy":
        return SignaturePolicy(application.signature_policy, config.msps)
    if kind == "channel_config_policy_reference":
        return config.policy(str(application.channel_config_policy_reference))
    raise MalformedData("application policy: neither a signature policy nor a reference")


def _members(root: Any, section: str) -> list[tuple[str, Any]]:
    return sorted(root.groups[section].groups.items()) if section in root.groups else []


def _organisations(root: Any, section: str) -> Iterable[tuple[str, str]]:
    return ((name, _group_msp(group).msp_id) for name, group in _members(root, section))


def _group_msp(group: Any) -> Any:
    try:
        config = wire.msp_config.MSPConfig.FromString(group.values["MSP"].value)
        return msp_from_config(wire.msp_config.FabricMSPConfig.FromString(config.config))
    except wire.DecodeError as exc:
        raise MalformedData("channel configuration: an organisation's MSP is not readable") from exc
