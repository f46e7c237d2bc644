# SPDX-License-Identifier: Apache-2.0
"""Read-write sets: what one simulation read and wrote, in the exact bytes that every organisation must agree on."""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

from fabric_protos.ledger.rwset import rwset_pb2
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2

__all__ = ["DEGREE", "RangeQuery", "RwsetBuilder", "Version", "range_query_info", "summarise"]

Version = tuple[int, int]
"""Height of a committed write: block number and the transaction's index in that block."""

DEGREE = 50
"""Above this number of results a range query records hashes instead of its reads (rule R-7)."""


def kv_read(key: str, version: Version | None) -> Any:
    """Encode one read; a version of (0, 0) is present but empty, an absent key has none (rule R-3)."""
    if version is None:
        return kv_rwset_pb2.KVRead(key=key)
    return kv_rwset_pb2.KVRead(key=key, version=_version(version))


def _version(version: Version) -> Any:
    return kv_rwset_pb2.Version(block_num=version[0], tx_num=version[1])


class _Tree:
    """The levels of hashes that have not been combined yet; level 1 holds hashes of reads."""

    def __init__(self, degree: int) -> None:
        self._degree = degree
        self._levels: dict[int, list[bytes]] = {}
        self._top = 1

    def add_leaf(self, digest: bytes) -> None:
        level = 1
        self._levels.setdefault(level, []).append(digest)
        # One more than the degree triggers the next level, so a full node has degree + 1 children.
        while len(self._levels[level]) > self._degree:
            level = self._raise(level)

    def finish(self) -> tuple[int, list[bytes]]:
        for level in range(1, self._top):
            children = self._levels.get(level)
            if children:
                self._raise(level)
        if len(self._levels[self._top]) > self._degree:
            self._raise(self._top)
        return self._top, self._levels[self._top]

    def _raise(self, level: int) -> int:
        children = self._levels.pop(level)
        # A lonely child moves up as it is; several are hashed together.
        digest = children[0] if len(children) == 1 else sha256(b"".join(children)).digest()
        self._levels.setdefault(level + 1, []).append(digest)
        self._top = max(self._top, level + 1)
        return level + 1


def summarise(reads: Iterable[tuple[str, Version | None]], degree: int = DEGREE) -> Any:
    """Summarise the results of a range query in order, as simulation records and validation compares them.

    Answers a `QueryReads` for at most `degree` results, a `QueryReadsMerkleSummary` for more, and None for no
    result at all (rule R-7).
    """
    pending: list[Any] = []
    tree: _Tree | None = None
    for key, version in reads:
        pending.append(kv_read(key, version))
        if len(pending) > degree:
            tree = tree or _Tree(degree)
            tree.add_leaf(_hash_reads(pending))
            pending = []
    if tree is None:
        return kv_rwset_pb2.QueryReads(kv_reads=pending) if pending else None
    if pending:
        tree.add_leaf(_hash_reads(pending))
    level, hashes = tree.finish()
    return kv_rwset_pb2.QueryReadsMerkleSummary(max_degree=degree, max_level=level, max_level_hashes=hashes)


def _hash_reads(reads: list[Any]) -> bytes:
    return sha256(kv_rwset_pb2.QueryReads(kv_reads=reads).SerializeToString()).digest()


def range_query_info(start: str, end: str, exhausted: bool, reads: Iterable[tuple[str, Version | None]]) -> Any:
    """Encode one `RangeQueryInfo` (rule R-7)."""
    info = kv_rwset_pb2.RangeQueryInfo(start_key=start, end_key=end, itr_exhausted=exhausted)
    summary = summarise(reads)
    if isinstance(summary, kv_rwset_pb2.QueryReads):
        info.raw_reads.CopyFrom(summary)
    elif summary is not None:
        info.reads_merkle_hashes.CopyFrom(summary)
    return info


class RangeQuery:
    """What one iterator over public keys has fetched so far; it may grow until the simulation ends."""

    __slots__ = ("end", "exhausted", "reads", "requested_end", "start")

    def __init__(self, start: str, end: str) -> None:
        self.start = start
        self.requested_end = end
        self.end = end
        self.exhausted = False
        self.reads: list[tuple[str, Version | None]] = []

    def fetched(self, key: str, version: Version) -> None:
        """Record one more result that the node fetched, whether or not the chaincode has seen it."""
        self.reads.append((key, version))
        self.end = key

    def ran_out(self) -> None:
        """Record that the iterator reached its requested end."""
        self.exhausted = True
        self.end = self.requested_end

    def encode(self) -> Any:
        """Encode the query as a `RangeQueryInfo`."""
        return range_query_info(self.start, self.end, self.exhausted, self.reads)


