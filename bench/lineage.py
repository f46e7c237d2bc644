# SPDX-License-Identifier: Apache-2.0
"""What the impact of one artifact costs over REST: all that was made from it, to any depth, and how many of each kind.

A gateway's own process reads a read model that was made before. The same question is asked of networkx, which has the
same edges in memory and answers without HTTP, and of SQLite, by a recursive query over an index of the edges. Each
question is about another artifact than the ones before, so that the gateway remembers nothing of the walk.
"""

from __future__ import annotations

import http.client
import itertools
import json
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import networkx
from rich.console import Console

from bench.measure import Metric, median, paired_ratio
from chaincode.domain import codec
from chaincode.domain.keys import key_of
from chaincode.domain.lineage import Edge
from chaincode.domain.values import Ref, Text
from gateway.services.ports import Json, LedgerBlock, LedgerTransaction, LedgerWrite
from gateway.services.walks import Link, Links
from gateway.stores.database import Database
from gateway.stores.lineagegraph import LineageGraph
from gateway.stores.readmodel import ReadModelStore

NODES = 200_000
_PARENTS = 3
_NEAR = 2_000
"""Parents are among so many artifacts before, which makes a lineage of a few hundred steps."""
_ROOTS = 24
"""Artifacts from which everything was made; the gateway remembers fewer walks."""
_BLOCK = 2_000
_QUESTIONS = 4
"""Of each kind in a round."""
_WIDE, _LAYERS = 500, 5
"""A diamond between two ends: five layers of 500, each complete to the next, have a million edges."""
_RECURSIVE = """
WITH RECURSIVE reached (node) AS (
  SELECT child FROM edge WHERE parent = ? UNION SELECT edge.child FROM edge JOIN reached ON edge.parent = reached.node
) SELECT count(*) FROM reached"""

Pairs = Sequence[tuple[int, int]]


def measure(_kind: str, rounds: int, _seconds: float, *, nodes: int = NODES) -> Sequence[Metric]:
    """Ask the gateway, networkx and SQLite in turn, and compare what they find."""
    pairs = _pairs(nodes)
    with tempfile.TemporaryDirectory(prefix="pedigree-bench-") as directory:
        folder = Path(directory)
        height = _fill(folder, nodes, pairs)
        with _serving(folder) as ask, closing(_sqlite(pairs)) as database:
            graph = networkx.DiGraph(pairs)
            sides: dict[str, Callable[[int], int]] = {
                "gateway": lambda root: ask(f"{_name(root)}/artifacts?limit=100")["count"],
                "networkx": lambda root: len(networkx.descendants(graph, root)),
                "sql": lambda root: int(database.execute(_RECURSIVE, (root,)).fetchone()[0]),
                "past": lambda root: ask(f"{_name(root)}/artifacts?limit=100&as_of={height - 1}")["count"],
            }
            taken = _in_turn(sides, rounds * _QUESTIONS, nodes - _ROOTS)
    how = f"{nodes:,} artifacts and {len(pairs):,} edges, median of {rounds * _QUESTIONS} questions in turn"
    ours = taken["gateway"]
    return [
        Metric("lineage.impact_ms", median(ours), "ms", f"over REST, the first page of 100 with all counts; {how}",
               "networkx.descendants, in memory", paired_ratio(ours, taken["networkx"])),
        Metric("lineage.impact_sql_ms", median(taken["sql"]), "ms", f"a recursive query that counts alone; {how}",
               "the gateway over REST", paired_ratio(taken["sql"], ours)),
        Metric("lineage.impact_past_ms", median(taken["past"]), "ms", f"over REST, as of an earlier height; {how}"),
        *_diamond(rounds),
    ]  # fmt: skip


def _in_turn(sides: dict[str, Callable[[int], int]], times: int, expected: int) -> dict[str, list[float]]:
    """How long each question took of each side, in milliseconds; all of them have to count the same."""
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(times + 1):
        for name, once in sides.items():
            started = time.perf_counter()
            # Every root once before the first comes again: by then nobody remembers it.
            found = once(turn % _ROOTS)
            if turn:  # the first one reads what the next have read already
                taken[name].append((time.perf_counter() - started) * 1000)
            if found != expected:
                raise RuntimeError(f"{name} finds {found} artifacts where there are {expected}")
    return taken


# --- The lineage --------------------------------------------------------------------------------------------------


def _pairs(nodes: int) -> Pairs:
    """Edges between numbers, from the roots to one artifact and from there to everything."""
    draw = random.Random(nodes)
    pairs = [(root, _ROOTS) for root in range(_ROOTS)]
    for child in range(_ROOTS + 1, nodes):
        near = range(max(_ROOTS, child - _NEAR), child)
        pairs += ((parent, child) for parent in sorted(draw.sample(near, min(_PARENTS, len(near)))))
    return pairs


def _name(number: int) -> str:
    """Runs and model versions by turns."""
    return f"run:r{number}" if number % 2 else f"model-version:m{number}:1"


