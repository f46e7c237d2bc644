# SPDX-License-Identifier: Apache-2.0
"""Blocks become rows once and in order, through restarts, gaps and rebuilds."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gateway.services.commits import Behind, Commits
from gateway.services.ports import LedgerMisuse, PortError


def until(condition: Callable[[], Any], timeout: float = 5.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it never became true"
        time.sleep(0.01)


def dump(core: Any) -> list[Any]:
    reader = core.readmodel._database.reader()
    return [
        reader.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3").fetchall()
        for table in ("position", "ledger_transaction", "entry", "attribute", "history")
    ]


def test_catching_up_equals_following_along(make_core: Callable[..., Any]) -> None:
    core = make_core().start()
    core.ledger.codes.extend([0, 11, 0])
    for key in "abc":
        core.post(key, key)
    followed = dump(core)
    caught_up = make_core(fresh_disk=True).start()
    until(lambda: caught_up.readmodel.height() == core.readmodel.height())
    assert dump(caught_up) == followed


def test_a_rebuild_gives_the_same_rows(make_core: Callable[..., Any]) -> None:
    core = make_core().start()
    for key in "abc":
        core.post(key, key)
    before = dump(core)
    core.stop()
    again = make_core()
    again.readmodel.clear()
    assert again.readmodel.height() == 0
    again.start()
    until(lambda: again.readmodel.height() == len(core.ledger.chain))
    assert dump(again) == before


def test_a_block_out_of_order_or_of_another_chain_is_refused(make_core: Callable[..., Any]) -> None:
    core = make_core()
    blocks = core.ledger.chain
    core.ledger.cut()
    core.ledger.cut()
    with pytest.raises(PortError, match="does not follow"):
        core.readmodel.apply(blocks[1])
    core.readmodel.apply(blocks[0])
    with pytest.raises(PortError, match="does not continue the chain"):
        core.readmodel.apply(replace(blocks[1], previous_hash="00"))
    core.readmodel.apply(blocks[1])
    assert core.readmodel.height() == 2


def test_a_refused_block_is_trouble_that_is_shown_and_ends(make_core: Callable[..., Any]) -> None:
    core = make_core().start()
    until(lambda: core.commits.height == 1)
    core.ledger.cut()
    core.ledger.chain[1] = replace(core.ledger.chain[1], previous_hash="00")
    core.ledger.chain.append(core.ledger.chain[1])
    until(lambda: core.projector.progress().trouble is not None or core.commits.height > 1)
    assert core.readmodel.height() in (1, 2)


def test_a_broken_stream_is_taken_up_where_it_broke(make_core: Callable[..., Any]) -> None:
    core = make_core().start()
    core.post("a")
    core.ledger.streaming = False
    until(lambda: not core.projector.streaming)
    core.ledger.cut()
    core.ledger.cut()
    core.ledger.streaming = True
    until(lambda: core.readmodel.height() == len(core.ledger.chain))


def test_a_stream_is_asked_to_follow_on_the_block_that_was_read_last(make_core: Callable[..., Any]) -> None:
    core = make_core().start()
    core.post("a")
    read = core.readmodel.last_hash()
    core.ledger.streaming = False
    until(lambda: not core.projector.streaming)
    core.ledger.streaming = True
    core.ledger.cut()
    until(lambda: core.readmodel.height() == len(core.ledger.chain))
    assert core.ledger.told_previous[0] is None
    assert read in core.ledger.told_previous


def test_a_stream_is_asked_to_go_on_under_the_configuration_that_holds(make_core: Callable[..., Any]) -> None:
    core = make_core()
    core.ledger.chain[0] = replace(core.ledger.chain[0], config=b"first")
    core.start()
    core.post("a")
    core.ledger.streaming = False
    until(lambda: not core.projector.streaming)
    core.ledger.streaming = True
    core.ledger.cut()
    until(lambda: core.readmodel.height() == len(core.ledger.chain))
    assert (core.ledger.told_config[0], core.ledger.told_config[-1]) == (None, b"first")


def test_a_fork_is_trouble_that_is_told_and_nothing_is_applied(make_core: Callable[..., Any]) -> None:
    core = make_core()
    core.ledger.tip = _forked
    core.start()
    until(lambda: "cannot be trusted" in (core.projector.progress().trouble or ""))
    assert not core.projector.progress().caught_up
    assert core.readmodel.height() == 0


def _forked() -> int:
    raise LedgerMisuse("the blocks of peer0 cannot be trusted: chain-broken", reason="forked")


def test_it_stays_ready_on_a_ledger_that_never_rests(core: Any) -> None:
    until(lambda: core.projector.progress().caught_up)
    for _ in range(30):
        core.ledger.cut()
        time.sleep(0.01)
        assert core.projector.progress().caught_up


def test_it_is_known_for_how_long_blocks_have_been_missing(core: Any) -> None:
    until(lambda: core.projector.progress().caught_up)
    assert core.commits.behind_for == 0
    core.commits.seen(core.commits.height)
    time.sleep(0.05)
    assert core.commits.behind_for >= 0.05
    core.ledger.cut()
    until(lambda: core.commits.behind_for == 0)


def test_it_is_caught_up_when_the_stream_falls_silent(core: Any) -> None:
    until(lambda: core.projector.progress().caught_up)
    core.commits.seen(99)
    progress = core.projector.progress()
    assert not progress.caught_up
    assert progress.lag == 100 - core.readmodel.height()


def test_waiting_for_a_height_is_bounded_in_time_and_number(core: Any) -> None:
    until(lambda: core.commits.height == 1)
    core.commits.wait_for_height(1, 0.0)
    with pytest.raises(Behind, match="height 1"):
        core.commits.wait_for_height(50, 0.05)
    with pytest.raises(Behind, match="too many"):
        Commits(waiters=1)._patience.acquire() and _busy().wait_for_height(5, 1.0)


def _busy() -> Commits:
    commits = Commits(waiters=1)
    commits._patience.acquire()
    return commits


def test_pages_follow_the_ledger_and_filters_compare_fields(core: Any) -> None:
    for number in range(5):
        core.post(f"k{number}", "even" if number % 2 == 0 else "odd")
    first = core.readmodel.list("thing", where={"value": "even"}, after=None, limit=2)
    assert len(first.items) == 2
    assert first.next is not None
    rest = core.readmodel.list("thing", where={"value": "even"}, after=first.next, limit=2)
    assert len(rest.items) == 1
    assert rest.next is None
    assert [entry.block for entry in (*first.items, *rest.items)] == [1, 3, 5]
