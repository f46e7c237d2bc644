# SPDX-License-Identifier: Apache-2.0
"""What the directory of a network says: who holds it, how the network was described, and how it runs."""

import json
from pathlib import Path
from typing import Any

from network.embedded.lock import DirectoryInUseError, DirectoryLock
from network.profiles import NETWORK_FILE

__all__ = ["TOPOLOGY_FILE", "NotRunning", "RunningError", "holder", "last_description", "run_as"]

TOPOLOGY_FILE = "topology.json"


class RunningError(Exception):
    """A network cannot be started, found or stopped; the message is one line for the operator."""


class NotRunning(RunningError):
    """No network runs on a directory."""

    def __init__(self, directory: Path) -> None:
        super().__init__(f"no network runs on {directory}; start one with: pedigree-network up --dir {directory}")


def holder(directory: Path) -> int | None:
    """The process that runs on a directory, None when there is none; raises `RunningError`."""
    if not (directory / "lock").exists():
        return None
    try:
        DirectoryLock(directory).release()
    except DirectoryInUseError:
        text = (directory / "lock").read_text(encoding="ascii", errors="replace").strip()
        if not text.isdigit():
            raise RunningError(f"{directory} is in use by an unknown process") from None
        return int(text)
    return None


def run_as(directory: Path) -> str | None:
    """How a directory's network runs, or ran last: `process`, `processes` or `containers`; None where none ever did."""
    described = last_description(directory)
    if described is None:
        return None
    return str(described.get("run_as", "process" if described.get("ledger") == "embedded" else "processes"))


def last_description(directory: Path) -> dict[str, Any] | None:
    """The content of network.json, of a network that runs or ran, None when there is none; raises `RunningError`."""
    try:
        described = json.loads((directory / NETWORK_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise RunningError(f"{directory / NETWORK_FILE} is not JSON") from error
    if not isinstance(described, dict):
        raise RunningError(f"{directory / NETWORK_FILE} holds no object")
    return described
