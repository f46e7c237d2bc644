# SPDX-License-Identifier: Apache-2.0
"""Block events over gRPC on a running node (rules D-1 to D-14), and what the listeners promise."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from fabric_protos.common import common_pb2
from fabric_protos.orderer import ab_pb2, ab_pb2_grpc
from fabric_protos.peer import events_pb2_grpc

from network.embedded.identity import Signer
from network.embedded.lock import DirectoryInUseError
from network.embedded.node import Node, NodeError
from network.topology import default_topology

SUCCESS, BAD_REQUEST, FORBIDDEN, NOT_FOUND, UNAVAILABLE = 200, 400, 403, 404, 503
MEMBERS = "OR('HospitalMSP.member','LabMSP.member')"


class Client:
    """One user's view of one running node."""

    def __init__(self, node: Node, signer: Signer) -> None:
        self.node = node
        self.signer = signer
        self.channels: list[Any] = []

    def connect(self, address: str, root: Path, name: str) -> Any:
        credentials = grpc.ssl_channel_credentials(root.read_bytes())
        options = [("grpc.ssl_target_name_override", name)]
        channel = grpc.aio.secure_channel(address, credentials, options=options)
        self.channels.append(channel)
        return channel

    def peer(self, msp_id: str = "HospitalMSP") -> Any:
        organisation = self.node.topology.organisation(msp_id)
        root = self.node.material.tls_ca(organisation.domain)
        channel = self.connect(str(organisation.peer), root, organisation.peer_name)
        return events_pb2_grpc.DeliverStub(channel)

    def orderer(self) -> Any:
        orderer = self.node.topology.orderer
        root = self.node.material.orderer_tls_ca(orderer.domain)
        channel = self.connect(str(orderer.addresses[0]), root, orderer.node_names[0])
        return ab_pb2_grpc.AtomicBroadcastStub(channel)

    def seek(
        self,
        start: Any = None,
        stop: Any = None,
        *,
        channel: str = "pedigree",
        age: timedelta = timedelta(),
        signer: Signer | None = None,
        data: bytes | None = None,
        **options: Any,
    ) -> Any:
        header = common_pb2.ChannelHeader(type=5, channel_id=channel)
        header.timestamp.FromDatetime(datetime.now(UTC) - age)
        who = signer or self.signer
        info = ab_pb2.SeekInfo(start=position(start), stop=position(stop), **options)
        payload = common_pb2.Payload(
            header=common_pb2.Header(
                channel_header=header.SerializeToString(),
                signature_header=common_pb2.SignatureHeader(creator=who.serialized).SerializeToString(),
            ),
            data=info.SerializeToString() if data is None else data,
        ).SerializeToString()
        return common_pb2.Envelope(payload=payload, signature=who.sign(payload))

    async def ask(self, *seeks: Any, call: str = "Deliver", msp_id: str = "HospitalMSP") -> list[Any]:
        """Every response to these seeks, until the status of the last one."""
        stream = getattr(self.peer(msp_id), call)()
        responses = []
        for one in seeks:
            await stream.write(one)
            while True:
                response = await stream.read()
                if response is grpc.aio.EOF:
                    return responses
                responses.append(response)
                if response.WhichOneof("Type") == "status":
                    break
        await stream.done_writing()
        assert await stream.read() is grpc.aio.EOF
        assert await stream.code() == grpc.StatusCode.OK
        return responses


def position(where: Any) -> Any:
    if where is None:
        return None
    if isinstance(where, int):
        return ab_pb2.SeekPosition(specified=ab_pb2.SeekSpecified(number=where))
    kinds = {"oldest": ab_pb2.SeekOldest, "newest": ab_pb2.SeekNewest, "next_commit": ab_pb2.SeekNextCommit}
    return ab_pb2.SeekPosition(**{where: kinds[where]()})


