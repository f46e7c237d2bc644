# SPDX-License-Identifier: Apache-2.0
"""Endorsement policies, judged exactly as Fabric's validators judge them (rules V-20 to V-23).

Matching is greedy and depends on the order of signatures: `AND(OR(A,B),B)` refuses signatures of A and B in that
order. That is Fabric's behaviour and what a channel agreed to, so it is reproduced and not improved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from cryptography.exceptions import InvalidSignature

from gateway.fabric import wire
from gateway.fabric.decoding import decode
from gateway.fabric.errors import FabricError, MalformedData
from gateway.fabric.msp import Member, Msp, Msps
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

# Protobuf reads about fifty levels at most; a policy deeper than this is not an honest one.
_DEEPEST_RULE = 32
_X509 = 0
"""`MSPConfig.type` of Fabric's own kind of MSP; 1 is Idemix."""
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
            return cls(decode(wire.policies.SignaturePolicyEnvelope, data), msps)
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
        application = [(name, _definition(name, group)) for name, group in _members(self._root, "Application")]
        orderers = [(name, _definition(name, group)) for name, group in _members(self._root, "Orderer")]
        self.organisations: Mapping[str, str] = {name: found.msp_id for name, found in application}
        """Name of each application organisation's group to its MSP id."""
        self.orderers = frozenset(found.msp_id for _, found in orderers)
        """MSP ids of the ordering organisations."""
        self.msps = Msps(definitions=_definitions(found for _, found in (*application, *orderers)))

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
            meta = decode(_META, value)
        except wire.DecodeError as exc:
            raise MalformedData("implicit meta policy: not readable") from exc
        count = len(group.groups)
        thresholds = {_META.ANY: min(count, 1), _META.ALL: count, _META.MAJORITY: count // 2 + 1 if count else 0}
        parts = [self._part(child, meta.sub_policy) for child in group.groups.values()]
        if meta.rule not in thresholds:
            raise MalformedData(f"implicit meta policy: rule {meta.rule} is not known")
        return ImplicitMetaPolicy(thresholds[meta.rule], [p for p in parts if p is not None], str(meta.sub_policy))

    def _part(self, group: Any, name: str) -> Policy | None:
        """A member's own policy; one that is not understood is satisfied by nobody, and stops no other member's."""
        try:
            return self._policy(group, name)
        except MalformedData:
            return None


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


class _Definition(NamedTuple):
    """One organisation's MSP as the configuration holds it."""

    msp_id: str
    kind: int
    content: bytes

    def build(self) -> Msp:
        """Raises `MalformedData`."""
        if self.kind != _X509:
            raise MalformedData(f"its MSP is of type {self.kind}, not X.509 (0)")
        try:
            return msp_from_config(decode(wire.msp_config.FabricMSPConfig, self.content))
        except wire.DecodeError as exc:
            raise MalformedData("its MSP is not readable") from exc


def _definition(name: str, group: Any) -> _Definition:
    """What one group says; where not even an MSP id can be read, the organisation goes by its group's name."""
    found = group.values["MSP"].value if "MSP" in group.values else b""
    try:
        config = decode(wire.msp_config.MSPConfig, found)
        # Every type of MSP has its id in the first field.
        msp_id = decode(wire.msp_config.FabricMSPConfig, config.config).name
        return _Definition(str(msp_id) or name, config.type, config.config)
    except wire.DecodeError:
        return _Definition(name, _X509, found)


def _definitions(organisations: Iterable[_Definition]) -> dict[str, Callable[[], Msp]]:
    """How to build each MSP; an id that two organisations define differently is nobody's."""
    kept: dict[str, _Definition] = {}
    building: dict[str, Callable[[], Msp]] = {}
    for each in organisations:
        first = kept.setdefault(each.msp_id, each)
        building[each.msp_id] = first.build if first == each and building.get(each.msp_id) is not _twice else _twice
    return building


def _twice() -> Msp:
    raise MalformedData("two organisations define its MSP, each in another way")
