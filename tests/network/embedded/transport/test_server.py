# SPDX-License-Identifier: Apache-2.0
"""Our server under the general gRPC library's client, and under clients that mean no good."""

import asyncio
import socket
import ssl
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from grpc import StatusCode, aio

from network.embedded.transport import Crowd, Server, dial, server_context
from network.embedded.transport.carrier import Carrier
from network.embedded.transport.connection import PREFACE, Connection
from network.embedded.transport.crowd import address_of
from network.embedded.transport.frames import Flag, FrameReader, Kind, frame
from network.embedded.transport.hpack import Decoder, encode
from network.embedded.transport.messages import framed

LIMIT = 30 * 1024 * 1024
SIZES = (("grpc.max_receive_message_length", LIMIT), ("grpc.max_send_message_length", LIMIT))


class Service:
    """Methods of every kind; what happens to them is noted."""

    def __init__(self):
        self.notes = []
        self.begun = asyncio.Event()
        self.go = asyncio.Event()
        self.produced = 0

    async def echo(self, request, _context):
        return request

    async def fail(self, request, context):
        await context.abort(StatusCode.ABORTED, request.decode(), (("grpc-status-details-bin", b"\x00\xff"),))

    async def crash(self, _request, _context):
        raise LookupError("inside")

    async def wait(self, _request, context):
        self.notes.append(context.time_remaining())
        self.begun.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.notes.append("cancelled")
            raise
        return b"waited"

    async def who(self, _request, context):
        return b"".join(context.auth_context().get("x509_pem_cert", []))

    async def count(self, request, context):
        await context.send_initial_metadata((("first", "yes"),))
        try:
            for number in range(int(request)):
                self.produced = number
                yield bytes(65_536)
        finally:
            self.notes.append("closed")

    async def each(self, requests, _context):
        async for request in requests:
            if request == b"fail":
                raise LookupError("inside")
            if request == b"hold":
                await self.go.wait()
            yield request

    async def pumped(self, _requests, context):
        def take(message):
            if message == b"fail":
                raise ConnectionError("enough")
            context.send(message)

        try:
            await context.pump(take)
        except ConnectionError as error:
            self.notes.append(str(error))
            await context.abort(StatusCode.UNKNOWN, str(error))
        self.notes.append("pumped")


@asynccontextmanager
async def serving(tls=None, **options):
    service, server = Service(), Server(max_message=LIMIT, **options)
    unary = {name: getattr(service, name) for name in ("echo", "fail", "crash", "wait", "who")}
    handlers = {name: grpc.unary_unary_rpc_method_handler(method) for name, method in unary.items()}
    handlers["count"] = grpc.unary_stream_rpc_method_handler(service.count)
    handlers["each"] = grpc.stream_stream_rpc_method_handler(service.each)
    handlers["pumped"] = grpc.stream_stream_rpc_method_handler(service.pumped)
    server.add_generic_rpc_handlers(())
    server.add_registered_method_handlers("t.T", handlers)
    port = server.bind("127.0.0.1:0", tls)
    await server.start()
    try:
        yield service, f"127.0.0.1:{port}", server
    finally:
        await server.stop(0)


def play(scenario, **options):
    async def run():
        async with (
            serving(**options) as (service, target, server),
            aio.insecure_channel(target, options=SIZES) as channel,
            asyncio.timeout(30),
        ):
            await scenario(service, channel, server)

    asyncio.run(run())


def call(channel, name, request, **options):
    return channel.unary_unary(f"/t.T/{name}")(request, **options)


async def status(awaitable):
    with pytest.raises(aio.AioRpcError) as refused:
        await awaitable
    return refused.value


@pytest.mark.parametrize("size", [0, 1, 65_535, 5_000_000, LIMIT])
def test_messages_of_every_size_pass_both_ways(size):
    async def scenario(_service, channel, _server):
        message = bytes(size)
        assert await call(channel, "echo", message) == message

    play(scenario)


def test_many_calls_at_once_share_a_connection():
    async def scenario(_service, channel, _server):
        requests = [f"{number}".encode() * (number % 100) for number in range(1000)]
        assert await asyncio.gather(*(call(channel, "echo", request) for request in requests)) == requests

    play(scenario)


