# SPDX-License-Identifier: Apache-2.0
"""Statements that this organisation signs for its own people who fetch data under an attempt of it."""

import secrets
from base64 import b64decode, b64encode

from chaincode.domain.errors import InvalidField
from chaincode.domain.values import Ref
from gateway.sealing.errors import SealError
from gateway.sealing.fetching import PAYLOAD_TYPE, Statement, message_of
from gateway.sealing.release import parse_public_key
from gateway.services.catalogue import Catalogue
from gateway.services.deliveries import Place
from gateway.services.ports import Clock, Json, Signer
from gateway.services.undelivered import NotTheGrantee


class FetchStatements:
    """Signs them."""

    def __init__(self, catalogue: Catalogue, signer: Signer, place: Place, clock: Clock) -> None:
        self._catalogue = catalogue
        self._signer = signer
        self._place = place
        self._clock = clock

    def sign(self, attempt: str, key: str) -> Json:
        """The envelope of a statement, to be taken to the owner's gateway at once.

        Args:
            attempt: the id of its transaction.
            key: the public key that the data key is to go to: base64 of a SubjectPublicKeyInfo in DER, on P-256.

        Raises `RecordNotFound`, `InvalidField`, and `NotTheGrantee` where another organisation made the attempt.
        """
        record = self._catalogue.get("access-attempt", Ref.of("access-attempt", attempt), attempt=attempt)["record"]
        if record["by"] != self._place.organisation:
            raise NotTheGrantee(f"{record['by']} made the attempt {attempt}; its gateway signs for it")
        try:
            content = b64decode(key, validate=True)
            parse_public_key(content)
        except (ValueError, SealError):
            reason = "it must be base64 of the SubjectPublicKeyInfo (DER) of a key on P-256"
            raise InvalidField("/recipient_key", reason) from None
        statement = Statement(
            channel=self._place.channel,
            attempt=attempt,
            audience=record.get("owner", "nobody"),
            at=int(self._clock() * 1_000),
            nonce=secrets.token_hex(16),
            key=content,
        )
        payload = statement.encode()
        signature = self._signer.sign(message_of(payload))
        signed = {
            "sig": b64encode(signature.value).decode(),
            "organisation": self._place.organisation,
            "certificate": signature.certificate.decode("ascii"),
        }
        return {"payload": b64encode(payload).decode(), "payloadType": PAYLOAD_TYPE, "signatures": [signed]}
