# SPDX-License-Identifier: Apache-2.0
"""The owner's own hierarchy: one key-encryption key of the organisation, and under it the data key of each blob.

A wrapped key is 69 bytes::

    form (1), 01 | id of the key-encryption key (8) | nonce (12) | data key (32), sealed, and its tag (16)

AES-256-GCM under the key-encryption key; associated data is ``"pedigree-data-key/v1\\0" ‖ the first 9 bytes ‖ blob
id``, so that a wrapped key opens for its own blob only. Nonces are drawn at random: a key-encryption key wraps far
fewer than 2^32 keys.
"""

import os
import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.sealing.blobs import BLOB_ID, KEY, TAG
from gateway.sealing.errors import MalformedKey, MissingKey, WrongKey

WRAPPED: Final = 69
MOST_KEYS: Final = 16
"""Key-encryption keys that one line may hold: the one in use, and those before it."""
_LABEL: Final = b"pedigree-data-key/v1\0"
_ID_LABEL: Final = b"pedigree-key-encryption-key-id/v1\0"
_FORM: Final = b"\x01"
_ID, _NONCE = 8, 12
_HEAD: Final = 1 + _ID
_LINE: Final = re.compile(r"[0-9a-f]{64}(?: [0-9a-f]{64})*")


class KeyEncryptionKeys:
    """The organisation's key-encryption keys: the first one wraps, and each unwraps what it wrapped."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not 1 <= len(keys) <= MOST_KEYS or any(len(key) != KEY for key in keys):
            raise MalformedKey(f"key-encryption keys are 1 to {MOST_KEYS} of {KEY} bytes each")
        self._keys = {key_encryption_key_id(key): key for key in keys}
        self._order = tuple(keys)
        self.current = key_encryption_key_id(keys[0])
        """The id of the one that wraps, 8 bytes."""

    @classmethod
    def parse(cls, line: str) -> "KeyEncryptionKeys":
        """Read one line of keys in hexadecimal digits with a blank between them, that in use first.

        Raises `MalformedKey`, which never shows what was read.
        """
        if len(line) > MOST_KEYS * 65 or _LINE.fullmatch(line) is None:
            raise MalformedKey(
                "key-encryption keys are one line: each has 64 lower-case hexadecimal digits, a blank is between two, "
                "and the one in use is first"
            )
        return cls([bytes.fromhex(text) for text in line.split(" ")])

    def format(self) -> str:
        """The line that `parse` reads."""
        return " ".join(key.hex() for key in self._order)

    def renewed(self) -> "KeyEncryptionKeys":
        """These, with a new key before them, which wraps from now on; the oldest goes where there are too many."""
        return KeyEncryptionKeys([os.urandom(KEY), *self._order[: MOST_KEYS - 1]])

    def alone(self) -> "KeyEncryptionKeys":
        """The one in use without those before it: for when nothing is wrapped under them any more."""
        return KeyEncryptionKeys(self._order[:1])

    def wrap(self, key: bytes, blob_id: bytes) -> bytes:
        """A blob's data key under the key in use."""
        head, nonce = _FORM + self.current, os.urandom(_NONCE)
        return head + nonce + AESGCM(self._keys[self.current]).encrypt(nonce, key, _bound(head, blob_id))

    def unwrap(self, wrapped: bytes, blob_id: bytes) -> bytes:
        """The data key of a blob.

        Raises `MissingKey` where the key-encryption key is not here, `WrongKey` where the wrapped key was altered or is
        another blob's, `MalformedKey`.
        """
        head, nonce, sealed = wrapped[:_HEAD], wrapped[_HEAD : _HEAD + _NONCE], wrapped[_HEAD + _NONCE :]
        if len(wrapped) != WRAPPED or not head.startswith(_FORM):
            raise MalformedKey("it is not a wrapped data key")
        key = self._keys.get(head[1:])
        if key is None:
            known = ", ".join(each.hex() for each in self._keys)
            raise MissingKey(f"it is wrapped under the key-encryption key {head[1:].hex()}, and here is {known}")
        try:
            return AESGCM(key).decrypt(nonce, sealed, _bound(head, blob_id))
        except InvalidTag:
            raise WrongKey("the wrapped data key was altered, or is another blob's") from None

    def rewrap(self, wrapped: bytes, blob_id: bytes) -> bytes:
        """The same data key under the key in use; what is sealed under it stays as it is."""
        return wrapped if wrapped[1:_HEAD] == self.current else self.wrap(self.unwrap(wrapped, blob_id), blob_id)


def key_encryption_key_id(key: bytes) -> bytes:
    """What names a key-encryption key, 8 bytes; it says nothing about the key."""
    return sha256(_ID_LABEL + key).digest()[:_ID]


def _bound(head: bytes, blob_id: bytes) -> bytes:
    if len(blob_id) != BLOB_ID:
        raise MalformedKey(f"a blob's id has {BLOB_ID} bytes")
    return _LABEL + head + blob_id


assert WRAPPED == _HEAD + _NONCE + KEY + TAG
