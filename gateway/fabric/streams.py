# SPDX-License-Identifier: Apache-2.0
"""Open event streams, and how the peer's messages become items.

A stream does not reconnect: when it fails it raises, and the caller opens another one from its checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import grpc

from gateway.fabric import wire
from gateway.fabric.calls import gateway_error
from gateway.fabric.errors import DeliverError, GatewayError, UntrustedResponse
from gateway.fabric.verify import BlockChecker

__all__ = [
    "ChaincodeEvent",
    "EventStream",
    "blocks_and_private_data",
    "chaincode_events",
    "filtered_blocks",
    "full_blocks",
]

_Item = TypeVar("_Item")
_Code = grpc.StatusCode
# How `common.Status`, which Deliver answers with, reads as a gRPC code.
_CODES = {
    400: _Code.INVALID_ARGUMENT,
    403: _Code.PERMISSION_DENIED,
    404: _Code.NOT_FOUND,
    413: _Code.RESOURCE_EXHAUSTED,
    500: _Code.INTERNAL,
    501: _Code.UNIMPLEMENTED,
    503: _Code.UNAVAILABLE,
}
_SUCCESS = 200


@dataclass(frozen=True, slots=True)
class ChaincodeEvent:
    """An event that a valid transaction emitted."""

    block_number: int
    transaction_id: str
    chaincode_name: str
    event_name: str
    payload: bytes


class EventStream(Generic[_Item]):
    """An iterator over events that ends the call when it is closed, and as a context manager closes itself.

    One thread iterates; any thread may `close`, which ends the iteration. Raises `GatewayError` when the peer or the
    connection ends the stream.
    """

    def __init__(self, call: Any, decode: Callable[[Iterable[Any]], Iterator[_Item]]) -> None:
        self._call = call
        self._items = decode(call)
        self._closed = False

    def __iter__(self) -> Iterator[_Item]:
        return self

    def __next__(self) -> _Item:
        try:
            return next(self._items)
        except grpc.RpcError as exc:
            if self._closed:
                raise StopIteration from None
            self.close()
            raise gateway_error(exc, GatewayError) from exc
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Ends the call; may be repeated."""
        self._closed = True
        self._call.cancel()

    def __enter__(self) -> EventStream[_Item]:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def chaincode_events(
    responses: Iterable[Any], chaincode: str, resume_after: tuple[int, str] | None
) -> Iterator[ChaincodeEvent]:
    """The events of `ChaincodeEventsResponse`s, those up to `resume_after` (block, transaction id) left out.

    Asking the peer to skip would stall for ever when that transaction has no event (rule G-29). Here the block of
    the checkpoint is looked through instead: if the transaction is not among its events, all of them are delivered,
    so that one may come twice and none is lost.
    """
    for response in responses:
        number = response.block_number
        messages = list(response.events)
        if resume_after is not None and number == resume_after[0]:
            seen = [index for index, event in enumerate(messages) if event.tx_id == resume_after[1]]
            messages = messages[seen[-1] + 1 :] if seen else messages
        for event in messages:
            if event.chaincode_id != chaincode:
                raise UntrustedResponse("chaincode-mismatch", "an event is of another chaincode", event.tx_id)
            yield ChaincodeEvent(number, event.tx_id, event.chaincode_id, event.event_name, event.payload)


def full_blocks(responses: Iterable[Any], checker: BlockChecker | None) -> Iterator[Any]:
    """The `common.Block`s of a Deliver stream."""
    for response in _delivered(responses, "block"):
        if checker is not None:
            checker.check(response.block)
        yield response.block


def filtered_blocks(responses: Iterable[Any], checker: BlockChecker | None) -> Iterator[Any]:
    """The `FilteredBlock`s of a DeliverFiltered stream; they carry no hashes, so only their numbers are checked."""
    for response in _delivered(responses, "filtered_block"):
        if checker is not None:
            checker.check_number(response.filtered_block.number)
        yield response.filtered_block


def blocks_and_private_data(responses: Iterable[Any], checker: BlockChecker | None) -> Iterator[Any]:
    """The `BlockAndPrivateData` of a DeliverWithPrivateData stream."""
    for response in _delivered(responses, "block_and_private_data"):
        if checker is not None:
            checker.check(response.block_and_private_data.block)
        yield response.block_and_private_data


def _delivered(responses: Iterable[Any], kind: str) -> Iterator[Any]:
    for response in responses:
        got = response.WhichOneof("Type")
        if got == kind:
            yield response
        elif got == "status" and response.status == _SUCCESS:
            return
        elif got == "status":
            name = wire.common.Status.Name(response.status) if response.status in _CODES else "unknown"
            code = _CODES.get(response.status, _Code.UNKNOWN)
            raise DeliverError(code, f"unexpected status response: {response.status} {name}", response.status)
        else:
            raise DeliverError(_Code.INTERNAL, f"unexpected response of type {got}", 0)
    raise DeliverError(_Code.UNAVAILABLE, "the peer ended the stream without a status", 0)
