# SPDX-License-Identifier: Apache-2.0
"""What clients read about a running network: `network.json` and a Fabric connection profile for each organisation."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from network.durable import write_file
from network.material import Material
from network.publicfiles import certificate_of
from network.topology import Organisation, Topology

NETWORK_FILE = "network.json"


@dataclass(frozen=True, slots=True)
class Genesis:
    """The first channel's block 0: where it lies, and its header's hash, which clients pin."""

    path: Path
    header_hash: str
    """Lower-case hex."""


def connection_profile(topology: Topology, material: Material, organisation: Organisation) -> dict[str, Any]:
    """One organisation's connection profile in Fabric's format, version 1.0.0, with its TLS root inlined.

    Raises `OSError` or `PublicFileError`.
    """
    peer = organisation.peer_name
    return {
        "name": f"{topology.channels[0].name}-{organisation.name}",
        "version": "1.0.0",
        "client": {
            "organization": organisation.name,
            "connection": {"timeout": {"peer": {"endorser": "300"}}},
        },
        "organizations": {organisation.name: {"mspid": organisation.msp_id, "peers": [peer]}},
        "channels": {
            channel.name: {"peers": {peer: {}}}
            for channel in topology.channels
            if organisation.name in channel.organisations
        },
        "peers": {
            peer: {
                "url": f"grpcs://{organisation.peer}",
                "tlsCACerts": {"pem": _pem(material.tls_ca(organisation.domain))},
                "grpcOptions": {"ssl-target-name-override": peer, "hostnameOverride": peer},
            }
        },
    }


def write_connection_profiles(topology: Topology, material: Material, directory: Path) -> None:
    """Write `connections/<domain>.json` for every organisation; raises `OSError`."""
    folder = directory / "connections"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for organisation in topology.organisations:
        write_json(folder / f"{organisation.domain}.json", connection_profile(topology, material, organisation))


def describe(
    topology: Topology, material: Material, genesis: Genesis, *, ledger: str, pid: int | None
) -> dict[str, Any]:
    """The content of `network.json`; all paths in it are absolute."""
    orderer = topology.orderer
    return {
        "channel": topology.channels[0].name,
        "chaincode_default": topology.chaincode,
        "ledger": ledger,
        "pid": pid,
        "organisations": [_describe(organisation, material) for organisation in topology.organisations],
        "orderer": {
            "mspid": orderer.msp_id,
            "domain": orderer.domain,
            "addresses": [str(address) for address in orderer.addresses],
            "tls_ca": _path(material.orderer_tls_ca(orderer.domain)),
            "msp": _path(material.orderer_organisation(orderer.domain) / "msp"),
        },
        "genesis_block": _path(genesis.path),
        "genesis_hash": genesis.header_hash,
    }


def _describe(organisation: Organisation, material: Material) -> dict[str, str]:
    domain = organisation.domain
    return {
        "name": organisation.name,
        "mspid": organisation.msp_id,
        "domain": domain,
        "peer": str(organisation.peer),
        "tls_ca": _path(material.tls_ca(domain)),
        "msp": _path(material.organisation(domain) / "msp"),
        "user_msp": _path(material.user(domain) / "msp"),
        "admin_msp": _path(material.user(domain, "Admin") / "msp"),
    }


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a file in one step, so that nobody reads half of it; raises `OSError`."""
    write_file(path, (json.dumps(value, indent=2) + "\n").encode(), mode=0o644)


def _pem(path: Path) -> str:
    return certificate_of(path.parent, path.name).decode()


def _path(path: Path) -> str:
    return str(path.absolute())
