# SPDX-License-Identifier: Apache-2.0
"""Which claims of a token say who a client is, and which give it a role: a file of the operator's."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from gateway.api.scopes import ROLES, SCOPES, role_of, scopes_of, why_not
from gateway.services.callers import RoleMissing, Unrecognised

_LONGEST = 500
_FIELDS = {"client", "name", "roles"}
_ROW = {"claim", "value", "role", "scopes", "owners"}


@dataclass(frozen=True, slots=True)
class Grant:
    """A role or some of its scopes, and the value of a claim that gives them."""

    claim: tuple[str, ...]
    """The claim's name; behind it, the names within its object."""
    value: str
    role: str
    scopes: frozenset[str] | None = None
    """These of the role's scopes; all of them by default."""
    owners: frozenset[str] | None = None
    """Whose records the client may see; everybody's by default."""

    @property
    def held(self) -> frozenset[str]:
        """The scopes that it gives."""
        return scopes_of(self.role) if self.scopes is None else self.scopes


class Claimed(NamedTuple):
    """What a token's claims come to."""

    client: str
    name: str
    role: str
    scopes: frozenset[str] | None
    owners: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Claims:
    """What is read of a token's claims; without a grant that fits, it gives no role."""

    client: tuple[str, ...] = ("sub",)
    name: tuple[str, ...] = ("sub",)
    grants: Sequence[Grant] = tuple(Grant(("roles",), f"pedigree-{role}", role) for role in ROLES)

    @classmethod
    def load(cls, path: Path) -> "Claims":
        """Read a file; raises `ValueError` that says what is wrong in it, and `OSError`."""
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError):
            raise ValueError("it is not JSON") from None
        return cls.parse(value)

    @classmethod
    def parse(cls, value: object) -> "Claims":
        """Read a document; raises `ValueError` that names the field."""
        found = _object(value, "the whole", _FIELDS)
        rows = found.get("roles")
        if not isinstance(rows, list) or not rows:
            raise ValueError("roles must be a list with at least one entry")
        client = _claim(found.get("client", "sub"), "client")
        return cls(
            client,
            _claim(found["name"], "name") if "name" in found else client,
            tuple(_grant(_object(row, f"roles[{index}]", _ROW), index) for index, row in enumerate(rows)),
        )

    def read(self, claims: Mapping[str, Any]) -> Claimed:
        """The client, its name and what it may; raises `Unrecognised` and `RoleMissing`.

        Grants that fit add up in scopes. Where one of them names owners, the client may see the records of those that
        are named, and no others: another grant does not undo that.
        """
        client = _found(claims, self.client)
        if not isinstance(client, str) or not 0 < len(client) <= _LONGEST:
            raise Unrecognised(f"The access token does not say who its client is: {'.'.join(self.client)}")
        name = _found(claims, self.name)
        grants = [grant for grant in self.grants if _holds(_found(claims, grant.claim), grant.value)]
        if not grants:
            raise RoleMissing("The access token gives no role here; which claims do, its operator says.")
        shown = name if isinstance(name, str) and 0 < len(name) <= _LONGEST else client
        scopes = frozenset[str]().union(*(grant.held for grant in grants))
        role = max((grant.role for grant in grants), key=ROLES.index)
        owners = [grant.owners for grant in grants if grant.owners is not None]
        return Claimed(
            client,
            shown,
            role,
            None if scopes == scopes_of(role) else scopes,
            frozenset[str]().union(*owners) if owners else None,
        )


def _found(claims: Mapping[str, Any], path: Sequence[str]) -> Any:
    value: Any = claims
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _holds(found: Any, value: str) -> bool:
    """Whether a claim has a value: as its text, among its words (as in `scope`), or in its list."""
    if isinstance(found, str):
        return found == value or value in found.split(" ")
    return isinstance(found, list) and value in found


def _object(value: object, where: str, known: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{where} must be an object")
    for name in value:
        if name not in known:
            raise ValueError(f"{where} has the field {name!r}; it may have {', '.join(sorted(known))}")
    return value


def _claim(value: object, where: str) -> tuple[str, ...]:
    """A claim's name, or a list of names that lead into objects."""
    names = value if isinstance(value, list) else [value]
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ValueError(f"{where} must be a claim's name, or a list of names that lead into it")
    return tuple(names)


def _grant(row: Mapping[str, Any], index: int) -> Grant:
    if not isinstance(row.get("value"), str) or not row["value"]:
        raise ValueError(f"roles[{index}].value must be text")
    scopes, owners = (_words(row, name, f"roles[{index}].{name}") for name in ("scopes", "owners"))
    if scopes is not None and (unknown := sorted(scopes - SCOPES.keys())):
        raise ValueError(f"roles[{index}].scopes has {unknown[0]!r}; there are {', '.join(SCOPES)}")
    role = row.get("role", role_of(scopes)) if scopes is not None else row.get("role")
    if role not in ROLES:
        raise ValueError(f"roles[{index}].role must be one of {', '.join(ROLES)}")
    if (reason := why_not(role, scopes)) is not None:
        raise ValueError(f"roles[{index}].scopes: {reason}")
    return Grant(_claim(row.get("claim"), f"roles[{index}].claim"), row["value"], role, scopes, owners)


def _words(row: Mapping[str, Any], name: str, where: str) -> frozenset[str] | None:
    """A list of words; `None` where there is none."""
    if name not in row:
        return None
    found = row[name]
    if not isinstance(found, list) or not found or not all(isinstance(each, str) and each for each in found):
        raise ValueError(f"{where} must be a list of texts, one at least")
    return frozenset(found)
