# SPDX-License-Identifier: Apache-2.0
"""A consortium of real certificates, and a Gateway peer on a real socket that can be told to lie and to fail."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from fabric_protos.gateway import gateway_pb2_grpc
from fabric_protos.peer import events_pb2_grpc
from google.protobuf import any_pb2

from gateway.fabric import Gateway, Identity, Trust, blocks, connect, wire
from gateway.fabric.verify import msp_from_folder


def _sibling(name: str) -> Any:
    """A module of this folder, which is no package and so cannot be imported from."""
    spec = importlib.util.spec_from_file_location(f"fabric_tests_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    spec.loader.exec_module(module)
    return module


certificates = _sibling("certificates")
Person = certificates.Person
Organisation = certificates.Organisation


@dataclass
class Draft:
    """A transaction that the fake peer is about to prepare; a lie changes it before the peers sign."""

    transaction_id: str
    channel_header: bytes
    signature_header: bytes
    action_header: bytes
    input: bytes
    proposal_hash: bytes
    action: Any
    endorsers: list[Person]
    names: list[Identity] = field(default_factory=list)
    signatures: dict[int, bytes] = field(default_factory=dict)

    def envelope(self) -> Any:
        endorsed = wire.proposal_response.ProposalResponsePayload(
            proposal_hash=self.proposal_hash, extension=self.action.SerializeToString()
        ).SerializeToString()
        action = wire.transaction.ChaincodeEndorsedAction(proposal_response_payload=endorsed)
        for index, endorser in enumerate(self.endorsers):
            serialized = (self.names[index] if index < len(self.names) else endorser.identity).serialized
            signature = self.signatures.get(index) or endorser.sign(endorsed + serialized)
            action.endorsements.add(endorser=serialized, signature=signature)
        payload = wire.transaction.ChaincodeActionPayload(chaincode_proposal_payload=self.input, action=action)
        transaction = wire.transaction.Transaction(
            actions=[wire.transaction.TransactionAction(header=self.action_header, payload=payload.SerializeToString())]
        )
        header = wire.common.Header(channel_header=self.channel_header, signature_header=self.signature_header)
        whole = wire.common.Payload(header=header, data=transaction.SerializeToString())
        return wire.common.Envelope(payload=whole.SerializeToString())


def next_block(chain: list[Any], envelopes: list[bytes], flags: bytes) -> Any:
    block = wire.common.Block()
    block.header.number = len(chain)
    if chain:
        last = chain[-1].header
        block.header.previous_hash = blocks.header_hash(last.number, last.previous_hash, last.data_hash)
    block.header.data_hash = blocks.data_hash(envelopes)
    block.data.data.extend(envelopes)
    block.metadata.metadata.extend([b"", b"", flags, b"", b""])
    return block


class FakePeer(gateway_pb2_grpc.GatewayServicer, events_pb2_grpc.DeliverServicer):  # type: ignore[misc]
    """A peer with a chain of its own: checks signatures, has proposals endorsed, cuts a block per transaction."""

    def __init__(self, endorsers: list[Person], genesis: list[bytes]) -> None:
        self.endorsers = endorsers
        self.chain = [next_block([], genesis, b"\0")]
        self.result = b"result"
        self.status = 200
        self.event: tuple[str, bytes] | None = None
        self.code = 0
        self.requests: list[Any] = []
        self.lie: Callable[[Draft], None] = lambda draft: None
        self.corrupt: Callable[[Any], Any] = lambda envelope: envelope
        self.failures: dict[str, tuple[grpc.StatusCode, str, tuple[tuple[str, bytes], ...]]] = {}
        self.failing: dict[str, int] = {}
        """How many calls of a kind still fail; without an entry all of them do."""
        self.paused = False
        self.slow: dict[str, float] = {}
        """Seconds that calls of a kind take."""
        self.calls: list[str] = []
        self.streams = 0
        self.muted = 0
        """How many of the streams that were opened first bring nothing any more, though the peer lives."""
        self.digest: Callable[[bytes], bytes] = lambda message: hashlib.sha256(message).digest()
        self.event_responses: list[Any] = []
        self.deliver_answers: list[Any] | None = None
        self.ends = False
        self.committed: dict[str, tuple[int, int]] = {}
        self.grown = threading.Condition()

    # What the client must have signed, checked with the certificate's key and nothing of the client's code.
    def check(self, serialized: bytes, message: bytes, signature: bytes, context: Any) -> None:
        identity = wire.identities.SerializedIdentity.FromString(serialized)
        key: Any = x509.load_pem_x509_certificate(identity.id_bytes).public_key()
        digest = self.digest(message)
        try:
            if isinstance(key, ed25519.Ed25519PublicKey):
                key.verify(signature, digest)
            else:
                algorithm = hashes.SHA384() if len(digest) == 48 else hashes.SHA256()
                key.verify(signature, digest, ec.ECDSA(Prehashed(algorithm)))
        except Exception:
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "the signature is wrong")

    def begin(self, name: str, request: Any, context: Any) -> None:
        self.requests.append(request)
        self.calls.append(name)
        self.wait_until(lambda: not self.paused, context)
        time.sleep(self.slow.get(name, 0.0))
        if name in self.failures and self.failing.get(name, 1) > 0:
            if name in self.failing:
                self.failing[name] -= 1
            code, message, metadata = self.failures[name]
            context.set_trailing_metadata(metadata)
            context.abort(code, message)

    def unpack(self, signed: Any, context: Any) -> tuple[Any, Any, Any, Any]:
        proposal = wire.proposal.Proposal.FromString(signed.proposal_bytes)
        header = wire.common.Header.FromString(proposal.header)
        creator = wire.common.SignatureHeader.FromString(header.signature_header).creator
        self.check(creator, signed.proposal_bytes, signed.signature, context)
        channel = wire.common.ChannelHeader.FromString(header.channel_header)
        payload = wire.proposal.ChaincodeProposalPayload.FromString(proposal.payload)
        return header, channel, payload, wire.chaincode.ChaincodeInvocationSpec.FromString(payload.input)

    def Evaluate(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        self.begin("Evaluate", request, context)
        *_, payload, invocation = self.unpack(request.proposed_transaction, context)
        args = list(invocation.chaincode_spec.input.args)
        secrets = b"".join(payload.TransientMap[key] for key in sorted(payload.TransientMap))
        result = wire.proposal_response.Response(status=200, payload=b"|".join([*args, secrets]))
        return wire.gateway.EvaluateResponse(result=result)

    def draft(self, signed: Any, context: Any) -> Draft:
        header, channel, payload, invocation = self.unpack(signed, context)
        stripped = wire.proposal.ChaincodeProposalPayload(input=payload.input).SerializeToString()
        name = invocation.chaincode_spec.chaincode_id.name
        action = wire.proposal.ChaincodeAction(
            response=wire.proposal_response.Response(status=self.status, payload=self.result),
            chaincode_id=wire.chaincode.ChaincodeID(name=name, version="1.0"),
        )
        if self.event is not None:
            action.events = wire.chaincode_event.ChaincodeEvent(
                chaincode_id=name, tx_id=channel.tx_id, event_name=self.event[0], payload=self.event[1]
            ).SerializeToString()
        joined = header.channel_header + header.signature_header + stripped
        return Draft(
            transaction_id=channel.tx_id,
            channel_header=header.channel_header,
            signature_header=header.signature_header,
            action_header=header.signature_header,
            input=stripped,
            proposal_hash=hashlib.sha256(joined).digest(),
            action=action,
            endorsers=list(self.endorsers),
        )

    def Endorse(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.begin("Endorse", request, context)
        draft = self.draft(request.proposed_transaction, context)
        if request.endorsing_organizations:
            draft.endorsers = [p for p in self.endorsers if p.msp_id in request.endorsing_organizations]
        self.lie(draft)
        return wire.gateway.EndorseResponse(prepared_transaction=self.corrupt(draft.envelope()))

    def Submit(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.begin("Submit", request, context)
        envelope = request.prepared_transaction
        header = wire.common.Payload.FromString(envelope.payload).header
        creator = wire.common.SignatureHeader.FromString(header.signature_header).creator
        self.check(creator, envelope.payload, envelope.signature, context)
        with self.grown:
            self.chain.append(next_block(self.chain, [envelope.SerializeToString()], bytes((self.code,))))
            self.committed.setdefault(request.transaction_id, (self.code, len(self.chain) - 1))
            self.grown.notify_all()
        return wire.gateway.SubmitResponse()

    def CommitStatus(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.begin("CommitStatus", request, context)
        asked = wire.gateway.CommitStatusRequest.FromString(request.request)
        self.check(asked.identity, request.request, request.signature, context)
        self.wait_until(lambda: asked.transaction_id in self.committed, context)
        code, number = self.committed[asked.transaction_id]
        return wire.gateway.CommitStatusResponse(result=code, block_number=number)

    def wait_until(self, condition: Callable[[], bool], context: Any) -> bool:
        def wake() -> None:
            with self.grown:
                self.grown.notify_all()

        context.add_callback(wake)
        with self.grown:
            self.grown.wait_for(lambda: condition() or not context.is_active())
        return condition()

    def ChaincodeEvents(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        self.begin("ChaincodeEvents", request, context)
        asked = wire.gateway.ChaincodeEventsRequest.FromString(request.request)
        self.check(asked.identity, request.request, request.signature, context)
        started = asked.start_position.WhichOneof("Type") == "specified"
        first = asked.start_position.specified.number if started else len(self.chain)
        # As in Fabric: with after_transaction_id all is skipped up to that transaction's event, if it ever comes.
        skipping = asked.after_transaction_id
        for response in [r for r in self.event_responses if r.block_number >= first]:
            if skipping and not any(event.tx_id == skipping for event in response.events):
                continue
            yield response
        if not self.ends:
            self.wait_until(lambda: False, context)

    def Deliver(self, envelopes: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        return self.deliver(envelopes, context, lambda block: wire.events.DeliverResponse(block=block))

    def DeliverFiltered(self, envelopes: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        def filtered(block: Any) -> Any:
            message = wire.events.FilteredBlock(channel_id="pedigree", number=block.header.number)
            return wire.events.DeliverResponse(filtered_block=message)

        return self.deliver(envelopes, context, filtered)

    def DeliverWithPrivateData(self, envelopes: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        def private(block: Any) -> Any:
            return wire.events.DeliverResponse(block_and_private_data=wire.events.BlockAndPrivateData(block=block))

        return self.deliver(envelopes, context, private)

    def deliver(self, envelopes: Any, context: Any, wrap: Callable[[Any], Any]) -> Iterator[Any]:
        for envelope in envelopes:
            self.begin("Deliver", envelope, context)
            payload = wire.common.Payload.FromString(envelope.payload)
            creator = wire.common.SignatureHeader.FromString(payload.header.signature_header).creator
            self.check(creator, envelope.payload, envelope.signature, context)
            if self.deliver_answers is not None:
                yield from self.deliver_answers
                continue
            seek = wire.orderer.SeekInfo.FromString(payload.data)
            kind = seek.start.WhichOneof("Type")
            number = seek.start.specified.number if kind == "specified" else len(self.chain) - (kind == "newest")
            last = number if kind == "newest" else seek.stop.specified.number
            serial, self.streams = self.streams, self.streams + 1
            if number > len(self.chain):
                yield wire.events.DeliverResponse(status=404)
                continue

            def ready(wanted: int, serial: int = serial) -> bool:
                return wanted < len(self.chain) and serial >= self.muted

            while number <= last:
                if not self.wait_until(partial(ready, number), context):
                    return
                yield wrap(self.chain[number])
                number += 1
            yield wire.events.DeliverResponse(status=200)


@dataclass
class World:
    """Three organisations, the trust that pins them, and ways to reach a fake peer."""

    organisations: dict[str, Organisation]
    folders: dict[str, Path]
    genesis: list[bytes]
    genesis_hash: bytes

    @property
    def client(self) -> Person:
        return self.organisations["LabMSP"].client

    @property
    def peers(self) -> list[Person]:
        return [organisation.peer for organisation in self.organisations.values()]

    def trust(self, **options: Any) -> Trust:
        msps = [msp_from_folder(msp_id, folder) for msp_id, folder in self.folders.items()]
        return Trust(msps, self.genesis_hash, **options)


@dataclass
class Stage:
    """A running fake peer, a gateway on it, and the contract that tests call."""

    world: World
    peer: FakePeer
    target: str
    connection: Any
    gateway: Gateway

    def connect_as(self, person: Person, **options: Any) -> Gateway:
        options.setdefault("trust", self.world.trust())
        return Gateway(self.connection, person.identity, person.signer, **options)

    @property
    def network(self) -> Any:
        return self.gateway.network("pedigree")

    @property
    def contract(self) -> Any:
        return self.network.contract("pedigree")


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    organisations = {name: Organisation(name) for name in ("HospitalMSP", "LabMSP", "RegulatorMSP")}
    root = tmp_path_factory.mktemp("msps")
    folders = {name: organisation.write_msp(root / name) for name, organisation in organisations.items()}
    genesis = [b"genesis"]
    hash_of_genesis = blocks.header_hash(0, b"", blocks.data_hash(genesis))
    return World(organisations, folders, genesis, hash_of_genesis)


@contextlib.contextmanager
def serving(peer: FakePeer, credentials: Any = None) -> Iterator[int]:
    server = grpc.server(ThreadPoolExecutor(max_workers=16))
    gateway_pb2_grpc.add_GatewayServicer_to_server(peer, server)
    events_pb2_grpc.add_DeliverServicer_to_server(peer, server)
    address = "127.0.0.1:0"
    port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    server.start()
    try:
        yield port
    finally:
        server.stop(0).wait()


@pytest.fixture
def stage(world: World) -> Iterator[Stage]:
    peer = FakePeer(world.peers, world.genesis)
    with serving(peer) as port, connect(f"127.0.0.1:{port}") as connection:
        gateway = Gateway(connection, world.client.identity, world.client.signer, trust=world.trust())
        yield Stage(world, peer, f"127.0.0.1:{port}", connection, gateway)


@pytest.fixture
def fail() -> Callable[..., tuple[grpc.StatusCode, str, tuple[tuple[str, bytes], ...]]]:
    """A failure for `FakePeer.failures`, with peers' details packed as Fabric packs them."""

    def build(
        code: grpc.StatusCode, message: str, *details: tuple[str, str, str]
    ) -> tuple[grpc.StatusCode, str, tuple[tuple[str, bytes], ...]]:
        status = wire.rpc_status.Status(code=code.value[0], message=message)
        for address, msp_id, text in details:
            packed = any_pb2.Any()
            packed.Pack(wire.gateway.ErrorDetail(address=address, msp_id=msp_id, message=text))
            status.details.append(packed)
        return code, message, (("grpc-status-details-bin", status.SerializeToString()),) if details else ()

    return build


@pytest.fixture(scope="session")
def kit() -> SimpleNamespace:
    """What tests build worlds of their own with."""
    return SimpleNamespace(
        make_key=certificates.make_key,
        make_certificate=certificates.make_certificate,
        pem_of=certificates.pem_of,
        pem_of_key=certificates.pem_of_key,
        next_block=next_block,
        serving=serving,
        Person=Person,
        Organisation=Organisation,
        FakePeer=FakePeer,
    )