class _Collection:
    """Reads and writes of one private data collection, by original key."""

    __slots__ = ("metadata_writes", "purges", "reads", "writes")

    def __init__(self) -> None:
        self.reads: dict[str, Version | None] = {}
        self.writes: dict[str, bytes | None] = {}
        self.purges: set[str] = set()
        self.metadata_writes: dict[str, Mapping[str, bytes]] = {}

    def hashed(self) -> bytes:
        encoded = kv_rwset_pb2.HashedRWSet(
            hashed_reads=[_hashed_read(key, self.reads[key]) for key in _by_bytes(self.reads)],
            hashed_writes=[self._hashed_write(key) for key in _by_bytes(self.writes)],
            metadata_writes=[
                kv_rwset_pb2.KVMetadataWriteHash(key_hash=_hash(key), entries=_entries(self.metadata_writes[key]))
                for key in _by_bytes(self.metadata_writes)
            ],
        )
        return bytes(encoded.SerializeToString())

    def cleartext(self) -> bytes:
        encoded = kv_rwset_pb2.KVRWSet(
            writes=[_write(key, self.writes[key]) for key in _by_bytes(self.writes)],
            metadata_writes=[kv_rwset_pb2.KVMetadataWrite(key=key) for key in _by_bytes(self.metadata_writes)],
        )
        return bytes(encoded.SerializeToString())

    def _hashed_write(self, key: str) -> Any:
        value = self.writes[key]
        if not value:
            return kv_rwset_pb2.KVWriteHash(key_hash=_hash(key), is_delete=True, is_purge=key in self.purges)
        return kv_rwset_pb2.KVWriteHash(key_hash=_hash(key), value_hash=sha256(value).digest())


class _Namespace:
    """Reads and writes of one chaincode."""

    __slots__ = ("collections", "metadata_writes", "ranges", "reads", "writes")

    def __init__(self) -> None:
        self.reads: dict[str, Version | None] = {}
        self.writes: dict[str, bytes | None] = {}
        self.metadata_writes: dict[str, Mapping[str, bytes]] = {}
        self.ranges: list[RangeQuery] = []
        self.collections: dict[str, _Collection] = {}

    def public(self) -> bytes:
        encoded = kv_rwset_pb2.KVRWSet(
            reads=[kv_read(key, self.reads[key]) for key in _by_bytes(self.reads)],
            range_queries_info=self._ranges(),
            writes=[_write(key, self.writes[key]) for key in _by_bytes(self.writes)],
            metadata_writes=[
                kv_rwset_pb2.KVMetadataWrite(key=key, entries=_entries(self.metadata_writes[key]))
                for key in _by_bytes(self.metadata_writes)
            ],
        )
        return bytes(encoded.SerializeToString())

    def _ranges(self) -> list[Any]:
        distinct: dict[tuple[str, str, bool], RangeQuery] = {}
        for query in self.ranges:
            distinct.setdefault((query.start, query.end, query.exhausted), query)
        return [query.encode() for query in distinct.values()]

    def hashed(self) -> list[Any]:
        sets = []
        for name in _by_bytes(self.collections):
            collection = self.collections[name]
            encoded = rwset_pb2.CollectionHashedReadWriteSet(collection_name=name, hashed_rwset=collection.hashed())
            cleartext = collection.cleartext()
            if cleartext:
                encoded.pvt_rwset_hash = sha256(cleartext).digest()
            sets.append(encoded)
        return sets


