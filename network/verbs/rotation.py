# SPDX-License-Identifier: Apache-2.0
"""The verb that renews TLS certificates: rotate-tls."""

import json
from pathlib import Path

import click

from network import running
from network.directory import TOPOLOGY_FILE
from network.operations.errors import OperationsError
from network.topology import load
from network.verbs.common import as_json_option, directory_option, refusing

__all__ = ["register"]


def register(group: click.Group) -> None:
    """Add the verb."""
    group.add_command(rotate_tls)


@click.command("rotate-tls")
@click.option("--org", "organisation", help="Only this organisation's; default: all, one by one.")
@directory_option
@as_json_option
@refusing
def rotate_tls(organisation: str | None, *, directory: Path, as_json: bool) -> None:
    """Renew TLS certificates and keys while they are in use.

    New ones from the same TLS CAs, one program at a time: each is started anew and must be well before the next one's
    turn. Applications that ask again lose nothing. Interrupted anywhere, asking again finishes it. An embedded network
    must be down.
    """
    directory = directory.absolute()
    if running.run_as(directory) is None:
        raise OperationsError(f"{directory} has no network; start one with: pedigree-network up --dir {directory}")
    scope = _domain(organisation, directory)
    done = _rotate(directory, scope)
    if as_json:
        click.echo(json.dumps({"renewed": done}))
    else:
        click.echo(f"renewed the TLS certificates of {len(done)} programs and users")


def _rotate(directory: Path, scope: str) -> list[str]:
    def say(line: str) -> None:
        click.echo(line, err=True)

    up = running.is_running(directory)
    match running.run_as(directory):
        case "containers":
            running.description(directory)  # refuses one that is down, and says how it is started
            from network.operations.containertls import rotate_containers

            return rotate_containers(directory, scope, say)
        case "process":
            if up:
                raise OperationsError(
                    "the embedded network reads its certificates when it starts: stop it with: pedigree-network down "
                    f"--dir {directory}, renew them, and start it again"
                )
            from network.operations.embeddedtls import rotate_embedded

            return rotate_embedded(directory, scope, say)
        case "processes":
            running.description(directory)
            from network.operations.nativetls import rotate_native

            return rotate_native(directory, scope, say)
    raise OperationsError(f"{directory} holds a network of an unknown kind")


def _domain(name: str | None, directory: Path) -> str:
    """The domain of an organisation that is given by its name, MSP id or domain; empty for all."""
    if name is None:
        return ""
    topology = load(directory / TOPOLOGY_FILE)
    members = [(each.name, each.msp_id, each.domain) for each in topology.organisations]
    ordering = topology.orderer
    for known in (*members, (ordering.domain, ordering.msp_id, ordering.domain)):
        if name in known:
            return known[-1]
    choice = ", ".join([each.name for each in topology.organisations] + [ordering.domain])
    raise OperationsError(f"--org: no organisation is called {name!r}; there are {choice}")
