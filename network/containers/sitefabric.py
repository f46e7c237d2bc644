# SPDX-License-Identifier: Apache-2.0
"""What one site does on running nodes: joining, approving for itself, and committing once a majority has approved.

Nothing here acts for anybody else. Where the others must come first it says so with `Waiting`, and the next run goes on
from what the ledger itself knows by then.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TypeVar

from fabric_protos.common import common_pb2

from network.containers import files, joining
from network.containers.engine import Engine
from network.containers.errors import ContainersError
from network.containers.fabricside import METADATA, RealFabric
from network.containers.plan import Plan
from network.embedded.blocks import header_hash
from network.lifecycle import Deployment, approve, approvers, commit, committed, height, in_force, install
from network.metrics import node_metric
from network.operations.joinpackage import ORDERING
from network.packaging import Definition
from network.topology import Channel, Organisation
from network.wire import Administrator, Member, OrderingService, WireError, client_tls

__all__ = ["SiteFabric", "Waiting"]

Trouble = Callable[[str], str | None]
_T = TypeVar("_T")
_LOST = "private data matching public hash version is not available"
_PAUSE_S = 1.0
_FOREIGN_PATIENCE_S = 10.0


class Waiting(ContainersError):
    """Everything that this site can do is done; the message says what the others must do now."""


class SiteFabric(RealFabric):
    """Implements `network.Fabric` for a plan of one organisation's part."""

    def __init__(self, engine: Engine, version: str, say: Callable[[str], None], patience_s: float) -> None:
        """`patience_s` is how long the others are waited for in each step."""
        super().__init__(engine, version, say)
        self._give_up = time.monotonic() + patience_s

    def join(self, plan: Plan, trouble: Trouble) -> None:
        """As `Fabric`; a peer joins only a channel that the orderers began with the very same block."""
        if plan.orderers:
            super().join(plan, trouble)
            return
        channels = [each for each in plan.topology.channels if plan.peers[0].organisation.name in each.organisations]
        for channel in channels:
            self._patiently(partial(_compare, plan, channel))
        joining.join_all(plan, trouble)
        for channel in channels:
            _catch_up(plan, channel, trouble)

    def deploy(self, plan: Plan) -> bool:
        """As `Fabric`, for this organisation; commits when a majority has approved."""
        (package,) = files.chaincode_packages(plan, self._version).values()
        for peer in plan.peers:
            with Administrator(joining.member_of(plan, peer)) as administrator:
                install(administrator, package)
        (member,) = plan.members
        definition = Definition.make(plan.topology.chaincode, self._version)
        wanted = Deployment(plan.topology.channels[0].name, definition, {member.msp_id: package})
        with Administrator(joining.member_of(plan, plan.peers[0])) as own, _ordering(plan) as ordering:
            current = committed(own, wanted.channel, definition.name)
            sequence = 1 if current is None else int(current.sequence)
            if current is not None and not in_force(current, definition):
                raise ContainersError(
                    f"the channel runs {definition.name} {current.version}, and this site {definition.version}: "
                    "upgrading over several sites is not supported"
                )
            changed = _approve(own, wanted, sequence, ordering)
            if current is None:
                self._patiently(lambda: self._commit(plan, own, wanted, ordering))
        return changed or current is None

    def test(self, plan: Plan, trouble: Trouble) -> str:
        """As `Fabric`: by this organisation's peer and enough of the others'."""
        (member,) = plan.members
        chaincode, channel = plan.topology.chaincode, plan.topology.channels[0]
        with Administrator(joining.member_of(plan, plan.peers[0])) as own, _ordering(plan) as ordering:

            def answers() -> bool:
                own.query(channel.name, chaincode, METADATA)
                return True

            joining.insist(plan.peers[0].name, answers, lambda _: trouble(plan.chaincode_name(member)))
            return self._patiently(lambda: _commit_one(plan, channel, own, ordering))

    def wait_for_gateways(self, plan: Plan, trouble: Trouble) -> None:
        """As `Fabric`; the peer must see enough of the others for a transaction."""
        super().wait_for_gateways(plan, trouble)
        for channel in plan.topology.channels:
            for peer in plan.peers:
                if peer.organisation.name in channel.organisations:
                    self._patiently(partial(_sees_majority, peer.operations_port, channel))

    def _commit(self, plan: Plan, own: Administrator, wanted: Deployment, ordering: OrderingService) -> None:
        if committed(own, wanted.channel, wanted.definition.name) is not None:
            return  # another site was faster
        members = plan.topology.members(plan.topology.channel(wanted.channel))
        agreed = approvers(own, wanted, 1)
        present = [each for each in members if each.msp_id in agreed]
        if len(present) < _majority(len(members)):
            names = ", ".join(each.name for each in members if each.msp_id not in agreed)
            raise Waiting(
                f"{wanted.definition.name} {wanted.definition.version} is approved by "
                f"{', '.join(each.name for each in present)}; a majority of {len(members)} is needed, so {names} must "
                "run `up` too"
            )
        with ExitStack() as closing:
            others = [_administrator(_foreign(plan, each)) for each in present if each not in plan.members]
            answering = [each for each in map(closing.enter_context, others) if _answers(each, wanted.channel)]
            peers = [own, *answering]
            if len(peers) < _majority(len(members)):
                raise Waiting(f"too few of the peers that approved {wanted.definition.name} answer: {_names(peers)}")
            try:
                commit(wanted, 1, peers, ordering, waiting=[own])
            except WireError as error:
                if committed(own, wanted.channel, wanted.definition.name) is None:
                    raise Waiting(f"{wanted.definition.name} cannot be committed yet: {error}") from error

    def _patiently(self, step: Callable[[], _T]) -> _T:
        while True:
            try:
                return step()
            except Waiting:
                if time.monotonic() > self._give_up:
                    raise
            time.sleep(_PAUSE_S)


