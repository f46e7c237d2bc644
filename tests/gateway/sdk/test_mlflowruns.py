# SPDX-License-Identifier: Apache-2.0
"""What MLflow tracked is read as it is and recorded once, and nothing in there raises."""

import hashlib
import json
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import httpx
import pytest
from doorcertificates import DoorAuthority

from chaincode.domain import codec
from pedigree import InvalidInput, Pedigree
from pedigree.mlflowruns import plugin, tags
from pedigree.mlflowruns.__main__ import main
from pedigree.mlflowruns.attempts import record_tracked
from pedigree.mlflowruns.recording import run_name
from pedigree.mlflowruns.stores import record_stored

ROOT = "ab" * 32
CODE = "cd" * 32
RUN = "0123456789abcdef0123456789abcdef"
NAME = f"mlflow-{RUN}"
USE = "dataset-version:wdbc:1"
STARTED = 1_760_000_000_000
SAID = {"pedigree.use": USE, "pedigree.code": CODE, "pedigree.environment": "ef" * 32}


class Gateway:
    """Knows one data set version and one model, and can be told to fail."""

    def __init__(self) -> None:
        self.runs: dict[str, Any] = {}
        self.versions: list[Any] = []
        self.keys: list[str] = []
        self.failure: Callable[[httpx.Request], httpx.Response | None] = lambda _: None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        failed = self.failure(request)
        if failed is not None:
            return failed
        return self.read(request.url.path) if request.method == "GET" else self.record(request)

    def read(self, path: str) -> httpx.Response:
        known = {"/v1/datasets/wdbc/versions/1": {"root": ROOT}, "/v1/datasets/wdbc": {"basis": "public-task"}}
        known |= {f"/v1/runs/{name}": fields for name, fields in self.runs.items()}
        if path == "/v1/models/net/versions":
            return httpx.Response(200, json={"items": [{"record": each} for each in self.versions], "next": None})
        if path in known:
            return httpx.Response(200, json={"record": known[path], "transaction": {"id": "ab" * 32, "block": 6}})
        return problem(404, "not-found")

    def record(self, request: httpx.Request) -> httpx.Response:
        fields = json.loads(request.content)
        self.keys.append(request.headers["Idempotency-Key"])
        if request.url.path == "/v1/models/net/versions":
            fields |= {"kind": "model-version", "model": "net", "number": len(self.versions) + 1}
            self.versions.append(fields)
        else:
            codec.from_plain({"kind": "record-run", "schema": 1, **fields})  # the law takes it
            if fields["run"] in self.runs:
                return problem(409, "already-exists")
            self.runs[fields["run"]] = fields
        done = {"record": fields, "event": {"name": "Done"}, "transaction": {"id": "ab" * 32, "block": 6}}
        return httpx.Response(201, json=done)


def problem(status: int, code: str) -> httpx.Response:
    return httpx.Response(status, json={"code": code, "detail": "No.\nNot \x1b[31mthis."})


