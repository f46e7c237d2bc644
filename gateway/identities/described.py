# SPDX-License-Identifier: Apache-2.0
"""An identity in words, for people and programs; never its key."""

import json
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from gateway.identities.credential import Credential, authority_key_id
from gateway.identities.errors import CertificateRefused
from gateway.identities.keys import algorithm_of
from gateway.identities.renewal import due_at
from gateway.identities.revocation import RevocationList

_ATTRIBUTES = x509.ObjectIdentifier("1.2.3.4.5.6.7.8.1")
"""The extension in which a Fabric CA writes attributes, as JSON."""


def described(credential: Credential, at: datetime | None = None) -> dict[str, Any]:
    """Everything about an identity that is not a secret; instants are ISO 8601 in UTC."""
    certificate = credential.certificate
    at = at if at is not None else datetime.now(UTC)
    return {
        "name": credential.name,
        "msp_id": credential.msp_id,
        "units": [
            str(unit.value) for unit in certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
        ],
        "key": algorithm_of(certificate.public_key()),
        "serial": credential.serial,
        "aki": authority_key_id(certificate),
        "issuer": certificate.issuer.rfc4514_string(),
        "not_before": certificate.not_valid_before_utc.isoformat(" "),
        "not_after": certificate.not_valid_after_utc.isoformat(" "),
        "renewal_due": due_at(credential).isoformat(" ", "seconds"),
        "sha256": certificate.fingerprint(hashes.SHA256()).hex(),
        "attributes": attributes(certificate),
        "state": _state(credential, at),
    }


def attributes(certificate: x509.Certificate) -> dict[str, str]:
    """The attributes that a Fabric CA wrote into a certificate; empty where there are none, or none that are read."""
    try:
        extension = certificate.extensions.get_extension_for_oid(_ATTRIBUTES).value
    except x509.ExtensionNotFound:
        return {}
    assert isinstance(extension, x509.UnrecognizedExtension)
    try:
        found = json.loads(extension.value).get("attrs", {})
        return {str(name): str(value) for name, value in found.items()}
    except (ValueError, AttributeError, RecursionError):
        return {}


def revocation_state(credential: Credential, crl: bytes, what: str, at: datetime | None = None) -> str:
    """`not revoked`, or the reason why the certificate must not be used; raises `IdentityError` for no proper list."""
    at = at if at is not None else datetime.now(UTC)
    revocations = RevocationList.parse(crl, credential.authorities, what)
    try:
        revocations.check(credential.certificate, at)
    except CertificateRefused as exc:
        return str(exc)
    return "not revoked"


def _state(credential: Credential, at: datetime) -> str:
    try:
        credential.check_validity(at)
    except CertificateRefused as exc:
        return str(exc)
    return "renewal due" if at >= due_at(credential) else "valid"
