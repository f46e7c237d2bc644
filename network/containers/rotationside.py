# SPDX-License-Identifier: Apache-2.0
"""What a rotation of TLS certificates does on running nodes: consenters, and the waiting."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from cryptography import x509

from network.config.consenters import replaced
from network.containers import joining, view
from network.containers.errors import ContainersError
from network.containers.fabricside import RealFabric
from network.containers.participation import Participation
from network.containers.plan import LOOPBACK, Orderer, Peer, Plan
from network.embedded.identity import Signer
from network.lifecycle import height
from network.metrics import node_metric
from network.presented import presented
from network.topology import Endpoint
from network.wire import Administrator

__all__ = ["RealNodes"]

_FOLLOW_S = 3.0
"""How long a node may take to get a block. Of the one in which its own certificate changes it may never hear, because
the others have let go of it before: then it reads that when it comes back, and waiting longer is of no use."""
_CATCH_UP_S = 120.0
_VIEW_CHANGE_S = 240.0
_POLL_S = 0.1

Trouble = Callable[[str], str | None]


class RealNodes:
    """The nodes that a plan names, over their own protocols."""

    def __init__(self, plan: Plan, fabric: RealFabric, version: str, trouble: Trouble) -> None:
        """`version` is what the chaincode is deployed as; `trouble` says why a container will not come."""
        self._plan = plan
        self._fabric = fabric
        self._version = version
        self._trouble = trouble

    # -- orderers ------------------------------------------------------------------------------------------------------

    def leader(self) -> str | None:
        """The orderer that says that it leads the first channel, None where none that answers does."""
        bft = self._plan.topology.orderer.consensus == "bft"
        metric = "consensus_BFT_is_leader" if bft else "consensus_etcdraft_is_leader"
        channel = self._plan.topology.channels[0].name
        for node in self._plan.orderers:
            with suppress(OSError):  # one that is away does not lead
                if node_metric(f"{LOOPBACK}:{node.operations_port}", metric, channel):
                    return node.name
        return None

    def pin(self, node: Orderer, certificate: bytes) -> None:
        """Put an orderer's new certificate (PEM) into every channel, while all the others are at work.

        From then on the others neither dial nor admit it with the former one.
        """
        for other in self._plan.orderers:
            if other != node:
                self._wait_for_orderer(other)
        orderer = self._plan.topology.orderer
        signer = Signer.from_folder(self._plan.material.orderer_user(orderer.domain) / "msp", orderer.msp_id)
        address = Endpoint(node.name, node.endpoint.port)
        described = view.describe(self._plan)
        for channel, block in replaced(described, self._plan.topology.channels, address, certificate, signer):
            self._follows(node, channel, block + 1)

    def settle_orderer(self, node: Orderer) -> None:
        """Wait until a node orders again: it has the blocks that were made since, and those that are made now."""
        root, tls = self._plan.material.orderer_tls_ca(node.domain), self._orderers_client()
        expected = self._plan.material.orderer(node.domain, node.number) / "tls" / "server.crt"
        self._insist_on(node.name, node.endpoint, root, tls, expected)
        joining.wait_for_leaders(self._plan, self._trouble)
        self._commit_one()
        self._wait_for_orderer(node)

    def _wait_for_orderer(self, node: Orderer) -> None:
        """Wait until it has every block that some peer has; raises `ContainersError`.

        A SmartBFT node that was away notices what it missed when the next block is made: so one is made now and then.
        """
        give_up = time.monotonic() + _CATCH_UP_S
        while not all(
            self._follows(node, channel.name, self._highest(channel.name)) for channel in self._plan.topology.channels
        ):
            if (ended := self._trouble(node.name)) is not None:
                raise ContainersError(ended)
            if time.monotonic() > give_up:
                raise ContainersError(
                    f"{node.name} does not get the blocks that were made (waited {_CATCH_UP_S:.0f} s)"
                )
            self._commit_one()

    def _follows(self, node: Orderer, channel: str, height: int) -> bool:
        """Whether a node has so many blocks, or gets them in a few seconds."""
        asked, give_up = self._participation(node), time.monotonic() + _FOLLOW_S
        while True:
            try:
                if asked.height(channel) >= height:
                    return True
            except (ContainersError, OSError):
                return False  # it is down, or just coming up
            if time.monotonic() > give_up:
                return False
            time.sleep(_POLL_S)

    def _commit_one(self) -> None:
        """Have one transaction committed by all; raises `ContainersError`.

        After a restart of SmartBFT's leader that can take until the others miss its heartbeats and elect another one.
        """
        patience = _VIEW_CHANGE_S if self._plan.topology.orderer.consensus == "bft" else 0.0
        give_up = time.monotonic() + patience
        while True:
            try:
                self._fabric.test(self._plan, self._trouble)
            except ContainersError:
                if time.monotonic() > give_up:
                    raise
            else:
                return

    def _participation(self, node: Orderer) -> Participation:
        root = self._plan.material.orderer_tls_ca(node.domain)
        return Participation(node.name, Endpoint(LOOPBACK, node.admin_port), root, self._orderers_client())

    def _orderers_client(self) -> Path:
        return self._plan.material.orderer_user(self._plan.topology.orderer.domain) / "tls"

    # -- members -------------------------------------------------------------------------------------------------------

    def settle_peer(self, peer: Peer) -> None:
        """Wait until a peer has every block, sees the other peers, and endorses and commits with them."""
        domain = peer.organisation.domain
        client = self._plan.material.user(domain, "Admin") / "tls"
        expected = self._plan.material.peer(domain, peer.number) / "tls" / "server.crt"
        self._insist_on(peer.name, peer.endpoint, self._plan.material.tls_ca(domain), client, expected)
        with Administrator(joining.member_of(self._plan, peer)) as administrator:
            for channel in self._plan.topology.channels:
                if peer.organisation.name in channel.organisations:
                    wanted = self._highest(channel.name, but=peer)
                    joining.insist(
                        peer.name,
                        lambda name=channel.name, wanted=wanted: height(administrator, name) >= wanted,  # type: ignore[misc]
                        self._trouble,
                        what=f"{peer.name} does not reach block {wanted - 1} of channel {channel.name}",
                    )
        joining.wait_for_membership(self._plan, self._trouble)
        self._fabric.test(self._plan, self._trouble)

    def settle_chaincode(self) -> None:
        """Wait until the organisations' chaincodes endorse together."""
        self._fabric.test(self._plan, self._trouble)

    def settle_authority(self, name: str) -> None:
        """Wait until a CA serves with the certificate in its folder."""
        authority = next(each for each in self._plan.authorities if each.name == name)
        tls = self._plan.material.service(authority.folder, name)
        self._insist_on(name, Endpoint(LOOPBACK, authority.port), tls / "ca.crt", tls, tls / "server.crt")

    def settle_gateways(self) -> None:
        """Wait until every gateway follows the ledger."""
        self._fabric.wait_for_gateways(self._plan, self._trouble)

    def _highest(self, channel: str, but: Peer | None = None) -> int:
        """How many blocks the first peers have at most; that of `but` is not asked."""
        found = [0]
        for peer in self._plan.peers:
            members = next(each.organisations for each in self._plan.topology.channels if each.name == channel)
            if peer.number == 0 and peer != but and peer.organisation.name in members:
                with Administrator(joining.member_of(self._plan, peer)) as administrator:
                    found.append(height(administrator, channel))
        return max(found)

    def _insist_on(self, name: str, endpoint: Endpoint, root: Path, client: Path, expected: Path) -> None:
        """Wait until the program that listens proves itself with the certificate in `expected`."""
        joining.insist(
            name,
            lambda: presented(endpoint, name, root, client) == x509.load_pem_x509_certificate(expected.read_bytes()),
            self._trouble,
            what=f"{name} does not show the certificate in {expected}",
        )
