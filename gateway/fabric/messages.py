# SPDX-License-Identifier: Apache-2.0
"""Building and reading the messages of the transaction flow (rules P-1 to P-6 and G-19)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gateway.fabric import wire
from gateway.fabric.errors import MalformedData
from gateway.fabric.identity import Identity

__all__ = [
    "Creator",
    "ProposalParts",
    "TransactionParts",
    "build_proposal",
    "commit_status_request",
    "newest_envelope",
    "parse",
    "read_proposal",
    "read_transaction",
    "seek_envelope",
    "seek_position",
]

_ENDORSER_TRANSACTION: int = wire.common.ENDORSER_TRANSACTION
_DELIVER_SEEK_INFO: int = wire.common.DELIVER_SEEK_INFO
_GO_LANG: int = wire.chaincode.ChaincodeSpec.GOLANG


class ProposalParts(NamedTuple):
    """A proposal and the pieces that are compared with the prepared transaction later."""

    transaction_id: str
    channel: str
    chaincode: str
    proposal: bytes
    channel_header: bytes
    signature_header: bytes
    payload: bytes
    """The `ChaincodeProposalPayload` without transient data."""


class TransactionParts(NamedTuple):
    """What a client reads out of a prepared transaction."""

    transaction_id: str
    channel: str
    result: bytes


class Creator:
    """An identity as the creator of messages, with what is the same in each of them encoded once."""

    __slots__ = ("_field", "_serialized")

    def __init__(self, identity: Identity) -> None:
        self._serialized = identity.serialized
        self._field: bytes = wire.common.SignatureHeader(creator=identity.serialized).SerializeToString()

    def signature_header(self, nonce: bytes) -> bytes:
        """The serialised `SignatureHeader`; a nonce of at most 127 bytes, since its length takes one byte here."""
        return b"%b\x12%c%b" % (self._field, len(nonce), nonce)

    def transaction_id(self, nonce: bytes) -> str:
        """Lower-case hex of SHA-256 over nonce and creator (rule P-4)."""
        return hashlib.sha256(nonce + self._serialized).hexdigest()


def build_proposal(
    creator: Creator,
    channel: str,
    chaincode: str,
    arguments: Sequence[bytes],
    *,
    transient: Mapping[str, bytes],
    nonce: bytes,
    timestamp_ns: int,
) -> ProposalParts:
    """A proposal to invoke `chaincode` with `arguments`, the first of which names the function."""
    if not 1 <= len(nonce) <= 127:
        raise ValueError(f"a nonce has 1 to 127 bytes, not {len(nonce)}")
    transaction_id = creator.transaction_id(nonce)
    chaincode_id = wire.chaincode.ChaincodeID(name=chaincode)
    header = wire.common.ChannelHeader(
        type=_ENDORSER_TRANSACTION,
        channel_id=channel,
        tx_id=transaction_id,
        extension=wire.proposal.ChaincodeHeaderExtension(chaincode_id=chaincode_id).SerializeToString(),
    )
    header.timestamp.seconds, header.timestamp.nanos = divmod(timestamp_ns, 1_000_000_000)
    channel_header: bytes = header.SerializeToString()
    signature_header = creator.signature_header(nonce)
    invocation: bytes = wire.chaincode.ChaincodeInvocationSpec(
        chaincode_spec=wire.chaincode.ChaincodeSpec(
            type=_GO_LANG, chaincode_id=chaincode_id, input=wire.chaincode.ChaincodeInput(args=arguments)
        )
    ).SerializeToString()
    payload: bytes = wire.proposal.ChaincodeProposalPayload(input=invocation).SerializeToString()
    full: bytes = payload
    if transient:
        full = wire.proposal.ChaincodeProposalPayload(input=invocation, TransientMap=transient).SerializeToString()
    proposal: bytes = wire.proposal.Proposal(
        header=wire.common.Header(channel_header=channel_header, signature_header=signature_header).SerializeToString(),
        payload=full,
    ).SerializeToString()
    return ProposalParts(transaction_id, channel, chaincode, proposal, channel_header, signature_header, payload)


def read_proposal(proposal: bytes) -> ProposalParts:
    """The parts of a serialised `Proposal`; raises `MalformedData`."""
    message = parse(wire.proposal.Proposal, proposal, "proposal")
    header = parse(wire.common.Header, message.header, "proposal header")
    channel_header = parse(wire.common.ChannelHeader, header.channel_header, "proposal channel header")
    payload = parse(wire.proposal.ChaincodeProposalPayload, message.payload, "proposal payload")
    invocation = parse(wire.chaincode.ChaincodeInvocationSpec, payload.input, "proposal input")
    name = invocation.chaincode_spec.chaincode_id.name
    if not channel_header.channel_id or not channel_header.tx_id or not name:
        raise MalformedData("proposal: no channel, transaction id or chaincode")
    return ProposalParts(
        transaction_id=channel_header.tx_id,
        channel=channel_header.channel_id,
        chaincode=name,
        proposal=proposal,
        channel_header=header.channel_header,
        signature_header=header.signature_header,
        payload=wire.proposal.ChaincodeProposalPayload(input=payload.input).SerializeToString(),
    )


def read_transaction(payload: bytes) -> TransactionParts:
    """What a prepared transaction's payload says of itself; raises `MalformedData`."""
    message = parse(wire.common.Payload, payload, "transaction payload")
    header = parse(wire.common.ChannelHeader, message.header.channel_header, "transaction channel header")
    actions = parse(wire.transaction.Transaction, message.data, "transaction").actions
    if len(actions) != 1:
        raise MalformedData(f"transaction: {len(actions)} actions where exactly one is expected")
    action = parse(wire.transaction.ChaincodeActionPayload, actions[0].payload, "transaction action").action
    response = parse(
        wire.proposal_response.ProposalResponsePayload, action.proposal_response_payload, "endorsed payload"
    )
    chaincode = parse(wire.proposal.ChaincodeAction, response.extension, "chaincode action")
    return TransactionParts(header.tx_id, header.channel_id, chaincode.response.payload)


