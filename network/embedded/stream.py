# SPDX-License-Identifier: Apache-2.0
"""Drive one chaincode session over one gRPC stream: one reader, one writer, whichever side opened it."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from grpc import aio

from network.embedded.session import Session

__all__ = ["MAX_MESSAGE", "STREAM_OPTIONS", "Outbox", "drive"]

MAX_MESSAGE = 100 * 1024 * 1024
"""Bytes of one message, both ways (rules S-47, T-5)."""

STREAM_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_send_message_length", MAX_MESSAGE),
)


_BROKEN = (aio.AioRpcError, aio.UsageError, aio.InternalError, asyncio.InvalidStateError)
"""What grpc.aio raises when the other end is gone or the call was cancelled; not StreamViolation."""


class Duplex(Protocol):
    """What a served and a dialled stream of grpc.aio have in common."""

    def read(self) -> Awaitable[Any]:
        """The next message, or `grpc.aio.EOF`."""
        ...

    def write(self, message: Any) -> Awaitable[None]:
        """Send one message; one at a time."""
        ...


class Outbox:
    """Messages waiting for the one writer of a stream."""

    def __init__(self) -> None:
        self._waiting: deque[Any] = deque()
        self._wake = asyncio.Event()

    def put(self, message: Any) -> None:
        """Queue a message; never blocks."""
        self._waiting.append(message)
        self._wake.set()

    async def drain(self, write: Callable[[Any], Awaitable[None]]) -> None:
        """Write messages in order until cancelled."""
        while True:
            while self._waiting:
                await write(self._waiting.popleft())
            self._wake.clear()
            await self._wake.wait()


async def drive(session: Session, stream: Duplex, outbox: Outbox) -> None:
    """Run the session until the stream ends; every pending call has failed when this returns.

    Raises StreamViolation when the session ended it. A connection that breaks ends it like an orderly close.
    """
    writer = asyncio.create_task(outbox.drain(stream.write))
    reader = asyncio.create_task(_read(session, stream))
    try:
        await asyncio.wait((reader, writer), return_when=asyncio.FIRST_COMPLETED)
    finally:
        reader.cancel()
        writer.cancel()
        outcomes = await asyncio.gather(reader, writer, return_exceptions=True)
        session.close()
    for outcome in outcomes:
        if isinstance(outcome, Exception) and not isinstance(outcome, _BROKEN):
            raise outcome


async def _read(session: Session, stream: Duplex) -> None:
    while (message := await stream.read()) is not aio.EOF:
        session.receive(message)
