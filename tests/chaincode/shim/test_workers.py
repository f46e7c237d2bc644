# SPDX-License-Identifier: Apache-2.0
"""The threads that execute transactions."""

import threading
import time

from chaincode.shim.workers import Workers


def idle_threads() -> int:
    return sum(thread.name == "transaction" for thread in threading.enumerate())


def test_no_more_tasks_run_at_once_than_allowed_and_all_run_in_order() -> None:
    workers = Workers(3)
    lock, running, most, order = threading.Lock(), 0, 0, []

    def task(number: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            order.append(number)
        time.sleep(0.005)
        with lock:
            running -= 1

    for number in range(20):
        workers.submit(lambda number=number: task(number))  # type: ignore[misc]
    assert workers.wait_until_quiet(5)
    assert most == 3
    assert sorted(order) == list(range(20))
    assert workers.pending == 0
    workers.close()


def test_a_thread_is_used_again() -> None:
    workers = Workers(4)
    seen = set()
    for _ in range(10):
        workers.submit(lambda: seen.add(threading.get_ident()))
        assert workers.wait_until_quiet(5)
        time.sleep(0.002)
    assert len(seen) <= 2
    workers.close()


def test_tasks_that_wait_for_tasks_never_block_them() -> None:
    """With one place, a task ten calls deep still ends."""
    workers = Workers(1)
    done = threading.Event()

    def nested(depth: int, ended: threading.Event) -> None:
        if depth:
            inner = threading.Event()
            with workers.elsewhere():
                workers.submit(lambda: nested(depth - 1, inner))
                assert inner.wait(20)
        ended.set()

    workers.submit(lambda: nested(10, done))
    assert done.wait(20)
    assert workers.wait_until_quiet(5)
    workers.close()


def test_a_waiting_task_takes_the_place_that_is_lent() -> None:
    workers = Workers(1)
    other = threading.Event()

    def first() -> None:
        workers.submit(other.set)
        with workers.elsewhere():
            assert other.wait(20)

    workers.submit(first)
    assert workers.wait_until_quiet(5)
    workers.close()


def test_waiting_for_quiet_has_an_end() -> None:
    workers = Workers(1)
    release = threading.Event()
    workers.submit(lambda: release.wait(5) and None)
    assert not workers.wait_until_quiet(0.01)
    release.set()
    assert workers.wait_until_quiet(5)
    workers.close()


def test_closing_ends_idle_threads_and_busy_ones_later() -> None:
    before = idle_threads()
    workers = Workers(2)
    release, started = threading.Event(), threading.Event()
    workers.submit(lambda: None)
    assert workers.wait_until_quiet(5)
    workers.submit(lambda: (started.set(), release.wait(5), None)[2])
    workers.submit(lambda: None)
    assert started.wait(20)
    workers.close()
    release.set()
    deadline = time.monotonic() + 5
    while idle_threads() > before and time.monotonic() < deadline:
        time.sleep(0.005)
    assert idle_threads() <= before
