# SPDX-License-Identifier: Apache-2.0
"""Trees of committed records, out of the tiles that are kept beside them, and the leaves that they are made of.

Tiles are written with the records that they are over, so a crash leaves both or neither. What they say is believed
only where it leads to the committed root. Where it does not, or where a set was written before there were tiles, they
are written again from the leaves.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import TypeVar

from chaincode.domain import merkle
from chaincode.domain.provenance import LeafSchema
from gateway.services.ports import Category, PortError, Records, RecordSet, StoredRecord
from gateway.services.tiles import Growing, TiledTree, TileMissing

T = TypeVar("T")
BATCH = 5_000
"""Records that are hashed, written and read at once."""
_SIZE = 4 << 20
"""Bytes of records after which no more are read at once."""


class NotHeld(PortError):
    """This organisation does not hold the records of that version."""

    code = "records-not-held"
    category = Category.NOT_FOUND


class Trees:
    """Proofs out of the tiles of record sets; thread-safe. In memory is a handful of tiles.

    Everything that it returns was checked against the root of the set. Raises `NotHeld` where the stored records no
    longer lead there.
    """

    def __init__(self, records: Records) -> None:
        self._records = records
        self._lock = threading.Lock()

    def inclusion(self, held: RecordSet, index: int, record: StoredRecord) -> list[bytes]:
        """The path from a record, as it is stored at a position of the set, to the root."""
        leaf = leaf_hashes([record], held.leaf_schema)
        if leaf != record.leaf:
            raise leads_elsewhere(held)  # it was altered, and no tile can help

        def make() -> list[bytes]:
            path = TiledTree(held.size, partial(self._records.tile, held.key)).inclusion(index)
            merkle.verify_inclusion(leaf, index, held.size, path, bytes.fromhex(held.root))
            return path

        return self._made(held, make)

    def consistency(self, base: RecordSet, held: RecordSet) -> list[bytes]:
        """The proof that a set begins with the leaves of another one."""

        def make() -> list[bytes]:
            proof = TiledTree(held.size, partial(self._records.tile, held.key)).consistency(base.size)
            roots = bytes.fromhex(base.root), bytes.fromhex(held.root)
            merkle.verify_consistency(base.size, roots[0], held.size, roots[1], proof)
            return proof

        return self._made(held, make)

    def continued(self, held: RecordSet) -> Growing:
        """The tree of a set, to which leaves can be added."""

        def make() -> Growing:
            tree = Growing.over(held.size, partial(self._records.tile, held.key))
            if tree.root().hex() != held.root:
                raise merkle.ProofError("the tiles lead to another root")
            return tree

        return self._made(held, make)

    def _made(self, held: RecordSet, make: Callable[[], T]) -> T:
        try:
            return make()
        except (TileMissing, merkle.ProofError):
            self._tile_again(held)
        try:
            return make()
        except (TileMissing, merkle.ProofError):
            raise leads_elsewhere(held) from None

    def _tile_again(self, held: RecordSet) -> None:
        with self._lock:
            # First whether it helps: tiles that are right for some leaves must not give way to ones that are wrong.
            tree = Growing()
            for hashes in self._leaves(held):
                tree.extend(hashes)
            if tree.root().hex() != held.root:
                raise leads_elsewhere(held)
            tree = Growing()
            for hashes in self._leaves(held):
                self._records.keep_tiles(held.key, tree.extend(hashes))
            self._records.keep_tiles(held.key, tree.edge())

    def _leaves(self, held: RecordSet) -> Iterator[bytes]:
        for batch in in_batches(self._records.all(held.root)):
            yield b"".join(record.leaf for record in batch)


def leads_elsewhere(held: RecordSet) -> NotHeld:
    """The refusal of what cannot be shown any more, because the store was altered."""
    return NotHeld("the stored records no longer lead to the committed root; run dataset verify", root=held.root)


def leaf_hashes(records: Sequence[StoredRecord], schema: LeafSchema) -> bytes:
    """Leaf hashes, joined, computed again from what the records say."""
    tails = {kind: merkle.record_tail(*kind) for kind in {(r.consent, r.purposes) for r in records}}
    if schema is LeafSchema.RECORD_V1:
        return merkle.record_hashes((r.salt, r.id.encode(), r.content, tails[r.consent, r.purposes]) for r in records)
    return merkle.subject_record_hashes(
        (r.salt, r.id.encode(), r.content, r.subject, tails[r.consent, r.purposes]) for r in records
    )


def batches(items: Iterable[T], size: int = BATCH) -> Iterator[list[T]]:
    """The items, `size` at a time."""
    items = iter(items)
    while batch := list(islice(items, size)):
        yield batch


def in_batches(records: Iterable[StoredRecord]) -> Iterator[list[StoredRecord]]:
    """Stored records, as many at a time as are near in memory whatever their size."""
    batch: list[StoredRecord] = []
    size = 0
    for record in records:
        batch.append(record)
        size += len(record.content)
        if len(batch) == BATCH or size >= _SIZE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
