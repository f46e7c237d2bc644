# SPDX-License-Identifier: Apache-2.0
"""The consortium in containers, as the suite needs it: its channels, its timing, and its chaincode on this machine.

The cases end their chaincode and start it again, so that runs as a process of this machine, listening on the address
that this machine has in the containers' network. Peers and chaincode prove themselves to one another by TLS there, as
the consortium's own do.
"""

import contextlib
import os
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from network.containers.joining import wait_for_membership
from network.containers.plan import make_plan
from network.material import Material, ensure_service
from network.topology import Topology, load

sys.path.insert(0, str(Path(__file__).parents[2] / "containers"))  # the harness of the suite in containers

from containerharness import engine
from containerharness.consortium import Consortium

_REACH = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5)"


@contextlib.contextmanager
def running(described: Topology, directory: Path, execute_timeout_s: int) -> Iterator[dict[str, Any]]:
    """The consortium of a topology, with three orderers, and what its `network.json` says.

    Answers also `chaincode_host`, and each organisation's `chaincode_tls`. Skips loudly where containers cannot be.
    """
    with contextlib.ExitStack() as closing:
        try:
            closing.enter_context(engine.running())
            engine.have_images()
            consortium = Consortium(directory, described=described.to_json())
            closing.callback(consortium.down)
            consortium.up()
            hasten(consortium, execute_timeout_s)
            description = with_chaincode_here(consortium)
        except engine.Missing as missing:
            if os.environ.get("CI_REQUIRES_CONTAINERS"):
                raise
            pytest.skip(f"NOT RUN on Fabric in containers: {missing}")
        yield description


def hasten(consortium: Consortium, execute_timeout_s: int) -> None:
    """Give the peers the execute timeout of the cases; a consortium has Fabric's own of 30 s, which no option sets."""
    peers = [f"peer0.{entry['domain']}" for entry in consortium.network["organisations"]]
    for name in peers:
        path = consortium.directory / "containers" / name / "core.yaml"
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
        tree["chaincode"]["executetimeout"] = f"{execute_timeout_s}s"
        path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda name: consortium.node(name).restart(), peers))
    consortium.wait_until_healthy()
    plan = make_plan(load(consortium.directory / "topology.json"), consortium.directory)
    wait_for_membership(plan, lambda _: None)


def with_chaincode_here(consortium: Consortium) -> dict[str, Any]:
    """What `network.json` says, and where chaincode on this machine listens and which keys prove it."""
    described = consortium.network
    network = f"{described['compose_project']}_consortium"
    host = engine.done("network", "inspect", network, "--format", "{{(index .IPAM.Config 0).Gateway}}")
    require_reachable(consortium, host)
    material = Material(consortium.directory / "organizations")
    for entry in described["organisations"]:
        folder = material.organisation(entry["domain"])
        entry["chaincode_tls"] = str(ensure_service(material, folder, entry["domain"], host))
    return described | {"chaincode_host": host}


def require_reachable(consortium: Consortium, host: str) -> None:
    """Raise `engine.Missing` where a firewall keeps the containers from this machine."""
    inside = consortium.node(f"gateway.{consortium.network['organisations'][0]['domain']}").id
    with socket.create_server((host, 0)) as listener:
        port = str(listener.getsockname()[1])
        reached = engine.docker("exec", inside, "python3", "-c", _REACH, host, port)
    if reached.returncode != 0:
        last = reached.stderr.strip().splitlines()[-1]
        raise engine.Missing(f"containers cannot reach chaincode that listens on {host}: {last}")