class Tracking:
    """A tracking store with one run, as `mlflow.MlflowClient` gives access to one."""

    tracking_uri = "memory:"

    def __init__(self, **more: str) -> None:
        self.tags = {**SAID, **{name.replace("_", "."): value for name, value in more.items()}}
        self.status = "FINISHED"
        self.params: dict[str, str] = {}
        self.metrics: dict[str, list[tuple[int, int, float]]] = {}
        self.files: dict[str, bytes] = {}
        self.inputs: list[Any] = []
        self.registered: list[Any] = []
        self.ended = 0

    def get_run(self, run_id: str) -> Any:
        assert run_id == RUN
        info = SimpleNamespace(
            run_id=RUN, status=self.status, start_time=STARTED, end_time=STARTED + 1_000, experiment_id="0",
            artifact_uri="memory:/artifacts",
        )  # fmt: skip
        last = {name: max(values)[2] for name, values in self.metrics.items()}
        data = SimpleNamespace(tags=dict(self.tags), params=dict(self.params), metrics=last)
        return SimpleNamespace(info=info, data=data, inputs=SimpleNamespace(dataset_inputs=self.inputs))

    def get_metric_history(self, _run: str, name: str) -> list[Any]:
        values = self.metrics[name]
        return [SimpleNamespace(step=step, timestamp=when, value=value) for step, when, value in values]

    def list_artifacts(self, _run: str, folder: str | None) -> list[Any]:
        within = "" if folder is None else f"{folder}/"
        below = {path.removeprefix(within) for path in self.files if path.startswith(within)}
        return [
            SimpleNamespace(path=within + name, is_dir=within + name not in self.files)
            for name in sorted({each.split("/")[0] for each in below})
        ]

    def download_artifacts(self, _run: str, path: str, into: str) -> str:
        (file := Path(into) / "file").write_bytes(self.files[path])
        return str(file)

    def log_artifact(self, _run: str, path: str, folder: str) -> None:
        self.files[f"{folder}/{Path(path).name}"] = Path(path).read_bytes()

    def set_tag(self, _run: str, name: str, value: str) -> None:
        self.tags[name] = value

    def delete_tag(self, _run: str, name: str) -> None:
        del self.tags[name]

    def search_model_versions(self, condition: str) -> list[Any]:
        assert condition == f"run_id = '{RUN}'"
        return self.registered

    def search_logged_models(self, _experiments: list[str], _condition: str, page_token: str | None) -> Any:
        assert page_token is None
        return Page([])

    def set_model_version_tag(self, name: str, version: str, tag: str, value: str) -> None:
        self.tags[f"{name} {version} {tag}"] = value

    def set_terminated(self, run_id: str, status: str | None = None) -> None:
        assert (run_id, status) == (RUN, self.status)
        self.ended += 1


class Page(list[Any]):
    token: str | None = None


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
def lab(gateway: Gateway) -> Iterator[Pedigree]:
    with Pedigree("http://gateway", "id.secret", timeout=0.3, transport=httpx.MockTransport(gateway)) as client:
        yield client


def test_a_run_is_recorded_as_mlflow_has_it(lab: Pedigree, gateway: Gateway) -> None:
    tracking = Tracking(pedigree_purpose="https://w3id.org/dpv#ScientificResearch")
    tracking.tags |= {"mlflow.note.content": "First.", "mlflow.source.git.commit": "12" * 20}
    tracking.params = {"C": "1.0", "größe\x00": "a\x07b"}
    tracking.metrics = {"loss": [(1, 9, 0.25), (0, 8, 0.5), (1, 9, 0.25), (1, 10, float("nan"))], "f1": [(0, 8, 0.5)]}
    tracking.files = {"plots/a.png": b"a", "notes.txt": b"b", "pedigree/old": b"c"}
    assert record_tracked(lab, tracking, RUN) == (RUN, f"run:{NAME}", None, None)
    body = gateway.runs[NAME]
    assert body["inputs"] == [{"version": USE, "root": ROOT, "role": "train", "found": "unverified"}]
    assert (body["started"], body["finished"], body["purpose"]) == (
        STARTED,
        STARTED + 1_000,
        tracking.tags["pedigree.purpose"],
    )
    assert body["code"] == {"digest": CODE, "commit": "12" * 20}
    assert (body["note"], body["environment"]) == ("First.", {"digest": "ef" * 32})
    assert [each["name"] for each in body["parameters"]] == ["C", r"gr\xf6\xdfe\x00"]
    assert body["metrics"] == [{"name": "f1", "value": "0.5"}, {"name": "loss", "value": "nan", "step": 1}]
    history = tracking.files["pedigree/history.jsonl"]
    assert body["history"] == {"digest": hashlib.sha256(history).hexdigest(), "size": len(history), "entries": 4}
    assert body["artifacts"] == [
        {"path": "notes.txt", "digest": hashlib.sha256(b"b").hexdigest(), "size": 1, "media_type": "text/plain"},
        {"path": "plots/a.png", "digest": hashlib.sha256(b"a").hexdigest(), "size": 1, "media_type": "image/png"},
    ]
    assert (tracking.tags["pedigree.run"], tracking.tags["pedigree.transaction"]) == (f"run:{NAME}", "ab" * 32)


def test_a_run_that_ends_again_is_not_recorded_again(lab: Pedigree, gateway: Gateway) -> None:
    tracking = Tracking()
    tracking.metrics = {"loss": [(0, 8, 0.5), (1, 9, 0.25)]}
    for _ in range(2):
        assert record_tracked(lab, tracking, RUN).reason is None
    assert len(gateway.keys) == 1
    del tracking.tags["pedigree.run"], tracking.tags["pedigree.transaction"]
    assert record_tracked(lab, tracking, RUN).reference == f"run:{NAME}"
    assert tracking.tags["pedigree.transaction"] == "ab" * 32
    gateway.runs[NAME]["started"] -= 1
    del tracking.tags["pedigree.run"]
    assert "already-exists" in str(record_tracked(lab, tracking, RUN).reason)


