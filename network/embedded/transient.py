# SPDX-License-Identifier: Apache-2.0
"""Private results of proposals between endorsement and commit (rules S-38, V-37, V-42).

One store serves all organisations of the process; entries carry the organisation whose peer simulated. They reach
the disk shortly after the endorsement, in groups: only a crash within those milliseconds loses cleartext, and then
the client has its endorsement but the transaction would commit with hashes alone, as Fabric's *missing* data does.
"""

from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from fabric_protos.ledger.rwset import rwset_pb2

from network.embedded.store import Store

RETENTION_BLOCKS = 20000
REMEMBERED = 1024


class TransientStore:
    """Cleartext write sets by transaction id and organisation."""

    def __init__(self, store: Store) -> None:
        """`store` is the ledger file that entries are kept in beside the chain, whatever channel they belong to."""
        self.store = store
        self.changed: Callable[[], None] = lambda: None
        """Called when there is something to write; the owner of the event loop sets it."""
        self._store = store
        self._recent: OrderedDict[str, dict[str, bytes]] = OrderedDict()
        self._unwritten: dict[tuple[str, str], tuple[int, bytes]] = {}
        self._spent: list[str] = []

    def put(self, transaction_id: str, org_msp: str, rwset: Any) -> None:
        """Keep a `TxPvtReadWriteSet` that the organisation's peer simulated for this proposal."""
        raw = rwset.SerializeToString()
        self._recent.setdefault(transaction_id, dict(self._store.transient(transaction_id)))[org_msp] = raw
        self._recent.move_to_end(transaction_id)
        self._unwritten[transaction_id, org_msp] = (self._store.height, raw)
        self.changed()

    def get(self, transaction_id: str) -> dict[str, Any]:
        """The `TxPvtReadWriteSet` of each organisation that simulated the proposal, by MSP id."""
        return {org: rwset_pb2.TxPvtReadWriteSet.FromString(raw) for org, raw in self._raw(transaction_id).items()}

    def find(self, transaction_id: str, ns: str, coll: str, digest: bytes) -> bytes | None:
        """The collection's serialised write set with this SHA-256, from whichever peer has it (rule V-37)."""
        for sets in self.get(transaction_id).values():
            for namespace in sets.ns_pvt_rwset:
                if namespace.namespace != ns:
                    continue
                for collection in namespace.collection_pvt_rwset:
                    if collection.collection_name == coll and sha256(collection.rwset).digest() == digest:
                        return bytes(collection.rwset)
        return None

    def drop(self, transaction_ids: list[str]) -> None:
        """Forget what was committed."""
        held = [txid for txid in transaction_ids if self._raw(txid)]
        for transaction_id in held:
            self._recent.pop(transaction_id, None)
        if held:
            self._unwritten = {place: row for place, row in self._unwritten.items() if place[0] not in held}
            self._spent += held
            self.changed()

    @property
    def dirty(self) -> bool:
        """Whether `flush` has anything to write."""
        return bool(self._unwritten or self._spent)

    def flush(self) -> "Flush":
        """Take what has to be written; call `write` of the answer on the writer's thread."""
        rows = [(txid, org, height, raw) for (txid, org), (height, raw) in self._unwritten.items()]
        flush = Flush(self._store, rows, self._spent, self._store.height - RETENTION_BLOCKS)
        self._spent = []
        return flush

    def flushed(self, flush: "Flush") -> None:
        """Note on the event loop's thread that `flush` has reached the disk."""
        for txid, org, _, raw in flush.rows:
            kept = self._unwritten.get((txid, org))
            if kept is not None and kept[1] is raw:
                del self._unwritten[txid, org]
        unwritten = {txid for txid, _ in self._unwritten}
        for transaction_id in [txid for txid in self._recent if txid not in unwritten]:
            if len(self._recent) <= REMEMBERED:
                break
            del self._recent[transaction_id]

    def _raw(self, transaction_id: str) -> dict[str, bytes]:
        if transaction_id in self._recent:
            return self._recent[transaction_id]
        return dict(self._store.transient(transaction_id))


class Flush:
    """One group of changes on its way to the disk."""

    def __init__(self, store: Store, rows: list[tuple[str, str, int, bytes]], spent: list[str], before: int) -> None:
        self.rows = rows
        self._store = store
        self._spent = spent
        self._before = before

    def write(self) -> None:
        self._store.write_transient(self.rows, self._spent, self._before)
