# SPDX-License-Identifier: Apache-2.0
"""To whom data goes: the public key to which the data's key is wrapped, as bytes that are checked without a library."""

from hashlib import sha256
from typing import Final

from chaincode.domain.errors import InvalidField
from chaincode.domain.values import Blob, Digest

KEY_SIZE: Final = 91
"""The bytes of a public key: a SubjectPublicKeyInfo of the curve P-256, its point uncompressed (RFC 5480)."""

_BEGINNING: Final = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
_P: Final = 2**256 - 2**224 + 2**192 + 2**96 - 1
_B: Final = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B


def key_digest(key: Blob | None) -> Digest | None:
    """The SHA-256 of a recipient's public key; refuses what is not a point of the curve."""
    if key is None:
        return None
    x, y = int.from_bytes(key[-64:-32]), int.from_bytes(key[-32:])
    on_curve = (y * y - x * x * x + 3 * x - _B) % _P == 0 and x < _P and y < _P
    if len(key) != KEY_SIZE or not key.startswith(_BEGINNING) or not on_curve:
        raise InvalidField(
            "/recipient_key",
            f"it must be a public key of the curve P-256: the {KEY_SIZE} bytes of its SubjectPublicKeyInfo (DER)",
        )
    return Digest(sha256(key).digest())
