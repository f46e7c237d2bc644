# SPDX-License-Identifier: Apache-2.0
"""A channel's configuration: what genesis blocks hold and what the node reads out of them."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fabric_protos.common import common_pb2, configtx_pb2, policies_pb2
from fabric_protos.orderer import configuration_pb2 as orderer_pb2
from hypothesis import given
from hypothesis import strategies as st

from network.embedded.blocks import data_hash
from network.embedded.channelconfig import (
    AccessDenied,
    Capabilities,
    ChannelConfig,
    MalformedConfig,
    duration_seconds,
    genesis_block,
)
from network.embedded.identity import Signer
from network.embedded.policy import PolicyNotSatisfied, SignedData, render
from network.material import Material
from network.topology import Batch, Channel, Topology

MESSAGE = b"request"


def _signed(signer: Signer) -> list[SignedData]:
    return [SignedData(MESSAGE, signer.serialized, signer.sign(MESSAGE))]


def _config_envelope(block: Any) -> Any:
    envelope = common_pb2.Envelope.FromString(block.data.data[0])
    payload = common_pb2.Payload.FromString(envelope.payload)
    return configtx_pb2.ConfigEnvelope.FromString(payload.data)


def test_a_genesis_block_is_one_config_transaction(shared_topology: Topology, shared_material: Material) -> None:
    block = genesis_block(shared_topology, shared_material)
    assert block.header.number == 0
    assert block.header.previous_hash == b""
    assert block.header.data_hash == data_hash(block.data.data)
    assert len(block.metadata.metadata) == 5
    payload = common_pb2.Payload.FromString(common_pb2.Envelope.FromString(block.data.data[0]).payload)
    header = common_pb2.ChannelHeader.FromString(payload.header.channel_header)
    nonce = common_pb2.SignatureHeader.FromString(payload.header.signature_header).nonce
    assert header.type == common_pb2.HeaderType.CONFIG
    assert header.channel_id == "pedigree"
    assert header.tx_id == hashlib.sha256(nonce).hexdigest()


def test_two_genesis_blocks_differ(shared_topology: Topology, shared_material: Material) -> None:
    first, second = (genesis_block(shared_topology, shared_material) for _ in range(2))
    assert first.header.data_hash != second.header.data_hash


def test_what_the_node_reads_is_what_the_topology_says(channel_config: ChannelConfig) -> None:
    assert channel_config.channel_id == "pedigree"
    assert channel_config.msps.ids == {"HospitalMSP", "LabMSP", "RegulatorMSP", "OrdererMSP"}
    assert channel_config.application_orgs == {m: m for m in ("HospitalMSP", "LabMSP", "RegulatorMSP")}
    assert channel_config.orderer_addresses == ("127.0.0.1:7050",)
    batch = channel_config.batch
    assert (batch.timeout_s, batch.max_count) == (0.1, 500)
    assert (batch.absolute_max, batch.preferred_max) == (10 * 2**20, 2 * 2**20)
    assert channel_config.capabilities == Capabilities(frozenset({"V3_0"}), frozenset({"V2_0"}), frozenset({"V2_5"}))


def test_the_standard_policies_are_there(channel_config: ChannelConfig) -> None:
    for group in ("", "/Application", "/Orderer"):
        for name in ("Readers", "Writers", "Admins"):
            assert channel_config.has_policy(f"/Channel{group}/{name}")
    for name in ("Application/Endorsement", "Application/LifecycleEndorsement", "Orderer/BlockValidation"):
        assert channel_config.has_policy(f"/Channel/{name}")
    lab = channel_config.policy("/Channel/Application/LabMSP/Readers").to_envelope()
    assert render(lab) == "OR('LabMSP.admin', 'LabMSP.peer', 'LabMSP.client')"
    assert not channel_config.has_policy("/Channel/Application/Nobody")
    with pytest.raises(KeyError):
        channel_config.policy("/Channel/Application/Nobody")


@pytest.mark.parametrize(
    ("path", "who", "allowed"),
    [
        ("/Channel/Application/Writers", "lab.client", True),
        ("/Channel/Application/Writers", "lab.admin", True),
        ("/Channel/Application/Writers", "lab.peer", False),
        ("/Channel/Application/Readers", "lab.peer", True),
        ("/Channel/Application/Readers", "orderer", False),
        ("/Channel/Readers", "orderer", True),
        ("/Channel/Application/LabMSP/Admins", "lab.admin", True),
        ("/Channel/Application/LabMSP/Admins", "hospital.admin", False),
        ("/Channel/Application/LabMSP/Endorsement", "lab.peer", True),
        ("/Channel/Application/LabMSP/Endorsement", "lab.client", False),
        ("/Channel/Application/Admins", "lab.admin", False),
        ("/Channel/Orderer/BlockValidation", "orderer", True),
        ("/Channel/Orderer/BlockValidation", "lab.admin", False),
    ],
)
def test_who_satisfies_which_policy(
    channel_config: ChannelConfig, signers: dict[str, Signer], path: str, who: str, allowed: bool
) -> None:
    policy = channel_config.policy(path)
    if allowed:
        policy.evaluate(_signed(signers[who]))
    else:
        with pytest.raises(PolicyNotSatisfied):
            policy.evaluate(_signed(signers[who]))


def test_resources_are_guarded_by_fabrics_defaults(channel_config: ChannelConfig) -> None:
    assert channel_config.acl("peer/Propose") == "/Channel/Application/Writers"
    assert channel_config.acl("_lifecycle/CommitChaincodeDefinition") == "/Channel/Application/Writers"
    for resource in ("qscc/GetChainInfo", "event/Block", "gateway/CommitStatus", "gateway/ChaincodeEvents"):
        assert channel_config.acl(resource) == "/Channel/Application/Readers"
    with pytest.raises(KeyError):
        channel_config.acl("nothing/Known")


def test_access_is_refused_in_fabrics_words(channel_config: ChannelConfig, signers: dict[str, Signer]) -> None:
    channel_config.check_acl("peer/Propose", _signed(signers["lab.client"]))
    identity = channel_config.msps.deserialise(signers["lab.peer"].serialized)
    expected = (
        "Failed evaluating policy on signed data during check policy on channel [pedigree] "
        "with policy [/Channel/Application/Writers]: [implicit policy evaluation failed - 0 sub-policies were "
        "satisfied, but this policy requires 1 of the 'Writers' sub-policies to be satisfied]"
    )
    for check in (
        lambda: channel_config.check_acl("peer/Propose", _signed(signers["lab.peer"])),
        lambda: channel_config.check_acl_identity("peer/Propose", identity),
    ):
        with pytest.raises(AccessDenied) as refusal:
            check()
        assert str(refusal.value) == expected


def test_a_channels_own_access_rules_come_first(
    shared_topology: Topology, shared_material: Material, signers: dict[str, Signer]
) -> None:
    acls = {
        "peer/Propose": "/Channel/Application/LabMSP/Admins",
        "event/Block": "Admins",
        "gateway/CommitStatus": "/Channel/Application/Missing",
        "cscc/GetChannels": "Admins",
    }
    config = ChannelConfig.from_block(genesis_block(shared_topology, shared_material, acls=acls))
    config.check_acl("peer/Propose", _signed(signers["lab.admin"]))
    assert config.acl("event/Block") == "/Channel/Application/Admins"
    with pytest.raises(AccessDenied, match=r"^failed evaluating policy on signed data during check policy \["):
        config.check_acl("peer/Propose", _signed(signers["lab.client"]))
    with pytest.raises(AccessDenied, match="no such policy"):
        config.check_acl("gateway/CommitStatus", _signed(signers["lab.admin"]))
    with pytest.raises(KeyError):
        config.acl("cscc/GetChannels")  # guarded by the peer, not by the channel


def test_a_second_channel_has_its_own_members_and_batches(shared_topology: Topology, shared_material: Material) -> None:
    side = Channel("side", ("lab", "hospital"), Batch(timeout_ms=2000, max_messages=10))
    topology = replace(shared_topology, channels=(*shared_topology.channels, side))
    config = ChannelConfig.from_block(genesis_block(topology, shared_material, side))
    assert set(config.application_orgs.values()) == {"LabMSP", "HospitalMSP"}
    assert (config.batch.timeout_s, config.batch.max_count) == (2.0, 10)
    assert render(config.policy("/Channel/Application/Endorsement").to_envelope()).startswith("AND(")


def test_a_configuration_is_read_from_its_envelope_too(shared_topology: Topology, shared_material: Material) -> None:
    envelope = _config_envelope(genesis_block(shared_topology, shared_material))
    config = ChannelConfig("pedigree", envelope)
    assert config.envelope is envelope
    assert config.sequence == 0


@pytest.mark.parametrize("text", ["", "s", "1", "1 s", "1x", "1s2", "-1s"])
def test_a_duration_that_go_would_not_write_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        duration_seconds(text)


def test_durations_are_read_as_go_writes_them() -> None:
    assert duration_seconds("1m30s") == 90
    assert duration_seconds("100ms") == pytest.approx(0.1)
    assert duration_seconds("1.5h") == 5400


def test_what_is_wrong_with_a_configuration_is_named(shared_topology: Topology, shared_material: Material) -> None:
    def broken(change: Any) -> Any:
        envelope = _config_envelope(genesis_block(shared_topology, shared_material))
        change(envelope.config.channel_group)
        return envelope

    def set_timeout(root: Any) -> None:
        value = orderer_pb2.BatchTimeout(timeout="soon")
        root.groups["Orderer"].values["BatchTimeout"].value = value.SerializeToString()

    def set_policy_type(root: Any) -> None:
        root.groups["Application"].policies["Writers"].policy.type = policies_pb2.Policy.MSP

    def set_msp(root: Any) -> None:
        root.groups["Application"].groups["LabMSP"].values["MSP"].value = b"\xff"

    def drop_orderer(root: Any) -> None:
        del root.groups["Orderer"]

    def nest(root: Any) -> None:
        group = root
        for _ in range(20):
            group = group.groups["deeper"]
            group.SetInParent()

    cases = {
        "'soon' is not a duration": set_timeout,
        "/Channel/Application/Writers": set_policy_type,
        "cannot be decoded": set_msp,
        "BatchSize": drop_orderer,
        "nested": nest,
    }
    for problem, change in cases.items():
        with pytest.raises(MalformedConfig, match=problem):
            ChannelConfig("pedigree", broken(change))


def test_an_ordinary_block_is_no_configuration() -> None:
    with pytest.raises(MalformedConfig):
        ChannelConfig.from_block(common_pb2.Block())
    payload = common_pb2.Payload(
        header=common_pb2.Header(channel_header=common_pb2.ChannelHeader(type=3).SerializeToString())
    )
    envelope = common_pb2.Envelope(payload=payload.SerializeToString())
    block = common_pb2.Block(data=common_pb2.BlockData(data=[envelope.SerializeToString()]))
    with pytest.raises(MalformedConfig, match="not a configuration"):
        ChannelConfig.from_block(block)


def test_unreadable_key_material_is_refused(shared_topology: Topology, tmp_path: Path) -> None:
    with pytest.raises((OSError, ValueError)):
        genesis_block(shared_topology, Material(tmp_path))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_malformed_configuration(raw: bytes) -> None:
    block = common_pb2.Block(data=common_pb2.BlockData(data=[raw]))
    with pytest.raises(MalformedConfig):
        ChannelConfig.from_block(block)
