# SPDX-License-Identifier: Apache-2.0
"""Fabric's Gateway service of one organisation (rules G-1 to G-31).

Everything runs on the event loop and calls the organisations' endorsers, the orderer and the ledger directly; what an
answer from another organisation's peer would lose on the wire is lost here too (G-6).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, aclosing
from typing import Any, Protocol

import grpc
from fabric_protos.common import common_pb2
from fabric_protos.gateway import gateway_pb2
from fabric_protos.peer import proposal_pb2, proposal_response_pb2
from google.protobuf.message import DecodeError

from network.embedded.chaincodeevents import BlockEvents, EventFilter, start_block
from network.embedded.channel import ChannelClosed
from network.embedded.channelconfig import AccessDenied, ChannelConfig
from network.embedded.endorsing import (
    Collection,
    GatewayPeer,
    Invocation,
    MalformedProposal,
    ask,
    collect,
    prepared_transaction,
)
from network.embedded.layouts import Layout, NoLayout
from network.embedded.peerchoice import PeerChoice
from network.embedded.policy import SignedData
from network.embedded.refusals import PeerFailure, Refusal
from network.patience import ENDORSEMENT_TIMEOUT_S

__all__ = ["GatewayChannel", "GatewayNode", "GatewayService"]

_SERVICE = "/gateway.Gateway"
_STATUS = grpc.StatusCode


class GatewayChannel(Protocol):
    """What the gateway uses of a channel."""

    config: ChannelConfig
    store: Any
    orderer: Any

    def commit_status(self, transaction_id: str) -> Awaitable[tuple[int, int]]:
        """Wait until a transaction is committed; its validation code and block."""

    def blocks(self, start: int) -> AsyncIterator[Any]:
        """Committed blocks from `start` on, without gaps, for ever."""


class GatewayNode(Protocol):
    """What the gateway uses of the node."""

    channels: Mapping[str, GatewayChannel]
    orgs: Mapping[str, GatewayPeer]


class _Limit(AbstractContextManager[None]):
    """At most so many calls at once (G-3)."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._running = 0

    def __enter__(self) -> None:
        if self._running >= self._most:
            text = f"too many requests for {_SERVICE}, exceeding concurrency limit ({self._most})"
            raise Refusal(_STATUS.UNKNOWN, text)
        self._running += 1

    def __exit__(self, *_: object) -> None:
        self._running -= 1


