# SPDX-License-Identifier: Apache-2.0
"""What a gateway refused, over HTTP: an entry for each refusal before it is answered, without the caller's words."""

import json
import time
from typing import Any

import pytest

from chaincode.domain import merkle
from gateway.services.auditlog import BURST
from gateway.services.ports import Refused, Unavailable
from gateway.services.secret import Secret

TOKEN = "s3cret-token"
MODEL = {"model": "net", "title": "Patient Ada Lovelace"}


def listed(api: Any, query: str = "") -> list[Any]:
    items: list[Any] = api.get(f"/v1/audit{query}", role="operator").json["items"]
    return items


def last(api: Any) -> Any:
    return listed(api)[0]


def refuse_key(api: Any) -> Any:
    return api.client.get("/v1/models", headers={"Authorization": f"Bearer nobody.{TOKEN}"})


def refuse_role(api: Any) -> Any:
    return api.post("/v1/models", MODEL, role="reader")


def refuse_body(api: Any) -> Any:
    return api.post("/v1/models", {**MODEL, "surprise": TOKEN}, role="recorder")


def refuse_json(api: Any) -> Any:
    return api.client.post(
        "/v1/models", data=b'{"model": "' + TOKEN.encode(),
        headers=api.headers("recorder", Idempotency_Key="k", Content_Type="application/json"),
    )  # fmt: skip


def refuse_key_of_idempotency(api: Any) -> Any:
    return api.post("/v1/models", MODEL, role="recorder", key=None)


def refuse_by_the_law(api: Any) -> Any:
    api.ledger.refusal = Refused("'model:net' already exists.", code="already-exists", reference="model:net")
    try:
        return api.post("/v1/models", MODEL, role="recorder")
    finally:
        api.ledger.refusal = None


def fail_at_the_peer(api: Any) -> Any:
    api.ledger.refusal = Unavailable("no peer answers", code="peer-unavailable")
    try:
        return api.post("/v1/models", MODEL, role="recorder")
    finally:
        api.ledger.refusal = None


def refuse_parameter(api: Any) -> Any:
    return api.get(f"/v1/models?{TOKEN}=1")


def refuse_path(api: Any) -> Any:
    return api.client.get(f"/v1/{TOKEN}", headers=api.headers(None))


@pytest.mark.parametrize(
    ("attempt", "role", "operation", "outcome", "code", "target"),
    [
        (refuse_key, None, "listModels", "refused", "unauthenticated", None),
        (refuse_role, "reader", "registerModel", "refused", "role-too-low", None),
        (refuse_body, "recorder", "registerModel", "refused", "unknown-field", "model:net"),
        (refuse_json, "recorder", "registerModel", "refused", "invalid-json", None),
        (refuse_key_of_idempotency, "recorder", "registerModel", "refused", "idempotency-key-missing", None),
        (refuse_by_the_law, "recorder", "registerModel", "refused", "already-exists", "model:net"),
        (fail_at_the_peer, "recorder", "registerModel", "failed", "peer-unavailable", "model:net"),
        (refuse_parameter, "reader", "listModels", "refused", "unknown-parameter", None),
        (refuse_path, None, None, "refused", "no-such-path", None),
    ],
)
def test_a_refusal_is_in_the_log_before_it_is_answered(
    api: Any, attempt: Any, role: str | None, operation: str | None, outcome: str, code: str, target: str | None
) -> None:
    answer = attempt(api)
    assert answer.json["code"] == code
    entry = last(api)
    client = entry.pop("client")
    assert (client and client["name"]) == role
    assert (entry["operation"], entry["outcome"], entry["code"], entry["target"]) == (operation, outcome, code, target)
    assert entry["request"] == answer.headers["Request-Id"]
    assert entry["count"] == 1
    exported = api.get("/v1/audit/export", role="operator").text
    for private in (TOKEN, "Ada", "Lovelace", *api.keys.values()):
        assert private not in exported


def test_the_client_is_the_one_that_the_ledger_names(api: Any) -> None:
    made = api.post("/v1/models", MODEL, role="recorder")
    refuse_by_the_law(api)
    shown = api.get(f"/v1/transactions/{made.json['transaction']['id']}").json
    assert last(api)["client"] == shown["client"]
    assert len(shown["client"]["id"]) == len(Secret(b"x").acting("client"))


def test_what_a_reader_does_not_find_was_not_refused(api: Any) -> None:
    assert api.get("/v1/models/missing").status_code == 404
    assert api.get("/v1/models").status_code == 200
    assert listed(api) == []


def test_what_fails_after_its_answer_is_in_the_log(api: Any) -> None:
    api.ledger.refusal = Refused("'model:net' already exists.", code="already-exists", reference="model:net")
    promised = api.post("/v1/models", MODEL, role="recorder", Prefer="respond-async")
    assert promised.status_code == 202
    deadline = time.monotonic() + 10
    while not listed(api):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    entry = last(api)
    assert (entry["operation"], entry["code"]) == ("registerModel", "already-exists")
    assert entry["request"] == promised.json["operation"]
    assert entry["client"]["name"] == "recorder"


def test_the_log_is_for_operators(api: Any) -> None:
    for path in ("/v1/audit", "/v1/audit/1", "/v1/audit/export"):
        assert api.get(path, role="endorser").json["code"] == "role-too-low"
    assert api.get("/v1/audit/anchors", role="reader").status_code == 200


def test_an_anchor_is_made_now_and_proves_entries(api: Any) -> None:
    assert api.post("/v1/audit/anchors", {}).json["code"] == "nothing-to-anchor"
    made = api.post("/v1/audit/anchors", {}, key="mine")
    assert made.status_code == 201
    record = made.json["record"]
    assert (record["size"], record["number"]) == (1, 1)
    again = api.post("/v1/audit/anchors", {}, key="mine")
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json == made.json
    proof = api.get("/v1/audit/1", role="operator").json
    assert proof["anchor"]["transaction"] == made.json["transaction"]["id"]
    assert merkle.leaf_hash(proof["content"].encode()).hex() == proof["hash"] == record["root"] == record["log"]
    anchors = api.get("/v1/audit/anchors", Min_Ledger_Height=str(made.json["transaction"]["block"] + 1)).json["items"]
    assert [each["record"]["root"] for each in anchors] == [record["root"]]
    assert api.get("/v1/audit/99", role="operator").json["code"] == "no-such-entry"
    assert api.get("/v1/audit/x", role="operator").json["code"] == "no-such-path"


def test_a_gateway_that_stops_anchors_what_is_new(api: Any) -> None:
    refuse_role(api)
    api.service.stop()
    commands = [json.loads(each) for each in api.ledger.commands.values()]
    assert [each["size"] for each in commands if each["kind"] == "anchor-audit"] == [1]


def test_a_flood_under_one_key_hides_nobody_else(api: Any) -> None:
    for _ in range(BURST + 20):
        refuse_key(api)
    refuse_role(api)
    assert last(api)["code"] == "role-too-low"
    assert api.get("/v1/audit", role="operator").json["size"] == BURST + 1
