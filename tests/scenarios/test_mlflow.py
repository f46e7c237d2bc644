# SPDX-License-Identifier: Apache-2.0
"""Trainings that log with MLflow and know nothing of Pedigree: programs of their own, whose runs are on the ledger."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gateway.demo.consortium import held_ports
from gateway.demo.processes import command as program
from gateway.demo.science import write_records
from pedigree import NotFound

if TYPE_CHECKING:
    from scenarios.conftest import World

RESEARCH = "https://w3id.org/dpv#ScientificResearch"
pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]

TRAINING = '''
"""A training as its author wrote it for MLflow; prints the id of its run."""
import csv, json, sys, warnings
from pathlib import Path

import mlflow
import pandas as pd
from sklearn.linear_model import SGDClassifier
from sklearn.preprocessing import StandardScaler

records = Path(sys.argv[1])
frame = pd.read_csv(records)
features = StandardScaler().fit_transform(frame.drop(columns=["id", "diagnosis"]))
labels = frame["diagnosis"]
with mlflow.start_run(run_name="biopsies", description="A first try.") as run:
    print(run.info.run_id, flush=True)
    tags = json.loads(sys.argv[2])
    mlflow.log_input(mlflow.data.from_pandas(frame, source=str(records), name="biopsies"), "training", tags=tags)
    classifier = SGDClassifier(loss="log_loss", random_state=7)
    mlflow.log_params(classifier.get_params())
    for epoch in range(4):
        classifier.partial_fit(features, labels, classes=[0, 1])
        mlflow.log_metric("accuracy", classifier.score(features, labels), step=epoch)
    mlflow.log_metric("records", len(frame))
    mlflow.log_dict({"coefficients": classifier.coef_.tolist()}, "report/coefficients.json")
    mlflow.log_text("benign or malignant", "notes.txt")
    if sys.argv[3]:
        mlflow.sklearn.log_model(
            classifier, name="classifier", serialization_format="cloudpickle", pip_requirements=["scikit-learn"],
            registered_model_name=sys.argv[3],
        )
    if len(sys.argv) > 4:
        raise SystemExit("stopped by its author")
'''
"""Nothing in it is Pedigree's but the tags of its input, which are given to it."""


class Author:
    """Somebody of the lab who trains with MLflow, in a folder of their own."""

    def __init__(self, folder: Path, url: str, key: str) -> None:
        self.folder = folder
        self.records = folder / "records.csv"
        self.script = folder / "train.py"
        self.script.write_text(TRAINING)
        self.store = (folder / "mlruns").as_uri()
        (folder / "key").write_text(key + "\n")
        self.variables = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            **{name: value for name, value in os.environ.items() if name.startswith("COVERAGE")},
            "MLFLOW_TRACKING_URI": self.store,
            "MLFLOW_ALLOW_FILE_STORE": "true",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "PEDIGREE_URL": url,
            "PEDIGREE_KEY_FILE": str(folder / "key"),
        }

    def train(self, *more: str, tags: dict[str, str] | None = None, registered: str = "", **given: str) -> Trained:
        """Run the training; variables are given in lower case."""
        variables = self.variables | {name.upper(): value for name, value in given.items()}
        arguments = [str(self.records), json.dumps(tags or {}), registered, *more]
        done = subprocess.run(
            [sys.executable, str(self.script), *arguments],
            capture_output=True, text=True, env=variables, cwd=self.folder, timeout=120, check=False,
        )  # fmt: skip
        return Trained(self, done)


class Trained:
    """What came of a training."""

    def __init__(self, author: Author, done: subprocess.CompletedProcess[str]) -> None:
        self.author = author
        self.exit_code, self.said = done.returncode, done.stderr
        assert done.stdout, done.stderr
        self.run_id = done.stdout.split()[0]
        (self.folder,) = author.folder.glob(f"mlruns/*/{self.run_id}")

    def ask(self, question: str) -> Any:
        """What MLflow says, in a process of its own; the question is an expression."""
        asked = (
            "import json, sys; from mlflow import MlflowClient; client = MlflowClient(); "
            f"run = client.get_run(sys.argv[1]); print(json.dumps({question}))"
        )
        done = subprocess.run(
            [sys.executable, "-c", asked, self.run_id],
            capture_output=True, text=True, env=self.author.variables, cwd=self.author.folder, timeout=60, check=True,
        )  # fmt: skip
        return json.loads(done.stdout)

    @property
    def tags(self) -> dict[str, str]:
        """The plug-in's tags of the run, of which MLflow keeps each in a file."""
        return {each.name: each.read_text() for each in (self.folder / "tags").glob("pedigree.*")}

    @property
    def warnings(self) -> list[str]:
        """The lines in which the plug-in said something."""
        return [line for line in self.said.splitlines() if "MLflow run" in line or "differs from" in line]


