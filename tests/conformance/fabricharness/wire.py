# SPDX-License-Identifier: Apache-2.0
"""Raw connections to peers and orderers: one method per RPC, errors as plain values to compare."""

import contextlib
import hashlib
import queue
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from fabric_protos.common import common_pb2
from fabric_protos.gateway import gateway_pb2, gateway_pb2_grpc
from fabric_protos.orderer import ab_pb2_grpc
from fabric_protos.peer import events_pb2_grpc, peer_pb2_grpc, proposal_pb2, proposal_response_pb2
from google.rpc import status_pb2

from fabricharness import messages
from fabricharness.members import Member
from fabricharness.messages import Proposal

LIMIT = 100 * 1024 * 1024
OPTIONS = (("grpc.max_receive_message_length", LIMIT), ("grpc.max_send_message_length", LIMIT))
CALL_S = 40.0


@dataclass(frozen=True)
class Refusal:
    """A failed call: gRPC code, text, and what each peer said (MSP id, text)."""

    code: grpc.StatusCode
    message: str
    details: tuple[tuple[str, str], ...] = ()
    detail_types: frozenset[str] = frozenset()

    @property
    def text(self) -> str:
        """All that was said, for searching."""
        return "\n".join([self.message, *(message for _, message in self.details)])


def refusal(call: Callable[[], Any]) -> Refusal:
    """What `call` is refused with; a call that succeeds fails the test."""
    try:
        answer = call()
    except grpc.RpcError as error:
        return read_refusal(error)
    raise AssertionError(f"was not refused but answered {answer!r}")


def read_refusal(error: Any) -> Refusal:
    trailers = dict(tuple(error.trailing_metadata() or ()))
    status = status_pb2.Status.FromString(trailers.get("grpc-status-details-bin", b""))
    details = tuple(gateway_pb2.ErrorDetail.FromString(detail.value) for detail in status.details)
    return Refusal(
        error.code(),
        error.details() or "",
        tuple((detail.msp_id, detail.message) for detail in details),
        frozenset(detail.type_url for detail in status.details),
    )


@dataclass(frozen=True)
class ClientTls:
    """What a client proves itself with where mutual TLS is demanded; PEM."""

    certificate: bytes
    key: bytes

    @classmethod
    def from_folder(cls, folder: Path) -> "ClientTls":
        return cls(*((folder / name).read_bytes() for name in ("client.crt", "client.key")))

    @property
    def binding(self) -> bytes:
        """What requests for blocks must repeat, so that nobody passes them on over another connection (T-3)."""
        certificate = x509.load_pem_x509_certificate(self.certificate)
        return hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()


class Connection:
    """A TLS connection that closes with its test session."""

    def __init__(self, address: str, tls_ca: Path, server_name: str, client: ClientTls | None = None) -> None:
        pair = (client.key, client.certificate) if client else (None, None)
        credentials = grpc.ssl_channel_credentials(tls_ca.read_bytes(), *pair)
        self.binding = client.binding if client else b""
        options = (*OPTIONS, ("grpc.ssl_target_name_override", server_name))
        self.channel = grpc.secure_channel(address, credentials, options=options)

    def close(self) -> None:
        self.channel.close()


