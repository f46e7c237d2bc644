# SPDX-License-Identifier: Apache-2.0
"""Filters, counts, search and whoami over HTTP: what they find, and how what they cannot understand is refused."""

from typing import Any

import pytest
from recordkeys import written

from gateway.api.operations import OPERATIONS
from gateway.services.ports import Unavailable

LISTS = [operation for operation in OPERATIONS if operation.answer.form == "page" and not operation.places]
CARD = "ab" * 32


def record(api: Any, *records: dict[str, Any]) -> None:
    """Put records on the ledger and let the gateway read them."""
    number = len(api.ledger.chain)
    api.ledger.append(f"{number:064x}", {}, list(map(written, records)))
    assert api.get("/v1/ledger", Min_Ledger_Height=str(number + 1)).status_code == 200


def names(response: Any, field: str) -> list[str]:
    assert response.status_code == 200, response.json
    assert response.json["count"] == len(response.json["items"])
    return [item["record"][field] for item in response.json["items"]]


@pytest.fixture
def filled(api: Any) -> Any:
    record(
        api,
        {"kind": "model", "model": "net", "owner": "LabMSP", "title": "A net for cells"},
        {"kind": "model", "model": "tree", "owner": "HospitalMSP", "title": "A tree of decisions"},
        {"kind": "model-version", "model": "net", "number": 1, "owner": "LabMSP", "licence": "MIT", "digest": CARD},
        {"kind": "model-version", "model": "net", "number": 2, "owner": "LabMSP", "licence": "CC0-1.0"},
    )
    record(api, {"kind": "artifact-stage", "artifact": "model-version:net:2", "stage": "submitted", "owner": "LabMSP"})
    record(
        api,
        {"kind": "evaluation", "evaluation": "e-1", "owner": "LabMSP", "subject": "model-version:net:1"},
        {"kind": "evaluation", "evaluation": "e-2", "owner": "LabMSP", "subject": "model-version:net:2"},
    )
    return api


@pytest.mark.parametrize(
    ("path", "field", "found"),
    [
        ("models", "model", ["net", "tree"]),
        ("models?name=tr", "model", ["tree"]),
        ("models?owner=HospitalMSP", "model", ["tree"]),
        ("models?stage=submitted", "model", ["net"]),
        ("models?stage=approved", "model", []),
        (f"models?digest={CARD[:8]}", "model", ["net"]),
        ("models?licence=MIT&since=2020-01-01&before=2030-01-01T00:00:00Z", "model", ["net"]),
        ("models?before=2020-01-01", "model", []),
        ("model-versions?stage=draft", "number", [1]),
        ("model-versions?licence=cc0-1.0", "number", [2]),
        ("models/net/versions?stage=submitted", "number", [2]),
        ("models/tree/versions?stage=submitted", "number", []),
        ("evaluations?subject=model-version:net:2", "evaluation", ["e-2"]),
    ],
)
def test_lists_are_filtered_and_counted(filled: Any, path: str, field: str, found: list[Any]) -> None:
    assert names(filled.get(f"/v1/{path}"), field) == found


@pytest.mark.parametrize("operation", LISTS, ids=lambda operation: operation.name)
def test_every_list_refuses_a_cursor_and_filters_that_it_cannot_understand(api: Any, operation: Any) -> None:
    for parameter, text in [("cursor", "AAAA"), *((each.name, "\u2603") for each in operation.filters)]:
        refused = api.get(f"{operation.path}?{parameter}={text}")
        assert (refused.status_code, refused.json["code"]) == (400, "invalid-parameter"), parameter
        assert refused.json["facts"] == {"parameter": parameter}
        assert refused.json["detail"].startswith(f"{parameter}: it must ")


def test_search_goes_from_page_to_page_and_names_what_it_found(filled: Any) -> None:
    first = filled.get("/v1/search?q=a+of+decisions").json
    assert [(item["reference"], item["title"], item["owner"]) for item in first["items"]] == [
        ("model:tree", "A tree of decisions", "HospitalMSP")
    ]
    page = filled.get("/v1/search?q=A&limit=1").json
    assert (page["items"][0]["reference"], page["count"], page["complete"]) == ("model:net", 2, True)
    after = filled.get(f"/v1/search?q=A&limit=1&cursor={page['next']}").json
    assert [item["reference"] for item in after["items"]] == ["model:tree"]
    found = filled.get(f"/v1/search?q={CARD}&kind=model-version").json["items"]
    assert [(item["reference"], item["digests"]) for item in found] == [
        ("model-version:net:1", [{"pointer": "/digest", "digest": CARD}])
    ]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [("", "q"), ("q=", "q"), ("q=%22*%22", "q"), (f"q={'x' * 201}", "q"), ("q=x&kind=edge", "kind"),
     ("q=a&cursor=AAAA", "cursor"), ("q=a&limit=0", "limit")],
)  # fmt: skip
def test_a_search_that_cannot_be_made_is_refused_by_name(api: Any, query: str, parameter: str) -> None:
    refused = api.get(f"/v1/search?{query}")
    assert (refused.status_code, refused.json["code"]) == (400, "invalid-parameter")
    assert refused.json["facts"] == {"parameter": parameter}


