# SPDX-License-Identifier: Apache-2.0
"""How a running network is notified that its topology has changed, and how it answers.

Who changes a network writes topology.json and sends SIGUSR1 to the process that runs it. That process serves what the
file describes and writes into reload.json which content it has followed, and with what result. The file belongs to the
process; a crash leaves the old answer there, whose digest nobody waits for any more.
"""

import hashlib
import json
import os
import signal
import time
from pathlib import Path

from network.directory import TOPOLOGY_FILE, NotRunning, RunningError, holder, last_description
from network.profiles import write_json
from network.topology import Topology, load

__all__ = ["SIGNAL", "answer", "ask", "digest_of", "followed", "wanted"]

SIGNAL = signal.SIGUSR1
_ANSWER_FILE = "reload.json"
_SECONDS = 90.0
_PAUSE = 0.05


def wanted(directory: Path) -> Topology:
    """The topology to follow; raises `TopologyError`."""
    return load(directory / TOPOLOGY_FILE)


def digest_of(directory: Path) -> str:
    """The digest of topology.json, by which an answer says what it answers; raises `OSError`."""
    return hashlib.sha256((directory / TOPOLOGY_FILE).read_bytes()).hexdigest()


def answer(directory: Path, digest: str, problem: str | None) -> None:
    """Say what became of following a topology; None is success."""
    write_json(directory / _ANSWER_FILE, {"topology": digest, "problem": problem})


def followed(directory: Path) -> dict[str, str | None]:
    """The last answer; empty when there was none."""
    try:
        found: dict[str, str | None] = json.loads((directory / _ANSWER_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return found


def ask(directory: Path) -> None:
    """Have the process that runs on a directory follow its topology.json; raises `RunningError`."""
    described, pid = last_description(directory), holder(directory)
    if described is None or pid is None:
        raise NotRunning(directory)
    if not described.get("follows_topology"):
        raise RunningError("this network cannot change while it runs; restart it: topology.json is written already")
    (directory / _ANSWER_FILE).unlink(missing_ok=True)
    digest = digest_of(directory)
    os.kill(
        pid, SIGNAL
    )  # who holds the directory, whatever a file says that may be of another start, or of another host
    deadline = time.monotonic() + _SECONDS
    while (found := followed(directory)).get("topology") != digest:
        if holder(directory) is None:
            raise RunningError(f"the network on {directory} has ended")
        if time.monotonic() >= deadline:
            raise RunningError(f"the network on {directory} did not follow its topology within {_SECONDS:.0f} s")
        time.sleep(_PAUSE)
    if found["problem"] is not None:
        raise RunningError(found["problem"])
