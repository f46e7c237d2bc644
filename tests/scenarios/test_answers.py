# SPDX-License-Identifier: Apache-2.0
"""Every operation of a running gateway, driven at least once, and its answers against the OpenAPI document."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from gateway.api.operations import EXAMPLES, OPERATIONS
from gateway.api.rows import Operation
from gateway.demo.consortium import Consortium
from gateway.demo.containers import Containers
from gateway.demo.founding import ORIGIN
from pedigree import Pedigree, manifest_digest

_keys = itertools.count(1)
_OPERATION = {operation.name: operation for operation in OPERATIONS}


class Gateways:
    """Asks gateways in HTTP, checks what they answer, and remembers which operations were answered."""

    def __init__(self, consortium: Consortium | Containers, prefix: str) -> None:
        self._consortium = consortium
        self._prefix = prefix
        self._clients = {
            name: httpx.Client(
                base_url=consortium.url(name), headers={"Authorization": f"Bearer {consortium.key(name)}"}, timeout=60
            )
            for name in ("hospital", "lab", "regulator")
        }
        self.document: Any = self._clients["lab"].get("/openapi.json").json()
        self.answered: set[str] = set()

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    def ask(
        self, name: str, operation_id: str, body: Any = None, query: dict[str, str] | None = None, **places: str
    ) -> Any:
        """The answer of one operation, which must be a success that the document describes."""
        operation = _OPERATION[operation_id]
        headers = {"Idempotency-Key": f"{self._prefix}-{next(_keys)}"} if operation.records else {}
        content: dict[str, Any] = {"content": body} if isinstance(body, bytes) else {"json": body} if body else {}
        if isinstance(body, bytes):
            headers["Content-Type"] = "text/csv"
        elif operation.method == "POST" and body is None and operation.body is not None:
            content = {"json": {}}
        # Other gateways have recorded meanwhile: this one answers when it has read what they did.
        headers["Min-Ledger-Height"] = str(self.height())
        response = self._clients[name].request(
            operation.method, operation.path.format_map(places), params=query, headers=headers, **content
        )
        assert response.status_code == operation.status, f"{operation_id}: {response.text}"
        self.check(operation, response)
        self.answered.add(operation_id)
        return response.content if operation.answer.form == "file" else response.json()

    def begin(self, name: str, operation_id: str, body: Any) -> str:
        """Have something recorded after the answer; the id under which it can be asked for."""
        operation = _OPERATION[operation_id]
        headers = {"Idempotency-Key": f"{self._prefix}-{next(_keys)}", "Prefer": "respond-async"}
        response = self._clients[name].request(operation.method, operation.path, json=body, headers=headers)
        assert response.status_code == 202, response.text
        self.check(operation, response)
        return str(response.json()["operation"])

    def ask_the_rest(self) -> None:
        """Ask for every operation that was not asked for, with examples: found or refused, it is as described."""
        for operation in OPERATIONS:
            if operation.name in self.answered:
                continue
            described = self.document["paths"][operation.path][operation.method.lower()]
            content = described.get("requestBody", {"content": {}})["content"].get("application/json", {})
            query = {each.name: EXAMPLES[each.name] for each in operation.taken if each.required}
            response = self._clients["lab"].request(
                operation.method,
                operation.path.format_map(EXAMPLES),
                params=query,
                headers={"Idempotency-Key": f"{self._prefix}-{next(_keys)}"} if operation.records else {},
                **({"json": content["example"]} if content else {}),
            )
            assert response.status_code < 500, f"{operation.name}: {response.text}"
            self.check(operation, response)

    def check(self, operation: Operation, response: httpx.Response) -> None:
        """The answer against what the document says of this status."""
        described = self.document["paths"][operation.path][operation.method.lower()]["responses"]
        found = described[str(response.status_code)]
        if "$ref" in found:
            found = self.document["components"]["responses"][found["$ref"].rpartition("/")[2]]
        media_type = response.headers["Content-Type"]
        if media_type not in ("application/json", "application/problem+json"):
            assert found["content"] == {media_type: {"schema": {}}}
            return
        schema = {**found["content"][media_type]["schema"], "components": self.document["components"]}
        Draft202012Validator(schema).validate(response.json())
        if "x-problem-codes" in found:
            assert response.json()["code"] in found["x-problem-codes"]

    def height(self) -> int:
        """The greatest height that a gateway has."""
        return max(int(client.get("/v1/ledger").headers["Ledger-Height"]) for client in self._clients.values())


@pytest.fixture(scope="module")
def gateways(
    consortium: Consortium | Containers, clients: dict[str, Pedigree], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateways]:
    assert set(clients) == {"hospital", "lab", "regulator"}, "the founding policy is in force"
    made = Gateways(consortium, tmp_path_factory.mktemp("keys").name)
    yield made
    made.close()


@pytest.mark.story("F7", "Every operation answers what the OpenAPI document describes")
def test_every_operation_answers_what_the_document_describes(gateways: Gateways) -> None:
    ask = gateways.ask
    data, net, version = "answers", "answers-net", "model-version:answers-net:1"
    ask(
        "hospital",
        "registerDataset",
        {
            "dataset": data,
            "title": "T",
            "licence": "CC-BY-4.0",
            "origin": ORIGIN,
            "sensitivity": "special-category",
            "basis": "public-task",
        },
    )
    ask("hospital", "getDataset", dataset=data)
    ask("hospital", "listDatasets", query={"owner": "HospitalMSP"})
    committed = ask("hospital", "commitDatasetVersion", b"id,age\np1,61\np2,44\n", {"id_field": "id"}, dataset=data)
    root = committed["record"]["root"]
    ask("hospital", "listDatasetVersions", dataset=data)
    ask("hospital", "getDatasetVersion", dataset=data, number="1")
    ask("lab", "getDatasetVersion", dataset=data, number="1")
    ask("hospital", "proveRecord", None, {"id": "p1"}, dataset=data, number="1")
    ask("hospital", "verifyDatasetVersion", dataset=data, number="1")
    assert ask("hospital", "getBundle", dataset=data, number="1").startswith(b"\x89PEDBUN\n")
    ask("hospital", "publishDatasetVersion", b"id,age\np1,61\np2,44\n", dataset=data, number="1")
    part = {"dataset": data, "number": "1", "selection": "one"}
    ask("hospital", "commitSelection", b"id\np1\n", {"selection": "one"}, dataset=data, number="1")
    ask("hospital", "publishSelection", **part)
    ask("hospital", "publishSelection", b"id,age\np1,61\n", **part)
    assert ask("hospital", "getSelectionBundle", **part).startswith(b"\x89PEDBUN\n")
    changed = ask("hospital", "verifyDatasetVersion", b"id,age\np1,62\np3,44\n", dataset=data, number="1")
    assert not changed["verified"]

    consented = "answers-consent"
    registered = {"title": "T", "licence": "CC-BY-4.0", "origin": ORIGIN, "sensitivity": "personal", "basis": "consent"}
    ask("hospital", "registerDataset", {"dataset": consented, **registered})
    nobody, somebody = "00" * 32, "ab" * 32
    ask("hospital", "openConsent", {"root": nobody, "size": 0}, dataset=consented)
    given = {"status": "ConsentGiven", "purposes": "0000000000000002", "indicated_at": 1_767_225_600_000}
    withdrawn = {**given, "status": "ConsentWithdrawn", "indicated_at": 1_767_225_601_000}
    root_now = nobody
    for number, old, new in ((2, {}, given), (3, {"old": given}, withdrawn)):
        change = {"subject": somebody, "siblings": "", "new": new, **old}
        body = {"number": number, "previous_root": root_now, "changes": [change]}
        root_now = ask("hospital", "changeConsent", body, dataset=consented)["record"]["root"]
    current = ask("lab", "getConsent", dataset=consented)["record"]
    assert (current["number"], current["root"], current["size"]) == (3, root_now, 1)
    ask("lab", "getConsentVersion", dataset=consented, number="2")
    ask("lab", "listConsentVersions", dataset=consented)
    taken = [each["record"]["bit"] for each in ask("lab", "listPurposes", query={"owner": "HospitalMSP"})["items"]]
    purpose = {"bit": min({*range(32, 64)} - {*taken}), "iri": f"https://hospital.example/purposes#{data}"}
    ask("hospital", "registerPurpose", purpose)

    ask("lab", "registerModel", {"model": net, "title": "T"})
    ask("lab", "getModel", model=net)
    ask("lab", "listModels")
    used = {"version": f"dataset-version:{data}:1", "root": root}
    term = {"artifact": used["version"], "purpose": "research", "actions": ["process"], "expires": 4_102_444_800_000}
    for grantee in ("lab", "regulator"):
        granted = {"grant": f"answers-{grantee}", "grantee": f"{grantee.capitalize()}MSP", **term}
        began = ask("hospital", "grantAccess", granted)["record"]["granted_at"]
    ask(
        "lab",
        "recordRun",
        {
            "run": "answers-run",
            "code": {"digest": "ab" * 32},
            "environment": {"digest": "cd" * 32, "description": "Python"},
            "started": began,
            "finished": began,
            "inputs": [{**used, "grant": "access-grant:answers-lab"}],
            "parameters": [{"name": "depth", "value": "4"}],
            "metrics": [{"name": "loss", "value": "0.5", "step": 1}],
        },
    )
    ask("lab", "getRun", run="answers-run")
    ask("lab", "getRunStatement", run="answers-run")
    ask("lab", "listRuns")
    for number, digest, made_by in ((1, "12" * 32, {"run": "answers-run"}), (2, "34" * 32, {})):
        files = [{"path": "net.onnx", "digest": digest, "size": 1}]
        body = {
            "licence": "CC-BY-4.0",
            "files": files,
            "digest": manifest_digest(files),
            **made_by,
        }
        recorded = ask("lab", "recordModelVersion", body, model=net)
        assert recorded["record"]["number"] == number
    ask("lab", "declareModelParent", {"parent": version, "relation": "fine-tuned"}, model=net, number="2")
    ask("lab", "listModelVersions", model=net)
    ask("lab", "getModelVersion", model=net, number="2")
    criterion = {"metric": "accuracy", "comparator": ">=", "threshold": "0.95"}
    bar = {"criteria": "answers-bar", "title": "T", "version": used["version"], "all_of": [criterion], "model": net}
    ask("regulator", "registerCriteria", bar)
    ask("regulator", "getCriteria", criteria="answers-bar")
    ask("regulator", "listCriteria", query={"model": net})
    ask(
        "regulator",
        "recordEvaluation",
        {
            "evaluation": "answers-evaluation",
            "subject": version,
            "digest": ask("regulator", "getModelVersion", model=net, number="1")["record"]["digest"],
            "data": {**used, "role": "test", "grant": "access-grant:answers-regulator"},
            "metrics": [{"name": "accuracy", "value": "0.97"}],
            "evaluated_at": began,
        },
    )
    ask("regulator", "getEvaluation", evaluation="answers-evaluation")
    ask("regulator", "listEvaluations", query={"subject": version})
    deployed = {"deployment": "answers-ward", "version": version, "location": "ward 3", "territories": ["DE"]}
    ask("hospital", "recordDeployment", deployed)
    assert ask("hospital", "getDeployment", deployment="answers-ward")["end"] is None
    ask("hospital", "endDeployment", {"reason": "r"}, deployment="answers-ward")
    assert ask("hospital", "getDeployment", deployment="answers-ward")["end"]["reason"] == "r"
    ask("hospital", "listDeployments", query={"version": version})
    ask("hospital", "listDeploymentEnds")

    ask("lab", "getArtifact", reference=version)
    ask("lab", "submitArtifact", reference=version)
    ask("hospital", "getInbox")
    ask("hospital", "endorseArtifact", reference=version)
    ask("regulator", "endorseArtifact", reference=version)
    ask("regulator", "quarantineArtifact", {"reason": "r"}, reference=version)
    ask("lab", "getArtifact", reference=version)
    ask("regulator", "releaseArtifact", {"reason": "r"}, reference=version)
    ask("lab", "advanceArtifact", {"to": "deployed"}, reference=version)
    second = "model-version:answers-net:2"
    ask("lab", "submitArtifact", reference=second)
    ask("hospital", "endorseArtifact", reference=second)
    ask("hospital", "withdrawEndorsement", {"reason": "r"}, reference=second)
    ask("regulator", "rejectArtifact", {"reason": "r"}, reference=second)
    ask("lab", "getArtifact", reference=second)
    ask("lab", "getLineage", query={"direction": "up"}, reference=version)
    ask("lab", "getLineage", query={"direction": "down"}, reference=f"dataset:{data}")
    impact = ask("lab", "listLineage", reference=f"dataset:{data}")
    assert version in {each["reference"] for each in impact["items"]}
    ask("lab", "listLineage", query={"direction": "up", "depth": "1", "as_of": str(impact["as_of"])}, reference=version)
    ask("lab", "listEdges", reference=version)
    ask("lab", "getEffectiveLicence", reference=version)

    policy = ask("lab", "getPolicy")["record"]
    proposed = {name: value for name, value in policy.items() if name not in ("kind", "schema", "set_at")}
    following = policy["number"] + 1
    ask("lab", "voteForPolicy", {**proposed, "number": following})
    ask("lab", "listPolicies")
    ask("lab", "listPolicyVotes", query={"number": str(following)})
    ask("lab", "listEndorsements", query={"artifact": second})
    ask("lab", "listRejections", query={"artifact": second})
    ask("lab", "getLedger")
    ask("lab", "getTransaction", transaction=committed["transaction"]["id"])
    ask("lab", "listTransactions", query={"organisation": "HospitalMSP", "validity": "VALID"})
    ask("lab", "getHistory", query={"order": "newest"}, reference=f"dataset:{data}")
    operation = gateways.begin("lab", "registerModel", {"model": "answers-later", "title": "T"})
    while ask("lab", "getOperation", operation=operation)["state"] == "pending":
        pass  # each answer says how far it is, and the gateway's own limit ends the submission
    gateways.ask_the_rest()
