# SPDX-License-Identifier: Apache-2.0
"""Membership: which certificates an organisation vouches for, and in which role (rules P-22 to P-25, V-21).

An `Msp` is pinned, from a folder of certificates or from a channel configuration, and then asked about identities
that arrive from the network. `Msps` is the set of a channel; it remembers what it has verified.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from gateway.fabric import wire
from gateway.fabric.certificates import Certificate, RevocationList, load_certificate
from gateway.fabric.errors import DisabledMember, InvalidIdentity, MalformedData
from gateway.fabric.identity import CURVE_ORDERS
from gateway.fabric.texts import said

__all__ = ["Member", "Msp", "Msps", "NodeOUs"]

_LONGEST_CHAIN = 8
_DEEPEST_PRINCIPAL = 8
_LONGEST_NAME = 100
"""Of an MSP id where it is shown; peers take any text for one."""
_LARGEST_REMEMBERED = 16 * 1024
"""Bytes of an identity that is kept once it is verified."""
_ROLE = wire.msp_principal.MSPRole
_KIND = wire.msp_principal.MSPPrincipal
_ECDSA = {"SHA2": ec.ECDSA(hashes.SHA256()), "SHA3": ec.ECDSA(hashes.SHA3_256())}


@dataclass(frozen=True, slots=True)
class NodeOUs:
    """Organisational units that name a certificate's role, each with the CA that may grant it or None for any."""

    units: Mapping[str, tuple[str, Certificate | None]]
    """Role (client, peer, admin, orderer) to (organisational unit, issuer); several roles may share a unit."""

    @classmethod
    def standard(cls) -> NodeOUs:
        """What cryptogen and Fabric CA use: each unit is called as its role is, from any of the MSP's CAs."""
        return cls({role: (role, None) for role in ("client", "peer", "admin", "orderer")})


@dataclass(frozen=True, slots=True)
class Member:
    """An identity that its MSP has accepted."""

    msp_id: str
    certificate: Certificate
    serialized: bytes
    roles: frozenset[str]
    """client, peer, admin or orderer by NodeOUs; without NodeOUs admin or nothing."""
    certifiers: bytes
    """SHA-256 over the DER of the issuing CAs, from the direct one to the root."""
    hash_family: str
    """What this member hashes with before it signs with ECDSA: SHA2 or SHA3, or a name that nobody knows."""

    @property
    def key(self) -> tuple[str, bytes]:
        """MSP id and fingerprint: equal for equal certificates however they are encoded."""
        return self.msp_id, self.certificate.fingerprint

    @property
    def role(self) -> str | None:
        """The one role, or None for none; where units are shared the first by name."""
        return min(self.roles, default=None)

    def verify(self, message: bytes, signature: bytes) -> None:
        """Checks a signature over `message`; raises `cryptography.exceptions.InvalidSignature`, also for high S."""
        try:
            _verify(self.certificate.public_key, message, signature, self.hash_family)
        except InvalidSignature:
            raise
        except Exception as exc:  # of the library's making, whatever its name
            raise InvalidSignature("the signature cannot be checked") from exc


def _verify(key: Any, message: bytes, signature: bytes, hash_family: str) -> None:
    if isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(signature, message)
        return
    _, s = decode_dss_signature(signature)
    if s > CURVE_ORDERS[key.curve.name] >> 1:
        raise InvalidSignature("s is larger than half the order")
    key.verify(signature, message, _ECDSA[hash_family])


