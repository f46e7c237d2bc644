# SPDX-License-Identifier: Apache-2.0
"""Batches are cut by count and bytes as Fabric's block cutter does (rules O-8 to O-10, O-12)."""

from hypothesis import given
from hypothesis import strategies as st

from network.embedded.cutter import BlockCutter

SIZES = st.lists(st.integers(min_value=1, max_value=40), max_size=60)


def test_the_count_cuts() -> None:
    cutter: BlockCutter[int] = BlockCutter(3, 1000)
    assert [cutter.add(n, 1) for n in range(4)] == [[], [], [[0, 1, 2]], []]
    assert (cutter.pending, cutter.cut(), cutter.cut(), cutter.pending) == (1, [3], [], 0)


def test_an_overflow_cuts_what_waits_and_the_new_message_waits_on() -> None:
    cutter: BlockCutter[str] = BlockCutter(10, 10)
    assert cutter.add("a", 6) == []
    assert cutter.add("b", 5) == [["a"]]
    assert cutter.pending == 1
    assert cutter.add("c", 5) == []


def test_a_message_above_the_preferred_size_stands_alone() -> None:
    cutter: BlockCutter[str] = BlockCutter(10, 10)
    assert cutter.add("big", 11) == [["big"]]
    cutter.add("a", 1)
    assert cutter.add("big", 11) == [["a"], ["big"]]
    assert cutter.pending == 0


def test_with_one_message_per_batch_an_overflow_yields_two_batches() -> None:
    cutter: BlockCutter[str] = BlockCutter(2, 10)
    cutter.add("a", 6)
    assert cutter.add("b", 6) == [["a"]]
    assert cutter.add("c", 1) == [["b", "c"]]
    assert BlockCutter[str](1, 10).add("a", 5) == [["a"]]


def test_a_configuration_stands_behind_what_waited() -> None:
    cutter: BlockCutter[str] = BlockCutter(10, 10)
    assert cutter.add_config("config") == [["config"]]
    cutter.add("a", 1)
    assert cutter.add_config("config") == [["a"], ["config"]]


@given(SIZES, st.integers(1, 8), st.integers(1, 30))
def test_order_and_limits_hold_for_every_sequence(sizes: list[int], count: int, preferred: int) -> None:
    cutter: BlockCutter[tuple[int, int]] = BlockCutter(count, preferred)
    batches = [batch for item in enumerate(sizes) for batch in cutter.add(item, item[1])]
    assert cutter.pending < count
    batches += [batch] if (batch := cutter.cut()) else []
    assert [item for batch in batches for item in batch] == list(enumerate(sizes))
    for batch in batches:
        total = sum(size for _, size in batch)
        assert 0 < len(batch) <= count
        assert total <= preferred or len(batch) == 1


@given(SIZES, st.integers(1, 8), st.integers(1, 30))
def test_no_batch_is_cut_before_it_has_to_be(sizes: list[int], count: int, preferred: int) -> None:
    cutter: BlockCutter[int] = BlockCutter(count, preferred)
    for size in sizes:
        waiting, batches = cutter.pending, cutter.add(size, size)
        if size <= preferred and len(batches) == 1 and len(batches[0]) == waiting and cutter.pending == 1:
            assert sum(batches[0]) + size > preferred
        elif size <= preferred and batches:
            assert len(batches[-1]) == count
