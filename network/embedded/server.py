# SPDX-License-Identifier: Apache-2.0
"""The node's gRPC listeners: one per organisation, one for its chaincode, one for the orderer (rules T-1 to T-7)."""

import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from fabric_protos.gateway import gateway_pb2_grpc
from fabric_protos.orderer import ab_pb2_grpc
from fabric_protos.peer import chaincode_shim_pb2_grpc, events_pb2_grpc, peer_pb2_grpc

from network.embedded.channel import Channel
from network.embedded.delivery import DeliverService, OrdererService
from network.embedded.endorsing import GatewayPeer
from network.embedded.gateway import GatewayService
from network.embedded.transport import Crowd, Server, server_context

GRACE_S = 2.0


class ListenError(OSError):
    """An address cannot be listened on."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """A server's folder `tls` (server.crt, server.key), and the roots whose clients may connect under mutual TLS."""

    folder: Path
    client_roots: tuple[Path, ...] = ()

    def context(self, *, mutual: bool) -> ssl.SSLContext:
        """What the listener presents and demands; raises OSError."""
        roots = b"".join(path.read_bytes() for path in self.client_roots) if mutual else None
        return server_context(self.folder / "server.crt", self.folder / "server.key", roots)


class ServedPeer(GatewayPeer, Protocol):
    """What is served for one organisation."""

    chaincodes: Any


def peer_server(node: Any, peer: ServedPeer, crowd: Crowd, *, mutual: bool) -> Server:
    """Gateway, Endorser and Deliver of one organisation's peer."""
    server = Server(crowd=crowd)
    gateway_pb2_grpc.add_GatewayServicer_to_server(GatewayService(node, peer), server)
    peer_pb2_grpc.add_EndorserServicer_to_server(peer.endorser, server)
    deliver = DeliverService(node.channels, peer.msp_id, mutual_tls=mutual)
    events_pb2_grpc.add_DeliverServicer_to_server(deliver, server)
    return server


def chaincode_server(peer: ServedPeer, crowd: Crowd) -> Server:
    """Where chaincode that dials its peer registers, with its organisation's token; plain text (T-8)."""
    server = Server(crowd=crowd)
    chaincode_shim_pb2_grpc.add_ChaincodeSupportServicer_to_server(peer.chaincodes, server)
    return server


def orderer_server(channels: Mapping[str, Channel], crowd: Crowd, *, mutual: bool) -> Server:
    """Broadcast and Deliver of the ordering service."""
    server = Server(crowd=crowd)
    orderers = {name: channel.orderer for name, channel in channels.items()}
    service = OrdererService(channels, orderers, mutual_tls=mutual)
    ab_pb2_grpc.add_AtomicBroadcastServicer_to_server(service, server)
    return server


def listen(server: Server, addresses: Iterable[str], tls: ssl.SSLContext | None) -> None:
    """Bind addresses before the server starts; raises ListenError."""
    for address in addresses:
        try:
            server.bind(address, tls)
        except OSError as exc:
            raise ListenError(f"cannot listen on {address}") from exc
