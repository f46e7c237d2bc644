# SPDX-License-Identifier: Apache-2.0
"""`pedigree-network`: run a network, look at it, deploy chaincode on it, check its ledger, stop it."""

import functools
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click
from fabric_protos.msp import msp_principal_pb2
from rich.console import Console
from rich.table import Table

from network import overview, running
from network.console import Tool, one_line
from network.embedded.policy import MalformedPolicy, parse
from network.lifecycle import Deployment, deploy, packages_for
from network.packaging import Definition, DefinitionError, Package, load_collections, parse_addresses
from network.profiles import write_json
from network.running import RunningError
from network.topology import Endpoint, Topology, TopologyError
from network.verbs import platform
from network.wire import WireError

_REFUSALS = (TopologyError, RunningError, DefinitionError, MalformedPolicy, WireError)
_SINGLE_HOST = (
    "One process plays all organisations here: for trying things out, for tests and for pilots on one machine. "
    "Where trust must be distributed, run it on Fabric."
)
_P = ParamSpec("_P")
_R = TypeVar("_R")


def _refusing(command: Callable[_P, _R]) -> Callable[_P, _R]:
    """Turn what an operator can put right into one line and exit code 1."""

    @functools.wraps(command)
    def refusing(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return command(*args, **kwargs)
        except _REFUSALS as error:
            raise click.ClickException(one_line(str(error))) from error
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            raise click.ClickException(one_line(f"{where}{error.strerror or error}")) from error

    return refusing


_directory = click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".pedigree"),
    show_default=True,
    help="Where keys, ledgers and addresses are kept.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


