# SPDX-License-Identifier: Apache-2.0
"""The audit log for those who may read it: lists, single entries with their proofs, and the whole as a file."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any, Final

from chaincode.domain import canonical, merkle
from chaincode.domain.errors import InvalidField
from chaincode.domain.register import locate
from chaincode.domain.values import Ref
from gateway.services.auditlog import FAILED, REFUSED, AuditLog, Sought
from gateway.services.cursors import sealed, unsealed
from gateway.services.filters import InvalidParameter, instant_of
from gateway.services.ports import Category, Json, PortError
from gateway.services.transactions import Naming

_CLIENT: Final = re.compile(r"[0-9a-f]{32}")
_CODE: Final = re.compile(r"[a-z][a-z0-9-]{0,79}")
_OPERATION: Final = re.compile(r"[A-Za-z_]{1,80}")
NOBODY: Final = "none"
"""What stands for those who showed no key that is known."""


class NoSuchEntry(PortError):
    """The audit log has no entry of that number."""

    code = "no-such-entry"
    category = Category.NOT_FOUND


class AuditView:
    """Answers from the audit log."""

    def __init__(self, log: AuditLog, naming: Naming) -> None:
        self._log = log
        self._naming = naming

    def page(self, filters: Mapping[str, str], *, cursor: str | None, limit: int) -> Json:
        """A page of entries, the last one first; raises `InvalidParameter`."""
        names = dict(self._naming())
        sought = _sought(filters, names)
        asked = hashlib.sha256(json.dumps(asdict(sought)).encode()).digest()
        place = unsealed(cursor, asked)
        found, end = self._log.store.listed(sought, below=None if place is None else int(place), limit=limit)
        last, _ = self._log.store.anchors()
        return {
            "items": [_shown(each, names) for each in found],
            "next": None if end is None else sealed(str(end), asked),
            "size": self._log.store.size(),
            "anchored": 0 if last is None else last.size,
        }

    def one(self, number: int) -> Json:
        """An entry, and what shows that it is in the last anchor; raises `NoSuchEntry`."""
        content = self._log.store.content(number)
        if content is None:
            raise NoSuchEntry(f"the audit log has no entry {number}")
        last, _ = self._log.store.anchors()
        path, anchor = [], None
        if last is not None and number <= last.size:
            path = self._log.tree().inclusion(number - 1, last.size)
            anchor = {
                "number": last.number, "size": last.size, "root": last.root.hex(), "transaction": last.transaction_id,
            }  # fmt: skip
        return {
            "entry": _shown(content, dict(self._naming())),
            "content": content.decode(),
            "hash": merkle.leaf_hash(content).hex(),
            "anchor": anchor,
            "path": [each.hex() for each in path],
        }

    def export(self) -> Iterator[bytes]:
        """Every entry in its order, one a line, as it is hashed."""
        for content in self._log.store.contents():
            yield content + b"\n"


def _shown(content: bytes, names: Mapping[str, str]) -> Json:
    """An entry with all its members, and its client by name."""
    said = canonical.parse(content)
    entry: dict[str, Any] = dict(said) if isinstance(said, dict) else {}
    client = entry.get("client")
    return {
        "number": entry.get("number"),
        "at": entry.get("at"),
        "since": entry.get("since"),
        "count": entry.get("count"),
        "client": None if client is None else {"id": client, "name": names.get(client)},
        **{name: entry.get(name) for name in ("operation", "target", "outcome", "code", "request")},
    }


def _sought(filters: Mapping[str, str], names: Mapping[str, str]) -> Sought:
    found: dict[str, Any] = {}
    for name, text in filters.items():
        try:
            found[name] = _client(text, names) if name == "client" else _READERS[name](text)
        except InvalidField as exc:
            raise InvalidParameter(name, exc.reason) from None
        except ValueError as exc:
            raise InvalidParameter(name, str(exc)) from None
    return Sought(**found)


def _client(text: str, names: Mapping[str, str]) -> str:
    if _CLIENT.fullmatch(text) is not None:
        return text
    if text == NOBODY:
        return ""
    found = next((client for client, name in names.items() if name == text), None)
    if found is None:
        raise ValueError(f"it must be 32 hexadecimal digits, the name of a key of this gateway, or {NOBODY}")
    return found


def _matching(form: re.Pattern[str], what: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if form.fullmatch(text) is None:
            raise ValueError(f"it must be {what}")
        return text

    return read


def _outcome(text: str) -> str:
    if text not in (REFUSED, FAILED):
        raise ValueError(f"it must be {REFUSED} or {FAILED}")
    return text


def _target(text: str) -> str:
    locate(Ref(text))
    return text


_READERS: Final[Mapping[str, Callable[[str], str | int]]] = {
    "operation": _matching(_OPERATION, "the name of an operation, such as registerModel"),
    "outcome": _outcome,
    "code": _matching(_CODE, "the code of a problem, such as role-too-low"),
    "target": _target,
    "since": instant_of,
    "before": instant_of,
}
FILTERS: Final = ("client", *_READERS)
"""The names of the filters that there are."""
