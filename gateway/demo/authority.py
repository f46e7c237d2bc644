# SPDX-License-Identifier: Apache-2.0
"""An authority of the demonstration's own, and the certificate of its gateways: for loopback, and for a month."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_MONTH = datetime.timedelta(days=30)


def make(folder: Path) -> None:
    """Write `authority.crt`, `server.crt` and `server.key` (PEM) into a folder, once."""
    if (folder / "server.key").exists():
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = _begun("Pedigree demonstration", "Pedigree demonstration", root_key)
    root = root.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    server = _begun("localhost", "Pedigree demonstration", key)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    server = server.add_extension(x509.SubjectAlternativeName(names), critical=False)
    server = server.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    server = server.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    server = server.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False
    )
    for name, made in (("authority", root), ("server", server)):
        (folder / f"{name}.crt").write_bytes(made.sign(root_key, hashes.SHA256()).public_bytes(Encoding.PEM))
    kept = folder / "server.key"
    kept.touch(mode=0o600)
    kept.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _begun(subject: str, issuer: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in (subject, issuer)]
    made = x509.CertificateBuilder().subject_name(names[0]).issuer_name(names[1]).public_key(key.public_key())
    made = made.serial_number(x509.random_serial_number()).not_valid_before(now - _MONTH).not_valid_after(now + _MONTH)
    return made.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
