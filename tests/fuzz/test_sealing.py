# SPDX-License-Identifier: Apache-2.0
"""Sealed blobs as strangers may alter them: what is given out is the beginning of what was sealed, or nothing."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
import sealingvectors

from gateway.sealing.datakeys import KeyEncryptionKeys
from gateway.sealing.errors import DamagedBlob, SealError
from gateway.sealing.streams import Blob, Held

if TYPE_CHECKING:
    from fuzz.conftest import Fuzzing

CHUNK, HEADER, TAG = 16, 80, 16
KEY, BLOB, PREFIX = sealingvectors.KEY, sealingvectors.BLOB, sealingvectors.PREFIX


def _altered(chance: random.Random, whole: bytes, other: bytes) -> bytes:
    """The blob with one to four things changed: chunks lost, moved, doubled or of another blob, bits flipped, a cut."""
    for _ in range(chance.randint(1, 4)):
        head, rest = whole[:HEADER], whole[HEADER:]
        chunks = [rest[at : at + CHUNK + TAG] for at in range(0, len(rest), CHUNK + TAG)] or [b""]
        at = chance.randrange(len(chunks))
        match chance.randrange(7):
            case 0:
                del chunks[at]
            case 1:
                chunks.insert(at, chance.choice(chunks))
            case 2:
                chunks[at] = other[HEADER + at * (CHUNK + TAG) :][: CHUNK + TAG]
            case 3:
                place = chance.randrange(len(chunks))
                chunks[at], chunks[place] = chunks[place], chunks[at]
            case 4:
                chunks[at] = bytes(each ^ (chance.random() < 0.02) << chance.randrange(8) for each in chunks[at])
            case 5:
                place = chance.randrange(len(head)) if head else 0
                head = head[:place] + chance.randbytes(chance.randint(0, 2)) + head[place + 1 :]
            case _:
                chunks[at] = chunks[at][: chance.randint(0, len(chunks[at]))]
        whole = head + b"".join(chunks)
    return whole


def _said_well(refusal: SealError, whole: bytes) -> None:
    """A refusal is one short line, whatever the blob holds, and names a chunk that may be there."""
    assert str(refusal).isprintable()
    assert len(str(refusal)) < 300
    if isinstance(refusal, DamagedBlob):
        assert 0 <= refusal.chunk <= len(whole) // (CHUNK + TAG) + 1


@pytest.mark.timeout(3_600)
def test_a_blob_opens_as_it_was_sealed_or_is_refused(fuzzing: Fuzzing) -> None:
    for chance in fuzzing.rounds("sealing"):
        content = chance.randbytes(chance.choice([0, 1, CHUNK, CHUNK + 1, 5 * CHUNK, 5 * CHUNK + 7]))
        known = chance.choice([-1, None])
        genuine = sealingvectors.sealed(KEY, BLOB, PREFIX, content, CHUNK, size=known)
        other = sealingvectors.sealed(KEY, chance.randbytes(32), PREFIX, chance.randbytes(90), CHUNK, size=known)
        whole = _altered(chance, genuine, other)
        given = b""
        try:
            blob = Blob(KEY, Held(whole))
            start = chance.randint(0, blob.size)
            for piece in blob.read(start):
                given += piece
        except SealError as exc:
            _said_well(exc, whole)
        else:
            assert given == content[start:]
            assert whole == genuine or start > 0
        assert not given or content[start:].startswith(given)


@pytest.mark.timeout(3_600)
def test_a_wrapped_key_opens_as_it_was_wrapped_or_is_refused(fuzzing: Fuzzing) -> None:
    keys = KeyEncryptionKeys([sealingvectors.drawn("kek", 32)])
    for chance in fuzzing.rounds("wrapped-keys"):
        genuine = keys.wrap(KEY, BLOB)
        changed = bytearray(genuine)
        for _ in range(chance.randint(1, 3)):
            changed[chance.randrange(len(changed))] ^= chance.randrange(256)
        cut = bytes(changed[: chance.choice([len(changed), chance.randrange(len(changed))])])
        try:
            assert keys.unwrap(cut, BLOB) == KEY
        except SealError as exc:
            _said_well(exc, cut)
        else:
            assert cut == genuine
