# SPDX-License-Identifier: Apache-2.0
"""What nobody finishes is ended and removed in bounded pieces, and nothing that a request is at."""

import logging
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from dialects import IN_A_FILE, open_store
from keptrecords import record_store

from chaincode.domain.merkle import HASH, SALT
from gateway.services import sweeping
from gateway.services.blobstores import Publication
from gateway.services.deliverylog import Asked
from gateway.services.failures import StorageFailed
from gateway.services.ports import Reading, RecordColumns, StoredRecord
from gateway.services.sweeping import AT_ONCE, OLDEST, Chore, Sweeper, chores
from gateway.stores.blobfiles import BlobFiles
from gateway.stores.deliveries import DeliveryStore
from gateway.stores.sealed import SealedStore

pytestmark = pytest.mark.usefixtures("dialect")

NOW = 1_800_000_000.0


class Meter:
    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def observe(self, stage: str, seconds: float) -> None:
        raise AssertionError(stage)

    def count(self, what: str) -> None:
        self.counts[what] += 1


class World:
    """A gateway's stores and its sweeper, with a clock."""

    def __init__(self, folder: Path) -> None:
        self.now = NOW
        self.folder = folder
        self.sealed = open_store(folder / "sealed.db", "sealed", durable=True)
        self.kept = open_store(folder / "records.db", "records", durable=True)
        self.log = DeliveryStore(self.sealed)
        self.records = record_store(self.kept)
        self.blobs = BlobFiles(folder / "blobs")
        self.publications = SealedStore(self.sealed)
        self.under_way: set[str] = set()
        self.meter = Meter()
        swept = chores(self.log, self.records, self.blobs, self.publications, self.under_way.__contains__)
        self.sweeper = Sweeper(swept, self.meter, lambda: self.now)

    def begin(self, number: int, until: float) -> int:
        asked = Asked(f"{number:064x}", "LabMSP", "00" * 32, f"{number:032x}", self.now)
        token = b"%d" % number
        self.log.begin(asked, token, b"b" * 32, 1_000, until)
        found = self.log.find(token)
        assert found is not None
        return found.key

    def put(self, number: int, age: float) -> str:
        name = f"{number:064x}"
        self.blobs.put(name, [b"sealed"])
        os.utime(self.folder / "blobs" / name[:2] / name, (self.now - age, self.now - age))
        return name

    def outcomes(self) -> list[str]:
        return [each.outcome for each in self.log.list(before=None, limit=1_000_000)]

    def close(self) -> None:
        self.sealed.close()
        self.kept.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with closing(World(tmp_path)) as made:
        yield made


def test_deliveries_whose_time_is_over_are_ended_and_those_that_are_read_are_not(world: World) -> None:
    over, read, fresh = world.begin(1, NOW - 1), world.begin(2, NOW - 1), world.begin(3, NOW + 60)
    part = world.log.promise(read, None, 0, 500)
    assert part is not None
    assert world.sweeper.sweep() == {"deliveries ended": 1}
    assert world.outcomes() == ["open", "open", "ended"]
    world.log.sent(read, part, 400, 400)
    world.now += 31
    assert world.sweeper.sweep() == {"deliveries ended": 1}
    assert world.outcomes() == ["open", "ended", "ended"]
    assert {over, fresh} != {read}


def test_what_was_given_is_kept_and_old_refusals_are_not(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "MOST_REFUSALS", 3)
    world.begin(1, NOW + 60)
    for number in range(6):
        at = NOW - (100 * 86_400 if number == 0 else 0)
        world.log.refused(Asked("a" * 64, "LabMSP", "s", f"{number}", at), "attempt-denied")
    assert world.sweeper.sweep() == {"refusals": 3}
    assert world.outcomes() == [*["attempt-denied"] * 3, "open"]
    world.now += 400 * 86_400
    swept = world.sweeper.sweep()
    assert (swept["refusals"], swept["deliveries ended"], swept["nonces"]) == (3, 1, 1)
    assert world.outcomes() == ["ended"], "who was given something is never forgotten"


def reading() -> Reading:
    return Reading("text/csv", "id", ",", ("id",))


