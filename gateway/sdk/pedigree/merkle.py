# SPDX-License-Identifier: Apache-2.0
"""Merkle trees as in RFC 6962, section 2.1: roots, inclusion and consistency proofs, made and verified.

A leaf's hash is ``SHA-256(00 ‖ leaf)``, a node's ``SHA-256(01 ‖ left ‖ right)``; a list is split at the largest power
of two below its length; the empty tree's root is the hash of nothing. Levels are kept as one run of bytes each, so
that a million leaves cost 64 MB and no objects.

A record's leaf has a fixed width of 90 bytes::

    01 ‖ salt (16) ‖ SHA-256(salt ‖ 00 ‖ id) ‖ SHA-256(salt ‖ 01 ‖ content) ‖ consent (1) ‖ purposes (8, big-endian)

Where records are about subjects, it has 122 bytes; the subject is a reference of 32 random bytes::

    02 ‖ salt ‖ SHA-256(salt ‖ 00 ‖ id) ‖ SHA-256(salt ‖ 01 ‖ content) ‖ SHA-256(salt ‖ 02 ‖ subject)
       ‖ consent ‖ purposes
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from hashlib import sha256
from struct import iter_unpack
from typing import Final

HASH: Final = 32
SALT: Final = 16
EMPTY_ROOT: Final = sha256().digest()


class ProofError(Exception):
    """A proof does not show what it should; the text says why. Rules translate it to a refusal."""


# --- Leaves -----------------------------------------------------------------------------------------------------


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of one leaf."""
    return sha256(b"\x00" + leaf).digest()


def record_hashes(records: Iterable[tuple[bytes, bytes, bytes, bytes]]) -> bytes:
    """The leaf hashes of many records, joined.

    Each record is (salt of 16 bytes, id, content, tail), where `tail` is consent and purposes as `record_tail` gives
    them: most records of a data set share theirs, and packing it once is what makes a million records cheap.
    """
    digest, join = sha256, b"".join
    return join(
        [
            digest(
                join(
                    (
                        b"\x00\x01",
                        salt,
                        digest(salt + b"\x00" + identifier).digest(),
                        digest(salt + b"\x01" + content).digest(),
                        tail,
                    )
                )
            ).digest()
            for salt, identifier, content, tail in records
        ]
    )


def subject_record_hashes(records: Iterable[tuple[bytes, bytes, bytes, bytes, bytes]]) -> bytes:
    """The leaf hashes of many records that are about subjects, joined.

    Each record is (salt of 16 bytes, id, content, subject reference of 32 bytes, tail).
    """
    digest, join = sha256, b"".join
    return join(
        [
            digest(
                join(
                    (
                        b"\x00\x02",
                        salt,
                        digest(salt + b"\x00" + identifier).digest(),
                        digest(salt + b"\x01" + content).digest(),
                        digest(salt + b"\x02" + subject).digest(),
                        tail,
                    )
                )
            ).digest()
            for salt, identifier, content, subject, tail in records
        ]
    )


def record_tail(consent: int, purposes: int) -> bytes:
    """The last nine bytes of a leaf."""
    return consent.to_bytes(1) + purposes.to_bytes(8)


# --- Trees ------------------------------------------------------------------------------------------------------


class Subtrees(ABC):
    """What roots and proofs of a tree are made of: the hashes of its complete subtrees, wherever they are kept.

    A tree that grows at its end keeps them, and so makes proofs of itself as of any size that it has had.
    """

    @property
    @abstractmethod
    def size(self) -> int:
        """The number of leaves."""
        ...

    @abstractmethod
    def node(self, height: int, index: int) -> bytes:
        """The hash of the complete subtree over leaves ``index * 2^height`` up to ``(index + 1) * 2^height``."""
        ...

    def leaf(self, index: int) -> bytes:
        """The hash of leaf `index`."""
        return self.node(0, index)

    def root(self, size: int | None = None) -> bytes:
        """The root of the first `size` leaves; of all of them without `size`."""
        size = self.size if size is None else size
        self._refuse_size(size)
        return self._range(0, size) if size else EMPTY_ROOT

    def inclusion(self, index: int, size: int | None = None) -> list[bytes]:
        """The audit path of leaf `index` in the tree of the first `size` leaves (RFC 6962, 2.1.1)."""
        size = self.size if size is None else size
        self._refuse_size(size)
        if not 0 <= index < size:
            raise ValueError(f"there is no leaf {index} in a tree of {size}")
        path: list[bytes] = []
        start, end = 0, size
        while end - start > 1:
            middle = start + _split(end - start)
            if index < middle:
                path.append(self._range(middle, end))
                end = middle
            else:
                path.append(self._range(start, middle))
                start = middle
        return path[::-1]

    def consistency(self, first: int, size: int | None = None) -> list[bytes]:
        """The proof that the first `first` leaves begin the first `size` (RFC 6962, 2.1.2)."""
        size = self.size if size is None else size
        self._refuse_size(size)
        if not 0 < first <= size:
            raise ValueError(f"a tree of {first} leaves does not begin one of {size}")
        path: list[bytes] = []
        start, end, whole = 0, size, True
        while first != end:
            middle = start + _split(end - start)
            if first <= middle:
                path.append(self._range(middle, end))
                end = middle
            else:
                path.append(self._range(start, middle))
                start, whole = middle, False
        if not whole:
            path.append(self._range(start, end))
        return path[::-1]

    def _refuse_size(self, size: int) -> None:
        if not 0 <= size <= self.size:
            raise ValueError(f"the tree has {self.size} leaves, not {size}")

    def _range(self, start: int, end: int) -> bytes:
        """The root of leaves `start` to `end`, a range that the splitting rule makes: its left parts are complete."""
        parts: list[bytes] = []
        while start < end:
            height = (end - start).bit_length() - 1
            parts.append(self.node(height, start >> height))
            start += 1 << height
        root = parts.pop()
        while parts:
            root = sha256(b"\x01" + parts.pop() + root).digest()
        return root


