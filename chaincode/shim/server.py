# SPDX-License-Identifier: Apache-2.0
"""Runs a chaincode: as a service that peers connect to, or dialling its peer; until SIGTERM or the stream's end."""

import logging
import queue
import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import grpc

from chaincode.shim.clock import ClockGuard
from chaincode.shim.conversation import Carrier, Conversation, Outbox
from chaincode.shim.errors import SettingsError, StreamEnded
from chaincode.shim.execution import LARGEST_MESSAGE, Executor
from chaincode.shim.health import HealthEndpoint
from chaincode.shim.http2 import Stream
from chaincode.shim.listener import Listener
from chaincode.shim.router import Chaincode
from chaincode.shim.settings import Settings
from chaincode.shim.sockets import server_context
from chaincode.shim.workers import Workers

log = logging.getLogger("chaincode.shim")

_grpc: Any = grpc

Announce = Callable[[str], None]
"""Takes the one line that says that the process is ready, and where."""

_TOKEN_KEY = "chaincode-token"  # noqa: S105 - the name of the metadata
_FAREWELL = 2.0
"""How long, in seconds, a stream may take to carry its last answers once nothing runs any more."""

_CLIENT_OPTIONS = (
    ("grpc.max_receive_message_length", LARGEST_MESSAGE),
    ("grpc.max_send_message_length", LARGEST_MESSAGE),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
)


class _Runtime(ABC):
    """What both ways of running share: the workers, the conversations, health, and the order of stopping."""

    def __init__(self, chaincode: Chaincode, settings: Settings, guard: ClockGuard | None) -> None:
        self.settings = settings
        self._executor = Executor(
            chaincode, settings.local_msp_id, guard or ClockGuard(settings.clock_window), settings.batch_writes
        )
        self._workers = Workers(settings.workers)
        self._lock = threading.Lock()
        self._conversations: set[Conversation] = set()
        self._accepting = False
        self._health: HealthEndpoint | None = None

    def status(self) -> dict[str, Any]:
        """The facts that the health endpoint shows."""
        streams = sum(conversation.is_ready for conversation in self._snapshot())
        return {"ready": self._is_ready(streams), "streams": streams, "transactions": self._workers.pending}

    @abstractmethod
    def _is_ready(self, streams: int) -> bool:
        """Whether transactions can be taken now."""
        ...

    def _open(self, carrier: Carrier) -> Conversation:
        conversation = Conversation(self.settings.chaincode_id, self._executor, self._workers, carrier)
        with self._lock:
            self._conversations.add(conversation)
            if not self._accepting:
                conversation.drain()
        return conversation

    def _leave(self, conversation: Conversation) -> None:
        with self._lock:
            self._conversations.discard(conversation)

    def _drain(self) -> None:
        """Refuse new transactions, wait for the running ones, and end the streams behind their answers."""
        with self._lock:
            self._accepting = False
        for conversation in self._snapshot():
            conversation.drain()
        if not self._workers.wait_until_quiet(self.settings.drain_seconds):
            log.warning("%d transactions had not ended when the process stopped", self._workers.pending)
        for conversation in self._snapshot():
            conversation.end()

    def _snapshot(self) -> list[Conversation]:
        with self._lock:
            return list(self._conversations)

    def _open_health(self) -> str:
        """Start the health endpoint where one is asked for; what the ready line says of it."""
        if self.settings.health is None:
            return ""
        self._health = HealthEndpoint(self.settings.health, self.status)
        self._health.start()
        return f" health {self._health.address}"

    def _close(self) -> None:
        self._workers.close()
        if self._health is not None:
            self._health.stop()


class ChaincodeServer(_Runtime):
    """Serves `/protos.Chaincode/Connect`; every peer that connects has a conversation of its own."""

    def __init__(self, chaincode: Chaincode, settings: Settings, *, guard: ClockGuard | None = None) -> None:
        super().__init__(chaincode, settings, guard)
        if settings.listen is None:
            raise SettingsError("a chaincode server needs an address to listen on")
        paths = {"/protos.Chaincode/Connect": self._connect}
        try:
            context = None if settings.tls is None else server_context(settings.tls)
            self._listener = Listener(settings.listen, paths, LARGEST_MESSAGE, context)
        except OSError as error:
            raise SettingsError(f"cannot listen on {settings.listen}: {error.strerror or error}") from error
        self.address = self._listener.address

    def start(self) -> str:
        """Accept peers; the line that says where."""
        health = self._open_health()
        self._accepting = True
        self._listener.start()
        return f"ready {self.address}{health}"

    def stop(self) -> None:
        """Let running transactions end, then close everything."""
        self._drain()
        self._listener.stop(_FAREWELL)
        self._close()

    def _is_ready(self, streams: int) -> bool:
        return self._accepting

    def _connect(self, stream: Stream) -> "_Served":
        return _Served(self._open(stream), self._leave)


