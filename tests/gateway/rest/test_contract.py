# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI document against the routes, and one shape for every failure of every route."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from chaincode.domain import errors
from chaincode.domain.register import COMMANDS
from gateway.api.operations import OPERATIONS
from gateway.api.rows import Body
from gateway.rest.reports import REPORTS, reference
from gateway.rest.schemas import Components
from gateway.services import mirroring, undelivered, witnessing
from gateway.services.ports import PortError
from gateway.services.recording import command_from

PROBLEM = {**reference("Problem"), "components": {"schemas": REPORTS}}
DATASET = {
    "dataset": "wdbc",
    "title": "W",
    "licence": "CC-BY-4.0",
    "origin": {"source": "UCI", "method": "FNA", "geography": ["US"]},
    "sensitivity": "special-category",
    "basis": "public-task",
}


def document(api: Any) -> Any:
    return api.get("/openapi.json", role=None).json


def operations(api: Any) -> list[tuple[str, str, Any]]:
    return [
        (method.upper(), path, operation)
        for path, methods in document(api)["paths"].items()
        for method, operation in methods.items()
    ]


def example(path: str) -> str:
    values = {"number": "1", "reference": "model-version:net:1", "transaction": "0" * 64}
    return re.sub(r"\{([a-z_]+)\}", lambda match: values.get(match[1], "nobody"), path)


def call(api: Any, method: str, path: str, **options: Any) -> Any:
    if method == "GET":
        return api.get(example(path), **options)
    return api.post(example(path), options.pop("body", {}), **options)


def assert_problem(response: Any, status: int | None = None, code: str | None = None) -> None:
    assert response.mimetype == "application/problem+json", response.get_data(as_text=True)
    Draft202012Validator(PROBLEM).validate(response.json)
    assert response.json["status"] == response.status_code
    assert "Ledger-Height" in response.headers
    if status is not None:
        assert response.status_code == status, response.json
    if code is not None:
        assert response.json["code"] == code


def test_the_document_is_valid_openapi_3_1(api: Any) -> None:
    OpenAPIV31SpecValidator(document(api)).validate()


def test_the_document_names_every_route_that_is_served_and_no_other(api: Any) -> None:
    served = {
        (method, re.sub(r"<([a-z_]+)>", r"{\1}", rule.rule))
        for rule in api.service.api.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    others = {
        *(("GET", path) for path in ("/v1/log/tile/<path:path>", "/v1/data/{token}", "/v1/data/{token}/bundle")),
        *(("GET", f"/v1/log/mirror/{{log}}/{rest}") for rest in ("checkpoint", "tile/<path:path>")),
        *(("POST", path) for path in ("/v1/log/add-checkpoint", "/v1/log/add-entries", "/v1/data", "/v1/data/reads")),
    }
    assert served - {("GET", "/openapi.json"), *others} == {(method, path) for method, path, _ in operations(api)}


def test_operation_ids_are_unique(api: Any) -> None:
    names = [operation["operationId"] for _, _, operation in operations(api)]
    assert len(set(names)) == len(names)


def test_every_operation_lists_its_codes_its_noun_and_an_example(api: Any) -> None:
    nouns = {tag["name"] for tag in document(api)["tags"]}
    for method, path, operation in operations(api):
        codes = api.codes[operation["operationId"]]
        assert set(operation["tags"]) <= nouns
        assert "unauthenticated" in codes[401]
        assert {"malformed-request", "unknown-parameter"} <= set(codes[400])
        assert ("body-incomplete" in codes[400]) == (method == "POST") == ("requestBody" in operation)
        # A transaction that is signed elsewhere has its key from its first step on, and is submitted while one waits.
        keyed = "202" in operation["responses"] or (path.startswith("/v1/transactions/") and method == "POST")
        assert ("idempotency-key-reused" in codes.get(422, ())) == keyed, operation["operationId"]
        if "{" in path:
            assert "not-found" in codes[404]
        for content in operation.get("requestBody", {"content": {}})["content"].values():
            assert "example" in content


def families(base: type[PortError]) -> Iterator[type[PortError]]:
    yield base
    for family in base.__subclasses__():
        yield from families(family)


def test_the_codes_are_those_of_the_law_for_what_is_recorded(api: Any) -> None:
    listed = {code for codes in api.codes.values() for found in codes.values() for code in found}
    law = {thing.code for thing in vars(errors).values() if isinstance(thing, type) and getattr(thing, "code", "")}
    assert law <= listed
    ports = {
        family.code
        for family in families(PortError)
        # What witnesses and mirrors answer to a log, and the data gateway to a recipient, docs define.
        if {"code", "category"} <= vars(family).keys()
        and family.__module__ not in {witnessing.__name__, mirroring.__name__, undelivered.__name__}
    } - {PortError.code}
    assert len(ports) > 18
    assert ports <= listed
    assert "not-the-owner" in api.codes["registerDataset"][403]
    assert "quorum-missing" in api.codes["advanceArtifact"][422]
    assert "quorum-missing" not in api.codes["registerDataset"][422]


def test_the_examples_are_what_the_law_takes(api: Any) -> None:
    taken = set()
    for operation in OPERATIONS:
        if operation.body is not None:
            components = Components()
            whole = components.body(replace(operation, body=Body(operation.body.command)))
            command_from(operation.body.command, components.example(whole))
            taken.add(operation.body.command)
    assert taken == set(COMMANDS)
    components_of = document(api)["components"]
    for _, _, described in operations(api):
        content = described.get("requestBody", {"content": {}})["content"].get("application/json")
        if content is not None:
            Draft202012Validator({**content["schema"], "components": components_of}).validate(content["example"])


def test_whatever_has_members_or_is_a_choice_has_a_name(api: Any) -> None:
    """A generator of clients makes a type of its own, with a name of its own, for each that has none."""

    def nameless(schema: Any) -> list[Any]:
        if isinstance(schema, list):
            return [found for each in schema for found in nameless(each)]
        if not isinstance(schema, dict):
            return []
        inner = [found for each in schema.values() for found in nameless(each)]
        return [schema, *inner] if {"properties", "enum"} & set(schema) or schema.get("type") == "object" else inner

    described = document(api)
    for name, component in described["components"]["schemas"].items():
        assert nameless(component.get("properties", {})) == [], name
    for method, path, operation in operations(api):
        assert nameless(operation) == [], f"{method} {path}"


def test_no_route_answers_without_a_key(api: Any) -> None:
    for method, path, _ in operations(api):
        response = call(api, method, path, role=None)
        assert_problem(response, 401, "unauthenticated")
        assert response.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "wrong", ["Bearer x", "Bearer 000000000000.secret", "Basic abc", "Bearer", "Bearer " + "x" * 600]
)
def test_one_answer_for_every_wrong_key(api: Any, wrong: str) -> None:
    response = api.client.get("/v1/ledger", headers={"Authorization": wrong})
    assert_problem(response, 401, "unauthenticated")
    assert response.json["facts"] == {}


