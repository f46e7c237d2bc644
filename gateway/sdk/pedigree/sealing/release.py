# SPDX-License-Identifier: Apache-2.0
"""How a data key is released to one recipient: HPKE (RFC 9180, base mode), bound to the very attempt that allows it.

A released key is::

    suite (1) | encapsulated key (65, or 1,120) | data key (32), sealed, and its tag (16)

    suite 01  DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM
    suite 02  MLKEM768-X25519, HKDF-SHA256, AES-256-GCM

`info` is six lines, each ended by 0A: `pedigree-release/v1`, channel, grant, attempt, digest and the blob's id in
hexadecimal digits. The recipient's key is that of a certificate on P-256, such as Fabric's, or one of the second suite,
which an adversary with a quantum computer does not break either.
"""

from base64 import b64decode
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, mlkem, x25519
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from pedigree.sealing.blobs import KEY, TAG
from pedigree.sealing.errors import MalformedKey, WrongKey

Recipient = ec.EllipticCurvePublicKey | MLKEM768X25519PublicKey
Holder = ec.EllipticCurvePrivateKey | MLKEM768X25519PrivateKey

LONGEST_KEY: Final = 16 * 1024
"""Characters of a recipient's key as text."""
_P256, _HYBRID = 1, 2
_SUITES: Final = {
    _P256: Suite(KEM.P256, KDF.HKDF_SHA256, AEAD.AES_256_GCM),
    _HYBRID: Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM),
}
_ENCAPSULATED: Final = {_P256: 65, _HYBRID: 1120}
_HYBRID_TEXT: Final = "mlkem768-x25519:"
_ML_KEM_768, _X25519 = 1184, 32
_LABEL: Final = "pedigree-release/v1"


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a released key is for; it opens for nothing else."""

    channel: str
    grant: str
    attempt: str
    digest: str
    """What tells the data from any other on the ledger: a version's or a selection's root, in hex."""
    blob_id: bytes

    @property
    def info(self) -> bytes:
        """HPKE's `info`."""
        lines = [_LABEL, self.channel, self.grant, self.attempt, self.digest, self.blob_id.hex()]
        if any("\n" in line for line in lines):
            raise MalformedKey("what a released key is bound to has a line end in it")
        return "".join(f"{line}\n" for line in lines).encode()


def release(key: bytes, recipient: Recipient, purpose: Purpose) -> bytes:
    """A data key for one recipient and one purpose."""
    suite = _HYBRID if isinstance(recipient, MLKEM768X25519PublicKey) else _P256
    return bytes([suite]) + _SUITES[suite].encrypt(key, recipient, purpose.info)


def receive(released: bytes, holder: Holder, purpose: Purpose) -> bytes:
    """The data key; raises `MalformedKey`, and `WrongKey` where it is another's or for another purpose."""
    suite = _HYBRID if isinstance(holder, MLKEM768X25519PrivateKey) else _P256
    if len(released) != 1 + _ENCAPSULATED[suite] + KEY + TAG or released[0] != suite:
        raise MalformedKey("it is not a data key that was released to a key of this kind")
    try:
        return _SUITES[suite].decrypt(released[1:], holder, purpose.info)
    except (InvalidTag, ValueError):
        text = "the released key does not open: it was altered, or is for another recipient, grant, attempt or blob"
        raise WrongKey(text) from None


def parse_recipient(text: str) -> Recipient:
    """A recipient's public key: a certificate or a public key in PEM, or ``mlkem768-x25519:`` and base64 of the two
    keys joined (1,184 and 32 bytes). Raises `MalformedKey`.
    """
    if len(text) > LONGEST_KEY:
        raise MalformedKey(f"a recipient's key has at most {LONGEST_KEY} characters")
    try:
        if text.startswith(_HYBRID_TEXT):
            return _parse_hybrid(b64decode(text.removeprefix(_HYBRID_TEXT), validate=True))
        if "-----BEGIN CERTIFICATE-----" in text:
            key: object = x509.load_pem_x509_certificate(text.encode()).public_key()
        else:
            key = serialization.load_pem_public_key(text.encode())
    except Exception:  # of the library's making, whatever its name
        text = "the recipient's key is neither a certificate or public key in PEM nor a hybrid key"
        raise MalformedKey(text) from None
    return _on_p256(key)


def parse_public_key(content: bytes) -> ec.EllipticCurvePublicKey:
    """A recipient's public key as grants have it: the SubjectPublicKeyInfo in DER of a key on P-256 (RFC 5480)."""
    try:
        key = serialization.load_der_public_key(content)
    except Exception:  # of the library's making, whatever its name
        raise MalformedKey("the recipient's key is not a SubjectPublicKeyInfo in DER") from None
    return _on_p256(key)


def _on_p256(key: object) -> ec.EllipticCurvePublicKey:
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise MalformedKey("the recipient's key must be on the curve P-256, or a hybrid one")
    return key


def _parse_hybrid(content: bytes) -> MLKEM768X25519PublicKey:
    if len(content) != _ML_KEM_768 + _X25519:
        raise ValueError(len(content))
    return MLKEM768X25519PublicKey(
        mlkem.MLKEM768PublicKey.from_public_bytes(content[:_ML_KEM_768]),
        x25519.X25519PublicKey.from_public_bytes(content[_ML_KEM_768:]),
    )
