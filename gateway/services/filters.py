# SPDX-License-Identifier: Apache-2.0
"""The filters of lists: how the text of a parameter becomes a condition on entries.

A list says by name which filters it has (`gateway/api/operations.py`). What each means is the same for every list.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Final, TypeVar, get_type_hints

from chaincode.domain.attempting import AccessDecision
from chaincode.domain.criteria import EvaluationVerdict
from chaincode.domain.errors import InvalidField, LedgerError
from chaincode.domain.grants import GrantStatus, Reason
from chaincode.domain.policy import Stage
from chaincode.domain.provenance import Sensitivity
from chaincode.domain.register import KIND, RECORDS, locate
from chaincode.domain.spdx import Licence
from chaincode.domain.usage import InputRole
from chaincode.domain.values import Iri, Name, Number, OrgId, Ref
from gateway.services.attributes import ABOUT, LICENCE, RELATION, SENSITIVITY, STAGE
from gateway.services.conditions import CREATED, DIGEST, Begins, Condition, Conditions, OneOf, Within, prefixed
from gateway.services.ports import Category, PortError

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_DIGEST: Final = re.compile(r"[0-9a-f]{8,64}")
_RELATION: Final = re.compile(r"[a-z][a-z:-]{0,63}")
SHORTEST_DIGEST: Final = 8
WHOLE_DIGEST: Final = 64

E = TypeVar("E", Stage, Sensitivity, InputRole, EvaluationVerdict, AccessDecision, GrantStatus, Reason)


class InvalidParameter(PortError):
    """A parameter of a query cannot be understood; the facts name it, the message says what would be right."""

    code = "invalid-parameter"
    category = Category.UNREADABLE

    def __init__(self, parameter: str, reason: str) -> None:
        super().__init__(f"{parameter}: {reason}.", parameter=parameter)


def conditions_of(given: Mapping[str, str]) -> Conditions:
    """What filters ask for, all of it; raises `InvalidParameter`."""
    return tuple(_condition(name, text) for name, text in sorted(given.items()))


def kind_cited(text: str) -> str:
    """What references to a kind of record begin with; raises `InvalidParameter` for one that nobody cites."""
    row = KIND.get(text)
    if row is None or not row.reference:
        choices = ", ".join(row.name for row in RECORDS if row.reference)
        raise InvalidParameter("kind", f"it must be one of {choices}")
    return row.reference


def digest_prefix(text: str) -> str | None:
    """The hexadecimal digits of a digest or of its beginning, in lower case; `None` for other text."""
    digits = text.casefold().removeprefix("sha256:")
    return digits if _DIGEST.fullmatch(digits) is not None else None


def digest_condition(digits: str) -> Condition:
    """Entries that name a digest which is, or begins with, these digits."""
    return OneOf(DIGEST, (digits,)) if len(digits) == WHOLE_DIGEST else Begins(DIGEST, digits)


def _condition(name: str, text: str) -> Condition:
    try:
        return _READERS[name](text)
    except InvalidField as exc:
        raise InvalidParameter(name, exc.reason) from None
    except LedgerError as exc:
        raise InvalidParameter(name, f"it must be an SPDX licence expression; {str(exc).rstrip('.')}") from None
    except ValueError as exc:
        raise InvalidParameter(name, str(exc)) from None


def _one_of(field: str, choices: type[E]) -> Callable[[str], Condition]:
    def read(text: str) -> Condition:
        if text not in [choice.value for choice in choices]:
            raise ValueError(f"it must be one of {', '.join(choice.value for choice in choices)}")
        return OneOf(field, (text,))

    return read


def _name(text: str) -> Condition:
    if _NAME.fullmatch(text) is None:
        raise ValueError("it must be the beginning of a name: 1 to 64 lower-case letters, digits, '.', '_' and '-'")
    return prefixed(text)


def _digest(text: str) -> Condition:
    digits = digest_prefix(text)
    if digits is None:
        raise ValueError(f"it must be a digest in hexadecimal digits, or its first {SHORTEST_DIGEST} or more")
    return digest_condition(digits)


def _number(text: str) -> Condition:
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise ValueError("it must be a whole number from 1")
    return OneOf("number", (str(Number(int(text))),))


def _relation(text: str) -> Condition:
    if _RELATION.fullmatch(text) is None:
        raise ValueError("it must be a relation such as 'extends' or 'input:train': small letters, ':' and '-'")
    return OneOf(RELATION, (text,))


def _reference(field: str, text: str) -> Condition:
    reference = Ref(text)
    locate(reference)
    return OneOf(field, (reference,))


def _since(text: str) -> Condition:
    return Within(CREATED, instant_of(text), None)


def _before(text: str) -> Condition:
    # No entry is older than time itself: only the upper end is asked for.
    return Within(CREATED, _EARLIEST, instant_of(text))


def instant_of(text: str) -> int:
    """An instant of RFC 3339, or a date, which begins at midnight UTC; rounded up to whole milliseconds."""
    return -(-microseconds_of(text) // 1000)


def microseconds_of(text: str) -> int:
    """The same to the microsecond, since 1970."""
    try:
        if _DATE.fullmatch(text) is not None:
            day = date.fromisoformat(text)
            instant = datetime(day.year, day.month, day.day, tzinfo=UTC)
        else:
            # In a query string a plus that nobody escaped is a space.
            instant = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
        return (instant - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, TypeError, OverflowError):
        raise ValueError("it must be an instant such as 2026-11-28T22:00:00Z, or a date") from None


_EARLIEST: Final = -((_EPOCH - datetime.min.replace(tzinfo=UTC)) // timedelta(milliseconds=1))
_REFERENCES: Final = sorted(
    {name for kind in RECORDS for name, hint in get_type_hints(kind.record).items() if hint is Ref}
)
"""The fields of records in which a reference to another one stands, such as the `subject` of an evaluation."""
_READERS: Final[Mapping[str, Callable[[str], Condition]]] = {
    **{name: partial(_reference, name) for name in _REFERENCES},
    "owner": lambda text: OneOf("owner", (OrgId(text),)),
    "stage": _one_of(STAGE, Stage),
    "licence": lambda text: OneOf(LICENCE, (Licence(text),)),
    "sensitivity": _one_of(SENSITIVITY, Sensitivity),
    "role": _one_of("role", InputRole),
    "purpose": lambda text: OneOf("purpose", (Iri(text),)),
    "criteria": lambda text: OneOf("criteria", (Name(text),)),
    "model": lambda text: OneOf("model", (Name(text),)),
    "verdict": _one_of("verdict", EvaluationVerdict),
    "grantee": lambda text: OneOf("grantee", (OrgId(text),)),
    "grant": lambda text: OneOf("grant", (Name(text),)),
    "request": lambda text: OneOf("request", (Name(text),)),
    "grant_status": _one_of("status", GrantStatus),
    "access_decision": _one_of("decision", AccessDecision),
    "reason": _one_of("reason", Reason),
    "since": _since,
    "before": _before,
    "name": _name,
    "digest": _digest,
    "number": _number,
    "by": lambda text: OneOf("by", (OrgId(text),)),
    "kind": lambda text: OneOf(ABOUT, (kind_cited(text),)),
    "relation": _relation,
}
FILTERS: Final = tuple(_READERS)
"""The names of the filters that there are."""
