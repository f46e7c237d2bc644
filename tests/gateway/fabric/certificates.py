# SPDX-License-Identifier: Apache-2.0
"""Certificates for tests: keys of every kind, and organisations with a CA, a peer and a client."""

from __future__ import annotations

import datetime
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from gateway.fabric import Identity, Signer

CONFIG_YAML = """\
NodeOUs:
  Enable: true
  ClientOUIdentifier:
    Certificate: cacerts/ca-cert.pem
    OrganizationalUnitIdentifier: client
  PeerOUIdentifier:
    Certificate: cacerts/ca-cert.pem
    OrganizationalUnitIdentifier: peer
  AdminOUIdentifier:
    Certificate: cacerts/ca-cert.pem
    OrganizationalUnitIdentifier: admin
  OrdererOUIdentifier:
    Certificate: cacerts/ca-cert.pem
    OrganizationalUnitIdentifier: orderer
"""
START = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
END = datetime.datetime(2044, 1, 1, tzinfo=datetime.UTC)


def make_key(kind: str) -> Any:
    if kind == "rsa":
        return rsa.generate_private_key(65537, 2048)
    curves: dict[str, ec.EllipticCurve] = {
        "p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1(), "k256": ec.SECP256K1(),
    }  # fmt: skip
    return ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else ec.generate_private_key(curves[kind])


def pem_of(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def pem_of_key(key: Any) -> bytes:
    return bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def make_certificate(
    name: str,
    key: Any,
    issuer: tuple[x509.Name, Any] | None = None,
    *,
    units: tuple[str, ...] = (),
    ca: bool | None = False,
    hosts: tuple[str, ...] = (),
) -> x509.Certificate:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    parts += [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit) for unit in units]
    subject = x509.Name(parts)
    issuer_name, issuer_key = issuer or (subject, key)
    builder = x509.CertificateBuilder(
        issuer_name, subject, key.public_key(), x509.random_serial_number(), START, END
    ).add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca, None), critical=True)
    if hosts:
        names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(issuer_key, None if isinstance(issuer_key, ed25519.Ed25519PrivateKey) else hashes.SHA256())


@dataclass
class Person:
    """A certificate and its key."""

    msp_id: str
    certificate: x509.Certificate
    key: Any

    @property
    def identity(self) -> Identity:
        return Identity(self.msp_id, pem_of(self.certificate))

    @property
    def signer(self) -> Signer:
        return Signer(self.key)

    def sign(self, message: bytes) -> bytes:
        is_raw = isinstance(self.key, ed25519.Ed25519PrivateKey)
        return self.signer(message if is_raw else hashlib.sha256(message).digest())


class Organisation:
    """A certificate authority of one MSP and what it issues."""

    def __init__(self, msp_id: str) -> None:
        self.msp_id = msp_id
        self.key = make_key("p256")
        self.ca = make_certificate(f"ca.{msp_id}", self.key, ca=True)
        self.peer = self.issue("peer0", "peer")
        self.client = self.issue("User1", "client")

    def issue(self, name: str, *units: str, kind: str = "p256", ca: bool = False) -> Person:
        key = make_key(kind)
        certificate = make_certificate(f"{name}.{self.msp_id}", key, (self.ca.subject, self.key), units=units, ca=ca)
        return Person(self.msp_id, certificate, key)

    def write_msp(self, folder: Path) -> Path:
        for name in ("cacerts", "signcerts", "keystore"):
            (folder / name).mkdir(parents=True)
        (folder / "cacerts" / "ca-cert.pem").write_bytes(pem_of(self.ca))
        (folder / "signcerts" / "cert.pem").write_bytes(pem_of(self.client.certificate))
        (folder / "keystore" / "priv_sk").write_bytes(pem_of_key(self.client.key))
        (folder / "config.yaml").write_text(CONFIG_YAML)
        return folder
