# SPDX-License-Identifier: Apache-2.0
"""Who is told to follow a topology is the process that holds the directory, whatever network.json says."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

from network import reloading
from network.embedded.lock import DirectoryLock
from network.running import RunningError

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def stranger() -> Iterator["subprocess.Popen[bytes]"]:
    """A process that the signal would end."""
    with subprocess.Popen(SLEEPER) as process:
        yield process
        process.kill()


@pytest.fixture
def directory(tmp_path: Path, stranger: "subprocess.Popen[bytes]") -> Path:
    described = {"ledger": "embedded", "pid": stranger.pid, "follows_topology": True}
    (tmp_path / "network.json").write_text(json.dumps(described))
    (tmp_path / "topology.json").write_text("{}")
    return tmp_path


def test_a_stranger_that_a_file_names_is_not_signalled(directory: Path, stranger: "subprocess.Popen[bytes]") -> None:
    def follow(_number: int, _frame: FrameType | None) -> None:
        reloading.answer(directory, reloading.digest_of(directory), None)

    former = signal.signal(reloading.SIGNAL, follow)
    lock = DirectoryLock(directory)
    try:
        assert (directory / "lock").read_text().strip() == str(os.getpid())
        reloading.ask(directory)
    finally:
        lock.release()
        signal.signal(reloading.SIGNAL, former)
    assert stranger.poll() is None


def test_nobody_is_asked_when_nothing_runs(directory: Path, stranger: "subprocess.Popen[bytes]") -> None:
    with pytest.raises(RunningError, match="no network runs on"):
        reloading.ask(directory)
    assert stranger.poll() is None
