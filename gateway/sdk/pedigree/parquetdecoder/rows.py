# SPDX-License-Identifier: Apache-2.0
"""Rows of a Parquet file in frames, as many as are near in memory; what is too long is refused before it is written."""

import sys
from array import array
from collections.abc import Iterator
from itertools import accumulate
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from pedigree.parquetdecoder.values import (
    LONGEST_RECORD,
    NOTHING,
    TEXT,
    Column,
    Refused,
    bytes_of,
    encode,
    is_text,
)

BATCH: Final = 4 << 20
"""Bytes of values that are decoded at once, as the file states them, and of rows that are in a frame."""
_WIDE: Final = 8 * BATCH
"""Bytes of values that are written as rows at once: a file may state less than it holds."""
DENSEST: Final = 4
"""Bytes of a value in memory for each byte that is written of it, at the most: an int64 is 8, and `0,` is 2."""
_LONGEST_FRAME: Final = 2 * BATCH
"""Bytes of rows that are written as one frame."""
_END: Final = pa.scalar("}")
_NO_ID: Final = "the column {!r} must hold a text or a whole number"
_TOO_LONG: Final = f"it is longer than the {LONGEST_RECORD >> 20} MiB that a record may have"


class Rows:
    """Makes frames of batches; counts rows and bytes, and refuses more than may be."""

    def __init__(self, columns: list[Column], id_field: str, most_bytes: int) -> None:
        self._places = sorted(range(len(columns)), key=lambda place: columns[place].name)
        self._columns = columns
        self._id = next((place for place, column in enumerate(columns) if column.name == id_field), None)
        self._between = [
            pa.scalar(f"{',' if number else '{'}{encode(columns[place].name)}:")
            for number, place in enumerate(self._places)
        ]
        self._left = most_bytes
        self.count = 0

    def of(self, batch: Any) -> Iterator[tuple[bytes, bytes]]:
        """The frames of one batch, about `BATCH` bytes each."""
        values = [column.read(batch.column(place)) for place, column in enumerate(self._columns)]
        size = sum(array.nbytes for array in values)
        if size > _WIDE and batch.num_rows > 1:
            at_once = max(1, batch.num_rows * BATCH // size)
            for start in range(0, batch.num_rows, at_once):
                yield from self.of(batch.slice(start, at_once))
            return
        if size > DENSEST * LONGEST_RECORD and batch.num_rows == 1:
            raise Refused(_TOO_LONG, self.count + 1)
        ids = self._ids(values, batch.num_rows)
        contents = self._contents(values)
        self._weigh(contents.lengths)
        self.count += batch.num_rows
        if len(contents.content) <= _LONGEST_FRAME:
            yield b"R", _packed(ids, contents, 0, batch.num_rows)
            return
        start = size = 0
        for end, length in enumerate(contents.lengths, start=1):
            size += length
            if size >= BATCH or end == batch.num_rows:
                yield b"R", _packed(ids, contents, start, end)
                start, size = end, 0

    def _contents(self, values: list[Any]) -> "_Texts":
        pieces: list[Any] = []
        for before, place in zip(self._between, self._places, strict=True):
            column = self._columns[place]
            try:
                found = column.written(values[place])
            except UnicodeDecodeError:
                raise Refused("a text is not UTF-8", self.count + 1) from None
            pieces += [before, found]
        return _Texts(pc.binary_join_element_wise(*pieces, _END, NOTHING))

    def _weigh(self, lengths: "array[int]") -> None:
        if max(lengths, default=0) > LONGEST_RECORD:
            place = next(place for place, length in enumerate(lengths, start=1) if length > LONGEST_RECORD)
            raise Refused(_TOO_LONG, self.count + place)
        if sum(lengths) > self._left:
            over = next(place for place, size in enumerate(accumulate(lengths), start=1) if size > self._left)
            raise Refused("the rows up to here are larger than all rows of a file may be", self.count + over)
        self._left -= sum(lengths)

    def _ids(self, values: list[Any], rows: int) -> "_Texts":
        if self._id is None:
            return _Texts(pa.array(map(str, range(self.count + 1, self.count + rows + 1)), TEXT))
        found, name = values[self._id], self._columns[self._id].name
        whole = pa.types.is_integer(found.type)
        if not whole and not is_text(found.type):
            raise Refused(_NO_ID.format(name), self.count + 1)
        if found.null_count:
            raise Refused(_NO_ID.format(name), self.count + found.is_null().to_pylist().index(True) + 1)
        return _Texts(found.cast(TEXT))


class _Texts:
    """The bytes of an Arrow array of texts without nulls, one after another, and the length of each."""

    def __init__(self, texts: Any) -> None:
        self.content = bytes_of(texts)
        lengths = pc.binary_length(texts).buffers()[1]
        self.lengths = array("I", b"" if lengths is None else lengths.to_pybytes()[: 4 * len(texts)])

    def between(self, start: int, end: int) -> bytes:
        """Those from one up to, not including, another."""
        first = sum(self.lengths[:start])
        return self.content[first : first + sum(self.lengths[start:end])]


def _packed(ids: _Texts, contents: _Texts, start: int, end: int) -> bytes:
    lengths = array("I", [end - start]) + ids.lengths[start:end] + contents.lengths[start:end]
    if sys.byteorder == "big":
        lengths.byteswap()
    return b"".join([lengths.tobytes(), ids.between(start, end), contents.between(start, end)])
