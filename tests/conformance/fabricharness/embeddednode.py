# SPDX-License-Identifier: Apache-2.0
"""Runs the embedded network with the timing of the cases: `embeddednode.py TOPOLOGY DIRECTORY SETTINGS`.

An operator's network cuts a block as soon as the queue falls idle and waits 30 s for chaincode; the cases are about
batch timeouts and execute timeouts, so both are set here as on the side of Fabric.
"""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from network.embedded.chaincode import ChaincodeSettings
from network.embedded.node import Node
from network.profiles import NETWORK_FILE, Genesis, describe, write_json
from network.topology import load


async def run(topology: Path, directory: Path, settings: dict[str, Any]) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    node = await Node.start(load(topology), directory, idle_cut_ms=0, chaincode_settings=ChaincodeSettings(**settings))
    try:
        # A restart finds the same ports.
        write_json(topology, node.topology.to_json())
        first = node.topology.channels[0].name
        genesis = Genesis(node.genesis_path(first), node.genesis_hash(first))
        described = describe(node.topology, node.material, genesis, ledger="embedded", pid=os.getpid())
        write_json(directory / NETWORK_FILE, described)
        await stopped.wait()
    finally:
        await node.stop()


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])))
