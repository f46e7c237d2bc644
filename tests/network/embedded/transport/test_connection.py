# SPDX-License-Identifier: Apache-2.0
"""Two ends of a connection without sockets: flow control both ways, and whatever a stranger may send."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from network.embedded.transport.connection import CONNECTION_WINDOW, PREFACE, STREAM_WINDOW, Connection
from network.embedded.transport.frames import Error, Fault, Flag, FrameReader, Kind, frame, setting
from network.embedded.transport.hpack import encode

HEAD = encode([(b":method", b"POST"), (b":path", b"/s/m")])
TAIL = encode([(b"grpc-status", b"0")])
GREETING = PREFACE + frame(Kind.SETTINGS, 0, 0)


class Heard:
    """A receiver that uses up what it takes when it is told to."""

    def __init__(self, connection, *, eager=True):
        self.connection, self.eager = connection, eager
        self.stream = None
        self.blocks, self.got, self.ended, self.broken, self.dry = [], bytearray(), False, None, 0

    def headers(self, headers, end):
        self.blocks.append(headers)
        self.ended |= end

    def data(self, data, end):
        self.got += data
        self.ended |= end
        if self.eager:
            self.connection.credit(self.stream, len(data))

    def reset(self, code):
        self.broken = code

    def drained(self):
        self.dry += 1


class Server:
    """A server's end that hears every stream."""

    def __init__(self, *, eager=True):
        self.heard = {}
        self.eager = eager
        self.connection = Connection(self._accept)

    def _accept(self, stream, headers, end):
        heard = self.heard[stream.id] = Heard(self.connection, eager=self.eager)
        heard.stream = stream
        heard.headers(headers, end)
        stream.receiver = heard


def taken(connection):
    data = b"".join(connection.out)
    connection.out.clear()
    connection.flushed()
    return data


def exchange(a, b, *, cut=None):
    """Carry bytes to and fro until both are silent."""
    for _ in range(100_000):
        there, back = taken(a), taken(b)
        if not there and not back:
            return
        for data, end in ((there, b), (back, a)):
            for start in range(0, len(data), cut or len(data) or 1):
                end.receive(data[start : start + (cut or len(data))])
    raise AssertionError("the ends never fall silent")


def opened(client, **options):
    heard = Heard(client, **options)
    heard.stream = client.open(heard, HEAD)
    return heard


def greeted():
    server = Server()
    server.connection.receive(GREETING)
    server.connection.out.clear()
    return server