@pytest.mark.parametrize(("role", "roles"), [("reader", 1), ("endorser", 3), ("operator", 4)])
def test_whoami_names_the_caller_its_roles_and_the_ledger(filled: Any, role: str, roles: int) -> None:
    record(filled, {"kind": "policy", "number": 1, "members": [{"organisation": "LabMSP", "roles": ["auditor"]}]})
    me = filled.get("/v1/whoami", role=role).json
    assert me["roles"] == ["reader", "recorder", "endorser", "operator"][:roles]
    assert me["key"]["name"] == role
    assert (me["organisation"], me["channel"], me["consortium_roles"]) == ("LabMSP", "pedigree", ["auditor"])
    assert me["height"] == len(filled.ledger.chain)
    assert filled.get("/v1/whoami", role=None).status_code == 401


def test_whoami_knows_that_an_organisation_is_not_in_the_policy(api: Any) -> None:
    assert api.get("/v1/whoami").json["consortium_roles"] is None
    record(api, {"kind": "policy", "number": 1, "members": [{"organisation": "HospitalMSP", "roles": []}]})
    assert api.get("/v1/whoami").json["consortium_roles"] is None


# --- One record, from the read model or from the ledger --------------------------------------------------------------

READS = ("datasets/d", "datasets/d/versions/1", "models/net", "models/net/versions/1", "runs/r", "evaluations/e",
         "deployments/w", "policies/current")  # fmt: skip
RECORDS = (
    {"kind": "dataset", "dataset": "d", "owner": "LabMSP"},
    {"kind": "dataset-version", "dataset": "d", "number": 1, "owner": "LabMSP", "root": CARD},
    {"kind": "model", "model": "net", "owner": "LabMSP"},
    {"kind": "model-version", "model": "net", "number": 1, "owner": "LabMSP"},
    {"kind": "training-run", "run": "r", "owner": "LabMSP"},
    {"kind": "evaluation", "evaluation": "e", "owner": "LabMSP", "subject": "model-version:net:1"},
    {"kind": "deployment", "deployment": "w", "owner": "LabMSP", "version": "model-version:net:1"},
    {"kind": "policy", "number": 1, "members": []},
)


@pytest.mark.parametrize("source", ["read-model", "ledger"])
def test_a_deployment_is_shown_with_its_end(api: Any, source: str) -> None:
    record(api, *RECORDS)
    assert api.get(f"/v1/deployments/w?from={source}").json["end"] is None
    record(api, {"kind": "deployment-end", "deployment": "w", "owner": "LabMSP", "ended": 7})
    assert api.get(f"/v1/deployments/w?from={source}").json["end"]["ended"] == 7
    assert names(api.get("/v1/deployments?version=model-version:net:1"), "deployment") == ["w"]
    assert names(api.get("/v1/deployments?version=model-version:net:2"), "deployment") == []
    assert names(api.get("/v1/deployment-ends?owner=LabMSP"), "ended") == [7]


def test_every_read_of_one_record_takes_from() -> None:
    reads = [row for row in OPERATIONS if any(each.name == "from" for each in row.parameters)]
    assert len(reads) >= len(READS)
    assert {row.name for row in OPERATIONS if row.answer.form == "entry"} <= {row.name for row in reads}


@pytest.mark.parametrize("path", READS)
def test_one_record_is_read_from_where_it_is_asked_for(api: Any, path: str) -> None:
    record(api, *RECORDS)
    ours = api.get(f"/v1/{path}").json
    theirs = api.get(f"/v1/{path}?from=ledger").json
    assert (ours["source"], theirs["source"]) == ("read-model", "ledger")
    assert ours["height"] == theirs["height"] == len(api.ledger.chain)
    assert {**ours, "source": ""} == {**theirs, "source": ""}
    assert ours["transaction"]["block"] == 1
    refused = api.get(f"/v1/{path}?from=elsewhere")
    assert (refused.status_code, refused.json["facts"]) == (400, {"parameter": "from"})


@pytest.mark.parametrize("path", READS)
def test_what_the_ledger_does_not_have_is_not_found_there_either(api: Any, path: str) -> None:
    ours, theirs = api.get(f"/v1/{path}"), api.get(f"/v1/{path}?from=ledger")
    assert (ours.status_code, ours.json["code"]) == (404, "not-found")
    assert ours.json == theirs.json


