# SPDX-License-Identifier: Apache-2.0
"""The calls of Fabric's Gateway and Deliver services, with deadlines, and gRPC's errors as ours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
from fabric_protos.gateway import gateway_pb2_grpc
from fabric_protos.peer import events_pb2_grpc

from gateway.fabric import wire
from gateway.fabric.errors import CommitStatusError, EndorseError, ErrorDetail, GatewayError, SubmitError

__all__ = ["Calls", "Deadlines", "gateway_error"]

_DETAILS_KEY = "grpc-status-details-bin"
_Error = TypeVar("_Error", bound=GatewayError)
_gateway_grpc: Any = gateway_pb2_grpc
_events_grpc: Any = events_pb2_grpc


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long each kind of call may take, in seconds; None waits for ever."""

    evaluate: float | None = 5.0
    endorse: float | None = 15.0
    submit: float | None = 5.0
    commit_status: float | None = 60.0


class Calls:
    """One method for each remote procedure; thread-safe, retries nothing.

    `timeout` of a call takes the place of the deadline when it is not None.
    """

    def __init__(self, channel: Any, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        self._gateway = _gateway_grpc.GatewayStub(channel)
        self._deliver = _events_grpc.DeliverStub(channel)

    def evaluate(self, request: Any, timeout: float | None) -> Any:
        """The `EvaluateResponse`; raises `GatewayError`."""
        timeout = self._deadlines.evaluate if timeout is None else timeout
        return _unary(self._gateway.Evaluate, request, timeout, GatewayError, request.transaction_id)

    def endorse(self, request: Any, timeout: float | None) -> Any:
        """The `EndorseResponse`; raises `EndorseError`."""
        timeout = self._deadlines.endorse if timeout is None else timeout
        return _unary(self._gateway.Endorse, request, timeout, EndorseError, request.transaction_id)

    def submit(self, request: Any, timeout: float | None) -> None:
        """Returns when an orderer has accepted the transaction; raises `SubmitError`."""
        timeout = self._deadlines.submit if timeout is None else timeout
        _unary(self._gateway.Submit, request, timeout, SubmitError, request.transaction_id)

    def commit_status(self, request: Any, timeout: float | None, transaction_id: str) -> Any:
        """The `CommitStatusResponse`, once there is one; raises `CommitStatusError`."""
        timeout = self._deadlines.commit_status if timeout is None else timeout
        return _unary(self._gateway.CommitStatus, request, timeout, CommitStatusError, transaction_id)

    def chaincode_events(self, request: Any, timeout: float | None) -> Any:
        """The open call that streams `ChaincodeEventsResponse`s."""
        return self._gateway.ChaincodeEvents(request, timeout=timeout)

    def deliver(self, method: str, envelope: Any, timeout: float | None) -> Any:
        """The open call that streams `DeliverResponse`s of Deliver, DeliverFiltered or DeliverWithPrivateData."""
        call = getattr(self._deliver, method)
        return call(iter((envelope,)), timeout=timeout)


def _unary(method: Any, request: Any, timeout: float | None, error: type[GatewayError], transaction_id: str) -> Any:
    try:
        return method(request, timeout=timeout)
    except grpc.RpcError as exc:
        raise gateway_error(exc, error, transaction_id) from exc


def gateway_error(exc: Any, error: type[_Error], transaction_id: str = "") -> _Error:
    """Our error for a failed gRPC call, with what the peers said in `grpc-status-details-bin` (rule G-2)."""
    details = tuple(_details(exc.trailing_metadata() or ()))
    return error(exc.code(), exc.details() or "", details, transaction_id)


def _details(metadata: Iterable[tuple[str, Any]]) -> Iterator[ErrorDetail]:
    for key, value in metadata:
        if key != _DETAILS_KEY:
            continue
        try:
            for packed in wire.rpc_status.Status.FromString(value).details:
                detail = wire.gateway.ErrorDetail()
                if packed.Unpack(detail):
                    yield ErrorDetail(detail.address, detail.msp_id, detail.message)
        except wire.DecodeError:
            yield ErrorDetail("", "", "the peer's error details cannot be decoded")
