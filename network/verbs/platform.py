# SPDX-License-Identifier: Apache-2.0
"""Verbs for other platforms: render an organisation's part for Kubernetes, and what Prometheus and Grafana need."""

import json
import re
from pathlib import Path

import click

from network import running
from network.durable import write_file
from network.kubernetes.part import Part
from network.monitoring.targets import MonitoringError, find_targets
from network.packaging import DefinitionError
from network.topology import Endpoint
from network.verbs.common import as_json_option, directory_option, refusing

_VERSION = re.compile(r"[A-Za-z0-9_.+-]+")
_FOLDER = click.Path(file_okay=False, path_type=Path)


def register(group: click.Group) -> None:
    """Add the verbs of this part."""
    for command in (kubernetes, monitoring, certificates):
        group.add_command(command)


@click.command()
@click.option("--org", "organisation", required=True, help="Name or MSP id of the organisation, or `orderer`.")
@click.option("--out", "folder", type=_FOLDER, help="Default: DIR/kubernetes/ORG.")
@click.option("--version", default="1.0", show_default=True, help="Version of the chaincode package.")
@directory_option
@as_json_option
@refusing
def kubernetes(organisation: str, folder: Path | None, version: str, directory: Path, *, as_json: bool) -> None:
    """Write a Helm chart, its values and its secrets.

    They are for one organisation's part of the network: peer, CA, chaincode and gateway, or the orderers.

    The folder holds private keys: apply secrets.yaml, then keep it where keys are kept, or remove it.
    """
    from network.kubernetes.export import export  # here, because other verbs should not wait for it

    directory = directory.absolute()
    if not _VERSION.fullmatch(version):
        raise DefinitionError(f"--version: {version!r} may hold letters, digits and '_.+-' only")
    part = Part.of(running.chosen_topology(None, directory), directory, organisation)
    described = running.last_description(directory)
    genesis_hash = None if described is None else str(described["genesis_hash"])
    target = directory / "kubernetes" / part.prefix if folder is None else folder.absolute()
    written = export(part, target, genesis_hash=genesis_hash, version=version)
    for warning in part.warnings():
        click.echo(f"note: {warning}", err=True)
    if as_json:
        answer = {"folder": str(target), "files": written.files, "package_id": written.package_id}
        click.echo(json.dumps(answer | {"commands": written.commands}))
        return
    click.echo(f"wrote {', '.join(written.files)} to {target}")
    if written.package_id is not None:
        click.echo(f"chaincode package {written.package_id}")
    for command in written.commands:
        click.echo(f"  {command}")


@click.command()
@click.option("--out", "folder", type=_FOLDER, help="Default: DIR/monitoring.")
@click.option(
    "--gateway", "gateways", multiple=True, help="ORG=HOST:PORT of a gateway's health port, where it is not by default."
)
@click.option("--node", help="HOST:PORT of this machine's node exporter, for disk, clock and certificates.")
@directory_option
@as_json_option
@refusing
def monitoring(
    folder: Path | None, gateways: tuple[str, ...], node: str | None, directory: Path, *, as_json: bool
) -> None:
    """Write scrape configuration, alert rules and dashboard.

    They are for Prometheus and Grafana, and find the programs of this network where they publish metrics now.
    """
    from network.monitoring.export import export  # here, because other verbs should not wait for it

    directory = directory.absolute()
    chosen = _addresses(gateways)
    if node is not None:
        _endpoint("--node", node, "HOST:PORT", node)
    topology = running.chosen_topology(None, directory)
    targets = find_targets(topology, directory, gateways=chosen, node=node)
    target = directory / "monitoring" if folder is None else folder.absolute()
    files = export(targets, target)
    if as_json:
        found = [{"job": each.job, "name": each.name, "address": each.address} for each in targets]
        click.echo(json.dumps({"folder": str(target), "files": files, "targets": found}))
        return
    click.echo(f"wrote {', '.join(files)} to {target}")
    for each in targets:
        click.echo(f"  {each.job:8} {each.name:32} {each.address}")


@click.command()
@click.option(
    "--out",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File in the textfile collector's folder, such as pedigree.prom; default: standard output.",
)
@directory_option
@refusing
def certificates(file: Path | None, directory: Path) -> None:
    """Say when certificates end, as a metric.

    It is in the form that the textfile collector of Prometheus's node exporter reads; run it once a day.
    """
    from network.monitoring.certificates import certificate_metrics  # here, because other verbs should not wait for it

    text = certificate_metrics(directory.absolute())
    if file is None:
        click.echo(text, nl=False)
        return
    write_file(file, text.encode(), mode=0o644)  # the collector never reads half of it


def _addresses(texts: tuple[str, ...]) -> dict[str, Endpoint]:
    addresses: dict[str, Endpoint] = {}
    for text in texts:
        organisation, _, address = text.partition("=")
        if organisation in addresses:
            raise MonitoringError(f"--gateway: {organisation} is named twice")
        addresses[organisation] = _endpoint("--gateway", address, "ORG=HOST:PORT", text)
    return addresses


def _endpoint(option: str, address: str, form: str, given: str) -> Endpoint:
    try:
        return Endpoint.parse(address)
    except ValueError as error:
        raise MonitoringError(f"{option}: {given!r} is not {form}: {error}") from error
