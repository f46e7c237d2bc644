# SPDX-License-Identifier: Apache-2.0
"""The only place where the law meets Fabric: commands out as canonical JSON, records and refusals back.

It contains no rule. What a peer says is translated once, here, by one table; codes of gRPC alone do not tell a
caller's fault from a server's, so the texts that Fabric has kept since v2.4 are matched beside them.
"""

import logging
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC
from typing import Any

from chaincode.domain import canonical, codec
from chaincode.domain import errors as law
from chaincode.domain.idempotency import Idempotency
from gateway.fabric import (
    Block,
    Commit,
    CommitStatusError,
    FabricError,
    Gateway,
    GatewayError,
    Identity,
    Network,
    Signer,
    UntrustedResponse,
    decode_block,
)
from gateway.fabric.blocks import Transaction
from gateway.fabric.identity import default_hash
from gateway.services.ports import (
    AlreadyProposed,
    EndorsementMismatch,
    Forbidden,
    IdentityExpired,
    Json,
    LedgerBlock,
    LedgerMisuse,
    LedgerTransaction,
    LedgerWrite,
    NothingOrdered,
    OrganisationsRequired,
    Outcome,
    OutcomeUnknown,
    PortError,
    Prepared,
    Refused,
    TimedOut,
    TooLarge,
    Unavailable,
)

_LOG = logging.getLogger(__name__)
_CHAINCODE_SAID = re.compile(r"chaincode response (\d{3}), (.*)", re.DOTALL)
_DUPLICATE = re.compile(r"duplicate transaction found \[([0-9a-f]{64})\]")
_COMMITS_KEPT = 4096
# Every recording leaves one such entry for the chaincode to read; nobody asks a gateway for it.
_OF_THE_CHAINCODE_ALONE = f"\x00{codec.kind_of(Idempotency)}\x00"
_REFUSALS = {
    error.code: error
    for family in law.LedgerError.__subclasses__()
    for error in family.__subclasses__()
}  # fmt: skip

Failure = PortError | law.LedgerError


class FabricLedger:
    """Implements `services.ports.Ledger` on a Fabric Gateway client."""

    def __init__(self, gateway: Gateway, network: Network, chaincode: str) -> None:
        self._gateway = gateway
        self._contract = network.contract(chaincode)
        self._commits: OrderedDict[str, Commit] = OrderedDict()
        self._lock = threading.Lock()

    def prepare(
        self, function: str, command: str, *, nonce: bytes, token: str, organisations: tuple[str, ...]
    ) -> Prepared:
        try:
            transaction = self._contract.new_proposal(
                function, (command, token), endorsing_organisations=organisations or None, nonce=nonce
            ).endorse()
            # Signed before it is stored, so that what is sent again after a crash is the same to the byte.
            transaction.sign()
        except FabricError as exc:
            failure = translate(exc, submitting=False)
            if isinstance(failure, law.AlreadyRecorded):
                raise AlreadyProposed(failure.transaction) from exc
            raise failure from exc
        return Prepared(transaction.transaction_id, transaction.bytes, _reply(transaction.result))

    def submit(self, envelope: bytes) -> None:
        try:
            commit = self._gateway.new_transaction(envelope).submit()
        except FabricError as exc:
            raise translate(exc, submitting=True) from exc
        with self._lock:
            self._commits[commit.transaction_id] = commit
            while len(self._commits) > _COMMITS_KEPT:
                self._commits.popitem(last=False)

    def outcome(self, transaction_id: str, timeout: float) -> Outcome | None:
        with self._lock:
            commit = self._commits.get(transaction_id)
        if commit is None:
            return None
        try:
            status = commit.status(timeout)
        except CommitStatusError as exc:
            if exc.code.name in ("DEADLINE_EXCEEDED", "CANCELLED"):
                return None
            raise translate(exc, submitting=False) from exc
        except FabricError as exc:
            raise translate(exc, submitting=False) from exc
        return Outcome(transaction_id, status.code, status.block_number)

    def evaluate(self, function: str, command: str) -> Json:
        try:
            return _reply(self._contract.evaluate(function, command))
        except FabricError as exc:
            raise translate(exc, submitting=False) from exc


