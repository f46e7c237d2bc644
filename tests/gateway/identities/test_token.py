# SPDX-License-Identifier: Apache-2.0
"""The authorisation header is the one that fabric-ca-client makes, byte for byte where signatures allow."""

import base64
import hashlib
import json
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from gateway.fabric import Signer
from gateway.identities.token import signed_part, token


def test_what_is_signed_is_this_text() -> None:
    assert signed_part("POST", "/api/v1/register?ca=x", b'{"id":"g"}', b"PEM") == (
        b"POST.L2FwaS92MS9yZWdpc3Rlcj9jYT14.eyJpZCI6ImcifQ==.UEVN"
    )
    assert signed_part("GET", "/api/v1/identities", b"", b"PEM") == b"GET.L2FwaS92MS9pZGVudGl0aWVz..UEVN"


def test_a_token_of_a_fixed_key_is_this_one() -> None:
    key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    assert token("GET", "/api/v1/identities", b"", b"PEM", Signer(key)) == (
        "UEVN.qXzRymV1v7emj+diWWTVWudELdTklRDjEwV/HgnohcDwq2XdrZd02vxz0/QHkkQ+F0AcBAj4FrwVd6oklKSPAA=="
    )


def _requests(kit: SimpleNamespace) -> list[dict[str, Any]]:
    return list(json.loads((kit.vectors / "tokens.json").read_text())["requests"])


@pytest.mark.parametrize("index", [0, 1])
def test_the_official_clients_signature_is_over_what_we_sign(kit: SimpleNamespace, index: int) -> None:
    request = _requests(kit)[index]
    cert64, signature64 = request["authorization"].split(".")
    pem = base64.b64decode(cert64)
    ours = signed_part(request["method"], request["uri"], request["body"].encode(), pem)
    key = x509.load_pem_x509_certificate(pem).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    signature = base64.b64decode(signature64)
    key.verify(signature, hashlib.sha256(ours).digest(), ec.ECDSA(Prehashed(hashes.SHA256())))
    for changed in (("PUT", request["uri"]), (request["method"], request["uri"] + "?")):
        other = signed_part(*changed, request["body"].encode(), pem)
        with pytest.raises(InvalidSignature):
            key.verify(signature, hashlib.sha256(other).digest(), ec.ECDSA(Prehashed(hashes.SHA256())))


def test_the_header_repeats_the_certificate_as_it_is(kit: SimpleNamespace) -> None:
    request = _requests(kit)[0]
    pem = base64.b64decode(request["authorization"].split(".")[0])
    ours = token(request["method"], request["uri"], request["body"].encode(), pem, lambda digest: digest)
    cert64, signature64 = ours.split(".")
    assert cert64 == request["authorization"].split(".")[0]
    assert len(base64.b64decode(signature64)) == 32
