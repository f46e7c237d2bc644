# SPDX-License-Identifier: Apache-2.0
"""The `--ledger` option of the suites that run against either ledger."""

import os

import pytest

from network import native

LEDGERS = ("embedded", "fabric")


def declare(parser: pytest.Parser) -> None:
    """Declare `--ledger`; two suites run together declare the same option, and the first one counts."""
    try:
        parser.addoption("--ledger", choices=LEDGERS, default="embedded", help="the network that the cases run on")
    except ValueError as error:
        if "already added" not in str(error):
            raise


def chosen(config: pytest.Config) -> str:
    """The ledger to run on; where Fabric is asked for and missing, the suite is skipped loudly.

    Pytest reads a folder's options only when that folder is named on its command line; otherwise the embedded network
    is what runs.
    """
    ledger: str = config.getoption("--ledger", default="embedded")
    if ledger == "fabric":
        try:
            native.Binaries.find()
        except native.NativeError as error:
            if os.environ.get("CI_REQUIRES_FABRIC"):
                raise
            pytest.skip(f"NOT RUN on Fabric: {error}")
    return ledger
