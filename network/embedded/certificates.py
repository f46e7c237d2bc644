# SPDX-License-Identifier: Apache-2.0
"""Certificates of one organisation: chains to its roots, revocation, and the low-S form (rules P-14, P-23, P-24)."""

from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPublicKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

_LONGEST_CHAIN = 8
_LARGEST_CERTIFICATE = 64 * 1024
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


class UntrustedCertificate(ValueError):
    """A certificate that this organisation did not issue or does not stand by any more.

    `malformed` tells the two refusals of P-14 and P-15 apart: true when the certificate could not even be brought into
    its canonical form, because that already needs its issuer.
    """

    def __init__(self, message: str, *, malformed: bool = False) -> None:
        super().__init__(message)
        self.malformed = malformed


def curve_order(curve: ec.EllipticCurve) -> int:
    """The order of a curve's group; raises `ValueError` for a curve that Fabric does not take."""
    try:
        return _ORDERS[curve.name]
    except KeyError:
        raise ValueError(f"curve {curve.name} is not supported") from None


def load_certificate(pem: bytes) -> x509.Certificate:
    """Read the first PEM block, whatever its label and whatever follows it (P-23); raises `ValueError`."""
    if len(pem) > _LARGEST_CERTIFICATE:
        raise ValueError("the certificate is larger than 64 KiB")
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        if isinstance(key := certificate.public_key(), ec.EllipticCurvePublicKey):
            curve_order(key.curve)
    except Exception as error:  # the library answers malformed input with several unrelated types
        raise ValueError(f"not an X.509 certificate in PEM: {error}") from error
    return certificate


def organisational_units(certificate: x509.Certificate) -> tuple[str, ...]:
    """The OU values of the subject, in order, repetitions included."""
    names = certificate.subject.get_attributes_for_oid(x509.NameOID.ORGANIZATIONAL_UNIT_NAME)
    return tuple(name.value if isinstance(name.value, str) else name.value.decode() for name in names)


class Authorities:
    """The CAs of one organisation and what they have revoked."""

    def __init__(self, roots: Sequence[bytes], intermediates: Sequence[bytes], revocations: Sequence[bytes]) -> None:
        if not roots:
            raise ValueError("an organisation needs at least one root certificate")
        self._roots = tuple(load_certificate(pem) for pem in roots)
        self._intermediates = tuple(load_certificate(pem) for pem in intermediates)
        for authority in (*self._roots, *self._intermediates):
            if not is_authority(authority):
                raise ValueError(f"{authority.subject.rfc4514_string()} is listed as a CA but is not one")
        # A CA below which another CA stands issues no identities itself, as in Fabric.
        self._inner = frozenset(
            issuer.public_bytes(serialization.Encoding.DER)
            for issuer in (*self._roots, *self._intermediates)
            if any(issued_by(lower, issuer) for lower in self._intermediates if lower is not issuer)
        )
        self._revoked = self._read_revocations(revocations)

    def chain(self, certificate: x509.Certificate) -> tuple[x509.Certificate, ...]:
        """The issuers from the certificate's own up to a root; raises `UntrustedCertificate`."""
        found = self._climb(certificate, _LONGEST_CHAIN)
        if found is None:
            raise UntrustedCertificate("the certificate does not chain to a CA of the organisation", malformed=True)
        return found

    def sanitised(self, certificate: x509.Certificate) -> tuple[bytes, tuple[x509.Certificate, ...]]:
        """The DER with a low S in the certificate's own signature, and its chain (P-23).

        Raises `UntrustedCertificate`; only for a certificate signed with ECDSA is that a matter of form (P-14).
        """
        der = certificate.public_bytes(serialization.Encoding.DER)
        try:
            chain = self.chain(certificate)
        except UntrustedCertificate as error:
            raise UntrustedCertificate(str(error), malformed=_signed_with_ecdsa(certificate)) from error
        key = chain[0].public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey):
            return der, chain
        order = curve_order(key.curve)
        r, s = decode_dss_signature(certificate.signature)
        return (der if s <= order >> 1 else _with_signature(der, encode_dss_signature(r, order - s))), chain

    def validate(self, certificate: x509.Certificate, chain: Sequence[x509.Certificate]) -> None:
        """Accept an end-entity certificate in force; raises `UntrustedCertificate` (P-24, without expiry)."""
        if is_authority(certificate):
            raise UntrustedCertificate("a CA certificate cannot be used as an identity")
        if chain[0].public_bytes(serialization.Encoding.DER) in self._inner:
            raise UntrustedCertificate("the issuer has CAs below it and may not issue identities itself")
        below = (certificate, *chain[:-1])
        for issued, issuer in zip(below, chain, strict=True):
            if (_name(issuer), issued.serial_number) in self._revoked:
                raise UntrustedCertificate("the certificate has been revoked")

    def _climb(self, certificate: x509.Certificate, left: int) -> tuple[x509.Certificate, ...] | None:
        for root in self._roots:
            if issued_by(certificate, root) and _permits(root, _LONGEST_CHAIN - left):
                return (root,)
        if left == 0:
            return None
        for authority in self._intermediates:
            if issued_by(certificate, authority) and _permits(authority, _LONGEST_CHAIN - left):
                above = self._climb(authority, left - 1)
                if above is not None:
                    return (authority, *above)
        return None

    def _read_revocations(self, revocations: Sequence[bytes]) -> frozenset[tuple[bytes, int]]:
        revoked: set[tuple[bytes, int]] = set()
        for pem in revocations:
            try:
                crl = x509.load_pem_x509_crl(pem)
            except ValueError as error:
                raise ValueError(f"not a revocation list in PEM: {error}") from error
            for issuer in (*self._roots, *self._intermediates):
                if crl.issuer == issuer.subject and crl.is_signature_valid(_issuer_key(issuer)):
                    revoked.update((_name(issuer), entry.serial_number) for entry in crl)
        return frozenset(revoked)


def is_authority(certificate: x509.Certificate) -> bool:
    """Say whether the basic constraints make this a CA's certificate."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Say whether the issuer's name stands in the certificate and its key signed it."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _permits(authority: x509.Certificate, below: int) -> bool:
    limit = authority.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length
    return limit is None or below <= limit


def _issuer_key(certificate: x509.Certificate) -> CertificateIssuerPublicKeyTypes:
    key: CertificateIssuerPublicKeyTypes = certificate.public_key()  # type: ignore[assignment]
    return key


def _name(certificate: x509.Certificate) -> bytes:
    return certificate.subject.public_bytes()


def _signed_with_ecdsa(certificate: x509.Certificate) -> bool:
    return certificate.signature_algorithm_oid.dotted_string.startswith("1.2.840.10045.4.")


def _with_signature(der: bytes, signature: bytes) -> bytes:
    """Replace the signature of a certificate: SEQUENCE { tbsCertificate, algorithm, BIT STRING signature }."""
    body, _ = _open(der, 0)
    _, after_tbs = _open(der, body)
    _, after_algorithm = _open(der, after_tbs)
    return _wrap(0x30, der[body:after_algorithm] + _wrap(0x03, b"\x00" + signature))


def _open(der: bytes, offset: int) -> tuple[int, int]:
    """Where the content of the element at `offset` begins, and where the element ends."""
    length, start = der[offset + 1], offset + 2
    if length & 0x80:
        octets = length & 0x7F
        length, start = int.from_bytes(der[start : start + octets], "big"), start + octets
    return start, start + length


def _wrap(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content
