# SPDX-License-Identifier: Apache-2.0
"""A sparse Merkle tree by its definition: every root is computed anew from the keys and values. Slow, and plain."""

from hashlib import sha256

from chaincode.domain.sparsemerkle import Proof

NOTHING = bytes(32)


def turn(key: bytes, depth: int) -> int:
    return int.from_bytes(key, "big") >> (255 - depth) & 1


def root_of(leaves: dict[bytes, bytes], depth: int = 0) -> bytes:
    """The root of the subtree with these leaves."""
    if not leaves:
        return NOTHING
    if len(leaves) == 1:
        ((key, value),) = leaves.items()
        return sha256(b"\x00" + key + value).digest()
    return sha256(b"\x01" + halves(leaves, depth)).digest()


def halves(leaves: dict[bytes, bytes], depth: int) -> bytes:
    """What the hash of a node is made of; a run of nodes that have one side only is hashed in a loop."""
    fork = depth
    while not side(leaves, fork, 0) or not side(leaves, fork, 1):
        fork += 1
    found = b"".join(root_of(side(leaves, fork, which), fork + 1) for which in (0, 1))
    any_key = next(iter(leaves))
    for above in range(fork - 1, depth - 1, -1):
        node = sha256(b"\x01" + found).digest()
        found = NOTHING + node if turn(any_key, above) else node + NOTHING
    return found


def side(leaves: dict[bytes, bytes], depth: int, which: int) -> dict[bytes, bytes]:
    return {key: value for key, value in leaves.items() if turn(key, depth) == which}


def proof_of(leaves: dict[bytes, bytes], key: bytes) -> Proof:
    """The way to a key's end: its leaf, another's, or nothing."""
    siblings, depth, beside = [], 0, {}
    while len(leaves) > 1:
        own, beside = side(leaves, depth, turn(key, depth)), side(leaves, depth, 1 - turn(key, depth))
        siblings.append(root_of(beside, depth + 1))
        leaves, depth = own, depth + 1
    end = b"".join(next(iter(leaves.items()))) if leaves else b""
    under = b"".join(next(iter(beside.items()))) if len(beside) == 1 else halves(beside, depth) if beside else b""
    return Proof(b"".join(siblings), end, under)
