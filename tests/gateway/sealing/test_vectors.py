# SPDX-License-Identifier: Apache-2.0
"""Sealed blobs and keys that a second implementation made open here, and what it damaged is refused in these words."""

import json
from hashlib import sha256
from typing import Any

import pytest
import sealingvectors
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.sealing.blobs import Header, key_id_of
from gateway.sealing.datakeys import KeyEncryptionKeys
from gateway.sealing.errors import DamagedBlob, SealError, WrongKey
from gateway.sealing.release import Purpose, receive
from gateway.sealing.streams import Blob, Held, seal

VECTORS: dict[str, Any] = json.loads(sealingvectors.FILE.read_text(encoding="utf-8"))


def named(kind: str) -> Any:
    return pytest.mark.parametrize("vector", VECTORS[kind], ids=lambda each: each["name"])


def test_the_file_is_what_the_second_implementation_makes() -> None:
    """`python tests/harness/sealingvectors.py` writes it anew; a form that has been released never changes."""
    assert sealingvectors.FILE.read_text(encoding="utf-8") == sealingvectors.written(sealingvectors.made())


@named("blobs")
def test_a_blob_opens_and_is_sealed_alike(vector: dict[str, Any]) -> None:
    key, content = bytes.fromhex(vector["key"]), bytes.fromhex(vector["content"])
    whole = bytes.fromhex(vector["sealed"])
    blob_id, prefix = bytes.fromhex(vector["blob_id"]), bytes.fromhex(vector["prefix"])
    header = Header(blob_id, key_id_of(key), prefix, vector["size"], vector["chunk"])
    assert b"".join(seal(key, header, [content])) == whole
    assert Header.parse(whole) == header
    assert b"".join(Blob(key, Held(whole)).read()) == content


@named("refused")
def test_what_was_damaged_is_refused_in_these_words(vector: dict[str, Any]) -> None:
    given = bytearray()

    def opened() -> None:
        for piece in Blob(bytes.fromhex(vector["key"]), Held(bytes.fromhex(vector["sealed"]))).read():
            given.extend(piece)

    with pytest.raises(SealError) as refused:
        opened()
    assert str(refused.value) == vector["refused"]
    assert sealingvectors.drawn("content", 80).startswith(bytes(given))
    if isinstance(refused.value, DamagedBlob):
        assert len(given) <= 32 * refused.value.chunk


def test_a_blob_with_chunks_of_the_usual_size_is_the_same() -> None:
    vector = VECTORS["long"]
    key = bytes.fromhex(vector["key"])
    content = sealingvectors.drawn("long", vector["bytes"])
    header = Header(bytes.fromhex(vector["blob_id"]), key_id_of(key), bytes.fromhex(vector["prefix"]), len(content))
    assert sha256(b"".join(seal(key, header, [content]))).hexdigest() == vector["sealed_sha256"]


def test_a_wrapped_key_unwraps() -> None:
    vector = VECTORS["wrapped"]
    keys = KeyEncryptionKeys.parse(vector["key_encryption_key"])
    assert keys.unwrap(bytes.fromhex(vector["wrapped"]), bytes.fromhex(vector["blob_id"])).hex() == vector["key"]


def test_a_released_key_is_received_and_for_nothing_else() -> None:
    vector = VECTORS["released"]
    holder = ec.derive_private_key(int(vector["recipient"], 16), ec.SECP256R1())
    said = (vector["channel"], vector["grant"], vector["attempt"], vector["digest"])
    purpose = Purpose(*said, bytes.fromhex(vector["blob_id"]))
    assert purpose.info.hex() == vector["info"]
    assert receive(bytes.fromhex(vector["released"]), holder, purpose).hex() == vector["key"]
    with pytest.raises(WrongKey, match="another recipient, grant, attempt or blob"):
        receive(bytes.fromhex(vector["released"]), holder, Purpose("other", *said[1:], purpose.blob_id))
