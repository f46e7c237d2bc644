# SPDX-License-Identifier: Apache-2.0
"""`network.json` of a consortium in containers, as programs on this machine see it."""

from typing import Any

from fabric_protos.common import common_pb2

from network.containers import files
from network.containers.plan import LOOPBACK, Authority, Plan, reached
from network.containers.site import Site
from network.embedded.blocks import header_hash
from network.profiles import Genesis
from network.profiles import describe as describe_network

__all__ = ["describe"]


def describe(plan: Plan) -> dict[str, Any]:
    """The content of `network.json`; all paths in it are absolute, all addresses are published on this machine."""
    first = plan.topology.channels[0]
    path = plan.genesis_block(first.name)
    genesis = Genesis(path, header_hash(common_pb2.Block.FromString(path.read_bytes()).header).hex())
    described = describe_network(plan.topology, plan.material, genesis, ledger="fabric", pid=None)
    authorities = {authority.domain: authority for authority in plan.authorities}
    gateways = {gateway.organisation.name: gateway for gateway in plan.gateways}
    described["organisations"] = [entry for entry in described["organisations"] if entry["name"] in gateways]
    for entry in described["organisations"]:
        member = plan.topology.organisation(entry["name"])
        gateway = gateways[member.name]
        entry["peers"] = [str(reached(peer.endpoint)) for peer in plan.peers if peer.organisation == member]
        entry["peer"] = entry["peers"][0]
        entry["ca"] = _authority(plan, authorities[member.domain])
        entry["gateway"] = f"http://{LOOPBACK}:{gateway.port}"
        entry["gateway_health"] = f"http://{LOOPBACK}:{gateway.health_port}"
        entry["tls_client"] = str(plan.material.user(member.domain) / "tls")
        entry["operations"] = [
            f"http://{LOOPBACK}:{peer.operations_port}" for peer in plan.peers if peer.organisation == member
        ]
    if plan.orderers:
        described["orderer"] |= _ordering(plan, authorities[plan.topology.orderer.domain])
    if plan.site is not None:
        described |= _site(plan, plan.site, described["orderer"])
    return described | {"run_as": "containers", "compose_project": plan.project, "compose": str(plan.compose_file)}


def _ordering(plan: Plan, authority: Authority) -> dict[str, Any]:
    return {
        "ca": _authority(plan, authority),
        "admin_addresses": [f"{LOOPBACK}:{node.admin_port}" for node in plan.orderers],
        "admin_tls": str(plan.material.orderer_user(plan.topology.orderer.domain) / "tls"),
        "operations": [f"http://{LOOPBACK}:{node.operations_port}" for node in plan.orderers],
        "consensus": plan.topology.orderer.consensus,
        "addresses": [str(reached(node.endpoint)) for node in plan.orderers],
    }


def _site(plan: Plan, site: Site, orderer: dict[str, Any]) -> dict[str, Any]:
    """Whose part this is, and where this machine reaches the others, whose keys and containers are elsewhere."""
    others = [member for member in plan.topology.organisations if member not in plan.members]
    found: dict[str, Any] = {
        "site": {
            "organisation": site.organisation,
            "host": site.host,
            "others": {member.name: str(site.reached(member.peer)) for member in others},
        }
    }
    if not plan.orderers:
        addresses = [str(site.reached(address)) for address in plan.topology.orderer.addresses]
        found["orderer"] = orderer | {"addresses": addresses}
    return found


def _authority(plan: Plan, authority: Authority) -> dict[str, str]:
    return {
        "url": f"https://{LOOPBACK}:{authority.port}",
        "name": authority.name,
        "tls_ca": str(plan.material.service(authority.folder, authority.name) / "ca.crt"),
        "registrar": "admin",
        "registrar_secret": str(files.ca_secret(authority.folder, authority.name)),
    }
