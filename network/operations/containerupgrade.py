# SPDX-License-Identifier: Apache-2.0
"""Replaces the chaincode containers of a network by the next generation, without a moment without any.

What is wanted is written down first: an operator who finds this tool killed repeats the upgrade, or
brings the network up, and either ends where this would have.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from network.containers import files, joining, view
from network.containers.engine import Docker, Project
from network.containers.errors import ContainersError
from network.containers.generation import Generation
from network.containers.network import service_names
from network.containers.plan import CHAINCODE_HEALTH_PORT, Plan, make_plan
from network.directory import TOPOLOGY_FILE
from network.durable import write_file
from network.embedded.lock import held
from network.lifecycle import Deployed, install
from network.operations.errors import OperationsError
from network.operations.upgrading import Wanted, upgrade
from network.topology import load
from network.wire import Administrator

__all__ = ["upgrade_containers"]

_START_S = 90.0
_POLL_S = 0.5
_QUICK_S = 15.0
_ASK = f"import urllib.request; urllib.request.urlopen('http://127.0.0.1:{CHAINCODE_HEALTH_PORT}/healthz', timeout=4)"


def upgrade_containers(
    directory: Path, version: str, *, image: str | None = None, progress: Callable[[str], None] = lambda _: None
) -> Deployed:
    """Upgrade the network's own chaincode to `version`, from `image` or the one that it has.

    Raises `OperationsError`, `ContainersError`, `WireError` or `OSError`. Until the new definition is in force the
    present containers serve, also when this fails.
    """
    with held(directory, OperationsError):
        docker = Docker.find()
        plan = _planned(directory, docker, version, image)
        return _upgrade(plan, docker, version, progress)


def _planned(directory: Path, docker: Docker, version: str, image: str | None) -> Plan:
    present = Generation.read(directory)
    if present.version == version:
        wanted = present  # asked for before, and perhaps not brought to its end
        if image not in (None, present.image):
            raise OperationsError(f"--image: version {version} is made from {present.image}; name another version")
    else:
        wanted = Generation(present.number + 1, version, image or present.image)
    plan = replace(make_plan(load(directory / TOPOLOGY_FILE), directory), generation=wanted)
    if wanted.image is not None:
        plan = replace(plan, images=replace(plan.images, chaincode=wanted.image))
    if not docker.image_exists(plan.images.chaincode):
        raise OperationsError(f"--image: {plan.images.chaincode} is not on this machine")
    return plan


def _upgrade(plan: Plan, docker: Docker, version: str, progress: Callable[[str], None]) -> Deployed:
    project = Project(plan.project, plan.compose_file)
    former = _chaincodes(plan.compose_file)
    plan.generation.write(plan.directory)
    files.make_files(plan, version)
    _write_both(plan.compose_file, former)
    names = [plan.chaincode_name(member) for member in plan.topology.organisations]
    progress(f"starting {', '.join(names)}")
    docker.up(project, names)
    for name in names:
        _wait_until_healthy(docker, project, name)
    packages = files.chaincode_packages(plan, version)
    channel = plan.topology.channels[0].name
    for peer in plan.peers:
        if peer.number > 0:  # first peers have it from the deployment
            with Administrator(joining.member_of(plan, peer)) as administrator:
                install(administrator, packages[peer.organisation.msp_id])
    done = upgrade(view.describe(plan), Wanted(plan.topology.chaincode, version, channel), packages, progress=progress)
    progress("stopping the former chaincodes")
    files.write_compose(plan, version)
    docker.up(project, service_names(plan))
    return done


def _chaincodes(compose_file: Path) -> dict[str, Any]:
    """The descriptions of the chaincode containers that serve now."""
    services: dict[str, Any] = yaml.safe_load(compose_file.read_text(encoding="utf-8"))["services"]
    return {name: each for name, each in services.items() if each["labels"]["pedigree.role"] == "chaincode"}


def _write_both(compose_file: Path, former: dict[str, Any]) -> None:
    """Describe the former chaincodes beside the new ones, as they are, so that the engine leaves them alone."""
    described = yaml.safe_load(compose_file.read_text(encoding="utf-8"))
    described["services"] = former | described["services"]
    write_file(compose_file, yaml.safe_dump(described, sort_keys=False, width=120).encode(), mode=0o600)


def _answers(docker: Docker, container: str) -> bool:
    """Whether a chaincode says that it is well; asked now rather than when the engine next does."""
    try:
        docker.output("exec", container, "python3", "-c", _ASK, within=_QUICK_S)
    except ContainersError:
        return False
    return True


def _wait_until_healthy(docker: Docker, project: Project, name: str) -> None:
    give_up = time.monotonic() + _START_S
    while True:
        container = next((each for each in docker.containers(project) if each.name == name), None)
        if container is not None and container.running and _answers(docker, container.id):
            return
        if time.monotonic() > give_up:
            said = docker.tail(project, name, 1).strip()
            raise OperationsError(f"{name} does not start: {said or 'it said nothing'}; the present one goes on")
        time.sleep(_POLL_S)
