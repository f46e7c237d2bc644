# SPDX-License-Identifier: Apache-2.0
"""A plan on free ports, and an engine and nodes that are not there but can be told to fail."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from network.containers import files
from network.containers import lifetime as containers
from network.containers.engine import Container, Project
from network.containers.errors import ContainersError
from network.containers.images import SOURCE_LABEL, source_digest
from network.containers.plan import Images, Plan, expanded, make_plan
from network.topology import Topology, default_topology


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key material, made once: it depends on names, not on ports."""
    directory = tmp_path_factory.mktemp("keys")
    plan = make_plan(expanded(default_topology(any_port=True)), directory)
    files.make_files(plan, "1.0")
    return plan.material.root


@pytest.fixture
def plan(tmp_path: Path, keys: Path) -> Plan:
    shutil.copytree(keys, tmp_path / "net" / "organizations")
    return make_plan(expanded(default_topology(any_port=True)), tmp_path / "net")


class Killed(BaseException):
    """What a `kill -9` is to the code that it hits."""


@dataclass
class World:
    """An engine and a ledger in memory. Every call is a step; step `dies_at` raises as a kill would, once."""

    images: set[str] = field(default_factory=lambda: set(_all_images()))
    sources: dict[str, str] = field(default_factory=dict)
    """What our own images say that they were built from, where it is another source than this."""
    pullable: set[str] = field(default_factory=set)
    running: dict[str, Any] = field(default_factory=dict)
    """Service by name: the part of the description that it was started with."""
    joined: bool = False
    sequence: int = 0
    enrolled: set[str] = field(default_factory=set)
    transactions: int = 0
    steps: list[str] = field(default_factory=list)
    dies_at: int | None = None

    def step(self, name: str) -> None:
        self.steps.append(name)
        if self.dies_at is not None and len(self.steps) == self.dies_at:
            raise Killed(name)


class FakeEngine:
    """Implements `Engine` on a `World`."""

    def __init__(self, world: World) -> None:
        self.world = world

    def image_exists(self, image: str) -> bool:
        return image in self.world.images

    def label(self, image: str, name: str) -> str:
        assert name == SOURCE_LABEL
        return self.world.sources.get(image, source_digest())

    def pull(self, image: str) -> None:
        self.world.step("pull")
        if image not in self.world.pullable:
            raise ContainersError("no route to the registry")
        self.world.images.add(image)

    def validate(self, project: Project) -> None:
        self.world.step("validate")
        assert project.file.exists()

    def up(self, project: Project, services: list[str]) -> None:
        described = yaml.load(project.file.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        for service in services:  # a kill leaves some of them started
            self.world.step(f"start {service}")
            self.world.running[service] = described["services"][service]

    def restart(self, project: Project, services: list[str]) -> None:
        for service in services:
            self.world.step(f"restart {service}")
            assert service in self.world.running

    def run(self, project: Project, service: str) -> None:
        self.world.step(f"run {service}")

    def down(self, project: Project) -> None:
        self.world.step("down")
        self.world.running.clear()

    def containers(self, project: Project) -> list[Container]:
        return [Container(name, f"id-{name}", "running", "healthy") for name in self.world.running]

    def tail(self, project: Project, service: str, lines: int = 15) -> str:
        return "it said goodbye"


class FakeFabric:
    """Implements `network.Fabric` on a `World`, with what each call needs of the calls before it."""

    def __init__(self, world: World) -> None:
        self.world = world

    def join(self, plan: Plan, trouble: Callable[[str], str | None]) -> None:
        self.world.step("join")
        assert all(trouble(name) is None for name in plan.fabric_names())
        self.world.joined = True

    def deploy(self, plan: Plan) -> bool:
        self.world.step("deploy")
        assert self.world.joined
        changed, self.world.sequence = self.world.sequence == 0, 1
        return changed

    def enrol(self, plan: Plan, trouble: Callable[[str], str | None]) -> None:
        for gateway in plan.gateways:
            if gateway.name not in self.world.enrolled:
                self.world.step(f"enrol {gateway.name}")
                certificates = plan.identity(gateway.organisation) / "signcerts"
                certificates.mkdir(parents=True)
                (certificates / "cert.pem").write_text(gateway.name, encoding="ascii")
                self.world.enrolled.add(gateway.name)

    def wait_for_gateways(self, plan: Plan, trouble: Callable[[str], str | None]) -> None:
        self.world.step("wait")
        assert all(gateway.name in self.world.running for gateway in plan.gateways)

    def test(self, plan: Plan, trouble: Callable[[str], str | None]) -> str:
        self.world.step("test")
        assert self.world.sequence == 1
        self.world.transactions += 1
        return f"transaction-{self.world.transactions}"


def _all_images() -> Iterator[str]:
    images = Images()
    yield from (images.peer, images.orderer, images.authority, images.chaincode, images.gateway, images.couchdb)


@pytest.fixture
def killed() -> type[BaseException]:
    return Killed


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def engine(world: World) -> FakeEngine:
    return FakeEngine(world)


@pytest.fixture
def fabric(world: World) -> FakeFabric:
    return FakeFabric(world)


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def tool() -> Run:
    """Runs `pedigree-network` to its end."""

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "network.cli", *arguments], capture_output=True, text=True, check=False, timeout=300
        )

    return run


@pytest.fixture(scope="session")
def up(tool: Run) -> Run:
    """Brings a real consortium up in containers: `up(directory, topology_file)`."""

    def bring_up(directory: Path, topology: Path) -> "subprocess.CompletedProcess[str]":
        arguments = ("up", "--ledger", "fabric", "--run-as", "containers", "--dir", str(directory))
        return tool(*arguments, "--topology", str(topology))

    return bring_up


@pytest.fixture(scope="session")
def heights(tool: Run) -> Callable[[Path], list[int]]:
    """The heights that a consortium's peers say they have."""

    def read(directory: Path) -> list[int]:
        done = tool("status", "--json", "--dir", str(directory))
        return [entry["height"] for entry in json.loads(done.stdout)["organisations"]]

    return read


@pytest.fixture(scope="module")
def chosen() -> Topology:
    """The consortium that `directory` holds; modules override it."""
    return default_topology(any_port=True)


@pytest.fixture(scope="module")
def topology_file(tmp_path_factory: pytest.TempPathFactory, chosen: Topology) -> Path:
    path = tmp_path_factory.mktemp("topology") / "topology.json"
    path.write_text(json.dumps(chosen.to_json()), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def directory(
    tmp_path_factory: pytest.TempPathFactory, chosen: Topology, topology_file: Path, up: Run,
    why_no_containers: Callable[..., str | None],
) -> Iterator[Path]:  # fmt: skip
    """A real consortium that is up; skips where there is none."""
    if (reason := why_no_containers(*([Images().couchdb] if chosen.state_database == "couchdb" else []))) is not None:
        pytest.skip(f"NOT RUN: {reason}")
    place = tmp_path_factory.mktemp("consortium") / "net"
    try:
        done = up(place, topology_file)
        assert done.returncode == 0, done.stderr
        yield place
    finally:
        containers.down(place)
        shutil.rmtree(place, ignore_errors=True)
