# SPDX-License-Identifier: Apache-2.0
"""A chaincode that dials its peer, over real gRPC on loopback, and the signals that end either direction."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from chaincode.shim import ChaincodeClient, ClockGuard, ProtocolError, Router, Settings, StreamEnded, Tls, wire
from chaincode.shim import server as server_module
from chaincode.shim.wire import MessageType

GUARD = ClockGuard(window=float("inf"))
ROUTER = Router({"get": lambda stub, args: stub.get_state(args[0].decode()) or b""})


def settings(**changes: Any) -> Settings:
    given = {"chaincode_id": "pedigree:1", "local_msp_id": "HospitalMSP", "drain_seconds": 5.0, **changes}
    return Settings(**given)


@contextmanager
def listening(peer: Any, credentials: Any = None, polite: bool = True) -> Iterator[str]:
    """`peer` as the server at which a chaincode registers."""

    def register(incoming: Iterator[bytes], context: Any) -> Iterator[bytes]:
        def read() -> None:
            try:
                for data in incoming:
                    peer.feed(data)
            except Exception:  # gRPC's word for a caller that went away
                peer.lost = True
            if polite:
                peer.hang_up()

        peer.metadata = context.invocation_metadata()
        threading.Thread(target=read, daemon=True).start()
        return peer.outgoing()  # type: ignore[no-any-return]

    server = grpc.server(ThreadPoolExecutor(4))
    handler = grpc.stream_stream_rpc_method_handler(register)
    server.add_registered_method_handlers("protos.ChaincodeSupport", {"Register": handler})
    if credentials is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    yield f"127.0.0.1:{port}"
    peer.hang_up()
    server.stop(0).wait()


@contextmanager
def running(client: ChaincodeClient) -> Iterator[list[Exception]]:
    errors: list[Exception] = []

    def run() -> None:
        try:
            client.run()
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    yield errors
    thread.join(10)
    assert not thread.is_alive()


def test_a_chaincode_registers_at_a_peer_and_leaves_in_order(kit: Any) -> None:
    peer = kit.FakePeer()
    with listening(peer) as address:
        client = ChaincodeClient(ROUTER, settings(peer=address, health="127.0.0.1:0"), guard=GUARD)
        line = client.start()
        assert " health 127.0.0.1:" in line
        assert line.startswith(f"ready dialling {address}")
        assert not client.status()["ready"]
        with running(client) as errors:
            assert kit.respond(peer.transact("get", "k")).status == 200
            assert client.status() == {"ready": True, "streams": 1, "transactions": 0}
            client.stop()
        assert errors == []


def test_dialling_with_tls_shows_the_chaincodes_certificate(kit: Any, authority: Any) -> None:
    certificate, key = authority.issue(hosts=("peer.example",))
    own_certificate, own_key = authority.issue()
    credentials = grpc.ssl_server_credentials([(key, certificate)], authority.pem, require_client_auth=True)
    peer = kit.FakePeer()
    with listening(peer, credentials) as address:
        tls = Tls(own_key, own_certificate, authority.pem)
        client = ChaincodeClient(ROUTER, settings(peer=address, tls=tls, tls_server_name="peer.example"), guard=GUARD)
        client.start()
        with running(client):
            assert kit.respond(peer.transact("get", "k")).status == 200
            client.stop()
        # Without the name, the certificate is not the one of the host that is dialled.
        stranger = ChaincodeClient(ROUTER, settings(peer=address, tls=tls), guard=GUARD)
        stranger.start()
        with running(stranger) as errors:
            pass
        assert "UNAVAILABLE" in str(errors[0])


def test_a_token_goes_with_the_registration(kit: Any) -> None:
    peer = kit.FakePeer()
    with listening(peer) as address:
        client = ChaincodeClient(ROUTER, settings(peer=address, token="secret"), guard=GUARD)
        client.start()
        with running(client):
            assert kit.respond(peer.transact("get", "k")).status == 200
            client.stop()
    assert dict(peer.metadata)["chaincode-token"] == "secret"


def test_the_end_of_the_stream_is_an_error_for_whoever_dialled(kit: Any) -> None:
    peer = kit.FakePeer()
    with listening(peer) as address:
        client = ChaincodeClient(ROUTER, settings(peer=address), guard=GUARD)
        client.start()
        with running(client) as errors:
            assert kit.respond(peer.transact("get", "k")).status == 200
            peer.hang_up()
    assert isinstance(errors[0], StreamEnded)


def test_a_peer_that_refuses_the_registration_is_reported(kit: Any) -> None:
    peer = kit.FakePeer()
    peer.feed = lambda data: peer.say(wire.ChaincodeMessage(type=MessageType.ERROR, payload=b"no"))
    with listening(peer) as address:
        client = ChaincodeClient(ROUTER, settings(peer=address), guard=GUARD)
        client.start()
        with running(client) as errors:
            pass
    assert isinstance(errors[0], ProtocolError)


def test_a_peer_that_does_not_end_the_stream_is_left(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_FAREWELL", 0.05)
    peer = kit.FakePeer()
    with listening(peer, polite=False) as address:
        client = ChaincodeClient(ROUTER, settings(peer=address), guard=GUARD)
        client.start()
        with running(client) as errors:
            assert kit.respond(peer.transact("get", "k")).status == 200
            client.stop()
    assert errors == []


def test_stopping_before_dialling_ends_at_once(kit: Any) -> None:
    with listening(kit.FakePeer()) as address:
        client = ChaincodeClient(ROUTER, settings(peer=address), guard=GUARD)
        client.start()
        client.stop()
        with running(client) as errors:
            pass
    assert errors == []


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def signalled(call: Callable[[Callable[[str], None]], None], told: Callable[[], None] = terminate) -> str:
    """Run a blocking entry point in this process and end it by SIGTERM as soon as it announces itself."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    lines: list[str] = []

    def announce(line: str) -> None:
        lines.append(line)
        told()

    try:
        call(announce)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return lines[0]


def test_sigterm_ends_both_directions(kit: Any) -> None:
    server = settings(listen="127.0.0.1:0")
    line = signalled(lambda announce: server_module.serve(ROUTER, server, announce=announce))
    assert line.startswith("ready 127.0.0.1:")
    with listening(kit.FakePeer()) as address:
        client = settings(peer=address)
        line = signalled(lambda announce: server_module.dial(ROUTER, client, announce=announce))
    assert line == f"ready dialling {address}"


@pytest.mark.timeout(30)
def test_a_signal_that_another_thread_took_ends_both_directions(kit: Any) -> None:
    def elsewhere() -> None:
        time.sleep(0.3)  # by then the main thread waits
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

    def told() -> None:
        threading.Thread(target=elsewhere).start()

    server = settings(listen="127.0.0.1:0")
    assert signalled(lambda announce: server_module.serve(ROUTER, server, announce=announce), told)
    with listening(kit.FakePeer()) as address:
        client = settings(peer=address)
        assert signalled(lambda announce: server_module.dial(ROUTER, client, announce=announce), told)
