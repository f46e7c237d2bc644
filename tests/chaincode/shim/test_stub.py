# SPDX-License-Identifier: Apache-2.0
"""What a contract can ask, over a conversation with the fake peer."""

import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest

from chaincode.shim import KV, KeyModification, MalformedProposal, PeerError, ProtocolError, Response, wire
from chaincode.shim.policy import compile_expression
from chaincode.shim.wire import MessageType

OFFER = wire.ChaincodeAdditionalParams(
    use_write_batch=True, max_size_write_batch=100, use_get_multiple_keys=True, max_size_get_multiple_keys=100
)


def test_a_contract_sees_its_call(kit: Any) -> None:
    def body(stub: Any) -> Any:
        return stub.args, stub.function_and_parameters(), stub.channel_id, stub.transaction_id, stub.local_msp_id

    start = {"args": ("f", b"\xff\x00"), "txid": "t1"}
    assert kit.run(body, start=start) == (
        (b"f", b"\xff\x00"),
        ("f", (b"\xff\x00",)),
        "pedigree",
        "t1",
        "HospitalMSP",
    )
    assert kit.run(lambda stub: stub.function_and_parameters(), start={"args": ()}) == ("", ())


def test_a_contract_sees_the_proposal(kit: Any, authority: Any) -> None:
    creator = authority.creator()
    proposal = kit.proposal(creator, nanos=123_456_789, transient={"secret": b"s"}, nonce=b"n", epoch=258)

    def body(stub: Any) -> Any:
        assert stub.creator == creator
        assert stub.client.msp_id == "HospitalMSP"
        assert stub.timestamp == datetime(2027, 1, 15, 8, 0, 0, 123456, tzinfo=UTC)
        assert dict(stub.transient) == {"secret": b"s"}
        assert stub.binding == hashlib.sha256(b"n" + creator + b"\x02\x01" + bytes(6)).digest()
        assert dict(stub.decorations) == {"d": b"1"}
        assert stub.signed_proposal == proposal
        return True

    assert kit.run(body, start={"proposal": proposal, "decorations": {"d": b"1"}})


def test_an_undecodable_payload_of_a_proposal_shows_when_it_is_asked_for(kit: Any) -> None:
    signed = kit.proposal()
    inner = wire.Proposal.FromString(signed.proposal_bytes)
    inner.payload = b"\xff"
    signed.proposal_bytes = inner.SerializeToString()
    with pytest.raises(MalformedProposal):
        kit.run(lambda stub: stub.transient, start={"proposal": signed})


def test_state_is_read_and_written(kit: Any) -> None:
    peer = kit.FakePeer()
    peer.state["", "a"] = b"1"

    def body(stub: Any) -> Any:
        stub.put_state("b", b"2")
        stub.del_state("a")
        return stub.get_state("a"), stub.get_state("b"), stub.get_states(["b", "a"]), stub.get_states([])

    assert kit.run(body, peer) == (None, b"2", [b"2", None], [])
    assert peer.state == {("", "b"): b"2"}
    assert not peer.sent(MessageType.GET_STATE_MULTIPLE)


@pytest.mark.parametrize("write", ["put_state", "del_state", "set_state_validation_parameter"])
def test_an_empty_key_is_refused_before_it_is_sent(kit: Any, write: str) -> None:
    peer = kit.FakePeer()
    arguments = () if write == "del_state" else (b"x",)
    with pytest.raises(ValueError, match="empty string"):
        kit.run(lambda stub: getattr(stub, write)("", *arguments), peer)
    assert not peer.requests


def test_a_value_is_bytes(kit: Any) -> None:
    with pytest.raises(TypeError, match="bytes"):
        kit.run(lambda stub: stub.put_state("k", "text"))


def test_a_range_is_fetched_batch_by_batch_and_not_closed_again(kit: Any) -> None:
    peer = kit.FakePeer(batch_size=2)
    peer.state = {("", key): key.encode() for key in "abcde"}
    assert [kv.key for kv in kit.run(lambda stub: list(stub.get_state_by_range("a", "e")), peer)] == list("abcd")
    assert len(peer.sent(MessageType.QUERY_STATE_NEXT)) == 1
    assert not peer.sent(MessageType.QUERY_STATE_CLOSE)


