# SPDX-License-Identifier: Apache-2.0
"""The header of a table of text, read without the rest of it."""

import codecs
import csv
import io
from pathlib import Path
from typing import Final

LONGEST: Final = 1 << 20
"""Bytes of a header."""


class HeaderError(ValueError):
    """A file has no header that can be read."""


def read_header(file: Path, delimiter: str) -> list[str]:
    """The names of a table's columns; raises `HeaderError` for a file without them, and `OSError`."""
    with file.open("rb") as content:
        begin = content.read(LONGEST)
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(begin)
    except UnicodeDecodeError:
        raise HeaderError("it is not UTF-8") from None
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        header = next((row for row in rows if row), None)
    except csv.Error as exc:
        raise HeaderError(f"its header is not CSV ({exc})") from None
    if header is None:
        raise HeaderError("it has no header")
    return header
