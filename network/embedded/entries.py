# SPDX-License-Identifier: Apache-2.0
"""What the ledger holds: versioned entries, and the changes that one block makes to them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, NamedTuple

from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2

Version = tuple[int, int]
"""Block number and index of the transaction in its block, invalid transactions counted (rule V-32)."""

VALIDATION_PARAMETER = "VALIDATION_PARAMETER"
"""Metadata name that carries a key-level endorsement policy (rule R-5)."""


class Entry(NamedTuple):
    """A public key's committed value; `metadata` as `encode_metadata` writes it, None when there is none."""

    value: bytes
    version: Version
    metadata: bytes | None


class HashEntry(NamedTuple):
    """A private key's committed hash, the same on every organisation's peer (rule V-38)."""

    value_hash: bytes
    version: Version
    metadata: bytes | None


class PrivateEntry(NamedTuple):
    """A private key's cleartext on one organisation's peer; current when its version is the hash entry's."""

    value: bytes
    version: Version


class HistoryEntry(NamedTuple):
    """One valid write or delete of a public key; `timestamp` is the channel header's protobuf message (rule S-31)."""

    transaction_id: str
    value: bytes
    timestamp: Any
    is_delete: bool


class TransactionPlace(NamedTuple):
    """Where a transaction id stands first on the ledger, and with which validation code (rule V-36)."""

    block_number: int
    tx_number: int
    code: int


class PrivateWriteSet(NamedTuple):
    """One collection's private write set as endorsed: a serialised `KVRWSet` held by one organisation."""

    org: str
    block: int
    tx: int
    namespace: str
    collection: str
    rwset: bytes


class Expiry(NamedTuple):
    """A key hash (or, when empty, a collection's write sets) that leaves when block `due` commits (rule V-40)."""

    due: int
    namespace: str
    collection: str
    key_hash: bytes
    block: int
    tx: int


PublicKey = tuple[str, str]
"""Namespace, key."""
HashKey = tuple[str, str, bytes]
"""Namespace, collection, SHA-256 of the key."""
PrivateKey = tuple[str, str, str, str]
"""MSP id, namespace, collection, key."""


@dataclass(slots=True)
class Changes:
    """Entries by key, None where the key is absent: the updates of a block, or what they replaced."""

    public: dict[PublicKey, Entry | None] = field(default_factory=dict)
    hashed: dict[HashKey, HashEntry | None] = field(default_factory=dict)
    private: dict[PrivateKey, PrivateEntry | None] = field(default_factory=dict)


@dataclass(slots=True)
class Commit:
    """Everything that one block brings to the store, written in one SQL transaction (rule G-25)."""

    block: Any
    """The `common.Block` with all five metadata slots filled."""
    header_hash: bytes
    commit_hash: bytes
    transactions: list[tuple[str, int, bytes]]
    """Transaction id, validation code and serialised timestamp, in block order."""
    changes: Changes = field(default_factory=Changes)
    history: list[tuple[str, str, int, bytes, bool]] = field(default_factory=list)
    """Namespace, key, transaction number, value, whether deleted."""
    private_writes: list[PrivateWriteSet] = field(default_factory=list)
    removed_private_writes: list[tuple[int, int, str, str]] = field(default_factory=list)
    """Block, transaction, namespace, collection of write sets that nobody may hold any more."""
    expiries: list[Expiry] = field(default_factory=list)
    config: Any = None
    """The `ChannelConfig` that is in force after this block, when the block changes it."""

    @property
    def number(self) -> int:
        return int(self.block.header.number)


def hash_key(key: str) -> bytes:
    """SHA-256 of a private key's UTF-8 bytes, unsalted (rule R-13)."""
    return sha256(key.encode()).digest()


def encode_metadata(entries: Iterable[tuple[str, bytes]]) -> bytes | None:
    """The stored form of a key's metadata: a `KVMetadataWrite` without key, entries by name; None when empty."""
    ordered = [kv_rwset_pb2.KVMetadataEntry(name=name, value=value) for name, value in sorted(entries)]
    return bytes(kv_rwset_pb2.KVMetadataWrite(entries=ordered).SerializeToString()) if ordered else None


def decode_metadata(stored: bytes | None) -> dict[str, bytes]:
    """A key's metadata by name, from its stored form; `decode_metadata(encode_metadata(x)) == dict(x)`."""
    if stored is None:
        return {}
    return {entry.name: entry.value for entry in kv_rwset_pb2.KVMetadataWrite.FromString(stored).entries}