class Msp:
    """One organisation's roots of trust.

    Certificates are checked as peers check them: chain to a root, no CA as a leaf, no revocation, a unit that the
    organisation recognises, exactly one NodeOU. Expiry is not looked at, as peers do not either when they validate a
    transaction (rule P-24): what was right when it was endorsed stays right.
    """

    def __init__(
        self,
        msp_id: str,
        roots: Iterable[Certificate],
        *,
        intermediates: Iterable[Certificate] = (),
        node_ous: NodeOUs | None = None,
        admins: Iterable[Certificate] = (),
        revocation_lists: Iterable[RevocationList] = (),
        recognised_units: Iterable[tuple[str, Certificate]] = (),
        hash_family: str = "SHA2",
    ) -> None:
        """Assign.

        Args:
            recognised_units: organisational units of which every identity must carry one, each with the CA that may
                grant it; without any, none is asked for.
            hash_family: of the organisation's ECDSA signatures.

        Raises `MalformedData` for roots that are missing or no CAs.
        """
        self.msp_id = msp_id
        self._name = said(msp_id, _LONGEST_NAME)
        self.node_ous = node_ous
        roots = tuple(roots)
        if not roots:
            raise MalformedData(f"MSP {self._name}: no root certificate")
        self._roots = {root.fingerprint for root in roots}
        self._issuers: dict[bytes, list[Certificate]] = {}
        for certificate in (*roots, *intermediates):
            if not certificate.authority:
                raise MalformedData(f"MSP {self._name}: {certificate.name} is not a CA certificate")
            self._issuers.setdefault(certificate.subject, []).append(certificate)
        self._admins = {admin.fingerprint for admin in admins}
        self._recognised = {(unit, issuer.fingerprint) for unit, issuer in recognised_units}
        self._hash_family = hash_family
        lists = tuple(revocation_lists)
        self._unidentified_list = any(each.authority_key_id is None for each in lists)
        self._revoked = {
            (authority.fingerprint, serial)
            for each in lists
            for authority in (*roots, *intermediates)
            if each.signed_by(authority)  # a stranger's list says nothing about this organisation's certificates
            for serial in each.serials
        }

    def accept(self, certificate: Certificate, serialized: bytes) -> Member:
        """The member that this certificate proves; raises `InvalidIdentity` naming what is wrong with it."""
        key = certificate.public_key
        known_curve = isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in CURVE_ORDERS
        if not known_curve and not isinstance(key, ed25519.Ed25519PublicKey):
            raise InvalidIdentity(f"{self._name}: the certificate's key is neither on a NIST curve nor Ed25519")
        if certificate.authority:
            raise InvalidIdentity(f"{self._name}: a CA certificate is not an identity")
        if self._unidentified_list:
            # As on peers: with such a list nobody can tell which of the organisation's certificates are revoked.
            raise InvalidIdentity(f"{self._name}: a revocation list does not name its issuer's key")
        chain = self._chain(certificate)
        if self._recognised and not any((unit, chain[1].fingerprint) in self._recognised for unit in certificate.units):
            raise InvalidIdentity(f"{self._name}: none of the certificate's units is one that the organisation names")
        return Member(
            msp_id=self.msp_id,
            certificate=certificate,
            serialized=serialized,
            roles=self._roles(certificate, chain[1]),
            certifiers=hashlib.sha256(b"".join(each.der for each in chain[1:])).digest(),
            hash_family=self._hash_family,
        )

    def satisfies(self, member: Member, principal: Any) -> bool:
        """Whether a member satisfies an `MSPPrincipal` (rule V-21); unknown or malformed principals match nobody."""
        try:
            return self._satisfies(member, principal, 0)
        except (wire.DecodeError, MalformedData):
            return False

    def _satisfies(self, member: Member, principal: Any, depth: int) -> bool:
        kind, value = principal.principal_classification, principal.principal
        if kind == _KIND.ROLE:
            role = _ROLE.FromString(value)
            return role.msp_identifier == member.msp_id and self._has_role(member, role.role)
        if kind == _KIND.IDENTITY:
            listed = wire.identities.SerializedIdentity.FromString(value)
            certificate = load_certificate(listed.id_bytes, "principal")
            return bool(listed.mspid == member.msp_id and certificate.fingerprint == member.certificate.fingerprint)
        if kind == _KIND.ORGANIZATION_UNIT:
            unit = wire.msp_principal.OrganizationUnit.FromString(value)
            return (
                unit.msp_identifier == member.msp_id
                and unit.organizational_unit_identifier in member.certificate.units
                and unit.certifiers_identifier == member.certifiers
            )
        if kind == _KIND.COMBINED and depth < _DEEPEST_PRINCIPAL:
            parts = wire.msp_principal.CombinedPrincipal.FromString(value).principals
            return len(parts) > 0 and all(self._satisfies(member, part, depth + 1) for part in parts)
        return False

    def _has_role(self, member: Member, role: int) -> bool:
        if role == _ROLE.MEMBER:
            return True
        if role == _ROLE.ADMIN and member.certificate.fingerprint in self._admins:
            return True
        return _ROLE_NAMES.get(role) in member.roles

    def _chain(self, leaf: Certificate) -> list[Certificate]:
        chain = [leaf]
        while len(chain) <= _LONGEST_CHAIN:
            issuer = self._issuer(chain[-1])
            if (issuer.fingerprint, chain[-1].serial) in self._revoked:
                raise InvalidIdentity(f"{self._name}: certificate {chain[-1].serial:x} is revoked")
            chain.append(issuer)
            if issuer.fingerprint in self._roots:
                return chain
        raise InvalidIdentity(f"{self._name}: the certificate chain is longer than {_LONGEST_CHAIN}")

    def _issuer(self, certificate: Certificate) -> Certificate:
        for candidate in self._issuers.get(certificate.issuer, ()):
            if certificate.issued_by(candidate):  # another CA of the same name may have signed it
                return candidate
        raise InvalidIdentity(f"{self._name}: {certificate.name} was not issued by a CA of this MSP")

    def _roles(self, certificate: Certificate, issuer: Certificate) -> frozenset[str]:
        if self.node_ous is None:
            return frozenset({"admin"} if certificate.fingerprint in self._admins else ())
        granted = dict(self.node_ous.units.values())
        found = [unit for unit in certificate.units if unit in granted]
        if len(found) != 1:
            raise InvalidIdentity(
                f"{self._name}: the certificate must carry exactly one role, not {len(found)} "
                f"({said(', '.join(found))})"
            )
        required = granted[found[0]]
        if required is not None and required.fingerprint != issuer.fingerprint:
            raise InvalidIdentity(f"{self._name}: role {said(found[0])} was granted by a CA that may not grant it")
        return frozenset(role for role, (unit, _) in self.node_ous.units.items() if unit == found[0])


