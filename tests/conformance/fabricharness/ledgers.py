# SPDX-License-Identifier: Apache-2.0
"""Starting the ledger under test: the embedded network, or Fabric as processes or containers, from one topology."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from network import native
from network.topology import Batch, Channel, Topology, default_topology

REPOSITORY = Path(__file__).resolve().parents[3]
NODE = Path(__file__).with_name("embeddednode.py")
MAIN = "pedigree"
"""The channel with short batches, where most cases run."""
BLOCKS = "blocks"
"""The channel that waits a second for up to ten messages, where cases about blocks run."""
BLOCKS_TIMEOUT_S = 1.0
BLOCKS_MESSAGES = 10
BLOCKS_LARGEST = 16 * 1024 * 1024
EXECUTE_TIMEOUT_S = 5
READY_S = 60.0


def topology() -> Topology:
    """The three organisations on free ports, with the two channels of the suite."""
    plain = default_topology(any_port=True)
    members = plain.channels[0].organisations
    # Large enough for the cases about large values, small enough to be exceeded by one.
    quick = Batch(absolute_max_bytes=BLOCKS_LARGEST, preferred_max_bytes=BLOCKS_LARGEST)
    slow = replace(quick, timeout_ms=int(BLOCKS_TIMEOUT_S * 1000), max_messages=BLOCKS_MESSAGES)
    return replace(plain, channels=(Channel(MAIN, members, quick), Channel(BLOCKS, members, slow)))


@contextlib.contextmanager
def running(ledger: str, directory: Path) -> Iterator[dict[str, Any]]:
    """The network of `topology`, and what its `network.json` says."""
    start = {"fabric": fabric, "embedded": embedded, "containers": containers}[ledger]
    with start(topology(), directory) as description:
        yield description


@contextlib.contextmanager
def fabric(described: Topology, directory: Path) -> Iterator[dict[str, Any]]:
    """Fabric's own programs."""
    tuning = native.Tuning(execute_timeout_s=EXECUTE_TIMEOUT_S)
    try:
        yield native.up(described, directory, foreground_until_stopped=False, tuning=tuning)
    finally:
        native.down(directory)


@contextlib.contextmanager
def containers(described: Topology, directory: Path) -> Iterator[dict[str, Any]]:
    """Fabric in containers, with three orderers and mutual TLS everywhere."""
    from fabricharness import containers as consortium  # here, because the others need no container engine

    with consortium.running(described, directory / "network", EXECUTE_TIMEOUT_S) as description:
        yield description


@contextlib.contextmanager
def embedded(described: Topology, directory: Path) -> Iterator[dict[str, Any]]:
    """The embedded network in a process of its own."""
    with Embedded(described, directory) as node:
        yield node.start()


class Embedded:
    """An embedded network that can be killed and started again on its directory."""

    def __init__(self, described: Topology, directory: Path, **settings: Any) -> None:
        self._directory = directory
        self._topology = directory / "given-topology.json"
        self._settings = {"execute_timeout_s": EXECUTE_TIMEOUT_S, **settings}
        self._process: subprocess.Popen[bytes] | None = None
        directory.mkdir(parents=True, exist_ok=True)
        self._topology.write_text(json.dumps(described.to_json()), encoding="utf-8")

    def __enter__(self) -> "Embedded":
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._process is not None:
            stop(self._process)

    def start(self) -> dict[str, Any]:
        """Start the process and answer what its `network.json` says."""
        command = [sys.executable, str(NODE), str(self._topology), str(self._directory), json.dumps(self._settings)]
        with (self._directory / "network.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
                start_new_session=True,
            )
        return wait_until_described(self._process, self._directory)

    def kill(self) -> None:
        """End the process as a power failure would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()


def wait_until_described(process: "subprocess.Popen[bytes]", directory: Path) -> dict[str, Any]:
    """What `network.json` says once this very process has written it."""
    deadline = time.monotonic() + READY_S
    path = directory / "network.json"
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        if path.exists():
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if found["pid"] == process.pid:
                return found
        time.sleep(0.05)
    raise AssertionError(f"the embedded network did not start:\n{(directory / 'network.log').read_text()[-4000:]}")


def stop(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
