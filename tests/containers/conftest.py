# SPDX-License-Identifier: Apache-2.0
"""One consortium in containers for the whole run; where it cannot be, everything is skipped in one loud line.

The order of the files is the order of the tests: what every scenario needs first, then the faults, and last what
changes the consortium for good.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the suite's own modules; no test of another folder is called so

from containerharness import engine
from containerharness.chains import Chains
from containerharness.consortium import ORGANISATIONS, Consortium, small_disk
from containerharness.load import Load
from containerharness.outcomes import Table

_REPOSITORY = Path(__file__).resolve().parents[2]
_SECONDS = 900
"""For the first test, which waits for images to be built where there are none."""
_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.timeout(_SECONDS))
            item.add_marker(pytest.mark.slow)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt(f"signal {number}")


@pytest.fixture(scope="session")
def consortium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consortium]:
    """Brought up by `pedigree-network up` and taken down by `down`, also after Ctrl-C and SIGTERM."""
    former = signal.signal(signal.SIGTERM, _interrupt)
    with ExitStack() as closing:
        closing.callback(signal.signal, signal.SIGTERM, former)
        try:
            closing.enter_context(engine.running())
            engine.have_images()
        except engine.Missing as missing:
            if os.environ.get("CI_REQUIRES_CONTAINERS"):
                raise
            pytest.skip(f"NOT RUN on Fabric in containers: {missing}")
        directory = tmp_path_factory.mktemp("containers") / "network"
        made = Consortium(directory)
        made.small = closing.enter_context(small_disk(directory / "ledgers" / "peer0.lab.example"))
        closing.callback(made.down)
        took = made.up()
        print(f"\nup: {took:.1f} s from nothing to a consortium that has committed a transaction")
        yield made


@pytest.fixture(scope="session")
def chains(consortium: Consortium) -> Chains:
    """Every peer's blocks, read on from test to test."""
    return Chains(consortium.network)


@pytest.fixture(scope="session")
def table() -> Table:
    """What was observed."""
    return Table(_REPOSITORY / "build")


@pytest.fixture
def load(consortium: Consortium) -> Iterator[Load]:
    """Two applications of each organisation, at work when the test begins."""
    consortium.found()
    consortium.wait_until_healthy()
    running = Load(f"f{next(_numbers)}")
    running.start(consortium.client, ORGANISATIONS)
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture
def observe(consortium: Consortium, load: Load, chains: Chains, table: Table) -> Callable[..., None]:
    """Does harm under load, and holds what clients were told to what every peer's blocks say afterwards."""
    from containerharness.observing import observed

    def observing(fault: str, harm: Callable[[], None], *, within: float = 90.0) -> None:
        table.add(observed(fault, harm, consortium, load, chains, within=within))

    return observing
