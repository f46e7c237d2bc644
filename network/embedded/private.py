# SPDX-License-Identifier: Apache-2.0
"""Private data at commit: cleartext for members, expiry, purges, members that join later (rules V-37 to V-44)."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any, Protocol

from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2

from network.embedded import definitions
from network.embedded.definitions import LIFECYCLE, Collection, Definition, UnusableDefinitionError
from network.embedded.entries import Commit, Expiry, HashKey, PrivateEntry, PrivateWriteSet, Version, hash_key
from network.embedded.overlay import Overlay
from network.embedded.store import Store
from network.embedded.transactions import CollectionSet
from network.embedded.txops import hashed_operations
from network.embedded.validate import Candidate

_LAST_BLOCK = 2**63 - 1
"""What is due later is kept for ever, as in Fabric, where the sum of a large block-to-live and the height runs over."""


class Cleartext(Protocol):
    """Where endorsed private write sets are found again."""

    def find(self, transaction_id: str, ns: str, coll: str, digest: bytes) -> bytes | None: ...


class PrivateCommit:
    """Adds a block's private data to its commit; used after stage B, whose hashes it follows."""

    def __init__(self, store: Store, config: Any, overlay: Overlay, cleartext: Cleartext, commit: Commit) -> None:
        self._store = store
        self._config = config
        self._overlay = overlay
        self._cleartext = cleartext
        self._commit = commit
        self._touched: dict[HashKey, set[tuple[str, str]]] = defaultdict(set)
        self._versions: dict[HashKey, Version | None] = {}
        self._purged: list[tuple[HashKey, Version]] = []

    def add(self, candidates: Sequence[Candidate]) -> None:
        """Accept the private writes of all transactions that passed stage A, and apply those of the valid ones."""
        for index, candidate in enumerate(candidates):
            if not candidate.endorsed:
                continue
            version = (self._commit.number, index)
            for one in candidate.parsed.sets:
                for collection in one.collections:
                    raw = self._keep(candidate, one.namespace, collection, version)
                    if candidate.valid:
                        self._apply(one.namespace, collection, raw, version)
        for place, version in self._purged:
            self._purge(place, version)

    def expire(self) -> None:
        """Remove what is due at this block (rule V-40). Not a part of the commit hash: every peer does it by itself."""
        for due in self._store.due(self._commit.number):
            if not due.key_hash:
                self._commit.removed_private_writes.append((due.block, due.tx, due.namespace, due.collection))
                continue
            place = (due.namespace, due.collection, due.key_hash)
            entry = self._overlay.hashed(*place)
            if entry is not None and entry.version == (due.block, due.tx):
                self._overlay.changes.hashed[place] = None
                self._forget(place)

    # -- keeping ---------------------------------------------------------------------------------------------------

    def _keep(self, candidate: Candidate, ns: str, one: CollectionSet, version: Version) -> bytes | None:
        """Store the cleartext write set with every member; None when nobody has it (rule V-37)."""
        if not one.private_hash:
            return None
        raw = self._cleartext.find(candidate.parsed.transaction_id, ns, one.name, one.private_hash)
        collection = self._collection(ns, one.name)
        if raw is None or collection is None:
            return None
        for org in sorted(collection.member_msps):
            self._commit.private_writes.append(PrivateWriteSet(org, *version, ns, one.name, raw))
        self._schedule((ns, one.name, b""), collection, version)
        return raw

    def _collection(self, ns: str, name: str) -> Collection | None:
        try:
            return definitions.collection(self._overlay.snapshot, self._config, ns, name)
        except UnusableDefinitionError:
            return None

    # -- applying --------------------------------------------------------------------------------------------------

    def _apply(self, ns: str, one: CollectionSet, raw: bytes | None, version: Version) -> None:
        collection = self._collection(ns, one.name)
        if collection is None:
            return
        values: dict[bytes, tuple[str, bytes]] = {}
        if raw is not None:
            values = {hash_key(w.key): (w.key, w.value) for w in kv_rwset_pb2.KVRWSet.FromString(raw).writes}
        purges = {write.key_hash for write in one.hashed.hashed_writes if write.is_purge}
        for key_hash, operation in hashed_operations(one.hashed).items():
            place = (ns, one.name, key_hash)
            if operation.deletes:
                self._forget(place)
                self._versions[place] = None
                if key_hash in purges:
                    self._purged.append((place, version))
            elif operation.sets_value:
                self._versions[place] = version
                self._schedule(place, collection, version)
                cleartext = values.get(key_hash)
                if cleartext is not None and sha256(cleartext[1]).digest() == operation.value:
                    for org in collection.member_msps:
                        self._put(place, org, cleartext[0], PrivateEntry(cleartext[1], version))
            else:
                self._bump(place, collection, version)

    def _put(self, place: HashKey, org: str, key: str, entry: PrivateEntry) -> None:
        self._overlay.changes.private[org, place[0], place[1], key] = entry
        self._touched[place].add((org, key))

    def _holders(self, place: HashKey) -> list[tuple[str, str, PrivateEntry]]:
        """(organisation, key, entry) of every cleartext with this key hash, this block's changes included."""
        ns, coll, _ = place
        changed = self._touched.get(place, set())
        stored = [held for held in self._store.private_holders(*place) if held[:2] not in changed]
        for org, key in sorted(changed):
            entry = self._overlay.changes.private[org, ns, coll, key]
            if entry is not None:
                stored.append((org, key, entry))
        return stored

    def _forget(self, place: HashKey) -> None:
        for org, key, _ in self._holders(place):
            self._overlay.changes.private[org, place[0], place[1], key] = None
            self._touched[place].add((org, key))

    def _bump(self, place: HashKey, collection: Collection, version: Version) -> None:
        """A metadata write gives hash and cleartext a new version (rule V-43); an absent key stays absent."""
        current = self._version(place)
        if current is None:
            return
        for org, key, entry in self._holders(place):
            if entry.version == current:  # an older cleartext lacks a write, which a new version would hide
                self._put(place, org, key, PrivateEntry(entry.value, version))
        self._versions[place] = version
        self._schedule(place, collection, version)

    def _version(self, place: HashKey) -> Version | None:
        """The version of the key's hash at this point of the block."""
        if place not in self._versions:
            entry = self._overlay.snapshot.get_hash(*place)
            self._versions[place] = None if entry is None else entry.version
        return self._versions[place]

    def _schedule(self, place: HashKey, collection: Collection, version: Version) -> None:
        due = self._commit.number + collection.block_to_live + 1
        if collection.block_to_live and due <= _LAST_BLOCK:
            self._commit.expiries.append(Expiry(due, *place, *version))

    # -- purging ---------------------------------------------------------------------------------------------------

    def _purge(self, place: HashKey, version: Version) -> None:
        """Take the key out of every earlier write set, stored or of this block (rule V-41)."""
        ns, coll, key_hash = place
        mine = self._commit.private_writes
        pending = {(w.org, w.block, w.tx) for w in mine if (w.namespace, w.collection) == (ns, coll)}
        stored = [w for w in self._store.private_writes_of(ns, coll) if w[:3] not in pending]
        trimmed = [_without(w, key_hash) if _concerns(w, ns, coll, version) else w for w in mine]
        for write_set in stored:
            changed = _without(write_set, key_hash)
            if changed is not write_set:
                trimmed.append(changed)
        self._commit.private_writes = trimmed

    # -- members that join later -----------------------------------------------------------------------------------

    def reconcile(self, candidates: Iterable[Candidate]) -> None:
        """Give members that a new definition adds what the other members hold (rule V-44)."""
        for chaincode in sorted(_redefined(candidates)):
            try:
                before = definitions.lookup(self._overlay.snapshot, chaincode)
                after = definitions.decode(chaincode, self._read_lifecycle)
                old = {one.name: one.member_msps for one in self._collections(before)}
                joined = [(one.name, one.member_msps) for one in self._collections(after) if one.name in old]
            except UnusableDefinitionError:
                continue  # nobody can use such a definition, so nobody joins by it
            for name, members in joined:
                for org in sorted(members - old[name]):
                    self._share(chaincode, name, org, old[name])

    def _collections(self, definition: Definition | None) -> list[Collection]:
        return [] if definition is None else definitions.collections_of(definition, self._config)

    def _read_lifecycle(self, key: str) -> bytes | None:
        entry = self._overlay.public(LIFECYCLE, key)
        return None if entry is None else entry.value

    def _share(self, ns: str, coll: str, org: str, members: frozenset[str]) -> None:
        for member in sorted(members):
            for key, entry in self._store.private_of(member, ns, coll):
                current = self._overlay.hashed(ns, coll, hash_key(key))
                if current is not None and current.version == entry.version:
                    self._overlay.changes.private[org, ns, coll, key] = entry
        shared = {w[1:]: w._replace(org=org) for w in self._store.private_writes_of(ns, coll) if w.org in members}
        self._commit.private_writes += shared.values()


