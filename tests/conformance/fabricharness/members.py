# SPDX-License-Identifier: Apache-2.0
"""Signing identities of the tests: those that the network issued, and forged ones that it must refuse."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.x509.oid import NameOID
from fabric_protos.msp import identities_pb2

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@dataclass(frozen=True)
class Member:
    """An MSP id, a certificate and the key that signs for it."""

    mspid: str
    certificate: bytes
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def from_folder(cls, mspid: str, folder: Path) -> "Member":
        (certificate,) = (folder / "signcerts").iterdir()
        (key,) = (folder / "keystore").iterdir()
        loaded = serialization.load_pem_private_key(key.read_bytes(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        return cls(mspid, certificate.read_bytes(), loaded)

    @property
    def serialized(self) -> bytes:
        return identities_pb2.SerializedIdentity(mspid=self.mspid, id_bytes=self.certificate).SerializeToString()

    @property
    def x509(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.certificate)

    def sign(self, message: bytes) -> bytes:
        """An ECDSA signature with low S, as Fabric demands (P-22)."""
        r, s = decode_dss_signature(self.key.sign(message, ec.ECDSA(hashes.SHA256())))
        return encode_dss_signature(r, min(s, P256_ORDER - s))

    def sign_high(self, message: bytes) -> bytes:
        """The same with high S: mathematically right and yet to be refused."""
        r, s = decode_dss_signature(self.sign(message))
        return encode_dss_signature(r, P256_ORDER - s)

    def claiming(self, mspid: str) -> "Member":
        return replace(self, mspid=mspid)

    def with_key_of(self, other: "Member") -> "Member":
        return replace(self, key=other.key)


def issue(
    mspid: str,
    authority: Path | None,
    *,
    units: Sequence[str] = ("client",),
    begins: datetime | None = None,
    ends: datetime | None = None,
) -> Member:
    """A fresh identity from the CA in `authority` (a folder of the key material), or from a CA that nobody knows."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    if authority is None:
        signing, issuer = ec.generate_private_key(ec.SECP256R1()), _name("stranger")
        subject_key = x509.SubjectKeyIdentifier.from_public_key(signing.public_key())
    else:
        (path,) = authority.glob("*-cert.pem")
        known = x509.load_pem_x509_certificate(path.read_bytes())
        issuer = known.subject
        subject_key = known.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        loaded = serialization.load_pem_private_key((authority / "priv_sk").read_bytes(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        signing = loaded
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name("forged", units))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins or now - timedelta(minutes=4))
        .not_valid_after(ends or now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(subject_key), critical=False)
    )
    certificate = _sign_low(builder, signing)
    return Member(mspid, certificate.public_bytes(serialization.Encoding.PEM), key)


def _sign_low(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """A certificate whose signature has low S; every second attempt has, so this ends soon."""
    while True:
        certificate = builder.sign(key, hashes.SHA256())
        _, s = decode_dss_signature(certificate.signature)
        if s <= P256_ORDER >> 1:
            return certificate


def _name(common: str, units: Sequence[str] = ()) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit) for unit in units]
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common)])


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
