# SPDX-License-Identifier: Apache-2.0
"""The audit log: a chain on the disk, bounded whoever is refused, and anchored whatever fails in between."""

import json
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from dialects import IN_A_FILE, open_store

from chaincode.domain import merkle
from chaincode.domain.auditing import AnchorAudit
from chaincode.domain.values import Command
from gateway.services.auditanchors import FUNCTION, AuditAnchors, LogAltered, NothingToAnchor
from gateway.services.auditlog import BURST, OTHER, PERIOD, REFUSED, AuditLog, Refusal, Sought
from gateway.services.auditview import FILTERS, AuditView, NoSuchEntry
from gateway.services.filters import InvalidParameter
from gateway.services.ports import Category, Entry, Failed, Recorded, StorageFull, Unavailable
from gateway.services.submitter import Answer, Intent
from gateway.stores.auditlog import AuditLogStore

pytestmark = pytest.mark.usefixtures("dialect")

CLIENT, OTHER_CLIENT = "ab" * 16, "cd" * 16
NOW = 1_767_225_600.5


class Time:
    """A clock that stands until it is moved, for both kinds of time."""

    def __init__(self) -> None:
        self.passed = 0.0

    def now(self) -> float:
        return self.passed

    def result(self, future: Any, within: float) -> Any:
        return future.result(timeout=within)

    def pause(self, stopping: threading.Event, within: float) -> None:
        self.passed += within

    def __call__(self) -> float:
        return NOW + self.passed


class Counts(Counter[str]):
    """A meter."""

    def observe(self, stage: str, seconds: float) -> None:
        """Not asked here."""

    def count(self, what: str) -> None:
        self[what] += 1


