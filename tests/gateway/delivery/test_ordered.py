# SPDX-License-Identifier: Apache-2.0
"""Evidence of a transaction gathered from blocks: what leads to what, and what has no room in a file."""

from __future__ import annotations

from typing import Any

import pytest
from fabric_protos.common import common_pb2
from sampleorder import SampleChannel

from gateway.delivery import ordered
from gateway.delivery.ordered import OrderedReader
from gateway.services.ports import EvidenceTooLarge, LedgerMisuse


@pytest.fixture(scope="module")
def channel(tmp_path_factory: pytest.TempPathFactory) -> SampleChannel:
    """A channel whose configuration changed twice."""
    found = SampleChannel(tmp_path_factory.mktemp("world"))
    for _ in range(2):
        found.reconfigure(lambda _: None)
    return found


def transaction_id(block: Any, index: int = 0) -> str:
    payload = common_pb2.Payload.FromString(common_pb2.Envelope.FromString(block.data.data[index]).payload)
    return str(common_pb2.ChannelHeader.FromString(payload.header.channel_header).tx_id)


def test_configurations_lead_back_to_the_first_block_and_are_read_once(channel: SampleChannel) -> None:
    number = channel.add(*(channel.envelope(channel.draft()) for _ in range(2)))
    asked: list[int] = []

    def fetch(at: int) -> Any:
        asked.append(at)
        return channel.blocks[at]

    reader = OrderedReader(fetch, "pedigree")
    for index in range(2):
        found = reader.of(transaction_id(channel.blocks[number], index), number)
        assert found is not None
        assert (found.index, found.validation) == (index, "VALID")
        assert [each.number for each in found.configurations] == [0, 2, 3]
        assert [(block.number, at) for block, at in found.definitions] == [(1, 0)]
    assert [asked.count(at) for at in (0, 2, 3)] == [1, 2, 1]  # block 2 is also the one before block 3
    assert reader.of("00" * 32, number) is None


def test_of_two_with_one_id_the_valid_one_is_shown(channel: SampleChannel) -> None:
    envelope = channel.envelope(channel.draft())
    number = channel.add(envelope, envelope)
    block = channel.blocks[number]
    block.metadata.metadata[2] = bytes((11, 0))
    reader = OrderedReader(lambda at: channel.blocks[at], "pedigree")
    found = reader.of(transaction_id(block), number)
    assert found is not None
    assert (found.index, found.validation) == (1, "VALID")
    block.metadata.metadata[2] = bytes((11, 4))
    assert (found := reader.of(transaction_id(block), number)) is not None
    assert (found.index, found.validation) == (0, "MVCC_READ_CONFLICT")


def test_what_is_larger_than_a_file_may_be_is_refused(channel: SampleChannel, monkeypatch: pytest.MonkeyPatch) -> None:
    number = channel.add(channel.envelope(channel.draft()))
    monkeypatch.setattr(ordered, "_LARGEST", 20_000)
    with pytest.raises(EvidenceTooLarge, match=f"block {number} and what shows it take more than 16777216 bytes"):
        OrderedReader(lambda at: channel.blocks[at], "pedigree").of(transaction_id(channel.blocks[number]), number)


def test_blocks_that_lead_nowhere_are_refused(channel: SampleChannel) -> None:
    def refused(number: int) -> str:
        with pytest.raises(LedgerMisuse) as found:
            OrderedReader(lambda at: channel.blocks[at], "pedigree").of(transaction_id(channel.blocks[number]), number)
        return str(found.value)

    good = channel.envelope(channel.draft())
    number = channel.add(good)
    assert "has no transaction 5" in refused(channel.add(channel.envelope(channel.draft(defined=(1, 5)))))
    channel.blocks[number].metadata.metadata[0] = b"\xff"
    assert "its signatures cannot be read" in refused(number)
    odd = channel.add(good, common_pb2.Envelope(payload=b"no signature").SerializeToString())
    assert "the last envelope has no signature" in refused(odd)
    looped = channel.reconfigure(lambda _: None)
    channel.configured = looped
    channel.blocks[looped - 1].metadata.metadata[0] = channel.blocks[looped].metadata.metadata[0]
    assert f"the configuration before block {looped} is that of block {looped}" in refused(channel.add(good))
