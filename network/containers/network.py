# SPDX-License-Identifier: Apache-2.0
"""Bringing a consortium in containers up, looking at it and taking it down.

Every phase looks at what is there before it does something. A first start, a second one, and a start after the tool
was killed anywhere are therefore the same walk; nothing is remembered but what the nodes themselves know.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from network.containers import couchdb, files, logpolicy, view
from network.containers.engine import Container, Engine, Project
from network.containers.errors import ContainersError
from network.containers.images import SOURCE_LABEL, is_checkout, source_digest
from network.containers.plan import Plan, project_name
from network.containers.ports import is_free
from network.directory import TOPOLOGY_FILE
from network.embedded.lock import DirectoryInUseError, DirectoryLock
from network.profiles import NETWORK_FILE, write_connection_profiles, write_json

__all__ = ["Fabric", "Progress", "bring_up", "containers_of", "project_of", "take_down", "trouble_of"]


class Fabric(Protocol):
    """What is done on running nodes. Each call finds what was done before and goes on from there."""

    def join(self, plan: Plan, trouble: Callable[[str], str | None]) -> None:
        """Let all nodes join their channels, and wait until transactions are ordered on them."""
        ...

    def deploy(self, plan: Plan) -> bool:
        """Bring the chaincode into force by the life cycle; says whether that changed anything."""
        ...

    def enrol(self, plan: Plan, trouble: Callable[[str], str | None]) -> None:
        """Give every gateway an identity issued by its organisation's CA."""
        ...

    def wait_for_gateways(self, plan: Plan, trouble: Callable[[str], str | None]) -> None:
        """Wait until every peer sees the others and every gateway follows the ledger."""
        ...

    def test(self, plan: Plan, trouble: Callable[[str], str | None]) -> str:
        """Have one transaction endorsed, ordered and committed by all; answers its id."""
        ...


@dataclass(slots=True)
class Progress:
    """Tells the operator each phase and how long it took."""

    say: Callable[[str], None]
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a phase; said when it has ended well."""
        started = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - started
        self.say(f"{name}: {self.seconds[name]:.1f} s")


def bring_up(plan: Plan, engine: Engine, fabric: Fabric, progress: Progress, *, version: str) -> dict[str, Any]:
    """Bring the consortium up, or back up; answers what network.json says.

    Raises `ContainersError`, or `OSError` of the directory. What was started keeps running after a failure, so that it
    can be looked at; the next call goes on with it.
    """
    try:
        lock = DirectoryLock(plan.directory)
    except DirectoryInUseError as error:
        raise ContainersError(str(error)) from error
    try:
        return _bring_up(plan, engine, fabric, progress, version)
    finally:
        lock.release()


def _bring_up(plan: Plan, engine: Engine, fabric: Fabric, progress: Progress, version: str) -> dict[str, Any]:
    project = Project(plan.project, plan.compose_file)
    with progress.phase("images"):
        _require_images(plan, engine)
        _name_stale_images(plan, engine, progress)
    with progress.phase("files"):
        _refuse_taken_ports(plan, engine.containers(project))
        files.make_files(plan, version)
        described = _describe(plan)
        engine.validate(project)

    def trouble(name: str) -> str | None:
        return trouble_of(engine, project, name)

    gateways = [gateway.name for gateway in plan.gateways]
    with progress.phase("containers"):
        deserted = _without_database(plan, engine.containers(project))
        engine.up(project, [name for name in service_names(plan) if name not in gateways])
        kept = {each.id for each in engine.containers(project)} if deserted else set()
        if again := [each.name for each in deserted if each.id in kept]:
            engine.restart(project, again)

    def ledger() -> None:
        with progress.phase("channel"):
            fabric.join(plan, trouble)
        if not gateways:
            return  # who only orders has neither chaincode nor clients
        with progress.phase("chaincode"):
            fabric.deploy(plan)
        with progress.phase("first transaction"):
            fabric.test(plan, trouble)

    def doors() -> None:
        with progress.phase("identities"):
            fabric.enrol(plan, trouble)
        with progress.phase("gateway containers"):
            files.write_compose(plan, version)  # now it names the identities that the gateways start with
            engine.up(project, gateways)

    # Neither needs the other: the ledger is at work while the gateways are still being enrolled.
    with ThreadPoolExecutor(max_workers=2) as pool:
        steps = [pool.submit(ledger)] + ([pool.submit(doors)] if gateways else [])
    for step in reversed(steps):  # what is wrong here comes before what others must do first
        step.result()
    if not gateways:
        return described
    with progress.phase("gateways"):
        fabric.wait_for_gateways(plan, trouble)
    if (hindrance := logpolicy.agree(plan)) is not None:
        progress.say(hindrance)
    return described


def _without_database(plan: Plan, found: list[Container]) -> list[Container]:
    """The peers that run while their state database does not: they may have given it up for good."""
    running = {each.name for each in found if each.running}
    peers = plan.peers if couchdb.is_used(plan) else ()
    deserted = {each.name for each in peers if couchdb.name_of(each) not in running}
    return [each for each in found if each.running and each.name in deserted]


def service_names(plan: Plan) -> list[str]:
    """Every container's name, gateways last."""
    names = plan.fabric_names() + couchdb.names(plan)
    names += [plan.chaincode_name(member) for member in plan.members]
    return names + [gateway.name for gateway in plan.gateways]


