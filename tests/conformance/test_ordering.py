# SPDX-License-Identifier: Apache-2.0
"""Ordering and blocks: rules O-1 to O-20."""

import hashlib
import itertools
import os
import time

from fabric_protos.common import common_pb2
from fabricharness import blocks, messages
from fabricharness.ledgers import BLOCKS_MESSAGES, BLOCKS_TIMEOUT_S
from fabricharness.networks import BLOCKS, MAIN, VALID, Network, in_parallel


def test_c130_batch_count(net: Network, key: str) -> None:
    org = net.hospital
    proposals = [org.propose("anyone", "put", f"{key}{number}", "v", channel=BLOCKS) for number in range(25)]
    payloads = in_parallel(lambda p=proposal: org.peer.endorse_raw(p) for proposal in proposals)
    envelopes = [messages.envelope(payload, org.user) for payload in payloads]
    answers = net.orderer.broadcast(*envelopes)
    assert [answer.status for answer in answers] == [common_pb2.SUCCESS] * 25
    numbers = [net.outcome(org, proposal).block for proposal in proposals]
    assert [numbers.count(number) for number in sorted(set(numbers))] == [BLOCKS_MESSAGES, BLOCKS_MESSAGES, 5]
    assert numbers == sorted(numbers)


def test_c131_batch_timeout(net: Network, key: str) -> None:
    before = blocks.height(net.hospital, BLOCKS)
    began = time.monotonic()
    outcome = net.hospital.submit("anyone", "put", key, "v", channel=BLOCKS)
    taken = time.monotonic() - began
    assert outcome.block == before
    assert BLOCKS_TIMEOUT_S * 0.9 < taken < BLOCKS_TIMEOUT_S + 2


def test_c132_hash_chain(net: Network) -> None:
    for channel in (MAIN, BLOCKS):
        chain = blocks.fetch(net.hospital, channel, "oldest", "newest")
        assert chain[0].header.number == 0
        assert chain[0].header.previous_hash == b""
        for block in chain:
            assert block.header.data_hash == hashlib.sha256(b"".join(block.data.data)).digest()
        for earlier, later in itertools.pairwise(chain):
            assert later.header.number == earlier.header.number + 1
            assert later.header.previous_hash == blocks.header_hash(earlier.header)


def test_c133_block_metadata(net: Network) -> None:
    for block in blocks.fetch(net.hospital, MAIN, "oldest", "newest"):
        assert len(block.metadata.metadata) == 5
        assert len(block.metadata.metadata[common_pb2.TRANSACTIONS_FILTER]) == len(block.data.data)


def test_c134_broadcast_unknown_channel(net: Network) -> None:
    payload = common_pb2.Payload(
        header=common_pb2.Header(
            channel_header=common_pb2.ChannelHeader(
                type=common_pb2.ENDORSER_TRANSACTION, channel_id="nochan"
            ).SerializeToString(),
            signature_header=common_pb2.SignatureHeader(creator=net.hospital.user.serialized).SerializeToString(),
        ),
        data=b"x",
    ).SerializeToString()
    envelope = messages.envelope(payload, net.hospital.user)
    answers = net.orderer.broadcast(envelope, envelope)
    # The stream ends with the first refusal, so the second envelope gets no answer.
    assert [answer.status for answer in answers] == [common_pb2.BAD_REQUEST]
    assert "channel does not exist" in answers[0].info


def test_c135_garbage_tx_recorded(net: Network) -> None:
    proposal = net.hospital.propose("anyone", "put", "k", "v", channel=BLOCKS)
    payload = common_pb2.Payload(header=proposal.header, data=b"\xff" + os.urandom(40)).SerializeToString()
    # Alone in its block: see the hazards of section 6.8.
    (answer,) = net.orderer.broadcast(messages.envelope(payload, net.hospital.user))
    assert answer.status == common_pb2.SUCCESS
    assert net.outcome(net.hospital, proposal).code in ("INVALID_ENDORSER_TRANSACTION", "BAD_PROPOSAL_TXID")


def test_c136_same_tx_twice(net: Network, key: str) -> None:
    org = net.hospital
    proposal = org.propose("anyone", "put", key, "v", channel=BLOCKS)
    envelope = messages.envelope(org.peer.endorse_raw(proposal), org.user)
    answers = net.orderer.broadcast(envelope, envelope)
    assert [answer.status for answer in answers] == [common_pb2.SUCCESS] * 2
    outcome = net.outcome(org, proposal)
    assert outcome.code == VALID
    net.hospital.submit("anyone", "put", key, "w", channel=BLOCKS)
    found = [
        entry.code
        for block in blocks.fetch(org, BLOCKS, outcome.block, "newest")
        for entry in blocks.transactions(block)
        if entry.transaction_id == proposal.transaction_id
    ]
    assert found == [VALID, "DUPLICATE_TXID"]
    assert net.outcome(org, proposal).code == VALID
