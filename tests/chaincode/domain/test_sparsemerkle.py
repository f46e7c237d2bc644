# SPDX-License-Identifier: Apache-2.0
"""Sparse Merkle trees against their definition: any history gives the root of what it ends with, and no proof lies."""

from hashlib import sha256

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chaincode.domain.merkle import ProofError
from chaincode.domain.sparsemerkle import EMPTY, Proof, change, verify
from tests.harness.sparsemap import proof_of, root_of

# Keys that agree for long, beside keys that are as chance makes them: the last differ in one bit at every depth.
ZERO = bytes(32)
NEAR = [ZERO, *((1 << place).to_bytes(32) for place in (0, 1, 7, 8, 128, 254, 255))]
keys = st.one_of(st.sampled_from(NEAR), st.integers(0, 40).map(lambda n: sha256(b"%d" % n).digest()))
values = st.integers(0, 3).map(lambda n: bytes([n]) * 17)
steps = st.lists(st.tuples(keys, st.one_of(values, st.none())), max_size=24)
maps = st.dictionaries(keys, values, max_size=12)


@given(steps)
@example([(ZERO, b"a" * 17), (NEAR[1], b"b" * 17), (NEAR[-1], b"c" * 17), (NEAR[-1], None), (NEAR[1], None)])
@settings(max_examples=60)
def test_any_history_leads_to_the_root_of_what_it_ends_with(history):
    held, root = {}, EMPTY
    for key, value in history:
        root = change(root, key, proof_of(held, key), value)
        held = {**held, key: value} if value is not None else {k: v for k, v in held.items() if k != key}
        assert root == root_of(held)


@given(maps, keys)
@settings(max_examples=60)
def test_every_key_has_a_proof_of_its_value_or_of_its_absence(held, key):
    assert verify(root_of(held), key, proof_of(held, key)) == held.get(key)


@given(maps, keys, keys, st.data())
@settings(max_examples=80)
def test_a_proof_shows_nothing_else(held, key, other, data):
    root, proof = root_of(held), proof_of(held, key)
    forged = Proof(
        data.draw(st.sampled_from([proof.siblings, proof.siblings[:-32], proof.siblings + EMPTY, proof.siblings[32:]])),
        data.draw(st.sampled_from([proof.leaf, b"", key + b"\x09" * 17, other + b"\x09" * 17])),
    )
    try:
        shown = verify(root, key, forged)
    except ProofError:
        return
    assert shown == held.get(key)


def test_a_leaf_is_moved_up_until_it_has_company_and_no_further():
    far, near, beside = ZERO, (1).to_bytes(32), (1 << 200).to_bytes(32)
    held = {far: b"a" * 17, near: b"b" * 17, beside: b"c" * 17}
    assert len(proof_of(held, far).siblings) == 256 * 32
    root = change(root_of(held), near, proof_of(held, near), None)
    assert root == root_of({far: b"a" * 17, beside: b"c" * 17})
    assert change(root, near, proof_of({far: b"a" * 17, beside: b"c" * 17}, near), None) == root


def test_the_whole_tree_is_one_leaf_then_nothing():
    leaf = sha256(b"\x00" + ZERO + b"v" * 17).digest()
    assert change(EMPTY, ZERO, Proof(b""), b"v" * 17) == leaf
    assert change(leaf, ZERO, Proof(b"", ZERO + b"v" * 17), None) == EMPTY


ONE = {ZERO: b"a" * 17}
TWO = {ZERO: b"a" * 17, NEAR[-1]: b"b" * 17}


@pytest.mark.parametrize(
    ("key", "proof", "said"),
    [
        (b"short", Proof(b""), "a key has 32 bytes"),
        (ZERO, Proof(b"odd"), "siblings have 32 bytes each"),
        (ZERO, Proof(b"\x01" * 32 * 257), "at most 256"),
        (ZERO, Proof(b"", b"leaf"), "a leaf has 49 bytes"),
        (ZERO, Proof(b"\x01" * 32, NEAR[-1] + b"b" * 17), "does not belong there"),
        (ZERO, Proof(EMPTY, ZERO + b"a" * 17), "deeper than a compact tree"),
        (ZERO, Proof(b"", NEAR[1] + b"a" * 17), "another root"),
        (ZERO, Proof(b""), "another root"),
    ],
)
def test_what_is_no_proof_says_why(key, proof, said):
    with pytest.raises(ProofError, match=said):
        verify(root_of(ONE), key, proof)


def test_a_value_of_another_width_is_refused():
    with pytest.raises(ProofError, match="17 bytes"):
        change(root_of(ONE), ZERO, proof_of(ONE, ZERO), b"long" * 17)


@pytest.mark.parametrize("beside", [b"", ZERO + b"z" * 17, NEAR[-1] + b"b" * 16])
def test_a_key_is_not_removed_without_what_stood_beside_it(beside):
    proof = proof_of(TWO, ZERO)
    with pytest.raises(ProofError, match="removing"):
        change(root_of(TWO), ZERO, Proof(proof.siblings, proof.leaf, beside), None)


def test_changes_follow_one_another_and_a_stale_proof_does_not():
    held, root = {}, EMPTY
    subjects = [sha256(b"subject %d" % n).digest() for n in range(60)]
    for key in subjects * 2:
        root, held = change(root, key, proof_of(held, key), b"\x02" + bytes(16)), held | {key: b"\x02" + bytes(16)}
    assert root == root_of(held)
    stale = proof_of({key: held[key] for key in subjects[1:]}, subjects[3])
    with pytest.raises(ProofError, match="another root"):
        change(root, subjects[3], stale, b"\x05" + bytes(16))