def test_a_message_beyond_the_limit_is_refused():
    async def run():
        async with serving() as (_, target, _server), aio.insecure_channel(target) as channel:
            error = await status(call(channel, "echo", bytes(LIMIT + 1)))
            assert error.code() == StatusCode.RESOURCE_EXHAUSTED
            assert "received message larger than max" in error.details()
            assert await call(channel, "echo", b"next") == b"next"

    asyncio.run(run())


def test_statuses_texts_and_binary_details_arrive():
    async def scenario(_service, channel, _server):
        error = await status(call(channel, "fail", "café 100 % \n".encode()))
        assert (error.code(), error.details()) == (StatusCode.ABORTED, "café 100 % \n")
        assert ("grpc-status-details-bin", b"\x00\xff") in tuple(error.trailing_metadata())

    play(scenario)


@pytest.mark.parametrize("size", [2_500, 4_000, 20_000, 100_000])
@pytest.mark.parametrize("limit", [8_192, 1 << 20])
def test_a_long_text_arrives_whole_or_costs_its_own_call_alone(size, limit):
    async def run():
        options = [*SIZES, ("grpc.max_metadata_size", limit), ("grpc.absolute_max_metadata_size", limit)]
        async with (
            serving() as (service, target, _server),
            aio.insecure_channel(target, options=options) as channel,
            asyncio.timeout(30),
        ):
            beside = channel.unary_unary("/t.T/wait")(b"")
            await service.begun.wait()
            error = await status(call(channel, "fail", b"x" * size))
            if size + 500 < limit:
                assert (error.code(), error.details()) == (StatusCode.ABORTED, "x" * size)
            else:
                assert error.code() == StatusCode.INTERNAL
            service.go.set()
            assert await beside == b"waited"  # on the same connection

    asyncio.run(run())


def test_what_a_service_raises_and_what_does_not_exist_have_their_status(caplog):
    async def scenario(_service, channel, _server):
        error = await status(call(channel, "crash", b""))
        assert (error.code(), error.details()) == (StatusCode.UNKNOWN, "Unexpected <class 'LookupError'>: inside")
        assert (await status(call(channel, "missing", b""))).code() == StatusCode.UNIMPLEMENTED
        error = await status(call(channel, "echo", b"x" * 100, compression=grpc.Compression.Gzip))
        assert error.code() == StatusCode.UNIMPLEMENTED
        error = await status(call(channel, "echo", b"", metadata=[("long", "x" * 16_384)]))
        assert error.code() == StatusCode.RESOURCE_EXHAUSTED
        assert await call(channel, "echo", b"fine") == b"fine"

    play(scenario)
    assert "a call failed" in caplog.text


def test_a_deadline_ends_the_call_on_the_server_too():
    async def scenario(service, channel, _server):
        assert (await status(call(channel, "wait", b"", timeout=0.2))).code() == StatusCode.DEADLINE_EXCEEDED
        while service.notes[-1:] != ["cancelled"]:
            await asyncio.sleep(0.01)
        assert 0 < service.notes[0] <= 0.21  # the client writes it in whole milliseconds, rounded up

    play(scenario)


def test_a_cancelled_call_is_cancelled_on_the_server():
    async def scenario(service, channel, server):
        waiting = call(channel, "wait", b"")
        await service.begun.wait()
        waiting.cancel()
        while service.notes != [None, "cancelled"]:
            await asyncio.sleep(0.01)
        (carrier,) = server._carriers
        assert carrier.connection.streams == []

    play(scenario)


def test_a_client_that_is_gone_cancels_its_calls():
    async def run():
        async with serving() as (service, target, server):
            host, port = target.split(":")
            _, writer = await asyncio.open_connection(host, int(port))
            wait = head([*POST, (b":path", b"/t.T/wait")]) + frame(Kind.DATA, 1, 1, framed(b""))
            writer.write(PREFACE + frame(Kind.SETTINGS, 0, 0) + wait)
            await service.begun.wait()
            writer.transport.abort()
            while service.notes != [None, "cancelled"] or server._carriers:
                await asyncio.sleep(0.01)

    asyncio.run(run())


async def silent(target, count):
    """Connections that say nothing."""
    host, port = target.split(":")
    return [await asyncio.open_connection(host, int(port)) for _ in range(count)]


