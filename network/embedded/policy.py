# SPDX-License-Identifier: Apache-2.0
"""Who must have signed: signature policies and implicit meta policies, evaluated as Fabric does (V-20 to V-23).

Evaluation is greedy and depends on the order of signatures; that is Fabric's behaviour, and a better search would
accept what Fabric refuses.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from cryptography.exceptions import InvalidSignature
from fabric_protos.common import policies_pb2
from fabric_protos.msp import msp_principal_pb2

from network.embedded.identity import Identity, MalformedIdentity, Msps
from network.embedded.policytext import MalformedPolicy, parse, render, role_principal

__all__ = [
    "ImplicitMetaPolicy",
    "MalformedPolicy",
    "Policy",
    "PolicyNotSatisfied",
    "SignaturePolicy",
    "SignedData",
    "parse",
    "render",
    "role_principal",
    "to_signature_policy",
    "verified_identities",
]

_DEEPEST = 64
_REMEMBERED = 1024


class PolicyNotSatisfied(Exception):
    """The signatures do not suffice; the text is the cause of rule P-27."""


class SignedData(NamedTuple):
    """One signature, what it covers, and the serialised identity of who is said to have made it."""

    data: bytes
    identity: bytes
    signature: bytes


class Policy(Protocol):
    """A condition on who signed."""

    def evaluate(self, signed: Sequence[SignedData]) -> None:
        """Verify the signatures, then evaluate; raises `PolicyNotSatisfied`."""

    def evaluate_identities(self, identities: Sequence[Identity]) -> None:
        """Evaluate over identities whose signatures were verified, each once; raises `PolicyNotSatisfied`."""

    def to_envelope(self) -> policies_pb2.SignaturePolicyEnvelope:
        """The same condition as one signature policy (G-21)."""


def verified_identities(signed: Sequence[SignedData], msps: Msps) -> list[Identity]:
    """The distinct signers whose signatures hold, in order; what cannot be used is left out (V-20 step 1).

    A repetition is skipped only after one signature of that signer was verified, so that a forged copy in front
    cannot suppress the real one.
    """
    identities: dict[tuple[str, bytes], Identity] = {}
    for entry in signed:
        try:
            identity = msps.deserialise(entry.identity)
            if identity.key not in identities:
                msps.verify(identity, entry.data, entry.signature)
                identities[identity.key] = identity
        except (MalformedIdentity, InvalidSignature):
            continue  # V-20: an entry that proves nothing counts for nothing
    return list(identities.values())


class SignaturePolicy:
    """`AND`, `OR` and `OutOf` over principals."""

    def __init__(self, envelope: policies_pb2.SignaturePolicyEnvelope, msps: Msps) -> None:
        """Raises `MalformedPolicy` for a rule that is empty, too deep, or names a principal that is not there."""
        if envelope.version != 0:
            raise MalformedPolicy(f"policy version {envelope.version} is unknown")
        _check(envelope.rule, len(envelope.identities), 0)
        self.envelope = envelope
        self._msps = msps
        self._principals: tuple[msp_principal_pb2.MSPPrincipal, ...] = tuple(envelope.identities)
        self._matches: OrderedDict[tuple[str, bytes], tuple[bool, ...]] = OrderedDict()

    def evaluate(self, signed: Sequence[SignedData]) -> None:
        """Verify the signatures, then evaluate; raises `PolicyNotSatisfied`."""
        self.evaluate_identities(verified_identities(signed, self._msps))

    def evaluate_identities(self, identities: Sequence[Identity]) -> None:
        """Evaluate over verified, distinct identities; raises `PolicyNotSatisfied`."""
        matches = [self._matched(identity) for identity in identities]
        if not _satisfied(self.envelope.rule, matches, [False] * len(matches)):
            raise PolicyNotSatisfied("signature set did not satisfy policy")

    def to_envelope(self) -> policies_pb2.SignaturePolicyEnvelope:
        """The policy itself."""
        return self.envelope

    def _matched(self, identity: Identity) -> tuple[bool, ...]:
        matched = self._matches.get(identity.key)
        if matched is None:
            matched = tuple(self._msps.satisfies(identity, principal) for principal in self._principals)
            self._matches[identity.key] = matched
            if len(self._matches) > _REMEMBERED:
                self._matches.popitem(last=False)
        return matched


class ImplicitMetaPolicy:
    """`ANY`, `ALL` or `MAJORITY` of the policies of one name in the groups below (V-22)."""

    def __init__(self, rule: int, sub_policy: str, groups: Sequence[Policy | None], msps: Msps) -> None:
        """`groups` has one entry for each group below; None where a group has no policy of that name.

        Raises `MalformedPolicy` for an unknown rule.
        """
        thresholds: Mapping[int, int] = {
            policies_pb2.ImplicitMetaPolicy.ANY: min(1, len(groups)),
            policies_pb2.ImplicitMetaPolicy.ALL: len(groups),
            policies_pb2.ImplicitMetaPolicy.MAJORITY: len(groups) // 2 + 1 if groups else 0,
        }
        if rule not in thresholds:
            raise MalformedPolicy(f"implicit meta rule {rule} is unknown")
        self.threshold = thresholds[rule]
        self.sub_policy = sub_policy
        self._groups = tuple(groups)
        self._msps = msps
        self._satisfied: OrderedDict[tuple[tuple[str, bytes], ...], int] = OrderedDict()
        """How many groups' policies the same signers satisfied before, up to the threshold."""

    def evaluate(self, signed: Sequence[SignedData]) -> None:
        """Verify the signatures once, then evaluate; raises `PolicyNotSatisfied`."""
        self.evaluate_identities(verified_identities(signed, self._msps))

    def evaluate_identities(self, identities: Sequence[Identity]) -> None:
        """Evaluate every group's policy over the same identities; raises `PolicyNotSatisfied`."""
        signers = tuple([identity.key for identity in identities])
        satisfied = self._satisfied.get(signers)
        if satisfied is None:
            satisfied = self._satisfied[signers] = self._count(identities)
            if len(self._satisfied) > _REMEMBERED:
                self._satisfied.popitem(last=False)
        if satisfied < self.threshold:
            raise PolicyNotSatisfied(
                f"implicit policy evaluation failed - {satisfied} sub-policies were satisfied, but this policy "
                f"requires {self.threshold} of the '{self.sub_policy}' sub-policies to be satisfied"
            )

    def _count(self, identities: Sequence[Identity]) -> int:
        satisfied = 0
        for policy in self._groups:
            if satisfied == self.threshold:
                break
            satisfied += policy is not None and _holds(policy, identities)
        return satisfied

    def to_envelope(self) -> policies_pb2.SignaturePolicyEnvelope:
        """`threshold` out of the groups' policies; groups without one are left out (G-21)."""
        merged = policies_pb2.SignaturePolicyEnvelope(version=0)
        merged.rule.n_out_of.n = self.threshold
        for policy in self._groups:
            if policy is not None:
                envelope = policy.to_envelope()
                merged.rule.n_out_of.rules.append(_shifted(envelope.rule, len(merged.identities)))
                merged.identities.extend(envelope.identities)
        return merged


