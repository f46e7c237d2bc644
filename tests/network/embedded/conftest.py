# SPDX-License-Identifier: Apache-2.0
"""A certificate authority that makes whatever certificate a test asks for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from fabric_protos.msp import identities_pb2, msp_config_pb2

from network.embedded.identity import Msp

Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ROLES = ("client", "peer", "admin", "orderer")


@dataclass
class Authority:
    """A CA: `Authority("A")` is a root, `root.below("B")` an intermediate one."""

    name: str
    key: Key = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    issuer: "Authority | None" = None
    certificate: x509.Certificate = field(init=False)

    def __post_init__(self) -> None:
        self.certificate = (self.issuer or self)._sign(self.name, (), self.key, authority=True)

    def below(self, name: str) -> "Authority":
        return Authority(name, issuer=self)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(
        self,
        name: str,
        units: Sequence[str],
        *,
        key: Key | None = None,
        expired: bool = False,
        high_s: bool | None = None,
        authority: bool = False,
    ) -> "Enrolled":
        key = key or ec.generate_private_key(ec.SECP256R1())
        while True:
            certificate = self._sign(name, units, key, expired=expired, authority=authority)
            if high_s is None or (decode_dss_signature(certificate.signature)[1] > ORDER // 2) is high_s:
                return Enrolled(certificate, key)

    def issue_odd(self, name: str, units: Sequence[str], *odd: tuple[str, bytes]) -> "Enrolled":
        """A certificate with extensions whose content is whatever bytes are given, by object identifier."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(name, units, key, constraints=not any(oid == "2.5.29.19" for oid, _ in odd))
        for oid, content in odd:
            extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), content)
            builder = builder.add_extension(extension, critical=False)
        return Enrolled(builder.sign(self.key, self._algorithm), key)

    def revocation_list(self, *revoked: x509.Certificate) -> bytes:
        now = datetime.now(UTC)
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.certificate.subject)
        builder = builder.last_update(now).next_update(now + timedelta(days=1))
        for certificate in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number).revocation_date(now)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    @classmethod
    def load(cls, folder: Path, domain: str) -> "Authority":
        """The CA that a network's material keeps in an organisation's folder."""
        key = serialization.load_pem_private_key((folder / "ca" / "priv_sk").read_bytes(), password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        loaded = cls(f"ca.{domain}", key=key)
        loaded.certificate = x509.load_pem_x509_certificate((folder / "ca" / f"ca.{domain}-cert.pem").read_bytes())
        return loaded

    @property
    def _algorithm(self) -> hashes.SHA256 | None:
        return None if isinstance(self.key, ed25519.Ed25519PrivateKey) else hashes.SHA256()

    def _sign(
        self, name: str, units: Sequence[str], key: Key, *, expired: bool = False, authority: bool = False
    ) -> x509.Certificate:
        builder = self._builder(name, units, key, expired=expired, authority=authority)
        return builder.sign(self.key, self._algorithm)

    def _builder(
        self,
        name: str,
        units: Sequence[str],
        key: Key,
        *,
        expired: bool = False,
        authority: bool = False,
        constraints: bool = True,
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        attributes = [x509.NameAttribute(x509.NameOID.ORGANIZATIONAL_UNIT_NAME, unit) for unit in units]
        made = hasattr(self, "certificate")  # not yet while it signs itself
        common = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, self.name)])
        issuer = self.certificate.subject if made else common
        begin = now - timedelta(days=10 if expired else 1)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([*attributes, x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + timedelta(days=5 if expired else 365))
        )
        if constraints:
            builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        return builder


@dataclass
class Enrolled:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Key

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def serialized(self, msp_id: str) -> bytes:
        raw: bytes = identities_pb2.SerializedIdentity(mspid=msp_id, id_bytes=self.pem).SerializeToString()
        return raw


@pytest.fixture
def authority() -> Callable[..., Authority]:
    return Authority


@pytest.fixture
def make_msp() -> Callable[..., Msp]:
    """`make_msp("A", root, …)`: an organisation with node OUs, from its CAs."""

    def make(msp_id: str, *roots: Authority, node_units: bool = True, **more: Any) -> Msp:
        config = msp_config_pb2.FabricMSPConfig(name=msp_id, root_certs=[root.pem for root in roots], **more)
        if node_units:
            config.fabric_node_ous.enable = True
            for role in ROLES:
                getattr(config.fabric_node_ous, f"{role}_ou_identifier").organizational_unit_identifier = role
        return Msp(config)

    return make
