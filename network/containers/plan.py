# SPDX-License-Identifier: Apache-2.0
"""Which containers make the network, what each is called and on which port of this machine it is published.

Everything follows from the topology. Ports that it does not name (administration, CAs, gateways, health) are chosen
once per directory and kept in `containers/ports.json`, so that addresses that clients know survive a restart.
"""

import hashlib
import ipaddress
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from network.containers.errors import ContainersError
from network.containers.generation import Generation
from network.containers.ports import KeptPorts
from network.containers.site import EVERYWHERE, Site
from network.material import Material
from network.topology import Endpoint, Organisation, Topology

FABRIC_VERSION = "3.1.5"
CA_VERSION = "1.5.21"
COUCHDB_VERSION = "3.4.2"
RAFT_NODES = 3
"""The fewest orderers with which Raft survives the loss of one."""
BFT_NODES = 4
"""The fewest orderers with which SmartBFT bears one that lies."""
CHAINCODE_PORT = 7052
CHAINCODE_HEALTH_PORT = 8090
OPERATIONS_PORT = 9443
GATEWAY_PORT = 8101
GATEWAY_HEALTH_PORT = 8111
_UNPRIVILEGED = "10001:10001"
LOOPBACK = "127.0.0.1"
FIRST_GENERATION = Generation()


@dataclass(frozen=True, slots=True)
class Images:
    """What each kind of container is made from; Fabric's own images are called as the official ones."""

    peer: str = f"hyperledger/fabric-peer:{FABRIC_VERSION}"
    orderer: str = f"hyperledger/fabric-orderer:{FABRIC_VERSION}"
    authority: str = f"hyperledger/fabric-ca:{CA_VERSION}"
    couchdb: str = f"couchdb:{COUCHDB_VERSION}"
    chaincode: str = "pedigree/chaincode:latest"
    gateway: str = "pedigree/gateway:latest"


@dataclass(frozen=True, slots=True)
class Peer:
    """One peer: a container, a ledger, and where this machine reaches it."""

    organisation: Organisation
    number: int
    name: str
    endpoint: Endpoint
    operations_port: int
    advertised: Endpoint | None = None
    """Where peers of other hosts reach it, where there are other hosts."""

    @property
    def inside(self) -> str:
        """Its address in the containers' network; the port is the same in there and out here."""
        return f"{self.name}:{self.endpoint.port}"

    @property
    def outside(self) -> str:
        """What it tells other organisations' peers as its address."""
        return self.inside if self.advertised is None else str(self.advertised)


@dataclass(frozen=True, slots=True)
class Orderer:
    """One node of the ordering service."""

    number: int
    name: str
    msp_id: str
    domain: str
    endpoint: Endpoint
    admin_port: int
    operations_port: int


@dataclass(frozen=True, slots=True)
class Authority:
    """One organisation's Fabric CA, which issues under the root key that the organisation has already."""

    name: str
    domain: str
    folder: Path
    """The organisation's folder in the key material."""
    port: int


