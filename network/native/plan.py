# SPDX-License-Identifier: Apache-2.0
"""Which processes make the network, where each keeps its files and on which loopback port it listens.

Ports that the topology leaves open (0) are chosen once per directory and kept in `ports.json`, because the addresses of
orderers and anchor peers are part of the channel's configuration and must survive a restart. Ports that only this tool
uses (administration, metrics) are chosen anew at every start.
"""

import json
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from network.durable import write_file
from network.freeports import bind_anywhere
from network.material import Material
from network.native.errors import NativeError
from network.topology import Channel, Endpoint, Topology

CONSENTERS = 3
"""The fewest orderers with which Raft survives the loss of one."""
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Tuning:
    """What a test shortens and an operator may leave alone."""

    execute_timeout_s: int = 30
    """How long a peer waits for one chaincode call; Fabric turns anything below 1 s into 30 s (S-16)."""
    dissemination_of_implicit_collections: int = 1
    """How many other peers of an organisation receive its implicit collection (S-38)."""
    logging: str = "info:grpc=error"
    """Fabric's logging specification; at plain `info` release 3.1 logs gRPC's internals too."""


@dataclass(frozen=True, slots=True)
class PeerNode:
    """One organisation's peer."""

    mspid: str
    domain: str
    port: int
    chaincode_port: int
    operations_port: int

    @property
    def host(self) -> str:
        """The peer's host name, which is also the name of its folder in the key material."""
        return f"peer0.{self.domain}"

    @property
    def address(self) -> str:
        """`host:port` for clients."""
        return f"{HOST}:{self.port}"


@dataclass(frozen=True, slots=True)
class OrdererNode:
    """One consenter of the ordering service."""

    number: int
    mspid: str
    domain: str
    port: int
    admin_port: int
    operations_port: int

    @property
    def host(self) -> str:
        """The orderer's host name, which is also the name of its folder in the key material."""
        return f"orderer{self.number}.{self.domain}"

    @property
    def address(self) -> str:
        """`host:port` for clients."""
        return f"{HOST}:{self.port}"


@dataclass(frozen=True, slots=True)
class Organisation:
    """A member organisation and its peer."""

    name: str
    mspid: str
    domain: str
    peer: PeerNode


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole network of local processes below one directory."""

    directory: Path
    topology: Topology
    organisations: tuple[Organisation, ...]
    orderers: tuple[OrdererNode, ...]
    tuning: Tuning

    @property
    def material(self) -> Material:
        """Where the key material lies, in cryptogen's layout."""
        return Material(self.directory / "organizations")

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The channels; `network.json` names the first."""
        return self.topology.channels

    def genesis_block(self, channel: Channel) -> Path:
        """A channel's first block, as written by configtxgen."""
        return self.directory / "fabric" / f"{channel.name}.block"

    def members(self, channel: Channel) -> tuple[Organisation, ...]:
        """The organisations of a channel, in the channel's order."""
        known = {organisation.name: organisation for organisation in self.organisations}
        return tuple(known[name] for name in channel.organisations)

    def home(self, node: PeerNode | OrdererNode) -> Path:
        """Where a node's configuration file and its ledger lie."""
        return self.directory / "fabric" / node.host

    def log(self, node: PeerNode | OrdererNode) -> Path:
        """What a node says."""
        return self.directory / "logs" / f"{node.host}.log"

    def pid_file(self, node: PeerNode | OrdererNode) -> Path:
        """Which process a node is, while it runs."""
        return self.directory / "run" / f"{node.host}.pid"

    def nodes(self) -> Iterator[PeerNode | OrdererNode]:
        """Every process, orderers first."""
        yield from self.orderers
        for organisation in self.organisations:
            yield organisation.peer


def make_plan(topology: Topology, directory: Path, tuning: Tuning | None = None) -> Plan:
    """Plan the processes of `topology` below `directory`, and note the ports that were chosen.

    A description with a single orderer gets two more: a consortium's ledger should not stop with one process.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    ports = Ports(directory / "fabric" / "ports.json")
    fixed = _with_ports(_with_consenters(topology), ports)
    organisations = tuple(
        Organisation(
            member.name,
            member.msp_id,
            member.domain,
            PeerNode(
                member.msp_id,
                member.domain,
                member.peer.port,
                member.chaincode.port or ports.fresh(),
                ports.fresh(),
            ),
        )
        for member in fixed.organisations
    )
    orderers = tuple(
        OrdererNode(number, fixed.orderer.msp_id, fixed.orderer.domain, address.port, ports.fresh(), ports.fresh())
        for number, address in enumerate(fixed.orderer.addresses, start=1)
    )
    ports.save()
    return Plan(directory, fixed, organisations, orderers, tuning or Tuning())


def extended(plan: Plan, topology: Topology) -> Plan:
    """The plan of a changed topology, in which nodes that run already keep the ports that they have."""
    changed = make_plan(topology, plan.directory, plan.tuning)
    members = {member.peer.host: member for member in plan.organisations}
    orderers = {node.host: node for node in plan.orderers}
    return replace(
        changed,
        organisations=tuple(members.get(member.peer.host, member) for member in changed.organisations),
        orderers=tuple(orderers.get(node.host, node) for node in changed.orderers),
    )


def _with_consenters(topology: Topology) -> Topology:
    first = topology.orderer.addresses[0]
    if len(topology.orderer.addresses) > 1:
        return topology
    more = (Endpoint(first.host, first.port and first.port + 1000 * step) for step in range(1, CONSENTERS))
    return replace(topology, orderer=replace(topology.orderer, addresses=(first, *more)))


def _with_ports(topology: Topology, ports: "Ports") -> Topology:
    def at(listener: str, endpoint: Endpoint) -> Endpoint:
        if endpoint.host not in (HOST, "localhost"):
            raise NativeError(f"{listener} is to listen on {endpoint.host}: local processes listen on {HOST} only")
        return Endpoint(HOST, endpoint.port or ports.kept(listener))

    organisations = tuple(replace(member, peer=at(member.peer_name, member.peer)) for member in topology.organisations)
    named = zip(topology.orderer.node_names, topology.orderer.addresses, strict=True)
    addresses = tuple(at(name, address) for name, address in named)
    return replace(topology, organisations=organisations, orderer=replace(topology.orderer, addresses=addresses))


class Ports:
    """Chooses free loopback ports, some of them for the life of the directory.

    All sockets stay open until `save`, so that no port is handed out twice.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, int] = dict(_read_ports(path)) if path.exists() else {}
        self._held: list[socket.socket] = []

    def kept(self, listener: str) -> int:
        """The port of `listener`, in this directory for ever the same."""
        if listener not in self._known:
            self._known[listener] = self.fresh()
        return self._known[listener]

    def fresh(self) -> int:
        """A port that is free now."""
        probe = socket.socket()
        self._held.append(probe)
        return bind_anywhere(probe, HOST)

    def save(self) -> None:
        """Write the choice down and let the sockets go."""
        for probe in self._held:
            probe.close()
        self._held.clear()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_file(self._path, (json.dumps(self._known, indent=1, sort_keys=True) + "\n").encode("ascii"), mode=0o644)


def _read_ports(path: Path) -> Mapping[str, int]:
    ports: Mapping[str, int] = json.loads(path.read_text(encoding="ascii"))
    return ports
