# SPDX-License-Identifier: Apache-2.0
"""Both directions over real gRPC on loopback, with TLS, health, and an orderly end."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from chaincode.shim import (
    ChaincodeClient,
    ChaincodeServer,
    ClockGuard,
    Router,
    Settings,
    SettingsError,
    Tls,
    wire,
)
from chaincode.shim import server as server_module
from chaincode.shim.health import HealthEndpoint
from chaincode.shim.wire import MessageType

SIZES = [("grpc.max_receive_message_length", 100 * 1024 * 1024), ("grpc.max_send_message_length", 100 * 1024 * 1024)]
GUARD = ClockGuard(window=float("inf"))


def get(stub: Any, args: Any) -> bytes:
    return stub.get_state(args[0].decode()) or b""


def put(stub: Any, args: Any) -> bytes:
    stub.put_state(args[0].decode(), args[1])
    return b""


ROUTER = Router({"get": get, "put": put})


def settings(**changes: Any) -> Settings:
    given = {"chaincode_id": "pedigree:1", "local_msp_id": "HospitalMSP", "drain_seconds": 5.0, **changes}
    return Settings(**given)


@contextmanager
def serving(**changes: Any) -> Iterator[ChaincodeServer]:
    server = ChaincodeServer(ROUTER, settings(listen="127.0.0.1:0", **changes), guard=GUARD)
    line = server.start()
    assert line.startswith(f"ready {server.address}")
    yield server
    server.stop()


@contextmanager
def connected(peer: Any, address: str, credentials: Any = None) -> Iterator[Any]:
    """`peer` as the client that connects to a chaincode."""
    options = [*SIZES, ("grpc.ssl_target_name_override", "cc.example")]
    if credentials is None:
        channel = grpc.insecure_channel(address, options=SIZES)
    else:
        channel = grpc.secure_channel(address, credentials, options=options)
    call = channel.stream_stream("/protos.Chaincode/Connect")(peer.outgoing())
    errors: list[grpc.RpcError] = []

    def read() -> None:
        try:
            for data in call:
                peer.feed(data)
        except grpc.RpcError as error:
            errors.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    peer.errors = errors
    yield call
    peer.hang_up()
    call.cancel()
    thread.join(5)
    assert not thread.is_alive()
    channel.close()


def test_a_peer_connects_and_transactions_are_answered(kit: Any) -> None:
    peer = kit.FakePeer()
    with serving() as server, connected(peer, server.address):
        assert kit.respond(peer.transact("put", "k", "v")).status == 200
        assert kit.respond(peer.transact("get", "k")).payload == b"v"
        assert kit.respond(peer.transact("none")).status == 400
    assert peer.registered == "pedigree:1"


def test_several_peers_are_served_apart(kit: Any) -> None:
    peers = [kit.FakePeer() for _ in range(3)]
    with (
        serving() as server,
        connected(peers[0], server.address),
        connected(peers[1], server.address),
        connected(peers[2], server.address),
    ):
        for number, peer in enumerate(peers):
            peer.state["", "k"] = b"%d" % number
        futures = [peer.start("get", "k", txid="same") for peer in peers]
        assert [kit.respond(future.result(20)).payload for future in futures] == [b"0", b"1", b"2"]


def test_three_hundred_transactions_at_once_lose_nothing_on_the_wire(kit: Any) -> None:
    peer = kit.FakePeer()
    with serving() as server, connected(peer, server.address):
        assert peer.ready.wait(20)
        futures = [peer.start("put", f"k{number}", "v") for number in range(300)]
        assert all(kit.respond(future.result(30)).status == 200 for future in futures)
    assert len(peer.state) == 300


def test_arguments_and_values_of_many_megabytes_pass(kit: Any) -> None:
    peer = kit.FakePeer()
    large = bytes(8 * 1024 * 1024)
    with serving() as server, connected(peer, server.address):
        assert kit.respond(peer.transact("put", "k", large)).status == 200
        assert kit.respond(peer.transact("get", "k")).payload == large


def test_no_port_is_shared() -> None:
    with serving() as server, pytest.raises(SettingsError, match="cannot listen"):
        ChaincodeServer(ROUTER, settings(listen=server.address))


def test_a_peer_that_breaks_the_protocol_loses_its_stream_and_nobody_else(kit: Any) -> None:
    good, bad = kit.FakePeer(), kit.FakePeer()
    with serving() as server, connected(good, server.address), connected(bad, server.address) as call:
        assert bad.ready.wait(20)
        bad.say(wire.ChaincodeMessage(type=MessageType.REGISTERED))
        assert call.code() is grpc.StatusCode.INTERNAL
        assert kit.respond(good.transact("get", "k")).status == 200


def test_tls_shows_the_servers_certificate(kit: Any, authority: Any) -> None:
    certificate, key = authority.issue(hosts=("cc.example",))
    peer = kit.FakePeer()
    with (
        serving(tls=Tls(key, certificate)) as server,
        connected(peer, server.address, grpc.ssl_channel_credentials(authority.pem)),
    ):
        assert kit.respond(peer.transact("get", "k")).status == 200


def test_mutual_tls_admits_only_clients_of_its_authority(kit: Any, authority: Any) -> None:
    certificate, key = authority.issue(hosts=("cc.example",))
    client_certificate, client_key = authority.issue()
    known, unknown = kit.FakePeer(), kit.FakePeer()
    with serving(tls=Tls(key, certificate, authority.pem)) as server:
        credentials = grpc.ssl_channel_credentials(authority.pem, client_key, client_certificate)
        with connected(known, server.address, credentials):
            assert kit.respond(known.transact("get", "k")).status == 200
        with connected(unknown, server.address, grpc.ssl_channel_credentials(authority.pem)) as call:
            assert call.code() is grpc.StatusCode.UNAVAILABLE
        assert not unknown.ready.is_set()
        assert len(unknown.errors) == 1


def ask(address: str, path: str) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection(address, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def test_health_tells_life_from_readiness(kit: Any) -> None:
    peer = kit.FakePeer()
    peer.hold.add(MessageType.GET_STATE)
    server = ChaincodeServer(ROUTER, settings(listen="127.0.0.1:0", health="127.0.0.1:0"), guard=GUARD)
    health = server.start().rpartition(" ")[2]
    with connected(peer, server.address):
        assert peer.ready.wait(20)
        future = peer.start("get", "k", txid="t1")
        assert peer.held.acquire(timeout=20)
        assert ask(health, "/healthz") == (200, {"ready": True, "streams": 1, "transactions": 1})
        assert ask(health, "/readyz")[0] == 200
        assert ask(health, "/")[0] == 404
        stopper = threading.Thread(target=server.stop)
        stopper.start()
        while ask(health, "/readyz")[0] != 503:
            pass
        assert ask(health, "/healthz")[0] == 200
        assert peer.transact("get", "k").type == MessageType.ERROR
        peer.say(wire.ChaincodeMessage(type=MessageType.RESPONSE, txid="t1", channel_id="pedigree", payload=b"late"))
        assert kit.respond(future.result(20)).payload == b"late"
        stopper.join(5)
        assert not stopper.is_alive()


def test_a_health_port_in_use_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SettingsError, match="health"):
        HealthEndpoint(f"127.0.0.1:{taken.getsockname()[1]}", dict)


def test_a_transaction_that_never_ends_does_not_stop_the_stop(kit: Any, caplog: pytest.LogCaptureFixture) -> None:
    peer = kit.FakePeer()
    peer.hold.add(MessageType.GET_STATE)
    server = ChaincodeServer(ROUTER, settings(listen="127.0.0.1:0", drain_seconds=0.05), guard=GUARD)
    server.start()
    with connected(peer, server.address):
        peer.start("get", "k")
        assert peer.held.acquire(timeout=20)
        server.stop()
    assert "1 transactions had not ended" in caplog.text


def test_a_stream_that_comes_while_stopping_gets_no_transaction_through(kit: Any) -> None:
    server = ChaincodeServer(ROUTER, settings(listen="127.0.0.1:0"), guard=GUARD)
    server.start()
    server._drain()
    peer = kit.FakePeer()
    with connected(peer, server.address):
        assert peer.transact("get", "k").type == MessageType.ERROR
    server.stop()


def test_the_ready_line_goes_to_standard_output_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    server_module._print("ready somewhere")
    assert capsys.readouterr().out == "ready somewhere\n"


def test_each_direction_needs_its_address() -> None:
    with pytest.raises(SettingsError, match="listen"):
        ChaincodeServer(ROUTER, settings())
    with pytest.raises(SettingsError, match="peer"):
        ChaincodeClient(ROUTER, settings())


# A whole process


PROGRAM = """
import os, sys
from chaincode.shim import Router, serve, settings_from_environment
serve(Router({"get": lambda stub, args: stub.get_state(args[0].decode())}), settings_from_environment(os.environ))
"""


def test_a_process_announces_itself_and_lets_transactions_end_on_sigterm(kit: Any) -> None:
    environ = {
        **os.environ,
        "CHAINCODE_SERVER_ADDRESS": "127.0.0.1:0",
        "CHAINCODE_ID": "pedigree:1",
        "CORE_PEER_LOCALMSPID": "HospitalMSP",
        "CHAINCODE_CLOCK_WINDOW_SECONDS": "1e8",
    }
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], env=environ, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        ready, address = process.stdout.readline().split()
        assert ready == "ready"
        peer = kit.FakePeer()
        peer.hold.add(MessageType.GET_STATE)
        with connected(peer, address):
            future = peer.start("get", "k", txid="t1")
            assert peer.held.acquire(timeout=20)
            process.send_signal(signal.SIGTERM)
            while peer.transact("none").type != MessageType.ERROR:  # one that would ask for state would wait for it
                pass
            peer.say(wire.ChaincodeMessage(type=MessageType.RESPONSE, txid="t1", channel_id="pedigree", payload=b"v"))
            assert kit.respond(future.result(20)).payload == b"v"
            assert process.wait(10) == 0
    finally:
        process.kill()
        process.communicate()