def columns(count: int, first: int = 0) -> RecordColumns:
    return RecordColumns.of(
        [
            StoredRecord(f"r{number}", os.urandom(SALT), b"c", 0, 0, os.urandom(HASH))
            for number in range(first, first + count)
        ]
    )


@IN_A_FILE
def test_sets_of_records_that_a_crash_left_are_removed_and_no_other(world: World) -> None:
    finished, written, young = (world.records.begin(name, reading()) for name in ("finished", "written", "young"))
    for key in (finished, written):
        world.records.add(key, 0, columns(300))
    world.records.finish(finished, "aa" * 32, 300)
    # What a process left that was killed: rows, and nobody who writes them.
    world.kept.write(
        lambda c: c.execute("INSERT INTO record_set (key, dataset, size, created) VALUES (90, 'dead', 0, ?)", (NOW,))
    )
    world.kept.write(lambda c: c.execute("INSERT INTO record_block VALUES (90, 0, 1, x'01', x'01')"))
    world.kept.write(lambda c: c.execute("UPDATE record_set SET created = ? WHERE key <> ?", (NOW, young)))
    assert "unfinished record sets" not in world.sweeper.sweep()
    world.now += OLDEST + 1
    assert world.sweeper.sweep()["unfinished record sets"] == 1
    assert [each.key for each in world.records.sets()] == [finished, written, young]
    blocks = world.kept.reader().execute("SELECT count(*) FROM record_block WHERE set_key = 90").fetchone()
    assert blocks == (0,)
    world.records.add(written, 300, columns(10, 300))
    world.records.finish(written, "bb" * 32, 310)
    assert len(list(world.records.all("bb" * 32))) == 310


def test_blobs_that_nothing_opens_are_removed(world: World) -> None:
    orphan, young, published, put = (world.put(number, age) for number, age in
                                     ((1, OLDEST + 1), (2, 10), (3, OLDEST + 1), (4, OLDEST + 1)))  # fmt: skip
    world.publications.add(Publication(bytes.fromhex(published), "aa" * 32, "d", 1, "text/csv", 1, "d" * 64, b"w", NOW))
    world.under_way.add(put)
    half = world.folder / "blobs" / "00" / ".new-0123"
    half.write_bytes(b"half")
    os.utime(half, (NOW - OLDEST - 1,) * 2)
    (newer := half.with_name(".new-4567")).write_bytes(b"half")
    os.utime(newer, (NOW,) * 2)
    assert world.sweeper.sweep() == {"unfinished blobs": 1, "orphaned blobs": 1}
    assert {each.name for each in world.blobs.list()} == {young, published, put}
    assert (half.exists(), newer.exists()) == (False, True)
    assert world.meter.counts == {"swept_unfinished_blobs": 1, "swept_orphaned_blobs": 1}
    assert orphan not in {each.name for each in world.blobs.list()}


def test_a_chore_with_more_to_do_goes_on_soon_and_one_that_fails_is_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now, calls = NOW, []

    def much(at: float) -> int:
        calls.append(at)
        return AT_ONCE if len(calls) < 3 else 7

    def broken(at: float) -> int:
        raise StorageFailed("the disk failed")

    meter = Meter()
    sweeper = Sweeper([Chore("things", 3_600, much), Chore("others", 60, broken)], meter, lambda: now)
    with caplog.at_level(logging.INFO, "gateway.services.sweeping"):
        assert sweeper.sweep() == {"things": AT_ONCE}
        assert sweeper.sweep() == {}
        now += 2
        assert sweeper.sweep() == {"things": AT_ONCE}
        now += 2
        assert sweeper.sweep() == {"things": 7}
        now += 60
        assert sweeper.sweep() == {}
    assert len(calls) == 3
    assert meter.counts == {"swept_things": 2 * AT_ONCE + 7, "sweep_failed": 2}
    assert "swept: 7 things" in caplog.text
    assert "others could not be swept" in caplog.text


def test_it_runs_in_a_thread_until_it_is_stopped() -> None:
    done: list[float] = []

    def work(at: float) -> int:
        done.append(at)
        return 0

    sweeper = Sweeper([Chore("things", 0.0, work)], Meter(), lambda: NOW)
    sweeper.start()
    while not done:
        pass
    sweeper.stop()
    count: Any = len(done)
    assert sweeper.sweep() == {}
    assert len(done) == count
