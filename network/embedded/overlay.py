# SPDX-License-Identifier: Apache-2.0
"""The state in the middle of a block: what is committed, and the valid transactions so far on top (V-30, V-33)."""

from collections.abc import Iterator
from typing import Any

from network.embedded.commithash import Write
from network.embedded.entries import Changes, Entry, HashEntry, Version
from network.embedded.snapshot import Snapshot
from network.embedded.transactions import NamespaceSet
from network.embedded.txops import hashed_operations, public_operations


class Overlay:
    """Collects the updates of one block; the snapshot is the state before it."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.changes = Changes()
        self._public_versions: dict[tuple[str, str], Version] = {}
        self._hash_versions: dict[tuple[str, str, bytes], Version] = {}

    # -- reading ---------------------------------------------------------------------------------------------------

    def public(self, ns: str, key: str) -> Entry | None:
        """The entry as the next transaction of the block finds it."""
        if (ns, key) in self.changes.public:
            return self.changes.public[ns, key]
        return self.snapshot.get(ns, key)

    def hashed(self, ns: str, coll: str, key_hash: bytes) -> HashEntry | None:
        """The hash entry as the next transaction of the block finds it."""
        if (ns, coll, key_hash) in self.changes.hashed:
            return self.changes.hashed[ns, coll, key_hash]
        return self.snapshot.get_hash(ns, coll, key_hash)

    def range(self, ns: str, start: str, end: str) -> Iterator[tuple[str, Version]]:
        """Keys and versions of [start, end) as the next transaction finds them, by UTF-8 bytes."""
        updates = sorted(
            (key.encode(), key, entry)
            for (space, key), entry in self.changes.public.items()
            if space == ns and start.encode() <= key.encode() and (not end or key.encode() < end.encode())
        )
        position = 0
        for key, entry in self.snapshot.range(ns, start, end):
            raw = key.encode()
            while position < len(updates) and updates[position][0] < raw:
                yield from _present(*updates[position][1:])
                position += 1
            if position < len(updates) and updates[position][0] == raw:
                yield from _present(*updates[position][1:])
                position += 1
            else:
                yield key, entry.version
        for update in updates[position:]:
            yield from _present(*update[1:])

    # -- applying --------------------------------------------------------------------------------------------------

    def apply(self, one: NamespaceSet, version: Version) -> None:
        """Apply one namespace's public writes and private hashes of a valid transaction."""
        self._apply_public(one.namespace, one.public, version)
        for collection in one.collections:
            self._apply_hashed(one.namespace, collection.name, collection.hashed, version)

    def put_config(self, key: str, value: bytes, version: Version) -> None:
        """Store the channel configuration, invisible to chaincode (rule O-19)."""
        self.changes.public["", key] = Entry(value, version, None)

    def writes(self) -> Iterator[Write]:
        """All applied writes, for the commit hash."""
        for (ns, key), version in self._public_versions.items():
            entry = self.changes.public[ns, key]
            yield Write(ns, "", key.encode(), None if entry is None else entry.value, version)
        for (ns, coll, key_hash), version in self._hash_versions.items():
            hashed = self.changes.hashed[ns, coll, key_hash]
            yield Write(ns, coll, key_hash, None if hashed is None else hashed.value_hash, version)

    def _apply_public(self, ns: str, rwset: Any, version: Version) -> None:
        for key, operation in public_operations(rwset).items():
            current = self.public(ns, key)
            if current is None and not operation.stands_alone:
                continue
            merged = operation.merged(None if current is None else (current.value, current.metadata))
            self.changes.public[ns, key] = None if merged is None else Entry(merged[0], version, merged[1])
            self._public_versions[ns, key] = version

    def _apply_hashed(self, ns: str, coll: str, rwset: Any, version: Version) -> None:
        for key_hash, operation in hashed_operations(rwset).items():
            place = (ns, coll, key_hash)
            current = self.hashed(*place)
            if current is None and not operation.stands_alone:
                continue
            merged = operation.merged(None if current is None else (current.value_hash, current.metadata))
            self.changes.hashed[place] = None if merged is None else HashEntry(merged[0], version, merged[1])
            self._hash_versions[place] = version


def _present(key: str, entry: Entry | None) -> Iterator[tuple[str, Version]]:
    if entry is not None:
        yield key, entry.version
