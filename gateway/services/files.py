# SPDX-License-Identifier: Apache-2.0
"""Files of records, whatever their format: one way to open them."""

from collections.abc import Iterator, Sequence
from typing import BinaryIO, Protocol

from gateway.services.parquet import PARQUET, ParquetTable
from gateway.services.pieces import Piece, Row
from gateway.services.ports import Reading
from gateway.services.tables import Table


class RecordFile(Protocol):
    """A file of records: first how it is read, then its rows, in their order."""

    reading: Reading

    @property
    def bytes_read(self) -> int:
        """How far the file has been read."""

    def pieces(self) -> Iterator[Piece]:
        """Every record, once, some at a time; raises `UnreadableRecords`."""

    def rows(self) -> Iterator[Row]:
        """Every record, once, one at a time; raises `UnreadableRecords`."""

    def close(self) -> None:
        """Let go of what reads it; nothing is read any more. A second time nothing happens."""


def opened(
    content: BinaryIO,
    media_type: str,
    id_field: str | None = None,
    delimiter: str | None = None,
    *,
    committed: Sequence[str] = (),
) -> RecordFile:
    """The records of a file, from its beginning; the arguments are those of `Table`. Raises `UnreadableRecords`."""
    if media_type == PARQUET:
        return ParquetTable(content, id_field)
    return Table(content, media_type, id_field, delimiter, committed=committed)
