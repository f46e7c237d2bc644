# SPDX-License-Identifier: Apache-2.0
"""The page on permissions, in Markdown: scopes, roles and who may ask for what."""

from collections.abc import Iterator
from types import MappingProxyType
from typing import Final

from gateway.api.operations import NOUNS
from gateway.api.permissions import BESIDE_OPERATIONS, PERMISSIONS, Credential, Permission
from gateway.api.scopes import ANY_CLIENT, SCOPES

_HEAD: Final = """# Permissions

This page is written by `make generate` from the table that a gateway decides by (`gateway/api/permissions.py`). A route
that has no row is refused to everybody. How clients are given scopes, roles and owners is in
[the guide to the gateway's door](guide/door.md#what-a-client-may).

What the consortium lets an *organisation* do is another matter: the chaincode decides that for every transaction, by
the certificate that signed it, whichever way it came. The last column has the code with which it refuses a record that
the command may not be about.

## Scopes

A role is a bundle of scopes: those that name it, and those of the roles before it in this order: reader, recorder,
endorser, operator.
"""
_WHOSE: Final = MappingProxyType(
    {"own": "its own", "other": "another member's", "any": "anybody's", "new": "one that it makes", "none": "–"}
)
_NARROWED: Final = MappingProxyType(
    {"record": "only theirs; others are answered 404", "list": "only theirs are listed and counted",
     "open": "as everybody", "": "refused"}
)  # fmt: skip
_PROVEN: Final = MappingProxyType(
    {Credential.CLIENT: "as for operations", Credential.STATEMENT: "a member's signed statement, or the token it got",
     Credential.LOG: "the signature of a log that is known", Credential.NOTHING: "nothing"}
)  # fmt: skip


def page() -> str:
    """The whole page."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield _HEAD
    yield "| scope | first role | what a client may |"
    yield "|---|---|---|"
    for name, scope in SCOPES.items():
        yield f"| `{name}` | {scope.role} | {scope.meaning} |"
    yield "\n## Operations\n"
    yield "*Whose record* is from the view of the gateway's organisation. *Of some owners* is what a client gets that"
    yield "may see the records of some owners alone."
    for noun, rows in NOUNS.items():
        yield f"\n### {noun.capitalize()}\n"
        yield "| operation | scope | role | whose record | of some owners | else refused |"
        yield "|---|---|---|---|---|---|"
        yield from (_row(PERMISSIONS[each.name]) for each in rows)
    yield "\n## Routes beside the operations\n"
    yield "| route | what it is | proven by | scope | of some owners |"
    yield "|---|---|---|---|---|"
    for row in BESIDE_OPERATIONS:
        client = row.credential is Credential.CLIENT
        needed, narrowed = (f"`{row.scope}`", _NARROWED[row.narrowed]) if client else ("–", "–")
        yield f"| `{row.method} {row.path}` | {row.does} | {_PROVEN[row.credential]} | {needed} | {narrowed} |"
    yield ""


def _row(row: Permission) -> str:
    needed = "any client" if row.scope == ANY_CLIENT else f"`{row.scope}`"
    if row.of_others:
        needed += f"; of other clients `{row.of_others}`"
    refused = f"`{row.refused_else}`" if row.refused_else else "–"
    cells = (f"`{row.method} {row.path}`", needed, row.role, _WHOSE[row.whose], _NARROWED[row.narrowed], refused)
    return f"| {' | '.join(cells)} |"