class Peer(Connection):
    """An organisation's peer endpoint."""

    def __init__(self, address: str, tls_ca: Path, server_name: str, client: ClientTls | None = None) -> None:
        super().__init__(address, tls_ca, server_name, client)
        self.gateway = gateway_pb2_grpc.GatewayStub(self.channel)
        self.endorser = peer_pb2_grpc.EndorserStub(self.channel)
        self.deliver = events_pb2_grpc.DeliverStub(self.channel)

    def evaluate_raw(self, proposal: Proposal, *, organisations: Sequence[str] = ()) -> Any:
        """The `peer.Response` of an Evaluate."""
        request = gateway_pb2.EvaluateRequest(
            transaction_id=proposal.transaction_id,
            channel_id=proposal.channel,
            proposed_transaction=proposal.signed,
            target_organizations=list(organisations),
        )
        return self.gateway.Evaluate(request, timeout=CALL_S).result

    def endorse_raw(self, proposal: Proposal, *, organisations: Sequence[str] = ()) -> bytes:
        """The unsigned envelope payload that Endorse prepares."""
        request = gateway_pb2.EndorseRequest(
            transaction_id=proposal.transaction_id,
            channel_id=proposal.channel,
            proposed_transaction=proposal.signed,
            endorsing_organizations=list(organisations),
        )
        payload: bytes = self.gateway.Endorse(request, timeout=CALL_S).prepared_transaction.payload
        return payload

    def submit_raw(self, proposal: Proposal, envelope: Any) -> None:
        request = gateway_pb2.SubmitRequest(
            transaction_id=proposal.transaction_id, channel_id=proposal.channel, prepared_transaction=envelope
        )
        self.gateway.Submit(request, timeout=CALL_S)

    def status_raw(self, request: Any, *, timeout: float = CALL_S) -> Any:
        """`CommitStatusResponse(result, block_number)`."""
        return self.gateway.CommitStatus(request, timeout=timeout)

    def process_proposal(self, proposal: Proposal) -> Any:
        """A `ProposalResponse` straight from this peer's endorser."""
        return self.endorser.ProcessProposal(proposal.signed, timeout=CALL_S)

    def respond(self, proposal: Proposal) -> Any:
        """An endorsed response; a refusal of the chaincode fails the test."""
        response = self.process_proposal(proposal)
        assert response.response.status < 400, response.response.message
        assert isinstance(response, proposal_response_pb2.ProposalResponse)
        return response

    @contextlib.contextmanager
    def seeking(self, kind: str = "Deliver") -> Iterator["Seek"]:
        """A stream of `Deliver`, `DeliverFiltered` or `DeliverWithPrivateData`."""
        seek = Seek(getattr(self.deliver, kind), self.binding)
        try:
            yield seek
        finally:
            seek.close()

    @contextlib.contextmanager
    def events(self, request: Any, *, timeout: float = 30.0) -> Iterator[Any]:
        """A stream of `ChaincodeEventsResponse`."""
        call = self.gateway.ChaincodeEvents(request, timeout=timeout)
        try:
            yield call
        finally:
            call.cancel()


class Orderer(Connection):
    """The ordering service's endpoint."""

    def __init__(self, address: str, tls_ca: Path, server_name: str, client: ClientTls | None = None) -> None:
        super().__init__(address, tls_ca, server_name, client)
        self.stub = ab_pb2_grpc.AtomicBroadcastStub(self.channel)

    def broadcast(self, *envelopes: Any) -> list[Any]:
        """The answer to each envelope; fewer answers than envelopes when the orderer ended the stream."""
        return list(self.stub.Broadcast(iter(envelopes), timeout=CALL_S))

    @contextlib.contextmanager
    def seeking(self) -> Iterator["Seek"]:
        seek = Seek(self.stub.Deliver, self.binding)
        try:
            yield seek
        finally:
            seek.close()


class Seek:
    """A bidirectional Deliver stream, one request at a time."""

    def __init__(self, method: Any, binding: bytes) -> None:
        self._binding = binding
        self._requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._call = method(iter(self._requests.get, None), timeout=CALL_S)

    def ask(self, request: messages.Seeking, *, binding: bytes | None = None) -> None:
        """Ask for blocks, bound to this connection unless the case says to what else."""
        self._requests.put(request.envelope(self._binding if binding is None else binding))

    def next(self) -> Any:
        """The next response; raises `StopIteration` when the stream has ended."""
        return next(self._call)

    def until_status(self) -> tuple[list[Any], int]:
        """All responses up to the next status, and that status."""
        found = []
        while True:
            response = self.next()
            if response.WhichOneof("Type") == "status":
                return found, response.status
            found.append(response)

    def blocks(self, count: int) -> list[Any]:
        return [self.next().block for _ in range(count)]

    def ended(self) -> bool:
        """Whether the stream ends now, without an error."""
        return next(self._call, None) is None

    def close(self) -> None:
        self._requests.put(None)
        self._call.cancel()


def member_proposal(member: Member, channel: str, chaincode: str, *args: messages.Argument, **wrong: Any) -> Proposal:
    """`messages.proposal` with the arguments last, which reads better in a test."""
    return messages.proposal(channel, chaincode, args, member, **wrong)


def header_type(envelope: bytes) -> int:
    payload = common_pb2.Payload.FromString(common_pb2.Envelope.FromString(envelope).payload)
    kind: int = common_pb2.ChannelHeader.FromString(payload.header.channel_header).type
    return kind


def chaincode_action(response_payload: bytes) -> Any:
    """The `ChaincodeAction` inside a proposal response payload."""
    extension = proposal_response_pb2.ProposalResponsePayload.FromString(response_payload).extension
    return proposal_pb2.ChaincodeAction.FromString(extension)
