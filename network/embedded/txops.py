# SPDX-License-Identifier: Apache-2.0
"""What one transaction does to one key, from all its writes of value and metadata (rule V-33, Fabric's `tx_ops.go`)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from network.embedded.entries import encode_metadata
from network.embedded.transactions import deletes, deletes_hash

__all__ = ["Operation", "hashed_operations", "public_operations"]

_UPSERT, _METADATA, _NO_METADATA, _DELETE = 1, 2, 4, 8


@dataclass(slots=True)
class Operation:
    """The sum of what a transaction writes of one key.

    As in Fabric the flags of repeated writes add up, whatever comes of it: no simulation writes a key twice, and who
    forges such a set gets what it would get from Fabric.
    """

    flags: int = 0
    value: bytes = b""
    metadata: bytes | None = None

    @property
    def deletes(self) -> bool:
        """Whether the key is gone afterwards."""
        return bool(self.flags & _DELETE)

    @property
    def sets_value(self) -> bool:
        """Whether the key has a new value afterwards."""
        return not self.deletes and (
            self.flags == _UPSERT or bool(self.flags & _UPSERT and self.flags & (_METADATA | _NO_METADATA))
        )

    @property
    def stands_alone(self) -> bool:
        """Whether it does something to an absent key too; metadata alone are dropped there."""
        return self.deletes or self.sets_value

    def merged(self, current: tuple[bytes, bytes | None] | None) -> tuple[bytes, bytes | None] | None:
        """Value and metadata afterwards, None for a deleted key; `current` is there unless it `stands_alone`."""
        if self.deletes:
            return None
        if self.flags == _UPSERT:  # a value alone keeps the metadata
            return self.value, None if current is None else current[1]
        if self.sets_value or current is None:
            return self.value, self.metadata
        return current[0], self.metadata


def public_operations(rwset: Any) -> Mapping[str, Operation]:
    """By key, in the order in which a `KVRWSet` names them."""
    writes = ((write.key, None if deletes(write) else write.value) for write in rwset.writes)
    return _operations(writes, ((write.key, write.entries) for write in rwset.metadata_writes))


def hashed_operations(rwset: Any) -> Mapping[bytes, Operation]:
    """By key hash, in the order in which a `HashedRWSet` names them; the values are hashes."""
    writes = ((write.key_hash, None if deletes_hash(write) else write.value_hash) for write in rwset.hashed_writes)
    return _operations(writes, ((write.key_hash, write.entries) for write in rwset.metadata_writes))


def _operations(
    writes: Iterable[tuple[Any, bytes | None]], metadata: Iterable[tuple[Any, Any]]
) -> Mapping[Any, Operation]:
    found: dict[Any, Operation] = {}
    for key, value in writes:
        operation = found.setdefault(key, Operation())
        operation.flags += _DELETE if value is None else _UPSERT
        operation.value = operation.value if value is None else value
    for key, entries in metadata:
        operation = found.setdefault(key, Operation())
        operation.flags += _METADATA if entries else _NO_METADATA
        if entries:
            operation.metadata = encode_metadata((entry.name, entry.value) for entry in entries)
    return found
