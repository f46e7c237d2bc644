# SPDX-License-Identifier: Apache-2.0
"""What a member signs to see a list of another owner's reads, in an envelope (docs/sealing.md, section Small reads)."""

import json
import re
import secrets
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Any, Final

from chaincode.domain.evidence import pre_authentication_encoding
from gateway.services.deliveries import Place
from gateway.services.ports import Clock, Json, Signer
from gateway.services.undelivered import StatementInvalid

PAYLOAD_TYPE: Final = "application/vnd.pedigree.reads.v1+json"
LARGEST: Final = 32 * 1024
"""Bytes of an envelope."""
_NONCE: Final = re.compile(r"[0-9a-f]{32}")
_MEMBERS: Final = {"audience", "at", "channel", "nonce", "number"}
_MOST_TEXT: Final = 256
_LAST: Final = 999_999_999


@dataclass(frozen=True, slots=True)
class ListStatement:
    """What is signed."""

    channel: str
    audience: str
    """The MSP id of the owner whose gateway it is for."""
    number: int
    """The list, by its number on the ledger."""
    at: int
    """Milliseconds since 1970."""
    nonce: str
    """32 hexadecimal digits, drawn at random; they are taken once."""

    def encode(self) -> bytes:
        """The canonical bytes; these are what is signed."""
        members = {
            "audience": self.audience, "at": self.at, "channel": self.channel, "nonce": self.nonce,
            "number": self.number,
        }  # fmt: skip
        return json.dumps(members, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def parse(cls, content: bytes) -> "ListStatement":
        """Read a statement; ``parse(s.encode()) == s``. Raises `StatementInvalid`."""
        value = _object(content, "the statement")
        if set(value) != _MEMBERS:
            raise StatementInvalid(f"the statement must have {', '.join(sorted(_MEMBERS))} and nothing else")
        for name in ("channel", "audience"):
            if not isinstance(value[name], str) or not 0 < len(value[name]) <= _MOST_TEXT:
                raise StatementInvalid(f"its {name} must be a text of 1 to {_MOST_TEXT} characters")
        if not isinstance(value["nonce"], str) or _NONCE.fullmatch(value["nonce"]) is None:
            raise StatementInvalid("its nonce must be 32 lower-case hexadecimal digits")
        if type(value["number"]) is not int or not 1 <= value["number"] <= _LAST:
            raise StatementInvalid("its number must be that of a list, from 1")
        if type(value["at"]) is not int or not 0 <= value["at"] < 1 << 53:
            raise StatementInvalid("its at must be a time in milliseconds since 1970")
        found = cls(value["channel"], value["audience"], value["number"], value["at"], value["nonce"])
        if found.encode() != content:
            raise StatementInvalid("the statement is not in canonical form")
        return found


@dataclass(frozen=True, slots=True)
class ListClaim:
    """A statement with a member's signature, which has not been checked yet."""

    statement: ListStatement
    organisation: str
    certificate: bytes
    """PEM."""
    signature: bytes

    @property
    def message(self) -> bytes:
        """The bytes that the signature is over: the pre-authentication encoding of DSSE v1."""
        return pre_authentication_encoding(PAYLOAD_TYPE, self.statement.encode())

    @classmethod
    def parse(cls, content: bytes) -> "ListClaim":
        """Read an envelope; raises `StatementInvalid`."""
        value = _object(content, "the envelope")
        if value.get("payloadType") != PAYLOAD_TYPE:
            raise StatementInvalid(f"its payloadType must be {PAYLOAD_TYPE}")
        signatures = value.get("signatures")
        if not isinstance(signatures, list) or len(signatures) != 1 or not isinstance(signatures[0], dict):
            raise StatementInvalid("it must have one signature")
        signed = signatures[0]
        organisation, certificate = signed.get("organisation"), signed.get("certificate")
        if not isinstance(organisation, str) or not 0 < len(organisation) <= _MOST_TEXT:
            raise StatementInvalid("its signature must have the MSP id of the organisation that signed")
        if not isinstance(certificate, str) or not certificate.isascii():
            raise StatementInvalid("its signature must have the certificate of who signed, in PEM")
        statement = ListStatement.parse(_decoded(value.get("payload"), "its payload"))
        return cls(statement, organisation, certificate.encode(), _decoded(signed.get("sig"), "its signature"))


class ListStatements:
    """Signs them for this organisation's people."""

    def __init__(self, signer: Signer, place: Place, clock: Clock) -> None:
        self._signer = signer
        self._place = place
        self._clock = clock

    def sign(self, owner: str, number: int) -> Json:
        """The envelope of a statement, to be taken to the owner's gateway at once."""
        statement = ListStatement(self._place.channel, owner, number, int(self._clock() * 1_000), secrets.token_hex(16))
        payload = statement.encode()
        signature = self._signer.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload))
        signed = {
            "sig": b64encode(signature.value).decode(),
            "organisation": self._place.organisation,
            "certificate": signature.certificate.decode("ascii"),
        }
        return {"payload": b64encode(payload).decode(), "payloadType": PAYLOAD_TYPE, "signatures": [signed]}


def _object(content: bytes, what: str) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        raise StatementInvalid(f"{what} is not JSON") from None
    if not isinstance(value, dict):
        raise StatementInvalid(f"{what} is not an object")
    return value


def _decoded(value: object, what: str) -> bytes:
    try:
        if not isinstance(value, str):
            raise ValueError
        return b64decode(value, validate=True)
    except ValueError:
        raise StatementInvalid(f"{what} is not base64") from None
