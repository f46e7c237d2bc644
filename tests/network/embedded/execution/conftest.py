# SPDX-License-Identifier: Apache-2.0
"""A started node, chaincode processes of our own making that speak the real stream, and clients that sign."""

import asyncio
import gzip
import io
import json
import os
import shutil
import tarfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256

import pytest
from fabric_protos.common import common_pb2
from fabric_protos.peer import (
    chaincode_event_pb2,
    chaincode_pb2,
    chaincode_shim_pb2,
    chaincode_shim_pb2_grpc,
    collection_pb2,
    policy_pb2,
    proposal_pb2,
    proposal_response_pb2,
    transaction_pb2,
)
from fabric_protos.peer.lifecycle import lifecycle_pb2
from grpc import aio

from network.embedded.chaincode import ChaincodeSettings
from network.embedded.identity import Signer
from network.embedded.node import Node
from network.embedded.policy import parse
from network.material import ensure_material
from network.topology import Channel, default_topology

Message = chaincode_shim_pb2.ChaincodeMessage
ORGS = ("HospitalMSP", "LabMSP", "RegulatorMSP")


class PeerError(Exception):
    """The peer answered ERROR."""


@dataclass
class Stub:
    """What a fake chaincode's function is given."""

    process: "Process"
    message: object
    args: list[bytes]
    answers: asyncio.Queue = field(default_factory=asyncio.Queue)
    event: object = None

    async def ask(self, kind: int, request) -> bytes:
        payload = request if isinstance(request, bytes) else request.SerializeToString()
        await self.process.write(
            Message(type=kind, payload=payload, txid=self.message.txid, channel_id=self.message.channel_id)
        )
        answer = await self.answers.get()
        if answer.type == Message.ERROR:
            raise PeerError(answer.payload.decode())
        assert answer.type == Message.RESPONSE
        return answer.payload

    async def get(self, key: str, collection: str = "") -> bytes:
        return await self.ask(Message.GET_STATE, chaincode_shim_pb2.GetState(key=key, collection=collection))

    async def put(self, key: str, value: bytes, collection: str = "") -> None:
        await self.ask(Message.PUT_STATE, chaincode_shim_pb2.PutState(key=key, value=value, collection=collection))

    async def delete(self, key: str, collection: str = "") -> None:
        await self.ask(Message.DEL_STATE, chaincode_shim_pb2.DelState(key=key, collection=collection))

    async def set_policy(self, key: str, policy: bytes, collection: str = "") -> None:
        metadata = chaincode_shim_pb2.StateMetadata(metakey="VALIDATION_PARAMETER", value=policy)
        request = chaincode_shim_pb2.PutStateMetadata(key=key, collection=collection, metadata=metadata)
        await self.ask(Message.PUT_STATE_METADATA, request)

    async def range(self, start: str, end: str, *, collection="", size=0, bookmark=None):
        metadata = b""
        if bookmark is not None:
            metadata = chaincode_shim_pb2.QueryMetadata(pageSize=size, bookmark=bookmark).SerializeToString()
        request = chaincode_shim_pb2.GetStateByRange(
            startKey=start, endKey=end, collection=collection, metadata=metadata
        )
        answer = await self.ask(Message.GET_STATE_BY_RANGE, request)
        return chaincode_shim_pb2.QueryResponse.FromString(answer)

    async def invoke(self, name: str, *args: bytes) -> object:
        spec = chaincode_pb2.ChaincodeSpec(
            chaincode_id=chaincode_pb2.ChaincodeID(name=name), input=chaincode_pb2.ChaincodeInput(args=args)
        )
        inner = Message.FromString(await self.ask(Message.INVOKE_CHAINCODE, spec))
        assert inner.type == Message.COMPLETED
        return proposal_response_pb2.Response.FromString(inner.payload)


Function = Callable[[Stub], Awaitable[object]]


