# SPDX-License-Identifier: Apache-2.0
"""Makes the key material of a network: CAs, MSP folders and TLS certificates in cryptogen's folder layout.

Whatever exists is kept. Every node's and user's folder is written beside its place, down to the disk, and moved there
in one step. So neither a start that was killed half-way nor a power cut leaves anything half-made that a later start
would take for whole, such as an empty key whose certificate others know.
"""

import hashlib
import ipaddress
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import ExtendedKeyUsageOID

from network.durable import make_folder, publish_folder
from network.topology import OrdererOrganisation, Organisation, Topology

_P256_HALF_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551 >> 1
_YEARS = 10
_ROLES = ("client", "peer", "admin", "orderer")
USERS = {"Admin": "admin", "User1": "client"}


@dataclass(frozen=True, slots=True)
class Material:
    """Where the key material of a network lies, below `<directory>/organizations`."""

    root: Path

    def organisation(self, domain: str) -> Path:
        """A peer organisation's folder."""
        return self.root / "peerOrganizations" / domain

    def orderer_organisation(self, domain: str) -> Path:
        """The ordering organisation's folder."""
        return self.root / "ordererOrganizations" / domain

    def peer(self, domain: str, number: int = 0) -> Path:
        """A peer's folder, with `msp` and `tls` (ca.crt, server.crt, server.key); peers are counted from 0."""
        return self.organisation(domain) / "peers" / f"peer{number}.{domain}"

    def service(self, folder: Path, name: str) -> Path:
        """The TLS folder of a service of an organisation whose folder is given, such as its CA or its chaincode."""
        return folder / "services" / name / "tls"

    def orderer(self, domain: str, number: int = 1) -> Path:
        """An orderer's folder, with `msp` and `tls`; nodes are counted from 1."""
        return self.orderer_organisation(domain) / "orderers" / f"orderer{number}.{domain}"

    def user(self, domain: str, user: str = "User1") -> Path:
        """A user's folder in a peer organisation, with `msp` and `tls` (ca.crt, client.crt, client.key)."""
        return self.organisation(domain) / "users" / f"{user}@{domain}"

    def orderer_user(self, domain: str, user: str = "Admin") -> Path:
        """A user's folder in the ordering organisation."""
        return self.orderer_organisation(domain) / "users" / f"{user}@{domain}"

    def tls_ca(self, domain: str) -> Path:
        """The TLS root certificate of a peer organisation."""
        return self.organisation(domain) / "tlsca" / f"tlsca.{domain}-cert.pem"

    def orderer_tls_ca(self, domain: str) -> Path:
        """The TLS root certificate of the ordering organisation."""
        return self.orderer_organisation(domain) / "tlsca" / f"tlsca.{domain}-cert.pem"


def ensure_material(
    topology: Topology, directory: Path, *, at: datetime | None = None, only: str | None = None
) -> Material:
    """Make what is missing below `directory`/organizations and keep the rest; raises `OSError`.

    `at` is when the certificates begin, five minutes earlier to allow for other clocks; they last ten years. `only` is
    the domain of the one organisation whose keys belong here, where the others keep theirs on hosts of their own.
    """
    begin = (at or datetime.now(UTC)) - timedelta(minutes=5)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    material = Material(directory / "organizations")
    for organisation in topology.organisations:
        if only in (None, organisation.domain):
            _ensure_peer_organisation(material, organisation, begin)
    if only in (None, topology.orderer.domain):
        _ensure_orderers(material, topology.orderer, begin)
    return material


def _ensure_orderers(material: Material, orderer: OrdererOrganisation, begin: datetime) -> None:
    folder = material.orderer_organisation(orderer.domain)
    issuer = _ensure_authorities(folder, orderer.domain, begin)
    for number, address in enumerate(orderer.addresses, 1):
        place = material.orderer(orderer.domain, number)
        issuer.ensure_member(place, place.name, "orderer", begin, server=address.host)
    issuer.ensure_member(material.orderer_user(orderer.domain), f"Admin@{orderer.domain}", "admin", begin)


