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
        "--ledger",
        choices=("embedded", "fabric", "containers"),
        default="embedded",
        help="the network that tests run on",
    )
    parser.addoption(
        "--fuzz-seconds",
        type=float,
        default=float(os.environ.get("PEDIGREE_FUZZ_SECONDS", "2")),
        help="how long each fuzzer in tests/fuzz runs (PEDIGREE_FUZZ_SECONDS)",
    )


@pytest.fixture(scope="session")
def ledger(pytestconfig: pytest.Config) -> str:
    """Which network this run is for."""
    chosen: str = pytestconfig.getoption("--ledger")
    if chosen == "containers":
        pytest.skip("NOT RUN: only tests/conformance and tests/foreign start containers by themselves")
    return chosen