@dataclass(frozen=True, slots=True)
class Gateway:
    """One organisation's gateway."""

    organisation: Organisation
    name: str
    port: int
    health_port: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The containers of one machine: a whole network, or a site's part of one."""

    directory: Path
    topology: Topology
    """As seen from this machine, with all nodes and no open port."""
    peers: tuple[Peer, ...]
    orderers: tuple[Orderer, ...]
    authorities: tuple[Authority, ...]
    gateways: tuple[Gateway, ...]
    images: Images = Images()
    generation: Generation = FIRST_GENERATION
    """Of the chaincode containers."""
    user: str = _UNPRIVILEGED
    """`uid:gid` of every process in every container; never root."""
    site: Site | None = None
    """The one organisation that runs here, where every organisation has a host of its own."""

    @property
    def members(self) -> tuple[Organisation, ...]:
        """The organisations whose peers, chaincode and gateway run here."""
        return tuple(gateway.organisation for gateway in self.gateways)

    @property
    def owner(self) -> str | None:
        """The domain of the one organisation whose keys belong here; None for all of them."""
        return None if self.site is None else self.authorities[0].domain

    @property
    def project(self) -> str:
        """What Compose calls the network: the same for the same directory, another for any other."""
        return project_name(self.directory)

    @property
    def material(self) -> Material:
        """Where the key material lies."""
        return Material(self.directory / "organizations")

    @property
    def rendered(self) -> Path:
        """The folder of rendered configuration, one folder for each container."""
        return self.directory / "containers"

    @property
    def compose_file(self) -> Path:
        """The description that Compose runs."""
        return self.directory / "compose.yaml"

    def ledger(self, name: str) -> Path:
        """Where a container keeps what must survive it."""
        return self.directory / "ledgers" / name

    def genesis_block(self, channel: str) -> Path:
        """A channel's first block."""
        return self.rendered / f"{channel}.block"

    def gateway_data(self, organisation: Organisation) -> Path:
        """A gateway's own data: read model, submissions, keys."""
        return self.directory / "gateways" / organisation.name

    def registrar(self, organisation: Organisation) -> Path:
        """Where an organisation's registrar keeps its identity and its secret; no gateway sees it."""
        return self.directory / "registrars" / organisation.name

    def identity(self, organisation: Organisation) -> Path:
        """The MSP folder of a gateway's own identity, once it is enrolled."""
        return self.gateway_data(organisation) / "identity" / "msp"

    def chaincode_name(self, organisation: Organisation) -> str:
        """What an organisation's own chaincode container is called; each generation has a name of its own."""
        number = self.generation.number
        return f"chaincode{'' if number == 1 else number}.{organisation.domain}"

    def reached(self, endpoint: Endpoint) -> Endpoint:
        """Where this machine reaches a node of the topology that may run elsewhere."""
        return endpoint if self.site is None else self.site.reached(endpoint)

    def fabric_names(self) -> list[str]:
        """The containers of Fabric's own programs: CAs, orderers and peers."""
        names = [authority.name for authority in self.authorities]
        return names + [node.name for node in self.orderers] + [peer.name for peer in self.peers]

    def inside(self) -> Topology:
        """The topology as the containers see it: every node of this machine under its own name, on the same port."""
        organisations = tuple(
            self._inside(member) if member in self.members else member for member in self.topology.organisations
        )
        if self.site is not None:
            return replace(self.topology, organisations=organisations)
        nodes = zip(self.topology.orderer.node_names, self.topology.orderer.addresses, strict=True)
        addresses = tuple(Endpoint(name, endpoint.port) for name, endpoint in nodes)
        orderer = replace(self.topology.orderer, addresses=addresses)
        return replace(self.topology, organisations=organisations, orderer=orderer)

    def _inside(self, member: Organisation) -> Organisation:
        return replace(
            member,
            peer=Endpoint(member.peer_name, member.peer.port),
            further_peers=tuple(Endpoint(name, endpoint.port) for name, endpoint in member.peers[1:]),
            chaincode=Endpoint(self.chaincode_name(member), CHAINCODE_PORT),
        )

    def published(self) -> Iterator[tuple[str, Endpoint]]:
        """Every address of this machine that a container is published on, and whose it is."""
        for peer in self.peers:
            yield peer.name, peer.endpoint
            yield f"{peer.name} (operations)", Endpoint(LOOPBACK, peer.operations_port)
        for orderer in self.orderers:
            yield orderer.name, orderer.endpoint
            yield f"{orderer.name} (administration)", Endpoint(LOOPBACK, orderer.admin_port)
            yield f"{orderer.name} (operations)", Endpoint(LOOPBACK, orderer.operations_port)
        for authority in self.authorities:
            yield authority.name, Endpoint(LOOPBACK, authority.port)
        for gateway in self.gateways:
            yield gateway.name, Endpoint(LOOPBACK, gateway.port)
            yield f"{gateway.name} (health)", Endpoint(LOOPBACK, gateway.health_port)


def reached(endpoint: Endpoint) -> Endpoint:
    """Where this machine itself reaches what is published at `endpoint`."""
    return replace(endpoint, host=LOOPBACK) if endpoint.host == EVERYWHERE else endpoint


def project_name(directory: Path) -> str:
    """Compose's name for the network of a directory."""
    folder = re.sub(r"[^a-z0-9]+", "", directory.name.lower()) or "network"
    return f"pedigree-{folder}-{hashlib.sha256(str(directory).encode()).hexdigest()[:8]}"


def expanded(topology: Topology, *, peers: int = 1, consensus: str | None = None) -> Topology:
    """The topology with as many nodes as a consortium in containers has; raises `ContainersError`.

    A description with a single orderer gets two more for Raft and three more for SmartBFT, each 1,000 ports further.
    """
    orderer = replace(topology.orderer, consensus=consensus or topology.orderer.consensus)
    wanted = BFT_NODES if orderer.consensus == "bft" else RAFT_NODES
    first = orderer.addresses[0]
    if len(orderer.addresses) == 1:
        further = (Endpoint(first.host, first.port and first.port + 1000 * step) for step in range(1, wanted))
        orderer = replace(orderer, addresses=(first, *further))
    if orderer.consensus == "bft" and len(orderer.addresses) < BFT_NODES:
        raise ContainersError(f"orderer.addresses: SmartBFT needs at least {BFT_NODES}, not {len(orderer.addresses)}")
    organisations = tuple(_with_peers(member, peers) for member in topology.organisations)
    return replace(topology, organisations=organisations, orderer=orderer)


