# SPDX-License-Identifier: Apache-2.0
"""Who speaks: X.509 identities, membership service providers and signers (rules P-14, P-15, P-22 to P-25).

Checking a signature is the hot path of the node, so an identity is parsed, chained to its CA and judged once, and then
found again by the bytes it came in. Whether a certificate has expired is not judged here (P-24); callers that must
know compare `Identity.not_after` with their own clock.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from fabric_protos.msp import identities_pb2, msp_config_pb2, msp_principal_pb2
from google.protobuf.message import DecodeError

from network.embedded.authorities import Authorities, UntrustedCertificate
from network.embedded.certificates import Certificate, curve_order, load_certificate
from network.embedded.mspconfig import msp_config_from_folder
from network.publicfiles import certificate_of

__all__ = [
    "Identity",
    "InvalidIdentity",
    "InvalidSignature",
    "MalformedIdentity",
    "Msp",
    "Msps",
    "Signer",
]

_CACHE_ENTRIES = 4096
_CACHE_LARGEST = 16 * 1024
_ROLE_MEMBER = 0
_ROLE_ADMIN = 1
_ROLE_CLIENT = 2
_ROLE_PEER = 3
_ROLE_ORDERER = 4
_ECDSA_SHA256 = ec.ECDSA(hashes.SHA256())
_P256_HALF_ORDER = curve_order(ec.SECP256R1()) >> 1


class MalformedIdentity(ValueError):
    """The bytes are not an identity of any organisation: unknown MSP, no certificate, or no chain to its CA (P-14)."""


class InvalidIdentity(ValueError):
    """The identity is well formed but not valid in its organisation: a CA, revoked, or with wrong OUs (P-15)."""


@dataclass(frozen=True, slots=True, eq=False)
class Identity:
    """One certificate of one organisation, parsed, chained to its CA and judged."""

    msp_id: str
    serialized: bytes
    certificate: Certificate
    der: bytes
    """The certificate after a high S in its own signature was replaced (P-23)."""
    key: tuple[str, bytes]
    """MSP id and SHA-256 of `der`: equal for the same signer however the bytes were written."""
    not_after: datetime
    roles: frozenset[int]
    """Roles (MSPRole numbers) that a valid identity satisfies; empty for an invalid one."""
    units: frozenset[tuple[str, bytes]]
    """Organisational units with the SHA-256 of the certifying chain."""
    problem: str | None
    """Why the identity is invalid; None when it is valid."""
    _public_key: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey = field(repr=False)

    def verify(self, message: bytes, signature: bytes) -> None:
        """Check a signature over `message`; raises `InvalidSignature`, also for ECDSA with a high S (P-22)."""
        public_key = self._public_key
        if isinstance(public_key, ed25519.Ed25519PublicKey):
            public_key.verify(signature, message)
            return
        try:
            _, s = decode_dss_signature(signature)
        except ValueError as error:
            raise InvalidSignature("not a DER sequence of two integers") from error
        half = _P256_HALF_ORDER if public_key.key_size == 256 else curve_order(public_key.curve) >> 1
        if s > half:
            raise InvalidSignature("Invalid S. Must be smaller than half the order")
        public_key.verify(signature, message, _ECDSA_SHA256)


class Signer:
    """Signs as one enrolled identity; `serialized` is what goes with its signatures."""

    def __init__(self, msp_id: str, certificate_pem: bytes, key: ec.EllipticCurvePrivateKey) -> None:
        self.msp_id = msp_id
        self.certificate_pem = certificate_pem
        self.serialized: bytes = identities_pb2.SerializedIdentity(
            mspid=msp_id, id_bytes=certificate_pem
        ).SerializeToString()
        self._key = key
        self._order = curve_order(key.curve)

    @classmethod
    def from_folder(cls, folder: Path, msp_id: str) -> "Signer":
        """Load the certificate in `signcerts` and the key in `keystore`; raises `ValueError` or `OSError`."""
        file = _only_file(folder / "signcerts")
        certificate = certificate_of(folder, f"signcerts/{file.name}")  # every message will carry it
        key = serialization.load_pem_private_key(_only_file(folder / "keystore").read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{folder}: the key is not an elliptic-curve key")
        if load_certificate(certificate).public_key != key.public_key():
            raise ValueError(f"{folder}: the key does not belong to the certificate")
        return cls(msp_id, certificate, key)

    def sign(self, message: bytes) -> bytes:
        """Sign SHA-256(`message`) with ECDSA; the DER signature has a low S (P-22)."""
        signature = self._key.sign(message, _ECDSA_SHA256)
        r, s = decode_dss_signature(signature)
        return signature if s <= self._order >> 1 else encode_dss_signature(r, self._order - s)


class Msp:
    """One organisation's membership rules, from its `FabricMSPConfig`."""

    def __init__(self, config: msp_config_pb2.FabricMSPConfig) -> None:
        self.config = config
        self.msp_id: str = config.name
        self._authorities = Authorities(config.root_certs, config.intermediate_certs, config.revocation_list)
        self._admins = frozenset(self._authorities.sanitised(load_certificate(pem))[0] for pem in config.admins)
        self._required_units = tuple(
            (unit.organizational_unit_identifier, _issuer_der(unit.certificate))
            for unit in config.organizational_unit_identifiers
        )
        self._node_units: Mapping[str, tuple[int, bytes | None]] = {}
        self._enforces = _enforces(config.fabric_node_ous)
        if self._enforces:
            self._node_units = _node_units(config.fabric_node_ous)

    @classmethod
    def from_folder(cls, folder: Path, msp_id: str) -> "Msp":
        """Load an MSP folder as cryptogen lays it out; raises `ValueError` or `OSError`."""
        return cls(msp_config_from_folder(folder, msp_id))

    def deserialise(self, serialized: bytes, id_bytes: bytes) -> Identity:
        """Parse and judge a certificate of this organisation; raises `MalformedIdentity` (P-14, P-23)."""
        try:
            certificate = load_certificate(id_bytes)
        except ValueError as error:
            raise MalformedIdentity(str(error)) from error
        public_key, units = certificate.public_key, certificate.units
        if not isinstance(public_key, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
            raise MalformedIdentity("the key is neither elliptic-curve nor Ed25519")
        problem: str | None = None
        chain: tuple[Certificate, ...] = ()
        try:
            der, chain = self._authorities.sanitised(certificate)
        except UntrustedCertificate as error:
            if error.malformed:
                raise MalformedIdentity(str(error)) from error
            der, problem = certificate.der, str(error)
        if problem is None:
            problem = self._problem(certificate, chain, units)
        certifier = hashlib.sha256(b"".join(c.der for c in chain)).digest()
        return Identity(
            msp_id=self.msp_id,
            serialized=serialized,
            certificate=certificate,
            der=der,
            key=(self.msp_id, hashlib.sha256(der).digest()),
            not_after=certificate.not_after,
            roles=frozenset() if problem is not None else self._roles(der, units),
            units=frozenset((unit, certifier) for unit in units),
            problem=problem,
            _public_key=public_key,
        )

    def validate(self, identity: Identity) -> None:
        """Accept a valid identity of this organisation; raises `InvalidIdentity` (P-24, P-25)."""
        if identity.msp_id != self.msp_id:
            raise InvalidIdentity(f"the identity belongs to {identity.msp_id}, not to {self.msp_id}")
        if identity.problem is not None:
            raise InvalidIdentity(identity.problem)

    def satisfies(self, identity: Identity, principal: msp_principal_pb2.MSPPrincipal) -> bool:
        """Say whether a valid identity matches a principal (V-21)."""
        if identity.msp_id != self.msp_id or identity.problem is not None:
            return False
        return _satisfies(identity, principal, depth=0)

    def _problem(self, certificate: Certificate, chain: tuple[Certificate, ...], units: tuple[str, ...]) -> str | None:
        try:
            self._authorities.validate(certificate, chain)
        except UntrustedCertificate as error:
            return str(error)
        issuer = chain[0].der
        if self._required_units and not any(
            name in units and required in (None, issuer) for name, required in self._required_units
        ):
            return "none of the identity's organisational units is one that the organisation requires"
        if not self._enforces:
            return None
        found = [self._node_units[unit] for unit in units if unit in self._node_units]
        if len(found) != 1:
            return f"the identity must have exactly one of the client, peer, admin and orderer units, not {len(found)}"
        if found[0][1] not in (None, issuer):
            return "the identity's unit is certified by another CA than the organisation says"
        return None

    def _roles(self, der: bytes, units: tuple[str, ...]) -> frozenset[int]:
        roles = {_ROLE_MEMBER} | {self._node_units[unit][0] for unit in units if unit in self._node_units}
        if der in self._admins:
            roles.add(_ROLE_ADMIN)
        return frozenset(roles)


class Msps:
    """All organisations of a channel, and a bounded memory of identities that were parsed before."""

    def __init__(self, msps: Iterable[Msp], *, remember: int = _CACHE_ENTRIES) -> None:
        self._msps = {msp.msp_id: msp for msp in msps}
        self._remember = remember
        self._known: OrderedDict[bytes, Identity] = OrderedDict()
        self._made: OrderedDict[bytes, tuple[bytes, bytes]] = OrderedDict()
        """Signatures made in this process: the serialised signer and SHA-256 of what was signed."""

    @property
    def ids(self) -> frozenset[str]:
        """The MSP ids."""
        return frozenset(self._msps)

    def msp(self, msp_id: str) -> Msp:
        """The organisation with this id; raises `KeyError`."""
        return self._msps[msp_id]

    def deserialise(self, serialized: bytes) -> Identity:
        """Find or parse a `msp.SerializedIdentity`; raises `MalformedIdentity`."""
        known = self._known.get(serialized)
        if known is not None:
            self._known.move_to_end(serialized)
            return known
        parsed = identities_pb2.SerializedIdentity()
        try:
            parsed.ParseFromString(serialized)
        except DecodeError as error:
            raise MalformedIdentity("not a serialised identity") from error
        msp = self._msps.get(parsed.mspid)
        if msp is None:
            raise MalformedIdentity(f"MSP {parsed.mspid} is not defined on channel")
        identity = msp.deserialise(bytes(serialized), parsed.id_bytes)
        if len(serialized) <= _CACHE_LARGEST:
            self._known[identity.serialized] = identity
            if len(self._known) > self._remember:
                self._known.popitem(last=False)
        return identity

    def remember(self, signer: Signer, message: bytes, signature: bytes) -> None:
        """Take note of a signature that `signer` has just made here, so that `verify` need not compute it again."""
        self._made[signature] = (signer.serialized, hashlib.sha256(message).digest())
        if len(self._made) > self._remember:
            self._made.popitem(last=False)

    def verify(self, identity: Identity, message: bytes, signature: bytes) -> None:
        """Check a signature over `message`; raises `InvalidSignature`."""
        made = self._made.get(signature)
        if made is None or made != (identity.serialized, hashlib.sha256(message).digest()):
            identity.verify(message, signature)

    def validate(self, identity: Identity) -> None:
        """Accept a valid identity; raises `InvalidIdentity`."""
        msp = self._msps.get(identity.msp_id)
        if msp is None:
            raise InvalidIdentity(f"MSP {identity.msp_id} is not defined on channel")
        msp.validate(identity)

    def satisfies(self, identity: Identity, principal: msp_principal_pb2.MSPPrincipal) -> bool:
        """Say whether a valid identity matches a principal (V-21)."""
        msp = self._msps.get(identity.msp_id)
        return msp is not None and msp.satisfies(identity, principal)


def _satisfies(identity: Identity, principal: msp_principal_pb2.MSPPrincipal, depth: int) -> bool:
    kinds = msp_principal_pb2.MSPPrincipal
    try:
        match principal.principal_classification:
            case kinds.ROLE:
                role = msp_principal_pb2.MSPRole.FromString(principal.principal)
                return bool(role.msp_identifier == identity.msp_id and role.role in identity.roles)
            case kinds.ORGANIZATION_UNIT:
                unit = msp_principal_pb2.OrganizationUnit.FromString(principal.principal)
                wanted = (unit.organizational_unit_identifier, unit.certifiers_identifier)
                return unit.msp_identifier == identity.msp_id and wanted in identity.units
            case kinds.IDENTITY:
                exact = identities_pb2.SerializedIdentity.FromString(principal.principal)
                listed = load_certificate(exact.id_bytes).der
                return exact.mspid == identity.msp_id and listed in (identity.certificate.der, identity.der)
            case kinds.COMBINED:
                combined = msp_principal_pb2.CombinedPrincipal.FromString(principal.principal)
                parts = combined.principals
                return len(parts) > 0 and depth < 8 and all(_satisfies(identity, part, depth + 1) for part in parts)
            case _:  # anonymity belongs to Idemix, which no organisation here uses
                return False
    except (DecodeError, ValueError):
        return False


def _node_units(config: msp_config_pb2.FabricNodeOUs) -> Mapping[str, tuple[int, bytes | None]]:
    units = (
        (_ROLE_CLIENT, config.client_ou_identifier),
        (_ROLE_PEER, config.peer_ou_identifier),
        (_ROLE_ADMIN, config.admin_ou_identifier),
        (_ROLE_ORDERER, config.orderer_ou_identifier),
    )
    return {
        unit.organizational_unit_identifier: (role, _issuer_der(unit.certificate))
        for role, unit in units
        if unit.organizational_unit_identifier
    }


def _enforces(config: msp_config_pb2.FabricNodeOUs) -> bool:
    """Whether every identity must have one of the units; as in Fabric a unit without a name counts, for nobody."""
    units = ("client_ou_identifier", "peer_ou_identifier", "admin_ou_identifier", "orderer_ou_identifier")
    return bool(config.enable and any(config.HasField(unit) for unit in units))


def _issuer_der(pem: bytes) -> bytes | None:
    """The certificate that must have issued; None when any CA of the organisation may."""
    return load_certificate(pem).der if pem else None


def _only_file(folder: Path) -> Path:
    files = sorted(path for path in folder.iterdir() if path.is_file())
    if not files:
        raise ValueError(f"{folder} holds no file")
    return files[0]
