# SPDX-License-Identifier: Apache-2.0
"""Brings the consortium in containers up and down, and says how it is."""

from collections.abc import Callable, Sequence
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

from network.containers.continuity import continued
from network.containers.engine import Container, Docker
from network.containers.errors import ContainersError
from network.containers.fabricside import RealFabric
from network.containers.network import Progress, bring_up, containers_of, project_of, take_down
from network.containers.plan import expanded, make_plan
from network.directory import TOPOLOGY_FILE
from network.topology import Topology, load


def up(
    topology: Topology,
    directory: Path,
    *,
    consensus: str | None = None,
    peers: int = 1,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Bring the consortium up, or back up: run twice, interrupted or killed, it converges and the ledgers stay.

    Answers what `network.json` says. `say` is given each phase. Raises `ContainersError` or `WireError`, in one line.
    """
    docker = Docker.find()
    former = _former(directory)
    if former is not None and consensus is None and len(topology.orderer.addresses) == 1:
        consensus = former.orderer.consensus  # it was chosen when the channels were made
    whole = expanded(topology, peers=peers, consensus=consensus)
    plan = make_plan(whole if former is None else continued(whole, former), directory)
    version = plan.generation.version or version_of("pedigree")
    return bring_up(plan, docker, RealFabric(docker, version, say), Progress(say), version=version)


def _former(directory: Path) -> Topology | None:
    """The topology that a directory's channels were made from, None while there are none."""
    made = any((directory / "containers").glob("*.block")) and (directory / TOPOLOGY_FILE).exists()
    return load(directory / TOPOLOGY_FILE) if made else None


def down(directory: Path) -> bool:
    """Stop and remove the containers of a directory; ledgers and keys stay. False when there were none."""
    return take_down(directory, Docker.find())


def kill(directory: Path) -> None:
    """End every container of a directory at once with SIGKILL, as a power cut would; `up` brings them back."""
    Docker.find().kill(project_of(directory))


def status(directory: Path) -> list[Container]:
    """The containers of a directory, running or not."""
    return containers_of(directory, Docker.find())


def logs(directory: Path, nodes: Sequence[str], *, follow: bool, lines: int | None) -> int:
    """Pass on what containers have written, all of them unless named; answers an exit code."""
    found = containers_of(directory, Docker.find())
    names = [each.name for each in found]
    for node in nodes:
        if node not in names:
            raise ContainersError(f"no container is called {node!r}; there are {', '.join(names) or 'none'}")
    if not found:
        raise ContainersError(f"{directory} has no containers; start them with: pedigree-network up")
    return Docker.find().follow(project_of(directory), nodes, follow=follow, lines=lines)