async def closed(connection):
    """Wait until the other side has closed a connection."""
    reader, writer = connection
    with suppress(ConnectionError):
        while await reader.read(4096):
            pass
    writer.close()


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "before-tls"])
def test_silent_connections_of_an_address_make_room_for_one_another(secure):
    async def run():
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if secure else None  # nobody gets as far as a certificate
        async with serving(tls, crowd=Crowd(4)) as (_service, target, server), asyncio.timeout(30):
            connections = await silent(target, 50)
            for connection in connections[:46]:
                await closed(connection)
            assert len(server._guests) == 4
            for _, writer in connections[46:]:
                writer.transport.abort()
            while server._guests:
                await asyncio.sleep(0.01)

    asyncio.run(run())


def test_calls_go_on_while_their_address_has_too_many_connections():
    async def scenario(service, channel, server):
        waiting = call(channel, "wait", b"")
        await service.begun.wait()
        target = "{}:{}".format(*server._bound[0][0].getsockname())
        connections = await silent(target, 20)
        for connection in connections[:19]:
            await closed(connection)
        async with aio.insecure_channel(target, options=(("grpc.use_local_subchannel_pool", 1),)) as another:
            assert await call(another, "echo", b"heard") == b"heard"
        await closed(connections[19])
        service.go.set()
        assert await waiting == b"waited"

    play(scenario, crowd=Crowd(2))


def test_servers_that_share_a_count_refuse_one_more_where_all_are_busy():
    async def run():
        crowd = Crowd(1)
        async with (
            serving(crowd=crowd) as (service, target, _),
            serving(crowd=crowd) as (_, other, _server),
            aio.insecure_channel(target) as channel,
            asyncio.timeout(30),
        ):
            waiting = call(channel, "wait", b"")
            await service.begun.wait()
            (refused,) = await silent(other, 1)
            await closed(refused)
            service.go.set()
            assert await waiting == b"waited"
            async with aio.insecure_channel(other) as another:
                assert await call(another, "echo", b"heard") == b"heard"

    asyncio.run(run())


def test_an_exhausted_system_is_waited_for(monkeypatch, caplog):
    async def run():
        loop = asyncio.get_running_loop()
        real, failures = loop.sock_accept, iter([OSError(24, "Too many open files")] * 2)

        async def accept(bound):
            for failure in failures:
                raise failure
            return await real(bound)

        monkeypatch.setattr(loop, "sock_accept", accept)
        async with serving() as (_, target, _server), aio.insecure_channel(target) as channel:
            assert await call(channel, "echo", b"heard") == b"heard"

    asyncio.run(run())
    assert caplog.text.count("Too many open files") == 2


@pytest.mark.parametrize(
    ("place", "counted"),
    [
        (("192.0.2.7", 1), "192.0.2.7"),
        (("::ffff:192.0.2.7", 1, 0, 0), "192.0.2.7"),
        (("2001:db8::1", 1, 0, 0), "2001:db8::/64"),
        (("fe80::1%eth0", 1, 0, 2), "fe80::/64"),
    ],
)
def test_a_client_counts_for_all_addresses_that_it_has(place, counted):
    assert address_of(place) == counted


def test_a_stream_s_producer_is_held_back_by_a_client_that_does_not_read():
    async def scenario(service, channel, _server):
        stream = channel.unary_stream("/t.T/count")(b"10000")
        assert ("first", "yes") in tuple(await stream.initial_metadata())
        await stream.read()
        produced = -1
        while produced != service.produced:
            produced = service.produced
            await asyncio.sleep(0.2)
        assert produced < 1000
        for _ in range(100):
            assert len(await stream.read()) == 65_536
        stream.cancel()
        while service.notes != ["closed"]:
            await asyncio.sleep(0.01)

    play(scenario)


def test_a_client_is_held_back_by_a_service_that_does_not_read():
    async def scenario(service, channel, _server):
        stream = channel.stream_stream("/t.T/each")()
        await stream.write(b"hold")
        written = 0

        async def write():
            nonlocal written
            for _ in range(200):
                await stream.write(bytes(65_536))
                written += 1
            await stream.done_writing()

        writer = asyncio.create_task(write())
        before = -1
        while before != written:
            before = written
            await asyncio.sleep(0.2)
        assert written < 100
        service.go.set()
        assert [len(message) async for message in stream] == [4] + 200 * [65_536]
        await writer

    play(scenario)


