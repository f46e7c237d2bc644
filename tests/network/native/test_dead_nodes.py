# SPDX-License-Identifier: Apache-2.0
"""A program that ends by itself: the others go on, `status` names it, and `up` brings it back."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from network import native
from network.native.errors import NativeError
from network.native.network import Children, watch
from network.native.processes import running, start
from network.native.states import states
from network.topology import default_topology

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]


class Rounds:
    """Stands for signals that come after so many rounds; a function is called at the beginning of each."""

    def __init__(self, *steps: Callable[[], None]) -> None:
        self._steps = list(steps)

    def wait(self, seconds: float) -> bool:
        if not self._steps:
            return True
        self._steps.pop(0)()
        return False


@pytest.fixture
def children(tmp_path: Path) -> Iterator[Children]:
    def begin(name: str) -> int:
        return start(SLEEPER, log=tmp_path / name, pid_file=tmp_path / "run" / f"{name}.pid", environment={})

    started = {name: begin(name) for name in ("orderer1.o", "peer0.a", "peer0.b")}
    yield dict(started)
    for pid in started.values():
        if running_process(pid):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def running_process(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG) == (0, 0)
    except ChildProcessError:
        return False


def killed(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def test_the_others_go_on_and_the_dead_one_is_named_once(children: Children, tmp_path: Path) -> None:
    lost: list[str] = []
    looks: list[int] = []
    rounds = Rounds(lambda: killed(children["peer0.a"]), lambda: None, lambda: None)
    watch(children, rounds, lambda: looks.append(len(children)), lost.append)  # type: ignore[arg-type]
    assert lost == ["peer0.a"]
    assert looks == [2, 2, 2]
    assert all(running_process(pid) for pid in children.values())
    described = {"orderer": {"domain": "o", "addresses": [""]}, "organisations": [{"domain": "a"}, {"domain": "b"}]}
    assert states(tmp_path, described) == {"orderer1.o": True, "peer0.a": False, "peer0.b": True}


def test_the_last_one_ends_the_network(children: Children) -> None:
    steps = [lambda pid=pid: killed(pid) for pid in children.values()]
    with pytest.raises(NativeError, match="every program of the network has ended"):
        watch(children, Rounds(*steps, lambda: None))  # type: ignore[arg-type]


class Net:
    """Fabric's programs in the background, looked after by the command line alone."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "network.cli", *arguments, "--dir", str(self.directory)]
        return subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)

    def status(self) -> tuple[int, Any]:
        done = self.run("status", "--json")
        return done.returncode, json.loads(done.stdout)

    def deploy(self, name: str) -> str:
        addresses = [f"--address={name}=127.0.0.1:9" for name in ("hospital", "lab", "regulator")]
        done = self.run("deploy", name, *addresses)
        return done.stdout if done.returncode == 0 else done.stderr

    def process(self, node: str) -> int:
        pid = running(self.directory / "run" / f"{node}.pid")
        assert pid is not None
        return pid


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Net]:
    try:
        native.Binaries.find()
    except NativeError as error:
        pytest.skip(f"NOT RUN: {error}")
    topology = tmp_path / "topology.json"
    topology.write_text(json.dumps(default_topology(any_port=True).to_json()))
    net = Net(tmp_path / "net")
    try:
        done = net.run("up", "--ledger", "fabric", "--topology", str(topology), "--detach")
        assert done.returncode == 0, done.stderr
        yield net
    finally:
        net.run("down")
        native.down(net.directory)


@pytest.mark.fabric
@pytest.mark.slow
def test_every_kind_of_program_may_be_killed_and_comes_back(net: Net) -> None:
    assert net.status()[0] == 0
    everybody = [entry["name"] for entry in net.status()[1]["processes"]]
    assert len(everybody) == 6
    assert "is in use by process" in net.run("up").stderr, "there is nothing to bring back"
    for number, victim in enumerate(("orderer2.orderer.example", "peer0.lab.example")):
        before = {name: net.process(name) for name in everybody}
        os.kill(before[victim], signal.SIGKILL)
        gone = time.monotonic() + 30
        while running(net.directory / "run" / f"{victim}.pid") is not None:
            assert time.monotonic() < gone
        code, report = net.status()
        assert code == 1
        assert [each["name"] for each in report["processes"] if each["state"] != "running"] == [victim]
        peers = {entry["name"]: entry["reachable"] for entry in report["organisations"]}
        assert peers == {"hospital": True, "lab": "lab" not in victim, "regulator": True}
        if victim.startswith("orderer"):
            assert "deployed" in net.deploy(f"while-away-{number}"), "the others order and commit"
        assert {name: net.process(name) for name in everybody if name != victim} == {
            name: pid for name, pid in before.items() if name != victim
        }
        back = net.run("up")
        assert (back.returncode, back.stdout) == (0, f"started again: {victim}\n"), back.stderr
        assert net.process(victim) != before[victim]
        assert net.status()[0] == 0
        assert "deployed" in net.deploy(f"afterwards-{number}")
    said = (net.directory / "network.log").read_text()
    assert f"peer0.lab.example ended by itself, the others go on; read {net.directory}" in said


@pytest.mark.fabric
@pytest.mark.slow
def test_the_program_that_looks_after_them_may_be_killed(net: Net) -> None:
    described = json.loads((net.directory / "network.json").read_text())
    os.kill(described["pid"], signal.SIGKILL)
    gone = time.monotonic() + 30
    while (answer := net.run("status")).stdout.startswith("fabric network"):
        assert time.monotonic() < gone
    assert answer.returncode == 1
    assert "no network runs on" in answer.stdout
    assert "peer0.lab.example" in answer.stdout
    assert "were left running; bring all back with: pedigree-network up --ledger fabric" in answer.stdout
    done = net.run("up", "--ledger", "fabric", "--detach")
    assert done.returncode == 0, done.stderr
    assert net.status()[0] == 0
