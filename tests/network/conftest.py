# SPDX-License-Identifier: Apache-2.0
"""Key material and a channel that the tests of the network share; none of them changes it."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from network.containers.engine import Docker
from network.containers.errors import ContainersError
from network.containers.plan import Images
from network.embedded.channelconfig import ChannelConfig, genesis_block
from network.embedded.identity import Signer
from network.material import Material, ensure_material
from network.topology import Topology, default_topology

sys.path.insert(
    0, str(Path(__file__).parent / "harness")
)  # modules that several tests here, and the hostile ones, share


@pytest.fixture(scope="session")
def shared_topology() -> Topology:
    return default_topology()


@pytest.fixture(scope="session")
def shared_material(tmp_path_factory: pytest.TempPathFactory, shared_topology: Topology) -> Material:
    return ensure_material(shared_topology, tmp_path_factory.mktemp("material"))


@pytest.fixture(scope="session")
def channel_config(shared_topology: Topology, shared_material: Material) -> ChannelConfig:
    return ChannelConfig.from_block(genesis_block(shared_topology, shared_material))


@pytest.fixture(scope="session")
def signers(shared_topology: Topology, shared_material: Material) -> dict[str, Signer]:
    """By `<organisation>.<role>`, such as `lab.client`."""
    found: dict[str, Signer] = {}
    for organisation in shared_topology.organisations:
        folders: dict[str, Path] = {
            "peer": shared_material.peer(organisation.domain),
            "client": shared_material.user(organisation.domain),
            "admin": shared_material.user(organisation.domain, "Admin"),
        }
        for role, folder in folders.items():
            found[f"{organisation.name}.{role}"] = Signer.from_folder(folder / "msp", organisation.msp_id)
    orderer = shared_topology.orderer
    folder = shared_material.orderer(orderer.domain) / "msp"
    return found | {"orderer": Signer.from_folder(folder, orderer.msp_id)}


@pytest.fixture(scope="session")
def why_no_containers() -> Callable[..., str | None]:
    """Why a consortium in containers cannot run here, None when it can; `more` are images beside those of every one."""

    def why_not(*more: str) -> str | None:
        if not os.environ.get("PEDIGREE_DOCKER"):
            return "PEDIGREE_DOCKER is not set"
        try:
            docker = Docker.find()
        except ContainersError as error:
            return str(error)
        images = Images()
        wanted = (images.peer, images.orderer, images.authority, images.chaincode, images.gateway, *more)
        missing = [image for image in wanted if not docker.image_exists(image)]
        return f"images are missing: {', '.join(missing)}" if missing else None

    return why_not
