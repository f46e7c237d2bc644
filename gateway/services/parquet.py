# SPDX-License-Identifier: Apache-2.0
"""Records out of Parquet: a process of its own decodes the file, and what it says is checked here.

That process is `parquetdecoder`, which says what it writes and under which limits. In memory here is one of its frames.
"""

import io
import json
import shutil
import subprocess
import sys
import tempfile
from array import array
from collections.abc import Iterator
from contextlib import closing
from itertools import accumulate, pairwise
from typing import BinaryIO, Final

from gateway.services.ownprocesses import started
from gateway.services.pieces import Piece, Row, fault_of_id, may_be_ids
from gateway.services.recordfiles import Reading, UnreadableRecords

PARQUET: Final = "application/vnd.apache.parquet"
MOST_ROWS: Final = 16_000_000
MOST_CONTENT: Final = 1 << 30
"""Bytes of all rows of a file together: four times the greatest upload, so that no small file fills the disk."""
_LONGEST_FRAME: Final = 16 << 20
_DECODER: Final = f"{__package__}.parquetdecoder"


class ParquetTable:
    """A Parquet file: first its columns, then its rows, in their order; used as `Table` is.

    Args:
        content: a file, or bytes, which are then copied into one.
        id_field: the column of texts or whole numbers that holds the record's id; without it the ids are `1`, `2`, …

    Raises `UnreadableRecords`, here and while rows are read.
    """

    def __init__(self, content: BinaryIO, id_field: str | None = None) -> None:
        self._size = content.seek(0, io.SEEK_END)
        content.seek(0)
        self._done = 0
        self._frames = _decoded(content, id_field)
        kind, payload = next(self._frames)
        if kind != b"C":
            raise _broken()
        stated = json.loads(payload)
        self._stated = max(1, int(stated["rows"]))
        self.reading = Reading(PARQUET, id_field, None, tuple(map(str, stated["fields"])))

    @property
    def bytes_read(self) -> int:
        """How far the file has been read, by the part of its rows."""
        return self._size * min(self._done, self._stated) // self._stated

    def close(self) -> None:
        """End the decoder; nothing is read any more."""
        self._frames.close()

    def pieces(self) -> Iterator[Piece]:
        """Every record, once, some at a time; there is at least one."""
        with closing(self._frames):
            for kind, payload in self._frames:
                if kind != b"R":
                    raise _broken()
                piece = _unpacked(payload)
                if not may_be_ids(piece.ids):
                    place, fault = next(filter(lambda each: each[1], enumerate(map(fault_of_id, piece.ids), start=1)))
                    raise _unreadable(self._done + place, str(fault))
                self._done += len(piece.ids)
                yield piece
        if not self._done:
            raise _unreadable(0, "the file holds no record")

    def rows(self) -> Iterator[Row]:
        """Every record, once, one at a time; there is at least one."""
        for piece in self.pieces():
            yield from piece.rows()


def _decoded(content: BinaryIO, id_field: str | None) -> "Frames":
    """The frames of a decoder of its own, which ends with them."""
    with tempfile.TemporaryFile() as copy:
        try:
            descriptor = content.fileno()
        except io.UnsupportedOperation:
            shutil.copyfileobj(content, copy)
            copy.flush()
            descriptor = copy.fileno()
        limits = (str(MOST_CONTENT), str(MOST_ROWS))
        process = started(_DECODER, id_field or "", *limits, stdin=descriptor)
    return Frames(process)


class Frames:
    """An iterator over what a decoder writes, each its kind and payload; the decoder ends when this is closed.

    Raises `UnreadableRecords` for a refusal of the decoder's, and where it ends before it has said that all is done.
    """

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self._open = True

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return self

    def __next__(self) -> tuple[bytes, bytes]:
        if not self._open:
            raise StopIteration
        try:
            kind, payload = self._next()
            if kind == b"E":
                raise _refused(payload)
        except BaseException:
            self.close()
            raise
        if kind == b"Z":
            self.close()
            raise StopIteration
        return kind, payload

    def close(self) -> None:
        """End the decoder; nothing is read any more."""
        self._open = False
        out = self._process.stdout
        self._process.kill()
        self._process.wait()
        if out is not None:
            out.close()

    def __del__(self) -> None:
        if self._open:
            self.close()

    def _next(self) -> tuple[bytes, bytes]:
        out = self._process.stdout
        head = b"" if out is None else out.read(5)
        length = int.from_bytes(head[1:])
        if out is None or len(head) < 5 or length > _LONGEST_FRAME:
            raise _broken()
        payload = out.read(length)
        if len(payload) < length:
            raise _broken()
        return head[:1], payload


def _unpacked(payload: bytes) -> Piece:
    """The records of one frame; raises `UnreadableRecords` where its lengths are not those of its bytes."""
    lengths = array("I")
    count = int.from_bytes(payload[:4], "little")
    at = 4 * (2 * count + 1)
    if at > len(payload):
        raise _broken()
    lengths.frombytes(payload[4:at])
    if sys.byteorder == "big":
        lengths.byteswap()
    if at + sum(lengths) != len(payload):
        raise _broken()
    found = [payload[start:end] for start, end in pairwise(accumulate(lengths, initial=at))]
    return Piece([each.decode("utf-8", "replace") for each in found[:count]], found[count:])


def _refused(payload: bytes) -> UnreadableRecords:
    said = json.loads(payload)
    return _unreadable(int(said["row"]), str(said["reason"]))


def _broken() -> UnreadableRecords:
    return _unreadable(0, "its decoder ended: the file is malformed, or needs more memory or time than any may")


def _unreadable(row: int, reason: str) -> UnreadableRecords:
    text = f"row {row}: {reason}" if row else f"Parquet: {reason}"
    return UnreadableRecords(text, row=row, reason=reason)
