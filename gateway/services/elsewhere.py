# SPDX-License-Identifier: Apache-2.0
"""Whole transactions of a member that keeps its key away from the gateway: prepared, endorsed and ordered here.

Nothing is kept between the steps: what the caller takes away is sealed with the gateway's secret, and what comes back
is taken only if it is what was given out, to the same caller and in time. From the moment that an envelope is handed
to ordering it is on disk like any other, and only a block decides how it ends. Its id follows from the caller's
idempotency key, so that of any number of rounds with one key one counts; a transaction that was found invalid takes
another key.
"""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final, Protocol

from chaincode.domain import codec
from chaincode.domain.canonical import MAX_BYTES, encode
from chaincode.domain.errors import InvalidField, MissingField
from gateway.services.attempts import Limits
from gateway.services.ports import (
    AlreadyProposed,
    Category,
    Clock,
    Json,
    PortError,
    Submission,
    Submissions,
    ToSign,
)
from gateway.services.recording import command_from
from gateway.services.secret import Secret
from gateway.services.shares import Shares
from gateway.services.submitter import Answer, Submitter

FORMAT: Final = "pedigree-transaction/v1"
LARGEST: Final = 512 * 1024
"""Bytes of a command that is signed elsewhere."""
LARGEST_DOCUMENT: Final = MAX_BYTES
"""Bytes of what a caller sends."""
_LARGEST_CERTIFICATE: Final = 16 * 1024
_SIGNED_WITHIN: Final[Mapping[str, float]] = {"proposal": 110.0, "transaction": 600.0}
"""Seconds; the chaincode takes no proposal that is two minutes old."""
_LONGEST_KEY: Final = 200
_LONGEST_SIGNATURE: Final = 1024


class NotPreparedHere(PortError):
    """What was sent is not what this gateway gave out to this caller, or is of another step."""

    code = "not-prepared-here"
    category = Category.UNACCEPTABLE


class SignedTooLate(PortError):
    """It took too long to sign what was prepared; it has to be prepared again."""

    code = "signed-too-late"
    category = Category.UNACCEPTABLE


class RecordedAlready(PortError):
    """The request that the idempotency key names is recorded already."""

    code = "already-submitted"
    category = Category.CONFLICT


