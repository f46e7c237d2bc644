# SPDX-License-Identifier: Apache-2.0
"""Networks that operators look after: an embedded one for the whole module, and descriptions with free ports."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from network.cli import main
from network.topology import default_topology

Run = Callable[..., Result]


@pytest.fixture(scope="session")
def run() -> Run:
    """Calls `pedigree-network`."""

    def call(*arguments: object, **more: str) -> Result:
        return CliRunner().invoke(main, [str(each) for each in arguments], catch_exceptions=False, **more)  # type: ignore[arg-type]

    return call


@pytest.fixture(scope="session")
def topology_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("topology") / "topology.json"
    path.write_text(json.dumps(default_topology(any_port=True).to_json()))
    return path


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory, topology_file: Path, run: Run) -> Iterator[Path]:
    """The directory of an embedded network that runs."""
    directory = tmp_path_factory.mktemp("network") / "data"
    result = run("up", "--detach", "--dir", directory, "--topology", topology_file)
    assert result.exit_code == 0, result.output
    yield directory
    run("down", "--dir", directory)


@pytest.fixture(scope="module")
def fabric(tmp_path_factory: pytest.TempPathFactory, topology_file: Path, run: Run) -> Iterator[Path]:
    """The directory of a network of Fabric's programs that runs."""
    directory = tmp_path_factory.mktemp("network") / "data"
    result = run("up", "--ledger", "fabric", "--detach", "--dir", directory, "--topology", topology_file)
    assert result.exit_code == 0, result.output
    yield directory
    run("down", "--dir", directory)