class _Served:
    """A conversation as the receiver of a stream."""

    def __init__(self, conversation: Conversation, leave: Callable[[Conversation], None]) -> None:
        self._conversation = conversation
        self._leave = leave
        self.receive = conversation.receive

    def end(self) -> None:
        self._leave(self._conversation)
        self._conversation.end()


class ChaincodeClient(_Runtime):
    """Dials `/protos.ChaincodeSupport/Register` at a peer and serves that one stream."""

    def __init__(self, chaincode: Chaincode, settings: Settings, *, guard: ClockGuard | None = None) -> None:
        super().__init__(chaincode, settings, guard)
        if settings.peer is None:
            raise SettingsError("a chaincode that dials needs the address of its peer")
        self._peer = settings.peer
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self._call: Any = None

    def start(self) -> str:
        """Open the health endpoint; the line that says which peer is dialled."""
        health = self._open_health()
        self._accepting = True
        return f"ready dialling {self._peer}{health}"

    def run(self) -> None:
        """Hold the conversation; returns after `stop`.

        Raises:
            StreamEnded: when the peer cannot be reached, refuses the registration or ends the stream.
            ProtocolError: when the peer breaks the protocol.
        """
        channel = self._channel()
        outbox = Outbox()
        conversation = self._open(outbox)
        register = channel.stream_stream("/protos.ChaincodeSupport/Register")
        with self._lock:
            token = self.settings.token
            self._call = register(iter(outbox), metadata=None if token is None else ((_TOKEN_KEY, token),))
            if self._stopping.is_set():
                self._call.cancel()
        try:
            conversation.consume(self._call)
        except _grpc.RpcError as error:
            if not self._stopping.is_set():
                raise StreamEnded(f"the stream to the peer ended: {error.code().name}") from error
        else:
            if not self._stopping.is_set():
                raise StreamEnded("the peer ended the stream")
        finally:
            self._leave(conversation)
            self._ended.set()
            channel.close()
            self._close()

    def stop(self) -> None:
        """Let running transactions end, then hang up."""
        self._stopping.set()
        self._drain()
        with self._lock:
            call = self._call
        # The peer ends the stream when it sees its end; one that does not is left.
        if call is not None and not self._ended.wait(_FAREWELL):
            call.cancel()

    def _is_ready(self, streams: int) -> bool:
        return self._accepting and streams > 0

    def _channel(self) -> Any:
        tls = self.settings.tls
        if tls is None:
            return _grpc.insecure_channel(self._peer, options=_CLIENT_OPTIONS)
        options: list[tuple[str, Any]] = [*_CLIENT_OPTIONS]
        if self.settings.tls_server_name is not None:
            options.append(("grpc.ssl_target_name_override", self.settings.tls_server_name))
        credentials = _grpc.ssl_channel_credentials(tls.roots, tls.key, tls.certificate)
        return _grpc.secure_channel(self._peer, credentials, options=options)


def _print(line: str) -> None:
    print(line, flush=True)


def serve(chaincode: Chaincode, settings: Settings, *, announce: Announce = _print) -> None:
    """Serve peers until SIGTERM or SIGINT, then let running transactions end. Call it from the main thread."""
    server = ChaincodeServer(chaincode, settings)
    told = _Told()
    announce(server.start())
    told.wait()
    server.stop()


def dial(chaincode: Chaincode, settings: Settings, *, announce: Announce = _print) -> None:
    """Serve the peer that `settings` names until SIGTERM or SIGINT. Call it from the main thread.

    Raises:
        StreamEnded: when the stream ends otherwise; the supervisor of the process starts it again.
    """
    client = ChaincodeClient(chaincode, settings)
    told = _Told()

    def stop() -> None:
        told.wait()
        client.stop()

    threading.Thread(target=stop, name="stop", daemon=True).start()
    announce(client.start())
    client.run()


class _Told:
    """Hears SIGTERM and SIGINT from now on.

    A handler interrupts the main thread anywhere, also where it holds the lock of an event that it waits for, so that
    setting an event there can wait for ever: it may only do what is safe to enter twice, and putting into this queue
    is. And a signal that the kernel gives to another thread does not wake the main thread, which alone runs handlers:
    it looks up once a second.
    """

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _frame: self._queue.put(number))

    def wait(self) -> None:
        """Return once a signal came."""
        while True:
            with suppress(queue.Empty):
                self._queue.get(timeout=1.0)
                return
