# SPDX-License-Identifier: Apache-2.0
"""Which keys a ledger has, since when and under which policy of their own, as far as its blocks say it.

Transactions are judged by what was there before their block, and apply one after the other at its end. What a
transaction does to one key follows Fabric's `tx_ops.go`: a delete wins; a value keeps the metadata that was there
unless the transaction writes them too; metadata alone keep the value, and are dropped where there is none.
"""

import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from gateway.fabric.rwset import CollectionReadWriteSet, NamespaceReadWriteSet, Read

__all__ = ["Key", "Keys", "Place", "written_keys"]

_KEY_POLICY = "VALIDATION_PARAMETER"
_HASH_OF_NOTHING = hashlib.sha256(b"").digest()
_UPSERT, _METADATA, _NO_METADATA, _DELETE = 1, 2, 4, 8

Place = tuple[str, str]
"""A chaincode, and one of its collections or nothing."""
Key = str | bytes
"""A public key, or the SHA-256 of a private one."""


class _Standing(NamedTuple):
    version: tuple[int, int]
    policy: bytes
    """The key's own endorsement policy; empty when it has none."""


class Keys:
    """The keys of one channel; `end_block` makes what was applied the state that the next block is judged by."""

    def __init__(self) -> None:
        self._known: dict[tuple[Place, Key], _Standing] = {}
        self._changes: dict[tuple[Place, Key], _Standing | None] = {}
        self._policies_changing: set[tuple[Place, Key]] = set()

    def stale(self, read: NamespaceReadWriteSet) -> Iterator[Read]:
        """Public reads that saw something else than what was there, or what the block has changed before."""
        for one in read.reads:
            place = ((read.namespace, ""), one.key)
            standing = self._known.get(place)
            if place in self._changes or one.version != (None if standing is None else standing.version):
                yield one

    def policy(self, place: Place, key: Key) -> bytes | None:
        """The key's own policy before the block; None when it has none."""
        standing = self._known.get((place, key))
        return standing.policy or None if standing is not None else None

    def is_policy_changing(self, place: Place, key: Key) -> bool:
        """Whether an earlier transaction of the block has written the key's metadata: nothing may then write it."""
        return (place, key) in self._policies_changing

    def apply(self, written: NamespaceReadWriteSet, block: int, index: int) -> None:
        """Apply what a valid transaction wrote."""
        self._apply((written.namespace, ""), written, (block, index))
        for part in written.collections:
            self._apply((written.namespace, part.name), part, (block, index))

    def end_block(self) -> None:
        """Everything applied so far is what the next block finds."""
        for place, standing in self._changes.items():
            if standing is None:
                self._known.pop(place, None)
            else:
                self._known[place] = standing
        self._changes.clear()
        self._policies_changing.clear()

    def _apply(
        self, place: Place, written: NamespaceReadWriteSet | CollectionReadWriteSet, at: tuple[int, int]
    ) -> None:
        self._policies_changing |= {(place, change.key) for change in written.metadata_writes}
        for key, (flags, policy) in _operations(written).items():
            where = (place, key)
            present = self._changes[where] if where in self._changes else self._known.get(where)
            if flags & _DELETE:
                self._changes[where] = None
            elif flags & _UPSERT and flags & (_METADATA | _NO_METADATA):
                self._changes[where] = _Standing(at, policy)
            elif flags == _UPSERT:
                self._changes[where] = _Standing(at, b"" if present is None else present.policy)
            elif present is not None:
                self._changes[where] = _Standing(at, policy)


def written_keys(written: NamespaceReadWriteSet | CollectionReadWriteSet) -> list[Key]:
    """Every key whose value or metadata are written."""
    return [*map(_key, written.writes), *(change.key for change in written.metadata_writes)]


def _operations(written: NamespaceReadWriteSet | CollectionReadWriteSet) -> dict[Key, tuple[int, bytes]]:
    """Flags and new policy by key. As in Fabric the flags of repeated writes add up, whatever comes of it."""
    found: dict[Key, tuple[int, bytes]] = {}
    for write in written.writes:
        flags, policy = found.get(_key(write), (0, b""))
        found[_key(write)] = (flags + (_DELETE if _deletes(write) else _UPSERT), policy)
    for change in written.metadata_writes:
        flags, policy = found.get(change.key, (0, b""))
        if change.entries:
            found[change.key] = (flags + _METADATA, dict(change.entries).get(_KEY_POLICY, b""))
        else:
            found[change.key] = (flags + _NO_METADATA, policy)
    return found


def _key(write: Any) -> Key:
    key: Key = write.key_hash if hasattr(write, "key_hash") else write.key
    return key


def _deletes(write: Any) -> bool:
    """A write deletes when it says so, and when its value is empty."""
    if hasattr(write, "value_hash"):
        return bool(write.is_delete or write.value_hash in (b"", _HASH_OF_NOTHING))
    return bool(write.is_delete or not write.value)
