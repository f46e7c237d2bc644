# SPDX-License-Identifier: Apache-2.0
"""Starts, finds and stops the process that runs a network on a directory."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from network.admission import Admission
from network.directory import TOPOLOGY_FILE, NotRunning, RunningError, holder, last_description, run_as
from network.embedded.lock import DirectoryInUseError, DirectoryLock
from network.material import Material
from network.openfiles import allow_files
from network.profiles import NETWORK_FILE, Genesis, describe, write_connection_profiles, write_json
from network.topology import Endpoint, Topology, TopologyError, default_topology, load

if TYPE_CHECKING:
    from network.embedded.node import Node

__all__ = [
    "RunningError",
    "bring_back",
    "chosen_topology",
    "containers",
    "described_topology",
    "description",
    "detach",
    "holder",
    "is_running",
    "last_description",
    "processes",
    "refuse_taken_ports",
    "refuse_without_network",
    "reset",
    "run_as",
    "run_embedded",
    "run_fabric",
    "stop",
]

LOG_FILE = "network.log"
_RECORDS = ("channels", "ledger", "ledgers", "gateways", "registrars", NETWORK_FILE)
"""What `reset` removes: ledgers of every kind, gateways' data, registrars, whom new CAs would not know any more."""
_TRACES = (TOPOLOGY_FILE, NETWORK_FILE, "site.json", "lock", "organizations")
"""What a directory holds from the first moment at which a network was begun on it."""
_START_SECONDS = 120.0
_STOP_SECONDS = 30.0
_PAUSE = 0.05

Ready = Callable[[dict[str, Any]], None]


def chosen_topology(file: Path | None, directory: Path) -> Topology:
    """The topology in `file`, else the one that the directory remembers, else the default, with all ports chosen.

    Ports that `file` leaves open are those of the last start, where they are free. Raises `TopologyError`.
    """
    remembered_file = directory / TOPOLOGY_FILE
    remembered = load(remembered_file) if remembered_file.exists() else None
    if file is None:
        return remembered or default_topology()
    topology = load(file)
    if remembered is not None:
        topology = _with_former_ports(topology, remembered)
    return topology.resolved()


def described_topology(file: Path | None, directory: Path) -> Topology:
    """The topology in `file`, else the one that the directory remembers, else the default, with open ports left open.

    Raises `TopologyError`.
    """
    remembered = directory / TOPOLOGY_FILE
    if file is not None:
        return load(file)
    return load(remembered) if remembered.exists() else default_topology()


def run_embedded(topology: Topology, directory: Path, ready: Ready, admission: Admission) -> None:
    """Run the embedded network until SIGTERM or Ctrl-C; raises `RunningError`, or an `OSError` of the directory."""
    refuse_taken_ports(topology)
    allow_files(admission.connections_per_address)
    asyncio.run(_serve_embedded(topology, directory, ready, admission))


async def _serve_embedded(topology: Topology, directory: Path, ready: Ready, admission: Admission) -> None:
    from network import reloading
    from network.embedded.node import Node, NodeError  # here, because other verbs should not wait for it
    from network.embedded.store import StoreError

    stopped, changed = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    loop.add_signal_handler(reloading.SIGNAL, changed.set)
    try:
        node = await Node.start(topology, directory, **asdict(admission))
    except (NodeError, StoreError, DirectoryInUseError) as error:
        raise RunningError(str(error)) from error
    try:
        write_json(directory / TOPOLOGY_FILE, node.topology.to_json())
        ready(_describe_node(node, directory))
        following = asyncio.create_task(_follow_topology(node, directory, changed))
        await stopped.wait()
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following
    finally:
        await node.stop()


def _describe_node(node: "Node", directory: Path) -> dict[str, Any]:
    first = node.topology.channels[0].name
    genesis = Genesis(node.genesis_path(first), node.genesis_hash(first))
    write_connection_profiles(node.topology, node.material, directory)
    described = describe(node.topology, node.material, genesis, ledger="embedded", pid=os.getpid())
    described["follows_topology"] = True
    described["chaincode_dials"] = node.chaincode_dials
    write_json(directory / NETWORK_FILE, described)
    return described


