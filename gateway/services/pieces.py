# SPDX-License-Identifier: Apache-2.0
"""Records as they come out of a file, in pieces: as many as are near in memory, whatever their size."""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

LONGEST_RECORD: Final = 8 << 20
"""Bytes of a record: its evidence, in base64, is then within what is read of a file of evidence (16 MiB)."""
TOO_LONG: Final = f"it is longer than the {LONGEST_RECORD >> 20} MiB that a record may have"
LONGEST_ID: Final = 256
AT_ONCE: Final = 5_000
"""Records of one piece."""
_SIZE: Final = 1 << 20
"""Bytes after which a piece ends."""


class Row(NamedTuple):
    """One record of a file."""

    id: str
    content: bytes


class Piece(NamedTuple):
    """Records that follow one another in a file, by column."""

    ids: list[str]
    contents: list[bytes]

    def rows(self) -> Iterator[Row]:
        """The same records, one by one."""
        return map(Row, self.ids, self.contents)


def together(rows: Iterable[Row]) -> Iterator[Piece]:
    """Rows in pieces."""
    ids: list[str] = []
    contents: list[bytes] = []
    size = 0
    for record_id, content in rows:
        ids.append(record_id)
        contents.append(content)
        size += len(content)
        if len(ids) == AT_ONCE or size >= _SIZE:
            yield Piece(ids, contents)
            ids, contents, size = [], [], 0
    if ids:
        yield Piece(ids, contents)


def may_be_ids(ids: Sequence[str]) -> bool:
    """Whether each of them is as the id of a record has to be; see `fault_of_id`."""
    lengths = set(map(len, ids))
    if min(lengths, default=1) < 1 or max(lengths, default=1) > LONGEST_ID:
        return False
    all_of_them = "".join(ids)
    if not all_of_them.isprintable():
        return False
    return all_of_them.isascii() or all(unicodedata.is_normalized("NFC", each) for each in ids)


def fault_of_id(text: str, of: str = "record") -> str | None:
    """Why a text cannot be the id of a record, or of what is said."""
    if not 1 <= len(text) <= LONGEST_ID or not text.isprintable():
        return f"a {of} id is 1 to {LONGEST_ID} printable characters"
    return None if may_be_ids((text,)) else f"the {of} id is not in Unicode normal form C"
