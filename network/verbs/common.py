# SPDX-License-Identifier: Apache-2.0
"""What the verbs of `pedigree-network` have in common: two options, and how they say what is wrong."""

import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click

from network import running
from network.config.errors import ConfigError
from network.console import one_line
from network.directory import RunningError
from network.embedded.policy import MalformedPolicy
from network.kubernetes.part import KubernetesError
from network.monitoring.targets import MonitoringError
from network.packaging import DefinitionError
from network.publicfiles import PublicFileError
from network.topology import Topology, TopologyError
from network.wire import WireError

__all__ = ["announce", "as_json_option", "described_topology", "directory_option", "located", "refusing"]

_REFUSALS = (
    ConfigError,
    DefinitionError,
    KubernetesError,
    MalformedPolicy,
    MonitoringError,
    PublicFileError,
    RunningError,
    TopologyError,
    WireError,
)
_P = ParamSpec("_P")
_R = TypeVar("_R")


def refusing(command: Callable[_P, _R]) -> Callable[_P, _R]:
    """Turn what an operator can put right into one line and exit code 1."""

    @functools.wraps(command)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return command(*args, **kwargs)
        except _REFUSALS as error:
            raise click.ClickException(one_line(str(error))) from error
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            raise click.ClickException(one_line(f"{where}{error.strerror or error}")) from error

    return wrapped


def described_topology(file: Path | None, directory: Path) -> Topology:
    """The topology for containers, from `file` or as the directory remembers it; raises `TopologyError`."""
    try:
        return running.described_topology(file, directory)
    except TopologyError as error:
        raise located(error, file) from error


def located(error: TopologyError, file: Path | None) -> TopologyError:
    """The same, with the file in which the field stands."""
    if file is None or error.field.startswith(str(file)):
        return error
    return TopologyError(str(file), str(error))


directory_option = click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".pedigree"),
    show_default=True,
    help="Where keys, ledgers and addresses are kept.",
)
as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


def announce(described: dict[str, Any], directory: Path, *, as_json: bool) -> None:
    """Say that a network is ready, and where its peers and gateways answer."""
    if as_json:
        click.echo(json.dumps(described))
    else:
        peers = " ".join(f"{entry['name']}={entry['peer']}" for entry in described["organisations"])
        where = " ".join(filter(None, (peers, f"dir={directory}")))
        click.echo(f"ready {described['ledger']} channel={described['channel']} {where}")
        for entry in described["organisations"]:
            if "gateway" in entry:
                click.echo(f"gateway {entry['name']}={entry['gateway']} health={entry['gateway_health']}")
    sys.stdout.flush()
