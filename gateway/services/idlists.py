# SPDX-License-Identifier: Apache-2.0
"""Lists of record ids, out of files: one id a line, or a column or member of CSV or JSON Lines. Read piece by piece."""

import codecs
from array import array
from collections.abc import Iterator
from typing import BinaryIO, Final

from gateway.services.drafting import Upload
from gateway.services.files import opened
from gateway.services.members import Members
from gateway.services.pieces import LONGEST_ID, fault_of_id
from gateway.services.ports import Category, PortError, Reading, Records, RecordSet
from gateway.services.progress import Progress
from gateway.services.recordfiles import UnreadableRecords, repeated
from gateway.services.tables import CSV
from gateway.services.trees import batches

LINES: Final = "text/plain"
_LONGEST_LINE: Final = 4 * LONGEST_ID + 2
"""Bytes of an id and the line's end; what is longer cannot be an id."""
_AT_ONCE: Final = 50_000
"""Ids that are looked up at once: those that are in one block or bucket of the store are found together."""
_NAMED: Final = 5
"""How many unknown ids a refusal names."""


class RecordsUnknown(PortError):
    """A list names records that the version does not have."""

    code = "records-unknown"
    category = Category.UNACCEPTABLE


def listed(
    records: Records, held: RecordSet, upload: Upload, within: Members | None, progress: Progress
) -> "array[int]":
    """For each record of the version its number in the list, from 1; 0 where the list does not name it.

    Args:
        within: where given, the list may only name these.

    Raises `UnreadableRecords`, `RepeatedId` and `RecordsUnknown`.
    """
    numbers = array("q", bytes(8 * held.size))
    unknown: list[str] = []
    number = missing = 0
    for batch in batches(ids_of(upload, held.reading), _AT_ONCE):
        for record_id, position in zip(batch, records.positions(held.root, batch), strict=True):
            number += 1
            if position is None or (within is not None and position not in within):
                missing += 1
                if len(unknown) < _NAMED:
                    unknown.append(f"{record_id!r} (number {number})")
            elif numbers[position]:
                raise repeated(record_id, number - 1, numbers[position] - 1)
            else:
                numbers[position] = number
        progress.bytes_read = upload.content.tell()
    if missing:
        named = ", ".join(unknown) + (f" and {missing - _NAMED} more" if missing > _NAMED else "")
        what = "version" if within is None else "selection that it is a part of"
        raise RecordsUnknown(f"{missing} of the {number} ids on the list are of no record of the {what}: {named}")
    return numbers


def ids_of(upload: Upload, reading: Reading | None) -> Iterator[str]:
    """The ids of a list, in its order; raises `UnreadableRecords`.

    Args:
        reading: how the version's file was read. Its column or member of ids is where the ids are, unless the upload
            names another one; a CSV file of a single column need not call it so.
    """
    if upload.media_type == LINES:
        yield from _lines(upload.content)
        return
    id_field = upload.id_field or (None if reading is None else reading.id_field)
    if upload.media_type == CSV:
        fields = opened(upload.content, CSV, None, upload.delimiter).reading.fields
        if upload.id_field is None and len(fields) == 1:
            id_field = fields[0]
    if id_field is None:
        raise UnreadableRecords("id_field has to say which column or member holds the ids")
    table = opened(upload.content, upload.media_type, id_field, upload.delimiter)
    for piece in table.pieces():
        yield from piece.ids


def _lines(content: BinaryIO) -> Iterator[str]:
    content.seek(0)
    if content.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
        content.seek(0)
    number = 0
    while line := content.readline(_LONGEST_LINE + 1):
        number += 1
        if not line.strip(b" \t\r\n"):
            continue
        yield _id(line, number)


def _id(line: bytes, number: int) -> str:
    if len(line) > _LONGEST_LINE:
        raise _unreadable(number, f"a record id is 1 to {LONGEST_ID} printable characters")
    try:
        text = line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8")
    except UnicodeDecodeError:
        raise _unreadable(number, "it is not UTF-8") from None
    if (fault := fault_of_id(text)) is not None:
        raise _unreadable(number, fault)
    return text


def _unreadable(line: int, reason: str) -> UnreadableRecords:
    return UnreadableRecords(f"line {line}: {reason}", line=line, reason=reason)
