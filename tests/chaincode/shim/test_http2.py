# SPDX-License-Identifier: Apache-2.0
"""The HTTP/2 beneath the chaincode's stream, driven frame by frame: what peers may do, and what ends a stream only."""

import contextlib
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import h2.config
import h2.connection
import h2.events
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincode.shim.errors import ProtocolError
from chaincode.shim.http2 import Connection, Messages, Refused, Stream
from chaincode.shim.listener import Listener
from chaincode.shim.settings import Tls
from chaincode.shim.sockets import Plain, server_context

PATH = "/test.Echo/Talk"
LIMIT = 1 << 20
HEADERS = {
    ":method": "POST",
    ":scheme": "http",
    ":authority": "here",
    ":path": PATH,
    "content-type": "application/grpc",
}


def framed(*messages: bytes) -> bytes:
    return b"".join(b"\0" + len(message).to_bytes(4, "big") + message for message in messages)


@given(st.lists(st.binary(max_size=40), max_size=6), st.integers(1, 17))
def test_messages_come_whole_however_the_bytes_are_cut(messages: list[bytes], size: int) -> None:
    data, cutter = framed(*messages), Messages(100)
    found = [m for start in range(0, len(data), size) for m in cutter.feed(data[start : start + size])]
    assert found == messages


def test_a_compressed_or_too_long_message_is_refused_before_it_is_there() -> None:
    with pytest.raises(Refused, match="compressed"):
        Messages(10).feed(b"\1\0\0\0\1")
    with pytest.raises(Refused, match="11 bytes is over the limit of 10"):
        Messages(10).feed(b"\0\0\0\0\x0b")


class Echo:
    """Sends back what it receives; some words have it do something else."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.ended = threading.Event()
        self.received: list[bytes] = []

    def receive(self, message: bytes) -> None:
        self.received.append(message)
        if message == b"break":
            raise ProtocolError("this is no message")
        if message == b"bug":
            raise ZeroDivisionError
        if message == b"finish":
            self.stream.finish()
            self.stream.finish()
            self.stream.send(b"too late")
            return
        self.stream.send(message)

    def end(self) -> None:
        assert not self.ended.is_set()
        self.ended.set()


class Client:
    """One HTTP/2 client on one side of a socket pair, the connection under test on the other."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX)
        self.socket, self.far = ours, theirs
        ours.settimeout(5)
        self.echoes: list[Echo] = []
        self.connection = Connection(_Pair(theirs), {PATH: self._accept}, LIMIT)
        self.thread = threading.Thread(target=self.connection.run)
        self.thread.start()
        self.http = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.http.initiate_connection()
        self.events: list[Any] = []

    def _accept(self, stream: Stream) -> Echo:
        self.echoes.append(Echo(stream))
        return self.echoes[-1]

    def open(self, number: int = 1, **changes: str) -> None:
        headers = HEADERS | {name.replace("_", "-"): value for name, value in changes.items()}
        self.http.send_headers(number, list(headers.items()))
        self.push()

    def say(self, *messages: bytes, number: int = 1, **options: bool) -> None:
        self.http.send_data(number, framed(*messages), **options)
        self.push()

    def push(self) -> None:
        with contextlib.suppress(BrokenPipeError):  # what the other side said last is still to be read
            self.socket.sendall(self.http.data_to_send())

    def wait(self, kind: Any, acknowledge: bool = True) -> Any:
        """The next event of a kind; everything before it is dropped."""
        while True:
            while self.events:
                event = self.events.pop(0)
                if isinstance(event, h2.events.DataReceived) and acknowledge:
                    self.http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                    self.push()
                if isinstance(event, kind):
                    return event
            data = self.socket.recv(65536)
            assert data, "the connection was closed"
            self.events += self.http.receive_data(data)
            self.push()

    def trailers(self) -> dict[str, str]:
        return dict(self.wait(h2.events.TrailersReceived).headers)

    def close(self) -> None:
        self.socket.close()
        self.thread.join(5)
        assert not self.thread.is_alive()
        self.far.close()


