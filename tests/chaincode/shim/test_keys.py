# SPDX-License-Identifier: Apache-2.0
"""Composite keys and ranges."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincode.shim import create_composite_key, split_composite_key
from chaincode.shim.keys import composite_range, simple_range

part = st.text(st.characters(codec="utf-8", exclude_characters="\x00\U0010ffff"), max_size=12)
parts = st.lists(part, max_size=5)


@given(part, parts)
def test_a_composite_key_is_split_into_what_it_was_made_of(object_type: str, values: list[str]) -> None:
    assert split_composite_key(create_composite_key(object_type, values)) == (object_type, tuple(values))


@given(part, parts, part, parts)
def test_different_parts_never_make_the_same_key(one: str, first: list[str], other: str, second: list[str]) -> None:
    same = create_composite_key(one, first) == create_composite_key(other, second)
    assert same == ((one, first) == (other, second))


@given(part, parts, parts)
def test_the_range_of_a_prefix_holds_the_keys_that_go_on_from_it(kind: str, first: list[str], more: list[str]) -> None:
    start, end = composite_range(kind, first)
    key = create_composite_key(kind, [*first, *more])
    assert start.encode() <= key.encode() < end.encode()


@pytest.mark.parametrize("bad", ["a\x00b", "\U0010ffff", "\ud800"])
def test_a_part_that_would_break_keys_apart_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="composite key"):
        create_composite_key("type", [bad])
    with pytest.raises(ValueError, match="composite key"):
        create_composite_key(bad, [])


def test_a_single_string_does_not_pass_for_a_sequence_of_parts() -> None:
    with pytest.raises(TypeError, match="sequence"):
        create_composite_key("type", "abc")
    with pytest.raises(TypeError, match="strings"):
        create_composite_key("type", [b"abc"])  # type: ignore[list-item]


def test_empty_parts_are_allowed() -> None:
    assert create_composite_key("t", ["", "a"]) == "\x00t\x00\x00a\x00"
    assert split_composite_key("\x00\x00") == ("", ())


@pytest.mark.parametrize("key", ["", "\x00", "plain", "\x00open", "closed\x00"])
def test_what_is_no_composite_key_is_not_split(key: str) -> None:
    with pytest.raises(ValueError, match="not a composite key"):
        split_composite_key(key)


def test_an_open_start_leaves_composite_keys_out() -> None:
    assert simple_range("", "") == ("\x01", "")
    assert simple_range("a", "b") == ("a", "b")
    for keys in (("\x00a", ""), ("", "\x00a")):
        with pytest.raises(ValueError, match=r"U\+0000"):
            simple_range(*keys)
