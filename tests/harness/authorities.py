# SPDX-License-Identifier: Apache-2.0
"""Certificate authorities and the certificates that they issue, for tests of who may speak."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

START = datetime(2025, 1, 1, tzinfo=UTC)
END = datetime(2035, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Holder:
    """A key and its certificate."""

    key: Any
    certificate: x509.Certificate

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        form, nothing = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        made: bytes = self.key.private_bytes(serialization.Encoding.PEM, form, nothing)
        return made

    @property
    def serial(self) -> str:
        return f"{self.certificate.serial_number:x}"

    def sign(self, message: bytes) -> bytes:
        if isinstance(self.key, ed25519.Ed25519PrivateKey):
            return self.key.sign(message)
        signed: bytes = self.key.sign(message, ec.ECDSA(hashes.SHA256()))
        return signed


def issue(
    name: str,
    issuer: Holder | None = None,
    *,
    key: Any = None,
    authority: bool = False,
    units: tuple[str, ...] = ("client",),
    start: datetime = START,
    end: datetime = END,
    below: int | None = None,
    extension: tuple[x509.ExtensionType, bool] | None = None,
    signs: bool = True,
) -> Holder:
    """A certificate by `issuer`, or by itself.

    Args:
        below: the path length constraint.
        signs: whether an authority's key usage lets it sign certificates.
    """
    key = key or ec.generate_private_key(ec.SECP256R1())
    named = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    named += [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit) for unit in ([] if authority else units)]
    subject = x509.Name(named)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(authority, below if authority else None), critical=True)
    )
    if authority:
        usage = dict.fromkeys(
            ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
             "crl_sign", "encipher_only", "decipher_only"), False,
        )  # fmt: skip
        builder = builder.add_extension(x509.KeyUsage(key_cert_sign=signs, **usage), critical=True)
    if extension is not None:
        builder = builder.add_extension(extension[0], critical=extension[1])
    signer = key if issuer is None else issuer.key
    algorithm = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return Holder(key, builder.sign(signer, algorithm))


def day(days: int) -> datetime:
    """So many days after the beginning of 2026, when the ledgers of tests begin."""
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=days)