class _Pair(Plain):
    """A plain wire on a Unix socket, which knows no TCP_NODELAY."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected


@pytest.fixture
def client() -> Iterator[Client]:
    client = Client()
    yield client
    client.close()


def test_messages_go_both_ways_and_the_end_is_heard_once(client: Client) -> None:
    client.open()
    client.say(b"one", b"two")
    assert client.wait(h2.events.DataReceived).data == framed(b"one")
    client.http.end_stream(1)
    client.push()
    assert client.echoes[0].ended.wait(20)
    assert not client.connection.is_quiet
    client.echoes[0].stream.finish()
    assert client.trailers() == {"grpc-status": "0"}
    assert client.connection.is_quiet


def test_a_finished_stream_sends_nothing_more_and_takes_nothing(client: Client) -> None:
    client.open()
    client.say(b"finish")
    assert client.trailers() == {"grpc-status": "0"}
    client.say(b"still there?", end_stream=True)
    client.open(3)
    client.say(b"next", number=3)
    assert client.wait(h2.events.DataReceived).stream_id == 3
    assert client.echoes[0].received == [b"finish"]


@pytest.mark.parametrize(
    ("data", "status", "text"),
    [
        (framed(b"break", b"after"), "13", "this is no message"),
        (b"\1\0\0\0\1x", "12", "compressed messages are not taken"),
        (b"\0" + (LIMIT + 1).to_bytes(4, "big"), "8", "a message of 1048577 bytes is over the limit of 1048576"),
    ],
)
def test_a_bad_message_ends_its_stream_and_no_other(client: Client, data: bytes, status: str, text: str) -> None:
    client.open()
    client.http.send_data(1, data)
    client.push()
    assert client.trailers() == {"grpc-status": status, "grpc-message": text}
    assert client.echoes[0].ended.wait(20)
    assert b"after" not in client.echoes[0].received
    client.open(3)
    client.say(b"well", number=3)
    assert client.wait(h2.events.DataReceived).data == framed(b"well")


def test_a_stream_that_fails_and_ends_in_one_breath_ends_once(client: Client) -> None:
    client.open()
    client.say(b"break", end_stream=True)
    assert client.trailers()["grpc-status"] == "13"
    assert client.echoes[0].ended.wait(20)


def test_what_means_nothing_to_a_chaincode_is_passed_over(client: Client) -> None:
    client.open()
    client.http.prioritize(1, weight=7)
    client.say(b"well")
    assert client.wait(h2.events.DataReceived).data == framed(b"well")


def test_what_is_no_call_of_ours_is_refused_politely(client: Client) -> None:
    client.http.send_headers(1, list((HEADERS | {":path": "/nowhere"}).items()))
    client.push()
    answer = dict(client.wait(h2.events.ResponseReceived).headers)
    assert (answer["grpc-status"], answer["grpc-message"]) == ("12", "unknown method")
    client.open(3, grpc_encoding="gzip")
    assert dict(client.wait(h2.events.ResponseReceived).headers)["grpc-status"] == "12"
    client.open(5, content_type="text/html")
    assert dict(client.wait(h2.events.ResponseReceived).headers)[":status"] == "415"
    assert client.echoes == []


def test_a_reset_stream_is_over_at_once(client: Client) -> None:
    client.open()
    client.say(b"one")
    client.wait(h2.events.DataReceived)
    client.http.reset_stream(1)
    client.push()
    assert client.echoes[0].ended.wait(20)
    client.echoes[0].stream.send(b"nobody hears this")
    client.echoes[0].stream.finish()
    assert client.connection.is_quiet


def test_a_slow_reader_gets_everything_in_order_when_it_reads(client: Client) -> None:
    client.open()
    client.wait(h2.events.ResponseReceived)
    stream = client.echoes[0].stream
    sent = [bytes([number]) * 30_000 for number in range(9)]  # the window holds two of them
    for message in sent:
        stream.send(message)
    stream.finish()
    received = b""
    while len(received) < len(framed(*sent)):
        received += client.wait(h2.events.DataReceived).data
    assert received == framed(*sent)
    assert client.trailers() == {"grpc-status": "0"}


def test_pings_are_answered_and_many_threads_may_send(client: Client) -> None:
    client.open()
    client.http.ping(b"12345678")
    client.push()
    client.wait(h2.events.PingAckReceived)
    stream = client.echoes[0].stream
    threads = [threading.Thread(target=stream.send, args=(bytes([number]),)) for number in range(50)]
    for thread in threads:
        thread.start()
    received = b""
    while len(received) < 50 * 6:
        received += client.wait(h2.events.DataReceived).data
    for thread in threads:
        thread.join()
    assert sorted(Messages(10).feed(received)) == [bytes([number]) for number in range(50)]


def test_garbage_ends_the_connection_with_a_reason(client: Client) -> None:
    client.open()
    client.wait(h2.events.ResponseReceived)
    client.socket.sendall(b"\0\0\1\0\0\0\0\0\0x")  # data of no stream
    assert client.wait(h2.events.ConnectionTerminated).error_code != 0
    assert client.echoes[0].ended.wait(20)


def test_what_is_sent_on_a_broken_connection_is_dropped(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    client.open()
    client.wait(h2.events.ResponseReceived)
    with client.connection._lock:
        client.connection._http.close_connection(1)
    with caplog.at_level(logging.INFO, "chaincode.shim"):
        client.echoes[0].stream.send(b"into the void")
    assert "a message was dropped" in caplog.text


@pytest.mark.parametrize(("code", "noted"), [(11, True), (0, False)])
def test_a_peers_goodbye_ends_its_streams_and_is_noted_when_it_complains(
    client: Client, caplog: pytest.LogCaptureFixture, code: int, noted: bool
) -> None:
    with caplog.at_level(logging.INFO, "chaincode.shim"):
        client.open()
        client.wait(h2.events.ResponseReceived)
        client.http.close_connection(error_code=code)
        client.push()
        assert client.echoes[0].ended.wait(20)
    assert ("ended its connection with" in caplog.text) is noted
    client.echoes[0].stream.send(b"nobody hears this")


def test_a_bug_of_ours_costs_the_connection_and_is_logged(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    client.open()
    client.say(b"bug")
    client.thread.join(5)
    assert client.echoes[0].ended.is_set()
    assert "ZeroDivisionError" in caplog.text


def test_a_peer_that_vanished_is_noticed_by_whoever_sends(client: Client) -> None:
    client.open()
    client.wait(h2.events.ResponseReceived)
    stream = client.echoes[0].stream
    client.far.shutdown(socket.SHUT_WR)
    stream.send(b"into the void")
    assert client.echoes[0].ended.wait(20)


def test_tls_that_fails_while_it_seals_ends_the_connection_and_not_the_sender(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.open()
    client.wait(h2.events.ResponseReceived)

    def broken(data: bytes) -> bytes:
        raise ssl.SSLError("sealing failed")

    monkeypatch.setattr(client.connection._wire, "seal", broken)
    client.echoes[0].stream.send(b"into the void")
    assert client.echoes[0].ended.wait(20)
    assert client.connection.is_quiet


# Listening


def test_the_end_of_tls_is_the_end_of_the_connection(authority: Any) -> None:
    certificate, key = authority.issue(hosts=("here",))
    context = server_context(Tls(key, certificate))
    listening = Listener("127.0.0.1:0", {PATH: Echo}, LIMIT, context)
    listening.start()
    trusting = ssl.create_default_context(cadata=authority.pem.decode())
    with trusting.wrap_socket(dialled(listening), server_hostname="here") as secured:
        assert secured.recv(9)
        with contextlib.suppress(ssl.SSLError):  # the server had more to say
            secured.unwrap()
    listening.stop(2)
    assert listening._open() == []


@pytest.fixture
def listener() -> Iterator[Callable[..., Listener]]:
    opened: list[Listener] = []

    def make(address: str = "127.0.0.1:0") -> Listener:
        opened.append(Listener(address, {PATH: Echo}, LIMIT))
        opened[-1].start()
        return opened[-1]

    yield make
    for each in opened:
        each.stop(0.5)


def dialled(listener: Listener) -> socket.socket:
    host, _, port = listener.address.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), timeout=5)


def test_an_address_of_version_six_is_listened_on(listener: Callable[..., Listener]) -> None:
    listening = listener("[::1]:0")
    assert listening.address.startswith("[::1]:")
    dialled(listening).close()


def with_a_stream(connection: socket.socket) -> None:
    """Open a stream as a peer does, and wait until it is answered: from then on it is among the open ones."""
    http = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    http.initiate_connection()
    http.send_headers(1, list(HEADERS.items()))
    connection.sendall(http.data_to_send())
    events: list[Any] = []
    while not any(isinstance(event, h2.events.ResponseReceived) for event in events):
        data = connection.recv(4096)
        assert data, "the connection was closed"
        events = http.receive_data(data)


def test_one_connection_too_many_is_closed_at_once(
    listener: Callable[..., Listener], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("chaincode.shim.listener._MOST_CONNECTIONS", 1)
    listening = listener()
    with dialled(listening) as first:
        with_a_stream(first)
        with dialled(listening) as second:
            assert second.recv(9) == b""
    assert "1 are open" in caplog.text


def test_a_connection_without_a_stream_makes_room_for_a_peer(
    listener: Callable[..., Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anyone who reaches the port can connect and say nothing; the peers are not kept out by that."""
    monkeypatch.setattr("chaincode.shim.listener._MOST_CONNECTIONS", 2)
    listening = listener()
    with dialled(listening) as peer, dialled(listening) as silent:
        with_a_stream(peer)
        assert silent.recv(9)
        late = time.monotonic() + 10
        while sum(each.is_quiet for each in listening._open()) < 1 and time.monotonic() < late:
            time.sleep(0.01)
        with dialled(listening) as second:
            with_a_stream(second)
            while silent.recv(4096):
                pass
            late = time.monotonic() + 10
            while any(each.is_quiet for each in listening._open()) and time.monotonic() < late:
                time.sleep(0.01)
            assert [each.is_quiet for each in listening._open()] == [False, False]


