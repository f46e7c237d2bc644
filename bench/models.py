# SPDX-License-Identifier: Apache-2.0
"""What the digests of a model's files cost: all of them beside hashlib, and after one file of a hundred changed."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.measure import Metric, alternate, median, paired_ratio
from pedigree.files import hash_files
from pedigree.remembering import Remembered

_FILES = 100
_EACH = 8 << 20
_SETTLED = 2.5
"""Seconds after which what was written counts as written before."""


class _Taken(NamedTuple):
    """Seconds of one run."""

    elapsed: float
    processor: float


def measure(_kind: str, rounds: int, _seconds: float) -> Sequence[Metric]:
    """Hash a hundred files as a version of a model is recorded, and as somebody would with hashlib, in turn."""
    with tempfile.TemporaryDirectory(prefix="pedigree-bench-") as name:
        folder, cache = Path(name) / "model", Path(name) / "cache"
        folder.mkdir()
        for number in range(_FILES):
            _write(folder, number)
        ours, theirs = alternate(rounds, lambda: _taken(lambda: _all(folder)), lambda: _taken(lambda: _plainly(folder)))
        again = []
        for number in range(rounds):
            time.sleep(_SETTLED)
            Remembered(folder, cache).keep(hash_files(folder))
            _write(folder, number)
            again.append(_taken(lambda: _changed(folder, cache)))
    of = f"{_FILES} files of {_EACH >> 20} MiB in the page cache, median of {rounds}"
    speed = paired_ratio([each.processor for each in theirs], [each.processor for each in ours])
    elapsed = paired_ratio([each.elapsed for each in theirs], [each.elapsed for each in ours])
    share = paired_ratio([each.elapsed for each in again], [each.elapsed for each in ours])
    work = paired_ratio([each.processor for each in again], [each.processor for each in ours])
    return [
        Metric(
            "model.hash_vs_hashlib", elapsed, "times",
            f"how many times faster, elapsed on {os.cpu_count()} cores ({speed:.2f} in processor time); {of}",
            "hashlib.file_digest of each file", elapsed,
        ),
        Metric("model.hash_gb_per_s", _FILES * _EACH / 1e9 / median([each.elapsed for each in ours]), "GB/s", of),
        Metric(
            "model.rerecord_percent", 100 * share, "%",
            f"digests after one file changed, beside those of all on {os.cpu_count()} cores; elapsed "
            f"({100 * work:.2f} in processor time); {of}", "the digests of all files", share,
        ),
    ]  # fmt: skip


def _write(folder: Path, number: int) -> None:
    (folder / f"shard-{number:03d}.bin").write_bytes(os.urandom(_EACH))


def _all(folder: Path) -> None:
    hash_files(folder)


def _changed(folder: Path, cache: Path) -> None:
    remembered = Remembered(folder, cache)
    hashed = hash_files(folder, known=remembered.recall())
    if sum(not each.was_known for each in hashed) != 1:
        raise RuntimeError("another number of files than the one that changed was read")
    remembered.keep(hashed)


def _plainly(folder: Path) -> None:
    for file in sorted(folder.iterdir()):
        with file.open("rb") as content:
            hashlib.file_digest(content, "sha256")


def _taken(work: Callable[[], None]) -> _Taken:
    elapsed, processor = time.perf_counter(), time.process_time()
    work()
    return _Taken(time.perf_counter() - elapsed, time.process_time() - processor)
