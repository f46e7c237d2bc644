# SPDX-License-Identifier: Apache-2.0
"""Who calls, and what it may ask for: the table of permissions says it, and is asked here, for every route.

What the consortium lets an organisation do is decided by the chaincode; this only narrows it.
"""

from collections.abc import Callable, Mapping
from typing import Final

from flask import Request, g

from chaincode.domain.errors import InvalidField, RecordNotFound
from gateway.api.permissions import (
    PERMISSION_OF_COMMAND,
    SCOPE_OF_KIND,
    Decision,
    Holder,
    Permission,
    Verdict,
    decide,
)
from gateway.api.scopes import ANY_CLIENT, SCOPES
from gateway.rest import signed
from gateway.rest.problems import HttpProblem
from gateway.services.callers import Caller, Callers, Presented

CERTIFICATE: Final = "pedigree.client_certificate"
"""Where the server puts the certificate (DER) that TLS verified; no header can be named so."""
OwnerOf = Callable[[str], str | None]
"""Whose the record of a reference is; `None` where there is none. Raises `InvalidField` for what is not a reference."""


def authenticate(callers: Callers, incoming: Request) -> Caller:
    """The caller behind `Authorization: Bearer …`, a client certificate or a signature; raises `Unrecognised`."""
    scheme, _, word = incoming.headers.get("Authorization", "").partition(" ")
    bearer = word.strip() if scheme.lower() == "bearer" else "" if scheme else None
    return callers.recognise(Presented(bearer, incoming.environ.get(CERTIFICATE), signed.head_of(incoming)))


def holder_of(client: Caller) -> Holder:
    """What a client may."""
    return Holder.of(client.role, client.scopes, client.owners)


def authorise(client: Caller, row: Permission, *, reference: str = "", owner: str | None = None) -> None:
    """Refuse what the table of permissions does not let a client ask for; see `decide`."""
    decision = decide(row, holder_of(client), reference=reference, owner=owner)
    if decision.verdict is not Verdict.ALLOWED:
        raise refusal(client, decision, reference)


def authorise_command(client: Caller, function: str) -> None:
    """The same for a command that comes in a batch or is signed elsewhere; raises `InvalidField` where it is none."""
    row = PERMISSION_OF_COMMAND.get(function)
    if row is None:
        raise InvalidField("/function", "it must be a function that records, such as model:register")
    authorise(client, row)


def authorise_request(client: Caller, row: Permission, path: Mapping[str, str], owner_of: OwnerOf) -> None:
    """The same for a request, of what its path names; raises `InvalidField` for what names no record that could be.

    Args:
        owner_of: whose a record is; it is asked where the answer depends on that.
    """
    reference = row.about.format_map(path)
    looked_at = row.narrowed == "record" and client.owners is not None
    authorise(client, row, reference=reference, owner=owner_of(reference) if looked_at else None)


def refusal(client: Caller, decision: Decision, reference: str) -> Exception:
    """What is answered to a client that may not."""
    if decision.verdict is Verdict.HIDDEN:
        # As where there is no such record, to the letter; the audit log knows it, and who asked does not.
        g.hidden = True
        return RecordNotFound(reference)
    if decision.verdict is Verdict.BEYOND_OWNERS:
        owners = ", ".join(sorted(client.owners or ()))
        said = f"This tells of records of every owner, and the client may see those of {owners} alone."
        return HttpProblem(403, "beyond-owners", said)
    needed = decision.needed
    if client.scopes is not None:
        said = f"This needs the scope {needed}, which the client was not given."
        return HttpProblem(403, "scope-missing", said, needed=needed)
    role = SCOPES[needed].role
    said = f"This needs the role {role}, which has the scope {needed}; the key has {client.role}."
    return HttpProblem(403, "role-too-low", said, needed=role)


def scopes_shown(client: Caller) -> list[str]:
    """The scopes that a client has, in the order of the table."""
    held = holder_of(client).scopes
    return [name for name in SCOPES if name in held]


def sees_others(client: Caller, row: Permission) -> bool:
    """Whether a client may ask for what a row is of about what another client made."""
    return decide(row, holder_of(client), made=False).verdict is Verdict.ALLOWED


def kinds_read(client: Caller) -> frozenset[str]:
    """The kinds of records that a client may read."""
    held = holder_of(client).scopes
    return frozenset(kind for kind, scope in SCOPE_OF_KIND.items() if scope in held or scope == ANY_CLIENT)
