# SPDX-License-Identifier: Apache-2.0
"""One organisation's endorsing peer: check a proposal, simulate it on its own chaincode, sign the result."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

import grpc
from fabric_protos.peer import chaincode_pb2, proposal_pb2, proposal_response_pb2

from network.embedded import definitions
from network.embedded.chaincode import ChaincodeRegistry
from network.embedded.channelconfig import AccessDenied, ChannelConfig
from network.embedded.execution import SYSTEM_VERSION, Execution, Outcome, SystemChaincode, Undefined
from network.embedded.identity import Identity, Msps, Signer
from network.embedded.interest import describe_interest
from network.embedded.invocation import Transaction
from network.embedded.lifecycle import Lifecycle
from network.embedded.proposal import (
    Members,
    Proposal,
    ProposalRefused,
    Unauthenticated,
    check_filters,
    check_proposal,
    unpack,
)
from network.embedded.simulator import SimulationError, Simulator
from network.embedded.system import Cscc, Qscc

__all__ = ["Answer", "Channel", "Endorser", "Node", "Organisation"]

_SYSTEM_NAMESPACES = frozenset({"_lifecycle", "lscc", "qscc", "cscc", "escc", "vscc"})


_REMEMBERED = 1024


class Channel(Protocol):
    """What the endorser uses of a channel."""

    config: ChannelConfig
    store: Any


class Transient(Protocol):
    """Where cleartext of private writes waits for the commit."""

    def put(self, transaction_id: str, org_msp: str, rwset: Any) -> None:
        """Keep one organisation's `TxPvtReadWriteSet`."""
        ...


class Organisation(Protocol):
    """What the endorser uses of its organisation's peer."""

    @property
    def msp_id(self) -> str: ...
    @property
    def signer(self) -> Signer: ...
    @property
    def chaincodes(self) -> ChaincodeRegistry: ...
    @property
    def transient(self) -> Transient: ...


class Node(Protocol):
    """What the endorser uses of the process it runs in."""

    @property
    def channels(self) -> Mapping[str, Any]: ...
    @property
    def orgs(self) -> Mapping[str, Any]: ...


class Answer(NamedTuple):
    """What a peer answers to a proposal: both, the error alone, or the response alone (rules P-7 to P-18)."""

    response: Any
    """`ProposalResponse`, None when only an error came."""
    error: str | None