class Elsewhere(Protocol):
    """A ledger on which others of the organisation sign for themselves."""

    def certificate(self, text: bytes) -> bytes:
        """The certificate in a text that may hold more, in PEM; raises `InvalidField`, for a private key as well."""
        ...

    def propose(self, function: str, arguments: tuple[str, ...], *, certificate: bytes, nonce: bytes) -> ToSign:
        """A proposal under a certificate (PEM) of this organisation; raises `InvalidField` for one
        that does not count: another organisation's, one that has ended, one that was revoked."""
        ...

    def endorse(self, proposal: bytes, signature: bytes, *, certificate: bytes) -> ToSign:
        """The transaction that a signed proposal came to.

        Raises `BadSignature`, and as `propose` and `Ledger.prepare`.
        """
        ...

    def seal(self, transaction: bytes, signature: bytes, *, certificate: bytes) -> bytes:
        """The envelope of a transaction with its signature, for `Ledger.submit`.

        Raises `BadSignature`, and as `propose`.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Given:
    """What came back, and is what was given out."""

    document: Json
    content: bytes
    signature: bytes
    certificate: bytes


class SignedElsewhere:
    """The three steps; thread-safe."""

    def __init__(
        self,
        ledger: Elsewhere,
        submissions: Submissions,
        submitter: Submitter,
        *,
        secret: Secret,
        clock: Clock,
        limits: Limits,
    ) -> None:
        self._ledger = ledger
        self._submissions = submissions
        self._submitter = submitter
        self._secret = secret
        self._clock = clock
        self._shares = Shares(limits.in_flight, "transactions that are signed elsewhere")

    def prepare(self, client: str, function: str, body: Json, certificate: str, key: str) -> Json:
        """The proposal of a command, to be signed with the key of `certificate` (PEM)."""
        if not 1 <= len(key) <= _LONGEST_KEY or not key.isascii() or not key.isprintable() or " " in key:
            raise InvalidField("/key", f"it must be 1 to {_LONGEST_KEY} visible ASCII characters")
        if len(certificate) > _LARGEST_CERTIFICATE:
            raise InvalidField("/certificate", f"it must have at most {_LARGEST_CERTIFICATE} bytes")
        certificate = self._ledger.certificate(certificate.encode()).decode()
        command = encode_command(function, body)
        submission = self._submission(client, key, function, command, certificate)
        arguments = (command, self._secret.token(submission), self._secret.acting(client))
        made = self._ledger.propose(
            function, arguments, certificate=certificate.encode(), nonce=self._secret.nonce(submission)
        )
        said = {"function": function, "key": key, "certificate": certificate, "command": command}
        return self._sealed(client, "proposal", made, said)

    def endorse(self, client: str, document: Json) -> Json:
        """The transaction that a signed proposal came to, to be signed in turn."""
        given = self._given(client, document, "proposal")
        self._check_time(given.document)
        self._shares.take(client)
        try:
            made = self._ledger.endorse(given.content, given.signature, certificate=given.certificate)
        except AlreadyProposed as exc:
            raise RecordedAlready("this request is recorded already", transaction_id=exc.transaction_id) from exc
        finally:
            self._shares.give_back(client)
        said = {name: str(given.document[name]) for name in ("function", "key", "certificate", "command")}
        return self._sealed(client, "transaction", made, said)

    def submit(self, client: str, document: Json) -> Answer:
        """Have a signed transaction ordered, exactly once; the repetition of one that ended is answered as before."""
        given = self._given(client, document, "transaction")
        said = given.document
        made = self._submission(client, said["key"], said["function"], said["command"], said["certificate"])
        if (before := self._submitter.answered(made)) is not None:
            return before
        if self._submissions.find(client, made.key) is None:
            self._check_time(said)  # what was taken before is brought to its end, however late it is sent again
        envelope = self._ledger.seal(given.content, given.signature, certificate=given.certificate)
        return self._submitter.send(
            replace(
                made, state="prepared", transaction_id=str(said["transaction_id"]), envelope=envelope,
                reply=said["reply"], elsewhere=True,
            )
        )  # fmt: skip

    def _submission(self, client: str, key: str, function: str, command: str, certificate: str) -> Submission:
        digest = sha256(encode(["elsewhere", function, command, certificate])).hexdigest()
        return Submission(
            id=self._secret.submission_id(client, key), client=client, key=key, request_hash=digest, function=function,
            command=command, state="accepted", attempt=1, created=self._clock(),
        )  # fmt: skip

    def _sealed(self, client: str, stage: str, made: ToSign, said: Mapping[str, str]) -> Json:
        document: Json = {
            "format": FORMAT,
            "stage": stage,
            **said,
            "transaction_id": made.transaction_id,
            "content": b64encode(made.content).decode(),
            "digest": made.digest.hex(),
            "sign_before": int((self._clock() + _SIGNED_WITHIN[stage]) * 1000),
            "reply": made.reply,
        }
        return {**document, "seal": self._secret.seal(client, encode(document))}

    def _check_time(self, document: Json) -> None:
        if self._clock() * 1000 > document["sign_before"]:
            raise SignedTooLate("it was prepared too long ago: prepare it again")

    def _given(self, client: str, document: Json, stage: str) -> _Given:
        """What came back, where it is what was given out for this step."""
        rest = {name: value for name, value in document.items() if name not in ("seal", "signature")}
        seal, signature = document.get("seal"), document.get("signature")
        if not isinstance(seal, str) or not hmac.compare_digest(
            seal.encode("utf-8", "replace"), self._secret.seal(client, encode(rest)).encode()
        ):
            raise NotPreparedHere("this is not what this gateway prepared for you")
        if rest["stage"] != stage:
            raise NotPreparedHere(f"this is a {rest['stage']}, and a {stage} is needed here")
        if signature is None:
            raise MissingField("/signature")
        try:
            if not isinstance(signature, str) or len(signature) > _LONGEST_SIGNATURE:
                raise ValueError
            signed = b64decode(signature, validate=True)
        except ValueError:
            raise InvalidField("/signature", "it must be base64 of a signature") from None
        return _Given(rest, b64decode(rest["content"]), signed, str(rest["certificate"]).encode())


def encode_command(function: str, body: Json) -> str:
    """The canonical JSON of a command; raises what `command_from` raises, and `InvalidField` for one too large."""
    command = codec.to_json(command_from(function, body)).decode()
    if len(command.encode()) > LARGEST:
        raise InvalidField("/command", f"it must have at most {LARGEST} bytes to be signed elsewhere")
    return command