class FabricBlocks:
    """Implements `services.ports.BlockSource` on the peer's Deliver service."""

    def __init__(self, network: Network, chaincode: str) -> None:
        self._network = network
        self._chaincode = chaincode
        self._open: Any = None

    def blocks(self, start: int, stop: Callable[[], bool]) -> Iterator[LedgerBlock]:
        try:
            with self._network.block_events(start_block=start) as events:
                self._open = events
                for block in events:
                    yield ledger_block(decode_block(block), self._chaincode)
                    if stop():
                        return
        except GatewayError as exc:
            if stop():
                return
            raise Unavailable(f"the peer's block stream ended: {exc.message}", code="peer-unavailable") from exc
        except FabricError as exc:
            raise LedgerMisuse(f"the peer's block stream cannot be trusted: {exc}") from exc
        finally:
            self._open = None
        if not stop():
            raise Unavailable("the peer closed the block stream", code="peer-unavailable")

    def interrupt(self) -> None:
        events = self._open
        if events is not None:
            events.close()


def ledger_block(block: Block, chaincode: str) -> LedgerBlock:
    """A decoded block in the gateway's own terms; what is not for its readers is left out."""
    return LedgerBlock(
        number=block.number,
        hash=block.header_hash.hex(),
        previous_hash=block.previous_hash.hex(),
        transactions=tuple(_transaction(transaction, chaincode) for transaction in block.transactions),
    )


def _transaction(transaction: Transaction, chaincode: str) -> LedgerTransaction:
    ours = transaction.chaincode == chaincode
    at = "" if transaction.timestamp is None else transaction.timestamp.astimezone(UTC).isoformat()
    return LedgerTransaction(
        transaction_id=transaction.transaction_id,
        index=transaction.index,
        code=transaction.validation_code,
        creator=transaction.creator_msp_id,
        at=at.replace("+00:00", "Z"),
        reply=_parse_object(transaction.result) if ours and transaction.result else None,
        writes=tuple(_writes(transaction, chaincode)) if transaction.valid else (),
    )


def _writes(transaction: Transaction, chaincode: str) -> Iterator[LedgerWrite]:
    for namespace in transaction.namespaces:
        if namespace.namespace != chaincode:
            continue
        for write in namespace.writes:
            if write.key.startswith(_OF_THE_CHAINCODE_ALONE):
                continue
            if write.is_delete:
                yield LedgerWrite(write.key, None)
                continue
            value = _parse_object(write.value)
            if value is None:
                _LOG.error("transaction %s wrote an entry that is no record", transaction.transaction_id)
            else:
                yield LedgerWrite(write.key, value)


def _parse_object(data: bytes) -> Json | None:
    try:
        value = canonical.parse(data)
    except law.Malformed:
        return None
    return value if isinstance(value, dict) else None


def _reply(data: bytes) -> Json:
    value = _parse_object(data)
    if value is None:
        raise LedgerMisuse("the chaincode answered something that is no JSON object")
    return value


# -- what peers say, translated -------------------------------------------------------------------------------


def _unavailable(code: str, message: str, retry_after: int = 1) -> Callable[[], PortError]:
    return lambda: Unavailable(message, code=code, retry_after=retry_after)


# In this order: the first text that occurs in the message or in any peer's detail decides.
_TEXTS: tuple[tuple[str, Callable[[], PortError]], ...] = (
    ("ProposalResponsePayloads do not match", lambda: EndorsementMismatch("organisations simulated different results")),
    ("chaincode stream terminated", _unavailable("chaincode-unavailable", "a chaincode process ended")),
    ("could not launch chaincode", _unavailable("chaincode-unavailable", "a chaincode process does not answer", 2)),
    ("timeout expired while executing transaction", lambda: TimedOut("the chaincode took too long")),
    ("No metadata was found for chaincode", _unavailable("chaincode-undefined", "the chaincode is not deployed", 5)),
    (
        "no combination of peers can be derived",
        _unavailable("endorsers-unavailable", "too few organisations can endorse at the moment", 2),
    ),
    (
        "retry specifying endorsing organization",
        lambda: OrganisationsRequired("private data needs the endorsing organisations to be named"),
    ),
    ("too many requests for", _unavailable("peer-capacity", "the peer is at its limit of requests")),
    ("incorrect timestamp", _unavailable("clock-skew", "this gateway's clock and a peer's differ too much", 30)),
    ("proposal client identity expired", lambda: IdentityExpired("the gateway's certificate has expired")),
    ("access denied", lambda: Forbidden("the channel does not accept this gateway's identity")),
    ("exceeds maximum allowed", lambda: TooLarge("the transaction is larger than the ordering service accepts")),
    ("status=FORBIDDEN", lambda: Forbidden("the channel does not let this gateway write")),
)
# Only these prove that an orderer refused: after any other failure of Submit the envelope may still be ordered.
_REFUSED_BY_ORDERER = ("status=BAD_REQUEST", "status=FORBIDDEN", "status=REQUEST_ENTITY_TOO_LARGE")


