# SPDX-License-Identifier: Apache-2.0
"""Connections: TLS both ways, gRPC's options, what is refused."""

from __future__ import annotations

import socket
import time

import grpc
import pytest
from cryptography.hazmat.primitives import hashes

from gateway.fabric import EndorseError, Gateway, GatewayError, MalformedData, connect, wire
from gateway.fabric import connection as connection_module


@pytest.fixture(scope="session")
def tls(kit):
    key = kit.make_key("p256")
    root = kit.make_certificate("tlsca", key, ca=True)

    def issue(name):
        own = kit.make_key("p256")
        certificate = kit.make_certificate(name, own, (root.subject, key), hosts=(name,))
        return kit.pem_of_key(own), kit.pem_of(certificate), certificate

    return kit.pem_of(root), issue


@pytest.fixture
def served(kit, world, tls):
    """Serves a fake peer over TLS; a client certificate is demanded when `mutual`."""

    def serve(mutual):
        root, issue = tls
        server_key, server_pem, _ = issue("peer0.lab.example")
        credentials = grpc.ssl_server_credentials(
            [(server_key, server_pem)], root if mutual else None, require_client_auth=mutual
        )
        peer = kit.FakePeer(world.peers, world.genesis)
        return kit.serving(peer, credentials), peer

    return serve


def gateway_of(world, channel):
    return Gateway(channel, world.client.identity, world.client.signer, trust=world.trust())


def test_tls_proves_the_server(world, tls, served):
    root, _ = tls
    serving, _ = served(False)
    with (
        serving as port,
        connect(f"127.0.0.1:{port}", tls_root=root, server_name="peer0.lab.example") as channel,
    ):
        channel.wait_ready(10)
        assert channel.tls_client_certificate_hash == b""
        assert gateway_of(world, channel).network("pedigree").contract("pedigree").submit("write") == b"result"


def test_a_server_with_another_name_or_another_root_is_not_spoken_to(world, tls, served, kit):
    root, _ = tls
    serving, peer = served(False)
    stranger = kit.pem_of(kit.make_certificate("tlsca", kit.make_key("p256"), ca=True))
    with serving as port:
        for options in (
            {"tls_root": root, "server_name": "peer0.other.example"},
            {"tls_root": stranger, "server_name": "peer0.lab.example"},
        ):
            with connect(f"127.0.0.1:{port}", **options) as channel, pytest.raises(EndorseError) as caught:
                gateway_of(world, channel).network("pedigree").contract("pedigree").submit("write")
            assert caught.value.code is grpc.StatusCode.UNAVAILABLE
    assert peer.requests == []


def test_mutual_tls_puts_the_certificates_hash_into_deliver_requests(world, tls, served):
    root, issue = tls
    client_key, client_pem, certificate = issue("User1.lab.example")
    serving, peer = served(True)
    with (
        serving as port,
        connect(
            f"127.0.0.1:{port}",
            tls_root=root,
            server_name="peer0.lab.example",
            client_certificate=client_pem,
            client_key=client_key,
        ) as channel,
    ):
        gateway_of(world, channel).network("pedigree").check_genesis()
        payload = wire.common.Payload.FromString(peer.requests[0].payload)
    header = wire.common.ChannelHeader.FromString(payload.header.channel_header)
    assert header.tls_cert_hash == certificate.fingerprint(hashes.SHA256())


def test_a_plain_grpc_channel_does_too(stage):
    with grpc.insecure_channel(stage.target) as channel:
        gateway = gateway_of(stage.world, channel)
        assert gateway.network("pedigree").contract("pedigree").submit("write") == b"result"


def test_messages_may_be_far_larger_than_grpcs_default(stage):
    stage.peer.result = b"x" * (8 << 20)
    with connect(stage.target) as channel:
        gateway = gateway_of(stage.world, channel)
        assert len(gateway.network("pedigree").contract("pedigree").new_proposal("write").endorse().result) == 8 << 20


def test_the_options_are_those_that_fabrics_servers_bear():
    options = dict(connection_module._OPTIONS)
    assert options["grpc.max_receive_message_length"] == 104_857_600
    assert options["grpc.keepalive_time_ms"] >= 60_000
    assert options["grpc.enable_retries"] == 0


def test_an_option_of_the_callers_replaces_ours(stage):
    stage.peer.result = b"x" * 4096
    with connect(stage.target, options=[("grpc.max_receive_message_length", 1024)]) as channel:
        contract = gateway_of(stage.world, channel).network("pedigree").contract("pedigree")
        with pytest.raises(EndorseError) as caught:
            contract.submit("write")
    assert caught.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_an_attempt_that_nobody_answers_is_given_up_soon():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began = time.monotonic()
        with connect(f"127.0.0.1:{silent.getsockname()[1]}") as channel, pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary("/gateway.Gateway/Evaluate")(b"", timeout=10)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert time.monotonic() - began < 5


def test_waiting_for_a_connection_ends():
    with connect("127.0.0.1:1") as channel, pytest.raises(GatewayError) as caught:
        channel.wait_ready(0.2)
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"tls_root": b"x", "client_key": b"x"}, ValueError),
        ({"tls_root": b"x", "client_certificate": b"x"}, ValueError),
        ({"client_certificate": b"x", "client_key": b"x"}, ValueError),
        ({"server_name": "x"}, ValueError),
        ({"tls_root": b"x", "client_certificate": b"x", "client_key": b"x"}, MalformedData),
    ],
)
def test_half_a_configuration_is_refused(options, error):
    with pytest.raises(error):
        connect("127.0.0.1:1", **options)


def test_the_gateway_closes_no_channel_that_it_was_given(stage):
    first = gateway_of(stage.world, stage.connection)
    assert not hasattr(first, "close")
    del first
    assert stage.contract.evaluate("read") == b"read|"
