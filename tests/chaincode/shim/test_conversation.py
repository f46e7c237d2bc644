# SPDX-License-Identifier: Apache-2.0
"""Transactions executed on a stream: answers whatever happens, many at once, and the stream's end."""

import contextlib
import json
import logging
import subprocess
import sys
import threading
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chaincode.shim import (
    ClockGuard,
    MessageTooLarge,
    PeerError,
    ProtocolError,
    Response,
    Router,
    StreamEnded,
    wire,
)
from chaincode.shim.conversation import Conversation, Outbox
from chaincode.shim.execution import Executor
from chaincode.shim.wire import MessageType
from chaincode.shim.workers import Workers

OFFER = wire.ChaincodeAdditionalParams(use_write_batch=True, max_size_write_batch=100)


def echo(stub: Any) -> Response:
    return Response(200, payload=b"|".join(stub.args))


def test_the_chaincode_registers_under_its_package_id(kit: Any) -> None:
    with kit.converse(kit.FunctionChaincode(echo)) as peer:
        assert peer.registered == "pedigree:1"
        assert peer.conversation.is_ready
    assert not peer.conversation.is_ready


def test_an_event_travels_with_the_answer_and_the_last_one_counts(kit: Any) -> None:
    def body(stub: Any) -> Response:
        stub.set_event("First", b"1")
        stub.set_event("Last", b"2")
        return Response(200)

    with kit.converse(kit.FunctionChaincode(body)) as peer:
        event = peer.transact("f").chaincode_event
    assert (event.event_name, event.payload) == ("Last", b"2")


def test_no_event_is_sent_when_none_was_set_and_a_nameless_one_is_refused(kit: Any) -> None:
    with kit.converse(kit.FunctionChaincode(echo)) as peer:
        assert not peer.transact("f").HasField("chaincode_event")
    with pytest.raises(ValueError, match="event"):
        kit.run(lambda stub: stub.set_event("", b""))


