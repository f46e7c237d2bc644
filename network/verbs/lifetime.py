# SPDX-License-Identifier: Apache-2.0
"""Verbs for a network's life: up, down, status."""

import json
import sys
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from rich.console import Console
from rich.table import Table

from network import overview, running
from network.admission import Admission
from network.directory import RunningError
from network.exits import Exit
from network.topology import Topology, TopologyError
from network.verbs import sites
from network.verbs.common import (
    announce,
    as_json_option,
    described_topology,
    directory_option,
    located,
    refusing,
)

_SINGLE_HOST = (
    "One process plays all organisations here: for trying things out, for tests and for pilots on one machine. "
    "Where trust must be distributed, run it on Fabric."
)


def register(group: click.Group) -> None:
    """Add the verbs of this part."""
    for command in (up, down, status):
        group.add_command(command)


@click.command()
@click.option(
    "--ledger",
    type=click.Choice(["embedded", "fabric"]),
    default="embedded",
    show_default=True,
    help="One process for all organisations, or Fabric's own programs.",
)
@click.option(
    "--run-as",
    type=click.Choice(["processes", "containers"]),
    default="processes",
    show_default=True,
    help="How Fabric's programs run; containers bring CAs, chaincodes and gateways with them.",
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
    help="Fabric's programs, for processes; default: $FABRIC_BIN, then /opt/fabric/bin.",
)
@click.option("--consensus", type=click.Choice(["raft", "bft"]), help="For containers: three orderers, or four.")
@click.option("--peers", type=click.IntRange(1, 2), default=1, show_default=True, help="Of each member, in containers.")
@click.option("--org", help="Only this organisation's part; the others have own hosts.")
@click.option("--host", help="With --org: the name or address the others reach.")
@click.option("--listen", help="With --org: the address of this machine to publish on.")
@click.option("--resolve", multiple=True, metavar="HOST=ADDRESS", help="With --org: a host that DNS does not know.")
@click.option("--wait", type=click.FloatRange(0), default=0.0, help="With --org: seconds to wait for others.")
@click.option(
    "--chaincode-dials",
    is_flag=True,
    help="Embedded: let chaincode dial its organisation's listener, with the chaincode-token in that one's folder.",
)
@click.option(
    "--connections-per-address",
    help="Embedded: how many connections one client's address may have with it at once.",
    type=click.IntRange(1),
    default=Admission().connections_per_address,
    show_default=True,
)
@click.option("--detach", is_flag=True, help="Leave it running in the background, as containers always are.")
@directory_option
@as_json_option
@refusing
def up(
    ledger: str,
    run_as: str,
    topology_file: Path | None,
    fabric_bin: Path | None,
    consensus: str | None,
    peers: int,
    org: str | None,
    host: str | None,
    listen: str | None,
    resolve: tuple[str, ...],
    wait: float,
    *,
    chaincode_dials: bool,
    connections_per_address: int,
    detach: bool,
    directory: Path,
    as_json: bool,
) -> None:
    """Start the network, or what of it has ended.

    Ctrl-C or `down` stops it and keeps everything. Containers keep running after the command has ended.

    With --org, only that organisation's part, in containers on this host. Exit code 3 says that it has come as far as
    it can, and what the others must do before the same command goes on.
    """
    directory = directory.absolute()
    if (pid := running.holder(directory)) is not None:
        if not (back := running.bring_back(directory)):
            raise RunningError(f"{directory} is in use by process {pid}")
        click.echo(json.dumps({"started": back}) if as_json else f"started again: {', '.join(back)}")
        return
    if any((org, host, listen, resolve)) or sites.is_site(directory):
        _refuse_other_kinds(ledger, run_as)
        asked = sites.Asked(org, host, listen, resolve, consensus, peers, wait)
        sites.up(asked, topology_file, directory, as_json=as_json)
        return
    if run_as == "containers":
        _up_containers(ledger, topology_file, directory, consensus, peers, as_json=as_json)
        return
    admission = Admission(chaincode_dials, connections_per_address)
    _refuse_misplaced(ledger, consensus, peers, admission)
    _refuse_running_containers(directory)
    topology = _chosen_topology(topology_file, directory)
    if ledger == "embedded":
        running.refuse_taken_ports(topology)  # like a bad description, before anything is made
        click.echo(_SINGLE_HOST, err=True)
    else:
        _refuse_missing_programs(fabric_bin)
    if detach:
        arguments = ["up", "--ledger", ledger, "--dir", str(directory)]
        arguments += [] if topology_file is None else ["--topology", str(topology_file.absolute())]
        arguments += [] if fabric_bin is None else ["--fabric-bin", str(fabric_bin.absolute())]
        arguments += admission.arguments() if ledger == "embedded" else []
        announce(running.detach(arguments, directory), directory, as_json=as_json)
        return
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def ready(described: dict[str, Any]) -> None:
        announce(described, directory, as_json=as_json)

    if ledger == "embedded":
        running.run_embedded(topology, directory, ready, admission)
    else:
        running.run_fabric(topology, directory, fabric_bin, ready, lambda line: click.echo(line, err=True))


