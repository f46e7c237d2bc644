# SPDX-License-Identifier: Apache-2.0
"""Signed updates as files, in Fabric's own format: `peer channel signconfigtx` and `peer channel update` take them.

An update travels as a CONFIG_UPDATE envelope. Every organisation adds its signature to it on its own host; the one
that submits it signs the envelope as a whole, which shows the right to write and is not an approval.
"""

import secrets

from fabric_protos.common import common_pb2, configtx_pb2
from fabric_protos.msp import identities_pb2
from google.protobuf.message import DecodeError

from network.config.errors import ConfigError
from network.embedded.configtree import MalformedTree, flatten
from network.embedded.identity import Signer

__all__ = ["approve", "changes", "read", "sealed", "signers", "unsigned"]

_NONCE_BYTES = 24


def unsigned(update: configtx_pb2.ConfigUpdate) -> common_pb2.Envelope:
    """An update that nobody has signed yet."""
    signed = configtx_pb2.ConfigUpdateEnvelope(config_update=update.SerializeToString(deterministic=True))
    return _envelope(update.channel_id, signed)


def read(raw: bytes) -> tuple[common_pb2.Envelope, configtx_pb2.ConfigUpdate]:
    """An update from a file, and what it changes; raises `ConfigError`."""
    try:
        envelope = common_pb2.Envelope.FromString(raw)
        signed, channel_id = _opened(envelope)
        update = configtx_pb2.ConfigUpdate.FromString(signed.config_update)
    except DecodeError as error:
        raise ConfigError("the file holds no configuration update") from error
    if not update.channel_id or update.channel_id != channel_id:
        raise ConfigError("the file holds no configuration update")
    return envelope, update


def approve(envelope: common_pb2.Envelope, signer: Signer) -> common_pb2.Envelope:
    """Add an organisation's approval; one that this very identity gave before is kept as it is."""
    signed, channel_id = _opened(envelope)
    if signer.serialized not in _creators(signed):
        header = common_pb2.SignatureHeader(
            creator=signer.serialized, nonce=secrets.token_bytes(_NONCE_BYTES)
        ).SerializeToString()
        signed.signatures.add(signature_header=header, signature=signer.sign(header + signed.config_update))
    return _envelope(channel_id, signed)


def sealed(envelope: common_pb2.Envelope, signer: Signer) -> common_pb2.Envelope:
    """The update as it is submitted, signed as a whole by an identity that may write to the channel."""
    signed, channel_id = _opened(envelope)
    return _envelope(channel_id, signed, signer)


def signers(envelope: common_pb2.Envelope) -> list[str]:
    """MSP ids of those who say that they approved, in order; whether it is true the ordering service finds out."""
    signed, _ = _opened(envelope)
    return [identities_pb2.SerializedIdentity.FromString(creator).mspid for creator in _creators(signed)]


def changes(update: configtx_pb2.ConfigUpdate) -> list[str]:
    """What an update does, one line for each element: read it before signing; raises `ConfigError`."""
    try:
        read_set = flatten(update.read_set)
        write_set = flatten(update.write_set)
    except MalformedTree as error:
        raise ConfigError(f"the update is malformed: {error}") from error
    lines = []
    for key, element in write_set.items():
        present = read_set.get(key)
        if present is not None and present.version == element.version:
            continue
        place = " ".join(key.split())
        if element.version == 0 and present is None:
            lines.append(f"adds {place}")
        elif element.is_group:
            # An update does not say what it takes away, only what is there afterwards.
            members = [*sorted(element.message.groups), *sorted(element.message.values)]
            lines.append(f"leaves in {place} {', '.join(members) or 'nothing'}")
        else:
            lines.append(f"changes {place} to version {element.version}")
    return lines


def _opened(envelope: common_pb2.Envelope) -> tuple[configtx_pb2.ConfigUpdateEnvelope, str]:
    payload = common_pb2.Payload.FromString(envelope.payload)
    header = common_pb2.ChannelHeader.FromString(payload.header.channel_header)
    if header.type != common_pb2.HeaderType.CONFIG_UPDATE:
        raise ConfigError("the file holds no configuration update")
    return configtx_pb2.ConfigUpdateEnvelope.FromString(payload.data), str(header.channel_id)


def _creators(signed: configtx_pb2.ConfigUpdateEnvelope) -> list[bytes]:
    return [common_pb2.SignatureHeader.FromString(each.signature_header).creator for each in signed.signatures]


def _envelope(
    channel_id: str, signed: configtx_pb2.ConfigUpdateEnvelope, signer: Signer | None = None
) -> common_pb2.Envelope:
    header = common_pb2.ChannelHeader(type=common_pb2.HeaderType.CONFIG_UPDATE, channel_id=channel_id)
    header.timestamp.GetCurrentTime()
    signature = common_pb2.SignatureHeader()
    if signer is not None:
        signature.creator, signature.nonce = signer.serialized, secrets.token_bytes(_NONCE_BYTES)
    payload = common_pb2.Payload(
        header=common_pb2.Header(
            channel_header=header.SerializeToString(), signature_header=signature.SerializeToString()
        ),
        data=signed.SerializeToString(),
    ).SerializeToString()
    return common_pb2.Envelope(payload=payload, signature=b"" if signer is None else signer.sign(payload))
