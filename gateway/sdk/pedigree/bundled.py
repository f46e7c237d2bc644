# SPDX-License-Identifier: Apache-2.0
"""The records of a bundle: read once and hashed, then found by their place or their id.

In memory are some 40 bytes for each record, for a moment four times as many, and 16 more for a copy of another order.
"""

import os
import struct
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b, sha256
from typing import BinaryIO, Final

from pedigree import merkle
from pedigree.copies import LoneSalts
from pedigree.errors import InvalidBundle
from pedigree.pieces import LONGEST_ID, Row

BLOCK: Final = 4_096
"""Records of every block but the last."""
LEAVES: Final = {"pedigree-record/v1": b"\x00\x01", "pedigree-record/v2": b"\x00\x02"}
"""What the hash of a leaf begins with, by the schema of the leaf."""
_HASH: Final = merkle.HASH
_SALT: Final = merkle.SALT
_TAIL: Final = 9
_LONGEST_ID: Final = 4 * LONGEST_ID
"""Bytes."""
_PLACE: Final = 48
"""Bits of the place of a record."""

Watch = Callable[[int, int], None]
"""Is given how many bytes, and how many records, are done."""


def largest_blocks(records: int) -> int:
    """Bytes that the blocks of so many records have at the most, with what ends them."""
    widest = 2 + _LONGEST_ID + _SALT + 2 * _HASH + _TAIL
    return records * widest + 8 * (records // BLOCK + 1) + 4 + _HASH


@dataclass(frozen=True, slots=True)
class BundledRecord:
    """A committed record, without its content."""

    id: str
    leaf: bytes
    row: bytes
    """Salt, digest of the content, digest of the subject where there is one, consent and purposes."""


class BundledRecords:
    """The records of a bundle, as a copy is compared with them: what `copies.Comparison` asks for."""

    def __init__(self, file: BinaryIO, kind: bytes, *, numbered: bool) -> None:
        """Assign.

        Args:
            kind: what the hash of a leaf begins with.
        """
        self._file = file
        self._kind = kind
        self._numbered = numbered
        self._width = _SALT + _HASH * kind[-1] + _TAIL
        self._leaves = b""
        self._ids_at: list[int] = []
        self._rows_at: list[int] = []
        self._lengths = array("H")
        self._lone = LoneSalts()
        self._index: tuple[array[int], array[int]] | None = None
        self._key = os.urandom(16)
        """Keys the digests of ids, so that nobody can choose ids of one digest."""

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self._leaves) // _HASH

    @property
    def root(self) -> str:
        """The root over all of them, in hex."""
        return merkle.root_of_hashes(self._leaves).hex()

    def root_of(self, positions: Iterable[int]) -> str | None:
        """The root over the records at these positions, in hex; None where there is no record at one of them."""
        leaves = bytearray()
        for position in positions:
            if position >= self.size:
                return None
            leaves += self._leaves[position * _HASH : (position + 1) * _HASH]
        return merkle.root_of_hashes(bytes(leaves)).hex()

    def load(self, source: "Source", size: int, watch: Watch) -> None:
        """Read the blocks from where the source stands to the end of the file; `size` records are expected."""
        leaves = bytearray()
        while count := source.unpacked(">I", "between two blocks")[0]:
            done = len(leaves) // _HASH
            if count > BLOCK or done % BLOCK:
                raise InvalidBundle(f"{source.name}: a block is not of {BLOCK} records, after {done} records")
            if done + count > size:
                raise InvalidBundle(f"{source.name} holds more records than the {size} of the version on the ledger")
            leaves += self._load_block(source, count)
            watch(source.file.tell(), done + count)
        if len(leaves) // _HASH != size:
            raise InvalidBundle(
                f"{source.name} holds {len(leaves) // _HASH} records, and the version on the ledger {size}"
            )
        source.finish()
        self._leaves = bytes(leaves)

    def all(self, start: int = 0) -> Iterator[BundledRecord]:
        """Every record from position `start` on, in the order of the version."""
        for block in range(start // BLOCK, len(self._rows_at)):
            first = block * BLOCK
            count = min(BLOCK, self.size - first)
            ids = self._ids(block, count)
            rows = self._at(self._rows_at[block], count * self._width)
            for index in range(max(0, start - first), count):
                yield self._record(first + index, ids[index], rows[index * self._width : (index + 1) * self._width])

    def find(self, record_id: str) -> tuple[int, BundledRecord] | None:
        """Position and record of an id; None where the version has none such."""
        position = self._position(record_id)
        if position is None:
            return None
        block, index = divmod(position, BLOCK)
        row = self._at(self._rows_at[block] + index * self._width, self._width)
        return position, self._record(position, record_id, row)

    def leaf(self, record: BundledRecord | None, row: Row) -> bytes:
        """The leaf hash of a row of the copy in the place of a record, or of none."""
        if record is None:
            salt = self._lone.of(row.id)
            subject = sha256(salt + b"\x02").digest() if self._kind[-1] == 2 else b""
            rest = subject + bytes(_TAIL)
        else:
            salt, rest = record.row[:_SALT], record.row[_SALT + _HASH :]
        content = sha256(salt + b"\x01" + row.content).digest()
        if record is not None and content == record.row[_SALT : _SALT + _HASH]:
            return record.leaf
        return self._hash(salt, row.id.encode(), content + rest)

    # -- reading --------------------------------------------------------------------------------------------

    def _load_block(self, source: "Source", count: int) -> bytes:
        """The leaf hashes of the next block; where its parts are is kept."""
        where = "in a block"
        length = source.unpacked(">I", where)[0]
        if (length > 0) is self._numbered or length > count * (2 + _LONGEST_ID):
            raise InvalidBundle(f"{source.name}: the ids of a block have {length} bytes")
        ids = self._numbers(len(self._rows_at), count)
        if not self._numbered:
            lengths = source.unpacked(f">{count}H", where)
            if 2 * count + sum(lengths) != length:
                raise InvalidBundle(f"{source.name}: the ids of a block have other lengths than they say")
            self._ids_at.append(source.file.tell())
            self._lengths.extend(lengths)
            ids = list(_cut(source.exactly(sum(lengths), where), lengths))
        self._rows_at.append(source.file.tell())
        rows = source.exactly(count * self._width, where)
        parts = list(struct.iter_unpack(f"{_SALT}s{self._width - _SALT}s", rows))
        self._lone.note(b"".join([salt for salt, _ in parts]))
        hashed = self._hash
        return b"".join([hashed(salt, each, rest) for (salt, rest), each in zip(parts, ids, strict=True)])

    def _hash(self, salt: bytes, record_id: bytes, rest: bytes) -> bytes:
        return sha256(self._kind + salt + sha256(salt + b"\x00" + record_id).digest() + rest).digest()

    def _record(self, position: int, record_id: str, row: bytes) -> BundledRecord:
        return BundledRecord(record_id, self._leaves[position * _HASH : (position + 1) * _HASH], row)

    def _ids(self, block: int, count: int) -> list[str]:
        if self._numbered:
            return [str(number) for number in range(block * BLOCK + 1, block * BLOCK + count + 1)]
        lengths = self._lengths[block * BLOCK : block * BLOCK + count]
        return [each.decode("utf-8", "replace") for each in _cut(self._at(self._ids_at[block], sum(lengths)), lengths)]

    def _numbers(self, block: int, count: int) -> list[bytes]:
        return [b"%d" % number for number in range(block * BLOCK + 1, block * BLOCK + count + 1)]

    def _at(self, offset: int, size: int) -> bytes:
        self._file.seek(offset)
        found = self._file.read(size)
        if len(found) < size:
            raise InvalidBundle("the bundle was cut off while it was read")
        return found

    # -- finding --------------------------------------------------------------------------------------------

    def _position(self, record_id: str) -> int | None:
        if self._numbered:
            number = int(record_id) if record_id.isascii() and record_id.isdecimal() and len(record_id) < 16 else 0
            return number - 1 if 1 <= number <= self.size and str(number) == record_id else None
        self._index = self._index or self._indexed()
        digests, positions = self._index
        wanted = self._digest(record_id.encode())
        at = bisect_left(digests, wanted)
        while at < len(digests) and digests[at] == wanted:
            if self._id_at(positions[at]) == record_id.encode():
                return positions[at]
            at += 1
        return None

    def _indexed(self) -> "tuple[array[int], array[int]]":
        """Digests of all ids in order, and the position of the record of each."""
        found: list[int] = []
        for block in range(len(self._rows_at)):
            first = block * BLOCK
            for index, each in enumerate(self._ids(block, min(BLOCK, self.size - first))):
                found.append(self._digest(each.encode()) << _PLACE | first + index)
        found.sort()
        return array("Q", (each >> _PLACE for each in found)), array("Q", (each & (1 << _PLACE) - 1 for each in found))

    def _digest(self, record_id: bytes) -> int:
        return int.from_bytes(blake2b(record_id, digest_size=8, key=self._key).digest())

    def _id_at(self, position: int) -> bytes:
        block = position // BLOCK
        before = sum(self._lengths[block * BLOCK : position])
        return self._at(self._ids_at[block] + before, self._lengths[position])


class Source:
    """A file that is read from its beginning to its end, every byte once."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.file = file
        self.name = name
        self._whole = sha256()

    def exactly(self, size: int, where: str) -> bytes:
        """The next bytes."""
        found = self.file.read(size)
        if len(found) < size:
            raise InvalidBundle(f"{self.name} is cut off: it ends {where}")
        self.noted(found)
        return found

    def unpacked(self, form: str, where: str) -> tuple[int, ...]:
        """The next numbers."""
        return struct.unpack(form, self.exactly(struct.calcsize(form), where))

    def noted(self, piece: bytes) -> None:
        """Take bytes into the digest that the file ends with."""
        self._whole.update(piece)

    def finish(self) -> None:
        """Compare the digest at the end of the file, and that nothing follows it."""
        whole = self._whole.digest()
        if self.exactly(_HASH, "before its digest") != whole:
            raise InvalidBundle(f"{self.name} is damaged: its bytes do not lead to the digest at its end")
        if self.file.read(1):
            raise InvalidBundle(f"{self.name} is damaged: something follows its end")


def _cut(joined: bytes, lengths: "array[int] | tuple[int, ...]") -> Iterator[bytes]:
    at = 0
    for length in lengths:
        yield joined[at : at + length]
        at += length
