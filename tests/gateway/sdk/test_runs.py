# SPDX-License-Identifier: Apache-2.0
"""Runs record themselves, and whatever happens at the end, what was measured is recorded or in a file."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from click.testing import CliRunner, Result

from chaincode.domain import codec
from gateway.cli import main
from pedigree import Disagreement, InvalidInput, NotFound, Pedigree, Refused, Run, Unavailable, Unmet, Unreachable
from pedigree.saving import read_run

ROOT = "ab" * 32
PART = "5e" * 32
SELECTION = "selection:wdbc:1:training"
CODE = "cd" * 32
VERSION = "dataset-version:wdbc:1"
PARENT = "model-version:base:2"


class Gateway:
    """Knows one data set version and one model, answers a key's repetition as before, and can be told to fail."""

    def __init__(self) -> None:
        self.runs: dict[str, Any] = {}
        self.basis = "public-task"
        self.answers: dict[str, httpx.Response] = {}
        self.failure: Callable[[], httpx.Response] | None = None
        self.lose_answers = 0
        self.keys: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return self.read(request.url.path)
        if self.failure is not None:
            return self.failure()
        key = request.headers["Idempotency-Key"]
        self.keys.append(key)
        if key not in self.answers:
            self.answers[key] = self.record(json.loads(request.content))
        if self.lose_answers:
            self.lose_answers -= 1
            raise httpx.ReadError("connection lost")
        return self.answers[key]

    def read(self, path: str) -> httpx.Response:
        known = {"/v1/datasets/wdbc/versions/1": {"root": ROOT}, "/v1/models/base/versions/2": {}}
        known["/v1/datasets/wdbc"] = {"basis": self.basis}
        known |= {"/v1/datasets/wdbc/versions/1/selections/training": {"root": PART}}
        known |= {f"/v1/runs/{name}": fields for name, fields in self.runs.items()}
        if path in known:
            return httpx.Response(200, json={"record": known[path], "transaction": {}})
        return problem(404, "not-found")

    def record(self, fields: Any) -> httpx.Response:
        codec.from_plain({"kind": "record-run", "schema": 1, **fields})  # the law takes it
        if fields["run"] in self.runs:
            return problem(409, "already-exists")
        self.runs[fields["run"]] = fields
        done = {"record": fields, "event": {"name": "RunRecorded"}, "transaction": {"id": "ab" * 32, "block": 6}}
        return httpx.Response(201, json=done)


def problem(status: int, code: str, *, retryable: bool = False) -> httpx.Response:
    return httpx.Response(status, json={"code": code, "detail": "No.", "retryable": retryable})


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
def lab(gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pedigree]:
    monkeypatch.chdir(tmp_path)
    with Pedigree("http://gateway", "id.secret", timeout=0.3, transport=httpx.MockTransport(gateway)) as client:
        yield client


