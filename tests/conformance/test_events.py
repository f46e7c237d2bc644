# SPDX-License-Identifier: Apache-2.0
"""Chaincode events: rules G-27 to G-31."""

import itertools
import threading
from collections.abc import Iterator
from typing import Any

import grpc
from fabricharness import blocks, messages
from fabricharness.expect import INVALID_ARGUMENT, PERMISSION_DENIED, refused
from fabricharness.members import issue
from fabricharness.networks import BLOCKS, MAIN, Network, Org, in_parallel

from gateway import fabric

QUIET_S = 1.5
"""How long "nothing comes" is watched; well above the time that a block takes."""


def in_one_block(net: Network, *calls: tuple[str, ...], channel: str = BLOCKS) -> list[messages.Proposal]:
    """Endorse all calls of chaincode `anyone`, then order them faster than the block timeout."""
    org = net.hospital
    proposals = [org.propose("anyone", *call, channel=channel) for call in calls]
    net.order_in_turn(proposals, in_parallel(lambda p=proposal: org.peer.endorse_raw(p) for proposal in proposals))
    assert len({net.outcome(org, proposal).block for proposal in proposals}) == 1, "the orderer cut a block in between"
    return proposals


def replay(
    org: Org, chaincode: str, channel: str, start: int, after: str = "", *, seconds: float = 10
) -> Iterator[Any]:
    """The events of a raw stream, until it has been open for `seconds`."""
    request = messages.events_request(channel, chaincode, org.user, start=start, after=after)
    with org.peer.events(request, timeout=seconds) as stream:
        try:
            for response in stream:
                yield from response.events
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.DEADLINE_EXCEEDED:
                raise


def test_c110_live_event(net: Network, key: str) -> None:
    with net.hospital.network().chaincode_events("anyone", start_block=blocks.height(net.hospital)) as stream:
        outcome = net.hospital.submit("anyone", "event", key, "payload")
        found = next(event for event in stream if event.event_name == key)
    assert found == fabric.ChaincodeEvent(outcome.block, outcome.transaction_id, "anyone", key, b"payload")


def test_c111_default_start_next_commit(net: Network, key: str) -> None:
    net.hospital.submit("anyone", "event", f"{key}-before", "p")
    seen: list[str] = []
    done = threading.Event()
    request = messages.events_request(MAIN, "anyone", net.hospital.user)

    def listen() -> None:
        with net.hospital.peer.events(request) as stream:
            for response in stream:
                seen.extend(event.event_name for event in response.events)
                if f"{key}-last" in seen:
                    done.set()
                    return

    listener = threading.Thread(target=listen)
    listener.start()
    # When the stream is registered cannot be told from outside, so later events are sent until one arrives.
    for _ in range(50):
        net.hospital.submit("anyone", "event", f"{key}-last", "p")
        if done.wait(timeout=0.2):
            break
    listener.join(timeout=10)
    assert f"{key}-last" in seen
    assert f"{key}-before" not in seen


def test_c112_replay_from_block(net: Network, key: str) -> None:
    outcomes = [net.hospital.submit("anyone", "event", key, str(step)) for step in range(3)]
    for _ in range(2):
        with net.hospital.network().chaincode_events("anyone", start_block=outcomes[0].block) as stream:
            found = list(itertools.islice((event for event in stream if event.event_name == key), 3))
        assert [event.transaction_id for event in found] == [done.transaction_id for done in outcomes]
        assert [event.block_number for event in found] == [done.block for done in outcomes]


def test_c113_after_txid(net: Network, key: str) -> None:
    first, second, third = in_one_block(net, *(("event", f"{key}-{n}", "p") for n in range(3)))
    start = net.outcome(net.hospital, first).block
    events = replay(net.hospital, "anyone", BLOCKS, start, first.transaction_id)
    found = [event.tx_id for event in itertools.islice(events, 2)]
    assert found == [second.transaction_id, third.transaction_id]


