# SPDX-License-Identifier: Apache-2.0
"""Who did what: every transaction of the channel, those that were found invalid too, by what can be asked of them."""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, Protocol

from chaincode.domain.errors import InvalidField
from chaincode.domain.register import locate
from chaincode.domain.values import OrgId, Ref
from gateway.services.conditions import Tally
from gateway.services.cursors import sealed, unsealed
from gateway.services.filters import InvalidParameter, microseconds_of
from gateway.services.ports import Json

INVALID: Final = "INVALID"
"""What stands for every validation code but VALID."""
VALID: Final = "VALID"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CLIENT: Final = re.compile(r"[0-9a-f]{32}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_VALIDITY: Final = re.compile(r"[A-Z][A-Z0-9_]{0,63}|[0-9]{1,3}")
_HIGHEST: Final = 9_999_999_999
_LONGEST: Final = 320
"""Characters of a filter's text: what is kept of a subject or a name is no longer."""


@dataclass(frozen=True, slots=True)
class Sought:
    """What is asked of transactions, all of it; `None` where nothing is asked."""

    organisation: str | None = None
    subject: str | None = None
    certificate: str | None = None
    client: str | None = None
    function: str | None = None
    validity: str | None = None
    """A name of Fabric's, or `INVALID`."""
    reference: str | None = None
    since: int | None = None
    before: int | None = None
    """Microseconds since 1970."""
    from_height: int | None = None
    until_height: int | None = None
    """The first block, and the one after the last."""
    newest: bool = False
    """Whether they come in the other order, the newest first."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One transaction as the blocks have it."""

    id: str
    block: int
    number: int
    """Its place in the block, from 0."""
    code: int
    validity: str
    at: int | None
    """The time that its client claims, in microseconds since 1970."""
    organisation: str
    subject: str
    certificate: str
    client: str | None
    chaincode: str
    function: str | None
    event: str | None
    endorsers: tuple[str, ...]
    about: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """Some transactions in their order; `next` is `None` at the end."""

    items: tuple[Listed, ...]
    next: str | None


class Transactions(Protocol):
    """Every transaction of the blocks that were read."""

    def listed(self, sought: Sought, *, after: str | None, limit: int) -> Listing:
        """At most `limit` transactions; `after` is the `next` of the page before, `ValueError` where it is none.

        What one call looks at is bounded: a page may hold fewer than `limit`, or none, and still have a `next`.
        """
        ...

    def counted(self, sought: Sought) -> Tally:
        """How many there are, counted as far as one call may look."""
        ...

    def at(self, block: int, number: int) -> Listed | None:
        """The transaction at a place of a block."""
        ...

    def found(self, transaction_id: str) -> Listed | None:
        """The transaction that counts for an id: the valid one, else the first."""
        ...


Naming = Callable[[], Iterable[tuple[str, str]]]
"""The clients of this gateway: what the ledger calls each, and its name here."""


class TransactionView:
    """Answers who did what, for programs."""

    def __init__(self, transactions: Transactions, naming: Naming) -> None:
        self._transactions = transactions
        self._naming = naming

    def page(self, filters: Mapping[str, str], *, cursor: str | None, limit: int) -> Json:
        """A page of transactions, and how many the whole list holds; raises `InvalidParameter`."""
        names = dict(self._naming())
        sought = _sought(filters, names)
        try:
            found = self._transactions.listed(sought, after=unsealed(cursor, _about(sought)), limit=limit)
        except ValueError:
            raise InvalidParameter("cursor", "it must be the 'next' of an earlier page of this list") from None
        tally = self._transactions.counted(sought)
        return {
            "items": [_shown(each, names) for each in found.items],
            "next": None if found.next is None else sealed(found.next, _about(sought)),
            "count": tally.count,
            "count_exact": tally.exact,
        }

    def one(self, transaction_id: str) -> Json | None:
        """The transaction that counts for an id."""
        found = self._transactions.found(transaction_id)
        return None if found is None else _shown(found, dict(self._naming()))


def _about(sought: Sought) -> bytes:
    """What tells the lists of different questions apart."""
    return hashlib.sha256(json.dumps(asdict(sought)).encode()).digest()


def _sought(filters: Mapping[str, str], names: Mapping[str, str]) -> Sought:
    sought = Sought()
    for name, text in filters.items():
        try:
            sought = replace(sought, **_read(name, text, names))
        except InvalidField as exc:
            raise InvalidParameter(name, exc.reason) from None
        except ValueError as exc:
            raise InvalidParameter(name, str(exc)) from None
    return sought


def _read(name: str, text: str, names: Mapping[str, str]) -> dict[str, Any]:
    if not 1 <= len(text) <= _LONGEST:
        raise ValueError(f"it must have 1 to {_LONGEST} characters")
    return {name: _client(text, names)} if name == "client" else _READERS[name](text)


def _identity(text: str) -> dict[str, Any]:
    return {"certificate" if _DIGEST.fullmatch(text) else "subject": text}


def _validity(text: str) -> dict[str, Any]:
    if _VALIDITY.fullmatch(text) is None:
        raise ValueError("it must be VALID, INVALID, or a name of Fabric's such as MVCC_READ_CONFLICT")
    return {"validity": text}


def _reference(text: str) -> dict[str, Any]:
    locate(Ref(text))
    return {"reference": text}


def _height(name: str, text: str) -> dict[str, Any]:
    if not text.isascii() or not text.isdecimal() or len(text) > len(str(_HIGHEST)) or not 1 <= int(text) <= _HIGHEST:
        raise ValueError(f"it must be a whole number from 1 to {_HIGHEST}")
    return {name: int(text)}


def _order(text: str) -> dict[str, Any]:
    if text not in ("ledger", "newest"):
        raise ValueError("it must be ledger or newest")
    return {"newest": text == "newest"}


_READERS: Final[Mapping[str, Callable[[str], dict[str, Any]]]] = {
    "organisation": lambda text: {"organisation": str(OrgId(text))},
    "identity": _identity,
    "function": lambda text: {"function": text},
    "validity": _validity,
    "about": _reference,
    "reference": _reference,
    "since": lambda text: {"since": microseconds_of(text)},
    "before": lambda text: {"before": microseconds_of(text)},
    "from_height": partial(_height, "from_height"),
    "until_height": partial(_height, "until_height"),
    "order": _order,
}
FILTERS: Final = ("client", *_READERS)
"""The names of the filters that there are."""


def _client(text: str, names: Mapping[str, str]) -> str:
    """What the ledger calls a client that is given so, or by the name that it has at this gateway."""
    if _CLIENT.fullmatch(text) is not None:
        return text
    found = next((client for client, name in names.items() if name == text), None)
    if found is None:
        raise ValueError("it must be 32 hexadecimal digits, or the name of a key of this gateway")
    return found


def _shown(listed: Listed, names: Mapping[str, str]) -> Json:
    known = bool(listed.subject or listed.certificate)
    return {
        "id": listed.id,
        "block": listed.block,
        "number": listed.number,
        "at": None if listed.at is None else _instant(listed.at),
        "organisation": listed.organisation,
        "identity": {"subject": listed.subject, "certificate": listed.certificate} if known else None,
        "client": None if listed.client is None else {"id": listed.client, "name": names.get(listed.client)},
        "chaincode": listed.chaincode or None,
        "function": listed.function,
        "about": list(listed.about),
        "endorsed_by": list(listed.endorsers),
        "valid": listed.code == 0,
        "validation_code": listed.code,
        "validity": listed.validity,
        "event": listed.event,
    }


def _instant(microseconds: int) -> str:
    return (_EPOCH + timedelta(microseconds=microseconds)).isoformat().replace("+00:00", "Z")