def shown(responses: list[Any]) -> list[Any]:
    """Block numbers, and statuses as ("status", n)."""
    kinds = {"block": lambda r: r.block.header.number, "filtered_block": lambda r: r.filtered_block.number}
    kinds |= {"block_and_private_data": lambda r: r.block_and_private_data.block.header.number}
    return [
        ("status", r.status) if r.WhichOneof("Type") == "status" else kinds[r.WhichOneof("Type")](r) for r in responses
    ]


@pytest.fixture
def run_node(tmp_path: Path, ledger_on: Any) -> Any:
    """Runs a node whose ledger has five blocks for the length of an asynchronous function."""

    def run_it(use: Callable[[Client], Awaitable[None]], **options: Any) -> None:
        async def main() -> None:
            node = await Node.start(default_topology(any_port=True), tmp_path / "data", **options)
            hospital = node.topology.organisation("HospitalMSP")
            client = Client(node, Signer.from_folder(node.material.user(hospital.domain) / "msp", "HospitalMSP"))
            try:
                ledger_on(node)
                async with asyncio.timeout(30):
                    await use(client)
            finally:
                await asyncio.gather(*(channel.close() for channel in client.channels))
                await node.stop()

        asyncio.run(main())

    return run_it


@pytest.fixture
def ledger_on(kit: Any) -> Any:
    """Commits blocks 1 to 4 on a node: definitions, events valid and not, private data."""

    def fill(node: Node) -> None:
        material = node.material
        organisations = node.topology.organisations
        channel = node.channels["pedigree"]
        if channel.store.height > 1:
            return
        world = SimpleNamespace(
            peers={o.msp_id: Signer.from_folder(material.peer(o.domain) / "msp", o.msp_id) for o in organisations},
            users={o.msp_id: Signer.from_folder(material.user(o.domain) / "msp", o.msp_id) for o in organisations},
            orderer=Signer.from_folder(material.orderer("orderer.example") / "msp", "OrdererMSP"),
            config=channel.config,
        )
        ledger = kit.Ledger(world, channel.store)
        collections = [kit.collection("c", MEMBERS), kit.collection("closed", MEMBERS, member_only_read=True)]
        ledger.define(kit.definition(collections=collections))
        secret = kit.Draft()
        secret.rwset.add_private_write("cc", "c", "k", b"secret")
        secret.rwset.add_private_write("cc", "closed", "k", b"members only")
        conflict = kit.Draft(event="Stale")
        conflict.rwset.add_read("cc", "k", (9, 9))
        assert ledger.commit(kit.Draft(event="Happened"), conflict) == [0, 11]
        assert ledger.commit(secret) == [0]
        txid, raw = ledger.transaction(kit.Draft())
        del txid
        assert ledger.commit_raw(raw, b"\xff") == [0, 255]
        channel.committed.publish(channel.store.height)
        node.make = ledger.transaction  # type: ignore[attr-defined]

    return fill


def test_ranges_and_their_statuses(run_node: Any) -> None:
    async def use(client: Client) -> None:
        done = ("status", SUCCESS)
        assert shown(await client.ask(client.seek("newest", "newest"))) == [4, done]
        assert shown(await client.ask(client.seek("oldest", "oldest"))) == [0, done]
        assert shown(await client.ask(client.seek("oldest", "newest"))) == [0, 1, 2, 3, 4, done]
        assert shown(await client.ask(client.seek(1, 3), client.seek(2, 2))) == [1, 2, 3, done, 2, done]
        for call in ("DeliverFiltered", "DeliverWithPrivateData"):
            assert shown(await client.ask(client.seek(3, 4), call=call)) == [3, 4, done]

    run_node(use)


