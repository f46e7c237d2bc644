# SPDX-License-Identifier: Apache-2.0
"""Block events: the seek protocol that the peers' three Deliver calls and the orderer's share (rules D-1 to D-9).

A stream holds one block at a time, waits for the next without polling, and ends with its call. Whatever is wrong
with a request is answered as a status inside the stream, which then ends with gRPC OK (rule D-6).
"""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate
from fabric_protos.common import common_pb2
from fabric_protos.orderer import ab_pb2
from google.protobuf.message import DecodeError

from network.embedded.channel import Channel, ChannelClosed
from network.embedded.identity import Identity, MalformedIdentity
from network.embedded.policy import Policy, PolicyNotSatisfied, SignedData

SUCCESS = common_pb2.Status.SUCCESS
BAD_REQUEST = common_pb2.Status.BAD_REQUEST
FORBIDDEN = common_pb2.Status.FORBIDDEN
NOT_FOUND = common_pb2.Status.NOT_FOUND
SERVICE_UNAVAILABLE = common_pb2.Status.SERVICE_UNAVAILABLE

TIME_WINDOW = timedelta(minutes=15)


class Stopped(Exception):
    """Ends a stream with a status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass(frozen=True, slots=True)
class Seek:
    """A request that was admitted: what to send, and by which right."""

    channel: Channel
    info: Any
    """The `SeekInfo`."""
    signed: SignedData
    requester: Identity | None


class Access:
    """The right to a stream, judged again when the configuration changes or the certificate runs out (rule D-7)."""

    def __init__(self, seek: Seek, policy_of: Callable[[Any], Policy], clock: Callable[[], datetime]) -> None:
        self._seek = seek
        self._policy_of = policy_of
        self._clock = clock
        self._judged: Any = None

    def check(self) -> None:
        """Raise Stopped(FORBIDDEN) unless the requester may read now."""
        requester = self._seek.requester
        if requester is not None and requester.not_after < self._clock():
            raise Stopped(FORBIDDEN)
        config = self._seek.channel.config
        if config is self._judged:
            return
        try:
            self._policy_of(config).evaluate([self._seek.signed])
        except (PolicyNotSatisfied, KeyError) as exc:
            raise Stopped(FORBIDDEN) from exc
        self._judged = config


class Deliverer:
    """Serves one kind of stream: which policy guards it, and how a block is answered."""

    def __init__(
        self,
        channels: Mapping[str, Channel],
        policy_of: Callable[[Any], Policy],
        render: Callable[[Seek, Any], Any],
        respond: Callable[[int], Any],
        *,
        mutual_tls: bool = False,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._channels = channels
        self._policy_of = policy_of
        self._render = render
        self._respond = respond
        self._mutual_tls = mutual_tls
        self._clock = clock

    async def stream(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        """Answer one seek after the other until the client ends the call or a seek fails."""
        async for envelope in requests:
            try:
                async for block, seek in self._blocks(envelope, context):
                    yield self._render(seek, block)
            except Stopped as end:
                yield self._respond(end.status)
                return
            except ChannelClosed:
                yield self._respond(SERVICE_UNAVAILABLE)
                return
            yield self._respond(SUCCESS)

    async def _blocks(self, envelope: Any, context: Any) -> AsyncIterator[tuple[Any, Seek]]:
        seek = self._admit(envelope, context)
        access = Access(seek, self._policy_of, self._clock)
        access.check()
        store = seek.channel.store
        number, last = _interval(seek.info, store.height)
        while True:
            if seek.info.behavior == ab_pb2.SeekInfo.FAIL_IF_NOT_READY and number >= store.height:
                raise Stopped(NOT_FOUND)
            await seek.channel.committed.above(number)
            block = store.block(number)
            access.check()
            yield _content(block, seek.info), seek
            if number == last:
                return
            number += 1

    def _admit(self, envelope: Any, context: Any) -> Seek:
        """Rule D-2 as far as the session's rights, in its order."""
        try:
            payload = common_pb2.Payload.FromString(envelope.payload)
            header = common_pb2.ChannelHeader.FromString(payload.header.channel_header)
        except DecodeError as exc:
            raise Stopped(BAD_REQUEST) from exc
        if not payload.HasField("header") or not self._in_time(header) or not self._bound(header, context):
            raise Stopped(BAD_REQUEST)
        channel = self._channels.get(header.channel_id)
        if channel is None:
            raise Stopped(NOT_FOUND)
        try:
            info = ab_pb2.SeekInfo.FromString(payload.data)
            creator = common_pb2.SignatureHeader.FromString(payload.header.signature_header).creator
        except DecodeError as exc:
            raise Stopped(BAD_REQUEST) from exc
        signed = SignedData(envelope.payload, creator, envelope.signature)
        return Seek(channel, info, signed, _requester(channel, creator))

    def _in_time(self, header: Any) -> bool:
        if not header.HasField("timestamp"):
            return False
        try:
            sent = datetime.fromtimestamp(0, UTC) + timedelta(seconds=header.timestamp.seconds)
        except OverflowError:
            return False
        return abs(self._clock() - sent) <= TIME_WINDOW

    def _bound(self, header: Any, context: Any) -> bool:
        """Under mutual TLS the request names the connection's own certificate; otherwise any hash is ignored (T-3)."""
        if not self._mutual_tls:
            return True
        pem = context.auth_context().get("x509_pem_cert", [b""])[0]
        if not pem:
            return False
        der = load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
        return bool(header.tls_cert_hash == sha256(der).digest())


def _requester(channel: Channel, creator: bytes) -> Identity | None:
    try:
        identity: Identity = channel.config.msps.deserialise(creator)
    except MalformedIdentity:
        return None
    return identity


def _interval(info: Any, height: int) -> tuple[int, int]:
    """First and last block number of a seek (rules D-3 and D-4); raises Stopped."""
    if not info.HasField("start") or not info.HasField("stop"):
        raise Stopped(BAD_REQUEST)
    start = _first(info.start, height)
    stop = info.stop.WhichOneof("Type")
    last = 0
    if stop == "oldest" or (stop == "newest" and info.start == info.stop):
        last = start
    elif stop == "newest":
        last = height - 1
    elif stop == "specified":
        last = int(info.stop.specified.number)
        if last < start:
            raise Stopped(BAD_REQUEST)
    if start > height:
        raise Stopped(NOT_FOUND)
    return start, last


def _first(position: Any, height: int) -> int:
    match position.WhichOneof("Type"):
        case "oldest":
            return 0
        case "newest":
            return height - 1
        case "specified":
            return int(position.specified.number)
        case "next_commit":
            return height
        case _:
            raise Stopped(NOT_FOUND)


def _content(block: Any, info: Any) -> Any:
    """The block as asked for: with HEADER_WITH_SIG without data, apart from configurations (rule D-8)."""
    if info.content_type != ab_pb2.SeekInfo.HEADER_WITH_SIG or _is_config(block):
        return block
    return common_pb2.Block(header=block.header, metadata=block.metadata)


def _is_config(block: Any) -> bool:
    if len(block.data.data) != 1:
        return False
    try:
        payload = common_pb2.Payload.FromString(common_pb2.Envelope.FromString(block.data.data[0]).payload)
        header = common_pb2.ChannelHeader.FromString(payload.header.channel_header)
    except DecodeError:
        return False
    return bool(header.type == common_pb2.HeaderType.CONFIG)
