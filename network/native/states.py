# SPDX-License-Identifier: Apache-2.0
"""Which of a network's local processes run, and how those that ended by themselves come back."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from network import reloading
from network.native.processes import running

__all__ = ["bring_back", "states"]


def states(directory: Path, described: Mapping[str, Any]) -> dict[str, bool]:
    """Every node that network.json (`described`) names, and whether its process runs."""
    orderer = described["orderer"]
    names = [f"orderer{number}.{orderer['domain']}" for number in range(1, len(orderer["addresses"]) + 1)]
    names += [f"peer0.{entry['domain']}" for entry in described["organisations"]]
    return {name: running(directory / "run" / f"{name}.pid") is not None for name in names}


def bring_back(directory: Path, described: Mapping[str, Any]) -> list[str]:
    """Have the process that looks after a running network start the nodes that have ended; answers their names.

    Returns when the channel is served by all of them; raises `RunningError` for one that does not come up.
    """
    ended = [name for name, runs in states(directory, described).items() if not runs]
    if ended:
        reloading.ask(directory)
    return ended
