# SPDX-License-Identifier: Apache-2.0
"""Renews the TLS certificates of an embedded network that is down; the next start serves with the new ones.

One process plays everybody there and reads all certificates when it starts, so there is nobody to take turns.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from network.directory import TOPOLOGY_FILE
from network.embedded.lock import held
from network.material import USERS, Material
from network.operations.errors import OperationsError
from network.operations.tlsrotation import Step, rotate
from network.topology import Topology, load

__all__ = ["rotate_embedded"]


def rotate_embedded(directory: Path, scope: str, say: Callable[[str], None]) -> list[str]:
    """Renew what an organisation has (its domain; empty for everybody's); answers the names. Raises as `rotate`."""
    with held(directory, OperationsError):
        steps = [
            step
            for step in _steps(load(directory / TOPOLOGY_FILE), Material(directory / "organizations"))
            if scope in ("", step.domain)
        ]
        return rotate(directory, scope, _Folders(steps), say)


class _Folders:
    """Implements `tlsrotation.Nodes` where no program runs: nobody has to be notified, started or waited for."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = steps

    def steps(self) -> Sequence[Step]:
        return self._steps

    def announce(self, step: Step) -> None:
        """The embedded network orders by itself: no consenter knows another's certificate."""

    def restart(self, step: Step) -> None:
        """The next start reads the folder."""

    def settle(self, step: Step) -> None:
        """Nothing runs that could be waited for."""


def _steps(topology: Topology, material: Material) -> Iterator[Step]:
    for member in topology.organisations:
        owner, domain = material.organisation(member.domain), member.domain
        for number, (name, _) in enumerate(member.peers):
            yield Step(name, "peer", material.peer(domain, number) / "tls", owner, domain)
        for user in USERS:
            yield Step(f"{user}@{domain}", "user", material.user(domain, user) / "tls", owner, domain)
    domain = topology.orderer.domain
    owner = material.orderer_organisation(domain)
    for number, name in enumerate(topology.orderer.node_names, start=1):
        yield Step(name, "orderer", material.orderer(domain, number) / "tls", owner, domain)
    yield Step(f"Admin@{domain}", "user", material.orderer_user(domain) / "tls", owner, domain)
