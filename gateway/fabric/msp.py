# SPDX-License-Identifier: Apache-2.0
"""Membership: which certificates an organisation vouches for, and in which role (rules P-22 to P-25, V-21).

An `Msp` is pinned, from a folder of certificates or from a channel configuration, and then asked about identities
that arrive from the network. `Msps` is the set of a channel; it remembers what it has verified.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from gateway.fabric import wire
from gateway.fabric.errors import InvalidIdentity, MalformedData
from gateway.fabric.identity import CURVE_ORDERS

__all__ = ["Member", "Msp", "Msps", "NodeOUs"]

_ECDSA_SHA256 = ec.ECDSA(hashes.SHA256())
_LONGEST_CHAIN = 8
_ROLE = wire.msp_principal.MSPRole
_KIND = wire.msp_principal.MSPPrincipal


@dataclass(frozen=True, slots=True)
class NodeOUs:
    """Organisational units that name a certificate's role, each with the DER of the CA that may grant it or None."""

    units: Mapping[str, tuple[str, bytes | None]]
    """Role (client, peer, admin, orderer) to (organisational unit, issuer)."""

    @classmethod
    def standard(cls) -> NodeOUs:
        """What cryptogen and Fabric CA use: each unit is called as its role is, from any of the MSP's CAs."""
        return cls({role: (role, None) for role in ("client", "peer", "admin", "orderer")})


@dataclass(frozen=True, slots=True)
class Member:
    """An identity that its MSP has accepted."""

    msp_id: str
    certificate: x509.Certificate
    serialized: bytes
    key: tuple[str, bytes]
    """Equal for equal certificates however they are encoded: MSP id and SHA-256 of the signed part of the certificate.
    The signature is left out since flipping its s makes other bytes of the same certificate (rule P-23)."""
    role: str | None
    """client, peer, admin or orderer by NodeOUs; without NodeOUs admin or None."""
    certifiers: bytes
    """SHA-256 over the DER of the issuing CAs, from the direct one to the root."""
    public_key: Any

    def verify(self, message: bytes, signature: bytes) -> None:
        """Checks a signature over `message`; raises `cryptography.exceptions.InvalidSignature`, also for high S."""
        _verify(self.public_key, message, signature)


def _verify(key: Any, message: bytes, signature: bytes) -> None:
    if isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(signature, message)
        return
    try:
        _, s = decode_dss_signature(signature)
    except ValueError as exc:
        raise InvalidSignature("not a DER signature") from exc
    if s > CURVE_ORDERS[key.curve.name] >> 1:
        raise InvalidSignature("s is larger than half the order")
    key.verify(signature, message, _ECDSA_SHA256)