@pytest.fixture
def author(consortium: Any, world: World, tmp_path: Path) -> Author:
    """The lab's, with the hospital's records, which are on the ledger, and a model that is registered there."""
    made = Author(tmp_path, consortium.url("lab"), consortium.key("lab"))
    write_records(made.records)
    world.register("hospital", name=f"mlflow-{world.number}", basis="public-task")
    hospital = world.as_("hospital")
    hospital.commit_records(f"mlflow-{world.number}", made.records, id_field="id")
    hospital.save_bundle(f"mlflow-{world.number}", 1, tmp_path / "records.bundle")
    world.as_("lab").register_model(f"mlflow-{world.number}", title="Benign or malignant")
    return made


def digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file in a folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.story("F4", "A training that logs with MLflow is recorded without further code")
def test_a_training_that_logs_with_mlflow_is_recorded(author: Author, world: World) -> None:
    name, data = f"mlflow-{world.number}", f"dataset-version:mlflow-{world.number}:1"
    bundle = str(author.folder / "records.bundle")
    trained = author.train(
        tags={"pedigree.use": data, "pedigree.bundle": bundle}, registered=name,
        pedigree_model=name, pedigree_licence="CC-BY-4.0", pedigree_purpose="research",
    )  # fmt: skip
    assert (trained.exit_code, trained.warnings) == (0, []), trained.said
    tags = trained.tags
    assert tags["pedigree.run"] == f"run:mlflow-{trained.run_id}"
    assert tags["pedigree.version"] == f"model-version:{name}:1"
    assert "pedigree.error" not in tags

    entry = on_the_ledger(world, trained, "hospital")
    hospital, record = world.clients["hospital"], entry["record"]
    assert entry["transaction"]["id"] == tags["pedigree.transaction"]
    assert (record["owner"], record["note"]) == ("LabMSP", "A first try.")
    assert record["inputs"] == [
        {
            "version": data,
            "root": hospital.dataset_version(name, 1)["record"]["root"],
            "role": "train",
            "found": "verified",
        }
    ]
    assert record["code"]["digest"] == hashlib.sha256(author.script.read_bytes()).hexdigest()
    settings = {each["name"]: each["value"] for each in record["parameters"]}
    assert settings["loss"] == "log_loss"
    assert {each["name"]: each.get("step") for each in record["metrics"]} == {"accuracy": 3, "records": None}
    model = "client.search_logged_models([run.info.experiment_id])[0]"
    of_mlflow = trained.ask(
        f"[run.info.status, run.info.start_time, run.info.end_time, run.info.artifact_uri, {model}.artifact_location, "
        f"{model}.tags['pedigree.version'], client.get_model_version({name!r}, '1').tags['pedigree.version']]"
    )
    assert of_mlflow[:3] == ["FINISHED", record["started"], record["finished"]]
    assert of_mlflow[5:] == [f"model-version:{name}:1"] * 2

    stored, folder = (Path(each.removeprefix("file://")) for each in of_mlflow[3:5])
    files = digests(stored)
    history = files.pop("pedigree/history.jsonl")
    assert {each["path"]: each["digest"] for each in record["artifacts"]} == files
    assert set(files) == {"report/coefficients.json", "notes.txt"}
    assert record["history"]["digest"] == history
    lines = [json.loads(line) for line in (stored / "pedigree" / "history.jsonl").read_text().splitlines()]
    assert [each["step"] for each in lines if each["name"] == "accuracy"] == [0, 1, 2, 3]
    kept = [stored / each for each in ("report", "notes.txt")]
    assert hospital.verify_run(record["run"], history=stored / "pedigree/history.jsonl", artifacts=kept)["verified"]

    version = hospital.model_version(name, 1)["record"]
    assert version["run"] == record["run"]
    assert {each["path"]: each["digest"] for each in version["files"]} == digests(folder)
    assert hospital.verify_model(name, 1, folder)["verified"]

    below = {each["reference"] for each in world.as_("regulator").impact(data)["items"]}
    assert {f"run:{record['run']}", f"model-version:{name}:1"} <= below