@click.group(cls=Tool, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pedigree")
def main() -> None:
    """Run the ledger's network: embedded in one process, or on Hyperledger Fabric."""


@main.command()
@click.option(
    "--ledger",
    type=click.Choice(["embedded", "fabric"]),
    default="embedded",
    show_default=True,
    help="One process for all organisations, or Fabric's own programs.",
)
@click.option(
    "--topology",
    "topology_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Description of the network, YAML or JSON.",
)
@click.option(
    "--fabric-bin",
    type=click.Path(file_okay=False, path_type=Path),
    help="Fabric's programs; default: $FABRIC_BIN, then /opt/fabric/bin.",
)
@click.option("--detach", is_flag=True, help="Leave it running in the background; returns when it is ready.")
@_directory
@_json
@_refusing
def up(
    ledger: str, topology_file: Path | None, fabric_bin: Path | None, *, detach: bool, directory: Path, as_json: bool
) -> None:
    """Start the network, or start it again.

    Ctrl-C or `down` stops it and keeps everything.
    """
    directory = directory.absolute()
    if (pid := running.holder(directory)) is not None:
        raise RunningError(f"{directory} is in use by process {pid}")
    topology = _chosen_topology(topology_file, directory)
    if ledger == "embedded":
        running.refuse_taken_ports(topology)  # like a bad description, before anything is made
    if ledger == "embedded":
        click.echo(_SINGLE_HOST, err=True)
    if detach:
        arguments = ["up", "--ledger", ledger, "--dir", str(directory)]
        arguments += [] if topology_file is None else ["--topology", str(topology_file.absolute())]
        arguments += [] if fabric_bin is None else ["--fabric-bin", str(fabric_bin.absolute())]
        _announce(running.detach(arguments, directory), directory, as_json=as_json)
        return
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def ready(described: dict[str, Any]) -> None:
        _announce(described, directory, as_json=as_json)

    if ledger == "embedded":
        running.run_embedded(topology, directory, ready)
    else:
        running.run_fabric(topology, directory, fabric_bin, ready)


def _chosen_topology(file: Path | None, directory: Path) -> Topology:
    try:
        return running.chosen_topology(file, directory)
    except TopologyError as error:
        if file is None or error.field.startswith(str(file)):
            raise
        raise TopologyError(str(file), str(error)) from error


@main.command()
@_directory
@_refusing
def down(directory: Path) -> None:
    """Stop the network; ledgers and keys stay."""
    stopped = running.stop(directory.absolute())
    click.echo("stopped" if stopped else f"no network was running on {directory}")


@main.command()
@_directory
@_json
@_refusing
def status(directory: Path, *, as_json: bool) -> None:
    """Say what runs, and what is deployed.

    Each organisation's number of blocks, and every chaincode.

    Exit code 0 when it runs and every peer answers, otherwise 1.
    """
    pid = running.holder(directory.absolute())
    if pid is None:
        click.echo(json.dumps({"running": False}) if as_json else f"no network runs on {directory}")
        sys.exit(1)
    described = running.description(directory.absolute())
    report = overview.report(described, pid)
    if as_json:
        click.echo(json.dumps(report))
    else:
        _print_report(report)
    sys.exit(0 if all(entry["reachable"] for entry in report["organisations"]) else 1)


@main.command("deploy")
@click.argument("name")
@click.option("--address", "addresses", multiple=True, required=True, help="ORG=HOST:PORT, once per organisation.")
@click.option("--policy", help="Endorsement policy, such as \"OutOf(2,'AMSP.peer','BMSP.peer','CMSP.peer')\".")
@click.option("--collections", type=click.Path(dir_okay=False, path_type=Path), help="Fabric's collections JSON.")
@click.option("--version", default="1.0", show_default=True, help="What this version is called.")
@click.option("--init-required", is_flag=True, help="The first call must be `init`.")
@click.option("--channel", help="Default: the network's first channel.")
@_directory
@_json
@_refusing
def deploy_command(
    name: str,
    addresses: tuple[str, ...],
    policy: str | None,
    collections: Path | None,
    version: str,
    *,
    init_required: bool,
    channel: str | None,
    directory: Path,
    as_json: bool,
) -> None:
    """Install, approve and commit a chaincode.

    It runs as a service at the given addresses.

    ORG is an organisation's name or MSP id. Deploying the same again changes nothing.
    """
    configured = b"" if collections is None else load_collections(collections)
    definition = Definition.make(name, version, policy=policy, collections=configured, init_required=init_required)
    where = parse_addresses(addresses)
    directory = directory.absolute()
    described = running.description(directory)
    _refuse_strangers(policy, described)
    packages = packages_for(name, version, _by_msp_id(where, described))
    deployment = Deployment(channel or described["channel"], definition, packages)
    with overview.administrators(described) as administrators, overview.ordering(described) as ordering:
        done = deploy(deployment, administrators, ordering, progress=lambda step: click.echo(step, err=True))
    _record_packages(directory, name, packages)
    result = {"name": name, "version": version, "sequence": done.sequence, "changed": done.changed}
    if as_json:
        click.echo(json.dumps(result | {"package_ids": dict(done.package_ids)}))
    else:
        verb = "deployed" if done.changed else "already deployed:"
        click.echo(f"{verb} {name} {version} as sequence {done.sequence} on channel {deployment.channel}")


@main.command()
@click.argument("name")
@click.option("--address", "addresses", multiple=True, required=True, help="ORG=HOST:PORT, once per organisation.")
@click.option("--version", default="1.0", show_default=True, help="What this version is called.")
@_directory
@_json
@_refusing
def package(name: str, addresses: tuple[str, ...], version: str, directory: Path, *, as_json: bool) -> None:
    """Say which CHAINCODE_ID each process must be given.

    It is the id of the package that each organisation would install; on Fabric the process must register with it.
    """
    Definition.make(name, version)
    directory = directory.absolute()
    where = _by_msp_id(parse_addresses(addresses), running.description(directory))
    packages = packages_for(name, version, where)
    _record_packages(directory, name, packages)
    if as_json:
        click.echo(json.dumps({msp_id: made.package_id for msp_id, made in packages.items()}))
    else:
        for msp_id, made in packages.items():
            click.echo(f"{msp_id} {made.package_id}")


@main.command()
@click.option(
    "--genesis", "pins", multiple=True, help="CHANNEL=HASH of block 0 that you trust; default: network.json's."
)
@_directory
@_json
@_refusing
def fsck(pins: tuple[str, ...], directory: Path, *, as_json: bool) -> None:
    """Recompute the ledgers and compare.

    Everything that the embedded network stores is computed again from the blocks; it may be running meanwhile.

    Exit code 0 when nothing differs, otherwise 1.
    """
    from network.embedded.fsck import fsck as check

    pinned = _pinned(pins, directory)
    found = check(directory.absolute(), genesis_hashes=pinned)
    for pin in pins:
        if (channel := pin.partition("=")[0]) not in found.heights:
            raise DefinitionError(f"--genesis: {directory} has no ledger of channel {channel!r}")
    if as_json:
        findings = [str(finding) for finding in found.findings]
        click.echo(json.dumps({"ok": found.ok, "blocks": found.heights, "findings": findings}))
    else:
        for finding in found.findings:
            click.echo(str(finding))
        blocks = ", ".join(f"{channel}: {blocks} blocks" for channel, blocks in found.heights.items())
        click.echo(f"{'clean' if found.ok else _differences(len(found.findings))} ({blocks})")
    sys.exit(0 if found.ok else 1)


def _differences(count: int) -> str:
    return "1 difference" if count == 1 else f"{count} differences"


def _pinned(pins: tuple[str, ...], directory: Path) -> dict[str, str]:
    """The genesis hashes to hold the ledgers to, by channel."""
    pinned: dict[str, str] = {}
    described = running.last_description(directory.absolute())
    if described is not None:
        pinned[described["channel"]] = described["genesis_hash"]
    for pin in pins:
        channel, _, digest = pin.partition("=")
        if not channel or not re.fullmatch("[0-9a-f]{64}", digest):
            raise DefinitionError(f"--genesis: {pin!r} is not CHANNEL=HASH with 64 lower-case hex digits")
        pinned[channel] = digest
    return pinned


def _announce(described: dict[str, Any], directory: Path, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(described))
    else:
        peers = " ".join(f"{entry['name']}={entry['peer']}" for entry in described["organisations"])
        click.echo(f"ready {described['ledger']} channel={described['channel']} {peers} dir={directory}")
    sys.stdout.flush()


def _by_msp_id(addresses: dict[str, Endpoint], described: dict[str, Any]) -> dict[str, Endpoint]:
    names = {entry["name"]: entry["mspid"] for entry in described["organisations"]}
    found: dict[str, Endpoint] = {}
    for organisation, address in addresses.items():
        msp_id = names.get(organisation, organisation)
        if msp_id not in names.values():
            known = ", ".join(sorted(names))
            raise DefinitionError(f"--address: no organisation is called {organisation!r}; there are {known}")
        if msp_id in found:
            raise DefinitionError(f"--address: {msp_id} is named twice")
        found[msp_id] = address
    return found


def _refuse_strangers(policy: str | None, described: dict[str, Any]) -> None:
    """An MSP id that no organisation has is a slip of the pen: nobody could ever endorse for it."""
    known = {entry["mspid"] for entry in described["organisations"]}
    for principal in () if policy is None else parse(policy).identities:
        named = msp_principal_pb2.MSPRole.FromString(principal.principal).msp_identifier
        if named not in known:
            raise DefinitionError(
                f"--policy: no organisation is called {named!r}; there are {', '.join(sorted(known))}"
            )


def _record_packages(directory: Path, name: str, packages: dict[str, Package]) -> None:
    """`chaincodes/NAME.id`: package ids by MSP id, for whoever starts the chaincode processes."""
    folder = directory / "chaincodes"
    folder.mkdir(mode=0o700, exist_ok=True)
    write_json(folder / f"{name}.id", {msp_id: made.package_id for msp_id, made in packages.items()})


def _print_report(report: dict[str, Any]) -> None:
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(f"{report['ledger']} network, process {report['pid']}, channel {report['channel']}")
    peers = Table("organisation", "MSP id", "peer", "blocks")
    for entry in report["organisations"]:
        blocks = str(entry["height"]) if entry["reachable"] else "does not answer"
        peers.add_row(entry["name"], entry["mspid"], entry["peer"], blocks)
    console.print(peers)
    chaincodes = Table("chaincode", "version", "sequence")
    for entry in report["chaincodes"]:
        chaincodes.add_row(entry["name"], entry["version"], str(entry["sequence"]))
    console.print(chaincodes if report["chaincodes"] else "nothing is deployed")


platform.register(main)


if __name__ == "__main__":
    main()
