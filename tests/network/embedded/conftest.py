# SPDX-License-Identifier: Apache-2.0
"""A certificate authority that makes whatever certificate a test asks for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
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

    def revocation_list(self, *revoked: x509.Certificate) -> bytes:
        now = datetime.now(UTC)
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.certificate.subject)
        builder = builder.last_update(now).next_update(now + timedelta(days=1))
        for certificate in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number).revocation_date(now)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _sign(
        self, name: str, units: Sequence[str], key: Key, *, expired: bool = False, authority: bool = False
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        attributes = [x509.NameAttribute(x509.NameOID.ORGANIZATIONAL_UNIT_NAME, unit) for unit in units]
        subject = x509.Name([*attributes, x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        begin = now - timedelta(days=10 if expired else 1)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, self.name)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + timedelta(days=5 if expired else 365))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        algorithm = None if isinstance(self.key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
        return builder.sign(self.key, algorithm)


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
