# SPDX-License-Identifier: Apache-2.0
"""Recording over HTTP: idempotency, asynchronous answers, heights, uploads and proofs."""

import base64
import json
import time
from typing import Any
from urllib.parse import quote

import pytest
from recordkeys import written

from chaincode.domain.errors import AlreadyExists, NotTheOwner
from chaincode.domain.tabular import header_digest
from gateway.services.ports import EndorsementMismatch, Unavailable
from pedigree import verify_record

MODEL = {"model": "net", "title": "Net"}
CSV = b"id,x\n" + b"".join(b"r%d,%d\n" % (number, number) for number in range(20))


def final(api: Any, location: str) -> Any:
    deadline = time.monotonic() + 5
    while (found := api.get(location, role="operator").json)["state"] == "pending":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


def test_a_recording_says_where_it_stands(api: Any) -> None:
    response = api.post("/v1/models", MODEL)
    assert response.status_code == 201
    assert response.json["transaction"]["block"] == 1
    assert response.headers["Ledger-Height"] == "2"
    read = api.get("/v1/models/net", Min_Ledger_Height="2")
    assert read.json["record"]["title"] == "Net"
    assert read.json["transaction"]["id"] == response.json["transaction"]["id"]


def test_a_repeated_request_is_answered_like_the_first(api: Any) -> None:
    first = api.post("/v1/models", MODEL, key="k")
    again = api.post("/v1/models", {"title": "Net", "model": "net"}, key="k")
    assert (again.status_code, again.json) == (201, first.json)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    other = api.post("/v1/models", {**MODEL, "title": "Other"}, key="k")
    assert (other.status_code, other.json["code"]) == (422, "idempotency-key-reused")


def test_an_asynchronous_recording_ends_in_an_operation(api: Any) -> None:
    response = api.post("/v1/models", MODEL, Prefer="respond-async")
    assert response.status_code == 202
    found = final(api, response.headers["Location"])
    assert (found["state"], found["status"]) == ("succeeded", 201)
    assert found["result"]["record"]["model"] == "net"
    other = api.get(response.headers["Location"], role="reader")
    assert other.status_code == 404


def test_refusals_keep_the_code_of_the_law(api: Any) -> None:
    for refusal, status in ((AlreadyExists("model:net"), 409), (NotTheOwner("model:net", "A", "B"), 403)):
        api.ledger.refusal = refusal
        response = api.post("/v1/models", MODEL)
        assert (response.status_code, response.json["code"]) == (status, refusal.code)
        assert response.json["facts"] == refusal.facts()
        assert response.mimetype == "application/problem+json"


def test_trouble_before_ordering_can_be_repeated(api: Any) -> None:
    api.ledger.refusal = Unavailable("down", code="endorsers-unavailable", retry_after=7)
    response = api.post("/v1/models", MODEL, key="k")
    assert (response.status_code, response.json["retryable"]) == (503, True)
    assert response.headers["Retry-After"] == "7"
    api.ledger.refusal = EndorsementMismatch("differ")
    assert api.post("/v1/models", MODEL, key="k").status_code == 502
    api.ledger.refusal = None
    assert api.post("/v1/models", MODEL, key="k").status_code == 201


@pytest.mark.parametrize("height_wait", [0.3])
def test_a_height_that_does_not_come_is_503(api: Any) -> None:
    started = time.monotonic()
    response = api.get("/v1/ledger", Min_Ledger_Height="99")
    assert (response.status_code, response.json["code"]) == (503, "behind")
    assert 0.2 < time.monotonic() - started < 8