def saved(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.pedigree-run.json"))


def test_a_run_records_itself_and_leaves_no_file(gateway: Gateway, lab: Pedigree, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("fit()")
    with lab.run("r-1", datasets=[VERSION], parents=[PARENT], code=tmp_path / "train.py", parameters={"C": 1.0}) as run:
        run.log_parameters({"solver": "", "layers": [np.int64(2), np.float64(0.5)]})
        run.log_metric("accuracy", np.float64(0.9736))
        run.log_metrics({"loss": 1e-7, "gap": float("nan")}, step=2)
        run.log_metric("loss", 0.5, np.int64(1))
        run.log_metric("accuracy", 0.98)
    body = gateway.runs["r-1"]
    assert run.recorded is not None
    assert body["inputs"] == [{"version": VERSION, "root": ROOT, "role": "train"}]
    assert body["parameters"] == [
        {"name": "C", "value": "1.0"}, {"name": "layers", "value": "[2, 0.5]"}, {"name": "solver", "value": ""},
    ]  # fmt: skip
    assert body["metrics"] == [
        {"name": "accuracy", "value": "0.98"},
        {"name": "gap", "value": "nan", "step": 2},
        {"name": "loss", "value": "0.5", "step": 1},
        {"name": "loss", "value": "1e-07", "step": 2},
    ]
    assert 1_700_000_000_000 < body["started"] <= body["finished"]
    assert saved(tmp_path) == []
    assert run.saved_to is None


def test_a_run_of_the_longest_model_name_has_a_name_that_fits(gateway: Gateway, lab: Pedigree) -> None:
    for model in ("m" * 64, "a" * 40 + "-" * 20 + "b", "m"):
        with lab.run(model=model, datasets=[VERSION], code=CODE) as run:
            pass
        assert run.name in gateway.runs
        assert run.name.startswith(model[:41])
    with pytest.raises(InvalidInput, match="the model's name"):
        lab.run(model="Net", code=CODE)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"name": "R 1"}, "the run's name"),
        ({"code": "abc"}, "neither a path that exists nor a SHA-256"),
        ({"code": "AB" * 32}, "the digest of the code"),
        ({"code": {"digest": CODE, "commit": "main"}}, "the commit of the code"),
        ({"code": {"digest": CODE, "url": "x"}}, "code: it has a digest"),
        ({"environment": {"description": "x"}}, "environment: it has a digest"),
        ({"note": "a\rb"}, "the note"),
        ({"datasets": [{"version": VERSION, "role": "training"}]}, "the role 'training'"),
        ({"datasets": [VERSION, VERSION]}, "an input for train already"),
        ({"parents": ["model:base"]}, "a parent"),
        ({"parents": [PARENT, PARENT]}, "each of them once"),
        ({"parameters": {"p": "x" * 65_537}}, "parameter 'p'"),
    ],
)
def test_what_is_given_to_a_run_is_checked_before_anything_is_trained(
    lab: Pedigree, given: dict[str, Any], says: str
) -> None:
    with pytest.raises(InvalidInput, match=says):
        lab.run(**{"name": "r-1", "code": CODE, **given})


def test_a_run_names_its_purpose_the_selection_that_it_read_and_what_was_found(gateway: Gateway, lab: Pedigree) -> None:
    purpose = "https://w3id.org/dpv#ScientificResearch"
    read = {"version": VERSION, "selection": SELECTION, "found": "verified"}
    with lab.run("r-1", datasets=[read], code=CODE, purpose=purpose) as run:
        run.log_input(VERSION, CODE, "test", found="differs", grant="access-grant:g-1")
        with pytest.raises(InvalidInput, match="already"):
            run.log_input(VERSION, PART, selection=SELECTION)
    body = gateway.runs["r-1"]
    assert body["purpose"] == purpose
    assert body["inputs"] == [
        {"version": VERSION, "role": "train", "root": PART, "selection": SELECTION, "found": "verified"},
        {"version": VERSION, "role": "test", "root": CODE, "found": "differs", "grant": "access-grant:g-1"},
    ]


def test_a_copy_that_differs_is_said_to_before_anything_is_trained(lab: Pedigree) -> None:
    part = {"version": VERSION, "selection": SELECTION, "root": ROOT}
    with pytest.raises(Disagreement, match=SELECTION):
        lab.run("r-1", datasets=[part], code=CODE)
    lab.run("r-1", datasets=[{**part, "found": "differs"}], code=CODE)


def test_what_the_ledger_says_of_a_runs_beginning_is_asked_before_anything_is_trained(
    gateway: Gateway, lab: Pedigree
) -> None:
    gateway.runs["taken"] = {}
    with pytest.raises(Refused, match="already recorded"):
        lab.run("taken", datasets=[VERSION], code=CODE)
    with pytest.raises(NotFound):
        lab.run("r-1", datasets=["dataset-version:wdbc:2"], code=CODE)
    with pytest.raises(NotFound):
        lab.run("r-1", datasets=[VERSION], parents=["model-version:base:3"], code=CODE)
    with pytest.raises(Disagreement, match="artifact-altered"):
        lab.run("r-1", datasets=[{"version": VERSION, "root": CODE}], code=CODE)