def test_c114_after_txid_without_event(net: Network, key: str) -> None:
    silent = net.hospital.submit("anyone", "put", key, "v")
    net.hospital.submit("anyone", "event", key, "p")
    request = (net.hospital, "anyone", MAIN, silent.block, silent.transaction_id)
    assert list(replay(*request, seconds=QUIET_S)) == []
    # Our client does not stall there.
    checkpoint = fabric.InMemoryCheckpointer()
    checkpoint.checkpoint_transaction(silent.block, silent.transaction_id)
    with net.hospital.network().chaincode_events("anyone", checkpoint=checkpoint) as stream:
        assert next(event for event in stream if event.event_name == key)


def test_c115_invalid_tx_no_event(net: Network, key: str) -> None:
    loser = net.hospital.endorsed("anyone", "eventPut", f"{key}-loser", "p", key)
    net.hospital.submit("anyone", "eventPut", f"{key}-winner", "p", key)
    status = loser.submit().status()
    assert not status.successful
    last = net.hospital.submit("anyone", "event", f"{key}-last", "p")
    with net.hospital.network().chaincode_events("anyone", start_block=status.block_number) as stream:
        names = itertools.takewhile(lambda name: name != f"{key}-last", (event.event_name for event in stream))
        assert f"{key}-loser" not in list(names)
    request = {"start_block": status.block_number, "stop_block": last.block}
    with net.hospital.network().filtered_block_events(**request) as filtered:
        names = {
            action.chaincode_event.event_name: transaction.tx_validation_code
            for block in filtered
            for transaction in block.filtered_transactions
            for action in transaction.transaction_actions.chaincode_actions
        }
    assert names[f"{key}-loser"] == 11  # MVCC_READ_CONFLICT


def test_c116_event_on_error(net: Network, key: str) -> None:
    start = blocks.height(net.hospital)
    assert "failed after its event" in refused(net.hospital.submit, "anyone", "eventFail", f"{key}-never").text
    net.hospital.submit("anyone", "event", f"{key}-last", "p")
    names: list[str] = []
    for event in replay(net.hospital, "anyone", MAIN, start):
        names.append(event.event_name)
        if event.event_name == f"{key}-last":
            break
    assert f"{key}-never" not in names


def test_c117_two_events_one_block(net: Network, key: str) -> None:
    first, second = in_one_block(net, ("event", f"{key}-1", "p"), ("event", f"{key}-2", "p"))
    start = net.outcome(net.hospital, first).block
    request = messages.events_request(BLOCKS, "anyone", net.hospital.user, start=start)
    with net.hospital.peer.events(request) as stream:
        response = next(stream)
    assert response.block_number == start
    assert [event.tx_id for event in response.events] == [first.transaction_id, second.transaction_id]


def test_c118_other_cc_events_filtered(net: Network, key: str) -> None:
    other = net.hospital.submit("callee", "event", f"{key}-other", "p")
    net.hospital.submit("anyone", "event", f"{key}-last", "p")
    found = next(replay(net.hospital, "anyone", MAIN, other.block))
    assert (found.chaincode_id, found.event_name) == ("anyone", f"{key}-last")


def test_c119_start_in_future(net: Network, key: str) -> None:
    future = blocks.height(net.hospital) + 3
    seen: list[tuple[int, str]] = []

    def listen() -> None:
        with net.hospital.network().chaincode_events("anyone", start_block=future) as stream:
            event = next(stream)
            seen.append((event.block_number, event.event_name))

    listener = threading.Thread(target=listen)
    listener.start()
    outcomes = [net.hospital.submit("anyone", "event", f"{key}-{step}", "p") for step in range(5)]
    listener.join(timeout=10)
    expected = [(done.block, f"{key}-{step}") for step, done in enumerate(outcomes) if done.block >= future]
    assert seen == expected[:1]


def test_c120_oldest_start_invalid(net: Network) -> None:
    for start in ("oldest", "newest"):
        request = messages.events_request(MAIN, "anyone", net.hospital.user, start=start)
        with net.hospital.peer.events(request) as stream:
            refusal = refused(next, stream)
        assert refusal.code == INVALID_ARGUMENT
        assert "invalid start position type" in refusal.message


def test_c121_events_unauthorised(net: Network) -> None:
    request = messages.events_request(MAIN, "anyone", issue("HospitalMSP", None))
    with net.hospital.peer.events(request) as stream:
        assert refused(next, stream).code == PERMISSION_DENIED
