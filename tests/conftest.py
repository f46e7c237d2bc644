# SPDX-License-Identifier: Apache-2.0
"""What every test shares: the ledger that scenarios run on."""

import os

import pytest
from hypothesis import HealthCheck, settings

# Properties are about answers, not about the speed of a shared machine; continuous integration repeats itself.
settings.register_profile(
    "pedigree", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=os.environ.get("CI") == "true"
)
settings.load_profile("pedigree")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--ledger", choices=("embedded", "fabric"), default="embedded", help="the network that scenarios run on"
    )


@pytest.fixture(scope="session")
def ledger(pytestconfig: pytest.Config) -> str:
    """Which network this run is for."""
    chosen: str = pytestconfig.getoption("--ledger")
    return chosen