class Ledger:
    """Records anchors as the law does, or what it is told to do; stands for recorder and catalogue."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        """What the next submissions end with instead: an exception, a `Failed`, or None for an open end."""
        self.anchors: dict[tuple[str, int], Entry] = {}
        self.keys: list[str] = []

    def submit(self, intent: Intent, function: str, command: Callable[[], Command], **_: Any) -> Answer:
        assert function == FUNCTION
        self.keys.append(intent.key)
        made = command()
        assert isinstance(made, AnchorAudit)
        scripted = self.answers.pop(0) if self.answers else "record"
        if isinstance(scripted, Exception):
            raise scripted
        if scripted != "record":
            return Answer(scripted, "op")
        return Answer(self.record(made), "op")

    def record(self, made: AnchorAudit) -> Recorded:
        key = str(made.log), int(made.number)
        before = self.anchors.get((key[0], key[1] - 1))
        assert key not in self.anchors
        assert (made.previous and str(made.previous)) == (before and before.value["root"])
        assert made.size > (before.value["size"] if before else 0)
        value = {"size": int(made.size), "root": str(made.root), "log": key[0], "number": key[1], "owner": "LabMSP"}
        transaction = f"{len(self.anchors):064x}"
        self.anchors[key] = Entry("", "audit-anchor", value, transaction, len(self.anchors), "")
        return Recorded({"transaction": {"id": transaction, "block": len(self.anchors)}}, len(self.anchors) + 1)

    def find(self, kind: str, *, owner: str, log: str, number: str) -> Entry | None:
        assert (kind, owner) == ("audit-anchor", "LabMSP")
        return self.anchors.get((log, int(number)))


class Kept:
    """An audit log in a folder, over one opening of its file."""

    def __init__(self, folder: Path, ledger: Ledger, time: Time) -> None:
        self.database = open_store(folder / "audit.db", "audit", durable=False)
        self.store = AuditLogStore(self.database)
        self.counts = Counts()
        self.time = time
        self.log = AuditLog(self.store, organisation="LabMSP", clock=time, meter=self.counts, monotonic=time)
        self.anchors = AuditAnchors(
            self.log, ledger, ledger, "LabMSP", interval=600, monotonic=time  # type: ignore[arg-type]
        )  # fmt: skip
        self.view = AuditView(self.log, lambda: [(CLIENT, "nightly")])

    def note(self, count: int = 1, client: str | None = CLIENT, code: str = "role-too-low", **said: Any) -> None:
        for _ in range(count):
            self.log.note(Refusal(client, "registerModel", REFUSED, code, **said))

    def entries(self) -> list[Any]:
        return [json.loads(each) for each in self.store.contents()]


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def kept(tmp_path: Path, ledger: Ledger, time: Time) -> Iterator[Kept]:
    made = Kept(tmp_path, ledger, time)
    yield made
    made.database.close()


@pytest.fixture
def reopened(tmp_path: Path, kept: Kept, ledger: Ledger, time: Time) -> Iterator[Callable[[], Kept]]:
    """Opens the log again, as after a restart; the former opening is closed."""
    opened = [kept]

    def reopen() -> Kept:
        opened[-1].database.close()
        opened.append(Kept(tmp_path, ledger, time))
        return opened[-1]

    yield reopen
    opened[-1].database.close()


def alter(folder: Path, statement: str) -> None:
    other = sqlite3.connect(folder / "audit.db")
    with other:
        other.execute(statement)
    other.close()


# --- The chain ------------------------------------------------------------------------------------------------------


def test_an_entry_says_who_was_refused_what_and_names_the_one_before(kept: Kept) -> None:
    kept.note(target="model:net", request="0b5f")
    kept.note(client=None, code="unauthenticated")
    first, second = kept.store.contents()
    assert json.loads(first) == {
        "at": "2026-01-01T00:00:00.500Z", "client": CLIENT, "code": "role-too-low", "count": 1, "number": 1,
        "operation": "registerModel", "organisation": "LabMSP", "outcome": "refused", "request": "0b5f",
        "target": "model:net",
    }  # fmt: skip
    assert json.loads(second)["previous"] == merkle.leaf_hash(first).hex()
    assert "client" not in json.loads(second)
    assert kept.log.tree().root() == merkle.root([first, second])


def test_a_log_that_is_opened_again_goes_on(kept: Kept, reopened: Callable[[], Kept]) -> None:
    kept.note(3)
    again = reopened()
    again.note(2)
    contents = list(again.store.contents())
    assert [json.loads(each)["number"] for each in contents] == [1, 2, 3, 4, 5]
    assert json.loads(contents[3])["previous"] == merkle.leaf_hash(contents[2]).hex()
    assert again.log.tree().root() == merkle.root(contents)


def test_many_threads_make_one_chain(kept: Kept) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: kept.note(5, client=f"{number:032x}"), range(16)))
    previous = None
    for number, content in enumerate(kept.store.contents(), 1):
        entry = json.loads(content)
        assert (entry["number"], entry.get("previous")) == (number, previous)
        previous = merkle.leaf_hash(content).hex()
    assert kept.store.size() == 80


def test_a_full_disk_keeps_nobody_from_being_answered(
    kept: Kept, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(_make: object) -> None:
        raise StorageFull("the gateway's disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(kept.store, "append", full)
        kept.note()
    assert kept.counts["audit_lost"] == 1
    assert "role-too-low" in caplog.text
    kept.note()
    assert [entry["number"] for entry in kept.entries()] == [1]


# --- Bounds ---------------------------------------------------------------------------------------------------------


def test_who_is_refused_too_often_is_counted(kept: Kept, time: Time) -> None:
    kept.note(BURST + 500)
    kept.note(client=OTHER_CLIENT)
    assert kept.store.size() == BURST + 1
    kept.log.settle()
    assert kept.store.size() == BURST + 1
    time.passed += PERIOD
    kept.log.settle()
    last = kept.entries()[-1]
    assert (last["count"], last["client"], last["code"]) == (500, CLIENT, "role-too-low")
    assert (last["since"], last["at"]) == ("2026-01-01T00:00:00.500Z", "2026-01-01T00:01:00.500Z")
    assert sum(entry["count"] for entry in kept.entries()) == BURST + 501


def test_a_flood_of_a_day_is_a_few_entries_a_minute(kept: Kept, time: Time) -> None:
    minutes = 120
    for minute in range(minutes):
        for number in range(50):
            kept.note(code=f"code-{(minute + number) % 50}")
        time.passed += 60
        kept.log.settle()
    assert kept.store.size() <= BURST + 8 * minutes
    assert sum(entry["count"] for entry in kept.entries()) == 50 * minutes
    assert OTHER in {entry["code"] for entry in kept.entries()}


def test_what_is_counted_is_written_when_the_gateway_stops(kept: Kept) -> None:
    kept.note(BURST + 3)
    kept.log.settle(everything=True)
    assert sum(entry["count"] for entry in kept.entries()) == BURST + 3


def test_a_client_regains_entries_of_its_own(kept: Kept, time: Time) -> None:
    kept.note(BURST + 1)
    time.passed += 15
    kept.note(2)
    assert kept.store.size() == BURST + 1


# --- Anchors --------------------------------------------------------------------------------------------------------


def test_a_log_is_anchored_where_it_has_grown(kept: Kept, ledger: Ledger) -> None:
    assert kept.anchors.round()
    assert not ledger.keys
    kept.note(3)
    assert kept.anchors.round()
    assert kept.anchors.round()
    kept.note(2)
    assert kept.anchors.round()
    contents = list(kept.store.contents())
    assert [each.value["root"] for each in ledger.anchors.values()] == [
        merkle.root(contents[:3]).hex(), merkle.root(contents).hex()
    ]  # fmt: skip
    assert kept.anchors.anchored == 5


@pytest.mark.parametrize("fault", [Unavailable("down", code="peer-unavailable"), None])
def test_an_anchor_is_sent_again_as_it_was(kept: Kept, ledger: Ledger, fault: Any) -> None:
    kept.note(3)
    ledger.answers = [fault]
    assert not kept.anchors.round()
    kept.note(2)
    assert kept.anchors.round()
    assert [each.value["size"] for each in ledger.anchors.values()] == [3]
    assert ledger.keys[0] == ledger.keys[1]
    assert kept.anchors.round()
    assert [each.value["size"] for each in ledger.anchors.values()] == [3, 5]
    assert kept.anchors.trouble is None


def test_a_refusal_that_stands_is_asked_again_under_another_key(kept: Kept, ledger: Ledger) -> None:
    kept.note()
    ledger.answers = [Failed(Category.FORBIDDEN, "identity-refused", "The channel does not know it.", False, {})]
    assert not kept.anchors.round()
    assert kept.anchors.trouble == "The channel does not know it."
    assert kept.anchors.round()
    assert ledger.keys[0] != ledger.keys[1]
    assert kept.anchors.trouble is None


def test_an_anchor_that_was_recorded_before_a_crash_is_found_in_the_blocks(
    kept: Kept, reopened: Callable[[], Kept], ledger: Ledger
) -> None:
    kept.note(3)
    ledger.answers = [None]
    assert not kept.anchors.round()
    first = kept.store.content(1)
    assert first is not None
    root = kept.log.tree().root()
    log = merkle.leaf_hash(first).hex()
    ledger.anchors[log, 1] = Entry("", "audit-anchor", {"size": 3, "root": root.hex()}, "ff" * 32, 9, "")
    again = reopened()
    assert again.anchors.round()
    assert len(ledger.keys) == 1
    assert again.anchors.anchored == 3


@IN_A_FILE
@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM entry WHERE number = 3",
        "UPDATE entry SET hash = zeroblob(32) WHERE number = 2",
    ],
)
def test_a_log_that_is_not_what_was_anchored_is_not_anchored_again(
    kept: Kept, reopened: Callable[[], Kept], ledger: Ledger, tmp_path: Path, statement: str
) -> None:
    kept.note(3)
    assert kept.anchors.round()
    kept.database.close()
    alter(tmp_path, statement)
    again = reopened()
    again.note(code="another")
    assert not again.anchors.round()
    assert "set back or altered" in str(again.anchors.trouble)
    with pytest.raises(LogAltered):
        again.anchors.anchor(Intent("c", "k", ""), {})
    assert len(ledger.anchors) == 1


@IN_A_FILE
def test_a_log_that_was_set_back_meets_its_own_anchors(
    kept: Kept, reopened: Callable[[], Kept], ledger: Ledger, tmp_path: Path
) -> None:
    kept.note(3)
    assert kept.anchors.round()
    kept.database.close()
    alter(tmp_path, "DELETE FROM anchor")
    again = reopened()
    again.note()
    ledger.answers = [Failed(Category.CONFLICT, "already-exists", "There is one.", False, {})]
    assert not again.anchors.round()
    assert not again.anchors.round()
    assert "another anchor 1" in str(again.anchors.trouble)


def test_an_operator_anchors_now(kept: Kept, ledger: Ledger) -> None:
    with pytest.raises(NothingToAnchor):
        kept.anchors.anchor(Intent("c", "k", ""), {})
    kept.note(2)
    assert isinstance(kept.anchors.anchor(Intent("c", "k", ""), {}).ending, Recorded)
    assert kept.anchors.anchored == 2
    assert kept.anchors.round()
    assert len(ledger.keys) == 2


def test_the_thread_anchors_after_the_interval_and_when_it_stops(kept: Kept, ledger: Ledger) -> None:
    kept.note(2)
    kept.anchors.start()
    for _ in range(10_000):
        if ledger.anchors:
            break
        threading.Event().wait(0.001)
    assert [each.value["size"] for each in ledger.anchors.values()] == [2]
    kept.note(BURST + 1)
    kept.anchors.stop(within=10)
    assert sum(entry["count"] for entry in kept.entries()) == BURST + 3
    assert max(each.value["size"] for each in ledger.anchors.values()) == kept.store.size()


# --- What is shown --------------------------------------------------------------------------------------------------


def test_lists_are_filtered_and_go_on(kept: Kept) -> None:
    for number in range(30):
        kept.note(code="role-too-low" if number % 3 else "not-found", target=f"model:m{number}")
    kept.note(client=None, code="unauthenticated")
    first = kept.view.page({"code": "not-found"}, cursor=None, limit=4)
    second = kept.view.page({"code": "not-found"}, cursor=first["next"], limit=100)
    assert [each["number"] for each in first["items"] + second["items"]] == list(range(28, 0, -3))
    assert second["next"] is None
    assert (first["size"], first["anchored"]) == (31, 0)
    assert first["items"][0]["client"] == {"id": CLIENT, "name": "nightly"}
    (nobody,) = kept.view.page({"client": "none"}, cursor=None, limit=9)["items"]
    assert (nobody["client"], nobody["code"]) == (None, "unauthenticated")
    for filters, count in (
        ({"client": "nightly"}, 30), ({"client": CLIENT}, 30), ({"target": "model:m7"}, 1), ({"outcome": "failed"}, 0),
        ({"operation": "registerModel"}, 31), ({"since": "2026-01-01"}, 31), ({"before": "2026-01-01"}, 0),
    ):  # fmt: skip
        assert len(kept.view.page(filters, cursor=None, limit=100)["items"]) == count, filters


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_that_cannot_be_understood_is_named(kept: Kept, name: str) -> None:
    with pytest.raises(InvalidParameter, match=name):
        kept.view.page({name: "\u00df!"}, cursor=None, limit=10)


def test_a_cursor_is_of_its_own_list(kept: Kept) -> None:
    kept.note(5)
    cursor = kept.view.page({}, cursor=None, limit=2)["next"]
    with pytest.raises(InvalidParameter, match="cursor"):
        kept.view.page({"code": "not-found"}, cursor=cursor, limit=2)


def test_what_one_call_looks_at_is_bounded(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.stores.auditlog.MOST_WALKED", 10)
    kept.note(code="not-found")
    kept.note(30)
    found, below, calls = [], None, 0
    while calls == 0 or below is not None:
        items, below = kept.store.listed(Sought(code="not-found"), below=below, limit=5)
        found += items
        calls += 1
    assert len(found) == 1
    assert calls == 4


def test_an_entry_has_a_proof_against_the_last_anchor(kept: Kept, ledger: Ledger) -> None:
    kept.note(5)
    assert kept.view.one(2)["anchor"] is None
    kept.anchors.round()
    kept.note(2)
    assert kept.view.one(7)["anchor"] is None
    for number in range(1, 6):
        answer = kept.view.one(number)
        hashed = merkle.leaf_hash(answer["content"].encode())
        assert hashed.hex() == answer["hash"]
        anchor, path = answer["anchor"], [bytes.fromhex(each) for each in answer["path"]]
        merkle.verify_inclusion(hashed, number - 1, anchor["size"], path, bytes.fromhex(anchor["root"]))
    with pytest.raises(NoSuchEntry):
        kept.view.one(8)


def test_the_export_is_the_log_as_it_is_hashed(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.stores.auditlog._AT_ONCE", 3)
    kept.note(10)
    lines = b"".join(kept.view.export()).splitlines()
    assert merkle.root(lines) == kept.log.tree().root()
