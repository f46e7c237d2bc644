# SPDX-License-Identifier: Apache-2.0
"""One channel's ledger in one SQLite file: WAL, synchronous=FULL, one writer, one transaction per block.

Obligations, cited by number below:
1. A block and everything derived from it are written in one SQL transaction, so a crash leaves all of it or nothing.
2. Nothing of a block can be read before that transaction has reached the disk: readers are held below `height`,
   which `publish` raises only after `write` has returned.
3. `begin` registers what the block replaces before `write` starts, so that older snapshots stay as they were.
4. After a failed write the store answers nothing any more; the process has to end and start from the file.
"""

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self
from weakref import WeakSet

from fabric_protos.common import common_pb2

from network.embedded.entries import (
    Changes,
    Commit,
    Entry,
    Expiry,
    HashEntry,
    HistoryEntry,
    PrivateEntry,
    PrivateWriteSet,
    TransactionPlace,
    Version,
    decode_metadata,
    encode_metadata,
)
from network.embedded.rows import Rows, connect_reader, connect_writer, write_commit
from network.embedded.snapshot import Snapshot
from network.embedded.statecache import StateCache

__all__ = [
    "Changes",
    "Commit",
    "Entry",
    "Expiry",
    "HashEntry",
    "HistoryEntry",
    "PrivateEntry",
    "PrivateWriteSet",
    "Snapshot",
    "Store",
    "StoreError",
    "TransactionPlace",
    "Version",
    "decode_metadata",
    "encode_metadata",
]

RECENT_BYTES = 32 * 1024 * 1024
"""Serialised size of the newest blocks kept parsed for event streams at the tip."""
MEMO_ENTRIES = 4096


class StoreError(RuntimeError):
    """The ledger file could not be written; the state in memory is no longer to be trusted."""


