# SPDX-License-Identifier: Apache-2.0
"""The one typed description of a network: organisations, ordering service, channels and ports.

Every configuration file is rendered from it and the embedded network is started from it. A description that someone
wrote by hand is read by `load`; whatever is wrong with it is refused with one `TopologyError` that names the field.
"""

import re
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from network import reading
from network.documents import read_document
from network.freeports import bind_anywhere
from network.reading import TopologyError as TopologyError

_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_MSP_ID = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,62}[A-Za-z0-9])?")
"""The law's rule for organisations' ids, so that a network never begins with a member that the law cannot name."""
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,62}[A-Za-z0-9])?")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
_CHANNEL = re.compile(r"[a-z][a-z0-9.-]*")
_CHAINCODE = re.compile(r"[A-Za-z0-9]+([-_][A-Za-z0-9]+)*")
_LARGEST_FILE = 1 << 20
_LONGEST_DOMAIN = 50
"""Characters: with a node's own name before it, it must fit into the 64 of a certificate's common name."""
_LONGEST_HOST = 253


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host and a TCP port; port 0 means "any free one" and is replaced by `resolved`."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> "Endpoint":
        """Read `HOST:PORT`; raises `ValueError` with the reason."""
        host, separator, port = text.rpartition(":")
        if not separator or len(host) > _LONGEST_HOST or not _HOST.fullmatch(host):
            raise ValueError(f"{reading.shown(text)} is not HOST:PORT")
        if not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
            raise ValueError(f"{reading.shown(port)} is not a port between 0 and 65535")
        return cls(host, int(port))


@dataclass(frozen=True, slots=True)
class Organisation:
    """One peer organisation; its peers are `peer0.<domain>`, `peer1.<domain>` and so on, mostly one."""

    name: str
    msp_id: str
    domain: str
    peer: Endpoint
    chaincode: Endpoint
    """Where chaincode that dials its peer registers (Fabric's default is the peer's port plus one)."""
    further_peers: tuple[Endpoint, ...] = ()
    """Peers beside the first, which serve when it does not; only containers run them."""

    @property
    def peer_name(self) -> str:
        """The host name in the first peer's certificates."""
        return f"peer0.{self.domain}"

    @property
    def peers(self) -> tuple[tuple[str, Endpoint], ...]:
        """Every peer: its host name, and where it listens."""
        endpoints = (self.peer, *self.further_peers)
        return tuple((f"peer{number}.{self.domain}", endpoint) for number, endpoint in enumerate(endpoints))


@dataclass(frozen=True, slots=True)
class OrdererOrganisation:
    """The organisation that orders; one node, `orderer<n>.<domain>`, for each address."""

    msp_id: str
    domain: str
    addresses: tuple[Endpoint, ...]
    consensus: str = "raft"
    """`raft`, or `bft`: SmartBFT, which bears nodes that lie; the embedded network orders by itself."""

    @property
    def node_names(self) -> tuple[str, ...]:
        """Host names in the nodes' certificates, in the order of `addresses`."""
        return tuple(f"orderer{number}.{self.domain}" for number in range(1, len(self.addresses) + 1))


