# SPDX-License-Identifier: Apache-2.0
"""Batches over HTTP and a ledger in memory: what is taken, what is refused whole, and what is a command's own."""

import json
import time
from typing import Any

import pytest


def post(api: Any, body: Any, role: str = "operator", key: str | None = "k", **headers: str) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {} if key is None else {"Idempotency-Key": key}
    answer = api.client.post(
        "/v1/batches", data=content, content_type="application/json", headers={**api.headers(role), **named, **headers}
    )
    return api.listed(answer)


def model(name: str, **more: Any) -> dict[str, Any]:
    return {"function": "model:register", "command": {"model": name, "title": "A model"}, **more}


def statuses(answer: Any) -> list[int]:
    return [each["status"] for each in answer.json["outcomes"]]


def test_each_command_has_the_answer_that_it_would_have_alone(api: Any) -> None:
    before = len(api.ledger.chain)
    answer = post(api, [model("net"), model("A net"), {"function": "nobody:knows", "command": {}}, model("tree")])
    assert answer.status_code == 200
    assert statuses(answer) == [201, 422, 422, 201]
    assert (answer.json["recorded"], answer.json["failed"], len(answer.json["transactions"])) == (2, 2, 1)
    first = answer.json["outcomes"][0]["result"]
    assert first["record"]["model"] == "net"
    assert first["transaction"] == {"id": answer.json["transactions"][0], "block": before}
    problem = answer.json["outcomes"][1]["result"]
    assert (problem["type"], problem["facts"]["pointer"]) == ("urn:pedigree:problem:invalid-field", "/model")
    assert answer.headers["Min-Ledger-Height"] == str(before + 1)
    found = api.get(f"/v1/transactions/{answer.json['transactions'][0]}").json
    assert [each["record"]["model"] for each in found["reply"]["outcomes"]] == ["net", "tree"]


def test_a_repeated_batch_is_answered_as_the_first_time(api: Any) -> None:
    first, again = post(api, [model("net")]), post(api, [model("net")])
    assert first.json == again.json
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert post(api, [model("other")]).json["code"] == "idempotency-key-reused"


def test_a_batch_that_prefers_it_is_answered_by_its_operation(api: Any) -> None:
    answer = post(api, [model("net"), model("A net")], Prefer="respond-async")
    assert answer.status_code == 202
    until = time.monotonic() + 30
    while (found := api.get(answer.headers["Location"], role="operator").json)["state"] == "pending":
        assert time.monotonic() < until
        time.sleep(0.02)
    assert (found["state"], found["status"]) == ("succeeded", 200)
    assert [each["status"] for each in found["result"]["outcomes"]] == [201, 422]


def test_a_command_above_the_role_of_the_caller_is_refused_and_noted(api: Any) -> None:
    answer = post(api, [model("net"), {"function": "endorsement:set-policy", "command": {}}], role="recorder")
    assert statuses(answer) == [201, 403]
    assert answer.json["outcomes"][1]["result"]["code"] == "role-too-low"
    assert post(api, [model("net")], role="reader", key="l").status_code == 403
    noted = api.get("/v1/audit", role="operator").json["items"]
    assert ("voteForPolicy", "role-too-low") in {(each["operation"], each["code"]) for each in noted}


@pytest.mark.parametrize(
    ("body", "status", "code", "pointer"),
    [
        (b"{", 400, "invalid-json", None),
        (b"", 400, "invalid-json", None),
        ({"commands": []}, 422, "invalid-field", ""),
        ([], 422, "invalid-field", ""),
        ([model("net")] * 1001, 422, "invalid-field", ""),
        ([7], 422, "invalid-field", "/0"),
        ([[model("nested")]], 422, "invalid-field", "/0"),
        ([model("net"), {"function": "model:register"}], 422, "missing-field", "/1/command"),
        ([{"command": {}}], 422, "missing-field", "/0/function"),
        ([model("net", more=1)], 422, "unknown-field", "/0/more"),
        ([{"function": 7, "command": {}}], 422, "invalid-field", "/0/function"),
        ([{"function": "model:register", "command": []}], 422, "invalid-field", "/0/command"),
        ([model("net", key="")], 422, "invalid-field", "/0/key"),
        ([model("net", key="a b")], 422, "invalid-field", "/0/key"),
        ([model("net", key="k" * 201)], 422, "invalid-field", "/0/key"),
        (b'[{"function": "model:register", "command": {"title": 1.5}}]', 400, "float-refused", "/0/command/title"),
        (b"[" * 100 + b"]" * 100, 400, "too-deep", None),
    ],
)
def test_what_is_no_batch_is_refused_whole(api: Any, body: Any, status: int, code: str, pointer: str | None) -> None:
    before = len(api.ledger.chain)
    answer = post(api, body)
    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert answer.json["facts"].get("pointer") == pointer
    assert len(api.ledger.chain) == before


def test_a_batch_in_a_batch_is_no_command(api: Any) -> None:
    inner = {"function": "batch:record", "command": {"commands": [model("net")]}}
    assert statuses(post(api, [inner, model("net")])) == [422, 201]


def test_one_huge_command_is_refused_with_its_batch(api: Any) -> None:
    huge = {"function": "model:register", "command": {"model": "net", "title": "x" * (4 << 20)}}
    answer = post(api, [huge, model("tree")])
    assert (answer.status_code, answer.json["code"]) == (413, "body-too-large")
    large = {"function": "model:register", "command": {"model": "net", "title": "x" * 5_000}}
    assert statuses(post(api, [large, model("tree")])) == [422, 201]


def test_a_batch_needs_its_key_and_its_media_type(api: Any) -> None:
    assert post(api, [model("net")], key=None).json["code"] == "idempotency-key-missing"
    answer = api.client.post("/v1/batches", data=b"[]", content_type="text/csv", headers=api.headers("operator"))
    assert answer.status_code in (400, 415)