def test_the_key_is_the_same_until_it_is_refused(lab: Pedigree, gateway: Gateway) -> None:
    tracking = Tracking()
    sent: list[str] = []

    def fail(request: httpx.Request) -> httpx.Response | None:
        if request.method == "GET":
            return None
        sent.append(request.headers["Idempotency-Key"])
        if len(sent) < 3:
            return problem(500, "internal") if len(sent) == 1 else problem(403, "not-the-owner")
        return None

    gateway.failure = fail
    assert record_tracked(lab, tracking, RUN).reference is None
    assert "pedigree.attempt" not in tracking.tags  # it may be on the ledger
    refused = record_tracked(lab, tracking, RUN)
    assert sent[0] == sent[1]
    error = tracking.tags["pedigree.error"]
    assert error == refused.reason == r"No.\x0aNot \x1b[31mthis. [not-the-owner]"
    assert str(refused) == f"the MLflow run {RUN} is not recorded: {error}"
    assert record_tracked(lab, tracking, RUN).reason is None
    assert sent[2] != sent[1]
    assert "pedigree.error" not in tracking.tags


def test_registered_models_become_versions_and_a_failure_there_keeps_the_run(lab: Pedigree, gateway: Gateway) -> None:
    tracking = Tracking(pedigree_model="net")
    tracking.files = {"net/MLmodel": b"m", "net/data/weights": b"w", "notes.txt": b"n"}
    tracking.registered = [
        SimpleNamespace(name="tumours", version="3", source=f"runs:/{RUN}/net", model_id=None),
        SimpleNamespace(name="tumours", version="4", source="s3://elsewhere/net", model_id=None),
    ]
    first = record_tracked(lab, tracking, RUN)
    assert first.reference == f"run:{NAME}"
    assert str(first).startswith(
        f"the MLflow run {RUN} is recorded as run:{NAME}, and not its model: nothing says under"
    )
    assert gateway.versions == []
    tracking.tags["pedigree.licence"] = "MIT"
    for _ in range(2):
        assert record_tracked(lab, tracking, RUN).reason is None
        del tracking.tags["pedigree.version"]
        tracking.tags["pedigree.error"] = "lost"
    (version,) = gateway.versions
    assert [each["path"] for each in version["files"]] == ["MLmodel", "data/weights"]
    assert (version["run"], version["licence"]) == (NAME, "MIT")
    assert tracking.tags["tumours 3 pedigree.version"] == "model-version:net:1"
    assert "tumours 4 pedigree.version" not in tracking.tags
    tracking.registered = []
    assert "no model was logged" in str(record_tracked(lab, tracking, RUN).reason)


@pytest.mark.parametrize(
    ("status", "changes", "says"),
    [
        ("FAILED", {}, "it ended as FAILED"),
        ("KILLED", {}, "it ended as KILLED"),
        ("FINISHED", {"mlflow.autologging": "sklearn", "mlflow.parentRunId": "x"}, "MLflow made it for a search"),
        ("FINISHED", {"pedigree.use": ""}, "nothing says which data it used"),
    ],
)
def test_what_is_not_for_the_ledger_is_said(
    lab: Pedigree, gateway: Gateway, status: str, changes: dict[str, str], says: str
) -> None:
    tracking = Tracking()
    tracking.status = status
    tracking.tags |= changes
    attempt = record_tracked(lab, tracking, RUN)
    assert str(attempt.reason).startswith(says)
    assert (attempt.error, tracking.tags["pedigree.skipped"], gateway.runs) == (None, attempt.reason, {})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"pedigree.use": "wdbc"}, "the tag pedigree.use: 'wdbc' is not a data set version or a selection"),
        ({"pedigree.use": f"{USE} {USE}"}, "the tag pedigree.use"),
        ({"pedigree.use": "dataset-version:wdbc"}, "is neither 'dataset-version:name:1'"),
        ({"pedigree.use": f"{USE} access-grant:"}, "No."),
        ({"pedigree.code": ""}, "nothing says which code ran"),
        ({"pedigree.code": "nowhere"}, "neither a path that exists nor a SHA-256"),
        ({"pedigree.code": "{"}, "the tag pedigree.code is not a JSON object"),
        ({"pedigree.code": '{"digest": "x"}'}, "the digest of the code"),
        ({"pedigree.environment": "nowhere.lock"}, "nowhere.lock"),
        ({"pedigree.parents": "net"}, "a parent: 'net' is not a reference"),
        ({"pedigree.purpose": "\x00"}, "the purpose"),
    ],
)
def test_tags_that_say_nothing_are_named(lab: Pedigree, gateway: Gateway, changes: dict[str, str], says: str) -> None:
    if says == "No.":
        gateway.failure = lambda request: problem(400, "invalid-record") if request.method == "POST" else None
    tracking = Tracking()
    tracking.tags |= changes
    assert says in str(record_tracked(lab, tracking, RUN).reason)
    assert gateway.runs == {}


