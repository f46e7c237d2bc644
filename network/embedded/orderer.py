# SPDX-License-Identifier: Apache-2.0
"""The ordering service of one channel: what is accepted (rules O-1 to O-7), and when a batch is cut (O-8 to O-12)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from fabric_protos.common import common_pb2
from fabric_protos.orderer import ab_pb2, ab_pb2_grpc
from google.protobuf.message import DecodeError

from network.embedded.configtx import UpdateRefused, check_orderer, committed_config, propose
from network.embedded.cutter import BlockCutter
from network.embedded.identity import Identity, InvalidIdentity, MalformedIdentity
from network.embedded.policy import PolicyNotSatisfied

SUCCESS = common_pb2.Status.SUCCESS
BAD_REQUEST = common_pb2.Status.BAD_REQUEST
FORBIDDEN = common_pb2.Status.FORBIDDEN
SERVICE_UNAVAILABLE = common_pb2.Status.SERVICE_UNAVAILABLE

BACKLOG_MESSAGES = 20_000
BACKLOG_BYTES = 256 * 1024 * 1024
"""Accepted and not yet committed; beyond either limit messages are refused for the time being (rule O-7)."""

_UNPROCESSABLE = {
    common_pb2.HeaderType.CONFIG: "message is of type that cannot be processed directly",
    common_pb2.HeaderType.ORDERER_TRANSACTION: "message is of type that is no longer supported",
}


class Ordered(NamedTuple):
    """An accepted message."""

    raw: bytes
    """The envelope, encoded anew from the parsed message (rule O-20)."""
    size: int
    creator_verified: bool
    """Whether its creator is a valid identity whose signature was found good here."""
    configures: bool = False
    """Whether it is a configuration, which is in a block of its own (rule O-10)."""


class Refused(Exception):
    """A message that is not ordered; the status and text go to the client."""

    def __init__(self, status: int, info: str) -> None:
        super().__init__(info)
        self.status = status
        self.info = info


Wrap = Callable[[str, Any], Any]
"""From a channel's name and a `ConfigEnvelope` to the signed CONFIG envelope."""


