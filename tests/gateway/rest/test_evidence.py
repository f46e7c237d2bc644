# SPDX-License-Identifier: Apache-2.0
"""Files of evidence of transactions, over HTTP."""

from typing import Any

import pytest

from gateway.services.ports import EvidenceTooLarge, LedgerMisuse, Unavailable


@pytest.fixture
def recorded(api: Any) -> str:
    """The id of the transaction that registered a model."""
    answer = api.post("/v1/models", {"model": "net", "title": "Net"})
    assert answer.status_code == 201, answer.text
    return str(answer.json["transaction"]["id"])


def test_evidence_is_had_by_transaction_and_by_reference(api: Any, recorded: str) -> None:
    by_id = api.get(f"/v1/transactions/{recorded}/evidence").json
    assert by_id == {
        "kind": "transaction-evidence",
        "schema": 1,
        "channel": "pedigree",
        "transaction": {"id": recorded, "block": 1, "index": 0},
        "validation": "VALID",
        "block": {"number": 1, "previous_hash": "ab" * 32, "data": "ZGF0YQ==", "signatures": "c2lnbmVk"},
        "configurations": [{"number": 0, "previous_hash": "", "data": "Zmlyc3Q=", "signatures": ""}],
        "definitions": [
            {"block": {"number": 0, "previous_hash": "", "data": "Zmlyc3Q=", "signatures": ""}, "index": 0}
        ],
    }
    assert api.get("/v1/evidence/model:net").json == {**by_id, "reference": "model:net"}


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (f"/v1/transactions/{'00' * 32}/evidence", "no-such-transaction"),
        ("/v1/transactions/none/evidence", "no-such-transaction"),
        ("/v1/evidence/model:other", "not-found"),
    ],
)
def test_what_is_not_there_has_no_evidence(api: Any, path: str, code: str) -> None:
    answer = api.get(path)
    assert (answer.status_code, answer.json["code"]) == (404, code)


def test_what_is_no_reference_is_refused(api: Any) -> None:
    answer = api.get("/v1/evidence/net")
    assert answer.status_code in (400, 422), answer.text


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (EvidenceTooLarge(7), 413),
        (LedgerMisuse("block 7 cannot be shown"), 502),
        (Unavailable("the peer was left", code="peer-unavailable"), 503),
    ],
)
def test_a_failure_says_what_it_is(api: Any, recorded: str, failure: Exception, status: int) -> None:
    api.ledger.refusal = failure
    answer = api.get(f"/v1/transactions/{recorded}/evidence")
    assert answer.status_code == status, answer.text
    assert status != 413 or answer.json["facts"] == {"block": 7, "limit": 16 * 1024 * 1024}
