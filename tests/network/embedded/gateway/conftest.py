# SPDX-License-Identifier: Apache-2.0
"""A gateway over fake peers, orderer and ledger that can be told to fail."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from fabric_protos.common import common_pb2
from fabric_protos.gateway import gateway_pb2
from fabric_protos.orderer import ab_pb2
from fabric_protos.peer import (
    chaincode_pb2,
    policy_pb2,
    proposal_pb2,
    proposal_response_pb2,
    transaction_pb2,
)
from google.rpc import status_pb2

from network.embedded.channel import ChannelClosed
from network.embedded.channelconfig import ChannelConfig
from network.embedded.definitions import Definition, committed_entries
from network.embedded.entries import Entry, TransactionPlace, Version
from network.embedded.gateway import GatewayService
from network.embedded.identity import Signer
from network.embedded.policy import parse

StatusCode = grpc.StatusCode
PLAN = "no combination of peers can be derived which satisfy the endorsement policy: "


class Aborted(Exception):
    def __init__(self, code: Any, message: str, metadata: Any) -> None:
        super().__init__(f"{code.name}: {message}")
        self.code, self.message = code, message
        self.details: list[Any] = []
        for key, value in metadata:
            assert key == "grpc-status-details-bin"
            status = status_pb2.Status.FromString(value)
            assert (status.code, status.message) == (code.value[0], message)
            for packed in status.details:
                assert packed.type_url == "type.googleapis.com/gateway.ErrorDetail"
                self.details.append(gateway_pb2.ErrorDetail.FromString(packed.value))


class Context:
    """What a servicer sees of a call."""

    def __init__(self, remaining: float | None = None) -> None:
        self._remaining = remaining
        self.started = False

    def time_remaining(self) -> float | None:
        return self._remaining

    async def send_initial_metadata(self, _metadata: Any) -> None:
        self.started = True

    async def abort(self, code: Any, message: str, metadata: Any = ()) -> None:
        raise Aborted(code, message, metadata)


@dataclass
class Endorser:
    """Answers what it is told to, and remembers what it was asked."""

    signer: Signer
    installed: bool = True
    status: int = 200
    message: str = ""
    result: bytes = b"result"
    keep_payload: bool = False
    error: str | None = None
    error_only: bool = False
    interest: Any = None
    delay: float = 0.0
    asked: int = 0

    def can_endorse(self, _channel_id: str, chaincode: str) -> bool:
        return self.installed or chaincode in ("qscc", "_lifecycle")

    async def process(self, signed: Any) -> Any:
        self.asked += 1
        await asyncio.sleep(self.delay)
        if self.error is not None:
            answer = None if self.error_only else self._answer(500, self.error, b"")
            return SimpleNamespace(response=answer, error=self.error)
        payload = b"" if self.status >= 400 and not self.keep_payload else self._payload(signed)
        return SimpleNamespace(response=self._answer(self.status, self.message, payload), error=None)

    def _answer(self, status: int, message: str, payload: bytes) -> Any:
        endorser = self.signer.serialized
        return proposal_response_pb2.ProposalResponse(
            version=1,
            response=proposal_response_pb2.Response(status=status, message=message, payload=b"outer"),
            payload=payload,
            endorsement=proposal_response_pb2.Endorsement(
                endorser=endorser, signature=self.signer.sign(payload + endorser)
            ),
            interest=self.interest,
        )

    def _payload(self, signed: Any) -> bytes:
        response = proposal_response_pb2.Response(status=self.status, payload=self.result)
        action = proposal_pb2.ChaincodeAction(response=response, chaincode_id=chaincode_pb2.ChaincodeID(name="cc"))
        digest = hashlib.sha256(signed.proposal_bytes).digest()
        encoded: bytes = proposal_response_pb2.ProposalResponsePayload(
            proposal_hash=digest, extension=action.SerializeToString()
        ).SerializeToString()
        return encoded


class Snapshot:
    def __init__(self, entries: dict[str, bytes], version: Version) -> None:
        self._entries = entries
        self._version = version
        self.memo: dict[Any, Any] = {}

    def __enter__(self) -> "Snapshot":
        return self

    def __exit__(self, *_: object) -> None: ...

    def get(self, _namespace: str, key: str) -> Entry | None:
        value = self._entries.get(key)
        return None if value is None else Entry(value, self._version, None)


@dataclass
class Store:
    entries: dict[str, bytes] = field(default_factory=dict)
    height: int = 1
    version: Version = (1, 0)
    places: dict[str, TransactionPlace] = field(default_factory=dict)

    def snapshot(self) -> Snapshot:
        return Snapshot(self.entries, self.version)

    def by_transaction(self, transaction_id: str) -> TransactionPlace | None:
        return self.places.get(transaction_id)


@dataclass
class Orderer:
    status: int = 200
    info: str = ""
    delay: float = 0.0
    received: list[Any] = field(default_factory=list)

    async def broadcast(self, envelope: Any) -> Any:
        await asyncio.sleep(self.delay)
        self.received.append(envelope)
        return ab_pb2.BroadcastResponse(status=self.status, info=self.info)


class Channel:
    def __init__(self, config: ChannelConfig) -> None:
        self.config = config
        self.store = Store()
        self.orderer = Orderer()
        self.statuses: dict[str, asyncio.Future[tuple[int, int]]] = {}
        self.stored: list[Any] = []
        self.closed = False

    def define(self, name: str, policy: str | None = None, collections: Any = None) -> None:
        application = policy_pb2.ApplicationPolicy(channel_config_policy_reference="/Channel/Application/Endorsement")
        if policy is not None:
            application = policy_pb2.ApplicationPolicy(signature_policy=parse(policy))
        more = {} if collections is None else {"collections": collections}
        definition = Definition(name, 1, "1.0", validation_parameter=application.SerializeToString(), **more)
        self.store.entries |= committed_entries(definition)
        self.store.version = (self.store.version[0] + 1, 0)

    async def commit_status(self, transaction_id: str) -> tuple[int, int]:
        return await self.statuses[transaction_id]

    async def blocks(self, start: int) -> AsyncIterator[Any]:
        for block in self.stored:
            if block.header.number >= start:
                yield block
        self.closed = True
        raise ChannelClosed("the node stops")


class World:
    """One channel and three organisations, seen from the lab's gateway."""

    def __init__(self, config: ChannelConfig, signers: dict[str, Signer]) -> None:
        self.signers = signers
        self.channel = Channel(config)
        self.channels = {"pedigree": self.channel}
        self.peers = {name: Endorser(signers[f"{name}.peer"]) for name in ("hospital", "lab", "regulator")}
        self.orgs = {
            peer.signer.msp_id: SimpleNamespace(
                msp_id=peer.signer.msp_id, address=f"{name}:7051", endorser=peer, signer=peer.signer
            )
            for name, peer in self.peers.items()
        }
        self.gateway = self.service()

    def service(self, **settings: Any) -> GatewayService:
        own: Any = self.orgs["LabMSP"]
        node: Any = self
        return GatewayService(node, own, **settings)

    def proposal(self, chaincode: str = "cc", channel: str = "pedigree", *, transient: bool = False) -> Any:
        client = self.signers["lab.client"]
        identifier = chaincode_pb2.ChaincodeID(name=chaincode)
        header = common_pb2.ChannelHeader(type=3, channel_id=channel, tx_id="tx")
        specification = chaincode_pb2.ChaincodeSpec(
            chaincode_id=identifier, input=chaincode_pb2.ChaincodeInput(args=[b"f"])
        )
        invocation = chaincode_pb2.ChaincodeInvocationSpec(chaincode_spec=specification)
        signature = common_pb2.SignatureHeader(creator=client.serialized, nonce=b"nonce")
        payload = proposal_pb2.ChaincodeProposalPayload(
            input=invocation.SerializeToString(), TransientMap={"secret": b"cleartext"} if transient else {}
        )
        proposal = proposal_pb2.Proposal(
            header=common_pb2.Header(
                channel_header=header.SerializeToString(), signature_header=signature.SerializeToString()
            ).SerializeToString(),
            payload=payload.SerializeToString(),
        ).SerializeToString()
        return proposal_pb2.SignedProposal(proposal_bytes=proposal, signature=client.sign(proposal))

    def evaluate(self, *targets: str, **proposal: Any) -> Any:
        request = gateway_pb2.EvaluateRequest(
            proposed_transaction=self.proposal(**proposal), target_organizations=targets
        )
        return asyncio.run(self.gateway.Evaluate(request, Context()))

    def endorse(self, *organisations: str, **proposal: Any) -> Any:
        request = gateway_pb2.EndorseRequest(
            proposed_transaction=self.proposal(**proposal), endorsing_organizations=organisations
        )
        return asyncio.run(self.gateway.Endorse(request, Context()))

    @staticmethod
    def refused(call: Callable[[], Any]) -> Aborted:
        """The status that a call is refused with."""
        with pytest.raises(Aborted) as refusal:
            call()
        return refusal.value

    @staticmethod
    def context(remaining: float | None = None) -> Context:
        return Context(remaining)

    @staticmethod
    def action(envelope: Any) -> Any:
        return _action(envelope)

    def endorsers(self, response: Any) -> list[str]:
        action = _action(response.prepared_transaction)
        known = {peer.signer.serialized: name for name, peer in self.peers.items()}
        return sorted(known[endorsement.endorser] for endorsement in action.action.endorsements)


def _action(envelope: Any) -> Any:
    payload = common_pb2.Payload.FromString(envelope.payload)
    (action,) = transaction_pb2.Transaction.FromString(payload.data).actions
    return transaction_pb2.ChaincodeActionPayload.FromString(action.payload)


@pytest.fixture
def world(channel_config: ChannelConfig, signers: dict[str, Signer]) -> World:
    made = World(channel_config, signers)
    made.channel.define("cc")
    return made
