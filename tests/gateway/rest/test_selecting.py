# SPDX-License-Identifier: Apache-2.0
"""Selections over HTTP: chosen by a list, a purpose or a split, and proven."""

import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import recordkeys

from gateway.services.ports import Json, LedgerWrite
from pedigree import verify_copy, verify_record

CSV = b"id,x\n" + b"".join(b"r%d,%d\n" % (number, number) for number in range(20))
PLACE = "/v1/datasets/visits/versions/1/selections"
SPLIT = "split=train=0.5,test=0.5"


@pytest.fixture
def held(api: Any) -> Any:
    """A gateway that holds a version of twenty records, over a ledger that writes what the law would."""
    before = api.ledger.writes

    def writes(function: str, command: Json) -> list[LedgerWrite]:
        if function == "dataset:commit-version":
            more = {"committed_at": 1, "licence": "MIT", "change": "first", "leaf_schema": "pedigree-record/v1"}
            (write,) = before(function, command)
            return [LedgerWrite(write.key, {**more, **(write.value or {})})]
        if function != "selection:commit":
            return list(before(function, command))
        _, dataset, number = command["version"].split(":")
        place = {"dataset": dataset, "number": int(number), "kind": "selection", "owner": "LabMSP", "committed_at": 1}
        said = {name: each for name, each in command.items() if name != "version"}
        return [recordkeys.written({**said, **place})]

    api.ledger.writes = writes
    asked = "?id_field=id&consent=ConsentGiven&purposes=research"
    assert api.post(f"/v1/datasets/visits/versions{asked}", CSV, Content_Type="text/csv").status_code == 201
    return api


def ended(api: Any, location: str) -> Any:
    deadline = time.monotonic() + 5
    while (found := api.get(location, role="operator").json)["state"] == "pending":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


def test_a_list_of_ids_is_selected_and_proven(held: Any) -> None:
    made = held.post(f"{PLACE}?selection=some", b"r3\nr7\n", key="k", Content_Type="text/plain")
    assert made.status_code == 201, made.json
    record = made.json["record"]
    assert (record["size"], record["left_out"]) == (2, [{"reason": "not on the list", "count": 18}])
    again = held.post(f"{PLACE}?selection=some", b"r3\nr7\n", key="k", Content_Type="text/plain")
    assert again.json == made.json
    assert again.headers["Idempotent-Replayed"] == "true"
    other = held.post(f"{PLACE}?selection=some", b"r3\nr8\n", key="k", Content_Type="text/plain")
    assert (other.status_code, other.json["code"]) == (422, "idempotency-key-reused")
    evidence = held.get(f"{PLACE}/some/proof?id=r7", role="recorder").json
    assert evidence["kind"] == "selection-evidence"
    answers = {"version": {"record": evidence["version"]}, "selection": {"record": record}}
    assert verify_record(evidence, **answers).verified


def test_what_the_caller_does_not_wait_for_says_how_far_it_is(held: Any) -> None:
    accepted = held.post(f"{PLACE}?selection=part&role=train&seed=7&{SPLIT}", b"", Prefer="respond-async")
    assert accepted.status_code == 202
    found = ended(held, accepted.headers["Location"])
    assert (found["state"], found["result"]["record"]["role"]) == ("succeeded", "train")
    refused = held.post(f"{PLACE}?selection=none", b"nobody\n", Prefer="respond-async", Content_Type="text/plain")
    found = ended(held, refused.headers["Location"])
    assert (found["state"], found["status"], found["result"]["code"]) == ("failed", 422, "records-unknown")