def test_records_are_committed_proven_and_compared(api: Any) -> None:
    path = "/v1/datasets/wdbc/versions?id_field=id&consent=ConsentGiven&purposes=research"
    response = api.post(path, CSV, Content_Type="text/csv")
    assert response.status_code == 201, response.json
    assert response.json["record"]["size"] == 20
    root = response.json["record"]["root"]

    stored = api.post("/v1/datasets/wdbc/versions/1/verify", key=None).json
    assert stored["verified"] is True
    altered = CSV.replace(b"r7,7", b"r7,8").replace(b"r9,9\n", b"") + b"r99,1\n"
    verify = "/v1/datasets/wdbc/versions/1/verify?id_field=id"
    report = api.post(verify, altered, key=None, Content_Type="text/csv").json
    assert (report["verified"], report["changed"], report["added"], report["removed"]) == (
        False, ["r7"], ["r99"], ["r9"],
    )  # fmt: skip
    exact = api.post(verify, CSV, key=None, Content_Type="text/csv").json
    assert exact["verified"] is True

    evidence = api.get("/v1/datasets/wdbc/versions/1/proof?id=r7", role="recorder").json
    assert base64.b64decode(evidence["record"]["content"]) == b"r7,7"
    assert evidence["version"]["root"] == root
    assert api.get("/v1/datasets/wdbc/versions/1/proof?id=r77", role="recorder").status_code == 404
    assert api.get("/v1/datasets/wdbc/versions/2/proof?id=r7", role="recorder").status_code == 404


def test_a_longer_file_extends_the_version_before_and_a_changed_one_replaces_it(api: Any) -> None:
    path = "/v1/datasets/wdbc/versions?id_field=id"
    first = api.post(path, CSV, Content_Type="text/csv").json["record"]
    second = api.post(path, CSV + b"r20,20\n", Content_Type="text/csv").json["record"]
    assert (second["number"], second["change"], second["parent_root"]) == (2, "extends", first["root"])
    assert second["consistency"]
    third = api.post(path, b"id,x\nr1,5\n", Content_Type="text/csv").json["record"]
    assert (third["number"], third["change"], third["size"]) == (3, "replaces", 1)


def test_an_upload_says_what_it_was_made_from_and_how(api: Any) -> None:
    path = (
        "/v1/datasets/wdbc/versions?id_field=id&activity=filter&parents=dataset-version:all:1,%20dataset-version:more:2"
    )
    response = api.post(path, CSV, Content_Type="text/csv")
    assert response.status_code == 201, response.json
    parents = ["dataset-version:all:1", "dataset-version:more:2"]
    assert response.json["record"]["derivation"] == {"activity": "filter", "parents": parents}


@pytest.mark.parametrize(
    ("query", "status", "names"),
    [
        ("activity=filter", 400, "parents names the versions"),
        ("parents=dataset-version:all:1", 400, "activity says how"),
        ("parents=dataset-version:all:1&activity=copy", 400, "filter, split, join"),
        ("parents=all&activity=join", 422, "/derivation/parents/0"),
        (f"parents={','.join(['dataset-version:all:1'] * 65)}&activity=join", 422, "/derivation/parents"),
    ],
)
def test_what_is_wrong_with_a_derivation_is_said_before_the_file_is_read(
    api: Any, query: str, status: int, names: str
) -> None:
    response = api.post(f"/v1/datasets/wdbc/versions?id_field=none&{query}", CSV, Content_Type="text/csv")
    assert response.status_code == status, response.json
    assert names in json.dumps(response.json)
    assert api.ledger.prepared == 0


def test_unreadable_records_name_the_line(api: Any) -> None:
    for content, reason in (
        (b"id,x\nr1\n", "1 fields"),
        (b'id,x\n"r1,1\n', "never closed"),
        (b"id,x\n", "no record"),
        (b"", "header"),
        (b"id,x\n\xff,1\n", "UTF-8"),
        (b"name,x\nr1,1\n", "no column"),
    ):
        response = api.post("/v1/datasets/d/versions?id_field=id", content, Content_Type="text/csv")
        assert (response.status_code, response.json["code"]) == (422, "unreadable-records"), content
        assert reason in response.json["detail"]
    assert api.ledger.prepared == 0


def test_a_repeated_record_id_is_refused_before_anything_is_proposed(api: Any) -> None:
    for media_type, content in (
        ("text/csv", b"id,x\nr1,1\nr2,2\nr1,3\n"),
        ("application/jsonl", b'{"id":"r1"}\n{"id":"r2"}\n{"id":"r1"}\n'),
    ):
        response = api.post("/v1/datasets/d/versions?id_field=id", content, Content_Type=media_type)
        assert (response.status_code, response.json["code"]) == (422, "record-id-repeated")
        assert response.json["facts"] == {"index": 2, "first": 0}
    assert api.ledger.prepared == 0


