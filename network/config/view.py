# SPDX-License-Identifier: Apache-2.0
"""A channel's configuration in words: members, orderers, batch sizes, capabilities, policies."""

from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID
from fabric_protos.common import configtx_pb2, configuration_pb2, policies_pb2
from fabric_protos.msp import identities_pb2, msp_principal_pb2
from fabric_protos.orderer import configuration_pb2 as orderer_pb2
from fabric_protos.peer import configuration_pb2 as peer_pb2

from network.config.changes import consenters, msp_of
from network.config.errors import ConfigError
from network.embedded.policytext import render

__all__ = ["describe"]


def describe(config: configtx_pb2.Config) -> dict[str, Any]:
    """The configuration as plain values for JSON; raises `ConfigError` or `DecodeError`."""
    root = config.channel_group
    if not {"Application", "Orderer"} <= set(root.groups):
        raise ConfigError("the configuration has no members or no ordering service")
    application, orderer = root.groups["Application"], root.groups["Orderer"]
    consensus = orderer_pb2.ConsensusType.FromString(_value(orderer, "ConsensusType"))
    sizes = orderer_pb2.BatchSize.FromString(_value(orderer, "BatchSize"))
    return {
        "sequence": int(config.sequence),
        "capabilities": {"channel": _capabilities(root)}
        | {name.lower(): _capabilities(group) for name, group in sorted(root.groups.items())},
        "members": [_member(application.groups[name]) for name in sorted(application.groups)],
        "ordering": {
            "consensus": consensus.type,
            "consenters": [str(each) for each in consenters(config)],
            "organisations": [_orderer(orderer.groups[name]) for name in sorted(orderer.groups)],
            "batch": {
                "timeout": orderer_pb2.BatchTimeout.FromString(_value(orderer, "BatchTimeout")).timeout,
                "max_messages": sizes.max_message_count,
                "absolute_max_bytes": sizes.absolute_max_bytes,
                "preferred_max_bytes": sizes.preferred_max_bytes,
            },
        },
        "policies": _policies("/Channel", root)
        | _policies("/Channel/Application", application)
        | _policies("/Channel/Orderer", orderer),
    }


def _policies(path: str, group: Any) -> dict[str, str]:
    return {f"{path}/{name}": _policy(group.policies[name].policy) for name in sorted(group.policies)}


def _member(group: Any) -> dict[str, Any]:
    msp = msp_of(group)
    anchors = peer_pb2.AnchorPeers.FromString(_value(group, "AnchorPeers")).anchor_peers
    return {
        "mspid": msp.name,
        "anchors": [f"{each.host}:{each.port}" for each in anchors],
        "revocation_lists": len(msp.revocation_list),
        "policies": {name: _policy(group.policies[name].policy) for name in sorted(group.policies)},
    }


def _orderer(group: Any) -> dict[str, Any]:
    addresses = configuration_pb2.OrdererAddresses.FromString(_value(group, "Endpoints")).addresses
    return {"mspid": msp_of(group).name, "addresses": list(addresses)}


def _capabilities(group: Any) -> list[str]:
    return sorted(configuration_pb2.Capabilities.FromString(_value(group, "Capabilities")).capabilities)


def _policy(policy: policies_pb2.Policy) -> str:
    if policy.type == policies_pb2.Policy.SIGNATURE:
        signatures = policies_pb2.SignaturePolicyEnvelope.FromString(policy.value)
        return _of_certificates(signatures) or render(signatures)
    meta = policies_pb2.ImplicitMetaPolicy.FromString(policy.value)
    return f"{policies_pb2.ImplicitMetaPolicy.Rule.Name(meta.rule)} {meta.sub_policy}"


def _of_certificates(policy: policies_pb2.SignaturePolicyEnvelope) -> str:
    """How many of which certificates must sign, as for the blocks of SmartBFT; empty for a policy of other things."""
    kinds = {each.principal_classification for each in policy.identities}
    if kinds != {msp_principal_pb2.MSPPrincipal.IDENTITY} or len(policy.rule.n_out_of.rules) != len(policy.identities):
        return ""
    signers = [identities_pb2.SerializedIdentity.FromString(each.principal) for each in policy.identities]
    names = [f"{each.mspid}:{_common_name(each.id_bytes)}" for each in signers]
    return f"{policy.rule.n_out_of.n} of the certificates {', '.join(names)}"


def _common_name(pem: bytes) -> str:
    subject = x509.load_pem_x509_certificate(pem).subject
    return next(
        (str(each.value) for each in subject.get_attributes_for_oid(NameOID.COMMON_NAME)), subject.rfc4514_string()
    )


def _value(group: Any, name: str) -> bytes:
    return bytes(group.values[name].value) if name in group.values else b""