def test_batches_are_fetched_only_when_they_are_read_and_the_rest_is_closed_once(kit: Any) -> None:
    peer = kit.FakePeer(batch_size=2)
    peer.state = {("", key): key.encode() for key in "abcde"}

    def body(stub: Any) -> Any:
        with stub.get_state_by_range("", "") as results:
            first = next(results)
            results.close()
        assert list(results) == []
        return first

    assert kit.run(body, peer) == KV("cc", "a", b"a")
    assert not peer.sent(MessageType.QUERY_STATE_NEXT)
    assert len(peer.sent(MessageType.QUERY_STATE_CLOSE)) == 1


def test_an_open_range_of_simple_keys_leaves_composite_keys_out(kit: Any) -> None:
    peer = kit.FakePeer()
    peer.state = {("", "\x00t\x00a\x00"): b"1", ("", "simple"): b"2"}

    def body(stub: Any) -> Any:
        assert stub.create_composite_key("t", ["a"]) == "\x00t\x00a\x00"
        assert stub.split_composite_key("\x00t\x00a\x00") == ("t", ("a",))
        simple = [kv.key for kv in stub.get_state_by_range("", "")]
        return simple, [kv.key for kv in stub.get_state_by_partial_composite_key("t", [])]

    assert kit.run(body, peer) == (["simple"], ["\x00t\x00a\x00"])
    assert peer.sent(MessageType.GET_STATE_BY_RANGE)[0].startKey == "\x01"


def test_every_page_of_a_range_can_be_reached(kit: Any) -> None:
    peer = kit.FakePeer()
    peer.state = {("", key): b"v" for key in "abc"} | {("", "\x00t\x00a\x00"): b"1"}

    def body(stub: Any) -> Any:
        first = stub.get_state_by_range_with_pagination("", "", 2)
        second = stub.get_state_by_range_with_pagination("", "", 2, first.bookmark)
        parts = stub.get_state_by_partial_composite_key_with_pagination("t", [], 5)
        query = stub.get_query_result_with_pagination("b", 5)
        return first, second, parts, query

    first, second, parts, query = kit.run(body, peer)
    assert ([kv.key for kv in first.items], first.fetched, first.bookmark) == (["a", "b"], 2, "2")
    assert ([kv.key for kv in second.items], second.fetched, second.bookmark) == (["c"], 1, "")
    assert [kv.key for kv in parts.items] == ["\x00t\x00a\x00"]
    assert [kv.key for kv in query.items] == ["b"]


@pytest.mark.parametrize("size", [0, -1, 2**31])
def test_a_page_has_a_sensible_size(kit: Any, size: int) -> None:
    with pytest.raises(ValueError, match="page"):
        kit.run(lambda stub: stub.get_state_by_range_with_pagination("", "", size))


def test_history_tells_what_happened_to_a_key(kit: Any) -> None:
    peer = kit.FakePeer()
    peer.history["k"] = [
        wire.KeyChange(tx_id="t2", is_delete=True, timestamp={"seconds": 60}),
        wire.KeyChange(tx_id="t1", value=b"v", timestamp={"seconds": 0, "nanos": 1000}),
    ]
    assert kit.run(lambda stub: list(stub.get_history_for_key("k")), peer) == [
        KeyModification("t2", None, datetime(1970, 1, 1, 0, 1, tzinfo=UTC), True),
        KeyModification("t1", b"v", datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC), False),
    ]


def test_rich_queries_pass_through(kit: Any) -> None:
    peer = kit.FakePeer()
    peer.state = {("", "x1"): b"1", ("", "y"): b"2"}
    assert [kv.value for kv in kit.run(lambda stub: list(stub.get_query_result("x")), peer)] == [b"1"]