@dataclass(frozen=True, slots=True)
class Batch:
    """When the ordering service cuts a block (rules O-8 to O-11)."""

    timeout_ms: int = 100
    max_messages: int = 500
    absolute_max_bytes: int = 10 * 1024 * 1024
    preferred_max_bytes: int = 2 * 1024 * 1024
    idle_cut_ms: int = 20
    """The embedded network also cuts a block when no message came for so long; 0 leaves that out, as Fabric does."""

    @property
    def timeout_text(self) -> str:
        """The timeout as Go writes a duration, which is how the channel configuration holds it."""
        return f"{self.timeout_ms // 1000}s" if self.timeout_ms % 1000 == 0 else f"{self.timeout_ms}ms"


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel and the peer organisations, by name, that are its members."""

    name: str
    organisations: tuple[str, ...]
    batch: Batch = Batch()


@dataclass(frozen=True, slots=True)
class Topology:
    """A whole network; the first channel is the one that network.json calls `channel`."""

    organisations: tuple[Organisation, ...]
    orderer: OrdererOrganisation
    channels: tuple[Channel, ...]
    chaincode: str = "pedigree"
    state_database: str = "goleveldb"
    """Where Fabric's peers keep the state: `goleveldb`, or `couchdb` in containers of its own."""

    def organisation(self, name_or_msp_id: str) -> Organisation:
        """Find an organisation by its name or MSP id; raises `KeyError`."""
        for organisation in self.organisations:
            if name_or_msp_id in (organisation.name, organisation.msp_id):
                return organisation
        raise KeyError(name_or_msp_id)

    def channel(self, name: str) -> Channel:
        """Find a channel by its name; raises `KeyError`."""
        for channel in self.channels:
            if channel.name == name:
                return channel
        raise KeyError(name)

    def members(self, channel: Channel) -> tuple[Organisation, ...]:
        """The channel's organisations, in the channel's order."""
        return tuple(self.organisation(name) for name in channel.organisations)

    def endpoints(self) -> Iterator[tuple[str, Endpoint]]:
        """Every address that the network listens on, each with the field it comes from."""
        for index, organisation in enumerate(self.organisations):
            yield f"organisations[{index}].peer", organisation.peer
            yield f"organisations[{index}].chaincode", organisation.chaincode
            for number, peer in enumerate(organisation.further_peers):
                yield f"organisations[{index}].further_peers[{number}]", peer
        for index, address in enumerate(self.orderer.addresses):
            yield f"orderer.addresses[{index}]", address

    def resolved(self) -> "Topology":
        """Replace every port 0 by a port that is free now; raises `OSError` when a host is not ours to bind."""
        with ExitStack() as held:  # all are held until the last is chosen, so that no two are the same

            def choose(endpoint: Endpoint) -> Endpoint:
                if endpoint.port != 0:
                    return endpoint
                listener = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
                return replace(endpoint, port=bind_anywhere(listener, endpoint.host))

            organisations = tuple(
                replace(
                    organisation,
                    peer=choose(organisation.peer),
                    chaincode=choose(organisation.chaincode),
                    further_peers=tuple(choose(peer) for peer in organisation.further_peers),
                )
                for organisation in self.organisations
            )
            orderer = replace(self.orderer, addresses=tuple(choose(address) for address in self.orderer.addresses))
            return replace(self, organisations=organisations, orderer=orderer)

    def to_json(self) -> dict[str, Any]:
        """The description in the form that `parse` reads: `parse(t.to_json()) == t`."""
        return {
            "organisations": [
                {
                    "name": organisation.name,
                    "mspid": organisation.msp_id,
                    "domain": organisation.domain,
                    "peer": str(organisation.peer),
                    "chaincode": str(organisation.chaincode),
                    "further_peers": [str(peer) for peer in organisation.further_peers],
                }
                for organisation in self.organisations
            ],
            "orderer": {
                "mspid": self.orderer.msp_id,
                "domain": self.orderer.domain,
                "addresses": [str(address) for address in self.orderer.addresses],
                "consensus": self.orderer.consensus,
            },
            "channels": [
                {
                    "name": channel.name,
                    "organisations": list(channel.organisations),
                    "batch": {
                        "timeout": f"{channel.batch.timeout_ms}ms",
                        "max_messages": channel.batch.max_messages,
                        "absolute_max_bytes": channel.batch.absolute_max_bytes,
                        "preferred_max_bytes": channel.batch.preferred_max_bytes,
                        "idle_cut": f"{channel.batch.idle_cut_ms}ms",
                    },
                }
                for channel in self.channels
            ],
            "chaincode": self.chaincode,
            "state_database": self.state_database,
        }


def check_msp_id(value: object, field: str) -> str:
    """An MSP id of the one form that every part of Pedigree takes; raises `TopologyError` that names `field`."""
    what = "an MSP id: 1 to 64 letters, digits, dots and hyphens, with a letter or digit at both ends"
    return reading.text(value, field, _MSP_ID, what)


