# SPDX-License-Identifier: Apache-2.0
"""Who calls. What the consortium lets it do is decided by the chaincode; roles only narrow that."""

from dataclasses import dataclass
from typing import Protocol

from gateway.rest.problems import HttpProblem

# Each role may do what the roles before it may.
RANKS = {"reader": 0, "recorder": 1, "endorser": 2, "operator": 3}


class KeyHolder(Protocol):
    """What is known of the holder of an API key."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def role(self) -> str: ...


class Keys(Protocol):
    """Recognises API keys."""

    def recognise(self, presented: str) -> KeyHolder | None: ...


@dataclass(frozen=True, slots=True)
class Client:
    """An authenticated caller."""

    id: str
    name: str
    role: str


def authenticate(keys: Keys, authorization: str | None) -> Client:
    """The caller behind `Authorization: Bearer id.secret`; one generic 401 for everything else."""
    scheme, _, presented = (authorization or "").partition(" ")
    holder = keys.recognise(presented.strip()) if scheme.lower() == "bearer" and len(presented) < 512 else None
    if holder is None:
        raise HttpProblem(
            401,
            "unauthenticated",
            "A valid API key is needed: Authorization: Bearer id.secret",
            headers={"WWW-Authenticate": 'Bearer realm="pedigree"'},
        )
    return Client(holder.id, holder.name, holder.role)


def authorise(client: Client, role: str) -> None:
    """Refuse a caller whose role is below the one that the route names; an unknown role is below all."""
    if RANKS.get(client.role, -1) < RANKS[role]:
        raise HttpProblem(403, "role-too-low", f"This needs the role {role}; the key has {client.role}.", needed=role)
