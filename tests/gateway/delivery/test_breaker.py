# SPDX-License-Identifier: Apache-2.0
"""The breaker against every order of failures, successes and moments, with time and chance given."""

import threading

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway.delivery.breaker import Breaker

THRESHOLD, FIRST, LONGEST, TRIAL = 3, 1.0, 8.0, 4.0


def make(now: list[float], chance: float = 1.0) -> Breaker:
    return Breaker(
        threshold=THRESHOLD, first_pause=FIRST, longest_pause=LONGEST, trial_within=TRIAL,
        clock=lambda: now[0], jitter=lambda low, high: low + (high - low) * chance,
    )  # fmt: skip


def test_it_opens_after_failures_in_a_row_and_not_before() -> None:
    breaker = make([0.0])
    for _ in range(10):
        assert [breaker.failed(), breaker.failed()] == [False, False]
        breaker.succeeded()
    assert [breaker.failed(), breaker.failed(), breaker.failed()] == [False, False, True]
    assert not breaker.allows()


def test_certainty_opens_at_once() -> None:
    breaker = make([0.0])
    assert breaker.failed(certain=True)
    assert breaker.state == "open"


def test_pauses_double_up_to_the_longest_and_begin_anew_after_a_success() -> None:
    now = [0.0]
    breaker = make(now)
    breaker.failed(certain=True)
    pauses = [breaker.retry_in]
    for _ in range(6):
        now[0] += breaker.retry_in
        assert breaker.allows()
        breaker.failed()
        pauses.append(breaker.retry_in)
    assert pauses == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0]
    now[0] += 8.0
    assert breaker.allows()
    breaker.succeeded()
    assert (breaker.state, breaker.retry_in) == ("closed", 0.0)
    breaker.failed(certain=True)
    assert breaker.retry_in == 1.0


def test_one_of_many_makes_the_trial() -> None:
    now = [0.0]
    breaker = make(now)
    breaker.failed(certain=True)
    now[0] = 1.0
    allowed: list[bool] = []
    barrier = threading.Barrier(16)

    def ask() -> None:
        barrier.wait()
        allowed.append(breaker.allows())

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert allowed.count(True) == 1


def test_a_trial_that_nobody_ended_does_not_close_the_door_for_ever() -> None:
    now = [0.0]
    breaker = make(now)
    breaker.failed(certain=True)
    now[0] = 1.0
    assert breaker.allows()
    assert not breaker.allows()
    assert breaker.retry_in == TRIAL
    now[0] += TRIAL
    assert breaker.allows()


class BreakerMachine(RuleBasedStateMachine):
    """Beside a model in the plainest words: until when nobody may call, and whose trial is under way."""

    @initialize(chance=st.floats(0, 1))
    def begin(self, chance: float) -> None:
        self.now = [0.0]
        self.chance = chance
        self.breaker = make(self.now, chance)
        self.in_a_row = 0
        self.opened = 0
        self.until = 0.0
        self.trial: float | None = None

    @rule(seconds=st.floats(0, 10))
    def time_passes(self, seconds: float) -> None:
        self.now[0] += seconds

    @rule()
    def somebody_asks(self) -> None:
        allowed = self.breaker.allows()
        if self.opened == 0:
            assert allowed
        elif self.now[0] < self.until or (self.trial is not None and self.now[0] < self.trial):
            assert not allowed
        else:
            assert allowed
            self.trial = self.now[0] + TRIAL

    @rule(certain=st.booleans())
    def a_call_fails(self, certain: bool) -> None:
        opened = self.breaker.failed(certain=certain)
        if self.opened and self.now[0] < self.until:
            assert not opened
            return
        self.in_a_row += 1
        assert opened == (self.opened > 0 or certain or self.in_a_row >= THRESHOLD)
        if opened:
            self.opened += 1
            pause = min(LONGEST, FIRST * 2 ** (self.opened - 1))
            self.until = self.now[0] + pause / 2 + pause / 2 * self.chance
            self.trial = None

    @rule()
    def a_call_succeeds(self) -> None:
        self.breaker.succeeded()
        if not (self.opened and self.now[0] < self.until):
            self.in_a_row = self.opened = 0
            self.trial = None

    @invariant()
    def the_state_is_what_the_model_says(self) -> None:
        expected = "closed" if self.opened == 0 else "open" if self.now[0] < self.until else "half-open"
        assert self.breaker.state == expected
        assert 0 <= self.breaker.retry_in <= LONGEST + TRIAL


TestBreaker = BreakerMachine.TestCase
