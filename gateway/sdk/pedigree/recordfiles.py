# SPDX-License-Identifier: Apache-2.0
"""How a file is read as records, and what can be wrong with it.

The readers of files (`tables`, `parquet`), what compares them (`copies`) and trees (`merkle`) are copies of the
gateway's and the law's own, which `make generate` writes; what those need of their surroundings is here.
"""

from dataclasses import dataclass
from typing import Any

from pedigree.errors import InvalidInput, InvalidRequest


class Digest(bytes):
    """A SHA-256; as text, in lower-case hex."""

    def __str__(self) -> str:
        return self.hex()


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is read as records, and its columns."""

    media_type: str
    id_field: str | None = None
    """The column or member that holds each record's id; `None` where records are numbered."""
    delimiter: str | None = None
    """What separates fields; `None` where records are not rows."""
    fields: tuple[str, ...] = ()
    """The names of the columns, in their order."""


class UnreadableRecords(InvalidRequest):
    """The file cannot be taken as records; the facts name line and reason."""

    def __init__(self, detail: str, *, code: str = "unreadable-records", **facts: Any) -> None:
        super().__init__(detail, code=code, facts=facts)  # type: ignore[arg-type]  # those of a problem, by their names


class RepeatedId(UnreadableRecords):
    """Two records have the same id."""


class UnknownDelimiter(InvalidInput):
    """What is to stand between fields is nothing that may."""

    def __init__(self, detail: str, *, delimiter: str) -> None:
        super().__init__(f"{detail}, not {delimiter!r}", field="delimiter")


def repeated(record_id: str, position: int, first: int) -> RepeatedId:
    """The refusal of a file in which two records have the same id; both positions count from 0."""
    text = f"record {position + 1} has the id {record_id!r}, which record {first + 1} has already"
    return RepeatedId(text, code="record-id-repeated", index=position, first=first)
