# SPDX-License-Identifier: Apache-2.0
"""Proposals as a peer takes them apart, and the checks that come before simulation, in Fabric's order (P-7 to P-15)."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Any, Protocol

from cryptography.exceptions import InvalidSignature
from fabric_protos.common import common_pb2
from fabric_protos.peer import chaincode_pb2, proposal_pb2
from google.protobuf.message import DecodeError

from network.embedded.identity import Identity, InvalidIdentity, MalformedIdentity

__all__ = ["TIME_WINDOW", "Proposal", "ProposalRefused", "Unauthenticated", "check_filters", "check_proposal", "unpack"]

TIME_WINDOW = timedelta(minutes=15)
"""How far a proposal's timestamp may be from this node's clock (rule P-8)."""

_REMEMBERED = 256
_LARGEST_REMEMBERED = 64 * 1024
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TYPES = (common_pb2.HeaderType.ENDORSER_TRANSACTION, common_pb2.HeaderType.CONFIG)


class Unauthenticated(ValueError):
    """The authentication filters refused the proposal: an error without a response (rules P-7, P-8)."""


class ProposalRefused(ValueError):
    """A check failed: an error and a response of status 500 with the same text (the starred rows of P-9 to P-17)."""


class Members(Protocol):
    """The organisations whose identities are accepted: a channel's, or a peer's own."""

    def deserialise(self, serialized: bytes) -> Identity:
        """Parse an identity; raises `MalformedIdentity`."""
        ...

    def validate(self, identity: Identity) -> None:
        """Accept a valid identity; raises `InvalidIdentity`."""
        ...


@dataclass(slots=True, eq=False)
class Proposal:
    """One proposal's parts, as received; headers are never encoded again (rule P-1)."""

    proposal_bytes: bytes
    channel_header_bytes: bytes
    signature_header_bytes: bytes
    payload_bytes: bytes
    header_type: int
    channel_id: str
    transaction_id: str
    epoch: int
    timestamp: datetime
    extension: bytes
    creator: bytes
    nonce: bytes
    chaincode: str = ""
    """The name in the header's extension, which the endorser goes by (rule P-5)."""
    input: Any = None
    """The `ChaincodeInput`."""
    hash: bytes = b""
    """Rule P-6."""
    complaint: str | None = None
    """Why the payload cannot be used; None when it can (rule P-9)."""
    absent_at: tuple[Any, int] | None = None
    """A ledger and its height at which the transaction id was not on it."""
    _accepted: tuple[Members, bytes, Identity] | None = field(default=None, repr=False)


def unpack(proposal_bytes: bytes) -> Proposal:
    """Take a proposal apart; raises `ProposalRefused` when the headers cannot be read.

    Faults of the payload are kept in `complaint`, because the filters that need only the headers come first.
    Small proposals are remembered by content: every organisation of this process is handed the same bytes.
    """
    return _remembered(proposal_bytes) if len(proposal_bytes) <= _LARGEST_REMEMBERED else _unpack(proposal_bytes)


def _unpack(proposal_bytes: bytes) -> Proposal:
    try:
        outer = proposal_pb2.Proposal.FromString(proposal_bytes)
        header = common_pb2.Header.FromString(outer.header)
        channel = common_pb2.ChannelHeader.FromString(header.channel_header)
        signature = common_pb2.SignatureHeader.FromString(header.signature_header)
    except DecodeError as error:
        raise ProposalRefused(f"error unmarshalling Proposal: {error}") from error
    proposal = Proposal(
        proposal_bytes=proposal_bytes,
        channel_header_bytes=header.channel_header,
        signature_header_bytes=header.signature_header,
        payload_bytes=outer.payload,
        header_type=channel.type,
        channel_id=channel.channel_id,
        transaction_id=channel.tx_id,
        epoch=channel.epoch,
        timestamp=_instant(channel.timestamp),
        extension=channel.extension,
        creator=signature.creator,
        nonce=signature.nonce,
    )
    proposal.complaint = _read_payload(proposal)
    return proposal


_remembered = lru_cache(maxsize=_REMEMBERED)(_unpack)


