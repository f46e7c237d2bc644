# SPDX-License-Identifier: Apache-2.0
"""A bit for each record: small, and as a set of positions would be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.services.members import Members

SIZE = 70


@given(positions=st.sets(st.integers(0, SIZE - 1)), asked=st.integers(-3, SIZE + 20))
def test_members_are_a_set_of_positions(positions: set[int], asked: int) -> None:
    members = Members.of(positions, SIZE)
    assert list(members) == sorted(positions)
    assert len(members) == len(positions)
    assert (asked in members) == (asked in positions)
    if 0 <= asked < SIZE:
        assert members.before(asked) == sum(1 for position in positions if position < asked)
    assert Members(members.bits) == members
    assert members.numbered(2, 2 + max(0, asked)) == sorted(positions)[2 : 2 + max(0, asked)]


def test_a_million_records_need_125_kilobytes() -> None:
    assert len(Members.of([999_999], 1_000_000).bits) == 125_000


def test_members_are_found_by_their_numbers_wherever_they_are() -> None:
    members = Members.of(range(0, 1_000_000, 7), 1_000_000)
    assert members.numbered(128 * 50, 128 * 51) == list(range(7 * 128 * 50, 7 * 128 * 51, 7))
    assert members.numbered(len(members) - 1, len(members) + 9) == [999_999 // 7 * 7]
    assert members.numbered(len(members), len(members) + 9) == []


@pytest.mark.parametrize("position", [-1, SIZE])
def test_a_position_outside_of_the_version_is_no_member(position: int) -> None:
    with pytest.raises(IndexError):
        Members.of([position], SIZE)
