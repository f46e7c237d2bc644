# SPDX-License-Identifier: Apache-2.0
"""A real network of Fabric's programs: it comes up, comes back after a kill, and goes down without a trace."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from network import native
from network.native.processes import running
from network.topology import Endpoint, default_topology

PROGRAM = """
import sys
from dataclasses import replace
from pathlib import Path
from network import native
from network.topology import default_topology

native.up(
    default_topology(any_port=True),
    Path(sys.argv[1]),
    ready=lambda described: print("ready", flush=True),
    lost=lambda host: print("lost", host, flush=True),
)
"""


@pytest.fixture(autouse=True)
def programs() -> None:
    try:
        native.Binaries.find()
    except native.NativeError as error:
        pytest.skip(f"NOT RUN: {error}")


def nodes(directory: Path) -> list[int]:
    return [pid for path in (directory / "run").glob("*.pid") if (pid := running(path)) is not None]


def started(directory: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", PROGRAM, str(directory)]
    tool = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert tool.stdout is not None
    assert tool.stdout.readline() == "ready\n"
    return tool


@pytest.mark.fabric
@pytest.mark.slow
def test_it_converges_after_its_tool_was_killed_and_stops_on_sigterm(tmp_path: Path) -> None:
    directory = tmp_path / "net"
    try:
        with started(directory) as tool:
            first = json.loads((directory / "network.json").read_text())
            assert (first["ledger"], first["pid"], len(nodes(directory))) == ("fabric", tool.pid, 6)
            tool.kill()
        orphans = nodes(directory)
        assert len(orphans) == 6
        with started(directory) as tool:
            again = json.loads((directory / "network.json").read_text())
            assert set(nodes(directory)).isdisjoint(orphans)
            assert {**again, "pid": None} == {**first, "pid": None}
            tool.send_signal(signal.SIGTERM)
            assert tool.wait(timeout=30) == 0
        assert nodes(directory) == []
    finally:
        native.down(directory)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


@pytest.mark.fabric
@pytest.mark.slow
def test_the_tool_goes_on_without_one_node_and_ends_when_the_last_has_ended(tmp_path: Path) -> None:
    directory = tmp_path / "net"
    try:
        with started(directory) as tool:
            try:
                assert tool.stdout is not None
                (victim,) = [running(path) for path in (directory / "run").glob("peer0.lab*.pid")]
                assert victim is not None
                os.kill(victim, signal.SIGKILL)
                assert tool.stdout.readline() == "lost peer0.lab.example\n"
                others = nodes(directory)
                assert len(others) == 5
                assert tool.poll() is None
                for pid in others:
                    os.kill(pid, signal.SIGKILL)
                assert tool.wait(timeout=30) == 1
            finally:
                tool.kill()  # a failure above is not to wait for a tool that goes on
        assert nodes(directory) == []
    finally:
        native.down(directory)


@pytest.mark.fabric
def test_a_taken_port_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        plain = default_topology(any_port=True)
        taken = replace(plain.organisations[1], peer=Endpoint("127.0.0.1", other.getsockname()[1]))
        topology = replace(plain, organisations=(plain.organisations[0], taken, plain.organisations[2]))
        with pytest.raises(native.NativeError, match=r"wanted by peer0\.lab\.example, listener 1, is in use"):
            native.up(topology, tmp_path / "net", foreground_until_stopped=False)
    assert nodes(tmp_path / "net") == []
