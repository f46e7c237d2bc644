# SPDX-License-Identifier: Apache-2.0
"""Executes one transaction: reads it, guards the clock, calls the chaincode, and answers whatever happens."""

from dataclasses import dataclass, field
from typing import Any

from chaincode.shim import wire
from chaincode.shim.clock import ClockGuard
from chaincode.shim.errors import MalformedProposal, ProtocolError
from chaincode.shim.ledger import Ledger
from chaincode.shim.proposal import read_proposal
from chaincode.shim.protocol import Begin, Offer
from chaincode.shim.results import Ask
from chaincode.shim.router import FAILED, REFUSED, Chaincode, failure, refuse
from chaincode.shim.stub import Response, Stub

LARGEST_MESSAGE = 100 * 1024 * 1024
"""What a stream carries in one message, in bytes, in either direction (rule T-5)."""

_ENVELOPE = 64 * 1024
"""Room for what surrounds a payload: ids, types and lengths."""


@dataclass(frozen=True, slots=True)
class Executor:
    """What every transaction of a process is executed with."""

    chaincode: Chaincode
    local_msp_id: str
    guard: ClockGuard = field(default_factory=ClockGuard)
    batch_writes: bool = False
    """Gather the writes of every transaction where the peer offers it, without being asked by the contract."""
    largest_payload: int = LARGEST_MESSAGE - _ENVELOPE

    def execute(self, begin: Begin, ask: Ask, offer: Offer) -> "Completed | NotExecuted":
        """The outcome of a transaction; never raises, not even what ends threads or programs."""
        try:
            return self._execute(begin, ask, offer)
        except (ProtocolError, MalformedProposal) as error:
            return NotExecuted(str(error))
        except BaseException as error:  # a contract that raises SystemExit must be answered too
            return Completed(_encode(failure(error, begin.key.transaction_id)))

    def _execute(self, begin: Begin, ask: Ask, offer: Offer) -> "Completed":
        call = wire.decode(wire.ChaincodeInput, begin.payload)
        proposal = read_proposal(begin.proposal)
        refusal = self.guard.check(proposal.seconds)
        if refusal is not None:
            return Completed(_encode(refusal))
        ledger = Ledger(ask, offer)
        if self.batch_writes:
            ledger.start_batch()
        stub = Stub(begin.key, call, proposal, ledger, self.local_msp_id)
        response = self.chaincode.init(stub) if begin.is_init else self.chaincode.invoke(stub)
        if response.status < REFUSED:
            # What a refusal had gathered is dropped: a caller's transaction may go on without this call.
            ledger.flush()
        return self._within_limit(_encode(response), stub.event)

    def _within_limit(self, response: bytes, event: Any) -> "Completed":
        size = len(response) + (event.ByteSize() if event is not None else 0)
        if size > self.largest_payload:
            facts = {"limit": self.largest_payload, "size": size}
            return Completed(_encode(refuse(FAILED, "response-too-large", "the response is too large to send", facts)))
        return Completed(response, event)


@dataclass(frozen=True, slots=True)
class Completed:
    """The chaincode answered: an encoded response, and the event that goes with it."""

    response: bytes
    event: Any = None


@dataclass(frozen=True, slots=True)
class NotExecuted:
    """The chaincode was not called, or could not go on with what the peer sent."""

    reason: str


def _encode(response: Response) -> bytes:
    message = wire.ResponseMessage(status=response.status, message=response.message, payload=response.payload)
    return bytes(message.SerializeToString())
