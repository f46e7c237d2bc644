# SPDX-License-Identifier: Apache-2.0
"""The limiter against every order of calls, and under many threads at once."""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.delivery.slots import PEER_LIMIT, Kind, Slots


def test_the_default_stays_below_what_a_peer_allows() -> None:
    assert Slots().limit < PEER_LIMIT


@pytest.mark.parametrize(("total", "reserved"), [(1, 1), (4, 4), (10, 1), (10, 0), (10, 11)])
def test_a_reserve_that_leaves_nothing_or_keeps_nothing_is_refused(total: int, reserved: int) -> None:
    with pytest.raises(ValueError, match="places can be reserved"):
        Slots(total, reserved)


def test_new_work_leaves_places_for_what_was_begun() -> None:
    slots = Slots(10, 4)
    assert [slots.take(Kind.ENDORSE) for _ in range(7)] == [True] * 6 + [False]
    assert [slots.take(Kind.COMMIT_STATUS) for _ in range(3)] == [True, True, False]
    assert [slots.take(Kind.SUBMIT), slots.take(Kind.EVALUATE), slots.take(Kind.SUBMIT)] == [True, True, False]


def test_who_waits_is_let_in_when_a_place_becomes_free() -> None:
    slots = Slots(4, 2)
    assert [slots.take(Kind.ENDORSE) for _ in range(2)] == [True, True]
    entered = threading.Event()

    def wait() -> None:
        assert slots.take(Kind.ENDORSE, 5.0)
        entered.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert not entered.wait(0.05)
    slots.give_back(Kind.ENDORSE)
    assert entered.wait(2.0)
    thread.join()
    assert (slots.used, slots.waiting) == (2, 0)


def test_who_waits_too_long_is_refused_and_leaves_no_trace() -> None:
    slots = Slots(4, 2)
    assert [slots.take(Kind.ENDORSE) for _ in range(2)] == [True, True]
    started = time.monotonic()
    assert not slots.take(Kind.ENDORSE, 0.1)
    assert 0.09 < time.monotonic() - started < 5
    assert (slots.used, slots.waiting) == (2, 0)


def test_a_crowded_peer_is_asked_for_less_and_for_more_again_later() -> None:
    slots = Slots(400, 64)
    slots.crowded()
    assert slots.limit == 300
    for _ in range(20):
        slots.crowded()
    assert slots.limit == 65
    for _ in range(20 * 400):
        assert slots.take(Kind.SUBMIT)
        slots.give_back(Kind.SUBMIT)
    assert slots.limit == 400


def test_many_threads_never_hold_more_than_there_is_and_all_get_their_turn() -> None:
    slots = Slots(12, 4)
    lock = threading.Lock()
    held: Counter[Kind] = Counter()
    most: Counter[str] = Counter()

    def work(number: int) -> int:
        kinds = list(Kind)
        for step in range(50):
            kind = kinds[(number + step) % len(kinds)]
            assert slots.take(kind, 30.0)
            with lock:
                held[kind] += 1
                most["all"] = max(most["all"], held.total())
                most["status"] = max(most["status"], held[Kind.COMMIT_STATUS])
            time.sleep(0.0002)
            with lock:
                held[kind] -= 1
            slots.give_back(kind)
        return number

    with ThreadPoolExecutor(32) as pool:
        assert sorted(pool.map(work, range(32))) == list(range(32))
    assert most["all"] <= 12
    assert most["status"] <= 2
    assert (slots.used, slots.waiting) == (0, 0)


class SlotsMachine(RuleBasedStateMachine):
    """Whatever comes and goes, the limits hold, and who may enter does."""

    @initialize(total=st.integers(3, 40), data=st.data())
    def begin(self, total: int, data: st.DataObject) -> None:
        self.total = total
        self.reserved = data.draw(st.integers(2, total - 1))
        self.slots = Slots(total, self.reserved)
        self.held: list[Kind] = []

    @rule(kind=st.sampled_from(Kind))
    def somebody_comes(self, kind: Kind) -> None:
        room = self.slots.limit - len(self.held)
        expected = {
            Kind.ENDORSE: room > self.reserved,
            Kind.SUBMIT: room > 0,
            Kind.EVALUATE: room > 0,
            Kind.COMMIT_STATUS: room > 0 and self.held.count(Kind.COMMIT_STATUS) < self.reserved // 2,
        }[kind]
        assert self.slots.take(kind) is expected
        if expected:
            self.held.append(kind)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def somebody_goes(self, data: st.DataObject) -> None:
        self.slots.give_back(self.held.pop(data.draw(st.integers(0, len(self.held) - 1))))

    @rule()
    def the_peer_is_full(self) -> None:
        self.slots.crowded()

    @invariant()
    def the_limits_hold(self) -> None:
        assert self.slots.used == len(self.held) <= self.total
        assert self.reserved < self.slots.limit <= self.total
        assert self.held.count(Kind.COMMIT_STATUS) <= self.reserved // 2


TestSlots = SlotsMachine.TestCase
