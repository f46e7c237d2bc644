# SPDX-License-Identifier: Apache-2.0
"""What ought to be there: every program of a directory's network, where it listens and whether it runs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from network import running
from network.directory import TOPOLOGY_FILE, RunningError
from network.monitoring.targets import MonitoringError, find_targets
from network.native import processes
from network.topology import Endpoint, Topology, TopologyError, default_topology, load
from network.wire import Member

__all__ = ["Place", "Site", "survey"]


@dataclass(frozen=True, slots=True)
class Place:
    """One program: what it is called, where others look for it, and whether its process or container runs."""

    name: str
    role: str
    """`peer`, `orderer`, `ca`, `gateway`, `chaincode`, `couchdb` or `network`."""
    addresses: tuple[Endpoint, ...] = ()
    running: bool = False
    log: str = ""
    operations: str | None = None
    """`HOST:PORT` of its version and metrics; None where it has none."""
    unhealthy: bool = False
    """Whether the container engine finds it so."""


@dataclass(frozen=True, slots=True)
class Site:
    """A directory's network."""

    directory: Path
    run_as: str
    """`process` (embedded), `processes` or `containers`."""
    state: str
    """`running`, `down` or `absent`."""
    topology: Topology
    places: tuple[Place, ...]
    members: tuple[tuple[Member, str], ...]
    """Every peer as its organisation's administrator reaches it, with its host name."""
    described: Mapping[str, Any] | None
    problems: tuple[tuple[str, str], ...] = ()
    """What could not be read, each with the reason."""


def survey(directory: Path, run_as: str | None = None) -> Site:
    """Find out what belongs to `directory`; `run_as` says what is meant to run on one that has no network yet.

    Raises `RunningError` only for a network.json or topology.json that cannot be read.
    """
    described = running.last_description(directory)
    kind = running.run_as(directory) or run_as or "process"
    try:
        file = directory / TOPOLOGY_FILE
        topology = load(file) if file.exists() else default_topology()
    except TopologyError as error:
        raise RunningError(str(error)) from error
    if described is None:
        problems = _engine_problems() if kind == "containers" else ()
        return Site(directory, kind, "absent", topology, tuple(_wanted(topology)), (), None, problems)
    members = tuple(_members(described))
    try:
        places, state = _SURVEYS[kind](directory, topology, described)
    except (RunningError, MonitoringError) as error:
        return Site(directory, kind, "down", topology, (), members, described, (("docker", str(error)),))
    return Site(directory, kind, state, topology, tuple(places), members, described)


def _engine_problems() -> tuple[tuple[str, str], ...]:
    from network.containers.engine import Docker  # here, because other kinds of network do without

    try:
        Docker.find()
    except RunningError as error:
        return (("docker", str(error)),)
    return ()


def _wanted(topology: Topology) -> Iterator[Place]:
    """What the first start will want to listen on."""
    for member in topology.organisations:
        for name, endpoint in member.peers:
            yield Place(name, "peer", _known((endpoint,)))
        yield Place(f"{member.peer_name} (chaincode)", "chaincode", _known((member.chaincode,)))
    for name, endpoint in zip(topology.orderer.node_names, topology.orderer.addresses, strict=True):
        yield Place(name, "orderer", _known((endpoint,)))


def _known(endpoints: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
    return tuple(endpoint for endpoint in endpoints if endpoint.port)


def _embedded(directory: Path, topology: Topology, described: Mapping[str, Any]) -> tuple[list[Place], str]:
    up = running.holder(directory) is not None
    log = str(directory / running.LOG_FILE)
    places = [
        replace(place, running=up, log=log)
        for place in _wanted(topology)
        # Peers of the embedded network listen to chaincode that dials only where that was asked for.
        if place.role != "chaincode" or described.get("chaincode_dials", False)
    ]
    return places, "running" if up else "down"


def _native(directory: Path, topology: Topology, described: Mapping[str, Any]) -> tuple[list[Place], str]:
    operations = {target.name: target.address for target in find_targets(topology, directory)}
    places = [
        replace(
            place,
            running=processes.running(directory / "run" / f"{place.name}.pid") is not None,
            log=str(directory / "logs" / f"{place.name}.log"),
            operations=operations.get(place.name),
        )
        for place in _nodes(described)
    ]
    up = running.holder(directory) is not None or any(place.running for place in places)
    return places, "running" if up else "down"


def _contained(directory: Path, topology: Topology, described: Mapping[str, Any]) -> tuple[list[Place], str]:
    found = {entry["name"]: entry for entry in running.containers(directory)}
    operations = {
        target.name: target.address for target in find_targets(topology, directory) if target.job != "gateway"
    }
    wanted = list(_nodes(described))
    wanted += [Place(name, "chaincode") for name in found if name.startswith("chaincode")]
    wanted += [Place(name, "couchdb") for name in found if name.startswith("couchdb.")]
    places = [
        replace(
            place,
            running=found.get(place.name, {}).get("state") == "running",
            unhealthy=found.get(place.name, {}).get("health") == "unhealthy",
            log=f"pedigree-network logs {place.name} --dir {directory}",
            operations=operations.get(place.name),
        )
        for place in wanted
    ]
    return places, "running" if any(place.running for place in places) else "down"


_SURVEYS = {"process": _embedded, "processes": _native, "containers": _contained}


def _nodes(described: Mapping[str, Any]) -> Iterator[Place]:
    """Every node that network.json names, and on a host that is one organisation's own, those that run there."""
    elsewhere = "site" in described and "admin_addresses" not in described["orderer"]
    for number, address in enumerate([] if elsewhere else described["orderer"]["addresses"], start=1):
        name = f"orderer{number}.{described['orderer']['domain']}"
        yield Place(name, "orderer", (Endpoint.parse(address),))
    for entry in described["organisations"]:
        for number, address in enumerate(entry.get("peers", [entry["peer"]])):
            yield Place(f"peer{number}.{entry['domain']}", "peer", (Endpoint.parse(address),))
        if "ca" in entry:
            yield Place(entry["ca"]["name"], "ca", (_of_url(entry["ca"]["url"]),))
        if "gateway" in entry:
            yield Place(f"gateway.{entry['domain']}", "gateway", (_of_url(entry["gateway"]),))


def _of_url(url: str) -> Endpoint:
    return Endpoint.parse(url.partition("://")[2].partition("/")[0])


def _members(described: Mapping[str, Any]) -> Iterator[tuple[Member, str]]:
    for entry in described["organisations"]:
        for number, address in enumerate(entry.get("peers", [entry["peer"]])):
            host = f"peer{number}.{entry['domain']}"
            tls_ca, msp = Path(entry["tls_ca"]), Path(entry["admin_msp"])
            yield Member(entry["name"], entry["mspid"], address, host, tls_ca, msp), host
