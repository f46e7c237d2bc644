# SPDX-License-Identifier: Apache-2.0
"""Verbs for operators of a network that is there: doctor, backup, restore, loadtest, upgrade-chaincode."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from network import running
from network.exits import Exit
from network.lifecycle import Deployed
from network.operations.errors import OperationsError
from network.packaging import load_collections, parse_addresses
from network.topology import Endpoint
from network.verbs import joining, load
from network.verbs.common import as_json_option, directory_option, refusing
from network.verbs.described import by_msp_id, record_packages, refuse_strangers

if TYPE_CHECKING:
    from network.operations.upgrading import Wanted


def register(group: click.Group) -> None:
    """Add the verbs of this part."""
    verbs = (doctor, backup, restore, load.loadtest, upgrade_chaincode, joining.export_msp, joining.import_msp)
    for command in verbs:
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
    """Say what is wrong and what to do.

    One line for each finding, on ports, images, versions, clocks, disks, certificates, permissions of keys, consensus,
    heights, approvals and gateways; it changes nothing.

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
    sys.exit(Exit.FAILED if wrong else Exit.DONE)


@click.command("upgrade-chaincode")
@click.argument("name")
@click.option("--version", required=True, help="What the new version is called.")
@click.option("--address", "addresses", multiple=True, help="ORG=HOST:PORT of each new process, which runs already.")
@click.option("--image", help="For containers: what the new ones are made from; default: as the present ones.")
@click.option("--policy", help="Another endorsement policy; default: as it is.")
@click.option(
    "--collections", type=click.Path(dir_okay=False, path_type=Path), help="Other collections; default: as they are."
)
@click.option("--channel", help="Default: the network's first channel.")
@directory_option
@as_json_option
@refusing
def upgrade_chaincode(
    name: str,
    version: str,
    addresses: tuple[str, ...],
    image: str | None,
    policy: str | None,
    collections: Path | None,
    channel: str | None,
    *,
    directory: Path,
    as_json: bool,
) -> None:
    """Replace a chaincode while it is in use.

    Containers are started, and the former ones stopped, by this command.

    Processes are yours: start the new ones first, beside the old ones. When this returns, every peer calls the new
    ones, and the old ones may be stopped.
    """
    directory = directory.absolute()
    described = running.description(directory)
    if described.get("run_as") == "containers":
        if addresses or policy or collections or channel or name != described["chaincode_default"]:
            known = described["chaincode_default"]
            raise OperationsError(f"in containers {known} is upgraded by --version and --image alone")
        done = _upgrade_containers(directory, version, image)
    else:
        if image is not None:
            raise OperationsError("--image is for a network in containers")
        from network.operations.upgrading import Wanted  # here, because other verbs should not wait for it

        wanted = Wanted(name, version, channel or described["channel"], policy, _collections(collections))
        done = _upgrade_processes(directory, described, wanted, addresses)
    if as_json:
        answer = {"name": name, "version": version, "sequence": done.sequence, "changed": done.changed}
        click.echo(json.dumps(answer | {"package_ids": dict(done.package_ids)}))
        return
    verb = "upgraded" if done.changed else "already at this version:"
    rest = "" if described.get("run_as") == "containers" else "; its former processes may be stopped"
    click.echo(f"{verb} {name} {version} as sequence {done.sequence}{rest}")


def _collections(file: Path | None) -> bytes | None:
    return None if file is None else load_collections(file)


def _upgrade_containers(directory: Path, version: str, image: str | None) -> Deployed:
    from network.operations.containerupgrade import upgrade_containers

    return upgrade_containers(directory, version, image=image, progress=lambda step: click.echo(step, err=True))


def _upgrade_processes(
    directory: Path, described: dict[str, Any], wanted: "Wanted", addresses: tuple[str, ...]
) -> Deployed:
    from network.operations.upgrading import prepare, upgrade

    refuse_strangers(wanted.policy, described)
    where = by_msp_id(parse_addresses(addresses), described)
    if not where:
        raise OperationsError("--address: name where each organisation's new process listens")
    packages = prepare(wanted, where)
    done = upgrade(described, wanted, packages, progress=lambda step: click.echo(step, err=True))
    record_packages(directory, wanted.name, packages)
    return done


_passphrase_file = click.option(
    "--passphrase-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File whose first line is the passphrase; asked for when it is left out.",
)


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--with-keys", is_flag=True, help="Private keys and other secrets too, encrypted under a passphrase.")
@_passphrase_file
@directory_option
@as_json_option
@refusing
def backup(file: Path, passphrase_file: Path | None, *, with_keys: bool, directory: Path, as_json: bool) -> None:
    """Write what a network keeps into FILE.

    An embedded network may be running; Fabric's programs must be down. Secrets are left out unless asked for: without
    them a restored network starts only when they are put back.
    """
    from network.operations.backup import back_up

    if passphrase_file is not None and not with_keys:
        raise OperationsError("--passphrase-file is for --with-keys")
    passphrase = _passphrase(passphrase_file, confirm=True) if with_keys else None
    done = back_up(directory.absolute(), file.absolute(), passphrase)
    if as_json:
        answer = {"file": str(done.file), "sha256": done.sha256, "bytes": done.size, "files": done.files}
        click.echo(json.dumps(answer | {"secrets": done.secrets, "left_out": done.left_out}))
        return
    click.echo(f"wrote {done.files} files, {done.size / 1e6:.1f} MB, to {done.file}")
    click.echo(f"sha256 {done.sha256}")
    if done.left_out:
        click.echo(
            f"note: {len(done.left_out)} secret files are not in it; --with-keys encrypts them into it", err=True
        )


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--sha256", help="What the digest of FILE must be.")
@_passphrase_file
@directory_option
@refusing
def restore(file: Path, sha256: str | None, passphrase_file: Path | None, *, directory: Path) -> None:
    """Make a directory from a backup in FILE.

    The directory must be empty or not there, and nothing appears in it before every file is verified.
    """
    from network.operations.backup import holds_secrets
    from network.operations.restoring import restore as make

    sealed = holds_secrets(file.absolute())
    passphrase = _passphrase(passphrase_file, confirm=False) if sealed else None
    directory = directory.absolute()
    done = make(file.absolute(), directory, passphrase, sha256=sha256)
    click.echo(f"restored {done.files} files of {done.made} to {directory}")
    how = {"process": "embedded", "processes": "fabric", "containers": "fabric --run-as containers"}[done.run_as]
    if done.missing:
        click.echo(f"put back {len(done.missing)} secret files before the network starts, such as {done.missing[0]}")
    click.echo(f"start it with: pedigree-network up --ledger {how} --dir {directory}")


def _passphrase(file: Path | None, *, confirm: bool) -> str:
    if file is None:
        return str(click.prompt("Passphrase", hide_input=True, confirmation_prompt=confirm, err=True))
    lines = file.read_text(encoding="utf-8").splitlines()
    return lines[0] if lines else ""


def _health_ports(texts: tuple[str, ...]) -> dict[str, Endpoint]:
    return parse_addresses(texts, "--gateway")