def test_what_is_wrong_is_said_in_the_stream(run_node: Any, world: Any) -> None:
    async def use(client: Client) -> None:
        async def status(*args: Any, **options: Any) -> int:
            responses = await client.ask(client.seek(*args, **options))
            assert len(responses) == 1
            return int(responses[0].status)

        assert await status(6, 9) == NOT_FOUND
        assert await status(2**64 - 1, 2**64 - 1) == NOT_FOUND
        assert await status(5, 9, behavior=ab_pb2.SeekInfo.FAIL_IF_NOT_READY) == NOT_FOUND
        assert await status(3, 2) == BAD_REQUEST
        assert await status(None, 2) == BAD_REQUEST
        assert await status(2, None) == BAD_REQUEST
        assert await status(2, 2, age=timedelta(minutes=20)) == BAD_REQUEST
        assert await status(2, 2, age=timedelta(minutes=-20)) == BAD_REQUEST
        assert await status(2, 2, data=b"\xff") == BAD_REQUEST
        assert await status(2, 2, channel="nochan") == NOT_FOUND
        assert await status(2, 2, signer=world.users["LabMSP"]) == FORBIDDEN  # another network's key
        forged = client.seek(2, 2)
        forged.signature = client.signer.sign(b"something else")
        assert (await client.ask(forged))[0].status == FORBIDDEN
        assert (await client.ask(common_pb2.Envelope(payload=b"\xff")))[0].status == BAD_REQUEST
        assert (await client.ask(common_pb2.Envelope()))[0].status == BAD_REQUEST

    run_node(use)


@pytest.mark.parametrize("start", [5, "next_commit"])
def test_a_stream_waits_at_the_height(run_node: Any, kit: Any, start: Any) -> None:
    async def use(client: Client) -> None:
        waiting = asyncio.create_task(client.ask(client.seek(start, 5)))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        _, raw = client.node.make(kit.Draft())
        await client.node.channels["pedigree"].orderer.broadcast(common_pb2.Envelope.FromString(raw))
        assert shown(await waiting) == [5, ("status", SUCCESS)]

    run_node(use)


def test_filtered_blocks_show_events_of_invalid_transactions_without_payload(run_node: Any) -> None:
    async def use(client: Client) -> None:
        blocks = [r.filtered_block for r in await client.ask(client.seek(0, 4), call="DeliverFiltered")][:-1]
        assert [t.type for t in blocks[0].filtered_transactions] == [1]
        seen = [
            (t.tx_validation_code, a.chaincode_event.event_name, a.chaincode_event.payload, a.chaincode_event.tx_id)
            for t in blocks[2].filtered_transactions
            for a in t.transaction_actions.chaincode_actions
        ]
        ids = [t.txid for t in blocks[2].filtered_transactions]
        assert seen == [(0, "Happened", b"", ids[0]), (11, "Stale", b"", ids[1])]
        assert [len(b.filtered_transactions) for b in blocks] == [1, 1, 2, 1, 1]  # the undecodable one is left out
        assert {b.channel_id for b in blocks} == {"pedigree"}

    run_node(use)


def test_private_data_are_shown_by_peers_that_have_them(run_node: Any) -> None:
    async def use(client: Client) -> None:
        regulator = client.node.topology.organisation("RegulatorMSP")
        stranger = Signer.from_folder(client.node.material.user(regulator.domain) / "msp", "RegulatorMSP")

        async def collections(msp_id: str, signer: Signer) -> list[str]:
            seek = client.seek(3, 3, signer=signer)
            found = (await client.ask(seek, call="DeliverWithPrivateData", msp_id=msp_id))[0].block_and_private_data
            return [c.collection_name for n in found.private_data_map[0].ns_pvt_rwset for c in n.collection_pvt_rwset]

        assert await collections("HospitalMSP", client.signer) == ["c", "closed"]
        assert await collections("HospitalMSP", stranger) == ["c"]
        assert await collections("RegulatorMSP", stranger) == []

    run_node(use)