class Process(chaincode_shim_pb2_grpc.ChaincodeServicer):
    """One chaincode process of one organisation: serves `Chaincode.Connect`, or dials the peer."""

    def __init__(self, msp_id: str, function: Function, name: str = "any:1.0") -> None:
        self.msp_id = msp_id
        self.function = function
        self.name = name
        self.connections = 0
        self.received: list[object] = []
        self.stubs: dict[tuple[str, str], Stub] = {}
        self.stream = None
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task] = set()
        self._server = None
        self.address = ""

    async def serve(self, address: str = "127.0.0.1:0") -> None:
        self._server = aio.server(options=(("grpc.so_reuseport", 0),))
        chaincode_shim_pb2_grpc.add_ChaincodeServicer_to_server(self, self._server)
        port = self._server.add_insecure_port(address)
        self.address = f"127.0.0.1:{port}"
        await self._server.start()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._server is not None:
            await self._server.stop(0)

    async def write(self, message) -> None:
        async with self._lock:
            await self.stream.write(message)

    async def Connect(self, _requests, context) -> None:  # noqa: N802 - the name is gRPC's
        await self.run(context)

    async def run(self, stream) -> None:
        self.connections += 1
        self.stream = stream
        name = chaincode_pb2.ChaincodeID(name=self.name).SerializeToString()
        await self.write(Message(type=Message.REGISTER, payload=name))
        while (message := await stream.read()) is not aio.EOF:
            self.received.append(message)
            if message.type in (Message.TRANSACTION, Message.INIT):
                task = asyncio.create_task(self._transact(message))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            elif message.type in (Message.RESPONSE, Message.ERROR):
                stub = self.stubs.get((message.channel_id, message.txid))
                if stub is not None:
                    stub.answers.put_nowait(message)

    async def _transact(self, message) -> None:
        arguments = chaincode_pb2.ChaincodeInput.FromString(message.payload)
        stub = Stub(self, message, list(arguments.args))
        self.stubs[message.channel_id, message.txid] = stub
        kind = Message.COMPLETED
        try:
            result = await self.function(stub)
            if isinstance(result, bytes):
                result = proposal_response_pb2.Response(status=200, payload=result)
            payload = result.SerializeToString()
        except PeerError as error:
            payload = proposal_response_pb2.Response(status=500, message=str(error)).SerializeToString()
        except RuntimeError as error:
            kind, payload = Message.ERROR, str(error).encode()
        answer = Message(type=kind, payload=payload, txid=message.txid, channel_id=message.channel_id)
        if stub.event is not None:
            answer.chaincode_event.CopyFrom(stub.event)
        await self.write(answer)


def event(name: str, payload: bytes = b"") -> object:
    return chaincode_event_pb2.ChaincodeEvent(chaincode_id="forged", tx_id="forged", event_name=name, payload=payload)


def make_package(label: str, address: str, *, kind: str = "ccaas", **connection) -> bytes:
    description = {"address": address, "dial_timeout": "1s", "tls_required": False} | connection
    code = _tar({"connection.json": json.dumps(description).encode()})
    return _tar({"metadata.json": json.dumps({"type": kind, "label": label}).encode(), "code.tar.gz": code})


