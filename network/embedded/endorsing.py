# SPDX-License-Identifier: Apache-2.0
"""Collects endorsements from the organisations' peers until a layout is complete (rules G-13 to G-19)."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import grpc
from fabric_protos.common import common_pb2
from fabric_protos.peer import (
    chaincode_pb2,
    proposal_pb2,
    proposal_response_pb2,
    transaction_pb2,
)
from google.protobuf.message import DecodeError

from network.embedded.identity import Signer
from network.embedded.layouts import Layout
from network.embedded.refusals import PeerFailure, Refusal, peer_failure

__all__ = ["Collection", "GatewayPeer", "Invocation", "MalformedProposal", "ask", "collect", "prepared_transaction"]

log = logging.getLogger(__name__)


class MalformedProposal(ValueError):
    """The proposal cannot be taken apart; the text is the cause of G-7."""


class Answer(Protocol):
    """What a peer makes of a proposal: a response, an error, or both (P-7 to P-18)."""

    response: proposal_response_pb2.ProposalResponse | None
    error: str | None


class Endorses(Protocol):
    """An organisation's endorser."""

    async def process(self, signed: proposal_pb2.SignedProposal) -> Answer:
        """Check and simulate a proposal."""

    def can_endorse(self, channel_id: str, chaincode: str) -> bool:
        """Say whether the organisation approved and installed the chaincode's definition in force (G-5, L-5)."""


class GatewayPeer(Protocol):
    """One organisation's peer as the gateway sees it."""

    msp_id: str
    address: str
    endorser: Endorses
    signer: Signer


@dataclass(frozen=True, slots=True)
class Invocation:
    """What the gateway must know of a proposal; the chaincode's name is that of the invocation (P-5)."""

    channel_id: str
    chaincode: str
    header: bytes
    input: bytes
    has_transient: bool

    @classmethod
    def unpack(cls, signed: proposal_pb2.SignedProposal) -> "Invocation":
        """Take a signed proposal apart; raises `MalformedProposal`, but not for what is absent (G-12)."""
        try:
            proposal = proposal_pb2.Proposal.FromString(signed.proposal_bytes)
            header = common_pb2.Header.FromString(proposal.header)
            channel = common_pb2.ChannelHeader.FromString(header.channel_header)
            payload = proposal_pb2.ChaincodeProposalPayload.FromString(proposal.payload)
            specification = chaincode_pb2.ChaincodeInvocationSpec.FromString(payload.input)
        except DecodeError as error:
            raise MalformedProposal(f"proto: cannot parse invalid wire-format data: {error}") from error
        return cls(
            channel_id=channel.channel_id,
            chaincode=specification.chaincode_spec.chaincode_id.name,
            header=proposal.header,
            input=payload.input,
            has_transient=bool(payload.TransientMap),
        )

    @classmethod
    def unpack_complete(cls, signed: proposal_pb2.SignedProposal) -> "Invocation":
        """Take a signed proposal apart and demand a channel and a chaincode (G-7); raises `MalformedProposal`."""
        invocation = cls.unpack(signed)
        if not invocation.channel_id:
            raise MalformedProposal("no channel id provided")
        specification = chaincode_pb2.ChaincodeInvocationSpec.FromString(invocation.input)
        where = f", channel id [{invocation.channel_id}]"
        if not specification.HasField("chaincode_spec"):
            raise MalformedProposal("no chaincode spec is provided" + where)
        if not specification.chaincode_spec.HasField("chaincode_id"):
            raise MalformedProposal("no chaincode id is provided" + where)
        if not invocation.chaincode:
            raise MalformedProposal("no chaincode name is provided" + where)
        return invocation


@dataclass(slots=True)
class Collection:
    """The endorsements collected so far; the first payload is what the others are compared with (G-17)."""

    baseline: bytes | None = None
    endorsed: dict[str, proposal_response_pb2.Endorsement] = field(default_factory=dict)
    failures: list[PeerFailure] = field(default_factory=list)

    def accept(self, peer: GatewayPeer, response: proposal_response_pb2.ProposalResponse, *, credit: bool) -> bool:
        """Take a successful response, unless its payload differs; with `credit` its endorsement is kept."""
        if self.baseline is None:
            self.baseline = response.payload
        elif response.payload != self.baseline:
            text = "ProposalResponsePayloads do not match"
            self.failures.append(PeerFailure(grpc.StatusCode.ABORTED, text, peer.address, peer.msp_id, retry=True))
            return False
        if credit:
            self.endorsed[peer.msp_id] = response.endorsement
        return True