class Store:
    """The ledger of one channel. All methods but `write` belong to the event loop's thread."""

    def __init__(self, reader: sqlite3.Connection, writer: sqlite3.Connection | None) -> None:
        self._connection = reader
        self._writer = writer
        self._lock = threading.Lock()
        self._reader = Rows(reader)
        self._cache = StateCache(self._reader)
        self._failed = False
        self._undo: dict[int, Changes] = {}
        self._live: WeakSet[Snapshot] = WeakSet()
        self._recent: OrderedDict[int, tuple[Any, int]] = OrderedDict()
        self.memo: dict[Any, Any] = {}
        self.height: int = self._reader.height()
        self.commit_hash: bytes = self._reader.commit_hash(self.height - 1)
        self.tip_hash: bytes = self._reader.header_hash(self.height - 1)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        connect: Callable[..., Any] = sqlite3.connect,
        read_only: bool = False,
        durable: bool = True,
    ) -> Self:
        """Open or create the file at `path`; the caller holds the directory's lock unless `read_only`.

        Only scratch files may do without `durable`. Raises StoreError when the file is not a ledger or its schema is
        of another version.
        """
        try:
            writer = None if read_only else connect_writer(path, connect, durable=durable)
            return cls(connect_reader(path, connect), writer)
        except sqlite3.Error as exc:
            raise StoreError(f"ledger {path}: {exc}") from exc

    def close(self) -> None:
        """Close both connections; the last one leaves no WAL behind."""
        self._connection.close()
        with self._lock:
            if self._writer is not None:
                self._writer.close()

    def pin(self) -> sqlite3.Connection:
        """The reading connection, from now on held at the present state of the file; for tools that read all of it."""
        if not self._connection.in_transaction:
            self._connection.execute("BEGIN")
            self.height = self._reader.height()
        return self._connection

    # -- views ---------------------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """A view at the present height that commits cannot change."""
        self._check()
        view = Snapshot(self, self._reader, self.height)
        self._live.add(view)
        return view

    def release(self, view: Snapshot) -> None:
        self._live.discard(view)

    def public(self, ns: str, key: str) -> Entry | None:
        """The entry at the published height, for keys that no block in `undone` concerns."""
        return self._cache.get(ns, key)

    def undone(self, height: int) -> list[Changes]:
        """What blocks from `height` on have replaced or are about to, oldest block first."""
        if not self._undo:
            return []
        return [undo for number, undo in self._undo.items() if number >= height]

    def block(self, number: int) -> Any:
        """The `common.Block`, None at or beyond the height. Treat it as read-only: it is shared."""
        self._check()
        if not 0 <= number < self.height:
            return None
        if number in self._recent:
            return self._recent[number][0]
        return common_pb2.Block.FromString(self._reader.block(number))

    def stored_hash(self, number: int) -> bytes:
        """The header hash that a block is indexed under; not recomputed."""
        return self._reader.header_hash(number)

    def by_hash(self, header_hash: bytes) -> Any:
        """The block with this header hash, or None."""
        number = self._reader.number_of(header_hash)
        return None if number is None else self.block(number)

    def by_transaction(self, transaction_id: str) -> TransactionPlace | None:
        """The first place of a transaction id, valid or not; None when it is not on the ledger."""
        self._check()
        return self._reader.place_of(transaction_id, self.height)

    def envelope(self, block_number: int, tx_number: int) -> Any:
        """The `common.Envelope` at that place, None when there is none."""
        block = self.block(block_number)
        if block is None or not 0 <= tx_number < len(block.data.data):
            return None
        return common_pb2.Envelope.FromString(block.data.data[tx_number])

    def private_writes(self, block_number: int, org_msp: str | None = None) -> list[PrivateWriteSet]:
        """Private write sets of a block as they are still held, by one organisation or by all."""
        return self._reader.private_writes(block_number, org_msp) if block_number < self.height else []

    def private_writes_of(self, ns: str, coll: str) -> list[PrivateWriteSet]:
        """Every private write set of a collection that is still held; for purges."""
        return self._reader.private_writes_of(ns, coll)

    def private_holders(self, ns: str, coll: str, key_hash: bytes) -> list[tuple[str, str, PrivateEntry]]:
        """(organisation, key, entry) of all cleartexts whose key has this hash."""
        return self._reader.private_by_hash(ns, coll, key_hash)

    def private_of(self, org_msp: str, ns: str, coll: str) -> list[tuple[str, PrivateEntry]]:
        """All cleartext of a collection that an organisation holds; for members that join later (rule V-44)."""
        return self._reader.private_of(org_msp, ns, coll)

    def due(self, number: int) -> list[Expiry]:
        """What expires when block `number` commits."""
        return self._reader.due(number)

    # -- small values beside the chain --------------------------------------------------------------------------

    def meta(self, key: str) -> bytes | None:
        """A value kept beside the chain (settings of the node itself), None when never put."""
        return self._reader.meta(key)

    def put_meta(self, key: str, value: bytes | None) -> None:
        """Keep or remove a value durably; returns after it has reached the disk."""
        sql = "DELETE FROM meta WHERE key = ?" if value is None else "INSERT OR REPLACE INTO meta VALUES (?, ?)"
        self._execute((sql, [(key,) if value is None else (key, value)]))

    def transient(self, transaction_id: str) -> list[tuple[str, bytes]]:
        """Kept private results of a proposal: organisation, serialised `TxPvtReadWriteSet`."""
        return self._reader.transient(transaction_id)

    def write_transient(self, rows: list[tuple[str, str, int, bytes]], spent: list[str], before: int) -> None:
        """Keep and drop private results of proposals; `before` drops those endorsed below that height (rule V-42)."""
        self._execute(
            ("INSERT OR REPLACE INTO transient VALUES (?, ?, ?, ?)", rows),
            ("DELETE FROM transient WHERE txid = ?", [(txid,) for txid in spent]),
            ("DELETE FROM transient WHERE height < ?", [(before,)]),
        )

    # -- commit --------------------------------------------------------------------------------------------------

    def begin(self, commit: Commit) -> None:
        """Register what `commit` replaces (obligation 3). Call it before `write`, on the event loop's thread."""
        self._check()
        if commit.number != self.height:
            raise ValueError(f"block {commit.number} cannot follow height {self.height}")
        self._undo[commit.number] = self._replaced(commit.changes)

    def write(self, commit: Commit) -> None:
        """Write the block durably (obligation 1); runs on the writer's thread. Raises StoreError, once and for all."""
        with self._lock:
            try:
                write_commit(self._required_writer(), commit)
            except (sqlite3.Error, OSError) as exc:
                self._failed = True
                raise StoreError(f"block {commit.number} could not be written: {exc}") from exc

    def publish(self, commit: Commit) -> None:
        """Make the written block visible to all readers at once (obligation 2)."""
        self.height = commit.number + 1
        self.commit_hash = commit.commit_hash
        self.tip_hash = commit.header_hash
        self._cache.update(commit.changes)
        self._remember(commit)
        oldest = min((view.height for view in self._live), default=self.height)
        self._undo = {number: undo for number, undo in self._undo.items() if number >= oldest}
        if len(self.memo) > MEMO_ENTRIES:
            self.memo.clear()

    def commit(self, commit: Commit) -> None:
        """`begin`, `write` and `publish` on one thread, for tools and tests."""
        self.begin(commit)
        self.write(commit)
        self.publish(commit)

    def _replaced(self, changes: Changes) -> Changes:
        read = self._reader
        return Changes(
            {key: self._cache.get(*key) for key in changes.public},
            {key: read.hashed(*key) for key in changes.hashed},
            {key: read.private(*key) for key in changes.private},
        )

    def _remember(self, commit: Commit) -> None:
        self._recent[commit.number] = (commit.block, commit.block.ByteSize())
        while len(self._recent) > 1 and sum(size for _, size in self._recent.values()) > RECENT_BYTES:
            self._recent.popitem(last=False)
        while len(self._recent) > 64:
            self._recent.popitem(last=False)

    def _execute(self, *statements: tuple[str, list[Any]]) -> None:
        self._check()
        with self._lock:
            writer = self._required_writer()
            try:
                writer.execute("BEGIN IMMEDIATE")
                for sql, rows in statements:
                    writer.executemany(sql, rows)
                writer.execute("COMMIT")
            except (sqlite3.Error, OSError) as exc:
                self._failed = True
                raise StoreError(f"the ledger file could not be written: {exc}") from exc

    def _required_writer(self) -> sqlite3.Connection:
        self._check()
        if self._writer is None:
            raise RuntimeError("this store is open for reading only")
        return self._writer

    def _check(self) -> None:
        if self._failed:
            raise StoreError("an earlier write failed; the ledger must be opened anew")
