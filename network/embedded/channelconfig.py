# SPDX-License-Identifier: Apache-2.0
"""A channel's configuration as the node uses it: organisations, policies by path, access rules, batch sizes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fabric_protos.common import common_pb2, configtx_pb2, configuration_pb2, policies_pb2
from fabric_protos.msp import msp_config_pb2
from fabric_protos.orderer import configuration_pb2 as orderer_pb2
from fabric_protos.peer import configuration_pb2 as peer_pb2
from google.protobuf.message import DecodeError

from network.embedded.genesis import genesis_block
from network.embedded.identity import Identity, Msp, Msps
from network.embedded.policy import (
    ImplicitMetaPolicy,
    Policy,
    PolicyNotSatisfied,
    SignaturePolicy,
    SignedData,
)

__all__ = [
    "AccessDenied",
    "Batching",
    "Capabilities",
    "ChannelConfig",
    "MalformedConfig",
    "genesis_block",
]

_APPLICATION = "/Channel/Application/"
_READERS = f"{_APPLICATION}Readers"
_WRITERS = f"{_APPLICATION}Writers"
_DEFAULT_ACLS: Mapping[str, str] = {
    "peer/Propose": _WRITERS,
    "peer/ChaincodeToChaincode": _WRITERS,
    "_lifecycle/CommitChaincodeDefinition": _WRITERS,
    "_lifecycle/QueryChaincodeDefinition": _WRITERS,
    "_lifecycle/QueryChaincodeDefinitions": _WRITERS,
    "_lifecycle/CheckCommitReadiness": _WRITERS,
    "qscc/GetChainInfo": _READERS,
    "qscc/GetBlockByNumber": _READERS,
    "qscc/GetBlockByHash": _READERS,
    "qscc/GetTransactionByID": _READERS,
    "qscc/GetBlockByTxID": _READERS,
    "cscc/GetConfigBlock": _READERS,
    "cscc/GetChannelConfig": _READERS,
    "event/Block": _READERS,
    "event/FilteredBlock": _READERS,
    "gateway/CommitStatus": _READERS,
    "gateway/ChaincodeEvents": _READERS,
}
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|us|µs|ns|s|m|h)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_LONGEST_S = (2**63 - 1) / 1e9
"""What Go's `time.Duration` holds."""
_DEEPEST = 16


class MalformedConfig(ValueError):
    """Refuses a channel configuration; the message names the group or value."""


class AccessDenied(Exception):
    """The signer may not use a resource; the text is that of rule P-27."""