def test_every_route_that_records_needs_its_role_and_a_key_for_the_request(api: Any) -> None:
    recording = [
        (path, operation)
        for method, path, operation in operations(api)
        if any(parameter["name"] == "Idempotency-Key" for parameter in operation["parameters"])
    ]
    assert len(recording) >= 14
    for path, _ in recording:
        assert_problem(call(api, "POST", path, role="reader"), 403, "role-too-low")
        assert_problem(call(api, "POST", path, key=None), 400, "idempotency-key-missing")
    assert api.ledger.prepared == 0


def test_a_wrong_media_type_is_named_before_a_missing_idempotency_key(api: Any) -> None:
    """A client that sends a form has no key either, and the form is what it must put right first."""
    sent = {"headers": {"Authorization": f"Bearer {api.keys['operator']}"}}
    form = api.client.post("/v1/models", data={"model": "m"}, **sent)
    assert_problem(form, 415, "unsupported-media-type")
    assert_problem(api.client.post("/v1/models", json={"model": "m"}, **sent), 400, "idempotency-key-missing")


def test_every_body_of_every_route_is_read_strictly(api: Any) -> None:
    for method, path, operation in operations(api):
        if method != "POST" or "application/json" not in operation["requestBody"]["content"]:
            continue
        unknown = call(api, method, path, body={"surprise": 1})
        assert_problem(unknown)
        # 404 where the path itself names nothing.
        assert unknown.status_code in (404, 422)
        broken = api.post(example(path), b'{"a": NaN}', Content_Type="application/json")
        assert_problem(broken, 400, "not-a-number")
        assert_problem(api.post(example(path), b"x", Content_Type="image/png"), 415)
    assert api.ledger.prepared == 0


def test_every_read_refuses_parameters_that_it_does_not_know(api: Any) -> None:
    for method, path, _ in operations(api):
        if method == "GET":
            assert_problem(api.get(example(path) + "?surprise=1", role="operator"), 400, "unknown-parameter")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid-json"),
        (b"[]", "invalid-body"),
        (b'{"a":1', "invalid-json"),
        (b'{"a":1.5}', "float-refused"),
        (b'{"a":1e999}', "float-refused"),
        (b'{"a":Infinity}', "not-a-number"),
        (b'{"a":1,"a":2}', "duplicate-name"),
        (b'{"a":9007199254740993}', "integer-out-of-range"),
        (b'{"a":' + b"[" * 100 + b"]" * 100 + b"}", "too-deep"),
        (b"[" * 100_000, "too-deep"),
        (b"\xef\xbb\xbf{}", "invalid-json"),
        ('{"a":"ä"}'.encode("utf-16"), "invalid-json"),
        (b'{"a":"\\ud800"}', None),
        ('{"a":"a\u0308"}'.encode(), "not-normalised"),
        (b"\x00", "invalid-json"),
    ],
)
def test_bad_json_has_a_name(api: Any, body: bytes, code: str | None) -> None:
    response = api.post("/v1/datasets", body, Content_Type="application/json")
    assert_problem(response, None, code)
    assert 400 <= response.status_code < 500
    assert api.ledger.prepared == 0


