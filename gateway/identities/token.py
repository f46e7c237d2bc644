# SPDX-License-Identifier: Apache-2.0
"""The authorisation header that a Fabric CA (1.4 and later) expects of an enrolled identity.

    base64(certificate PEM) "." base64(signature)

The signature is over the SHA-256 of `METHOD.base64(request URI).base64(body).base64(certificate PEM)`, so that it can
be used for nothing but this request (util.CreateToken and util.VerifyToken of Fabric CA). There is no nonce and no time
in it: TLS is what keeps a token from being used twice.
"""

import hashlib
from base64 import b64encode

from gateway.fabric.identity import Sign


def signed_part(method: str, uri: str, body: bytes, certificate: bytes) -> bytes:
    """What is signed; `uri` is the path with its query, `certificate` is PEM."""
    parts = (method.encode("ascii"), *(b64encode(part) for part in (uri.encode("ascii"), body, certificate)))
    return b".".join(parts)


def token(method: str, uri: str, body: bytes, certificate: bytes, sign: Sign) -> str:
    """The header's value; `sign` takes the SHA-256 digest, with low S for ECDSA."""
    signature = sign(hashlib.sha256(signed_part(method, uri, body, certificate)).digest())
    return f"{b64encode(certificate).decode()}.{b64encode(signature).decode()}"
