# SPDX-License-Identifier: Apache-2.0
"""A small administrator's client: proposals, broadcast and commit status over Fabric's own protocols.

It is enough to deploy chaincode and to look at a network, on the embedded network and on Fabric alike. Applications
have a client of their own.
"""

import hashlib
import secrets
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from fabric_protos.common import common_pb2
from fabric_protos.gateway import gateway_pb2
from fabric_protos.orderer import ab_pb2
from fabric_protos.peer import chaincode_pb2, proposal_pb2, proposal_response_pb2, transaction_pb2
from google.protobuf.message import Message

from network.embedded.identity import Signer

__all__ = ["Administrator", "Endorsed", "Member", "OrderingService", "ResultsDiffer", "WireError", "client_tls"]

_LARGEST_MESSAGE = 100 * 1024 * 1024
_OPTIONS = (
    ("grpc.max_receive_message_length", _LARGEST_MESSAGE),
    ("grpc.max_send_message_length", _LARGEST_MESSAGE),
    ("grpc.enable_http_proxy", 0),
)
_CALL_SECONDS = 60.0
_NO_LEADER_SECONDS = 30.0
_NO_LEADER_PAUSE = 0.2
_SERVICE_UNAVAILABLE = 503


class WireError(Exception):
    """A peer or an orderer refused, or could not be reached; `status` is the chaincode's status, if it answered."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class ResultsDiffer(WireError):
    """Peers endorsed different results: for a moment, while they are at different blocks, or for good.

    The moment comes with every upgrade of a chaincode. The definition's version is in what is endorsed, and each
    peer takes the next one when it commits the block that brings it.
    """


@dataclass(frozen=True, slots=True)
class Member:
    """An organisation's peer and the folder of the identity to act as."""

    name: str
    msp_id: str
    peer: str
    host_name: str
    tls_ca: Path
    msp: Path


@dataclass(frozen=True, slots=True)
class Endorsed:
    """A proposal and the peers' equal answers to it."""

    transaction_id: str
    proposal: proposal_pb2.Proposal
    payload: bytes
    endorsements: tuple[proposal_response_pb2.Endorsement, ...]


