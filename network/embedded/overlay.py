# SPDX-License-Identifier: Apache-2.0
"""The state in the middle of a block: what is committed, and the valid transactions so far on top (V-30, V-33)."""

from collections.abc import Iterable, Iterator
from typing import Any

from network.embedded.commithash import Write
from network.embedded.entries import Changes, Entry, HashEntry, Version, encode_metadata
from network.embedded.snapshot import Snapshot
from network.embedded.transactions import NamespaceSet, deletes, deletes_hash


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
        metadata = {write.key: _entries(write.entries) for write in rwset.metadata_writes}
        for write in rwset.writes:
            entry = None
            if not deletes(write):
                entry = Entry(write.value, version, self._kept(self.public(ns, write.key), metadata, write.key))
            self.changes.public[ns, write.key] = entry
            self._public_versions[ns, write.key] = version
            metadata.pop(write.key, None)
        for key, stored in metadata.items():
            current = self.public(ns, key)
            if current is not None:
                self.changes.public[ns, key] = Entry(current.value, version, stored)
                self._public_versions[ns, key] = version

    def _apply_hashed(self, ns: str, coll: str, rwset: Any, version: Version) -> None:
        metadata = {write.key_hash: _entries(write.entries) for write in rwset.metadata_writes}
        for write in rwset.hashed_writes:
            place = (ns, coll, write.key_hash)
            entry = None
            if not deletes_hash(write):
                kept = self._kept(self.hashed(*place), metadata, write.key_hash)
                entry = HashEntry(write.value_hash, version, kept)
            self.changes.hashed[place] = entry
            self._hash_versions[place] = version
            metadata.pop(write.key_hash, None)
        for key_hash, stored in metadata.items():
            current = self.hashed(ns, coll, key_hash)
            if current is not None:
                self.changes.hashed[ns, coll, key_hash] = HashEntry(current.value_hash, version, stored)
                self._hash_versions[ns, coll, key_hash] = version

    @staticmethod
    def _kept(current: Entry | HashEntry | None, written: dict[Any, bytes | None], key: str | bytes) -> bytes | None:
        """A value write keeps the metadata unless the same transaction writes that too (rule V-33)."""
        if key in written:
            return written[key]
        return None if current is None else current.metadata


def _present(key: str, entry: Entry | None) -> Iterator[tuple[str, Version]]:
    if entry is not None:
        yield key, entry.version


def _entries(entries: Iterable[Any]) -> bytes | None:
    return encode_metadata((entry.name, entry.value) for entry in entries)
