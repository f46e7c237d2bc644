# SPDX-License-Identifier: Apache-2.0
"""DSSE envelopes around statements that the organisation's own user signs."""

from base64 import b64encode

from chaincode.domain.evidence import PAYLOAD_TYPE, pre_authentication_encoding
from gateway.services.ports import Json, Signer


def sign_statement(signer: Signer, payload: bytes) -> Json:
    """The DSSE envelope (v1) of an in-toto statement, whose canonical JSON is `payload`.

    `keyid` is the SHA-256 of the signer's certificate, in DER, in hex.
    """
    signature = signer.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload))
    return {
        "payload": b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"sig": b64encode(signature.value).decode(), "keyid": signature.fingerprint}],
    }
