# SPDX-License-Identifier: Apache-2.0
"""One HTTP/2 connection as a state machine: bytes in, calls of its streams' receivers, bytes out (RFC 9113).

There is no socket and no clock here. The carrier of the bytes feeds `receive`, takes what gathers in `out`, reports
with `flushed` that it was taken, and sets `paused` while the socket does not keep up.
"""

from collections.abc import Callable

from network.embedded.transport.frames import (
    FRAME_LIMIT,
    Error,
    Fault,
    Flag,
    Frame,
    FrameReader,
    Kind,
    block_frames,
    check_size,
    frame,
    reset_frame,
    setting,
    settings,
    unpadded,
)
from network.embedded.transport.hpack import Decoder, Headers
from network.embedded.transport.streams import Receiver, Stream

__all__ = ["PREFACE", "STREAM_WINDOW", "Connection"]

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

STREAM_WINDOW = 1024 * 1024
"""Bytes that the other side may send on a stream before this side has asked for more."""

CONNECTION_WINDOW = 4 * 1024 * 1024
MOST_STREAMS = 4096
LARGEST_BLOCK = 64 * 1024
"""Bytes of one header block, encoded."""

_TURN = 256 * 1024
"""Bytes of data that are handed to the socket at once; what does not fit waits in its stream."""

_LARGEST_WINDOW = 2**31 - 1
_DEFAULT_WINDOW = 65_535
_DEFAULT_FRAME = 16_384