@pytest.mark.story("F4", "An MLflow run whose end is reported twice is on the ledger once")
def test_an_end_that_is_reported_twice(author: Author, world: World, consortium: Any) -> None:
    name = f"mlflow-{world.number}"
    given = {"pedigree_use": f"dataset-version:{name}:1", "pedigree_model": name, "pedigree_licence": "CC-BY-4.0"}
    author.script.write_text(TRAINING + "mlflow.MlflowClient().set_terminated(run.info.run_id)\n")
    trained = author.train(registered=name, **given)
    assert (trained.exit_code, trained.warnings) == (0, []), trained.said
    first = trained.tags
    for each in ("pedigree.run", "pedigree.transaction", "pedigree.version"):
        (trained.folder / "tags" / each).unlink()  # as with an end of the program between the recording and its tags
    again = record(author, consortium, trained.run_id)
    assert again["reference"] == first["pedigree.run"]
    assert trained.tags == first
    lab = world.as_("lab")
    assert len(lab.runs(name=first["pedigree.run"].removeprefix("run:"))["items"]) == 1
    assert len(lab.model_versions(name)["items"]) == 1


@pytest.mark.story("F4", "A gateway that is down does no harm to a training with MLflow, which is recorded later")
def test_a_gateway_that_is_down(author: Author, world: World, consortium: Any) -> None:
    use = f"dataset-version:mlflow-{world.number}:1"
    with held_ports(1) as (free,):
        nowhere = f"http://127.0.0.1:{free}"  # held, and nothing listens there
        trained = author.train(pedigree_use=use, pedigree_url=nowhere, pedigree_timeout="0.5")
    assert trained.exit_code == 0, trained.said
    (said,) = trained.warnings
    assert said.startswith(f"the MLflow run {trained.run_id} is not recorded: {nowhere} does not answer")
    assert "[unreachable]" in trained.tags["pedigree.error"]
    later = record(author, consortium, trained.run_id)
    assert later == {"run": trained.run_id, "reference": f"run:mlflow-{trained.run_id}", "reason": None}
    assert "pedigree.error" not in trained.tags
    assert on_the_ledger(world, trained)["record"]["inputs"][0]["found"] == "unverified"


