# SPDX-License-Identifier: Apache-2.0
"""The boundary to the X.509 library: certificates and revocation lists are read whole, once, or refused (P-14, P-23).

The library reads names and extensions only when they are asked for, and answers what it cannot read with exceptions of
many kinds that have no common ancestor. Here everything that is ever asked of a certificate is read at once, and every
one of those exceptions becomes `MalformedCertificate`: what comes from a member or a stranger can be refused, and
cannot raise anywhere else.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPublicKeyTypes, CertificatePublicKeyTypes

from network.embedded.der import without_extensions

__all__ = [
    "Certificate",
    "MalformedCertificate",
    "RevocationList",
    "curve_order",
    "issued_by",
    "load_certificate",
    "load_list",
]

_Kind = TypeVar("_Kind", bound=x509.ExtensionType)
_LARGEST_CERTIFICATE = 64 * 1024
_PEM = re.compile(rb"-----BEGIN ([^\r\n]*?)-----[ \t]*\r?\n(.*?)-----END \1-----", re.DOTALL)
_PEM_HEADER = re.compile(rb"[^\r\n:]+:[^\r\n]*\r?\n")
_LIST_LABEL = b"-----BEGIN X509 CRL"
_WITH_NAMES = ("2.5.29.17", "2.5.29.18", "2.5.29.30", "2.5.29.31", "2.5.29.35", "2.5.29.46", "1.3.6.1.5.5.7.1.1")
"""Extensions that hold general names, none of which decides anything about a member."""
_ORDERS = {
    "secp224r1": 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFF16A2E0B8F03E13DD29455C5C2A3D,
    "secp256r1": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "secp384r1": 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
    "secp521r1": int(
        "01FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFA"
        "51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409",
        16,
    ),
}


class MalformedCertificate(ValueError):
    """The bytes are not a certificate or revocation list that can be read as a whole."""


@dataclass(frozen=True, slots=True, eq=False)
class Certificate:
    """Everything that is asked of one certificate; reading a field parses nothing and raises nothing."""

    parsed: x509.Certificate = field(repr=False)
    """The library's object, for `issued_by` only."""
    der: bytes = field(repr=False)
    public_key: CertificatePublicKeyTypes
    subject: bytes
    """The subject's name in DER."""
    serial_number: int
    signature: bytes
    signed_with_ecdsa: bool
    not_before: datetime
    not_after: datetime
    units: tuple[str, ...]
    """The OU values of the subject, in order, repetitions included."""
    is_authority: bool
    """Whether the basic constraints make this a CA's certificate."""
    path_length: int | None
    """How many CAs may stand below a CA; None for any number."""
    key_identifier: bytes | None
    """The subject key identifier."""

    def __str__(self) -> str:
        return f"certificate {self.serial_number:x}"


@dataclass(frozen=True, slots=True, eq=False)
class RevocationList:
    """Everything that is asked of one revocation list."""

    _parsed: x509.CertificateRevocationList = field(repr=False)
    issuer: bytes
    """The issuer's name in DER."""
    key_identifier: bytes | None
    """The key identifier of the list's authority; None when it names none."""
    serial_numbers: frozenset[int]

    def signed_by(self, authority: Certificate) -> bool:
        """Say whether the authority's key signed the list; a key of another kind did not."""
        key: CertificateIssuerPublicKeyTypes = authority.public_key  # type: ignore[assignment]
        try:
            with _boundary("the signature of a revocation list"):
                return self._parsed.is_signature_valid(key)
        except MalformedCertificate:
            return False


def curve_order(curve: ec.EllipticCurve) -> int:
    """The order of a curve's group; raises `ValueError` for a curve that Fabric does not take."""
    try:
        return _ORDERS[curve.name]
    except KeyError:
        raise ValueError(f"curve {curve.name} is not supported") from None


def load_certificate(pem: bytes) -> Certificate:
    """Read the first PEM block, whatever its label and whatever follows it (P-23); raises `MalformedCertificate`."""
    if len(pem) > _LARGEST_CERTIFICATE:
        raise MalformedCertificate("the certificate is larger than 64 KiB")
    with _boundary("not an X.509 certificate in PEM"):
        parsed = x509.load_der_x509_certificate(_first_block(pem))
        key = parsed.public_key()
        if isinstance(key, ec.EllipticCurvePublicKey):
            curve_order(key.curve)
        extensions = _extensions(parsed)
        constraints = _value(extensions, x509.BasicConstraints)
        identifier = _value(extensions, x509.SubjectKeyIdentifier)
        units = parsed.subject.get_attributes_for_oid(x509.NameOID.ORGANIZATIONAL_UNIT_NAME)
        return Certificate(
            parsed=parsed,
            der=parsed.public_bytes(serialization.Encoding.DER),
            public_key=key,
            subject=parsed.subject.public_bytes(),
            serial_number=parsed.serial_number,
            signature=parsed.signature,
            signed_with_ecdsa=parsed.signature_algorithm_oid.dotted_string.startswith("1.2.840.10045.4."),
            not_before=parsed.not_valid_before_utc,
            not_after=parsed.not_valid_after_utc,
            units=tuple(unit.value if isinstance(unit.value, str) else unit.value.decode() for unit in units),
            is_authority=constraints is not None and constraints.ca,
            path_length=None if constraints is None else constraints.path_length,
            key_identifier=None if identifier is None else identifier.digest,
        )


def load_list(raw: bytes) -> RevocationList:
    """Read a revocation list in PEM or DER; raises `MalformedCertificate`."""
    with _boundary("not a revocation list"):
        parsed = x509.load_der_x509_crl(_first_block(raw) if raw.startswith(_LIST_LABEL) else raw)
        try:
            issuer = _value(parsed.extensions, x509.AuthorityKeyIdentifier)
        except x509.UnsupportedGeneralNameType:
            issuer = None
        return RevocationList(
            parsed,
            parsed.issuer.public_bytes(),
            None if issuer is None else issuer.key_identifier,
            frozenset(entry.serial_number for entry in parsed),
        )


def issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Say whether the certificate names the issuer and the issuer's key signed it."""
    try:
        with _boundary("the signature of a certificate"):
            certificate.verify_directly_issued_by(issuer)
    except MalformedCertificate:
        return False
    return True


@contextmanager
def _boundary(what: str) -> Iterator[None]:
    """Refuse whatever the library cannot do with what it was given; raises `MalformedCertificate`."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:  # a panic of the library's native part is not an `Exception`
        raise MalformedCertificate(f"{what}: {str(error) or type(error).__name__}") from error


def _first_block(pem: bytes) -> bytes:
    """The content of the first block in PEM that can be read, as Go's `pem.Decode` finds it; raises ValueError."""
    for block in _PEM.finditer(pem):
        body = block[2]
        while header := _PEM_HEADER.match(body):
            body = body[header.end() :]
        try:
            return base64.b64decode(b"".join(body.split()), validate=True)
        except binascii.Error:
            continue
    raise ValueError("there is no PEM block")


def _extensions(certificate: x509.Certificate) -> x509.Extensions:
    """All extensions; those with names of kinds that the library does not know (x400Address) are passed over."""
    try:
        return certificate.extensions
    except x509.UnsupportedGeneralNameType:
        der = certificate.public_bytes(serialization.Encoding.DER)
        return x509.load_der_x509_certificate(without_extensions(der, _WITH_NAMES)).extensions


def _value(extensions: x509.Extensions, kind: type[_Kind]) -> _Kind | None:
    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
