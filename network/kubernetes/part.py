# SPDX-License-Identifier: Apache-2.0
"""Whose part of the network is rendered, what its objects are called, and where others reach it."""

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

from network.material import Material
from network.topology import Endpoint, OrdererOrganisation, Organisation, Topology

OPERATIONS_PORT = 9443
CHAINCODE_PORT = 7052
ADMIN_PORT = 7053
CA_PORT = 7054
_LABEL = re.compile(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?")


class KubernetesError(ValueError):
    """Refuses to render; the message names the option, field or file and what would be right."""


@dataclass(frozen=True, slots=True)
class Part:
    """One organisation in its network: a peer organisation, or the one that orders."""

    topology: Topology
    material: Material
    owner: Organisation | OrdererOrganisation
    prefix: str
    """A DNS label, with which every object's name begins."""

    @classmethod
    def of(cls, topology: Topology, directory: Path, name: str) -> "Part":
        """The part of the organisation with this name or MSP id; `orderer` is also the one that orders.

        Raises `KubernetesError`.
        """
        if topology.state_database != "goleveldb":
            raise KubernetesError("state_database: the chart runs peers with goleveldb only")
        material = Material(directory / "organizations")
        if name in ("orderer", topology.orderer.msp_id):
            return cls(topology, material, topology.orderer, "orderer")
        try:
            owner = topology.organisation(name)
        except KeyError:
            known = ", ".join(each.name for each in topology.organisations)
            raise KubernetesError(f"--org: no organisation is called {name!r}; there are {known} and orderer") from None
        prefix = re.sub(r"[._]", "-", owner.name.lower())
        if not _LABEL.fullmatch(prefix) or prefix == "orderer":
            raise KubernetesError(
                f"--org: {owner.name!r} makes no name of Kubernetes objects: up to 40 letters, digits and '-', "
                "a letter first, and not 'orderer'"
            )
        return cls(topology, material, owner, prefix)

    @property
    def chaincode(self) -> str:
        """The Service of the organisation's chaincode, which is also the name in its TLS certificate."""
        return f"{self.prefix}-chaincode"

    def warnings(self) -> list[str]:
        """What an operator must see to before others can reach this part."""
        named = [(each.peer_name, each.peer) for each in self.topology.organisations]
        named += zip(self.topology.orderer.node_names, self.topology.orderer.addresses, strict=True)
        names = [name for name, endpoint in named if is_loopback(endpoint.host)]
        found = []
        if names:
            found.append(
                f"the topology has loopback addresses: {', '.join(names)} must resolve for every member "
                "(DNS, or hostAliases in values.yaml), and must be in the channel's configuration"
            )
        if isinstance(self.owner, Organisation) and self.owner.further_peers:
            found.append(f"only {self.owner.peer_name} is rendered, not the organisation's further peers")
        return found


def reachable(endpoint: Endpoint, name: str) -> Endpoint:
    """Where others reach a node: as the topology says, or by its certificate's name where that is loopback."""
    return Endpoint(name, endpoint.port) if is_loopback(endpoint.host) else endpoint


def is_loopback(host: str) -> bool:
    """Whether an address means "this machine", which in a cluster is another one for everybody."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
