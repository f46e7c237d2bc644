# SPDX-License-Identifier: Apache-2.0
"""What the rules ask for of cryptography: signatures (ECDSA on P-256 and P-384, Ed25519) and chains of certificates."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from chaincode.domain.errors import BadSignature, CertificateUnreadable
from chaincode.domain.speakers import LONGEST_CHAIN, Certified
from chaincode.domain.values import Instant


def check_signature(key: object, message: bytes, signature: bytes) -> None:
    """Return when `signature` is that of `key` over `message`; raise `BadSignature` otherwise.

    ECDSA signatures are DER, over SHA-256 on P-256 and SHA-384 on P-384. Either half of the curve is accepted for s:
    a signature is evidence here and identifies nothing, so that its malleability does no harm.
    """
    try:
        match key:
            case ec.EllipticCurvePublicKey(curve=ec.SECP256R1()):
                key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
            case ec.EllipticCurvePublicKey(curve=ec.SECP384R1()):
                key.verify(signature, message, ec.ECDSA(hashes.SHA384()))
            case ed25519.Ed25519PublicKey():
                key.verify(signature, message)
            case _:
                raise BadSignature("the certificate's key is none of P-256, P-384 and Ed25519")
    except InvalidSignature:
        raise BadSignature("it is not that of the signer's certificate over this statement") from None


# --- Certificates -----------------------------------------------------------------------------------------------

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_NAME: Final = 200
_UNDERSTOOD: Final = (x509.BasicConstraints, x509.KeyUsage, x509.ExtendedKeyUsage, x509.SubjectAlternativeName)
"""Extensions that may be critical: what another one restricts would be passed over here."""


@dataclass(frozen=True, slots=True)
class _Read:
    """A certificate that can be judged."""

    certificate: x509.Certificate
    der: bytes
    facts: Certified
    issues: bool
    """Whether it is an authority that may sign certificates."""
    below: int | None
    """How many authorities may stand between this one and the signer; None: any number."""


def trace_certificates(
    chain: Sequence[bytes], intermediates: Sequence[bytes], roots: Sequence[bytes]
) -> tuple[Certified, ...]:
    """The shortest way from the first certificate of `chain` to a root, as `domain.speakers.Tracing` says.

    Each certificate is looked at once, so that circles end, and a chain is never longer than `LONGEST_CHAIN`.
    """
    leaf, *between = (_read(der) for der in (*chain, *intermediates))
    anchors = [_read(der) for der in roots]
    paths: list[tuple[_Read, ...]] = [(leaf,)]
    seen = {leaf.der}
    if any(anchor.der == leaf.der for anchor in anchors):
        return (leaf.facts,)
    for _ in range(LONGEST_CHAIN - 1):
        for path in paths:
            for anchor in anchors:
                if _issued(path, anchor):
                    return tuple(each.facts for each in (*path, anchor))
        longer = []
        for path in paths:
            for each in between:
                if each.der not in seen and _issued(path, each):
                    seen.add(each.der)
                    longer.append((*path, each))
        paths = longer
    return ()


def _read(der: bytes) -> _Read:
    try:
        certificate = x509.load_der_x509_certificate(der)
        extensions = certificate.extensions
        basic = next((each.value for each in extensions if isinstance(each.value, x509.BasicConstraints)), None)
        # Most of a certificate is read only when it is asked for, and what is wrong raises errors of many kinds.
        facts = _certified(certificate, authority=basic is not None and basic.ca)
    except Exception:
        raise CertificateUnreadable("it is not an X.509 certificate in DER") from None
    odd = [each.oid.dotted_string for each in extensions if each.critical and not isinstance(each.value, _UNDERSTOOD)]
    if odd:
        raise CertificateUnreadable(f"it has the critical extension {odd[0]}, which is not known here")
    usage = next((each.value for each in extensions if isinstance(each.value, x509.KeyUsage)), None)
    issues = facts.authority and (usage is None or usage.key_cert_sign)
    return _Read(certificate, der, facts, issues, None if basic is None else basic.path_length)


def _issued(path: tuple[_Read, ...], issuer: _Read) -> bool:
    """Whether the last of a way was issued by `issuer`, as an authority for as long a way as this one."""
    if not issuer.issues or (issuer.below is not None and len(path) - 1 > issuer.below):
        return False
    try:
        path[-1].certificate.verify_directly_issued_by(issuer.certificate)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _certified(certificate: x509.Certificate, *, authority: bool) -> Certified:
    units = certificate.subject.get_attributes_for_oid(x509.NameOID.ORGANIZATIONAL_UNIT_NAME)
    return Certified(
        name=_shown(certificate.subject.rfc4514_string()),
        serial=f"{certificate.serial_number:x}",
        starts=_instant(certificate.not_valid_before_utc),
        ends=_instant(certificate.not_valid_after_utc),
        units=tuple(_shown(str(each.value)) for each in units),
        authority=authority,
        key=certificate.public_key(),
    )


def _shown(text: str) -> str:
    """A text out of a certificate, bounded, in printable ASCII."""
    plain = text.encode("ascii", "backslashreplace").decode()[:_LONGEST_NAME]
    return "".join(each if each.isprintable() else "?" for each in plain)


def _instant(at: datetime) -> Instant:
    """A time of a certificate; before 1970 is as good as 1970."""
    return Instant(max(0, (at - _EPOCH) // timedelta(milliseconds=1)))