def test_streams_both_ways_end_well_and_badly():
    async def scenario(service, channel, _server):
        for name in ("each", "pumped"):
            stream = channel.stream_stream(f"/t.T/{name}")(iter([b"a", b"b", bytes(3_000_000)]))
            assert [len(message) async for message in stream] == [1, 1, 3_000_000]
            assert await stream.code() == StatusCode.OK
            stream = channel.stream_stream(f"/t.T/{name}")()
            await stream.write(b"a")
            assert await stream.read() == b"a"
            await stream.write(b"fail")
            assert (await status(stream.read())).code() == StatusCode.UNKNOWN
        assert service.notes == ["pumped", "enough"]

    play(scenario)


def test_stopping_lets_calls_end_and_takes_no_new_ones():
    async def scenario(service, channel, server):
        waiting = asyncio.ensure_future(call(channel, "wait", b""))
        await service.begun.wait()
        stopping = asyncio.create_task(server.stop(5))
        await asyncio.sleep(0.1)
        assert (await status(call(channel, "echo", b""))).code() == StatusCode.UNAVAILABLE
        service.go.set()
        assert await waiting == b"waited"
        await stopping

    play(scenario)


def test_stopping_ends_calls_that_do_not_end():
    async def scenario(service, channel, server):
        waiting = asyncio.ensure_future(call(channel, "wait", b""))
        idle = channel.stream_stream("/t.T/each")()
        await service.begun.wait()
        await server.stop(0.1)
        assert (await status(waiting)).code() == StatusCode.UNAVAILABLE
        assert (await status(idle.read())).code() == StatusCode.UNAVAILABLE

    play(scenario)


def test_an_address_that_is_taken_or_none_is_refused():
    async def scenario(_service, _channel, server):
        port = server._bound[0][0].getsockname()[1]
        for address in (f"127.0.0.1:{port}", "nowhere", "127.0.0.1:http"):
            with pytest.raises(OSError):
                Server().bind(address, None)

    play(scenario)


# -- TLS ---------------------------------------------------------------------------------------------------------------


def pair(name, folder):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pems = (
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain),
        certificate.public_bytes(serialization.Encoding.PEM),
    )
    for ending, pem in zip(("key", "crt"), pems, strict=True):
        (folder / f"{name}.{ending}").write_bytes(pem)
    return pems


def test_tls_shows_the_client_s_certificate_where_it_is_demanded(tmp_path):
    _, root = pair("server", tmp_path)
    key, certificate = pair("client", tmp_path)
    files = tmp_path / "server.crt", tmp_path / "server.key"

    async def scenario():
        for roots, credentials, shown in (
            (None, grpc.ssl_channel_credentials(root), b""),
            (certificate, grpc.ssl_channel_credentials(root, key, certificate), certificate),
        ):
            async with serving(tls=server_context(*files, roots)) as (_, target, _server):
                async with aio.secure_channel(target, credentials) as channel:
                    assert await call(channel, "who", b"") == shown
                if roots is not None:
                    async with aio.secure_channel(target, grpc.ssl_channel_credentials(root)) as channel:
                        assert (await status(call(channel, "who", b""))).code() == StatusCode.UNAVAILABLE

    asyncio.run(scenario())


def test_a_tls_client_that_does_not_speak_http_2_is_turned_away(tmp_path):
    _, root = pair("server", tmp_path)

    async def scenario():
        async with serving(tls=server_context(tmp_path / "server.crt", tmp_path / "server.key", None)) as served:
            host, port = served[1].split(":")
            context = ssl.create_default_context(cadata=root.decode())
            reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
            assert await read_all(reader) == b""
            writer.close()

    asyncio.run(scenario())


async def read_all(reader):
    try:
        return await reader.read()
    except ConnectionError:
        return b""


# -- clients by hand ---------------------------------------------------------------------------------------------------

POST = [(b":method", b"POST"), (b":scheme", b"http"), (b"content-type", b"application/grpc")]
ECHO = [*POST, (b":path", b"/t.T/echo")]


def head(headers, flags=Flag.END_HEADERS, stream_id=1):
    return frame(Kind.HEADERS, flags, stream_id, encode(headers))


async def answers(target, *sent):
    """The header fields (name, value) and resets that come back on stream 1."""
    host, port = target.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(PREFACE + frame(Kind.SETTINGS, 0, 0) + b"".join(sent))
    frames, decoder, found = FrameReader(), Decoder(), []
    while True:
        data = await asyncio.wait_for(reader.read(65_536), 5)
        for one in frames.feed(data):
            if one.kind == Kind.HEADERS:
                found += decoder.decode(one.payload)
            elif one.kind in (Kind.RST_STREAM, Kind.GOAWAY):
                found.append((b"ended", bytes((one.kind,))))
            if one.kind in (Kind.RST_STREAM, Kind.GOAWAY) or (one.kind == Kind.HEADERS and one.flags & 1):
                writer.close()
                return dict(found)
        assert data, found