class Administrator:
    """Acts as one identity towards its own organisation's peer; close it after use."""

    def __init__(self, member: Member, *, patience_s: float = _CALL_SECONDS) -> None:
        """Raises `OSError` or `ValueError` for key material that cannot be read; connects lazily.

        `patience_s` is how long a call may take, in seconds.
        """
        self.member = member
        self._patience_s = patience_s
        self.signer = Signer.from_folder(member.msp, member.msp_id)
        self._channel = _open_channel(member.peer, member.tls_ca, member.host_name, client_tls(member.msp))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def query(self, channel_id: str, chaincode: str, *args: bytes) -> bytes:
        """Have the peer run a function and return its payload; raises `WireError`."""
        proposal, _ = self._proposal(channel_id, chaincode, args)
        return bytes(self._process(self._signed(proposal)).response.payload)

    def endorse(
        self, channel_id: str, chaincode: str, args: Sequence[bytes], peers: Sequence["Administrator"]
    ) -> Endorsed:
        """Have `peers` endorse one proposal of this identity; raises `WireError`, of that `ResultsDiffer`."""
        proposal, transaction_id = self._proposal(channel_id, chaincode, args)
        signed = self._signed(proposal)
        answers = [peer._process(signed) for peer in peers]
        if any(answer.payload != answers[0].payload for answer in answers):
            raise ResultsDiffer("the organisations' peers gave different results")
        return Endorsed(transaction_id, proposal, answers[0].payload, tuple(answer.endorsement for answer in answers))

    def envelope(self, endorsed: Endorsed) -> common_pb2.Envelope:
        """The signed transaction for the ordering service."""
        header = common_pb2.Header.FromString(endorsed.proposal.header)
        full = proposal_pb2.ChaincodeProposalPayload.FromString(endorsed.proposal.payload)
        action = transaction_pb2.ChaincodeActionPayload(
            chaincode_proposal_payload=proposal_pb2.ChaincodeProposalPayload(input=full.input).SerializeToString(),
            action=transaction_pb2.ChaincodeEndorsedAction(
                proposal_response_payload=endorsed.payload, endorsements=endorsed.endorsements
            ),
        )
        transaction = transaction_pb2.Transaction(
            actions=[
                transaction_pb2.TransactionAction(header=header.signature_header, payload=action.SerializeToString())
            ]
        )
        payload = common_pb2.Payload(header=header, data=transaction.SerializeToString()).SerializeToString()
        return common_pb2.Envelope(payload=payload, signature=self.signer.sign(payload))

    def wait_for_commit(self, channel_id: str, transaction_id: str) -> None:
        """Wait until this peer has committed a transaction; raises `WireError` when it is invalid."""
        request = gateway_pb2.CommitStatusRequest(
            transaction_id=transaction_id, channel_id=channel_id, identity=self.signer.serialized
        ).SerializeToString()
        signed = gateway_pb2.SignedCommitStatusRequest(request=request, signature=self.signer.sign(request))
        status = self._call("/gateway.Gateway/CommitStatus", signed, gateway_pb2.CommitStatusResponse)
        if status.result != transaction_pb2.TxValidationCode.VALID:
            code = transaction_pb2.TxValidationCode.Name(status.result)
            raise WireError(f"transaction {transaction_id} was committed as invalid: {code}")

    def _proposal(self, channel_id: str, chaincode: str, args: Sequence[bytes]) -> tuple[proposal_pb2.Proposal, str]:
        nonce = secrets.token_bytes(24)
        transaction_id = hashlib.sha256(nonce + self.signer.serialized).hexdigest()
        identifier = chaincode_pb2.ChaincodeID(name=chaincode)
        header = common_pb2.ChannelHeader(
            type=common_pb2.HeaderType.ENDORSER_TRANSACTION,
            channel_id=channel_id,
            tx_id=transaction_id,
            extension=proposal_pb2.ChaincodeHeaderExtension(chaincode_id=identifier).SerializeToString(),
        )
        header.timestamp.GetCurrentTime()
        signature = common_pb2.SignatureHeader(creator=self.signer.serialized, nonce=nonce)
        specification = chaincode_pb2.ChaincodeSpec(
            type=chaincode_pb2.ChaincodeSpec.GOLANG,
            chaincode_id=identifier,
            input=chaincode_pb2.ChaincodeInput(args=args),
        )
        invocation = chaincode_pb2.ChaincodeInvocationSpec(chaincode_spec=specification).SerializeToString()
        return proposal_pb2.Proposal(
            header=common_pb2.Header(
                channel_header=header.SerializeToString(), signature_header=signature.SerializeToString()
            ).SerializeToString(),
            payload=proposal_pb2.ChaincodeProposalPayload(input=invocation).SerializeToString(),
        ), transaction_id

    def _signed(self, proposal: proposal_pb2.Proposal) -> proposal_pb2.SignedProposal:
        raw = proposal.SerializeToString()
        return proposal_pb2.SignedProposal(proposal_bytes=raw, signature=self.signer.sign(raw))

    def _process(self, signed: proposal_pb2.SignedProposal) -> proposal_response_pb2.ProposalResponse:
        answer = self._call("/protos.Endorser/ProcessProposal", signed, proposal_response_pb2.ProposalResponse)
        if not 200 <= answer.response.status < 400:
            raise WireError(answer.response.message, answer.response.status)
        return answer

    def _call(self, method: str, request: Message, answer: Any) -> Any:
        call = self._channel.unary_unary(
            method, request_serializer=type(request).SerializeToString, response_deserializer=answer.FromString
        )
        try:
            return call(request, timeout=self._patience_s)
        except grpc.RpcError as error:
            raise WireError(f"{self.member.name}'s peer at {self.member.peer}: {error.details()}") from error


