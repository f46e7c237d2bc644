# SPDX-License-Identifier: Apache-2.0
"""Keys and certificates for signatures of models, out of PEM files."""

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

__all__ = ["read_chain", "read_private_key", "read_public_key"]

_LARGEST = 64 * 1024
_MOST_CERTIFICATES = 16


def read_private_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """A private key on an elliptic curve, without a passphrase; raises `ValueError` that says what is wrong."""
    _refuse_large(pem)
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError:
        raise ValueError("the private key has a passphrase; give a file of the key without one") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("it is not a private key in PEM") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("the private key is not on an elliptic curve (P-256, P-384 or P-521)")
    return key


def read_public_key(pem: bytes) -> ec.EllipticCurvePublicKey:
    """A public key on an elliptic curve, or that of a certificate; raises `ValueError` that says what is wrong."""
    _refuse_large(pem)
    try:
        is_certificate = b"-----BEGIN CERTIFICATE-----" in pem
        key = x509.load_pem_x509_certificate(pem).public_key() if is_certificate else load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("it is neither a public key nor a certificate in PEM") from None
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise ValueError("the public key is not on an elliptic curve (P-256, P-384 or P-521)")
    return key


def read_chain(pem: bytes) -> list[x509.Certificate]:
    """Certificates, the signer's first; raises `ValueError` that says what is wrong."""
    _refuse_large(pem)
    try:
        found = x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise ValueError("it holds no certificate in PEM") from None
    if len(found) > _MOST_CERTIFICATES:
        raise ValueError(f"it holds more than {_MOST_CERTIFICATES} certificates")
    return found


def _refuse_large(pem: bytes) -> None:
    if len(pem) > _LARGEST:
        raise ValueError(f"it has more than {_LARGEST} bytes")
