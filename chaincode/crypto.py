# SPDX-License-Identifier: Apache-2.0
"""The signature checks that the rules ask for: ECDSA on P-256 and P-384, and Ed25519."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from chaincode.domain.errors import BadSignature


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
        raise BadSignature("it is not that of the submitting certificate over this statement") from None
