# SPDX-License-Identifier: Apache-2.0
"""A gRPC server on asyncio; generated code registers its services with it as it does with one of `grpc.aio`."""

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import grpc

from network.embedded import CONNECTIONS_PER_ADDRESS
from network.embedded.transport.calls import Call, Deadlines, Method
from network.embedded.transport.carrier import Carrier
from network.embedded.transport.connection import Connection
from network.embedded.transport.crowd import Crowd, Guest, address_of
from network.embedded.transport.frames import Error
from network.embedded.transport.hpack import Headers
from network.embedded.transport.messages import MAX_MESSAGE, timeout_of
from network.embedded.transport.refusing import refuse, refuse_http, reset
from network.embedded.transport.streams import Stream
from network.embedded.transport.tls import split_target

__all__ = ["Server"]

log = logging.getLogger(__name__)

_LARGEST_HEADERS = 16 * 1024
_HANDSHAKE_S = 10.0
_FAREWELL_S = 0.25
_BACKLOG = 512
_REMEMBERED = 256
_NO_DESCRIPTOR_PAUSE_S = 0.1


class Server:
    """Serves calls on all addresses that were bound. Belongs to one event loop.

    `crowd` bounds the connections of each client's address; several servers may share it.
    """

    def __init__(self, *, max_message: int = MAX_MESSAGE, crowd: Crowd | None = None) -> None:
        self._limit = max_message
        self._crowd = crowd or Crowd(CONNECTIONS_PER_ADDRESS)
        self._methods: dict[bytes, Method] = {}
        self._bound: list[tuple[socket.socket, ssl.SSLContext | None]] = []
        self._listening: list[asyncio.Task[None]] = []
        self._guests: set[Guest] = set()
        """All connections that were accepted, those included that have not agreed on TLS yet."""
        self._carriers: set[Carrier] = set()
        self._deadlines = Deadlines()
        self._known: dict[Headers, tuple[Method | None, float | None]] = {}
        """What headers seen before ask for: the calls of one client mostly look alike."""

    # -- generated code calls these --------------------------------------------------------------------------------

    def add_generic_rpc_handlers(self, handlers: Iterable[Any]) -> None:
        """Nothing: generated code registers the same methods by name as well."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Serve these methods."""
        for name, handler in handlers.items():
            self._methods[f"/{service}/{name}".encode()] = Method(handler)

    # -- life ------------------------------------------------------------------------------------------------------

    def bind(self, address: str, tls: ssl.SSLContext | None) -> int:
        """Take an address before the start and answer its port; raises OSError."""
        host, port = split_target(address)
        chosen = 0
        absent: OSError | None = None
        for family, _, _, _, place in socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            try:
                bound = socket.create_server((place[0], chosen or port), family=family, backlog=_BACKLOG)
            except OSError as error:
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                absent = error  # a name may stand for addresses that this machine has not, such as ::1
                continue
            # Accepted connections inherit it; asyncio leaves it off, and a block would wait for an acknowledgement.
            bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            bound.setblocking(False)
            self._bound.append((bound, tls))
            chosen = int(bound.getsockname()[1])
        if not chosen:
            raise absent or OSError(f"{address} stands for no address")
        return chosen

    async def start(self) -> None:
        """Accept connections."""
        loop = asyncio.get_running_loop()
        self._listening += [loop.create_task(self._listen(bound, tls)) for bound, tls in self._bound]

    async def _listen(self, bound: socket.socket, tls: ssl.SSLContext | None) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, place = await loop.sock_accept(bound)
            except OSError as error:  # the client is gone again, or the process has no descriptor left
                log.warning("a connection was not accepted: %s", error)
                await asyncio.sleep(_NO_DESCRIPTOR_PAUSE_S)
                continue
            guest = self._guest(address_of(place))
            if self._crowd.admit(guest):
                self._guests.add(guest)
                guest.task = loop.create_task(self._meet(guest, sock, tls))
            else:
                sock.close()

    async def _meet(self, guest: Guest, sock: socket.socket, tls: ssl.SSLContext | None) -> None:
        handshake = None if tls is None else _HANDSHAKE_S
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: guest.carrier, sock, ssl=tls, ssl_handshake_timeout=handshake
            )
        except OSError as error:  # `ssl.SSLError` is one, and so is a client that is too slow or gone
            log.debug("a client did not agree on TLS: %s", error)
        finally:
            if guest.carrier.transport is None:
                sock.close()
                self._lose(guest)

    def _lose(self, guest: Guest) -> None:
        self._crowd.leave(guest)
        self._guests.discard(guest)

    async def stop(self, grace: float) -> None:
        """Take no new calls, let the running ones end for `grace` seconds, then end them."""
        await self._listen_no_more()
        for carrier in list(self._carriers):
            carrier.connection.go_away()
            carrier.flush()
        await self._wait_for_calls(grace)
        for carrier in self._carriers:
            for stream in carrier.connection.streams:
                if isinstance(stream.receiver, Call):
                    stream.receiver.cancel()
        await self._wait_for_calls(1.0)
        await self._hang_up()

    async def _listen_no_more(self) -> None:
        ended, self._listening = self._listening, []
        for task in ended:
            task.cancel()
        await asyncio.gather(*ended, return_exceptions=True)
        for bound, _ in self._bound:
            bound.close()
        for guest in self._guests:
            if guest.carrier.transport is None:
                guest.end()

    async def _wait_for_calls(self, seconds: float) -> None:
        running = self._running()
        if running:
            await asyncio.wait(running, timeout=seconds)

    async def _hang_up(self) -> None:
        for carrier in list(self._carriers):
            carrier.close()
        if not await self._emptied(_FAREWELL_S):
            for carrier in list(self._carriers):  # TLS waits for a farewell that some clients never send
                carrier.transport.abort()
            await self._emptied(_FAREWELL_S)

    async def _emptied(self, seconds: float) -> bool:
        """Wait until every connection is closed, but no longer than `seconds`."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + seconds
        while self._carriers and loop.time() < give_up:
            await asyncio.sleep(0.002)
        return not self._carriers

    def _running(self) -> list[asyncio.Task[None]]:
        receivers = [stream.receiver for carrier in self._carriers for stream in carrier.connection.streams]
        tasks = [receiver.task for receiver in receivers if isinstance(receiver, Call)]
        return [task for task in tasks if task is not None and not task.done()]

    def _guest(self, address: str) -> Guest:
        def accept(stream: Stream, headers: Headers, end: bool) -> None:
            self._accept(carrier, stream, headers, end)

        def ended(_carrier: Carrier) -> None:
            self._carriers.discard(carrier)
            self._lose(guest)

        carrier = Carrier(Connection(accept), self._carriers.add, ended)
        guest = Guest(address, carrier)
        return guest

    def _accept(self, carrier: Carrier, stream: Stream, headers: Headers, end: bool) -> None:
        known = self._known.get(headers)
        if known is None:
            refusal = _refusal(headers)
            if refusal is not None:
                refusal(carrier, stream)
                return
            found = dict(headers)
            timeout = found.get(b"grpc-timeout")
            known = (self._methods.get(found[b":path"]), None if timeout is None else timeout_of(timeout))
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[headers] = known
        method, timeout_s = known
        if method is None:
            refuse(carrier, stream, grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
            return
        call = Call(carrier, stream, method, timeout_s, self._limit, self._deadlines)
        call.request_headers = headers
        stream.receiver = call
        if end:
            call.data(b"", True)


def _refusal(headers: Headers) -> Callable[[Carrier, Stream], None] | None:
    """How to answer what is not a gRPC call; None for a call."""
    found = dict(headers)
    if b":path" not in found or b":method" not in found:
        return partial(reset, code=Error.PROTOCOL_ERROR)
    if found[b":method"] != b"POST":
        return partial(refuse_http, status=405)
    if not found.get(b"content-type", b"").startswith(b"application/grpc"):
        return partial(refuse_http, status=415)
    if sum(len(name) + len(value) + 32 for name, value in headers) > _LARGEST_HEADERS:
        text = "received metadata size exceeds hard limit"
        return partial(refuse, code=grpc.StatusCode.RESOURCE_EXHAUSTED, text=text)
    return None