def _record(number: int) -> tuple[str, Json]:
    if number % 2:
        return f"run/{number}", {"kind": "training-run", "schema": 1, "run": f"r{number}", "owner": "LabMSP"}
    version = {"model": f"m{number}", "number": 1, "owner": "LabMSP", "licence": "MIT"}
    return f"model/{number}", {"kind": "model-version", "schema": 1, **version}


def _fill(folder: Path, nodes: int, pairs: Pairs) -> int:
    """Apply the blocks in which all that was recorded, with progress, and answer the height."""
    writes = itertools.chain(map(_record, range(nodes)), map(_edge, pairs[:-1]))
    database = Database.open(folder / "readmodel.db", "readmodel", durable=False)
    try:
        model = ReadModelStore(database)
        with Console().status("a read model is made") as status:
            while batch := list(itertools.islice(writes, _BLOCK)):
                _apply(model, batch)
                status.update(f"a read model is made: {model.height() * _BLOCK:,} of {nodes + len(pairs):,} entries")
        _apply(model, [_edge(pairs[-1])])
        return model.height()
    finally:
        database.close()


def _edge(pair: tuple[int, int]) -> tuple[str, Json]:
    parent, child = pair
    edge = Edge(Ref(_name(parent)), Ref(_name(child)), Text("merged"))
    return key_of(edge), codec.to_plain(edge)


def _apply(model: ReadModelStore, batch: Sequence[tuple[str, Json]]) -> None:
    number = model.height()
    writes = tuple(LedgerWrite(key, value) for key, value in batch)
    done = LedgerTransaction(f"{number:064x}", 0, 0, "LabMSP", "2026-01-01T00:00:00Z", None, writes)
    model.apply(LedgerBlock(number, f"{number:064x}", f"{number - 1:064x}" if number else "", (done,)))


def _sqlite(pairs: Pairs) -> sqlite3.Connection:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE edge (parent INTEGER, child INTEGER, PRIMARY KEY (parent, child)) WITHOUT ROWID")
    database.executemany("INSERT INTO edge VALUES (?, ?)", pairs)
    return database


# --- The gateway --------------------------------------------------------------------------------------------------


@contextmanager
def _serving(folder: Path) -> Iterator[Callable[[str], Any]]:
    """A gateway of its own process; answers what is asked of `/v1/lineage/` over one kept connection."""
    program = [sys.executable, "-m", "bench.lineageserver", str(folder)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        try:
            if process.stdout is None or not (line := process.stdout.readline()):
                raise RuntimeError("the gateway did not start")
            started = json.loads(line)
            with closing(http.client.HTTPConnection("127.0.0.1", started["port"], timeout=120)) as connection:
                headers = {"Authorization": f"Bearer {started['key']}"}
                yield lambda path: _get(connection, f"/v1/lineage/{path}", headers)
        finally:
            process.terminate()
            process.wait(30)


def _get(connection: http.client.HTTPConnection, path: str, headers: dict[str, str]) -> Any:
    """The answer; while the gateway still reads its lineage, the next one."""
    while True:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        body = json.loads(answer.read())
        if answer.status == 200:
            return body
        if body.get("code") != "lineage-being-read":
            raise RuntimeError(f"{path}: {answer.status}: {body}")


# --- A diamond ----------------------------------------------------------------------------------------------------


class _Diamond:
    """As much of a read model as the lineage in memory reads: complete layers between two ends."""

    def __init__(self) -> None:
        rows = [[0], *([1 + row * _WIDE + each for each in range(_WIDE)] for row in range(_LAYERS))]
        rows.append([1 + _LAYERS * _WIDE])
        pairs = ((a, b) for above, below in pairwise(rows) for a in above for b in below)
        self.links_all = [Link(_name(a), _name(b), "merged", 0, place) for place, (a, b) in enumerate(pairs, 1)]
        self.nodes = rows[-1][0] + 1

    def height(self) -> int:
        return 1

    def genesis(self) -> str:
        return "00"

    def links(self, place: int, _block: int, limit: int) -> Links:
        some = self.links_all[place : place + limit]
        return Links(1, len(self.links_all), some, place + len(some) < len(self.links_all), ())


def _diamond(rounds: int) -> Iterator[Metric]:
    """The way through a diamond in which there are more paths than anything can follow one by one."""
    source: Any = _Diamond()
    edges = len(source.links_all)
    started = time.perf_counter()
    graph = LineageGraph(source, wait=600)
    graph.walk(_name(0), down=True, as_of=None, instant=0, depth=1, start=0, limit=1)
    read = (time.perf_counter() - started) * 1000
    taken = []
    for turn in range(rounds):
        started = time.perf_counter()
        page = graph.walk(_name(turn), down=True, as_of=None, instant=0, depth=None, start=0, limit=100)
        taken.append((time.perf_counter() - started) * 1000)
        if page.count != source.nodes - 1 - (_WIDE if turn else 0):
            raise RuntimeError(f"{page.count} artifacts of {source.nodes} were found")
    how = f"{source.nodes:,} artifacts and {edges:,} edges, in memory, without HTTP"
    yield Metric("lineage.diamond_ms", median(taken), "ms", f"everything below an artifact of a diamond; {how}")
    yield Metric("lineage.diamond_read_ms", read, "ms", f"reading its links; {how}")
