# SPDX-License-Identifier: Apache-2.0
"""Clients and a runtime that others wrote, installed from lock files, against the network under test."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "conformance"))  # the harness of the conformance suite

from fabricharness import deployments, ledgers, node, options
from fabricharness.lifecycle import Collection, Definition
from fabricharness.networks import MAIN, Network, Org

ASSETS = "assets"
SHARED = "shared"
"""A second definition of the same chaincode, with the channel's default policy."""

AGREED = "agreed"
"""A second definition of the probe, which a majority of organisations must endorse."""

Drive = Callable[..., Any]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    options.give_time(config, [item for item in items if Path(__file__).parent in item.path.parents])


@pytest.fixture(scope="session")
def installed(node_or_skip: None) -> Path:
    """The folder with `node_modules` and the programs beside it."""
    return node.installed()


@pytest.fixture(scope="session")
def node_or_skip() -> None:
    """Skip, and say so where nobody overlooks it, when Node is missing."""
    problem = node.missing()
    if problem is not None:
        said = f"NOT RUN: the official Node client and runtime were not tested, because {problem}"
        print(f"\n{'!' * 20} {said} {'!' * 20}", file=sys.__stderr__)
        pytest.skip(said)


@pytest.fixture(scope="session")
def plain(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """The network with the probe on it, which is chaincode in Python."""
    ledger = options.chosen(pytestconfig)
    directory = tmp_path_factory.mktemp(f"foreign-{ledger}")
    with ledgers.running(ledger, directory) as description:
        network = Network.connect(ledger, directory, description)
        try:
            network.launch(deployments.CALLEE)
            network.deploy(deployments.CALLEE, [deployments.CALLEES[0], Definition(AGREED)])
            yield network
        finally:
            network.close()


@pytest.fixture(scope="session")
def net(installed: Path, plain: Network) -> Network:
    """The network with the Node chaincode on it as well, and the probe for it to call."""
    start = 'exec node "$0" server --module-path "$1" '
    start += '--chaincode-address "$CHAINCODE_SERVER_ADDRESS" --chaincode-id "$CHAINCODE_ID"'
    runtime = installed / "node_modules" / "fabric-shim" / "cli.js"
    pair = Collection("pair", (deployments.H, deployments.L))
    plain.launch(ASSETS, ("sh", "-c", start, str(runtime), str(installed / "chaincode")))
    plain.deploy(ASSETS, [Definition(ASSETS, deployments.ANYONE, (pair,)), Definition(SHARED)])
    return plain


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
            "tls_client": str(chosen.tls_client or ""),
            "channel": MAIN,
            "chaincode": chaincode,
            **given,
        }
        return node.drive(installed, scenario, described)

    return run


@pytest.fixture
def key(request: pytest.FixtureRequest) -> str:
    """A key that no other test uses."""
    name: str = request.node.name
    return name
