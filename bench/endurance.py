# SPDX-License-Identifier: Apache-2.0
"""Whether memory stays flat: what each program holds while a hundred thousand transactions go through one gateway."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence

from rich.console import Console

from bench.clients import node_is_ready
from bench.consortia import founded
from bench.measure import Metric
from bench.noderest import load, ours_of
from bench.processes import resident_bytes, with_children
from gateway.demo.consortium import Consortium
from gateway.demo.processes import Program

TRANSACTIONS = int(os.environ.get("PEDIGREE_TRANSACTIONS", "100000"))
STEPS = 10
_CLIENTS = 50
_SECONDS = 5.0
Held = dict[str, float]
"""Megabytes by program."""


def measure(kind: str, _rounds: int, _seconds: float) -> Sequence[Metric]:
    """Register models over REST and look after every tenth of them; the growth is that of the second half."""
    if not node_is_ready():
        return []
    console = Console()
    held: list[Held] = []
    with founded(kind) as consortium:
        for done, seen in _steps(consortium):
            held.append(seen)
            figures = ", ".join(f"{name} {size:.0f}" for name, size in seen.items())
            console.print(f"  {done:,.0f} transactions: {figures} MB")
    return [metric for name in held[0] for metric in _of(name, kind, [seen[name] for seen in held])]


def _steps(consortium: Consortium) -> Iterator[tuple[float, Held]]:
    with consortium.client("lab"):
        ours = ours_of(consortium)
    done = 0.0
    for step in range(1, STEPS + 1):
        while done < TRANSACTIONS * step / STEPS:
            done += load(ours, "submit", _CLIENTS, _SECONDS)["requests"]
        yield done, {program.name: _memory(program) for program in consortium.programs}


def _memory(program: Program) -> float:
    roots = {program.process.pid} if program.process is not None else set()
    return sum(resident_bytes(pid) for pid in with_children(roots)) / 2**20


def _of(name: str, kind: str, held: Sequence[float]) -> Iterator[Metric]:
    how = f"resident memory of {name} on {kind}, {TRANSACTIONS:,} models registered over the lab's gateway"
    yield Metric(f"endurance.{name}_mb", held[-1], "MB", f"{how}, at the end")
    growth = _slope(held[len(held) // 2 - 1 :]) * STEPS
    yield Metric(f"endurance.{name}_growth_mb", growth, "MB", f"{how}; growth over as many more, from the second half")


def _slope(values: Sequence[float]) -> float:
    """By how much the values grow from one to the next, as the median over all pairs (Theil and Sen)."""
    slopes = sorted((values[b] - values[a]) / (b - a) for a, b in itertools.combinations(range(len(values)), 2))
    return slopes[len(slopes) // 2]