def _instant(timestamp: Any) -> datetime:
    """A missing timestamp counts as 1970 (rule P-8); one outside the calendar as 1970 too, which is as far away."""
    try:
        return _EPOCH + timedelta(seconds=timestamp.seconds, microseconds=timestamp.nanos // 1000)
    except OverflowError:
        return _EPOCH


def _read_payload(proposal: Proposal) -> str | None:
    try:
        extension = proposal_pb2.ChaincodeHeaderExtension.FromString(proposal.extension)
        payload = proposal_pb2.ChaincodeProposalPayload.FromString(proposal.payload_bytes)
        invocation = chaincode_pb2.ChaincodeInvocationSpec.FromString(payload.input)
    except DecodeError as error:
        return f"error unmarshalling ChaincodeProposalPayload: {error}"
    proposal.chaincode = extension.chaincode_id.name
    if not extension.HasField("chaincode_id"):
        return "ChaincodeHeaderExtension.ChaincodeId is nil"
    if not extension.chaincode_id.name:
        return "ChaincodeHeaderExtension.ChaincodeId.Name is empty"
    if not invocation.HasField("chaincode_spec"):
        return "chaincode invocation spec did not contain chaincode spec"
    if not invocation.chaincode_spec.HasField("input"):
        return "chaincode input did not contain any input"
    proposal.input = invocation.chaincode_spec.input
    proposal.hash = _hash(proposal, payload.input)
    return None


def _hash(proposal: Proposal, spec: bytes) -> bytes:
    """SHA-256 over both headers as received and the payload without its transient map (rule P-6)."""
    digest = sha256(proposal.channel_header_bytes)
    digest.update(proposal.signature_header_bytes)
    digest.update(proposal_pb2.ChaincodeProposalPayload(input=spec).SerializeToString())
    return digest.digest()


def check_filters(proposal: Proposal, members: Members | None, now: datetime) -> None:
    """Refuse an expired client certificate and a timestamp outside the window; raises `Unauthenticated`.

    `members` is None for an unknown channel. An identity that does not parse has no expiry here; a later check
    names it (rule P-14).
    """
    if members is not None:
        try:
            identity = members.deserialise(proposal.creator)
        except MalformedIdentity:
            identity = None
        if identity is not None and identity.not_after < now:
            raise Unauthenticated("proposal client identity expired")
    if abs(now - proposal.timestamp) > TIME_WINDOW:
        raise Unauthenticated(
            f"request unauthorized due to incorrect timestamp {_rfc3339(proposal.timestamp)}, "
            f"peer time {_rfc3339(now)}, peer.authentication.timewindow 15m0s"
        )


def _rfc3339(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def check_proposal(proposal: Proposal, signature: bytes, members: Members) -> Identity:
    """Check header, transaction id, creator and signature (P-11 to P-15); raises `ProposalRefused`.

    Answers the creator. The verdict on these very bytes is remembered beside them, so that the organisations of
    this process verify one signature once.
    """
    known = proposal._accepted
    if known is not None and known[0] is members and known[1] == signature:
        return known[2]
    try:
        _check_header(proposal)
        if not proposal.proposal_bytes:
            raise ProposalRefused("empty proposal bytes")
        if not signature:
            raise ProposalRefused("empty signature bytes")
        identity = _check_creator(proposal, signature, members)
    except ProposalRefused as refusal:
        raise ProposalRefused(f"error validating proposal: {refusal}") from refusal
    proposal._accepted = (members, signature, identity)
    return identity


def _check_header(proposal: Proposal) -> None:
    if proposal.header_type not in _TYPES:
        raise ProposalRefused(f"invalid header type {_type_name(proposal.header_type)}")
    if proposal.epoch != 0:
        raise ProposalRefused("epoch is non-zero")
    if not proposal.nonce:
        raise ProposalRefused("nonce is empty")
    if not proposal.creator:
        raise ProposalRefused("creator is empty")
    expected = sha256(proposal.nonce + proposal.creator).hexdigest()
    if proposal.transaction_id != expected:
        raise ProposalRefused(f"incorrectly computed txid '{proposal.transaction_id}' -- expected '{expected}'")


def _type_name(number: int) -> str:
    known = common_pb2.HeaderType.DESCRIPTOR.values_by_number.get(number)
    return str(number) if known is None else str(known.name)


def _check_creator(proposal: Proposal, signature: bytes, members: Members) -> Identity:
    denied = f"access denied: channel [{proposal.channel_id}] creator org "
    try:
        identity = members.deserialise(proposal.creator)
    except MalformedIdentity as error:
        raise ProposalRefused(denied + "unknown, creator is malformed") from error
    try:
        members.validate(identity)
        identity.verify(proposal.proposal_bytes, signature)
    except (InvalidIdentity, InvalidSignature) as error:
        # One text for a bad certificate and a bad signature: a stranger learns nothing from the difference.
        raise ProposalRefused(f"{denied}[{identity.msp_id}]") from error
    return identity
