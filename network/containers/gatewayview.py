# SPDX-License-Identifier: Apache-2.0
"""What a gateway's container finds about the network: `network.json` as seen from inside, and public certificates.

Nothing secret but the gateway's own TLS key. The identity with which it signs is enrolled with the organisation's CA
and lies among the gateway's own data.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from fabric_protos.common import common_pb2

from network.containers.plan import Gateway, Plan
from network.embedded.blocks import header_hash
from network.profiles import write_json
from network.publicfiles import public_msp
from network.topology import Organisation

__all__ = ["own_part", "write"]


def write(plan: Plan, genesis: bytes) -> None:
    """Write the folder of every gateway; raises `OSError`."""
    for gateway in plan.gateways:
        _write_folder(plan, gateway, genesis)


def own_part(plan: Plan, gateway: Gateway, digest: Callable[[Path], str]) -> str:
    """Names what only a new process reads: identity, TLS, and where its own peers are.

    What it finds about other members is for its first start alone; who joins or leaves later, the channel tells it.
    """
    domain = gateway.organisation.domain
    folder = plan.rendered / gateway.name
    paths = [
        folder / "tls",
        folder / "organizations" / domain / "msp",
        plan.identity(gateway.organisation) / "signcerts",
    ]
    inside = plan.inside()
    own = [_member(member) for member in inside.organisations if member.domain == domain]
    described = json.dumps([inside.channels[0].name, inside.chaincode, own], sort_keys=True)
    found = [*map(digest, paths), hashlib.sha256(described.encode()).hexdigest()]
    return "-".join(each[:16] for each in found)


def _write_folder(plan: Plan, gateway: Gateway, genesis: bytes) -> None:
    folder = plan.rendered / gateway.name
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    orderer = plan.topology.orderer
    shown = {orderer.domain: plan.material.orderer_organisation(orderer.domain)}
    shown |= {member.domain: plan.material.organisation(member.domain) for member in plan.topology.organisations}
    for name, owner in shown.items():
        _show(owner / "msp", folder / "organizations" / name / "msp")
    domain = gateway.organisation.domain
    own_tls = plan.material.service(plan.material.organisation(domain), gateway.name)
    _put(_content(own_tls), folder / "tls", lambda unfinished: shutil.copytree(own_tls, unfinished))
    write_json(folder / "network.json", _describe(plan, genesis))


def _describe(plan: Plan, genesis: bytes) -> dict[str, object]:
    """The file that `pedigree serve --network` reads; paths in it are relative to it."""
    inside = plan.inside()
    orderer = inside.orderer
    return {
        "channel": inside.channels[0].name,
        "chaincode_default": inside.chaincode,
        "ledger": "fabric",
        "run_as": "containers",
        "organisations": [_member(member) for member in inside.organisations],
        "orderer": {
            "mspid": orderer.msp_id,
            "domain": orderer.domain,
            "addresses": [str(address) for address in orderer.addresses],
            "tls_ca": _first_tls_root(orderer.domain),
            "msp": f"organizations/{orderer.domain}/msp",
        },
        "genesis_hash": header_hash(common_pb2.Block.FromString(genesis).header).hex(),
    }


def _member(member: Organisation) -> dict[str, object]:
    return {
        "name": member.name,
        "mspid": member.msp_id,
        "domain": member.domain,
        "peer": str(member.peer),
        "peers": [str(endpoint) for _, endpoint in member.peers],
        "tls_ca": _first_tls_root(member.domain),
        "msp": f"organizations/{member.domain}/msp",
        "user_msp": "/data/identity/msp",
        "tls_client": "tls",
    }


def _first_tls_root(domain: str) -> str:
    return f"organizations/{domain}/msp/tlscacerts/tlsca.{domain}-cert.pem"


def _show(msp: Path, target: Path) -> None:
    """Copy the public files of an MSP; the folder may be another organisation's, and this one is given to a program."""
    files = public_msp(msp)

    def write(unfinished: Path) -> None:
        for name, content in files.items():
            (unfinished / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            (unfinished / name).write_bytes(content)

    _put(files, target, write)


def _put(content: Mapping[str, bytes], target: Path, write: Callable[[Path], object]) -> None:
    """Have a folder hold what `write` makes, in one step; what a killed tool left half-made is thrown away."""
    if target.exists() and content == _content(target):
        return
    unfinished = target.with_name(f".{target.name}.new")
    former = target.with_name(f".{target.name}.old")
    for leftover in (unfinished, former):
        shutil.rmtree(leftover, ignore_errors=True)
    write(unfinished)
    if target.exists():
        target.rename(former)
    unfinished.rename(target)
    shutil.rmtree(former, ignore_errors=True)


def _content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
