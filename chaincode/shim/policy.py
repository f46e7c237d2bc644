# SPDX-License-Identifier: Apache-2.0
"""Endorsement policies for single keys: built or written as an expression, compiled to what the ledger stores.

`all_of(Principal("HospitalMSP"), OutOf(1, …))` says "owner and at least one other", which the Go helper cannot say.
Expressions are Fabric's: `OutOf(2,'A.peer',OR('B.peer','C.peer'))`; a principal alone is
accepted too. The bytes of an expression that both accept are those of Fabric's compiler (`policydsl.FromString`), and
`all_of` over one role of sorted organisations gives those of the Go shim's `statebased` package, so that organisations
agree on every byte. What Fabric also accepts and nobody can mean is refused: none of the rules, or more than there are.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chaincode.shim import wire
from chaincode.shim.errors import ProtocolError

ROLES = ("member", "admin", "client", "peer", "orderer")
"""The roles in the order of their numbers in `MSPRole`."""

_DEEPEST = 32
_TOKEN = re.compile(
    r"\s*(?:(?P<word>[A-Za-z]+)|(?P<number>[0-9]{1,6})|'(?P<single>[^']*)'|\"(?P<double>[^\"]*)\"|(?P<mark>[(),]))"
)
_PRINCIPAL = re.compile(r"([0-9A-Za-z.-]+)\.(member|admin|client|peer|orderer)")
_MSP_ID = re.compile(r"[0-9A-Za-z.-]+")


class PolicyError(ValueError):
    """A policy that cannot be read, or that nobody could satisfy; the text says where."""


@dataclass(frozen=True, slots=True)
class Principal:
    """An organisation in a role."""

    msp_id: str
    role: str = "peer"

    def __post_init__(self) -> None:
        if not _MSP_ID.fullmatch(self.msp_id):
            raise PolicyError(f"{self.msp_id!r} is not an MSP id of letters, digits, dots and hyphens")
        if self.role not in ROLES:
            raise PolicyError(f"{self.role!r} is not one of the roles {', '.join(ROLES)}")


@dataclass(frozen=True, slots=True)
class OutOf:
    """At least `n` of the `rules`, each satisfied by signatures of its own."""

    n: int
    rules: tuple["Policy", ...]

    def __post_init__(self) -> None:
        if not 1 <= self.n <= len(self.rules):
            raise PolicyError(f"a policy cannot ask for {self.n} out of {len(self.rules)}")


Policy = Principal | OutOf


def all_of(*rules: Policy) -> OutOf:
    """Every one of the rules."""
    return OutOf(len(rules), rules)


def any_of(*rules: Policy) -> OutOf:
    """At least one of the rules."""
    return OutOf(1, rules)


def parse(expression: str) -> Policy:
    """Read an expression.

    Raises:
        PolicyError: when it is not well formed; the text gives the position.
    """
    reader = _Reader(expression)
    policy = reader.rule(depth=1)
    reader.expect_end()
    return policy


def render(policy: Policy) -> str:
    """The expression of a policy; `parse` reads it back to an equal one."""
    if isinstance(policy, Principal):
        return f"'{policy.msp_id}.{policy.role}'"
    rules = ",".join(render(rule) for rule in policy.rules)
    if policy.n == 1:
        return f"OR({rules})"
    if policy.n == len(policy.rules):
        return f"AND({rules})"
    return f"OutOf({policy.n},{rules})"


def encode(policy: Policy) -> bytes:
    """The `SignaturePolicyEnvelope` of a policy, with one identity for each mention, as Fabric's compiler makes it."""
    identities: list[Any] = []
    if isinstance(policy, Principal):
        policy = any_of(policy)
    rule = _rule(policy, identities)
    envelope = wire.SignaturePolicyEnvelope(version=0, rule=rule, identities=identities)
    return bytes(envelope.SerializeToString(deterministic=True))


def compile_expression(expression: str) -> bytes:
    """The bytes that the ledger stores for an expression."""
    return encode(parse(expression))