def frames(connection):
    return [tuple(one) for one in FrameReader(1 << 24).feed(taken(connection))]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=20), st.integers(1, 40_000)), max_size=12),
    st.sampled_from([None, 1000, 7777]),
)
def test_data_arrives_whole_and_in_order_in_both_directions(pieces, cut):
    client, server = Connection(None), Server()
    calls = [opened(client) for _ in range(4)]
    exchange(client, server.connection, cut=cut)
    sent = [bytearray() for _ in calls]
    for which, seed, size in pieces:
        data = (seed or b"-") * (size // len(seed or b"-"))
        sent[which] += data
        client.send_data(calls[which].stream, data)
        server.connection.send_data(server.heard[calls[which].stream.id].stream, data)
    for call in calls:
        client.end(call.stream)
    exchange(client, server.connection, cut=cut)
    for call in calls:
        server.connection.end(server.heard[call.stream.id].stream, TAIL)
    exchange(client, server.connection, cut=cut)
    for call, expected in zip(calls, sent, strict=True):
        heard = server.heard[call.stream.id]
        assert (call.got, call.ended, call.broken) == (expected, True, None)
        assert (heard.got, heard.ended, heard.broken) == (expected, True, None)
    assert client.streams == server.connection.streams == []


@given(st.integers(0, 60_000), st.integers(0, 60_000))
@settings(max_examples=20, deadline=None)
def test_headers_of_any_length_travel_in_frames_that_everybody_takes(asked, answered):
    client, server = Connection(None), Server()
    long = [encode([(b"long", b"%d" % size + b"a" * size)]) for size in (asked, answered)]
    exchange(client, server.connection)
    client._peer_frame = server.connection._peer_frame = 16_384  # as of a side that asks for no more
    call = Heard(client)
    call.stream = client.open(call, HEAD + long[0])
    client.end(call.stream)
    there = list(client.out)
    exchange(client, server.connection)
    server.connection.send_headers(server.heard[1].stream, long[1])
    server.connection.end(server.heard[1].stream, TAIL + long[1])
    back = list(server.connection.out)
    exchange(client, server.connection)
    assert max(len(one) for one in (*there, *back)) <= 9 + 16_384
    assert dict(server.heard[1].blocks[0])[b"long"] == b"%d" % asked + b"a" * asked
    assert [dict(block)[b"long"] for block in call.blocks] == [b"%d" % answered + b"a" * answered] * 2
    assert (call.ended, call.broken) == (True, None)


def test_more_than_all_windows_hold_passes_when_it_is_used_up():
    client, server = Connection(None), Server()
    call = opened(client)
    client.send_data(call.stream, bytes(3 * CONNECTION_WINDOW))
    client.end(call.stream)
    exchange(client, server.connection)
    heard = server.heard[1]
    assert (len(heard.got), heard.ended, call.dry) == (3 * CONNECTION_WINDOW, True, 1)


def test_a_reader_that_uses_nothing_up_holds_its_stream_back_and_no_other():
    client, server = Connection(None), Server(eager=False)
    slow, quick = opened(client), opened(client)
    exchange(client, server.connection)
    server.heard[3].eager = True
    client.send_data(slow.stream, bytes(10 * STREAM_WINDOW))
    client.send_data(quick.stream, bytes(10 * STREAM_WINDOW))
    exchange(client, server.connection)
    assert (len(server.heard[1].got), len(server.heard[3].got)) == (STREAM_WINDOW, 10 * STREAM_WINDOW)
    server.heard[1].eager = True
    server.connection.credit(server.heard[1].stream, STREAM_WINDOW)
    exchange(client, server.connection)
    assert len(server.heard[1].got) == 10 * STREAM_WINDOW


def test_a_socket_that_is_full_holds_data_back_but_not_answers_to_pings():
    client, server = Connection(None), Server()
    call = opened(client)
    exchange(client, server.connection)
    server.connection.paused = True
    server.connection.send_data(server.heard[1].stream, b"later")
    server.connection.end(server.heard[1].stream, TAIL)
    server.connection.receive(frame(Kind.PING, 0, 0, b"12345678"))
    exchange(client, server.connection)
    assert (call.got, call.ended) == (b"", False)
    server.connection.paused = False
    server.connection.pump()
    exchange(client, server.connection)
    assert (call.got, call.ended) == (b"later", True)


def test_no_more_than_a_turn_is_handed_to_the_socket_at_once():
    server = greeted()
    server.connection.receive(frame(Kind.SETTINGS, 0, 0, setting(4, 2**31 - 1) + setting(5, 2**24 - 1)))
    server.connection.receive(frame(Kind.WINDOW_UPDATE, 0, 0, (2**31 - 1 - 65_535).to_bytes(4, "big")))
    server.connection.receive(frame(Kind.HEADERS, Flag.END_HEADERS, 1, HEAD))
    server.connection.out.clear()
    for _ in range(100):
        server.connection.send_data(server.heard[1].stream, bytes(100_000))
    sizes = []
    while server.connection.out:
        assert sum(map(len, server.connection.out)) < 400_000
        sizes += [len(one[3]) for one in frames(server.connection)]
    assert (sum(sizes), max(sizes)) == (10_000_000, 65_536)


def test_an_answer_to_a_client_that_still_speaks_tells_it_to_stop():
    server = greeted()
    server.connection.receive(frame(Kind.HEADERS, Flag.END_HEADERS, 1, HEAD))
    server.connection.end(server.heard[1].stream, TAIL)
    assert [(kind, payload) for kind, _, _, payload in frames(server.connection)] == [
        (Kind.HEADERS, TAIL),
        (Kind.RST_STREAM, bytes(4)),
    ]
    server.connection.receive(frame(Kind.DATA, 0, 1, b"late"))
    server.connection.receive(frame(Kind.RST_STREAM, 0, 1, bytes(4)))
    server.connection.receive(frame(Kind.WINDOW_UPDATE, 0, 1, b"\0\0\0\1"))
    server.connection.receive(frame(Kind.HEADERS, Flag.END_HEADERS | Flag.END_STREAM, 1, TAIL))
    assert server.connection.streams == []


def test_settings_change_windows_of_open_streams_also_below_zero():
    client, server = Connection(None), Server()
    call = opened(client)
    exchange(client, server.connection)
    client.receive(frame(Kind.SETTINGS, 0, 0, setting(4, 10)))
    client.send_data(call.stream, bytes(30))
    client.receive(frame(Kind.SETTINGS, 0, 0, setting(4, 5)))
    assert call.stream.send_window < 0
    exchange(client, server.connection)
    assert len(server.heard[1].got) == 10
    client.receive(frame(Kind.SETTINGS, 0, 0, setting(4, 100)))
    exchange(client, server.connection)
    assert len(server.heard[1].got) == 30


def test_header_blocks_may_be_cut_padded_and_weighted():
    server = greeted()
    payload = b"\x04" + b"\0\0\0\0\x10" + HEAD[:3] + b"pad!"
    server.connection.receive(frame(Kind.HEADERS, Flag.PADDED | Flag.PRIORITY | Flag.END_STREAM, 1, payload))
    server.connection.receive(frame(Kind.CONTINUATION, 0, 1, HEAD[3:5]))
    assert server.heard == {}
    server.connection.receive(frame(Kind.CONTINUATION, Flag.END_HEADERS, 1, HEAD[5:]))
    assert (server.heard[1].blocks, server.heard[1].ended) == ([((b":method", b"POST"), (b":path", b"/s/m"))], True)


def test_goaway_refuses_new_streams_and_lets_open_ones_end():
    client, server = Connection(None), Server()
    first = opened(client)
    exchange(client, server.connection)
    late = opened(client)
    server.connection.go_away()
    exchange(client, server.connection)
    assert (first.broken, late.broken) == (None, Error.REFUSED_STREAM)
    assert list(server.heard) == [1]
    server.connection.end(server.heard[1].stream, TAIL)
    exchange(client, server.connection)
    assert first.ended


def test_streams_beyond_the_limit_are_refused_one_by_one(monkeypatch):
    monkeypatch.setattr("network.embedded.transport.connection.MOST_STREAMS", 2)
    client, server = Connection(None), Server()
    calls = [opened(client) for _ in range(3)]
    exchange(client, server.connection)
    assert [call.broken for call in calls] == [None, None, Error.REFUSED_STREAM]


def test_a_lost_connection_ends_every_stream():
    client = Connection(None)
    calls = [opened(client), opened(client)]
    client.lost()
    assert [call.broken for call in calls] == [Error.CANCEL, Error.CANCEL]
    client.send_data(calls[0].stream, b"dropped")
    client.end(calls[0].stream)
    client.send_headers(calls[0].stream, HEAD)
    client.reset(calls[0].stream, Error.CANCEL)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(Kind.DATA, 0, 1, b"x"), Error.PROTOCOL_ERROR),
        (frame(Kind.DATA, 0, 0, b"x"), Error.PROTOCOL_ERROR),
        (frame(Kind.HEADERS, Flag.END_HEADERS, 2, HEAD), Error.PROTOCOL_ERROR),
        (frame(Kind.HEADERS, Flag.END_HEADERS | Flag.PRIORITY, 1, b"123"), Error.FRAME_SIZE_ERROR),
        (frame(Kind.HEADERS, Flag.END_HEADERS, 1, b"\x80"), Error.COMPRESSION_ERROR),
        (frame(Kind.CONTINUATION, 0, 1, b"x"), Error.PROTOCOL_ERROR),
        (frame(Kind.HEADERS, 0, 1, HEAD) + frame(Kind.PING, 0, 0, bytes(8)), Error.PROTOCOL_ERROR),
        (frame(Kind.HEADERS, 0, 1, HEAD) + frame(Kind.CONTINUATION, 0, 1), Error.ENHANCE_YOUR_CALM),
        (
            frame(Kind.HEADERS, 0, 1, b"") + 5 * frame(Kind.CONTINUATION, 0, 1, bytes(16_384)),
            Error.ENHANCE_YOUR_CALM,
        ),
        (frame(Kind.RST_STREAM, 0, 1, bytes(4)), Error.PROTOCOL_ERROR),
        (frame(Kind.RST_STREAM, 0, 1, bytes(3)), Error.FRAME_SIZE_ERROR),
        (frame(Kind.SETTINGS, 0, 1), Error.PROTOCOL_ERROR),
        (frame(Kind.SETTINGS, 0, 0, setting(4, 2**31)), Error.FLOW_CONTROL_ERROR),
        (frame(Kind.SETTINGS, 0, 0, setting(5, 5)), Error.PROTOCOL_ERROR),
        (frame(Kind.PING, 0, 0, b"short"), Error.FRAME_SIZE_ERROR),
        (frame(Kind.WINDOW_UPDATE, 0, 0, bytes(4)), Error.FLOW_CONTROL_ERROR),
        (frame(Kind.WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"), Error.FLOW_CONTROL_ERROR),
        (frame(Kind.WINDOW_UPDATE, 0, 9, b"\0\0\0\1"), Error.PROTOCOL_ERROR),
        (frame(Kind.PUSH_PROMISE, 0, 1, bytes(4)), Error.PROTOCOL_ERROR),
        (
            frame(Kind.HEADERS, Flag.END_HEADERS, 1, HEAD)
            + (STREAM_WINDOW // 65_536 + 1) * frame(Kind.DATA, 0, 1, bytes(65_536)),
            Error.FLOW_CONTROL_ERROR,
        ),
    ],
)
def test_whoever_breaks_the_protocol_is_told_how(sent, code):
    server = greeted()
    server.eager = False
    with pytest.raises(Fault) as fault:
        server.connection.receive(sent)
    assert fault.value.code == code


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\n", b"\x16\x03\x01", PREFACE + frame(Kind.PING, 0, 0, bytes(8))])
def test_what_is_not_http_2_is_refused_at_once(first):
    with pytest.raises(Fault):
        Server().connection.receive(first)


def test_the_greeting_may_come_byte_by_byte():
    server = Server()
    for byte in GREETING:
        assert not server.connection.ready
        server.connection.receive(bytes((byte,)))
    assert server.connection.ready


FRAME = st.tuples(st.integers(0, 11), st.integers(0, 255), st.integers(0, 6), st.binary(max_size=40))
PLAUSIBLE = st.one_of(
    FRAME,
    st.tuples(st.just(Kind.HEADERS), st.sampled_from([4, 5, 0, 1]), st.integers(1, 9), st.just(HEAD)),
    st.tuples(st.just(Kind.DATA), st.sampled_from([0, 1]), st.integers(1, 9), st.binary(max_size=40)),
    st.tuples(st.just(Kind.WINDOW_UPDATE), st.just(0), st.integers(0, 9), st.binary(min_size=4, max_size=4)),
    st.tuples(st.just(Kind.RST_STREAM), st.just(0), st.integers(1, 9), st.binary(min_size=4, max_size=4)),
)


@settings(max_examples=300)
@given(st.lists(PLAUSIBLE, max_size=30))
def test_whatever_frames_come_nothing_but_a_fault_is_raised(sent):
    server = greeted()
    try:
        for one in sent:
            server.connection.receive(frame(*one))
            for stream in server.connection.streams:
                server.connection.send_data(stream, b"answer")
            list(FrameReader(1 << 24).feed(taken(server.connection)))  # what goes out is well formed
    except Fault:
        return
    assert all(not stream.closed for stream in server.connection.streams)


@settings(max_examples=200)
@given(st.lists(st.binary(max_size=60), max_size=10))
def test_whatever_bytes_come_nothing_but_a_fault_is_raised(parts):
    client = Connection(None)
    call = opened(client)
    client.receive(frame(Kind.SETTINGS, 0, 0))
    try:
        for part in parts:
            client.receive(part)
    except Fault:
        client.lost()
        assert call.ended or call.broken is not None
