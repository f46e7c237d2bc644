# SPDX-License-Identifier: Apache-2.0
"""What the gateway answers when something fails: a status, and what each peer said about it (rules G-2, G-6)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from fabric_protos.gateway import gateway_pb2
from fabric_protos.peer import proposal_response_pb2
from google.protobuf import any_pb2
from google.rpc import status_pb2

__all__ = ["PeerFailure", "Refusal", "peer_failure"]

_TYPE_PREFIX = "type.googleapis.com"


@dataclass(frozen=True, slots=True)
class PeerFailure:
    """Why one peer's answer cannot be used."""

    code: Any
    """A `grpc.StatusCode`."""
    message: str
    address: str
    msp_id: str
    retry: bool
    """Another peer may be asked instead."""


class Refusal(Exception):
    """Ends a call with a gRPC status; `failures` become its details."""

    def __init__(self, code: Any, message: str, failures: Sequence[PeerFailure] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.failures = tuple(failures)

    def trailing_metadata(self) -> tuple[tuple[str, bytes], ...]:
        """The `google.rpc.Status` that clients read the details from; nothing when there are none."""
        if not self.failures:
            return ()
        status = status_pb2.Status(code=self.code.value[0], message=self.message)
        for failure in self.failures:
            detail = gateway_pb2.ErrorDetail(address=failure.address, msp_id=failure.msp_id, message=failure.message)
            packed = any_pb2.Any()
            packed.Pack(detail, type_url_prefix=_TYPE_PREFIX)
            status.details.append(packed)
        return (("grpc-status-details-bin", status.SerializeToString()),)


def peer_failure(
    response: proposal_response_pb2.ProposalResponse | None, error: str | None, *, address: str, msp_id: str, own: bool
) -> PeerFailure | None:
    """Classify a peer's answer by the table of G-6; None when it is a success.

    A response beside an error reaches only the gateway's own peer, which is called directly; from another
    organisation's peer the same comes as a plain gRPC error.
    """
    if error is not None:
        if own and response is not None:
            return PeerFailure(grpc.StatusCode.FAILED_PRECONDITION, error, address, msp_id, retry=False)
        text = error if own else f"rpc error: code = Unknown desc = {error}"
        return PeerFailure(grpc.StatusCode.UNAVAILABLE, text, address, msp_id, retry=True)
    if response is None:
        return PeerFailure(grpc.StatusCode.UNAVAILABLE, "the peer gave no answer", address, msp_id, retry=True)
    status, message = response.response.status, response.response.message
    if 200 <= status < 400:
        return None
    if status == 500 and not response.payload:
        return PeerFailure(grpc.StatusCode.ABORTED, message, address, msp_id, retry=True)
    text = f"chaincode response {status}, {message}" if message else f"chaincode response {status}"
    return PeerFailure(grpc.StatusCode.UNKNOWN, text, address, msp_id, retry=False)