def decode(data: bytes) -> Policy:
    """Read what `encode` wrote, or what another compiler wrote with role principals.

    Raises:
        PolicyError: when it is not such an envelope.
    """
    try:
        envelope = wire.decode(wire.SignaturePolicyEnvelope, data)
        principals = [_principal(identity) for identity in envelope.identities]
    except ProtocolError as error:
        raise PolicyError("these bytes are not a signature policy") from error
    return _policy(envelope.rule, principals, depth=1)


class _Reader:
    """Takes an expression apart, token by token."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def rule(self, depth: int) -> Policy:
        kind, value = self._next()
        if kind in ("single", "double"):
            return self._principal(value)
        gate = value.lower()
        if kind != "word" or gate not in ("and", "or", "outof"):
            raise self._error("AND, OR, OutOf or a quoted principal is expected")
        if depth > _DEEPEST:
            raise self._error(f"a policy is nested at most {_DEEPEST} deep")
        self._expect("(")
        number = self._count() if gate == "outof" else None
        rules = self._rules(depth)
        if number is None:
            number = len(rules) if gate == "and" else 1
        return OutOf(number, rules)

    def expect_end(self) -> None:
        if self._text[self._at :].strip():
            raise self._error("nothing more is expected")

    def _rules(self, depth: int) -> tuple[Policy, ...]:
        rules = [self.rule(depth + 1)]
        while (mark := self._next()) == ("mark", ","):
            rules.append(self.rule(depth + 1))
        if mark != ("mark", ")"):
            raise self._error("a comma or a closing bracket is expected")
        return tuple(rules)

    def _count(self) -> int:
        kind, value = self._next()
        if kind != "number":
            raise self._error("a number is expected")
        self._expect(",")
        return int(value)

    def _principal(self, text: str) -> Principal:
        match = _PRINCIPAL.fullmatch(text)
        if match is None:
            raise self._error(f"a principal is written MSP.role with a role of {', '.join(ROLES)}")
        return Principal(match[1], match[2])

    def _expect(self, mark: str) -> None:
        if self._next() != ("mark", mark):
            raise self._error(f"{mark!r} is expected")

    def _next(self) -> tuple[str, str]:
        match = _TOKEN.match(self._text, self._at)
        if match is None:
            raise self._error("the expression ends here or goes on with a character that has no meaning")
        self._at = match.end()
        kind = str(match.lastgroup)
        return kind, match[kind]

    def _error(self, text: str) -> PolicyError:
        return PolicyError(f"policy expression, before character {self._at + 1}: {text}")


def _rule(policy: OutOf, identities: list[Any]) -> Any:
    """The rule of a gate; as in Fabric it numbers its own principals after those of the gates inside it."""
    inner = {at: _rule(rule, identities) for at, rule in enumerate(policy.rules) if isinstance(rule, OutOf)}
    rules = [
        _signed_by(rule, identities) if isinstance(rule, Principal) else inner[at]
        for at, rule in enumerate(policy.rules)
    ]
    return wire.SignaturePolicy(n_out_of={"n": policy.n, "rules": rules})


def _signed_by(principal: Principal, identities: list[Any]) -> Any:
    role = wire.MSPRole(msp_identifier=principal.msp_id, role=ROLES.index(principal.role))
    identities.append(wire.MSPPrincipal(principal_classification=0, principal=role.SerializeToString()))
    return wire.SignaturePolicy(signed_by=len(identities) - 1)


def _principal(identity: Any) -> Principal:
    if identity.principal_classification != 0:
        raise PolicyError("only principals of the kind ROLE are understood")
    role = wire.decode(wire.MSPRole, identity.principal)
    if not 0 <= role.role < len(ROLES):
        raise PolicyError(f"{role.role} is not the number of a role")
    return Principal(role.msp_identifier, ROLES[role.role])


def _policy(rule: Any, principals: Sequence[Principal], depth: int) -> Policy:
    if depth > _DEEPEST + 1:
        raise PolicyError(f"a policy is nested at most {_DEEPEST} deep")
    kind = rule.WhichOneof("Type")
    if kind == "signed_by" and 0 <= rule.signed_by < len(principals):
        return principals[int(rule.signed_by)]
    if kind == "n_out_of":
        return OutOf(rule.n_out_of.n, tuple(_policy(inner, principals, depth + 1) for inner in rule.n_out_of.rules))
    raise PolicyError("a rule names no identity of the policy")
