# SPDX-License-Identifier: Apache-2.0
"""Public keys out of files: of a certificate, or alone."""

from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization

_FORM: Final = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo


def public_key_in(content: bytes) -> bytes:
    """The DER of the SubjectPublicKeyInfo in a certificate (PEM) or a public key (PEM or DER); else `ValueError`."""
    if b"BEGIN CERTIFICATE" in content:
        return x509.load_pem_x509_certificate(content).public_key().public_bytes(*_FORM)
    if content.startswith(b"-----"):
        return serialization.load_pem_public_key(content).public_bytes(*_FORM)
    return serialization.load_der_public_key(content).public_bytes(*_FORM)