class Msp:
    """One organisation's roots of trust.

    Certificates are checked as peers check them: chain to a root, no CA as a leaf, no revocation, exactly one NodeOU.
    Expiry is not looked at, as peers do not either when they validate a transaction (rule P-24): what was right when
    it was endorsed stays right.
    """

    def __init__(
        self,
        msp_id: str,
        roots: Iterable[x509.Certificate],
        *,
        intermediates: Iterable[x509.Certificate] = (),
        node_ous: NodeOUs | None = None,
        admins: Iterable[x509.Certificate] = (),
        revocation_lists: Iterable[x509.CertificateRevocationList] = (),
    ) -> None:
        self.msp_id = msp_id
        self.node_ous = node_ous
        roots = tuple(roots)
        if not roots:
            raise MalformedData(f"MSP {msp_id}: no root certificate")
        self._roots = {_fingerprint(root) for root in roots}
        self._issuers: dict[bytes, list[x509.Certificate]] = {}
        for certificate in (*roots, *intermediates):
            if not _is_ca(certificate):
                raise MalformedData(f"MSP {msp_id}: {certificate.subject.rfc4514_string()} is not a CA certificate")
            self._issuers.setdefault(certificate.subject.public_bytes(), []).append(certificate)
        self._admins = {_fingerprint(admin) for admin in admins}
        self._revoked = set(self._read_revocations(revocation_lists))

    def accept(self, certificate: x509.Certificate, serialized: bytes) -> Member:
        """The member that this certificate proves; raises `InvalidIdentity` naming what is wrong with it."""
        key = certificate.public_key()
        known_curve = isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in CURVE_ORDERS
        if not known_curve and not isinstance(key, ed25519.Ed25519PublicKey):
            raise InvalidIdentity(f"{self.msp_id}: the certificate's key is neither P-256, P-384 nor Ed25519")
        if _is_ca(certificate):
            raise InvalidIdentity(f"{self.msp_id}: a CA certificate is not an identity")
        chain = self._chain(certificate)
        return Member(
            msp_id=self.msp_id,
            certificate=certificate,
            serialized=serialized,
            key=(self.msp_id, _fingerprint(certificate)),
            role=self._role(certificate, chain[1]),
            certifiers=hashlib.sha256(b"".join(map(_der, chain[1:]))).digest(),
            public_key=key,
        )

    def satisfies(self, member: Member, principal: Any) -> bool:
        """Whether a member satisfies an `MSPPrincipal` (rule V-21); unknown or malformed principals match nobody."""
        try:
            return self._satisfies(member, principal)
        except wire.DecodeError:
            return False

    def _satisfies(self, member: Member, principal: Any) -> bool:
        kind, value = principal.principal_classification, principal.principal
        if kind == _KIND.ROLE:
            role = _ROLE.FromString(value)
            return role.msp_identifier == member.msp_id and self._has_role(member, role.role)
        if kind == _KIND.IDENTITY:
            return bool(value == member.serialized)
        if kind == _KIND.ORGANIZATION_UNIT:
            unit = wire.msp_principal.OrganizationUnit.FromString(value)
            return (
                unit.msp_identifier == member.msp_id
                and unit.organizational_unit_identifier in _units(member.certificate)
                and unit.certifiers_identifier == member.certifiers
            )
        if kind == _KIND.COMBINED:
            parts = wire.msp_principal.CombinedPrincipal.FromString(value).principals
            return len(parts) > 0 and all(self._satisfies(member, part) for part in parts)
        return False

    def _has_role(self, member: Member, role: int) -> bool:
        if role == _ROLE.MEMBER:
            return True
        if role == _ROLE.ADMIN:
            return member.role == "admin" or _fingerprint(member.certificate) in self._admins
        return member.role is not None and member.role == _ROLE.MSPRoleType.Name(role).lower()

    def _chain(self, leaf: x509.Certificate) -> list[x509.Certificate]:
        chain = [leaf]
        while len(chain) <= _LONGEST_CHAIN:
            issuer = self._issuer(chain[-1])
            if (issuer.subject.public_bytes(), chain[-1].serial_number) in self._revoked:
                raise InvalidIdentity(f"{self.msp_id}: certificate {chain[-1].serial_number:x} is revoked")
            chain.append(issuer)
            if _fingerprint(issuer) in self._roots:
                return chain
        raise InvalidIdentity(f"{self.msp_id}: the certificate chain is longer than {_LONGEST_CHAIN}")

    def _issuer(self, certificate: x509.Certificate) -> x509.Certificate:
        for candidate in self._issuers.get(certificate.issuer.public_bytes(), ()):
            try:
                certificate.verify_directly_issued_by(candidate)
            except (InvalidSignature, ValueError, TypeError):
                continue  # another CA of the same name may have signed it
            return candidate
        raise InvalidIdentity(
            f"{self.msp_id}: {certificate.subject.rfc4514_string()} was not issued by a CA of this MSP"
        )

    def _role(self, certificate: x509.Certificate, issuer: x509.Certificate) -> str | None:
        if self.node_ous is None:
            return "admin" if _fingerprint(certificate) in self._admins else None
        units = _units(certificate)
        found = [role for role, (unit, _) in self.node_ous.units.items() if unit in units]
        if len(found) != 1:
            raise InvalidIdentity(
                f"{self.msp_id}: the certificate must carry exactly one role, not {len(found)} ({', '.join(found)})"
            )
        required = self.node_ous.units[found[0]][1]
        if required is not None and required != _der(issuer):
            raise InvalidIdentity(f"{self.msp_id}: role {found[0]} was granted by a CA that may not grant it")
        return found[0]

    def _read_revocations(
        self, revocation_lists: Iterable[x509.CertificateRevocationList]
    ) -> Iterable[tuple[bytes, int]]:
        known = [certificate for issuers in self._issuers.values() for certificate in issuers]
        for crl in revocation_lists:
            # By the name's values: Go writes a list's issuer anew, in other string types than the CA's certificate has.
            found = [each for each in known if each.subject == crl.issuer and _signed_by(crl, each)]
            if not found:
                raise MalformedData(f"MSP {self.msp_id}: a revocation list is not signed by a CA of this MSP")
            for revoked in crl:
                yield found[0].subject.public_bytes(), revoked.serial_number


class Msps:
    """The MSPs of a channel; turns serialised identities into members and remembers the last `capacity` of them.

    Thread-safe. The cache is keyed by the exact bytes, so nothing that differs from what was verified can be found.
    """

    def __init__(self, msps: Iterable[Msp], *, capacity: int = 1024) -> None:
        self._msps = {msp.msp_id: msp for msp in msps}
        self._capacity = capacity
        self._members: dict[bytes, Member] = {}
        self._lock = threading.Lock()

    @property
    def ids(self) -> frozenset[str]:
        """The MSP ids that are known."""
        return frozenset(self._msps)

    def member(self, serialized: bytes) -> Member:
        """The member behind a `SerializedIdentity`; raises `MalformedData` or `InvalidIdentity`."""
        known = self._members.get(serialized)
        if known is not None:
            return known
        member = self._deserialise(serialized)
        with self._lock:
            while len(self._members) >= self._capacity:
                del self._members[next(iter(self._members))]
            self._members[serialized] = member
        return member

    def satisfies(self, member: Member, principal: Any) -> bool:
        """Whether `member` satisfies an `MSPPrincipal`."""
        msp = self._msps.get(member.msp_id)
        return msp is not None and msp.satisfies(member, principal)

    def _deserialise(self, serialized: bytes) -> Member:
        try:
            identity = wire.identities.SerializedIdentity.FromString(serialized)
        except wire.DecodeError as exc:
            raise MalformedData("identity: not a serialised identity") from exc
        msp = self._msps.get(identity.mspid)
        if msp is None:
            raise InvalidIdentity(f"MSP {identity.mspid!r} is not among the trusted members")
        try:
            certificate = x509.load_pem_x509_certificate(identity.id_bytes)
            return msp.accept(certificate, serialized)
        except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension) as exc:
            raise MalformedData(f"identity of {identity.mspid}: no usable PEM certificate") from exc


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _units(certificate: x509.Certificate) -> set[str]:
    return {str(part.value) for part in certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)}


def _fingerprint(certificate: x509.Certificate) -> bytes:
    return hashlib.sha256(certificate.tbs_certificate_bytes).digest()


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def _signed_by(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    return crl.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
