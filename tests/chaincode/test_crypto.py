# SPDX-License-Identifier: Apache-2.0
"""Signature checks on the three kinds of key that identities have, and on none else."""

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from chaincode.crypto import check_signature
from chaincode.domain.errors import BadSignature

MESSAGE = b"DSSEv1 1 a 1 b"


def _sign(key):
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(MESSAGE)
    return key.sign(MESSAGE, ec.ECDSA(hashes.SHA256() if key.curve.name == "secp256r1" else hashes.SHA384()))


@pytest.fixture(
    params=[
        lambda: ec.generate_private_key(ec.SECP256R1()),
        lambda: ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate,
    ],
    ids=["P-256", "P-384", "Ed25519"],
)
def key(request):
    return request.param()


def test_a_signature_of_the_key_is_accepted(key):
    check_signature(key.public_key(), MESSAGE, _sign(key))


def test_anything_else_is_refused(key):
    signature = _sign(key)
    for message, given in [
        (MESSAGE + b"x", signature),
        (MESSAGE, signature[:-1]),
        (MESSAGE, b""),
        (MESSAGE, bytes(len(signature))),
    ]:
        with pytest.raises(BadSignature):
            check_signature(key.public_key(), message, given)


@pytest.mark.parametrize(
    "other",
    [
        lambda: rsa.generate_private_key(65537, 2048).public_key(),
        lambda: ec.generate_private_key(ec.SECP521R1()).public_key(),
        lambda: None,
    ],
)
def test_other_kinds_of_key_are_refused(other):
    with pytest.raises(BadSignature, match="none of P-256, P-384 and Ed25519"):
        check_signature(other(), MESSAGE, b"signature")
