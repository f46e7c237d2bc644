# SPDX-License-Identifier: Apache-2.0
"""The text form of signature policies, `AND`, `OR` and `OutOf` over `'MSP.role'` (rule V-21), read and written.

What Fabric's tools accept is accepted here with the same result, down to the order and repetition of principals.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from fabric_protos.common import policies_pb2
from fabric_protos.msp import msp_principal_pb2

ROLES = {"member": 0, "admin": 1, "client": 2, "peer": 3, "orderer": 4}

_ROLE_NAMES = {number: name for name, number in ROLES.items()}
_TOKEN = re.compile(
    r"\s*(?:(?P<word>[A-Za-z]+)|(?P<number>[0-9]+)|'(?P<single>[^']*)'|\"(?P<double>[^\"]*)\"|(?P<mark>[(),]))"
)
_PRINCIPAL = re.compile(r"([A-Za-z0-9.-]+)\.(admin|member|client|peer|orderer)")
# Fabric's parser takes "and" and "or" for operators of its own, and refuses them.
_GATES = {"And": "And", "AND": "And", "Or": "Or", "OR": "Or", "OutOf": "OutOf", "OUTOF": "OutOf", "outof": "OutOf"}
_LONGEST = 64 * 1024
_DEEPEST = 32


class MalformedPolicy(ValueError):
    """Refuses a policy expression or envelope; the message says what is wrong and where."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    position: int


def parse(expression: str) -> policies_pb2.SignaturePolicyEnvelope:
    """Read an expression such as `OutOf(2, 'A.peer', OR('B.peer', 'C.peer'))`; raises `MalformedPolicy`."""
    if len(expression) > _LONGEST:
        raise MalformedPolicy("the policy expression is longer than 65,536 characters")
    reader = _Reader(_tokens(expression), len(expression))
    rule = reader.gate(depth=0)
    reader.expect_end()
    return policies_pb2.SignaturePolicyEnvelope(version=0, rule=rule, identities=reader.principals)


def render(envelope: policies_pb2.SignaturePolicyEnvelope) -> str:
    """Write an envelope of role principals as an expression that `parse` reads to an equal policy.

    Raises `MalformedPolicy` for principals other than roles, which the text form cannot name.
    """
    return _render(envelope.rule, envelope.identities, 0)


def role_principal(msp_id: str, role: str) -> msp_principal_pb2.MSPPrincipal:
    """The principal `'<msp_id>.<role>'`; raises `KeyError` for an unknown role."""
    return msp_principal_pb2.MSPPrincipal(
        principal_classification=msp_principal_pb2.MSPPrincipal.ROLE,
        principal=msp_principal_pb2.MSPRole(msp_identifier=msp_id, role=ROLES[role]).SerializeToString(),
    )


