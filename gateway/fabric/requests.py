# SPDX-License-Identifier: Apache-2.0
"""Requests for event streams: built, signed here or elsewhere, rebuilt from bytes, opened."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from gateway.fabric import wire
from gateway.fabric.checkpoint import Checkpoint
from gateway.fabric.messages import newest_envelope, parse, seek_envelope, seek_position
from gateway.fabric.session import Session
from gateway.fabric.streams import (
    ChaincodeEvent,
    EventStream,
    blocks_and_private_data,
    chaincode_events,
    filtered_blocks,
    full_blocks,
)
from gateway.fabric.verify import BlockChecker

__all__ = [
    "BLOCKS",
    "BLOCKS_AND_PRIVATE_DATA",
    "FILTERED_BLOCKS",
    "BlockEventsRequest",
    "BlockKind",
    "ChaincodeEventsRequest",
]

# A stop that is never reached means listening for ever (rule D-4).
_NO_STOP = 2**64 - 1


class BlockKind(NamedTuple):
    """One of Deliver's three methods and how its answers are read."""

    method: str
    decode: Callable[[Iterable[Any], BlockChecker | None], Iterator[Any]]


BLOCKS = BlockKind("Deliver", full_blocks)
FILTERED_BLOCKS = BlockKind("DeliverFiltered", filtered_blocks)
BLOCKS_AND_PRIVATE_DATA = BlockKind("DeliverWithPrivateData", blocks_and_private_data)


