# SPDX-License-Identifier: Apache-2.0
"""Who calls. What the consortium lets it do is decided by the chaincode; roles only narrow that."""

from typing import Final

from flask import Request

from gateway.rest import signed
from gateway.rest.problems import HttpProblem
from gateway.services.callers import Caller, Callers, Presented

CERTIFICATE: Final = "pedigree.client_certificate"
"""Where the server puts the certificate (DER) that TLS verified; no header can be named so."""
# Each role may do what the roles before it may.
RANKS = {"reader": 0, "recorder": 1, "endorser": 2, "operator": 3}


def authenticate(callers: Callers, incoming: Request) -> Caller:
    """The caller behind `Authorization: Bearer …`, a client certificate or a signature; raises `Unrecognised`."""
    scheme, _, word = incoming.headers.get("Authorization", "").partition(" ")
    bearer = word.strip() if scheme.lower() == "bearer" else "" if scheme else None
    return callers.recognise(Presented(bearer, incoming.environ.get(CERTIFICATE), signed.head_of(incoming)))


def authorise(client: Caller, role: str) -> None:
    """Refuse a caller whose role is below the one that the route names; an unknown role is below all."""
    if RANKS.get(client.role, -1) < RANKS[role]:
        raise HttpProblem(403, "role-too-low", f"This needs the role {role}; the key has {client.role}.", needed=role)
