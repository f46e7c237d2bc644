# SPDX-License-Identifier: Apache-2.0
"""The parts from which a channel configuration is built: values, policies, and whole organisations."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from fabric_protos.common import configtx_pb2, policies_pb2
from fabric_protos.msp import msp_config_pb2
from fabric_protos.peer import configuration_pb2 as peer_pb2
from google.protobuf.message import Message

from network.embedded.mspconfig import msp_config_from_folder
from network.embedded.policytext import parse
from network.topology import Endpoint, check_msp_id

ADMINS = "Admins"

__all__ = ["ADMINS", "add_anchors", "add_policy", "add_value", "organisation", "peer_organisation"]


def add_value(group: configtx_pb2.ConfigGroup, name: str, value: Message) -> None:
    """Put a value, owned by the group's administrators; a value that is there keeps its version and owner."""
    entry = group.values[name]
    entry.mod_policy = entry.mod_policy or ADMINS
    entry.value = value.SerializeToString(deterministic=True)


def add_policy(group: configtx_pb2.ConfigGroup, name: str, kind: int, policy: Message) -> None:
    """Put a policy, owned by the group's administrators."""
    entry = group.policies[name]
    entry.mod_policy = ADMINS
    entry.policy.type = kind
    entry.policy.value = policy.SerializeToString()


def organisation(msp_id: str, msp: Path, rules: Mapping[str, str]) -> configtx_pb2.ConfigGroup:
    """An organisation from its MSP folder, with signature policies by name; raises `OSError` or `ValueError`.

    Every configuration that is made here passes this point, so an MSP id that some other part would refuse ends here.
    """
    check_msp_id(msp_id, "mspid")
    group = configtx_pb2.ConfigGroup(mod_policy=ADMINS)
    config = msp_config_from_folder(msp, msp_id)
    add_value(group, "MSP", msp_config_pb2.MSPConfig(type=0, config=config.SerializeToString()))
    for name, rule in rules.items():
        add_policy(group, name, policies_pb2.Policy.SIGNATURE, parse(rule))
    return group


def peer_organisation(msp_id: str, msp: Path, anchors: Iterable[Endpoint]) -> configtx_pb2.ConfigGroup:
    """A member with Fabric's standard policies: peers endorse, clients and administrators write, all read.

    Raises `OSError` or `ValueError`.
    """
    rules = {
        "Readers": f"OR('{msp_id}.admin', '{msp_id}.peer', '{msp_id}.client')",
        "Writers": f"OR('{msp_id}.admin', '{msp_id}.client')",
        "Admins": f"OR('{msp_id}.admin')",
        "Endorsement": f"OR('{msp_id}.peer')",
    }
    group = organisation(msp_id, msp, rules)
    add_anchors(group, anchors)
    return group


def add_anchors(group: configtx_pb2.ConfigGroup, anchors: Iterable[Endpoint]) -> None:
    """Name the peers by which other organisations' peers find this organisation's."""
    peers = [peer_pb2.AnchorPeer(host=anchor.host, port=anchor.port) for anchor in anchors]
    add_value(group, "AnchorPeers", peer_pb2.AnchorPeers(anchor_peers=peers))