_ROLE_NAMES = {number: name.lower() for name, number in _ROLE.MSPRoleType.items()}


class Msps:
    """The MSPs of a channel; turns serialised identities into members and remembers the last `capacity` of them.

    Each MSP is built when it is first asked for, so that what is wrong with one does not concern the others. A member
    whose definition cannot be understood is disabled: none of its identities is believed, and `disabled` says why.
    Thread-safe. The cache is keyed by the exact bytes, so nothing that differs from what was verified can be found.
    """

    def __init__(
        self,
        msps: Iterable[Msp] = (),
        *,
        definitions: Mapping[str, Callable[[], Msp]] | None = None,
        capacity: int = 1024,
    ) -> None:
        """Assign.

        Args:
            definitions: by MSP id, how to build each; raises `MalformedData` where that cannot be done.
        """
        self._definitions = dict(definitions or {})
        self._built: dict[str, Msp | str] = {msp.msp_id: msp for msp in msps}
        """Each MSP that was asked for, or why it is disabled."""
        self._capacity = capacity
        self._members: dict[bytes, Member] = {}
        self._lock = threading.Lock()

    @property
    def ids(self) -> frozenset[str]:
        """The MSP ids that are known."""
        return frozenset(self._definitions) | frozenset(self._built)

    @property
    def disabled(self) -> Mapping[str, str]:
        """Members whose definition is not understood, by MSP id, and why."""
        found = {msp_id: self._find(msp_id) for msp_id in sorted(self.ids)}
        return {msp_id: problem for msp_id, problem in found.items() if isinstance(problem, str)}

    def member(self, serialized: bytes) -> Member:
        """The member behind a `SerializedIdentity`; raises `MalformedData`, of which `InvalidIdentity` is one kind and
        `DisabledMember` one of those."""
        known = self._members.get(serialized)
        if known is not None:
            return known
        member = self._deserialise(serialized)
        if len(serialized) <= _LARGEST_REMEMBERED:
            with self._lock:
                while len(self._members) >= self._capacity:
                    del self._members[next(iter(self._members))]
                self._members[serialized] = member
        return member

    def satisfies(self, member: Member, principal: Any) -> bool:
        """Whether `member` satisfies an `MSPPrincipal`."""
        msp = self._find(member.msp_id)
        return isinstance(msp, Msp) and msp.satisfies(member, principal)

    def _find(self, msp_id: str) -> Msp | str | None:
        """The MSP, or why it is disabled; None for a stranger's."""
        found = self._built.get(msp_id)
        if found is None and msp_id in self._definitions:
            try:
                found = self._definitions[msp_id]()
            except MalformedData as exc:
                found = str(exc)
            self._built[msp_id] = found
        return found

    def _deserialise(self, serialized: bytes) -> Member:
        try:
            identity = wire.identities.SerializedIdentity.FromString(serialized)
        except wire.DecodeError as exc:
            raise MalformedData("identity: not a serialised identity") from exc
        msp = self._find(identity.mspid)
        if msp is None:
            raise InvalidIdentity(f"MSP {said(identity.mspid, _LONGEST_NAME)!r} is not among the trusted members")
        if isinstance(msp, str):
            raise DisabledMember(identity.mspid, msp)
        return msp.accept(
            load_certificate(identity.id_bytes, f"identity of {said(msp.msp_id, _LONGEST_NAME)}"), serialized
        )
