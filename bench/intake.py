# SPDX-License-Identifier: Apache-2.0
"""CSV and Parquet into the record store, beside the loop that a Python programmer writes, and a proof after a restart.

Ours is `Drafts` over real stores on the disk: everything between an upload and its transaction. It runs in a process
of its own, whose memory and processor time are counted together with those of the processes that it starts.

The loop is what one writes for the same leaves and the same lookups by id, and is not slowed down: one file of SQLite,
one transaction, which is as durable as ours when it returns. It holds all leaves in memory, seals nothing, keeps no
tree for proofs, and says of a repeated id only that there is one. Both make four hashes of a row: of its id, its
content, its leaf, and a node above. `hashlib` makes one of a short text in 0.3 to 0.5 µs of the processor, most of it
the overhead of the call, so that 1.7 µs a row is what nobody gets below; ours adds about 2.5 µs. They are shared by
three processes, so that elapsed time gains only where there is a second core.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import random
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from bench.measure import Metric, alternate, median, paired_ratio
from bench.processes import forget_peak, peak_bytes, resident_bytes
from gateway.sealing.datakeys import KeyEncryptionKeys
from gateway.services.drafting import Drafts, Upload
from gateway.services.parquet import PARQUET
from gateway.services.progress import Progress
from gateway.services.tables import CSV
from gateway.services.trees import Trees
from gateway.stores.consent import ConsentStore
from gateway.stores.database import Database
from gateway.stores.records import RecordStore
from gateway.stores.recordseals import RecordSeals

ROWS = 1_000_000
_PROOFS = 200
_NAMES = ("id", "age", "sex", "site", "systolic", "diastolic", "cholesterol", "note")


class Spent(NamedTuple):
    """What one run took: elapsed and processor seconds, and how far memory rose above an idle process (MB of 10^6)."""

    elapsed: float
    processor: float
    peak_mb: float = 0.0


def measure(_kind: str, rounds: int, _seconds: float, *, rows: int = ROWS) -> Sequence[Metric]:
    """Commit a CSV and a Parquet file of so many rows, both ways in turn, and prove records of it."""
    with tempfile.TemporaryDirectory(prefix="pedigree-bench-") as name:
        folder = Path(name)
        table, columns = folder / "rows.csv", folder / "rows.parquet"
        _write(table, columns, rows)
        stores: list[Path] = []

        def ours(file: Path, media_type: str) -> Callable[[], Spent]:
            def run() -> Spent:
                stores.append(Path(tempfile.mkdtemp(dir=folder)))
                return Spent(**_child("commit", file, media_type, stores[-1]))

            return run

        def theirs(file: Path, read: Callable[[Path], Iterator[dict[str, Any]]]) -> Callable[[], Spent]:
            return lambda: _spent(lambda: _naive(read(file), Path(tempfile.mkdtemp(dir=folder)) / "naive.db"))

        runs = alternate(
            rounds,
            ours(table, CSV),
            theirs(table, _csv_rows),
            lambda: _spent(lambda: _digest(table)),
            ours(columns, PARQUET),
            theirs(columns, _parquet_rows),
        )
        proofs = _child("prove", stores[0])
        each = table.stat().st_size // rows
    return _metrics(rows, rounds, runs, proofs, each)


def _metrics(rows: int, rounds: int, runs: list[list[Spent]], proofs: Any, each_bytes: int) -> list[Metric]:
    ours, naive, digest, ours_parquet, naive_parquet = runs
    of = f"{rows:,} rows of {len(_NAMES)} columns and about {each_bytes} bytes, median of {rounds}"

    def ratio(slow: list[Spent], fast: list[Spent]) -> tuple[float, float]:
        return (
            paired_ratio([each.elapsed for each in slow], [each.elapsed for each in fast]),
            paired_ratio([each.processor for each in slow], [each.processor for each in fast]),
        )

    found = []
    for name, mine, other, beside in (
        ("records.csv_vs_naive", ours, naive, "csv.DictReader, json.dumps, the same hashes, an INSERT a row"),
        (
            "records.parquet_vs_naive",
            ours_parquet,
            naive_parquet,
            "to_pylist, json.dumps, the same hashes, an INSERT a row",
        ),
    ):
        elapsed, processor = ratio(other, mine)
        per_s = rows / median([each.elapsed for each in mine])
        how = f"how many times faster, elapsed ({processor:.2f} in processor time); {per_s:,.0f} rows/s; {of}"
        found.append(Metric(name, elapsed, "times", how, beside, elapsed))
    elapsed, processor = ratio(ours, digest)
    how = f"how many times longer than one hash over the same file, elapsed ({processor:.1f} in processor time); {of}"
    found.append(Metric("records.csv_vs_file_digest", elapsed, "times", how, "hashlib.file_digest", elapsed))
    peak = max(each.peak_mb for each in (*ours, *ours_parquet))
    how = f"the most above an idle process, of CSV and Parquet, with the decoder's; {of}"
    found.append(Metric("records.peak_mb", peak, "MB", how))
    how = f"one proof of {_PROOFS} in a new process: the record, its path, and the check; median; {rows:,} records"
    found.append(Metric("records.proof_ms", proofs["median_ms"], "ms", f"{how}; slowest {proofs['most_ms']:.2f} ms"))
    return found


# --- Files ----------------------------------------------------------------------------------------------------------


def _row(number: int) -> tuple[str, int, str, str, int, int, float, str]:
    chance = (number * 2_654_435_761) % 4_294_967_296
    return (
        f"r{number:07d}", chance % 90, "fm"[chance & 1], ("berlin", "köln", "jena")[chance % 3],
        90 + chance % 80, 50 + chance % 50, 3 + chance % 500 / 100, f"seen by {chance:010d}; no finding",
    )  # fmt: skip


def _write(table: Path, columns: Path, rows: int) -> None:
    with table.open("w", encoding="utf-8", newline="") as sink:
        writer = csv.writer(sink, lineterminator="\n")
        writer.writerow(_NAMES)
        writer.writerows(map(_row, range(rows)))
    batch = 100_000
    with closing(pq.ParquetWriter(columns, _table(0, 1).schema)) as parquet:
        for start in range(0, rows, batch):
            parquet.write_table(_table(start, min(rows, start + batch)))


def _table(start: int, end: int) -> Any:
    return pa.table(dict(zip(_NAMES, map(list, zip(*map(_row, range(start, end)), strict=True)), strict=True)))


# --- The loop that one writes for the same leaves -------------------------------------------------------------------


def _csv_rows(file: Path) -> Iterator[dict[str, Any]]:
    with file.open(encoding="utf-8", newline="") as source:
        yield from csv.DictReader(source)


def _parquet_rows(file: Path) -> Iterator[dict[str, Any]]:
    with closing(pq.ParquetFile(file)) as source:
        for batch in source.iter_batches():
            yield from batch.to_pylist()


def _naive(rows: Iterator[dict[str, Any]], database: Path) -> bytes:
    leaves = []
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE record (id TEXT PRIMARY KEY, salt BLOB, content TEXT, leaf BLOB)")
        for row in rows:
            salt, content = os.urandom(16), json.dumps(row, sort_keys=True)
            identifier = hashlib.sha256(salt + b"\x00" + row["id"].encode()).digest()
            leaf = b"\x01" + salt + identifier + hashlib.sha256(salt + b"\x01" + content.encode()).digest() + bytes(9)
            connection.execute("INSERT INTO record VALUES (?, ?, ?, ?)", (row["id"], salt, content, leaf))
            leaves.append(leaf)
        connection.commit()
    return _root(leaves)


def _root(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, as it is written there."""
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + _root(leaves[:half]) + _root(leaves[half:])).digest()


