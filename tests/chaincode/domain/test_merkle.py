# SPDX-License-Identifier: Apache-2.0
"""Merkle trees against the published vectors of Certificate Transparency, the definition, and one another."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincode.domain import merkle
from chaincode.domain.merkle import ProofError, Tree, leaf_hash

# The eight inputs of certificate-transparency's reference tests (cpp/merkletree/merkle_tree_test.cc), with the roots
# of the trees of the first 0 … 8 of them, and its paths and proofs.
INPUTS = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
PATHS = {  # (leaf counted from 0, size): path
    (0, 1): [],
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
PROOFS = {  # (first size, second size): proof
    (1, 1): [],
    (1, 8): PATHS[0, 8],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}

sizes = st.integers(1, 70)


def hashes(size):
    return b"".join(leaf_hash(b"%d" % index) for index in range(size))


def defined_root(leaves):
    """The definition of RFC 6962, section 2.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + defined_root(leaves[:split]) + defined_root(leaves[split:])).digest()


@pytest.fixture(scope="module")
def published():
    return Tree(b"".join(map(leaf_hash, INPUTS)))


def test_the_published_roots(published):
    for size, root in enumerate(ROOTS):
        assert published.root(size).hex() == root
        assert merkle.root(INPUTS[:size]).hex() == root


@pytest.mark.parametrize(("leaf", "size"), PATHS)
def test_the_published_paths(published, leaf, size):
    path = published.inclusion(leaf, size)
    assert [step.hex() for step in path] == PATHS[leaf, size]
    merkle.verify_inclusion(leaf_hash(INPUTS[leaf]), leaf, size, path, bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(("first", "second"), PROOFS)
def test_the_published_consistency_proofs(published, first, second):
    proof = published.consistency(first, second)
    assert [step.hex() for step in proof] == PROOFS[first, second]
    merkle.verify_consistency(first, bytes.fromhex(ROOTS[first]), second, bytes.fromhex(ROOTS[second]), proof)


@given(st.lists(st.binary(max_size=8), max_size=40))
def test_roots_are_as_defined(leaves):
    joined = b"".join(map(leaf_hash, leaves))
    assert merkle.root(leaves) == Tree(joined).root() == merkle.root_of_hashes(joined) == defined_root(leaves)


@given(st.lists(st.integers(0, 9), max_size=8))
def test_a_tree_may_grow_in_any_steps(steps):
    tree, total = Tree(), 0
    for step in steps:
        tree.extend(hashes(total + step)[32 * total :])
        total += step
    assert (tree.size, tree.root()) == (total, merkle.root_of_hashes(hashes(total)))


@given(sizes, st.data())
def test_every_leaf_has_a_proof_that_verifies_and_no_other(size, data):
    tree = Tree(hashes(size))
    index = data.draw(st.integers(0, size - 1))
    path, root = tree.inclusion(index), tree.root()
    merkle.verify_inclusion(tree.leaf(index), index, size, path, root)
    other = data.draw(st.integers(0, size - 1).filter(lambda at: at != index) | st.just(size))
    with pytest.raises(ProofError):
        merkle.verify_inclusion(tree.leaf(index), other, size, path, root)
    with pytest.raises(ProofError):
        merkle.verify_inclusion(leaf_hash(b"another"), index, size, path, root)
    with pytest.raises(ProofError):
        merkle.verify_inclusion(tree.leaf(index), index, size, [*path, bytes(32)], root)
    if path:
        with pytest.raises(ProofError):
            merkle.verify_inclusion(tree.leaf(index), index, size, path[:-1], root)
        at = data.draw(st.integers(0, len(path) - 1))
        changed = [*path[:at], bytes(32), *path[at + 1 :]]
        with pytest.raises(ProofError):
            merkle.verify_inclusion(tree.leaf(index), index, size, changed, root)


@given(sizes, sizes, st.data())
def test_every_beginning_has_a_proof_that_verifies_and_no_other(one, other, data):
    first, second = sorted((one, other))
    tree = Tree(hashes(second))
    proof, old, new = tree.consistency(first), tree.root(first), tree.root()
    merkle.verify_consistency(first, old, second, new, proof)
    for wrong in ([*proof, bytes(32)], proof[:-1] if proof else [bytes(32)]):
        with pytest.raises(ProofError):
            merkle.verify_consistency(first, old, second, new, wrong)
    with pytest.raises(ProofError):
        merkle.verify_consistency(first, bytes(32), second, new, proof)
    with pytest.raises(ProofError):
        merkle.verify_consistency(first, old, second, bytes(32), proof)
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        with pytest.raises(ProofError):
            merkle.verify_consistency(first, old, second, new, [*proof[:at], bytes(32), *proof[at + 1 :]])


def test_every_small_tree_has_a_proof_that_it_begins_every_larger_one():
    for second in range(1, 20):
        tree = Tree(hashes(second))
        for first in range(1, second + 1):
            merkle.verify_consistency(first, tree.root(first), second, tree.root(), tree.consistency(first))


@pytest.mark.parametrize(("first", "second"), [(3, 5), (4, 5)])
def test_an_empty_proof_shows_nothing(first, second):
    tree = Tree(hashes(second))
    with pytest.raises(ProofError):
        merkle.verify_consistency(first, tree.root(first), second, tree.root(), [])


@pytest.mark.parametrize(("first", "second"), [(0, 1), (2, 1), (-1, 1)])
def test_only_a_beginning_can_be_consistent(first, second):
    with pytest.raises(ProofError):
        merkle.verify_consistency(first, bytes(32), second, bytes(32), [])


def test_what_a_tree_does_not_have_is_a_fault_of_the_program():
    tree = Tree(hashes(3))
    for ask in (
        lambda: tree.root(4),
        lambda: tree.root(-1),
        lambda: tree.inclusion(3),
        lambda: tree.inclusion(-1),
        lambda: tree.consistency(0),
        lambda: tree.consistency(3, 2),
        lambda: tree.extend(b"short"),
        lambda: merkle.root_of_hashes(b"short"),
    ):
        with pytest.raises(ValueError):
            ask()


@given(
    st.lists(
        st.tuples(
            st.binary(min_size=16, max_size=16),
            st.binary(max_size=9),
            st.binary(max_size=9),
            st.integers(0, 8),
            st.integers(0, 2**64 - 1),
        ),
        max_size=6,
    )
)
def test_leaves_have_the_format_of_the_schema(records):
    expected = b""
    for salt, identifier, content, consent, purposes in records:
        leaf = b"\x01" + salt + sha256(salt + b"\x00" + identifier).digest() + sha256(salt + b"\x01" + content).digest()
        leaf += bytes([consent]) + purposes.to_bytes(8, "big")
        assert len(leaf) == 90
        expected += leaf_hash(leaf)
    packed = [(salt, name, content, merkle.record_tail(*tail)) for salt, name, content, *tail in records]
    assert merkle.record_hashes(packed) == expected
