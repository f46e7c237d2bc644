# SPDX-License-Identifier: Apache-2.0
"""A started node, chaincode processes on it, and clients that sign."""

import asyncio
import shutil
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from fabric_protos.common import common_pb2
from fabric_protos.peer import proposal_pb2, transaction_pb2
from fabric_protos.peer.lifecycle import lifecycle_pb2

sys.path.insert(0, str(Path(__file__).parent))  # this folder's own modules; no other folder has their names

from drafts import build, described, event, make_package, sign
from fakechaincode import Function, PeerError, Process

from network.embedded.chaincode import ChaincodeSettings
from network.embedded.identity import Signer
from network.embedded.node import Node
from network.material import ensure_material
from network.topology import Channel, default_topology

ORGS = ("HospitalMSP", "LabMSP", "RegulatorMSP")


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

    async def run(scenario, settings: ChaincodeSettings, dials: bool) -> None:
        async with AsyncExitStack() as stack:
            node = await Node.start(
                topology(), directory, idle_cut_ms=1, chaincode_settings=settings, chaincode_dials=dials
            )
            stack.push_async_callback(node.stop)
            await scenario(World(node, stack))

    def start(scenario, *, dials=False, **settings) -> None:
        asyncio.run(run(scenario, ChaincodeSettings(**settings), dials))

    return start
