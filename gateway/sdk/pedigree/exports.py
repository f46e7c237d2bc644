# SPDX-License-Identifier: Apache-2.0
"""Lists of transactions, and of what a gateway refused, as files: one line after another, however many there are."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import Final

from pedigree.documents import AuditEntry, ListedTransaction

FORMATS: Final = ("csv", "jsonl")
COLUMNS: Final = (
    "block", "number", "id", "at", "organisation", "subject", "certificate", "client", "client_name", "chaincode",
    "function", "about", "endorsed_by", "validity", "event",
)  # fmt: skip
"""Of the CSV, in their order; several references or organisations are in one field, with spaces between."""
AUDIT_COLUMNS: Final = (
    "number", "at", "since", "count", "client", "client_name", "operation", "target", "outcome", "code", "request",
)  # fmt: skip
"""The same for entries of an audit log."""
_FORMULA: Final = tuple("=+-@\t\r\n＝＋－＠")
"""What a spreadsheet may take for the beginning of a formula."""


def exported(transactions: Iterable[ListedTransaction], form: str) -> Iterator[str]:
    """The lines of a file in one of the `FORMATS`, made as they are asked for.

    In CSV (RFC 4180) a text that a spreadsheet might take for a formula has an apostrophe before it; JSON Lines have
    every text as it is. Raises `ValueError` for another format.
    """
    _check(form)
    return _json_lines(transactions) if form == "jsonl" else _csv(COLUMNS, map(_row, transactions))


def exported_entries(entries: Iterable[AuditEntry], form: str) -> Iterator[str]:
    """The same for entries of an audit log."""
    _check(form)
    return _json_lines(entries) if form == "jsonl" else _csv(AUDIT_COLUMNS, map(_audit_row, entries))


def _check(form: str) -> None:
    if form not in FORMATS:
        raise ValueError(f"the format is one of {', '.join(FORMATS)}")


def _json_lines(items: Iterable[object]) -> Iterator[str]:
    for each in items:
        yield json.dumps(each, separators=(",", ":")) + "\n"


def _csv(columns: Iterable[str], rows: Iterable[tuple[object, ...]]) -> Iterator[str]:
    line = io.StringIO()
    writer = csv.writer(line, quoting=csv.QUOTE_ALL)
    writer.writerow(columns)
    yield _taken(line)
    for row in rows:
        writer.writerow([_cell(value) for value in row])
        yield _taken(line)


def _row(each: ListedTransaction) -> tuple[object, ...]:
    identity, client = each["identity"], each["client"]
    return (
        each["block"], each["number"], each["id"], each["at"], each["organisation"],
        identity and identity["subject"], identity and identity["certificate"],
        client and client["id"], client and client["name"], each["chaincode"], each["function"],
        " ".join(each["about"]), " ".join(each["endorsed_by"]), each["validity"], each["event"],
    )  # fmt: skip


def _audit_row(each: AuditEntry) -> tuple[object, ...]:
    client = each["client"]
    return (
        each["number"], each["at"], each["since"], each["count"], client and client["id"], client and client["name"],
        each["operation"], each["target"], each["outcome"], each["code"], each["request"],
    )  # fmt: skip


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return "" if value is None else value
    return f"'{value}" if value.startswith(_FORMULA) else value


def _taken(line: io.StringIO) -> str:
    text = line.getvalue()
    line.seek(0)
    line.truncate()
    return text
