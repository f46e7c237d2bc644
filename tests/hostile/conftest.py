# SPDX-License-Identifier: Apache-2.0
"""A consortium under attack: a member with keys, an endorser with its own chaincode, a stranger, foreign files.

Every test attacks the running programs with what its module names, and then asks of the honest organisations what they
did before: their gateways are ready, or name the one member that they do not accept; an honest write goes through and
is read everywhere; nothing false is answered.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(
    0, str(Path(__file__).parents[1] / "conformance")
)  # messages are made as the conformance suite makes them
sys.path.insert(0, str(Path(__file__).parents[1] / "network" / "harness"))  # hostile files are made as there
sys.path.insert(0, str(Path(__file__).parent))

from hostileharness.world import World


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A dozen programs share the machine with whatever else it does."""
    for item in items:
        item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="session")
def world(ledger: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Three organisations' programs under the founding policy; each test leaves them as honest as it found them."""
    running = World(tmp_path_factory.mktemp("hostile"), ledger)
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture(autouse=True)
def honest_work_goes_on(world: World) -> Iterator[None]:
    """Whatever a test tried, honest work goes on after it; a test that expects an outage ends it itself."""
    yield
    world.expect_honest_work()


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A name that no other test uses."""
    return request.node.name.removeprefix("test_").replace("_", "-").replace("[", "-").replace("]", "")[:60].strip("-")
