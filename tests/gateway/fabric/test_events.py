# SPDX-License-Identifier: Apache-2.0
"""Chaincode events and blocks: where streams begin, resume and end, and how they fail."""

from __future__ import annotations

import threading

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from gateway.fabric import (
    DeliverError,
    Gateway,
    GatewayError,
    InMemoryCheckpointer,
    MalformedData,
    SigningError,
    UntrustedResponse,
    wire,
)

CODE = grpc.StatusCode


def response(number, *transaction_ids, chaincode="pedigree"):
    message = wire.gateway.ChaincodeEventsResponse(block_number=number)
    for index, transaction_id in enumerate(transaction_ids):
        message.events.add(chaincode_id=chaincode, tx_id=transaction_id, event_name=f"E{index}", payload=b"p")
    return message


@pytest.fixture
def events_stage(stage):
    stage.peer.event_responses = [response(3, "a", "b", "c"), response(5, "d")]
    stage.peer.ends = True
    return stage


def ids_of(stream):
    """The transaction ids up to the end that the fake peer makes."""
    with stream as events:
        return [event.transaction_id for event in events]


def test_events_come_whole_and_in_order(events_stage):
    with events_stage.network.chaincode_events("pedigree", start_block=0) as events:
        first = next(events)
    assert (first.block_number, first.transaction_id, first.chaincode_name) == (3, "a", "pedigree")
    assert (first.event_name, first.payload) == ("E0", b"p")


def test_streams_begin_with_the_next_block_by_default(events_stage):
    assert ids_of(events_stage.network.chaincode_events("pedigree")) == ["a", "b", "c", "d"]
    asked = wire.gateway.ChaincodeEventsRequest.FromString(events_stage.peer.requests[0].request)
    assert asked.start_position.WhichOneof("Type") == "next_commit"


def test_a_start_block_is_kept_and_a_checkpoint_comes_before_it(events_stage):
    network = events_stage.network
    assert ids_of(network.chaincode_events("pedigree", start_block=4)) == ["d"]
    assert ids_of(network.chaincode_events("pedigree", start_block=4, checkpoint=InMemoryCheckpointer())) == ["d"]
    assert ids_of(network.chaincode_events("pedigree", start_block=4, checkpoint=InMemoryCheckpointer(2))) == [
        "a",
        "b",
        "c",
        "d",
    ]


@pytest.mark.parametrize(
    ("transaction_id", "rest"),
    [
        ("a", ["b", "c", "d"]),
        ("c", ["d"]),
        # A transaction without an event: Fabric's own resume would wait for it for ever.
        ("without-event", ["a", "b", "c", "d"]),
    ],
)
def test_resuming_after_a_transaction_cannot_stall(events_stage, transaction_id, rest):
    checkpoint = InMemoryCheckpointer()
    checkpoint.checkpoint_transaction(3, transaction_id)
    assert ids_of(events_stage.network.chaincode_events("pedigree", checkpoint=checkpoint)) == rest
    asked = wire.gateway.ChaincodeEventsRequest.FromString(events_stage.peer.requests[0].request)
    assert asked.after_transaction_id == ""
    assert asked.start_position.specified.number == 3


def test_each_event_can_be_the_checkpoint_of_the_next_listener(events_stage):
    checkpoint = InMemoryCheckpointer()
    seen = []
    for _ in range(4):
        with events_stage.network.chaincode_events("pedigree", start_block=0, checkpoint=checkpoint) as events:
            event = next(events)
            seen.append(event.transaction_id)
            checkpoint.checkpoint_chaincode_event(event)
    assert seen == ["a", "b", "c", "d"]


def test_an_event_of_another_chaincode_is_refused(events_stage):
    events_stage.peer.event_responses = [response(3, "a", chaincode="other")]
    with pytest.raises(UntrustedResponse, match="chaincode-mismatch"):
        ids_of(events_stage.network.chaincode_events("pedigree", start_block=0))


def test_a_failing_event_stream_is_a_gateway_error(events_stage, fail):
    events_stage.peer.failures["ChaincodeEvents"] = fail(CODE.PERMISSION_DENIED, "no", ("p:1", "LabMSP", "why"))
    with events_stage.network.chaincode_events("pedigree") as events, pytest.raises(GatewayError) as caught:
        next(events)
    assert caught.value.code is CODE.PERMISSION_DENIED
    assert caught.value.details[0].message == "why"


def test_closing_from_another_thread_ends_the_iteration(stage):
    events = stage.network.chaincode_events("pedigree")
    timer = threading.Timer(0.2, events.close)
    timer.start()
    assert list(events) == []
    timer.join()
    events.close()


def test_event_requests_can_be_signed_elsewhere(events_stage):
    person = events_stage.world.client
    gateway = Gateway(events_stage.connection, person.identity, trust=events_stage.world.trust())
    checkpoint = InMemoryCheckpointer(3, "b")
    unsigned = gateway.network("pedigree").new_chaincode_events_request("pedigree", checkpoint=checkpoint)
    with pytest.raises(SigningError):
        unsigned.events()
    signature = person.signer(unsigned.digest)
    signed = gateway.new_signed_chaincode_events_request(unsigned.bytes, signature, checkpoint=checkpoint)
    assert ids_of(signed.events()) == ["c", "d"]
    assert ids_of(gateway.new_chaincode_events_request(signed.bytes).events()) == ["a", "b", "c", "d"]
    with pytest.raises(MalformedData):
        gateway.new_chaincode_events_request(b"\xff")


