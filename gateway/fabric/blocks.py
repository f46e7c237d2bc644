# SPDX-License-Identifier: Apache-2.0
"""Blocks and the transactions in them, decoded, and the hashes that chain them (rules O-13 to O-18)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from gateway.fabric import wire
from gateway.fabric.decoding import decode
from gateway.fabric.errors import MalformedData
from gateway.fabric.rwset import NamespaceReadWriteSet, decode_read_write_sets
from gateway.fabric.texts import said

__all__ = [
    "NOT_VALIDATED",
    "VALID",
    "Block",
    "BlockEvent",
    "Endorsement",
    "Transaction",
    "channel_config",
    "config_in",
    "data_hash",
    "decode_block",
    "decode_transaction",
    "envelope_mark",
    "header_bytes",
    "header_hash",
    "validation_code_name",
]

VALID: int = wire.transaction.VALID
NOT_VALIDATED: int = wire.transaction.NOT_VALIDATED

_FILTER = wire.common.TRANSACTIONS_FILTER
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Endorsement(NamedTuple):
    """One peer's signature over `Transaction.response_payload` followed by `endorser`."""

    endorser: bytes
    signature: bytes


class BlockEvent(NamedTuple):
    """A chaincode event as it is in a block; events of invalid transactions are there too."""

    chaincode: str
    transaction_id: str
    name: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Transaction:
    """One envelope of a block.

    Anything at all may be ordered (rule O-3), so an envelope that cannot be decoded is not an error: `malformed` then
    says what was wrong, and the fields that come after that point keep their empty values.
    """

    index: int
    validation_code: int
    envelope: bytes = field(repr=False)
    malformed: str | None = None
    payload: bytes = field(default=b"", repr=False)
    """What the envelope's `signature` is over."""
    signature: bytes = field(default=b"", repr=False)
    type: int = -1
    """A `common.HeaderType`: 1 CONFIG, 3 ENDORSER_TRANSACTION; -1 when unreadable."""
    channel: str = ""
    transaction_id: str = ""
    timestamp: datetime | None = None
    """The client's claim, to the microsecond; None where it lies outside what a calendar holds."""
    creator: bytes = field(default=b"", repr=False)
    creator_msp_id: str = ""
    nonce: bytes = field(default=b"", repr=False)
    chaincode: str = ""
    chaincode_version: str = ""
    arguments: tuple[bytes, ...] = field(default=(), repr=False)
    response_status: int = 0
    response_message: str = ""
    result: bytes = field(default=b"", repr=False)
    event: BlockEvent | None = None
    namespaces: tuple[NamespaceReadWriteSet, ...] = field(default=(), repr=False)
    endorsements: tuple[Endorsement, ...] = field(default=(), repr=False)
    response_payload: bytes = field(default=b"", repr=False)
    """The `ProposalResponsePayload` that the peers endorsed."""
    proposal_payload: bytes = field(default=b"", repr=False)
    proposal_hash: bytes = field(default=b"", repr=False)

    @property
    def mark(self) -> str:
        """What tells this envelope from any other with the same id, see `envelope_mark`."""
        return envelope_mark(self.payload, self.signature)

    @property
    def valid(self) -> bool:
        """Whether the peer that delivered the block found the transaction valid."""
        return self.validation_code == VALID

    @property
    def endorsed(self) -> bool:
        """Whether it is a transaction of a chaincode, and no configuration of the channel."""
        return self.type == int(wire.common.ENDORSER_TRANSACTION)


@dataclass(frozen=True, slots=True)
class Block:
    """A block with its transactions; `header_hash` is computed, `data_hash` and `previous_hash` are as stored."""

    number: int
    previous_hash: bytes
    data_hash: bytes
    header_hash: bytes
    transactions: tuple[Transaction, ...]


def envelope_mark(payload: bytes, signature: bytes) -> str:
    """SHA-256, in hex, over an envelope's payload with its length (8 bytes, big-endian) before it, and its signature.

    Not over the envelope's bytes, which anybody may write in other ways that mean the same.
    """
    return hashlib.sha256(len(payload).to_bytes(8, "big") + payload + signature).hexdigest()


def header_hash(number: int, previous_hash: bytes, data: bytes) -> bytes:
    """SHA-256 over the DER SEQUENCE of number, previous hash and data hash (rule O-14)."""
    return hashlib.sha256(header_bytes(number, previous_hash, data)).digest()


def header_bytes(number: int, previous_hash: bytes, data: bytes) -> bytes:
    """The DER encoding of a block header, which orderers sign (rules O-14 and O-16)."""
    integer = number.to_bytes(number.bit_length() // 8 + 1, "big")
    body = _der(0x02, integer) + _der(0x04, previous_hash) + _der(0x04, data)
    return _der(0x30, body)


def _der(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(size))) + size + content


def data_hash(entries: Iterable[bytes]) -> bytes:
    """SHA-256 over the concatenation of a block's envelopes (rule O-14)."""
    digest = hashlib.sha256()
    for entry in entries:
        digest.update(entry)
    return digest.digest()


def validation_code_name(code: int) -> str:
    """The name of a `TxValidationCode`, or its number as text where Fabric has no name for it."""
    try:
        return str(wire.transaction.TxValidationCode.Name(code))
    except ValueError:
        return str(code)


