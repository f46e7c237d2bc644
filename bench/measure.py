# SPDX-License-Identifier: Apache-2.0
"""Figures and how they are written down: medians, ratios against a peer of the same run, and how each was got."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

OUTPUT = Path("build/bench.json")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure; `vs` and `ratio` are absent where it is not compared with anything."""

    name: str
    value: float
    unit: str
    how: str
    vs: str | None = None
    ratio: float | None = None

    def entry(self) -> dict[str, Any]:
        """The figure as build/bench.json holds it."""
        ratio = None if self.ratio is None else round(self.ratio, 3)
        return {"value": round(self.value, 3), "unit": self.unit, "vs": self.vs, "ratio": ratio, "how": self.how}


def median(values: Sequence[float]) -> float:
    """The middle value; figures of a shared machine are quoted by it."""
    return statistics.median(values)


def alternate(rounds: int, *runs: Callable[[], R]) -> list[list[R]]:
    """Run each of `runs` once a round, in turn, so that a drift of the machine meets all of them alike."""
    results: list[list[R]] = [[] for _ in runs]
    for _ in range(rounds):
        for index, run in enumerate(runs):
            results[index].append(run())
    return results


def paired_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the ratios, pair by pair."""
    return median([a / b for a, b in zip(ours, theirs, strict=True)])


def record(metrics: Sequence[Metric]) -> None:
    """Merge figures into build/bench.json; a figure of an earlier run under another name stays."""
    OUTPUT.parent.mkdir(exist_ok=True)
    known: dict[str, Any] = json.loads(OUTPUT.read_text(encoding="utf-8")) if OUTPUT.exists() else {}
    known.update({metric.name: metric.entry() for metric in metrics})
    OUTPUT.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n", encoding="utf-8")
