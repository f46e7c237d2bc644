# SPDX-License-Identifier: Apache-2.0
"""Merkle trees in tiles: 128 neighbouring hashes each, of which a proof reads a few, however many leaves there are.

Tile `number` of a level holds hashes of complete subtrees of 128^level leaves, from the one with the index
``128 * number`` on. It is complete with 128 of them, 4 KiB. The six heights between two levels are computed from the
lower one. (The tiles of C2SP's tlog-tiles are twice as wide, so of height 8 instead of 7.)
"""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from chaincode.domain import merkle
from chaincode.domain.merkle import HASH

_HEIGHT: Final = 7
WIDTH: Final = 1 << _HEIGHT
COMPLETE: Final = WIDTH * HASH
"""Bytes of a complete tile."""


class Tile(NamedTuple):
    """Hashes of one level that are kept together."""

    level: int
    number: int
    hashes: bytes


class TileMissing(Exception):
    """A tile is not there, or is shorter than it has to be."""


Read = Callable[[int, int], bytes]
"""The hashes of a tile, by level and number; empty where it is not there."""


class Growing:
    """A tree that is written from its first leaf to its last; in memory is one unfinished tile of each level."""

    def __init__(self, size: int = 0, edge: Iterable[bytes] = (), height: int = _HEIGHT) -> None:
        """Assign.

        Args:
            size: how many leaves there are already.
            edge: the unfinished tile of each level, from the leaves up; empty where the last one is complete.
            height: of a tile, which holds 2^height hashes.
        """
        self.size = size
        self._edge = [bytearray(hashes) for hashes in edge]
        self._height = height

    @classmethod
    def over(cls, size: int, read: Read, height: int = _HEIGHT) -> "Growing":
        """A tree of so many leaves, to be continued; raises `TileMissing`."""
        edge: list[bytes] = []
        while complete := size >> height * len(edge):
            unfinished = complete % (1 << height) * HASH
            found = read(len(edge), complete >> height) if unfinished else b""
            if len(found) < unfinished:
                raise TileMissing
            edge.append(found[:unfinished])
        return cls(size, edge, height)

    def extend(self, hashes: bytes, roots: bytes = b"") -> list[Tile]:
        """Append leaf hashes, joined; returns the tiles that this completes.

        Args:
            roots: those of the last tiles of leaves that this completes, joined, where they are known.
        """
        if len(hashes) % HASH or len(roots) % HASH:
            raise ValueError(f"hashes have {HASH} bytes each")
        done: list[Tile] = []
        before, level, whole = self.size, 0, HASH << self._height
        self.size += len(hashes) // HASH
        while hashes:
            if level == len(self._edge):
                self._edge.append(bytearray())
            held = self._edge[level]
            held += hashes
            number = before >> self._height * (level + 1)
            end = len(held) // whole * whole
            tiles = [bytes(held[at : at + whole]) for at in range(0, end, whole)]
            del held[:end]
            done += [Tile(level, number + index, each) for index, each in enumerate(tiles)]
            if (missing := len(tiles) - len(roots) // HASH) < 0:
                raise ValueError("there are roots of more tiles than are complete")
            unknown = tiles[:missing]
            hashes = b"".join(map(merkle.root_of_hashes, unknown)) + roots
            level, roots = level + 1, b""
        return done

    def edge(self) -> list[Tile]:
        """The tiles that are not complete."""
        held = enumerate(self._edge)
        return [Tile(level, self.size >> self._height * (level + 1), bytes(hashes)) for level, hashes in held if hashes]

    def root(self) -> bytes:
        """The root of all leaves."""
        last = b""
        for held in self._edge:
            # What is left over below is the last, incomplete subtree of this level.
            hashes = bytes(held) + last
            last = merkle.root_of_hashes(hashes) if hashes else b""
        return last or merkle.EMPTY_ROOT


def roots_of_whole(start: int, hashes: bytes) -> bytes:
    """The roots of the tiles that leaf hashes fill from end to end, joined; `start` is the index of the first leaf."""
    first = -start % WIDTH * HASH
    places = range(first, len(hashes) - COMPLETE + 1, COMPLETE)
    return b"".join([merkle.root_of_hashes(hashes[at : at + COMPLETE]) for at in places])


def count_whole(start: int, count: int) -> int:
    """How many roots `roots_of_whole` finds under so many leaves."""
    return max(0, count - -start % WIDTH) // WIDTH


class TiledTree(merkle.Subtrees):
    """A tree out of its tiles, each of which is read once; made for one proof or a few.

    Raises `TileMissing` where it lacks one.
    """

    def __init__(self, size: int, read: Read, height: int = _HEIGHT) -> None:
        self._size = size
        self._read = read
        self._height = height
        self._tiles: dict[tuple[int, int], bytes] = {}

    @property
    def size(self) -> int:
        """The number of leaves."""
        return self._size

    def node(self, height: int, index: int) -> bytes:
        """The hash of a complete subtree."""
        level, above = divmod(height, self._height)
        first = index << above
        place = level, first >> self._height
        if place not in self._tiles:
            self._tiles[place] = self._read(*place)
        start, length = first % (1 << self._height) * HASH, HASH << above
        found = self._tiles[place][start : start + length]
        if len(found) < length:
            raise TileMissing
        return merkle.root_of_hashes(found)