def decode_block(block: Any) -> Block:
    """The records of a `common.Block`, or of its bytes.

    A block without validation flags (as an orderer sends it) gives transactions with code NOT_VALIDATED. Raises
    `MalformedData` for bytes that are not a block and when flags and envelopes differ in number.
    """
    if isinstance(block, bytes):
        try:
            block = wire.common.Block.FromString(block)
        except wire.DecodeError as exc:
            raise MalformedData("block: not readable") from exc
    header = block.header
    entries = block.data.data
    metadata = block.metadata.metadata
    flags: bytes = metadata[_FILTER] if len(metadata) > _FILTER else b""
    if flags and len(flags) != len(entries):
        raise MalformedData(f"block {header.number}: {len(flags)} validation flags for {len(entries)} transactions")
    flags = flags or bytes((NOT_VALIDATED,)) * len(entries)
    return Block(
        number=header.number,
        previous_hash=header.previous_hash,
        data_hash=header.data_hash,
        header_hash=header_hash(header.number, header.previous_hash, header.data_hash),
        transactions=tuple(decode_transaction(entry, index, flags[index]) for index, entry in enumerate(entries)),
    )


def decode_transaction(envelope: bytes, index: int = 0, validation_code: int = NOT_VALIDATED) -> Transaction:
    """The record of one envelope; never raises, see `Transaction.malformed`.

    What a transaction says beside its effects (its time, its arguments) may be anything in a valid one too, for no peer
    looks at it; where it cannot be read it is left empty.
    """
    fields: dict[str, Any] = {}
    part = "envelope"
    try:
        message = decode(wire.common.Envelope, envelope)
        part = "payload"
        payload = decode(wire.common.Payload, message.payload)
        fields.update(payload=message.payload, signature=message.signature)
        part = "header"
        # One part after another: an id that is there is used up, whatever comes behind it.
        fields.update(_channel_header(payload.header.channel_header))
        fields.update(_signature_header(payload.header.signature_header))
        part = "transaction"
        if fields["type"] == wire.common.ENDORSER_TRANSACTION:
            fields.update(_action(payload.data))
    except (wire.DecodeError, _Broken) as exc:
        fields["malformed"] = f"{part}: {said(str(exc))}"
    return Transaction(index, validation_code, envelope, **fields)


class _Broken(ValueError):
    """A message that decodes and yet lacks what it must have."""


def _channel_header(data: bytes) -> dict[str, Any]:
    channel = decode(wire.common.ChannelHeader, data)
    timestamp = None
    if channel.HasField("timestamp"):
        stamp = channel.timestamp
        with suppress(OverflowError):
            timestamp = _EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1000)
    return {
        "type": channel.type,
        "channel": channel.channel_id,
        "transaction_id": channel.tx_id,
        "timestamp": timestamp,
    }


def _signature_header(data: bytes) -> dict[str, Any]:
    signature = decode(wire.common.SignatureHeader, data)
    return {
        "creator": signature.creator,
        "creator_msp_id": decode(wire.identities.SerializedIdentity, signature.creator).mspid,
        "nonce": signature.nonce,
    }


def _action(data: bytes) -> dict[str, Any]:
    actions = decode(wire.transaction.Transaction, data).actions
    if len(actions) != 1:
        raise _Broken(f"{len(actions)} actions where exactly one is expected")
    payload = decode(wire.transaction.ChaincodeActionPayload, actions[0].payload)
    response_payload: bytes = payload.action.proposal_response_payload
    response = decode(wire.proposal_response.ProposalResponsePayload, response_payload)
    action = decode(wire.proposal.ChaincodeAction, response.extension)
    chaincode, answer = action.chaincode_id, action.response
    return {
        "chaincode": chaincode.name,
        "chaincode_version": chaincode.version,
        "arguments": _arguments(payload.chaincode_proposal_payload),
        "response_status": answer.status,
        "response_message": answer.message,
        "result": answer.payload,
        "event": _event(action.events),
        "namespaces": decode_read_write_sets(action.results),
        "endorsements": tuple(Endorsement(e.endorser, e.signature) for e in payload.action.endorsements),
        "response_payload": response_payload,
        "proposal_payload": payload.chaincode_proposal_payload,
        "proposal_hash": response.proposal_hash,
    }


def _arguments(data: bytes) -> tuple[bytes, ...]:
    try:
        proposal = decode(wire.proposal.ChaincodeProposalPayload, data)
        return tuple(decode(wire.chaincode.ChaincodeInvocationSpec, proposal.input).chaincode_spec.input.args)
    except wire.DecodeError:
        return ()


def _event(data: bytes) -> BlockEvent | None:
    if not data:
        return None
    event = decode(wire.chaincode_event.ChaincodeEvent, data)
    return BlockEvent(event.chaincode_id, event.tx_id, event.event_name, event.payload)


def config_in(block: Block) -> bytes | None:
    """The serialised `ConfigEnvelope` of a block that holds one and nothing else, whatever its validation flag says."""
    if len(block.transactions) != 1 or block.transactions[0].type != wire.common.CONFIG:
        return None
    data: bytes = decode(wire.common.Payload, block.transactions[0].payload).data
    return data


def channel_config(block: Any) -> Any:
    """The `ConfigEnvelope` in a block that carries a channel configuration, such as block 0.

    Raises `MalformedData` when the block's only envelope is not of type CONFIG.
    """
    if len(block.data.data) != 1:
        raise MalformedData(f"block {block.header.number}: no configuration block")
    try:
        envelope = decode(wire.common.Envelope, block.data.data[0])
        payload = decode(wire.common.Payload, envelope.payload)
        header = decode(wire.common.ChannelHeader, payload.header.channel_header)
        if header.type != wire.common.CONFIG:
            raise MalformedData(f"block {block.header.number}: no configuration block")
        return decode(wire.configtx.ConfigEnvelope, payload.data)
    except wire.DecodeError as exc:
        raise MalformedData(f"block {block.header.number}: the configuration is not readable") from exc