def test_what_the_ledger_has_and_the_read_model_has_not_read_bears_no_transaction(api: Any) -> None:
    record(api, RECORDS[2])
    api.service.projector.stop()
    newer = {**RECORDS[2], "title": "Written again"}
    api.ledger.append("e" * 64, {}, [written(newer), written({**newer, "model": "m"})])
    found = api.get("/v1/models/net?from=ledger").json
    assert found == {"record": newer, "source": "ledger", "height": 3}
    assert api.get("/v1/models/m?from=ledger").json["record"]["model"] == "m"
    assert api.get("/v1/models/m").status_code == 404
    assert api.get("/v1/models/net").json["height"] == 2


def test_parents_that_were_declared_later_come_from_the_same_source(api: Any) -> None:
    record(api, RECORDS[3])
    assert api.get("/v1/models/net/versions/1?from=ledger").json["later_parents"] == []
    api.service.projector.stop()
    parents = [{"version": "model-version:base:1", "relation": "fine-tuned"}]
    declared = {"kind": "later-parents", "child": "model-version:net:1", "owner": "LabMSP", "parents": parents}
    api.ledger.append("d" * 64, {}, [written(declared)])
    assert api.get("/v1/models/net/versions/1?from=ledger").json["later_parents"] == parents
    assert api.get("/v1/models/net/versions/1").json["later_parents"] == []


@pytest.mark.parametrize("path", READS)
def test_a_peer_that_cannot_be_asked_is_a_listed_problem(api: Any, path: str) -> None:
    api.ledger.refusal = Unavailable("no peer answers", code="peer-unavailable")
    refused = api.get(f"/v1/{path}?from=ledger")
    assert (refused.status_code, refused.json["code"]) == (503, "peer-unavailable")
    assert refused.headers["Retry-After"]


# --- Lineage ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("inbox?kind=edge", "kind"),
        ("inbox?owner=A%20B", "owner"),
        ("inbox?since=soon", "since"),
        ("lineage/model-version:net:1/edges?kind=run", "kind"),
        ("lineage/model-version:net:1/edges?relation=X", "relation"),
        ("lineage/model-version:net:1/licence?as_of=99", "as_of"),
        ("lineage/model-version:net:1/licence?limit=10001", "limit"),
    ],
)
def test_a_question_about_lineage_that_cannot_be_understood_is_refused_by_name(
    filled: Any, path: str, parameter: str
) -> None:
    refused = filled.get(f"/v1/{path}")
    assert (refused.status_code, refused.json["code"]) == (400, "invalid-parameter")
    assert refused.json["facts"] == {"parameter": parameter}


@pytest.mark.parametrize(
    ("reference", "status", "code"),
    [("model:net", 422, "invalid-field"), ("model-version:net:9", 404, "not-found"), ("net", 422, "invalid-field")],
)
def test_only_a_version_that_is_there_has_an_effective_licence(
    filled: Any, reference: str, status: int, code: str
) -> None:
    refused = filled.get(f"/v1/lineage/{reference}/licence")
    assert (refused.status_code, refused.json["code"]) == (status, code)
    assert filled.get("/v1/lineage/model-version:net:1/licence").json["licence"] == "MIT"


def test_the_inbox_is_filtered_and_counted_over_http(api: Any) -> None:
    standing = {"kind": "artifact-stage", "schema": 1, "owner": "HospitalMSP", "digest": CARD, "stage": "submitted",
                "since": 1, "round": 1}  # fmt: skip
    names = ("model-version:net:1", "dataset-version:d:1")
    record(api, *({**standing, "artifact": each} for each in names))
    members = [{"organisation": each, "roles": []} for each in ("HospitalMSP", "LabMSP")]
    rules = [{"artifact_kind": each.partition(":")[0], "threshold": 1, "stage": "approved"} for each in names]
    policy = {"number": 1, "set_at": 1, "amendment_threshold": 1, "amendment_roles": [], "members": members}
    record(api, {"kind": "policy", "schema": 1, **policy, "rules": rules})
    for more, found in (("", names), ("?kind=model-version", names[:1]), ("?name=d", names[1:]), ("?owner=LabMSP", ())):
        answer = api.get(f"/v1/inbox{more}").json
        assert [item["artifact"] for item in answer["items"]] == list(found)
        assert (answer["count"], answer["count_exact"]) == (len(found), True)


def test_the_edges_of_an_artifact_are_filtered_over_http(filled: Any) -> None:
    edge = {"kind": "edge", "schema": 1, "parent": "model-version:net:1", "relation": "merged"}
    record(
        filled, {**edge, "child": "model-version:net:2"}, {**edge, "child": "evaluation:e-1", "relation": "evaluated"}
    )
    path = "/v1/lineage/model-version:net:1/edges?direction=down"
    for more, children in (
        ("", ["model-version:net:2", "evaluation:e-1"]),
        ("&kind=evaluation", ["evaluation:e-1"]),
        ("&relation=merged", ["model-version:net:2"]),
        ("&relation=merged&kind=evaluation", []),
    ):
        assert names(filled.get(path + more), "child") == children
