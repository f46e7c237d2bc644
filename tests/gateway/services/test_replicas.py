# SPDX-License-Identifier: Apache-2.0
"""Gateways that share their stores: who lives, who leads, and who is at which key."""

import hashlib
import threading
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import pytest

from gateway.services.ports import Recorded, Submission, Unavailable
from gateway.services.replicas import LEASE, Alone, Living, Replica
from gateway.services.submitter import InProgress, KeyReused
from gateway.stores.postgresql import PostgresDatabase
from gateway.stores.replicas import ReplicaStore
from gateway.stores.sharedsubmissions import SharedSubmissionStore

if TYPE_CHECKING:
    from gateway.services.conftest import Core, FakeLedger

DIGEST = hashlib.sha256(b"a").hexdigest()
"""Of what `Core.post` sends by default."""
MADE = Submission("id", "client", "k", "hash", "f", "{}", "accepted", 1, 0.0)


class Hand:
    """Time that goes on when a test says so."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def result(self, future: Any, within: float) -> Any:
        return future.result(within)

    def pause(self, stopping: threading.Event, within: float) -> None:
        stopping.wait(0.01)


class Log:
    """Says what a test lets it say; implements `ReplicaLog`."""

    def __init__(self) -> None:
        self.living = Living([1], [])
        self.left: list[int] = []
        self.down = False
        self.while_asked: Callable[[], None] = lambda: None

    def beat(self, number: int, lease: float) -> Living:
        self.while_asked()
        if self.down:
            raise Unavailable("away", code="database-unavailable")
        return self.living

    def leave(self, number: int) -> None:
        self.left.append(number)


def test_who_came_first_leads_as_long_as_nobody_can_have_removed_it() -> None:
    log, hand, ended = Log(), Hand(), []
    one = Replica(log, 1, ended=ended.append, monotonic=hand)
    assert not one.leads()
    hand.time = 10.0
    log.while_asked = lambda: setattr(hand, "time", hand.time + 2.0)  # the answer takes two seconds
    one.beat()
    assert one.leads()
    hand.time = 10.0 + LEASE - 1.1
    assert one.leads()
    hand.time = 10.0 + LEASE - 0.9
    assert not one.leads(), "it counts from before it asked"
    log.living = Living([1, 2], [])
    two = Replica(log, 2, ended=ended.append, monotonic=hand)
    two.beat()
    assert not two.leads()
    log.living = Living([2], [1])
    two.beat()
    assert two.leads()
    assert ended == []
    one.beat()
    assert not one.leads()
    assert len(ended) == 1
    assert "silent" in ended[0]


def test_what_others_left_is_adopted_when_they_died_and_a_database_that_is_away_ends_nobody() -> None:
    log, hand, adopted = Log(), Hand(), threading.Event()
    seen: list[Collection[int]] = []

    def adopt(living: Collection[int]) -> None:
        seen.append(living)
        if len(seen) == 1:
            raise Unavailable("away", code="database-unavailable")
        adopted.set()

    one = Replica(log, 1, ended=lambda why: pytest.fail(why), monotonic=hand)
    one.enter()
    one.start(adopt)
    log.down = True
    time.sleep(0.05)
    log.down = False
    log.living = Living([1], [3])
    assert adopted.wait(10)
    one.stop()
    assert seen[-1] == [1]
    assert (log.left, one.leads()) == ([1], False)
    alone = Alone()
    alone.start(adopt)
    alone.stop()
    assert (alone.leads(), alone.numbers()) == (True, ())


@pytest.fixture
def opened(postgresql_url: str) -> Iterator[Callable[[str], PostgresDatabase]]:
    with ExitStack() as stack:
        yield lambda name: stack.enter_context(closing(PostgresDatabase.open(postgresql_url, name)))


def test_who_says_nothing_is_removed_and_its_number_never_comes_again(
    opened: Callable[[str], PostgresDatabase],
) -> None:
    store = ReplicaStore(opened("replicas"))
    first, second = store.enter("a"), store.enter("b")
    assert store.beat(second, 5.0) == Living([first, second], [])
    assert store.others() == ["a", "b"]
    store.beat(first, 0.05)
    store.beat(second, 0.05)
    time.sleep(0.1)
    assert store.beat(second, 5.0) == Living([first, second], []), "the database was away, and the first may live"
    store.beat(first, 0.05)
    time.sleep(0.1)
    assert store.beat(second, 5.0) == Living([second], [first])
    assert store.beat(first, 5.0) == Living([second], []), "it is dead for good"
    store.leave(second)
    assert store.others() == []
    assert store.enter("c") > second
    assert [store.agree("secret", each) for each in (b"a", b"a", b"b")] == [True, True, False]
    assert (store.is_agreed("secret"), store.is_agreed("other")) == (True, False)


def test_a_key_is_one_gateways_and_who_lost_it_writes_nothing(opened: Callable[[str], PostgresDatabase]) -> None:
    replicas = ReplicaStore(opened("replicas"))
    one, two = (SharedSubmissionStore(opened("submissions"), "chain", replicas.enter(name)) for name in ("one", "two"))
    assert one.claim("client", "k", "hash") is None
    assert one.claim("client", "k", "hash") is None
    assert (two.claim("client", "k", "other"), two.is_claimed("client", "k")) == ("hash", True)
    two.release("client", "k")  # not its own
    one.save(MADE)
    assert list(two.unfinished()) == []
    with pytest.raises(Unavailable) as refused:
        two.save(MADE)
    assert refused.value.code == "taken-over"
    replicas.leave(1)
    assert [each.id for each in two.unfinished()] == ["id"]
    assert two.claim("client", "k", "hash") is None
    with pytest.raises(Unavailable):
        one.save(MADE)
    ended = Submission(**{**{name: getattr(MADE, name) for name in MADE.__slots__}, "state": "final"})
    one.finish(Submission(**{**{n: getattr(ended, n) for n in ended.__slots__}, "ending": Recorded({"by": "one"}, 1)}))
    two.finish(Submission(**{**{n: getattr(ended, n) for n in ended.__slots__}, "ending": Recorded({"by": "two"}, 1)}))
    two.release("client", "k")
    assert two.claim("client", "later", "hash") is None  # after what was queued
    one.claim("client", "latest", "hash")
    found = SharedSubmissionStore(opened("submissions"), "chain", 9).find("client", "k")
    assert found is not None
    assert found.ending == Recorded({"by": "two"}, 1)
    assert not two.is_claimed("client", "k")


@pytest.fixture
def make_pair(
    make_core: "Callable[..., Core]", opened: Callable[[str], PostgresDatabase]
) -> "tuple[list[Core], ReplicaStore]":
    """Two gateways over one ledger, with read models of their own."""
    replicas = ReplicaStore(opened("replicas"))
    stores = [SharedSubmissionStore(opened("submissions"), "chain", replicas.enter(name)) for name in ("one", "two")]
    return [make_core(shared=store, fresh_disk=True) for store in stores], replicas


def test_the_same_key_at_both_at_once_is_one_transaction(
    make_pair: "tuple[list[Core], ReplicaStore]", ledger: "FakeLedger"
) -> None:
    cores = [core.start() for core in make_pair[0]]
    with ThreadPoolExecutor(8) as pool:
        for round_ in range(10):
            answers = [each.result(30) for each in [pool.submit(cores[n % 2].post, f"key-{round_}") for n in range(8)]]
            assert all(isinstance(answer.ending, Recorded) for answer in answers)
            ids = {answer.ending.body["transaction"]["id"] for answer in answers if isinstance(answer.ending, Recorded)}
            assert len(ids) == 1
            assert len([answer for answer in answers if not answer.replayed]) == 1
    with pytest.raises(KeyReused):
        cores[1].post("key-0", "another value")


def test_who_has_a_key_already_is_waited_for_and_refuses_another_payload(
    make_pair: "tuple[list[Core], ReplicaStore]",
) -> None:
    (one, two), replicas = make_pair
    one.submissions.claim("client", "key", "0" * 64)
    two.start()
    with pytest.raises(KeyReused):
        two.post("key")
    assert one.submissions.claim("client", "other", DIGEST) is None
    begun = two.submitter.operation_of("other", "client")
    assert begun is not None
    assert (begun.state, begun.ending) == ("accepted", None)
    assert two.submitter.operation_of("none", "client") is None
    pending = two.post("other", respond_async=True)
    assert pending.submission_id == begun.id
    assert (pending.pending, pending.replayed) == (True, True)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(two.post, "other")
        time.sleep(0.2)
        assert not waiting.done()
        replicas.leave(1)  # it died with the key; who waited goes on
        answer = waiting.result(30)
    assert isinstance(answer.ending, Recorded)
    assert two.submitter.in_flight == 0


def test_what_is_waited_for_too_long_is_in_progress(make_pair: "tuple[list[Core], ReplicaStore]") -> None:
    (one, two), _ = make_pair
    one.submissions.claim("client", "key", DIGEST)
    two.start()
    with pytest.raises(InProgress) as busy:
        two.post("key")
    assert busy.value.facts["operation"]
    assert two.submitter.in_flight == 0


def test_what_a_dead_one_accepted_the_other_finishes(
    make_pair: "tuple[list[Core], ReplicaStore]", ledger: "FakeLedger"
) -> None:
    (one, two), replicas = make_pair
    two.start()
    promised = [one.post(f"key-{number}", respond_async=True) for number in range(5)]  # nobody there works on them
    assert two.submitter.recover() == 0
    replicas.leave(1)
    assert two.submitter.recover() == 5
    assert two.submitter.recover() == 0
    until = time.monotonic() + 30
    for answer in promised:
        while (found := two.submitter.operation(answer.submission_id, "client")) is None or found.ending is None:
            assert time.monotonic() < until
            time.sleep(0.02)
        assert isinstance(found.ending, Recorded)


def test_a_batch_is_one_gateways_with_all_its_parts_and_is_finished_by_the_other(
    make_pair: "tuple[list[Core], ReplicaStore]",
) -> None:
    (one, two), replicas = make_pair
    two.start()
    promised = one.post_batch("batch", "a", "b", respond_async=True)
    assert two.submitter.recover() == 0
    replicas.leave(1)
    assert two.submitter.recover() == 1
    until = time.monotonic() + 30
    while (found := two.submitter.operation(promised.submission_id, "client")) is None or found.ending is None:
        assert time.monotonic() < until
        time.sleep(0.02)
    assert isinstance(found.ending, Recorded)
    assert two.post_batch("batch", "a", "b").replayed
    assert list(two.submissions.unfinished()) == []