def test_private_data_stays_in_its_collection(kit: Any) -> None:
    peer = kit.FakePeer()
    composite = "\x00t\x00a\x00"
    peer.state = {("coll", "gone"): b"1", ("coll", "purged"): b"2", ("coll", composite): b"3", ("", "p"): b"public"}

    def body(stub: Any) -> Any:
        stub.put_private_data("coll", "p", b"private")
        stub.del_private_data("coll", "gone")
        stub.purge_private_data("coll", "purged")
        stub.set_private_data_validation_parameter("coll", "p", "OR('A.peer')")
        return (
            stub.get_private_data("coll", "p"),
            stub.get_private_data("coll", "none"),
            stub.get_private_data_hash("coll", "p"),
            stub.get_private_data_hash("coll", "none"),
            [kv.key for kv in stub.get_private_data_by_range("coll", "", "")],
            [kv.key for kv in stub.get_private_data_by_partial_composite_key("coll", "t", [])],
            [kv.key for kv in stub.get_private_data_query_result("coll", "p")],
            stub.get_private_data_validation_parameter("coll", "p"),
        )

    assert kit.run(body, peer) == (
        b"private",
        None,
        hashlib.sha256(b"private").digest(),
        None,
        ["p"],
        [composite],
        ["p"],
        compile_expression("OR('A.peer')"),
    )
    assert peer.state["", "p"] == b"public"
    assert len(peer.sent(MessageType.PURGE_PRIVATE_DATA)) == 1


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("get_private_data", ("k",)),
        ("get_private_data_hash", ("k",)),
        ("put_private_data", ("k", b"v")),
        ("del_private_data", ("k",)),
        ("purge_private_data", ("k",)),
        ("get_private_data_by_range", ("", "")),
        ("get_private_data_by_partial_composite_key", ("t", [])),
        ("get_private_data_query_result", ("q",)),
        ("set_private_data_validation_parameter", ("k", b"")),
        ("get_private_data_validation_parameter", ("k",)),
    ],
)
def test_an_empty_collection_never_reaches_the_public_state(kit: Any, method: str, arguments: Any) -> None:
    peer = kit.FakePeer()
    with pytest.raises(ValueError, match="collection"):
        kit.run(lambda stub: getattr(stub, method)("", *arguments), peer)
    assert not peer.requests


def test_a_key_can_have_an_endorsement_policy_of_its_own(kit: Any) -> None:
    expression = "AND('A.peer',OR('B.peer','C.peer'))"

    def body(stub: Any) -> Any:
        before = stub.get_state_validation_parameter("k")
        stub.set_state_validation_parameter("k", expression)
        stub.set_state_validation_parameter("raw", b"raw")
        return before, stub.get_state_validation_parameter("k"), stub.get_state_validation_parameter("raw")

    assert kit.run(body) == (None, compile_expression(expression), b"raw")


def test_an_error_of_the_peer_is_an_error_for_the_contract(kit: Any) -> None:
    for kind, body in {
        MessageType.GET_STATE: lambda stub: stub.get_state("k"),
        MessageType.PUT_STATE: lambda stub: stub.put_state("k", b"v"),
        MessageType.DEL_STATE: lambda stub: stub.del_state("k"),
        MessageType.GET_STATE_BY_RANGE: lambda stub: stub.get_state_by_range("", ""),
        MessageType.INVOKE_CHAINCODE: lambda stub: stub.invoke_chaincode("cc", []),
    }.items():
        peer = kit.FakePeer()
        peer.fail[kind] = f"{kind.name} failed: no ledger context"
        with pytest.raises(PeerError, match="no ledger context") as caught:
            kit.run(body, peer)
        assert (caught.value.request, caught.value.text) == (kind.name, peer.fail[kind])


def test_an_undecodable_answer_is_an_error(kit: Any) -> None:
    peer = kit.FakePeer()
    peer.replace[MessageType.GET_STATE_BY_RANGE] = b"\xff"
    with pytest.raises(ProtocolError, match="QueryResponse"):
        kit.run(lambda stub: stub.get_state_by_range("", ""), peer)


