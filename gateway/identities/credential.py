# SPDX-License-Identifier: Apache-2.0
"""An identity that can be used: a certificate, the key that belongs to it, and the CAs that vouch for it."""

import re
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from gateway.fabric import Identity, KeyUnavailable, Signer
from gateway.fabric.identity import Sign
from gateway.identities.errors import CertificateExpired, IdentityError, WalletError
from gateway.identities.keys import PrivateKey, same_key

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}")


@dataclass(frozen=True)
class Credential:
    """An enrolled identity; immutable, so its holder uses one key and one certificate from end to end."""

    msp_id: str
    certificate: x509.Certificate
    key: PrivateKey
    authorities: tuple[x509.Certificate, ...] = ()
    """The CA certificates above it, from the one that issued it to the root; empty where they are not known."""
    since: datetime | None = None
    """When it was enrolled, in UTC and whole seconds; None where that is not known. A Fabric CA dates certificates back
    to the beginning of its own, so the certificate does not tell."""

    def __post_init__(self) -> None:
        if not self.msp_id or not self.msp_id.isprintable():
            raise IdentityError("an identity needs an MSP id, such as HospitalMSP")
        if not same_key(self.certificate, self.key):
            raise IdentityError(f"the certificate of {self.name} was not issued for this private key")

    @cached_property
    def identity(self) -> Identity:
        """As the gateway client takes it."""
        return Identity(self.msp_id, self.pem)

    @cached_property
    def signer(self) -> Sign:
        """As the gateway client takes it; S is low, also where a token made the signature.

        It raises `KeyUnavailable` while a token does not sign.
        """
        made = Signer(self.key)

        def sign(digest: bytes) -> bytes:
            try:
                return made(digest)
            except WalletError as exc:
                raise KeyUnavailable(str(exc)) from exc

        return sign

    @cached_property
    def pem(self) -> bytes:
        """The certificate as PEM."""
        return self.certificate.public_bytes(Encoding.PEM)

    @cached_property
    def name(self) -> str:
        """The common name, which is the enrolment id at a Fabric CA."""
        return common_name(self.certificate)

    @property
    def serial(self) -> str:
        """The serial number in lower-case hexadecimal digits, as a Fabric CA writes it."""
        return f"{self.certificate.serial_number:x}"

    def check_validity(self, at: datetime) -> None:
        """Raises `CertificateExpired` when the certificate is not valid at `at`."""
        check_validity(self.certificate, at)


def common_name(certificate: x509.Certificate) -> str:
    """The first common name of the subject, or an empty text."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


def check_validity(certificate: x509.Certificate, at: datetime) -> None:
    """Raises `CertificateExpired` when `at` lies outside the certificate's time."""
    if at < certificate.not_valid_before_utc:
        raise CertificateExpired(
            f"the certificate of {common_name(certificate)} is not valid before "
            f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M:%S} UTC; is this machine's clock right?"
        )
    if at >= certificate.not_valid_after_utc:
        raise CertificateExpired(
            f"the certificate of {common_name(certificate)} expired at "
            f"{certificate.not_valid_after_utc:%Y-%m-%d %H:%M:%S} UTC"
        )


def authority_key_id(certificate: x509.Certificate) -> str:
    """The authority key identifier in lower-case hexadecimal digits, as a Fabric CA writes it; empty without one."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    except x509.ExtensionNotFound:
        return ""
    return (extension.value.key_identifier or b"").hex()


def checked_label(label: str) -> str:
    """The label, if it can be a file's name everywhere; raises `IdentityError`."""
    if _LABEL.fullmatch(label) is None:
        raise IdentityError(f"label {label!r}: letters, digits and . _ @ - are allowed, at most 100, no leading sign")
    return label


def load_certificate(pem: bytes, what: str) -> x509.Certificate:
    """A certificate from PEM; raises `IdentityError` that names `what` it was read from."""
    try:
        return _whole(x509.load_pem_x509_certificate(pem))
    except Exception:  # the library has no family of errors
        raise IdentityError(f"{what}: not a certificate in PEM") from None


def load_certificates(pem: bytes, what: str) -> tuple[x509.Certificate, ...]:
    """All certificates of a PEM bundle; raises `IdentityError` that names `what` it was read from."""
    try:
        return tuple(map(_whole, x509.load_pem_x509_certificates(pem)))
    except Exception:  # the library has no family of errors
        raise IdentityError(f"{what}: not certificates in PEM") from None


def _whole(certificate: x509.Certificate) -> x509.Certificate:
    """The certificate, once everything that the library reads only when it is asked for has been read."""
    for read in (
        lambda: certificate.extensions,
        certificate.public_key,
        lambda: (certificate.not_valid_before_utc, certificate.not_valid_after_utc),
        lambda: (certificate.subject, certificate.issuer, certificate.serial_number),
    ):
        read()
    return certificate
