# SPDX-License-Identifier: Apache-2.0
"""The changes that a consortium makes: each takes a configuration and answers a changed copy.

None of them touches versions; these are the business of `compute_update`. A change that is made already answers an
equal configuration, so that a repetition finds nothing to do.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from cryptography import x509
from fabric_protos.common import configtx_pb2, configuration_pb2
from fabric_protos.msp import msp_config_pb2
from fabric_protos.orderer import configuration_pb2 as orderer_pb2
from fabric_protos.orderer.etcdraft import configuration_pb2 as raft_pb2

from network.config.errors import ConfigError
from network.config.groups import add_anchors, add_value
from network.config.revocation import check_list, public_list
from network.topology import Batch, Endpoint

__all__ = [
    "add_consenter",
    "add_organisation",
    "consenters",
    "members",
    "msp_of",
    "remove_consenter",
    "remove_organisation",
    "replace_consenter_certificate",
    "revocation_lists",
    "revoke",
    "set_anchors",
    "set_batch",
    "set_tls_roots",
]

_SECTIONS = ("Application", "Orderer")
_RAFT = "etcdraft"
_BFT = "BFT"


def members(config: configtx_pb2.Config) -> dict[str, str]:
    """MSP ids of the channel's member organisations by the names of their groups."""
    groups = config.channel_group.groups["Application"].groups if "Application" in config.channel_group.groups else {}
    return {name: msp_of(groups[name]).name for name in sorted(groups)}


def msp_of(group: configtx_pb2.ConfigGroup) -> msp_config_pb2.FabricMSPConfig:
    """The membership rules in an organisation's group; raises `ConfigError` when it has none."""
    if "MSP" not in group.values:
        raise ConfigError("the organisation's group in the configuration has no MSP")
    wrapped = msp_config_pb2.MSPConfig.FromString(group.values["MSP"].value)
    return msp_config_pb2.FabricMSPConfig.FromString(wrapped.config)


def add_organisation(config: configtx_pb2.Config, group: configtx_pb2.ConfigGroup) -> configtx_pb2.Config:
    """Make an organisation (`groups.peer_organisation`) a member; raises `ConfigError` when its id is taken."""
    updated = _copy(config)
    msp = msp_of(group)
    for present in _organisations(updated, msp.name):
        if msp_of(present).root_certs != msp.root_certs:
            raise ConfigError(f"{msp.name} is in the channel already, with other root certificates")
        return updated
    updated.channel_group.groups["Application"].groups[msp.name].CopyFrom(group)
    return updated


def remove_organisation(config: configtx_pb2.Config, msp_id: str) -> configtx_pb2.Config:
    """Take a member out of the channel; raises `ConfigError` for the last one."""
    updated = _copy(config)
    application = updated.channel_group.groups["Application"]
    for name in [name for name, known in members(updated).items() if known == msp_id]:
        if len(application.groups) == 1:
            raise ConfigError(f"{msp_id} is the channel's last member")
        del application.groups[name]
    return updated


def set_anchors(config: configtx_pb2.Config, msp_id: str, anchors: Iterable[Endpoint]) -> configtx_pb2.Config:
    """Replace a member's anchor peers; raises `ConfigError` for a stranger."""
    updated = _copy(config)
    add_anchors(_member(updated, msp_id), anchors)
    return updated


def set_batch(config: configtx_pb2.Config, batch: Batch) -> configtx_pb2.Config:
    """Replace when the ordering service cuts a block; `idle_cut_ms` is not part of a channel's configuration."""
    updated = _copy(config)
    orderer = updated.channel_group.groups["Orderer"]
    sizes = orderer_pb2.BatchSize(
        max_message_count=batch.max_messages,
        absolute_max_bytes=batch.absolute_max_bytes,
        preferred_max_bytes=batch.preferred_max_bytes,
    )
    add_value(orderer, "BatchSize", sizes)
    add_value(orderer, "BatchTimeout", orderer_pb2.BatchTimeout(timeout=batch.timeout_text))
    return updated


