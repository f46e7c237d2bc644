# SPDX-License-Identifier: Apache-2.0
"""Hyperledger Fabric's own programs as local processes: the same topology as the embedded network, on real Fabric.

Three orderers (Raft) and one peer per organisation listen on loopback addresses only. Under the directory lie the key
material, one configuration file and ledger per node (`fabric/`), pid files (`run/`), logs (`logs/`) and `network.json`.
"""

from collections.abc import Callable
from pathlib import Path

from network.native.errors import NativeError
from network.native.network import bring_up, describe, foreground, take_down, write_description
from network.native.plan import Tuning, make_plan
from network.native.processes import Binaries
from network.topology import Topology

__all__ = ["Binaries", "NativeError", "Tuning", "down", "up"]


def up(
    topology: Topology,
    directory: Path,
    fabric_bin: str | Path | None = None,
    *,
    foreground_until_stopped: bool = True,
    ready: Callable[[dict[str, object]], None] | None = None,
    changed: Callable[[Topology, dict[str, object]], None] = lambda _topology, _description: None,
    lost: Callable[[str], None] = lambda _host: None,
    tuning: Tuning | None = None,
) -> dict[str, object]:
    """Bring the network up, or back up: run twice, interrupted or killed, it converges and the ledgers stay.

    In the foreground this blocks until SIGTERM or Ctrl-C and then stops every node; otherwise it answers when all is
    served and leaves the nodes running until `down`. `ready` receives what `network.json` says; so does the caller.
    In the foreground it follows changes of its topology file (`network.reloading`), of which `changed` hears. A node
    that ends by itself is named to `lost`, and the others go on.
    Programs come from `fabric_bin`, else FABRIC_BIN, else /opt/fabric/bin. Raises `NativeError` with one line.
    """
    binaries = Binaries.find(fabric_bin)
    plan = make_plan(topology, directory.resolve(), tuning)
    announce = ready or (lambda _description: None)
    if foreground_until_stopped:
        return foreground(plan, binaries, announce, changed, lost)
    bring_up(plan, binaries)
    description = describe(plan, None)
    write_description(plan.directory, description)
    announce(description)
    return description


def down(directory: Path) -> None:
    """Stop the nodes that were left running below `directory`; a directory without any is not an error."""
    take_down(directory.resolve())
