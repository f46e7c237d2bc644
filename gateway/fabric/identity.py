# SPDX-License-Identifier: Apache-2.0
"""Who signs, and how: an MSP identity (certificate), a signer (private key) and the digest that is signed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import (
    Prehashed,
    decode_dss_signature,
    encode_dss_signature,
)

from gateway.fabric import wire
from gateway.fabric.certificates import load_certificate
from gateway.fabric.errors import MalformedData
from gateway.fabric.folders import read_public

__all__ = [
    "CURVE_ORDERS",
    "Hash",
    "Identity",
    "Sign",
    "Signer",
    "default_hash",
    "low_s",
    "no_hash",
    "sha3_256",
    "sha3_384",
    "sha256",
    "sha384",
]

Hash = Callable[[bytes], bytes]
"""Message to digest; `no_hash` where the signature algorithm wants the whole message (Ed25519)."""

Sign = Callable[[bytes], bytes]
"""Digest (as the gateway's hash made it) to signature: DER with low S for ECDSA, 64 raw bytes for Ed25519."""

# Orders of the NIST curves that Fabric verifies on, SEC 2 version 2.0, sections 2.3.1, 2.4.2, 2.5.1 and 2.6.1.
CURVE_ORDERS = {
    "secp224r1": 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFF16A2E0B8F03E13DD29455C5C2A3D,
    "secp256r1": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "secp384r1": int(
        "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973", 16
    ),
    "secp521r1": int(
        "01FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFA"
        "51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409",
        16,
    ),
}
_SIGNING_CURVES = ("secp256r1", "secp384r1")
# ECDSA cares only about a digest's length; the SHA-2 names stand for every 32 and 48 byte digest.
_PREHASHED = {
    32: ec.ECDSA(Prehashed(hashes.SHA256())),
    48: ec.ECDSA(Prehashed(hashes.SHA384())),
}


def sha256(message: bytes) -> bytes:
    """SHA-256, which Fabric's peers verify ECDSA signatures with by default (rule P-22)."""
    return hashlib.sha256(message).digest()


def sha384(message: bytes) -> bytes:
    """SHA-384, for networks whose MSPs are configured so."""
    return hashlib.sha384(message).digest()


def sha3_256(message: bytes) -> bytes:
    """SHA3-256, for networks whose MSPs name the SHA3 family."""
    return hashlib.sha3_256(message).digest()


def sha3_384(message: bytes) -> bytes:
    """SHA3-384, for networks whose MSPs name the SHA3 family at level 384."""
    return hashlib.sha3_384(message).digest()


def no_hash(message: bytes) -> bytes:
    """The message itself, for Ed25519 and for signers that hash by themselves."""
    return message


def low_s(signature: bytes, order: int) -> bytes:
    """The DER signature whose s is at most half the curve's order, which Fabric demands (rule P-22)."""
    r, s = decode_dss_signature(signature)
    if s <= order >> 1:
        return signature
    return encode_dss_signature(r, order - s)


class Identity:
    """An MSP id and the PEM certificate that proves membership; serialised once, as every message carries it."""

    __slots__ = ("credentials", "mspid", "serialized")

    def __init__(self, mspid: str, credentials: bytes) -> None:
        if not mspid:
            raise ValueError("an identity needs an MSP id")
        self.mspid = mspid
        self.credentials = credentials
        self.serialized: bytes = wire.identities.SerializedIdentity(
            mspid=mspid, id_bytes=credentials
        ).SerializeToString()

    @classmethod
    def from_msp_folder(cls, mspid: str, folder: Path | str) -> Identity:
        """The identity whose certificate is the only file of `folder/signcerts`.

        Every message will carry it, so nothing else of the file is taken. Raises `MalformedData` when there is not
        exactly one file, when it holds no certificate, and when it holds a private key.
        """
        path = _only_file(Path(folder) / "signcerts")
        certificate = cls(mspid, read_public(Path(folder), f"signcerts/{path.name}", str(folder))).certificate
        if certificate is None:
            raise MalformedData(f"{path}: no PEM certificate")
        return cls(mspid, certificate.public_bytes(serialization.Encoding.PEM))

    @property
    def certificate(self) -> x509.Certificate | None:
        """The parsed certificate, or None when the credentials are not a PEM certificate."""
        try:
            return load_certificate(self.credentials, "identity").parsed
        except MalformedData:
            return None

    def __repr__(self) -> str:
        return f"Identity({self.mspid!r})"


class Signer:
    """Signs digests with a private key held in this process; thread-safe.

    ECDSA over P-256 and P-384 takes a digest of 32 or 48 bytes and answers DER with low S; Ed25519 takes the whole
    message. Other keys are refused with `MalformedData`. Any callable of that shape (an HSM, a remote signer) does
    in its place.
    """

    __slots__ = ("_key", "_order")

    def __init__(self, key: Any) -> None:
        if isinstance(key, ec.EllipticCurvePrivateKey):
            if key.curve.name not in _SIGNING_CURVES:
                raise MalformedData(f"private key: curve {key.curve.name} is not supported")
            self._order: int | None = CURVE_ORDERS[key.curve.name]
        elif isinstance(key, ed25519.Ed25519PrivateKey):
            self._order = None
        else:
            raise MalformedData(f"private key: {type(key).__name__} is neither ECDSA nor Ed25519")
        self._key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey = key

    @classmethod
    def from_pem(cls, pem: bytes, password: bytes | None = None) -> Signer:
        """The signer of a PEM private key; raises `MalformedData` when it cannot be read."""
        try:
            return cls(serialization.load_pem_private_key(pem, password))
        except (ValueError, TypeError) as exc:
            raise MalformedData("private key: not a readable PEM key") from exc

    @classmethod
    def from_msp_folder(cls, folder: Path | str, password: bytes | None = None) -> Signer:
        """The signer of the only file of `folder/keystore`."""
        return cls.from_pem(_only_file(Path(folder) / "keystore").read_bytes(), password)

    def __call__(self, digest: bytes) -> bytes:
        """The signature over `digest`; raises `ValueError` for a digest of another length than 32 or 48 bytes."""
        key = self._key
        if isinstance(key, ed25519.Ed25519PrivateKey):
            return key.sign(digest)
        algorithm = _PREHASHED.get(len(digest))
        if algorithm is None:
            raise ValueError(f"an ECDSA signer wants a digest of 32 or 48 bytes, not {len(digest)}")
        assert self._order is not None
        return low_s(key.sign(digest, algorithm), self._order)

    def __repr__(self) -> str:
        return "Signer(…)"


def default_hash(identity: Identity) -> Hash:
    """The hash that peers expect of this identity: none for Ed25519, SHA-256 for everything else (rule P-22)."""
    certificate = identity.certificate
    if certificate is not None and isinstance(certificate.public_key(), ed25519.Ed25519PublicKey):
        return no_hash
    return sha256


def _only_file(folder: Path) -> Path:
    files = sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
    if len(files) != 1:
        raise MalformedData(f"{folder}: holds {len(files)} files where exactly one is expected")
    return files[0]
