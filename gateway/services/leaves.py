# SPDX-License-Identifier: Apache-2.0
"""Leaf hashes of records by thousands, and a program that answers with them: `python -m` this module.

The program reads frames from its standard input: four bytes of length (big-endian), and a `marshal` of the arguments of
`hashes_and_roots`. It writes what that returns, joined. It ends with its input, and so with its parent.
"""

import marshal
import sys
from collections.abc import Sequence
from typing import Final

from chaincode.domain import merkle
from chaincode.domain.merkle import HASH, SALT
from gateway.services.tiles import roots_of_whole

_TAIL: Final = 9


def hashes(
    with_subjects: bool, ids: Sequence[bytes], contents: Sequence[bytes], salts: bytes, tails: bytes, subjects: bytes
) -> bytes:
    """Leaf hashes of records, joined; the arguments are as in `holdings.RecordColumns`."""
    each_salt = _cut(salts, SALT)
    each_tail = [tails] * len(ids) if len(tails) == _TAIL else _cut(tails, _TAIL)
    if not with_subjects:
        return merkle.record_hashes(zip(each_salt, ids, contents, each_tail, strict=True))
    each_subject = _cut(subjects, HASH)
    return merkle.subject_record_hashes(zip(each_salt, ids, contents, each_subject, each_tail, strict=True))


def hashes_and_roots(
    start: int,
    with_subjects: bool,
    ids: Sequence[bytes],
    contents: Sequence[bytes],
    salts: bytes,
    tails: bytes,
    subjects: bytes,
) -> tuple[bytes, bytes]:
    """Leaf hashes as `hashes` has them, and the roots of the tiles that these fill; the first is leaf `start`."""
    found = hashes(with_subjects, ids, contents, salts, tails, subjects)
    return found, roots_of_whole(start, found)


def main() -> int:
    """Answer what standard input asks, until it ends."""
    source, out = sys.stdin.buffer, sys.stdout.buffer
    while head := source.read(4):
        payload = source.read(int.from_bytes(head))
        out.writelines(hashes_and_roots(*marshal.loads(payload)))  # noqa: S302 - what our own parent wrote
        out.flush()
    return 0


def _cut(joined: bytes, width: int) -> list[bytes]:
    return [joined[at : at + width] for at in range(0, len(joined), width)]


if __name__ == "__main__":
    sys.exit(main())
