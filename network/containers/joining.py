# SPDX-License-Identifier: Apache-2.0
"""Channels: orderers and peers that join them, and the wait until all of them serve them.

Nothing of Fabric's is needed on this machine: orderers are asked over their participation API, peers over gRPC.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from fabric_protos.peer import query_pb2

from network.containers.errors import ContainersError
from network.containers.participation import Participation
from network.containers.plan import LOOPBACK, Orderer, Peer, Plan, reached
from network.metrics import node_metric
from network.topology import Channel, Endpoint
from network.wire import Administrator, Member, WireError

__all__ = ["insist", "join_all", "member_of", "wait_for_leaders", "wait_for_membership"]

_DEADLINE_S = 90.0
_POLL_S = 0.1
_ALREADY = "already exists"

Trouble = Callable[[str], str | None]
"""Why a container will not come, None while it may."""


def join_all(plan: Plan, trouble: Trouble) -> None:
    """Let every orderer and peer take part in its channels; where it already does, it is left alone.

    Raises `ContainersError`.
    """
    with ThreadPoolExecutor(max_workers=8) as pool:
        joins = [pool.submit(_join_orderer, plan, node, trouble) for node in plan.orderers]
        joins += [pool.submit(_join_peer, plan, peer, trouble) for peer in plan.peers]
    for join in joins:
        join.result()


def member_of(plan: Plan, peer: Peer) -> Member:
    """A peer as its organisation's administrator reaches it from this machine."""
    member = peer.organisation
    return Member(
        name=member.name,
        msp_id=member.msp_id,
        peer=str(reached(peer.endpoint)),
        host_name=peer.name,
        tls_ca=plan.material.tls_ca(member.domain),
        msp=plan.material.user(member.domain, "Admin") / "msp",
    )


def _join_orderer(plan: Plan, node: Orderer, trouble: Trouble) -> None:
    tls = plan.material.orderer_user(node.domain) / "tls"
    root = plan.material.orderer_tls_ca(node.domain)
    orderer = Participation(node.name, Endpoint(LOOPBACK, node.admin_port), root, tls)
    for channel in plan.topology.channels:
        block = plan.genesis_block(channel.name).read_bytes()

        def joined(name: str = channel.name, block: bytes = block) -> bool:
            if not orderer.takes_part(name):
                orderer.join(name, block)
            return True

        insist(node.name, joined, trouble)


def _join_peer(plan: Plan, peer: Peer, trouble: Trouble) -> None:
    channels = [each for each in plan.topology.channels if peer.organisation.name in each.organisations]
    with Administrator(member_of(plan, peer)) as administrator:
        for channel in channels:
            block = plan.genesis_block(channel.name).read_bytes()

            def joined(name: str = channel.name, block: bytes = block) -> bool:
                if name not in _channels(administrator):
                    _join(administrator, block)
                # A newcomer begins with the first block, in which it is not a member: until it has read on, it knows
                # neither its own organisation nor what is deployed.
                administrator.query(name, "cscc", b"GetConfigBlock", name.encode())
                return True

            insist(peer.name, joined, trouble)


def _channels(administrator: Administrator) -> list[str]:
    answer = query_pb2.ChannelQueryResponse.FromString(administrator.query("", "cscc", b"GetChannels"))
    return [each.channel_id for each in answer.channels]


def _join(administrator: Administrator, block: bytes) -> None:
    try:
        administrator.query("", "cscc", b"JoinChain", block)
    except WireError as error:
        if _ALREADY not in str(error):
            raise


def wait_for_leaders(plan: Plan, trouble: Trouble) -> None:
    """Wait until an orderer leads every channel; raises `ContainersError`.

    That comes later than the answers that say "joined", and without a leader a broadcast is refused as unavailable.
    """
    for channel in plan.topology.channels:
        metric = (
            "consensus_BFT_is_leader" if plan.topology.orderer.consensus == "bft" else "consensus_etcdraft_is_leader"
        )
        leads = _any_orderer(plan, metric, channel)
        insist(plan.orderers[0].name, leads, trouble, what=f"no orderer leads channel {channel.name}")


def wait_for_membership(plan: Plan, trouble: Trouble) -> None:
    """Wait until every peer sees all the others, without whom a gateway meets no policy; raises `ContainersError`."""
    for channel in plan.topology.channels:
        members = [peer for peer in plan.peers if peer.organisation.name in channel.organisations]
        for peer in members:
            sees = _sees_others(peer, channel, len(members) - 1)
            insist(peer.name, sees, trouble, what=f"{peer.name} does not see the other peers of {channel.name}")


def _any_orderer(plan: Plan, metric: str, channel: Channel) -> Callable[[], bool]:
    return lambda: any(
        node_metric(f"{LOOPBACK}:{node.operations_port}", metric, channel.name) for node in plan.orderers
    )


def _sees_others(peer: Peer, channel: Channel, others: int) -> Callable[[], bool]:
    name = "gossip_membership_total_peers_known"
    return lambda: node_metric(f"{LOOPBACK}:{peer.operations_port}", name, channel.name) >= others


def insist(name: str, attempt: Callable[[], bool], trouble: Trouble, *, what: str | None = None) -> None:
    """Attempt until it succeeds; the container's end or 90 s end the patience."""
    give_up = time.monotonic() + _DEADLINE_S
    while True:
        try:
            if attempt():
                return
            problem = what or f"{name} does not answer"
        except (OSError, WireError) as error:
            problem = str(error)
        if (ended := trouble(name)) is not None:
            raise ContainersError(ended)
        if time.monotonic() > give_up:
            raise ContainersError(f"{problem} (given up after {_DEADLINE_S:.0f} s)")
        time.sleep(_POLL_S)
