# SPDX-License-Identifier: Apache-2.0
"""Everything is killed at a random moment while all three gateways record, and started again, over and over.

`PEDIGREE_KILLS` sets how often (20 for acceptance), `PEDIGREE_SEED` repeats the moments of an earlier run.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gateway.demo.consortium import Consortium
from gateway.demo.founding import ORIGIN, found
from gateway.demo.processes import StartFailed
from pedigree import Pedigree, PedigreeError, Recorded

if TYPE_CHECKING:
    from reliability.conftest import Load, LoneGateway

Report = Callable[[str], None]

KILLS = int(os.environ.get("PEDIGREE_KILLS", "5"))
WRITERS = 4  # for each gateway
LONGEST_WORK = 1.5
"""Seconds after the first answer within which the power goes."""
IDLE_STOP = 5.0
LONGEST_START = 4.0

pytestmark = [pytest.mark.timeout(180 + 60 * KILLS)]


@pytest.fixture
def powered(ledger: str, tmp_path: Path) -> Iterator[Consortium]:
    """A consortium of this test's own, for it will be killed."""
    running = Consortium(tmp_path / "consortium", ledger, any_port=True)
    try:
        running.start()
        found(running)
        yield running
    finally:
        running.kill()


@dataclass
class Work:
    """What was asked for, by name, with the organisation that asked: models of all three, data sets of the hospital."""

    consortium: Consortium
    keys: dict[str, str]
    load: Load
    asked: dict[str, str] = field(default_factory=dict)
    committed: dict[str, Recorded] = field(default_factory=dict)
    interrupted: int = 0
    failures: list[PedigreeError] = field(default_factory=list)

    def until_killed(self, round_: int, moment: float) -> None:
        """Let every writer record until its gateway does not answer any more, `moment` seconds after a first answer."""
        before = len(self.load.acknowledged)
        with ThreadPoolExecutor(3 * WRITERS) as pool:
            writers = [
                pool.submit(self._write, organisation, f"r{round_}-{organisation}-{number}")
                for organisation in self.consortium.ports
                for number in range(WRITERS)
            ]
            while len(self.load.acknowledged) == before and not any(writer.done() for writer in writers):
                time.sleep(0.001)
            time.sleep(moment)
            self.consortium.kill()
            for writer in writers:
                writer.result()

    def settle(self) -> None:
        """Ask again, with the same keys, for whatever was not answered."""
        for organisation in self.consortium.ports:
            with self.client(organisation, timeout=60.0) as client:
                for name, owner in self.asked.items():
                    if owner == organisation and name not in self.load.acknowledged:
                        self.load.record(client, name)

    def client(self, organisation: str, timeout: float) -> Pedigree:
        return Pedigree(self.consortium.url(organisation), self.keys[organisation], timeout=timeout)

    def _write(self, organisation: str, prefix: str) -> None:
        with self.client(organisation, timeout=2.0) as client:
            for number in range(10_000):
                name = f"{prefix}-{number}"
                self.asked[name] = organisation
                try:
                    recorded = client.register_model(name, title="Load", idempotency_key=f"key-{name}")
                    self.load.acknowledged[name] = recorded
                    if organisation == "hospital" and number % 5 == 0:
                        self._commit(client, name)
                except PedigreeError as error:
                    if error.retryable:
                        self.interrupted += 1
                    else:
                        self.failures.append(error)
                    return

    def _commit(self, client: Pedigree, name: str) -> None:
        client.register_dataset(name, title="Load", licence="CC-BY-4.0", origin=ORIGIN, sensitivity="internal")
        self.committed[name] = client.commit_records(name, records(name), id_field="id", consent="ConsentGiven")


def records(name: str) -> bytes:
    """A file of records that no other data set has."""
    return "".join(["id,value\n", *(f"{name}-{number},{number}\n" for number in range(20))]).encode()


def test_no_acknowledged_write_is_lost_when_everything_is_killed(
    powered: Consortium,
    load: Load,
    issue_key: Callable[[Path], str],
    registrations: Callable[..., Any],
    new_gateway: Callable[..., LoneGateway],
    report: Report,
) -> None:
    seed = int(os.environ.get("PEDIGREE_SEED", str(random.randrange(10**6))))
    print(f"PEDIGREE_SEED={seed} PEDIGREE_KILLS={KILLS}")
    moments = random.Random(seed)
    folders = {name: powered.directory / "gateways" / name for name in powered.ports}
    work = Work(powered, {name: issue_key(folder) for name, folder in folders.items()}, load)
    starts = []
    for round_ in range(KILLS):
        if round_ % 4 == 2:
            _cut_while_starting(powered, moments.uniform(0, LONGEST_START))
        moment = moments.uniform(0, LONGEST_WORK)
        work.until_killed(round_, moment)
        began = time.perf_counter()
        powered.start()
        starts.append(time.perf_counter() - began)
    assert work.failures == []
    assert load.acknowledged, "the power went before anything was done"
    acknowledged = len(load.acknowledged)
    load.judge(registrations(powered.network()))
    work.settle()
    assert (load.refused, set(load.acknowledged)) == ({}, set(work.asked))
    load.judge(registrations(powered.network()))
    powered.fsck()
    _proofs_are_still_there(work)
    _read_models_agree(work, folders, new_gateway)
    began = time.perf_counter()
    powered.stop()
    stopped = time.perf_counter() - began
    report(f"{KILLS} kills, {acknowledged} writes acknowledged before them, {work.interrupted} interrupted, "
           f"start-up after a kill {min(starts):.1f} to {max(starts):.1f} s, idle stop {stopped:.1f} s")  # fmt: skip
    assert stopped < IDLE_STOP


def _cut_while_starting(consortium: Consortium, moment: float) -> None:
    """Kill a consortium that is running, and again `moment` seconds into its next start."""
    consortium.kill()

    def start() -> None:
        with suppress(StartFailed):  # what is being killed says so
            consortium.start()

    starting = threading.Thread(target=start)
    starting.start()
    time.sleep(moment)
    while starting.is_alive():
        consortium.kill()
        starting.join(0.2)
    consortium.kill()
    consortium.start()


def _proofs_are_still_there(work: Work) -> None:
    """Records that were committed are in their owner's store, and lead to the root on the ledger."""
    with work.client("hospital", timeout=60.0) as client:
        for name, committed in work.committed.items():
            assert client.verify_dataset(name, 1)["verified"]
            evidence = client.record_proof(name, 1, f"{name}-7")
            assert client.verify_record(evidence, root=committed.record["root"]).verified


def _read_models_agree(work: Work, folders: dict[str, Path], new_gateway: Callable[..., LoneGateway]) -> None:
    """The read models that lived through all kills equal one that was built anew from the first block."""
    rebuilt = new_gateway(work.consortium)
    for path in folders["hospital"].glob("readmodel.db*"):
        shutil.copy2(path, rebuilt.data)
    rebuilt.start("--rebuild")
    clients = [*(work.client(name, timeout=60.0) for name in folders), rebuilt.client()]
    height = max(client.ledger()["height"] for client in clients)
    for client in clients:
        with client:
            client.at_least(height)
            client.models(limit=1)
    wanted = _tables(rebuilt.data)
    assert sum(len(rows) for rows in wanted.values()) > len(work.asked)
    for folder in folders.values():
        assert _tables(folder) == wanted


def _tables(folder: Path) -> dict[str, list[Any]]:
    """Every row of a read model."""
    with closing(sqlite3.connect(f"file:{folder / 'readmodel.db'}?mode=ro", uri=True)) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: sorted(connection.execute(f"SELECT * FROM {name}"), key=repr) for name in sorted(names)}