async def _follow_topology(node: "Node", directory: Path, changed: asyncio.Event) -> None:
    from network import reloading
    from network.embedded.node import NodeError

    while True:
        await changed.wait()
        changed.clear()
        digest = reloading.digest_of(directory)
        try:
            topology = reloading.wanted(directory)
            await node.follow(topology)
            _describe_node(node, directory)
        except (NodeError, TopologyError, OSError, ValueError) as error:
            reloading.answer(directory, digest, str(error))
        else:
            reloading.answer(directory, digest, None)


def run_fabric(
    topology: Topology, directory: Path, fabric_bin: Path | None, ready: Ready, say: Callable[[str], None]
) -> None:
    """Run Fabric's own programs until SIGTERM or Ctrl-C; raises `RunningError`.

    `say` is given one line for each program that ends by itself meanwhile.
    """
    from network import native

    def serve(followed: Topology, described: dict[str, Any]) -> None:
        served = _with_addresses(followed, described)
        write_connection_profiles(served, Material(directory / "organizations"), directory)

    def describe_and_tell(described: dict[str, Any]) -> None:
        write_json(directory / TOPOLOGY_FILE, topology.to_json())
        serve(topology, described)
        ready(described)

    def lost(host: str) -> None:
        log = directory / "logs" / f"{host}.log"
        say(f"{host} ended by itself, the others go on; read {log}, then: pedigree-network up --dir {directory}")

    try:
        lock = DirectoryLock(directory)
    except DirectoryInUseError as error:
        raise RunningError(str(error)) from error
    try:
        native.up(topology, directory, fabric_bin, ready=describe_and_tell, changed=serve, lost=lost)
    except native.NativeError as error:
        raise RunningError(str(error)) from error
    finally:
        lock.release()


def detach(arguments: Sequence[str], directory: Path) -> dict[str, Any]:
    """Start `pedigree-network` with these arguments in the background and wait until it is ready.

    Answers the content of network.json; raises `RunningError` with what the process said last when it ends first.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = directory / LOG_FILE
    with log.open("ab") as output:
        begin = output.tell()
        child = subprocess.Popen(  # noqa: S603 - our own program with our own arguments
            [sys.executable, "-m", "network.cli", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        described = last_description(directory)
        if described is not None and described.get("pid") == child.pid:
            child.returncode = 0  # it is meant to outlive this process, which must not wait for it
            return described
        if child.poll() is not None:
            said = log.read_bytes()[begin:].decode(errors="replace").strip().splitlines()
            raise RunningError(said[-1].removeprefix("Error: ") if said else f"the network ended; see {log}")
        time.sleep(_PAUSE)
    child.terminate()
    raise RunningError(f"the network was not ready within {_START_SECONDS:.0f} s; see {log}")


def stop(directory: Path) -> bool:
    """Stop the network of a directory; False when none was running. Raises `RunningError` when it does not stop."""
    pid = holder(directory)
    described = last_description(directory)
    how = run_as(directory)
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):  # it ended by itself just now
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        while holder(directory) is not None:
            if time.monotonic() >= deadline:
                raise RunningError(f"process {pid} did not stop within {_STOP_SECONDS:.0f} s")
            time.sleep(_PAUSE)
    if how == "containers":
        from network.containers import lifetime as containers

        return containers.down(directory) or pid is not None
    if described is not None and described.get("ledger") == "fabric":
        from network import native

        native.down(directory)  # nodes that a killed process left behind
    return pid is not None


def description(directory: Path) -> dict[str, Any]:
    """The content of a running network's network.json; raises `RunningError` when none runs on the directory."""
    described = last_description(directory)
    if described is None or not is_running(directory):
        raise NotRunning(directory)
    return described


def refuse_without_network(directory: Path) -> None:
    """Refuse a directory in which no network was ever begun; raises `RunningError`."""
    if not any((directory / name).exists() for name in _TRACES):
        raise RunningError(f"{directory} " + ("holds no network" if directory.exists() else "does not exist"))


