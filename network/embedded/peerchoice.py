# SPDX-License-Identifier: Apache-2.0
"""Which organisations' peers can be asked for a chaincode, and which must endorse (rules G-5, G-15, G-21)."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from fabric_protos.peer import proposal_response_pb2

from network.embedded import definitions
from network.embedded.endorsing import GatewayPeer
from network.embedded.layouts import Candidate, Layout, NoLayout, plan
from network.embedded.policy import Policy

__all__ = ["PeerChoice"]

_REMEMBERED = 256


class PeerChoice:
    """Chooses among the organisations' peers for the gateway of one of them."""

    def __init__(self, peers: Mapping[str, GatewayPeer], own: str) -> None:
        self._peers = peers
        self._own = own
        self._known: tuple[Any, tuple[str, ...], list[GatewayPeer]] = (None, (), [])
        self._plans: OrderedDict[tuple[object, ...], list[Layout]] = OrderedDict()

    def serving(self, channel: Any, chaincode: str, allowed: Sequence[str] | None) -> list[GatewayPeer]:
        """The peers that approved and installed a chaincode, own organisation first, then as `allowed` names them.

        All peers share one ledger, so none is ahead of another; `allowed` None means any organisation.
        """
        peers = self._members(channel.config)
        if allowed is not None:
            peers = [peer for peer in peers if peer.msp_id in allowed]
        return [peer for peer in peers if peer.endorser.can_endorse(channel.config.channel_id, chaincode)]

    def _members(self, config: Any) -> list[GatewayPeer]:
        """The peers of the channel's organisations, own organisation first."""
        served = tuple(self._peers)  # an organisation may join while the node runs
        if self._known[0] is not config or self._known[1] != served:
            members = set(config.application_orgs.values())
            peers = [peer for msp_id, peer in self._peers.items() if msp_id in members]
            self._known = (config, served, sorted(peers, key=lambda peer: peer.msp_id != self._own))
        return self._known[2]

    def layouts(
        self, channel: Any, interest: proposal_response_pb2.ChaincodeInterest, *, protect: bool
    ) -> list[Layout]:
        """Who must endorse; raises `NoLayout`.

        With `protect`, for proposals with transient data, only members of the collections concerned may (G-15).
        """
        with channel.store.snapshot() as snapshot:
            if not protect:
                return self._plan(channel, snapshot, interest)
            guarded, collections = _guarded(interest)
            try:
                return self._plan(channel, snapshot, guarded)
            except NoLayout:
                if not collections:
                    raise
                self._plan(channel, snapshot, interest)  # raises the plain reason when that is the same
                raise _Undistributed(collections) from None

    def _plan(self, channel: Any, snapshot: Any, interest: proposal_response_pb2.ChaincodeInterest) -> list[Layout]:
        """Plan, or find the plan made before for the same interest, definitions and installed chaincodes."""
        config = channel.config
        names = sorted({call.name for call in interest.chaincodes})
        members = [peer for msp_id, peer in self._peers.items() if msp_id in config.application_orgs.values()]
        served = {
            peer.msp_id: frozenset(name for name in names if peer.endorser.can_endorse(config.channel_id, name))
            for peer in members
        }
        sequences = tuple(definitions.sequence_version(snapshot, name) for name in names)
        key = (config, interest.SerializeToString(deterministic=True), sequences, tuple(served.items()))
        known = self._plans.get(key)
        if known is None:
            candidates = [
                Candidate(config.msps.deserialise(peer.signer.serialized), served[peer.msp_id].__contains__)
                for peer in members
            ]
            view = _Definitions(snapshot, config)
            known = self._plans[key] = plan(interest, view, config.msps, config.channel_id, candidates)
            if len(self._plans) > _REMEMBERED:
                self._plans.popitem(last=False)
        return known


class _Undistributed(NoLayout):
    """Someone outside a collection would have to see transient data."""

    def __init__(self, collections: Sequence[str]) -> None:
        Exception.__init__(
            self,
            "requires endorsement from organisation(s) that are not in the distribution policy of the private data "
            f"collection(s): [{' '.join(collections)}]; retry specifying trusted endorsing organizations to protect "
            "transient data",
        )


class _Definitions:
    def __init__(self, snapshot: Any, config: Any) -> None:
        self._snapshot = snapshot
        self._config = config

    def policy(self, chaincode: str) -> Policy:
        return definitions.policy(self._snapshot, self._config, chaincode)

    def collection(self, chaincode: str, name: str) -> definitions.Collection:
        return definitions.collection(self._snapshot, self._config, chaincode, name)


def _guarded(
    interest: proposal_response_pb2.ChaincodeInterest,
) -> tuple[proposal_response_pb2.ChaincodeInterest, list[str]]:
    """The interest as if all cleartext were read, and the collections for which that is a change."""
    guarded = proposal_response_pb2.ChaincodeInterest()
    guarded.CopyFrom(interest)
    collections: list[str] = []
    for call in guarded.chaincodes:
        if call.no_private_reads:
            call.no_private_reads = False
            collections += call.collection_names
    return guarded, collections