def commit_status_request(channel: str, transaction_id: str, identity: Identity) -> bytes:
    """The `CommitStatusRequest` that is signed."""
    request: bytes = wire.gateway.CommitStatusRequest(
        transaction_id=transaction_id, channel_id=channel, identity=identity.serialized
    ).SerializeToString()
    return request


def seek_envelope(
    identity: Identity, channel: str, *, start: int | None, stop: int, timestamp_ns: int, tls_cert_hash: bytes
) -> Any:
    """The unsigned `Envelope` that asks Deliver for blocks `start` (None: the next one) to `stop`, inclusive."""
    seek = wire.orderer.SeekInfo(
        start=seek_position(start),
        stop=wire.orderer.SeekPosition(specified=wire.orderer.SeekSpecified(number=stop)),
    )
    return _seeking(identity, channel, seek, timestamp_ns, tls_cert_hash)


def newest_envelope(identity: Identity, channel: str, *, timestamp_ns: int, tls_cert_hash: bytes) -> Any:
    """The unsigned `Envelope` that asks Deliver for the last block that the peer holds, and no other."""
    newest = wire.orderer.SeekPosition(newest=wire.orderer.SeekNewest())
    return _seeking(identity, channel, wire.orderer.SeekInfo(start=newest, stop=newest), timestamp_ns, tls_cert_hash)


def _seeking(identity: Identity, channel: str, seek: Any, timestamp_ns: int, tls_cert_hash: bytes) -> Any:
    header = wire.common.ChannelHeader(type=_DELIVER_SEEK_INFO, channel_id=channel, tls_cert_hash=tls_cert_hash)
    header.timestamp.seconds, header.timestamp.nanos = divmod(timestamp_ns, 1_000_000_000)
    payload = wire.common.Payload(
        header=wire.common.Header(
            channel_header=header.SerializeToString(),
            signature_header=wire.common.SignatureHeader(creator=identity.serialized).SerializeToString(),
        ),
        data=seek.SerializeToString(),
    )
    return wire.common.Envelope(payload=payload.SerializeToString())


def seek_position(start: int | None) -> Any:
    """Where a stream begins: at a block, or with the next one to be committed."""
    if start is None:
        return wire.orderer.SeekPosition(next_commit=wire.orderer.SeekNextCommit())
    return wire.orderer.SeekPosition(specified=wire.orderer.SeekSpecified(number=start))


def parse(message: Any, data: bytes, what: str) -> Any:
    """`message.FromString(data)`, with `MalformedData` naming `what` instead of protobuf's error."""
    try:
        return message.FromString(data)
    except wire.DecodeError as exc:
        raise MalformedData(f"{what}: not readable") from exc
