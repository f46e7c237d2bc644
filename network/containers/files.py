# SPDX-License-Identifier: Apache-2.0
"""Everything that containers find in their folders: key material, configuration, the first blocks, empty ledgers.

What exists is kept where it must not change (keys, secrets, first blocks) and written anew where it only follows from
the topology. Each file appears whole or not at all, so a tool that was killed here is simply run again.
"""

import hashlib
import os
import secrets
from pathlib import Path

import yaml
from cryptography import x509
from fabric_protos.common import common_pb2

from network.containers import couchdb, gatewayview, nodes
from network.containers.compose import compose
from network.containers.plan import Authority, Peer, Plan
from network.durable import write_file
from network.embedded.genesis import genesis_block
from network.lifecycle import packages_for
from network.material import ensure_material, ensure_service
from network.packaging import Package, ServiceTls
from network.publicfiles import certificate_of, public_msp
from network.topology import Channel, Organisation

__all__ = ["agreed_block", "ca_secret", "chaincode_packages", "make_files", "tls_of_chaincode"]

_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""The one in C where PyYAML has it: ten times as fast."""
_CLIENT_ROOTS = "client-roots.pem"
_RAFT_TICK_MS = 200
"""A leader that is gone is noticed after 2 s rather than 5."""
_NONCE_BYTES = 24


def make_files(plan: Plan, version: str) -> None:
    """Make or renew everything below the plan's directory; raises `OSError`."""
    material = ensure_material(plan.topology, plan.directory, only=plan.owner)
    for authority in plan.authorities:
        ensure_service(material, authority.folder, authority.domain, authority.name)
    for member in plan.members:
        for name in (plan.chaincode_name(member), f"gateway.{member.domain}"):
            ensure_service(material, material.organisation(member.domain), member.domain, name)
    _make_genesis_blocks(plan)
    _write_configurations(plan)
    gatewayview.write(plan, genesis_of(plan))
    write_compose(plan, version)
    _hand_over(plan)


def write_compose(plan: Plan, version: str) -> None:
    """Write `compose.yaml` for what the folders hold now; raises `OSError`."""
    packages = chaincode_packages(plan, version)
    ids = {msp_id: package.package_id for msp_id, package in packages.items()}
    described = compose(plan, ids, _digest)
    _write_tree(plan.compose_file, described)


def genesis_of(plan: Plan) -> bytes:
    """The first channel's block 0."""
    return plan.genesis_block(plan.topology.channels[0].name).read_bytes()


def chaincode_packages(plan: Plan, version: str) -> dict[str, Package]:
    """The package of each organisation that runs here, of its own chaincode container, by MSP id; raises `OSError`."""
    hosted = {member.msp_id for member in plan.members}
    members = [member for member in plan.inside().organisations if member.msp_id in hosted]
    addresses = {member.msp_id: member.chaincode for member in members}
    tls = {member.msp_id: tls_of_chaincode(plan, member) for member in members}
    return packages_for(plan.topology.chaincode, version, addresses, tls)


def tls_of_chaincode(plan: Plan, member: Organisation) -> ServiceTls:
    """How an organisation's peer and its chaincode prove themselves to one another."""
    folder = plan.material.service(plan.material.organisation(member.domain), plan.chaincode_name(member))
    return ServiceTls.from_folder(folder)


def ca_secret(folder: Path, name: str) -> Path:
    """The file that holds the password of a CA's administrator, made on first use."""
    path = folder / "services" / name / "admin.secret"
    if not path.exists():
        _write(path, f"{secrets.token_urlsafe(24)}\n".encode(), mode=0o600)
    return path


def _couchdb_password(plan: Plan, peer: Peer) -> str:
    """The password of a peer at its CouchDB, made on first use; empty where there is no CouchDB."""
    if not couchdb.is_used(plan):
        return ""
    path = couchdb.secret_of(plan, peer)
    if not path.exists():
        _write(path, f"{couchdb.new_secret()}\n".encode(), mode=0o600)
    return _read(path)