class Tree(Subtrees):
    """A tree in memory.

    `levels[0]` holds the leaf hashes, `levels[k]` the hashes of complete subtrees of 2^k leaves.
    """

    def __init__(self, hashes: bytes = b"") -> None:
        self._levels: list[bytearray] = [bytearray()]
        self.extend(hashes)

    @property
    def size(self) -> int:
        """The number of leaves."""
        return len(self._levels[0]) // HASH

    def extend(self, hashes: bytes) -> None:
        """Append leaf hashes, joined; each new inner node is hashed once."""
        if len(hashes) % HASH:
            raise ValueError(f"leaf hashes have {HASH} bytes each")
        self._levels[0] += hashes
        for height, level in enumerate(self._levels):
            done = len(self._levels[height + 1]) if height + 1 < len(self._levels) else 0
            whole = len(level) // (2 * HASH) * (2 * HASH)
            if 2 * done < whole:
                if height + 1 == len(self._levels):
                    self._levels.append(bytearray())
                self._levels[height + 1] += _parents(bytes(level[2 * done : whole]))

    def node(self, height: int, index: int) -> bytes:
        return bytes(self._levels[height][index * HASH : (index + 1) * HASH])


def root(leaves: Iterable[bytes]) -> bytes:
    """The root over leaves (not their hashes)."""
    return root_of_hashes(b"".join([leaf_hash(leaf) for leaf in leaves]))


def root_of_hashes(hashes: bytes) -> bytes:
    """The root over leaf hashes, joined; faster than `Tree` where no proof is wanted."""
    if len(hashes) % HASH:
        raise ValueError(f"leaf hashes have {HASH} bytes each")
    if not hashes:
        return EMPTY_ROOT
    while len(hashes) > HASH:
        # A node without a partner moves up as it is, which is what splitting at powers of two comes to.
        lone = hashes[-HASH:] if len(hashes) // HASH % 2 else b""
        hashes = _parents(hashes[: len(hashes) - len(lone)]) + lone
    return hashes


def _parents(level: bytes) -> bytes:
    """The hashes above an even number of nodes."""
    digest = sha256
    return b"".join([digest(b"\x01" + pair).digest() for (pair,) in iter_unpack("64s", level)])


def _split(size: int) -> int:
    """The largest power of two below `size`, which is at least 2."""
    return 1 << (size - 1).bit_length() - 1


# --- Verification -----------------------------------------------------------------------------------------------


def verify_inclusion(hashed: bytes, index: int, size: int, path: Sequence[bytes], expected_root: bytes) -> None:
    """Show that the leaf hash `hashed` is at `index` in the tree of `size` with `expected_root`; else `ProofError`.

    The algorithm of RFC 9162, section 2.1.3.2; proofs of RFC 6962 are the same.
    """
    if not 0 <= index < size:
        raise ProofError(f"there is no leaf {index} in a tree of {size}")
    position, last, result = index, size - 1, hashed
    for sibling in path:
        if last == 0:
            raise ProofError("the path is too long")
        if position & 1 or position == last:
            result = sha256(b"\x01" + sibling + result).digest()
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            result = sha256(b"\x01" + result + sibling).digest()
        position, last = position >> 1, last >> 1
    if last:
        raise ProofError("the path is too short")
    if result != expected_root:
        raise ProofError("the path leads to another root")


def verify_consistency(first: int, first_root: bytes, second: int, second_root: bytes, proof: Sequence[bytes]) -> None:
    """Show that the tree of `first` leaves begins that of `second`; `ProofError` otherwise.

    The algorithm of RFC 9162, section 2.1.4.2. An empty tree begins nothing that could be checked and is refused.
    """
    if not 0 < first <= second:
        raise ProofError(f"a tree of {first} leaves does not begin one of {second}")
    if first == second:
        if proof:
            raise ProofError("trees of one size need no proof")
        if first_root != second_root:
            raise ProofError("the trees have one size and two roots")
        return
    hashes = [first_root, *proof] if first & (first - 1) == 0 else list(proof)
    if not hashes:
        raise ProofError("the proof is empty")
    _climb(first, first_root, second, second_root, hashes)


def _climb(first: int, first_root: bytes, second: int, second_root: bytes, hashes: list[bytes]) -> None:
    position, last = first - 1, second - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    older = newer = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise ProofError("the proof is too long")
        if position & 1 or position == last:
            older = sha256(b"\x01" + sibling + older).digest()
            newer = sha256(b"\x01" + sibling + newer).digest()
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            newer = sha256(b"\x01" + newer + sibling).digest()
        position, last = position >> 1, last >> 1
    if last:
        raise ProofError("the proof is too short")
    if older != first_root:
        raise ProofError("the proof does not lead to the earlier root")
    if newer != second_root:
        raise ProofError("the proof does not lead to the later root")
