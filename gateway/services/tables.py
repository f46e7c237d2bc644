# SPDX-License-Identifier: Apache-2.0
"""Records out of CSV and JSON Lines: each record's id, and its bytes exactly as they are in the file.

What a record is, `docs/records.md` defines. Its content is its line without the line end (all its lines where a
quoted CSV field holds line breaks); nothing is parsed and written again, so that anyone can hash the same bytes.
Files are read once from their beginning to their end; in memory is one record at a time.
"""

import codecs
import csv
import re
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Final

from chaincode.domain import tabular
from chaincode.domain.tabular import DELIMITERS, RowError
from gateway.services.jsonobjects import plain_members
from gateway.services.pieces import AT_ONCE, LONGEST_RECORD, TOO_LONG, Piece, fault_of_id, together
from gateway.services.pieces import LONGEST_ID as LONGEST_ID
from gateway.services.pieces import Row as Row
from gateway.services.plainrows import plain_rows
from gateway.services.recordfiles import Reading, UnknownDelimiter
from gateway.services.recordfiles import UnreadableRecords as UnreadableRecords

CSV: Final = "text/csv"
JSON_LINES: Final = "application/jsonl"
MEDIA_TYPES: Final = (CSV, JSON_LINES)
_NAMED: Final = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_SEP: Final = re.compile(rb"sep=(.)\r?\n?", re.IGNORECASE)
_LINES_KEPT: Final = 64 * 1024
"""Bytes of a record of several lines that are kept while its end is looked for."""
_BLOCK: Final = 512 * 1024
"""Bytes that are read at once where that can be."""
_SPACE: Final = b" \t\r\n"


def delimiter_of(text: str | None) -> str | None:
    """The delimiter that an option names: itself, or `tab`; raises `UnknownDelimiter`."""
    delimiter = "\t" if text == "tab" else text
    if delimiter is not None and delimiter not in DELIMITERS:
        raise UnknownDelimiter("delimiter is one of , ; | and tab", delimiter=str(text)[:20])
    return delimiter