END = Flag.END_HEADERS | Flag.END_STREAM


@pytest.mark.parametrize(
    ("sent", "name", "value"),
    [
        ((head([(b":method", b"GET"), (b":path", b"/")], END),), b":status", b"405"),
        ((head([(b":method", b"POST"), (b":path", b"/")], END),), b":status", b"415"),
        ((head([(b":path", b"/")], END),), b"ended", bytes((Kind.RST_STREAM,))),
        ((head(ECHO, END),), b"grpc-status", b"13"),
        ((head(ECHO), frame(Kind.DATA, 0, 1, framed(b"a")), head([(b"trailing", b"x")], END)), b"grpc-status", b"0"),
        ((head(ECHO), frame(Kind.DATA, 1, 1, framed(b"a") + framed(b"b"))), b"grpc-status", b"12"),
        ((head([*ECHO, (b"grpc-timeout", b"10m")]),), b"grpc-status", b"4"),
        ((head(ECHO), b"\xff" * 9), b"ended", bytes((Kind.GOAWAY,))),
    ],
)
def test_requests_that_are_no_calls_are_answered(sent, name, value):
    async def run():
        async with serving() as (_, target, _server):
            assert (await answers(target, *sent))[name] == value

    asyncio.run(run())


class Clogged:
    """A transport whose other end does not read."""

    def __init__(self):
        self.buffer = 0
        self.aborted = False

    def get_extra_info(self, _name):
        return None

    def is_closing(self):
        return self.aborted

    def write(self, data):
        self.buffer += len(data)

    def get_write_buffer_size(self):
        return self.buffer

    def abort(self):
        self.aborted = True


def test_a_client_that_makes_the_server_talk_and_does_not_listen_is_cut_off():
    async def run():
        carrier = Carrier(Connection(lambda *_: None))
        carrier.connection_made(Clogged())
        carrier.pause_writing()
        carrier.data_received(PREFACE + frame(Kind.SETTINGS, 0, 0))
        pings = frame(Kind.PING, 0, 0, bytes(8)) * 10_000
        for _ in range(40):
            carrier.data_received(pings)
            carrier.flush()
        assert carrier.transport.aborted
        assert carrier.transport.buffer < 5_000_000

    asyncio.run(run())


def test_a_client_that_says_nothing_is_cut_off(monkeypatch):
    monkeypatch.setattr("network.embedded.transport.carrier._GREETING_S", 0.1)

    async def run():
        async with serving() as (_, target, _server):
            host, port = target.split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            await asyncio.wait_for(read_all(reader), 5)
            writer.close()

    asyncio.run(run())


# -- our own client ----------------------------------------------------------------------------------------------------


def test_our_client_and_our_server_understand_each_other():
    async def run():
        async with serving() as (_, target, _server):
            channel = await dial(target, None)
            stream = channel.stream("/t.T/each", bytes, bytes)
            got = []

            def take(message):
                got.append(message)
                if len(got) == 3:
                    raise LookupError("enough")

            for message in (b"a", bytes(5_000_000), b"c"):
                stream.send(message)
            with pytest.raises(LookupError, match="enough"):
                await stream.pump(take)
            assert [len(message) for message in got] == [1, 5_000_000, 1]
            for name, said in (("/t.T/missing", "status 12"), ("/t.T/fail", "status 10")):
                ending = channel.stream(name, bytes, bytes)
                ending.send(b"x")
                ending._carrier.connection.end(ending._stream)
                with pytest.raises(ConnectionResetError, match=said):
                    await ending.pump(got.append)
            channel.close()

    asyncio.run(run())


def test_dialling_goes_on_until_someone_answers():
    async def run():
        with socket.create_server(("127.0.0.1", 0)) as deaf:
            port = deaf.getsockname()[1]
        dialling = asyncio.create_task(dial(f"127.0.0.1:{port}", None))
        await asyncio.sleep(0.2)
        server = Server()
        server.bind(f"127.0.0.1:{port}", None)
        await server.start()
        (await asyncio.wait_for(dialling, 5)).close()
        await server.stop(0)
        with pytest.raises(OSError):
            await dial("nonsense", None)

    asyncio.run(run())
