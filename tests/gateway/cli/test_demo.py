# SPDX-License-Identifier: Apache-2.0
"""The demonstration empties nothing but its own earlier one, and stops nothing but what it started."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.demo import __main__ as demo
from gateway.demo.consortium import Consortium
from gateway.demo.processes import Program, started_at


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True) as process:
        yield process
        process.kill()


def keep(folder: Path, pid: int, began: str | None) -> None:
    (folder / demo.MARK).touch()
    (folder / "blocks").write_text("a ledger")
    (folder / "running.json").write_text(json.dumps({"network": [pid, began]}))


def play(folder: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    def nothing(*_: object) -> None:
        raise demo.StartFailed("the test ends here")

    monkeypatch.setattr(sys, "argv", ["demo", "--dir", str(folder), "--any-port", *arguments])
    monkeypatch.setattr(Consortium, "start", nothing)
    return demo.main()


def test_a_demonstration_that_is_kept_is_neither_stopped_nor_emptied(
    tmp_path: Path,
    sleeper: subprocess.Popen[bytes],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    keep(tmp_path, sleeper.pid, started_at(sleeper.pid))
    assert play(tmp_path, monkeypatch) == 2
    assert "make demo-stop" in capsys.readouterr().out
    assert sleeper.poll() is None
    assert (tmp_path / "blocks").read_text() == "a ledger"
    assert play(tmp_path, monkeypatch, "--stop") == 0
    assert sleeper.wait(30) != 0
    assert (tmp_path / "blocks").exists()
    assert play(tmp_path, monkeypatch) == 2  # it starts, and the test ends it there
    assert not (tmp_path / "blocks").exists()


def test_a_process_that_has_only_the_number_of_an_earlier_one_is_not_stopped(
    tmp_path: Path, sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    for began in ("tick 1", None):
        keep(tmp_path, sleeper.pid, began)
        assert Consortium(tmp_path, "embedded").left_running() == {}
        assert play(tmp_path, monkeypatch) == 2
        assert (tmp_path / "blocks").exists()  # it was kept, though a restart of the machine ended it
        assert play(tmp_path, monkeypatch, "--stop") == 0
        assert sleeper.poll() is None


def test_a_folder_that_holds_something_else_is_not_emptied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    assert play(tmp_path, monkeypatch) == 2
    assert "holds something else" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_what_is_started_is_written_down_at_once_and_forgotten_when_it_is_stopped(tmp_path: Path) -> None:
    consortium = Consortium(tmp_path, "embedded", any_port=True)
    program = consortium._launch("one", [sys.executable, "-c", "import time; time.sleep(600)"])
    assert isinstance(program, Program)
    assert program.process is not None
    assert Consortium(tmp_path, "embedded").left_running() == {"one": program.process.pid}
    consortium.stop()
    assert not Consortium(tmp_path, "embedded").is_kept()


def test_a_process_that_has_ended_has_no_beginning() -> None:
    with subprocess.Popen([sys.executable, "-c", "pass"]) as process:
        pass
    assert started_at(process.pid) is None
    assert started_at(os.getpid()) is not None