KINDS = ["block", "filtered_block", "block_and_private_data"]


@pytest.mark.parametrize("kind", KINDS)
def test_block_requests_can_be_signed_elsewhere(stage, kind):
    person = stage.world.client
    gateway = Gateway(stage.connection, person.identity, trust=stage.world.trust())
    build = getattr(gateway.network("pedigree"), f"new_{kind}_events_request")
    unsigned = build(start_block=0, stop_block=0)
    with pytest.raises(SigningError):
        unsigned.events()
    signed = getattr(gateway, f"new_signed_{kind}_events_request")(unsigned.bytes, person.signer(unsigned.digest))
    rebuilt = getattr(gateway, f"new_{kind}_events_request")(signed.bytes)
    with rebuilt.events() as events:
        assert len(list(events)) == 1
    with pytest.raises(MalformedData):
        getattr(gateway, f"new_{kind}_events_request")(b"\xff")


@pytest.mark.parametrize("kind", KINDS)
def test_block_streams_go_on_with_new_blocks(stage, kind):
    with getattr(stage.network, f"{kind}_events")(start_block=0) as events:
        next(events)
        stage.contract.submit("write")
        following = next(events)
    numbers = {
        "block": lambda: following.header.number,
        "filtered_block": lambda: following.number,
        "block_and_private_data": lambda: following.block.header.number,
    }
    assert numbers[kind]() == 1


def test_a_block_stream_resumes_behind_its_checkpoint(stage):
    for _ in range(3):
        stage.contract.submit("write")
    checkpoint = InMemoryCheckpointer()
    with stage.network.block_events(start_block=0, checkpoint=checkpoint) as events:
        checkpoint.checkpoint_block(next(events).header.number)
        checkpoint.checkpoint_block(next(events).header.number)
    with stage.network.block_events(start_block=0, stop_block=3, checkpoint=checkpoint) as events:
        assert [block.header.number for block in events] == [2, 3]
    checkpoint.checkpoint_transaction(2, "in the middle")
    with stage.network.block_events(stop_block=3, checkpoint=checkpoint) as events:
        assert [block.header.number for block in events] == [2, 3]


def test_by_default_only_new_blocks_come(stage):
    stage.contract.submit("write")
    with stage.network.block_events(stop_block=2) as events:
        stage.peer.wait = threading.Timer(0.2, lambda: stage.contract.submit("write"))
        stage.peer.wait.start()
        assert [block.header.number for block in events] == [2]
        stage.peer.wait.join()


@pytest.mark.parametrize(
    ("status", "code", "name"),
    [
        (404, CODE.NOT_FOUND, "NOT_FOUND"),
        (403, CODE.PERMISSION_DENIED, "FORBIDDEN"),
        (400, CODE.INVALID_ARGUMENT, "BAD_REQUEST"),
        (0, CODE.UNKNOWN, "unknown"),
    ],
)
def test_a_status_other_than_success_is_a_deliver_error(stage, status, code, name):
    stage.peer.deliver_answers = [wire.events.DeliverResponse(status=status)]
    with stage.network.block_events() as events, pytest.raises(DeliverError) as caught:
        next(events)
    assert (caught.value.status, caught.value.code) == (status, code)
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("answers", "code"),
    [([], CODE.UNAVAILABLE), ([wire.events.DeliverResponse(block=wire.common.Block())], CODE.INTERNAL)],
)
def test_a_stream_that_breaks_off_or_changes_its_kind_is_no_end(stage, answers, code):
    stage.peer.deliver_answers = answers
    with stage.network.filtered_block_events() as events, pytest.raises(DeliverError) as caught:
        next(events)
    assert caught.value.code is code


def test_a_stream_can_have_a_deadline(stage):
    request = stage.network.new_block_events_request()
    with request.events(timeout=0.2) as events, pytest.raises(GatewayError) as caught:
        next(events)
    assert caught.value.code is CODE.DEADLINE_EXCEEDED


def test_block_numbers_make_sense(stage):
    with pytest.raises(ValueError, match="negative"):
        stage.network.block_events(start_block=-1)
    with pytest.raises(ValueError, match="before"):
        stage.network.block_events(start_block=3, stop_block=2)


def test_deliver_requests_carry_the_hash_of_the_tls_client_certificate(stage):
    gateway = stage.connect_as(stage.world.client, tls_client_certificate_hash=b"h" * 32)
    request = gateway.network("pedigree").new_block_events_request()
    payload = wire.common.Payload.FromString(wire.common.Envelope.FromString(request.bytes).payload)
    header = wire.common.ChannelHeader.FromString(payload.header.channel_header)
    assert header.tls_cert_hash == b"h" * 32
    assert header.type == wire.common.DELIVER_SEEK_INFO
    creator = wire.common.SignatureHeader.FromString(payload.header.signature_header)
    assert creator.nonce == b""
    assert x509.load_pem_x509_certificate(
        wire.identities.SerializedIdentity.FromString(creator.creator).id_bytes
    ).fingerprint(hashes.SHA256()) == stage.world.client.certificate.fingerprint(hashes.SHA256())
