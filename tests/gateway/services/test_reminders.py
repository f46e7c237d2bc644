# SPDX-License-Identifier: Apache-2.0
"""Reminders: each is given once, ends when nothing is due any more, and outlasts a restart, over a real store."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dialects import open_store

from gateway.services.duties import Due, Duties, ReminderKind
from gateway.services.reminders import PAGE, Reminders
from gateway.stores import reminders as module
from gateway.stores.reminders import KeptReminders

pytestmark = pytest.mark.usefixtures("dialect")
NOW = 1_767_225_600.0


def due(name: str, kind: ReminderKind = ReminderKind.AWAITS, ends_at: int | None = None) -> Due:
    return Due(kind, f"model-version:{name}:1", "approved", "LabMSP", ends_at)


class Meter:
    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def observe(self, stage: str, seconds: float) -> None:
        pass

    def count(self, what: str) -> None:
        self.counts[what] += 1


class World:
    """A gateway's reminders, what is due said by a test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = NOW
        self.duties = Duties((), whole=True, following=None)
        self.read = True
        self.rounds = 0
        self.open()

    def open(self) -> None:
        """As after a restart."""
        self.meter = Meter()
        self.database = open_store(self.folder / "submissions.db", "submissions", durable=True)
        self.store = KeptReminders(self.database, "aa")
        self.reminders = Reminders(
            self.find, self.store, caught_up=lambda: self.read, meter=self.meter, organisation="HospitalMSP",
            clock=lambda: self.now, shortest=0.01,
        )  # fmt: skip

    def restart(self) -> None:
        self.database.close()
        self.open()

    def find(self) -> Duties:
        self.rounds += 1
        return self.duties

    def look(self, *found: Due, whole: bool = True, following: int | None = None) -> float:
        self.now += 1
        self.duties = Duties(found, whole=whole, following=following)
        return self.reminders.round()

    def listed(self, after: int | None = None, kind: str | None = None, ended: bool | None = None) -> list[Any]:
        page = self.reminders.page(after=after, kind=kind, ended=ended)
        return [
            (each["number"], each["artifact"].split(":")[1], each["ended_at"] is not None) for each in page["items"]
        ]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.reminders.stop()
    made.database.close()


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.getMessage().startswith("reminder ")]


