# SPDX-License-Identifier: Apache-2.0
"""Joins one stream, its session and the threads that execute its transactions.

Whatever carries the stream hands in what the peer said and takes what is to be sent; every transaction runs on a
worker that sleeps on a lock of its own while its request is answered.
"""

import logging
import threading
from collections.abc import Iterable, Iterator
from functools import partial
from queue import SimpleQueue
from typing import Any, Protocol

from chaincode.shim import wire
from chaincode.shim.errors import MessageTooLarge, PeerError, StreamEnded
from chaincode.shim.execution import Completed, Executor
from chaincode.shim.protocol import Answer, Begin, Refuse, Session, State, TransactionKey
from chaincode.shim.wire import MessageType
from chaincode.shim.workers import Workers

log = logging.getLogger("chaincode.shim")


class _Exchange:
    """How one transaction asks: it leaves a request and sleeps until the answer was left for it."""

    __slots__ = ("answer", "is_over", "wake")

    def __init__(self) -> None:
        self.wake = threading.Lock()
        self.wake.acquire()
        self.answer: Answer | None = None
        self.is_over = False


class Carrier(Protocol):
    """Takes messages to the peer, in order; called by any thread."""

    def send(self, message: bytes) -> None:
        """Send one message; one for a stream that is over is dropped."""
        ...

    def finish(self) -> None:
        """End the stream behind what was sent; once is enough."""
        ...


class Outbox:
    """A carrier from which somebody else fetches: the messages in order, until the stream is finished."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()

    def send(self, message: bytes) -> None:
        self._queue.put(message)

    def finish(self) -> None:
        self._queue.put(None)

    def __iter__(self) -> Iterator[bytes]:
        while (message := self._queue.get()) is not None:
            yield message


class Conversation:
    """One stream with one peer, from REGISTER to its end.

    `receive` is called by one thread; `carrier` is sent to by that one and by the `workers` that run transactions.
    """

    def __init__(self, chaincode_id: str, executor: Executor, workers: Workers, carrier: Carrier) -> None:
        self._session = Session(chaincode_id)
        self._executor = executor
        self._workers = workers
        self._lock = threading.Lock()
        self._exchanges: dict[TransactionKey, _Exchange] = {}
        self._carrier = carrier
        self._draining = False
        self._send(self._session.register())

    @property
    def is_ready(self) -> bool:
        """Whether the peer accepted the registration and the stream still stands."""
        return self._session.state is State.READY

    def consume(self, incoming: Iterable[bytes]) -> None:
        """Read the peer's messages until the stream ends; calls that still wait for an answer then fail.

        Raises:
            ProtocolError: when the peer broke the protocol; the stream is to be given up.
        """
        try:
            for data in incoming:
                self.receive(data)
        finally:
            self.end()

    def drain(self) -> None:
        """Refuse new transactions, except those that running ones wait for."""
        self._draining = True

    def end(self) -> None:
        """Fail what waits and finish the stream; ending twice does nothing more."""
        with self._lock:
            for key in self._session.end():
                self._exchanges[key].wake.release()
            self._exchanges.clear()
        self._carrier.finish()

    def receive(self, data: bytes) -> None:
        """Take one message of the peer's.

        Raises:
            ProtocolError: when the peer broke the protocol; the stream is to be given up.
        """
        message = wire.decode(wire.ChaincodeMessage, data)
        with self._lock:
            event = self._session.receive(message)
            if isinstance(event, Answer):
                exchange = self._exchanges[event.key]
            elif isinstance(event, Begin):
                if self._draining and not self._session.has_other(event.key):
                    event = Refuse(self._session.fail(event.key, "the chaincode is stopping"))
                else:
                    exchange = self._exchanges[event.key] = _Exchange()
        # Threads are woken outside the lock, which they will want at once.
        if isinstance(event, Answer):
            exchange.answer = event
            exchange.wake.release()
        elif isinstance(event, Begin):
            self._workers.submit(partial(self._execute, event, exchange))
        elif isinstance(event, Refuse):
            self._send(event.reply)

    def _execute(self, begin: Begin, exchange: _Exchange) -> None:
        def ask(request: MessageType, payload: bytes) -> bytes:
            return self._ask(begin.key, exchange, request, payload)

        outcome = self._executor.execute(begin, ask, self._session.offer)
        with self._lock:
            exchange.is_over = True
            self._exchanges.pop(begin.key, None)
            if isinstance(outcome, Completed):
                message = self._session.complete(begin.key, outcome.response, outcome.event)
            else:
                log.error("transaction %s was not executed: %s", begin.key.transaction_id, outcome.reason)
                message = self._session.fail(begin.key, outcome.reason)
        if message is not None:
            self._send(message)

    def _ask(self, key: TransactionKey, exchange: _Exchange, request: MessageType, payload: bytes) -> bytes:
        if len(payload) > self._executor.largest_payload:
            raise MessageTooLarge(len(payload), self._executor.largest_payload)
        with self._lock:
            if exchange.is_over:
                raise RuntimeError("the transaction is over; its stub can no longer be used")
            message = self._session.ask(key, request, payload)
        self._send(message)
        if request is MessageType.INVOKE_CHAINCODE:
            with self._workers.elsewhere():
                exchange.wake.acquire()
        else:
            exchange.wake.acquire()
        answer, exchange.answer = exchange.answer, None
        if answer is None:
            raise StreamEnded("the stream to the peer ended before it answered")
        if answer.failed:
            raise PeerError(request.name, answer.payload.decode(errors="replace"))
        return answer.payload

    def _send(self, message: Any) -> None:
        self._carrier.send(message.SerializeToString())
