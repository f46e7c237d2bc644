# SPDX-License-Identifier: Apache-2.0
"""One session with one peer as a state machine: message in, messages out, no sockets and no threads.

The chaincode speaks first (REGISTER); the peer answers REGISTERED and READY; from then on transactions
arrive and each may ask the peer one thing at a time (rules S-1 to S-14). The session knows which
transactions are open and which of them wait for an answer; what carries its messages serialises the calls.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

from chaincode.shim import wire
from chaincode.shim.errors import ProtocolError, StreamEnded
from chaincode.shim.wire import MessageType

_LEAST_BATCH = 100
"""Sizes offered below this are raised to it, as the Go runtime does (rule S-42)."""


class State(Enum):
    """Where a session stands."""

    CREATED = "created"
    ESTABLISHED = "established"
    READY = "ready"
    ENDED = "ended"


class TransactionKey(NamedTuple):
    """What tells the transactions of one stream apart (rule S-13)."""

    channel_id: str
    transaction_id: str


@dataclass(frozen=True, slots=True)
class Offer:
    """What the peer's READY allows; a size of 0 means that it is not offered."""

    write_batch: int = 0
    get_multiple: int = 0


@dataclass(frozen=True, slots=True)
class Begin:
    """A transaction is to be executed; `is_init` says that it came as INIT."""

    key: TransactionKey
    payload: bytes
    proposal: Any
    is_init: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """The peer answered the outstanding request of a transaction; `failed` marks an ERROR."""

    key: TransactionKey
    request: MessageType
    payload: bytes
    failed: bool


@dataclass(frozen=True, slots=True)
class Refuse:
    """The message cannot be served; `reply` goes back instead."""

    reply: Any


class Session:
    """The chaincode's side of the protocol on one stream.

    Not safe for use by several threads at once. `receive` raises `ProtocolError` when the peer
    breaks the protocol; the carrier then ends the stream and calls `end`.
    """

    def __init__(self, chaincode_id: str) -> None:
        self._chaincode_id = chaincode_id
        self._state = State.CREATED
        self._offer = Offer()
        self._open: dict[TransactionKey, MessageType | None] = {}

    @property
    def state(self) -> State:
        return self._state

    @property
    def offer(self) -> Offer:
        return self._offer

    def has_other(self, key: TransactionKey) -> bool:
        """Whether the same transaction runs here on another channel too, so that this is a call that it makes."""
        return any(other.transaction_id == key.transaction_id and other != key for other in self._open)

    def register(self) -> Any:
        """The message that opens the conversation (rule S-3)."""
        payload = wire.ChaincodeID(name=self._chaincode_id).SerializeToString()
        return wire.ChaincodeMessage(type=MessageType.REGISTER, payload=payload)

    def receive(self, message: Any) -> Begin | Answer | Refuse | None:
        """Take one message from the peer; `None` when there is nothing to do about it."""
        kind = message.type
        if kind == MessageType.KEEPALIVE or self._state is State.ENDED:
            return None
        if self._state is State.READY:
            return self._receive_ready(kind, message)
        if self._state is State.CREATED and kind == MessageType.REGISTERED:
            self._state = State.ESTABLISHED
            return None
        if self._state is State.ESTABLISHED and kind == MessageType.READY:
            self._offer = _offer(message.payload)
            self._state = State.READY
            return None
        raise ProtocolError(f"the peer sent {wire.type_name(kind)} while the session was {self._state.value}")

    def _receive_ready(self, kind: int, message: Any) -> Begin | Answer | Refuse | None:
        key = TransactionKey(message.channel_id, message.txid)
        if kind in (MessageType.RESPONSE, MessageType.ERROR):
            request = self._open.get(key)
            if request is None:
                # A transaction that the peer gave up may still be answered; the others must not suffer for it.
                return None
            self._open[key] = None
            return Answer(key, request, message.payload, kind == MessageType.ERROR)
        if kind in (MessageType.TRANSACTION, MessageType.INIT):
            if key in self._open:
                # The peer gave up on an earlier run and was asked again; two runs would mix up their answers.
                return Refuse(_failure(key, "an earlier run of this transaction has not ended"))
            self._open[key] = None
            return Begin(key, message.payload, message.proposal, kind == MessageType.INIT)
        raise ProtocolError(f"the peer sent {wire.type_name(kind)} while the session was ready")

    def ask(self, key: TransactionKey, request: MessageType, payload: bytes) -> Any:
        """The message of one request; a transaction has at most one outstanding (rule S-12).

        Raises:
            StreamEnded: when the session is over.
            RuntimeError: when the transaction is not open, or still waits for an earlier answer.
        """
        if self._state is State.ENDED:
            raise StreamEnded("the stream to the peer has ended")
        if key not in self._open:
            raise RuntimeError("there is no such transaction")
        if self._open[key] is not None:
            raise RuntimeError("a transaction asks the peer one thing at a time; do not share its stub among threads")
        self._open[key] = request
        return _message(key, request, payload)

    def complete(self, key: TransactionKey, response: bytes, event: Any = None) -> Any | None:
        """The message that answers a transaction, or `None` when nobody waits for it any more."""
        if not self._close(key):
            return None
        message = _message(key, MessageType.COMPLETED, response)
        if event is not None:
            message.chaincode_event.CopyFrom(event)
        return message

    def fail(self, key: TransactionKey, text: str) -> Any | None:
        """The message that says that a transaction was not executed, or `None` when nobody waits for it."""
        return _failure(key, text) if self._close(key) else None

    def end(self) -> frozenset[TransactionKey]:
        """Close the session and tell which transactions wait for an answer that will not come."""
        waiting = frozenset(key for key, request in self._open.items() if request is not None)
        self._state = State.ENDED
        self._open.clear()
        return waiting

    def _close(self, key: TransactionKey) -> bool:
        known = key in self._open
        self._open.pop(key, None)
        return known


def _offer(payload: bytes) -> Offer:
    """Read READY's parameters; peers before 3.1 send none, which offers nothing."""
    params = wire.decode(wire.ChaincodeAdditionalParams, payload)
    return Offer(
        write_batch=max(_LEAST_BATCH, params.max_size_write_batch) if params.use_write_batch else 0,
        get_multiple=max(_LEAST_BATCH, params.max_size_get_multiple_keys) if params.use_get_multiple_keys else 0,
    )


def _message(key: TransactionKey, kind: MessageType, payload: bytes) -> Any:
    return wire.ChaincodeMessage(type=kind, payload=payload, txid=key.transaction_id, channel_id=key.channel_id)


def _failure(key: TransactionKey, text: str) -> Any:
    return _message(key, MessageType.ERROR, text.encode())