def ensure_service(material: Material, folder: Path, domain: str, name: str, *, at: datetime | None = None) -> Path:
    """Make the TLS folder of an organisation's service called `name`, unless it is there; raises `OSError`.

    It holds ca.crt and two pairs: server.crt and server.key, which prove `name`, and client.crt and client.key, with
    which the organisation's own programs call the service.
    """
    place = material.service(folder, name).parent
    if place.exists():
        return place / "tls"
    begin = (at or datetime.now(UTC)) - timedelta(minutes=5)
    issuer = _ensure_authorities(folder, domain, begin)
    new = _fresh(place)
    issuer.write_tls(new / "tls", name, "server", "peer", begin, (name, "localhost", "127.0.0.1"))
    issuer.write_tls(new / "tls", name, "client", "client", begin, ())
    publish_folder(new, place)
    return place / "tls"


def renew_tls(
    folder: Path, domain: str, present: Path, new: Path, *, kept: Sequence[str] = (), at: datetime | None = None
) -> None:
    """Make the TLS folder `new`: the root and pairs of `present`, with other keys and later certificates.

    Pairs in `kept` (`server` or `client`) stay the same. `folder` is the organisation's, whose TLS CA issues them;
    names, hosts and roles stay as they are. They last ten years, or as long as the TLS CA. Whatever was in `new` is
    thrown away. Raises `OSError`.
    """
    begin = (at or datetime.now(UTC)) - timedelta(minutes=5)
    tls_ca = _Authority.load(folder / "tlsca", f"tlsca.{domain}")
    unfinished = _fresh(new)
    _write(unfinished / "ca.crt", _pem(tls_ca.certificate))
    for kind in ("server", "client"):
        if not (present / f"{kind}.crt").exists():
            continue
        if kind in kept:
            _write(unfinished / f"{kind}.crt", (present / f"{kind}.crt").read_bytes())
            _write(unfinished / f"{kind}.key", (present / f"{kind}.key").read_bytes(), secret=True)
            continue
        former = x509.load_pem_x509_certificate((present / f"{kind}.crt").read_bytes())
        key = ec.generate_private_key(ec.SECP256R1())
        _write(unfinished / f"{kind}.crt", tls_ca.issue(former.subject, key, begin, _hosts(former), tls=True))
        _write(unfinished / f"{kind}.key", _private_pem(key), secret=True)
    if new.exists():
        shutil.rmtree(new)
    publish_folder(unfinished, new)


def _ensure_peer_organisation(material: Material, organisation: Organisation, begin: datetime) -> None:
    domain = organisation.domain
    issuer = _ensure_authorities(material.organisation(domain), domain, begin)
    for number, (name, endpoint) in enumerate(organisation.peers):
        issuer.ensure_member(material.peer(domain, number), name, "peer", begin, server=endpoint.host)
    for user, role in USERS.items():
        issuer.ensure_member(material.user(domain, user), f"{user}@{domain}", role, begin)


@dataclass(frozen=True, slots=True)
class _Authority:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def make(cls, name: str, domain: str, begin: datetime) -> "_Authority":
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _subject(name, domain)
        certificate = _signed(
            _builder(subject, subject, key.public_key(), begin)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_key_usage(authority=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage(_PURPOSES), critical=False)
            .add_extension(_subject_key(key.public_key()), critical=False),
            key,
        )
        return cls(certificate, key)

    @classmethod
    def load(cls, folder: Path, name: str) -> "_Authority":
        certificate = x509.load_pem_x509_certificate((folder / f"{name}-cert.pem").read_bytes())
        key = serialization.load_pem_private_key((folder / "priv_sk").read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise OSError(f"{folder}/priv_sk is not an elliptic-curve key")
        return cls(certificate, key)

    def issue(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, begin: datetime, hosts: Sequence[str], *, tls: bool
    ) -> bytes:
        public_key = key.public_key()
        builder = (
            _builder(subject, self.certificate.subject, public_key, begin, self.certificate.not_valid_after_utc)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(authority=False), critical=True)
            .add_extension(_subject_key(public_key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier(_subject_key(self.key.public_key()).digest, None, None), critical=False
            )
        )
        if tls:
            builder = builder.add_extension(x509.ExtendedKeyUsage(_PURPOSES), critical=False)
        if hosts:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False
            )
        return _pem(_signed(builder, self.key))


