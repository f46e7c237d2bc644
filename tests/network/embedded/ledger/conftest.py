# SPDX-License-Identifier: Apache-2.0
"""A ledger without services round it: real identities, real signatures, blocks committed one by one."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fabric_protos.common import common_pb2
from fabric_protos.peer import (
    chaincode_event_pb2,
    chaincode_pb2,
    collection_pb2,
    policy_pb2,
    proposal_pb2,
    proposal_response_pb2,
    transaction_pb2,
)

from network.config import envelopes
from network.config.update import compute_update
from network.embedded import definitions
from network.embedded.blockcommit import commit_genesis, prepare, run
from network.embedded.blocks import last_config, make_block, sign_block
from network.embedded.channel import Channel
from network.embedded.channelconfig import ChannelConfig
from network.embedded.definitions import Definition
from network.embedded.genesis import genesis_block
from network.embedded.identity import Signer
from network.embedded.policy import parse
from network.embedded.rwset import RwsetBuilder
from network.embedded.store import Store
from network.embedded.transient import TransientStore
from network.material import Material, ensure_material
from network.topology import Topology, default_topology

ORGS = ("HospitalMSP", "LabMSP", "RegulatorMSP")
VALID = 0


@dataclass(frozen=True, repr=False)
class World:
    """Key material and a genesis block, made once for all tests."""

    directory: Path
    topology: Topology
    material: Material
    genesis: bytes
    config: ChannelConfig
    peers: dict[str, Signer]
    users: dict[str, Signer]
    orderer: Signer


def load_world(directory: Path) -> World:
    """The world in this directory, made when it is empty."""
    topology = default_topology(any_port=True)
    material = ensure_material(topology, directory)
    kept = directory / "genesis.block"
    if not kept.exists():
        kept.write_bytes(genesis_block(topology, material).SerializeToString())
    genesis = common_pb2.Block.FromString(kept.read_bytes())
    orgs = topology.organisations
    return World(
        directory=directory,
        topology=topology,
        material=material,
        genesis=kept.read_bytes(),
        config=ChannelConfig.from_block(genesis),
        peers={o.msp_id: Signer.from_folder(material.peer(o.domain) / "msp", o.msp_id) for o in orgs},
        users={o.msp_id: Signer.from_folder(material.user(o.domain) / "msp", o.msp_id) for o in orgs},
        orderer=Signer.from_folder(material.orderer(topology.orderer.domain) / "msp", topology.orderer.msp_id),
    )


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return load_world(tmp_path_factory.mktemp("world"))


@dataclass
class Draft:
    """A transaction to be; the hooks spoil one stage of it on purpose."""

    rwset: RwsetBuilder = field(default_factory=RwsetBuilder)
    chaincode: str = "cc"
    endorsers: Sequence[str] = ("HospitalMSP", "LabMSP")
    creator: str = "HospitalMSP"
    nonce: bytes = b""
    event: str | None = None
    version: str = "1.0"
    header_type: int = 3
    epoch: int = 0
    transaction_id: str | None = None
    results: bytes | None = None
    action_name: str | None = None
    event_chaincode: str | None = None
    extension: bytes | None = None
    proposal_hash: bytes | None = None
    payload_data: bytes | None = None
    actions: int = 1
    endorse_with_users: bool = False
    signature: bytes | None = None
    timestamp: int = 1_700_000_000


class Ledger:
    """One channel's store with the means to make and commit transactions."""

    def __init__(self, world: World, store: Store) -> None:
        self.world = world
        self.config = world.config
        self.store = store
        self.transient = TransientStore(store)
        self._nonces = 0

    def start_nonces(self, at: int) -> None:
        """Make other transaction ids than an earlier process on the same file."""
        self._nonces = at

    def transaction(self, draft: Draft) -> tuple[str, bytes]:
        """Transaction id and serialised envelope, endorsed and signed."""
        creator = self.world.users[draft.creator]
        self._nonces += 1
        nonce = draft.nonce or self._nonces.to_bytes(24, "big")
        txid = draft.transaction_id or sha256(nonce + creator.serialized).hexdigest()
        extension = proposal_pb2.ChaincodeHeaderExtension(chaincode_id=chaincode_pb2.ChaincodeID(name=draft.chaincode))
        channel_header = common_pb2.ChannelHeader(
            type=draft.header_type,
            channel_id="pedigree",
            tx_id=txid,
            epoch=draft.epoch,
            extension=extension.SerializeToString() if draft.extension is None else draft.extension,
        )
        channel_header.timestamp.seconds = draft.timestamp
        header = common_pb2.Header(
            channel_header=channel_header.SerializeToString(),
            signature_header=common_pb2.SignatureHeader(creator=creator.serialized, nonce=nonce).SerializeToString(),
        )
        data = self._data(draft, header, txid) if draft.payload_data is None else draft.payload_data
        payload = common_pb2.Payload(header=header, data=data).SerializeToString()
        signature = creator.sign(payload) if draft.signature is None else draft.signature
        return txid, common_pb2.Envelope(payload=payload, signature=signature).SerializeToString()

    def _data(self, draft: Draft, header: Any, txid: str) -> bytes:
        proposal = proposal_pb2.ChaincodeProposalPayload(input=b"input").SerializeToString()
        digest = sha256(header.channel_header + header.signature_header + proposal).digest()
        event = b""
        if draft.event is not None:
            event = chaincode_event_pb2.ChaincodeEvent(
                chaincode_id=draft.event_chaincode or draft.chaincode,
                tx_id=txid,
                event_name=draft.event,
                payload=b"secret payload",
            ).SerializeToString()
        action = proposal_pb2.ChaincodeAction(
            results=draft.rwset.public() if draft.results is None else draft.results,
            events=event,
            response=proposal_response_pb2.Response(status=200),
            chaincode_id=chaincode_pb2.ChaincodeID(name=draft.action_name or draft.chaincode, version=draft.version),
        )
        prp = proposal_response_pb2.ProposalResponsePayload(
            proposal_hash=draft.proposal_hash or digest, extension=action.SerializeToString()
        ).SerializeToString()
        signers = self.world.users if draft.endorse_with_users else self.world.peers
        endorsements = [
            proposal_response_pb2.Endorsement(
                endorser=signers[org].serialized, signature=signers[org].sign(prp + signers[org].serialized)
            )
            for org in draft.endorsers
        ]
        body = transaction_pb2.ChaincodeActionPayload(
            chaincode_proposal_payload=proposal,
            action=transaction_pb2.ChaincodeEndorsedAction(proposal_response_payload=prp, endorsements=endorsements),
        )
        one = transaction_pb2.TransactionAction(header=header.signature_header, payload=body.SerializeToString())
        return bytes(transaction_pb2.Transaction(actions=[one] * draft.actions).SerializeToString())

    def block(self, entries: Iterable[bytes]) -> Any:
        block = make_block(self.store.height, self.store.tip_hash, list(entries))
        sign_block(block, self.world.orderer, b"nonce", 0)
        return block

    def commit_raw(self, *entries: bytes) -> list[int]:
        """Commit one block of these entries; its codes."""
        commit = run(prepare(self.store, self.config, self.transient, self.block(entries)))
        self.store.commit(commit)
        self.transient.drop([txid for txid, _, _ in commit.transactions])
        return [code for _, code, _ in commit.transactions]

    def commit(self, *drafts: Draft) -> list[int]:
        """Commit one block of these transactions; their codes. Private results are kept as an endorser would."""
        entries = []
        for draft in drafts:
            txid, raw = self.transaction(draft)
            private = draft.rwset.private()
            if private is not None:
                self.transient.put(txid, draft.endorsers[0] if draft.endorsers else "HospitalMSP", private)
            entries.append(raw)
        return self.commit_raw(*entries)

    def define(self, definition: Definition) -> None:
        """Commit a definition as the consortium would, writing only what changed."""
        rwset = RwsetBuilder()
        with self.store.snapshot() as snapshot:
            for key, value in definitions.committed_entries(definition).items():
                entry = snapshot.get(definitions.LIFECYCLE, key)
                if entry is None or entry.value != value:
                    rwset.add_write(definitions.LIFECYCLE, key, value)
        codes = self.commit(Draft(rwset, chaincode=definitions.LIFECYCLE, version="syscc"))
        assert codes == [VALID]

    def value(self, key: str, ns: str = "cc") -> bytes | None:
        with self.store.snapshot() as snapshot:
            entry = snapshot.get(ns, key)
        return None if entry is None else entry.value

    def version(self, key: str, ns: str = "cc") -> tuple[int, int] | None:
        with self.store.snapshot() as snapshot:
            entry = snapshot.get(ns, key)
        return None if entry is None else entry.version