@dataclass(frozen=True, slots=True)
class Batching:
    """When the orderer cuts a block: seconds, messages and bytes (O-8 to O-11)."""

    timeout_s: float
    max_count: int
    absolute_max: int
    preferred_max: int


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Capability names that the channel, its ordering service and its applications require."""

    channel: frozenset[str]
    orderer: frozenset[str]
    application: frozenset[str]


class ChannelConfig:
    """One configuration of one channel, compiled; a new configuration makes a new object."""

    def __init__(self, channel_id: str, envelope: configtx_pb2.ConfigEnvelope) -> None:
        """Compile `envelope`; raises `MalformedConfig`."""
        self.channel_id = channel_id
        self.envelope = envelope
        root = envelope.config.channel_group
        self.sequence: int = envelope.config.sequence
        try:
            self.msps = Msps(_msps(root))
            self._policies: dict[str, Policy] = {}
            _compile(root, "/Channel", self.msps, self._policies, 0)
            application, orderer = root.groups.get("Application"), root.groups.get("Orderer")
            self.capabilities = Capabilities(_capabilities(root), _capabilities(orderer), _capabilities(application))
            self.batch = _batching(orderer)
            self.application_orgs: Mapping[str, str] = _msp_ids(application)
            """MSP ids of the application's organisations by the names of their groups."""
            self._acls = _acls(application)
            self.orderer_addresses: tuple[str, ...] = _orderer_addresses(root, orderer)
        except DecodeError as error:
            raise MalformedConfig("a value of the channel configuration cannot be decoded") from error
        except (
            Exception
        ) as error:  # whatever members wrote: what cannot be compiled is refused, and raises nothing else
            raise MalformedConfig(str(error) or type(error).__name__) from error

    @classmethod
    def from_block(cls, block: common_pb2.Block) -> "ChannelConfig":
        """Compile the configuration in a config block; raises `MalformedConfig`."""
        try:
            envelope = common_pb2.Envelope.FromString(block.data.data[0])
            payload = common_pb2.Payload.FromString(envelope.payload)
            header = common_pb2.ChannelHeader.FromString(payload.header.channel_header)
            if header.type != common_pb2.HeaderType.CONFIG:
                raise MalformedConfig("the block's first transaction is not a configuration")
            return cls(header.channel_id, configtx_pb2.ConfigEnvelope.FromString(payload.data))
        except (DecodeError, IndexError) as error:
            raise MalformedConfig("the block holds no configuration") from error

    @staticmethod
    def msp_config_of(group: configtx_pb2.ConfigGroup) -> msp_config_pb2.FabricMSPConfig:
        """The MSP in an organisation's group; raises `MalformedConfig` or `DecodeError`."""
        return _fabric_msp(group)

    @staticmethod
    def msp_id_of(group: configtx_pb2.ConfigGroup) -> str:
        """The MSP id of an organisation's group; raises `MalformedConfig` or `DecodeError`."""
        return str(_fabric_msp(group).name)

    def policy(self, path: str) -> Policy:
        """The policy at a path such as `/Channel/Application/Writers`; raises `KeyError`."""
        return self._policies[path]

    def has_policy(self, path: str) -> bool:
        """Say whether there is a policy at this path."""
        return path in self._policies

    def acl(self, resource: str) -> str:
        """The path of the policy that guards a resource (P-26); raises `KeyError` for an unknown resource."""
        return self._acls.get(resource) or _DEFAULT_ACLS[resource]

    def check_acl(self, resource: str, signed: Sequence[SignedData]) -> None:
        """Verify the signatures and apply the resource's policy; raises `AccessDenied` with the text of P-27."""
        path = self.acl(resource)
        try:
            self._required(path).evaluate(signed)
        except PolicyNotSatisfied as refusal:
            raise AccessDenied(self._refusal(resource, path, refusal)) from refusal

    def check_acl_identity(self, resource: str, identity: Identity) -> None:
        """Apply the resource's policy to a signer whose signature was verified; raises `AccessDenied`."""
        path = self.acl(resource)
        try:
            self._required(path).evaluate_identities((identity,))
        except PolicyNotSatisfied as refusal:
            raise AccessDenied(self._refusal(resource, path, refusal)) from refusal

    def _required(self, path: str) -> Policy:
        try:
            return self._policies[path]
        except KeyError:
            raise PolicyNotSatisfied(f"no such policy: '{path}'") from None

    def _refusal(self, resource: str, path: str, cause: Exception) -> str:
        if resource in self._acls:
            return f"failed evaluating policy on signed data during check policy [{path}]: [{cause}]"
        return (
            f"Failed evaluating policy on signed data during check policy on channel [{self.channel_id}] "
            f"with policy [{path}]: [{cause}]"
        )


def duration_seconds(text: str) -> float:
    """Read a duration as Go writes it, such as `1m30s` or `100ms`; raises `ValueError`."""
    parts = _DURATION_PART.findall(text)
    if not parts or "".join(amount + unit for amount, unit in parts) != text:
        raise ValueError(f"{text!r} is not a duration")
    seconds = sum(float(amount) * _SECONDS[unit] for amount, unit in parts)
    if seconds > _LONGEST_S:
        raise ValueError(f"{text!r} is longer than a duration can be")
    return seconds


