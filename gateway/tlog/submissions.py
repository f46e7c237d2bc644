# SPDX-License-Identifier: Apache-2.0
"""What a log asks a witness (c2sp.org/tlog-witness, `add-checkpoint`): cosign this, it continues what you know::

    old <decimal>                  the size that the witness cosigned last
    base64(hash (32))              the consistency proof (RFC 6962, 2.1.2) from that size; at most 63 lines

    <the checkpoint, a signed note>

The witness answers signature lines.
"""

from dataclasses import dataclass
from typing import Final

from chaincode.domain.merkle import HASH
from gateway.tlog.errors import TlogError
from gateway.tlog.lexis import decode_base64, decode_decimal, encode_base64

LARGEST: Final = 64 << 10
"""Bytes of a submission: far more than a checkpoint with a log's own signatures and 63 hashes."""
_MOST_HASHES: Final = 63
_OLD: Final = b"old "


class MalformedSubmission(TlogError):
    """It is not what `add-checkpoint` takes."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A checkpoint to be cosigned, and that it continues what the witness knows."""

    old: int
    """The size that the witness cosigned last; 0 where it never cosigned a checkpoint of this log."""
    proof: tuple[bytes, ...]
    checkpoint: bytes
    """The signed note, verbatim."""

    def format(self) -> bytes:
        """The body of the request."""
        lines = [b"%s%d" % (_OLD, self.old), *map(encode_base64, self.proof)]
        return b"\n".join(lines) + b"\n\n" + self.checkpoint

    @classmethod
    def parse(cls, content: bytes) -> "Submission":
        """The submission that these bytes are; raises `MalformedSubmission`. Its checkpoint is not looked at."""
        if len(content) > LARGEST:
            raise MalformedSubmission(f"the request has more than {LARGEST >> 10} KiB")
        head, separator, checkpoint = content.partition(b"\n\n")
        if not separator or not checkpoint:
            raise MalformedSubmission("the request has no checkpoint behind an empty line")
        first, *lines = head.split(b"\n", _MOST_HASHES + 2)
        if not first.startswith(_OLD):
            raise MalformedSubmission("the request does not begin with the line of the old size")
        old = decode_decimal(first[len(_OLD) :], "the old size", MalformedSubmission)
        if len(lines) > _MOST_HASHES:
            raise MalformedSubmission(f"the request has more than {_MOST_HASHES} hashes")
        proof = tuple([decode_base64(line, "a hash of the request", MalformedSubmission) for line in lines])
        if any(len(each) != HASH for each in proof):
            raise MalformedSubmission(f"each hash of the request has {HASH} bytes")
        return cls(old, proof, checkpoint)
