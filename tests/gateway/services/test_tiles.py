# SPDX-License-Identifier: Apache-2.0
"""Trees in tiles are the trees that the law knows, however they grow, and need few tiles for a proof."""

from hashlib import sha256

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chaincode.domain import merkle
from gateway.services.tiles import (
    COMPLETE,
    WIDTH,
    Growing,
    Tile,
    TiledTree,
    TileMissing,
    count_whole,
    roots_of_whole,
)

LEAVES = b"".join(sha256(b"%d" % number).digest() for number in range(3 * WIDTH + 5))


class Kept:
    """Tiles in memory."""

    def __init__(self) -> None:
        self.tiles: dict[tuple[int, int], bytes] = {}
        self.read: list[tuple[int, int]] = []

    def keep(self, tiles: list[Tile]) -> None:
        self.tiles.update({(tile.level, tile.number): tile.hashes for tile in tiles})

    def __call__(self, level: int, number: int) -> bytes:
        self.read.append((level, number))
        return self.tiles.get((level, number), b"")


def grown(hashes: bytes, cuts: list[int]) -> tuple[Growing, Kept]:
    """A tree that was given its leaves in pieces, and its tiles."""
    tree, kept = Growing(), Kept()
    ends = sorted({cut % (len(hashes) // merkle.HASH + 1) for cut in cuts} | {len(hashes) // merkle.HASH})
    for start, end in zip([0, *ends], ends, strict=False):
        kept.keep(tree.extend(hashes[start * merkle.HASH : end * merkle.HASH]))
    kept.keep(tree.edge())
    return tree, kept


SIZES = st.integers(0, 3 * WIDTH + 5)


@given(size=SIZES, cuts=st.lists(SIZES, max_size=4))
@example(size=2 * WIDTH + 1, cuts=[1, WIDTH])
@example(size=3 * WIDTH, cuts=[])
def test_roots_that_are_known_already_change_nothing(size: int, cuts: list[int]) -> None:
    tree, other = Growing(), Growing()
    ends = sorted({cut % (size + 1) for cut in cuts} | {size})
    for start, end in zip([0, *ends], ends, strict=False):
        hashes = LEAVES[start * merkle.HASH : end * merkle.HASH]
        roots = roots_of_whole(start, hashes)
        assert len(roots) == merkle.HASH * count_whole(start, end - start)
        assert tree.extend(hashes, roots) == other.extend(hashes)
    assert (tree.root(), tree.edge()) == (other.root(), other.edge())


def test_there_are_no_more_roots_than_whole_tiles() -> None:
    with pytest.raises(ValueError, match="more tiles"):
        Growing().extend(LEAVES[:COMPLETE], bytes(2 * merkle.HASH))
    with pytest.raises(ValueError, match="32 bytes each"):
        Growing().extend(LEAVES[:COMPLETE], bytes(merkle.HASH + 1))


@given(size=SIZES, cuts=st.lists(SIZES, max_size=4))
@example(size=0, cuts=[])
@example(size=WIDTH, cuts=[])
@example(size=2 * WIDTH, cuts=[WIDTH])
@example(size=2 * WIDTH + 1, cuts=[1, WIDTH])
def test_a_tree_in_tiles_has_the_root_and_the_proofs_of_the_laws_tree(size: int, cuts: list[int]) -> None:
    hashes = LEAVES[: size * merkle.HASH]
    expected = merkle.Tree(hashes)
    tree, kept = grown(hashes, cuts)
    assert (tree.size, tree.root()) == (size, expected.root())
    tiled = TiledTree(size, kept)
    assert tiled.root() == expected.root()
    for index in {0, size // 3, size // 2, size - 1} if size else ():
        assert tiled.inclusion(index) == expected.inclusion(index)
        assert tiled.consistency(index + 1) == expected.consistency(index + 1)
    assert len(kept.read) == len(set(kept.read))


@given(size=SIZES, more=SIZES)
@example(size=WIDTH, more=WIDTH)
def test_a_tree_is_continued_from_its_tiles(size: int, more: int) -> None:
    total = min(size + more, 3 * WIDTH + 5)
    _, kept = grown(LEAVES[: size * merkle.HASH], [])
    tree = Growing.over(size, kept)
    kept.keep(tree.extend(LEAVES[size * merkle.HASH : total * merkle.HASH]))
    kept.keep(tree.edge())
    expected, whole = grown(LEAVES[: total * merkle.HASH], [])
    assert (tree.size, tree.root()) == (expected.size, expected.root())
    # A tile that was not complete and is now stays under its number; nothing else is different.
    assert kept.tiles == whole.tiles


@pytest.mark.parametrize("size", [WIDTH**2 - 1, WIDTH**2, WIDTH**2 + WIDTH + 1])
def test_three_levels_are_a_tree_too_and_a_proof_reads_few_tiles(size: int) -> None:
    hashes = b"".join(sha256(b"%d" % number).digest() for number in range(size))
    expected = merkle.Tree(hashes)
    tree, kept = grown(hashes, [WIDTH + 1, size // 2])
    assert tree.root() == expected.root()
    assert max(map(len, kept.tiles.values())) == COMPLETE
    for index in (0, WIDTH, size // 2, size - 1):
        kept.read.clear()
        assert TiledTree(size, kept).inclusion(index) == expected.inclusion(index)
        assert len(kept.read) <= 6


def test_a_tile_that_is_missing_or_too_short_is_said_to_be() -> None:
    _, kept = grown(LEAVES[: 200 * merkle.HASH], [])
    kept.tiles[0, 1] = kept.tiles[0, 1][:64]
    with pytest.raises(TileMissing):
        TiledTree(200, kept).inclusion(199)
    with pytest.raises(TileMissing):
        Growing.over(200, kept)
    assert TiledTree(200, kept).size == 200
    with pytest.raises(TileMissing):
        TiledTree(128, Kept()).root()


def test_half_a_hash_is_no_leaf() -> None:
    with pytest.raises(ValueError, match="32 bytes each"):
        Growing().extend(b"half")