def default_topology(*, any_port: bool = False) -> Topology:
    """The three-organisation network; with `any_port` every port is 0, as tests want it."""

    def at(port: int) -> Endpoint:
        return Endpoint("127.0.0.1", 0 if any_port else port)

    names = ("hospital", "lab", "regulator")
    return Topology(
        organisations=tuple(
            Organisation(name, f"{name.capitalize()}MSP", f"{name}.example", at(port), at(port + 1))
            for name, port in zip(names, (7051, 8051, 9051), strict=True)
        ),
        orderer=OrdererOrganisation("OrdererMSP", "orderer.example", (at(7050),)),
        channels=(Channel("pedigree", names),),
    )


def load(path: Path) -> Topology:
    """Read a topology from a YAML or JSON file; raises `TopologyError`, also for a file that cannot be read."""
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise TopologyError(str(path), "is larger than 1 MiB")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise TopologyError(str(path), error.strerror or "cannot be read") from error
    except UnicodeDecodeError as error:
        raise TopologyError(str(path), "is not UTF-8 text") from error
    return loads(text, str(path))


def loads(text: str, name: str = "topology") -> Topology:
    """Read a topology from YAML or JSON text; raises `TopologyError`, in which `name` stands for the whole."""
    try:
        document = read_document(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problem = str(error).splitlines()[0] if str(error) else "cannot be parsed"
        raise TopologyError(name, f"is neither YAML nor JSON: {problem}") from error
    return parse(document, name)


def parse(document: object, name: str = "topology") -> Topology:
    """Read a topology from a parsed document; raises `TopologyError`."""
    fields = reading.mapping(
        document, name, required=("organisations",), optional=("orderer", "channels", "chaincode", "state_database")
    )
    organisations = tuple(
        _organisation(entry, f"organisations[{index}]")
        for index, entry in enumerate(reading.filled_list(fields["organisations"], "organisations"))
    )
    orderer = parse_orderer(fields.get("orderer", {}))
    _refuse_repetitions(_names(organisations, orderer))
    members = tuple(organisation.name for organisation in organisations)
    channels = tuple(
        _channel(entry, f"channels[{index}]", members)
        for index, entry in enumerate(reading.filled_list(fields.get("channels", [{"name": "pedigree"}]), "channels"))
    )
    chaincode = reading.text(fields.get("chaincode", "pedigree"), "chaincode", _CHAINCODE, "a chaincode name")
    state_database = reading.choice(
        fields.get("state_database", "goleveldb"), "state_database", ("goleveldb", "couchdb")
    )
    topology = Topology(organisations, orderer, channels, chaincode, state_database)
    _refuse_repetitions((f"channels[{index}].name", channel.name) for index, channel in enumerate(channels))
    _refuse_repetitions((field, str(endpoint)) for field, endpoint in topology.endpoints() if endpoint.port != 0)
    return topology


def _organisation(entry: object, path: str) -> Organisation:
    fields = reading.mapping(
        entry, path, required=("name", "mspid", "domain", "peer"), optional=("chaincode", "further_peers")
    )
    peer = _endpoint(fields["peer"], f"{path}.peer")
    following = f"{peer.host}:{peer.port + 1 if peer.port else 0}"
    return Organisation(
        name=reading.text(fields["name"], f"{path}.name", _NAME, "a name: 1 to 64 letters, digits, '.', '_' and '-'"),
        msp_id=check_msp_id(fields["mspid"], f"{path}.mspid"),
        domain=_domain(fields["domain"], f"{path}.domain"),
        peer=peer,
        chaincode=_endpoint(fields.get("chaincode", following), f"{path}.chaincode"),
        further_peers=tuple(
            _endpoint(entry, f"{path}.further_peers[{number}]")
            for number, entry in enumerate(reading.any_list(fields.get("further_peers", []), f"{path}.further_peers"))
        ),
    )


def parse_orderer(entry: object) -> OrdererOrganisation:
    """Read the description of the ordering organisation alone; raises `TopologyError`."""
    fields = reading.mapping(entry, "orderer", required=(), optional=("mspid", "domain", "addresses", "consensus"))
    addresses = reading.filled_list(fields.get("addresses", ["127.0.0.1:7050"]), "orderer.addresses")
    return OrdererOrganisation(
        msp_id=check_msp_id(fields.get("mspid", "OrdererMSP"), "orderer.mspid"),
        domain=_domain(fields.get("domain", "orderer.example"), "orderer.domain"),
        addresses=tuple(_endpoint(address, f"orderer.addresses[{index}]") for index, address in enumerate(addresses)),
        consensus=reading.choice(fields.get("consensus", "raft"), "orderer.consensus", ("raft", "bft")),
    )


def _domain(value: object, path: str) -> str:
    domain = reading.text(value, path, _DOMAIN, "a lower-case domain name")
    if len(domain) > _LONGEST_DOMAIN:
        raise TopologyError(path, f"is longer than {_LONGEST_DOMAIN} characters, which certificates cannot hold")
    return domain


def _channel(entry: object, path: str, known: Sequence[str]) -> Channel:
    fields = reading.mapping(entry, path, required=("name",), optional=("organisations", "batch"))
    members = reading.filled_list(fields.get("organisations", list(known)), f"{path}.organisations")
    for index, member in enumerate(members):
        if member not in known:
            raise TopologyError(f"{path}.organisations[{index}]", f"no organisation is called {reading.shown(member)}")
        if member in members[:index]:
            raise TopologyError(f"{path}.organisations[{index}]", f"{reading.shown(member)} is named twice")
    name = reading.text(fields["name"], f"{path}.name", _CHANNEL, "a channel name (a-z, 0-9, '.', '-'; a letter first)")
    if len(name) > 249:
        raise TopologyError(f"{path}.name", "is longer than 249 characters")
    return Channel(name, tuple(members), _batch(fields.get("batch", {}), f"{path}.batch"))


def _batch(entry: object, path: str) -> Batch:
    sizes = ("max_messages", "absolute_max_bytes", "preferred_max_bytes")
    fields = reading.mapping(entry, path, required=(), optional=("timeout", "idle_cut", *sizes))
    timeout_ms = reading.milliseconds(fields.get("timeout", "100ms"), f"{path}.timeout")
    if timeout_ms == 0:
        raise TopologyError(f"{path}.timeout", "must be longer than nothing, such as 100ms or 2s")
    idle_cut_ms = reading.milliseconds(fields.get("idle_cut", "20ms"), f"{path}.idle_cut")
    values = {size: reading.positive(fields[size], f"{path}.{size}") for size in sizes if size in fields}
    batch = replace(Batch(timeout_ms=timeout_ms, idle_cut_ms=idle_cut_ms), **values)
    if batch.preferred_max_bytes > batch.absolute_max_bytes:
        raise TopologyError(f"{path}.preferred_max_bytes", "is larger than absolute_max_bytes")
    return batch


def _names(organisations: Sequence[Organisation], orderer: OrdererOrganisation) -> Iterator[tuple[str, str]]:
    """What must be unique among organisations, each with its field; the kinds cannot be mistaken for one another."""
    for index, organisation in enumerate(organisations):
        yield f"organisations[{index}].name", f"name {organisation.name}"
        yield f"organisations[{index}].mspid", f"MSP id {organisation.msp_id}"
        yield f"organisations[{index}].domain", f"domain {organisation.domain}"
    yield "orderer.mspid", f"MSP id {orderer.msp_id}"
    yield "orderer.domain", f"domain {orderer.domain}"


def _refuse_repetitions(values: Iterable[tuple[str, str]]) -> None:
    seen: set[str] = set()
    for field, value in values:
        if value in seen:
            raise TopologyError(field, f"{value} is used twice")
        seen.add(value)


def _endpoint(value: object, path: str) -> Endpoint:
    if not isinstance(value, str):
        raise TopologyError(path, f"{reading.shown(value)} is not HOST:PORT")
    try:
        return Endpoint.parse(value)
    except ValueError as error:
        raise TopologyError(path, str(error)) from error
