# SPDX-License-Identifier: Apache-2.0
"""Ordering and commit on a running channel: what is accepted, when a block is cut, and who is woken."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from fabric_protos.common import common_pb2

from network.embedded.channel import Channel, ChannelClosed
from network.embedded.channelconfig import Batching
from network.embedded.orderer import Orderer
from network.embedded.store import StoreError

Use = Callable[[Channel], Awaitable[None]]


def unsigned(channel_id: str, proposed: Any) -> Any:
    raise AssertionError(f"no configuration was to be made of {proposed} on {channel_id}")


def batching(timeout_s: float = 0.05, max_count: int = 10, absolute_max: int = 1 << 20) -> Batching:
    return Batching(timeout_s, max_count, absolute_max, 1 << 19)


@pytest.fixture
def run_channel(ledger: Any) -> Any:
    """Runs a channel on the ledger's store for the length of an asynchronous function."""

    def run(use: Use, batch: Batching | None = None, **options: Any) -> list[BaseException]:
        failures: list[BaseException] = []

        async def main() -> None:
            ledger.config.batch, before = batch or batching(), ledger.config.batch
            try:
                channel = Channel(
                    ledger.store,
                    ledger.config,
                    ledger.world.orderer,
                    ledger.transient,
                    nonce=lambda: b"nonce",
                    on_failure=failures.append,
                    **options,
                )
                channel.start()
                try:
                    async with asyncio.timeout(20):
                        await use(channel)
                finally:
                    if not failures:
                        await channel.stop()
            finally:
                ledger.config.batch = before

        asyncio.run(main())
        return failures

    return run


@pytest.fixture
def envelope(ledger: Any, kit: Any) -> Any:
    def make(key: str = "k", **options: Any) -> tuple[str, Any]:
        draft = kit.Draft(**options)
        draft.rwset.add_write("cc", key, b"v")
        txid, raw = ledger.transaction(draft)
        return txid, common_pb2.Envelope.FromString(raw)

    return make


def test_a_status_answers_when_the_block_is_durable(run_channel: Any, envelope: Any) -> None:
    async def use(channel: Channel) -> None:
        good, bad = envelope(), envelope(endorsers=())
        waiting = [asyncio.create_task(channel.commit_status(txid)) for txid, _ in (good, bad)]
        await asyncio.sleep(0)
        for _, one in (good, bad):
            assert (await channel.orderer.broadcast(one)).status == common_pb2.Status.SUCCESS
        assert await asyncio.gather(*waiting) == [(0, 2), (10, 2)]
        with channel.store.snapshot() as view:
            assert view.get("cc", "k").version == (2, 0)
        assert await channel.commit_status(bad[0]) == (10, 2)

    assert run_channel(use) == []