def test_connections_that_fail_early_do_not_stop_the_listener(
    listener: Callable[..., Listener], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    listening = listener()
    broken = iter((True, False))

    class Fragile(Plain):
        def __init__(self, connected: socket.socket) -> None:
            if next(broken, False):
                raise OSError("gone")
            super().__init__(connected)

    monkeypatch.setattr("chaincode.shim.listener.Plain", Fragile)
    with dialled(listening) as first:
        assert first.recv(9) == b""
    with dialled(listening) as second:
        assert second.recv(9)


def test_an_exhausted_system_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    listening = Listener("127.0.0.1:0", {PATH: Echo}, LIMIT)
    real = listening._socket

    class Exhausted:
        def __init__(self) -> None:
            self.failures = 2

        def accept(self) -> Any:
            self.failures -= 1
            if self.failures >= 0:
                raise OSError(24, "Too many open files")
            return real.accept()

        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

    listening._socket = Exhausted()  # type: ignore[assignment]
    listening.start()
    with dialled(listening) as connection:
        assert connection.recv(9)
    listening.stop(0.5)
    assert caplog.text.count("Too many open files") == 2


def test_stopping_waits_only_so_long_for_a_peer_that_does_not_read(listener: Callable[..., Listener]) -> None:
    listening = listener()
    with dialled(listening) as connection:
        with_a_stream(connection)
        started = time.monotonic()
        listening.stop(0.2)
        assert 0.2 <= time.monotonic() - started < 5