async def ask(
    peer: GatewayPeer, signed: proposal_pb2.SignedProposal, timeout: float, *, own: bool
) -> proposal_response_pb2.ProposalResponse | PeerFailure:
    """Have one peer process a proposal, for at most `timeout` seconds where it is another organisation's.

    The gateway calls its own peer without the wire, and there the execute timeout of the chaincode alone ends it (G-3).
    """
    try:
        async with asyncio.timeout(None if own else timeout):
            answer = await peer.endorser.process(signed)
    except TimeoutError:
        text = "rpc error: code = DeadlineExceeded desc = context deadline exceeded"
        return PeerFailure(grpc.StatusCode.UNAVAILABLE, text, peer.address, peer.msp_id, retry=True)
    except Exception:  # one organisation's endorser must not end what the others can still answer
        log.exception("the endorser of %s failed", peer.msp_id)
        text = "rpc error: code = Unknown desc = the endorser failed"
        return PeerFailure(grpc.StatusCode.UNAVAILABLE, text, peer.address, peer.msp_id, retry=True)
    failure = peer_failure(answer.response, answer.error, address=peer.address, msp_id=peer.msp_id, own=own)
    if failure is not None:
        return failure
    return answer.response


async def collect(
    collection: Collection,
    layouts: Sequence[Layout],
    peers: Mapping[str, GatewayPeer],
    signed: proposal_pb2.SignedProposal,
    timeout: float,
    *,
    own: str,
) -> list[proposal_response_pb2.Endorsement]:
    """Complete the first layout that can be completed; raises `Refusal` (G-18).

    Every organisation has one peer, so one that failed rules out all layouts which need it; endorsements that were
    collected for another layout are kept.
    """
    failed: set[str] = set()
    for layout in layouts:
        if failed & layout.keys():
            continue
        missing = [peers[msp_id] for msp_id in layout if msp_id not in collection.endorsed]
        questions = [ask(peer, signed, timeout, own=peer.msp_id == own) for peer in missing]
        # One question, the most frequent case, needs no task of its own.
        answers = [await questions[0]] if len(questions) == 1 else await asyncio.gather(*questions)
        for peer, answer in zip(missing, answers, strict=True):
            if isinstance(answer, PeerFailure):
                collection.failures.append(answer)
                failed.add(peer.msp_id)
            elif not collection.accept(peer, answer, credit=True):
                failed.add(peer.msp_id)
        if not failed & layout.keys():
            return [collection.endorsed[msp_id] for msp_id in layout]
    raise Refusal(
        grpc.StatusCode.ABORTED,
        "failed to collect enough transaction endorsements, see attached details for more info",
        collection.failures,
    )


def prepared_transaction(
    invocation: Invocation, payload: bytes, endorsements: Sequence[proposal_response_pb2.Endorsement]
) -> common_pb2.Envelope:
    """The unsigned envelope for the client to sign (G-19); the transient map is not in it."""
    header = common_pb2.Header.FromString(invocation.header)
    action = transaction_pb2.ChaincodeActionPayload(
        chaincode_proposal_payload=proposal_pb2.ChaincodeProposalPayload(input=invocation.input).SerializeToString(),
        action=transaction_pb2.ChaincodeEndorsedAction(
            proposal_response_payload=payload,
            endorsements={endorsement.endorser: endorsement for endorsement in endorsements}.values(),
        ),
    )
    transaction = transaction_pb2.Transaction(
        actions=[transaction_pb2.TransactionAction(header=header.signature_header, payload=action.SerializeToString())]
    )
    return common_pb2.Envelope(
        payload=common_pb2.Payload(header=header, data=transaction.SerializeToString()).SerializeToString()
    )