def test_http_itself_fails_in_the_same_shape(api: Any) -> None:
    assert_problem(api.get("/v1/nothing"), 404, "no-such-path")
    assert_problem(api.client.delete("/v1/datasets"), 405, "method-not-allowed")
    assert_problem(api.client.options("/v1/datasets"), 405)
    assert_problem(api.get("/v1/datasets/"), 404)
    assert_problem(api.post("/v1/datasets", {}, Content_Encoding="gzip"), 415, "unsupported-encoding")
    assert_problem(api.post("/v1/datasets", b"x" * (5 << 20), Content_Type="application/json"), 413, "body-too-large")
    for limit in ("0", "101", "0000000001000", "9" * 5_000, ""):
        assert_problem(api.get(f"/v1/datasets?limit={limit}"), 400, "invalid-parameter")
    assert api.get("/v1/datasets?limit=007").status_code == 200
    assert_problem(api.get("/v1/datasets?limit=1&limit=2"), 400, "repeated-parameter")
    refused = api.get("/v1/datasets?cursor=@@")
    assert_problem(refused, 400, "invalid-parameter")
    assert refused.json["facts"] == {"parameter": "cursor"}
    assert_problem(api.get("/v1/ledger", Min_Ledger_Height="-1"), 400, "invalid-header")


@pytest.mark.parametrize(
    ("named", "rule"),
    [('"LabMSP"', "letters, digits, dots and hyphens"), ("LabMSP,", "1 to 64"), ("LabMPS", "HospitalMSP, LabMSP")],
)
def test_a_mistyped_organisation_is_refused_with_the_rule(api: Any, named: str, rule: str) -> None:
    refused = api.post("/v1/datasets", DATASET, Endorsing_Organisations=named)
    assert_problem(refused, 400, "invalid-header")
    assert rule in refused.json["detail"]
    assert refused.json["facts"] == {"header": "Endorsing-Organisations"}
    assert api.ledger.prepared == 0


def test_a_mistyped_owner_is_refused_with_the_rule(api: Any) -> None:
    for path in ("datasets", "models", "runs", "evaluations"):
        refused = api.get(f"/v1/{path}?owner=Lab%20MSP")
        assert_problem(refused, 400, "invalid-parameter")
        assert "letters, digits, dots and hyphens" in refused.json["detail"]


def test_a_defect_is_a_500_that_tells_nothing(api: Any) -> None:
    api.ledger.refusal = ZeroDivisionError("secret inside")
    response = api.post("/v1/datasets", DATASET)
    assert_problem(response, 500, "internal")
    assert "secret" not in response.get_data(as_text=True)


def test_answers_match_the_schemas_that_the_document_gives(api: Any) -> None:
    schemas = {(method, path): operation for method, path, operation in operations(api)}

    def check(method: str, path: str, response: Any, **instead: Any) -> Any:
        operation = schemas[method, path]
        schema = operation["responses"][str(response.status_code)]["content"]["application/json"]["schema"]
        answer = {**response.json, **instead}
        Draft202012Validator({**schema, "components": document(api)["components"]}).validate(answer)
        return response.json

    # The ledger of these tests keeps commands as records: whole ones are compared on a running network.
    created = api.post("/v1/datasets", DATASET)
    assert created.status_code == 201, created.json
    ledger = check("GET", "/v1/ledger", api.get("/v1/ledger", Min_Ledger_Height=created.headers["Ledger-Height"]))
    assert ledger["height"] >= 2
    page = api.get("/v1/datasets")
    assert {"items", "next", "count", "count_exact"} == set(page.json)
    assert (page.json["count"], page.json["count_exact"]) == (1, True)
    answer = api.get(f"/v1/transactions/{created.json['transaction']['id']}")
    found = check("GET", "/v1/transactions/{transaction}", answer, reply=None)
    assert found["reply"]["record"]["dataset"] == created.json["record"]["dataset"]


def test_an_owner_that_nobody_is_has_no_records(api: Any) -> None:
    """Who is a member changes, and former members own records: whether an id is known is no question of form."""
    for path in ("datasets", "models", "runs", "evaluations"):
        answer = api.get(f"/v1/{path}?owner=NobodyMSP")
        assert (answer.status_code, answer.json["items"], answer.json["next"]) == (200, [], None)
    described = next(
        parameter["description"]
        for parameter in document(api)["paths"]["/v1/datasets"]["get"]["parameters"]
        if parameter["name"] == "owner"
    )
    assert "none where no record is of it" in described