def translate(error: FabricError, *, submitting: bool) -> Failure:
    """What a failure of the Gateway client means here; the most specific error that the facts allow."""
    if isinstance(error, UntrustedResponse):
        _LOG.critical("the peer's answer was not signed: %s", error)
        return LedgerMisuse("the peer's answer failed verification and was not signed", reason=error.reason)
    if not isinstance(error, GatewayError):
        _LOG.error("the Gateway client failed: %s", error)
        return LedgerMisuse("the Gateway client failed; see the gateway's log")
    texts = [error.message, *(detail.message for detail in error.details)]
    if submitting:
        return _submitting(error, texts)
    return _decided(texts) or _by_code(error)


def _submitting(error: GatewayError, texts: Sequence[str]) -> Failure:
    said = " ".join(texts)
    refused = error.code.name == "ABORTED" and any(text in said for text in _REFUSED_BY_ORDERER)
    # The peer's own limiter answers before anything is forwarded, so nothing was ordered.
    limited = "too many requests for" in said
    if not refused and not limited:
        return OutcomeUnknown(f"ordering did not answer ({error.code.name})", transaction_id=error.transaction_id)
    known = _by_text(texts)
    if known is not None:
        return known
    _LOG.error("the orderer refused a transaction: %s", error)
    return LedgerMisuse("the ordering service refused the transaction")


def _decided(texts: Sequence[str]) -> Failure | None:
    for text in texts:
        duplicate = _DUPLICATE.search(text)
        if duplicate is not None:
            return AlreadyProposed(duplicate[1])
    for text in texts:
        said = _CHAINCODE_SAID.search(text)
        if said is not None:
            return _refusal(int(said[1]), said[2])
    return _by_text(texts)


def _by_text(texts: Sequence[str]) -> PortError | None:
    return next((make() for text, make in _TEXTS if any(text in said for said in texts)), None)


def _by_code(error: GatewayError) -> NothingOrdered:
    match error.code.name:
        case "UNAVAILABLE" | "CANCELLED" | "RESOURCE_EXHAUSTED":
            return Unavailable("the peer does not answer", code="peer-unavailable", retry_after=2)
        case "DEADLINE_EXCEEDED":
            return Unavailable("the peer did not answer in time", code="peer-timeout", retry_after=2)
    _LOG.error("the peer failed in a way that has no name: %s", error)
    return LedgerMisuse("the peer failed; see the gateway's log", grpc=error.code.name)


def _refusal(status: int, text: str) -> Failure:
    """The chaincode's own no: status 400 with a coded refusal, anything else is a defect of it."""
    value = _parse_object(text.encode())
    if value is not None and value.get("code") == "clock-skew":
        return Unavailable(
            "an organisation's clock and this gateway's differ too much", code="clock-skew", retry_after=30
        )
    if status != 400 or value is None or not isinstance(value.get("code"), str):
        _LOG.error("the chaincode failed with status %d: %s", status, text[:500])
        return LedgerMisuse("the chaincode failed; see the gateway's log", status=status)
    facts = value.get("facts")
    facts = facts if isinstance(facts, dict) else {}
    kind = _REFUSALS.get(value["code"])
    if kind is not None:
        try:
            return kind(**{name: tuple(fact) if isinstance(fact, list) else fact for name, fact in facts.items()})
        except TypeError:
            _LOG.warning("the refusal %s has other facts than this gateway knows", value["code"])
    return Refused(str(value.get("message", value["code"])), code=value["code"], **facts)


class OrganisationSigner:
    """Implements `services.ports.Signer` with the identity that signs this gateway's transactions."""

    def __init__(self, identity: Identity, signer: Signer) -> None:
        self._identity = identity
        self._signer = signer
        self._hash = default_hash(identity)

    @property
    def msp_id(self) -> str:
        return self._identity.mspid

    @property
    def certificate(self) -> bytes:
        return self._identity.credentials

    def sign(self, message: bytes) -> bytes:
        return self._signer(self._hash(message))
