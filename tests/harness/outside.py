# SPDX-License-Identifier: Apache-2.0
"""Signatures of persons whose key no gateway has, over what a gateway prepared."""

import base64

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def signature(key: ec.EllipticCurvePrivateKey, digest: str, *, high: bool = False) -> str:
    """A signature over a SHA-256 digest in hex, in base64; with `high`, one with the high S that Fabric refuses."""
    r, s = decode_dss_signature(key.sign(bytes.fromhex(digest), ec.ECDSA(Prehashed(hashes.SHA256()))))
    low = min(s, P256_ORDER - s)
    return base64.b64encode(encode_dss_signature(r, P256_ORDER - low if high else low)).decode()
