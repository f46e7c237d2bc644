# SPDX-License-Identifier: Apache-2.0
"""Verbs with which organisations on hosts of their own make themselves known to one another."""

import json
from pathlib import Path

import click

from network import running
from network.durable import write_file
from network.operations import joinpackage
from network.operations.errors import OperationsError
from network.topology import Organisation
from network.verbs.common import as_json_option, directory_option, refusing

__all__ = ["export_msp", "import_msp"]


@click.command("export-msp")
@click.argument("organisation", metavar="ORG")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--chaincode-label", help="Label of the package it means to run; default: CHAINCODE_1.0.")
@directory_option
@refusing
def export_msp(organisation: str, file: Path, chaincode_label: str | None, *, directory: Path) -> None:
    """Write what others need to know ORG by.

    Its public MSP, TLS roots, addresses and anchor, signed by its administrator; nothing secret. Tell the others the
    fingerprint by telephone or in person.
    """
    directory = directory.absolute()
    topology = running.chosen_topology(None, directory)
    if file.exists():
        raise OperationsError(f"{file} exists already: name a new file")
    label = chaincode_label or f"{topology.chaincode}_1.0"
    content = joinpackage.export(topology, directory, organisation, label)
    write_file(file, content, mode=0o644)
    click.echo(f"wrote {file}; fingerprint of its root: {joinpackage.read(file).fingerprint}")


@click.command("import-msp")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--fingerprint", help="What the organisation gave you; anything else is refused.")
@directory_option
@as_json_option
@refusing
def import_msp(file: Path, fingerprint: str | None, *, directory: Path, as_json: bool) -> None:
    """Verify and keep another organisation's package.

    Its signature and certificates are checked, and its public part is kept among the organisations of the directory.
    """
    joining = joinpackage.read(file, fingerprint=fingerprint)
    stored = joinpackage.store(joining, directory.absolute())
    member = joining.organisation
    where = joinpackage.address_of(member)
    if as_json:
        answer = {"name": joining.name, "mspid": member.msp_id, "domain": member.domain}
        if isinstance(member, Organisation):
            answer["peer"] = str(member.peer)
        rest = {"chaincode": joining.chaincode, "fingerprint": joining.fingerprint, "new": stored}
        click.echo(json.dumps(answer | rest))
        return
    click.echo(f"{'imported' if stored else 'already known:'} {member.msp_id} ({member.domain}), {where}")
    if fingerprint is None:
        click.echo(f"compare the fingerprint of its root with the organisation itself: {joining.fingerprint}")