class Table:
    """A file of records: first its columns, then its rows, in their order.

    Args:
        content: at its beginning, and seekable.
        id_field: the column or member that holds the record's id; without it the ids are `1`, `2`, …
        delimiter: what stands between the fields of a CSV row. Without it that is a comma, or what a first line
            `sep=;` says.
        committed: the columns of a version of which this is a copy. Where the copy has no column `id_field`, but as
            many as the version, ids are in the same place as there.

    Raises `UnreadableRecords`, here and while rows are read.
    """

    def __init__(
        self,
        content: BinaryIO,
        media_type: str,
        id_field: str | None = None,
        delimiter: str | None = None,
        *,
        committed: Sequence[str] = (),
    ) -> None:
        self._content = content
        self._id_field = id_field
        self._committed = committed
        self._number = self._offset = self._position = 0
        self._line = self._first()
        self._blank: int | None = None
        if media_type == JSON_LINES:
            self.reading = Reading(JSON_LINES, id_field)
            return
        self._delimiter = self._sep(delimiter)
        header = self._next_row()
        if header is None:
            raise _unreadable(1, "the header line is missing")
        number, row, fields = header
        self._hint = _hint(row) if delimiter is None and self._delimiter == "," else ""
        names = self._names(number, row, fields)
        self._columns = len(names)
        self._column = None if id_field is None else self._place(id_field, names, number)
        self.reading = Reading(CSV, id_field, self._delimiter, names)

    @property
    def bytes_read(self) -> int:
        """How far the file has been read."""
        return self._offset

    def close(self) -> None:
        """Nothing is held open: the content is the caller's."""

    def pieces(self) -> Iterator[Piece]:
        """Every record, once, some at a time; there is at least one."""
        found = self._json_lines() if self.reading.media_type == JSON_LINES else self._csv_pieces()
        first = next(found, None)
        if first is None:
            raise _unreadable(1, "the file holds no record")
        yield first
        yield from found

    def rows(self) -> Iterator[Row]:
        """Every record, once, one at a time; there is at least one."""
        for piece in self.pieces():
            yield from piece.rows()

    # -- lines ----------------------------------------------------------------------------------------------

    def _first(self) -> bytes:
        """The first line, without the mark that some programs for Windows put before everything."""
        self._content.seek(0)
        mark = self._content.read(len(codecs.BOM_UTF8))
        self._offset = len(codecs.BOM_UTF8) if mark == codecs.BOM_UTF8 else 0
        self._content.seek(self._offset)
        return self._advance()

    def _advance(self) -> bytes:
        line = self._content.readline(LONGEST_RECORD + 3)
        self._offset += len(line)
        self._number += 1
        if len(line) > LONGEST_RECORD + 2:
            raise _unreadable(self._number, TOO_LONG)
        return line

    def _sep(self, wanted: str | None) -> str:
        """The delimiter: as asked for, as a first line `sep=;` of a spreadsheet's says, or a comma."""
        found = _SEP.fullmatch(self._line)
        if found is None:
            return wanted or ","
        said = found[1].decode("latin-1")
        if said not in DELIMITERS or said != (wanted or said):
            raise _unreadable(1, f"it says that {said!r} separates fields, which contradicts the request")
        self._line = self._advance()
        return said

    # -- CSV ------------------------------------------------------------------------------------------------

    def _next_row(self) -> tuple[int, bytes, list[str] | None] | None:
        """The next row: the number of its first line, its bytes, and its fields where they were found on the way.

        Blank lines are not rows.
        """
        while self._line:
            if self._line not in (b"\n", b"\r\n"):
                return self._row()
            self._blank = self._blank or self._number
            self._line = self._advance()
        return None

    def _row(self) -> tuple[int, bytes, list[str] | None]:
        number, line = self._number, self._line
        row, fields = _without_line_end(line), None
        if marks := line.count(b'"'):
            # Where their number is odd, a field is most likely open.
            row, fields = self._joined(line) if marks % 2 else (row, split_at_once(row, self._delimiter))
            row = self._whole(number, line) if fields is None else row
        self._line = self._advance()
        return number, row, fields

    def _joined(self, line: bytes) -> tuple[bytes, list[str] | None]:
        """The row of this line and those up to the next with an odd number of quotation marks, and its fields.

        Where `split_at_once` does not take them as one row there are no fields, and the file is where it was.
        """
        offset, number = self._offset, self._number
        lines = [line]
        while (line := self._advance()) and self._offset - offset <= _LINES_KEPT:
            lines.append(line)
            if line.count(b'"') % 2:
                row = _without_line_end(b"".join(lines))
                if (fields := split_at_once(row, self._delimiter)) is not None:
                    return row, fields
                break
        self._content.seek(offset)
        self._offset, self._number = offset, number
        return b"", None

    def _whole(self, number: int, line: bytes) -> bytes:
        """The row that begins with this line, which holds quotation marks; the lines after it may belong to it."""
        delimiter = self._delimiter.encode()
        start = self._offset - len(line)
        kept = [line]
        quoted = tabular.open_after(line, delimiter, quoted=False)
        while quoted:
            line = self._advance()
            if not line:
                raise _unreadable(number, "a quoted field is never closed")
            if self._offset - start <= _LINES_KEPT:
                kept.append(line)
            quoted = tabular.open_after(line, delimiter, quoted=True)
            if self._offset - start > LONGEST_RECORD + 2:
                raise _unreadable(number, TOO_LONG)
        if self._offset - start <= _LINES_KEPT:
            return _without_line_end(b"".join(kept))
        # No more were kept on the way: a field that nobody closes would bring the whole file into memory.
        self._content.seek(start)
        return _without_line_end(self._content.read(self._offset - start))

    def _names(self, number: int, row: bytes, fields: list[str] | None) -> tuple[str, ...]:
        names = tuple(fields or _split(row, self._delimiter, number))
        if len(set(names)) != len(names):
            raise _unreadable(number, "a column name is there twice")
        if len(names) == 1 and self._hint:
            raise _unreadable(number, f"the header is one column, {names[0][:60]!r}{self._hint}")
        return names

    def _place(self, id_field: str, names: Sequence[str], number: int) -> int:
        """The column of ids, counted from 0."""
        if id_field in names:
            return names.index(id_field)
        if id_field in self._committed and len(self._committed) == len(names):
            return self._committed.index(id_field)
        raise _unreadable(number, f"there is no column {id_field!r}; there are {', '.join(names)[:200]}{self._hint}")

    def _csv_pieces(self) -> Iterator[Piece]:
        while self._line:
            start = self._offset - len(self._line)
            self._content.seek(start)
            block = self._content.read(_BLOCK)
            lines = block.rfind(b"\n") + 1
            found = plain_rows(block[:lines], self._delimiter, self._columns, self._column, self._position + 1)
            if found is None or not lines:
                self._content.seek(self._offset)
                yield from together(self._csv_rows(start + max(lines, 1)))
                continue
            ids, contents = found
            self._refuse_blank()
            self._content.seek(start + lines)
            self._offset = start + lines
            self._number += len(ids) - 1
            self._position += len(ids)
            for at in range(0, len(ids), AT_ONCE):
                yield Piece(ids[at : at + AT_ONCE], contents[at : at + AT_ONCE])
            self._line = self._advance()
        self._refuse_blank()

    def _csv_rows(self, end: int) -> Iterator[Row]:
        """The rows that begin before a place of the file."""
        column = self._column
        while self._offset - len(self._line) < end and (found := self._next_row()) is not None:
            self._refuse_blank()
            number, row, fields = found
            self._position += 1
            if fields is None:
                fields = _split(row, self._delimiter, number)
            if len(fields) != self._columns:
                raise _unreadable(
                    number, f"it has {len(fields)} fields where the header has {self._columns}{self._hint}"
                )
            yield Row(str(self._position) if column is None else _identifier(fields[column], number), row)

    def _refuse_blank(self) -> None:
        if self._blank is not None and self._columns == 1:
            reason = 'in a file of one column an empty line may be a record or none; write "" for an empty value'
            raise _unreadable(self._blank, reason)

    # -- JSON Lines -----------------------------------------------------------------------------------------

    def _json_lines(self) -> Iterator[Piece]:
        return together(self._objects())

    def _objects(self) -> Iterator[Row]:
        position = 0
        while self._line:
            number, line = self._number, _without_line_end(self._line)
            self._line = self._advance()
            if not line.strip(_SPACE):
                continue
            position += 1
            value = self._object(line, number)
            yield Row(str(position) if self._id_field is None else self._member(value, number), line)

    def _object(self, line: bytes, number: int) -> dict[str, object]:
        try:
            return plain_members(line)
        except ValueError as exc:
            raise _unreadable(number, str(exc)) from None

    def _member(self, value: dict[str, object], number: int) -> str:
        found = value.get(self._id_field or "")
        if not isinstance(found, str):
            raise _unreadable(number, f"the member {self._id_field!r} must be a text or a whole number")
        return _identifier(found, number)


