# SPDX-License-Identifier: Apache-2.0
"""A chaincode's refusal, out of the text that a peer hands on: its form is checked before anything of it is used.

The text is as trustworthy as the peer that ran the chaincode: whether it decides anything is for `peererrors` to say.
Whatever it holds, what comes out is a failure that can be shown, stored and logged.
"""

import dataclasses
import logging
import re
from collections.abc import Mapping
from typing import get_type_hints

from chaincode.domain import canonical
from chaincode.domain import errors as law
from gateway.fabric.texts import said
from gateway.services.ports import Json, LedgerMisuse, PortError, Refused, Unavailable

__all__ = ["Failure", "parse_object", "refusal", "refusal_in"]

Failure = PortError | law.LedgerError

_LOG = logging.getLogger(__name__)
_CHAINCODE_SAID = re.compile(r"chaincode response (\d{3}), (.*)", re.DOTALL)
_CODE = re.compile(r"[a-z][a-z0-9-]{0,63}")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_TRANSACTION = re.compile(r"[0-9a-f]{64}")
_MOST_FACTS = 32
_LONGEST_LIST = 1_024
_LONGEST_TEXT = 4_096
_LARGEST_NUMBER = 2**63
_KINDS = {
    error.code: error
    for family in law.LedgerError.__subclasses__()
    for error in family.__subclasses__()
}  # fmt: skip
_TYPES: dict[str, dict[str, type]] = {
    code: {
        name: hint if hint in (str, int) else tuple
        for name, hint in get_type_hints(kind).items()
        if name in {field.name for field in dataclasses.fields(kind)}
    }
    for code, kind in _KINDS.items()
}
"""The type of each fact of each refusal."""


def refusal_in(text: str) -> tuple[int, str] | None:
    """Status and body of a chaincode's answer in a peer's text; `None` where the peer speaks for itself."""
    found = _CHAINCODE_SAID.search(text)
    return None if found is None else (int(found[1]), found[2])


def refusal(status: int, text: str) -> Failure:
    """The chaincode's own no: status 400 with a coded refusal, anything else is a defect of it."""
    value = parse_object(text.encode("utf-8", "replace"))
    code = None if value is None else value.get("code")
    if code == "clock-skew":
        return Unavailable(
            "an organisation's clock and this gateway's differ too much", code="clock-skew", retry_after=30
        )
    if status != 400 or value is None or not isinstance(code, str) or not _CODE.fullmatch(code):
        _LOG.error("the chaincode failed with status %d: %s", status, said(text, 500))
        return LedgerMisuse("the chaincode failed; see the gateway's log", status=status)
    facts = _facts(value.get("facts"))
    known = _known(code, facts)
    if known is not None:
        return known
    message = value.get("message")
    unknown = Refused(said(message) if isinstance(message, str) else code, code=code)
    unknown.facts = {name: list(fact) if isinstance(fact, tuple) else fact for name, fact in facts.items()}
    return unknown


def parse_object(data: bytes) -> Json | None:
    """The JSON object in `data`, `None` when it is anything else."""
    try:
        value = canonical.parse(data)
    except law.Malformed:
        return None
    return value if isinstance(value, dict) else None


def _known(code: str, facts: Mapping[str, law.Fact]) -> law.LedgerError | None:
    """The law's own refusal of this code, where the facts are of the types that it has."""
    kind = _KINDS.get(code)
    if kind is None:
        return None
    types = _TYPES[code]
    fitting = facts.keys() == types.keys() and all(isinstance(facts[name], types[name]) for name in types)
    if not fitting or not _TRANSACTION.fullmatch(str(facts.get("transaction", "0" * 64))):
        _LOG.warning("the refusal %s has other facts than this gateway knows", code)
        return None
    return kind(**facts)


def _facts(value: object) -> dict[str, law.Fact]:
    """What has the form of a fact; the rest is left out."""
    if not isinstance(value, dict) or len(value) > _MOST_FACTS:
        return {}
    found = ((name, _fact(fact)) for name, fact in value.items() if _NAME.fullmatch(name))
    return {name: fact for name, fact in found if fact is not None}


def _fact(value: object) -> law.Fact | None:
    if isinstance(value, str):
        return said(value, _LONGEST_TEXT)
    if isinstance(value, int) and not isinstance(value, bool) and -_LARGEST_NUMBER <= value < _LARGEST_NUMBER:
        return value
    if isinstance(value, list) and len(value) <= _LONGEST_LIST and all(isinstance(each, str) for each in value):
        return tuple(said(each, _LONGEST_TEXT) for each in value)
    return None
