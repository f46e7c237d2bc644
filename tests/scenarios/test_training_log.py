# SPDX-License-Identifier: Apache-2.0
"""The training log: signed runs, what they leave beside their records, evaluations by others, and derivations."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression

from gateway.cli import main as pedigree_command
from pedigree import PedigreeError

if TYPE_CHECKING:
    from scenarios.conftest import World


def identity_of(consortium: Any, organisation: str) -> tuple[Path, Path]:
    """The certificate of an organisation's gateway, and the organisation's MSP folder."""
    folder = Path(os.environ.get("PEDIGREE_NETWORK") or consortium.directory)
    (member,) = (each for each in consortium.network()["organisations"] if each["name"] == organisation)
    # A gateway in a container has a user of its own, which it enrolled with the organisation's CA.
    own = folder / "gateways" / organisation / "identity" / "msp"
    (certificate,) = ((own if own.is_dir() else folder / member["user_msp"]) / "signcerts").iterdir()
    return certificate, folder / member["msp"]


@pytest.fixture
def data(world: World) -> World:
    """The hospital has data."""
    world.register("hospital")
    world.commit("a,b,c")
    return world


@pytest.mark.story("F4", "A run's statement is SLSA provenance that its organisation signed, and verifies offline")
def test_a_run_is_signed(data: World, consortium: Any, tmp_path: Path) -> None:
    world, name = data, f"run-{data.number}"
    lab = world.as_("lab")
    lab.register_model(world.model, title="A model")
    base = lab.record_model_version(world.model, world.files("base"), licence="CC-BY-4.0")
    model = tmp_path / "model.json"
    model.write_text("{}")
    with lab.run(name, datasets=[world.data_version], parents=[base.reference], code="ab" * 32) as run:
        run.log_parameter("C", 1.0)
        run.log_artifact(model)
    envelope = world.as_("hospital").run_statement(name)
    assert lab.run_statement(name, source="ledger") == envelope
    said = json.loads(base64.b64decode(envelope["payload"]))
    assert said["predicateType"] == "https://slsa.dev/provenance/v1"
    assert [each["name"] for each in said["subject"]] == [f"run:{name}", "model.json"]
    named = [each["name"] for each in said["predicate"]["buildDefinition"]["resolvedDependencies"]]
    assert named == [world.data_version, base.reference, "code", "environment"]
    file = tmp_path / "run.intoto.json"
    file.write_text(json.dumps(envelope))
    certificate, msp = identity_of(consortium, "lab")
    given = ["--certificate", str(certificate), "--msp", str(msp)]
    answer = CliRunner().invoke(pedigree_command, ["verify", str(file), *given])
    assert answer.exit_code == 0, answer.output
    assert f"It used {world.data_version}" in " ".join(answer.output.split())
    altered = base64.b64encode(base64.b64decode(envelope["payload"]).replace(b'"1.0"', b'"2.0"')).decode()
    file.write_text(json.dumps({**envelope, "payload": altered}))
    assert CliRunner().invoke(pedigree_command, ["verify", str(file), *given]).exit_code == 1


@pytest.mark.story("F4", "A signature over another run is refused", refused="bad-signature")
def test_a_signature_over_another_run_is_refused(data: World) -> None:
    lab, name = data.as_("lab"), f"run-{data.number}"
    signature = lab.record_run(name, **data.run_fields()).record["signature"]
    with pytest.raises(PedigreeError) as refusal:
        lab.record_run(f"{name}-better", **{**data.run_fields(), "metrics": {"accuracy": 1}, "signature": signature})
    assert refusal.value.code == "bad-signature"


@pytest.mark.story("F4", "Metric histories and artifacts stay with their owner, and are compared with the ledger")
def test_histories_and_artifacts_are_compared(data: World, tmp_path: Path) -> None:
    lab, name = data.as_("lab"), f"run-{data.number}"
    features, labels = load_breast_cancer(return_X_y=True)
    history, model = tmp_path / "history.jsonl", tmp_path / "model.json"
    with lab.run(name, datasets=[data.data_version], code=Path(__file__), history=history) as run:
        for step, iterations in enumerate((50, 200, 800)):
            classifier = LogisticRegression(max_iter=iterations, solver="liblinear").fit(features, labels)
            run.log_metric("accuracy", classifier.score(features, labels), step)
        run.log_parameters(classifier.get_params())
        model.write_text(json.dumps(classifier.coef_.tolist()))
        run.log_artifact(model)
    record = data.as_("regulator").get_run(name)["record"]
    assert record["history"]["entries"] == 3
    assert [(each["name"], each["step"]) for each in record["metrics"]] == [("accuracy", 2)]
    assert data.as_("regulator").verify_run(name, history=history, artifacts=[model])["verified"]
    history.write_bytes(history.read_bytes().replace(b'"step":0', b'"step":9'))
    model.write_text("[]")
    report = data.as_("regulator").verify_run(name, history=history, artifacts=[model])
    assert (report["verified"], report["changed"]) == (False, [str(history), "model.json"])


@pytest.mark.story("F4", "Another organisation evaluates a model on a named split")
def test_another_evaluates_on_a_named_split(data: World) -> None:
    train, test = split(data)
    trained(data, train)
    digest = data.as_("regulator").model_version(data.model, 1)["record"]["digest"]
    judged = data.as_("regulator").record_evaluation(
        f"on-a-split-{data.number}", subject=data.model_version, digest=digest, data=test,
        metrics={"accuracy": 0.9}, evaluated_at=1_767_225_600_000,
    )  # fmt: skip
    (found,) = data.as_("lab").evaluations(subject=data.model_version)["items"]
    assert found["record"] == judged.record
    assert (found["record"]["owner"], found["record"]["data"]["selection"]) == ("RegulatorMSP", test["selection"])
    above = {each["reference"] for each in data.as_("hospital").impact(judged.reference, direction="up")["items"]}
    assert {data.model_version, test["selection"], train["selection"]} <= above


@pytest.mark.story("F4", "What a model was trained on is not what it is tested on", refused="role-differs")
def test_the_training_split_does_not_test(data: World) -> None:
    train, _ = split(data)
    trained(data, train)
    digest = data.as_("regulator").model_version(data.model, 1)["record"]["digest"]
    with pytest.raises(PedigreeError) as refusal:
        data.as_("regulator").record_evaluation(
            f"on-a-split-{data.number}", subject=data.model_version, digest=digest, data={**train, "role": "test"},
            metrics={"accuracy": 1}, evaluated_at=1_767_225_600_000,
        )  # fmt: skip
    assert refusal.value.code == "role-differs"


@pytest.mark.story("F4", "A model version says how it was made from another")
def test_derivations_are_named(data: World) -> None:
    lab = data.as_("lab")
    lab.register_model(data.model, title="A model")
    first = lab.record_model_version(data.model, data.files("first"), licence="CC-BY-4.0").reference
    relations = ("fine-tuned", "distilled", "merged", "quantised", "adapter")
    for relation in relations:
        parents = [{"version": first, "relation": relation}]
        lab.record_model_version(data.model, data.files(relation), licence="CC-BY-4.0", parents=parents)
    edges = data.as_("hospital").edges(first, direction="down")["items"]
    assert sorted(each["record"]["relation"] for each in edges) == sorted(relations)


def split(world: World) -> list[dict[str, Any]]:
    """The parts of the scenario's data that are for training and for testing."""
    hospital = world.as_("hospital")
    parts = []
    for role, ids in (("train", ["a", "b"]), ("test", ["c"])):
        chosen = hospital.select_records(world.dataset, 1, role, ids, role=role)
        used = {"version": world.data_version, "selection": chosen.reference, "root": chosen.record["root"]}
        parts.append({**used, "role": role})
    return parts


def trained(world: World, part: dict[str, Any]) -> None:
    """Have the lab record a model that it trained on a part of the data."""
    lab = world.as_("lab")
    lab.register_model(world.model, title="A model")
    lab.record_run(f"run-{world.number}", **world.run_fields(inputs=[part]))
    lab.record_model_version(world.model, world.files("first"), licence="CC-BY-4.0", run=f"run-{world.number}")
