# SPDX-License-Identifier: Apache-2.0
"""Fabric's official Node client and runtime, installed from the lock file, against the network under test."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "conformance"))  # the harness of the conformance suite

from fabricharness import deployments, ledgers, options
from fabricharness.lifecycle import Collection, Definition
from fabricharness.networks import MAIN, Network, Org, in_parallel

pytest_addoption = options.declare

FOREIGN = Path(__file__).parent
REPOSITORY = FOREIGN.parents[1]
LEAST_NODE = 20
INSTALL_S = 300
ASSETS = "assets"
SHARED = "shared"
"""A second definition of the same chaincode, with the channel's default policy."""

Drive = Callable[..., Any]


def missing_node() -> str | None:
    """Why these tests cannot run here, or None."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "there is no node or no npm"
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.removeprefix("v").split(".")[0]) < LEAST_NODE:
        return f"node is {version}, and at least {LEAST_NODE} is needed"
    return None


@pytest.fixture(scope="session")
def installed(node_or_skip: None) -> Path:
    """A folder with `node_modules` from the lock file, and the programs beside it; kept for the next session."""
    lock = (FOREIGN / "package-lock.json").read_bytes()
    folder = REPOSITORY / "build" / "foreign" / hashlib.sha256(lock).hexdigest()[:16]
    if not (folder / "installed").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(FOREIGN / name, folder / name)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_S, check=False)
        assert done.returncode == 0, done.stderr
        (folder / "installed").touch()
    for name in ("chaincode", "client"):
        shutil.copytree(FOREIGN / name, folder / name, dirs_exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def node_or_skip() -> None:
    """Skip, and say so where nobody overlooks it, when Node is missing."""
    problem = missing_node()
    if problem is not None:
        said = f"NOT RUN: the official Node client and runtime were not tested, because {problem}"
        print(f"\n{'!' * 20} {said} {'!' * 20}", file=sys.__stderr__)
        pytest.skip(said)


@pytest.fixture(scope="session")
def net(installed: Path, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """The network with the Node chaincode on it, and the probe for it to call."""
    ledger = options.chosen(pytestconfig)
    directory = tmp_path_factory.mktemp(f"foreign-{ledger}")
    start = 'exec node "$0" server --module-path "$1" '
    start += '--chaincode-address "$CHAINCODE_SERVER_ADDRESS" --chaincode-id "$CHAINCODE_ID"'
    runtime = installed / "node_modules" / "fabric-shim" / "cli.js"
    pair = Collection("pair", (deployments.H, deployments.L))
    with ledgers.running(ledger, directory) as description:
        network = Network.connect(ledger, directory, description)
        try:
            in_parallel(
                [
                    lambda: network.launch(ASSETS, ("sh", "-c", start, str(runtime), str(installed / "chaincode"))),
                    lambda: network.launch(deployments.CALLEE),
                ]
            )
            network.deploy(ASSETS, [Definition(ASSETS, deployments.ANYONE, (pair,)), Definition(SHARED)])
            network.deploy(deployments.CALLEE, deployments.CALLEES[:1])
            yield network
        finally:
            network.close()


@pytest.fixture
def drive(net: Network, installed: Path) -> Drive:
    """Run a scenario of the Node client as an organisation's User1 and answer its result."""

    def run(scenario: str, *, org: Org | None = None, chaincode: str = ASSETS, **given: Any) -> Any:
        chosen = org or net.hospital
        described = {
            "peer": chosen.address,
            "tls_ca": str(chosen.tls_ca),
            "server_name": chosen.server_name,
            "mspid": chosen.mspid,
            "user_msp": str(chosen.user_msp),
            "channel": MAIN,
            "chaincode": chaincode,
            **given,
        }
        command = ["node", "--no-warnings", str(installed / "client" / "driver.js"), scenario]
        asked = json.dumps(described)
        done = subprocess.run(command, input=asked, capture_output=True, text=True, timeout=90, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture
def key(request: pytest.FixtureRequest) -> str:
    """A key that no other test uses."""
    name: str = request.node.name
    return name
