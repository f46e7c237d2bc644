# SPDX-License-Identifier: Apache-2.0
"""Stage B: whether what a transaction read is still so at its place in the block (rules V-30 to V-32)."""

from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import Any

from network.embedded.entries import Version
from network.embedded.overlay import Overlay
from network.embedded.rwset import summarise
from network.embedded.transactions import MVCC_READ_CONFLICT, PHANTOM_READ_CONFLICT, VALID, NamespaceSet


def check_reads(sets: Iterable[NamespaceSet], overlay: Overlay) -> int:
    """The first conflict in Fabric's order, or VALID: per namespace reads, then ranges, then hashed reads."""
    for one in sets:
        if not _reads_hold(one, overlay):
            return MVCC_READ_CONFLICT
        if not all(_range_holds(one.namespace, info, overlay) for info in one.public.range_queries_info):
            return PHANTOM_READ_CONFLICT
        if not _hashed_reads_hold(one, overlay):
            return MVCC_READ_CONFLICT
    return VALID


def read_version(read: Any) -> Version | None:
    """The version that a `KVRead` or `KVReadHash` saw, None for an absent key (rule R-3)."""
    return (read.version.block_num, read.version.tx_num) if read.HasField("version") else None


def _reads_hold(one: NamespaceSet, overlay: Overlay) -> bool:
    for read in one.public.reads:
        if (one.namespace, read.key) in overlay.changes.public:
            return False  # written earlier in this block, whatever the version
        entry = overlay.snapshot.get(one.namespace, read.key)
        if read_version(read) != (None if entry is None else entry.version):
            return False
    return True


def _hashed_reads_hold(one: NamespaceSet, overlay: Overlay) -> bool:
    for collection in one.collections:
        for read in collection.hashed.hashed_reads:
            place = (one.namespace, collection.name, read.key_hash)
            if place in overlay.changes.hashed:
                return False
            entry = overlay.snapshot.get_hash(*place)
            if read_version(read) != (None if entry is None else entry.version):
                return False
    return True


def _range_holds(ns: str, info: Any, overlay: Overlay) -> bool:
    # An iterator that was not exhausted saw its end key, so that key belongs to the range.
    end = info.end_key if info.itr_exhausted else info.end_key + "\0"
    found = overlay.range(ns, info.start_key, end)
    if info.WhichOneof("reads_info") == "reads_merkle_hashes":
        return _summary_holds(info.reads_merkle_hashes, found)
    return _raw_holds(info.raw_reads.kv_reads, found)


def _raw_holds(reads: Iterable[Any], found: Iterator[tuple[str, Version]]) -> bool:
    for read, now in zip_longest(reads, found):
        if read is None or now is None or (read.key, read_version(read)) != now:
            return False
    return True


def _summary_holds(summary: Any, found: Iterator[tuple[str, Version]]) -> bool:
    if summary.max_degree < 2:
        return False  # no simulation makes such a tree, so nothing can be said to match it
    return bool(summarise(found, summary.max_degree) == summary)