def test_the_orderer_delivers_blocks_as_ordered(run_node: Any) -> None:
    async def use(client: Client) -> None:
        stream = client.orderer().Deliver()
        await stream.write(client.seek(2, 2))
        block = (await stream.read()).block
        # LAST_CONFIG is there too: index 0 encodes to nothing.
        assert [bool(slot) for slot in block.metadata.metadata] == [True, False, False, False, False]
        assert (await stream.read()).status == SUCCESS
        await stream.write(client.seek(2, 2, content_type=ab_pb2.SeekInfo.HEADER_WITH_SIG))
        assert not (await stream.read()).block.HasField("data")
        await stream.read()
        stream.cancel()

    run_node(use)


def test_broadcast_answers_in_order_and_ends_with_the_first_refusal(run_node: Any, kit: Any) -> None:
    async def use(client: Client) -> None:
        stream = client.orderer().Broadcast()
        for n in range(2):
            draft = kit.Draft()
            draft.rwset.add_write("cc", f"k{n}", b"v")
            _, raw = client.node.make(draft)
            await stream.write(common_pb2.Envelope.FromString(raw))
            assert (await stream.read()).status == SUCCESS
        await stream.write(common_pb2.Envelope(payload=b"\xff"))
        assert (await stream.read()).status == BAD_REQUEST
        assert await stream.read() is grpc.aio.EOF
        assert await stream.code() == grpc.StatusCode.OK

    run_node(use)


def test_a_thousand_cancelled_listeners_leave_no_task(run_node: Any) -> None:
    async def use(client: Client) -> None:
        before = len(asyncio.all_tasks())
        peer = client.peer()
        for _ in range(20):
            streams = [peer.Deliver() for _ in range(10)]
            for stream in streams:
                await stream.write(client.seek("newest", 2**53 - 1))
                await stream.read()
            for stream in streams:
                stream.cancel()
        await asyncio.sleep(0.3)
        assert len(asyncio.all_tasks()) <= before + 5

    run_node(use)


def test_stopping_ends_streams_and_the_next_start_finds_everything(run_node: Any) -> None:
    async def first(client: Client) -> None:
        stream = client.peer().Deliver()
        await stream.write(client.seek("newest", 2**53 - 1))
        await stream.read()
        stopping = asyncio.create_task(client.node.stop())
        assert (await stream.read()).status == UNAVAILABLE
        await stopping

    hashes: list[str] = []

    async def second(client: Client) -> None:
        assert client.node.channels["pedigree"].store.height == 5
        hashes.append(client.node.genesis_hash("pedigree"))
        assert client.node.genesis_path("pedigree").exists()
        assert len(await client.ask(client.seek(0, 4))) == 6

    begin = time.monotonic()
    run_node(first)
    run_node(second)
    run_node(second)
    assert hashes[0] == hashes[1]
    assert time.monotonic() - begin < 20


def test_a_second_node_on_the_directory_is_refused(run_node: Any) -> None:
    async def use(client: Client) -> None:
        with pytest.raises(DirectoryInUseError):
            await Node.start(default_topology(any_port=True), client.node.directory)

    run_node(use)


def test_a_taken_port_is_an_error_and_not_shared(run_node: Any, tmp_path: Path) -> None:
    async def use(client: Client) -> None:
        with pytest.raises(OSError, match=r"cannot listen on 127\.0\.0\.1:"):
            await Node.start(client.node.topology, tmp_path / "other")

    run_node(use)


def test_other_organisations_than_the_ledgers_are_refused(run_node: Any, tmp_path: Path) -> None:
    async def nothing(client: Client) -> None:
        del client

    run_node(nothing)
    topology = default_topology(any_port=True)
    fewer = replace(topology.channels[0], organisations=("hospital", "lab"))

    async def start() -> None:
        left = replace(topology, organisations=topology.organisations[:2], channels=(fewer,))
        await Node.start(left, tmp_path / "data")

    with pytest.raises(NodeError, match="belongs to HospitalMSP, LabMSP, RegulatorMSP"):
        asyncio.run(start())
