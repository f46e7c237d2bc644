# SPDX-License-Identifier: Apache-2.0
"""A running network as the cases see it: its organisations, their peers and users, and the chaincode on them."""

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fabric_protos.common import common_pb2
from fabric_protos.peer import proposal_response_pb2, transaction_pb2
from fabric_protos.peer.lifecycle import lifecycle_pb2

from fabricharness import messages
from fabricharness.ledgers import BLOCKS, MAIN
from fabricharness.lifecycle import Definition
from fabricharness.members import Member
from fabricharness.programs import LOOPBACK, Program
from fabricharness.wire import ClientTls, Orderer, Peer, refusal
from gateway import fabric
from gateway.fabric.blocks import header_hash

PROBE = Path(__file__).resolve().parents[1] / "probe.py"
VALID = "VALID"
LIFECYCLE = "_lifecycle"


@dataclass(frozen=True)
class Outcome:
    """What became of a submitted transaction."""

    transaction_id: str
    code: str
    block: int
    result: bytes = b""


class Org:
    """One organisation: its peer, its users and a client of ours that signs as its User1."""

    def __init__(self, described: Mapping[str, str], trusts: Mapping[str, Any]) -> None:
        self.name = described["name"]
        self.mspid = described["mspid"]
        self.domain = described["domain"]
        self.address = described["peer"]
        self.tls_ca = Path(described["tls_ca"])
        self.folder = Path(described["msp"]).parent
        self.user_msp = Path(described["user_msp"])
        self.user = Member.from_folder(self.mspid, self.user_msp)
        self.admin_msp = Path(described["admin_msp"])
        self.admin = Member.from_folder(self.mspid, self.admin_msp)
        self.server_name = f"peer0.{self.domain}"
        self.peer_member = Member.from_folder(self.mspid, self.folder / "peers" / self.server_name / "msp")
        self.chaincode_tls, self.tls_client = (
            Path(described[field]) if field in described else None for field in ("chaincode_tls", "tls_client")
        )
        """Folders of keys, where the network runs on mutual TLS: its chaincode's, and its clients'."""
        self.client_tls = self.tls_client and ClientTls.from_folder(self.tls_client)
        self.peer = Peer(self.address, self.tls_ca, self.server_name, self.client_tls)
        self.trusts = trusts
        self.identity = fabric.Identity.from_msp_folder(self.mspid, self.user_msp)
        self.signer = fabric.Signer.from_msp_folder(self.user_msp)
        self._connection: fabric.Connection | None = None
        self._gateways: dict[str, fabric.Gateway] = {}

    @property
    def connection(self) -> fabric.Connection:
        """Our client's connection to this organisation's peer."""
        if self._connection is None:
            tls_root = self.tls_ca.read_bytes()
            self._connection = self.connect(tls_root=tls_root, server_name=self.server_name)
        return self._connection

    def connect(self, **options: Any) -> fabric.Connection:
        """A connection of our client's to this peer, with a client certificate where the network demands one."""
        proof = self.client_tls
        pair = {"client_certificate": proof.certificate, "client_key": proof.key} if proof else {}
        return fabric.connect(self.address, **pair, **options)

    def network(self, channel: str = MAIN) -> fabric.Network:
        """A channel through our client, which signs as User1 and verifies what it is handed."""
        if channel not in self._gateways:
            trust = self.trusts[channel]
            self._gateways[channel] = fabric.Gateway(self.connection, self.identity, self.signer, trust=trust)
        return self._gateways[channel].network(channel)

    def contract(self, chaincode: str, channel: str = MAIN) -> fabric.Contract:
        return self.network(channel).contract(chaincode)

    def evaluate(self, chaincode: str, *args: messages.Argument, channel: str = MAIN, **options: Any) -> bytes:
        result: bytes = self.contract(chaincode, channel).evaluate(*args, **options)
        return result

    def submit(self, chaincode: str, *args: messages.Argument, channel: str = MAIN, **options: Any) -> Outcome:
        """Endorse, submit and wait; the outcome may well be an invalid transaction."""
        submitted = self.contract(chaincode, channel).submit_async(*args, **options)
        return outcome(submitted)

    def endorsed(self, chaincode: str, *args: messages.Argument, channel: str = MAIN, **options: Any) -> Any:
        """An endorsed transaction of our client, not yet submitted."""
        proposal = self.contract(chaincode, channel).new_proposal(args[0], arguments=args[1:], **options)
        return proposal.endorse()

    def propose(
        self, chaincode: str, *args: messages.Argument, channel: str = MAIN, member: Member | None = None, **wrong: Any
    ) -> messages.Proposal:
        """A raw proposal of this organisation's user, with any part of it wrong on request."""
        return messages.proposal(channel, chaincode, args, member or self.user, **wrong)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self.peer.close()


