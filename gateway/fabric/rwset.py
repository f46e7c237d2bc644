# SPDX-License-Identifier: Apache-2.0
"""What a transaction read and wrote, as plain records (rules R-7 to R-15)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from gateway.fabric import wire
from gateway.fabric.decoding import decode

__all__ = [
    "CollectionReadWriteSet",
    "HashedRead",
    "HashedWrite",
    "MetadataWrite",
    "NamespaceReadWriteSet",
    "RangeQuery",
    "Read",
    "Version",
    "Write",
    "decode_read_write_sets",
]


class Version(NamedTuple):
    """The height at which a key was last written: block number and index of the transaction in the block."""

    block_number: int
    transaction_index: int


class Read(NamedTuple):
    """A key that was read; `version` is None when it was absent."""

    key: str
    version: Version | None


class Write(NamedTuple):
    """A key's new value; `is_delete` comes with an empty value."""

    key: str
    value: bytes
    is_delete: bool


class MetadataWrite(NamedTuple):
    """A key's whole new metadata (such as VALIDATION_PARAMETER, its endorsement policy); empty removes all.

    For a collection `key` is the SHA-256 of the key.
    """

    key: str | bytes
    entries: tuple[tuple[str, bytes], ...]


class RangeQuery(NamedTuple):
    """A range read [start, end); its results are either listed or summarised as a Merkle tree's top hashes."""

    start_key: str
    end_key: str
    exhausted: bool
    reads: tuple[Read, ...] | None
    """None when summarised."""
    merkle_max_degree: int
    merkle_max_level: int
    merkle_hashes: tuple[bytes, ...]


class HashedRead(NamedTuple):
    """A private key that was read, by SHA-256 of the key."""

    key_hash: bytes
    version: Version | None


class HashedWrite(NamedTuple):
    """A private key that was written, by SHA-256 of key and value."""

    key_hash: bytes
    value_hash: bytes
    is_delete: bool
    is_purge: bool


@dataclass(frozen=True, slots=True)
class CollectionReadWriteSet:
    """The public trace of one private data collection."""

    name: str
    reads: tuple[HashedRead, ...]
    writes: tuple[HashedWrite, ...]
    metadata_writes: tuple[MetadataWrite, ...]
    private_hash: bytes
    """SHA-256 of the serialised private write set; empty when the collection was only read."""


@dataclass(frozen=True, slots=True)
class NamespaceReadWriteSet:
    """Reads and writes in the namespace of one chaincode."""

    namespace: str
    reads: tuple[Read, ...]
    writes: tuple[Write, ...]
    metadata_writes: tuple[MetadataWrite, ...]
    range_queries: tuple[RangeQuery, ...]
    collections: tuple[CollectionReadWriteSet, ...]


def decode_read_write_sets(results: bytes) -> tuple[NamespaceReadWriteSet, ...]:
    """The namespaces of a `TxReadWriteSet`, in its order; raises protobuf's `DecodeError`."""
    return tuple(map(_namespace, decode(wire.rwset.TxReadWriteSet, results).ns_rwset))


def _namespace(message: Any) -> NamespaceReadWriteSet:
    sets = decode(wire.kv_rwset.KVRWSet, message.rwset)
    return NamespaceReadWriteSet(
        namespace=message.namespace,
        reads=tuple([Read(read.key, _version(read)) for read in sets.reads]),
        writes=tuple([Write(write.key, write.value, write.is_delete) for write in sets.writes]),
        metadata_writes=tuple([MetadataWrite(write.key, _entries(write)) for write in sets.metadata_writes]),
        range_queries=tuple(map(_range_query, sets.range_queries_info)),
        collections=tuple(map(_collection, message.collection_hashed_rwset)),
    )


def _collection(message: Any) -> CollectionReadWriteSet:
    sets = decode(wire.kv_rwset.HashedRWSet, message.hashed_rwset)
    return CollectionReadWriteSet(
        name=message.collection_name,
        reads=tuple(HashedRead(read.key_hash, _version(read)) for read in sets.hashed_reads),
        writes=tuple(
            HashedWrite(write.key_hash, write.value_hash, write.is_delete, write.is_purge)
            for write in sets.hashed_writes
        ),
        metadata_writes=tuple(MetadataWrite(write.key_hash, _entries(write)) for write in sets.metadata_writes),
        private_hash=message.pvt_rwset_hash,
    )


def _range_query(message: Any) -> RangeQuery:
    listed = message.WhichOneof("reads_info") != "reads_merkle_hashes"
    summary = message.reads_merkle_hashes
    return RangeQuery(
        start_key=message.start_key,
        end_key=message.end_key,
        exhausted=message.itr_exhausted,
        reads=tuple(Read(read.key, _version(read)) for read in message.raw_reads.kv_reads) if listed else None,
        merkle_max_degree=summary.max_degree,
        merkle_max_level=summary.max_level,
        merkle_hashes=tuple(summary.max_level_hashes),
    )


def _version(read: Any) -> Version | None:
    # A message field distinguishes version (0, 0) from absence; its numbers alone would not.
    return Version(read.version.block_num, read.version.tx_num) if read.HasField("version") else None


def _entries(write: Any) -> tuple[tuple[str, bytes], ...]:
    return tuple((entry.name, entry.value) for entry in write.entries)
