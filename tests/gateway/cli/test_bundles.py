# SPDX-License-Identifier: Apache-2.0
"""`pedigree dataset bundle` and `dataset verify --bundle`: what they write and say, and their exit codes."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from samplebundle import Sample, sample

from gateway.cli import main
from gateway.services.ports import Reading
from pedigree.tables import CSV

ROWS = [(f"p{number}", b"p%d,%d" % (number, number)) for number in range(10)]
COPY = b"\n".join([b"id,age", *(content for _, content in ROWS)])
VERSION = "/v1/datasets/wdbc/versions/3"
ROOT = sample(ROWS).version["record"]["root"]


class Gateway:
    """Answers a version and its bundle."""

    def __init__(self, made: Sample) -> None:
        self.answers = {
            VERSION: json.dumps(made.version).encode(),
            f"{VERSION}/bundle": made.content,
            f"{VERSION}/bundle?selections=training": made.content,
            f"{VERSION}/selections/training": json.dumps(made.selections["training"]).encode(),
        }
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                missing = json.dumps({"code": "not-found", "detail": "There is none.", "retryable": False}).encode()
                content = gateway.answers.get(self.path, missing)
                self.send_response(200 if self.path in gateway.answers else 404)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def run(self, *arguments: str) -> Result:
        url = f"http://127.0.0.1:{self.server.server_address[1]}"
        return CliRunner().invoke(main, [*arguments, "--url", url, "--key", "id.secret", "--timeout", "5"])


@pytest.fixture
def made() -> Sample:
    return sample(ROWS, Reading(CSV, "id", ",", ("id", "age")), selected={"training": range(4)})


@pytest.fixture
def gateway(made: Sample) -> Iterator[Gateway]:
    found = Gateway(made)
    thread = threading.Thread(target=found.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    found.server.shutdown()
    thread.join()
    found.server.server_close()


def test_a_bundle_is_written_whole(gateway: Gateway, made: Sample, tmp_path: Path) -> None:
    path = tmp_path / "a.bundle"
    ended = gateway.run("dataset", "bundle", "wdbc", "3", "-o", str(path))
    assert (ended.exit_code, ended.stdout) == (0, f"{path}: {len(made.content)} bytes\n")
    assert path.read_bytes() == made.content
    assert json.loads(gateway.run("dataset", "bundle", "wdbc", "3", "-o", str(path), "--json").stdout) == {
        "bytes": len(made.content), "file": str(path),
    }  # fmt: skip
    gateway.answers[f"{VERSION}/bundle"] = made.content[:-1]
    (other := tmp_path / "b.bundle").write_bytes(b"before")
    ended = gateway.run("dataset", "bundle", "wdbc", "3", "-o", str(other))
    assert (ended.exit_code, other.read_bytes()) == (8, b"before")
    assert "is cut off" in ended.stderr
    assert gateway.run("dataset", "bundle", "wdbc", "4", "-o", str(other)).exit_code == 5
    assert gateway.run("dataset", "bundle", "wdbc", "3", "-o", str(tmp_path / "no" / "b")).exit_code == 8
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.bundle", "b.bundle"]


def test_a_copy_is_compared_here_with_what_a_gateway_says(gateway: Gateway, made: Sample, tmp_path: Path) -> None:
    bundle = made.write(tmp_path / "a.bundle")
    (copy := tmp_path / "copy.csv").write_bytes(COPY)
    ended = gateway.run("dataset", "verify", str(copy), "--bundle", str(bundle))
    assert (ended.exit_code, ended.stdout) == (0, f"beside dataset-version:wdbc:3, root {ROOT}\nverified\n")
    copy.write_bytes(COPY.replace(b"p3,3", b"p3,4").replace(b"p9,9", b"q,1"))
    ended = gateway.run("dataset", "verify", str(copy), "--bundle", str(bundle))
    assert ended.exit_code == 1
    assert ended.stdout.splitlines()[1:] == ["changed: p3", "added: q", "removed: p9", "NOT verified"]
    report = json.loads(gateway.run("dataset", "verify", str(copy), "--bundle", str(bundle), "--json").stdout)
    assert (report["verified"], report["changed"]) == (False, ["p3"])
    copy.write_bytes(b"id,age\np1\n")
    refused = gateway.run("dataset", "verify", str(copy), "--bundle", str(bundle))
    assert (refused.exit_code, refused.stderr.startswith(f"pedigree: {copy}: line 2")) == (4, True)
    bundle.write_bytes(b"PK")
    refused = gateway.run("dataset", "verify", str(copy), "--bundle", str(bundle))
    assert (refused.exit_code, "is not a bundle" in refused.stderr) == (8, True)
    made.write(bundle)
    del gateway.answers[VERSION]
    assert gateway.run("dataset", "verify", str(copy), "--bundle", str(bundle)).exit_code == 5


def test_with_the_ledgers_answer_no_gateway_is_asked(made: Sample, tmp_path: Path) -> None:
    bundle = made.write(tmp_path / "a.bundle")
    (copy := tmp_path / "copy.csv").write_bytes(COPY)
    (ledger := tmp_path / "version.json").write_text(json.dumps(made.version))
    whole = ["dataset", "verify", str(copy), "--bundle", str(bundle), "--ledger", str(ledger)]
    assert CliRunner().invoke(main, whole).exit_code == 0
    ledger.write_text(json.dumps({"record": {**made.version["record"], "root": "5f" * 32}}))
    assert CliRunner().invoke(main, whole).exit_code == 8
    ledger.write_text("{}")
    assert CliRunner().invoke(main, whole).exit_code == 2


def test_a_copy_of_a_selection_is_compared_here(gateway: Gateway, made: Sample, tmp_path: Path) -> None:
    path, whole = tmp_path / "a.bundle", (tmp_path / "copy.csv")
    assert gateway.run("dataset", "bundle", "wdbc", "3", "--selection", "training", "-o", str(path)).exit_code == 0
    whole.write_bytes(COPY)
    ended = gateway.run("dataset", "verify", str(whole), "--bundle", str(path), "--selection", "training")
    root = made.selections["training"]["record"]["root"]
    assert (ended.exit_code, ended.stdout.splitlines()) == (
        1,
        [f"beside selection:wdbc:3:training, root {root}", *(f"outside: p{n}" for n in range(4, 10)), "NOT verified"],
    )
    whole.write_bytes(COPY[: COPY.index(b"\np4")])
    ended = gateway.run("dataset", "verify", str(whole), "--bundle", str(path), "--selection", "training")
    assert (ended.exit_code, ended.stdout.splitlines()[-1]) == (0, "verified")
    files = []
    for name, answer in (("version", made.version), ("selection", made.selections["training"])):
        (file := tmp_path / f"{name}.json").write_text(json.dumps(answer))
        files += ["--ledger", str(file)]
    offline = ["dataset", "verify", str(whole), "--bundle", str(path)]
    for given, code in (
        ([*files, "--selection", "training"], 0),
        ([*files[2:], *files[:2], "--selection", "training"], 0),
        ([*files, "--selection", "other"], 2),
        (files, 2),
        ([*files[:2], "--selection", "training"], 2),
        ([*files[2:], "--selection", "training"], 2),
        ([*files[:2], *files[:2]], 2),
    ):
        ended = CliRunner().invoke(main, [*offline, *given])
        assert (ended.exit_code, bool(ended.stderr)) == (code, code == 2)
    without = sample(ROWS, Reading(CSV, "id", ",", ("id", "age"))).write(tmp_path / "b.bundle")
    whole.write_bytes(COPY)
    ended = gateway.run("dataset", "verify", str(whole), "--bundle", str(without), "--selection", "training")
    assert (ended.exit_code, ended.stdout.splitlines()[1].startswith("not named: it is not known here")) == (1, True)


def test_what_is_named_too_much_or_too_little_is_said(made: Sample, tmp_path: Path) -> None:
    bundle = made.write(tmp_path / "a.bundle")
    (copy := tmp_path / "copy.csv").write_bytes(COPY)
    given = ["--url", "http://127.0.0.1:1", "--key", "id.secret"]
    for arguments, reason in (
        (["wdbc"], "name the version, NAME and NUMBER"),
        (["wdbc", "1", str(copy), "more"], "name the version, NAME and NUMBER"),
        (["wdbc", "one"], "'one' is not a valid integer"),
        (["wdbc", "3", str(copy), "--bundle", str(bundle)], "with --bundle name the FILE alone"),
        ([str(tmp_path / "none"), "--bundle", str(bundle)], "does not exist"),
        (["wdbc", "3", "--ledger", str(copy)], "--ledger is of use with --bundle"),
        (["wdbc", "3", "--selection", "training"], "--selection is for a copy"),
    ):
        ended = CliRunner().invoke(main, ["dataset", "verify", *arguments, *given])
        assert (ended.exit_code, reason in ended.stderr) == (2, True), ended.stderr


def test_the_bundle_of_a_selection_says_itself_what_it_is_of(gateway: Gateway, made: Sample, tmp_path: Path) -> None:
    path, copy = tmp_path / "part.bundle", tmp_path / "copy.csv"
    gateway.answers[f"{VERSION}/selections/training/bundle"] = made.parts["training"]
    ended = gateway.run("selection", "bundle", "wdbc", "3", "training", "-o", str(path))
    assert (ended.exit_code, ended.stdout) == (0, f"{path}: {len(made.parts['training'])} bytes\n")
    copy.write_bytes(b"\n".join(COPY.split(b"\n")[:5]))
    checked = gateway.run("dataset", "verify", str(copy), "--bundle", str(path))
    assert checked.exit_code == 0, checked.output
    assert f"beside selection:wdbc:3:training, root {made.selections['training']['record']['root']}" in checked.output
    (version := tmp_path / "version.json").write_text(json.dumps(made.version))
    (part := tmp_path / "part.json").write_text(json.dumps(made.selections["training"]))
    offline = ["dataset", "verify", str(copy), "--bundle", str(path), "--ledger", str(version)]
    missing = CliRunner().invoke(main, offline)
    assert (missing.exit_code, "the very selection too" in missing.output) == (2, True)
    both = CliRunner().invoke(main, [*offline, "--ledger", str(part)])
    assert both.exit_code == 0, both.output
    other = gateway.run("dataset", "verify", str(copy), "--bundle", str(path), "--selection", "test")
    assert other.exit_code != 0
    copy.write_bytes(COPY)
    differs = gateway.run("dataset", "verify", str(copy), "--bundle", str(path))
    assert differs.exit_code == 1
    assert "p4" in differs.output


def test_how_a_file_is_read_is_said_of_a_file(gateway: Gateway) -> None:
    ended = gateway.run("selection", "publish", "wdbc", "3", "training", "--id-field", "id")
    assert (ended.exit_code, "say how FILE is read: name it" in ended.output) == (2, True)
