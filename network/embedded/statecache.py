# SPDX-License-Identifier: Apache-2.0
"""The public entries read or written last, in memory: validation and simulations ask for the same keys again and again.

The cache answers for the published height. While a block is being written, the keys it changes are answered from its
undo map before anyone gets here, so neither a stale nor an early value can be accepted.
"""

from typing import Protocol

from network.embedded.entries import Changes, Entry, PublicKey

MAX_ENTRIES = 16_384
MAX_VALUE_BYTES = 2048
"""Larger values are read from the file each time, so that the cache stays below some 40 MB."""


class Source(Protocol):
    """Where entries are read that are not in the cache."""

    def public(self, ns: str, key: str) -> Entry | None: ...


class StateCache:
    """A bounded memory of public entries, absent keys included; what came first leaves first."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._entries: dict[PublicKey, Entry | None] = {}

    def get(self, ns: str, key: str) -> Entry | None:
        """The entry at the published height; the caller has asked the undo maps before."""
        place = (ns, key)
        if place in self._entries:
            return self._entries[place]
        entry = self._source.public(ns, key)
        self._keep(place, entry)
        return entry

    def update(self, changes: Changes) -> None:
        """Apply a block that has just been published."""
        for place, entry in changes.public.items():
            self._keep(place, entry)

    def _keep(self, place: PublicKey, entry: Entry | None) -> None:
        if entry is not None and len(entry.value) + len(entry.metadata or b"") > MAX_VALUE_BYTES:
            self._entries.pop(place, None)
            return
        if place not in self._entries and len(self._entries) >= MAX_ENTRIES:
            del self._entries[next(iter(self._entries))]
        self._entries[place] = entry
