# SPDX-License-Identifier: Apache-2.0
"""What the chart is given about one organisation: `values.yaml`."""

import json
from pathlib import Path
from typing import Any

from network.kubernetes.configuration import core, orderer
from network.kubernetes.part import KubernetesError, Part, reachable
from network.packaging import Package
from network.publicfiles import PublicFileError, certificate_of, public_msp
from network.topology import OrdererOrganisation, Organisation

_MISSING = "is missing; start the network once, or import the members' MSPs"
_LARGEST_CONFIG_MAP = 1 << 20


def values(part: Part, *, genesis_hash: str, package: Package | None) -> dict[str, Any]:
    """The values of an organisation's release.

    `genesis_hash` is the first channel's, in lower-case hex, and `package` what the peer installs; the organisation
    that orders needs neither. Raises `KubernetesError` that names the file that is missing.
    """
    owner = part.owner
    match owner:
        case OrdererOrganisation():
            return _common(part, "orderer", owner) | _ordering(part, owner)
        case Organisation():
            if package is None:
                raise KubernetesError("a peer organisation needs a chaincode package")
            return _common(part, owner.name, owner) | _member(part, owner, genesis_hash, package)


def _common(part: Part, name: str, owner: Organisation | OrdererOrganisation) -> dict[str, Any]:
    return {
        "organisation": {"name": name, "mspId": owner.msp_id, "domain": owner.domain},
        "prefix": part.prefix,
    }


def _member(part: Part, owner: Organisation, genesis_hash: str, package: Package) -> dict[str, Any]:
    prefix = part.prefix
    channel = part.topology.channels[0]
    return {
        "peer": {
            "port": owner.peer.port,
            "config": core(part, owner),
            "secrets": {"msp": f"{prefix}-peer-msp", "tls": f"{prefix}-peer-tls"},
        },
        "ca": {
            "secrets": {"authority": f"{prefix}-ca", "config": f"{prefix}-ca-config"},
        },
        "chaincode": {
            "packageId": package.package_id,
            "founders": [member.msp_id for member in part.topology.members(channel)],
            "secrets": {"tls": f"{prefix}-chaincode-tls"},
        },
        "gateway": {
            "files": _network_files(part, owner, genesis_hash),
            "secrets": {"msp": f"{prefix}-gateway-msp", "tls": f"{prefix}-gateway-tls"},
        },
    }


def _ordering(part: Part, owner: OrdererOrganisation) -> dict[str, Any]:
    nodes = []
    for number, address in enumerate(owner.addresses, start=1):
        name = f"node{number}"
        secrets = {"msp": f"{part.prefix}-{name}-msp", "tls": f"{part.prefix}-{name}-tls"}
        config = orderer(part, owner, number)
        nodes.append({"name": name, "port": address.port, "config": config, "secrets": secrets})
    off = {"enabled": False}
    return {"peer": off, "ca": dict(off), "chaincode": dict(off), "gateway": dict(off), "orderers": {"nodes": nodes}}


def _network_files(part: Part, owner: Organisation, genesis_hash: str) -> dict[str, str]:
    """`network.json` and every member's public MSP folder: by these the gateway checks what peers hand it."""
    topology = part.topology
    files: dict[str, str] = {}
    for member in topology.organisations:
        files |= _folder(part.material.organisation(member.domain) / "msp", f"{member.domain}/msp")
        files[f"{member.domain}/tls-ca.pem"] = _certificates(part.material.tls_ca(member.domain))
    ordering = topology.orderer
    files |= _folder(part.material.orderer_organisation(ordering.domain) / "msp", f"{ordering.domain}/msp")
    files[f"{ordering.domain}/tls-ca.pem"] = _certificates(part.material.orderer_tls_ca(ordering.domain))
    described = {
        "channel": topology.channels[0].name,
        "chaincode_default": topology.chaincode,
        "ledger": "fabric",
        "organisations": [_described(part, owner, member) for member in topology.organisations],
        "orderer": {
            "mspid": ordering.msp_id,
            "domain": ordering.domain,
            "addresses": [
                str(reachable(address, name))
                for name, address in zip(ordering.node_names, ordering.addresses, strict=True)
            ],
            "tls_ca": f"{ordering.domain}/tls-ca.pem",
            "msp": f"{ordering.domain}/msp",
        },
        "genesis_hash": genesis_hash,
    }
    files["network.json"] = json.dumps(described, indent=2) + "\n"
    if sum(len(path) + len(text) for path, text in files.items()) > _LARGEST_CONFIG_MAP:
        raise KubernetesError("the members' MSP folders are larger than the 1 MiB that a ConfigMap may hold")
    return dict(sorted(files.items()))


def _described(part: Part, owner: Organisation, member: Organisation) -> dict[str, str]:
    """A member as `network.json` has it; only the owner has an identity here, and dials its own peer by its Service."""
    own = member == owner
    client = {"tls_client": "../tls"} if own else {}
    return client | {
        "name": member.name,
        "mspid": member.msp_id,
        "domain": member.domain,
        "peer": f"{part.prefix}-peer:{member.peer.port}" if own else str(reachable(member.peer, member.peer_name)),
        "tls_ca": f"{member.domain}/tls-ca.pem",
        "msp": f"{member.domain}/msp",
        "user_msp": "../msp" if own else f"{member.domain}/no-identity-here",
    }


def _folder(folder: Path, name: str) -> dict[str, str]:
    """An MSP folder without whatever might be private in it."""
    if not (folder / "config.yaml").exists():
        raise KubernetesError(f"{folder / 'config.yaml'}: {_MISSING}")
    try:
        files = {f"{name}/{path}": content.decode("utf-8") for path, content in public_msp(folder).items()}
    except PublicFileError as error:
        raise KubernetesError(str(error)) from error
    if not any(path.startswith(f"{name}/cacerts/") for path in files):
        raise KubernetesError(f"{folder / 'cacerts'}: holds no certificate; the organisation's root is wanted")
    return files


def _certificates(path: Path) -> str:
    try:
        return certificate_of(path.parent, path.name).decode("ascii")
    except FileNotFoundError:
        raise KubernetesError(f"{path}: {_MISSING}") from None
    except PublicFileError as error:
        raise KubernetesError(str(error)) from error
