# SPDX-License-Identifier: Apache-2.0
"""A consenter's TLS certificate is exchanged where its kind of consensus keeps it, and nothing else changes."""

from dataclasses import replace
from pathlib import Path

import pytest
from fabric_protos.common import common_pb2, configtx_pb2, configuration_pb2
from fabric_protos.orderer import configuration_pb2 as orderer_pb2
from fabric_protos.orderer.etcdraft import configuration_pb2 as raft_pb2

from network.config import changes, consenters, view
from network.config.errors import ConfigError
from network.config.submit import Done, in_block
from network.config.update import NothingChanges, compute_update
from network.embedded.genesis import genesis_block
from network.material import ensure_material
from network.topology import Endpoint, default_topology
from network.wire import WireError

ADDRESSES = tuple(Endpoint("127.0.0.1", port) for port in (7050, 8050, 9050, 10050))


@pytest.fixture(params=["raft", "bft"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> configtx_pb2.Config:
    topology = default_topology()
    topology = replace(topology, orderer=replace(topology.orderer, consensus=request.param, addresses=ADDRESSES))
    block = genesis_block(topology, ensure_material(topology, tmp_path))
    return in_block(common_pb2.Block.FromString(block.SerializeToString())).config


def listed(config: configtx_pb2.Config) -> list[tuple[int, bytes, bytes, bytes]]:
    """Port, both TLS certificates and signing identity of every consenter."""
    orderer = config.channel_group.groups["Orderer"]
    if "Orderers" in orderer.values:
        known = configuration_pb2.Orderers.FromString(orderer.values["Orderers"].value).consenter_mapping
        return [(each.port, each.client_tls_cert, each.server_tls_cert, each.identity) for each in known]
    consensus = orderer_pb2.ConsensusType.FromString(orderer.values["ConsensusType"].value)
    metadata = raft_pb2.ConfigMetadata.FromString(consensus.metadata)
    return [(each.port, each.client_tls_cert, each.server_tls_cert, b"") for each in metadata.consenters]


def test_one_consenter_gets_another_certificate_and_the_rest_stays(config: configtx_pb2.Config) -> None:
    changed = changes.replace_consenter_certificate(config, ADDRESSES[1], b"new")
    before, after = listed(config), listed(changed)
    assert len(before) == 4
    assert after[1] == (8050, b"new", b"new", before[1][3])
    assert [after[0], *after[2:]] == [before[0], *before[2:]]
    update = compute_update("pedigree", config, changed)
    orderer = update.write_set.groups["Orderer"]
    (name,) = orderer.values
    assert (name, orderer.values[name].version) in (("ConsensusType", 1), ("Orderers", 1))


def test_the_configuration_names_consenters_and_who_signs_blocks(config: configtx_pb2.Config) -> None:
    described = view.describe(config)
    assert described["ordering"]["consenters"] == [str(address) for address in ADDRESSES]
    signed = described["policies"]["/Channel/Orderer/BlockValidation"]
    if described["ordering"]["consensus"] == "BFT":
        assert signed.startswith("3 of the certificates OrdererMSP:")
        assert signed.count("OrdererMSP:") == 4
    else:
        assert signed == "ANY Writers"


def test_the_same_certificate_changes_nothing(config: configtx_pb2.Config) -> None:
    changed = changes.replace_consenter_certificate(config, ADDRESSES[1], listed(config)[1][2])
    with pytest.raises(NothingChanges):
        compute_update("pedigree", config, changed)


def test_a_stranger_is_refused(config: configtx_pb2.Config) -> None:
    with pytest.raises(ConfigError, match=r"127\.0\.0\.1:1 is not a consenter of the channel"):
        changes.replace_consenter_certificate(config, Endpoint("127.0.0.1", 1), b"new")


def test_a_leader_that_counts_too_few_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consenters, "_PAUSE_S", 0.0)
    answers = ["2 out of 3 nodes are alive, configuration will result in quorum loss"] * 2

    def attempt() -> Done:
        if answers:
            raise WireError(answers.pop())
        return Done(changed=True, block=7, sequence=2)

    assert consenters._patiently(attempt).block == 7
    answers.append("policy not satisfied")
    with pytest.raises(WireError, match="policy"):
        consenters._patiently(attempt)
    monkeypatch.setattr(consenters, "_COUNT_S", -1.0)
    answers.append("quorum loss")
    with pytest.raises(WireError, match="quorum loss"):
        consenters._patiently(attempt)
