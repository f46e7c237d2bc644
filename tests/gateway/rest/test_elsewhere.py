# SPDX-License-Identifier: Apache-2.0
"""Transactions that are signed elsewhere, over HTTP and a ledger in memory: every step, and what each refuses."""

import base64
import json
import time
from typing import Any

import pytest

from gateway.services import elsewhere as module
from gateway.services.ports import Unavailable

MEDIA_TYPE = "application/vnd.pedigree.transaction+json"
GOOD = base64.b64encode(b"good").decode()
ASKED = {
    "function": "model:register",
    "command": {"model": "net", "title": "A network"},
    "certificate": "PEM",
    "key": "k",
}


def step(api: Any, name: str, document: Any, role: str = "operator") -> Any:
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    headers = api.headers(role)
    answer = api.client.post(f"/v1/transactions/{name}", data=content, content_type=MEDIA_TYPE, headers=headers)
    return api.listed(answer)


def ok(api: Any, name: str, document: Any) -> Any:
    answer = step(api, name, document)
    assert answer.status_code == 200, answer.json
    return answer.json


def endorsed(api: Any, **asked: Any) -> Any:
    prepared = ok(api, "prepare", {**ASKED, **asked})
    return ok(api, "endorse", {**prepared, "signature": GOOD})


def test_a_transaction_is_prepared_endorsed_and_submitted_once(api: Any) -> None:
    prepared = ok(api, "prepare", ASKED)
    assert (prepared["stage"], prepared["reply"]) == ("proposal", None)
    made = ok(api, "endorse", {**prepared, "signature": GOOD})
    assert (made["stage"], made["transaction_id"]) == ("transaction", prepared["transaction_id"])
    assert made["reply"]["record"]["model"] == "net"
    before = len(api.ledger.chain)
    first = ok(api, "submit", {**made, "signature": GOOD})
    assert first["state"] == "succeeded"
    assert first["result"]["transaction"] == {"id": prepared["transaction_id"], "block": before}
    again = step(api, "submit", {**made, "signature": GOOD})
    assert again.json["result"] == first["result"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(api.ledger.chain) == before + 1
    assert api.get(f"/v1/operations/{first['operation']}", role="operator").json["state"] == "succeeded"


def test_a_refused_envelope_is_sent_again_when_it_is_submitted_again(api: Any) -> None:
    made = {**endorsed(api), "signature": GOOD}
    api.ledger.unsent = Unavailable("no orderer is there", code="not-ordered")
    failed = step(api, "submit", made)
    assert (failed.status_code, failed.json["code"]) == (503, "not-ordered")
    api.ledger.unsent = None
    assert ok(api, "submit", made)["state"] == "succeeded"


def test_the_same_key_names_one_request(api: Any) -> None:
    ok(api, "submit", {**endorsed(api), "signature": GOOD})
    other = endorsed(api, command={"model": "tree", "title": "A tree"})
    refused = step(api, "submit", {**other, "signature": GOOD})
    assert (refused.status_code, refused.json["code"]) == (422, "idempotency-key-reused")


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"content": "AAAA"}, "not-prepared-here"),
        ({"key": "other"}, "not-prepared-here"),
        ({"seal": "0" * 64}, "not-prepared-here"),
        ({"seal": 5}, "not-prepared-here"),
        ({"seal": "\ud800"}, "invalid-field"),
        ({"more": 1}, "not-prepared-here"),
        ({"signature": None}, "missing-field"),
        ({"signature": 5}, "invalid-field"),
        ({"signature": "!"}, "invalid-field"),
        ({"signature": "A" * 2_000}, "invalid-field"),
        ({"signature": base64.b64encode(b"bad").decode()}, "bad-signature"),
        ({"function": "model:paint"}, "invalid-field"),
        ({"function": 5}, "invalid-field"),
    ],
)
def test_what_was_not_prepared_here_is_refused(api: Any, changed: dict[str, Any], code: str) -> None:
    prepared = {**ok(api, "prepare", ASKED), "signature": GOOD}
    before = len(api.ledger.chain)
    for name, document in (("endorse", prepared), ("submit", {**endorsed(api), "signature": GOOD})):
        refused = step(api, name, {**document, **changed})
        assert refused.status_code >= 400
        assert refused.json["code"] == code
    assert len(api.ledger.chain) == before


def test_each_step_takes_what_the_one_before_it_made(api: Any) -> None:
    prepared = {**ok(api, "prepare", ASKED), "signature": GOOD}
    assert step(api, "submit", prepared).json["code"] == "not-prepared-here"
    made = {**ok(api, "endorse", prepared), "signature": GOOD}
    assert step(api, "endorse", made).json["code"] == "not-prepared-here"
    assert step(api, "submit", made, role="recorder").json["code"] == "not-prepared-here", "it is another client's"


def test_what_was_signed_too_late_is_refused(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SIGNED_WITHIN", {"proposal": -1.0, "transaction": -1.0})
    late = step(api, "endorse", {**ok(api, "prepare", ASKED), "signature": GOOD})
    assert (late.status_code, late.json["code"]) == (422, "signed-too-late")


def test_what_was_taken_in_time_is_answered_however_late_it_is_sent_again(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SIGNED_WITHIN", {"proposal": 60.0, "transaction": 0.5})
    made = {**endorsed(api), "signature": GOOD}
    api.ledger.unsent = Unavailable("no orderer is there", code="not-ordered")
    assert step(api, "submit", made).json["code"] == "not-ordered"
    time.sleep(0.6)
    api.ledger.unsent = None
    assert ok(api, "submit", made)["state"] == "succeeded"
    assert ok(api, "submit", made)["state"] == "succeeded"
    late = {**endorsed(api, key="late"), "signature": GOOD}
    time.sleep(0.6)
    assert step(api, "submit", late).json["code"] == "signed-too-late"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({}, "missing-field"),
        ({**ASKED, "more": 1}, "invalid-field"),
        ({**ASKED, "function": "record:get"}, "invalid-field"),
        ({**ASKED, "command": []}, "invalid-field"),
        ({**ASKED, "command": {"model": "net"}}, "missing-field"),
        ({**ASKED, "command": {"model": "net", "title": "T", "kind": "register-model"}}, "unknown-field"),
        ({**ASKED, "certificate": 5}, "invalid-field"),
        ({**ASKED, "certificate": "A" * 20_000}, "invalid-field"),
        ({**ASKED, "certificate": "other"}, "invalid-field"),
        ({**ASKED, "key": ""}, "invalid-field"),
        ({**ASKED, "key": "a b"}, "invalid-field"),
        ({**ASKED, "key": "k" * 201}, "invalid-field"),
        (b"[]", "invalid-body"),
        (b"{", "invalid-json"),
        (b'{"a": "' + b"x" * 5_000_000 + b'"}', "body-too-large"),
    ],
)
def test_what_cannot_be_prepared_is_refused(api: Any, asked: Any, code: str) -> None:
    refused = step(api, "prepare", asked)
    assert refused.status_code in (400, 413, 422)
    assert refused.json["code"] == code


def test_a_command_that_is_too_large_is_signed_by_the_gateway_alone(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST", 10)
    assert step(api, "prepare", ASKED).json["code"] == "invalid-field"


def test_a_command_needs_its_role_at_every_step(api: Any) -> None:
    policy = {**ASKED, "function": "endorsement:set-policy", "command": {}}
    assert step(api, "prepare", policy, role="recorder").json["code"] == "role-too-low"
    assert step(api, "prepare", ASKED, role="reader").json["code"] == "role-too-low"
