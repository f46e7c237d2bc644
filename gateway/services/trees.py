# SPDX-License-Identifier: Apache-2.0
"""Trees of committed records, and the leaves that they are made of; the last used trees stay in memory."""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from chaincode.domain import merkle
from gateway.services.ports import Category, PortError, Records, StoredRecord

T = TypeVar("T")
BATCH = 5_000
"""Records that are hashed, written and read at once."""
_KEPT_LEAVES = 1_000_000
"""Leaves of all trees that are kept, 64 bytes each; the last one is kept whatever its size."""


class NotHeld(PortError):
    """This organisation does not hold the records of that version."""

    code = "records-not-held"
    category = Category.NOT_FOUND


class Trees:
    """Makes the tree of a root from the stored records; thread-safe."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._trees: OrderedDict[str, merkle.Tree] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, root: str) -> merkle.Tree:
        """The tree under a root (hex), every leaf computed from the record; raises `NotHeld`."""
        with self._lock:
            tree = self._trees.get(root)
        if tree is None:
            tree = merkle.Tree()
            for batch in batches(self._records.all(root)):
                tree.extend(leaf_hashes(batch))
            if tree.root().hex() != root:
                raise NotHeld("the stored records no longer lead to the committed root; run dataset verify", root=root)
            self.keep(root, tree)
        return tree

    def keep(self, root: str, tree: merkle.Tree) -> None:
        """Keep a tree at hand, and let go of those that were not used for long."""
        with self._lock:
            self._trees[root] = tree
            self._trees.move_to_end(root)
            while len(self._trees) > 1 and sum(kept.size for kept in self._trees.values()) > _KEPT_LEAVES:
                self._trees.popitem(last=False)


def leaf_hashes(records: Sequence[StoredRecord]) -> bytes:
    """Leaf hashes, joined, computed again from what the records say."""
    tails = {kind: merkle.record_tail(*kind) for kind in {(r.consent, r.purposes) for r in records}}
    return merkle.record_hashes((r.salt, r.id.encode(), r.content, tails[r.consent, r.purposes]) for r in records)


def batches(items: Iterable[T], size: int = BATCH) -> Iterator[list[T]]:
    """The items, `size` at a time."""
    items = iter(items)
    while batch := list(islice(items, size)):
        yield batch
