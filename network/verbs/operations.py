# SPDX-License-Identifier: Apache-2.0
"""Verbs for operators of a network that is there: doctor."""

import dataclasses
import json
import sys
from pathlib import Path

import click

from network.packaging import parse_addresses
from network.topology import Endpoint
from network.verbs.common import as_json_option, directory_option, refusing


def register(group: click.Group) -> None:
    """Add the verbs of this part."""
    for command in (doctor,):
        group.add_command(command)


@click.command()
@click.option(
    "--run-as",
    type=click.Choice(["process", "processes", "containers"]),
    help="What shall run on a directory that holds no network yet; default: process, the embedded network.",
)
@click.option(
    "--gateway", "gateways", multiple=True, help="ORG=HOST:PORT of the health port of a gateway started by itself."
)
@directory_option
@as_json_option
@refusing
def doctor(run_as: str | None, gateways: tuple[str, ...], directory: Path, *, as_json: bool) -> None:
    """Say what is wrong, and what to do about it, in one line each.

    Ports, images, versions, clocks, disks, certificates, permissions of keys, consensus, heights, approvals and
    gateways; it changes nothing.

    Exit code 1 when anything is wrong; warnings alone leave it 0.
    """
    from network.operations.doctor import examine  # here, because other verbs should not wait for it
    from network.operations.judging import WRONG, judge

    facts = examine(directory.absolute(), run_as=run_as, gateways=_health_ports(gateways))
    findings = judge(facts)
    wrong = any(finding.severity == WRONG for finding in findings)
    if as_json:
        answer = {"ok": not wrong, "state": facts.state, "findings": [dataclasses.asdict(each) for each in findings]}
        click.echo(json.dumps(answer))
    else:
        for finding in findings:
            click.echo(str(finding))
        if not findings:
            click.echo(
                f"nothing is wrong: looked at {len(facts.nodes)} nodes, {len(facts.certificates)} certificates, "
                f"{len(facts.secrets)} secret files, {len(facts.chaincodes)} chaincodes, {len(facts.clocks)} clocks"
            )
    sys.exit(1 if wrong else 0)


def _health_ports(texts: tuple[str, ...]) -> dict[str, Endpoint]:
    return parse_addresses(texts, "--gateway")