def test_data_that_its_subjects_gave_is_not_trained_on_without_a_selection(gateway: Gateway, lab: Pedigree) -> None:
    gateway.basis = "consent"
    with pytest.raises(Unmet, match=r"selection list wdbc 1.*\[selection-missing\]"):
        lab.run("r-1", datasets=[VERSION], code=CODE)
    lab.run("r-1", datasets=[{"version": VERSION, "selection": SELECTION}], code=CODE)


@pytest.mark.parametrize(
    "log",
    [
        lambda run: run.log_metric("m", True),
        lambda run: run.log_metric("m", "good"),
        lambda run: run.log_metric("", 1),
        lambda run: run.log_metric("m" * 4_001, 1),
        lambda run: run.log_metric("m", 1, step=-1),
        lambda run: run.log_parameter("lr: 1", "lr: 1\rbs: 2"),
        lambda run: run.log_parameter("colour", "\x1b[31mred"),
        lambda run: run.log_parameter("name", "cafe\u0301"),
        lambda run: run.log_parameter("p", "x" * 65_537),
        lambda run: run.log_input("dataset:wdbc", ROOT),
        lambda run: run.log_input(VERSION, "root"),
        lambda run: run.log_input(VERSION, ROOT),
        lambda run: run.log_input(VERSION, PART, selection="selection:wdbc:2:training"),
        lambda run: run.log_input(VERSION, PART, selection=SELECTION, found="altered"),
        lambda run: run.log_input(VERSION, ROOT, "test", grant="g-1"),
        lambda run: [run.log_parameter(f"p{number}", 1) for number in range(1_025)],
        lambda run: [run.log_parameter(f"p{number}", "x" * 65_000) for number in range(65)],
        lambda run: [run.log_metric("m", 1, step) for step in range(10_001)],
    ],
)
def test_what_would_be_refused_at_the_end_is_refused_when_it_is_logged(
    gateway: Gateway, lab: Pedigree, log: Callable[[Any], None]
) -> None:
    with lab.run("r-1", datasets=[VERSION], code=CODE) as run:
        run.log_metric("accuracy", 0.9)
        with pytest.raises(InvalidInput):
            log(run)
    assert "r-1" in gateway.runs  # and what was logged before it can be recorded