class ChaincodeEventsRequest:
    """A request for the events of one chaincode."""

    __slots__ = ("_request", "_resume_after", "_session", "_signature")

    def __init__(
        self,
        session: Session,
        request: builtins.bytes,
        signature: builtins.bytes = b"",
        resume_after: tuple[int, str] | None = None,
    ) -> None:
        self._session = session
        self._request = request
        self._signature = signature
        self._resume_after = resume_after

    @classmethod
    def build(
        cls, session: Session, channel: str, chaincode: str, start_block: int | None, checkpoint: Checkpoint | None
    ) -> ChaincodeEventsRequest:
        """A request that begins at the checkpoint if it has one, else at `start_block`, else with the next block."""
        request = wire.gateway.ChaincodeEventsRequest(
            channel_id=channel,
            chaincode_id=chaincode,
            identity=session.identity.serialized,
            start_position=seek_position(_start_of(start_block, checkpoint)),
        )
        return cls(session, request.SerializeToString(), resume_after=_resume_after(checkpoint))

    @classmethod
    def parse(
        cls,
        session: Session,
        data: builtins.bytes,
        signature: builtins.bytes | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> ChaincodeEventsRequest:
        """The request whose `bytes` these are; `checkpoint` as given to the first, for it is not in the bytes."""
        signed = parse(wire.gateway.SignedChaincodeEventsRequest, data, "chaincode events request")
        parse(wire.gateway.ChaincodeEventsRequest, signed.request, "chaincode events request")
        signature = signed.signature if signature is None else signature
        return cls(session, signed.request, signature, _resume_after(checkpoint))

    @property
    def bytes(self) -> builtins.bytes:
        """The serialised `SignedChaincodeEventsRequest`, with the signature if there is one yet."""
        data: builtins.bytes = self._signed().SerializeToString()
        return data

    @property
    def digest(self) -> builtins.bytes:
        """What an offline signer signs."""
        return self._session.digest(self._request)

    def events(self, timeout: float | None = None) -> EventStream[ChaincodeEvent]:
        """Opens the stream; `timeout` in seconds limits its whole life. Raises `SigningError` without a signature."""
        if not self._signature:
            self._signature = self._session.sign(self._request)
        chaincode = wire.gateway.ChaincodeEventsRequest.FromString(self._request).chaincode_id
        call = self._session.calls.chaincode_events(self._signed(), timeout)
        return EventStream(call, lambda responses: chaincode_events(responses, chaincode, self._resume_after))

    def _signed(self) -> wire.Message:
        return wire.gateway.SignedChaincodeEventsRequest(request=self._request, signature=self._signature)


class BlockEventsRequest:
    """A request for blocks, filtered blocks, or blocks with private data."""

    __slots__ = ("_envelope", "_kind", "_session")

    def __init__(self, session: Session, kind: BlockKind, envelope: wire.Message) -> None:
        self._session = session
        self._kind = kind
        self._envelope = envelope

    @classmethod
    def build(
        cls,
        session: Session,
        kind: BlockKind,
        channel: str,
        start_block: int | None,
        stop_block: int | None,
        checkpoint: Checkpoint | None,
    ) -> BlockEventsRequest:
        """A request that begins at the checkpoint if it has one, else at `start_block`, else with the next block."""
        start = _start_of(start_block, checkpoint)
        if stop_block is not None and stop_block < (start or 0):
            raise ValueError(f"the last block, {stop_block}, comes before the first, {start or 0}")
        envelope = seek_envelope(
            session.identity,
            channel,
            start=start,
            stop=_NO_STOP if stop_block is None else stop_block,
            timestamp_ns=session.clock(),
            tls_cert_hash=session.tls_client_certificate_hash,
        )
        return cls(session, kind, envelope)

    @classmethod
    def newest(cls, session: Session, kind: BlockKind, channel: str) -> BlockEventsRequest:
        """A request for the last block that the peer holds."""
        envelope = newest_envelope(
            session.identity,
            channel,
            timestamp_ns=session.clock(),
            tls_cert_hash=session.tls_client_certificate_hash,
        )
        return cls(session, kind, envelope)

    @classmethod
    def parse(
        cls, session: Session, kind: BlockKind, data: builtins.bytes, signature: builtins.bytes | None = None
    ) -> BlockEventsRequest:
        """The request whose `bytes` these are, with another signature when one is given; raises `MalformedData`."""
        envelope = parse(wire.common.Envelope, data, "block events request")
        _seek_info(envelope)
        if signature is not None:
            envelope.signature = signature
        return cls(session, kind, envelope)

    @property
    def bytes(self) -> builtins.bytes:
        """The serialised `Envelope`, with the signature if there is one yet."""
        data: builtins.bytes = self._envelope.SerializeToString()
        return data

    @property
    def digest(self) -> builtins.bytes:
        """What an offline signer signs."""
        return self._session.digest(self._envelope.payload)

    def events(self, timeout: float | None = None, *, previous_hash: builtins.bytes | None = None) -> EventStream[Any]:
        """Opens the stream; `timeout` in seconds limits its whole life. Raises `SigningError` without a signature.

        With trust each block is checked to be intact and to follow on the one before it, the first one on the block
        with header hash `previous_hash` when that is given.
        """
        if not self._envelope.signature:
            self._envelope.signature = self._session.sign(self._envelope.payload)
        call = self._session.calls.deliver(self._kind.method, self._envelope, timeout)
        return EventStream(call, lambda responses: self._kind.decode(responses, self._checker(previous_hash)))

    def _checker(self, previous_hash: builtins.bytes | None) -> BlockChecker | None:
        trust = self._session.trust
        if trust is None:
            return None
        start = _seek_info(self._envelope).start
        first = start.specified.number if start.WhichOneof("Type") == "specified" else None
        return BlockChecker(trust.genesis_hash, first=first, previous_hash=previous_hash)


def _start_of(start_block: int | None, checkpoint: Checkpoint | None) -> int | None:
    """The block a stream begins with; None for the next one to be committed."""
    if start_block is not None and start_block < 0:
        raise ValueError(f"a block number is not negative: {start_block}")
    recorded = checkpoint.block_number if checkpoint is not None else None
    return start_block if recorded is None else recorded


def _resume_after(checkpoint: Checkpoint | None) -> tuple[int, str] | None:
    if checkpoint is None or checkpoint.block_number is None or not checkpoint.transaction_id:
        return None
    return checkpoint.block_number, checkpoint.transaction_id


def _seek_info(envelope: wire.Message) -> wire.Message:
    payload = parse(wire.common.Payload, envelope.payload, "block events request")
    return parse(wire.orderer.SeekInfo, payload.data, "block events request")