def signature_policy(text: str) -> bytes:
    """A serialised `ApplicationPolicy` with an inline signature policy."""
    return bytes(policy_pb2.ApplicationPolicy(signature_policy=parse(text)).SerializeToString())


def collection(name: str, members: str, *, btl: int = 0, policy: str | None = None, **flags: bool) -> Any:
    """One `CollectionConfig`."""
    static = collection_pb2.StaticCollectionConfig(name=name, block_to_live=btl, maximum_peer_count=3, **flags)
    static.member_orgs_policy.signature_policy.CopyFrom(parse(members))
    if policy is not None:
        static.endorsement_policy.signature_policy.CopyFrom(parse(policy))
    return collection_pb2.CollectionConfig(static_collection_config=static)


def definition(
    name: str = "cc", *, sequence: int = 1, policy: str | None = None, collections: Sequence[Any] = ()
) -> Definition:
    """A definition with the channel's default policy unless one is given."""
    reference = policy_pb2.ApplicationPolicy(channel_config_policy_reference=definitions.DEFAULT_POLICY_REFERENCE)
    return Definition(
        name=name,
        sequence=sequence,
        version="1.0",
        validation_parameter=reference.SerializeToString() if policy is None else signature_policy(policy),
        collections=collection_pb2.CollectionConfigPackage(config=list(collections)),
    )


