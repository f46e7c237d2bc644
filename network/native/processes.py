# SPDX-License-Identifier: Apache-2.0
"""Fabric's programs as local processes: found, started, watched, recognised again and stopped.

A node's pid file holds its process id and the moment at which that process started. A pid alone proves nothing after a
crash: the number may belong to a stranger by then, and a stranger is never signalled.
"""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from network.native.errors import NativeError

DEFAULT_BINARIES = Path("/opt/fabric/bin")
PROGRAMS = ("peer", "orderer", "configtxgen", "osnadmin")
START_DEADLINE_S = 30.0
STOP_DEADLINE_S = 10.0
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Binaries:
    """A folder that holds Fabric's programs."""

    folder: Path

    @classmethod
    def find(cls, folder: str | Path | None = None) -> "Binaries":
        """Take `folder`, else the environment's FABRIC_BIN, else /opt/fabric/bin; refuse when a program is missing."""
        chosen = Path(folder or os.environ.get("FABRIC_BIN") or DEFAULT_BINARIES)
        missing = [name for name in PROGRAMS if not os.access(chosen / name, os.X_OK)]
        if missing:
            raise NativeError(
                f"{chosen} lacks Fabric's programs {', '.join(missing)}: set FABRIC_BIN to the folder that has them"
            )
        return cls(chosen)

    def run(self, program: str, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
        """Run one of the programs to its end and answer what it printed, errors included."""
        done = subprocess.run(  # noqa: S603 -- the operator named this folder; the arguments are paths and addresses
            [str(self.folder / program), *arguments],
            env=_clean_environment(environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode != 0:
            raise NativeError(f"{program} {arguments[0]} failed: {_last_line(done.stdout)}")
        return done.stdout


def start(command: Sequence[str], *, log: Path, pid_file: Path, environment: Mapping[str, str]) -> int:
    """Start a process and answer its id.

    It gets a session of its own, so that a terminal's Ctrl-C reaches only the tool, which then stops the nodes in
    order. It may outlive the tool, which is why no `Popen` stands for it.
    """
    for folder in (log.parent, pid_file.parent):
        folder.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output, Path(os.devnull).open("rb") as nothing:
        pid = os.posix_spawn(
            command[0],
            list(command),
            _clean_environment(environment),
            file_actions=[
                (os.POSIX_SPAWN_DUP2, nothing.fileno(), 0),
                (os.POSIX_SPAWN_DUP2, output.fileno(), 1),
                (os.POSIX_SPAWN_DUP2, output.fileno(), 2),
            ],
            setsid=True,
        )
    pid_file.write_text(f"{pid} {_born(pid)}\n", encoding="utf-8")
    return pid


def ended(pid: int) -> bool:
    """Whether a process that this one started has ended; it is collected on the way."""
    try:
        collected, _ = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return True
    return collected == pid


def running(pid_file: Path) -> int | None:
    """The id of the process that a pid file names, or None when that very process no longer runs."""
    try:
        number, _, born = pid_file.read_text(encoding="utf-8").strip().partition(" ")
    except FileNotFoundError:
        return None
    if not number.isdecimal() or not born or _born(int(number)) != born:
        return None
    return int(number)


def stop(pid_files: Iterable[Path]) -> None:
    """Ask the named processes to end, wait for all of them together, and kill what has not ended after 10 s."""
    pids = {path: pid for path in pid_files if (pid := running(path)) is not None}
    for pid in pids.values():
        _signal(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_DEADLINE_S
    while _alive(pids) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    for pid in _alive(pids):
        _signal(pid, signal.SIGKILL)
    while _alive(pids):
        time.sleep(_POLL_S)
    for path in pid_files:
        path.unlink(missing_ok=True)


def wait_for_port(port: int, *, who: str, log: Path, pid: int) -> None:
    """Wait until something listens on a loopback port, the named node's process still living."""
    deadline = time.monotonic() + START_DEADLINE_S
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        if ended(pid):
            raise NativeError(f"{who} ended while starting: {_last_line(log.read_text(errors='replace'))} (see {log})")
        if time.monotonic() > deadline:
            raise NativeError(f"{who} does not listen on port {port} after {START_DEADLINE_S:.0f} s (see {log})")
        time.sleep(_POLL_S)


def refuse_taken_ports(ports: Mapping[str, int]) -> None:
    """Refuse, naming the listener, when another program already listens where one of ours is to listen."""
    for listener, port in ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise NativeError(f"port {port}, wanted by {listener}, is in use") from error


def _alive(pids: Mapping[Path, int]) -> list[int]:
    for pid in pids.values():
        ended(pid)  # a dead child of ours is collected, or it would look alive for ever
    return [pid for path, pid in pids.items() if running(path) == pid]


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _born(pid: int) -> str:
    """When a process started, in the words of `ps`; empty when there is none, or only its zombie."""
    answer = subprocess.run(  # noqa: S603 -- a fixed command with a number
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)],  # noqa: S607 -- ps is found wherever the system keeps it
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    state, _, born = answer.partition(" ")
    return "" if state.startswith("Z") else " ".join(born.split())


def _clean_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The environment without settings that would silently override the rendered configuration."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("CORE_", "ORDERER_", "FABRIC_"))}
    return ours | {"LC_ALL": "C"} | dict(extra)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
