# SPDX-License-Identifier: Apache-2.0
"""Gathers the facts of a directory's network, many at once and none for long; changes nothing.

A network of a dozen nodes is examined in a few seconds, also when half of them hang.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import yaml

from network.native.errors import NativeError
from network.native.processes import Binaries
from network.operations import inventory, ledgerprobes, machine, webprobes
from network.operations.facts import (
    Chaincode,
    Clock,
    Disk,
    Facts,
    Gateway,
    Heights,
    Image,
    Node,
    Obstacle,
    Ordering,
    Program,
    TakenPort,
    Tip,
)
from network.operations.inventory import Place, Site
from network.operations.tlsrotation import is_unfinished
from network.topology import Endpoint
from network.wire import Member, WireError

__all__ = ["examine"]

_WORKERS = 16
_OWN_IMAGES = "pedigree/"


def examine(directory: Path, *, run_as: str | None = None, gateways: Mapping[str, Endpoint] | None = None) -> Facts:
    """Everything that is to be judged about a directory's network.

    `run_as` says what is meant to run where there is no network yet; `gateways` names the health addresses of gateways
    that run beside the network, by organisation. Raises `RunningError` where the directory's own files are unreadable.
    """
    site = inventory.survey(directory, run_as)
    certificates, bad = machine.certificates(directory)
    obstacles = [*bad, *(Obstacle(about, problem, _engine_remedy()) for about, problem in site.problems)]
    with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
        told = pool.submit(_ask_all, site)
        ledger = pool.submit(_ask_peers, site)
        reached = pool.submit(_reach_all, site)
        ready = pool.submit(_ask_gateways, site, gateways or {})
        programs = pool.submit(_programs, site, obstacles)
        images = pool.submit(_images, site)
        taken = pool.submit(_taken_ports, site)
    answers, found = told.result(), ledger.result()
    obstacles += found.obstacles
    doors = ready.result()
    clocks = [each.clock for each in answers.values() if each is not None and each.clock is not None]
    return Facts(
        directory=directory,
        at=datetime.now(UTC),
        state=site.state,
        run_as=site.run_as,
        obstacles=tuple(obstacles),
        nodes=tuple(_node(place, reached.result()[place.name], answers, found) for place in site.places),
        taken_ports=tuple(taken.result()),
        images=tuple(images.result()),
        programs=(*programs.result(), *_versions(answers)),
        clocks=(*clocks, *(clock for _, clock in doors if clock is not None)),
        tips=tuple(found.tips),
        disks=tuple(_disks(site)),
        certificates=tuple(certificates),
        secrets=tuple(machine.secrets_of(directory)),
        ordering=tuple(_ordering(site, answers)),
        heights=tuple(found.heights),
        chaincodes=tuple(found.chaincodes),
        gateways=tuple(gateway for gateway, _ in doors),
        rotating=is_unfinished(directory),
    )


def _engine_remedy() -> str:
    return "start the engine, or install what is missing"


_Answers = Mapping[str, webprobes.OperationsReport | None]


def _ask_all(site: Site) -> _Answers:
    """What each node with an operations endpoint tells."""
    asked = [place for place in site.places if place.operations is not None and place.running]
    with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
        told = pool.map(lambda place: webprobes.ask(place.name, str(place.operations)), asked)
        return dict(zip((place.name for place in asked), told, strict=True))


def _reach_all(site: Site) -> Mapping[str, bool]:
    with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
        return dict(zip((place.name for place in site.places), pool.map(_reached, site.places), strict=True))


def _reached(place: Place) -> bool:
    return place.running and not place.unhealthy and all(machine.accepts(each) for each in place.addresses)


def _node(place: Place, reached: bool, answers: _Answers, found: "_Ledger") -> Node:
    """A node that accepts connections but answers no question hangs: it does not answer either."""
    hangs = place.name in answers and answers[place.name] is None
    silent = place.name in found.silent
    address = ", ".join(map(str, place.addresses))
    return Node(place.name, place.running, reached and not hangs and not silent, address, place.log)


@dataclass(slots=True)
class _Ledger:
    """What the peers said."""

    heights: list[Heights] = field(default_factory=list)
    tips: list[Tip] = field(default_factory=list)
    chaincodes: list[Chaincode] = field(default_factory=list)
    silent: set[str] = field(default_factory=set)
    obstacles: list[Obstacle] = field(default_factory=list)


def _ask_peers(site: Site) -> _Ledger:
    found = _Ledger()
    if site.state != "running" or site.described is None:
        return found
    running = {place.name for place in site.places if place.running}
    members = [each for each in site.members if each[1] in running]
    for channel in site.topology.channels:
        seen = ledgerprobes.heights(channel, members)
        found.heights.append(seen)
        found.silent |= {peer.name for peer in seen.peers if peer.first is None}
        answering = [member for member, host in members if host not in found.silent]
        if (newest := ledgerprobes.tip(channel, answering)) is not None:
            found.tips.append(newest)
        expected = site.topology.chaincode if channel == site.topology.channels[0] else ""
        try:
            found.chaincodes += ledgerprobes.chaincodes(channel, expected, _one_each(answering))
        except (WireError, OSError, ValueError) as error:
            problem = f"its chaincodes cannot be asked for: {error}"
            found.obstacles.append(Obstacle(f"channel {channel.name}", problem, "put right what is said of its peers"))
    return found


def _one_each(members: Sequence[Member]) -> list[Member]:
    """One peer of every organisation."""
    return list({member.name: member for member in reversed(members)}.values())[::-1]


def _ask_gateways(site: Site, named: Mapping[str, Endpoint]) -> list[tuple[Gateway, Clock | None]]:
    if site.state != "running" or site.described is None:
        return []
    urls: dict[str, str] = {}
    for entry in site.described["organisations"]:
        if entry["name"] in named:
            urls[f"gateway.{entry['domain']}"] = f"http://{named[entry['name']]}"
        elif "gateway_health" in entry:
            urls[f"gateway.{entry['domain']}"] = entry["gateway_health"]
    stopped = {place.name for place in site.places if place.role == "gateway" and not place.running}
    asked = [(name, url) for name, url in urls.items() if name not in stopped]
    with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
        return list(pool.map(lambda each: webprobes.gateway(*each), asked))


def _ordering(site: Site, answers: _Answers) -> list[Ordering]:
    nodes = [place.name for place in site.places if place.role == "orderer" and place.operations is not None]
    if not nodes:
        return []  # the embedded network orders by itself
    consensus = site.topology.orderer.consensus
    return [
        Ordering(
            channel.name,
            consensus,
            tuple(webprobes.consenter(name, channel.name, answers.get(name), consensus) for name in nodes),
        )
        for channel in site.topology.channels
    ]


def _versions(answers: _Answers) -> list[Program]:
    found = [(name, told.version) for name, told in answers.items() if told is not None]
    return [Program(name, version) for name, version in found if version is not None]


def _programs(site: Site, obstacles: list[Obstacle]) -> list[Program]:
    """The programs on this machine, for nodes that run as processes; what already runs tells by itself."""
    if site.run_as != "processes":
        return []
    try:
        binaries = Binaries.find()
        said = {name: binaries.run(name, "version") for name in ("peer", "orderer")}
    except NativeError as error:
        about, _, problem = str(error).partition(" lacks ")
        obstacles.append(Obstacle(about, f"lacks {problem}" if problem else "cannot be run", "install Fabric 3.1.5"))
        return []
    return [Program(str(binaries.folder / name), _said_version(text)) for name, text in said.items()]


def _said_version(text: str) -> str:
    lines = (line.strip() for line in text.splitlines())
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("Version:")), "")


def _images(site: Site) -> list[Image]:
    if site.run_as != "containers" or site.problems:
        return []
    from network.containers.engine import Docker  # here, because other kinds of network do without

    docker = Docker.find()
    names = _image_names(site)
    return [Image(name, docker.image_exists(name), name.startswith(_OWN_IMAGES)) for name in names]


def _image_names(site: Site) -> list[str]:
    """The images of compose.yaml, or those that the first start will want."""
    from network.containers.plan import Images

    file = site.directory / "compose.yaml"
    if file.exists():
        described = yaml.safe_load(file.read_text(encoding="utf-8"))
        return sorted({str(service["image"]) for service in described["services"].values()})
    images = Images()
    names = [images.peer, images.orderer, images.authority, images.chaincode, images.gateway]
    return names + ([images.couchdb] if site.topology.state_database == "couchdb" else [])


def _taken_ports(site: Site) -> list[TakenPort]:
    """Ports of programs that do not run, where somebody else listens."""
    wanted = [(place.name, endpoint) for place in site.places if not place.running for endpoint in place.addresses]
    return [
        TakenPort(name, str(endpoint), machine.holder_of(endpoint.port))
        for name, endpoint in wanted
        if machine.is_taken(endpoint)
    ]


def _disks(site: Site) -> list[Disk]:
    disks = [machine.disk(site.directory)]
    for name in ("ledger", "ledgers", "fabric", "gateways"):
        if (site.directory / name).exists():
            disks += [
                machine.disk(path) for path in (site.directory / name, *sorted((site.directory / name).iterdir()))
            ]
    if site.run_as == "containers" and not site.problems:
        disks.append(machine.disk(_engine_root()))
    unique: dict[tuple[int, int], Disk] = {}
    for each in disks:  # several folders on one disk are one finding, named after the first
        unique.setdefault((each.total, each.entries), each)
    return list(unique.values())


def _engine_root() -> Path:
    from network.containers.engine import Docker

    docker = Docker.find()
    return Path(docker.output("info", "--format", "{{.DockerRootDir}}").strip())
