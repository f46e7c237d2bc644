# SPDX-License-Identifier: Apache-2.0
"""Processes that are started, recognised and stopped, and strangers that are left alone."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from network.native import Binaries, NativeError
from network.native.processes import ended, refuse_taken_ports, running, start, stop, wait_for_port

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)",
]


def test_a_started_process_is_recognised_and_stopped(tmp_path: Path) -> None:
    pid_file = tmp_path / "run" / "node.pid"
    pid = start(SLEEPER, log=tmp_path / "logs" / "node.log", pid_file=pid_file, environment={})
    assert running(pid_file) == pid
    stop([pid_file])
    assert ended(pid)
    assert not pid_file.exists()


def test_a_process_that_does_not_listen_to_sigterm_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("network.native.processes.STOP_DEADLINE_S", 0.3)
    pid_file, log = tmp_path / "node.pid", tmp_path / "node.log"
    pid = start(STUBBORN, log=log, pid_file=pid_file, environment={})
    while "deaf" not in log.read_text():
        assert not ended(pid)
    stop([pid_file])
    assert ended(pid)


def test_a_stranger_with_the_same_number_is_not_signalled(tmp_path: Path) -> None:
    pid_file = tmp_path / "node.pid"
    with subprocess.Popen(SLEEPER) as stranger:
        pid_file.write_text(f"{stranger.pid} Mon Jan 1 00:00:00 2001\n")
        assert running(pid_file) is None
        stop([pid_file])
        assert stranger.poll() is None
        stranger.kill()


@pytest.mark.parametrize("content", ["", "12", "twelve Mon", "-1 Mon Jan 1"])
def test_a_damaged_pid_file_names_nobody(tmp_path: Path, content: str) -> None:
    pid_file = tmp_path / "node.pid"
    pid_file.write_text(content)
    assert running(pid_file) is None


def test_missing_programs_are_named_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "peer").touch(mode=0o755)
    with pytest.raises(NativeError, match="lacks Fabric's programs orderer, configtxgen, osnadmin") as refused:
        Binaries.find(tmp_path)
    assert "\n" not in str(refused.value)


def test_the_folder_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("peer", "orderer", "configtxgen", "osnadmin"):
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("FABRIC_BIN", str(tmp_path))
    assert Binaries.find().folder == tmp_path


def test_a_program_that_fails_says_its_last_line(tmp_path: Path) -> None:
    program = tmp_path / "peer"
    program.write_text("#!/bin/sh\necho first\necho the reason >&2\nexit 3\n")
    program.chmod(0o755)
    with pytest.raises(NativeError, match="peer channel failed: the reason"):
        Binaries(tmp_path).run("peer", "channel")


def test_settings_of_the_callers_shell_do_not_reach_the_nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORE_PEER_ID", "another")
    program = tmp_path / "peer"
    program.write_text('#!/bin/sh\necho "id=$CORE_PEER_ID path=$FABRIC_CFG_PATH"\n')
    program.chmod(0o755)
    assert Binaries(tmp_path).run("peer", environment={"FABRIC_CFG_PATH": "here"}) == "id= path=here\n"


def test_a_taken_port_is_named() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(NativeError, match=f"port {port}, wanted by the peer, is in use"):
            refuse_taken_ports({"the peer": port})


def test_a_node_that_ends_while_starting_says_why(tmp_path: Path) -> None:
    log = tmp_path / "node.log"
    command = [sys.executable, "-c", "raise SystemExit('no such channel')"]
    pid = start(command, log=log, pid_file=tmp_path / "node.pid", environment=dict(os.environ))
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(NativeError, match="peer0 ended while starting: no such channel"):
        wait_for_port(port, who="peer0", log=log, pid=pid)
