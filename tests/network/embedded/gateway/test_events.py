# SPDX-License-Identifier: Apache-2.0
"""ChaincodeEvents: what is sent, from where, and to whom (G-27 to G-31)."""

import asyncio
import hashlib
from typing import Any

import grpc
import pytest
from fabric_protos.common import common_pb2
from fabric_protos.gateway import gateway_pb2
from fabric_protos.orderer import ab_pb2
from fabric_protos.peer import (
    chaincode_event_pb2,
    chaincode_pb2,
    proposal_pb2,
    proposal_response_pb2,
    transaction_pb2,
)

from network.embedded.entries import TransactionPlace

StatusCode = grpc.StatusCode


def _block(number: int, *events: tuple[str, str, str, int]) -> Any:
    """A block of transactions (id, chaincode, event name, validation code)."""
    data = [_event_transaction(*event[:3]) for event in events]
    flags = bytes(code for *_, code in events)
    return common_pb2.Block(
        header=common_pb2.BlockHeader(number=number),
        data=common_pb2.BlockData(data=data),
        metadata=common_pb2.BlockMetadata(metadata=[b"", b"", flags, b"", b""]),
    )


def _event_transaction(label: str, chaincode: str, name: str) -> bytes:
    nonce, creator = label.encode(), b"creator"
    transaction_id = hashlib.sha256(nonce + creator).hexdigest()
    identifier = chaincode_pb2.ChaincodeID(name=chaincode, version="1")
    channel_header = common_pb2.ChannelHeader(
        type=3,
        channel_id="pedigree",
        tx_id=transaction_id,
        extension=proposal_pb2.ChaincodeHeaderExtension(chaincode_id=identifier).SerializeToString(),
    ).SerializeToString()
    signature_header = common_pb2.SignatureHeader(creator=creator, nonce=nonce).SerializeToString()
    event = chaincode_event_pb2.ChaincodeEvent(
        chaincode_id=chaincode, tx_id=transaction_id, event_name=name, payload=label.encode()
    )
    action = proposal_pb2.ChaincodeAction(
        events=event.SerializeToString() if name else b"", chaincode_id=identifier
    ).SerializeToString()
    proposal_payload = b"input"
    digest = hashlib.sha256(channel_header + signature_header + proposal_payload).digest()
    response = proposal_response_pb2.ProposalResponsePayload(proposal_hash=digest, extension=action)
    body = transaction_pb2.ChaincodeActionPayload(
        chaincode_proposal_payload=proposal_payload,
        action=transaction_pb2.ChaincodeEndorsedAction(proposal_response_payload=response.SerializeToString()),
    )
    transaction = transaction_pb2.Transaction(
        actions=[transaction_pb2.TransactionAction(header=signature_header, payload=body.SerializeToString())]
    )
    payload = common_pb2.Payload(
        header=common_pb2.Header(channel_header=channel_header, signature_header=signature_header),
        data=transaction.SerializeToString(),
    )
    encoded: bytes = common_pb2.Envelope(payload=payload.SerializeToString()).SerializeToString()
    return encoded


def _transaction_id(label: str) -> str:
    return hashlib.sha256(label.encode() + b"creator").hexdigest()


def _events(world: Any, who: str = "lab.client", **fields: Any) -> list[tuple[int, list[str]]]:
    """Blocks and labels until the fake ledger is at its end."""
    signer = world.signers[who]
    values = {"channel_id": "pedigree", "chaincode_id": "cc", "identity": signer.serialized} | fields
    raw = gateway_pb2.ChaincodeEventsRequest(**values).SerializeToString()
    request = gateway_pb2.SignedChaincodeEventsRequest(request=raw, signature=signer.sign(raw))
    found: list[tuple[int, list[str]]] = []
    context = world.context()

    async def listen() -> None:
        async for answer in world.gateway.ChaincodeEvents(request, context):
            labels = [event.payload.decode() for event in answer.events]
            found.append((answer.block_number, labels))

    refusal = world.refused(lambda: asyncio.run(listen()))
    if world.channel.closed:
        assert (refusal.code, context.started) == (StatusCode.ABORTED, True)
        return found
    raise refusal


@pytest.fixture
def eventful(world: Any) -> Any:
    world.channel.stored = [
        _block(0),
        _block(1, ("a", "cc", "E", 0), ("b", "cc", "E", 11), ("c", "other", "E", 0), ("d", "cc", "E", 0)),
        _block(2, ("e", "cc", "", 0)),
        _block(3, ("f", "cc", "E", 0)),
    ]
    world.channel.store.height = 3
    for label, number in (("a", 1), ("c", 1), ("e", 2)):
        world.channel.store.places[_transaction_id(label)] = TransactionPlace(number, 0, 0)
    return world


def _specified(number: int) -> Any:
    return ab_pb2.SeekPosition(specified=ab_pb2.SeekSpecified(number=number))


def test_events_of_valid_transactions_come_block_by_block(eventful: Any) -> None:
    assert _events(eventful, start_position=_specified(0)) == [(1, ["a", "d"]), (3, ["f"])]


def test_events_begin_with_the_next_block_by_default(eventful: Any) -> None:
    assert _events(eventful) == [(3, ["f"])]
    assert _events(eventful, start_position=ab_pb2.SeekPosition(next_commit=ab_pb2.SeekNextCommit())) == [(3, ["f"])]


def test_a_checkpoint_skips_up_to_its_transaction(eventful: Any) -> None:
    after = _transaction_id("a")
    assert _events(eventful, after_transaction_id=after) == [(1, ["d"]), (3, ["f"])]
    assert _events(eventful, after_transaction_id=_transaction_id("c")) == [(1, ["d"]), (3, ["f"])]


def test_a_checkpoint_whose_transaction_had_no_event_stalls_as_in_fabric(eventful: Any) -> None:
    assert _events(eventful, after_transaction_id=_transaction_id("e")) == []


def test_an_unknown_checkpoint_begins_at_the_start_position(eventful: Any) -> None:
    assert _events(eventful, after_transaction_id="unknown", start_position=_specified(0)) == []


@pytest.mark.parametrize("position", ["oldest", "newest"])
def test_other_start_positions_are_refused(eventful: Any, position: str) -> None:
    kind = {"oldest": ab_pb2.SeekOldest, "newest": ab_pb2.SeekNewest}[position]
    refusal = eventful.refused(lambda: _events(eventful, start_position=ab_pb2.SeekPosition(**{position: kind()})))
    assert refusal.code is StatusCode.INVALID_ARGUMENT
    assert refusal.message.startswith("invalid start position type: ")


def test_events_are_for_readers(eventful: Any) -> None:
    assert eventful.refused(lambda: _events(eventful, "orderer")).code is StatusCode.PERMISSION_DENIED
    refusal = eventful.refused(lambda: _events(eventful, channel_id="nowhere"))
    assert refusal.code is StatusCode.PERMISSION_DENIED


def test_events_want_a_request(world: Any) -> None:
    async def listen(raw: bytes) -> None:
        request = gateway_pb2.SignedChaincodeEventsRequest(request=raw)
        async for _ in world.gateway.ChaincodeEvents(request, world.context()):
            pass

    for raw, message in (
        (b"", "a chaincode events request is required"),
        (b"\xff", "invalid chaincode events request: "),
    ):
        refusal = world.refused(lambda raw=raw: asyncio.run(listen(raw)))
        assert refusal.code is StatusCode.INVALID_ARGUMENT
        assert refusal.message.startswith(message)
