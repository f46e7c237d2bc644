# SPDX-License-Identifier: Apache-2.0
"""Which configuration may follow which: the checks that Fabric makes on a new bundle before it is ordered.

`ChannelConfig` has already compiled both: organisations, policies and batch sizes are known to be well formed.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from fabric_protos.common import configuration_pb2
from fabric_protos.orderer import configuration_pb2 as orderer_pb2
from fabric_protos.orderer.etcdraft import configuration_pb2 as raft_pb2
from google.protobuf.message import DecodeError

from network.embedded.certificates import Certificate, issued_by, load_certificate
from network.embedded.channelconfig import ChannelConfig, MalformedConfig, duration_seconds
from network.embedded.mspsetup import check_setup

__all__ = ["check_succession"]

_CHANNEL_CAPABILITIES = frozenset({"V1_1", "V1_3", "V1_4_2", "V1_4_3", "V2_0", "V3_0"})
_ORDERER_CAPABILITIES = frozenset({"V1_1", "V1_4_2", "V2_0"})
_APPLICATION_CAPABILITIES = frozenset({"V1_1", "V1_2", "V1_3", "V1_4_2", "V2_0", "V2_5"})
_BFT_ERA = "V3_0"
_VALUES: Mapping[str, frozenset[str]] = {
    "channel": frozenset(
        {"HashingAlgorithm", "BlockDataHashingStructure", "OrdererAddresses", "Orderers", "Consortium", "Capabilities"}
    ),
    "orderer": frozenset(
        {
            "BatchSize",
            "BatchTimeout",
            "ChannelRestrictions",
            "ConsensusType",
            "Orderers",
            "Capabilities",
            "KafkaBrokers",
        }
    ),
    "application": frozenset({"ACLs", "Capabilities"}),
    "orderer organisation": frozenset({"MSP", "Endpoints"}),
    "application organisation": frozenset({"MSP", "AnchorPeers"}),
}


def check_succession(present: ChannelConfig, following: ChannelConfig) -> None:
    """Accept `following` as what comes after `present`; raises `MalformedConfig` with what is wrong."""
    old, new = present.envelope.config.channel_group, following.envelope.config.channel_group
    for section in ("Orderer", "Application"):
        if section in old.groups and section not in new.groups:
            raise MalformedConfig(f"current config has {section.lower()} section, but new config does not")
    if unknown := sorted(set(new.groups) - {"Orderer", "Application"}):
        raise MalformedConfig(f"Disallowed channel group: {unknown[0]}")
    _check_capabilities(following)
    _check_values("channel", "/Channel", new)
    _check_basics(new, following)
    for section in sorted(new.groups):
        _check_section(section, new.groups[section], old.groups[section].groups if section in old.groups else {})
    _check_batch(following)
    _check_consensus(new.groups["Orderer"], old.groups["Orderer"])


def _check_capabilities(config: ChannelConfig) -> None:
    wanted = config.capabilities
    known = (
        ("Channel", wanted.channel, _CHANNEL_CAPABILITIES),
        ("Orderer", wanted.orderer, _ORDERER_CAPABILITIES),
        ("Application", wanted.application, _APPLICATION_CAPABILITIES),
    )
    for section, names, supported in known:
        if missing := sorted(names - supported):
            raise MalformedConfig(
                f"config update is not compatible: {section} capability {missing[0]} is required but not supported"
            )


def _check_values(kind: str, path: str, group: Any) -> None:
    if unknown := sorted(set(group.values) - _VALUES[kind]):
        raise MalformedConfig(f"failed to deserialize values: {path}: Unexpected key {unknown[0]}")


def _check_basics(root: Any, config: ChannelConfig) -> None:
    hashing = configuration_pb2.HashingAlgorithm.FromString(_value(root, "HashingAlgorithm"))
    if hashing.name != "SHA256":
        raise MalformedConfig(f"Unknown hashing algorithm type: {hashing.name}")
    structure = configuration_pb2.BlockDataHashingStructure.FromString(_value(root, "BlockDataHashingStructure"))
    if structure.width != 2**32 - 1:
        raise MalformedConfig("BlockDataHashStructure width only supported at MaxUint32 in this version")
    if _BFT_ERA not in config.capabilities.channel:
        return
    if configuration_pb2.OrdererAddresses.FromString(_value(root, "OrdererAddresses")).addresses:
        raise MalformedConfig(
            "global OrdererAddresses are not allowed with V3_0 capability, use org specific addresses only"
        )
    for name, organisation in sorted(root.groups["Orderer"].groups.items()):
        if not configuration_pb2.OrdererAddresses.FromString(_value(organisation, "Endpoints")).addresses:
            raise MalformedConfig(f"some orderer organizations endpoints are empty: [{name}]")


def _check_section(section: str, new: Any, former: Mapping[str, Any]) -> None:
    kind = section.lower()
    _check_values(kind, f"/Channel/{section}", new)
    for name, organisation in sorted(new.groups.items()):
        path = f"/Channel/{section}/{name}"
        if organisation.groups:
            raise MalformedConfig(f"{path}: organizations do not support sub-groups")
        _check_values(f"{kind} organisation", path, organisation)
        if "MSP" not in organisation.values:
            raise MalformedConfig(f"{path}: MSP for org {name} has empty MSP ID")
        msp = ChannelConfig.msp_config_of(organisation)
        msp_id = msp.name
        if not msp_id:
            raise MalformedConfig(f"{path}: MSP for org {name} has empty MSP ID")
        if name in former and (was := ChannelConfig.msp_id_of(former[name])) != msp_id:
            raise MalformedConfig(f"{kind} org {name} attempted to change MSP ID from {was} to {msp_id}")
        if name not in former or ChannelConfig.msp_config_of(former[name]) != msp:
            _check_setup(path, msp)


def _check_setup(path: str, msp: Any) -> None:
    try:
        check_setup(msp)
    except ValueError as error:
        raise MalformedConfig(f"{path}: setting up the MSP failed: {error}") from error


def _check_batch(config: ChannelConfig) -> None:
    batch = config.batch
    sizes = {
        "max message count": batch.max_count,
        "absolute max bytes": batch.absolute_max,
        "preferred max bytes": batch.preferred_max,
    }
    for what, size in sizes.items():
        if size == 0:
            raise MalformedConfig(f"Attempted to set the batch size {what} to an invalid value: 0")
    if batch.preferred_max > batch.absolute_max:
        raise MalformedConfig(
            f"Attempted to set the batch size preferred max bytes ({batch.preferred_max}) greater than the absolute "
            f"max bytes ({batch.absolute_max})."
        )
    if batch.timeout_s <= 0:
        raise MalformedConfig("Attempted to set the batch timeout to a non-positive value: 0s")


# -- consensus ---------------------------------------------------------------------------------------------------------


def _check_consensus(new: Any, old: Any) -> None:
    following, present = _consensus(new), _consensus(old)
    if following.type != present.type:
        raise MalformedConfig(f"attempted to change consensus type from {present.type} to {following.type}")
    if following.type != "etcdraft" or not following.metadata:
        return
    prefix = "consensus metadata update for channel config update is invalid: "
    try:
        metadata = raft_pb2.ConfigMetadata.FromString(following.metadata)
        before = raft_pb2.ConfigMetadata.FromString(present.metadata)
    except DecodeError as error:
        raise MalformedConfig(f"{prefix}failed to unmarshal new etcdraft metadata configuration") from error
    for problem in (*_option_problems(metadata), *_consenter_problems(metadata, new), *_steps(metadata, before)):
        raise MalformedConfig(prefix + problem)


def _consensus(group: Any) -> orderer_pb2.ConsensusType:
    return orderer_pb2.ConsensusType.FromString(_value(group, "ConsensusType"))


def _value(group: Any, name: str) -> bytes:
    """A value's bytes, empty when the group has none; indexing the map itself would put an empty value there."""
    return bytes(group.values[name].value) if name in group.values else b""


