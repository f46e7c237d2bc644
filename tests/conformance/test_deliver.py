# SPDX-License-Identifier: Apache-2.0
"""Deliver, the block event service: rules D-1 to D-14."""

import itertools
import threading
from datetime import UTC, datetime, timedelta

from fabric_protos.common import common_pb2
from fabricharness import blocks, messages
from fabricharness.expect import value
from fabricharness.members import issue
from fabricharness.messages import Seeking
from fabricharness.networks import BLOCKS, MAIN, VALID, Network
from test_events import in_one_block

from gateway import fabric


def status_of(net: Network, request: Seeking, kind: str = "Deliver") -> int:
    """The status that a request is answered with; a refusal also ends the stream, without an error."""
    with net.hospital.peer.seeking(kind) as stream:
        stream.ask(request)
        found, status = stream.until_status()
        assert found == []
        if status != common_pb2.SUCCESS:
            assert stream.ended()
        return status


def test_c200_deliver_newest_once(net: Network) -> None:
    with net.hospital.peer.seeking() as stream:
        stream.ask(messages.seek(MAIN, net.hospital.user, "newest", "newest"))
        found, status = stream.until_status()
    assert len(found) == 1
    assert status == common_pb2.SUCCESS


def test_c201_deliver_range_then_second_seek(net: Network) -> None:
    with net.hospital.peer.seeking() as stream:
        stream.ask(messages.seek(MAIN, net.hospital.user, 1, 3))
        found, status = stream.until_status()
        assert [response.block.header.number for response in found] == [1, 2, 3]
        assert status == common_pb2.SUCCESS
        stream.ask(messages.seek(MAIN, net.hospital.user, 2, 2))
        found, status = stream.until_status()
        assert [response.block.header.number for response in found] == [2]
        assert status == common_pb2.SUCCESS


def test_c202_deliver_wait_at_height(net: Network, key: str) -> None:
    height = blocks.height(net.hospital)
    with net.hospital.peer.seeking() as stream:
        stream.ask(messages.seek(MAIN, net.hospital.user, height, messages.FOREVER))
        waiting = threading.Thread(target=lambda: delivered.extend(stream.blocks(1)))
        delivered: list[common_pb2.Block] = []
        waiting.start()
        waiting.join(timeout=0.5)
        assert waiting.is_alive()
        outcome = net.hospital.submit("anyone", "put", key, "v")
        waiting.join(timeout=10)
    assert [block.header.number for block in delivered] == [height] == [outcome.block]


def test_c203_deliver_beyond_height(net: Network) -> None:
    request = messages.seek(MAIN, net.hospital.user, blocks.height(net.hospital) + 1, messages.FOREVER)
    assert status_of(net, request) == common_pb2.NOT_FOUND


def test_c204_deliver_fail_if_not_ready(net: Network) -> None:
    height = blocks.height(net.hospital)
    request = messages.seek(MAIN, net.hospital.user, height, height, fail_if_not_ready=True)
    assert status_of(net, request) == common_pb2.NOT_FOUND


def test_c205_deliver_stop_lt_start(net: Network) -> None:
    assert status_of(net, messages.seek(MAIN, net.hospital.user, 3, 1)) == common_pb2.BAD_REQUEST


def test_c206_deliver_old_timestamp(net: Network) -> None:
    old = datetime.now(UTC) - timedelta(minutes=20)
    assert status_of(net, messages.seek(MAIN, net.hospital.user, 1, 1, at=old)) == common_pb2.BAD_REQUEST


def test_c207_deliver_forbidden(net: Network) -> None:
    strangers = (net.hospital.user.claiming("NoMSP"), issue("HospitalMSP", None))
    for stranger in strangers:
        for kind in ("Deliver", "DeliverFiltered", "DeliverWithPrivateData"):
            assert status_of(net, messages.seek(MAIN, stranger, 1, 1), kind) == common_pb2.FORBIDDEN


def test_c208_deliver_unknown_channel(net: Network) -> None:
    assert status_of(net, messages.seek("nochan", net.hospital.user, 1, 1)) == common_pb2.NOT_FOUND


def test_c209_deliver_no_nonce(net: Network) -> None:
    request = messages.seek(MAIN, net.hospital.user, 1, 1)
    header = common_pb2.Payload.FromString(request.envelope().payload).header
    assert common_pb2.SignatureHeader.FromString(header.signature_header).nonce == b""
    with net.hospital.network().block_events(start_block=1, stop_block=1) as stream:
        assert [block.header.number for block in stream] == [1]


def test_c210_filtered_event_without_payload(net: Network, key: str) -> None:
    loser = net.hospital.endorsed("anyone", "eventPut", key, "payload", key)
    first = net.hospital.submit("anyone", "eventPut", key, "payload", key)
    status = loser.submit().status()
    bounds = {"start_block": first.block, "stop_block": status.block_number}
    with net.hospital.network().filtered_block_events(**bounds) as stream:
        found = {
            transaction.txid: (transaction.tx_validation_code, action.chaincode_event)
            for block in stream
            for transaction in block.filtered_transactions
            for action in transaction.transaction_actions.chaincode_actions
        }
    for transaction_id, code in ((first.transaction_id, 0), (status.transaction_id, 11)):
        seen, event = found[transaction_id]
        assert seen == code
        assert (event.event_name, event.tx_id, event.chaincode_id) == (key, transaction_id, "anyone")
        assert event.payload == b""


def test_c211_checkpoint_block(net: Network) -> None:
    checkpoint = fabric.InMemoryCheckpointer()
    with net.hospital.network().block_events(start_block=1) as stream:
        for block in itertools.islice(stream, 3):
            checkpoint.checkpoint_block(block.header.number)
    with net.hospital.network().block_events(checkpoint=checkpoint, stop_block=6) as stream:
        assert [block.header.number for block in stream] == [4, 5, 6]


def test_c212_checkpoint_cc_events(net: Network, key: str) -> None:
    proposals = in_one_block(net, *(("event", f"{key}-{n}", "p") for n in range(3)))
    start = net.outcome(net.hospital, proposals[0]).block
    checkpoint = fabric.InMemoryCheckpointer()
    network = net.hospital.network(BLOCKS)
    with network.chaincode_events("anyone", start_block=start) as stream:
        checkpoint.checkpoint_chaincode_event(next(stream))
    with network.chaincode_events("anyone", checkpoint=checkpoint) as stream:
        found = [event.transaction_id for event in itertools.islice(stream, 2)]
    assert found == [proposal.transaction_id for proposal in proposals[1:]]


def test_c213_state_visible_at_block_event(net: Network, key: str) -> None:
    with net.hospital.network().block_events(start_block=blocks.height(net.hospital)) as stream:
        for step in range(20):
            commit = net.hospital.contract("anyone").submit_async("put", key, str(step)).commit
            wanted = commit.transaction_id
            seen = next(b for b in stream if wanted in [t.transaction_id for t in blocks.transactions(b)])
            assert value(net.hospital.evaluate("anyone", "get", key)) == str(step)
            assert [t.code for t in blocks.transactions(seen) if t.transaction_id == wanted] == [VALID]
