# SPDX-License-Identifier: Apache-2.0
"""Quotas: so many requests in any window, for a bounded number of those who make them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.services.quotas import Quota, Standing
from gateway.services.rates import Rate


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def quota(rate: str | None = "3/60", most: int = 100) -> tuple[Quota, Clock]:
    clock = Clock()
    return Quota("client", None if rate is None else Rate.parse(rate), most=most, clock=clock), clock


def taken(found: Standing | None) -> tuple[int, int, bool]:
    assert found is not None
    return found.remaining, found.full_in, found.wait == 0


def test_whoever_was_silent_may_use_the_whole_quota_at_once() -> None:
    made, clock = quota()
    assert [taken(made.take("a")) for _ in range(4)] == [(2, 20, True), (1, 40, True), (0, 60, True), (0, 60, False)]
    clock.now += 20
    assert taken(made.take("a")) == (0, 60, True)
    assert taken(made.take("b")) == (2, 20, True)
    clock.now += 60
    assert taken(made.take("a")) == (2, 20, True)


def test_a_refusal_says_when_the_next_may_be_made_and_counts_for_nothing() -> None:
    made, clock = quota("1/10")
    made.take("a")
    clock.now += 4
    for _ in range(5):
        refused = made.take("a")
        assert refused is not None
        assert refused.wait == pytest.approx(6, abs=0.001)
    clock.now += 6
    assert taken(made.take("a")) == (0, 10, True)


def test_without_a_rate_nobody_is_limited_but_who_has_one() -> None:
    made, _ = quota(None)
    assert made.take("a") is None
    assert made.tracked() == 0
    assert taken(made.take("a", Rate(1, 60))) == (0, 60, True)
    assert taken(made.take("a", Rate(1, 60))) == (0, 60, False)


def test_a_crowd_takes_no_more_room_and_lets_nobody_through() -> None:
    made, clock = quota("2/60", most=10)
    for number in range(10):
        made.take(f"known-{number}")
    others = [taken(made.take(f"other-{number}"))[2] for number in range(5)]
    assert others == [True, True, False, False, False]
    assert made.tracked() == 11
    assert taken(made.take("known-3"))[2]
    clock.now += 120
    assert taken(made.take("other-9")) == (1, 30, True)
    assert made.tracked() <= 11


@given(st.lists(st.floats(0, 30), max_size=80), st.integers(1, 9), st.integers(1, 60))
def test_no_window_has_more_than_twice_the_quota_and_a_steady_client_is_never_refused(
    pauses: list[float], requests: int, seconds: int
) -> None:
    made, clock = quota(f"{requests}/{seconds}")
    let_through: list[float] = []
    for pause in pauses:
        clock.now += pause
        if taken(made.take("a"))[2]:
            let_through.append(clock.now)
    for at in let_through:
        within = [each for each in let_through if at <= each < at + seconds]
        assert len(within) <= 2 * requests
    for _ in range(3 * requests):
        clock.now += seconds / requests
        assert taken(made.take("steady"))[2]


@pytest.mark.parametrize("text", ["", "600", "0/60", "60/0", "-1/5", "1/2/3", "1.5/60", "99999999/1", "1 /2", "x/y"])
def test_what_is_not_a_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="REQUESTS/SECONDS"):
        Rate.parse(text)


def test_a_rate_is_written_as_it_is_read() -> None:
    assert str(Rate.parse("600/60")) == "600/60"
