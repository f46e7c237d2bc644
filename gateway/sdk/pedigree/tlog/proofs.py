# SPDX-License-Identifier: Apache-2.0
"""Proofs that an entry is in a log, in one file (c2sp.org/tlog-proof), by convention `*.tlog-proof`::

c2sp.org/tlog-proof@v1
extra base64(...)              may be missing; nothing authenticates it
index <decimal>
base64(hash (32))              from the leaf's sibling up (RFC 6962, 2.1.1); none in a tree of one leaf

<the log's checkpoint, a signed note, verbatim>
"""

from dataclasses import dataclass
from typing import Final

from pedigree.merkle import HASH
from pedigree.tlog.errors import MalformedProof, shown
from pedigree.tlog.lexis import LARGEST_NUMBER, decode_base64, decode_decimal, encode_base64

LARGEST: Final = 16 << 20
"""Bytes of a proof: what is not extra data is below 1 MiB."""
MOST_HASHES: Final = 64
MAGIC: Final = b"c2sp.org/tlog-proof@v1"
_EXTRA: Final = b"extra "
_INDEX: Final = b"index "


@dataclass(frozen=True, slots=True)
class TlogProof:
    """Where an entry is in a log, and what shows it."""

    index: int
    hashes: tuple[bytes, ...]
    """The inclusion path, from the leaf's sibling up."""
    checkpoint: bytes
    """The signed note, verbatim."""
    extra: bytes | None = None
    """What the writer adds; nothing authenticates it."""

    def format(self) -> bytes:
        """The proof's bytes; raises `ValueError` where a field cannot be written so."""
        if not 0 <= self.index <= LARGEST_NUMBER:
            raise ValueError("an index is a number from 0 to 2^63 - 1")
        if len(self.hashes) > MOST_HASHES or any(len(each) != HASH for each in self.hashes):
            raise ValueError(f"a proof has at most {MOST_HASHES} hashes of {HASH} bytes each")
        extra = [] if self.extra is None else [_EXTRA + encode_base64(self.extra)]
        lines = [MAGIC, *extra, b"%s%d" % (_INDEX, self.index), *(encode_base64(each) for each in self.hashes)]
        return b"\n".join(lines) + b"\n\n" + self.checkpoint

    @classmethod
    def parse(cls, content: bytes) -> "TlogProof":
        """The proof that these bytes are; raises `MalformedProof`. Its checkpoint is not looked at."""
        if len(content) > LARGEST:
            raise MalformedProof(f"the proof has more than {LARGEST >> 20} MiB")
        if not content.startswith(MAGIC + b"\n"):
            raise MalformedProof(f"the proof does not begin with the line {MAGIC.decode()}")
        head, separator, checkpoint = content.partition(b"\n\n")
        if not separator or not checkpoint:
            raise MalformedProof("the proof ends before its checkpoint")
        # One split more than the most lines that are right tells that there are too many, whatever their number.
        lines = head.split(b"\n", MOST_HASHES + 3)[1:]
        extra = None
        if lines and lines[0].startswith(_EXTRA):
            extra = decode_base64(lines.pop(0)[len(_EXTRA) :], "the extra data of the proof", MalformedProof)
        if not lines or not lines[0].startswith(_INDEX):
            raise MalformedProof("the proof has no index line where one must be")
        index = decode_decimal(lines.pop(0)[len(_INDEX) :], "the index of the proof", MalformedProof)
        if len(lines) > MOST_HASHES:
            raise MalformedProof(f"the proof has more than {MOST_HASHES} hashes")
        return cls(index, tuple([_hash(line) for line in lines]), checkpoint, extra)


def _hash(line: bytes) -> bytes:
    value = decode_base64(line, lambda: f"the hash {shown(line)} of the proof", MalformedProof)
    if len(value) != HASH:
        raise MalformedProof(f"a hash of the proof has {len(value)} bytes, not {HASH}")
    return value