def test_a_root_that_was_computed_elsewhere_is_recorded_as_it_is_said(held: Any) -> None:
    body = {"selection": "elsewhere", "root": "5e" * 32, "size": 2}
    assert held.post(PLACE, body).status_code == 201
    asked = held.post(f"{PLACE}?role=train", body)
    assert (asked.status_code, asked.json["facts"]) == (400, {"parameter": "role"})
    unknown = held.get(f"{PLACE}/elsewhere/proof?id=r1", role="recorder")
    assert (unknown.status_code, unknown.json["code"]) == (404, "selection-not-held")
    missing = held.post(PLACE, {"selection": "none"})
    assert (missing.status_code, missing.json["facts"]["pointer"]) == (422, "/root")


@pytest.mark.parametrize(
    ("query", "body", "status", "code", "said"),
    [
        ("", b"r1\n", 400, "invalid-parameter", "selection: it must name the selection"),
        ("selection=s", b"", 400, "invalid-parameter", "a list of ids, a purpose or a split"),
        ("selection=S!", b"r1\n", 422, "invalid-field", "lower-case letters"),
        ("selection=s&role=training", b"r1\n", 400, "invalid-parameter", "role: it must be one of train"),
        ("selection=s&seed=7", b"r1\n", 400, "invalid-parameter", "seed: it is of use with a split only"),
        (f"selection=s&role=train&{SPLIT}", b"", 400, "invalid-parameter", "seed: a split needs a seed"),
        (f"selection=s&seed=7&{SPLIT}", b"", 400, "invalid-parameter", "which part of the split: train, test"),
        (f"selection=s&seed=7&role=validation&{SPLIT}", b"", 400, "invalid-parameter", "which part of the split"),
        ("selection=s&seed=7&role=train&split=train=2", b"", 400, "invalid-parameter", "split: it names shares"),
        ("selection=s&split_by=subject", b"r1\n", 400, "invalid-parameter", "split_by: it is of use with a split only"),
        (f"selection=s&seed=7&role=train&split_by=x&{SPLIT}", b"", 400, "invalid-parameter", "record"),
        (f"selection=s&seed=7&role=train&split_by=subject&{SPLIT}", b"", 422, "no-subjects", "subject_field"),
        ("selection=s&parent=nothing", b"r1\n", 422, "invalid-field", "reference"),
        ("selection=s&parent=selection:visits:1:none", b"r1\n", 404, "parent-missing", "selection:visits:1:none"),
        ("selection=s&purpose=marketing", b"", 422, "unknown-term", "known are research"),
        ("selection=s&purpose=care", b"", 422, "nothing-selected", "consent is for other purposes only: 20"),
        ("selection=s", b"nobody\n", 422, "records-unknown", "'nobody' (number 1)"),
        ("selection=s", b"r1\nr2\nr1\n", 422, "record-id-repeated", "record 3 has the id 'r1'"),
        ("selection=s", b"\xff\n", 422, "unreadable-records", "line 1: it is not UTF-8"),
        ("selection=s&delimiter=x", b"r1\n", 422, "unknown-delimiter", "one of , ; | and tab"),
    ],
)
def test_what_cannot_be_chosen_by_is_refused_by_name(
    held: Any, query: str, body: bytes, status: int, code: str, said: str
) -> None:
    height = len(held.ledger.chain)
    headers = {"Content_Type": "text/plain"} if body else {}
    answer = held.post(f"{PLACE}?{query}", body, **headers)
    assert (answer.status_code, answer.json["code"]) == (status, code), answer.json
    assert said in answer.json["detail"]
    assert len(held.ledger.chain) == height


def test_a_version_that_is_not_held_here_cannot_be_chosen_from(held: Any) -> None:
    held.post("/v1/datasets/visits/versions", {"number": 2, "root": "5e" * 32, "size": 3})
    for place, code in (("visits/versions/2", "records-not-held"), ("visits/versions/3", "not-found")):
        answer = held.post(f"/v1/datasets/{place}/selections?selection=s&purpose=research", b"")
        assert (answer.status_code, answer.json["code"]) == (404, code)