def _tar(files: dict[str, bytes]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(raw.getvalue(), mtime=0)


class World:
    """A running node with helpers to play both sides."""

    def __init__(self, node: Node, stack: AsyncExitStack) -> None:
        self.node = node
        self._stack = stack
        self._signers: dict[tuple[str, str], Signer] = {}

    def signer(self, msp_id: str, user: str = "User1") -> Signer:
        key = (msp_id, user)
        if key not in self._signers:
            organisation = self.node.topology.organisation(msp_id)
            if user == "peer":
                folder = self.node.material.peer(organisation.domain) / "msp"
            else:
                folder = self.node.material.user(organisation.domain, user) / "msp"
            self._signers[key] = Signer.from_folder(folder, msp_id)
        return self._signers[key]

    def propose(self, chaincode: str, *args: bytes, **options):
        return sign(
            build(
                self.signer(options.pop("by", "HospitalMSP"), options.pop("user", "User1")), chaincode, *args, **options
            )
        )

    async def ask(self, chaincode: str, *args: bytes, org: str = "HospitalMSP", **options):
        return await self.node.orgs[org].endorser.process(self.propose(chaincode, *args, **options))

    async def submit(self, chaincode: str, *args: bytes, orgs=("HospitalMSP", "LabMSP"), **options) -> int:
        """Endorse by `orgs`, order, and wait; answers the validation code."""
        by, user = options.get("by", "HospitalMSP"), options.get("user", "User1")
        signed = self.propose(chaincode, *args, **options)
        answers = [await self.node.orgs[org].endorser.process(signed) for org in orgs]
        for answer in answers:
            assert answer.error is None
            assert answer.response.endorsement.signature, answer.response.response.message
        assert len({answer.response.payload for answer in answers}) == 1
        return await self.order(signed, [answer.response for answer in answers], self.signer(by, user))

    async def order(self, signed, responses, signer: Signer) -> int:
        proposal = proposal_pb2.Proposal.FromString(signed.proposal_bytes)
        header = common_pb2.Header.FromString(proposal.header)
        channel = common_pb2.ChannelHeader.FromString(header.channel_header)
        stripped = proposal_pb2.ChaincodeProposalPayload(
            input=proposal_pb2.ChaincodeProposalPayload.FromString(proposal.payload).input
        )
        action = transaction_pb2.ChaincodeActionPayload(
            chaincode_proposal_payload=stripped.SerializeToString(),
            action=transaction_pb2.ChaincodeEndorsedAction(
                proposal_response_payload=responses[0].payload, endorsements=[r.endorsement for r in responses]
            ),
        )
        transaction = transaction_pb2.Transaction(
            actions=[
                transaction_pb2.TransactionAction(header=header.signature_header, payload=action.SerializeToString())
            ]
        )
        payload = common_pb2.Payload(header=header, data=transaction.SerializeToString()).SerializeToString()
        envelope = common_pb2.Envelope(payload=payload, signature=signer.sign(payload))
        ledger = self.node.channels[channel.channel_id]
        answer = await ledger.orderer.broadcast(envelope)
        assert answer.status == common_pb2.Status.SUCCESS, answer.info
        code, _ = await ledger.commit_status(channel.tx_id)
        return code

    async def lifecycle(self, function: str, request, *, org="HospitalMSP", user="Admin", channel_id="pedigree"):
        """Query or install; answers the response."""
        answer = await self.ask(
            "_lifecycle",
            function.encode(),
            request.SerializeToString(),
            org=org,
            by=org,
            user=user,
            channel_id=channel_id,
        )
        assert answer.error is None
        return answer.response.response

    async def install(self, org: str, package: bytes) -> str:
        request = lifecycle_pb2.InstallChaincodeArgs(chaincode_install_package=package)
        response = await self.lifecycle("InstallChaincode", request, org=org, channel_id="")
        assert response.status == 200, response.message
        return lifecycle_pb2.InstallChaincodeResult.FromString(response.payload).package_id

    async def change(self, function: str, request, *, orgs, by: str, channel_id: str = "pedigree") -> None:
        code = await self.submit(
            "_lifecycle",
            function.encode(),
            request.SerializeToString(),
            orgs=orgs,
            by=by,
            user="Admin",
            channel_id=channel_id,
        )
        assert code == 0

    async def start(self, org: str, function: Function) -> Process:
        process = Process(org, function)
        await process.serve()
        self._stack.push_async_callback(process.stop)
        return process

    async def deploy(
        self,
        name: str,
        function: Function,
        *,
        orgs=ORGS,
        sequence=1,
        package_ids=None,
        channel_id="pedigree",
        **definition,
    ) -> dict[str, Process]:
        """Run one process for each organisation and agree on the definition."""
        processes: dict[str, Process] = {}
        for org in orgs:
            if package_ids is None:
                processes[org] = await self.start(org, function)
                package_id = await self.install(org, make_package(name, processes[org].address))
            else:
                package_id = package_ids[org]
            source = lifecycle_pb2.ChaincodeSource(
                local_package=lifecycle_pb2.ChaincodeSource.Local(package_id=package_id)
            )
            request = lifecycle_pb2.ApproveChaincodeDefinitionForMyOrgArgs(
                **described(name, sequence, **definition), source=source
            )
            await self.change("ApproveChaincodeDefinitionForMyOrg", request, orgs=(org,), by=org, channel_id=channel_id)
        request = lifecycle_pb2.CommitChaincodeDefinitionArgs(**described(name, sequence, **definition))
        await self.change("CommitChaincodeDefinition", request, orgs=orgs[:2], by=orgs[0], channel_id=channel_id)
        return processes


def described(name: str, sequence: int = 1, *, version="1.0", policy=None, collections=(), init_required=False) -> dict:
    parameter = b""
    if policy is not None:
        parameter = policy_pb2.ApplicationPolicy(signature_policy=parse(policy)).SerializeToString()
    return {
        "name": name,
        "sequence": sequence,
        "version": version,
        "init_required": init_required,
        "validation_parameter": parameter,
        "collections": collection_pb2.CollectionConfigPackage(
            config=[
                collection_pb2.CollectionConfig(static_collection_config=make_collection(**entry))
                for entry in collections
            ]
        ),
    }


def make_collection(name: str, members: str, required=0, maximum=1, **options):
    return collection_pb2.StaticCollectionConfig(
        name=name,
        member_orgs_policy=collection_pb2.CollectionPolicyConfig(signature_policy=parse(members)),
        required_peer_count=required,
        maximum_peer_count=maximum,
        **options,
    )


@dataclass
class Draft:
    """An unsigned proposal whose parts a test may spoil."""

    signer: Signer
    channel: object
    signature_header: object
    extension: object
    payload: object
    spec: object


def build(signer: Signer, chaincode: str, *args: bytes, channel_id="pedigree", transient=None, is_init=False) -> Draft:
    nonce = os.urandom(24)
    channel = common_pb2.ChannelHeader(
        type=common_pb2.HeaderType.ENDORSER_TRANSACTION,
        channel_id=channel_id,
        tx_id=sha256(nonce + signer.serialized).hexdigest(),
    )
    channel.timestamp.FromDatetime(datetime.now(UTC))
    spec = chaincode_pb2.ChaincodeInvocationSpec(
        chaincode_spec=chaincode_pb2.ChaincodeSpec(
            chaincode_id=chaincode_pb2.ChaincodeID(name=chaincode),
            input=chaincode_pb2.ChaincodeInput(args=args, is_init=is_init),
        )
    )
    return Draft(
        signer,
        channel,
        common_pb2.SignatureHeader(creator=signer.serialized, nonce=nonce),
        proposal_pb2.ChaincodeHeaderExtension(chaincode_id=chaincode_pb2.ChaincodeID(name=chaincode)),
        proposal_pb2.ChaincodeProposalPayload(TransientMap=transient or {}),
        spec,
    )


def sign(draft: Draft):
    draft.channel.extension = draft.extension.SerializeToString()
    draft.payload.input = draft.spec.SerializeToString()
    header = common_pb2.Header(
        channel_header=draft.channel.SerializeToString(), signature_header=draft.signature_header.SerializeToString()
    )
    raw = proposal_pb2.Proposal(
        header=header.SerializeToString(), payload=draft.payload.SerializeToString()
    ).SerializeToString()
    return proposal_pb2.SignedProposal(proposal_bytes=raw, signature=draft.signer.sign(raw))


@dataclass(frozen=True)
class Kit:
    """The helpers of this file, because a test module cannot import it."""

    build = staticmethod(build)
    sign = staticmethod(sign)
    event = staticmethod(event)
    make_package = staticmethod(make_package)
    described = staticmethod(described)
    Process = Process
    PeerError = PeerError
    ORGS = ORGS


@pytest.fixture(scope="session")
def kit() -> Kit:
    return Kit()


def topology():
    plain = default_topology(any_port=True)
    names = tuple(organisation.name for organisation in plain.organisations)
    channels = (plain.channels[0], Channel("second", names[:2]))
    return type(plain)(plain.organisations, plain.orderer, channels)


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """Key material, made once."""
    directory = tmp_path_factory.mktemp("network")
    ensure_material(topology(), directory)
    return directory


@pytest.fixture
def play(template, tmp_path):
    """Start a node, let a scenario play on it, stop everything; `restart` in the scenario's module does it again."""
    directory = tmp_path / "node"
    shutil.copytree(template, directory)

    async def run(scenario, settings: ChaincodeSettings) -> None:
        async with AsyncExitStack() as stack:
            node = await Node.start(topology(), directory, idle_cut_ms=1, chaincode_settings=settings)
            stack.push_async_callback(node.stop)
            await scenario(World(node, stack))

    def start(scenario, **settings) -> None:
        asyncio.run(run(scenario, ChaincodeSettings(**settings)))

    return start