def _with_peers(member: Organisation, count: int) -> Organisation:
    if len(member.peers) >= count:
        return member
    port = member.peer.port
    more = (Endpoint(member.peer.host, port and port + 20 * step) for step in range(1, count))
    return replace(member, further_peers=tuple(more))


def make_plan(topology: Topology, directory: Path, images: Images | None = None) -> Plan:
    """Plan the containers of an expanded topology below `directory`, and keep the ports that were chosen.

    Raises `ContainersError` for an address that no container can be published on.
    """
    for field, endpoint in topology.endpoints():
        _refuse_foreign(field, endpoint)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    generation = Generation.read(directory)
    with KeptPorts(directory / "containers" / "ports.json") as ports:
        topology = _with_ports(topology, ports)
        ports.avoid(endpoint.port for _, endpoint in topology.endpoints())
        return Plan(
            directory=directory,
            topology=topology,
            peers=tuple(peers_of(topology.organisations, ports)),
            orderers=tuple(orderers_of(topology, ports)),
            authorities=tuple(_authorities(topology, directory, ports)),
            gateways=tuple(gateways_of(topology.organisations, ports)),
            images=images or images_of(generation),
            generation=generation,
            user=container_user(),
        )


def images_of(generation: Generation) -> Images:
    """What containers are made from, with the chaincode's image of a generation."""
    return Images() if generation.image is None else Images(chaincode=generation.image)


def peers_of(members: Iterable[Organisation], ports: KeptPorts) -> Iterator[Peer]:
    """The peers of these organisations."""
    for member in members:
        for number, (name, endpoint) in enumerate(member.peers):
            yield Peer(member, number, name, endpoint, ports.kept(f"{name}/operations"))


def orderers_of(topology: Topology, ports: KeptPorts) -> Iterator[Orderer]:
    """All orderers."""
    owner = topology.orderer
    for number, (name, endpoint) in enumerate(zip(owner.node_names, owner.addresses, strict=True), start=1):
        admin, operations = ports.kept(f"{name}/admin", endpoint.port + 3), ports.kept(f"{name}/operations")
        yield Orderer(number, name, owner.msp_id, owner.domain, endpoint, admin, operations)


def _authorities(topology: Topology, directory: Path, ports: KeptPorts) -> Iterator[Authority]:
    material = Material(directory / "organizations")
    for member in topology.organisations:
        yield authority_of(member.domain, material.organisation(member.domain), ports, member.peer.port + 3)
    orderer = topology.orderer
    folder = material.orderer_organisation(orderer.domain)
    yield authority_of(orderer.domain, folder, ports, orderer.addresses[0].port + 4)


def authority_of(domain: str, folder: Path, ports: KeptPorts, preferred: int) -> Authority:
    """The CA of the organisation whose keys lie in `folder`."""
    name = f"ca.{domain}"
    return Authority(name, domain, folder, ports.kept(name, preferred))


def gateways_of(members: Iterable[Organisation], ports: KeptPorts) -> Iterator[Gateway]:
    """The gateways of these organisations."""
    for index, member in enumerate(members):
        name = f"gateway.{member.domain}"
        api, health = ports.kept(name, GATEWAY_PORT + index), ports.kept(f"{name}/health", GATEWAY_HEALTH_PORT + index)
        yield Gateway(member, name, api, health)


def _with_ports(topology: Topology, ports: KeptPorts) -> Topology:
    def at(listener: str, endpoint: Endpoint) -> Endpoint:
        return replace(endpoint, port=endpoint.port or ports.kept(listener))

    organisations = tuple(
        replace(
            member,
            peer=at(member.peer_name, member.peer),
            further_peers=tuple(at(name, endpoint) for name, endpoint in member.peers[1:]),
        )
        for member in topology.organisations
    )
    nodes = zip(topology.orderer.node_names, topology.orderer.addresses, strict=True)
    orderer = replace(topology.orderer, addresses=tuple(at(name, endpoint) for name, endpoint in nodes))
    return replace(topology, organisations=organisations, orderer=orderer)


def _refuse_foreign(field: str, endpoint: Endpoint) -> None:
    """Containers are published on addresses, not on names."""
    try:
        ipaddress.IPv4Address(endpoint.host)
    except ValueError:
        problem = "containers are published on an address of this machine, such as 127.0.0.1"
        raise ContainersError(f"{field}: {endpoint.host!r} is not an IPv4 address: {problem}") from None


def container_user() -> str:
    """The user of the containers: the one that runs this tool, who then owns the files; for root, a powerless one."""
    return _UNPRIVILEGED if os.getuid() == 0 else f"{os.getuid()}:{os.getgid()}"