def _compile(
    group: configtx_pb2.ConfigGroup, path: str, msps: Msps, into: dict[str, Policy], depth: int
) -> dict[str, Policy]:
    """Compile a group's policies after those of the groups below, which implicit meta policies refer to."""
    if depth > _DEEPEST:
        raise MalformedConfig(f"{path} is nested too deeply")
    below = [_compile(group.groups[name], f"{path}/{name}", msps, into, depth + 1) for name in sorted(group.groups)]
    own: dict[str, Policy] = {}
    for name in sorted(group.policies):
        policy = group.policies[name].policy
        try:
            if policy.type == policies_pb2.Policy.SIGNATURE:
                own[name] = SignaturePolicy(policies_pb2.SignaturePolicyEnvelope.FromString(policy.value), msps)
            elif policy.type == policies_pb2.Policy.IMPLICIT_META:
                meta = policies_pb2.ImplicitMetaPolicy.FromString(policy.value)
                own[name] = ImplicitMetaPolicy(
                    meta.rule, meta.sub_policy, [lower.get(meta.sub_policy) for lower in below], msps
                )
            else:
                raise MalformedConfig(f"{path}/{name} has the unknown policy type {policy.type}")
        except (DecodeError, ValueError) as error:
            raise MalformedConfig(f"{path}/{name}: {error}") from error
    into.update((f"{path}/{name}", policy) for name, policy in own.items())
    return own


def _msps(root: configtx_pb2.ConfigGroup) -> list[Msp]:
    found: dict[str, Msp] = {}
    for section in ("Application", "Orderer"):
        for name in sorted(root.groups[section].groups) if section in root.groups else ():
            group = root.groups[section].groups[name]
            if "MSP" in group.values:
                msp = Msp(_fabric_msp(group))
                if msp.msp_id in found and found[msp.msp_id].config != msp.config:
                    raise MalformedConfig(f"{msp.msp_id} is defined twice, differently")
                found[msp.msp_id] = msp
    return list(found.values())


def _fabric_msp(group: configtx_pb2.ConfigGroup) -> msp_config_pb2.FabricMSPConfig:
    wrapped = msp_config_pb2.MSPConfig.FromString(group.values["MSP"].value)
    if wrapped.type != 0:
        raise MalformedConfig(f"MSP type {wrapped.type} is not supported, only X.509")
    return msp_config_pb2.FabricMSPConfig.FromString(wrapped.config)


def _msp_ids(application: configtx_pb2.ConfigGroup | None) -> Mapping[str, str]:
    if application is None:
        return {}
    named = {name: application.groups[name] for name in sorted(application.groups)}
    return {name: _fabric_msp(group).name for name, group in named.items() if "MSP" in group.values}


def _acls(application: configtx_pb2.ConfigGroup | None) -> Mapping[str, str]:
    if application is None or "ACLs" not in application.values:
        return {}
    acls = peer_pb2.ACLs.FromString(application.values["ACLs"].value).acls
    return {
        resource: reference.policy_ref if reference.policy_ref.startswith("/") else _APPLICATION + reference.policy_ref
        for resource, reference in acls.items()
        if resource in _DEFAULT_ACLS and reference.policy_ref  # others are the peer's own business (P-26)
    }


def _capabilities(group: configtx_pb2.ConfigGroup | None) -> frozenset[str]:
    if group is None or "Capabilities" not in group.values:
        return frozenset()
    return frozenset(configuration_pb2.Capabilities.FromString(group.values["Capabilities"].value).capabilities)


def _batching(orderer: configtx_pb2.ConfigGroup | None) -> Batching:
    if orderer is None or not {"BatchSize", "BatchTimeout"} <= set(orderer.values):
        raise MalformedConfig("the Orderer group has no BatchSize or no BatchTimeout")
    sizes = orderer_pb2.BatchSize.FromString(orderer.values["BatchSize"].value)
    timeout = orderer_pb2.BatchTimeout.FromString(orderer.values["BatchTimeout"].value).timeout
    return Batching(
        duration_seconds(timeout), sizes.max_message_count, sizes.absolute_max_bytes, sizes.preferred_max_bytes
    )


def _orderer_addresses(root: configtx_pb2.ConfigGroup, orderer: configtx_pb2.ConfigGroup | None) -> tuple[str, ...]:
    values = [root.values["OrdererAddresses"]] if "OrdererAddresses" in root.values else []
    if orderer is not None:
        groups = [orderer.groups[name] for name in sorted(orderer.groups)]
        values += [group.values["Endpoints"] for group in groups if "Endpoints" in group.values]
    addresses = [configuration_pb2.OrdererAddresses.FromString(value.value).addresses for value in values]
    return tuple(address for listed in addresses for address in listed)