class Orderer:
    """Accepts envelopes for one channel and hands on batches. Belongs to the event loop's thread."""

    def __init__(
        self,
        config: Any,
        deliver: Callable[[list[Ordered]], None],
        sign: Wrap,
        *,
        idle_cut_s: float = 0.0,
        channels: Mapping[str, "Orderer"] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`deliver` takes each batch, `sign` makes the CONFIG envelope of an accepted configuration.

        With `idle_cut_s` a batch is also cut when nothing came for so many seconds.
        """
        self.config = config
        self._deliver = deliver
        self._sign = sign
        self._idle_cut_s = idle_cut_s
        self._channels = channels if channels is not None else {config.channel_id: self}
        self._clock = clock
        self._cutter: BlockCutter[Ordered] = BlockCutter(config.batch.max_count, config.batch.preferred_max)
        self._timer: asyncio.TimerHandle | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._due = False
        """A timer has run out while an earlier block was being committed."""
        self._backlog_messages = 0
        self._backlog_bytes = 0
        self._closed = False

    async def broadcast(self, envelope: Any) -> Any:
        """Accept or refuse a `common.Envelope`; SUCCESS promises its place in the order, not that it is valid."""
        try:
            channel_id, header_type = channel_of(envelope)
            orderer = self._channels.get(channel_id)
            if orderer is None:
                raise Refused(BAD_REQUEST, "channel does not exist")
            if header_type in _UNPROCESSABLE:
                raise Refused(BAD_REQUEST, _UNPROCESSABLE[header_type])
            if header_type == common_pb2.HeaderType.CONFIG_UPDATE:
                orderer.reconfigure(envelope)
            else:
                orderer.accept(envelope)
        except Refused as refusal:
            return ab_pb2.BroadcastResponse(status=refusal.status, info=refusal.info)
        return ab_pb2.BroadcastResponse(status=SUCCESS)

    def accept(self, envelope: Any) -> None:
        """Apply the filters in their order and take the message up; raises Refused."""
        message = self._filtered(envelope)
        self._make_room(message)
        self._enqueue(message, self._cutter.add(message, message.size))

    def reconfigure(self, envelope: Any) -> None:
        """Judge a configuration update and order the configuration that follows from it; raises Refused.

        What waits is cut into a block before it, and whatever comes later is filtered by the new configuration: no
        message is ever ordered behind a configuration that it was not judged by. (Fabric, whose consenters judge and
        order at different times, judges such messages again.) The very bytes that will be committed are judged, and as
        the commit and the next start of the node will judge them: what passes here can stop neither.
        """
        self._prefixed("initial", envelope)
        try:
            proposed, _ = propose(self.config, envelope)
            signed = self._sign(self.config.channel_id, proposed)
            following = committed_config(self.config, signed)
            check_orderer(following, signed)
        except UpdateRefused as refusal:
            problem = f"error applying config update to existing channel '{self.config.channel_id}': {refusal}"
            raise Refused(BAD_REQUEST, problem) from refusal
        message = self._prefixed("final", signed)._replace(configures=True)
        self._make_room(message)
        self._enqueue(message, self._cutter.add_config(message))
        self.config = following
        self._cutter = BlockCutter(following.batch.max_count, following.batch.preferred_max)

    def committed(self, batch: list[Ordered]) -> None:
        """Make room again for what has been committed."""
        self._backlog_messages -= len(batch)
        self._backlog_bytes -= sum(message.size for message in batch)
        if self._due and not self._committing:
            self._cut()

    def applied(self, config: Any) -> None:
        """Share the compiled form of the configuration just committed; raises RuntimeError when it was not ordered.

        Configurations may wait behind it, and then the newest of them goes on being what messages are filtered by.
        """
        if config.sequence > self.config.sequence:
            raise RuntimeError("a configuration was committed that was never ordered")
        if config.sequence == self.config.sequence:
            self.config = config

    def close(self) -> None:
        """Accept nothing any more, and cut what waits."""
        self._closed = True
        self._cut()

    # -- filters ---------------------------------------------------------------------------------------------------

    def _filtered(self, envelope: Any) -> Ordered:
        size = len(envelope.payload) + len(envelope.signature)
        if not envelope.payload:
            raise Refused(BAD_REQUEST, "Message was empty")
        limit = self.config.batch.absolute_max
        if size > limit:
            raise Refused(BAD_REQUEST, f"message payload is {size} bytes and exceeds maximum allowed {limit} bytes")
        return Ordered(envelope.SerializeToString(), size, self._check_signer(envelope))

    def _prefixed(self, which: str, envelope: Any) -> Ordered:
        try:
            return self._filtered(envelope)
        except Refused as refusal:
            problem = f"config update for existing channel did not pass {which} checks: {refusal.info}"
            raise Refused(refusal.status, problem) from refusal

    def _make_room(self, message: Ordered) -> None:
        full = self._backlog_messages >= BACKLOG_MESSAGES or self._backlog_bytes + message.size > BACKLOG_BYTES
        if self._closed or full:
            raise Refused(SERVICE_UNAVAILABLE, "the ordering service takes no messages at present")

    def _check_signer(self, envelope: Any) -> bool:
        creator = _creator(envelope)
        identity = self._identity(creator)
        if identity is not None and identity.not_after < self._clock():
            raise Refused(BAD_REQUEST, "broadcast client identity expired")
        proven = identity is not None and _signed(identity, envelope)
        try:
            self.config.policy("/Channel/Writers").evaluate_identities([identity] if proven else [])
        except PolicyNotSatisfied as refusal:
            raise Refused(FORBIDDEN, f"{refusal}: permission denied") from refusal
        return proven and self._valid(identity)

    def _identity(self, creator: bytes) -> Identity | None:
        try:
            found: Identity = self.config.msps.deserialise(creator)
        except MalformedIdentity:
            return None
        return found

    def _valid(self, identity: Identity | None) -> bool:
        try:
            self.config.msps.validate(identity)
        except InvalidIdentity:
            return False
        return True

    # -- cutting ---------------------------------------------------------------------------------------------------

    def _enqueue(self, message: Ordered, full: list[list[Ordered]]) -> None:
        """Count a message that the cutter has accepted, and hand on the batches that it completed."""
        self._backlog_messages += 1
        self._backlog_bytes += message.size
        for batch in full:
            self._deliver(batch)
        if not self._cutter.pending:
            self._stop_timers()
            return
        if self._due:
            return
        loop = asyncio.get_running_loop()
        if self._timer is None:  # a timer that runs already is neither restarted nor stopped (rule O-9)
            self._timer = loop.call_later(self.config.batch.timeout_s, self._run_out)
        if self._idle_cut_s:
            if self._idle is not None:
                self._idle.cancel()
            self._idle = loop.call_later(self._idle_cut_s, self._run_out)

    @property
    def _committing(self) -> bool:
        """Whether batches have been handed on that are not committed yet."""
        return self._backlog_messages > self._cutter.pending

    def _run_out(self) -> None:
        """Cut, or do so after the commit under way: until then a block would only wait, and could not grow."""
        self._stop_timers()
        if self._committing:
            self._due = True
        else:
            self._cut()

    def _cut(self) -> None:
        self._stop_timers()
        batch = self._cutter.cut()
        if batch:
            self._deliver(batch)

    def _stop_timers(self) -> None:
        for timer in (self._timer, self._idle):
            if timer is not None:
                timer.cancel()
        self._timer = self._idle = None
        self._due = False


def channel_of(envelope: Any) -> tuple[str, int]:
    """Channel id and header type of an envelope; raises Refused (rule O-2)."""
    try:
        payload = common_pb2.Payload.FromString(envelope.payload)
        if not payload.HasField("header"):
            raise Refused(BAD_REQUEST, "could not determine channel ID: header not set")
        if not payload.header.channel_header:
            raise Refused(BAD_REQUEST, "could not determine channel ID: channel header not set")
        header = common_pb2.ChannelHeader.FromString(payload.header.channel_header)
    except DecodeError as exc:
        raise Refused(BAD_REQUEST, f"could not determine channel ID: {exc}") from exc
    return header.channel_id, header.type


def _creator(envelope: Any) -> bytes:
    payload = common_pb2.Payload.FromString(envelope.payload)
    try:
        return bytes(common_pb2.SignatureHeader.FromString(payload.header.signature_header).creator)
    except DecodeError as exc:
        raise Refused(BAD_REQUEST, f"could not convert message to signedData: {exc}") from exc


def _signed(identity: Identity, envelope: Any) -> bool:
    try:
        identity.verify(envelope.payload, envelope.signature)
    except InvalidSignature:
        return False
    return True


class BroadcastService(ab_pb2_grpc.AtomicBroadcastServicer):  # type: ignore[misc]
    """The Broadcast half of `orderer.AtomicBroadcast`; one answer per message, ended by the first refusal (O-1)."""

    def __init__(self, orderers: Mapping[str, Orderer]) -> None:
        self._orderers = orderers

    async def Broadcast(self, request_iterator: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        del context
        async for envelope in request_iterator:
            response = await next(iter(self._orderers.values())).broadcast(envelope)
            yield response
            if response.status != SUCCESS:
                return