class _Reader:
    def __init__(self, tokens: Sequence[_Token], end: int) -> None:
        self._tokens = tokens
        self._end = end
        self._next = 0
        self.principals: list[msp_principal_pb2.MSPPrincipal] = []

    def gate(self, depth: int) -> policies_pb2.SignaturePolicy:
        word = self._take("word", "AND, OR or OutOf")
        gate = _GATES.get(word.text)
        if gate is None:
            self._refuse(word, f"expected AND, OR or OutOf, found {word.text!r}")
        if depth == _DEEPEST:
            self._refuse(word, f"is nested more than {_DEEPEST} deep")
        self._mark("(")
        threshold = self._threshold() if gate == "OutOf" else None
        rules = self._rules(depth)
        needed = {"And": len(rules), "Or": 1}.get(gate, threshold)
        if needed is None or needed > len(rules) + 1:  # one more than possible is Fabric's "never"
            self._refuse(word, f"requires {needed} of {len(rules)}")
        return policies_pb2.SignaturePolicy(n_out_of=policies_pb2.SignaturePolicy.NOutOf(n=needed, rules=rules))

    def expect_end(self) -> None:
        if self._next < len(self._tokens):
            token = self._tokens[self._next]
            self._refuse(token, f"unexpected {token.text!r} after the end of the policy")

    def _threshold(self) -> int:
        token = self._peek()
        if token is None or token.kind not in ("number", "text") or not re.fullmatch("[0-9]{1,6}", token.text):
            self._refuse(token, "OutOf needs a number below 1,000,000 first")
        self._next += 1
        self._mark(",")
        return int(token.text)

    def _rules(self, depth: int) -> list[policies_pb2.SignaturePolicy]:
        parts = [self._part(depth)]
        while (token := self._take("mark", "',' or ')'")).text == ",":
            parts.append(self._part(depth))
        if token.text != ")":
            self._refuse(token, "expected ',' or ')'")
        # As in Fabric's tools, a gate numbers its own principals after those of the gates inside it.
        return [self._signed_by(part) if isinstance(part, msp_principal_pb2.MSPPrincipal) else part for part in parts]

    def _signed_by(self, principal: msp_principal_pb2.MSPPrincipal) -> policies_pb2.SignaturePolicy:
        self.principals.append(principal)
        return policies_pb2.SignaturePolicy(signed_by=len(self.principals) - 1)

    def _part(self, depth: int) -> policies_pb2.SignaturePolicy | msp_principal_pb2.MSPPrincipal:
        token = self._peek()
        if token is None or token.kind != "text":
            return self.gate(depth + 1)
        match = _PRINCIPAL.fullmatch(token.text)
        if match is None:
            self._refuse(token, f"{token.text!r} is not 'MSP.role' with role member, admin, client, peer or orderer")
        self._next += 1
        return role_principal(match[1], match[2])

    def _mark(self, mark: str) -> None:
        token = self._take("mark", f"{mark!r}")
        if token.text != mark:
            self._refuse(token, f"expected {mark!r}, found {token.text!r}")

    def _take(self, kind: str, expected: str) -> _Token:
        token = self._peek()
        if token is None or token.kind != kind:
            self._refuse(token, f"expected {expected}" + (f", found {token.text!r}" if token else ""))
        self._next += 1
        return token

    def _peek(self) -> _Token | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _refuse(self, token: _Token | None, problem: str) -> NoReturn:
        position = self._end if token is None else token.position
        raise MalformedPolicy(f"policy, at character {position + 1}: {problem}")


def _tokens(expression: str) -> list[_Token]:
    tokens: list[_Token] = []
    position, end = 0, len(expression.rstrip())
    while position < end:
        match = _TOKEN.match(expression, position)
        if match is None:
            raise MalformedPolicy(f"policy, at character {position + 1}: cannot be read")
        kind = str(match.lastgroup)
        tokens.append(_Token("text" if kind in ("single", "double") else kind, match[kind], match.start(kind)))
        position = match.end()
    return tokens


def _render(
    rule: policies_pb2.SignaturePolicy, principals: Sequence[msp_principal_pb2.MSPPrincipal], depth: int
) -> str:
    if rule.WhichOneof("Type") == "signed_by":
        return f"'{_render_principal(rule.signed_by, principals)}'"
    if rule.WhichOneof("Type") != "n_out_of" or depth > _DEEPEST:
        raise MalformedPolicy("the policy has an empty rule or is nested too deeply")
    inner = ", ".join(_render(part, principals, depth + 1) for part in rule.n_out_of.rules)
    count, needed = len(rule.n_out_of.rules), rule.n_out_of.n
    if count == 0:
        raise MalformedPolicy("a rule without parts has no text form")
    if needed == 1:
        return f"OR({inner})"
    return f"AND({inner})" if needed == count else f"OutOf({needed}, {inner})"


def _render_principal(index: int, principals: Sequence[msp_principal_pb2.MSPPrincipal]) -> str:
    if not 0 <= index < len(principals):
        raise MalformedPolicy(f"the policy names principal {index} of {len(principals)}")
    principal = principals[index]
    if principal.principal_classification != msp_principal_pb2.MSPPrincipal.ROLE:
        raise MalformedPolicy("only role principals have a text form")
    role = msp_principal_pb2.MSPRole.FromString(principal.principal)
    if role.role not in _ROLE_NAMES:
        raise MalformedPolicy(f"role {role.role} is unknown")
    return f"{role.msp_identifier}.{_ROLE_NAMES[role.role]}"