@pytest.mark.parametrize("missing", ["pedigree.code", "pedigree.environment"])
def test_a_run_from_before_needs_its_code_and_environment(lab: Pedigree, missing: str) -> None:
    tracking = Tracking()
    del tracking.tags[missing]
    assert f"set the tag {missing}" in str(record_tracked(lab, tracking, RUN).reason)


def test_a_store_cannot_reach_out_of_it_or_go_on_without_end(lab: Pedigree, monkeypatch: pytest.MonkeyPatch) -> None:
    tracking = Tracking()
    for listed, says in (
        ([SimpleNamespace(path="../key", is_dir=False)], "it must be a relative path"),
        ([SimpleNamespace(path=f"{number}.txt", is_dir=False) for number in range(1_025)], "more than 1024 artifacts"),
    ):
        monkeypatch.setattr(tracking, "list_artifacts", lambda _run, _folder, found=listed: found)
        assert says in str(record_tracked(lab, tracking, RUN).reason)

    def deeper(_run: str, folder: str | None) -> list[Any]:
        return [SimpleNamespace(path="a" if folder is None else f"{folder}{len(folder)}", is_dir=True)]

    monkeypatch.setattr(tracking, "list_artifacts", deeper)
    assert "more than" in str(record_tracked(lab, tracking, RUN).reason)


def given(name: str, source: object, **said: str) -> Any:
    """A data set that was logged."""
    dataset = SimpleNamespace(name=name, digest="8a7b6c5d", source_type="local", source=json.dumps(source))
    return SimpleNamespace(
        dataset=dataset,
        tags=[SimpleNamespace(key=key.replace("_", "."), value=value) for key, value in said.items()],
    )


def test_data_that_was_logged_is_what_its_tag_or_its_name_says(tmp_path: Path) -> None:
    (file := tmp_path / "a b.csv").write_text("id\n1\n")
    logged = [
        given(USE, {"uri": str(file)}, mlflow_data_context="training"),
        given("other", {"uri": file.as_uri()}, pedigree_use="selection:wdbc:1:t", mlflow_data_context="Eval"),
        given("gone", {"uri": "gone.csv"}, pedigree_use="dataset-version:x:1", pedigree_bundle="x.bundle"),
        given("nobody", {"uri": str(file)}),
        given("dataset-version:y:1", ["uri"]),
    ]
    found = tags.data_of({"pedigree.use": f"{USE} access-grant:g, dataset-version:z:2"}, logged)
    assert found == [
        tags.Data(USE, "train", "access-grant:g", file),
        tags.Data("dataset-version:z:2", "train"),
        tags.Data("selection:wdbc:1:t", "validation", None, file),
        tags.Data("dataset-version:x:1", "train", None, None, Path("x.bundle")),
        tags.Data("dataset-version:y:1", "train"),
    ]
    assert tags.unnamed_inputs(logged) == ["nobody"]
    with pytest.raises(InvalidInput, match="its context 'prod' is none of train"):
        tags.data_of({}, [given(USE, {}, mlflow_data_context="prod")])


def test_a_run_has_a_name_whatever_its_id_is() -> None:
    assert run_name(RUN) == NAME
    for odd in ("A" * 32, "a" * 60, "größe", ""):
        assert len(run_name(odd)) == 39


