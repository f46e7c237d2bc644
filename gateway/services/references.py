# SPDX-License-Identifier: Apache-2.0
"""References and the records that they cite, as they are in the read model; the register says what each kind is."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import islice
from typing import Any, Final, get_args, get_type_hints

from chaincode.domain.errors import InvalidField
from chaincode.domain.register import KIND, locate
from chaincode.domain.values import Name, Ref

STANDING: Final = "artifact-stage"
"""The kind of record that says at which stage a version is."""


def identifying(reference: Ref) -> tuple[str, dict[str, str]]:
    """The kind of record that a reference cites, and the fields that identify it."""
    kind, parts = locate(reference)
    return kind.name, {field: str(part) for field, part in zip(kind.key, parts, strict=True)}


def reference_of(kind: str, record: Mapping[str, Any]) -> str | None:
    """The reference to a record, such as `model-version:net:3`; `None` for kinds that nobody cites."""
    row = KIND.get(kind)
    if row is None or not row.reference or any(field not in record for field in row.key):
        return None
    return ":".join((row.reference, *(str(record[field]) for field in row.key)))


def name_of(kind: str, record: Mapping[str, Any]) -> str | None:
    """The name of a record that references cite, or of what it is a version of: the last name in its key.

    Of a stage it is the name of the artifact.
    """
    if kind == STANDING:
        return str(record.get("artifact")).partition(":")[2].partition(":")[0] or None
    row = KIND.get(kind)
    names = [field for field, what in row.key.items() if what is Name] if row is not None and row.reference else []
    value = record.get(names[-1]) if names else None
    return value if isinstance(value, str) else None


def whole_of(kind: str) -> str | None:
    """The kind of which records of a kind are versions."""
    row = KIND.get(kind)
    return (row.belongs_to or None) if row is not None else None


def reference_to_whole(kind: str, record: Mapping[str, Any]) -> str | None:
    """The reference to what a record is a version of."""
    whole = whole_of(kind)
    return None if whole is None else reference_of(whole, record)


MOST_ABOUT: Final = 256
"""References that one transaction is found by, at most."""


def about(records: Iterable[Mapping[str, Any] | None]) -> tuple[str, ...]:
    """The references that a transaction is about which wrote these records, or would have: each once, in their order.

    They are those of the records, of what these are versions of, and those that a field of a record holds. What has
    not the form of a reference is left out.
    """
    found = (text for record in records if record is not None for text in _references(record) if _is_reference(text))
    return tuple(islice(dict.fromkeys(found), MOST_ABOUT))


def _references(record: Mapping[str, Any]) -> Iterator[str]:
    kind = record.get("kind")
    row = KIND.get(kind) if isinstance(kind, str) else None
    if row is None:
        return
    for text in (reference_of(row.name, record), reference_to_whole(row.name, record)):
        if text is not None:
            yield text
    for field in _fields_with_references(row.name):
        value = record.get(field)
        if isinstance(value, str):
            yield value


@cache
def _fields_with_references(kind: str) -> tuple[str, ...]:
    hints = get_type_hints(KIND[kind].record).items()
    return tuple(name for name, hint in hints if hint is Ref or Ref in get_args(hint))


def _is_reference(text: str) -> bool:
    try:
        Ref(text)
    except InvalidField:
        return False
    return True
