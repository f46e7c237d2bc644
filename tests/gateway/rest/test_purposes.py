# SPDX-License-Identifier: Apache-2.0
"""Purposes by name over HTTP: everybody's, and those that an organisation registered."""

from typing import Any

import pytest

RESEARCH = "https://w3id.org/dpv#ScientificResearch"
TRIAL = "https://lab.example/purposes#Trial7"
ROWS = b"id,x,uses\nr1,1,research;https://lab.example/purposes#Trial7\n"
WHERE = "/v1/datasets/wdbc/versions?id_field=id&consent=ConsentGiven"
SELECTION = {"selection": "s", "root": "5e" * 32, "size": 1}
RUN = {
    "run": "r-7", "code": {"digest": "5f" * 32}, "environment": {"digest": "5f" * 32}, "started": 1, "finished": 2,
    "inputs": [{"version": "dataset-version:wdbc:1", "root": "5e" * 32, "role": "train"}],
}  # fmt: skip
EVALUATION = {
    "evaluation": "e-7", "subject": "model-version:net:1", "digest": "5f" * 32, "evaluated_at": 1,
    "metrics": [{"name": "accuracy", "value": "0.97"}],
    "data": {"version": "dataset-version:wdbc:1", "root": "5e" * 32, "role": "test"},
}  # fmt: skip
RECORDINGS = [
    ("/v1/datasets/wdbc/versions/1/selections", SELECTION),
    ("/v1/runs", RUN),
    ("/v1/evaluations", EVALUATION),
]


def register(api: Any) -> None:
    made = api.post("/v1/purposes", {"bit": 40, "iri": TRIAL, "title": "trial 7"})
    assert made.status_code == 201, made.json


def purposes(api: Any) -> int:
    evidence = api.get("/v1/datasets/wdbc/versions/1/proof?id=r1", role="recorder").json
    return int(evidence["proof"]["purposes"], 16)


@pytest.mark.parametrize(
    "given", ["&purposes=research,trial%207", f"&purposes={TRIAL.replace('#', '%23')},research", "&purposes_field=uses"]
)
def test_records_are_committed_for_an_own_purpose(api: Any, given: str) -> None:
    unknown = api.post(f"{WHERE}{given}", ROWS, Content_Type="text/csv")
    assert unknown.status_code == 422
    assert unknown.json["code"] in ("unknown-term", "unreadable-records")
    assert "known are research, model-training" in unknown.json["detail"]
    register(api)
    assert api.post(f"{WHERE}{given}", ROWS, Content_Type="text/csv").status_code == 201
    assert purposes(api) == 1 << 40 | 1
    evidence = api.get("/v1/datasets/wdbc/versions/1/proof?id=r1", role="recorder").json
    assert [each["record"]["iri"] for each in evidence["purposes"]] == [TRIAL]


@pytest.mark.parametrize(("path", "body"), RECORDINGS, ids=["selection", "run", "evaluation"])
def test_what_is_recorded_for_a_purpose_has_its_iri(api: Any, path: str, body: dict[str, Any]) -> None:
    for name, iri in (("research", RESEARCH), (RESEARCH, RESEARCH), ("https://x.example/y", "https://x.example/y")):
        made = api.post(path, {**body, "purpose": name})
        assert made.status_code == 201, made.json
        assert made.json["record"]["purpose"] == iri
    for wrong in ("trial 7", "", "Research"):
        refused = api.post(path, {**body, "purpose": wrong})
        assert (refused.status_code, refused.json["code"]) == (422, "unknown-term")
        assert "known are research, model-training" in refused.json["detail"]
    register(api)
    assert api.post(path, {**body, "purpose": "trial 7"}).json["record"]["purpose"] == TRIAL
    assert api.post(path, {**body, "purpose": 7}).json["code"] == "invalid-field"


def test_what_subjects_indicate_is_for_an_own_purpose(api: Any) -> None:
    register(api)
    said = b'{"subject":"ann","state":"ConsentGiven","purposes":["trial 7","care"]}\n'
    api.post("/v1/datasets/wdbc/consent", said, Content_Type="application/jsonl")
    unknown = api.post("/v1/datasets/wdbc/consent", said.replace(b"7", b"8"), Content_Type="application/jsonl")
    assert (unknown.status_code, unknown.json["code"]) == (422, "unreadable-records")
    assert "public-health, commercial, trial 7" in unknown.json["detail"]
    assert "ann" not in unknown.json["detail"]