def test_a_block_that_fails_records_nothing_and_keeps_what_was_logged(
    gateway: Gateway, lab: Pedigree, tmp_path: Path
) -> None:
    with pytest.raises(ZeroDivisionError), lab.run("r-1", datasets=[VERSION], code=CODE, parameters={"a": 1}):
        raise ZeroDivisionError
    assert saved(tmp_path) == []  # nothing was logged

    def stop(run: Run) -> None:
        run.log_metric("loss", 0.5, step=1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as stopped, lab.run("r-1", datasets=[VERSION], code=CODE) as run:
        stop(run)
    assert gateway.runs == {}
    (file,) = saved(tmp_path)
    assert any(str(file) in note for note in stopped.value.__notes__)
    assert read_run(file)[2]["metrics"] == [{"name": "loss", "value": "0.5", "step": 1}]


ENDS: list[tuple[Callable[[], httpx.Response], type[Exception]]] = [
    (lambda: problem(409, "already-exists"), Refused),
    (lambda: problem(401, "unauthenticated"), Refused),
    (lambda: problem(503, "capacity", retryable=True), Unavailable),
    (lambda: httpx.Response(502, text="<html>"), Unavailable),
    (lambda: (_ for _ in ()).throw(httpx.ConnectError("refused")), Unreachable),
    (lambda: httpx.Response(201, json={"odd": 1}), KeyError),
]


@pytest.mark.parametrize(("failure", "raised"), ENDS)
def test_a_run_that_cannot_be_recorded_is_saved_and_the_exception_says_where(
    gateway: Gateway, lab: Pedigree, tmp_path: Path, failure: Callable[[], httpx.Response], raised: type[Exception]
) -> None:
    gateway.failure = failure
    with pytest.raises(raised) as failed, lab.run("r-1", datasets=[VERSION], code=CODE) as run:
        run.log_metric("accuracy", 0.9)
    (file,) = saved(tmp_path)
    assert run.saved_to == file
    assert any(f"pedigree run record {file}" in note for note in failed.value.__notes__)
    if issubclass(raised, Refused | Unavailable | Unreachable):
        assert str(file) in str(failed.value)
        assert getattr(failed.value, "saved_to") == file  # noqa: B009
    assert file.stat().st_mode & 0o777 == 0o600
    gateway.failure = None
    recorded = lab.record_saved_run(file)
    assert recorded.record["metrics"] == [{"name": "accuracy", "value": "0.9"}]
    assert lab.record_saved_run(file).record == recorded.record
    assert len(gateway.runs) == 1


def test_a_recording_whose_answer_was_lost_is_not_recorded_twice(
    gateway: Gateway, lab: Pedigree, tmp_path: Path
) -> None:
    gateway.lose_answers = 1_000
    with pytest.raises(Unreachable), lab.run("r-1", datasets=[VERSION], code=CODE) as run:
        run.log_metric("accuracy", 0.9)
    assert "r-1" in gateway.runs
    gateway.lose_answers = 0
    assert lab.record_saved_run(saved(tmp_path)[0]).block == 6
    assert len(set(gateway.keys)) == 1


def test_a_refused_run_can_be_put_right_in_its_file(gateway: Gateway, lab: Pedigree, tmp_path: Path) -> None:
    run = lab.run("r-1", datasets=[VERSION], code=CODE)
    gateway.runs["r-1"] = {}  # another was faster
    with pytest.raises(Refused), run:
        run.log_metric("accuracy", 0.9)
    (file,) = saved(tmp_path)
    fields = json.loads(file.read_text())
    assert fields["idempotency_key"] not in gateway.answers  # the refusal is the answer to the other one for good
    file.write_text(json.dumps({**fields, "run": "r-2"}))
    assert lab.record_saved_run(file).record["run"] == "r-2"


def test_where_nothing_can_be_written_the_run_is_still_recorded(
    gateway: Gateway, lab: Pedigree, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.NamedTemporaryFile", full)
    with lab.run("r-1", datasets=[VERSION], code=CODE) as run:
        run.log_metric("accuracy", 0.9)
    assert "r-1" in gateway.runs
    gateway.failure = lambda: problem(503, "capacity", retryable=True)
    with pytest.raises(Unavailable) as failed, lab.run("r-2", datasets=[VERSION], code=CODE) as run:
        run.log_metric("accuracy", 0.9)
    assert any("No space left" in note for note in failed.value.__notes__)


def test_a_folder_that_cannot_be_written_to_has_a_stand_in_and_no_file_is_overwritten(
    gateway: Gateway, lab: Pedigree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "temporary"
    other.mkdir()
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(other))
    gateway.failure = lambda: problem(503, "capacity", retryable=True)
    for expected in ("r-1.pedigree-run.json", "r-1-2.pedigree-run.json"):
        run = lab.run("r-1", datasets=[VERSION], code=CODE, save_in=tmp_path / "nowhere")
        with pytest.raises(Unavailable) as failed, run:
            run.log_metric("accuracy", 0.9)
        assert failed.value.saved_to == other / expected
    assert sorted(path.name for path in other.iterdir()) == ["r-1-2.pedigree-run.json", "r-1.pedigree-run.json"]


def test_a_run_outlives_its_program_when_that_is_killed_while_it_records(
    gateway: Gateway, lab: Pedigree, tmp_path: Path
) -> None:
    arrived = threading.Event()
    keys: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            keys.append(self.headers["Idempotency-Key"])
            arrived.set()
            self.rfile.read()  # until the client is gone

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        url = f"http://127.0.0.1:{server.server_port}"
        program = (
            "from pedigree import Pedigree\n"
            f"with Pedigree({url!r}, 'id.secret').run(model='net', code={CODE!r}) as run:\n"
            f"    run.log_input({VERSION!r}, {ROOT!r})\n"
            "    run.log_metric('accuracy', 0.9)\n"
        )
        with subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path) as process:
            assert arrived.wait(60)
            process.send_signal(signal.SIGKILL)
        server.shutdown()
    (file,) = saved(tmp_path)
    assert lab.record_saved_run(file).record["metrics"] == [{"name": "accuracy", "value": "0.9"}]
    assert gateway.keys == keys


def test_a_runs_own_file_does_not_change_the_digest_of_the_code(
    gateway: Gateway, lab: Pedigree, tmp_path: Path
) -> None:
    (tmp_path / "train.py").write_text("fit()")
    gateway.failure = lambda: problem(503, "capacity", retryable=True)
    with pytest.raises(Unavailable), lab.run("r-1", datasets=[VERSION], code=tmp_path) as run:
        run.log_metric("accuracy", 0.9)
    gateway.failure = None
    with lab.run("r-2", datasets=[VERSION], code=tmp_path):
        pass
    assert gateway.runs["r-2"]["code"] == read_run(saved(tmp_path)[0])[2]["code"]


def test_metrics_of_evaluations_and_finished_runs_are_numbers_too(gateway: Gateway, lab: Pedigree) -> None:
    fields = {
        "code": {"digest": CODE},
        "environment": {"digest": CODE},
        "started": 1,
        "finished": 2,
        "parents": [PARENT],
    }
    lab.record_run("r-1", **fields, parameters={"C": np.float64(1.0)}, metrics={"b": np.float32(0.5), "a": 1})
    assert gateway.runs["r-1"]["metrics"] == [{"name": "a", "value": "1"}, {"name": "b", "value": "0.5"}]
    assert gateway.runs["r-1"]["parameters"] == [{"name": "C", "value": "1.0"}]
    with pytest.raises(InvalidInput, match="metric 'a'"):
        lab.record_evaluation(
            "e",
            subject=PARENT,
            digest=CODE,
            data={"version": VERSION, "root": CODE},
            evaluated_at=1,
            metrics=[{"name": "a", "value": True}],
        )


class TestCommand:
    """`pedigree run record`."""

    def record(self, monkeypatch: pytest.MonkeyPatch, gateway: Gateway, *arguments: str) -> Result:
        def client(url: str, key: str, **more: Any) -> Pedigree:
            return Pedigree(url, key, transport=httpx.MockTransport(gateway), **more)

        monkeypatch.setattr("pedigree.Pedigree", client)
        options = ("--url", "http://gateway", "--key", "id.secret", "--timeout", "1")
        return CliRunner().invoke(main, ["run", "record", *arguments, *options])

    def test_it_takes_the_file_that_a_run_left(
        self, gateway: Gateway, lab: Pedigree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gateway.lose_answers = 1_000
        with pytest.raises(Unreachable), lab.run("r-1", datasets=[VERSION], code=CODE) as run:
            run.log_metric("accuracy", 0.9)
        gateway.lose_answers = 0
        for _ in range(2):
            done = self.record(monkeypatch, gateway, str(saved(tmp_path)[0]))
            assert done.exit_code == 0, done.output
        assert len(set(gateway.keys)) == 1

    def test_it_takes_a_name_for_a_file_that_has_none(
        self, gateway: Gateway, lab: Pedigree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fields = {"code": {"digest": CODE}, "environment": {"digest": CODE}, "started": 1, "finished": 2, "inputs": []}
        file = tmp_path / "run.json"
        file.write_text(json.dumps({**fields, "parents": [PARENT]}))
        done = self.record(monkeypatch, gateway, "r-9", str(file), "--idempotency-key", "mine")
        assert (done.exit_code, gateway.keys) == (0, ["mine"]), done.output
        assert "names no run" in self.record(monkeypatch, gateway, str(file)).stderr
        file.write_text(json.dumps({"run": "r-8"}))
        assert "holds the run 'r-8'" in self.record(monkeypatch, gateway, "r-9", str(file)).stderr
        assert self.record(monkeypatch, gateway, "r-9", str(file), "more").exit_code == 2
        assert self.record(monkeypatch, gateway, str(tmp_path / "missing")).exit_code == 2


def test_a_file_that_is_not_a_run_is_named(lab: Pedigree, tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    for content in ("", "[]", "{}", '{"run": 1}'):
        file.write_text(content)
        with pytest.raises(InvalidInput, match=r"run\.json"):
            lab.record_saved_run(file)
    assert list(tmp_path.iterdir()) == [file]