@pytest.fixture(scope="session")
def kit() -> SimpleNamespace:
    """What tests make things with; a fixture, because test folders are no packages."""
    return SimpleNamespace(
        Draft=Draft,
        Ledger=Ledger,
        Rwset=RwsetBuilder,
        definition=definition,
        collection=collection,
        signature_policy=signature_policy,
        orgs=ORGS,
    )


@pytest.fixture
def store_path(world: World, tmp_path: Path) -> Path:
    """A ledger file that holds the genesis block."""
    path = tmp_path / "ledger" / "pedigree.db"
    store = Store.open(path)
    commit_genesis(store, common_pb2.Block.FromString(world.genesis))
    store.close()
    return path


@pytest.fixture
def empty_ledger(world: World, store_path: Path) -> Iterator[Ledger]:
    store = Store.open(store_path)
    yield Ledger(world, store)
    store.close()


@pytest.fixture
def ledger(empty_ledger: Ledger) -> Ledger:
    """A ledger on which the chaincode `cc` is defined with the default policy (block 1)."""
    empty_ledger.define(definition())
    return empty_ledger


@pytest.fixture(scope="session")
def make_ledger(world: World) -> Any:
    """Opens the ledger file at a path."""
    return lambda path, **options: Ledger(world, Store.open(path, **options))


# -- a channel that runs -----------------------------------------------------------------------------------------------

Use = Callable[["Running"], Awaitable[None]]


class Running:
    """A channel that runs, and the administrators who change it."""

    def __init__(self, channel: Channel, ledger: Any, admins: dict[str, Signer]) -> None:
        self.channel = channel
        self.ledger = ledger
        self.admins = admins

    def update(self, wanted: Any, *approving: str, update: Any = None) -> common_pb2.Envelope:
        """A signed and sealed update from the configuration in force."""
        present = self.channel.config.envelope.config
        envelope = envelopes.unsigned(update or compute_update("pedigree", present, wanted(present)))
        for msp_id in approving:
            envelope = envelopes.approve(envelope, self.admins[msp_id])
        return envelopes.sealed(envelope, self.admins["HospitalMSP"])

    async def send(self, envelope: Any) -> tuple[str, str]:
        response = await self.channel.orderer.broadcast(envelope)
        return common_pb2.Status.Name(response.status), response.info

    async def change(self, wanted: Any, *approving: str) -> None:
        sequence = self.channel.config.sequence
        assert await self.send(self.update(wanted, *approving)) == ("SUCCESS", "")
        await self.settle()
        assert self.channel.config.sequence == sequence + 1

    async def settle(self) -> None:
        self.channel.orderer._cut()
        await self.channel._batches.join()

    async def submit(self, draft: Any) -> int:
        """Order one transaction; its code."""
        _, raw = self.ledger.transaction(draft)
        assert (await self.send(common_pb2.Envelope.FromString(raw)))[0] == "SUCCESS"
        await self.settle()
        store = self.channel.store
        return int(store.block(store.height - 1).metadata.metadata[2][-1])


@pytest.fixture
def admins(world: Any) -> dict[str, Signer]:
    found = {
        each.msp_id: Signer.from_folder(world.material.user(each.domain, "Admin") / "msp", each.msp_id)
        for each in world.topology.organisations
    }
    orderer = world.topology.orderer
    folder = world.material.orderer_user(orderer.domain) / "msp"
    return found | {orderer.msp_id: Signer.from_folder(folder, orderer.msp_id)}


@pytest.fixture
def running(ledger: Any, admins: dict[str, Signer]) -> Callable[[Use], None]:
    def run(use: Use, *, keep_open: bool = False) -> None:
        failures: list[BaseException] = []

        async def main() -> None:
            store = ledger.store
            config = ChannelConfig.from_block(store.block(last_config(store.block(store.height - 1))))
            channel = Channel(
                store, config, ledger.world.orderer, ledger.transient, nonce=lambda: b"n", on_failure=failures.append
            )
            channel.start()
            try:
                async with asyncio.timeout(20):
                    await use(Running(channel, ledger, admins))
            finally:
                if keep_open:
                    channel.store.close = lambda: None  # type: ignore[method-assign]
                await channel.stop()

        asyncio.run(main())
        assert failures == []

    return run
