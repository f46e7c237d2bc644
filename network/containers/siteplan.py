# SPDX-License-Identifier: Apache-2.0
"""The plan of one organisation's part: its own containers only, published where the other sites reach them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from network.containers.errors import ContainersError
from network.containers.generation import Generation
from network.containers.plan import (
    Authority,
    Images,
    Orderer,
    Peer,
    Plan,
    authority_of,
    container_user,
    expanded,
    gateways_of,
    images_of,
    orderers_of,
    peers_of,
)
from network.containers.ports import KeptPorts
from network.containers.site import Site
from network.material import Material
from network.topology import Endpoint, OrdererOrganisation, Organisation, Topology

__all__ = ["make_site_plan", "with_own_addresses"]


def with_own_addresses(
    topology: Topology, directory: Path, site: Site, *, peers: int = 1, consensus: str | None = None
) -> Topology:
    """The topology with this site's nodes as the others reach them; ports left open are chosen and kept.

    Raises `ContainersError`, also for an option that is not this organisation's to choose.
    """
    if site.orders and peers != 1:
        raise ContainersError("--peers: the ordering organisation has none")
    if not site.orders and consensus is not None:
        raise ContainersError("--consensus: the ordering organisation's site chooses it")
    whole = expanded(topology, peers=peers, consensus=consensus) if site.orders else topology
    with _kept_ports(directory) as ports:
        if site.orders:
            return replace(whole, orderer=_own_orderer(whole.orderer, site, ports))
        own = expanded(topology, peers=peers).organisation(site.organisation)
        organisations = tuple(
            _own_member(own, site, ports) if member.name == own.name else member for member in whole.organisations
        )
        return replace(whole, organisations=organisations)


def make_site_plan(topology: Topology, directory: Path, site: Site, images: Images | None = None) -> Plan:
    """Plan a site's containers of a topology that all sites agree on; raises `ContainersError`."""
    generation = Generation.read(directory)
    material = Material(directory / "organizations")
    members = [each for each in topology.organisations if each.name == site.organisation]
    with _kept_ports(directory) as ports:
        ports.avoid(endpoint.port for _, endpoint in topology.endpoints())
        return Plan(
            directory=directory,
            topology=topology,
            peers=tuple(_published_peer(peer, site) for peer in peers_of(members, ports)),
            orderers=tuple(_orderers(topology, site, ports)),
            authorities=(_authority(topology, site, material, ports),),
            gateways=tuple(gateways_of(members, ports)),
            images=images or images_of(generation),
            generation=generation,
            user=container_user(),
            site=site,
        )


def _kept_ports(directory: Path) -> KeptPorts:
    return KeptPorts(directory / "containers" / "ports.json")


def _own_member(member: Organisation, site: Site, ports: KeptPorts) -> Organisation:
    def at(name: str, endpoint: Endpoint) -> Endpoint:
        return Endpoint(site.host, endpoint.port or ports.kept(name))

    return replace(
        member,
        peer=at(member.peer_name, member.peer),
        further_peers=tuple(at(name, endpoint) for name, endpoint in member.peers[1:]),
        chaincode=Endpoint(site.host, member.chaincode.port),  # not published: its container has the port to itself
    )


def _own_orderer(orderer: OrdererOrganisation, site: Site, ports: KeptPorts) -> OrdererOrganisation:
    nodes = zip(orderer.node_names, orderer.addresses, strict=True)
    addresses = tuple(Endpoint(site.host, endpoint.port or ports.kept(name)) for name, endpoint in nodes)
    return replace(orderer, addresses=addresses)


def _published_peer(peer: Peer, site: Site) -> Peer:
    return replace(peer, endpoint=replace(peer.endpoint, host=site.listen), advertised=peer.endpoint)


def _orderers(topology: Topology, site: Site, ports: KeptPorts) -> Iterator[Orderer]:
    if site.orders:
        for node in orderers_of(topology, ports):
            yield replace(node, endpoint=replace(node.endpoint, host=site.listen))


def _authority(topology: Topology, site: Site, material: Material, ports: KeptPorts) -> Authority:
    if site.orders:
        orderer = topology.orderer
        folder = material.orderer_organisation(orderer.domain)
        return authority_of(orderer.domain, folder, ports, orderer.addresses[0].port + 4)
    member = topology.organisation(site.organisation)
    return authority_of(member.domain, material.organisation(member.domain), ports, member.peer.port + 3)