class Connection:
    """A client's or a server's end of a connection."""

    def __init__(self, accept: Callable[[Stream, Headers, bool], None] | None) -> None:
        """`accept` is given the streams that a client opens, with their headers; a client's end has None."""
        self._accept = accept
        self._frames = FrameReader()
        self._decoder = Decoder()
        self._streams: dict[int, Stream] = {}
        self._waiting: dict[int, Stream] = {}
        self._block: tuple[int, int, bytearray] | None = None
        self._preface = PREFACE if accept is not None else b""
        self._send_window = _DEFAULT_WINDOW
        self._peer_window = _DEFAULT_WINDOW
        self._peer_frame = _DEFAULT_FRAME
        self._peer_list: int | None = None
        self._received = 0
        self._last_id = 0
        self._next_id = 1
        self._turn = _TURN
        self.paused = False
        self.ready = False
        """The other side's SETTINGS came."""
        self.going_away = False
        """No new stream is accepted, by one side's wish or the other's."""
        self.out: list[bytes] = [] if accept is not None else [PREFACE]
        offered = setting(4, STREAM_WINDOW) + setting(5, FRAME_LIMIT)
        offered += setting(3, MOST_STREAMS) if accept is not None else setting(2, 0)
        self.out.append(frame(Kind.SETTINGS, 0, 0, offered))
        self._grant(0, CONNECTION_WINDOW - _DEFAULT_WINDOW)

    @property
    def streams(self) -> list[Stream]:
        """The open streams."""
        return list(self._streams.values())

    # -- receiving -------------------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Take bytes from the other side; raises Fault, after which the connection is to be closed."""
        if self._preface:
            expected, got = self._preface, data[: len(self._preface)]
            if not expected.startswith(got):
                raise Fault(Error.PROTOCOL_ERROR, "this is not HTTP/2")
            self._preface, data = expected[len(got) :], data[len(got) :]
        for one in self._frames.feed(data):
            if self._block is not None and (one.kind != Kind.CONTINUATION or one.stream_id != self._block[0]):
                raise Fault(Error.PROTOCOL_ERROR, "a header block is interrupted")
            if not self.ready and one.kind != Kind.SETTINGS:
                raise Fault(Error.PROTOCOL_ERROR, "the first frame is not SETTINGS")
            handle = _HANDLERS.get(one.kind)
            if handle is not None:  # frames of types unknown are to be ignored
                handle(self, one)

    def lost(self) -> None:
        """The connection is gone: end all streams."""
        self.going_away = True
        for stream in self.streams:
            self._reset(stream, Error.CANCEL)

    def credit(self, stream: Stream, size: int) -> None:
        """Data of a stream was used up, so that the other side may send more."""
        stream.taken += size
        if stream.taken >= STREAM_WINDOW // 2 and not stream.ended:
            stream.received -= stream.taken
            self._grant(stream.id, stream.taken)
            stream.taken = 0

    def _grant(self, stream_id: int, size: int) -> None:
        self.out.append(frame(Kind.WINDOW_UPDATE, 0, stream_id, size.to_bytes(4, "big")))

    def _data(self, one: Frame) -> None:
        size = len(one.payload)
        self._received += size
        if self._received > CONNECTION_WINDOW:
            raise Fault(Error.FLOW_CONTROL_ERROR, "more data than the connection's window holds")
        if self._received >= CONNECTION_WINDOW // 2:
            self._grant(0, self._received)
            self._received = 0
        stream = self._streams.get(one.stream_id)
        if stream is None or stream.ended:
            self._check_past(one.stream_id)
            return
        stream.received += size
        if stream.received > STREAM_WINDOW:
            raise Fault(Error.FLOW_CONTROL_ERROR, "more data than the stream's window holds")
        data = unpadded(one.flags, one.payload)
        if len(data) < size:
            self.credit(stream, size - len(data))
        ended = stream.ended = bool(one.flags & Flag.END_STREAM)
        stream.receiver.data(data, ended)
        self._forget_done(stream)

    def _headers(self, one: Frame) -> None:
        payload = unpadded(one.flags, one.payload)
        if one.flags & Flag.PRIORITY:
            if len(payload) < 5:
                raise Fault(Error.FRAME_SIZE_ERROR, "a HEADERS frame without its priority")
            payload = payload[5:]
        if one.flags & Flag.END_HEADERS:
            self._take_headers(one.stream_id, bool(one.flags & Flag.END_STREAM), payload)
        else:
            self._block = (one.stream_id, one.flags, bytearray(payload))

    def _continuation(self, one: Frame) -> None:
        if self._block is None:
            raise Fault(Error.PROTOCOL_ERROR, "a continuation of nothing")
        stream_id, flags, block = self._block
        block += one.payload
        if len(block) > LARGEST_BLOCK or not one.payload:
            raise Fault(Error.ENHANCE_YOUR_CALM, "an endless header block")
        if one.flags & Flag.END_HEADERS:
            self._block = None
            self._take_headers(stream_id, bool(flags & Flag.END_STREAM), bytes(block))

    def _take_headers(self, stream_id: int, end: bool, block: bytes) -> None:
        headers = self._decoder.decode(block)  # also of streams that are gone: the table is the connection's
        stream = self._streams.get(stream_id)
        if stream is not None and not stream.ended:
            stream.ended = end
            stream.receiver.headers(headers, end)
            self._forget_done(stream)
        elif stream_id > self._last_id and self._accept is not None and stream_id % 2:
            self._last_id = stream_id
            if self.going_away:
                return  # GOAWAY said so: the client tries it elsewhere
            if len(self._streams) >= MOST_STREAMS:
                self.out.append(reset_frame(stream_id, Error.REFUSED_STREAM))
                return
            stream = self._streams[stream_id] = Stream(stream_id, self._peer_window)
            stream.ended = end
            self._accept(stream, headers, end)
            self._forget_done(stream)
        else:
            self._check_past(stream_id)

    def _check_past(self, stream_id: int) -> None:
        """A stream that is closed here may still be spoken of by the other side; one that never was may not."""
        last = self._last_id if self._accept is not None else self._next_id - 2
        if stream_id == 0 or stream_id > last or stream_id % 2 == 0:
            raise Fault(Error.PROTOCOL_ERROR, f"a frame of stream {stream_id}, which is not open")

    def _rst_stream(self, one: Frame) -> None:
        check_size(one, 4)
        stream = self._streams.get(one.stream_id)
        if stream is None:
            self._check_past(one.stream_id)
        else:
            self._reset(stream, int.from_bytes(one.payload, "big"))

    def _settings(self, one: Frame) -> None:
        if one.stream_id:
            raise Fault(Error.PROTOCOL_ERROR, "SETTINGS of a stream")
        if one.flags & Flag.ACK:
            return
        for identifier, value in settings(one.payload):
            if identifier == 4:
                self._set_window(value)
            elif identifier == 5:
                if not _DEFAULT_FRAME <= value < 1 << 24:
                    raise Fault(Error.PROTOCOL_ERROR, "a frame size out of bounds")
                # Larger frames would only hold up the other streams, and fill the socket's buffer in one go.
                self._peer_frame = min(value, FRAME_LIMIT)
            elif identifier == 6:
                self._peer_list = value
        self.ready = True
        self.out.append(frame(Kind.SETTINGS, Flag.ACK, 0))
        self.pump()

    def _set_window(self, value: int) -> None:
        if value > _LARGEST_WINDOW:
            raise Fault(Error.FLOW_CONTROL_ERROR, "a window out of bounds")
        for stream in self._streams.values():
            stream.send_window += value - self._peer_window
        self._peer_window = value

    def _ping(self, one: Frame) -> None:
        check_size(one, 8)
        if not one.flags & Flag.ACK:
            self.out.append(frame(Kind.PING, Flag.ACK, 0, one.payload))

    def _goaway(self, one: Frame) -> None:
        self.going_away = True
        if self._accept is None:
            last = int.from_bytes(one.payload[:4], "big") & 0x7FFFFFFF
            for stream in self.streams:
                if stream.id > last:
                    self._reset(stream, Error.REFUSED_STREAM)

    def _window_update(self, one: Frame) -> None:
        check_size(one, 4)
        size = int.from_bytes(one.payload, "big") & _LARGEST_WINDOW
        if one.stream_id == 0:
            self._send_window += size
            window = self._send_window
        else:
            stream = self._streams.get(one.stream_id)
            if stream is None:
                self._check_past(one.stream_id)
                return
            stream.send_window += size
            window = stream.send_window
        if size == 0 or window > _LARGEST_WINDOW:
            raise Fault(Error.FLOW_CONTROL_ERROR, "a window update out of bounds")
        self.pump()

    def _push_promise(self, one: Frame) -> None:
        raise Fault(Error.PROTOCOL_ERROR, f"a push was not asked for on stream {one.stream_id}")

    # -- sending ---------------------------------------------------------------------------------------------------

    def open(self, receiver: Receiver, block: bytes) -> Stream:
        """Open a stream with this header block, as a client."""
        stream = Stream(self._next_id, self._peer_window)
        stream.receiver = receiver
        self._next_id += 2
        self._streams[stream.id] = stream
        self.out += block_frames(stream.id, 0, block, self._peer_frame)
        return stream

    def send_headers(self, stream: Stream, block: bytes) -> None:
        """Send headers; before any data."""
        if not stream.closed:
            self.out += block_frames(stream.id, 0, block, self._peer_frame)

    def takes(self, headers: Headers) -> bool:
        """Whether the other side takes so long a list of headers (SETTINGS_MAX_HEADER_LIST_SIZE)."""
        return self._peer_list is None or sum(len(name) + len(value) + 32 for name, value in headers) <= self._peer_list

    def send_data(self, stream: Stream, data: bytes) -> None:
        """Send data as soon as the windows and the socket allow."""
        size = len(data)
        if stream.closed or stream.finished:
            return
        if not stream.waiting and not self.paused and self._turn > 0 and size <= self._room(stream):
            self._emit(stream, data)
        else:
            stream.waiting.append((Kind.DATA, memoryview(data)))  # cut up without being copied
            self._waiting[stream.id] = stream
            self.pump()

    def end(self, stream: Stream, block: bytes | None = None) -> None:
        """Send nothing more, after these trailers if there are any."""
        if stream.closed or stream.finished:
            return
        stream.finished = True
        last = (Kind.DATA, b"") if block is None else (Kind.HEADERS, block)
        if stream.waiting:
            stream.waiting.append(last)
        else:
            self._emit_end(stream, *last)

    def reset(self, stream: Stream, code: Error) -> None:
        """End a stream at once; its receiver hears nothing more."""
        if not stream.closed:
            self.out.append(reset_frame(stream.id, code))
            self._close(stream)

    def go_away(self, code: Error = Error.NO_ERROR, text: str = "") -> None:
        """Announce that no new stream is accepted, and why."""
        self.going_away = True
        last = self._last_id.to_bytes(4, "big") + int(code).to_bytes(4, "big")
        self.out.append(frame(Kind.GOAWAY, 0, 0, last + text.encode()))

    def flushed(self) -> None:
        """What was in `out` has been handed on."""
        self._turn = _TURN
        if self._waiting:
            self.pump()

    def pump(self) -> None:
        """Send what waited as far as is allowed now, each stream in its turn."""
        while self._waiting and not self.paused and self._turn > 0 and self._send_window > 0:
            before = self._turn
            for stream in list(self._waiting.values()):
                self._send_waiting(stream)
            if self._turn == before:
                return

    def _send_waiting(self, stream: Stream) -> None:
        """One frame's worth of what waits in a stream, and its end if that is reached."""
        kind, data = stream.waiting[0]
        if kind == Kind.DATA and data:
            room = self._room(stream)
            if room <= 0 or self._turn <= 0:
                return
            self._emit(stream, data[:room])
            if room < len(data):
                stream.waiting[0] = (kind, data[room:])
                return
            del stream.waiting[0]
        if stream.waiting and not (stream.waiting[0][0] == Kind.DATA and stream.waiting[0][1]):
            self._emit_end(stream, *stream.waiting.pop(0))
        if not stream.waiting:
            self._waiting.pop(stream.id, None)
            stream.receiver.drained()

    def _room(self, stream: Stream) -> int:
        return min(self._peer_frame, self._send_window, stream.send_window)

    def _emit(self, stream: Stream, data: bytes | memoryview) -> None:
        size = len(data)
        self._send_window -= size
        stream.send_window -= size
        self._turn -= size
        self.out.append(frame(Kind.DATA, 0, stream.id, data))

    def _emit_end(self, stream: Stream, kind: int, payload: bytes | memoryview) -> None:
        if kind == Kind.HEADERS:
            self.out += block_frames(stream.id, Flag.END_STREAM, payload, self._peer_frame)
        else:
            self.out.append(frame(kind, Flag.END_STREAM, stream.id, payload))
        if not stream.ended and self._accept is not None:
            # The answer is complete, whatever the client still wanted to say.
            self.out.append(reset_frame(stream.id, Error.NO_ERROR))
            stream.ended = True
        self._forget_done(stream)

    def _forget_done(self, stream: Stream) -> None:
        if stream.ended and stream.finished and not stream.waiting:
            self._close(stream)

    def _reset(self, stream: Stream, code: int) -> None:
        if not stream.closed:
            self._close(stream)
            stream.receiver.reset(code)

    def _close(self, stream: Stream) -> None:
        stream.closed = True
        stream.waiting.clear()
        self._streams.pop(stream.id, None)
        self._waiting.pop(stream.id, None)


_HANDLERS: dict[int, Callable[[Connection, Frame], None]] = {
    Kind.DATA: Connection._data,
    Kind.HEADERS: Connection._headers,
    Kind.RST_STREAM: Connection._rst_stream,
    Kind.SETTINGS: Connection._settings,
    Kind.PUSH_PROMISE: Connection._push_promise,
    Kind.PING: Connection._ping,
    Kind.GOAWAY: Connection._goaway,
    Kind.WINDOW_UPDATE: Connection._window_update,
    Kind.CONTINUATION: Connection._continuation,
}
