# SPDX-License-Identifier: Apache-2.0
"""The peer's side of one chaincode stream as a state machine: a message in, messages out (rules S-1 to S-14)."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from fabric_protos.peer import chaincode_pb2, chaincode_shim_pb2
from google.protobuf.message import DecodeError

from network.embedded.invocation import HANDLERS, Invocation
from network.embedded.simulator import SimulationError

__all__ = ["TERMINATED", "Session", "StreamViolation"]

TERMINATED = "chaincode stream terminated"

Message = chaincode_shim_pb2.ChaincodeMessage
log = logging.getLogger(__name__)


class StreamViolation(ConnectionError):
    """The stream has to end: the chaincode broke the protocol, or its registration was refused."""


class Session:
    """One stream with one chaincode process: created, then ready, then closed.

    `send` queues a message for the stream; `register` is given the announced name and may refuse it by raising
    StreamViolation.
    """

    def __init__(
        self,
        send: Callable[[Any], None],
        register: Callable[["Session", str], None],
        parameters: bytes,
    ) -> None:
        self._send = send
        self._register = register
        self._parameters = parameters
        """`ChaincodeAdditionalParams`: what READY announces (rule S-42)."""
        self._calls: dict[tuple[str, str], Invocation] = {}
        self.name = ""
        """The name that the chaincode registered; empty before."""
        self.ready = False
        self.closed = False

    def receive(self, message: Any) -> None:
        """Take one message from the chaincode; raises StreamViolation when the stream has to end (rule S-4)."""
        kind = message.type
        if kind == Message.KEEPALIVE:
            return
        if not self.ready:
            self._handshake(message)
        elif kind in (Message.COMPLETED, Message.ERROR):
            self._finish(message)
        elif kind in HANDLERS or kind == Message.INVOKE_CHAINCODE:
            self._answer(message)
        else:
            raise StreamViolation(f"message of type {_type_name(kind)} is not allowed in state ready")

    def begin(self, call: Invocation) -> None:
        """Send TRANSACTION or INIT; raises SimulationError when the transaction is already on this stream (S-13)."""
        if self.closed:
            raise SimulationError(TERMINATED)
        channel_id, transaction_id = call.key
        if call.key in self._calls:
            raise SimulationError(f"txid: {transaction_id}({channel_id}) exists")
        self._calls[call.key] = call
        self._send(
            Message(
                type=Message.INIT if call.is_init else Message.TRANSACTION,
                payload=call.input.SerializeToString(),
                txid=transaction_id,
                channel_id=channel_id,
                proposal=call.transaction.signed,
            )
        )

    def end(self, call: Invocation) -> None:
        """Forget a call; whatever the chaincode still asks for it finds no ledger (rule S-16)."""
        self._calls.pop(call.key, None)
        if call.task is not None:
            call.task.cancel()

    def close(self) -> None:
        """The stream is gone: every pending call fails (rule S-6)."""
        self.closed = True
        for call in self._calls.values():
            if not call.outcome.done():
                call.outcome.set_exception(SimulationError(TERMINATED))

    def _handshake(self, message: Any) -> None:
        if message.type != Message.REGISTER:
            raise StreamViolation(f"message of type {_type_name(message.type)} is not allowed in state created")
        try:
            name = chaincode_pb2.ChaincodeID.FromString(message.payload).name
        except DecodeError:
            log.warning("a chaincode sent a REGISTER message that cannot be decoded; it is ignored")
            return
        if not name:
            raise StreamViolation("error in registration: the chaincode's name is empty")
        self._register(self, name)
        self.name = name
        self.ready = True
        self._send(Message(type=Message.REGISTERED))
        self._send(Message(type=Message.READY, payload=self._parameters))

    def _finish(self, message: Any) -> None:
        call = self._calls.get((message.channel_id, message.txid))
        if call is not None and not call.outcome.done():
            call.outcome.set_result(message)

    def _answer(self, message: Any) -> None:
        call = self._calls.get((message.channel_id, message.txid))
        if call is None or call.outcome.done():
            missing = "could not get valid transaction" if message.type == Message.INVOKE_CHAINCODE else None
            self._refuse(message, missing or "no ledger context")
        elif call.busy:
            # Fabric drops it without a reply as well: a shim must not have two requests of one transaction open.
            log.error("transaction %s sent a request before the last one was answered", message.txid)
        elif message.type == Message.INVOKE_CHAINCODE:
            call.busy = True
            call.task = asyncio.get_running_loop().create_task(self._answer_later(call, message))
        else:
            self._answer_now(call, message)

    def _answer_now(self, call: Invocation, message: Any) -> None:
        try:
            payload = HANDLERS[message.type](call, message.payload)
        except SimulationError as error:
            self._refuse(message, str(error))
        except DecodeError as error:
            self._refuse(message, f"unmarshal failed: {error}")
        except Exception:
            log.exception("answering %s of transaction %s failed", _type_name(message.type), message.txid)
            self._refuse(message, "panic during execution")
        else:
            self._respond(message, payload)

    async def _answer_later(self, call: Invocation, message: Any) -> None:
        refusal: str | None = None
        payload = b""
        try:
            payload = await call.call_other(call, message.payload)
        except SimulationError as error:
            refusal = str(error)
        except DecodeError as error:
            refusal = f"unmarshal failed: {error}"
        except Exception:
            log.exception("calling another chaincode in transaction %s failed", message.txid)
            refusal = "panic during execution"
        call.busy = False
        call.task = None
        if refusal is None:
            self._respond(message, payload)
        else:
            self._refuse(message, refusal)

    def _respond(self, message: Any, payload: bytes) -> None:
        self._send(Message(type=Message.RESPONSE, payload=payload, txid=message.txid, channel_id=message.channel_id))

    def _refuse(self, message: Any, cause: str) -> None:
        text = f"{_type_name(message.type)} failed: transaction ID: {message.txid}: {cause}"
        self._send(Message(type=Message.ERROR, payload=text.encode(), txid=message.txid, channel_id=message.channel_id))


def _type_name(number: int) -> str:
    known = Message.Type.DESCRIPTOR.values_by_number.get(number)
    return str(number) if known is None else str(known.name)