class Endorser:
    """Answers proposals for one organisation; also the servicer of `Endorser.ProcessProposal`."""

    def __init__(self, node: Node, org: Organisation, *, clock: Callable[[], datetime] | None = None) -> None:
        self._node = node
        self._org = org
        self._clock = clock or _now
        self._local: tuple[ChannelConfig, Msps] | None = None
        self._serving: dict[tuple[str, str], tuple[tuple[int, int], bool]] = {}
        system: dict[str, SystemChaincode] = {
            "_lifecycle": Lifecycle(org.msp_id, org.chaincodes, node),
            "qscc": Qscc(node.channels),
            "cscc": Cscc(org.msp_id, node.channels),
        }
        self._execution = Execution(org.msp_id, org.chaincodes, node.channels, system)

    async def ProcessProposal(self, signed: Any, context: Any) -> Any:  # noqa: N802 - the name is gRPC's
        """Serve a proposal over gRPC, where an error leaves no room for a response."""
        answer = await self.process(signed)
        if answer.error is not None:
            await context.abort(grpc.StatusCode.UNKNOWN, answer.error)
        return answer.response

    def can_endorse(self, channel_id: str, chaincode: str) -> bool:
        """Whether this organisation approved and installed the chaincode's definition in force (rules G-5, L-5)."""
        if chaincode in self._execution.system:
            return True
        channel = self._node.channels.get(channel_id)
        if channel is None:
            return False
        rests_on = (channel.store.height, self._org.chaincodes.revision)
        known = self._serving.get((channel_id, chaincode))
        if known is None or known[0] != rests_on:
            if len(self._serving) >= _REMEMBERED:
                # Names come from clients, so their number has no other bound.
                self._serving.clear()
            known = self._serving[channel_id, chaincode] = (rests_on, self._serves(channel, channel_id, chaincode))
        return known[1]

    def _serves(self, channel: Channel, channel_id: str, chaincode: str) -> bool:
        with channel.store.snapshot() as snapshot:
            try:
                self._execution.usable(Simulator(snapshot, channel.config, self._org.msp_id, ""), channel_id, chaincode)
            except Undefined:
                return False
        return True

    async def process(self, signed: Any) -> Answer:
        """Check, simulate and endorse one `SignedProposal`; never raises for what the client did."""
        try:
            proposal = unpack(signed.proposal_bytes)
            channel = self._node.channels.get(proposal.channel_id)
            members = self._members(proposal, channel)
            check_filters(proposal, members, self._clock())
            if proposal.complaint is not None:
                raise ProposalRefused(proposal.complaint)
            if members is None:
                return Answer(_failure(f"channel '{proposal.channel_id}' not found"), None)
            creator = self._admit(proposal, signed.signature, members, channel)
        except Unauthenticated as refusal:
            return Answer(None, str(refusal))
        except ProposalRefused as refusal:
            return Answer(_failure(str(refusal)), str(refusal))
        return Answer(await self._endorse(Transaction(channel, proposal, signed, creator, None)), None)

    # -- checks --------------------------------------------------------------------------------------------------

    def _members(self, proposal: Proposal, channel: Channel | None) -> Members | None:
        if channel is not None:
            return channel.config.msps
        return None if proposal.channel_id else self._local_members()

    def _local_members(self) -> Msps:
        """The peer's own organisation, as its first channel knows it (rule P-19)."""
        config: ChannelConfig = next(iter(self._node.channels.values())).config
        if self._local is None or self._local[0] is not config:
            self._local = (config, Msps([config.msps.msp(self._org.msp_id)]))
        return self._local[1]

    def _admit(self, proposal: Proposal, signature: bytes, members: Members, channel: Channel | None) -> Identity:
        """Rules P-11 to P-17; raises ProposalRefused."""
        creator = check_proposal(proposal, signature, members)
        if channel is None:
            return creator
        store = channel.store
        if proposal.absent_at != (store, store.height) and store.by_transaction(proposal.transaction_id) is not None:
            raise ProposalRefused(
                f"duplicate transaction found [{proposal.transaction_id}]. Creator [{proposal.creator.hex()}]"
            )
        proposal.absent_at = (store, store.height)
        if proposal.chaincode not in self._execution.system:
            try:
                channel.config.check_acl_identity("peer/Propose", creator)
            except AccessDenied as refusal:
                raise ProposalRefused(str(refusal)) from refusal
        return creator

    # -- simulation ----------------------------------------------------------------------------------------------

    async def _endorse(self, transaction: Transaction) -> Any:
        proposal, channel = transaction.proposal, transaction.channel
        system = self._execution.system.get(proposal.chaincode)
        simulator = None
        if channel is not None and (system is None or system.simulates):
            snapshot = channel.store.snapshot()
            simulator = Simulator(snapshot, channel.config, self._org.msp_id, proposal.transaction_id)
        transaction.simulator = simulator
        try:
            version = SYSTEM_VERSION if system is not None else self._version(proposal, simulator)
            outcome = await self._execution.execute(transaction, proposal.chaincode)
            results, interest = b"", None
            if simulator is not None:
                results = simulator.rwset.public()
                self._keep_private(simulator, transaction)
                interest = describe_interest(simulator, _SYSTEM_NAMESPACES)
        except Undefined as error:
            return _failure(
                f"make sure the chaincode {proposal.chaincode} has been successfully defined "
                f"on channel {proposal.channel_id} and try again: {error}"
            )
        except SimulationError as error:
            return _failure(f"error in simulation: {error}")
        finally:
            if simulator is not None:
                simulator.close()
        return self._answer(transaction, outcome, results, version, interest)

    def _version(self, proposal: Proposal, simulator: Simulator | None) -> str:
        if simulator is None:
            raise Undefined(f"chaincode {proposal.chaincode} not found")
        return self._execution.usable(simulator, proposal.channel_id, proposal.chaincode).definition.version

    def _keep_private(self, simulator: Simulator, transaction: Transaction) -> None:
        """Keep cleartext for the commit, if enough other members could have it (rule S-38); raises SimulationError."""
        private = simulator.rwset.private()
        if private is None:
            return
        transaction_id, channel_id = transaction.proposal.transaction_id, transaction.proposal.channel_id
        others = self._node.orgs.keys() - {self._org.msp_id}
        for namespace in private.ns_pvt_rwset:
            for entry in namespace.collection_pvt_rwset:
                collection = definitions.collection(
                    simulator.snapshot, simulator.config, namespace.namespace, entry.collection_name
                )
                eligible = len(collection.member_msps & others)
                if eligible < collection.required_peer_count:
                    raise SimulationError(
                        f"failed to distribute private collection, txID {transaction_id}, channel {channel_id}: "
                        f"could not build private data dissemination plan for chaincode {namespace.namespace} and "
                        f"collection {entry.collection_name}: required to disseminate to at least "
                        f"{collection.required_peer_count} peers, but know of only {eligible} eligible peers"
                    )
        # Every member of this process finds it there at commit, so there is nothing to push (rule V-37).
        self._org.transient.put(transaction_id, self._org.msp_id, private)

    def _answer(self, transaction: Transaction, outcome: Outcome, results: bytes, version: str, interest: Any) -> Any:
        """Rule S-17: what the status decides."""
        proposal, response = transaction.proposal, outcome.response
        if 400 <= response.status < 500:
            return proposal_response_pb2.ProposalResponse(response=response)
        event = outcome.event if response.status < 400 else None
        action = proposal_pb2.ChaincodeAction(
            results=results,
            events=b"" if event is None else event.SerializeToString(),
            response=response,
            chaincode_id=chaincode_pb2.ChaincodeID(name=proposal.chaincode, version=version),
        )
        payload = proposal_response_pb2.ProposalResponsePayload(
            proposal_hash=proposal.hash, extension=action.SerializeToString()
        ).SerializeToString()
        if response.status >= 500:
            return proposal_response_pb2.ProposalResponse(response=response, payload=payload, interest=interest)
        if not proposal.channel_id:
            return proposal_response_pb2.ProposalResponse(response=response)
        signer = self._org.signer
        signed = payload + signer.serialized
        signature = signer.sign(signed)
        # This process is also the one that validates the transaction.
        transaction.channel.config.msps.remember(signer, signed, signature)
        return proposal_response_pb2.ProposalResponse(
            version=1,
            response=response,
            payload=payload,
            endorsement=proposal_response_pb2.Endorsement(endorser=signer.serialized, signature=signature),
            interest=interest,
        )


def _failure(message: str) -> Any:
    return proposal_response_pb2.ProposalResponse(response=proposal_response_pb2.Response(status=500, message=message))


def _now() -> datetime:
    return datetime.now(UTC)