def _approve(own: Administrator, wanted: Deployment, sequence: int, ordering: OrderingService) -> bool:
    try:
        return approve(own, wanted, sequence, ordering)
    except WireError as error:
        if _LOST not in str(error):
            raise
        raise ContainersError(
            f"{own.member.name}'s peer has lost what it approved, which no other organisation keeps: restore "
            f"this site from a backup ({error})"
        ) from error


def _compare(plan: Plan, channel: Channel) -> None:
    ours = common_pb2.Block.FromString(plan.genesis_block(channel.name).read_bytes())
    with Administrator(joining.member_of(plan, plan.peers[0])) as own, _ordering(plan) as ordering:
        try:
            theirs = ordering.block(channel.name, 0, own.signer)
        except WireError as error:
            raise Waiting(
                f"the orderers do not serve channel {channel.name} to this site yet; {ORDERING}'s site comes "
                f"first ({str(error).partition(';')[0]})"
            ) from error
    if header_hash(theirs.header) != header_hash(ours.header):
        raise ContainersError(
            f"channel {channel.name} was begun with the first block {header_hash(theirs.header).hex()}, and this "
            f"site's is {header_hash(ours.header).hex()}: compare topology, join packages and the version of "
            f"Pedigree with {ORDERING}'s site"
        )


def _catch_up(plan: Plan, channel: Channel, trouble: Trouble) -> None:
    """A newcomer must have read what the others agreed on before it approves anything."""
    with Administrator(joining.member_of(plan, plan.peers[0])) as own, _ordering(plan) as ordering:
        newest = int(ordering.block(channel.name, None, own.signer).header.number)
        name = plan.peers[0].name
        what = f"{name} does not catch up with channel {channel.name}"
        joining.insist(name, lambda: height(own, channel.name) > newest, trouble, what=what)


def _majority(members: int) -> int:
    return members // 2 + 1


@contextmanager
def _ordering(plan: Plan) -> Iterator[OrderingService]:
    """The orderers, wherever they are, as this organisation's administrator reaches them."""
    orderer = plan.topology.orderer
    addresses = [str(plan.reached(address)) for address in orderer.addresses]
    client = client_tls(joining.member_of(plan, plan.peers[0]).msp)
    root = plan.material.orderer_tls_ca(orderer.domain)
    with OrderingService(addresses, root, orderer.node_names, client) as ordering:
        yield ordering


def _foreign(plan: Plan, other: Organisation) -> Member:
    """Another organisation's peer, as this one's administrator may ask it to endorse."""
    own = joining.member_of(plan, plan.peers[0])
    return Member(
        name=other.name,
        msp_id=own.msp_id,
        peer=str(plan.reached(other.peer)),
        host_name=other.peer_name,
        tls_ca=plan.material.tls_ca(other.domain),
        msp=own.msp,
    )


def _answers(peer: Administrator, channel: str) -> bool:
    try:
        height(peer, channel)
    except WireError:
        return False
    return True


def _names(peers: Iterable[Administrator]) -> str:
    return ", ".join(each.member.name for each in peers)


def _administrator(member: Member) -> Administrator:
    return Administrator(member, patience_s=_FOREIGN_PATIENCE_S)


def _commit_one(plan: Plan, channel: Channel, own: Administrator, ordering: OrderingService) -> str:
    members = plan.topology.members(channel)
    needed = _majority(len(members))
    problems: list[str] = []
    with ExitStack() as closing:
        peers = [own]
        for other in (each for each in members if each not in plan.members):
            if len(peers) == needed:
                break
            peer = closing.enter_context(_administrator(_foreign(plan, other)))
            try:
                peer.query(channel.name, plan.topology.chaincode, METADATA)
            except WireError as error:
                problems.append(f"{other.name}: {error}")
            else:
                peers.append(peer)
        if len(peers) < needed:
            raise Waiting(f"{needed} of {len(members)} organisations must endorse; not yet: {'; '.join(problems)}")
        endorsed = own.endorse(channel.name, plan.topology.chaincode, (METADATA,), peers)
        ordering.broadcast(own.envelope(endorsed))
        own.wait_for_commit(channel.name, endorsed.transaction_id)
    return endorsed.transaction_id


def _sees_majority(operations_port: int, channel: Channel) -> None:
    known = node_metric(f"127.0.0.1:{operations_port}", "gossip_membership_total_peers_known", channel.name)
    if known < _majority(len(channel.organisations)) - 1:
        raise Waiting(f"the peer sees too few of the other organisations' peers on {channel.name} yet: {known:.0f}")