def test_a_refusal_deletes_nothing_that_a_version_stands_on(api: Any) -> None:
    api.ledger.writes = _full_version
    path = "/v1/datasets/wdbc/versions?id_field=id"
    root = api.post(path, CSV, Content_Type="text/csv").json["record"]["root"]
    api.ledger.refusal = NotTheOwner("dataset:wdbc", "A", "B")
    response = api.post(path, CSV, Content_Type="text/csv")
    assert (response.status_code, response.json["code"]) == (403, "not-the-owner")
    api.ledger.refusal = None
    assert api.post("/v1/datasets/wdbc/versions/1/verify", key=None).json["verified"] is True
    evidence = api.get("/v1/datasets/wdbc/versions/1/proof?id=r7", role="recorder").json
    assert "r7" in str(verify_record(evidence, root=root).proven)
    assert api.get("/v1/datasets/wdbc/versions/2").status_code == 404


def test_every_id_that_is_committed_can_be_proven(api: Any) -> None:
    ids = ["train/cat/0001.jpg", "a?b", "50%25", "..", "/", "a b", "a&id=b", "é#", "+", "x" * 256]
    content = b"path,label\n" + b"".join(f"{record_id},x\n".encode() for record_id in ids)
    assert api.post("/v1/datasets/d/versions?id_field=path", content, Content_Type="text/csv").status_code == 201
    for record_id in ids:
        found = api.get(f"/v1/datasets/d/versions/1/proof?id={quote(record_id, safe='')}", role="recorder")
        assert (found.status_code, found.json["record"]["id"]) == (200, record_id), found.json
    for wrong in ("", "?id=", "?id=" + "x" * 257):
        missing = api.get(f"/v1/datasets/d/versions/1/proof{wrong}", role="recorder")
        assert (missing.status_code, missing.json["facts"]) == (400, {"parameter": "id"})


TABLE = b"id,benign,malignant\np1,1,0\np2,0,1\n"


@pytest.mark.parametrize(
    ("copy", "columns"),
    [
        (TABLE, []),
        (
            b"id,malignant,benign\np1,1,0\np2,0,1\n",
            [
                "column 2 is 'malignant' where the version has 'benign'",
                "column 3 is 'benign' where the version has 'malignant'",
            ],
        ),
        (TABLE.replace(b"id,benign", b"patient,benign"), ["column 1 is 'patient' where the version has 'id'"]),
        (b"id,benign\np1,1\np2,0\n", ["'malignant' is missing"]),
        (b"benign,malignant\n1,0\n0,1\n", ["'id' is missing"]),
        (b"id,benign,malignant,age\np1,1,0,9\np2,0,1,8\n", ["'age' was added"]),
    ],
)
def test_a_copy_under_other_columns_does_not_verify(api: Any, copy: bytes, columns: list[str]) -> None:
    assert api.post("/v1/datasets/t/versions?id_field=id", TABLE, Content_Type="text/csv").status_code == 201
    report = api.post("/v1/datasets/t/versions/1/verify", copy, key=None, Content_Type="text/csv").json
    assert (report["columns"], report["verified"]) == (columns, not columns), report
    assert report["fields"] == ["id", "benign", "malignant"]
    if b"age" not in copy and copy.count(b",") == TABLE.count(b","):
        assert report["changed"] == report["added"] == report["removed"] == []


