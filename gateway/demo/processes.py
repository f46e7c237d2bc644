# SPDX-License-Identifier: Apache-2.0
"""The programs of a consortium on one machine, started, killed and started again as its operators would.

Nothing here knows what the programs do: the network, the chaincodes and the gateways are the same commands that the
README names, each in a process group of its own so that `kill -9` reaches all of it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO


class StartFailed(Exception):
    """A program of the consortium ended, or did not become ready in time; the message quotes the end of its log."""


def command(name: str) -> str:
    """The path of one of our own commands, beside the interpreter that runs this."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else name


@dataclass(slots=True)
class Program:
    """One long-running program; its output goes to a log file."""

    name: str
    argv: Sequence[str]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    _sink: IO[bytes] | None = None

    def start(self) -> None:
        """Start the program in a process group of its own.

        A crash of ours leaves it running: the group is ended by `stop` or `kill`, or by the operator.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._sink = self.log.open("ab")
        self.process = subprocess.Popen(  # noqa: S603  # our own commands with arguments of our own making
            list(self.argv),
            stdout=self._sink,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **self.env},
            start_new_session=True,
        )

    def wait_until(self, ready: Callable[[], bool], within: float) -> None:
        """Return once `ready()` holds; raises StartFailed when the program ends first or `within` seconds pass."""
        deadline = time.monotonic() + within
        while not ready():
            if self.process is None or self.process.poll() is not None:
                raise StartFailed(f"{self.name} ended while starting:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise StartFailed(f"{self.name} was not ready after {within:.0f} s:\n{self.tail()}")
            time.sleep(0.02)

    def tail(self, lines: int = 15) -> str:
        """The last lines of the program's log."""
        with contextlib.suppress(FileNotFoundError):
            return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
        return "(no log)"

    def kill(self) -> None:
        """End the whole process group with SIGKILL, as a power cut would."""
        self._signal(signal.SIGKILL, within=10)

    def terminate(self) -> None:
        """Ask the program to end, without waiting for it."""
        self._signal(signal.SIGTERM, within=0)

    def stop(self) -> None:
        """Ask the program to end, and end it by force when it has not after ten seconds."""
        self._signal(signal.SIGTERM, within=10)
        self.kill()

    def _signal(self, number: signal.Signals, within: float) -> None:
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(within)
        if self.process.returncode is not None and self._sink is not None:
            self._sink.close()
            self._sink = None


def started_at(pid: int) -> str | None:
    """When a running process began, in words that only serve to be compared; None when there is no such process.

    A number alone does not name a process for long: after a restart of the machine it is another's.
    """
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return None
    else:
        state, *rest = status.rpartition(")")[2].split()
        return None if state == "Z" else f"tick {rest[18]}"
    done = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)  # noqa: S603, S607
    return done.stdout.strip() or None
