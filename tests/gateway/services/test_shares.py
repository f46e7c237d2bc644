# SPDX-License-Identifier: Apache-2.0
"""Shares of a capacity: nobody can take it all, and nobody is refused what is free for him."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.services.attempts import Limits
from gateway.services.ports import Unavailable
from gateway.services.shares import Shares, ShareTaken
from gateway.services.submitter import Intent


def fill(shares: Shares, client: str) -> int:
    taken = 0
    while True:
        try:
            shares.take(client)
        except Unavailable:
            return taken
        taken += 1


def test_one_client_alone_gets_most_and_leaves_a_part_for_others() -> None:
    shares = Shares(100, "things")
    assert fill(shares, "greedy") == 75
    with pytest.raises(ShareTaken) as refused:
        shares.take("greedy")
    assert (refused.value.code, refused.value.retry_after) == ("too-many-requests", 1)
    assert fill(shares, "other") >= 18
    shares.take("third")


def test_what_is_given_back_can_be_taken_again() -> None:
    shares = Shares(8, "things")
    for _ in range(3):
        taken = fill(shares, "a")
        assert taken == 6
        for _ in range(taken):
            shares.give_back("a")


def test_a_part_larger_than_what_is_free_is_the_gateway_being_full() -> None:
    with pytest.raises(Unavailable) as refused:
        Shares(10, "bytes").take("a", 11)
    assert refused.value.code == "capacity"


@given(st.integers(4, 60), st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=200))
def test_the_limit_holds_and_a_newcomer_is_let_in_while_there_is_room(
    limit: int, steps: list[tuple[str, bool]]
) -> None:
    shares = Shares(limit, "things")
    held: Counter[str] = Counter()
    for client, taking in steps:
        if taking:
            try:
                shares.take(client)
            except Unavailable:
                assert held[client] or held.total() == limit
            else:
                held[client] += 1
        elif held[client]:
            shares.give_back(client)
            held[client] -= 1
        assert held.total() <= limit
        assert max(held.values(), default=0) <= limit - limit // 4


def test_one_client_cannot_fill_the_submissions_of_all(make_core: Callable[..., Any]) -> None:
    core = make_core(limits=Limits(in_flight=4, backlog=12, wait=5.0, fallback_after=0.1))
    accepted: list[bool] = []

    def submit(client: str) -> None:
        intent = Intent(client, f"k{len(accepted)}", "digest", respond_async=True)
        accepted.append(core.submitter.submit(intent, "model:register", lambda: "{}").pending)

    def flood() -> None:
        while True:
            submit("greedy")

    with pytest.raises(ShareTaken):
        flood()
    assert accepted == [True] * 12
    submit("other")
