# SPDX-License-Identifier: Apache-2.0
"""The one table of permissions: who may ask for what, and the one function that decides by it.

A row follows from each row of the table of operations; routes that others defined have rows of their own. Whatever has
no row is refused. What the consortium lets an organisation do is not decided here: the ledger does, again and by
itself, for anyone who asks, whichever way it comes. A row says with which code (`refused_else`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from gateway.api.operations import OPERATIONS
from gateway.api.rows import Operation
from gateway.api.scopes import ANY_CLIENT, ROLES, SCOPES, scopes_of


class Credential(Enum):
    """What a caller has to prove who it is with."""

    CLIENT = "client"
    """With what this gateway's operator, or the issuer that it named, gave to a client of its own."""
    STATEMENT = "statement"
    """By a statement that a member of the channel signed, or the token that it was answered with."""
    LOG = "log"
    """With the signature of a log whose key this gateway knows."""
    NOTHING = "nothing"
    """Everybody may ask."""


@dataclass(frozen=True, slots=True)
class Permission:
    """A row: a route, and who may ask for it."""

    name: str
    method: str
    path: str
    does: str
    credential: Credential
    scope: str = ANY_CLIENT
    """What a client has to be let do."""
    whose: Literal["own", "other", "any", "new", "none"] = "none"
    narrowed: Literal["record", "list", "open", ""] = ""
    """How a client is answered that may see the records of some owners alone; empty where it is not."""
    refused_else: str = ""
    """The code with which the ledger refuses it about a record that it may not be about."""
    about: str = ""
    """The reference of the record that the path names."""
    of_others: str = ""
    """The scope with which a client asks for it about what another client made; where it has none, nobody does."""

    @property
    def role(self) -> str:
        """The first role that has the scope."""
        return ROLES[0] if self.scope == ANY_CLIENT else SCOPES[self.scope].role


class Holder(NamedTuple):
    """What a client was let do."""

    scopes: frozenset[str]
    owners: frozenset[str] | None = None
    """Whose records it may see; `None` where that is everybody's."""

    @classmethod
    def of(cls, role: str, scopes: frozenset[str] | None, owners: frozenset[str] | None) -> "Holder":
        """What a client may that has this role: what the role may, or these scopes of it."""
        return cls(scopes_of(role) if scopes is None else scopes_of(role) & scopes, owners)


class Verdict(Enum):
    """What is decided."""

    ALLOWED = auto()
    UNIDENTIFIED = auto()
    """Who asks has not proven to be a client."""
    SCOPE_MISSING = auto()
    """The client lacks `Decision.needed`."""
    BEYOND_OWNERS = auto()
    """What is asked for may tell of records of owners whose records the client may not see."""
    HIDDEN = auto()
    """The record is of such an owner, or there is none: the client does not learn which."""


class Decision(NamedTuple):
    """A verdict, and the scope that it is about."""

    verdict: Verdict
    needed: str = ""


_ALLOWED: Final = Decision(Verdict.ALLOWED)


def decide(
    row: Permission, holder: Holder | None, *, reference: str = "", owner: str | None = None, made: bool = True
) -> Decision:
    """Whether a client may ask for what a row is of. It is all that a gateway decides by.

    Args:
        holder: what the client was let do; `None` where nobody proved to be one.
        reference: what the path names, where that is a reference: to read it, its kind may need a scope of its own.
        owner: whose the record is that the path names; `None` where it names none, or none that there is.
        made: whether the client made what it asks for, where that is kept for each client.
    """
    if row.credential is not Credential.CLIENT:
        return _ALLOWED
    if holder is None:
        return Decision(Verdict.UNIDENTIFIED)
    # What is asked to be recorded needs the scope of its command alone, as in a batch, which names no reference.
    of_the_kind = scope_of_reference(reference) if row.method == "GET" else ANY_CLIENT
    for needed in (row.scope, of_the_kind):
        if needed != ANY_CLIENT and needed not in holder.scopes:
            return Decision(Verdict.SCOPE_MISSING, needed)
    # What another client recorded may be anybody's: the answer holds the record, and no owner is looked at for it.
    if not made and (row.of_others not in holder.scopes or holder.owners is not None):
        return Decision(Verdict.HIDDEN)
    if holder.owners is None or row.narrowed in ("open", "list"):
        return _ALLOWED
    if row.narrowed != "record":
        return Decision(Verdict.BEYOND_OWNERS)
    return _ALLOWED if owner in holder.owners else Decision(Verdict.HIDDEN)


