# SPDX-License-Identifier: Apache-2.0
"""`pedigree-network`: run a network, look at it, deploy chaincode on it, check its ledger, stop it."""

import json
import re
import sys
from pathlib import Path

import click

from network import overview, running
from network.console import Tool
from network.exits import EPILOG, Exit
from network.lifecycle import Deployment, deploy, packages_for
from network.packaging import Definition, DefinitionError, load_collections, parse_addresses
from network.verbs import config, containers, lifetime, operations, platform, rotation, sites
from network.verbs.common import as_json_option, directory_option, refusing
from network.verbs.described import by_msp_id, record_packages, refuse_strangers


@click.group(cls=Tool, context_settings={"help_option_names": ["-h", "--help"]}, epilog=EPILOG)
@click.version_option(package_name="pedigree")
def main() -> None:
    """Run the ledger's network: embedded in one process, or on Hyperledger Fabric."""


@main.command("deploy")
@click.argument("name")
@click.option("--address", "addresses", multiple=True, required=True, help="ORG=HOST:PORT, once per organisation.")
@click.option("--policy", help="Endorsement policy, such as \"OutOf(2,'AMSP.peer','BMSP.peer','CMSP.peer')\".")
@click.option("--collections", type=click.Path(dir_okay=False, path_type=Path), help="Fabric's collections JSON.")
@click.option("--version", default="1.0", show_default=True, help="What this version is called.")
@click.option("--init-required", is_flag=True, help="The first call must be `init`.")
@click.option("--channel", help="Default: the network's first channel.")
@directory_option
@as_json_option
@refusing
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
    refuse_strangers(policy, described)
    packages = packages_for(name, version, by_msp_id(where, described))
    deployment = Deployment(channel or described["channel"], definition, packages)
    with overview.administrators(described) as administrators, overview.ordering(described) as ordering:
        done = deploy(deployment, administrators, ordering, progress=lambda step: click.echo(step, err=True))
    record_packages(directory, name, packages)
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
@directory_option
@as_json_option
@refusing
def package(name: str, addresses: tuple[str, ...], version: str, directory: Path, *, as_json: bool) -> None:
    """Say which CHAINCODE_ID each process must be given.

    It is the id of the package that each organisation would install; on Fabric the process must register with it.
    """
    Definition.make(name, version)
    directory = directory.absolute()
    where = by_msp_id(parse_addresses(addresses), running.description(directory))
    packages = packages_for(name, version, where)
    record_packages(directory, name, packages)
    if as_json:
        click.echo(json.dumps({msp_id: made.package_id for msp_id, made in packages.items()}))
    else:
        for msp_id, made in packages.items():
            click.echo(f"{msp_id} {made.package_id}")


@main.command()
@click.option(
    "--genesis", "pins", multiple=True, help="CHANNEL=HASH of block 0 that you trust; default: network.json's."
)
@directory_option
@as_json_option
@refusing
def fsck(pins: tuple[str, ...], directory: Path, *, as_json: bool) -> None:
    """Recompute the embedded network's ledgers and compare.

    Everything that it stores is computed again from the blocks; it may be running meanwhile. On Fabric each
    organisation checks the ledger with `pedigree fsck`.

    Exit code 0 when nothing differs, otherwise 1.
    """
    from network.embedded.fsck import fsck as check

    _refuse_fabric(directory)
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
    sys.exit(Exit.DONE if found.ok else Exit.FAILED)


def _refuse_fabric(directory: Path) -> None:
    described = running.last_description(directory.absolute())
    if described is None or described.get("ledger") != "fabric":
        return
    names = [str(entry["name"]) for entry in described["organisations"]]
    raise running.RunningError(
        f"{directory} is a network of Fabric, whose peers keep the ledgers; each organisation checks them with: "
        f"pedigree fsck --network {directory / 'network.json'} --organisation {names[0]} "
        f"--data {directory / 'gateways' / names[0]}" + (f" (and likewise {', '.join(names[1:])})" if names[1:] else "")
    )


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


lifetime.register(main)
containers.register(main)
config.register(main)
operations.register(main)
platform.register(main)
rotation.register(main)
sites.guard(main)


if __name__ == "__main__":
    main()
