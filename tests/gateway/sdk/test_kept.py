# SPDX-License-Identifier: Apache-2.0
"""What a run leaves beside its record: the history of its metrics and the files that it wrote."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pedigree import Disagreement, InvalidInput, Pedigree, rules

CODE = "ab" * 32


class Gateway:
    """Keeps the runs that it is sent."""

    def __init__(self) -> None:
        self.runs: dict[str, Any] = {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            found = self.runs.get(request.url.path.rpartition("/")[2])
            if found is None:
                return httpx.Response(404, json={"code": "not-found", "detail": "No."})
            return httpx.Response(200, json={"record": found, "transaction": {}})
        fields = json.loads(request.content)
        self.runs[fields["run"]] = fields
        done = {"record": fields, "event": {"name": "RunRecorded"}, "transaction": {"id": "ab" * 32, "block": 6}}
        return httpx.Response(201, json=done)


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
def lab(gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pedigree]:
    monkeypatch.chdir(tmp_path)
    with Pedigree("http://gateway", "id.secret", transport=httpx.MockTransport(gateway)) as client:
        yield client


def test_a_history_has_every_value_and_the_record_its_digest_and_the_last(
    gateway: Gateway, lab: Pedigree, tmp_path: Path
) -> None:
    file = tmp_path / "history.jsonl"
    with lab.run("r-1", code=CODE, history=file) as run:
        for step in range(20_000):
            run.log_metric("loss", 1 / (1 + step), step)
        run.log_metric("größe", 4)
    content = file.read_bytes()
    lines = [json.loads(line) for line in content.splitlines()]
    assert len(lines) == 20_001
    assert lines[3] == {"name": "loss", "value": "0.25", "step": 3}
    said = gateway.runs["r-1"]
    assert said["history"] == {
        "digest": hashlib.sha256(content).hexdigest(), "size": len(content), "entries": 20_001,
    }  # fmt: skip
    assert [(each["name"], each.get("step")) for each in said["metrics"]] == [("größe", None), ("loss", 19_999)]
    assert lab.verify_run("r-1", history=file)["verified"]
    file.write_bytes(content[:-20])
    assert lab.verify_run("r-1", history=file)["changed"] == [str(file)]
    with pytest.raises(Disagreement, match="run:r-1 differs"):
        lab.verify_run("r-1", history=file, check=True)


def test_a_history_is_a_new_file_in_a_folder_that_is_there(lab: Pedigree, tmp_path: Path) -> None:
    (tmp_path / "old").write_text("kept")
    for name, said in (("old", "exists already"), ("none/new", "is not a folder")):
        with pytest.raises(InvalidInput, match=said):
            lab.run("r-1", code=CODE, history=tmp_path / name)
    assert (tmp_path / "old").read_text() == "kept"


def test_a_run_that_measured_nothing_leaves_no_history(gateway: Gateway, lab: Pedigree, tmp_path: Path) -> None:
    with lab.run("r-1", code=CODE, history="history.jsonl") as run:
        run.log_parameter("C", 1)
    assert "history" not in gateway.runs["r-1"]
    assert not (tmp_path / "history.jsonl").exists()
    with pytest.raises(InvalidInput, match="has no history"):
        lab.verify_run("r-1", history=tmp_path / "anything")
    with pytest.raises(InvalidInput, match="give a history, or artifacts"):
        lab.verify_run("r-1")


def test_what_failed_keeps_its_history(lab: Pedigree, tmp_path: Path) -> None:
    run = lab.run("r-1", code=CODE, history="history.jsonl")

    def train() -> None:
        with run:
            run.log_metric("loss", 1, 0)
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError) as failure:
        train()
    assert run.saved_to is not None
    saved = json.loads(run.saved_to.read_text())
    assert saved["history"]["digest"] == hashlib.sha256((tmp_path / "history.jsonl").read_bytes()).hexdigest()
    assert "pedigree run record" in " ".join(failure.value.__notes__)
    recorded = lab.record_saved_run(run.saved_to)
    assert recorded.record["history"]["entries"] == 1


def test_files_and_folders_that_a_run_wrote_are_named_by_digest(
    gateway: Gateway, lab: Pedigree, tmp_path: Path
) -> None:
    model, folder = tmp_path / "net.json", tmp_path / "plots"
    model.write_text("{}")
    folder.mkdir()
    for name in ("a.png", "b.strange"):
        (folder / name).write_text(name)
    with lab.run("r-1", code=CODE) as run:
        run.log_artifact(model)
        run.log_artifact(folder)
        run.log_artifact(model, "copy.bin", media_type="application/x-copy")
        with pytest.raises(InvalidInput, match="is an artifact of the run already"):
            run.log_artifact(model)
        with pytest.raises(InvalidInput, match="relative path"):
            run.log_artifact(model, "../net.json")
    said = {each["path"]: each for each in gateway.runs["r-1"]["artifacts"]}
    assert said["net.json"] == {
        "path": "net.json", "digest": hashlib.sha256(b"{}").hexdigest(), "size": 2, "media_type": "application/json",
    }  # fmt: skip
    assert said["plots/a.png"]["media_type"] == "image/png"
    assert "media_type" not in said["plots/b.strange"]
    assert said["copy.bin"]["media_type"] == "application/x-copy"
    report = lab.verify_run("r-1", artifacts=[model, folder])
    assert (report["verified"], report["removed"]) == (False, ["copy.bin"])
    (folder / "a.png").write_text("altered")
    (folder / "new").write_text("new")
    report = lab.verify_run("r-1", artifacts=[model, folder])
    assert (report["changed"], report["added"]) == (["plots/a.png"], ["plots/new"])


def test_a_run_names_so_many_files(lab: Pedigree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(rules, "MOST_ARTIFACTS", 1)
    with lab.run("r-1", code=CODE) as run:
        run.log_artifact("file")
        with pytest.raises(InvalidInput, match="at most 1 files"):
            run.log_artifact("file", "again")