def _refuse_missing_programs(fabric_bin: Path | None) -> None:
    from network.native import Binaries, NativeError  # here, because other verbs should not wait for it

    try:
        Binaries.find(fabric_bin)
    except NativeError as error:
        raise RunningError(str(error)) from error


def _refuse_misplaced(ledger: str, consensus: str | None, peers: int, admission: Admission) -> None:
    if consensus is not None or peers != 1:
        raise RunningError("--consensus and --peers are for --run-as containers")
    if admission != Admission() and ledger != "embedded":
        raise RunningError("--chaincode-dials and --connections-per-address are for --ledger embedded")


def _refuse_other_kinds(ledger: str, run_as: str) -> None:
    """A site is on Fabric in containers, which need not be said; what is said must not be something else."""
    context = click.get_current_context()
    said = {name: context.get_parameter_source(name) is ParameterSource.COMMANDLINE for name in ("ledger", "run_as")}
    if (said["ledger"] and ledger != "fabric") or (said["run_as"] and run_as != "containers"):
        raise RunningError("--org: a part on a host of its own is for --ledger fabric --run-as containers")


def _up_containers(
    ledger: str, file: Path | None, directory: Path, consensus: str | None, peers: int, *, as_json: bool
) -> None:
    from network.containers import lifetime as containers  # here, because other verbs should not wait for it

    if ledger != "fabric":
        raise RunningError("--run-as containers is for --ledger fabric")
    topology = described_topology(file, directory)
    described = containers.up(
        topology, directory, consensus=consensus, peers=peers, say=lambda line: click.echo(line, err=True)
    )
    announce(described, directory, as_json=as_json)


def _refuse_running_containers(directory: Path) -> None:
    if running.run_as(directory) == "containers" and running.is_running(directory):
        raise RunningError(
            f"the network of {directory} runs in containers; stop them with: pedigree-network down --dir {directory}"
        )


def _chosen_topology(file: Path | None, directory: Path) -> Topology:
    try:
        return running.chosen_topology(file, directory)
    except TopologyError as error:
        raise located(error, file) from error


@click.command()
@directory_option
@refusing
def down(directory: Path) -> None:
    """Stop the network; ledgers and keys stay."""
    directory = directory.absolute()
    running.refuse_without_network(directory)
    stopped = running.stop(directory)
    click.echo("stopped" if stopped else f"no network was running on {directory}")


@click.command()
@directory_option
@as_json_option
@refusing
def status(directory: Path, *, as_json: bool) -> None:
    """Say what runs, and what is deployed.

    Each organisation's number of blocks, every chaincode, and every container or program of Fabric's.

    Exit code 0 when it runs and every peer answers, otherwise 1.
    """
    processes = running.processes(directory.absolute())
    if not running.is_running(directory.absolute()):
        left = [name for name, runs in processes.items() if runs]
        line = f"no network runs on {directory}"
        if left:
            line += (
                f", but {', '.join(left)} were left running; bring all back with: pedigree-network up --ledger fabric"
            )
        click.echo(json.dumps({"running": False} | ({"left_running": left} if left else {})) if as_json else line)
        sys.exit(Exit.FAILED)
    described = running.description(directory.absolute())
    report = overview.report(described, running.holder(directory.absolute()))
    ok = all(entry["reachable"] for entry in report["organisations"]) and all(processes.values())
    if processes:
        report["processes"] = [{"name": name, "state": _STATES[runs]} for name, runs in processes.items()]
    if described.get("run_as") == "containers":
        report["run_as"] = "containers"
        report["containers"] = running.containers(directory.absolute())
        ok = ok and all(entry["state"] == "running" for entry in report["containers"])
    if as_json:
        click.echo(json.dumps(report))
    else:
        _print_report(report)
    sys.exit(Exit.DONE if ok else Exit.FAILED)


_STATES = {True: "running", False: "ended by itself"}


def _print_report(report: dict[str, Any]) -> None:
    console = Console(width=None if sys.stdout.isatty() else 120)
    where = "containers" if report.get("run_as") == "containers" else f"process {report['pid']}"
    console.print(f"{report['ledger']} network, {where}, channel {report['channel']}")
    peers = Table("organisation", "MSP id", "peer", "blocks")
    for entry in report["organisations"]:
        blocks = str(entry["height"]) if entry["reachable"] else "does not answer"
        peers.add_row(entry["name"], entry["mspid"], entry["peer"], blocks)
    console.print(peers)
    chaincodes = Table("chaincode", "version", "sequence")
    for entry in report["chaincodes"]:
        chaincodes.add_row(entry["name"], entry["version"], str(entry["sequence"]))
    console.print(chaincodes if report["chaincodes"] else "nothing is deployed")
    if "processes" in report:
        programs = Table("program", "state")
        for entry in report["processes"]:
            programs.add_row(entry["name"], entry["state"])
        console.print(programs)
    if "containers" in report:
        found = Table("container", "state", "health")
        for entry in report["containers"]:
            found.add_row(entry["name"], entry["state"], entry["health"])
        console.print(found)