def test_what_a_commit_was_told_is_remembered(api: Any) -> None:
    content = "sep=;\r\nalter;kürzel\r\n44;a\r\n51;b\r\n".encode()
    made = api.post("/v1/datasets/t/versions?id_field=k%C3%BCrzel", content, Content_Type="text/csv").json
    assert made["record"]["header"] == str(header_digest(["alter", "kürzel"], ";"))
    shown = api.get("/v1/datasets/t/versions/1").json
    assert shown["reading"] == {
        "media_type": "text/csv", "id_field": "kürzel", "delimiter": ";", "fields": ["alter", "kürzel"],
    }  # fmt: skip
    for copy in (content, content.split(b"\n", 1)[1]):
        assert api.post("/v1/datasets/t/versions/1/verify", copy, key=None, Content_Type="text/csv").json["verified"]
    evidence = api.get("/v1/datasets/t/versions/1/proof?id=b", role="recorder").json
    assert evidence["record"]["header"] == {"delimiter": ";", "fields": ["alter", "kürzel"]}
    lines = b'\xef\xbb\xbf{"n": 1}\n{"n": 2}\n'
    made = api.post("/v1/datasets/j/versions?id_field=n", lines, Content_Type="application/jsonl").json
    assert "header" not in made["record"]
    assert api.get("/v1/datasets/j/versions/1").json["reading"] == {
        "media_type": "application/jsonl", "id_field": "n",
    }  # fmt: skip
    assert api.post("/v1/datasets/j/versions/1/verify", lines, key=None, Content_Type="application/jsonl").json[
        "verified"
    ]


def test_the_same_bytes_under_other_columns_replace_and_do_not_extend(api: Any) -> None:
    path = "/v1/datasets/t/versions?id_field=id"
    api.post(path, TABLE, Content_Type="text/csv")
    swapped = api.post(path, b"id,malignant,benign\np1,1,0\np2,0,1\n", Content_Type="text/csv").json["record"]
    assert swapped["change"] == "replaces"
    again = api.post(path, b"id,malignant,benign\np1,1,0\np2,0,1\n", Content_Type="text/csv").json["record"]
    assert (again["change"], again["root"]) == ("extends", swapped["root"])


def test_an_unknown_delimiter_is_refused(api: Any) -> None:
    response = api.post("/v1/datasets/t/versions?delimiter=ab", TABLE, Content_Type="text/csv")
    assert (response.status_code, response.json["code"]) == (422, "unknown-delimiter")


def test_evidence_says_what_it_does_not_prove(api: Any) -> None:
    api.ledger.writes = _full_version
    root = api.post("/v1/datasets/wdbc/versions?id_field=id", CSV, Content_Type="text/csv").json["record"]["root"]
    evidence = api.get("/v1/datasets/wdbc/versions/1/proof?id=r3", role="recorder").json
    verdict = verify_record(evidence, root=root)
    assert (verdict.verified, verdict.id, verdict.content) == (True, "r3", b"r3,3")
    assert "LabMSP" in " ".join(verdict.said)
    version = api.get("/v1/datasets/wdbc/versions/1").json
    assert "LabMSP" in " ".join(verify_record(evidence, version=version).recorded)


def _full_version(function: str, command: Any) -> Any:
    fields = ("dataset", "number", "root", "size", "leaf_schema", "change", "schema", "header")
    record = {name: command[name] for name in fields if name in command}
    record |= {"kind": "dataset-version", "owner": "LabMSP", "committed_at": 1, "licence": "CC-BY-4.0"}
    return [written(record)]


def test_a_submission_is_found_by_the_key_that_it_was_sent_with(api: Any) -> None:
    done = api.post("/v1/models", MODEL, key="a/b:c?d=e")
    assert done.status_code == 201
    found = api.get("/v1/operations?idempotency-key=a/b:c%3Fd%3De", role="operator").json
    assert (found["state"], found["status"], found["result"]) == ("succeeded", 201, done.json)
    assert api.get(f"/v1/operations/{found['id']}", role="operator").json == found
    strange = api.get("/v1/operations?idempotency-key=a/b:c%3Fd%3De", role="recorder")
    assert (strange.status_code, strange.json["code"]) == (404, "no-such-operation"), "it is of another client"
    for wrong in ("", "?idempotency-key=", "?idempotency-key=a%20b", f"?idempotency-key={'k' * 201}"):
        refused = api.get(f"/v1/operations{wrong}", role="operator")
        assert (refused.status_code, refused.json["code"]) == (400, "invalid-parameter")
        assert refused.json["facts"]["parameter"] == "idempotency-key"
