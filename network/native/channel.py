# SPDX-License-Identifier: Apache-2.0
"""The channel: its first block, the orderers and peers that join it, and the wait until all of them serve it."""

import time
from collections.abc import Callable

from fabric_protos.common import common_pb2

from network.durable import publish_file
from network.embedded.blocks import header_hash
from network.metrics import node_metric
from network.native import render
from network.native.errors import NativeError
from network.native.plan import HOST, OrdererNode, Organisation, Plan
from network.native.processes import Binaries
from network.publicfiles import PublicFileError, certificate_of, public_msp

READY_DEADLINE_S = 60.0
_POLL_S = 0.1


def make_genesis_blocks(plan: Plan, binaries: Binaries) -> None:
    """Have configtxgen make each channel's first block, once in the life of the directory.

    Raises `NativeError`, also for an MSP folder with something else than public material, which configtxgen would put
    into the block as it is.
    """
    folder = plan.directory / "fabric"
    render.write(folder / "configtx.yaml", render.configtx(plan))
    for channel in plan.channels:
        block = plan.genesis_block(channel)
        if block.exists():
            continue
        _refuse_secrets(plan)
        # Written aside and moved, so that a killed configtxgen leaves no half block behind.
        unfinished = block.with_suffix(".unfinished")
        where = ("-configPath", str(folder), "-profile", channel.name, "-channelID", channel.name)
        binaries.run("configtxgen", *where, "-outputBlock", str(unfinished))
        publish_file(unfinished, block)


def _refuse_secrets(plan: Plan) -> None:
    folders = [plan.material.organisation(member.domain) / "msp" for member in plan.organisations]
    folders.append(plan.material.orderer_organisation(plan.topology.orderer.domain) / "msp")
    try:
        for folder in folders:
            public_msp(folder)
        for node in plan.orderers:
            certificate_of(plan.material.orderer(node.domain, node.number) / "tls", "server.crt")
    except PublicFileError as error:
        raise NativeError(str(error)) from error


def genesis_hash(block: bytes) -> str:
    """The hash of a serialised block's header, in hexadecimal."""
    return header_hash(common_pb2.Block.FromString(block).header).hex()


def join_orderer(plan: Plan, binaries: Binaries, node: OrdererNode) -> None:
    """Let an orderer take part in every channel; where it already does, it is left alone."""
    admin = plan.material.orderer_user(node.domain) / "tls"
    roots = plan.material.orderer(node.domain, node.number) / "tls" / "ca.crt"
    server = ("-o", f"{HOST}:{node.admin_port}", "--ca-file", str(roots))
    access = (*server, "--client-cert", str(admin / "client.crt"), "--client-key", str(admin / "client.key"))
    for channel in plan.channels:
        named = ("--channelID", channel.name)
        if "Status: 200" in binaries.run("osnadmin", "channel", "list", *named, *access):
            continue
        block = str(plan.genesis_block(channel))
        answer = binaries.run("osnadmin", "channel", "join", *named, "--config-block", block, *access)
        if "Status: 201" not in answer:
            raise NativeError(f"{node.host} does not join channel {channel.name}: {' '.join(answer.split())}")


def join_peer(plan: Plan, binaries: Binaries, organisation: Organisation) -> None:
    """Let an organisation's peer take part in its channels; where it already does, it is left alone."""
    peer = organisation.peer
    admin = plan.material.user(peer.domain, "Admin")
    environment = {
        "FABRIC_CFG_PATH": str(plan.home(peer)),
        "FABRIC_LOGGING_SPEC": "error",
        "CORE_PEER_LOCALMSPID": peer.mspid,
        "CORE_PEER_TLS_ENABLED": "true",
        "CORE_PEER_TLS_ROOTCERT_FILE": str(plan.material.peer(peer.domain) / "tls" / "ca.crt"),
        "CORE_PEER_MSPCONFIGPATH": str(admin / "msp"),
        "CORE_PEER_ADDRESS": peer.address,
    }
    joined = binaries.run("peer", "channel", "list", environment=environment).split()
    for channel in plan.channels:
        if organisation.name in channel.organisations and channel.name not in joined:
            block = str(plan.genesis_block(channel))
            binaries.run("peer", "channel", "join", "-b", block, environment=environment)


def wait_until_served(plan: Plan) -> None:
    """Wait until the orderers have a leader and every peer sees all the others, in each channel.

    Both come later than the answers that say "joined": without a leader a broadcast is refused as unavailable, and
    while a peer sees no others no endorsement policy can be met.
    """
    orderers = [f"{HOST}:{node.operations_port}" for node in plan.orderers]
    for channel in plan.channels:
        _wait(
            f"no orderer leads channel {channel.name}",
            lambda name=channel.name: any(
                node_metric(address, "consensus_etcdraft_is_leader", name) for address in orderers
            ),  # type: ignore[misc]
        )
        peers = [f"{HOST}:{member.peer.operations_port}" for member in plan.members(channel)]
        _wait(
            f"the peers of channel {channel.name} do not all see one another",
            lambda name=channel.name, peers=peers: all(  # type: ignore[misc]
                node_metric(address, "gossip_membership_total_peers_known", name) >= len(peers) - 1 for address in peers
            ),
        )


def _wait(complaint: str, done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + READY_DEADLINE_S
    while not done():
        if time.monotonic() > deadline:
            raise NativeError(f"{complaint} after {READY_DEADLINE_S:.0f} s")
        time.sleep(_POLL_S)
