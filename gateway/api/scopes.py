# SPDX-License-Identifier: Apache-2.0
"""What a client of a gateway can be let do, by scopes, and the roles that are bundles of them."""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

ROLES: Final = ("reader", "recorder", "endorser", "operator")
"""Each has the scopes of those before it as well."""
ANY_CLIENT: Final = "any-client"
"""In the place of a scope: anyone who is a client of this gateway, whatever its scopes are. It cannot be given."""


class Scope(NamedTuple):
    """Something that a client can be let do."""

    role: str
    """The first role that has it."""
    meaning: str
    """Such that "a client may …" goes on with it."""


SCOPES: Final[Mapping[str, Scope]] = MappingProxyType(
    {
        "records:read": Scope("reader", "read data sets, models, runs, deployments, what was said of them, lineage"),
        "consent:read": Scope("reader", "read consent maps and their versions, which name no data subject"),
        "access:read": Scope("reader", "read access policies, offers, requests, grants and reviews"),
        "accesses:read": Scope("reader", "read who used which data: attempts, reads and the lists of them"),
        "transactions:read": Scope("reader", "read whole transactions, whatever records they wrote, and their proofs"),
        "operations:read": Scope("reader", "ask what became of its own submissions"),
        "records:write": Scope("recorder", "record data sets, models, runs, evaluations and deployments"),
        "consent:write": Scope("recorder", "record what data subjects have said"),
        "subjects:read": Scope("recorder", "read what a data subject has said, and where its records went"),
        "data:read": Scope("recorder", "prove, compare and check the records of data that this gateway holds"),
        "access:use": Scope("recorder", "ask for access to data, and use what was granted"),
        "transactions:submit": Scope("recorder", "send batches, and transactions that are signed elsewhere"),
        "endorsements:write": Scope("endorser", "endorse, reject, quarantine and contest artifacts"),
        "access:decide": Scope("endorser", "approve, deny and review access"),
        "access:manage": Scope("operator", "offer data, and grant, suspend and revoke access"),
        "consortium:manage": Scope(
            "operator", "vote for the consortium's policy, and declare the organisation's roots"
        ),
        "audit:read": Scope("operator", "read what the gateway refused, and what data it delivered"),
        "audit:write": Scope("operator", "commit to the audit log"),
        "operations:read-all": Scope("operator", "ask what became of any client's submissions"),
    }
)
"""Every scope there is."""


def scopes_of(role: str) -> frozenset[str]:
    """The scopes of a role; none of a word that is not a role."""
    if role not in ROLES:
        return frozenset()
    roles = ROLES[: ROLES.index(role) + 1]
    return frozenset(name for name, scope in SCOPES.items() if scope.role in roles)


def role_of(scopes: Collection[str]) -> str:
    """The first role that has all of these scopes; raises `KeyError` for what is not a scope."""
    return max((SCOPES[name].role for name in scopes), key=ROLES.index, default=ROLES[0])


def why_not(role: str, scopes: Collection[str] | None) -> str | None:
    """Why a client of this role cannot have these scopes alone; `None` where it can, or has all of the role's."""
    for name in sorted(scopes or ()):
        if name not in SCOPES:
            return f"{name} is not a scope; there are {', '.join(SCOPES)}"
        if name not in scopes_of(role):
            return f"the role {role} does not have the scope {name}; {SCOPES[name].role} does"
    return "it needs one scope at least" if scopes is not None and not scopes else None
