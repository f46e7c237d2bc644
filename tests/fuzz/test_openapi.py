# SPDX-License-Identifier: Apache-2.0
"""Calls that the OpenAPI document describes, made up by schemathesis: none fails, and each refusal is a listed one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

if TYPE_CHECKING:
    from fuzz.conftest import Fuzzing

SHORTEST = 10
schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed: no calls are made up")


def ask(operation: Any, key: str, most: int) -> int:
    """Make up to `most` calls of one operation; how many."""
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

    asked = 0

    @given(case=operation.as_strategy())
    @settings(
        max_examples=most,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def call(case: Any) -> None:
        nonlocal asked
        asked += 1
        case.headers.pop("Min-Ledger-Height", None)  # a block that does not exist yet is 503 `behind`, as documented
        response = case.call(headers={"Authorization": f"Bearer {key}"}, timeout=60)
        # What the ledger in memory makes of a command is no whole record; refusals are as the gateway gives them.
        refused = [response_schema_conformance] if response.status_code >= 400 else []
        case.validate_response(response, checks=[not_a_server_error, content_type_conformance, *refused])
        if refused:
            described = operation.definition.raw["responses"][str(response.status_code)]
            assert response.json()["code"] in described["x-problem-codes"]

    call()
    return asked


@pytest.mark.timeout(0)
def test_calls_that_the_document_describes_are_answered_as_it_says(
    start_memory_gateway: Callable[..., Any], fuzzing: Fuzzing
) -> None:
    if fuzzing.seconds < SHORTEST:
        pytest.skip(f"NOT RUN: making calls up takes a while; give --fuzz-seconds {SHORTEST} or more")
    gateway = start_memory_gateway(in_flight=64)
    schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{gateway.port}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    # Making a call up takes longer than answering it: about a tenth of a second where the body has many fields.
    most = max(2, int(fuzzing.seconds / 3))
    asked = [ask(operation, gateway.keys["operator"], most) for operation in operations]
    assert len(asked) > 30
    assert all(asked)
    assert gateway.failures() == ""