def fields_of(row: Row, reading: Reading) -> list[str]:
    """The fields of a row of CSV that a `Table` has read."""
    return _split(row.content, reading.delimiter or ",", 0)


def split_at_once(row: bytes, delimiter: str) -> list[str] | None:
    """What `tabular.split` says of a row with quotation marks, found by `csv.reader`; None where only it can say.

    Both read a row alike where `csv.reader`, being strict, takes it at all, but for three things: it also takes a NUL,
    line ends after the last field, and an empty row. It refuses fields beyond its limit, and a row that goes on in
    the next line.
    """
    if not row or row[-1] in b"\r\n" or b"\0" in row:
        return None
    try:
        return next(csv.reader((row.decode("utf-8"),), _DIALECTS[delimiter]))
    except (csv.Error, UnicodeDecodeError):
        return None


def _split(row: bytes, delimiter: str, number: int) -> list[str]:
    if b"\0" in row:
        raise _unreadable(number, "it holds a NUL, which is not text")
    try:
        if b'"' not in row:
            if b"\r" not in row:
                return row.decode("utf-8").split(delimiter)  # what `tabular.split` says of it, sooner
        elif (fields := split_at_once(row, delimiter)) is not None:
            return fields
        return [field.decode("utf-8") for field in tabular.split(row, delimiter.encode())]
    except UnicodeDecodeError:
        raise _unreadable(number, "it is not UTF-8") from None
    except RowError as exc:
        raise _unreadable(number, str(exc)) from None


def _hint(header: bytes) -> str:
    """What to try where a header has more of another delimiter than it has commas."""
    counts = {delimiter: header.count(delimiter.encode()) for delimiter in DELIMITERS}
    most = max(DELIMITERS, key=lambda delimiter: counts[delimiter])
    if most == "," or counts[most] <= counts[","]:
        return ""
    return f"; separated by {_NAMED[most]}? say --delimiter {'tab' if most == chr(9) else repr(most)}"


def _without_line_end(line: bytes) -> bytes:
    return line[:-2] if line.endswith(b"\r\n") else line.removesuffix(b"\n")


def _identifier(text: str, number: int) -> str:
    if (fault := fault_of_id(text)) is not None:
        raise _unreadable(number, fault)
    return text


def _unreadable(line: int, reason: str) -> UnreadableRecords:
    return UnreadableRecords(f"line {line}: {reason}", line=line, reason=reason)


_DIALECTS: Final = {
    # Made once: to make one takes as long as to read a row.
    delimiter: csv.reader((), delimiter=delimiter, strict=True).dialect
    for delimiter in DELIMITERS
}
