# SPDX-License-Identifier: Apache-2.0
"""One network and the probe on it for the whole session; `--ledger` says which network."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the suite's own modules; no test of another folder is called so

from fabricharness import deployments, ledgers, options
from fabricharness.networks import Network
from fabricharness.outcomes import Recorder


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Recorder(config.getoption("--ledger")), "pedigree-outcomes")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    options.give_time(config, [item for item in items if Path(__file__).parent in item.path.parents])


@pytest.fixture(scope="session")
def ledger(pytestconfig: pytest.Config) -> str:
    return options.chosen(pytestconfig)


@pytest.fixture(scope="session")
def net(ledger: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """The running network with all definitions of `deployments` committed."""
    directory = tmp_path_factory.mktemp(ledger)
    with ledgers.running(ledger, directory) as description:
        network = Network.connect(ledger, directory, description)
        try:
            deployments.deploy_all(network)
            yield network
        finally:
            network.close()


@pytest.fixture
def key(request: pytest.FixtureRequest) -> str:
    """A key that no other test uses."""
    return request.node.name