def scope_of_reference(reference: str) -> str:
    """The scope that reading a record of this reference's kind needs; `ANY_CLIENT` for what is of no kind."""
    return SCOPE_OF_KIND.get(reference.partition(":")[0], ANY_CLIENT)


def _row(operation: Operation) -> Permission:
    return Permission(
        operation.name, operation.method, operation.path, operation.does, Credential.CLIENT, operation.scope,
        operation.whose, operation.narrowed, operation.refused_else, operation.about, operation.of_others,
    )  # fmt: skip


def _scopes_of_kinds() -> Mapping[str, str]:
    """The scope that reads a kind of record, by its name and by what references to it begin with."""
    found: dict[str, str] = {}
    for operation in OPERATIONS:
        if operation.method != "GET" or operation.answer.form not in ("page", "entry"):
            continue
        for kind in (*operation.answer.kinds, *filter(None, [operation.about.partition(":")[0]])):
            if "{" not in kind and found.setdefault(kind, operation.scope) != operation.scope:
                raise ValueError(f"a {kind} is read with the scopes {found[kind]} and {operation.scope}")
    return MappingProxyType(found)


SCOPE_OF_KIND: Final = _scopes_of_kinds()

_SIGNED: Final = Credential.STATEMENT
BESIDE_OPERATIONS: Final = (
    Permission(
        "openapi", "GET", "/openapi.json", "What can be asked for, as an OpenAPI document.", Credential.NOTHING
    ),
    Permission(
        "tile", "GET", "/v1/log/tile/{path}", "A part of the log: hashes of transactions.", Credential.CLIENT,
        "transactions:read", "any",
    ),
    Permission(
        "mirrored_tile", "GET", "/v1/log/mirror/{log}/tile/{path}", "A part of a log that is mirrored here.",
        Credential.CLIENT, "transactions:read", "any",
    ),
    Permission(
        "mirrored_checkpoint", "GET", "/v1/log/mirror/{log}/checkpoint", "The checkpoint up to which it is mirrored.",
        Credential.CLIENT, "transactions:read", "any",
    ),
    Permission(
        "add_checkpoint", "POST", "/v1/log/add-checkpoint", "Have a checkpoint of a log cosigned.", Credential.LOG
    ),
    Permission("add_entries", "POST", "/v1/log/add-entries", "Have a log mirrored.", Credential.LOG),
    Permission("begin_delivery", "POST", "/v1/data", "Begin to fetch data that was granted.", _SIGNED, whose="own"),
    Permission(
        "list_reads", "POST", "/v1/data/reads", "A list of reads that this organisation committed to.", _SIGNED,
        whose="own",
    ),
    Permission("read_delivery", "GET", "/v1/data/{token}", "The data itself, sealed.", _SIGNED, whose="own"),
    Permission("read_bundle", "GET", "/v1/data/{token}/bundle", "What checks the data.", _SIGNED, whose="own"),
)  # fmt: skip
"""Routes beside the operations: what C2SP defines between logs, and what members ask by a signed statement."""


def _table() -> Mapping[str, Permission]:
    rows = (*map(_row, OPERATIONS), *BESIDE_OPERATIONS)
    if len({row.name for row in rows}) < len(rows):
        raise ValueError("two rows of the table of permissions have one name")
    return MappingProxyType({row.name: row for row in rows})


PERMISSIONS: Final = _table()
"""Every row, by the name of its operation or route."""
PERMISSION_OF_COMMAND: Final[Mapping[str, Permission]] = MappingProxyType(
    {row.body.command: PERMISSIONS[row.name] for row in OPERATIONS if row.body is not None}
)
"""The row that a command is asked for by, whichever way it comes: alone, in a batch, or signed elsewhere."""
