# SPDX-License-Identifier: Apache-2.0
"""References and the records that they cite, as they are in the read model; the register says what each kind is."""

from collections.abc import Mapping
from typing import Any, Final

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
