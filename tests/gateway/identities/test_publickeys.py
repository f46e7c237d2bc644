# SPDX-License-Identifier: Apache-2.0
"""Public keys are read out of certificates and of files that hold nothing else."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.identities.publickeys import public_key_in

KEY = ec.derive_private_key(7, ec.SECP256R1())
FORM = serialization.PublicFormat.SubjectPublicKeyInfo
DER = KEY.public_key().public_bytes(serialization.Encoding.DER, FORM)
PEM = KEY.public_key().public_bytes(serialization.Encoding.PEM, FORM)


def certificate() -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "u-7")])
    began = datetime(2026, 1, 1, tzinfo=UTC)
    made = x509.CertificateBuilder(name, name, KEY.public_key(), 7, began, began + timedelta(days=1))
    return made.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize("content", [DER, PEM, certificate()], ids=["der", "pem", "certificate"])
def test_a_public_key_is_read(content: bytes) -> None:
    assert public_key_in(content) == DER


@pytest.mark.parametrize("content", [b"", b"key", DER[:-1], PEM[:60], b"-----BEGIN CERTIFICATE-----\nx\n"])
def test_anything_else_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError):
        public_key_in(content)
