# SPDX-License-Identifier: Apache-2.0
"""Bringing one organisation's part up on its own host, as far as the others have come.

Keys are made here and stay here; the others get a signed package of what is public. Once all packages are there, every
site makes the same first block of them, and goes on until something must be done elsewhere: then it says what, and the
same command, run again, goes on from there.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

from fabric_protos.common import common_pb2

from network.containers.engine import Docker, Engine
from network.containers.errors import ContainersError
from network.containers.generation import Generation
from network.containers.network import Fabric, Progress, bring_up
from network.containers.plan import Plan
from network.containers.site import Choice, Site, agreement, refuse_moves
from network.containers.sitefabric import SiteFabric, Waiting
from network.containers.siteplan import make_site_plan, with_own_addresses
from network.directory import TOPOLOGY_FILE, last_description
from network.durable import write_file
from network.embedded.blocks import header_hash
from network.embedded.lock import held
from network.material import ensure_material
from network.operations import joinpackage
from network.profiles import write_json
from network.topology import Topology, load

__all__ = ["Options", "Outcome", "bring_site_up", "prepare", "up"]

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Options:
    """What the operator of a site asks for."""

    choice: Choice
    consensus: str | None = None
    peers: int = 1
    patience_s: float = 0.0
    """How long the others are waited for."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How far a site has come."""

    site: Site
    package: Path
    """What the others must be given."""
    fingerprint: str
    """Of this organisation's root, for the others to compare."""
    waiting: str | None = None
    """What the others must do next; None when everything runs."""
    missing: tuple[str, ...] = ()
    """Whose packages are not here yet."""
    blocks: tuple[tuple[str, str], ...] = ()
    """Each channel's name and the hash of its first block, which is the same at every site."""
    described: dict[str, Any] | None = None
    """What network.json says, once this site's containers were started."""


def up(topology: Topology, directory: Path, options: Options, say: Say) -> Outcome:
    """Bring this site up, or on; raises `ContainersError`, `TopologyError`, `WireError` or `OSError` in one line."""
    outcome, plan = prepare(topology, directory, options)
    if plan is None:
        return outcome
    docker = Docker.find()
    version = _version(directory)
    fabric = SiteFabric(docker, version, say, options.patience_s)
    return bring_site_up(plan, outcome, docker, fabric, say)


def prepare(topology: Topology, directory: Path, options: Options) -> tuple[Outcome, Plan | None]:
    """Make this organisation's keys and package; answers a plan where the packages of all others are here."""
    _refuse_whole_networks(directory)
    site = Site.chosen(topology, directory, options.choice)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with held(directory, ContainersError):
        return _prepare(topology, directory, site, options)


def bring_site_up(plan: Plan, outcome: Outcome, engine: Engine, fabric: Fabric, say: Say) -> Outcome:
    """Start this site's containers, and go on as far as the others allow."""
    try:
        described: dict[str, Any] | None = bring_up(
            plan, engine, fabric, Progress(say), version=_version(plan.directory)
        )
        waiting = None
    except Waiting as reason:
        described, waiting = last_description(plan.directory), str(reason)
    return replace(outcome, waiting=waiting, described=described, blocks=tuple(_first_blocks(plan)))


def _prepare(topology: Topology, directory: Path, site: Site, options: Options) -> tuple[Outcome, Plan | None]:
    own = with_own_addresses(topology, directory, site, peers=options.peers, consensus=options.consensus)
    former = _made(directory)
    domain = own.orderer.domain if site.orders else own.organisation(site.organisation).domain
    packages = {at: each for at, each in joinpackage.known(directory).items() if at != domain}
    label = f"{own.chaincode}_{_version(directory)}"
    agreed = agreement(own, site, packages, label)
    if former is not None:
        refuse_moves(agreed.topology, former)
    site.write(directory)
    _remember_version(directory)
    ensure_material(agreed.topology, directory, only=domain)
    write_json(directory / TOPOLOGY_FILE, agreed.topology.to_json())
    package, fingerprint = _package(agreed.topology, directory, site.organisation, label)
    outcome = Outcome(site, package, fingerprint, missing=agreed.missing)
    if agreed.missing:
        return replace(outcome, waiting=f"join packages are missing of {', '.join(agreed.missing)}"), None
    return outcome, make_site_plan(agreed.topology, directory, site)


def _made(directory: Path) -> Topology | None:
    """The topology that the channels were made with, None while they are not."""
    made = any((directory / "containers").glob("*.block")) and (directory / TOPOLOGY_FILE).exists()
    return load(directory / TOPOLOGY_FILE) if made else None


def _package(topology: Topology, directory: Path, name: str, label: str) -> tuple[Path, str]:
    """This organisation's own package, written anew only when it says something new, and its root's fingerprint."""
    path = directory / f"{name}.join"
    made = joinpackage.export(topology, directory, name, label)
    if not path.exists() or joinpackage.content_of(path.read_bytes()) != joinpackage.content_of(made):
        write_file(path, made, mode=0o644)
    return path, joinpackage.read(path).fingerprint


def _version(directory: Path) -> str:
    """What the chaincode is deployed as: the version of this program when the site was begun."""
    return Generation.read(directory).version or version_of("pedigree")


def _remember_version(directory: Path) -> None:
    generation = Generation.read(directory)
    if generation.version is None:
        (directory / "containers").mkdir(mode=0o700, exist_ok=True)
        replace(generation, version=version_of("pedigree")).write(directory)


def _first_blocks(plan: Plan) -> list[tuple[str, str]]:
    names = [channel.name for channel in plan.topology.channels if plan.genesis_block(channel.name).exists()]
    blocks = {name: common_pb2.Block.FromString(plan.genesis_block(name).read_bytes()) for name in names}
    return [(name, header_hash(block.header).hex()) for name, block in blocks.items()]


def _refuse_whole_networks(directory: Path) -> None:
    described = last_description(directory)
    if described is not None and "site" not in described:
        raise ContainersError(f"--org: {directory} holds a whole network; choose another directory with --dir")
