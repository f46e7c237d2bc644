# SPDX-License-Identifier: Apache-2.0
"""Sixty-four connections that read and record for a while: no refusal, nothing lost, and the gateway does not grow."""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from pedigree import Pedigree

if TYPE_CHECKING:
    from reliability.conftest import Exchange, Load, LoneGateway, Watched

LONG = os.environ.get("PEDIGREE_LONG", "0") != "0"
SECONDS = 600.0 if LONG else 30.0
CONNECTIONS = 64
READS = 7
"""Of ten requests."""
LEAST = 40.0
"""Requests a second, answered: what two busy cores must keep while they run the clients and the ledger too."""
GROWTH = 1.1 if LONG else 1.25
"""Of what is resident; in half a minute more requests come to meet than before, each of which takes a thread."""
WARM = 0.25
"""Share of the time after which caches and pools have what they need."""
THREADS, FILES = 16, 96
"""By how much two moments of the same load may differ: more requests may have met. A thread opens six databases."""

pytestmark = [pytest.mark.timeout(SECONDS + 300)]


class Held(NamedTuple):
    """What a gateway's processes held at one moment."""

    after: float
    resident: int
    threads: int
    files: int


def test_sixty_four_connections_that_read_and_record(
    lone: LoneGateway, load: Load, blocks: Callable[[], Any], prefix: str, report: Callable[[str], None],
    watching: Callable[[], Watched],
) -> None:  # fmt: skip
    lone.start()
    with lone.client() as client:
        load.record(client, f"{prefix}-first")
    assert lone.program is not None
    assert lone.program.process is not None
    with _watched(lone.program.process.pid) as held:
        _run(lone, load, prefix, watching)
    reads = [one for one in load.exchanges if not one.key]
    writes = [one for one in load.exchanges if one.key]
    assert {one.status for one in reads} == {200}
    assert {one.status for one in writes} == {201}, {one.code for one in writes}
    assert not load.unanswered
    assert not load.refused
    load.judge(blocks())
    rate = len(load.exchanges) / load.seconds
    warm = [one for one in held if one.after >= SECONDS * WARM]
    early, late = warm[: len(warm) // 4], warm[-(len(warm) // 4) :]
    grown = _typical(late, "resident") / _typical(early, "resident")
    report(f"{len(load.exchanges)} requests in {load.seconds:.0f} s = {rate:.0f}/s; "
           f"reads {_times(reads)}; records {_times(writes)}; "
           f"resident {_typical(early, 'resident') / 2**20:.0f} MB, then {_typical(late, 'resident') / 2**20:.0f} MB; "
           f"threads {_typical(early, 'threads'):.0f}, {_typical(late, 'threads'):.0f}; "
           f"open files {_typical(early, 'files'):.0f}, {_typical(late, 'files'):.0f}")  # fmt: skip
    assert rate >= LEAST
    assert 0.6 < len(reads) / len(load.exchanges) < 0.8
    assert grown <= GROWTH
    assert _typical(late, "threads") - _typical(early, "threads") <= THREADS
    assert _typical(late, "files") - _typical(early, "files") <= FILES


def _run(lone: LoneGateway, load: Load, prefix: str, watching: Callable[[], Watched]) -> None:
    barrier = threading.Barrier(CONNECTIONS)

    def work(number: int) -> None:
        watched = watching()
        with Pedigree(lone.url, lone.key, timeout=60, transport=watched) as client:
            barrier.wait()
            end = time.monotonic() + SECONDS
            turn, known = number, f"{prefix}-first"
            while time.monotonic() < end:
                turn += 1
                if turn % 10 < READS:
                    _read(client, known, turn)
                else:
                    known = f"{prefix}-{number}-{turn}"
                    load.record(client, known)
        load.exchanges.extend(watched.exchanges)
        load.unanswered += watched.unanswered

    started = time.perf_counter()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(work, range(CONNECTIONS)))
    load.seconds = time.perf_counter() - started


def _read(client: Pedigree, model: str, turn: int) -> None:
    """One of the reads that applications make; the model is found by it."""
    match turn % 4:
        case 0:
            assert client.model(model)["record"]["model"] == model
        case 1:
            assert client.models(name=model, limit=5)["items"][0]["record"]["model"] == model
        case 2:
            # Word by word: others come first, and where too many words begin so, not all are looked at.
            found = client.search(model, limit=5)
            assert found["items"] or not found["complete"]
        case _:
            assert client.model(model, source="ledger")["record"]["model"] == model


@contextmanager
def _watched(pid: int) -> Iterator[list[Held]]:
    """Look at a process and its children once a second."""
    held: list[Held] = []
    done = threading.Event()
    began = time.monotonic()

    def look() -> None:
        while not done.wait(1):
            folders = [Path("/proc", str(one)) for one in _family(pid)]
            pages = sum(int((one / "statm").read_text(encoding="ascii").split()[1]) for one in folders)
            files, threads = (sum(len(list((one / name).iterdir())) for one in folders) for name in ("fd", "task"))
            held.append(Held(time.monotonic() - began, pages * os.sysconf("SC_PAGE_SIZE"), threads, files))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield held
    finally:
        done.set()
        watcher.join()


def _family(pid: int) -> list[int]:
    """A process and its children; the main thread has started them (proc(5), children)."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return [pid, *(each for child in children for each in _family(int(child)))]


def _typical(held: list[Held], what: str) -> float:
    return statistics.median(getattr(one, what) for one in held)


def _times(exchanges: list[Exchange]) -> str:
    cuts = statistics.quantiles([one.seconds * 1000 for one in exchanges], n=100)
    return f"p50 {cuts[49]:.0f} ms p95 {cuts[94]:.0f} ms p99 {cuts[98]:.0f} ms"
