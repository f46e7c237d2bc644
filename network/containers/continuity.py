# SPDX-License-Identifier: Apache-2.0
"""What a network that exists must keep: the addresses and the consensus that its channels were made with."""

from dataclasses import replace

from network.containers.errors import ContainersError
from network.topology import Endpoint, Organisation, Topology

__all__ = ["continued"]


def continued(wanted: Topology, former: Topology) -> Topology:
    """`wanted` with its open ports as they were in `former`; raises `ContainersError` for what can no longer change.

    Orderers and anchor peers stand with their ports in the channels' configuration, and so does the consensus.
    Organisations, peers and orderers may be added.
    """
    if wanted.orderer.consensus != former.orderer.consensus:
        raise ContainersError(
            f"orderer.consensus: the channels were made with {former.orderer.consensus}; remove them first with: "
            "pedigree-network reset"
        )
    known = dict(zip(former.orderer.node_names, former.orderer.addresses, strict=True))
    names = wanted.orderer.node_names
    addresses = tuple(
        _kept(f"orderer.addresses[{index}]", address, known.get(name))
        for index, (name, address) in enumerate(zip(names, wanted.orderer.addresses, strict=True))
    )
    peers = {name: endpoint for member in former.organisations for name, endpoint in member.peers}
    organisations = tuple(
        _with_peers(member, peers, f"organisations[{index}]") for index, member in enumerate(wanted.organisations)
    )
    return replace(wanted, orderer=replace(wanted.orderer, addresses=addresses), organisations=organisations)


def _with_peers(member: Organisation, known: dict[str, Endpoint], path: str) -> Organisation:
    fields = [f"{path}.peer", *(f"{path}.further_peers[{number}]" for number in range(len(member.further_peers)))]
    kept = [_kept(field, at, known.get(name)) for field, (name, at) in zip(fields, member.peers, strict=True)]
    return replace(member, peer=kept[0], further_peers=tuple(kept[1:]))


def _kept(field: str, wanted: Endpoint, former: Endpoint | None) -> Endpoint:
    if former is None:
        return wanted
    if wanted.port not in (0, former.port):
        raise ContainersError(
            f"{field}: is {wanted}, but the channels were made with port {former.port}; keep that, or remove them "
            "first with: pedigree-network reset"
        )
    return replace(wanted, port=former.port)
