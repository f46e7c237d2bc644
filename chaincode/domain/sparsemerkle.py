# SPDX-License-Identifier: Apache-2.0
"""Sparse Merkle trees over 256-bit keys: what a root says of one key, and the root after one key has changed.

A key of 32 bytes is a path from the root, its most significant bit first: 0 is left, 1 is right. A value has 17 bytes.

- A leaf's hash is ``SHA-256(00 ‖ key ‖ value)``, a node's ``SHA-256(01 ‖ left ‖ right)``; an empty side is zero bytes.
- The tree is compact: a subtree with exactly one leaf is that leaf's hash, wherever it begins. A map of n random keys
  is about log2(n) deep.

The root depends on the keys and values alone, never on the order in which they came. Every key has one end in a tree:
its own leaf, another key's leaf, or nothing. A proof is the way to that end, and thereby shows the value or its
absence: no root has a proof of both. Proofs are made where the tree is kept, which is not here.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from chaincode.domain.merkle import ProofError

KEY: Final = 32
VALUE: Final = 17
HASH: Final = 32
DEPTH: Final = 8 * KEY
"""The most siblings that a proof can have."""
EMPTY: Final = bytes(HASH)
"""The hash of a subtree without leaves, and the root of the empty tree."""


@dataclass(frozen=True, slots=True)
class Proof:
    """The way from a root to the end of a key's path."""

    siblings: bytes
    """The hashes beside the path, from the root downwards, 32 bytes each."""
    leaf: bytes = b""
    """``key ‖ value`` of the leaf at its end (49 bytes), the key's own or another's; nothing where that is empty."""
    beside: bytes = b""
    """What the last sibling is the hash of, without its prefix: ``key ‖ value`` or ``left ‖ right``.

    Only for removing a key: a leaf that is then alone moves up, a node stays.
    """


def leaf_hash(key: bytes, value: bytes) -> bytes:
    """The hash of a leaf."""
    return sha256(b"\x00" + key + value).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node."""
    return sha256(b"\x01" + left + right).digest()


def bit(key: bytes, depth: int) -> int:
    """The turn that a key's path takes at `depth`: 0 is left, 1 is right."""
    return key[depth >> 3] >> (7 - (depth & 7)) & 1


def shared_bits(one: bytes, other: bytes) -> int:
    """How many turns two keys have in common from the root on; 256 for equal keys."""
    return DEPTH - (int.from_bytes(one) ^ int.from_bytes(other)).bit_length()


def verify(root: bytes, key: bytes, proof: Proof) -> bytes | None:
    """The value of `key` in the tree with `root`, None for its absence; `ProofError` where `proof` shows neither."""
    siblings = _siblings(key, proof)
    end, value = _end(key, proof, len(siblings))
    # In a compact tree what is alone has moved up, so a path never ends beside nothing.
    if siblings and siblings[-1] == EMPTY:
        raise ProofError("the path ends deeper than a compact tree reaches")
    if _fold(key, siblings, end) != root:
        raise ProofError("the path leads to another root")
    return value


def change(root: bytes, key: bytes, proof: Proof, value: bytes | None) -> bytes:
    """The root after `key` has been given `value`, or removed for None; `ProofError` where `proof` does not hold.

    `proof` is of the tree before, with `root`. Removing a key that is absent changes nothing.
    """
    old = verify(root, key, proof)
    siblings = _siblings(key, proof)
    if value is None:
        return root if old is None else _without(key, siblings, proof.beside)
    if len(value) != VALUE:
        raise ProofError(f"a value has {VALUE} bytes")
    end = leaf_hash(key, value)
    if proof.leaf and old is None:
        other = proof.leaf[:KEY]
        fork = shared_bits(key, other)
        siblings = [*siblings, *[EMPTY] * (fork - len(siblings)), leaf_hash(other, proof.leaf[KEY:])]
    return _fold(key, siblings, end)


def _siblings(key: bytes, proof: Proof) -> list[bytes]:
    given = proof.siblings
    if len(key) != KEY:
        raise ProofError(f"a key has {KEY} bytes")
    if len(given) % HASH or len(given) > DEPTH * HASH:
        raise ProofError(f"siblings have {HASH} bytes each, and are at most {DEPTH}")
    return [given[at : at + HASH] for at in range(0, len(given), HASH)]


def _end(key: bytes, proof: Proof, depth: int) -> tuple[bytes, bytes | None]:
    """The hash at the end of the path, and the key's value if the leaf there is its own."""
    if not proof.leaf:
        return EMPTY, None
    if len(proof.leaf) != KEY + VALUE:
        raise ProofError(f"a leaf has {KEY + VALUE} bytes")
    found, value = proof.leaf[:KEY], proof.leaf[KEY:]
    if shared_bits(key, found) < depth:
        raise ProofError("the leaf at the end of the path does not belong there")
    return leaf_hash(found, value), value if found == key else None


def _fold(key: bytes, siblings: list[bytes], end: bytes) -> bytes:
    """The root that the hash `end`, below `siblings` on the path of `key`, leads to."""
    result = end
    for depth in range(len(siblings) - 1, -1, -1):
        beside = siblings[depth]
        result = node_hash(beside, result) if bit(key, depth) else node_hash(result, beside)
    return result


def _without(key: bytes, siblings: list[bytes], beside: bytes) -> bytes:
    """The root once the leaf of `key`, which is below `siblings`, is gone."""
    if not siblings:
        return EMPTY
    prefix = b"\x00" if len(beside) == KEY + VALUE else b"\x01"
    if sha256(prefix + beside).digest() != siblings[-1]:
        raise ProofError("removing a key takes what its last sibling is the hash of")
    if prefix == b"\x01":
        return _fold(key, siblings, EMPTY)
    alone = siblings[-1]
    above = siblings[:-1]
    while above and above[-1] == EMPTY:
        above.pop()
    return _fold(key, above, alone)
