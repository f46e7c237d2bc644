# SPDX-License-Identifier: Apache-2.0
"""The session as a state machine, driven by transcripts of messages."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincode.shim import wire
from chaincode.shim.errors import ProtocolError, StreamEnded
from chaincode.shim.protocol import Answer, Begin, Offer, Refuse, Session, State, TransactionKey
from chaincode.shim.wire import MessageType

KEY = TransactionKey("pedigree", "tx1")


def message(kind: MessageType, payload: bytes = b"", key: TransactionKey | None = None) -> Any:
    key = key or TransactionKey("", "")
    return wire.ChaincodeMessage(type=kind, payload=payload, channel_id=key.channel_id, txid=key.transaction_id)


def ready(payload: bytes = b"") -> Session:
    session = Session("pedigree:1")
    session.receive(message(MessageType.REGISTERED))
    session.receive(message(MessageType.READY, payload))
    return session


def test_the_chaincode_speaks_first_and_names_its_package() -> None:
    opening = Session("pedigree:abc").register()
    assert opening.type == MessageType.REGISTER
    assert wire.ChaincodeID.FromString(opening.payload).name == "pedigree:abc"
    assert opening.txid == ""


def test_the_handshake_passes_through_its_states() -> None:
    session = Session("pedigree:1")
    assert session.state is State.CREATED
    assert session.receive(message(MessageType.REGISTERED)) is None
    assert session.state is State.ESTABLISHED
    assert session.receive(message(MessageType.READY)) is None
    assert session.state is State.READY
    assert session.offer == Offer(0, 0)


@pytest.mark.parametrize("kind", [MessageType.READY, MessageType.TRANSACTION, MessageType.ERROR, MessageType.RESPONSE])
def test_nothing_but_registered_may_follow_register(kind: MessageType) -> None:
    with pytest.raises(ProtocolError, match=f"{kind.name} while the session was created"):
        Session("pedigree:1").receive(message(kind))


def test_a_ready_session_ends_the_stream_on_a_message_of_no_meaning() -> None:
    with pytest.raises(ProtocolError, match="REGISTERED while the session was ready"):
        ready().receive(message(MessageType.REGISTERED))
    with pytest.raises(ProtocolError, match="type 12"):
        ready().receive(wire.ChaincodeMessage(type=12))


def test_keepalive_is_ignored_in_every_state() -> None:
    session = Session("pedigree:1")
    for step in (MessageType.REGISTERED, MessageType.READY, MessageType.KEEPALIVE):
        assert session.receive(message(MessageType.KEEPALIVE)) is None
        session.receive(message(step))
    session.end()


def test_what_the_peer_offers_is_read_and_small_sizes_are_raised() -> None:
    params = wire.ChaincodeAdditionalParams(
        use_write_batch=True,
        max_size_write_batch=1000,
        use_get_multiple_keys=True,
        max_size_get_multiple_keys=7,
    )
    assert ready(params.SerializeToString()).offer == Offer(write_batch=1000, get_multiple=100)
    silent = wire.ChaincodeAdditionalParams(max_size_write_batch=1000, max_size_get_multiple_keys=1000)
    assert ready(silent.SerializeToString()).offer == Offer(0, 0)


def test_an_unreadable_ready_is_an_error_and_not_an_empty_offer() -> None:
    session = Session("pedigree:1")
    session.receive(message(MessageType.REGISTERED))
    with pytest.raises(ProtocolError, match="ChaincodeAdditionalParams"):
        session.receive(message(MessageType.READY, b"\xff"))


def test_a_transaction_begins_asks_and_completes() -> None:
    session = ready()
    begin = session.receive(message(MessageType.TRANSACTION, b"input", KEY))
    assert isinstance(begin, Begin)
    assert (begin.key, begin.payload, begin.is_init) == (KEY, b"input", False)
    request = session.ask(KEY, MessageType.GET_STATE, b"key")
    assert (request.type, request.txid, request.channel_id) == (MessageType.GET_STATE, "tx1", "pedigree")
    answer = session.receive(message(MessageType.RESPONSE, b"value", KEY))
    assert answer == Answer(KEY, MessageType.GET_STATE, b"value", failed=False)
    event = wire.ChaincodeEvent(event_name="Done")
    done = session.complete(KEY, b"response", event)
    assert done is not None
    assert (done.type, done.payload, done.chaincode_event) == (MessageType.COMPLETED, b"response", event)


def test_an_error_of_the_peer_is_marked_as_failed() -> None:
    session = ready()
    session.receive(message(MessageType.TRANSACTION, b"", KEY))
    session.ask(KEY, MessageType.PUT_STATE, b"")
    answer = session.receive(message(MessageType.ERROR, b"no", KEY))
    assert answer == Answer(KEY, MessageType.PUT_STATE, b"no", failed=True)


def test_init_begins_a_transaction_that_says_so() -> None:
    begin = ready().receive(message(MessageType.INIT, b"", KEY))
    assert isinstance(begin, Begin)
    assert begin.is_init


def test_a_transaction_has_one_outstanding_request() -> None:
    session = ready()
    session.receive(message(MessageType.TRANSACTION, b"", KEY))
    session.ask(KEY, MessageType.GET_STATE, b"")
    with pytest.raises(RuntimeError, match="one thing at a time"):
        session.ask(KEY, MessageType.GET_STATE, b"")


def test_transactions_on_two_channels_with_one_id_are_two() -> None:
    session = ready()
    other = TransactionKey("other", KEY.transaction_id)
    session.receive(message(MessageType.TRANSACTION, b"", KEY))
    assert not session.has_other(KEY)
    assert session.has_other(other)
    assert isinstance(session.receive(message(MessageType.TRANSACTION, b"", other)), Begin)


def test_a_second_run_of_a_running_transaction_is_refused() -> None:
    session = ready()
    session.receive(message(MessageType.TRANSACTION, b"", KEY))
    refused = session.receive(message(MessageType.TRANSACTION, b"", KEY))
    assert isinstance(refused, Refuse)
    assert refused.reply.type == MessageType.ERROR
    assert b"earlier run" in refused.reply.payload


def test_an_answer_that_nobody_waits_for_disturbs_nobody() -> None:
    session = ready()
    session.receive(message(MessageType.TRANSACTION, b"", KEY))
    assert session.receive(message(MessageType.RESPONSE, b"stray", KEY)) is None
    assert session.receive(message(MessageType.ERROR, b"stray", TransactionKey("a", "b"))) is None


def test_a_transaction_is_answered_once() -> None:
    session = ready()
    session.receive(message(MessageType.TRANSACTION, b"", KEY))
    failed = session.fail(KEY, "why")
    assert failed is not None
    assert (failed.type, failed.payload) == (MessageType.ERROR, b"why")
    assert session.fail(KEY, "again") is None
    assert session.complete(KEY, b"") is None
    with pytest.raises(RuntimeError, match="no such transaction"):
        session.ask(KEY, MessageType.GET_STATE, b"")


def test_the_end_of_the_stream_names_who_still_waits() -> None:
    session = ready()
    idle = TransactionKey("pedigree", "tx2")
    for key in (KEY, idle):
        session.receive(message(MessageType.TRANSACTION, b"", key))
    session.ask(KEY, MessageType.GET_STATE, b"")
    assert session.end() == {KEY}
    assert session.state is State.ENDED
    assert session.end() == frozenset()
    with pytest.raises(StreamEnded):
        session.ask(idle, MessageType.GET_STATE, b"")
    assert session.receive(message(MessageType.TRANSACTION, b"", KEY)) is None


steps = st.one_of(
    st.tuples(st.just("receive"), st.integers(0, 30), st.binary(max_size=8), st.sampled_from(["", "a", "b"])),
    st.tuples(st.sampled_from(["ask", "complete", "fail", "end"]), st.just(8), st.just(b""), st.sampled_from("abc")),
)


@given(st.lists(steps, max_size=40), st.booleans())
def test_no_sequence_of_messages_breaks_the_session(sequence: list[tuple[str, int, bytes, str]], begun: bool) -> None:
    """Only the documented refusals come out, and no transaction ever has two requests outstanding."""
    session = ready() if begun else Session("pedigree:1")
    asked: set[TransactionKey] = set()
    for step, kind, payload, txid in sequence:
        key = TransactionKey("c", txid)
        try:
            if step == "receive":
                event = session.receive(wire.ChaincodeMessage(type=kind, payload=payload, txid=txid, channel_id="c"))
                if isinstance(event, Answer):
                    asked.remove(event.key)
            elif step == "ask":
                session.ask(key, MessageType.GET_STATE, payload)
                assert key not in asked
                asked.add(key)
            elif step == "end":
                assert session.end() == asked
                asked.clear()
            else:
                session.complete(key, payload) if step == "complete" else session.fail(key, "no")
                asked.discard(key)
        except (ProtocolError, StreamEnded):
            pass
        except RuntimeError:
            assert step == "ask"
