# SPDX-License-Identifier: Apache-2.0
"""Entity tags: what changes them, what does not, and what the conditions on them are answered."""

from typing import Any

import pytest

from gateway.api.operations import OPERATIONS
from gateway.rest.tags import tag_of

NET = {"model": "net", "title": "A network"}
READS = ["/v1/models/net", "/v1/models", "/v1/models?limit=1", "/v1/models/net?from=ledger"]


def seen(api: Any, path: str, **headers: str) -> Any:
    return api.get(path, Min_Ledger_Height=str(len(api.ledger.chain)), **headers)


@pytest.fixture
def recorded(api: Any) -> Any:
    assert api.post("/v1/models", NET).status_code == 201
    return api


@pytest.mark.parametrize("path", READS)
def test_who_has_an_answer_already_gets_none(recorded: Any, path: str) -> None:
    first = seen(recorded, path)
    assert first.status_code == 200
    for condition in (first.headers["ETag"], f"W/{first.headers['ETag']}", f'"other", {first.headers["ETag"]}', "*"):
        again = seen(recorded, path, If_None_Match=condition)
        assert (again.status_code, again.data) == (304, b"")
        assert again.headers["ETag"] == first.headers["ETag"]
        assert again.headers["Ledger-Height"] == str(len(recorded.ledger.chain))
        assert "Content-Type" not in again.headers
    assert seen(recorded, path, If_None_Match='"other"').json == first.json


def test_a_later_block_alone_changes_no_tag(recorded: Any) -> None:
    one, many = seen(recorded, "/v1/models/net"), seen(recorded, "/v1/models")
    assert recorded.post("/v1/datasets", {
        "dataset": "visits", "title": "Visits", "licence": "CC-BY-4.0", "sensitivity": "internal", "basis": "contract",
        "origin": {"source": "a clinic", "method": "measured", "geography": []},
    }).status_code == 201  # fmt: skip
    later = seen(recorded, "/v1/models/net")
    assert later.json["height"] > one.json["height"]
    assert later.headers["ETag"] == one.headers["ETag"]
    assert seen(recorded, "/v1/models").headers["ETag"] == many.headers["ETag"]


def test_what_a_list_has_more_changes_its_tag(recorded: Any) -> None:
    before = seen(recorded, "/v1/models")
    recorded.post("/v1/models", {"model": "tree", "title": "A tree"})
    after = seen(recorded, "/v1/models", If_None_Match=before.headers["ETag"])
    assert after.status_code == 200
    assert after.headers["ETag"] != before.headers["ETag"]


@pytest.mark.parametrize("path", READS)
def test_who_wants_one_answer_only_gets_no_other(recorded: Any, path: str) -> None:
    tag = seen(recorded, path).headers["ETag"]
    assert seen(recorded, path, If_Match=tag).status_code == 200
    assert seen(recorded, path, If_Match="*").status_code == 200
    refused = seen(recorded, path, If_Match='"other"')
    assert (refused.status_code, refused.json["code"], refused.headers["ETag"]) == (412, "precondition-failed", tag)
    # A weak tag is not surely the same, and the other condition comes second (RFC 9110, section 13.2.2).
    assert seen(recorded, path, If_Match=f"W/{tag}").status_code == 412
    assert seen(recorded, path, If_Match='"other"', If_None_Match=tag).status_code == 412


def test_a_refusal_has_no_tag(api: Any) -> None:
    missing = api.get("/v1/models/net", If_None_Match="*")
    assert missing.status_code == 404
    assert "ETag" not in missing.headers


@pytest.mark.parametrize("name", ["If_Match", "If_None_Match"])
def test_a_command_takes_no_condition(api: Any, name: str) -> None:
    before = len(api.ledger.chain)
    refused = api.post("/v1/models", NET, **{name: '"tag"'})
    assert (refused.status_code, refused.json["code"]) == (400, "invalid-header")
    assert refused.json["facts"] == {"header": name.replace("_", "-")}
    assert len(api.ledger.chain) == before


def test_the_document_says_what_has_a_tag(api: Any) -> None:
    document = api.client.get("/openapi.json").json
    for operation in OPERATIONS:
        described = document["paths"][operation.path][operation.method.lower()]
        assert ("304" in described["responses"]) == operation.tagged
        assert ("412" in described["responses"]) == operation.tagged
        named = {each["name"] for each in described["parameters"]}
        assert ({"If-None-Match", "If-Match"} <= named) == operation.tagged
    assert document["components"]["headers"]["ETag"]["schema"] == {"type": "string"}


def test_a_tag_does_not_depend_on_the_order_of_members_or_on_the_height() -> None:
    assert tag_of({"a": 1, "b": [{"c": 2, "d": 3}], "height": 4}) == tag_of({"b": [{"d": 3, "c": 2}], "a": 1})
    assert tag_of({"a": 1}) != tag_of({"a": 2})
    assert tag_of({"a": "\ud800"}) != tag_of({})
