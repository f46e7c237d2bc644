# SPDX-License-Identifier: Apache-2.0
"""What was observed after each fault, kept for `docs/operations.md`: `build/faults.json` and `build/faults.md`."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Outcome:
    """One fault. Times are in seconds."""

    fault: str
    lasted: float
    """From the fault to the moment when nothing held the node back any more."""
    first_commit: float
    """From the fault until anybody was told of a commit of something that he sent after it."""
    own_first_commit: float
    """From the end of the fault until every organisation's gateway had acknowledged something sent after that."""
    longest_silence: float
    """The longest time in which nobody was told of a commit."""
    acknowledged: int
    clients_saw: dict[str, int]
    invariant: str


@dataclass
class Table:
    """Written again after each fault, so that an interrupted run leaves what it saw."""

    folder: Path
    outcomes: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self.folder.mkdir(exist_ok=True)
        rows = [asdict(one) for one in self.outcomes]
        (self.folder / "faults.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
        (self.folder / "faults.md").write_text(self.markdown(), encoding="utf-8")

    def markdown(self) -> str:
        columns = ("fault", "lasted", "next commit anywhere", "at every gateway after its end", "longest silence")
        columns += ("clients saw", "afterwards")
        head = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
        return "\n".join([*head, *map(_row, self.outcomes)]) + "\n"


def _row(one: Outcome) -> str:
    saw = ", ".join(f"{count} × {answer}" for answer, count in Counter(one.clients_saw).most_common())
    return (
        f"| {one.fault} | {one.lasted:.1f} s | {one.first_commit:.1f} s | {one.own_first_commit:.1f} s "
        f"| {one.longest_silence:.1f} s | {saw} | {one.invariant} |"
    )