def take_down(directory: Path, engine: Engine) -> bool:
    """Stop and remove a directory's containers; ledgers and keys stay. False when there were none."""
    project = project_of(directory)
    found = engine.containers(project)
    if found or project.file.exists():
        engine.down(project)
    return bool(found)


def project_of(directory: Path) -> Project:
    """How Compose knows the network of a directory."""
    return Project(project_name(directory), directory / "compose.yaml")


def containers_of(directory: Path, engine: Engine) -> list[Container]:
    """The containers of a directory's network."""
    return engine.containers(project_of(directory))


def _describe(plan: Plan) -> dict[str, Any]:
    """Write what clients read. It is there before anything runs, so that `down` finds what a killed tool began."""
    described = view.describe(plan)
    write_json(plan.directory / TOPOLOGY_FILE, plan.topology.to_json())
    write_connection_profiles(plan.topology, plan.material, plan.directory)
    write_json(plan.directory / NETWORK_FILE, described)
    return described


def _require_images(plan: Plan, engine: Engine) -> None:
    images = plan.images
    own = (images.chaincode, images.gateway)
    fabric = [images.peer, images.orderer, images.authority]
    if couchdb.is_used(plan):
        fabric.append(images.couchdb)
    for image in (*own, *fabric):
        if engine.image_exists(image):
            continue
        if image in own:
            raise ContainersError(f"the image {image} is missing: build it with: make network-images")
        try:
            engine.pull(image)
        except ContainersError as error:
            remedy = "pack it from a folder of Fabric's programs with: make network-images FABRIC_BIN=<folder>"
            if image == images.couchdb:
                remedy = "bring it here from a machine that can, with: docker save and docker load"
            raise ContainersError(f"the image {image} is missing and cannot be pulled ({error}); {remedy}") from error


def _name_stale_images(plan: Plan, engine: Engine, progress: Progress) -> None:
    """Say which of our own images are not of this source: an old chaincode answers a new gateway in its own way.

    They are used all the same, because who runs them may have chosen so. Without a source nothing is compared.
    """
    if not is_checkout():
        return
    digest = source_digest()
    for image in (plan.images.chaincode, plan.images.gateway):
        if engine.label(image, SOURCE_LABEL) != digest:
            progress.say(f"the image {image} is of another source than this: renew it with: make network-images")


def _refuse_taken_ports(plan: Plan, found: list[Container]) -> None:
    running = {each.name for each in found if each.running}
    for owner, endpoint in plan.published():
        if owner.split(" ")[0] in running:
            continue
        try:
            free = is_free(endpoint.port, endpoint.host)
        except OSError as error:
            raise ContainersError(f"{owner} cannot be published on {endpoint}: {error.strerror}") from error
        if not free:
            raise ContainersError(f"port {endpoint.port} on {endpoint.host}, wanted by {owner}, is in use")


def trouble_of(engine: Engine, project: Project, name: str) -> str | None:
    """Why a container does not run, with its last words; None while it does."""
    for each in engine.containers(project):
        if each.name == name and each.running:
            return None
        if each.name == name:
            said = [line for line in engine.tail(project, name).splitlines() if line.strip()]
            return f"{name} is {each.state}: {said[-1].strip() if said else 'it said nothing'}"
    return f"{name} has no container"
