# SPDX-License-Identifier: Apache-2.0
"""The first block that is made here says what configtxgen's says, for Raft and for SmartBFT."""

from pathlib import Path
from typing import Any

import pytest
from fabric_protos.common import common_pb2, configtx_pb2

from network.containers.plan import expanded
from network.embedded.consensus import quorum
from network.embedded.genesis import genesis_block
from network.material import ensure_material
from network.native import Binaries, NativeError, render
from network.native.plan import make_plan
from network.topology import default_topology


@pytest.fixture
def binaries() -> Binaries:
    try:
        return Binaries.find()
    except NativeError as error:
        pytest.skip(f"NOT RUN: {error}")


def configuration(block: common_pb2.Block) -> configtx_pb2.ConfigGroup:
    payload = common_pb2.Payload.FromString(common_pb2.Envelope.FromString(block.data.data[0]).payload)
    return configtx_pb2.ConfigEnvelope.FromString(payload.data).config.channel_group


def flattened(group: configtx_pb2.ConfigGroup, path: str = "/Channel") -> dict[str, Any]:
    """Every value and policy by its path."""
    found: dict[str, Any] = {path: group.mod_policy}
    for name, value in group.values.items():
        found[f"{path}/{name}"] = (value.mod_policy, value.value)
    for name, policy in group.policies.items():
        found[f"{path}/{name} policy"] = (policy.mod_policy, policy.policy.type, policy.policy.value)
    for name in group.groups:
        found |= flattened(group.groups[name], f"{path}/{name}")
    return found


@pytest.mark.fabric
@pytest.mark.parametrize("consensus", ["raft", "bft"])
def test_it_is_what_configtxgen_makes(consensus: str, binaries: Binaries, tmp_path: Path) -> None:
    plan = make_plan(expanded(default_topology(), consensus=consensus), tmp_path)
    material = ensure_material(plan.topology, tmp_path)
    tree: Any = render.configtx(plan)
    ordering = tree["Profiles"]["pedigree"]["Orderer"]
    if consensus == "bft":
        del ordering["EtcdRaft"]
        ordering |= {"OrdererType": "BFT", "ConsenterMapping": [consenter(plan, node) for node in plan.orderers]}
    render.write(tmp_path / "fabric" / "configtx.yaml", tree)
    where = ("-configPath", str(tmp_path / "fabric"), "-profile", "pedigree", "-channelID", "pedigree")
    binaries.run("configtxgen", *where, "-outputBlock", str(tmp_path / "theirs.block"))
    theirs = flattened(configuration(common_pb2.Block.FromString((tmp_path / "theirs.block").read_bytes())))
    ours = flattened(configuration(genesis_block(plan.topology, material, raft_tick_ms=200)))
    assert ours.keys() == theirs.keys()
    assert {path: (ours[path], theirs[path]) for path in ours if ours[path] != theirs[path]} == {}


def consenter(plan: Any, node: Any) -> dict[str, Any]:
    folder = plan.material.orderer(node.domain, node.number)
    (identity,) = (folder / "msp" / "signcerts").iterdir()
    certificate = str(folder / "tls" / "server.crt")
    return {
        "ID": node.number, "Host": "127.0.0.1", "Port": node.port, "MSPID": node.mspid, "Identity": str(identity),
        "ClientTLSCert": certificate, "ServerTLSCert": certificate,
    }  # fmt: skip


@pytest.mark.parametrize(("nodes", "needed"), [(4, 3), (5, 4), (6, 4), (7, 5), (10, 7)])
def test_a_quorum_of_smartbft(nodes: int, needed: int) -> None:
    assert quorum(nodes) == needed