def test_a_record_that_is_not_selected_has_no_proof(held: Any) -> None:
    held.post(f"{PLACE}?selection=some", b"r3\n", Content_Type="text/plain")
    for path, code in (
        ("some/proof?id=r4", "record-not-selected"), ("some/proof?id=r99", "not-found"),
        ("none/proof?id=r3", "not-found"),
    ):  # fmt: skip
        answer = held.get(f"{PLACE}/{path}", role="recorder")
        assert (answer.status_code, answer.json["code"]) == (404, code), answer.json
    answer = held.get(f"{PLACE}/some/proof?id=", role="recorder")
    assert (answer.status_code, answer.json["facts"]) == (400, {"parameter": "id"})


def test_selections_are_listed_by_their_role_and_their_purpose(held: Any) -> None:
    research = "https://w3id.org/dpv#ScientificResearch"
    for role in ("train", "test"):
        held.post(f"{PLACE}?selection={role}&role={role}&seed=7&{SPLIT}", b"")
    held.post(f"{PLACE}?selection=permitted&purpose=research", b"")
    for place in (PLACE, "/v1/selections"):
        for query, names in (("role=test", ["test"]), (f"purpose={quote(research)}", ["permitted"]), ("", None)):
            found = [item["record"]["selection"] for item in held.get(f"{place}?{query}").json["items"]]
            assert sorted(found) == (names or ["permitted", "test", "train"])
        for query in ("role=training", "purpose=research"):
            answer = held.get(f"{place}?{query}")
            assert (answer.status_code, answer.json["code"]) == (400, "invalid-parameter")


def test_a_copy_of_a_selection_is_compared_by_its_owner_and_by_a_bundle(held: Any, tmp_path: Path) -> None:
    version, rows = PLACE.removesuffix("/selections"), CSV.split(b"\n")[1:-1]
    ids = "".join(f"r{number}\n" for number in range(0, 20, 2)).encode()
    assert held.post(f"{PLACE}?selection=even", ids, Content_Type="text/plain").status_code == 201
    answered = held.get(f"{version}/bundle?selections=even", role="recorder")
    assert answered.status_code == 200, answered.json
    (bundle := tmp_path / "a.bundle").write_bytes(answered.data)
    answers = {"version": held.get(version).json, "selection": held.get(f"{PLACE}/even").json}
    for copy in (rows[::2], [*rows[:5], b"r6,7", *rows[8::2], b"new,1"]):
        content = b"\n".join([b"id,x", *copy])
        owner = held.post(f"{version}/verify?selection=even", content, key=None, Content_Type="text/csv").json
        report: Any = verify_copy(content, bundle, **answers)
        assert report == {name: owner[name] for name in report}
        assert report["verified"] is (copy == rows[::2])
    assert (report["outside"], report["changed"], report["added"]) == (["r1", "r3"], ["r6"], ["new"])
    assert (report["removed"], report["selection"]) == ([], "selection:visits:1:even")


def test_what_is_asked_of_a_selection_that_is_not_there_or_not_known_is_said(held: Any) -> None:
    version = PLACE.removesuffix("/selections")
    assert held.get(f"{version}/bundle?selections=none", role="recorder").json["code"] == "not-found"
    missing = held.post(f"{version}/verify?selection=none", CSV, key=None, Content_Type="text/csv")
    assert missing.json["code"] == "not-found"
    refused = held.post(f"{version}/verify?selection=none", key=None)
    assert (refused.status_code, refused.json["code"]) == (400, "invalid-parameter")
    said = {"selection": "given", "root": "5f" * 32, "size": 1, "left_out": [{"reason": "other", "count": 19}]}
    assert held.post(PLACE, said).status_code == 201
    assert held.get(f"{version}/bundle?selections=given", role="recorder").json["code"] == "selection-not-held"
    owner = held.post(f"{version}/verify?selection=given", CSV, key=None, Content_Type="text/csv").json
    assert (owner["verified"], "outside" in owner, owner["removed"]) == (False, False, [])
    assert "cannot be named" in owner["remark"]
