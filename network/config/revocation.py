# SPDX-License-Identifier: Apache-2.0
"""Revocation lists: made with an organisation's own certificate authority, and held to what Fabric needs of them.

Fabric finds the list for a certificate by the authority key identifier. A list without one is worse than none: every
certificate of the organisation, its administrators' included, is invalid from then on, and none can put it right.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from network.config.errors import ConfigError
from network.embedded.certificates import issued_by
from network.publicfiles import PublicFileError, revocation_lists_in

__all__ = ["check_list", "make_list", "public_list", "revokes"]

_DAYS = 3650
"""Fabric does not look at a list's end; others do."""


def public_list(pem: bytes) -> bytes:
    """A revocation list without whatever else its file holds; raises `ConfigError` for a key and for no list."""
    try:
        return revocation_lists_in(pem, "the revocation list")
    except PublicFileError as error:
        raise ConfigError(f"not a revocation list in PEM: {error}") from error


def check_list(pem: bytes, authorities: Sequence[x509.Certificate]) -> x509.Name:
    """Accept a list that one of an organisation's authorities issued; answers whose it is. Raises `ConfigError`."""
    crl = x509.load_pem_x509_crl(public_list(pem))
    for authority in authorities:
        key: Any = authority.public_key()
        if authority.subject == crl.issuer and crl.is_signature_valid(key):
            if _issuer_key(crl) is None or _issuer_key(crl) != _own_key(authority):
                raise ConfigError(
                    "the revocation list does not carry its issuer's authority key identifier, without which Fabric "
                    "would refuse every certificate of the organisation"
                )
            return crl.issuer
    raise ConfigError("the revocation list was not issued by a certificate authority of the organisation")


def make_list(folder: Path, certificates: Iterable[bytes], former: bytes | None = None) -> bytes:
    """A list in PEM that revokes certificates (PEM), and what `former` revoked; raises `ConfigError` or `OSError`.

    `folder` is the authority's, with its certificate `*-cert.pem` and its key `priv_sk`.
    """
    authority = x509.load_pem_x509_certificate(next(folder.glob("*-cert.pem")).read_bytes())
    key = serialization.load_pem_private_key((folder / "priv_sk").read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ConfigError(f"{folder}/priv_sk is not an elliptic-curve key")
    now = datetime.now(UTC)
    builder = x509.CertificateRevocationListBuilder().issuer_name(authority.subject).last_update(now)
    builder = builder.next_update(now + timedelta(days=_DAYS))
    issuer = x509.AuthorityKeyIdentifier(_own_key(authority), None, None)
    builder = builder.add_extension(issuer, critical=False)
    revoked = {} if former is None else {each.serial_number: each for each in x509.load_pem_x509_crl(former)}
    for pem in certificates:
        serial = _serial(pem, authority)
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build()
        revoked.setdefault(serial, entry)
    for entry in revoked.values():
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def revokes(pem: bytes, certificates: Iterable[bytes]) -> bool:
    """Whether a list (PEM) names all these certificates (PEM); raises `ConfigError`."""
    crl = x509.load_pem_x509_crl(pem)
    return all(crl.get_revoked_certificate_by_serial_number(_loaded(each).serial_number) for each in certificates)


def _loaded(pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise ConfigError("what is to be revoked is not a certificate in PEM") from error


def _serial(pem: bytes, authority: x509.Certificate) -> int:
    certificate = _loaded(pem)
    if not issued_by(certificate, authority):
        raise ConfigError("what is to be revoked was not issued by the organisation's authority")
    return certificate.serial_number


def _issuer_key(crl: x509.CertificateRevocationList) -> bytes | None:
    try:
        return crl.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except x509.ExtensionNotFound:
        return None


def _own_key(authority: x509.Certificate) -> bytes | None:
    try:
        return authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return None
