# SPDX-License-Identifier: Apache-2.0
"""`network.json` of a consortium in containers, as programs on this machine see it."""

from typing import Any

from fabric_protos.common import common_pb2

from network.containers import files
from network.containers.plan import LOOPBACK, Authority, Plan
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
    for entry in described["organisations"]:
        member = plan.topology.organisation(entry["name"])
        gateway = gateways[member.name]
        entry["peers"] = [str(endpoint) for _, endpoint in member.peers]
        entry["ca"] = _authority(plan, authorities[member.domain])
        entry["gateway"] = f"http://{LOOPBACK}:{gateway.port}"
        entry["gateway_health"] = f"http://{LOOPBACK}:{gateway.health_port}"
        entry["tls_client"] = str(plan.material.user(member.domain) / "tls")
        entry["operations"] = [
            f"http://{LOOPBACK}:{peer.operations_port}" for peer in plan.peers if peer.organisation == member
        ]
    described["orderer"] |= {
        "ca": _authority(plan, authorities[plan.topology.orderer.domain]),
        "admin_addresses": [f"{LOOPBACK}:{node.admin_port}" for node in plan.orderers],
        "admin_tls": str(plan.material.orderer_user(plan.topology.orderer.domain) / "tls"),
        "operations": [f"http://{LOOPBACK}:{node.operations_port}" for node in plan.orderers],
        "consensus": plan.topology.orderer.consensus,
    }
    return described | {"run_as": "containers", "compose_project": plan.project, "compose": str(plan.compose_file)}


def _authority(plan: Plan, authority: Authority) -> dict[str, str]:
    return {
        "url": f"https://{LOOPBACK}:{authority.port}",
        "name": authority.name,
        "tls_ca": str(plan.material.service(authority.folder, authority.name) / "ca.crt"),
        "registrar": "admin",
        "registrar_secret": str(files.ca_secret(authority.folder, authority.name)),
    }
