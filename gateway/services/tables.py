# SPDX-License-Identifier: Apache-2.0
"""Records out of CSV and JSON Lines: each record's id, and its bytes exactly as they stand in the file.

The content of a record is its line without the line end (all its lines where a quoted CSV field holds line
breaks); nothing is parsed and written again, so that anyone can hash the same bytes. A CSV file begins with a
header line, which is not a record.
"""

import codecs
import csv
import json
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from chaincode.domain.errors import RecordIdRepeated
from chaincode.domain.records import refuse_repeated_ids
from gateway.services.ports import PortError

CSV = "text/csv"
JSON_LINES = "application/jsonl"
MEDIA_TYPES = (CSV, JSON_LINES)
_LONGEST_ID = 256


class UnreadableRecords(PortError):
    """The file cannot be taken as records; the facts name line and reason."""

    code = "unreadable-records"


class RepeatedId(UnreadableRecords):
    """Two records have the same id: the law's own refusal, in words that name the id."""

    code = RecordIdRepeated.code


@dataclass(frozen=True, slots=True)
class Row:
    """One record of a file."""

    id: str
    content: bytes


def rows(content: bytes, media_type: str, id_field: str | None) -> list[Row]:
    """Every record of the file, in its order.

    Args:
        id_field: the column or member that holds the record's id; without it the ids are `1`, `2`, …

    Raises `UnreadableRecords`.
    """
    found = list(_csv(content, id_field) if media_type == CSV else _json_lines(content, id_field))
    if not found:
        raise _unreadable(1, "the file holds no record")
    try:
        refuse_repeated_ids(row.id.encode() for row in found)
    except RecordIdRepeated as exc:
        twice = f"record {exc.index + 1} has the id {found[exc.index].id!r}, which record {exc.first + 1} has already"
        raise RepeatedId(twice, **exc.facts()) from None
    return found


def _json_lines(content: bytes, id_field: str | None) -> Iterator[Row]:
    position = 0
    for number, line in enumerate(_lines(content), start=1):
        if not line.strip():
            continue
        position += 1
        try:
            value = json.loads(line.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_members)
        except UnicodeDecodeError:
            raise _unreadable(number, "it is not UTF-8") from None
        except RecursionError:
            raise _unreadable(number, "it is nested too deeply") from None
        except ValueError as exc:
            raise _unreadable(number, f"it is not one JSON object ({exc})") from None
        if not isinstance(value, dict):
            raise _unreadable(number, "it is not one JSON object")
        if id_field is None:
            yield Row(str(position), line)
            continue
        found = value.get(id_field)
        if isinstance(found, bool) or not isinstance(found, str | int):
            raise _unreadable(number, f"the member {id_field!r} must be a text or a whole number")
        yield Row(_identifier(str(found), number), line)


def _csv(content: bytes, id_field: str | None) -> Iterator[Row]:
    records = _csv_records(content)
    header = next(records, None)
    if header is None:
        raise _unreadable(1, "the header line is missing")
    # The mark that some spreadsheets put before everything is no part of the first column's name.
    names = _fields(header[1].removeprefix(codecs.BOM_UTF8), 1)
    if len(set(names)) != len(names):
        raise _unreadable(1, "a column name stands there twice")
    column = None
    if id_field is not None:
        if id_field not in names:
            raise _unreadable(1, f"there is no column {id_field!r}; there are {', '.join(names)[:200]}")
        column = names.index(id_field)
    for position, (number, raw) in enumerate(records, start=1):
        fields = _fields(raw, number)
        if len(fields) != len(names):
            raise _unreadable(number, f"it has {len(fields)} fields where the header has {len(names)}")
        yield Row(str(position) if column is None else _identifier(fields[column], number), raw)


def _csv_records(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Physical lines joined while a quoted field is open; blank lines between records are skipped."""
    pending: list[bytes] = []
    start = quotes = 0
    for number, line in enumerate(_lines(content, keep=True), start=1):
        if not pending:
            if not line.strip():
                continue
            start = number
        pending.append(line)
        quotes += line.count(b'"')
        if quotes % 2 == 0:
            yield start, _without_line_end(b"".join(pending))
            pending, quotes = [], 0
    if pending:
        raise _unreadable(start, "a quoted field is never closed")


def _fields(raw: bytes, number: int) -> list[str]:
    if b"\0" in raw:
        raise _unreadable(number, "it holds a NUL, which is no text")
    if b"\r" in raw and b'"' not in raw:
        raise _unreadable(number, "its lines end with CR alone; CRLF or LF is wanted")
    try:
        text = raw.decode("utf-8")
        return next(csv.reader([text] if '"' not in text else text.splitlines(keepends=True), strict=True))
    except UnicodeDecodeError:
        raise _unreadable(number, "it is not UTF-8") from None
    except csv.Error as exc:
        raise _unreadable(number, str(exc)) from None


def _lines(content: bytes, *, keep: bool = False) -> Iterator[bytes]:
    start = 0
    while start < len(content):
        end = content.find(b"\n", start)
        end = len(content) if end < 0 else end + 1
        line = content[start:end]
        yield line if keep else _without_line_end(line)
        start = end


def _without_line_end(line: bytes) -> bytes:
    return line[:-2] if line.endswith(b"\r\n") else line.removesuffix(b"\n")


def _identifier(text: str, number: int) -> str:
    if not 1 <= len(text) <= _LONGEST_ID or not text.isprintable():
        raise _unreadable(number, f"a record id is 1 to {_LONGEST_ID} printable characters")
    if not text.isascii() and not unicodedata.is_normalized("NFC", text):
        raise _unreadable(number, "the record id is not in Unicode normal form C")
    return text


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON number")


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands there twice")
    return members


def _unreadable(line: int, reason: str) -> UnreadableRecords:
    return UnreadableRecords(f"line {line}: {reason}", line=line, reason=reason)