class OrderingService:
    """Hands envelopes to the first orderer that takes them; close it after use."""

    def __init__(
        self, addresses: Sequence[str], tls_ca: Path, host_names: Sequence[str], client: Path | None = None
    ) -> None:
        """`client` is the TLS folder to prove oneself with, where the nodes ask for it."""
        self._client = client
        self._nodes = [
            (address, _open_channel(address, tls_ca, name, client))
            for address, name in zip(addresses, host_names, strict=True)
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with ExitStack() as closing:
            for _, channel in self._nodes:
                closing.callback(channel.close)

    def broadcast(self, envelope: common_pb2.Envelope) -> None:
        """Have an envelope ordered; raises `WireError`.

        A young cluster has no leader for a moment and says so with SERVICE_UNAVAILABLE: that is tried again for 30 s.
        """
        give_up = time.monotonic() + _NO_LEADER_SECONDS
        while True:
            problems: list[str] = []
            for address, channel in self._nodes:
                problem, final = self._broadcast_to(channel, envelope)
                if problem is None:
                    return
                problems.append(f"orderer at {address}: {problem}")
                if final:
                    raise WireError(problems[-1])
            if time.monotonic() >= give_up:
                raise WireError("; ".join(problems))
            time.sleep(_NO_LEADER_PAUSE)

    def block(self, channel_id: str, number: int | None, signer: Signer) -> common_pb2.Block:
        """Fetch a block, the newest for None, from the first node that hands it out; raises `WireError`."""
        envelope = _seek(channel_id, number, signer, self._client)
        problems: list[str] = []
        for address, channel in self._nodes:
            try:
                answer = _first_answer(channel, "Deliver", ab_pb2.DeliverResponse, envelope)
            except grpc.RpcError as error:
                problems.append(f"orderer at {address}: {error.details()}")
                continue
            if answer is not None and answer.HasField("block"):
                return answer.block
            status = "nothing" if answer is None else common_pb2.Status.Name(answer.status)
            problems.append(f"orderer at {address}: answered {status} to the request for a block")
        raise WireError("; ".join(problems))

    @staticmethod
    def _broadcast_to(channel: Any, envelope: common_pb2.Envelope) -> tuple[str | None, bool]:
        """What one node answered, None for acceptance, and whether asking again is of no use."""
        try:
            answer = _first_answer(channel, "Broadcast", ab_pb2.BroadcastResponse, envelope)
        except grpc.RpcError as error:
            return str(error.details()), False
        if answer is None:
            return "closed the stream without an answer", False
        if answer.status == common_pb2.Status.SUCCESS:
            return None, True
        return f"{common_pb2.Status.Name(answer.status)}: {answer.info}", answer.status != _SERVICE_UNAVAILABLE


def _first_answer(channel: Any, method: str, kind: Any, envelope: common_pb2.Envelope) -> Any:
    """What an orderer answers first to one envelope, None when it closes the stream; raises `grpc.RpcError`."""
    call = channel.stream_stream(
        f"/orderer.AtomicBroadcast/{method}",
        request_serializer=common_pb2.Envelope.SerializeToString,
        response_deserializer=kind.FromString,
    )
    return next(iter(call(iter([envelope]), timeout=_CALL_SECONDS)), None)


def _seek(channel_id: str, number: int | None, signer: Signer, client: Path | None) -> common_pb2.Envelope:
    """The signed request for one block, bound to the TLS certificate with which it is sent."""
    wanted = ab_pb2.SeekPosition(newest=ab_pb2.SeekNewest())
    if number is not None:
        wanted = ab_pb2.SeekPosition(specified=ab_pb2.SeekSpecified(number=number))
    header = common_pb2.ChannelHeader(type=common_pb2.HeaderType.DELIVER_SEEK_INFO, channel_id=channel_id)
    if client is not None:
        certificate = x509.load_pem_x509_certificate((client / "client.crt").read_bytes())
        header.tls_cert_hash = certificate.fingerprint(hashes.SHA256())
    header.timestamp.GetCurrentTime()
    signature = common_pb2.SignatureHeader(creator=signer.serialized, nonce=secrets.token_bytes(24))
    payload = common_pb2.Payload(
        header=common_pb2.Header(
            channel_header=header.SerializeToString(), signature_header=signature.SerializeToString()
        ),
        data=ab_pb2.SeekInfo(start=wanted, stop=wanted).SerializeToString(),
    ).SerializeToString()
    return common_pb2.Envelope(payload=payload, signature=signer.sign(payload))


def client_tls(msp: Path) -> Path | None:
    """The folder of the TLS client certificate that lies beside an identity's MSP folder, None where there is none."""
    folder = msp.parent / "tls"
    return folder if (folder / "client.crt").exists() else None


def _open_channel(target: str, tls_ca: Path, host_name: str, client: Path | None) -> Any:
    """With `client`, a folder that holds client.crt and client.key, TLS is mutual where the server asks for it."""
    own = (
        (None, None) if client is None else ((client / "client.key").read_bytes(), (client / "client.crt").read_bytes())
    )
    credentials = grpc.ssl_channel_credentials(tls_ca.read_bytes(), *own)
    return grpc.secure_channel(target, credentials, (*_OPTIONS, ("grpc.ssl_target_name_override", host_name)))
