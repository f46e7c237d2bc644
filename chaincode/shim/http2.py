# SPDX-License-Identifier: Apache-2.0
"""Serves one bidirectional gRPC method over HTTP/2: one thread reads each connection, any may write to it.

A general gRPC server hands every message through its core, its poller and a pool of threads. A chaincode has a handful
of peers that hold one stream each for days, so a message goes straight from the socket to the session, and an answer
from the thread that made it to the socket. Framing and flow control are the library h2's (RFC 9113); the five bytes
before each message and the trailers behind the last are gRPC's ("gRPC over HTTP/2").
"""

import logging
import struct
import threading
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol
from urllib.parse import quote

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from chaincode.shim.errors import ProtocolError
from chaincode.shim.sockets import Wire

log = logging.getLogger("chaincode.shim")

OK, RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL = 0, 8, 12, 13
"""Status codes of gRPC."""

_PREFIX = struct.Struct(">BI")
_WINDOW = 16 * 1024 * 1024
"""What a peer may send before it hears that it was taken, in bytes; messages are handed on at once."""
_STREAMS_PER_CONNECTION = 8
_HANDSHAKE_SECONDS = 10.0
_RESPONSE = ((":status", "200"), ("content-type", "application/grpc"), ("grpc-accept-encoding", "identity"))


class Receiver(Protocol):
    """What takes a stream's messages; called by one thread, in the stream's order."""

    def receive(self, message: bytes) -> None:
        """Take one message; a `ProtocolError` ends the stream."""
        ...

    def end(self) -> None:
        """Hear that no message will come any more; called once."""
        ...