def revoke(config: configtx_pb2.Config, msp_id: str, lists: Sequence[bytes]) -> configtx_pb2.Config:
    """Put revocation lists (PEM) into an organisation's MSP.

    A list replaces an earlier one of the same issuer. Raises `ConfigError` for a list that Fabric would take and not
    act on, or act on too much (`revocation`).
    """

    def change(msp: msp_config_pb2.FabricMSPConfig) -> None:
        authorities = [x509.load_pem_x509_certificate(pem) for pem in (*msp.root_certs, *msp.intermediate_certs)]
        for pem in lists:
            issuer = check_list(pem, authorities)
            kept = [each for each in msp.revocation_list if x509.load_pem_x509_crl(each).issuer != issuer]
            del msp.revocation_list[:]
            msp.revocation_list.extend([*kept, public_list(pem)])

    return _with_msp(config, msp_id, change)


def revocation_lists(config: configtx_pb2.Config, msp_id: str) -> list[bytes]:
    """The revocation lists (PEM) in an organisation's MSP; raises `ConfigError` for a stranger."""
    for group in _organisations(config, msp_id):
        return list(msp_of(group).revocation_list)
    raise ConfigError(f"no organisation of the channel has the MSP id {msp_id}")


def set_tls_roots(config: configtx_pb2.Config, msp_id: str, roots: Sequence[bytes]) -> configtx_pb2.Config:
    """Replace an organisation's TLS root certificates (PEM); while certificates are exchanged name old and new."""
    if not roots:
        raise ConfigError(f"{msp_id} needs at least one TLS root certificate")

    def change(msp: msp_config_pb2.FabricMSPConfig) -> None:
        del msp.tls_root_certs[:]
        msp.tls_root_certs.extend(roots)

    return _with_msp(config, msp_id, change)


# -- orderers ----------------------------------------------------------------------------------------------------------


def consenters(config: configtx_pb2.Config) -> list[Endpoint]:
    """Where the channel's consenters are; none on the embedded network, whose ordering has one node."""
    consensus = _consensus(config).type
    listed: Iterable[Any] = ()
    if consensus == _RAFT:
        listed = _raft(config).consenters
    elif consensus == _BFT:
        listed = _bft(config).consenter_mapping
    return [Endpoint(each.host, each.port) for each in listed]


def add_consenter(
    config: configtx_pb2.Config, msp_id: str, address: Endpoint, certificate: bytes
) -> configtx_pb2.Config:
    """Make an orderer that follows the channel a consenter, and name its address to the peers.

    `certificate` is its TLS certificate in PEM. Raft takes one new consenter at a time.
    """

    def change(metadata: raft_pb2.ConfigMetadata) -> None:
        for present in metadata.consenters:
            if (present.host, present.port) == (address.host, address.port):
                if present.server_tls_cert != certificate:
                    raise ConfigError(f"{address} is a consenter already, with another TLS certificate")
                return
        metadata.consenters.add(
            host=address.host, port=address.port, client_tls_cert=certificate, server_tls_cert=certificate
        )

    updated = _with_raft(config, change)
    _change_endpoints(
        updated, msp_id, lambda listed: [*(each for each in listed if each != str(address)), str(address)]
    )
    return updated


def remove_consenter(config: configtx_pb2.Config, msp_id: str, address: Endpoint) -> configtx_pb2.Config:
    """Take an orderer out of the consenter set and out of the addresses; raises `ConfigError` for the last."""

    def change(metadata: raft_pb2.ConfigMetadata) -> None:
        left = [each for each in metadata.consenters if (each.host, each.port) != (address.host, address.port)]
        if not left:
            raise ConfigError(f"{address} is the channel's last consenter")
        del metadata.consenters[:]
        metadata.consenters.extend(left)

    updated = _with_raft(config, change)
    _change_endpoints(updated, msp_id, lambda listed: [each for each in listed if each != str(address)])
    return updated


def replace_consenter_certificate(
    config: configtx_pb2.Config, address: Endpoint, certificate: bytes
) -> configtx_pb2.Config:
    """Exchange a consenter's TLS certificate (PEM); one consenter at a time, each restarted before the next."""
    if _consensus(config).type == _BFT:
        return _with_bft_certificate(config, address, certificate)
    return _with_raft(config, lambda metadata: _replace_certificate(metadata.consenters, address, certificate))


