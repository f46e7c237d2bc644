# SPDX-License-Identifier: Apache-2.0
"""Whatever bytes arrive, the answer is a status."""

import asyncio
from collections.abc import Awaitable
from typing import Any

from fabric_protos.common import common_pb2
from fabric_protos.gateway import gateway_pb2
from fabric_protos.peer import (
    proposal_pb2,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(max_size=120), signature=st.binary(max_size=20))
def test_rubbish_is_refused_with_a_status(world: Any, raw: bytes, signature: bytes) -> None:
    signed = proposal_pb2.SignedProposal(proposal_bytes=raw, signature=signature)
    gateway = world.gateway
    envelope = common_pb2.Envelope(payload=raw, signature=signature)

    async def listen(request: Any) -> None:
        async for _ in gateway.ChaincodeEvents(request, world.context()):
            pass

    calls: list[Awaitable[Any]] = [
        gateway.Evaluate(gateway_pb2.EvaluateRequest(proposed_transaction=signed), world.context()),
        gateway.Endorse(gateway_pb2.EndorseRequest(proposed_transaction=signed), world.context()),
        gateway.Submit(gateway_pb2.SubmitRequest(channel_id="x", prepared_transaction=envelope), world.context()),
        gateway.CommitStatus(gateway_pb2.SignedCommitStatusRequest(request=raw, signature=signature), world.context()),
        listen(gateway_pb2.SignedChaincodeEventsRequest(request=raw, signature=signature)),
    ]

    async def all_calls() -> list[Any]:
        return await asyncio.gather(*calls, return_exceptions=True)

    assert {type(answer).__name__ for answer in asyncio.run(all_calls())} == {"Aborted"}