def test_each_is_given_once_and_ends(world: World, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        world.look(due("a"), due("b", ReminderKind.LOST))
    assert world.listed() == [(1, "a", False), (2, "b", False)]
    assert lines(caplog) == [
        "reminder 1: model-version:a:1 of LabMSP awaits your endorsement for the stage approved",
        "reminder 2: model-version:b:1 of LabMSP was approved by a quorum that is not there any more",
    ]
    assert world.meter.counts == {"reminded_awaits-endorsement": 1, "reminded_quorum-lost": 1}
    assert [world.reminders.due(kind) for kind in ReminderKind] == [1, 0, 1]
    world.look(due("b", ReminderKind.LOST))
    assert world.listed() == [(1, "a", True), (2, "b", False)]
    assert world.listed(ended=False) == [(2, "b", False)]
    assert world.listed(ended=True) == [(1, "a", True)]
    assert world.listed(kind="quorum-lost") == [(2, "b", False)]
    assert [world.reminders.due(kind) for kind in ReminderKind] == [0, 0, 1]


def test_what_falls_due_again_is_another_reminder(world: World) -> None:
    world.look(due("a"))
    world.look()
    world.look(due("a"))
    assert world.listed() == [(1, "a", True), (2, "a", False)]
    expiring = [due("c", ReminderKind.EXPIRES, ends) for ends in (5, 6)]
    world.look(expiring[0])
    world.look(expiring[1])
    assert world.listed(after=2) == [(3, "c", True), (4, "c", False)]


def test_a_restart_repeats_and_loses_nothing(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.look(due("a"), due("b"))
    world.restart()
    world.look(due("b"), due("c"))
    assert world.listed() == [(1, "a", True), (2, "b", False), (3, "c", False)]
    assert len(lines(caplog)) == 3


def test_what_a_crash_kept_from_the_log_is_logged_after_it(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.store.keep(Duties((due("a"),), whole=True, following=None), 5)
    world.restart()
    world.look(due("a"))
    assert world.listed() == [(1, "a", False)]
    assert len(lines(caplog)) == 1
    world.look(due("a"))
    assert len(lines(caplog)) == 1


def test_where_not_all_was_looked_at_nothing_is_said_to_be_over(world: World) -> None:
    world.look(due("a"), due("b"))
    world.look(due("b"), whole=False)
    assert world.listed(ended=True) == []


def test_half_a_ledger_reminds_of_nothing_and_ends_nothing(world: World) -> None:
    world.look(due("a"))
    world.read = False
    assert world.look() < 1
    assert (world.rounds, world.listed()) == (1, [(1, "a", False)])


def test_reminders_are_of_one_chain(world: World) -> None:
    world.look(due("a"))
    other = KeptReminders(world.database, "bb")
    assert other.following(0, kind=None, ended=None, limit=10) == []
    other.keep(Duties((due("a"),), whole=True, following=None), 5)
    assert [each.number for each in other.following(0, kind=None, ended=None, limit=10)] == [2]
    assert world.listed() == [(1, "a", False)]


def test_a_program_goes_on_from_the_number_it_has(world: World) -> None:
    world.look(*(due(f"m{number}") for number in range(PAGE + 5)))
    first = world.reminders.page(after=None, kind=None, ended=None)
    assert (len(first["items"]), first["next"]) == (PAGE, PAGE)
    second = world.reminders.page(after=first["next"], kind=None, ended=None)
    assert (len(second["items"]), second["next"]) == (5, PAGE + 5)
    assert world.reminders.page(after=second["next"], kind=None, ended=None) == {
        "organisation": "HospitalMSP", "items": [], "next": PAGE + 5,
    }  # fmt: skip


def test_the_oldest_that_ended_are_left_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 5)
    world.look(due("stays"))
    for number in range(20):
        world.look(due("stays"), due(f"m{number}"))
    found = world.listed()
    assert found[0] == (1, "stays", False)
    assert [number for number, *_ in found[1:]] == [17, 18, 19, 20, 21]


def until(said: Callable[[], Any], within: float = 20.0) -> None:
    deadline = time.monotonic() + within
    while not said():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.01)


def test_the_thread_looks_after_a_block_and_when_a_time_has_come(world: World) -> None:
    world.reminders.start()
    until(lambda: world.rounds == 1)
    time.sleep(0.2)
    assert world.rounds == 1, "nothing has happened, and nobody looks"
    world.duties = Duties((due("a"),), whole=True, following=None)
    world.reminders.changed()
    until(lambda: world.listed() == [(1, "a", False)])
    before = world.rounds
    world.duties = Duties((due("a"),), whole=True, following=int((world.now + 0.3) * 1_000))
    world.reminders.changed()
    until(lambda: world.rounds > before + 1)


def test_the_thread_goes_on_after_a_failure(world: World, caplog: pytest.LogCaptureFixture) -> None:
    broken = threading.Event()
    broken.set()

    def find() -> Duties:
        if broken.is_set():
            raise RuntimeError("not now")
        return Duties((due("a"),), whole=True, following=None)

    made = Reminders(
        find, world.store, caught_up=lambda: True, meter=world.meter, organisation="HospitalMSP",
        clock=lambda: world.now, shortest=0.01,
    )  # fmt: skip
    with caplog.at_level(logging.WARNING):
        made.start()
        until(lambda: any("reminders wait" in each.getMessage() for each in caplog.records))
        broken.clear()
        until(lambda: world.listed() == [(1, "a", False)])
    made.stop()


def test_of_several_gateways_with_these_stores_one_reminds(world: World) -> None:
    leads = False
    made = Reminders(
        world.find, world.store, caught_up=lambda: True, meter=world.meter, organisation="HospitalMSP",
        clock=lambda: world.now, leads=lambda: leads,
    )  # fmt: skip
    world.duties = Duties((due("a"),), whole=True, following=None)
    assert made.round() < 60, "it looks again whether it is to"
    assert (world.listed(), made.due(ReminderKind.AWAITS)) == ([], 1)
    leads = True
    made.round()
    assert world.listed() == [(1, "a", False)]
