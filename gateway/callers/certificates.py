# SPDX-License-Identifier: Apache-2.0
"""What a client's certificate is known by: its fingerprint, or a name in it.

A client is registered under one of these texts:

- `sha256:` and the SHA-256 of the certificate (DER) in 64 hexadecimal digits: this very certificate;
- `subject:` and its subject as RFC 4514 writes it, `CN=app,O=Lab`: any that the authority issues for that subject;
- `dns:`, `uri:` or `email:` and one of its alternative names: any that the authority issues for that name.
"""

import hashlib
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes

_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_KINDS: Mapping[type[x509.GeneralName], str] = {
    x509.DNSName: "dns",
    x509.UniformResourceIdentifier: "uri",
    x509.RFC822Name: "email",
}
_FORMS = "sha256:FINGERPRINT, subject:NAME, dns:NAME, uri:NAME or email:NAME"
_LONGEST = 500
_NAMES = 64


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """What is read of a certificate that TLS has found good."""

    names: tuple[str, ...]
    """What it is known by, the fingerprint first."""
    begins: float
    """Seconds since 1970, as `ends`."""
    ends: float
    thumbprint: bytes
    """SHA-256 of the certificate (DER)."""


@lru_cache(maxsize=1024)
def read(certificate: bytes) -> ClientCertificate:
    """Read a certificate (DER); raises `ValueError` for anything else."""
    found = x509.load_der_x509_certificate(certificate)
    digest = hashlib.sha256(certificate)
    names = [f"sha256:{digest.hexdigest()}"]
    with suppress(x509.ExtensionNotFound, ValueError):  # what cannot be read names nobody
        if found.subject.rdns:
            names.append(f"subject:{found.subject.rfc4514_string()}")
        for each in found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value:
            kind = _KINDS.get(type(each))
            if kind is not None:
                names.append(_written(kind, each.value))
    begins, ends = found.not_valid_before_utc.timestamp(), found.not_valid_after_utc.timestamp()
    return ClientCertificate(tuple(names[:_NAMES]), begins, ends, digest.digest())


def fingerprint(content: bytes) -> str:
    """What the certificate in a file, PEM or DER, is known by alone; raises `ValueError`."""
    try:
        if content.lstrip().startswith(b"-----BEGIN"):
            found = x509.load_pem_x509_certificate(content)
        else:
            found = x509.load_der_x509_certificate(content)
    except ValueError:
        raise ValueError("it holds no certificate, in PEM or DER") from None
    return f"sha256:{found.fingerprint(hashes.SHA256()).hex()}"


def named(text: str) -> str:
    """What an operator wrote, as certificates are compared with it; raises `ValueError` saying what is taken."""
    kind, _, name = text.partition(":")
    if not name or len(text) > _LONGEST or not text.isprintable():
        raise ValueError(f"a certificate is known by {_FORMS}")
    if kind == "sha256":
        digits = name.replace(":", "").lower()
        if _FINGERPRINT.fullmatch(digits) is None:
            raise ValueError("a fingerprint has 64 hexadecimal digits: the SHA-256 of the certificate")
        return f"sha256:{digits}"
    if kind == "subject":
        try:
            return f"subject:{x509.Name.from_rfc4514_string(name).rfc4514_string()}"
        except ValueError:
            raise ValueError("a subject is written as in RFC 4514, such as CN=app,O=Lab") from None
    if kind not in _KINDS.values():
        raise ValueError(f"a certificate is known by {_FORMS}")
    return _written(kind, name)


def _written(kind: str, name: str) -> str:
    return f"{kind}:{name.lower() if kind == 'dns' else name}"
