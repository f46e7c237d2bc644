# SPDX-License-Identifier: Apache-2.0
"""What every test shares: the ledger that scenarios run on."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--ledger", choices=("embedded", "fabric"), default="embedded", help="the network that scenarios run on"
    )


@pytest.fixture(scope="session")
def ledger(pytestconfig: pytest.Config) -> str:
    """Which network this run is for."""
    chosen: str = pytestconfig.getoption("--ledger")
    return chosen