class RwsetBuilder:
    """Collect reads and writes in any order and encode them in the one order of rules R-1 to R-15.

    The first read of a key and the last write of a key count.
    """

    def __init__(self) -> None:
        self._namespaces: dict[str, _Namespace] = {}

    def add_read(self, namespace: str, key: str, version: Version | None) -> None:
        """Record a read of a public key; `version` is None when the key did not exist."""
        self._namespace(namespace).reads.setdefault(key, version)

    def add_write(self, namespace: str, key: str, value: bytes | None) -> None:
        """Record a write of a public key; None and an empty value both mean delete (rule R-4)."""
        self._namespace(namespace).writes[key] = value or None

    def add_metadata_write(self, namespace: str, key: str, entries: Mapping[str, bytes]) -> None:
        """Record that `entries` replace the whole metadata of a public key (rule R-5)."""
        self._namespace(namespace).metadata_writes[key] = entries

    def add_range_query(self, namespace: str, query: RangeQuery) -> None:
        """Record a range query in the order of execution; it is encoded as it stands when the set is encoded."""
        self._namespace(namespace).ranges.append(query)

    def add_hashed_read(self, namespace: str, collection: str, key: str, version: Version | None) -> None:
        """Record a read of a private key with the version of its public hash (rule R-15)."""
        self._collection(namespace, collection).reads.setdefault(key, version)

    def add_private_write(
        self, namespace: str, collection: str, key: str, value: bytes | None, *, purge: bool = False
    ) -> None:
        """Record a write of a private key; None and an empty value mean delete, `purge` also erases its history."""
        target = self._collection(namespace, collection)
        target.writes[key] = value or None
        (target.purges.add if purge else target.purges.discard)(key)

    def add_private_metadata_write(
        self, namespace: str, collection: str, key: str, entries: Mapping[str, bytes]
    ) -> None:
        """Record that `entries` replace the whole metadata of a private key."""
        self._collection(namespace, collection).metadata_writes[key] = entries

    @property
    def namespaces(self) -> list[str]:
        """The namespaces that appear in the set, in order."""
        return _by_bytes(self._namespaces)

    def written_keys(self, namespace: str) -> list[str]:
        """The public keys whose value or metadata is written."""
        found = self._namespaces.get(namespace)
        return [] if found is None else _by_bytes({**found.writes, **found.metadata_writes})

    def written_private_keys(self, namespace: str) -> dict[str, list[str]]:
        """The private keys whose value or metadata is written, by collection; collections only read are left out."""
        found = self._namespaces.get(namespace)
        if found is None:
            return {}
        written = {
            name: _by_bytes({**collection.writes, **collection.metadata_writes})
            for name, collection in found.collections.items()
        }
        return {name: keys for name, keys in written.items() if keys}

    def public(self) -> bytes:
        """Encode the public `TxReadWriteSet`; empty when nothing was read or written (rule R-2)."""
        encoded = rwset_pb2.TxReadWriteSet(
            ns_rwset=[
                rwset_pb2.NsReadWriteSet(
                    namespace=name,
                    rwset=self._namespaces[name].public(),
                    collection_hashed_rwset=self._namespaces[name].hashed(),
                )
                for name in _by_bytes(self._namespaces)
            ]
        )
        return bytes(encoded.SerializeToString())

    def private(self) -> Any:
        """Encode the cleartext `TxPvtReadWriteSet`; None when no private key was written (rules R-14, R-16)."""
        namespaces = []
        for name in _by_bytes(self._namespaces):
            found = self._namespaces[name].collections
            written = [(collection, found[collection].cleartext()) for collection in _by_bytes(found)]
            sets = [
                rwset_pb2.CollectionPvtReadWriteSet(collection_name=collection, rwset=cleartext)
                for collection, cleartext in written
                if cleartext
            ]
            if sets:
                namespaces.append(rwset_pb2.NsPvtReadWriteSet(namespace=name, collection_pvt_rwset=sets))
        return rwset_pb2.TxPvtReadWriteSet(ns_pvt_rwset=namespaces) if namespaces else None

    def _namespace(self, name: str) -> _Namespace:
        found = self._namespaces.get(name)
        if found is None:
            found = self._namespaces[name] = _Namespace()
        return found

    def _collection(self, namespace: str, name: str) -> _Collection:
        collections = self._namespace(namespace).collections
        found = collections.get(name)
        if found is None:
            found = collections[name] = _Collection()
        return found


def _by_bytes(keys: Iterable[str]) -> list[str]:
    """Sort by UTF-8 bytes, which is also the order of code points, so that Python's own order of `str` serves."""
    return sorted(keys)


def _hash(key: str) -> bytes:
    return sha256(key.encode()).digest()


def _hashed_read(key: str, version: Version | None) -> Any:
    if version is None:
        return kv_rwset_pb2.KVReadHash(key_hash=_hash(key))
    return kv_rwset_pb2.KVReadHash(key_hash=_hash(key), version=_version(version))


def _write(key: str, value: bytes | None) -> Any:
    if value is None:
        return kv_rwset_pb2.KVWrite(key=key, is_delete=True)
    return kv_rwset_pb2.KVWrite(key=key, value=value)


def _entries(entries: Mapping[str, bytes]) -> list[Any]:
    return [kv_rwset_pb2.KVMetadataEntry(name=name, value=entries[name]) for name in _by_bytes(entries)]
