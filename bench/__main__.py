# SPDX-License-Identifier: Apache-2.0
"""`make bench`: measure, and write build/bench.json.

Every comparison runs its sides in turn within one run on one ledger, five rounds by default, and quotes medians and the
median of the paired ratios: absolute figures of a shared machine do not travel.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table

from bench import (
    access,
    batches,
    callers,
    clients,
    consent,
    embedded,
    endurance,
    finding,
    intake,
    lineage,
    log,
    models,
    noderest,
    receipts,
    records,
    rest,
    sealing,
    uploads,
)
from bench.measure import Metric, record

SUITES: dict[str, Callable[[str, int, float], Sequence[Metric]]] = {
    "records": records.measure,
    "models": models.measure,
    "receipts": receipts.measure,
    "sealing": sealing.measure,
    "embedded": embedded.measure,
    "client": clients.measure_client,
    "shim": clients.measure_shim,
    "rest": rest.measure,
    "batches": batches.measure,
    "callers": callers.measure,
    "access": access.measure,
    "finding": finding.measure,
    "node-rest": noderest.measure,
    "uploads": uploads.measure,
    "consent": consent.measure,
    "intake": intake.measure,
    "lineage": lineage.measure,
    "log": log.measure,
    "endurance": endurance.measure,
}
BY_NAME_ONLY = ("batches", "uploads", "intake", "consent", "lineage", "endurance")
"""Take minutes, and a quarter of an hour and more."""


def fabric_present() -> bool:
    """Whether Fabric's binaries are where the network tooling looks for them."""
    folder = Path(os.environ.get("FABRIC_BIN", "/opt/fabric/bin"))
    return (folder / "peer").exists() and (folder / "orderer").exists()


def main() -> None:
    """Run the suites that were asked for and show what they found."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--ledger", choices=("embedded", "fabric"), default="embedded")
    parser.add_argument("--only", choices=sorted(SUITES), action="append", help="run this suite only; may be repeated")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="length of one timed run")
    parser.add_argument("--rows", type=int, default=intake.ROWS, help="rows of the files of the suite intake")
    parser.add_argument("--nodes", type=int, default=lineage.NODES, help="artifacts in the suite lineage")
    parser.add_argument(
        "--subjects", type=int, default=consent.SUBJECTS, help="subjects in the map of the suite consent"
    )
    options = parser.parse_args()
    console = Console()
    if options.ledger == "fabric" and not fabric_present():
        parser.error("no Fabric binaries in FABRIC_BIN or /opt/fabric/bin")
    if shutil.which("node") is None:
        console.print("[bold]NOT MEASURED: everything beside the Node client and runtime (no node on this machine)[/]")
    suites: dict[str, Callable[[str, int, float], Sequence[Metric]]] = {
        **SUITES,
        "intake": partial(intake.measure, rows=options.rows),
        "lineage": partial(lineage.measure, nodes=options.nodes),
        "consent": partial(consent.measure, subjects=options.subjects),
    }
    found: list[Metric] = []
    for name in options.only or [suite for suite in SUITES if suite not in BY_NAME_ONLY]:
        console.print(f"[bold]{name}[/] on {options.ledger} …")
        measured = suites[name](options.ledger, options.rounds, options.seconds)
        record(measured)
        found += measured
    table = Table(Column("metric", no_wrap=True), "value", "unit", "ratio", "beside")
    for metric in found:
        ratio = "" if metric.ratio is None else f"{metric.ratio:.2f}"
        table.add_row(metric.name, f"{metric.value:,.2f}", metric.unit, ratio, metric.vs or "")
    console.print(table)


main()
