# SPDX-License-Identifier: Apache-2.0
"""What a recipient says when it fetches data: which allowed attempt it comes for, to whom it says so, and when.

The statement is canonical JSON in a DSSE envelope (docs/sealing.md). Its signature is that of a certificate of the
organisation that made the attempt, or of the recipient's key that the grant names.
"""

import json
import re
from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pedigree.sealing.errors import MalformedKey, MalformedStatement, RefutedStatement

RecipientKey = ec.EllipticCurvePrivateKey
"""The private key that a data key is released to."""

PAYLOAD_TYPE: Final = "application/vnd.pedigree.fetch.v1+json"
LARGEST: Final = 32 * 1024
"""Bytes of an envelope."""
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_NONCE: Final = re.compile(r"[0-9a-f]{32}")
_MOST_TEXT: Final = 256
_LARGEST_KEY: Final = 1_024
_MEMBERS: Final = {"attempt", "audience", "at", "channel", "key", "nonce"}


@dataclass(frozen=True, slots=True)
class Statement:
    """What is signed."""

    channel: str
    attempt: str
    """The id of the attempt's transaction, in hex."""
    audience: str
    """The MSP id of the owner whose gateway it is for."""
    at: int
    """Milliseconds since 1970."""
    nonce: str
    """32 hexadecimal digits, drawn at random; they are taken once."""
    key: bytes
    """The public key that the data key is to be released to, as SubjectPublicKeyInfo in DER."""

    def encode(self) -> bytes:
        """The canonical bytes; these are what is signed."""
        members = {
            "attempt": self.attempt, "audience": self.audience, "at": self.at, "channel": self.channel,
            "key": b64encode(self.key).decode(), "nonce": self.nonce,
        }  # fmt: skip
        return json.dumps(members, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def parse(cls, content: bytes) -> "Statement":
        """Read a statement; ``parse(s.encode()) == s``. Raises `MalformedStatement`."""
        value = _object(content, "the statement")
        if set(value) != _MEMBERS:
            raise MalformedStatement(f"the statement must have {', '.join(sorted(_MEMBERS))} and nothing else")
        for name in ("channel", "audience"):
            if not isinstance(value[name], str) or not 0 < len(value[name]) <= _MOST_TEXT:
                raise MalformedStatement(f"its {name} must be a text of 1 to {_MOST_TEXT} characters")
        for name, form, what in (("attempt", _HASH, "64"), ("nonce", _NONCE, "32")):
            if not isinstance(value[name], str) or form.fullmatch(value[name]) is None:
                raise MalformedStatement(f"its {name} must be {what} lower-case hexadecimal digits")
        if type(value["at"]) is not int or not 0 <= value["at"] < 1 << 53:
            raise MalformedStatement("its at must be a time in milliseconds since 1970")
        key = _decoded(value["key"], "its key")
        if len(key) > _LARGEST_KEY:
            raise MalformedStatement(f"its key has at most {_LARGEST_KEY} bytes")
        found = cls(value["channel"], value["attempt"], value["audience"], value["at"], value["nonce"], key)
        if found.encode() != content:
            raise MalformedStatement("the statement is not in canonical form")
        return found


@dataclass(frozen=True, slots=True)
class Claim:
    """A statement with its signature, which has not been checked yet."""

    statement: Statement
    signature: bytes
    organisation: str = ""
    """The MSP id of who signed; empty where the recipient's key did."""
    certificate: bytes = b""
    """PEM; empty where the recipient's key signed."""

    @property
    def message(self) -> bytes:
        """The bytes that the signature is over."""
        return message_of(self.statement.encode())

    def encode(self) -> bytes:
        """The envelope."""
        signed: dict[str, str] = {"sig": b64encode(self.signature).decode()}
        if self.organisation:
            signed |= {"organisation": self.organisation, "certificate": self.certificate.decode("ascii")}
        payload = b64encode(self.statement.encode()).decode()
        return json.dumps({"payload": payload, "payloadType": PAYLOAD_TYPE, "signatures": [signed]}).encode()

    @classmethod
    def parse(cls, content: bytes) -> "Claim":
        """Read an envelope; raises `MalformedStatement`."""
        if len(content) > LARGEST:
            raise MalformedStatement(f"the envelope has more than {LARGEST} bytes")
        value = _object(content, "the envelope")
        if value.get("payloadType") != PAYLOAD_TYPE:
            raise MalformedStatement(f"its payloadType must be {PAYLOAD_TYPE}")
        signatures = value.get("signatures")
        if not isinstance(signatures, list) or len(signatures) != 1 or not isinstance(signatures[0], dict):
            raise MalformedStatement("it must have one signature")
        signed = signatures[0]
        organisation, certificate = signed.get("organisation", ""), signed.get("certificate", "")
        if (
            not isinstance(organisation, str)
            or not isinstance(certificate, str)
            or bool(organisation) != bool(certificate)
        ):
            raise MalformedStatement("a signature of an organisation has its MSP id and the certificate in PEM")
        if len(organisation) > _MOST_TEXT or not certificate.isascii():
            raise MalformedStatement("a signature of an organisation has its MSP id and the certificate in PEM")
        statement = Statement.parse(_decoded(value.get("payload"), "its payload"))
        return cls(statement, _decoded(signed.get("sig"), "its signature"), organisation, certificate.encode())


def message_of(payload: bytes) -> bytes:
    """What a signature is over: the pre-authentication encoding of DSSE v1."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)


def sign(statement: Statement, holder: RecipientKey) -> Claim:
    """The claim of a recipient that has the private key which the grant names."""
    return Claim(statement, holder.sign(message_of(statement.encode()), ec.ECDSA(hashes.SHA256())))


def check(claim: Claim, key: bytes) -> None:
    """Return where the recipient's key signed; raise `RefutedStatement` otherwise.

    Args:
        key: SubjectPublicKeyInfo in DER of a key on P-256.
    """
    try:
        loaded = serialization.load_der_public_key(key)
        if not isinstance(loaded, ec.EllipticCurvePublicKey):
            raise RefutedStatement("the recipient's key is not on a curve")
        loaded.verify(claim.signature, claim.message, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError):
        raise RefutedStatement("the signature is not that of the recipient's key over this statement") from None


def new_holder() -> RecipientKey:
    """A private key on P-256 for one fetch."""
    return ec.generate_private_key(ec.SECP256R1())


def load_holder(content: bytes) -> RecipientKey:
    """A recipient's private key on P-256, in PEM without a passphrase; raises `MalformedKey`."""
    try:
        found = serialization.load_pem_private_key(content, None)
    except (ValueError, TypeError):
        raise MalformedKey("it holds no private key in PEM without a passphrase") from None
    if not isinstance(found, ec.EllipticCurvePrivateKey) or not isinstance(found.curve, ec.SECP256R1):
        raise MalformedKey("the private key is not on the curve P-256")
    return found


def private_bytes(holder: RecipientKey) -> bytes:
    """A recipient's private key in PEM, without a passphrase; ``load_holder`` reads it."""
    form = serialization.PrivateFormat.PKCS8
    return holder.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def public_bytes(holder: RecipientKey) -> bytes:
    """The public key of a recipient, as a statement and a grant have it."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return holder.public_key().public_bytes(serialization.Encoding.DER, form)


def key_digest(key: bytes) -> str:
    """What the ledger knows a recipient's key by, in hex."""
    return sha256(key).hexdigest()


def _object(content: bytes, what: str) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        raise MalformedStatement(f"{what} is not JSON") from None
    if not isinstance(value, dict):
        raise MalformedStatement(f"{what} is not an object")
    return value


def _decoded(value: object, what: str) -> bytes:
    try:
        if not isinstance(value, str):
            raise ValueError
        return b64decode(value, validate=True)
    except ValueError:
        raise MalformedStatement(f"{what} is not base64") from None