def _redefined(candidates: Iterable[Candidate]) -> set[str]:
    """Chaincodes whose collections the block's valid transactions define anew."""
    prefix, suffix = definitions.field_key("", "").rsplit("/", 1)[0], "/Collections"
    found: set[str] = set()
    for candidate in candidates:
        for one in candidate.parsed.sets if candidate.valid else ():
            if one.namespace == LIFECYCLE:
                keys = [w.key for w in one.public.writes]
                found |= {k[len(prefix) : -len(suffix)] for k in keys if k.startswith(prefix) and k.endswith(suffix)}
    return found


def _concerns(write_set: PrivateWriteSet, ns: str, coll: str, version: Version) -> bool:
    return (write_set.namespace, write_set.collection) == (ns, coll) and write_set[1:3] < version


def _without(write_set: PrivateWriteSet, key_hash: bytes) -> PrivateWriteSet:
    """The write set without that key; the very same object when the key is not in it."""
    rwset = kv_rwset_pb2.KVRWSet.FromString(write_set.rwset)
    writes = [w for w in rwset.writes if hash_key(w.key) != key_hash]
    metadata = [w for w in rwset.metadata_writes if hash_key(w.key) != key_hash]
    if len(writes) == len(rwset.writes) and len(metadata) == len(rwset.metadata_writes):
        return write_set
    trimmed = kv_rwset_pb2.KVRWSet(writes=writes, metadata_writes=metadata)
    return write_set._replace(rwset=trimmed.SerializeToString())
