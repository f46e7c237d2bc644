# SPDX-License-Identifier: Apache-2.0
"""A view of the ledger at one height that later commits cannot change (rule S-20).

Reads go to the newest committed rows; what blocks at or above the snapshot's height have replaced, or are replacing
at this moment, is put back from the undo maps that the store registers *before* such a commit begins. No read takes
a lock, no commit waits for a reader, however long a simulation lasts.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, Self, TypeVar

from network.embedded.entries import Changes, Entry, HashEntry, HistoryEntry, PrivateEntry

CHUNK = 256
"""Rows fetched at a time by a range: memory stays bounded, and no SQL cursor is left open between two steps."""

T = TypeVar("T")


class Reader(Protocol):
    """Queries on the newest committed rows; used on the event loop's thread only."""

    def public_range(self, ns: str, start: bytes, end: bytes, limit: int) -> list[tuple[str, Entry]]: ...
    def hashed(self, ns: str, coll: str, key_hash: bytes) -> HashEntry | None: ...
    def private(self, org: str, ns: str, coll: str, key: str) -> PrivateEntry | None: ...
    def private_range(
        self, org: str, ns: str, coll: str, start: bytes, end: bytes, limit: int
    ) -> list[tuple[str, PrivateEntry]]: ...
    def history(self, ns: str, key: str, before: tuple[int, int], limit: int) -> list[tuple[Any, ...]]: ...


class Keeper(Protocol):
    """What a snapshot asks of the store that made it; used on the event loop's thread only."""

    memo: dict[Any, Any]

    def release(self, view: "Snapshot") -> None: ...
    def public(self, ns: str, key: str) -> Entry | None: ...
    def undone(self, height: int) -> list[Changes]: ...


class Snapshot:
    """The ledger after block `height` - 1. Use it as a context manager, or drop it: nothing else holds it."""

    def __init__(self, store: Keeper, reader: Reader, height: int) -> None:
        self._store = store
        self._reader = reader
        self.height = height

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the store forget what it keeps for this view; reading afterwards is an error of the caller."""
        self._store.release(self)

    @property
    def memo(self) -> dict[Any, Any]:
        """Values derived from versioned entries, kept by the store; a key must name the versions it rests upon."""
        return self._store.memo

    def get(self, ns: str, key: str) -> Entry | None:
        """The public entry, None when the key is absent."""
        for undo in self._store.undone(self.height):
            if (ns, key) in undo.public:
                return undo.public[ns, key]
        return self._store.public(ns, key)

    def get_hash(self, ns: str, coll: str, key_hash: bytes) -> HashEntry | None:
        """The private key's hash entry, None when absent; the same on every organisation's peer."""
        for undo in self._store.undone(self.height):
            if (ns, coll, key_hash) in undo.hashed:
                return undo.hashed[ns, coll, key_hash]
        return self._reader.hashed(ns, coll, key_hash)

    def get_private(self, org_msp: str, ns: str, coll: str, key: str) -> PrivateEntry | None:
        """The cleartext on that organisation's peer, None when it has none; it may be older than the hash entry."""
        for undo in self._store.undone(self.height):
            if (org_msp, ns, coll, key) in undo.private:
                return undo.private[org_msp, ns, coll, key]
        return self._reader.private(org_msp, ns, coll, key)

    def range(self, ns: str, start: str, end: str) -> Iterator[tuple[str, Entry]]:
        """Public entries of [start, end) by UTF-8 bytes; an empty end reaches to the end of the namespace."""

        def fetch(low: bytes) -> list[tuple[str, Entry]]:
            return self._reader.public_range(ns, low, end.encode(), CHUNK)

        def replaced(undo: Changes) -> Iterator[tuple[str, Entry | None]]:
            return ((key, entry) for (space, key), entry in undo.public.items() if space == ns)

        return self._merge(fetch, replaced, start, end)

    def range_private(
        self, org_msp: str, ns: str, coll: str, start: str, end: str
    ) -> Iterator[tuple[str, PrivateEntry]]:
        """Cleartext entries of [start, end) on that organisation's peer, by UTF-8 bytes."""
        place = (org_msp, ns, coll)

        def fetch(low: bytes) -> list[tuple[str, PrivateEntry]]:
            return self._reader.private_range(*place, low, end.encode(), CHUNK)

        def replaced(undo: Changes) -> Iterator[tuple[str, PrivateEntry | None]]:
            return ((k[3], entry) for k, entry in undo.private.items() if k[:3] == place)

        return self._merge(fetch, replaced, start, end)

    def history(self, ns: str, key: str) -> Iterator[HistoryEntry]:
        """Valid writes and deletes of a public key, newest first (rule S-31)."""
        before = (self.height, 0)
        while True:
            rows = self._reader.history(ns, key, before, CHUNK)
            for block, tx, entry in rows:
                before = (block, tx)
                yield entry
            if len(rows) < CHUNK:
                return

    def _merge(self, fetch: Any, replaced: Any, start: str, end: str) -> Iterator[tuple[str, Any]]:
        """Rows in chunks, each corrected at once by what commits have replaced inside that chunk's interval."""
        low, high = start.encode(), end.encode()
        while True:
            rows = fetch(low)
            last = len(rows) < CHUNK
            limit = high if last else rows[-1][0].encode() + b"\0"
            yield from self._restored(rows, replaced, low, limit)
            if last:
                return
            low = limit

    def _restored(self, rows: Sequence[tuple[str, Any]], replaced: Any, low: bytes, limit: bytes) -> Any:
        undone = self._store.undone(self.height)
        if not undone:
            return rows
        found = {key.encode(): (key, entry) for key, entry in rows}
        for undo in reversed(undone):
            for key, entry in replaced(undo):
                raw = key.encode()
                if raw < low or (limit and raw >= limit):
                    continue
                if entry is None:
                    found.pop(raw, None)
                else:
                    found[raw] = (key, entry)
        return [found[raw] for raw in sorted(found)]
