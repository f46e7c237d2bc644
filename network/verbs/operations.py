# SPDX-License-Identifier: Apache-2.0
"""Verbs for operators of a network that is there: doctor, backup, restore, loadtest, upgrade-chaincode."""

import dataclasses
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from network import running
from network.operations.errors import OperationsError
from network.packaging import load_collections, parse_addresses
from network.topology import Endpoint
from network.verbs.common import as_json_option, directory_option, refusing
from network.verbs.described import by_msp_id, record_packages, refuse_strangers

if TYPE_CHECKING:
    from network.operations.load import Figures, Target


def register(group: click.Group) -> None:
    """Add the verbs of this part."""
    for command in (doctor, backup, restore, loadtest, upgrade_chaincode):
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


@click.command()
@click.option("--clients", type=click.IntRange(1, 1000), default=10, show_default=True, help="Calls under way at once.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Calls a second; default: what the clients make.")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), default=10.0, show_default=True, help="How long.")
@click.option("--gateway", "urls", multiple=True, help="URL of a gateway; default: those that network.json names.")
@click.option(
    "--key-file",
    "key_files",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with a gateway's API key, one for each gateway; without any, peers are called themselves.",
)
@click.option("--chaincode", help="Which one peers are asked to run; default: the network's own.")
@directory_option
@as_json_option
@refusing
def loadtest(
    clients: int,
    rate: float | None,
    seconds: float,
    urls: tuple[str, ...],
    key_files: tuple[Path, ...],
    chaincode: str | None,
    *,
    directory: Path,
    as_json: bool,
) -> None:
    """Put load on a network, and say how fast it is and what fails.

    With API keys, gateways are asked to register data sets: those stay on the ledger. Without, peers and orderers are
    given transactions that write nothing.

    Exit code 0 when nothing failed, otherwise 1.
    """
    from network.operations.load import Load, put

    targets, through = _targets(directory.absolute(), urls, key_files, chaincode)
    with _progress(seconds) as progress:
        figures = put(targets, Load(clients, seconds, rate), progress)
    table = {
        "through": through,
        "clients": clients,
        "rate": rate,
        "seconds": round(figures.seconds, 3),
        "committed": figures.committed,
        "per_second": round(figures.per_second, 1),
        **{f"p{share}_ms": _milliseconds(figures.quantile(share / 100)) for share in (50, 95, 99)},
        "errors": dict(figures.errors),
    }
    click.echo(json.dumps(table)) if as_json else _print_figures(table)
    sys.exit(1 if figures.errors or not figures.committed else 0)


def _targets(
    directory: Path, urls: tuple[str, ...], key_files: tuple[Path, ...], chaincode: str | None
) -> "tuple[list[Target], str]":
    from network.operations.loadtargets import RestTarget, WireTarget

    described = running.last_description(directory) or {} if urls else running.description(directory)
    if not key_files:
        if urls:
            raise OperationsError("--gateway needs --key-file with an API key of that gateway")
        return [WireTarget(described, chaincode or described["chaincode_default"])], "peers"
    known = [entry["gateway"] for entry in described.get("organisations", ()) if "gateway" in entry]
    chosen = list(urls) or known[: len(key_files)]
    if len(chosen) != len(key_files):
        raise OperationsError(f"--key-file: {len(key_files)} keys for {len(chosen)} gateways; name each --gateway")
    keys = [file.read_text(encoding="utf-8").strip() for file in key_files]
    return [RestTarget(url, key) for url, key in zip(chosen, keys, strict=True)], "gateways"


@contextmanager
def _progress(seconds: float) -> "Iterator[Callable[[float, Figures], None]]":
    """A bar for people who watch; nothing where nobody does."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), TextColumn("{task.fields[done]} committed, {task.fields[failed]} failed"))
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("load", total=seconds, done=0, failed=0)

        def tell(passed: float, figures: "Figures") -> None:
            failed = sum(figures.errors.values())
            bar.update(task, completed=min(passed, seconds), done=figures.committed, failed=failed)

        yield tell


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def _print_figures(table: "dict[str, Any]") -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 120)
    shown = Table("through", "clients", "seconds", "committed", "tx/s", "p50 ms", "p95 ms", "p99 ms")
    keys = ("through", "clients", "seconds", "committed", "per_second", "p50_ms", "p95_ms", "p99_ms")
    shown.add_row(*("" if table[key] is None else str(table[key]) for key in keys))
    console.print(shown)
    errors = Table("error", "times")
    for code, count in sorted(table["errors"].items()):
        errors.add_row(code, str(count))
    console.print(errors if table["errors"] else "no errors")


@click.command("upgrade-chaincode")
@click.argument("name")
@click.option("--version", required=True, help="What the new version is called.")
@click.option("--address", "addresses", multiple=True, help="ORG=HOST:PORT of each new process, which runs already.")
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
    policy: str | None,
    collections: Path | None,
    channel: str | None,
    *,
    directory: Path,
    as_json: bool,
) -> None:
    """Replace a chaincode by its next version while it is in use.

    Start the new processes first, beside the old ones. When this returns, every peer calls the new ones, and the old
    ones may be stopped.
    """
    from network.operations.upgrading import Wanted, prepare, upgrade

    directory = directory.absolute()
    described = running.description(directory)
    refuse_strangers(policy, described)
    where = by_msp_id(parse_addresses(addresses), described)
    if not where:
        raise OperationsError("--address: name where each organisation's new process listens")
    configured = None if collections is None else load_collections(collections)
    wanted = Wanted(name, version, channel or described["channel"], policy, configured)
    packages = prepare(wanted, where)
    done = upgrade(described, wanted, packages, progress=lambda step: click.echo(step, err=True))
    record_packages(directory, name, packages)
    if as_json:
        answer = {"name": name, "version": version, "sequence": done.sequence, "changed": done.changed}
        click.echo(json.dumps(answer | {"package_ids": dict(done.package_ids)}))
    else:
        verb = "upgraded" if done.changed else "already at this version:"
        click.echo(f"{verb} {name} {version} as sequence {done.sequence}; its former processes may be stopped")


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
    """Write everything that a network keeps into FILE.

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
    """Make a network's directory from the backup in FILE.

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
