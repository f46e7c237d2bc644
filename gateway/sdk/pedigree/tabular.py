# SPDX-License-Identifier: Apache-2.0
"""Rows of text as RFC 4180 and Python's `csv.reader` read them, and what a version commits to of the row above them.

A row is a record's bytes without its line end. Its fields stand between delimiters. A field that begins with a
quotation mark ends with one; in it a quotation mark is written twice, and delimiters and line ends are data. In any
other field a quotation mark is data. Nothing else has a meaning: blanks, form feeds and U+2028 are data.
"""

import json
import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from pedigree.recordfiles import Digest

DELIMITERS: Final = (",", ";", "\t", "|")
_QUOTE: Final = b'"'


class RowError(ValueError):
    """A row that RFC 4180 does not describe; the text says what is wrong with it."""


def header_digest(fields: Sequence[str], delimiter: str) -> Digest:
    """What a version says of its columns: the SHA-256 over the delimiter and the names in their order.

    Hashed is ``{"delimiter":…,"fields":[…]}`` as RFC 8785 writes it, in UTF-8.
    """
    text = json.dumps({"delimiter": delimiter, "fields": list(fields)}, ensure_ascii=False, separators=(",", ":"))
    return Digest(sha256(text.encode("utf-8", "surrogatepass")).digest())


def split(row: bytes, delimiter: bytes) -> list[bytes]:
    """The fields of a row, unquoted; `RowError` where the row is not well formed."""
    if _QUOTE not in row:
        _refuse_line_ends(row)
        return row.split(delimiter)
    fields: list[bytes] = []
    at = 0
    while True:
        field, at = _field(row, at, delimiter)
        fields.append(field)
        if at == len(row):
            return fields
        at += 1
        if at == len(row):
            return [*fields, b""]


def open_after(line: bytes, delimiter: bytes, *, quoted: bool) -> bool:
    """Whether a quoted field is open at the end of `line`; `quoted` says whether one was at its beginning."""
    if _QUOTE not in line:
        return quoted
    return _OPEN[delimiter].fullmatch(_QUOTE + line if quoted else line) is not None


def _field(row: bytes, at: int, delimiter: bytes) -> tuple[bytes, int]:
    """The field that begins at `at`, and where it ends: at a delimiter or at the end of the row."""
    if not row.startswith(_QUOTE, at):
        end = row.find(delimiter, at)
        end = len(row) if end < 0 else end
        _refuse_line_ends(row[at:end])
        return row[at:end], end
    end = _closing(row, at + 1)
    if end < 0:
        raise RowError("a quoted field is never closed")
    if end < len(row) and not row.startswith(delimiter, end):
        raise RowError("after the quotation mark that closes a field comes something else than a delimiter")
    return row[at + 1 : end - 1].replace(b'""', _QUOTE), end


def _closing(line: bytes, at: int) -> int:
    """The place after the quotation mark that closes a field of which `at` is inside; -1 where none does."""
    while True:
        at = line.find(_QUOTE, at) + 1
        if at == 0:
            return -1
        if not line.startswith(_QUOTE, at):
            return at
        at += 1


def _refuse_line_ends(text: bytes) -> None:
    if b"\r" in text:
        raise RowError("its lines end with CR alone; CRLF or LF is wanted")
    if b"\n" in text:
        raise RowError("it is more than one row")


def _open(delimiter: str) -> re.Pattern[bytes]:
    """What ends in an open field: whole fields with a delimiter after each, and the beginning of a quoted one.

    Nothing that was matched is given up again, so a line is read once, whatever it holds.
    """
    inside = '"(?:[^"]++|"")*+'
    rest = f"[^{delimiter}]*+[{delimiter}]"
    return re.compile(f'(?:{inside}"{rest}|(?!"){rest})*+{inside}'.encode())


_OPEN: Final = {delimiter.encode(): _open(delimiter) for delimiter in DELIMITERS}