@pytest.mark.story(
    "F4", "A training with MLflow over data that it may not use is refused, and unharmed", refused="grant-missing"
)
def test_data_that_may_not_be_used(author: Author, world: World, consortium: Any) -> None:
    name, hospital = f"mlflow-{world.number}", world.as_("hospital")
    hospital.set_access_policy(name, purposes=[RESEARCH], actions=["process"], longest=7_200)
    use = f"dataset-version:{name}:1"
    trained = author.train(pedigree_use=use, pedigree_purpose=RESEARCH)
    assert trained.exit_code == 0, trained.said
    assert "[grant-missing]" in trained.tags["pedigree.error"]
    assert trained.warnings == [f"the MLflow run {trained.run_id} is not recorded: {trained.tags['pedigree.error']}"]
    terms = {"grantee": "LabMSP", "artifact": use, "purpose": RESEARCH, "actions": ["process"]}
    grant = hospital.grant_access(name, **terms, expires=time.time_ns() // 1_000_000 + 3_600_000)
    granted = author.train(pedigree_use=f"{use} {grant.reference}", pedigree_purpose=RESEARCH)
    assert (granted.exit_code, granted.warnings) == (0, []), granted.said
    assert on_the_ledger(world, granted)["record"]["inputs"][0]["grant"] == grant.reference
    late = command(author, consortium, trained.run_id, "--tag", f"pedigree.use={use} {grant.reference}")
    assert late.returncode == 4
    assert "not-yet. [grant-does-not-cover]" in late.stderr


@pytest.mark.story(
    "F4", "A training with MLflow over data under consent needs a selection", refused="selection-missing"
)
def test_data_under_consent(author: Author, world: World) -> None:
    name = f"mlflow-{world.number}-consent"
    world.register("hospital", name=name, basis="consent", sensitivity="personal")
    world.as_("hospital").commit_records(
        name, author.records, id_field="id", consent="ConsentGiven", purposes=("research",)
    )
    trained = author.train(pedigree_use=f"dataset-version:{name}:1", pedigree_purpose="research")
    assert trained.exit_code == 0, trained.said
    assert "[selection-missing]" in trained.tags["pedigree.error"]
    assert "pedigree.run" not in trained.tags


@pytest.mark.story("F4", "A run of MLflow that nobody ends is recorded when its program ends")
def test_a_run_that_nobody_ends(author: Author, world: World) -> None:
    block = 'with mlflow.start_run(run_name="biopsies", description="A first try.") as run:'
    assert block in TRAINING
    author.script.write_text(TRAINING.replace(block, "run = mlflow.start_run()\nif run:"))
    trained = author.train(pedigree_use=f"dataset-version:mlflow-{world.number}:1")
    assert (trained.exit_code, trained.warnings) == (0, []), trained.said
    artifacts = on_the_ledger(world, trained)["record"]["artifacts"]
    assert [each["path"] for each in artifacts] == ["notes.txt", "report/coefficients.json"]
    assert trained.tags["pedigree.run"] == f"run:mlflow-{trained.run_id}"


@pytest.mark.story("F4", "A run of MLflow that failed is not recorded, and says so")
def test_a_run_that_failed(author: Author, world: World) -> None:
    trained = author.train("fail", pedigree_use=f"dataset-version:mlflow-{world.number}:1")
    assert trained.exit_code == 1
    assert "stopped by its author" in trained.said
    assert trained.tags["pedigree.skipped"] == "it ended as FAILED, and only finished runs are recorded"
    assert "pedigree.run" not in trained.tags


@pytest.mark.story("F4", "A copy that is not the data it is said to be is recorded as one that differs")
def test_a_copy_that_differs(author: Author, world: World) -> None:
    data = f"dataset-version:mlflow-{world.number}:1"
    author.records.write_bytes(author.records.read_bytes().replace(b"patient-007,", b"patient-700,"))
    tags = {"pedigree.use": data, "pedigree.bundle": str(author.folder / "records.bundle")}
    trained = author.train(tags=tags)
    assert trained.exit_code == 0, trained.said
    (used,) = on_the_ledger(world, trained)["record"]["inputs"]
    assert used["found"] == "differs"
    assert used["root"] != world.as_("lab").dataset_version(f"mlflow-{world.number}", 1)["record"]["root"]
    assert trained.warnings == [f"{author.records} differs from {data}, and the run says so"]


@pytest.mark.story("F4", "What MLflow tracked before is recorded with one command")
def test_an_experiment_from_before(author: Author, world: World, consortium: Any) -> None:
    author.script.write_text(TRAINING * 2)
    before = author.train(pedigree_url="")
    assert (before.exit_code, before.tags) == (0, {}), before.said
    tags = {
        "pedigree.use": f"dataset-version:mlflow-{world.number}:1",
        "pedigree.code": str(author.script),
        "pedigree.environment": "ab" * 32,
    }
    options = [word for name, value in tags.items() for word in ("--tag", f"{name}={value}")]
    answer = command(author, consortium, "--experiment", "Default", *options)
    assert answer.returncode == 0, answer.stderr
    references = {each["reference"] for each in json.loads(answer.stdout)}
    assert len(references) == 2
    assert f"run:mlflow-{before.run_id}" in references
    assert {f"run:{each['record']['run']}" for each in world.as_("lab").runs(name="mlflow-")["items"]} >= references


def on_the_ledger(world: World, trained: Trained, organisation: str = "lab") -> dict[str, Any]:
    """The run as an organisation's gateway has it, which may learn of it a moment after the training."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return dict(world.clients[organisation].get_run(f"mlflow-{trained.run_id}"))
        except NotFound:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def command(author: Author, consortium: Any, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`pedigree mlflow record`, with the lab's gateway."""
    given = ["--url", consortium.url("lab"), "--key-file", str(author.folder / "key"), "--json"]
    return subprocess.run(
        [program("pedigree"), "mlflow", "record", *arguments, *given],
        capture_output=True, text=True, env=author.variables, cwd=author.folder, timeout=60, check=False,
    )  # fmt: skip


def record(author: Author, consortium: Any, *arguments: str) -> dict[str, Any]:
    """What the command says of one run, which it records."""
    done = command(author, consortium, *arguments)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    return dict(row)
