# SPDX-License-Identifier: Apache-2.0
"""Checkpoints (c2sp.org/tlog-checkpoint): the text of a note that says how large a log's tree is, and its root.

Three lines, each with a newline, and after them any that the log adds::

    origin
    size in decimal
    base64(root (32))
"""

from dataclasses import dataclass
from typing import Final

from pedigree.merkle import HASH
from pedigree.tlog.errors import MalformedCheckpoint
from pedigree.tlog.lexis import LARGEST_NUMBER, decode_base64, decode_decimal, encode_base64

_LINES: Final = 3


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says of its tree."""

    origin: str
    """Which log it is: one non-empty line."""
    size: int
    """The number of leaves."""
    root: bytes
    """RFC 6962, 32 bytes."""
    extensions: tuple[str, ...] = ()
    """Further lines, about which neither this library nor a witness says anything."""

    def format(self) -> bytes:
        """The text; raises `ValueError` where a field cannot be written so."""
        if not 0 <= self.size <= LARGEST_NUMBER or len(self.root) != HASH:
            raise ValueError(f"a checkpoint has a size from 0 to 2^63 - 1 and a root of {HASH} bytes")
        if any(not line or "\n" in line for line in (self.origin, *self.extensions)):
            raise ValueError("the origin and the extensions of a checkpoint are non-empty lines")
        lines = [self.origin.encode(), b"%d" % self.size, encode_base64(self.root)]
        return b"".join([line + b"\n" for line in [*lines, *(each.encode() for each in self.extensions)]])

    @classmethod
    def parse(cls, text: bytes) -> "Checkpoint":
        """The checkpoint that a note's text is; raises `MalformedCheckpoint`."""
        lines = text.split(b"\n")
        if lines.pop() or len(lines) < _LINES:
            raise MalformedCheckpoint("the checkpoint does not have the lines origin, size and root")
        if b"" in lines:
            raise MalformedCheckpoint("the checkpoint has an empty line")
        root = decode_base64(lines[2], "the root of the checkpoint", MalformedCheckpoint)
        if len(root) != HASH:
            raise MalformedCheckpoint(f"the root of the checkpoint has {len(root)} bytes, not {HASH}")
        size = decode_decimal(lines[1], "the size of the checkpoint", MalformedCheckpoint)
        try:
            return cls(lines[0].decode(), size, root, tuple([each.decode() for each in lines[_LINES:]]))
        except UnicodeDecodeError:
            raise MalformedCheckpoint("the checkpoint is not UTF-8 text") from None
