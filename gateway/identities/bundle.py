# SPDX-License-Identifier: Apache-2.0
"""An identity as one piece of PEM text, so that one rename replaces all of it.

    Pedigree-Identity: 1
    MSP-ID: HospitalMSP
    Enrolled: 2026-11-23T03:52:42+00:00      where that is known
    -----BEGIN CERTIFICATE-----      the identity's own, then those of the CAs above it
    -----BEGIN PRIVATE KEY-----      PKCS#8; absent where a token keeps the key

Lines before the first block are explanatory text (RFC 7468, section 2), so other tools read the file as well.
"""

import re
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.identities.credential import Credential, load_certificates
from gateway.identities.errors import DamagedIdentity, IdentityError
from gateway.identities.keys import PrivateKey, load_private_key, private_pem

_FIRST_LINE = "Pedigree-Identity: 1"
_HEADER = re.compile(rf"{_FIRST_LINE}\nMSP-ID: ([^\n]+)\n(?:Enrolled: ([^\n]+)\n)?(?=-----BEGIN CERTIFICATE-----\n)")
_KEY = "-----BEGIN PRIVATE KEY-----"


def encode(credential: Credential, *, with_key: bool = True) -> bytes:
    """The text of an identity; `parse` gives an equal one back."""
    certificates = [credential.certificate, *credential.authorities]
    enrolled = "" if credential.since is None else f"Enrolled: {credential.since.isoformat()}\n"
    text = f"{_FIRST_LINE}\nMSP-ID: {credential.msp_id}\n{enrolled}".encode()
    text += b"".join(_pem(certificate) for certificate in certificates)
    return text + private_pem(credential.key) if with_key else text


def parse(content: bytes, what: str, key: PrivateKey | None = None) -> Credential:
    """The identity of a text; `key` is given where it is kept elsewhere.

    Raises `DamagedIdentity` that names `what` it was read from when it is not what `encode` makes.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise DamagedIdentity(f"{what}: not an identity of a wallet") from None
    header = _HEADER.match(text)
    if header is None:
        raise DamagedIdentity(f"{what}: not an identity of a wallet; it must begin with {_FIRST_LINE!r} and an MSP id")
    certificates, begin, private = text[header.end() :].partition(_KEY)
    try:
        own, *authorities = load_certificates(certificates.encode(), what)
        if key is None:
            key = load_private_key((begin + private).encode(), what)
        since = None if header[2] is None else datetime.fromisoformat(header[2])
        return Credential(header[1], own, key, tuple(authorities), since)
    except (IdentityError, ValueError) as exc:
        raise DamagedIdentity(f"{what}: {exc}" if what not in str(exc) else str(exc)) from None


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)
