# SPDX-License-Identifier: Apache-2.0
"""Sparse Merkle trees over subject references as their controller computes them: hashes, paths and changes.

A subtree without a leaf is 32 zero bytes, one with a single leaf is that leaf's hash, and any other is the hash of its
two halves (`chaincode.domain.sparsemerkle` has the hashes and the rules of the ledger). The first `DEPTH` bits of a
reference say in which small subtree it is; of those, a `Crown` has every hash, so that a path needs the leaves of one
of them only.
"""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from chaincode.domain.sparsemerkle import EMPTY, HASH, bit, leaf_hash, node_hash

DEPTH: Final = 14
"""Bits of a reference that say in which subtree it is: about 61 leaves are in each, of a million."""
PLACES: Final = 1 << DEPTH

Leaf = tuple[bytes, bytes]
"""Reference (32 bytes) and value."""


def place_of(reference: bytes) -> int:
    """In which subtree a reference is."""
    return int.from_bytes(reference[:2], "big") >> (16 - DEPTH)


def bounds(place: int) -> tuple[bytes, bytes]:
    """The references of a subtree: the first that is in it, and what comes before every one after it."""
    shift = 8 * HASH - DEPTH
    return (place << shift).to_bytes(HASH, "big"), (((place + 1) << shift) - 1).to_bytes(HASH, "big")


@dataclass(frozen=True, slots=True)
class Path:
    """Where a reference is in a tree, or would be."""

    siblings: tuple[bytes, ...]
    """From the root downwards."""
    terminal: Leaf | None
    """The leaf at its end: the reference's own, another one, or none."""

    def value_of(self, reference: bytes) -> bytes | None:
        """What the reference has, whose way this is; `None` where it is not in the tree."""
        return self.terminal[1] if self.terminal is not None and self.terminal[0] == reference else None


def summit(leaves: Sequence[Leaf], depth: int = 0) -> bytes:
    """The hash of the subtree at `depth` with these leaves, which are in the order of their references."""
    return _over([leaf_hash(*leaf) for leaf in leaves], [leaf[0] for leaf in leaves], 0, len(leaves), depth)


def descend(leaves: Sequence[Leaf], reference: bytes, depth: int = 0) -> Path:
    """The way from the subtree at `depth` to a reference."""
    references = [leaf[0] for leaf in leaves]
    hashes = [leaf_hash(*leaf) for leaf in leaves]
    siblings: list[bytes] = []
    low, high = 0, len(leaves)
    while high - low > 1:
        middle = _middle(references, low, high, depth)
        if bit(reference, depth):
            siblings.append(_over(hashes, references, low, middle, depth + 1))
            low = middle
        else:
            siblings.append(_over(hashes, references, middle, high, depth + 1))
            high = middle
        depth += 1
    return Path(tuple(siblings), leaves[low] if high > low else None)


def _over(hashes: Sequence[bytes], references: Sequence[bytes], low: int, high: int, depth: int) -> bytes:
    """The hash over the leaves from `low` to before `high`; no deeper than a reference has bits."""
    if high - low < 2:
        return hashes[low] if high > low else EMPTY
    middle = _middle(references, low, high, depth)
    return node_hash(
        _over(hashes, references, low, middle, depth + 1), _over(hashes, references, middle, high, depth + 1)
    )


def _middle(references: Sequence[bytes], low: int, high: int, depth: int) -> int:
    """The first reference whose bit at `depth` is set; all from `low` to before `high` have the same bits before it."""
    byte, mask = depth >> 3, 0x80 >> (depth & 7)
    while low < high:
        middle = (low + high) >> 1
        if references[middle][byte] & mask:
            high = middle
        else:
            low = middle + 1
    return low