def outcome(submitted: Any) -> Outcome:
    """Wait for a transaction that our client submitted."""
    status = submitted.commit.status()
    code = transaction_pb2.TxValidationCode.Name(int(status.code))
    return Outcome(submitted.transaction_id, code, status.block_number, submitted.result)


@dataclass
class Network:
    """The network under test."""

    ledger: str
    directory: Path
    description: Mapping[str, Any]
    hospital: Org
    lab: Org
    regulator: Org
    orderer: Orderer
    programs: dict[tuple[str, str], Program] = field(default_factory=dict)

    @classmethod
    def connect(cls, ledger: str, directory: Path, description: Mapping[str, Any]) -> "Network":
        trusts: dict[str, fabric.Trust] = {}
        hospital, lab, regulator = (Org(entry, trusts) for entry in description["organisations"])
        orderer = description["orderer"]
        trusts.update({channel: pin(hospital, channel, description) for channel in (MAIN, BLOCKS)})
        name = f"orderer1.{orderer['domain']}"
        return cls(
            ledger,
            directory,
            description,
            hospital,
            lab,
            regulator,
            Orderer(orderer["addresses"][0], Path(orderer["tls_ca"]), name, hospital.client_tls),
        )

    @property
    def orgs(self) -> tuple[Org, Org, Org]:
        return self.hospital, self.lab, self.regulator

    @property
    def ca(self) -> Path:
        """The folder of the hospital's certificate authority."""
        return self.hospital.folder / "ca"

    def close(self) -> None:
        for program in self.programs.values():
            program.stop()
        for org in self.orgs:
            org.close()
        self.orderer.close()

    def launch(self, label: str, command: Sequence[str] = (sys.executable, str(PROBE))) -> None:
        """Start one process of a chaincode per organisation and install its package there."""
        programs = {org: self._program(label, tuple(command), org) for org in self.orgs}
        self.programs.update({(label, org.name): program for org, program in programs.items()})
        in_parallel([program.start for program in programs.values()])
        in_parallel([lambda org=org: self.install(org, programs[org].package) for org in self.orgs])

    def _program(self, label: str, command: tuple[str, ...], org: Org) -> Program:
        log = self.directory / f"chaincode-{label}-{org.name}.log"
        host = self.description.get("chaincode_host", LOOPBACK)
        return Program.on_free_port(org.mspid, label, command, log, host, org.chaincode_tls)

    def install(self, org: Org, content: bytes) -> str:
        """Install a package on an organisation's peer and answer its package id (L-6)."""
        args = lifecycle_pb2.InstallChaincodeArgs(chaincode_install_package=content).SerializeToString()
        response = org.peer.process_proposal(
            org.propose(LIFECYCLE, "InstallChaincode", args, channel="", member=org.admin)
        )
        assert response.response.status == 200, response.response.message
        package_id: str = lifecycle_pb2.InstallChaincodeResult.FromString(response.response.payload).package_id
        return package_id

    def deploy(
        self, label: str, definitions: Iterable[Definition], channel: str = MAIN, approvers: Sequence[Org] = ()
    ) -> None:
        """Approve by each approver (all when none is named) and commit, many definitions at once."""
        wanted = list(definitions)
        approvals = [(org, definition) for definition in wanted for org in approvers or self.orgs]
        approved = in_parallel(lambda org=org, d=d: self.approve(org, d, label, channel) for org, d in approvals)
        # A peer that lags behind the approvals refuses to endorse the commitment.
        in_parallel(lambda outcome=outcome: self.settle(outcome, channel) for outcome in approved)
        committer = (approvers or self.orgs)[0]
        in_parallel(lambda d=d: self.commit(committer, d, channel) for d in wanted)

    def approve(self, org: Org, definition: Definition, label: str | None, channel: str = MAIN) -> Outcome:
        """An organisation's approval; without a label it only validates and never endorses (L-5)."""
        package_id = self.programs[label, org.name].package_id if label else ""
        args = definition.approval(package_id)
        return self.invoke_lifecycle(org, channel, "ApproveChaincodeDefinitionForMyOrg", args, (org.mspid,))

    def commit(self, org: Org, definition: Definition, channel: str = MAIN) -> None:
        self.invoke_lifecycle(org, channel, "CommitChaincodeDefinition", definition.commitment(), ())
        # Every peer learns of the definition when it commits the block, not when this one does.
        query = lifecycle_pb2.QueryChaincodeDefinitionArgs(name=definition.name).SerializeToString()
        for other in self.orgs:
            wait_until(lambda other=other: self._sequence(other, channel, query) == definition.sequence)

    def _sequence(self, org: Org, channel: str, query: bytes) -> int:
        proposal = org.propose(LIFECYCLE, "QueryChaincodeDefinition", query, channel=channel)
        response = org.peer.process_proposal(proposal).response
        if response.status != 200:
            return 0
        sequence: int = lifecycle_pb2.QueryChaincodeDefinitionResult.FromString(response.payload).sequence
        return sequence

    def invoke_lifecycle(
        self, org: Org, channel: str, function: str, args: bytes, organisations: Sequence[str]
    ) -> Outcome:
        proposal = org.propose(LIFECYCLE, function, args, channel=channel, member=org.admin)
        payload = org.peer.endorse_raw(proposal, organisations=organisations)
        done = self.finish(org, proposal, payload)
        assert done.code == VALID, f"{function}: {done}"
        return done

    def order(self, org: Org, proposal: messages.Proposal, payload: bytes) -> None:
        """Sign and submit an envelope payload, without waiting."""
        org.peer.submit_raw(proposal, messages.envelope(payload, proposal.member))

    def order_in_turn(self, proposals: Sequence[messages.Proposal], payloads: Sequence[bytes]) -> None:
        """Sign envelope payloads and have them ordered in this order, without waiting for blocks.

        Over one stream to one ordering node: a peer submits to any of them, and envelopes that two of them pass on to
        their leader may overtake one another, though the first was acknowledged before the second was sent.
        """
        signed = [messages.envelope(payload, p.member) for p, payload in zip(proposals, payloads, strict=True)]
        assert [answer.status for answer in self.orderer.broadcast(*signed)] == [common_pb2.SUCCESS] * len(signed)

    def finish(self, org: Org, proposal: messages.Proposal, payload: bytes) -> Outcome:
        """Sign and submit an envelope payload, and wait for its outcome."""
        self.order(org, proposal, payload)
        return self.outcome(org, proposal)

    def outcome(self, org: Org, proposal: messages.Proposal) -> Outcome:
        request = messages.status_request(proposal.channel, proposal.transaction_id, proposal.member)
        status = org.peer.status_raw(request)
        return Outcome(
            proposal.transaction_id, transaction_pb2.TxValidationCode.Name(status.result), status.block_number
        )

    def settle(self, outcome: Outcome, channel: str = MAIN) -> Outcome:
        """Wait until every organisation's peer has committed a transaction; one may lag behind by seconds."""
        for org in self.orgs:
            org.peer.status_raw(messages.status_request(channel, outcome.transaction_id, org.user))
        return outcome

    def endorse_by(self, proposal: messages.Proposal, *orgs: Org) -> bytes:
        """The envelope payload with exactly these organisations' endorsements, collected from their peers."""
        responses: list[proposal_response_pb2.ProposalResponse] = [org.peer.respond(proposal) for org in orgs]
        return messages.assemble(proposal, responses)


def pin(org: Org, channel: str, description: Mapping[str, Any]) -> fabric.Trust:
    """What our client pins: all MSP folders, and the hash of the channel's first block.

    `network.json` knows that hash for the first channel; for the other one the suite believes the peer.
    """
    with org.peer.seeking() as stream:
        stream.ask(messages.seek(channel, org.user, 0, 0))
        (genesis,) = stream.blocks(1)
    found = header_hash(genesis.header.number, genesis.header.previous_hash, genesis.header.data_hash)
    if channel == description["channel"]:
        assert found.hex() == description["genesis_hash"]
    entries = [*description["organisations"], description["orderer"]]
    return fabric.Trust.from_msp_folders({entry["mspid"]: Path(entry["msp"]) for entry in entries}, found)


def in_parallel(calls: Iterable[Callable[[], Any]]) -> list[Any]:
    """The results of `calls`, made at the same time, in their order."""
    with ThreadPoolExecutor(max_workers=24) as pool:
        return [made.result() for made in [pool.submit(call) for call in calls]]


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not come"
        time.sleep(0.05)


__all__ = ["BLOCKS", "MAIN", "VALID", "Network", "Org", "Outcome", "Program", "in_parallel", "refusal", "wait_until"]
