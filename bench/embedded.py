# SPDX-License-Identifier: Apache-2.0
"""The embedded network: how soon it is ready, what it holds in memory, how many durable transactions it commits."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from bench.clients import Run, python, tps
from bench.ledgers import PYTHON_CHAINCODE, Ledger, running
from bench.measure import Metric, alternate, median, paired_ratio


def measure(kind: str, rounds: int, seconds: float) -> Sequence[Metric]:
    """Two-of-three endorsement, 200 in flight, durable; beside Fabric when `kind` is fabric."""
    starts = []
    for _ in range(rounds):
        with running("embedded") as ledger:
            starts.append(ledger.ready_s)
    metrics = [Metric("embedded.ready_s", median(starts), "s", f"first start with key material, × {rounds}")]
    with ExitStack() as stack:
        ours = stack.enter_context(running("embedded"))
        ours.deploy("bench", PYTHON_CHAINCODE)
        sides = [ours]
        if kind == "fabric":
            theirs = stack.enter_context(running("fabric"))
            theirs.deploy("bench", PYTHON_CHAINCODE)
            sides.append(theirs)
        results = alternate(rounds, *(lambda side=side: _timed(side, seconds) for side in sides))
        metrics.append(Metric("embedded.rss_mb", ours.memory_mb(), "MB", "the network's process after the runs below"))
    how = f"submit and wait, 200 in flight, 2-of-3 endorsement, {seconds:.0f} s × {rounds}, our unverifying client"
    mine = [tps(run) for run, _ in results[0]]
    metrics.append(Metric("embedded.tps", median(mine), "tx/s", how))
    metrics.append(
        Metric(
            "embedded.cpu_ms_per_tx",
            median([cpu for _, cpu in results[0]]),
            "ms CPU/tx",
            "network and three chaincodes, without the client; " + how,
        )
    )
    if kind == "fabric":
        other = [tps(run) for run, _ in results[1]]
        metrics.append(
            Metric(
                "embedded.tps_vs_fabric",
                median(mine),
                "tx/s",
                how,
                "Fabric 3.1.5, native processes",
                paired_ratio(mine, other),
            )
        )
        metrics.append(
            Metric(
                "fabric.cpu_ms_per_tx",
                median([cpu for _, cpu in results[1]]),
                "ms CPU/tx",
                "three peers, three orderers and three chaincodes, without the client; " + how,
            )
        )
    return metrics


def _timed(ledger: Ledger, seconds: float) -> tuple[Run, float]:
    before = ledger.cpu_seconds()
    run = python(ledger.options("bench", mode="submit", in_flight=200, seconds=seconds, verify=False))
    return run, (ledger.cpu_seconds() - before) * 1000 / run["transactions"]
