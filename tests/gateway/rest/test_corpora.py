# SPDX-License-Identifier: Apache-2.0
"""Bodies that are bad on purpose: the whole gateway refuses them in the one shape, and proposes nothing of them."""

import base64
import json
from typing import Any

from corpora import DOCUMENTS, WORDS

SHORT = [each for each in DOCUMENTS if len(each.content) < 1 << 20]


def refused(api: Any, response: Any, what: str) -> None:
    """A problem that names what is wrong, and a ledger that was not asked."""
    assert response.status_code in (400, 413, 422), (what, response.json)
    assert response.content_type == "application/problem+json"
    assert response.json["detail"].isprintable(), what
    assert len(response.json["detail"]) < 600, what
    assert api.ledger.prepared == 0, what


def test_a_document_is_no_record(api: Any) -> None:
    """Not one of them is a command: what is JSON as the ledger reads it lacks what the command needs."""
    for document in SHORT:
        for path in ("/v1/models", "/v1/datasets", "/v1/runs"):
            refused(api, api.post(path, document.content, Content_Type="application/json"), document.name)
        path = "/v1/datasets/d/consent/changes"
        refused(api, api.post(path, document.content or b" ", Content_Type="application/jsonl"), document.name)


def test_a_line_that_is_no_record_is_refused_with_its_number(api: Any) -> None:
    for document in SHORT:
        if document.content.strip() and not document.record:
            lines = b"{}\n" + document.content + b"\n"
            response = api.post("/v1/datasets/d/versions", lines, Content_Type="application/jsonl")
            refused(api, response, document.name)
            assert "line 2" in response.json["detail"], document.name


def test_a_line_that_is_a_record_is_kept_as_it_stands(api: Any) -> None:
    lines = [document.content for document in SHORT if document.record]
    response = api.post("/v1/datasets/d/versions", b"\n".join(lines), Content_Type="application/jsonl")
    assert (response.status_code, response.json["record"]["size"]) == (201, len(lines))
    for number, line in enumerate(lines, start=1):
        proof = api.get(f"/v1/datasets/d/versions/1/proof?id={number}", role="operator").json
        assert base64.b64decode(proof["record"]["content"]) == line


def test_an_id_that_is_committed_is_proven_and_no_other_one_is_taken_for_it(api: Any) -> None:
    lines = b"".join(json.dumps({"id": each.text}).encode() + b"\n" for each in WORDS if each.is_id)
    assert api.post("/v1/datasets/d/versions?id_field=id", lines, Content_Type="application/jsonl").status_code == 201
    for word in WORDS:
        if len(word.text) > 1_000:
            continue  # more than a head may have
        for path, parameter in (("versions/1/proof", "id"), ("consent/proof", "subject")):
            response = api.client.get(
                f"/v1/datasets/d/{path}", query_string={parameter: word.text}, headers=api.headers("operator")
            )
            if not word.is_id:
                assert (response.status_code, response.json["detail"].isprintable()) == (400, True), word.name
            elif path == "consent/proof":
                assert response.status_code == 404, word.name
            else:
                assert (response.status_code, response.json["record"]["id"]) == (200, word.text), word.name


def test_ten_thousand_columns_are_committed_shown_proven_and_compared(api: Any) -> None:
    names = [f"c{number}" for number in range(10_000)]
    lines = [",".join(names), *(",".join(f"{row}x{name}" for name in names) for row in range(5))]
    content = "\n".join(lines).encode()
    path = "/v1/datasets/wide/versions"
    committed = api.post(f"{path}?id_field=c9999", content, Content_Type="text/csv")
    assert (committed.status_code, committed.json["record"]["size"]) == (201, 5)
    assert api.get(f"{path}/1").json["reading"]["fields"] == names
    proof = api.get(f"{path}/1/proof?id=3xc9999", role="operator")
    assert len(proof.json["record"]["header"]["fields"]) == 10_000
    copy = content.replace(b"c17,", b"C17,", 1).replace(b"2xc5,", b"changed,")
    report = api.client.post(
        f"{path}/1/verify", data=copy, headers=api.headers("operator", Content_Type="text/csv")
    ).json
    assert report["columns"] == ["column 18 is 'C17' where the version has 'c17'"]
    assert (report["changed"], report["verified"]) == (["2xc9999"], False)