def to_signature_policy(policy: Policy) -> policies_pb2.SignaturePolicyEnvelope:
    """Any policy as one signature policy, which is what layouts are made from (G-21)."""
    return policy.to_envelope()


def _holds(policy: Policy, identities: Sequence[Identity]) -> bool:
    try:
        policy.evaluate_identities(identities)
    except PolicyNotSatisfied:
        return False
    return True


def _satisfied(rule: policies_pb2.SignaturePolicy, matches: Sequence[Sequence[bool]], used: list[bool]) -> bool:
    """V-20 step 2; `used` is changed only by what turned out true."""
    if rule.WhichOneof("Type") == "signed_by":
        for position, matched in enumerate(matches):
            if matched[rule.signed_by] and not used[position]:
                used[position] = True
                return True
        return False
    count = 0
    for part in rule.n_out_of.rules:  # all of them, also after the threshold: later parts go on consuming signers
        attempt = used.copy()
        if _satisfied(part, matches, attempt):
            count += 1
            used[:] = attempt
    return count >= int(rule.n_out_of.n)


def _check(rule: policies_pb2.SignaturePolicy, principals: int, depth: int) -> None:
    kind = rule.WhichOneof("Type")
    if kind is None:
        raise MalformedPolicy("the policy has an empty rule")
    if depth > _DEEPEST:
        raise MalformedPolicy(f"the policy is nested more than {_DEEPEST} deep")
    if kind == "signed_by":
        if not 0 <= rule.signed_by < principals:
            raise MalformedPolicy(f"the policy names principal {rule.signed_by} of {principals}")
        return
    for part in rule.n_out_of.rules:
        _check(part, principals, depth + 1)


def _shifted(rule: policies_pb2.SignaturePolicy, by: int) -> policies_pb2.SignaturePolicy:
    if rule.WhichOneof("Type") == "signed_by":
        return policies_pb2.SignaturePolicy(signed_by=rule.signed_by + by)
    parts = [_shifted(part, by) for part in rule.n_out_of.rules]
    return policies_pb2.SignaturePolicy(n_out_of=policies_pb2.SignaturePolicy.NOutOf(n=rule.n_out_of.n, rules=parts))
