# SPDX-License-Identifier: Apache-2.0
"""The CAs of one organisation: chains to its roots, revocation, and the low-S form (rules P-14, P-23, P-24)."""

from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from network.embedded.certificates import Certificate, curve_order, issued_by, load_certificate, load_list
from network.embedded.der import with_signature

__all__ = ["Authorities", "UntrustedCertificate"]

_LONGEST_CHAIN = 8


class UntrustedCertificate(ValueError):
    """A certificate that this organisation did not issue or does not stand by any more.

    `malformed` tells the two refusals of P-14 and P-15 apart: true when the certificate could not even be brought into
    its canonical form, because that already needs its issuer.
    """

    def __init__(self, message: str, *, malformed: bool = False) -> None:
        super().__init__(message)
        self.malformed = malformed


class Authorities:
    """The CAs of one organisation and what they have revoked."""

    def __init__(self, roots: Sequence[bytes], intermediates: Sequence[bytes], revocations: Sequence[bytes]) -> None:
        if not roots:
            raise ValueError("an organisation needs at least one root certificate")
        self._roots = tuple(load_certificate(pem) for pem in roots)
        self._intermediates = tuple(load_certificate(pem) for pem in intermediates)
        for authority in (*self._roots, *self._intermediates):
            if not authority.is_authority:
                raise ValueError(f"{authority} is listed as a CA but is not one")
        # A CA below which another CA stands issues no identities itself, as in Fabric.
        self._inner = frozenset(
            issuer.der
            for issuer in (*self._roots, *self._intermediates)
            if any(issued_by(lower.parsed, issuer.parsed) for lower in self._intermediates if lower is not issuer)
        )
        self._revoked = self._read_revocations(revocations)

    def chain(self, certificate: Certificate) -> tuple[Certificate, ...]:
        """The issuers from the certificate's own up to a root; raises `UntrustedCertificate`."""
        found = self._climb(certificate, _LONGEST_CHAIN)
        if found is None:
            raise UntrustedCertificate("the certificate does not chain to a CA of the organisation", malformed=True)
        return found

    def sanitised(self, certificate: Certificate) -> tuple[bytes, tuple[Certificate, ...]]:
        """The DER with a low S in the certificate's own signature, and its chain (P-23).

        Raises `UntrustedCertificate`; only for a certificate signed with ECDSA is that a matter of form (P-14).
        """
        der = certificate.der
        try:
            chain = self.chain(certificate)
        except UntrustedCertificate as error:
            raise UntrustedCertificate(str(error), malformed=certificate.signed_with_ecdsa) from error
        key = chain[0].public_key
        if not isinstance(key, ec.EllipticCurvePublicKey):
            return der, chain
        order = curve_order(key.curve)
        r, s = decode_dss_signature(certificate.signature)
        return (der if s <= order >> 1 else with_signature(der, encode_dss_signature(r, order - s))), chain

    def validate(self, certificate: Certificate, chain: Sequence[Certificate]) -> None:
        """Accept an end-entity certificate in force; raises `UntrustedCertificate` (P-24, without expiry)."""
        if certificate.is_authority:
            raise UntrustedCertificate("a CA certificate cannot be used as an identity")
        if chain[0].der in self._inner:
            raise UntrustedCertificate("the issuer has CAs below it and may not issue identities itself")
        self.check_revocation(certificate, chain)

    def check_revocation(self, certificate: Certificate, chain: Sequence[Certificate]) -> None:
        """Accept a certificate that its chain has not revoked, nor any CA in it; raises `UntrustedCertificate`."""
        below = (certificate, *chain[:-1])
        for issued, issuer in zip(below, chain, strict=True):
            if (issuer.subject, issued.serial_number) in self._revoked:
                raise UntrustedCertificate("the certificate has been revoked")

    def _climb(self, certificate: Certificate, left: int) -> tuple[Certificate, ...] | None:
        for root in self._roots:
            if issued_by(certificate.parsed, root.parsed) and _permits(root, _LONGEST_CHAIN - left):
                return (root,)
        if left == 0:
            return None
        for authority in self._intermediates:
            if issued_by(certificate.parsed, authority.parsed) and _permits(authority, _LONGEST_CHAIN - left):
                above = self._climb(authority, left - 1)
                if above is not None:
                    return (authority, *above)
        return None

    def _read_revocations(self, revocations: Sequence[bytes]) -> frozenset[tuple[bytes, int]]:
        revoked: set[tuple[bytes, int]] = set()
        for raw in revocations:
            listed = load_list(raw)
            for authority in (*self._roots, *self._intermediates):
                named = listed.issuer == authority.subject or (
                    listed.key_identifier is not None and listed.key_identifier == authority.key_identifier
                )
                if named and listed.signed_by(authority):
                    revoked.update((authority.subject, number) for number in listed.serial_numbers)
        return frozenset(revoked)


def _permits(authority: Certificate, below: int) -> bool:
    return authority.path_length is None or below <= authority.path_length