def test_another_chaincode_is_called_by_name_and_channel(kit: Any) -> None:
    peer = kit.FakePeer()

    def callee(spec: Any) -> Any:
        response = wire.ResponseMessage(status=404, message="nothing", payload=b"p")
        return wire.ChaincodeMessage(type=MessageType.COMPLETED, payload=response.SerializeToString())

    peer.callee = callee
    body = lambda stub: (stub.invoke_chaincode("cc", ["f", b"\xff"], "other"), stub.invoke_chaincode("cc", []))  # noqa: E731
    assert kit.run(body, peer) == (Response(404, "nothing", b"p"), Response(404, "nothing", b"p"))
    with_channel, without = peer.sent(MessageType.INVOKE_CHAINCODE)
    assert (with_channel.chaincode_id.name, without.chaincode_id.name) == ("cc/other", "cc")
    assert list(with_channel.input.args) == [b"f", b"\xff"]


def test_a_callee_that_answers_with_an_error_is_an_error(kit: Any) -> None:
    with pytest.raises(PeerError, match="no such chaincode"):
        kit.run(lambda stub: stub.invoke_chaincode("cc", []))


def test_many_keys_travel_in_few_messages_when_the_peer_offers_it(kit: Any) -> None:
    peer = kit.FakePeer(OFFER)
    keys = [f"k{number}" for number in range(250)]
    peer.state = {("", key): key.encode() for key in keys[::2]}
    values = kit.run(lambda stub: stub.get_states(keys), peer)
    assert values == [key.encode() if number % 2 == 0 else None for number, key in enumerate(keys)]
    assert [len(request.keys) for request in peer.sent(MessageType.GET_STATE_MULTIPLE)] == [100, 100, 50]


def test_an_answer_with_too_few_values_is_not_mixed_up(kit: Any) -> None:
    peer = kit.FakePeer(OFFER)
    peer.replace[MessageType.GET_STATE_MULTIPLE] = b""
    with pytest.raises(ProtocolError, match="0 values for 2 keys"):
        kit.run(lambda stub: stub.get_states(["a", "b"]), peer)


def writes(stub: Any) -> None:
    stub.start_write_batch()
    stub.start_write_batch()
    for number in range(150):
        stub.put_state(f"k{number}", b"first")
    stub.put_state("k0", b"last")
    stub.del_state("k1")
    stub.set_state_validation_parameter("k0", b"policy")
    stub.purge_private_data("coll", "secret")
    stub.put_private_data("coll", "k0", b"private")


def test_writes_are_gathered_and_the_last_of_a_key_wins(kit: Any) -> None:
    peer = kit.FakePeer(OFFER)
    peer.state["coll", "secret"] = b"s"
    kit.run(writes, peer)
    batches = peer.sent(MessageType.WRITE_BATCH_STATE)
    assert [len(batch.rec) for batch in batches] == [100, 53]
    assert {kind for kind, _ in peer.requests} == {MessageType.WRITE_BATCH_STATE}
    assert peer.state["", "k0"] == b"last"
    assert ("", "k1") not in peer.state
    assert ("coll", "secret") not in peer.state
    assert peer.state["coll", "k0"] == b"private"
    assert peer.policies["", "k0"] == b"policy"


def test_without_an_offer_the_same_writes_go_one_by_one(kit: Any) -> None:
    peer = kit.FakePeer()
    peer.state["coll", "secret"] = b"s"
    kit.run(writes, peer)
    assert not peer.sent(MessageType.WRITE_BATCH_STATE)
    assert len(peer.requests) == 155
    assert peer.state["", "k0"] == b"last"
    assert peer.policies["", "k0"] == b"policy"


def test_a_batch_can_be_sent_early(kit: Any) -> None:
    peer = kit.FakePeer(OFFER)

    def body(stub: Any) -> None:
        stub.start_write_batch()
        stub.put_state("a", b"1")
        stub.finish_write_batch()
        stub.finish_write_batch()
        stub.put_state("b", b"2")

    kit.run(body, peer)
    assert [kind for kind, _ in peer.requests] == [MessageType.WRITE_BATCH_STATE, MessageType.PUT_STATE]
