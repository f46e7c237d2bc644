# SPDX-License-Identifier: Apache-2.0
"""How a file is read as records, and what can be wrong with it.

Readers of files and what compares them (`tables`, `parquet`, `copies`) need nothing else of the gateway, so that the
SDK has them too: `make generate` copies them, and `pedigree.recordfiles` is to them what this module is here.
"""

from dataclasses import dataclass

from chaincode.domain.errors import RecordIdRepeated
from gateway.services.failures import Category, PortError


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is read as records, and its columns; kept with the records, so that it need be said once."""

    media_type: str
    id_field: str | None = None
    """The column or member that holds each record's id; `None` where records are numbered."""
    delimiter: str | None = None
    """What separates fields; `None` where records are not rows."""
    fields: tuple[str, ...] = ()
    """The names of the columns, in their order."""


class UnreadableRecords(PortError):
    """The file cannot be taken as records; the facts name line and reason."""

    code = "unreadable-records"
    category = Category.UNACCEPTABLE


class RepeatedId(UnreadableRecords):
    """Two records have the same id: the law's own refusal, in words that name the id."""

    code = RecordIdRepeated.code


class UnknownDelimiter(PortError):
    """What is to stand between fields is nothing that may."""

    code = "unknown-delimiter"
    category = Category.UNACCEPTABLE


def repeated(record_id: str, position: int, first: int) -> RepeatedId:
    """The refusal of a file in which two records have the same id; both positions count from 0."""
    facts = RecordIdRepeated(position, first).facts()
    text = f"record {position + 1} has the id {record_id!r}, which record {first + 1} has already"
    return RepeatedId(text, **facts)