def _digest(folder: Path) -> str:
    """What a file holds, or all files of a folder, in hexadecimal.

    The clients' TLS roots are left out: those of members that join later, a running node takes from the channel.
    """
    found = hashlib.sha256()
    paths = [folder] if folder.is_file() else sorted(path for path in folder.rglob("*") if path.is_file())
    for path in (path for path in paths if path.name != _CLIENT_ROOTS):
        found.update(f"{path.relative_to(folder)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def _make_genesis_blocks(plan: Plan) -> None:
    """Each channel's first block, once in the life of the directory: two calls would give different ones.

    Made here rather than by configtxgen, so that the machine needs no program of Fabric's; a test compares the content
    with what configtxgen makes of the same topology.
    """
    for channel in plan.topology.channels:
        path = plan.genesis_block(channel.name)
        if not path.exists():
            block = _fresh_block(plan, channel) if plan.site is None else agreed_block(plan, channel)
            _write(path, block.SerializeToString(deterministic=True))


def _fresh_block(plan: Plan, channel: Channel) -> common_pb2.Block:
    return genesis_block(plan.inside(), plan.material, channel, raft_tick_ms=_RAFT_TICK_MS)


def agreed_block(plan: Plan, channel: Channel) -> common_pb2.Block:
    """The first block that every site makes, to the byte, of the same topology and the same join packages.

    Its time is when the youngest root began, its nonce the hash of the block without one.
    """
    topology, material = plan.topology, plan.material
    folders = [material.organisation(member.domain) for member in topology.members(channel)]
    folders.append(material.orderer_organisation(topology.orderer.domain))
    files = [item for folder in folders for item in public_msp(folder / "msp").items()]
    roots = [content for name, content in files if name.startswith("cacerts/")]
    at = max(x509.load_pem_x509_certificate(root).not_valid_before_utc for root in roots)

    def block(nonce: bytes) -> common_pb2.Block:
        return genesis_block(topology, material, channel, at=at, nonce=nonce, raft_tick_ms=_RAFT_TICK_MS)

    return block(hashlib.sha256(block(bytes(_NONCE_BYTES)).header.data_hash).digest()[:_NONCE_BYTES])


def _write_configurations(plan: Plan) -> None:
    roots = [plan.material.tls_ca(member.domain) for member in plan.topology.organisations]
    roots.append(plan.material.orderer_tls_ca(plan.topology.orderer.domain))
    bundle = b"".join(certificate_of(path.parent, path.name) for path in roots)
    for peer in plan.peers:
        password = _couchdb_password(plan, peer)
        _write_tree(plan.rendered / peer.name / "core.yaml", nodes.core(plan, peer, password))
        if password:
            _write(couchdb.config_of(plan, peer), couchdb.ini(password).encode(), mode=0o600)
        _write(plan.rendered / peer.name / _CLIENT_ROOTS, bundle)
    for node in plan.orderers:
        _write_tree(plan.rendered / node.name / "orderer.yaml", nodes.orderer(plan, node))
        _write(plan.rendered / node.name / _CLIENT_ROOTS, bundle)
    for authority in plan.authorities:
        secret = _read(ca_secret(authority.folder, authority.name))
        place = plan.rendered / authority.name / nodes.CA_CONFIG
        _write_tree(place, nodes.authority(authority, secret))


def _read(path: Path) -> str:
    return path.read_text(encoding="ascii").strip()


def _hand_over(plan: Plan) -> None:
    """Let the containers' user read what is mounted into its containers, and own what it writes.

    Where an ordinary user runs this tool, that user is who the containers run as and owns all of it already.
    """
    folders = [plan.ledger(name) for name in _with_ledgers(plan)]
    folders += [plan.gateway_data(member) for member in plan.members]
    for member in plan.members:
        folders += [plan.registrar(member), plan.gateway_data(member) / "identity"]
    for folder in folders:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for authority in plan.authorities:
        _lend_secret(plan, authority)
    if os.getuid() != 0:
        return
    user, _, group = plan.user.partition(":")
    for folder in (*folders, *_mounted(plan)):
        # Ledgers are handed over once, when they are new and empty: what is in them is the containers' own.
        _own(folder, int(user), int(group), deep=folder not in folders)


def _lend_secret(plan: Plan, authority: Authority) -> None:
    """Put the CA administrator's password where the organisation's registrar finds it."""
    for member in plan.members:
        if member.domain == authority.domain:
            secret = ca_secret(authority.folder, authority.name).read_bytes()
            _write(plan.registrar(member) / "admin.secret", secret, mode=0o600)


def _mounted(plan: Plan) -> list[Path]:
    material = plan.material
    found = [plan.rendered / name for name in (*plan.fabric_names(), *(gateway.name for gateway in plan.gateways))]
    found += [material.peer(peer.organisation.domain, peer.number) for peer in plan.peers]
    found += [material.orderer(node.domain, node.number) for node in plan.orderers]
    for authority in plan.authorities:
        found += [authority.folder / "ca", material.service(authority.folder, authority.name)]
    for member in plan.members:
        found.append(material.service(material.organisation(member.domain), plan.chaincode_name(member)))
    found += [plan.registrar(member) / "admin.secret" for member in plan.members]
    found += [couchdb.config_of(plan, peer) for peer in plan.peers]
    return [folder for folder in found if folder.exists()]


def _own(folder: Path, user: int, group: int, *, deep: bool) -> None:
    paths = [folder, *folder.rglob("*")] if deep else [folder]
    for path in paths:
        if path.lstat().st_uid != user:
            os.chown(path, user, group, follow_symlinks=False)


def _with_ledgers(plan: Plan) -> list[str]:
    return plan.fabric_names() + couchdb.names(plan)


def _write_tree(path: Path, tree: nodes.Tree) -> None:
    text: str = yaml.dump(tree, Dumper=_Dumper, sort_keys=False, width=120)
    _write(path, text.encode(), mode=0o600)


def _write(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Write a file in one step, and not at all where it says the same already."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists() and path.read_bytes() == content:
        return
    write_file(path, content, mode=mode)