class Crown:
    """The upper part of a tree: the hash of every node down to `DEPTH`, and how many leaves are below each.

    A node's number is 1 for the root, and `2 n` and `2 n + 1` for what is below node `n`.
    """

    def __init__(self, hashes: bytearray | None = None, sizes: "array[int] | None" = None) -> None:
        self._hashes = bytearray(2 * PLACES * HASH) if hashes is None else hashes
        self._sizes = array("Q", bytes(16 * PLACES)) if sizes is None else sizes

    @classmethod
    def over(cls, subtrees: Iterable[tuple[int, bytes, int]]) -> "Crown":
        """The crown over these subtrees: the place of each, its hash and how many leaves are in it."""
        crown = cls()
        level: list[int] = []
        for place, digest, size in subtrees:
            crown._set(PLACES + place, digest, size)
            level.append(PLACES + place)
        crown._join_above(level)
        return crown

    @property
    def root(self) -> bytes:
        """The root of the whole tree."""
        return self.hash_of(1)

    @property
    def size(self) -> int:
        """How many leaves the tree has."""
        return self._sizes[1]

    def copy(self) -> "Crown":
        """The same, to be changed."""
        return Crown(self._hashes[:], self._sizes[:])

    def hash_of(self, node: int) -> bytes:
        """The hash of a node."""
        return bytes(self._hashes[node * HASH : (node + 1) * HASH])

    def put(self, place: int, digest: bytes, size: int) -> None:
        """Put another subtree in its place."""
        node = PLACES + place
        self._set(node, digest, size)
        while node := node >> 1:
            self._join(node)

    def subtree(self, place: int) -> tuple[bytes, int]:
        """The hash of a subtree and how many leaves are in it."""
        return self.hash_of(PLACES + place), self._sizes[PLACES + place]

    def path(self, reference: bytes, leaves_of: Callable[[int], Sequence[Leaf]]) -> Path:
        """The way from the root to a reference; `leaves_of` has the leaves of a subtree in their order."""
        place = place_of(reference)
        siblings: list[bytes] = []
        node = 1
        for depth in range(DEPTH):
            if self._sizes[node] < 2:
                return Path(tuple(siblings), self._only(node, leaves_of))
            node = node * 2 + ((place >> (DEPTH - 1 - depth)) & 1)
            siblings.append(self.hash_of(node ^ 1))
        below = descend(leaves_of(place), reference, DEPTH)
        return Path((*siblings, *below.siblings), below.terminal)

    def _join_above(self, level: Iterable[int]) -> None:
        """Compute every node above these, which are all on one level, each once."""
        while level := {node >> 1 for node in level} - {0}:
            for node in level:
                self._join(node)

    def _only(self, node: int, leaves_of: Callable[[int], Sequence[Leaf]]) -> Leaf | None:
        """The one leaf below a node, where there is any."""
        if not self._sizes[node]:
            return None
        while node < PLACES:
            node = node * 2 if self._sizes[node * 2] else node * 2 + 1
        return leaves_of(node - PLACES)[0]

    def _set(self, node: int, digest: bytes, size: int) -> None:
        self._hashes[node * HASH : (node + 1) * HASH] = digest
        self._sizes[node] = size

    def _join(self, node: int) -> None:
        left, right = node * 2, node * 2 + 1
        size = self._sizes[left] + self._sizes[right]
        if size > 1:
            digest = node_hash(self.hash_of(left), self.hash_of(right))
        else:
            digest = self.hash_of(left if self._sizes[left] else right)
        self._set(node, digest, size)


class Sketch:
    """A version of a map that is being changed: each path is of the tree as it stands after the changes before it."""

    def __init__(self, crown: Crown, leaves_of: Callable[[int], Sequence[Leaf]]) -> None:
        self.crown = crown.copy()
        self._stored = leaves_of
        self._leaves: dict[int, list[Leaf]] = {}
        self._changed: set[int] = set()

    @property
    def changed(self) -> Iterator[tuple[int, bytes, int]]:
        """The subtrees that are not as they were: the place of each, its hash and how many leaves are in it."""
        return ((place, *self.crown.subtree(place)) for place in sorted(self._changed))

    def path(self, reference: bytes) -> Path:
        """The way to a reference."""
        return self.crown.path(reference, self.leaves)

    def change(self, reference: bytes, value: bytes) -> Path:
        """Give a reference a value; returns the way to it as it was before."""
        way = self.path(reference)
        place = place_of(reference)
        leaves = self.leaves(place)
        at = bisect_left(leaves, (reference, b""))
        known = at < len(leaves) and leaves[at][0] == reference
        leaves[at : at + known] = [(reference, value)]
        digest = summit(leaves, DEPTH) if len(leaves) < 3 else _replaced(way, reference, value)
        self.crown.put(place, digest, len(leaves))
        self._changed.add(place)
        return way

    def leaves(self, place: int) -> list[Leaf]:
        """The leaves of a subtree as they stand now."""
        found = self._leaves.get(place)
        if found is None:
            found = self._leaves[place] = list(self._stored(place))
        return found


def _replaced(way: Path, reference: bytes, value: bytes) -> bytes:
    """The hash of a subtree of two leaves or more after the leaf at the end of a path was changed, or added there."""
    depth = len(way.siblings)
    if way.terminal is None or way.terminal[0] == reference:
        digest = leaf_hash(reference, value)
    else:
        digest = summit(sorted([way.terminal, (reference, value)]), depth)
    for sibling in reversed(way.siblings[DEPTH:]):
        depth -= 1
        digest = node_hash(sibling, digest) if bit(reference, depth) else node_hash(digest, sibling)
    return digest


def subtrees(leaves: Iterable[Leaf]) -> Iterator[tuple[int, bytes, int]]:
    """The subtrees of a tree whose leaves come in the order of their references, one after another."""
    for place, found in groupby(leaves, key=lambda leaf: place_of(leaf[0])):
        below = list(found)
        yield place, summit(below, DEPTH), len(below)
