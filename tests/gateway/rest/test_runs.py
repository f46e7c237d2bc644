# SPDX-License-Identifier: Apache-2.0
"""Training runs over HTTP: what is signed when, and what a run without a signature answers."""

import base64
import json
from typing import Any

import pytest
from recordkeys import written

RUN = {
    "run": "r-1",
    "code": {"digest": "11" * 32},
    "environment": {"digest": "22" * 32},
    "started": 0,
    "finished": 1,
    "parents": ["model-version:net:1"],
}
NET = {"kind": "model-version", "model": "net", "number": 1, "owner": "LabMSP", "digest": "33" * 32}


def put(api: Any, record: dict[str, Any]) -> None:
    number = len(api.ledger.chain)
    api.ledger.append(f"{number:064x}", {}, [written(record)])
    assert api.get("/v1/ledger", Min_Ledger_Height=str(number + 1)).status_code == 200


def test_a_run_is_signed_over_what_it_began_from(api: Any) -> None:
    put(api, NET)
    answer = api.post("/v1/runs", RUN)
    assert answer.status_code == 201, answer.json
    (command,) = api.ledger.commands.values()
    signature = json.loads(command)["signature"]
    assert base64.b64decode(signature["sig"])
    assert set(signature) == {"sig", "keyid", "genesis"}


def test_a_signature_that_is_given_is_taken(api: Any) -> None:
    put(api, NET)
    assert api.post("/v1/runs", {**RUN, "signature": {"sig": "AAAA"}}).status_code == 201
    (command,) = api.ledger.commands.values()
    assert json.loads(command)["signature"] == {"sig": "AAAA"}


def test_a_parent_that_is_nowhere_is_refused_before_anything_is_signed(api: Any) -> None:
    answer = api.post("/v1/runs", RUN)
    assert (answer.status_code, answer.json["code"]) == (404, "parent-missing")
    assert not api.ledger.commands


def test_what_is_wrong_with_a_run_is_said_before_it_is_signed(api: Any) -> None:
    answer = api.post("/v1/runs", {**RUN, "code": {"digest": "x"}})
    assert (answer.status_code, answer.json["code"]) == (422, "invalid-field")
    assert "/code/digest" in answer.json["detail"]


@pytest.mark.parametrize("source", ["read-model", "ledger"])
def test_a_run_from_before_runs_were_signed_has_no_statement(api: Any, source: str) -> None:
    old = {"kind": "training-run", "schema": 1, **RUN, "owner": "LabMSP", "recorded_at": 2, "inputs": [],
           "parameters": [], "metrics": [], "note": "old"}  # fmt: skip
    put(api, old)
    answer = api.get(f"/v1/runs/r-1/statement?from={source}")
    assert (answer.status_code, answer.json["code"]) == (404, "run-not-signed")
    assert api.get("/v1/runs/r-2/statement").json["code"] == "not-found"
