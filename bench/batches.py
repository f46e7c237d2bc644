# SPDX-License-Identifier: Apache-2.0
"""What batches add: 10,000 models registered by batches of 1,000, beside the same by single POSTs in the same run."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Sequence

from bench.consortia import founded, lab_headers
from bench.measure import Metric, alternate, median, paired_ratio
from bench.rest import Application, timed
from pedigree import Pedigree, Recorded

COMMANDS = 10_000
_counter = itertools.count()


def measure(kind: str, rounds: int, seconds: float) -> Sequence[Metric]:
    """Register models by batches and by single POSTs, in turn."""
    with founded(kind) as consortium:
        client = consortium.client("lab")
        rest = Application(consortium.ports["lab"].gateway, lab_headers(consortium))
        each = max(1_000, COMMANDS // rounds)
        batches, alone, together = alternate(
            rounds,
            lambda: _batched(client, each),
            lambda: timed(rest.register, 1, seconds),
            lambda: timed(rest.register, 50, seconds),
        )
        client.close()
    how = (
        f"{rounds} × {each} models registered on {kind} by batches of 1,000 from one caller, in turn with single POSTs"
    )
    return [
        Metric("rest.batch_tps", median(batches), "commands/s", how),
        Metric("rest.batch_speedup", median(batches), "commands/s", how, "single POSTs, one caller",
               paired_ratio(batches, alone)),
        Metric("rest.batch_speedup_vs_50", median(batches), "commands/s", how, "single POSTs, 50 callers",
               paired_ratio(batches, together)),
    ]  # fmt: skip


def _batched(client: Pedigree, count: int) -> float:
    """How many commands a second are recorded."""
    commands = [
        {
            "function": "model:register",
            "command": {"model": f"batched-{os.getpid()}-{next(_counter)}", "title": "Bench"},
        }
        for _ in range(count)
    ]
    started = time.monotonic()
    found = client.batch(commands)
    taken = time.monotonic() - started
    if failed := [each for each in found if not isinstance(each, Recorded)]:
        raise RuntimeError(f"{len(failed)} failed, such as {failed[0]}")
    return count / taken
