# SPDX-License-Identifier: Apache-2.0
"""Statements that are prepared in one place and signed in another: the file, what it says, and its signature.

The file is JSON: `format`, the `envelope` (DSSE, without a signature until it is signed), and with its signature the
`chain`: the signer's certificate, then those above it, each as `{"der": base64}`.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from chaincode.domain.errors import LedgerError
from chaincode.domain.evidence import (
    PAYLOAD_TYPE,
    PREDICATE_TYPE,
    STATEMENT_TYPE,
    Decision,
    Statement,
    pre_authentication_encoding,
)
from chaincode.domain.intoto import decode_statement
from chaincode.domain.speakers import LARGEST, MOST_SENT
from gateway.fabric.texts import said

__all__ = [
    "FORMAT",
    "LARGEST_PEM",
    "Key",
    "Prepared",
    "load_key",
    "prepared",
    "read_prepared",
    "sign_prepared",
    "spki_of",
]

FORMAT: Final = "pedigree-statement/v1"
LARGEST_PEM: Final = 64 * 1024
"""Bytes of a file of a key, or of certificates."""
_LARGEST_PAYLOAD: Final = 65_536

Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
_HASHES: Final = {"secp256r1": hashes.SHA256(), "secp384r1": hashes.SHA384()}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement out of a prepared file."""

    payload: bytes
    statement: Statement
    envelope: Mapping[str, Any]
    chain: tuple[Mapping[str, Any], ...]
    """Empty until it is signed."""

    @property
    def decision(self) -> Decision:
        """What is said of the artifact."""
        return Decision(self.statement.decision)


def prepared(draft: Mapping[str, Any]) -> dict[str, Any]:
    """The file of a statement that a gateway composed."""
    envelope = {"payload": draft["payload"], "payloadType": draft["payloadType"], "signatures": []}
    return {"format": FORMAT, "envelope": envelope}


def read_prepared(value: Mapping[str, Any]) -> Prepared:
    """What a prepared file says, by the bytes that are signed and by nothing beside them; raises `ValueError`."""
    envelope, chain = value.get("envelope"), value.get("chain", [])
    if value.get("format") != FORMAT or not isinstance(envelope, Mapping) or not isinstance(chain, list):
        raise ValueError(f"it is no {FORMAT} file, as `pedigree endorse REFERENCE --prepare FILE` writes one")
    if envelope.get("payloadType") != PAYLOAD_TYPE:
        raise ValueError(f"the payloadType of its envelope is not {PAYLOAD_TYPE}")
    try:
        payload = base64.b64decode(str(envelope.get("payload")), validate=True)
    except ValueError:
        raise ValueError("the payload of its envelope is not base64") from None
    if len(payload) > _LARGEST_PAYLOAD:
        raise ValueError(f"the payload of its envelope has more than {_LARGEST_PAYLOAD} bytes")
    try:
        statement = decode_statement(payload)
    except LedgerError as exc:
        raise ValueError(said(str(exc).removesuffix("."))) from None
    if (statement.statement_type, statement.predicate_type) != (STATEMENT_TYPE, PREDICATE_TYPE):
        raise ValueError("it is not an endorsement statement of the version that is known here")
    if statement.decision not in set(Decision):
        raise ValueError("its decision is none that is known here")
    if [subject.name for subject in statement.subjects] != [statement.artifact]:
        raise ValueError("its subject is not its artifact alone")
    return Prepared(payload, statement, dict(envelope), tuple(chain))


def load_key(pem: bytes, passphrase: bytes | None) -> Key:
    """A private key on P-256 or P-384, or of Ed25519; raises `ValueError`, and `TypeError` where a passphrase is needed
    or was given for nothing."""
    if len(pem) > LARGEST_PEM:
        raise ValueError(f"it has more than {LARGEST_PEM} bytes")
    try:
        key = load_pem_private_key(pem, passphrase)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("it is not a private key in PEM, or the passphrase is another one") from None
    known = isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _HASHES
    if not known and not isinstance(key, ed25519.Ed25519PrivateKey):
        raise ValueError("its key is none of P-256, P-384 and Ed25519")
    return key  # type: ignore[return-value]  # one of the two, as was just seen


def sign_prepared(found: Prepared, key: Key, certificates: bytes) -> dict[str, Any]:
    """The file with its signature and the chain; raises `ValueError` where the certificate is not that of the key.

    Args:
        certificates: PEM: the signer's first, then those above it but for the root, at most `MOST_SENT`.
    """
    if len(certificates) > LARGEST_PEM:
        raise ValueError(f"the certificates have more than {LARGEST_PEM} bytes")
    try:
        chain = x509.load_pem_x509_certificates(certificates)
        own = chain[0].public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("it holds no certificate in PEM") from None
    chain = [chain[0], *(each for each in chain[1:] if each.subject != each.issuer)]
    ders = [each.public_bytes(Encoding.DER) for each in chain]
    if len(ders) > MOST_SENT or max(map(len, ders)) > LARGEST:
        raise ValueError(f"at most {MOST_SENT} certificates of at most {LARGEST} bytes travel with a statement")
    if spki_of(own) != spki_of(key.public_key()):
        raise ValueError("the certificate is not that of the key")
    message = pre_authentication_encoding(PAYLOAD_TYPE, found.payload)
    keyid = sha256(ders[0]).hexdigest()
    signature = {"sig": base64.b64encode(_sign(key, message)).decode(), "keyid": keyid}
    return {
        "format": FORMAT,
        "envelope": {**found.envelope, "signatures": [signature]},
        "chain": [{"der": base64.b64encode(der).decode()} for der in ders],
    }


def _sign(key: Key, message: bytes) -> bytes:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(message)
    return key.sign(message, ec.ECDSA(_HASHES[key.curve.name]))


def spki_of(key: Any) -> bytes:
    """A public key's SubjectPublicKeyInfo in DER."""
    found: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return found
