# SPDX-License-Identifier: Apache-2.0
"""Submit and CommitStatus (G-23 to G-25)."""

import asyncio
from typing import Any

import grpc
import pytest
from fabric_protos.common import common_pb2
from fabric_protos.gateway import gateway_pb2

from network.embedded.channel import ChannelClosed

StatusCode = grpc.StatusCode


def _submit(world: Any, request: Any, remaining: float | None = None) -> Any:
    return asyncio.run(world.gateway.Submit(request, world.context(remaining)))


def _prepared(channel: str = "pedigree") -> Any:
    envelope = common_pb2.Envelope(payload=b"payload", signature=b"signature")
    return gateway_pb2.SubmitRequest(channel_id=channel, prepared_transaction=envelope)


def test_submit_hands_the_envelope_to_the_orderer(world: Any) -> None:
    assert _submit(world, _prepared()) == gateway_pb2.SubmitResponse()
    assert world.channel.orderer.received == [_prepared().prepared_transaction]


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        (gateway_pb2.SubmitRequest(), StatusCode.INVALID_ARGUMENT, "a prepared transaction is required"),
        (
            gateway_pb2.SubmitRequest(prepared_transaction=common_pb2.Envelope(payload=b"p")),
            StatusCode.INVALID_ARGUMENT,
            "prepared transaction must be signed",
        ),
    ],
)
def test_submit_wants_a_signed_transaction(world: Any, request_: Any, code: Any, message: str) -> None:
    refusal = world.refused(lambda: _submit(world, request_))
    assert (refusal.code, refusal.message) == (code, message)
    assert world.refused(lambda: _submit(world, _prepared("nowhere"))).code is StatusCode.FAILED_PRECONDITION


def test_what_the_orderer_refuses_is_told(world: Any) -> None:
    world.channel.orderer.status, world.channel.orderer.info = 403, "permission denied"
    refusal = world.refused(lambda: _submit(world, _prepared()))
    assert refusal.code is StatusCode.ABORTED
    assert refusal.message == ("received unsuccessful response from orderer: status=FORBIDDEN, info=permission denied")
    world.channel.orderer.status = 503
    refusal = world.refused(lambda: _submit(world, _prepared()))
    assert refusal.code is StatusCode.UNAVAILABLE
    assert refusal.message == "no orderers could successfully process transaction"


def test_a_deadline_while_ordering_is_told(world: Any) -> None:
    world.channel.orderer.delay = 30
    refusal = world.refused(lambda: _submit(world, _prepared(), 0.01))
    assert refusal.code is StatusCode.DEADLINE_EXCEEDED
    assert refusal.message == "submit timeout expired while broadcasting to ordering service"


# -- CommitStatus ------------------------------------------------------------------------------------------------------


def _ask(world: Any, request: Any) -> Any:
    return asyncio.run(world.gateway.CommitStatus(request, world.context()))


def _status_request(world: Any, who: str = "lab.client", **fields: Any) -> Any:
    signer = world.signers[who]
    values = {"channel_id": "pedigree", "transaction_id": "tx", "identity": signer.serialized} | fields
    raw = gateway_pb2.CommitStatusRequest(**values).SerializeToString()
    return gateway_pb2.SignedCommitStatusRequest(request=raw, signature=signer.sign(raw))


def test_commit_status_waits_for_the_block(world: Any) -> None:
    async def scenario() -> Any:
        future: asyncio.Future[tuple[int, int]] = asyncio.get_running_loop().create_future()
        world.channel.statuses["tx"] = future
        asking = asyncio.create_task(
            world.gateway.CommitStatus(_status_request(world, "hospital.peer"), world.context())
        )
        await asyncio.sleep(0.01)
        assert not asking.done()
        future.set_result((11, 2**40))
        return await asking

    answer = asyncio.run(scenario())
    assert (answer.result, answer.block_number) == (11, 2**40)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"identity": b""}, "no identity provided"),
        ({"channel_id": ""}, "no channel ID provided"),
        ({"transaction_id": ""}, "transaction ID should not be empty"),
    ],
)
def test_commit_status_wants_every_field(world: Any, fields: dict[str, Any], message: str) -> None:
    request = _status_request(world, **fields)
    refusal = world.refused(lambda: _ask(world, request))
    assert (refusal.code, refusal.message) == (StatusCode.INVALID_ARGUMENT, message)


def test_commit_status_wants_a_request(world: Any) -> None:
    for raw, message in ((b"", "a commit status request is required"), (b"\xff", "invalid status request: ")):
        request = gateway_pb2.SignedCommitStatusRequest(request=raw)
        refusal = world.refused(lambda request=request: _ask(world, request))
        assert refusal.code is StatusCode.INVALID_ARGUMENT
        assert refusal.message.startswith(message)


def test_commit_status_is_for_readers_who_signed(world: Any) -> None:
    forged = _status_request(world)
    forged.signature = world.signers["lab.client"].sign(b"other")
    stranger = _status_request(world, "orderer")
    nowhere = _status_request(world, channel_id="nowhere")
    for request in (forged, stranger, nowhere):
        refusal = world.refused(lambda request=request: _ask(world, request))
        assert refusal.code is StatusCode.PERMISSION_DENIED
    assert refusal.message == "Failed to get policy manager for channel [nowhere]"


def test_commit_status_ends_when_the_node_stops(world: Any) -> None:
    async def scenario() -> None:
        future: asyncio.Future[tuple[int, int]] = asyncio.get_running_loop().create_future()
        future.set_exception(ChannelClosed("the node stops"))
        world.channel.statuses["tx"] = future
        await world.gateway.CommitStatus(_status_request(world), world.context())

    assert world.refused(lambda: asyncio.run(scenario())).code is StatusCode.ABORTED
