# SPDX-License-Identifier: Apache-2.0
"""Verbs for containers and what they leave: images, logs, reset."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import click

from network import running
from network.directory import RunningError
from network.exits import Exit
from network.verbs.common import directory_option, refusing

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


def register(group: click.Group) -> None:
    """Add the verbs of this part."""
    for command in (images, logs, reset):
        group.add_command(command)


@click.command()
@click.option("--fabric-bin", type=_FOLDER, help="Also pack Fabric's programs in this folder; default: $FABRIC_BIN.")
@click.option("--base", help="Base image with Python 3.11 for our own images; default: pedigree/base:bookworm.")
@click.option("--make-base", is_flag=True, help="Make that base first, from Debian; needs debootstrap and root.")
@click.option("--wheels", type=_FOLDER, help="Folder of wheels to install from, instead of the package index.")
@click.option("--only-fabric", is_flag=True, help="Leave our own images as they are.")
@refusing
def images(
    fabric_bin: Path | None, base: str | None, *, make_base: bool, wheels: Path | None, only_fabric: bool
) -> None:
    """Build the images of a network in containers.

    No image registry is needed.

    The gateway's and the chaincode's from this source, and, where a folder of Fabric's programs is given, images of
    the official names with those programs.
    """
    from network.containers import images as building
    from network.containers.engine import Docker

    docker = Docker.find()
    base = base or building.BASE

    def say(line: str) -> None:
        click.echo(line, err=True)

    if make_base:
        building.make_base(docker, say, base)
    if fabric_bin is None and os.environ.get("FABRIC_BIN"):
        fabric_bin = Path(os.environ["FABRIC_BIN"])
    if fabric_bin is not None:
        building.build_fabric(docker, fabric_bin, say, base)
    elif only_fabric:
        raise RunningError("--only-fabric needs --fabric-bin, or FABRIC_BIN in the environment")
    if not only_fabric:
        building.build_own(docker, building.Sources(base, wheels), say)
    for tag, size in building.sizes(docker):
        click.echo(f"{tag} {size / 1e6:.0f} MB")


@click.command()
@click.argument("nodes", nargs=-1)
@click.option("--follow", "-f", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option("--tail", type=click.IntRange(0), help="Only so many last lines of each.")
@directory_option
@refusing
def logs(nodes: tuple[str, ...], *, follow: bool, tail: int | None, directory: Path) -> None:
    """Show what NODES have written, or all of them.

    A node is called peer0.lab.example, gateway.lab.example and so on.
    """
    directory = directory.absolute()
    if running.run_as(directory) == "containers":
        from network.containers import lifetime as containers

        _end(containers.logs(directory, nodes, follow=follow, lines=tail))
    files = _log_files(directory, nodes)
    options = [f"--lines={tail}" if tail is not None else "--lines=+1", *(["--follow=name"] if follow else [])]
    _end(subprocess.call(["tail", *options, "--", *map(str, files)]))  # noqa: S603, S607 -- tail and our own files


def _end(code: int) -> NoReturn:
    """End as another program did, which said itself what was wrong."""
    sys.exit(Exit.DONE if code == 0 else Exit.FAILED)


def _log_files(directory: Path, nodes: tuple[str, ...]) -> list[Path]:
    """The log files of local processes; raises `RunningError` for a node that has none."""
    found = {path.stem: path for path in [*sorted((directory / "logs").glob("*.log")), directory / running.LOG_FILE]}
    found = {name: path for name, path in found.items() if path.exists()}
    unknown = [name for name in nodes if name not in found]
    if unknown or not found:
        known = f"there are {', '.join(found)}" if found else "there are none"
        raise RunningError(f"{directory} has no log of {', '.join(unknown) or 'any node'}; {known}")
    return [found[name] for name in nodes or found]


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@directory_option
@refusing
def reset(directory: Path, *, yes: bool) -> None:
    """Stop the network and remove its ledgers.

    Keys, topology and ports stay.

    Everything recorded on the ledgers and in the gateways is lost.
    """
    directory = directory.absolute()
    running.refuse_without_network(directory)
    if not yes:
        click.confirm(f"Remove every ledger below {directory}?", abort=True, err=True)
    removed = running.reset(directory)
    click.echo(f"removed {', '.join(removed)}" if removed else "there was nothing to remove")