@dataclass(frozen=True, slots=True)
class _Issuer:
    """An organisation's two CAs, and the folder in which they issue."""

    domain: str
    ca: _Authority
    tls_ca: _Authority

    def ensure_member(self, place: Path, name: str, role: str, begin: datetime, *, server: str | None = None) -> None:
        """Make a node's (with the host it serves on) or a user's folder, unless it is there."""
        if place.exists():
            return
        new = _fresh(place)
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self.ca.issue(_subject(name, self.domain, role), key, begin, (), tls=False)
        _write_msp(new / "msp", self)
        _write(new / "msp" / "signcerts" / f"{name}-cert.pem", certificate)
        _write(new / "msp" / "keystore" / "priv_sk", _private_pem(key), secret=True)
        hosts = () if server is None else tuple(dict.fromkeys((name, "localhost", "127.0.0.1", server)))
        self.write_tls(new / "tls", name, "client" if server is None else "server", role, begin, hosts)
        publish_folder(new, place)

    def write_tls(self, folder: Path, name: str, kind: str, role: str, begin: datetime, hosts: Sequence[str]) -> None:
        """Write `<kind>.crt` and `<kind>.key` for TLS, and the root beside them unless it is there."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self.tls_ca.issue(_subject(name, self.domain, role), key, begin, hosts, tls=True)
        if not (folder / "ca.crt").exists():
            _write(folder / "ca.crt", _pem(self.tls_ca.certificate))
        _write(folder / f"{kind}.crt", certificate)
        _write(folder / f"{kind}.key", _private_pem(key), secret=True)


def _ensure_authorities(folder: Path, domain: str, begin: datetime) -> _Issuer:
    if folder.exists():
        return _Issuer(
            domain,
            _Authority.load(folder / "ca", f"ca.{domain}"),
            _Authority.load(folder / "tlsca", f"tlsca.{domain}"),
        )
    issuer = _Issuer(
        domain,
        _Authority.make(f"ca.{domain}", domain, begin),
        _Authority.make(f"tlsca.{domain}", domain, begin),
    )
    new = _fresh(folder)
    for kind, authority in (("ca", issuer.ca), ("tlsca", issuer.tls_ca)):
        _write(new / kind / f"{kind}.{domain}-cert.pem", _pem(authority.certificate))
        _write(new / kind / "priv_sk", _private_pem(authority.key), secret=True)
    _write_msp(new / "msp", issuer)
    publish_folder(new, folder)
    return issuer


def _write_msp(folder: Path, issuer: _Issuer) -> None:
    domain = issuer.domain
    _write(folder / "cacerts" / f"ca.{domain}-cert.pem", _pem(issuer.ca.certificate))
    _write(folder / "tlscacerts" / f"tlsca.{domain}-cert.pem", _pem(issuer.tls_ca.certificate))
    lines = ["NodeOUs:", "  Enable: true"]
    for role in _ROLES:
        lines += [
            f"  {role.capitalize()}OUIdentifier:",
            f"    Certificate: cacerts/ca.{domain}-cert.pem",
            f"    OrganizationalUnitIdentifier: {role}",
        ]
    _write(folder / "config.yaml", ("\n".join(lines) + "\n").encode())


def _fresh(place: Path) -> Path:
    """An empty folder beside `place`, to be moved there; what a killed start left in it is thrown away."""
    new = place.with_name(f".{place.name}.new")
    if new.exists():
        shutil.rmtree(new)
    make_folder(place.parent)
    new.mkdir(mode=0o700)
    return new


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it for the owner alone; `mkdir` closes only the last one."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def _write(path: Path, content: bytes, *, secret: bool = False) -> None:
    _make_folder(path.parent)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if secret else 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


_PURPOSES = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


def _subject(name: str, domain: str, role: str | None = None) -> x509.Name:
    attributes = [x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, domain)]
    if role is not None:
        attributes.append(x509.NameAttribute(x509.NameOID.ORGANIZATIONAL_UNIT_NAME, role))
    return x509.Name([*attributes, x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    begin: datetime,
    latest: datetime | None = None,
) -> x509.CertificateBuilder:
    end = begin + timedelta(days=365 * _YEARS)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end if latest is None else min(end, latest))
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=False,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _subject_key(key: ec.EllipticCurvePublicKey) -> x509.SubjectKeyIdentifier:
    point = key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    return x509.SubjectKeyIdentifier(hashlib.sha256(point).digest())


def _hosts(certificate: x509.Certificate) -> tuple[str, ...]:
    """The names and addresses that a certificate proves; none for one that is only a client's."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(str(name.value) for name in names)


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _signed(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """Sign until S is low: Fabric re-encodes any other certificate, and its bytes would then have two forms (P-23)."""
    while True:
        certificate = builder.sign(key, hashes.SHA256())
        if decode_dss_signature(certificate.signature)[1] <= _P256_HALF_ORDER:
            return certificate


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