def test_a_cancelled_wait_leaves_nothing_behind(run_channel: Any) -> None:
    async def use(channel: Channel) -> None:
        tasks = [asyncio.create_task(channel.commit_status("never")) for _ in range(100)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert channel._waiters == {}

    run_channel(use)


def test_all_waiters_go_when_the_channel_stops(run_channel: Any) -> None:
    ended: list[BaseException] = []

    async def use(channel: Channel) -> None:
        async def wait(work: Awaitable[Any]) -> None:
            try:
                await work
            except ChannelClosed as exc:
                ended.append(exc)

        async def listen() -> None:
            async for _ in channel.blocks(channel.store.height):
                pytest.fail("nothing was committed")

        tasks = [asyncio.create_task(wait(channel.commit_status("never"))), asyncio.create_task(wait(listen()))]
        await asyncio.sleep(0)
        channel.committed.close()
        asyncio.get_running_loop().call_later(0.05, lambda: None)
        await channel.stop()
        await asyncio.gather(*tasks)
        channel.stop = lambda: asyncio.sleep(0)  # type: ignore[method-assign]

    run_channel(use)
    assert len(ended) == 2


def test_blocks_come_in_order_without_gaps(run_channel: Any, envelope: Any) -> None:
    async def use(channel: Channel) -> None:
        seen: list[int] = []

        async def listen() -> None:
            async for block in channel.blocks(0):
                seen.append(block.header.number)
                with channel.store.snapshot() as view:
                    assert view.height > block.header.number
                if len(seen) == 6:
                    return

        listener = asyncio.create_task(listen())
        for n in range(8):
            await channel.orderer.broadcast(envelope(f"k{n}")[1])
        await listener
        assert seen == list(range(6))

    run_channel(use, batching(max_count=2, timeout_s=30))


def test_the_count_cuts_and_the_rest_waits_for_the_timeout(run_channel: Any, envelope: Any) -> None:
    async def use(channel: Channel) -> None:
        ids = []
        for n in range(25):
            txid, one = envelope(f"k{n}")
            ids.append(txid)
            await channel.orderer.broadcast(one)
        blocks = [(await channel.commit_status(txid))[1] for txid in ids]
        assert blocks == [2] * 10 + [3] * 10 + [4] * 5

    run_channel(use)


def test_the_timeout_runs_from_the_first_message(run_channel: Any, envelope: Any) -> None:
    async def use(channel: Channel) -> None:
        first, one = envelope()
        await channel.orderer.broadcast(one)
        timer = channel.orderer._timer
        assert timer is not None
        second, two = envelope("other")
        await channel.orderer.broadcast(two)
        assert channel.orderer._timer is timer
        assert (await channel.commit_status(first))[1] == (await channel.commit_status(second))[1] == 2
        assert asyncio.get_running_loop().time() >= timer.when()
        assert channel.orderer._timer is None

    run_channel(use, batching(timeout_s=0.3))


def test_an_idle_queue_is_cut_early(run_channel: Any, envelope: Any) -> None:
    async def use(channel: Channel) -> None:
        begin = asyncio.get_running_loop().time()
        txid, one = envelope()
        await channel.orderer.broadcast(one)
        await channel.commit_status(txid)
        assert asyncio.get_running_loop().time() - begin < 2

    run_channel(use, batching(timeout_s=10), idle_cut_s=0.02)


@pytest.mark.parametrize("idle_cut_s", [0.0, 0.01], ids=["timeout", "idle"])
def test_no_block_is_cut_behind_one_that_is_being_committed(ledger: Any, envelope: Any, idle_cut_s: float) -> None:
    async def use() -> None:
        batches: list[Any] = []
        batch = batching(timeout_s=0.05, max_count=4)
        config = SimpleNamespace(
            channel_id="pedigree", batch=batch, msps=ledger.config.msps, policy=ledger.config.policy
        )
        orderer = Orderer(config, batches.append, unsigned, idle_cut_s=idle_cut_s)

        async def accept(count: int) -> None:
            for n in range(count):
                orderer.accept(envelope(f"k{n}")[1])
            await asyncio.sleep(0.15)

        await accept(1)
        await accept(1)
        await accept(1)
        assert [len(batch) for batch in batches] == [1]  # the rest waits, though its time has come
        orderer.committed(batches[0])
        assert [len(batch) for batch in batches] == [1, 2]
        await accept(5)
        assert [len(batch) for batch in batches] == [1, 2, 4]  # a full block is cut at once
        orderer.committed(batches[1])
        assert len(batches) == 3
        orderer.committed(batches[2])
        assert [len(batch) for batch in batches] == [1, 2, 4, 1]
        orderer.committed(batches[3])
        await accept(1)
        assert len(batches) == 5  # nothing is under way: the time runs as ever

    asyncio.run(use())


def test_what_was_accepted_is_committed_before_the_channel_stops(run_channel: Any, envelope: Any, ledger: Any) -> None:
    async def use(channel: Channel) -> None:
        for n in range(15):
            await channel.orderer.broadcast(envelope(f"k{n}")[1])

    run_channel(use, batching(timeout_s=60))
    assert ledger.store.height == 4


def test_a_failed_write_is_reported_and_acknowledges_nothing(
    run_channel: Any, envelope: Any, ledger: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(commit: Any) -> None:
        raise StoreError(f"block {commit.number} could not be written: disk full")

    monkeypatch.setattr(ledger.store, "write", fail)

    async def use(channel: Channel) -> None:
        txid, one = envelope()
        await channel.orderer.broadcast(one)
        status = asyncio.create_task(channel.commit_status(txid))
        await asyncio.sleep(0.3)
        assert not status.done()
        assert channel.store.height == 2
        status.cancel()

    failures = run_channel(use)
    assert [str(failure) for failure in failures] == ["block 2 could not be written: disk full"]


# -- filters ---------------------------------------------------------------------------------------------------------


def refusal(ledger: Any, one: Any, **options: Any) -> tuple[str, str]:
    async def ask() -> Any:
        config = SimpleNamespace(
            channel_id="pedigree",
            batch=options.pop("batch", batching()),
            msps=ledger.config.msps,
            policy=ledger.config.policy,
        )
        return await Orderer(config, lambda batch: None, unsigned, **options).broadcast(one)

    response = asyncio.run(ask())
    return common_pb2.Status.Name(response.status), response.info


def test_what_names_no_channel_is_refused(ledger: Any, envelope: Any) -> None:
    garbage = common_pb2.Envelope(payload=b"\xff")
    assert refusal(ledger, garbage)[0] == "BAD_REQUEST"
    assert refusal(ledger, garbage)[1].startswith("could not determine channel ID: ")
    assert refusal(ledger, common_pb2.Envelope())[1] == "could not determine channel ID: header not set"
    header = common_pb2.ChannelHeader(channel_id="nochan", type=3).SerializeToString()
    other = common_pb2.Payload(header=common_pb2.Header(channel_header=header)).SerializeToString()
    assert refusal(ledger, common_pb2.Envelope(payload=other)) == ("BAD_REQUEST", "channel does not exist")


@pytest.mark.parametrize(
    ("header_type", "info"),
    [
        (1, "message is of type that cannot be processed directly"),
        (4, "message is of type that is no longer supported"),
    ],
)
def test_configurations_are_refused(ledger: Any, envelope: Any, header_type: int, info: str) -> None:
    assert refusal(ledger, envelope(header_type=header_type)[1]) == ("BAD_REQUEST", info)


def test_a_large_message_is_refused(ledger: Any, envelope: Any) -> None:
    _, one = envelope()
    size = len(one.payload) + len(one.signature)
    assert refusal(ledger, one, batch=batching(absolute_max=size)) == ("SUCCESS", "")
    info = f"message payload is {size} bytes and exceeds maximum allowed {size - 1} bytes"
    assert refusal(ledger, one, batch=batching(absolute_max=size - 1)) == ("BAD_REQUEST", info)


def test_who_may_not_write_is_forbidden(ledger: Any, envelope: Any) -> None:
    _, one = envelope()
    one.signature = one.signature[:-1] + bytes([one.signature[-1] ^ 1])
    status, info = refusal(ledger, one)
    assert status == "FORBIDDEN"
    assert info.startswith("implicit policy evaluation failed - 0 sub-policies were satisfied")
    assert info.endswith("'Writers' sub-policies to be satisfied: permission denied")


def test_an_expired_client_is_refused(ledger: Any, envelope: Any) -> None:
    late = refusal(ledger, envelope()[1], clock=lambda: datetime(2200, 1, 1, tzinfo=UTC))
    assert late == ("BAD_REQUEST", "broadcast client identity expired")


def test_rubbish_from_a_writer_is_ordered(ledger: Any, envelope: Any) -> None:
    assert refusal(ledger, envelope(payload_data=b"\xff", header_type=77)[1]) == ("SUCCESS", "")
