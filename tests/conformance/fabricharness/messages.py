# SPDX-License-Identifier: Apache-2.0
"""Proposals, envelopes and seek requests, built by hand so that any part of them can be wrong on purpose."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fabric_protos.common import common_pb2
from fabric_protos.gateway import gateway_pb2
from fabric_protos.orderer import ab_pb2
from fabric_protos.peer import chaincode_pb2, proposal_pb2, proposal_response_pb2, transaction_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from fabricharness.members import Member, sha256

Argument = str | bytes
FOREVER = 2**64 - 1


@dataclass(frozen=True)
class Proposal:
    """A signed proposal and what is needed to go on with it."""

    channel: str
    transaction_id: str
    signed: Any
    member: Member

    @property
    def header(self) -> Any:
        return common_pb2.Header.FromString(proposal_pb2.Proposal.FromString(self.signed.proposal_bytes).header)


def proposal(
    channel: str,
    chaincode: str,
    args: Sequence[Argument],
    member: Member,
    *,
    transient: Mapping[str, bytes] | None = None,
    nonce: bytes | None = None,
    transaction_id: str | None = None,
    at: datetime | None = None,
    epoch: int = 0,
    kind: int = common_pb2.ENDORSER_TRANSACTION,
    is_init: bool = False,
    signature: bytes | None = None,
) -> Proposal:
    """A proposal that is right in every part that is not given."""
    fresh = os.urandom(24) if nonce is None else nonce
    true_id = sha256(fresh + member.serialized).hex()
    header = common_pb2.ChannelHeader(
        type=kind,
        channel_id=channel,
        tx_id=true_id if transaction_id is None else transaction_id,
        timestamp=timestamp(at),
        epoch=epoch,
        extension=proposal_pb2.ChaincodeHeaderExtension(
            chaincode_id=chaincode_pb2.ChaincodeID(name=chaincode)
        ).SerializeToString(),
    )
    invocation = chaincode_pb2.ChaincodeInvocationSpec(
        chaincode_spec=chaincode_pb2.ChaincodeSpec(
            type=chaincode_pb2.ChaincodeSpec.GOLANG,
            chaincode_id=chaincode_pb2.ChaincodeID(name=chaincode),
            input=chaincode_pb2.ChaincodeInput(args=[encoded(arg) for arg in args], is_init=is_init),
        )
    )
    payload = proposal_pb2.ChaincodeProposalPayload(
        input=invocation.SerializeToString(), TransientMap=dict(transient or {})
    )
    proposal_bytes = proposal_pb2.Proposal(
        header=common_pb2.Header(
            channel_header=header.SerializeToString(),
            signature_header=common_pb2.SignatureHeader(creator=member.serialized, nonce=fresh).SerializeToString(),
        ).SerializeToString(),
        payload=payload.SerializeToString(),
    ).SerializeToString()
    signed = proposal_pb2.SignedProposal(
        proposal_bytes=proposal_bytes, signature=member.sign(proposal_bytes) if signature is None else signature
    )
    return Proposal(channel, header.tx_id, signed, member)


def envelope(payload: bytes, member: Member) -> Any:
    return common_pb2.Envelope(payload=payload, signature=member.sign(payload))


def assemble(proposed: Proposal, responses: Sequence[Any]) -> bytes:
    """The envelope payload of a transaction with exactly these endorsements, in this order."""
    parsed = proposal_pb2.Proposal.FromString(proposed.signed.proposal_bytes)
    without_transient = proposal_pb2.ChaincodeProposalPayload.FromString(parsed.payload)
    without_transient.ClearField("TransientMap")
    return payload_of(
        proposed,
        proposal_payload=without_transient.SerializeToString(),
        response_payload=responses[0].payload,
        endorsements=[response.endorsement for response in responses],
    )


def payload_of(
    proposed: Proposal, *, proposal_payload: bytes, response_payload: bytes, endorsements: Sequence[Any]
) -> bytes:
    """An envelope payload from its parts."""
    action = transaction_pb2.ChaincodeActionPayload(
        chaincode_proposal_payload=proposal_payload,
        action=transaction_pb2.ChaincodeEndorsedAction(
            proposal_response_payload=response_payload, endorsements=list(endorsements)
        ),
    )
    transaction = transaction_pb2.Transaction(
        actions=[
            transaction_pb2.TransactionAction(
                header=proposed.header.signature_header, payload=action.SerializeToString()
            )
        ]
    )
    payload: bytes = common_pb2.Payload(
        header=proposed.header, data=transaction.SerializeToString()
    ).SerializeToString()
    return payload


def endorsement(member: Member, response_payload: bytes) -> Any:
    """An endorsement that `member` signs, whether or not he may."""
    return proposal_response_pb2.Endorsement(
        endorser=member.serialized, signature=member.sign(response_payload + member.serialized)
    )


def action_payload(payload: bytes) -> Any:
    """The `ChaincodeActionPayload` inside an envelope payload."""
    transaction = transaction_pb2.Transaction.FromString(common_pb2.Payload.FromString(payload).data)
    return transaction_pb2.ChaincodeActionPayload.FromString(transaction.actions[0].payload)


def position(value: int | str) -> Any:
    """A seek position: a block number, `oldest`, `newest` or `next`."""
    match value:
        case "oldest":
            return ab_pb2.SeekPosition(oldest=ab_pb2.SeekOldest())
        case "newest":
            return ab_pb2.SeekPosition(newest=ab_pb2.SeekNewest())
        case "next":
            return ab_pb2.SeekPosition(next_commit=ab_pb2.SeekNextCommit())
        case int():
            return ab_pb2.SeekPosition(specified=ab_pb2.SeekSpecified(number=value))
    raise ValueError(value)


@dataclass(frozen=True)
class Seeking:
    """A request for blocks, to be signed for one connection; like the official clients' it carries no nonce (D-1)."""

    channel: str
    member: Member
    info: Any
    at: Timestamp

    def envelope(self, binding: bytes = b"") -> Any:
        """Signed, and bound to the client certificate of that hash where there is one (T-3)."""
        header = common_pb2.ChannelHeader(
            type=common_pb2.DELIVER_SEEK_INFO, channel_id=self.channel, timestamp=self.at, tls_cert_hash=binding
        )
        payload = common_pb2.Payload(
            header=common_pb2.Header(
                channel_header=header.SerializeToString(),
                signature_header=common_pb2.SignatureHeader(creator=self.member.serialized).SerializeToString(),
            ),
            data=self.info.SerializeToString(),
        )
        return envelope(payload.SerializeToString(), self.member)


