# SPDX-License-Identifier: Apache-2.0
"""Splits by a seed: anyone finds the same parts, a record stays in its own, and shares are what they say."""

from collections.abc import Iterable
from hashlib import sha256
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincode.domain.usage import InputRole
from gateway.services.filters import InvalidParameter
from gateway.services.splits import Split, Splitter

USUAL = "train=0.8,validation=0.1,test=0.1"
SHARES = st.lists(st.integers(1, 30), min_size=1, max_size=3)
SEEDS = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=8)


def plainly(parts: list[tuple[str, int]], seed: str, record_id: str) -> str | None:
    """The part by the words of the definition, with shares in hundredths."""
    digest = sha256(b"pedigree-split/v1\0" + seed.encode() + b"\0" + record_id.encode()).digest()
    place, end = int.from_bytes(digest[:8], "big"), 0
    for role, hundredths in parts:
        end += hundredths
        if place * 100 < end << 64:
            return role
    return None


def parts_of(split: Split, ids: Iterable[str]) -> list[InputRole | None]:
    part_of = Splitter(split).part_of
    return [part_of(each.encode()) for each in ids]


@given(shares=SHARES, seed=SEEDS, ids=st.sets(st.text(max_size=6)))
def test_the_part_of_a_record_is_what_the_definition_says(shares: list[int], seed: str, ids: set[str]) -> None:
    parts = list(zip(("train", "validation", "test"), shares, strict=False))
    split = Split.parse(",".join(f"{role}=0.{share:02}" for role, share in parts), seed)
    assert parts_of(split, ids) == [plainly(parts, seed, each) for each in ids]


def test_the_parts_have_their_shares_and_all_of_it_is_in_one_of_them() -> None:
    patients = [f"patient-{number}" for number in range(10_000)]
    found = parts_of(Split.parse(USUAL, "7"), patients)
    assert None not in found
    for role, share in ((InputRole.TRAIN, 0.8), (InputRole.VALIDATION, 0.1), (InputRole.TEST, 0.1)):
        assert abs(found.count(role) - share * 10_000) < 4 * sqrt(10_000 * share * (1 - share))
    assert found != parts_of(Split.parse(USUAL, "8"), patients)
    assert found != parts_of(Split.parse(USUAL, "7", "subject"), patients)


def test_ends_that_are_not_whole_numbers_leave_no_gap() -> None:
    thirds = Split.parse("train=0.333333333,validation=0.333333333,test=.333333334", "x")
    assert None not in parts_of(thirds, map(str, range(2_000)))
    assert set(parts_of(Split.parse("test=1", "x"), map(str, range(100)))) == {InputRole.TEST}


def test_of_a_split_by_subjects_the_place_is_that_of_the_reference() -> None:
    part_of = Splitter(Split.parse("train=0.5,test=0.5", "7", "subject")).part_of
    for number in range(100):
        reference = sha256(b"%d" % number).digest()
        place = int.from_bytes(sha256(b"pedigree-split/v2\x007\0" + reference).digest()[:8])
        assert part_of(reference) == ("train" if place < 1 << 63 else "test")
    with pytest.raises(InvalidParameter, match="record, subject"):
        Split.parse("train=0.5", "7", "patient")


def test_what_the_ledger_is_given_to_say_suffices_to_make_it_again() -> None:
    assert (
        str(Split.parse(" train = 0.8, test=.2", "7")) == "split train=0.8,test=.2 by the seed '7' (pedigree-split/v1)"
    )
    assert str(Split.parse("train=1", "7", "subject")) == "split train=1 by the seed '7' (pedigree-split/v2)"


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ("", "shares above 0"),
        ("train", "shares above 0"),
        ("train=0", "shares above 0"),
        ("train=0.0,test=0.5", "shares above 0"),
        ("train=-0.1", "shares above 0"),
        ("train=80%", "shares above 0"),
        ("train=0.8e0", "shares above 0"),
        ("train=0.0000000001", "shares above 0"),
        ("train=2", "shares above 0"),
        ("training=0.8", "train, validation, test"),
        ("train=0.5,train=0.5", "names train twice"),
        ("train=0.8,test=0.3", "more than 1"),
        ("train=1,test=0.000000001", "more than 1"),
    ],
)
def test_shares_that_are_none_are_refused(parts: str, reason: str) -> None:
    with pytest.raises(InvalidParameter, match=reason) as caught:
        Split.parse(parts, "7")
    assert caught.value.facts["parameter"] == "split"


@pytest.mark.parametrize("seed", [None, "", "x" * 101, "a\nb", "a\0b"])
def test_a_split_has_a_seed(seed: str | None) -> None:
    with pytest.raises(InvalidParameter, match="a split needs a seed"):
        Split.parse(USUAL, seed)
