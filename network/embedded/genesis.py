# SPDX-License-Identifier: Apache-2.0
"""A channel's genesis block: one CONFIG envelope with every organisation's MSP and the standard policies (O-19).

The configuration is what Fabric's configtxgen makes from its standard templates, so that clients, explorers and a real
ordering service can read it.
"""

import hashlib
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from fabric_protos.common import common_pb2, configtx_pb2, configuration_pb2, policies_pb2
from fabric_protos.orderer import configuration_pb2 as orderer_pb2
from fabric_protos.peer import configuration_pb2 as peer_pb2

from network.config.groups import ADMINS, add_policy, add_value, peer_organisation
from network.config.groups import organisation as organisation_group
from network.embedded.consensus import consensus
from network.material import Material
from network.topology import Channel, Organisation, Topology


class _Meta(NamedTuple):
    """An implicit meta policy: `ANY Readers` is `_Meta("ANY", "Readers")`."""

    rule: str
    of: str


_STANDARD: dict[str, _Meta] = {
    "Readers": _Meta("ANY", "Readers"),
    "Writers": _Meta("ANY", "Writers"),
    "Admins": _Meta("MAJORITY", "Admins"),
}
_APPLICATION: dict[str, _Meta] = _STANDARD | {
    "Endorsement": _Meta("MAJORITY", "Endorsement"),
    "LifecycleEndorsement": _Meta("MAJORITY", "Endorsement"),
}
_ORDERER: dict[str, _Meta] = _STANDARD | {"BlockValidation": _Meta("ANY", "Writers")}


def genesis_block(
    topology: Topology,
    material: Material,
    channel: Channel | None = None,
    *,
    at: datetime | None = None,
    acls: Mapping[str, str] | None = None,
    raft_tick_ms: int = 500,
    nonce: bytes | None = None,
) -> common_pb2.Block:
    """Block 0 of a channel, the topology's first one unless named.

    `acls` maps resources to policy paths where they shall differ from Fabric's defaults. `raft_tick_ms` is
    Raft's clock: ten ticks without a leader start an election. Two calls give different
    blocks, because the envelope carries a time and a nonce: make it once and keep it, or name both. Raises `OSError` or
    `ValueError` for key material that cannot be read.
    """
    channel = channel or topology.channels[0]
    root = configtx_pb2.ConfigGroup(mod_policy=ADMINS)
    add_value(root, "HashingAlgorithm", configuration_pb2.HashingAlgorithm(name="SHA256"))
    add_value(root, "BlockDataHashingStructure", configuration_pb2.BlockDataHashingStructure(width=2**32 - 1))
    _add_capability(root, "V3_0")
    _add_meta(root, _STANDARD)
    root.groups["Application"].CopyFrom(_application(topology.members(channel), material, acls or {}))
    root.groups["Orderer"].CopyFrom(_orderer(topology, material, channel, raft_tick_ms))
    config = configtx_pb2.Config(channel_group=root)
    return _block(channel.name, config, at or datetime.now(UTC), nonce or secrets.token_bytes(24))


def _application(
    members: tuple[Organisation, ...], material: Material, acls: Mapping[str, str]
) -> configtx_pb2.ConfigGroup:
    group = configtx_pb2.ConfigGroup(mod_policy=ADMINS)
    _add_capability(group, "V2_5")
    _add_meta(group, _APPLICATION)
    if acls:
        named = {resource: peer_pb2.APIResource(policy_ref=reference) for resource, reference in acls.items()}
        add_value(group, "ACLs", peer_pb2.ACLs(acls=named))
    for member in members:
        msp = material.organisation(member.domain) / "msp"
        group.groups[member.msp_id].CopyFrom(peer_organisation(member.msp_id, msp, [member.peer]))
    return group


def _orderer(topology: Topology, material: Material, channel: Channel, tick_ms: int) -> configtx_pb2.ConfigGroup:
    orderer, batch = topology.orderer, channel.batch
    msp_id = orderer.msp_id
    rules = {
        "Readers": f"OR('{msp_id}.member')",
        "Writers": f"OR('{msp_id}.member')",
        "Admins": f"OR('{msp_id}.admin')",
    }
    organisation = organisation_group(msp_id, material.orderer_organisation(orderer.domain) / "msp", rules)
    endpoints = configuration_pb2.OrdererAddresses(addresses=[str(address) for address in orderer.addresses])
    add_value(organisation, "Endpoints", endpoints)
    group = configtx_pb2.ConfigGroup(mod_policy=ADMINS)
    group.groups[msp_id].CopyFrom(organisation)
    _add_capability(group, "V2_0")
    _add_meta(group, _ORDERER)
    sizes = orderer_pb2.BatchSize(
        max_message_count=batch.max_messages,
        absolute_max_bytes=batch.absolute_max_bytes,
        preferred_max_bytes=batch.preferred_max_bytes,
    )
    add_value(group, "BatchSize", sizes)
    add_value(group, "BatchTimeout", orderer_pb2.BatchTimeout(timeout=batch.timeout_text))
    add_value(group, "ChannelRestrictions", orderer_pb2.ChannelRestrictions())
    agreed = consensus(topology, material, tick_ms=tick_ms)
    add_value(group, "ConsensusType", agreed.kind)
    if agreed.consenters is not None:
        add_value(group, "Orderers", agreed.consenters)
    if agreed.block_validation is not None:
        add_policy(group, "BlockValidation", policies_pb2.Policy.SIGNATURE, agreed.block_validation)
    return group


def _add_meta(group: configtx_pb2.ConfigGroup, policies: Mapping[str, _Meta]) -> None:
    for name, meta in policies.items():
        rule = policies_pb2.ImplicitMetaPolicy.Rule.Value(meta.rule)
        policy = policies_pb2.ImplicitMetaPolicy(rule=rule, sub_policy=meta.of)
        add_policy(group, name, policies_pb2.Policy.IMPLICIT_META, policy)


def _add_capability(group: configtx_pb2.ConfigGroup, name: str) -> None:
    add_value(
        group, "Capabilities", configuration_pb2.Capabilities(capabilities={name: configuration_pb2.Capability()})
    )


def _block(channel_id: str, config: configtx_pb2.Config, at: datetime, nonce: bytes) -> common_pb2.Block:
    header = common_pb2.ChannelHeader(
        type=common_pb2.HeaderType.CONFIG,
        version=1,
        channel_id=channel_id,
        tx_id=hashlib.sha256(nonce).hexdigest(),  # rule P-4 with no creator
    )
    header.timestamp.FromDatetime(at.replace(microsecond=0))
    payload = common_pb2.Payload(
        header=common_pb2.Header(
            channel_header=header.SerializeToString(),
            signature_header=common_pb2.SignatureHeader(nonce=nonce).SerializeToString(),
        ),
        data=configtx_pb2.ConfigEnvelope(config=config).SerializeToString(deterministic=True),
    )
    envelope = common_pb2.Envelope(payload=payload.SerializeToString()).SerializeToString()
    last_config = common_pb2.OrdererBlockMetadata(last_config=common_pb2.LastConfig(index=0)).SerializeToString()
    signatures = common_pb2.Metadata(value=last_config).SerializeToString()
    return common_pb2.Block(
        header=common_pb2.BlockHeader(number=0, data_hash=hashlib.sha256(envelope).digest()),
        data=common_pb2.BlockData(data=[envelope]),
        metadata=common_pb2.BlockMetadata(metadata=[signatures, b"", b"", b"", b""]),
    )
