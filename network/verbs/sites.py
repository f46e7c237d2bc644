# SPDX-License-Identifier: Apache-2.0
"""`up --org`: one organisation's part of a consortium, and what it says while the others are not ready."""

import functools
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from network.exits import Exit
from network.verbs.common import announce, described_topology

if TYPE_CHECKING:
    from network.containers.siteup import Outcome

__all__ = ["Asked", "guard", "is_site", "up"]

_FOR_SITES = frozenset(
    {
        *("up", "down", "status", "logs", "doctor", "export-msp", "import-msp", "config"),
        *("backup", "restore", "certificates", "monitoring", "kubernetes"),
    }
)
"""Verbs that keep to what a site has; all others take a directory for the whole network and everybody's keys."""
_REASONS = {
    "reset": "would remove this organisation's approval of the chaincode, which no other site keeps; restore a backup "
    "instead, or end the consortium with `down` at every site and begin in new directories"
}
_REASON = (
    "is for a network that is run from one directory; what several must sign goes round with: pedigree-network config "
    "propose"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of `up` that concern a site, as they were given."""

    organisation: str | None
    host: str | None
    listen: str | None
    resolve: tuple[str, ...]
    consensus: str | None
    peers: int
    wait: float


def is_site(directory: Path) -> bool:
    """Whether a directory is one organisation's part of a consortium; raises `ContainersError`."""
    if not (directory / "site.json").exists():
        return False
    from network.containers.site import Site  # here, because other networks do not need it

    return Site.read(directory) is not None


def guard(group: click.Group) -> None:
    """Let every verb that is for whole networks refuse a site's directory before it changes anything there."""
    for name, command in group.commands.items():
        takes_directory = any(parameter.name == "directory" for parameter in command.params)
        if name not in _FOR_SITES and takes_directory and command.callback is not None:
            command.callback = _guarded(name, command.callback)


def _guarded(name: str, callback: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(callback)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if is_site(kwargs["directory"]):
            reason = _REASONS.get(name, _REASON)
            raise click.ClickException(f"{kwargs['directory']} is one organisation's part: {name} {reason}")
        return callback(*args, **kwargs)

    return wrapped


def up(asked: Asked, file: Path | None, directory: Path, *, as_json: bool) -> None:
    """Bring the site up and say how far it has come; ends the program with `Exit.WAITING` where it must wait."""
    from network.containers import siteup  # here, because other verbs should not wait for it
    from network.containers.site import Choice, parse_names

    choice = Choice(asked.organisation, asked.host, asked.listen, parse_names(asked.resolve))
    options = siteup.Options(choice, asked.consensus, asked.peers, asked.wait)
    topology = described_topology(file, directory)
    outcome = siteup.up(topology, directory, options, lambda line: click.echo(line, err=True))
    if as_json:
        click.echo(json.dumps(_as_json(outcome)))
    else:
        _tell(outcome, directory)
    sys.exit(Exit.DONE if outcome.waiting is None else Exit.WAITING)


def _as_json(outcome: "Outcome") -> dict[str, Any]:
    return {
        "organisation": outcome.site.organisation,
        "host": outcome.site.host,
        "package": str(outcome.package),
        "fingerprint": outcome.fingerprint,
        "waiting": outcome.waiting,
        "missing": list(outcome.missing),
        "first_blocks": dict(outcome.blocks),
        "network": outcome.described,
    }


def _tell(outcome: "Outcome", directory: Path) -> None:
    site = outcome.site
    if outcome.described is not None and outcome.waiting is None:
        announce(outcome.described, directory, as_json=False)
    for channel, digest in outcome.blocks:
        click.echo(f"first block of {channel}: {digest}")
    if outcome.waiting is None:
        return
    click.echo(f"waiting: {outcome.waiting}")
    again = f"pedigree-network up --dir {directory}"
    if not outcome.missing:
        click.echo(f"next: when they have, run again: {again}")
        return
    click.echo(f"this site: {site.organisation} at {site.host}; fingerprint of its root: {outcome.fingerprint}")
    click.echo(f"next: give {outcome.package} to the others, and tell them the fingerprint by telephone or in person")
    for name in outcome.missing:
        click.echo(f'next: pedigree-network import-msp {name}.join --fingerprint "…" --dir {directory}')
    click.echo(f"next: then run again: {again}")
