# SPDX-License-Identifier: Apache-2.0
"""Blocks: hashes, the five metadata slots, and the ordering organisation's signature (rules O-13 to O-18)."""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any, Protocol

from fabric_protos.common import common_pb2

SIGNATURES, LAST_CONFIG, TRANSACTIONS_FILTER, ORDERER, COMMIT_HASH = range(5)
"""Indices of the metadata slots (rule O-15)."""


class BlockSigner(Protocol):
    """The orderer's identity."""

    @property
    def serialized(self) -> bytes: ...

    def sign(self, message: bytes) -> bytes: ...


def _der(tag: int, body: bytes) -> bytes:
    length = len(body)
    if length < 0x80:
        return bytes((tag, length)) + body
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(size))) + size + body


def header_bytes(header: Any) -> bytes:
    """The DER form of a block header that is hashed and signed (rule O-14)."""
    number = int(header.number)
    integer = number.to_bytes(number.bit_length() // 8 + 1, "big")
    return _der(0x30, _der(0x02, integer) + _der(0x04, header.previous_hash) + _der(0x04, header.data_hash))


def header_hash(header: Any) -> bytes:
    """What the next block names as its previous hash (rule O-14)."""
    return sha256(header_bytes(header)).digest()


def data_hash(entries: Iterable[bytes]) -> bytes:
    """SHA-256 over the concatenation of all data entries (rule O-14)."""
    digest = sha256()
    for entry in entries:
        digest.update(entry)
    return digest.digest()


def make_block(number: int, previous_hash: bytes, entries: Sequence[bytes]) -> Any:
    """A `common.Block` of these serialised envelopes with five empty metadata slots."""
    block = common_pb2.Block()
    block.header.number = number
    block.header.previous_hash = previous_hash
    block.header.data_hash = data_hash(entries)
    block.data.data.extend(entries)
    block.metadata.metadata.extend([b""] * 5)
    return block


def sign_block(block: Any, signer: BlockSigner, nonce: bytes, last_config: int) -> None:
    """Fill the slots that the ordering service owns: SIGNATURES and LAST_CONFIG (rule O-16)."""
    value = common_pb2.OrdererBlockMetadata(
        last_config=common_pb2.LastConfig(index=last_config),
        consenter_metadata=common_pb2.Metadata().SerializeToString(),
    ).SerializeToString()
    head = common_pb2.SignatureHeader(creator=signer.serialized, nonce=nonce).SerializeToString()
    signature = signer.sign(value + head + header_bytes(block.header))
    signed = common_pb2.Metadata(
        value=value, signatures=[common_pb2.MetadataSignature(signature_header=head, signature=signature)]
    )
    block.metadata.metadata[SIGNATURES] = signed.SerializeToString()
    config = common_pb2.Metadata(value=common_pb2.LastConfig(index=last_config).SerializeToString())
    block.metadata.metadata[LAST_CONFIG] = config.SerializeToString()


def signed_parts(block: Any) -> list[tuple[bytes, bytes, bytes]]:
    """(signed bytes, creator, signature) of every signature in the SIGNATURES slot; raises DecodeError."""
    if len(block.metadata.metadata) <= SIGNATURES:
        return []
    metadata = common_pb2.Metadata.FromString(block.metadata.metadata[SIGNATURES])
    tail = header_bytes(block.header)
    parts = []
    for entry in metadata.signatures:
        creator = common_pb2.SignatureHeader.FromString(entry.signature_header).creator
        parts.append((metadata.value + entry.signature_header + tail, creator, entry.signature))
    return parts


def last_config(block: Any) -> int:
    """The number of the newest configuration block at this block; 0 for the genesis block."""
    raw = block.metadata.metadata[LAST_CONFIG] if len(block.metadata.metadata) > LAST_CONFIG else b""
    value = common_pb2.Metadata.FromString(raw).value
    return int(common_pb2.LastConfig.FromString(value).index)


def set_peer_metadata(block: Any, flags: bytes, commit_hash: bytes) -> None:
    """Fill the slots that the committing peer owns: TRANSACTIONS_FILTER and COMMIT_HASH (rules O-17, O-18)."""
    while len(block.metadata.metadata) < 5:
        block.metadata.metadata.append(b"")
    block.metadata.metadata[TRANSACTIONS_FILTER] = flags
    if commit_hash:
        value = common_pb2.Metadata(value=commit_hash)
        block.metadata.metadata[COMMIT_HASH] = value.SerializeToString()


def flags_of(block: Any) -> bytes:
    """One validation code per transaction, in block order."""
    return bytes(block.metadata.metadata[TRANSACTIONS_FILTER])