def _option_problems(metadata: Any) -> Iterator[str]:
    options = metadata.options
    if 0 in (options.heartbeat_tick, options.election_tick, options.max_inflight_blocks):
        yield "none of HeartbeatTick, ElectionTick and MaxInflightBlocks can be zero"
    if options.election_tick <= options.heartbeat_tick:
        yield f"ElectionTick ({options.election_tick}) must be greater than HeartbeatTick ({options.heartbeat_tick})"
    try:
        if duration_seconds(options.tick_interval) == 0:
            yield "TickInterval cannot be zero"
    except ValueError as error:
        yield f"failed to parse TickInterval ({options.tick_interval}) to time duration: {error}"


def _consenter_problems(metadata: Any, orderer: Any) -> Iterator[str]:
    if not metadata.consenters:
        yield "empty consenter set"
    roots = _tls_authorities(orderer)
    seen: set[bytes] = set()
    for consenter in metadata.consenters:
        certificates = {consenter.client_tls_cert, consenter.server_tls_cert}
        where = f"consenter {consenter.host}:{consenter.port}"
        for pem in certificates:
            try:
                certificate = load_certificate(pem)
            except ValueError as error:
                yield f"{where} has invalid certificate: {error}"
                return
            if not any(issued_by(certificate.parsed, root.parsed) for root in roots):
                yield f"{where} has invalid certificate: no TLS root of an ordering organisation issued it"
        if certificates & seen:
            yield f"duplicate {where}"
        seen |= certificates


def _tls_authorities(orderer: Any) -> list[Certificate]:
    found = []
    for organisation in orderer.groups.values():
        config = ChannelConfig.msp_config_of(organisation)
        found += [load_certificate(pem) for pem in (*config.tls_root_certs, *config.tls_intermediate_certs)]
    return found


def _steps(metadata: Any, before: Any) -> Iterator[str]:
    """Raft changes its members one at a time: one added, one removed, or one whose certificate is replaced."""
    was = {consenter.client_tls_cert for consenter in before.consenters}
    added = [consenter for consenter in metadata.consenters if consenter.client_tls_cert not in was]
    kept = {consenter.SerializeToString(deterministic=True) for consenter in metadata.consenters}
    removed = [
        consenter for consenter in before.consenters if consenter.SerializeToString(deterministic=True) not in kept
    ]
    if len(added) > 1 or len(removed) > 1:
        yield (
            "update of more than one consenter at a time is not supported, requested changes: "
            f"add {len(added)} node(s), remove {len(removed)} node(s)"
        )