def is_running(directory: Path) -> bool:
    """Whether a network runs on a directory; of containers, whether any does. Raises `RunningError`."""
    if run_as(directory) == "containers":
        return any(entry["state"] == "running" for entry in containers(directory))
    return holder(directory) is not None


def processes(directory: Path) -> dict[str, bool]:
    """The programs of a network of local processes, and which of them run; empty for other networks."""
    described = last_description(directory)
    if described is None or run_as(directory) != "processes":
        return {}
    from network.native.states import states  # here, because other verbs should not wait for it

    return states(directory, described)


def bring_back(directory: Path) -> list[str]:
    """Start again what has ended by itself of a running network of local processes; answers the names.

    Raises `RunningError`.
    """
    if all(processes(directory).values()):
        return []
    from network.native import states

    return states.bring_back(directory, description(directory))


def containers(directory: Path) -> list[dict[str, str]]:
    """Name, state and health of each container of a directory's network; raises `RunningError`."""
    from network.containers import lifetime as package  # here, because other verbs should not wait for it

    return [{"name": each.name, "state": each.state, "health": each.health} for each in package.status(directory)]


def reset(directory: Path) -> list[str]:
    """Stop a network and remove what it recorded; answers the names of what was removed. Raises `RunningError`.

    Keys, the topology and chosen ports stay. A tool killed in here leaves the network down and may be run again.
    """
    stop(directory)
    removed: list[str] = []
    for name in _RECORDS:
        path = directory / name
        if path.is_dir():
            shutil.rmtree(path)
        elif path.exists():
            path.unlink()
        else:
            continue
        removed.append(name)
    for block in [*(directory / "containers").glob("*.block"), *(directory / "fabric").glob("*.block")]:
        block.unlink()
    for folder in (directory / "fabric").glob("*/data"):
        shutil.rmtree(folder)
        removed.append(f"fabric/{folder.parent.name}")
    return removed


def refuse_taken_ports(topology: Topology) -> None:
    """Refuse a topology whose addresses cannot be listened on now; raises `RunningError` that names the first."""
    for _, endpoint in topology.endpoints():
        if endpoint.port != 0 and (problem := _bind_problem(endpoint)) is not None:
            raise RunningError(f"cannot listen on {endpoint}: {problem}")


def _bind_problem(endpoint: Endpoint) -> str | None:
    """Why an address cannot be listened on now, None when it can."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does after a restart
            listener.bind((endpoint.host, endpoint.port))
            listener.listen(1)
    except OSError as error:
        return error.strerror or str(error)
    return None


def _with_former_ports(topology: Topology, former: Topology) -> Topology:
    def choose(wanted: Endpoint, known: Endpoint | None) -> Endpoint:
        if wanted.port != 0 or known is None or known.host != wanted.host or _bind_problem(known) is not None:
            return wanted
        return known

    names = {organisation.name: organisation for organisation in former.organisations}
    organisations = []
    for organisation in topology.organisations:
        known = names.get(organisation.name)
        if known is not None:
            peer, chaincode = choose(organisation.peer, known.peer), choose(organisation.chaincode, known.chaincode)
            organisation = replace(organisation, peer=peer, chaincode=chaincode)
        organisations.append(organisation)
    addresses = topology.orderer.addresses
    formerly = former.orderer.addresses
    if len(formerly) == len(addresses):
        addresses = tuple(choose(wanted, known) for wanted, known in zip(addresses, formerly, strict=True))
    orderer = replace(topology.orderer, addresses=addresses)
    return replace(topology, organisations=tuple(organisations), orderer=orderer)


def _with_addresses(topology: Topology, described: dict[str, Any]) -> Topology:
    """The topology with the peers' addresses that a description names."""
    peers = {entry["mspid"]: Endpoint.parse(entry["peer"]) for entry in described["organisations"]}
    organisations = (
        replace(organisation, peer=peers.get(organisation.msp_id, organisation.peer))
        for organisation in topology.organisations
    )
    return replace(topology, organisations=tuple(organisations))