def seek(
    channel: str,
    member: Member,
    start: int | str,
    stop: int | str,
    *,
    at: datetime | None = None,
    fail_if_not_ready: bool = False,
) -> Seeking:
    """A request for blocks."""
    info = ab_pb2.SeekInfo(
        start=position(start),
        stop=position(stop),
        behavior=ab_pb2.SeekInfo.FAIL_IF_NOT_READY if fail_if_not_ready else ab_pb2.SeekInfo.BLOCK_UNTIL_READY,
    )
    return Seeking(channel, member, info, timestamp(at))


def status_request(channel: str, transaction_id: str, member: Member, *, signature: bytes | None = None) -> Any:
    request = gateway_pb2.CommitStatusRequest(
        transaction_id=transaction_id, channel_id=channel, identity=member.serialized
    ).SerializeToString()
    return gateway_pb2.SignedCommitStatusRequest(
        request=request, signature=member.sign(request) if signature is None else signature
    )


def events_request(
    channel: str, chaincode: str, member: Member, *, start: int | str | None = None, after: str = ""
) -> Any:
    request = gateway_pb2.ChaincodeEventsRequest(
        channel_id=channel,
        chaincode_id=chaincode,
        identity=member.serialized,
        after_transaction_id=after,
        start_position=None if start is None else position(start),
    ).SerializeToString()
    return gateway_pb2.SignedChaincodeEventsRequest(request=request, signature=member.sign(request))


def timestamp(at: datetime | None) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime((at or datetime.now(UTC)).astimezone(UTC).replace(tzinfo=None))
    return stamp


def encoded(argument: Argument) -> bytes:
    return argument.encode() if isinstance(argument, str) else argument