def _with_bft_certificate(config: configtx_pb2.Config, address: Endpoint, certificate: bytes) -> configtx_pb2.Config:
    """SmartBFT's consenters have a value of their own, in which they stand with their signing identities too."""
    updated = _copy(config)
    orderer, listed = updated.channel_group.groups["Orderer"], _bft(updated)
    before = listed.SerializeToString(deterministic=True)
    _replace_certificate(listed.consenter_mapping, address, certificate)
    if listed.SerializeToString(deterministic=True) != before:  # else the bytes stay as they are
        add_value(orderer, "Orderers", listed)
    return updated


def _replace_certificate(listed: Iterable[Any], address: Endpoint, certificate: bytes) -> None:
    found = next((each for each in listed if (each.host, each.port) == (address.host, address.port)), None)
    if found is None:
        raise ConfigError(f"{address} is not a consenter of the channel")
    found.client_tls_cert = found.server_tls_cert = certificate


def _consensus(config: configtx_pb2.Config) -> orderer_pb2.ConsensusType:
    orderer = config.channel_group.groups["Orderer"]
    return orderer_pb2.ConsensusType.FromString(orderer.values["ConsensusType"].value)


def _bft(config: configtx_pb2.Config) -> configuration_pb2.Orderers:
    return configuration_pb2.Orderers.FromString(config.channel_group.groups["Orderer"].values["Orderers"].value)


def _raft(config: configtx_pb2.Config) -> raft_pb2.ConfigMetadata:
    consensus = _consensus(config)
    if consensus.type != _RAFT:
        raise ConfigError(
            f"the channel's consensus is {consensus.type}; consenters are changed one by one for Raft only"
        )
    return raft_pb2.ConfigMetadata.FromString(consensus.metadata)


def _with_raft(config: configtx_pb2.Config, change: Callable[[raft_pb2.ConfigMetadata], None]) -> configtx_pb2.Config:
    updated, metadata = _copy(config), _raft(config)
    change(metadata)
    value = updated.channel_group.groups["Orderer"].values["ConsensusType"]
    consensus = orderer_pb2.ConsensusType.FromString(value.value)
    if raft_pb2.ConfigMetadata.FromString(consensus.metadata) != metadata:  # else the bytes stay as they are
        consensus.metadata = metadata.SerializeToString()
        value.value = consensus.SerializeToString()
    return updated


def _change_endpoints(config: configtx_pb2.Config, msp_id: str, change: Callable[[list[str]], list[str]]) -> None:
    orderer = config.channel_group.groups["Orderer"]
    for group in orderer.groups.values():
        if msp_of(group).name == msp_id:
            value = group.values["Endpoints"]
            addresses = list(configuration_pb2.OrdererAddresses.FromString(value.value).addresses)
            wanted = change(addresses)
            if wanted != addresses:
                add_value(group, "Endpoints", configuration_pb2.OrdererAddresses(addresses=wanted))
            return
    raise ConfigError(f"{msp_id} orders nothing in this channel")


# -- helpers -----------------------------------------------------------------------------------------------------------


def _copy(config: configtx_pb2.Config) -> configtx_pb2.Config:
    copied = configtx_pb2.Config()
    copied.CopyFrom(config)
    return copied


def _organisations(config: configtx_pb2.Config, msp_id: str) -> list[Any]:
    """Every group of an organisation: it may order and be a member."""
    root = config.channel_group
    groups = [
        group for section in _SECTIONS if section in root.groups for group in root.groups[section].groups.values()
    ]
    return [group for group in groups if msp_of(group).name == msp_id]


def _member(config: configtx_pb2.Config, msp_id: str) -> Any:
    for name, known in members(config).items():
        if known == msp_id:
            return config.channel_group.groups["Application"].groups[name]
    raise ConfigError(f"{msp_id} is not a member of the channel; members are {', '.join(members(config).values())}")


def _with_msp(
    config: configtx_pb2.Config, msp_id: str, change: Callable[[msp_config_pb2.FabricMSPConfig], None]
) -> configtx_pb2.Config:
    """Change an organisation's MSP wherever it stands: two forms of one MSP make a configuration invalid."""
    updated = _copy(config)
    groups = _organisations(updated, msp_id)
    if not groups:
        raise ConfigError(f"no organisation of the channel has the MSP id {msp_id}")
    for group in groups:
        msp = msp_of(group)
        change(msp)
        if msp != msp_of(group):
            add_value(group, "MSP", msp_config_pb2.MSPConfig(type=0, config=msp.SerializeToString()))
    return updated
