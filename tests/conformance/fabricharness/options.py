# SPDX-License-Identifier: Apache-2.0
"""The `--ledger` option of the suites that run against any ledger."""

import os
from collections.abc import Sequence

import pytest

from network import native

_CONTAINERS_S = 900


def chosen(config: pytest.Config) -> str:
    """The ledger to run on; where Fabric is asked for and missing, the suite is skipped loudly."""
    ledger: str = config.getoption("--ledger")
    if ledger == "fabric":
        try:
            native.Binaries.find()
        except native.NativeError as error:
            if os.environ.get("CI_REQUIRES_FABRIC"):
                raise
            pytest.skip(f"NOT RUN on Fabric: {error}")
    return ledger


def give_time(config: pytest.Config, items: Sequence[pytest.Item]) -> None:
    """Let the first test that needs the network wait until containers, and even their images, are there."""
    waiting = [item for item in items if {"net", "plain"} & set(getattr(item, "fixturenames", ()))]
    if waiting and config.getoption("--ledger") == "containers":
        waiting[0].add_marker(pytest.mark.timeout(_CONTAINERS_S))