class Refused(Exception):
    """A stream cannot go on; `status` and `text` become its trailers."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Messages:
    """Cuts a stream's bytes into gRPC messages; `limit` is the largest that is taken, in bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are whole now.

        Raises:
            Refused: for a compressed message, and for one over the limit as soon as its length is known.
        """
        buffer = self._buffer
        buffer += data
        found: list[bytes] = []
        start = 0
        while len(buffer) - start >= _PREFIX.size:
            compressed, length = _PREFIX.unpack_from(buffer, start)
            if compressed:
                raise Refused(UNIMPLEMENTED, "compressed messages are not taken")
            if length > self._limit:
                raise Refused(RESOURCE_EXHAUSTED, f"a message of {length} bytes is over the limit of {self._limit}")
            end = start + _PREFIX.size + length
            if end > len(buffer):
                break
            found.append(bytes(buffer[start + _PREFIX.size : end]))
            start = end
        del buffer[:start]
        return found


class Stream:
    """One call in progress; may be used by any thread."""

    def __init__(self, connection: "Connection", number: int, limit: int) -> None:
        self._connection = connection
        self.number = number
        self.messages = Messages(limit)
        self.pending: deque[memoryview] = deque()
        self.trailers: list[tuple[str, str]] | None = None
        self.receiver: Receiver | None = None

    def send(self, message: bytes) -> None:
        """Send a message; one for a stream that is over is dropped."""
        self._connection.send(self, _PREFIX.pack(0, len(message)) + message)

    def finish(self) -> None:
        """End the stream behind what was sent, with status OK; once is enough."""
        self._connection.finish(self, OK, "")

    # The rest is called by the thread that reads the connection.

    def open(self, accept: "Accept") -> None:
        """Have somebody take the stream."""
        self.receiver = accept(self)

    def deliver(self, message: bytes) -> None:
        """Hand a message on, unless the receiver has heard of the end."""
        if self.receiver is None:
            return
        try:
            self.receiver.receive(message)
        except ProtocolError as error:
            log.error("a peer's stream is given up: %s", error)
            self._connection.finish(self, INTERNAL, str(error))
            self.end()

    def end(self) -> None:
        """Tell the receiver once that nothing will come any more."""
        receiver, self.receiver = self.receiver, None
        if receiver is not None:
            receiver.end()


Accept = Callable[[Stream], Receiver]
"""Takes a new stream; may send on it at once."""


class Connection:
    """One peer's connection: its streams, and the one lock that guards the protocol's state."""

    def __init__(self, wire: Wire, paths: Mapping[str, Accept], limit: int) -> None:
        self._wire = wire
        self._paths = paths
        self._limit = limit
        self._lock = threading.Lock()
        self._is_sending = False
        self._streams: dict[int, Stream] = {}
        configuration = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        self._http = h2.connection.H2Connection(configuration)
        self._http.local_settings = h2.settings.Settings(
            client=False,
            initial_values={
                h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: _WINDOW,
                h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: _STREAMS_PER_CONNECTION,
                h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: 65536,
            },
        )

    def run(self) -> None:
        """Serve until the peer goes away or `close` is called; never raises."""
        try:
            self._wire.handshake(_HANDSHAKE_SECONDS)
            with self._lock:
                self._http.initiate_connection()
                self._http.increment_flow_control_window(_WINDOW)
            self._flush()
            self._read()
        except (OSError, h2.exceptions.ProtocolError) as error:
            log.info("a peer's connection ended: %s", error)
        except Exception:
            log.exception("a peer's connection is given up")
        finally:
            self._flush()  # what tells the peer why
            self.close()
            with self._lock:
                ended, self._streams = list(self._streams.values()), {}
            for stream in ended:
                stream.end()

    def send(self, stream: Stream, data: bytes) -> None:
        """Send the bytes of one message as far as the peer's windows allow, the rest when it opens them."""
        with self._lock:
            if stream.number not in self._streams or stream.trailers is not None:
                return
            stream.pending.append(memoryview(data))
            self._advance(stream)
        self._flush()

    def finish(self, stream: Stream, status: int, text: str) -> None:
        """Queue a stream's trailers behind its messages."""
        with self._lock:
            if stream.number not in self._streams or stream.trailers is not None:
                return
            stream.trailers = _trailers(status, text)
            self._advance(stream)
        self._flush()

    @property
    def is_quiet(self) -> bool:
        """Whether no stream is open and all was sent."""
        with self._lock:
            return not self._streams and not self._is_sending

    def close(self) -> None:
        """End the connection; `run` returns soon after."""
        self._wire.close()

    def _read(self) -> None:
        while data := self._wire.receive():
            work: list[Callable[[], None]] = []
            with self._lock:
                for event in self._http.receive_data(data):
                    self._on(event, work)
            # Outside the lock: the receiver of a message may answer it at once.
            for each in work:
                each()
            self._flush()

    def _on(self, event: Any, work: list[Callable[[], None]]) -> None:
        """Bring the streams up to date with one event, the lock held; what is to be done without it joins `work`."""
        if isinstance(event, h2.events.DataReceived):
            # What a stream that is over still receives counts against the connection's window all the same.
            self._http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            stream = self._streams.get(event.stream_id)
            if stream is not None and stream.trailers is None:
                self._take(stream, event.data, work)
        elif isinstance(event, h2.events.RequestReceived):
            self._open(event, work)
        elif isinstance(event, h2.events.WindowUpdated | h2.events.RemoteSettingsChanged):
            for stream in list(self._streams.values()):
                self._pump(stream)
        else:
            self._on_end(event, work)

    def _on_end(self, event: Any, work: list[Callable[[], None]]) -> None:
        if isinstance(event, h2.events.StreamEnded):
            if (stream := self._streams.get(event.stream_id)) is not None:
                work.append(stream.end)
        elif isinstance(event, h2.events.StreamReset):
            stream = self._streams.pop(event.stream_id, None)
            work.extend([stream.end] if stream is not None else [])
        elif isinstance(event, h2.events.ConnectionTerminated):
            if event.error_code != h2.errors.ErrorCodes.NO_ERROR:
                log.info("a peer ended its connection with %s", event.error_code)
            work.extend(stream.end for stream in self._streams.values())
            self._streams.clear()

    def _take(self, stream: Stream, data: bytes, work: list[Callable[[], None]]) -> None:
        try:
            work.extend(partial(stream.deliver, message) for message in stream.messages.feed(data))
        except Refused as refusal:
            log.error("a peer's stream is given up: %s", refusal)
            stream.trailers = _trailers(refusal.status, str(refusal))
            self._pump(stream)
            work.append(stream.end)

    def _open(self, event: Any, work: list[Callable[[], None]]) -> None:
        number, headers = event.stream_id, dict(event.headers)
        if headers.get(":method") != "POST" or not headers.get("content-type", "").startswith("application/grpc"):
            self._http.send_headers(number, [(":status", "415")], end_stream=True)
            return
        accept = self._paths.get(headers[":path"])
        if accept is None or headers.get("grpc-encoding", "identity") != "identity":
            text = "unknown method" if accept is None else "compressed messages are not taken"
            self._http.send_headers(number, [*_RESPONSE, *_trailers(UNIMPLEMENTED, text)], end_stream=True)
            return
        self._http.send_headers(number, _RESPONSE)
        stream = self._streams[number] = Stream(self, number, self._limit)
        work.append(partial(stream.open, accept))

    def _advance(self, stream: Stream) -> None:
        """Frame what can be framed, for a thread that cannot be held to account for a broken connection."""
        try:
            self._pump(stream)
        except h2.exceptions.ProtocolError as error:
            # The connection is over and the reading thread is about to tell the streams.
            log.info("a message was dropped: %s", error)

    def _pump(self, stream: Stream) -> None:
        """Frame what the windows allow; the lock is held."""
        http, number = self._http, stream.number
        while stream.pending:
            room = min(http.local_flow_control_window(number), http.max_outbound_frame_size)
            if room <= 0:
                return
            data = stream.pending[0]
            if len(data) <= room:
                http.send_data(number, bytes(data))
                stream.pending.popleft()
            else:
                http.send_data(number, bytes(data[:room]))
                stream.pending[0] = data[room:]
        if stream.trailers is not None:
            http.send_headers(number, stream.trailers, end_stream=True)
            del self._streams[number]

    def _flush(self) -> None:
        """Send what is framed. One thread sends at a time; what others frame meanwhile, it sends too."""
        with self._lock:
            if self._is_sending:
                return
            self._is_sending = True
        try:
            while data := self._next():
                self._wire.send(data)
        except OSError:  # from the socket, or from TLS when it seals
            self.close()  # the reading thread sees the end and tidies up
            with self._lock:
                self._is_sending = False

    def _next(self) -> bytes:
        """What is to be sent now; when that is nothing, the next thread that frames something sends it."""
        with self._lock:
            data = self._wire.seal(self._http.data_to_send())
            self._is_sending = bool(data)
            return data


def _trailers(status: int, text: str) -> list[tuple[str, str]]:
    """How a call ended; the text is percent-encoded, as gRPC wants it."""
    return [("grpc-status", str(status))] + ([("grpc-message", quote(text, safe=" :,;()/'"))] if text else [])