def _digest(file: Path) -> bytes:
    with file.open("rb") as source:
        return hashlib.file_digest(source, "sha256").digest()


def _spent(work: Callable[[], object]) -> Spent:
    elapsed, processor = time.perf_counter(), time.process_time()
    work()
    return Spent(time.perf_counter() - elapsed, time.process_time() - processor)


# --- A process of its own -------------------------------------------------------------------------------------------


def _child(*arguments: object) -> Any:
    command = [sys.executable, "-m", "bench.intake", *map(str, arguments)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _opened(folder: Path) -> tuple[RecordStore, Trees, ConsentStore]:
    database = Database.open(folder / "records.db", "records", durable=True)
    store = RecordStore(database, RecordSeals(database, lambda: KeyEncryptionKeys([bytes(32)])))
    return store, Trees(store), ConsentStore(Database.open(folder / "consent.db", "consent", durable=True))


def _commit(file: Path, media_type: str, folder: Path) -> dict[str, float]:
    store, trees, maps = _opened(folder)
    drafts = Drafts(store, trees, maps, time.time)
    forget_peak(os.getpid())
    idle = resident_bytes(os.getpid())
    elapsed, processor = time.perf_counter(), _processor()
    with file.open("rb") as content:
        drafts.draft("bench", Upload(content, media_type, "id"), None, Progress())
    elapsed, processor = time.perf_counter() - elapsed, _processor() - processor
    # Of the decoder; where none was started nothing.
    started = 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {
        "elapsed": elapsed,
        "processor": processor,
        "peak_mb": (peak_bytes(os.getpid()) - idle + started) / 1e6,
    }


def _processor() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _prove(folder: Path) -> dict[str, float]:
    store, trees, _ = _opened(folder)
    (held,) = store.sets()
    taken = []
    for number in random.Random(1).sample(range(held.size), min(_PROOFS, held.size)):
        began = time.perf_counter()
        found = store.find(held.root, _row(number)[0])
        if found is None or found[0] != number:
            raise RuntimeError(f"record {number} is not where it was put")
        trees.inclusion(held, *found)
        taken.append(time.perf_counter() - began)
    return {"median_ms": median(taken) * 1e3, "most_ms": max(taken) * 1e3}


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["commit", file, media_type, folder]:
            print(json.dumps(_commit(Path(file), media_type, Path(folder))))
        case ["prove", folder]:
            print(json.dumps(_prove(Path(folder))))
