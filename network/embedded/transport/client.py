# SPDX-License-Identifier: Apache-2.0
"""The client's side, as far as the node needs it: a connection, and bidirectional streams without deadlines on it."""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from network.embedded.transport.carrier import Carrier
from network.embedded.transport.connection import Connection
from network.embedded.transport.frames import Error
from network.embedded.transport.hpack import Headers
from network.embedded.transport.messages import (
    MAX_MESSAGE,
    MessageFault,
    MessageReader,
    call_headers,
    check_answer,
    framed,
    status_of,
)
from network.embedded.transport.streams import Stream
from network.embedded.transport.tls import split_target

__all__ = ["Channel", "StreamCall", "dial"]

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 1.0


class Channel:
    """One connection to a server."""

    def __init__(self, carrier: Carrier, scheme: str, authority: str) -> None:
        self._carrier = carrier
        self._scheme = scheme
        self._authority = authority

    def stream(
        self, path: str, encode: Callable[[Any], bytes], decode: Callable[[bytes], Any], *, limit: int = MAX_MESSAGE
    ) -> "StreamCall":
        """Begin a call that streams both ways."""
        return StreamCall(self._carrier, call_headers(self._scheme, self._authority, path), encode, decode, limit)

    def close(self) -> None:
        """Hang up; calls under way end."""
        self._carrier.close()


async def dial(target: str, tls: ssl.SSLContext | None) -> Channel:
    """Connect as soon as the server can be reached and speaks HTTP/2, trying again and again; never gives up."""
    host, port = split_target(target)
    pause = _FIRST_PAUSE_S
    while True:
        with suppress(OSError, TimeoutError):
            return await _connect(host, port, tls, target)
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_S)


async def _connect(host: str, port: int, tls: ssl.SSLContext | None, target: str) -> Channel:
    loop = asyncio.get_running_loop()
    name = host if tls is not None else None
    _, carrier = await loop.create_connection(lambda: Carrier(Connection(None)), host, port, ssl=tls,
                                              server_hostname=name)  # fmt: skip
    try:
        carrier.greeted = loop.create_future()
        await carrier.greeted
    except BaseException:
        carrier.transport.abort()
        raise
    return Channel(carrier, "http" if tls is None else "https", target)


class StreamCall:
    """A call that streams both ways. Messages are handed on as they arrive; what is sent never waits here."""

    def __init__(
        self, carrier: Carrier, block: bytes, encode: Callable[[Any], bytes], decode: Callable[[bytes], Any], limit: int
    ) -> None:
        self._carrier = carrier
        self._encode = encode
        self._decode = decode
        self._reader = MessageReader(limit)
        self._answered = False
        self._early: list[bytes] = []
        self._take: Callable[[Any], None] | None = None
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stream: Stream = carrier.connection.open(self, block)
        carrier.schedule()

    def send(self, message: Any) -> None:
        """Send a message, however much waits already; after the end it is dropped."""
        self._carrier.connection.send_data(self._stream, framed(self._encode(message)))
        self._carrier.schedule()

    async def pump(self, take: Callable[[Any], None]) -> None:
        """Hand every message to `take` until the server ends the call; what `take` raises is raised here.

        Raises ConnectionResetError when the call did not end with the status OK.
        """
        self._take = take
        early, self._early = self._early, []
        for data in early:
            self._messages(data)
        await asyncio.shield(self._ended)

    def cancel(self) -> None:
        """End the call."""
        self._carrier.connection.reset(self._stream, Error.CANCEL)
        self._carrier.schedule()
        self._finish(None)

    # -- the stream's receiver -------------------------------------------------------------------------------------

    def headers(self, headers: Headers, end: bool) -> None:
        """An answer begins or ends."""
        if not self._answered:
            if not end and dict(headers).get(b":status", b"").startswith(b"1"):
                return  # informational; the answer follows
            self._answered = True
            problem = check_answer(headers)
            if problem is not None:
                self._fail(ConnectionResetError(problem))
                return
        if end:
            code, text = status_of(headers) or (2, "the server ended the call without a status")
            self._finish(ConnectionResetError(f"status {code}: {text}") if code else None)

    def data(self, data: bytes, end: bool) -> None:
        """Messages came."""
        self._carrier.connection.credit(self._stream, len(data))
        if self._take is None:
            self._early.append(data)
        else:
            self._messages(data)
        if end:
            self._finish(ConnectionResetError("the server ended the call without a status"))

    def reset(self, code: int) -> None:
        """The server broke the call off, or is gone."""
        self._finish(ConnectionResetError(f"the call was broken off (code {code})"))

    def drained(self) -> None:
        """Nobody waits for that here."""

    def _messages(self, data: bytes) -> None:
        assert self._take is not None
        try:
            for message in self._reader.feed(data):
                if self._ended.done():
                    return
                self._take(self._decode(message))
        except MessageFault as fault:
            self._fail(ConnectionResetError(str(fault)))
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._carrier.connection.reset(self._stream, Error.CANCEL)
        self._carrier.schedule()
        self._finish(error)

    def _finish(self, error: Exception | None) -> None:
        if self._ended.done():
            return
        if error is None:
            self._ended.set_result(None)
        else:
            self._ended.set_exception(error)
            self._ended.exception()  # a call that nobody pumps any more may end as it likes
