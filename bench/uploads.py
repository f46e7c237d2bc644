# SPDX-License-Identifier: Apache-2.0
"""What a gateway's memory grows by while a large file is committed, and while a copy of it is compared."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from bench.consortia import founded
from bench.measure import Metric
from bench.processes import forget_peak, peak_bytes, resident_bytes, with_children
from gateway.demo.founding import ORIGIN

ROWS = 1_000_000
_ROW = 100
_DATASET = "upload"


def measure(kind: str, _rounds: int, _seconds: float) -> Sequence[Metric]:
    """Commit and verify a million rows of 100 bytes with the SDK's defaults, against the gateway's own process."""
    with founded(kind) as consortium, tempfile.TemporaryDirectory(prefix="pedigree-bench-") as folder:
        file = Path(folder) / "rows.csv"
        _write(file)
        gateway = next(one.process for one in consortium.programs if one.name == "gateway-hospital")
        if gateway is None:
            raise RuntimeError("the hospital's gateway does not run")
        hospital = consortium.client("hospital")
        hospital.register_dataset(
            _DATASET, title="Upload", licence="CC0-1.0", origin=ORIGIN, sensitivity="personal", basis="public-task"
        )
        memory = _Memory(gateway.pid)
        committing, committed = memory.peak_of(lambda: hospital.commit_records(_DATASET, file, id_field="id").record)
        verifying, report = memory.peak_of(lambda: hospital.verify_dataset(_DATASET, committed["number"], file))
        hospital.close()
    if committed["size"] != ROWS or report["verified"] is not True:
        raise RuntimeError(f"{committed['size']} of {ROWS} rows were committed; verified: {report['verified']}")
    how = f"{ROWS:,} rows of {_ROW} bytes over REST on {kind}; the gateway's peak above what it had before the commit"
    return [
        Metric("records.upload_peak_mb", committing, "MB", f"commit of {how}"),
        Metric("records.verify_peak_mb", verifying, "MB", f"comparison of a copy: {how}"),
    ]


def _write(file: Path) -> None:
    with file.open("w", encoding="ascii", newline="") as sink:
        sink.write("id,age,site,note\n")
        for number in range(ROWS):
            row = f"{number:07d},{number % 90},berlin,"
            sink.write(row + "x" * (_ROW - 1 - len(row)) + "\n")


T = TypeVar("T")


class _Memory:
    """Memory of the processes below one, together, above what they have when this is made."""

    def __init__(self, root: int) -> None:
        self._processes = with_children({root})
        self._idle = sum(resident_bytes(pid) for pid in self._processes)

    def peak_of(self, work: Callable[[], T]) -> tuple[float, T]:
        """The most while `work` ran, in MB (10^6 bytes), and what it returned."""
        for pid in self._processes:
            forget_peak(pid)
        found = work()
        return (sum(peak_bytes(pid) for pid in self._processes) - self._idle) / 1e6, found