def test_what_is_known_at_the_start_is_in_tags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (script := tmp_path / "train.py").write_text("fit()")
    (lock := tmp_path / "a.lock").write_text("a==1")
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(script), raising=False)
    said = tags.tags_at_start({"PEDIGREE_USE_TEST": USE, "PEDIGREE_MODEL": ""})
    assert said.keys() == {"pedigree.use.test", "pedigree.code", "pedigree.environment"}
    assert tags.code_said(said) == {"digest": hashlib.sha256(b"fit()").hexdigest()}
    assert "Python" in tags.environment_said(said)["description"]
    script.write_text("changed()")
    assert tags.code_said(said) == {"digest": hashlib.sha256(b"fit()").hexdigest()}
    named = tags.tags_at_start({"PEDIGREE_CODE": str(tmp_path), "PEDIGREE_ENVIRONMENT": str(lock)})
    assert ".git" in tags.code_said(named)["ignored"]
    assert tags.environment_said(named)["description"] == "a.lock"
    left = tags.tags_at_start({"PEDIGREE_CODE": str(tmp_path / "gone")})
    assert left == {"pedigree.code": str(tmp_path / "gone")}
    assert "what runs cannot be noted in the MLflow run" in caplog.text


# -- the plug-in -----------------------------------------------------------------------------------------------------


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> type[Tracking]:
    """MLflow, of which only the client is there."""

    class MlflowClient(Tracking):
        def __init__(self, uri: str | None = None) -> None:
            super().__init__()
            self.tracking_uri = uri or "memory:"

    module, exceptions = ModuleType("mlflow"), ModuleType("mlflow.exceptions")
    module.MlflowClient = MlflowClient  # type: ignore[attr-defined]
    exceptions.MlflowException = LookupError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mlflow", module)
    monkeypatch.setitem(sys.modules, "mlflow.exceptions", exceptions)
    for name in ("PEDIGREE_URL", "PEDIGREE_KEY", "PEDIGREE_KEY_FILE", "PEDIGREE_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
    return MlflowClient


def test_the_end_of_a_run_is_noticed_where_a_gateway_is_named(
    mlflow: type[Tracking], lab: Pedigree, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = plugin.RunContext()
    before = mlflow.set_terminated
    assert not context.in_context()
    assert mlflow.set_terminated is before
    monkeypatch.setenv("PEDIGREE_URL", "http://gateway")
    monkeypatch.setattr(plugin, "connect", lambda _variables: lab)
    assert context.in_context()
    after = mlflow.set_terminated
    assert context.in_context()
    assert mlflow.set_terminated is after is not before
    assert "pedigree.environment" in context.tags()
    (client := mlflow()).set_terminated(RUN, "FINISHED")
    assert (client.ended, client.tags["pedigree.run"], len(gateway.runs)) == (1, f"run:{NAME}", 1)
    monkeypatch.delenv("PEDIGREE_URL")
    (other := mlflow()).set_terminated(RUN, status="FINISHED")
    assert (other.ended, other.tags) == (1, SAID)


def test_nothing_that_fails_reaches_the_training(
    mlflow: type[Tracking], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    monkeypatch.setenv("PEDIGREE_URL", "http://127.0.0.1:9")
    plugin.RunContext().in_context()
    (client := mlflow()).set_terminated(RUN, "FINISHED")
    assert client.tags["pedigree.error"].startswith("PEDIGREE_URL is set, and neither PEDIGREE_KEY_FILE nor")
    (key := tmp_path / "key").write_text("id.secret\n")
    monkeypatch.setenv("PEDIGREE_KEY_FILE", str(key))
    monkeypatch.setenv("PEDIGREE_TIMEOUT", "0.1")
    client.set_terminated(RUN, "FINISHED")
    assert "does not answer" in client.tags["pedigree.error"]
    monkeypatch.setattr(client, "set_tag", lambda *_: 1 / 0)
    caplog.clear()
    client.set_terminated(RUN, "FINISHED")
    assert client.ended == 3
    said = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert said[0] == f"the MLflow run {RUN} cannot be given the tag pedigree.error: division by zero"
    assert said[1].startswith(f"the MLflow run {RUN} is not recorded: http://127.0.0.1:9 does not answer")


def test_a_program_that_is_ending_has_another_record_the_run(
    mlflow: type[Tracking], monkeypatch: pytest.MonkeyPatch
) -> None:
    def submit(_pool: Any, _work: Any) -> None:
        raise RuntimeError("cannot schedule new futures after shutdown")

    asked: list[list[str]] = []
    monkeypatch.setattr(plugin.ThreadPoolExecutor, "submit", submit)
    monkeypatch.setattr(plugin.subprocess, "run", lambda command, check: asked.append(command))
    monkeypatch.setenv("PEDIGREE_URL", "http://gateway")
    plugin.RunContext().in_context()
    (client := mlflow()).set_terminated(RUN, "FINISHED")
    assert asked == [[sys.executable, "-m", "pedigree.mlflowruns", "memory:", RUN]]
    recorded: list[Any] = []
    monkeypatch.setattr(plugin, "record_ended", lambda client, run_id: recorded.append((client.tracking_uri, run_id)))
    main(asked[0][3:])
    assert recorded == [("memory:", RUN)]
    assert client.tags == SAID


def test_a_process_that_cannot_be_started_is_said(
    mlflow: type[Tracking], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(plugin, "_is_ending", lambda: True)
    monkeypatch.setattr(plugin.sys, "executable", "/nowhere/python")
    monkeypatch.setenv("PEDIGREE_URL", "http://gateway")
    plugin.RunContext().in_context()
    (client := mlflow()).set_terminated(RUN, "FINISHED")
    assert "/nowhere/python" in client.tags["pedigree.error"]
    assert f"the MLflow run {RUN} is not recorded" in caplog.text


@pytest.mark.parametrize("patience", ["0", "-1", "inf", "nan", "soon"])
def test_a_patience_that_is_none_is_refused(patience: str) -> None:
    with pytest.raises(InvalidInput, match="PEDIGREE_TIMEOUT"):
        plugin.connect({"PEDIGREE_URL": "http://gateway", "PEDIGREE_KEY": "a.b", "PEDIGREE_TIMEOUT": patience})


def test_a_store_is_recorded_run_by_run(
    mlflow: type[Tracking], lab: Pedigree, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = {None: [RUN], "next": [RUN]}

    def search(_client: Any, experiments: list[str], condition: str, page_token: str | None) -> Page:
        assert (experiments, condition) == (["7"], "attributes.status = 'FINISHED'")
        page = Page(SimpleNamespace(info=SimpleNamespace(run_id=each)) for each in pages[page_token])
        page.token = "next" if page_token is None else None
        return page

    def named(_client: Any, name: str) -> Any:
        return SimpleNamespace(experiment_id="7") if name == "tumours" else None

    monkeypatch.setattr(mlflow, "search_runs", search, raising=False)
    monkeypatch.setattr(mlflow, "get_experiment_by_name", named, raising=False)
    found = list(record_stored(lab, runs=[RUN], experiment="tumours", tags={"pedigree.parents": ""}))
    assert [each.reference for each in found] == [f"run:{NAME}"] * 3
    with pytest.raises(InvalidInput, match="MLflow has no experiment 'other' there"):
        list(record_stored(lab, experiment="other"))
    monkeypatch.setattr(mlflow, "set_tag", lambda *_: {}["gone"])
    with pytest.raises(InvalidInput, match="MLflow: 'gone'"):
        list(record_stored(lab, runs=[RUN], tags={"a": "b"}))
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(InvalidInput, match="MLflow is not installed"):
        list(record_stored(lab, runs=[RUN]))


def test_the_plug_in_believes_the_authority_and_shows_the_certificate_that_variables_name(tmp_path: Path) -> None:
    authority = DoorAuthority(tmp_path)
    certificate, key = authority.issue("trainer")
    named = {
        "PEDIGREE_URL": "https://127.0.0.1:1",
        "PEDIGREE_CA_CERTIFICATE": str(authority.file),
        "PEDIGREE_CLIENT_CERTIFICATE": str(certificate),
        "PEDIGREE_CLIENT_KEY": str(key),
    }
    plugin.connect(named).close()
    for missing in ("PEDIGREE_CA_CERTIFICATE", "PEDIGREE_CLIENT_CERTIFICATE"):
        with pytest.raises(InvalidInput, match="nowhere"):
            plugin.connect({**named, missing: str(tmp_path / "nowhere")})
    with pytest.raises(InvalidInput, match="PEDIGREE_KEY"):
        plugin.connect({"PEDIGREE_URL": "https://127.0.0.1:1"})
