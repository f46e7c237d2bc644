# SPDX-License-Identifier: Apache-2.0
"""Configuration updates judged and applied as Fabric's orderers and peers do.

An update names in its read set what it was made from and in its write set what shall be. It is accepted when

1. it is for this channel, and everything in its read set has the version it names;
2. at least one element of its write set differs in version from the read set, each such element is new (version 0) or
   exactly one version ahead, and the policy that guards the present element is satisfied by the update's signatures;
3. every element of the write set has its place in the result;
4. the result is a configuration that the channel can run on, and may follow the present one (`configrules`).

The result carries the update itself, so that everybody who commits it makes the same judgement again.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fabric_protos.common import common_pb2, configtx_pb2
from google.protobuf.message import DecodeError

from network.embedded.blocks import BlockSigner
from network.embedded.channelconfig import ChannelConfig
from network.embedded.configrules import check_succession
from network.embedded.configtree import Element, MalformedTree, check_name, flatten, rebuild
from network.embedded.policy import PolicyNotSatisfied, SignedData

__all__ = ["UpdateRefused", "check_orderer", "committed_config", "config_envelope", "propose", "successor", "update_in"]


class UpdateRefused(ValueError):
    """The update cannot be applied to the channel's configuration; the text is Fabric's."""


def propose(config: ChannelConfig, envelope: common_pb2.Envelope) -> tuple[configtx_pb2.ConfigEnvelope, ChannelConfig]:
    """The configuration that follows from a CONFIG_UPDATE envelope, and its compiled form; raises `UpdateRefused`."""
    proposed = _proposed(config, envelope)
    return proposed, _compiled(config, proposed)


def successor(config: ChannelConfig, envelope: configtx_pb2.ConfigEnvelope) -> ChannelConfig:
    """Judge a committed configuration by the update that it carries; raises `UpdateRefused`."""
    if envelope.config.sequence != config.sequence + 1:
        raise UpdateRefused(
            f"config currently at sequence {config.sequence}, "
            f"cannot validate config at sequence {envelope.config.sequence}"
        )
    if _proposed(config, envelope.last_update).config != envelope.config:
        raise UpdateRefused("ConfigEnvelope LastUpdate did not produce the supplied config result")
    return _compiled(config, envelope)


def committed_config(config: ChannelConfig, signed: common_pb2.Envelope) -> ChannelConfig:
    """The configuration in a CONFIG envelope, judged from its bytes as every committer does; raises `UpdateRefused`."""
    try:
        data = common_pb2.Payload.FromString(signed.payload).data
        return successor(config, configtx_pb2.ConfigEnvelope.FromString(data))
    except DecodeError as error:
        raise UpdateRefused(f"the configuration cannot be read again: {error}") from error


def check_orderer(following: ChannelConfig, signed: common_pb2.Envelope) -> None:
    """Refuse a configuration under which the orderer that signed could sign no block any more.

    With several orderers the others would go on; here there is one, and the channel would end.
    """
    payload = common_pb2.Payload.FromString(signed.payload)
    creator = common_pb2.SignatureHeader.FromString(payload.header.signature_header).creator
    try:
        data = SignedData(signed.payload, creator, signed.signature)
        following.policy("/Channel/Orderer/BlockValidation").evaluate([data])
    except (KeyError, PolicyNotSatisfied) as error:
        raise UpdateRefused("the orderer could sign no further block under this configuration") from error


def config_envelope(
    channel_id: str, proposed: configtx_pb2.ConfigEnvelope, signer: BlockSigner, nonce: bytes, at: datetime
) -> common_pb2.Envelope:
    """The CONFIG transaction that the orderer makes of an accepted update; as in Fabric it has no id."""
    header = common_pb2.ChannelHeader(type=common_pb2.HeaderType.CONFIG, channel_id=channel_id)
    header.timestamp.FromDatetime(at)
    signature = common_pb2.SignatureHeader(creator=signer.serialized, nonce=nonce)
    payload = common_pb2.Payload(
        header=common_pb2.Header(
            channel_header=header.SerializeToString(), signature_header=signature.SerializeToString()
        ),
        data=proposed.SerializeToString(deterministic=True),
    ).SerializeToString()
    return common_pb2.Envelope(payload=payload, signature=signer.sign(payload))


def update_in(envelope: common_pb2.Envelope) -> configtx_pb2.ConfigUpdateEnvelope:
    """The signed update in a CONFIG_UPDATE envelope; raises `UpdateRefused`."""
    problem = "error converting envelope to config update"
    try:
        payload = common_pb2.Payload.FromString(envelope.payload)
        header = common_pb2.ChannelHeader.FromString(payload.header.channel_header)
        if header.type != common_pb2.HeaderType.CONFIG_UPDATE:
            raise UpdateRefused(f"{problem}: invalid type {header.type}, expected CONFIG_UPDATE")
        return configtx_pb2.ConfigUpdateEnvelope.FromString(payload.data)
    except DecodeError as error:
        raise UpdateRefused(f"{problem}: {error}") from error


def _proposed(config: ChannelConfig, envelope: common_pb2.Envelope) -> configtx_pb2.ConfigEnvelope:
    signed = update_in(envelope)
    try:
        elements = _authorised(config, signed)
        root = rebuild(elements)
    except (MalformedTree, UpdateRefused) as error:
        raise UpdateRefused(f"error authorizing update: {error}") from error
    following = configtx_pb2.Config(sequence=config.sequence + 1, channel_group=root)
    return configtx_pb2.ConfigEnvelope(config=following, last_update=envelope)


def _compiled(config: ChannelConfig, proposed: configtx_pb2.ConfigEnvelope) -> ChannelConfig:
    try:
        compiled = ChannelConfig(config.channel_id, proposed)
        check_succession(config, compiled)
    except Exception as error:  # whatever a member wrote: an update is accepted or refused, and raises nothing else
        raise UpdateRefused(str(error) or type(error).__name__) from error
    return compiled


def _authorised(config: ChannelConfig, signed: configtx_pb2.ConfigUpdateEnvelope) -> dict[str, Element]:
    """Every element of the resulting configuration (obligations 1 to 3)."""
    try:
        update = configtx_pb2.ConfigUpdate.FromString(signed.config_update)
    except DecodeError as error:
        raise UpdateRefused(str(error)) from error
    if update.channel_id != config.channel_id:
        raise UpdateRefused(
            f"ConfigUpdate for channel '{update.channel_id}' but envelope for channel '{config.channel_id}'"
        )
    present = flatten(config.envelope.config.channel_group)
    read = flatten(update.read_set) if update.HasField("read_set") else {}
    _check_read(read, present)
    written = flatten(update.write_set) if update.HasField("write_set") else {}
    changed = {
        key: element for key, element in written.items() if key not in read or read[key].version != element.version
    }
    try:
        _check_changes(config, changed, present, _signatures(signed))
    except (UpdateRefused, MalformedTree) as error:
        raise UpdateRefused(f"error validating DeltaSet: {error}") from error
    result = present | changed
    for key in written:
        if key not in result:
            raise UpdateRefused(
                f"full config did not verify: writeset contained key {key} which did not appear in proposed config"
            )
    return result


def _check_read(read: Mapping[str, Element], present: Mapping[str, Element]) -> None:
    for key, element in read.items():
        if key not in present:
            problem = f"existing config does not contain element for {key} but was in the read set"
        elif present[key].version != element.version:
            problem = (
                f"proposed update requires that key {key} be at version {element.version}, "
                f"but it is currently at version {present[key].version}"
            )
        else:
            continue
        raise UpdateRefused(f"error validating ReadSet: {problem}")


def _check_changes(
    config: ChannelConfig, changed: Mapping[str, Element], present: Mapping[str, Element], signed: list[SignedData]
) -> None:
    if not changed:
        raise UpdateRefused("delta set was empty -- update would have no effect")
    for key, element in changed.items():
        _check_mod_policy(key, element.mod_policy)
        existing = present.get(key)
        if existing is None:
            if element.version != 0:
                raise UpdateRefused(f"attempted to set key {key} to version {element.version}, but key does not exist")
        elif element.version != existing.version + 1:
            raise UpdateRefused(
                f"attempt to set key {key} to version {element.version}, but key is at version {existing.version}"
            )
        else:
            _check_policy(config, existing, signed)


def _check_mod_policy(key: str, policy: str) -> None:
    if not policy:
        raise UpdateRefused(f"invalid mod_policy for element {key}: mod_policy not set")
    for position, part in enumerate(policy.removeprefix("/").split("/")):
        try:
            check_name(part)
        except MalformedTree as error:
            raise UpdateRefused(
                f"invalid mod_policy for element {key}: path element at {position} is invalid: {error}"
            ) from error


def _check_policy(config: ChannelConfig, existing: Element, signed: list[SignedData]) -> None:
    group = (*existing.path, existing.name) if existing.is_group else existing.path
    path = existing.mod_policy if existing.mod_policy.startswith("/") else "/".join(("", *group, existing.mod_policy))
    if not config.has_policy(path):
        raise UpdateRefused(f"unexpected missing policy {existing.mod_policy} for item {existing.key}")
    try:
        config.policy(path).evaluate(signed)
    except PolicyNotSatisfied as error:
        raise UpdateRefused(f"policy for {existing.key} not satisfied: {error}") from error


def _signatures(signed: configtx_pb2.ConfigUpdateEnvelope) -> list[SignedData]:
    found = []
    for entry in signed.signatures:
        try:
            header: Any = common_pb2.SignatureHeader.FromString(entry.signature_header)
        except DecodeError as error:
            raise UpdateRefused(f"a signature's header cannot be decoded: {error}") from error
        found.append(SignedData(entry.signature_header + signed.config_update, header.creator, entry.signature))
    return found
