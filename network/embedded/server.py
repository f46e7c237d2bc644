# SPDX-License-Identifier: Apache-2.0
"""The node's gRPC listeners: one per organisation, one for its chaincode, one for the orderer (rules T-1 to T-7)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import grpc
from fabric_protos.gateway import gateway_pb2_grpc
from fabric_protos.orderer import ab_pb2_grpc
from fabric_protos.peer import chaincode_shim_pb2_grpc, events_pb2_grpc, peer_pb2_grpc
from grpc import aio

from network.embedded.channel import Channel
from network.embedded.delivery import DeliverService, OrdererService
from network.embedded.endorsing import GatewayPeer
from network.embedded.gateway import GatewayService
from network.embedded.stream import MAX_MESSAGE

OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_send_message_length", MAX_MESSAGE),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.so_reuseport", 0),
)
"""Large messages, tolerance for the pings of idle clients, and no second process on the same port."""

GRACE_S = 2.0


class ListenError(OSError):
    """An address cannot be listened on."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """A server's folder `tls` (server.crt, server.key), and the roots whose clients may connect under mutual TLS."""

    folder: Path
    client_roots: tuple[Path, ...] = ()

    def credentials(self, *, mutual: bool) -> Any:
        """What the listener presents and demands; raises OSError."""
        pair = ((self.folder / "server.key").read_bytes(), (self.folder / "server.crt").read_bytes())
        roots = b"".join(path.read_bytes() for path in self.client_roots) if mutual else None
        return grpc.ssl_server_credentials([pair], root_certificates=roots, require_client_auth=mutual)


class ServedPeer(GatewayPeer, Protocol):
    """What is served for one organisation."""

    chaincodes: Any


def peer_server(node: Any, peer: ServedPeer, *, mutual: bool) -> Any:
    """Gateway, Endorser and Deliver of one organisation's peer."""
    server = aio.server(options=OPTIONS)
    gateway_pb2_grpc.add_GatewayServicer_to_server(GatewayService(node, peer), server)
    peer_pb2_grpc.add_EndorserServicer_to_server(peer.endorser, server)
    deliver = DeliverService(node.channels, peer.msp_id, mutual_tls=mutual)
    events_pb2_grpc.add_DeliverServicer_to_server(deliver, server)
    return server


def chaincode_server(peer: ServedPeer) -> Any:
    """Where chaincode that dials its peer registers; plain text, as in Fabric's development mode (T-8)."""
    server = aio.server(options=OPTIONS)
    chaincode_shim_pb2_grpc.add_ChaincodeSupportServicer_to_server(peer.chaincodes, server)
    return server


def orderer_server(channels: Mapping[str, Channel], *, mutual: bool) -> Any:
    """Broadcast and Deliver of the ordering service."""
    server = aio.server(options=OPTIONS)
    orderers = {name: channel.orderer for name, channel in channels.items()}
    service = OrdererService(channels, orderers, mutual_tls=mutual)
    ab_pb2_grpc.add_AtomicBroadcastServicer_to_server(service, server)
    return server


def listen(server: Any, addresses: Iterable[str], credentials: Any | None) -> None:
    """Bind addresses before the server starts; raises ListenError."""
    for address in addresses:
        try:
            if credentials is None:
                bound = server.add_insecure_port(address)
            else:
                bound = server.add_secure_port(address, credentials)
        except RuntimeError as exc:
            raise ListenError(f"cannot listen on {address}") from exc
        if bound == 0:
            raise ListenError(f"cannot listen on {address}")