@pytest.mark.parametrize("error", [ValueError("secret"), SystemExit("secret"), KeyboardInterrupt()])
def test_whatever_a_contract_raises_is_answered(
    kit: Any, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    def body(stub: Any) -> Response:
        raise error

    with kit.converse(kit.FunctionChaincode(body)) as peer:
        answer = kit.respond(peer.transact("f"))
        assert kit.respond(peer.transact("f")).status == 500
    assert (answer.status, json.loads(answer.message)["code"]) == (500, "internal")
    assert "secret" not in answer.message
    assert "secret" not in caplog.text


@pytest.mark.parametrize("answer", [None, b"bytes", Response("200"), Response(200, payload="text")])  # type: ignore[arg-type]
def test_an_answer_of_the_wrong_type_is_answered_as_a_failure(kit: Any, answer: Any) -> None:
    with kit.converse(kit.FunctionChaincode(lambda stub: answer)) as peer:
        assert kit.respond(peer.transact("f")).status == 500


def test_what_cannot_be_executed_is_answered_with_an_error(kit: Any) -> None:
    bare = kit.proposal()
    inner = wire.Proposal.FromString(bare.proposal_bytes)
    header = wire.Header.FromString(inner.header)
    header.channel_header = b""
    inner.header = header.SerializeToString()
    bare.proposal_bytes = inner.SerializeToString()
    with kit.converse(kit.FunctionChaincode(echo)) as peer:
        for options in (
            {"payload": b"\xff"},
            {"proposal": wire.SignedProposal(proposal_bytes=b"\xff")},
            {"proposal": bare},
            {"proposal": wire.SignedProposal()},
        ):
            answer = peer.transact("f", **options)
            assert answer.type == MessageType.ERROR
            assert answer.payload
        assert kit.respond(peer.transact("f")).status == 200


def test_arguments_of_any_bytes_arrive(kit: Any) -> None:
    with kit.converse(kit.FunctionChaincode(echo)) as peer:
        assert kit.respond(peer.transact(b"\xff\xfe", b"")).payload == b"\xff\xfe|"


def test_three_hundred_transactions_at_once_are_all_answered(kit: Any) -> None:
    def add(stub: Any, args: Any) -> bytes:
        stub.put_state(args[0].decode(), b"v")
        return stub.get_state(args[0].decode()) or b""

    with kit.converse(Router({"add": add}), workers=64) as peer:
        futures = [peer.start("add", f"key{number}") for number in range(300)]
        assert {kit.respond(future.result(20)).payload for future in futures} == {b"v"}
    assert len(peer.state) == 300
    assert len(peer.sent(MessageType.GET_STATE)) == 300


def test_a_transaction_that_calls_itself_elsewhere_is_not_starved_of_threads(kit: Any) -> None:
    """One worker: the call that comes back over the same stream must run while its caller waits."""

    def body(stub: Any) -> Response:
        if stub.channel_id == "pedigree":
            return stub.invoke_chaincode("self", [b"f"], "other")  # type: ignore[no-any-return]
        return Response(200, payload=b"inner")

    with kit.converse(kit.FunctionChaincode(body), workers=1) as peer:

        def callee(spec: Any) -> Any:
            threading.Thread(target=relay).start()
            return wire.ChaincodeMessage()

        def relay() -> None:
            inner = peer.transact("f", txid="t1", channel="other")
            peer.say(
                wire.ChaincodeMessage(
                    type=MessageType.RESPONSE, txid="t1", channel_id="pedigree", payload=inner.SerializeToString()
                )
            )

        peer.callee = callee
        peer.hold.add(MessageType.INVOKE_CHAINCODE)
        future = peer.start("f", txid="t1")
        assert peer.held.acquire(timeout=20)
        callee(None)
        assert kit.respond(future.result(20)).payload == b"inner"


def test_the_end_of_the_stream_fails_whoever_waits(kit: Any) -> None:
    seen: list[Exception] = []
    ended = threading.Event()

    def body(stub: Any) -> Response:
        for _ in range(2):
            try:
                stub.get_state("k")
            except StreamEnded as error:
                seen.append(error)
        ended.set()
        return Response(200)

    with kit.converse(kit.FunctionChaincode(body)) as peer:
        peer.hold.add(MessageType.GET_STATE)
        peer.start("f")
        assert peer.held.acquire(timeout=20)
        peer.hang_up()
        assert ended.wait(20)
        peer.hang_up()
    assert [type(error) for error in seen] == [StreamEnded, StreamEnded]


def test_a_transaction_asks_one_thing_at_a_time(kit: Any) -> None:
    caught: list[Exception] = []

    def body(stub: Any) -> Response:
        def second() -> None:
            assert peer.held.acquire(timeout=20)
            try:
                stub.get_state("b")
            except RuntimeError as error:
                caught.append(error)
            peer.say(wire.ChaincodeMessage(type=MessageType.RESPONSE, txid="t1", channel_id="pedigree"))

        thread = threading.Thread(target=second)
        thread.start()
        stub.get_state("a")
        thread.join(5)
        return Response(200)

    with kit.converse(kit.FunctionChaincode(body)) as peer:
        peer.hold.add(MessageType.GET_STATE)
        assert kit.respond(peer.transact("f", txid="t1")).status == 200
    assert "one thing at a time" in str(caught[0])
    assert len(peer.requests) == 1


def test_a_stub_is_dead_after_its_transaction_even_when_the_id_comes_again(kit: Any) -> None:
    stubs: list[Any] = []
    with kit.converse(kit.FunctionChaincode(lambda stub: stubs.append(stub) or Response(200))) as peer:
        peer.transact("f", txid="t1")
        with pytest.raises(RuntimeError, match="over"):
            stubs[0].get_state("k")


def test_a_second_run_of_a_running_transaction_is_answered_with_an_error(kit: Any) -> None:
    with kit.converse(Router({"f": lambda stub, args: stub.get_state("k") or b""})) as peer:
        peer.hold.add(MessageType.GET_STATE)
        peer.start("f", txid="t1")
        assert peer.held.acquire(timeout=20)
        answer = peer.transact("f", txid="t1")
        assert answer.type == MessageType.ERROR
        peer.say(wire.ChaincodeMessage(type=MessageType.RESPONSE, txid="t1", channel_id="pedigree"))


def test_a_draining_conversation_takes_only_what_running_transactions_need(kit: Any) -> None:
    with kit.converse(Router({"f": lambda stub, args: stub.get_state("k") or b"none"})) as peer:
        peer.hold.add(MessageType.GET_STATE)
        outer = peer.start("f", txid="t1")
        assert peer.held.acquire(timeout=20)
        peer.conversation.drain()
        refused = peer.transact("f", txid="t2")
        assert (refused.type, refused.payload) == (MessageType.ERROR, b"the chaincode is stopping")
        peer.hold.clear()
        assert kit.respond(peer.transact("f", txid="t1", channel="other")).payload == b"none"
        peer.answered["pedigree", "t1"] = outer
        peer.say(wire.ChaincodeMessage(type=MessageType.RESPONSE, txid="t1", channel_id="pedigree", payload=b"v"))
        assert kit.respond(outer.result(20)).payload == b"v"


@pytest.mark.parametrize(("skew", "status"), [(0, 200), (120, 200), (-120, 200), (121, 500), (-121, 500)])
def test_a_timestamp_far_from_this_clock_is_refused(kit: Any, skew: int, status: int) -> None:
    with kit.converse(kit.FunctionChaincode(echo)) as peer:
        answer = kit.respond(peer.transact("f", proposal=kit.proposal(seconds=kit.NOW + skew)))
    assert answer.status == status
    if status == 500:
        document = json.loads(answer.message)
        assert document["code"] == "clock-skew"
        assert document["facts"] == {"skew_seconds": skew, "window_seconds": 120}


def test_the_window_of_the_clock_can_be_set_and_any_time_can_be_judged(kit: Any) -> None:
    guard = ClockGuard(window=1, clock=lambda: 0.0)
    assert guard.check(1.0) is None
    assert guard.check(1.001) is not None
    with kit.converse(kit.FunctionChaincode(echo)) as peer:
        assert kit.respond(peer.transact("f", proposal=kit.proposal(seconds=2**62))).status == 500


def test_a_refused_transaction_writes_nothing_that_was_gathered(kit: Any) -> None:
    def body(stub: Any) -> Response:
        stub.put_state("k", b"v")
        return Response(int(stub.args[0]))

    with kit.converse(kit.FunctionChaincode(body), kit.FakePeer(OFFER), batch_writes=True) as peer:
        assert kit.respond(peer.transact("400")).status == 400
        assert not peer.requests
        assert kit.respond(peer.transact("399")).status == 399
        assert [kind for kind, _ in peer.requests] == [MessageType.WRITE_BATCH_STATE]


def test_a_batch_that_the_peer_refuses_fails_the_transaction(kit: Any) -> None:
    peer = kit.FakePeer(OFFER)
    peer.fail[MessageType.WRITE_BATCH_STATE] = "WRITE_BATCH_STATE failed"

    def body(stub: Any) -> Response:
        stub.put_state("k", b"v")
        return Response(200)

    with kit.converse(kit.FunctionChaincode(body), peer, batch_writes=True):
        assert kit.respond(peer.transact("f")).status == 500


def test_what_is_too_large_fails_its_transaction_and_not_the_stream(kit: Any) -> None:
    caught: list[Exception] = []

    def body(stub: Any) -> Response:
        if stub.args[0] == b"write":
            try:
                stub.put_state("k", bytes(2000))
            except MessageTooLarge as error:
                caught.append(error)
            return Response(200)
        stub.set_event("Large", bytes(600))
        return Response(200, payload=bytes(600))

    with kit.converse(kit.FunctionChaincode(body), largest_payload=1000) as peer:
        assert kit.respond(peer.transact("write")).status == 200
        answer = kit.respond(peer.transact("read"))
        assert (answer.status, json.loads(answer.message)["code"]) == (500, "response-too-large")
    assert isinstance(caught[0], MessageTooLarge)
    assert caught[0].limit == 1000
    assert not peer.requests


def test_nothing_of_a_payload_is_logged(kit: Any, caplog: pytest.LogCaptureFixture) -> None:
    def body(stub: Any) -> Response:
        stub.put_state("k-secret", b"secret")
        assert stub.transient["t"] == b"secret"
        raise PeerError("PUT_STATE", "secret")

    with caplog.at_level(logging.DEBUG), kit.converse(kit.FunctionChaincode(body)) as peer:
        peer.transact("secret", proposal=kit.proposal(transient={"t": b"secret"}))
        peer.transact("f", payload=b"\xffsecret")
    assert caplog.records
    assert "secret" not in caplog.text


def test_importing_configures_no_logging_and_starts_no_thread() -> None:
    code = (
        "import logging, threading, chaincode.shim;"
        "assert not logging.root.handlers and logging.root.level == logging.WARNING;"
        "assert not logging.getLogger('chaincode.shim').handlers;"
        "assert threading.active_count() == 1"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def idle_conversation(outbox: Outbox | None = None) -> Conversation:
    return Conversation("pedigree:1", Executor(Router({}), "HospitalMSP"), Workers(2), outbox or Outbox())


def test_a_peer_that_breaks_the_protocol_ends_its_conversation() -> None:
    outbox = Outbox()
    conversation = idle_conversation(outbox)
    with pytest.raises(ProtocolError, match="ChaincodeMessage"):
        conversation.consume([b"\xff"])
    assert len(list(outbox)) == 1


kinds = st.sampled_from([2, 3, 4, 5, 7, 13, 18])
messages = st.builds(
    lambda kind, txid, payload: wire.ChaincodeMessage(
        type=kind, txid=txid, channel_id="c", payload=payload
    ).SerializeToString(),
    kinds,
    st.sampled_from(["a", "b", "c"]),
    st.binary(max_size=6),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.one_of(messages, st.binary(max_size=10)), max_size=12), st.booleans())
def test_no_stream_of_a_peer_breaks_a_conversation(stream: list[bytes], welcomed: bool) -> None:
    conversation = idle_conversation()
    if welcomed:
        handshake = [wire.ChaincodeMessage(type=kind).SerializeToString() for kind in (2, 4)]
        stream = [*handshake, *stream]
    with contextlib.suppress(ProtocolError):
        conversation.consume(stream)
    assert not conversation.is_ready
