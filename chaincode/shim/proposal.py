# SPDX-License-Identifier: Apache-2.0
"""What a transaction's signed proposal says: who, when, on which channel, with what in confidence."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from types import MappingProxyType
from typing import Any

from chaincode.shim import wire
from chaincode.shim.errors import MalformedProposal, ProtocolError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def as_datetime(timestamp: Any) -> datetime:
    """A protobuf timestamp as an aware UTC time, cut to microseconds.

    Raises:
        OverflowError: when it is outside the years 1 to 9999.
    """
    return _EPOCH + timedelta(seconds=timestamp.seconds, microseconds=timestamp.nanos // 1000)


@dataclass(frozen=True)
class ProposalFacts:
    """The parts of a proposal that a contract may ask for; the peer has verified its signature."""

    signed: Any
    creator: bytes
    nonce: bytes
    epoch: int
    seconds: float
    """The client's claim of the time, in seconds since 1970."""
    timestamp: Any
    payload: bytes

    @cached_property
    def transient(self) -> Mapping[str, bytes]:
        """What the client passes in confidence; it never reaches a block."""
        try:
            payload = wire.decode(wire.ChaincodeProposalPayload, self.payload)
        except ProtocolError as error:
            raise MalformedProposal("the payload of the proposal cannot be decoded") from error
        return MappingProxyType(dict(payload.TransientMap))

    @cached_property
    def binding(self) -> bytes:
        """SHA-256 over nonce, creator and the epoch as eight bytes, least first."""
        return hashlib.sha256(self.nonce + self.creator + self.epoch.to_bytes(8, "little")).digest()


def read_proposal(signed: Any) -> ProposalFacts:
    """Read the headers of a signed proposal.

    Raises:
        MalformedProposal: when it is absent or cannot be decoded.
    """
    try:
        proposal = wire.decode(wire.Proposal, signed.proposal_bytes)
        header = wire.decode(wire.Header, proposal.header)
        channel_header = wire.decode(wire.ChannelHeader, header.channel_header)
        signature_header = wire.decode(wire.SignatureHeader, header.signature_header)
    except ProtocolError as error:
        raise MalformedProposal("the proposal of the transaction cannot be decoded") from error
    if not channel_header.HasField("timestamp"):
        raise MalformedProposal("the proposal of the transaction carries no timestamp")
    stamp = channel_header.timestamp
    return ProposalFacts(
        signed=signed,
        creator=signature_header.creator,
        nonce=signature_header.nonce,
        epoch=channel_header.epoch,
        seconds=stamp.seconds + stamp.nanos / 1e9,
        timestamp=stamp,
        payload=proposal.payload,
    )
