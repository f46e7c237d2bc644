# SPDX-License-Identifier: Apache-2.0
"""Rows of CSV without quotation marks, thousands at once: what `tables.Table` would say of each, sooner.

Only where a whole block is plain. What is not, and whatever would be refused, is left to be read row by row.
"""

from typing import Final

from gateway.services.pieces import may_be_ids

_NOT_PLAIN: Final = (b'"', b"\0")
_BYTES: Final = bytes(range(256))


def plain_rows(
    block: bytes, delimiter: str, columns: int, column: int | None, first: int
) -> tuple[list[str], list[bytes]] | None:
    """Ids and contents of the rows of a block; `None` where it has to be read row by row.

    Args:
        block: whole lines, each with its line end.
        columns: how many fields a row has.
        column: the place of the ids, counted from 0; `None` where rows are numbered.
        first: the number of the first row, counted from 1.
    """
    end = _line_end(block)
    if end is None or any(each in block for each in _NOT_PLAIN):
        return None
    contents = block.split(end)
    contents.pop()  # what is after the last line end: nothing
    separator, between = delimiter.encode(), columns - 1
    # Of rows that have all their fields and no more this is left without what is in the fields.
    frame = block.translate(None, _BYTES.translate(None, separator + b"\r\n"))
    if b"" in contents or frame != (separator * between + end) * len(contents):
        return None
    try:
        block.decode()
    except UnicodeDecodeError:
        return None
    if column is None:
        return list(map(str, range(first, first + len(contents)))), contents
    if column == 0:
        names = [row.partition(separator)[0] for row in contents]
    else:
        names = [row.split(separator, column + 1)[column] for row in contents]
    ids = b"\n".join(names).decode().split("\n")
    return (ids, contents) if may_be_ids(ids) else None


def _line_end(block: bytes) -> bytes | None:
    """How all lines of the block end; `None` where they do not end alike."""
    if b"\r" not in block:
        return b"\n"
    ends = block.count(b"\r\n")
    return b"\r\n" if ends == block.count(b"\r") == block.count(b"\n") else None