class GatewayService:
    """The service on one organisation's endpoint."""

    def __init__(
        self,
        node: GatewayNode,
        org: GatewayPeer,
        *,
        concurrency: int = 500,
        endorsement_timeout: float = ENDORSEMENT_TIMEOUT_S,
        broadcast_timeout: float = 30.0,
    ) -> None:
        """`concurrency` bounds the calls at once; timeouts in seconds are another's peer's and the orderer's (G-3)."""
        self._node = node
        self._org = org
        self._limit = _Limit(concurrency)
        self._endorsement_timeout = endorsement_timeout
        self._broadcast_timeout = broadcast_timeout
        self._choice = PeerChoice(node.orgs, org.msp_id)
        self._events = BlockEvents()

    async def Evaluate(self, request: Any, context: Any) -> Any:  # noqa: N802 - the service's name for it
        """Run a query on one peer (G-7 to G-11)."""
        return await self._answered(context, lambda: self._evaluate(request), "evaluate timeout expired")

    async def Endorse(self, request: Any, context: Any) -> Any:  # noqa: N802 - the service's name for it
        """Collect the endorsements that a transaction needs (G-12 to G-19)."""
        text = "endorsement timeout expired while collecting endorsements"
        return await self._answered(context, lambda: self._endorse(request), text)

    async def Submit(self, request: Any, context: Any) -> Any:  # noqa: N802 - the service's name for it
        """Have a signed transaction ordered; returns before it is committed (G-23)."""
        text = "submit timeout expired while broadcasting to ordering service"
        return await self._answered(context, lambda: self._submit(request), text)

    async def CommitStatus(self, request: Any, context: Any) -> Any:  # noqa: N802 - the service's name for it
        """Wait for a transaction's validation code (G-24, G-25)."""
        return await self._answered(context, lambda: self._commit_status(request), "context deadline exceeded")

    async def ChaincodeEvents(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        """Stream a chaincode's events, block by block, for ever (G-27 to G-31)."""
        try:
            with self._limit:
                channel, asked = self._events_request(request)
                try:
                    start = start_block(channel.store, asked)
                except ValueError as error:
                    raise Refusal(_STATUS.INVALID_ARGUMENT, str(error)) from error
                await context.send_initial_metadata(())  # the listener is registered, whatever may come (G-31)
                wanted = EventFilter(asked.chaincode_id, asked.after_transaction_id)
                async with aclosing(_generator(channel.blocks(start))) as blocks:
                    async for block in blocks:
                        events = wanted.select(self._events.of(asked.channel_id, block))
                        if events:
                            yield gateway_pb2.ChaincodeEventsResponse(events=events, block_number=block.header.number)
        except ChannelClosed as error:
            await context.abort(_STATUS.ABORTED, str(error))
        except Refusal as refusal:
            await context.abort(refusal.code, refusal.message, refusal.trailing_metadata())

    async def _answered(self, context: Any, work: Callable[[], Awaitable[Any]], expired: str) -> Any:
        try:
            with self._limit:
                async with asyncio.timeout(context.time_remaining()):
                    return await work()
        except TimeoutError:
            await context.abort(_STATUS.DEADLINE_EXCEEDED, expired)
        except Refusal as refusal:
            await context.abort(refusal.code, refusal.message, refusal.trailing_metadata())

    async def _evaluate(self, request: gateway_pb2.EvaluateRequest) -> gateway_pb2.EvaluateResponse:
        if not request.HasField("proposed_transaction"):
            text = "failed to unpack transaction proposal: a signed proposal is required"
            raise Refusal(_STATUS.INVALID_ARGUMENT, text)
        signed = request.proposed_transaction
        try:
            invocation = Invocation.unpack_complete(signed)
        except MalformedProposal as error:
            text = f"failed to unpack transaction proposal: {error}"
            raise Refusal(_STATUS.INVALID_ARGUMENT, text) from error
        channel = self._node.channels.get(invocation.channel_id)
        if channel is None:
            raise Refusal(_STATUS.UNAVAILABLE, _unknown(invocation.channel_id))
        failures: list[PeerFailure] = []
        for peer in self._evaluators(channel, invocation, list(request.target_organizations)):
            answer = await ask(peer, signed, self._endorsement_timeout, own=peer.msp_id == self._org.msp_id)
            if not isinstance(answer, PeerFailure):
                return gateway_pb2.EvaluateResponse(result=_evaluated(answer))
            failures.append(answer)
            if not answer.retry:
                text = f"evaluate call to endorser returned error: {answer.message}"
                raise Refusal(answer.code, text, failures)
        text = "failed to evaluate transaction, see attached details for more info"
        raise Refusal(failures[-1].code, text, failures)

    def _evaluators(
        self, channel: GatewayChannel, invocation: Invocation, targets: Sequence[str]
    ) -> Sequence[GatewayPeer]:
        """G-8: whom to ask, in this order."""
        own_only = not targets and invocation.has_transient
        allowed = targets or ([self._org.msp_id] if own_only else None)
        peers = self._choice.serving(channel, invocation.chaincode, allowed)
        if not peers:
            text = f"no peers available to evaluate chaincode {invocation.chaincode} in channel {invocation.channel_id}"
            if own_only:
                text = (
                    "no endorsers found in the gateway's organization; "
                    f"retry specifying target organization(s) to protect transient data: {text}"
                )
            raise Refusal(_STATUS.FAILED_PRECONDITION, text)
        return peers

    async def _endorse(self, request: gateway_pb2.EndorseRequest) -> gateway_pb2.EndorseResponse:
        signed = request.proposed_transaction
        if not request.HasField("proposed_transaction") or not signed.proposal_bytes:
            raise Refusal(_STATUS.INVALID_ARGUMENT, "the proposed transaction must contain a signed proposal")
        try:
            invocation = Invocation.unpack(signed)
        except MalformedProposal as error:
            raise Refusal(_STATUS.INVALID_ARGUMENT, str(error)) from error
        channel = self._node.channels.get(invocation.channel_id)
        collection = Collection()
        layouts: list[Layout]
        if request.endorsing_organizations:
            layouts = self._named_layout(channel, invocation, list(dict.fromkeys(request.endorsing_organizations)))
        else:
            layouts = await self._planned_layouts(channel, invocation, signed, collection)
        endorsements = await collect(
            collection, layouts, self._node.orgs, signed, self._endorsement_timeout, own=self._org.msp_id
        )
        envelope = prepared_transaction(invocation, collection.baseline or b"", endorsements)
        return gateway_pb2.EndorseResponse(prepared_transaction=envelope)

    def _named_layout(
        self, channel: GatewayChannel | None, invocation: Invocation, named: Sequence[str]
    ) -> list[Layout]:
        """G-13: exactly the organisations that the client names, whatever the policy says."""
        serving = [] if channel is None else self._choice.serving(channel, invocation.chaincode, named)
        found = {peer.msp_id for peer in serving}
        missing = [msp_id for msp_id in named if msp_id not in found]
        if missing:
            text = f"failed to find any endorsing peers for org(s): {', '.join(missing)}"
            raise Refusal(_STATUS.UNAVAILABLE, text)
        return [{peer.msp_id: 1 for peer in serving}]

    async def _planned_layouts(
        self,
        channel: GatewayChannel | None,
        invocation: Invocation,
        signed: proposal_pb2.SignedProposal,
        collection: Collection,
    ) -> list[Layout]:
        """G-14 to G-16: a first endorsement tells what is touched, and so who else must endorse."""
        first = self._first_endorser(channel, invocation)
        own = first.msp_id == self._org.msp_id
        answer = await ask(first, signed, self._endorsement_timeout, own=own)
        if isinstance(answer, PeerFailure):
            text = "failed to endorse transaction, see attached details for more info"
            raise Refusal(_STATUS.ABORTED, text, [answer])
        assert channel is not None  # without a channel there was no first endorser
        interest = answer.interest
        if not interest.chaincodes:
            interest = _plain_interest(invocation.chaincode)
        try:
            layouts = self._choice.layouts(channel, interest, protect=invocation.has_transient)
        except NoLayout as error:
            raise Refusal(_STATUS.FAILED_PRECONDITION, str(error)) from error
        preferred = [layout for layout in layouts if first.msp_id in layout]
        collection.accept(first, answer, credit=bool(preferred))
        return preferred + [layout for layout in layouts if first.msp_id not in layout]

    def _first_endorser(self, channel: GatewayChannel | None, invocation: Invocation) -> GatewayPeer:
        serving = [] if channel is None else self._choice.serving(channel, invocation.chaincode, [self._org.msp_id])
        for peer in serving:
            return peer
        if invocation.has_transient:
            text = (
                "no endorsers found in the gateway's organization; "
                "retry specifying endorsing organization(s) to protect transient data"
            )
            raise Refusal(_STATUS.FAILED_PRECONDITION, text)
        try:
            if channel is None:
                raise NoLayout(
                    f"No metadata was found for chaincode {invocation.chaincode} in channel {invocation.channel_id}"
                )
            layouts = self._choice.layouts(channel, _plain_interest(invocation.chaincode), protect=False)
        except NoLayout as error:
            raise Refusal(_STATUS.FAILED_PRECONDITION, str(error)) from error
        return self._node.orgs[next(iter(layouts[0]))]

    async def _submit(self, request: gateway_pb2.SubmitRequest) -> gateway_pb2.SubmitResponse:
        if not request.HasField("prepared_transaction"):
            raise Refusal(_STATUS.INVALID_ARGUMENT, "a prepared transaction is required")
        if not request.prepared_transaction.signature:
            raise Refusal(_STATUS.INVALID_ARGUMENT, "prepared transaction must be signed")
        channel = self._node.channels.get(request.channel_id)
        if channel is None:
            raise Refusal(_STATUS.FAILED_PRECONDITION, _unknown(request.channel_id))
        try:
            async with asyncio.timeout(self._broadcast_timeout):
                answer = await channel.orderer.broadcast(request.prepared_transaction)
        except TimeoutError as error:
            text = "no orderers could successfully process transaction"
            raise Refusal(_STATUS.UNAVAILABLE, text) from error
        if answer.status == common_pb2.Status.SUCCESS:
            return gateway_pb2.SubmitResponse()
        if 400 <= answer.status < 500:
            name = common_pb2.Status.Name(answer.status)
            text = f"received unsuccessful response from orderer: status={name}, info={answer.info}"
            raise Refusal(_STATUS.ABORTED, text)
        raise Refusal(_STATUS.UNAVAILABLE, "no orderers could successfully process transaction")

    async def _commit_status(self, signed: gateway_pb2.SignedCommitStatusRequest) -> gateway_pb2.CommitStatusResponse:
        if not signed.request:
            raise Refusal(_STATUS.INVALID_ARGUMENT, "a commit status request is required")
        try:
            asked = gateway_pb2.CommitStatusRequest.FromString(signed.request)
        except DecodeError as error:
            raise Refusal(_STATUS.INVALID_ARGUMENT, f"invalid status request: {error}") from error
        for value, problem in (
            (asked.identity, "no identity provided"),
            (asked.channel_id, "no channel ID provided"),
            (asked.transaction_id, "transaction ID should not be empty"),
        ):
            if not value:
                raise Refusal(_STATUS.INVALID_ARGUMENT, problem)
        channel = self._permitted("gateway/CommitStatus", asked.channel_id, asked.identity, signed)
        try:
            code, block_number = await channel.commit_status(asked.transaction_id)
        except ChannelClosed as error:
            raise Refusal(_STATUS.ABORTED, str(error)) from error
        return gateway_pb2.CommitStatusResponse(result=code, block_number=block_number)

    def _events_request(
        self, signed: gateway_pb2.SignedChaincodeEventsRequest
    ) -> tuple[GatewayChannel, gateway_pb2.ChaincodeEventsRequest]:
        if not signed.request:
            raise Refusal(_STATUS.INVALID_ARGUMENT, "a chaincode events request is required")
        try:
            asked = gateway_pb2.ChaincodeEventsRequest.FromString(signed.request)
        except DecodeError as error:
            raise Refusal(_STATUS.INVALID_ARGUMENT, f"invalid chaincode events request: {error}") from error
        return self._permitted("gateway/ChaincodeEvents", asked.channel_id, asked.identity, signed), asked

    def _permitted(self, resource: str, channel_id: str, identity: bytes, signed: Any) -> GatewayChannel:
        channel = self._node.channels.get(channel_id)
        if channel is None:
            raise Refusal(_STATUS.PERMISSION_DENIED, f"Failed to get policy manager for channel [{channel_id}]")
        try:
            channel.config.check_acl(resource, [SignedData(signed.request, identity, signed.signature)])
        except AccessDenied as error:
            raise Refusal(_STATUS.PERMISSION_DENIED, str(error)) from error
        return channel


async def _generator(source: AsyncIterator[Any]) -> Any:
    """Any iterator as a generator, so that leaving it early closes it where that can be done."""
    try:
        async for item in source:
            yield item
    finally:
        close = getattr(source, "aclose", None)
        if close is not None:
            await close()


def _unknown(channel_id: str) -> str:
    """What Fabric's discovery service says of a channel that the peer has not joined."""
    return f"failed to get config for channel [{channel_id}]: could not get last config for channel {channel_id}"


def _plain_interest(chaincode: str) -> proposal_response_pb2.ChaincodeInterest:
    call = proposal_response_pb2.ChaincodeCall(name=chaincode)
    return proposal_response_pb2.ChaincodeInterest(chaincodes=[call])


def _evaluated(answer: proposal_response_pb2.ProposalResponse) -> proposal_response_pb2.Response:
    """G-10: the payload of the endorsed action where it can be read, status and message of the response."""
    result = proposal_response_pb2.Response()
    result.CopyFrom(answer.response)
    try:
        outer = proposal_response_pb2.ProposalResponsePayload.FromString(answer.payload)
        action = proposal_pb2.ChaincodeAction.FromString(outer.extension)
    except DecodeError:
        return result
    if action.HasField("response"):
        result.payload = action.response.payload
    return result
