# SPDX-License-Identifier: Apache-2.0
"""What the transparency log costs: appending to it, and the time from a commit to a receipt that all witnesses sign."""

from __future__ import annotations

import hashlib
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from bench.consortia import founded
from bench.measure import Metric, median
from gateway.services.ports import LedgerBlock, LedgerTransaction
from gateway.stores.database import Database
from gateway.stores.logtree import LogTree, append
from gateway.stores.readmodel import ReadModelStore
from gateway.tlog import notes
from gateway.tlog.proofs import TlogProof

_LEAVES = 100_000
_OF_A_BLOCK = 100
_RECEIPTS = 10


def measure(kind: str, rounds: int, _seconds: float) -> Sequence[Metric]:
    """Append in bulk on one core, and have receipts made on an idle consortium."""
    ready = _ready(kind, rounds * _RECEIPTS)
    return [
        Metric(
            "log.append_per_s", median([_append() for _ in range(rounds)]), "leaves/s",
            f"{_LEAVES:,} leaves in blocks of {_OF_A_BLOCK}, hashed and written to the log's tables; CPU time",
        ),
        Metric(
            "log.read_model_per_s", median([_apply() for _ in range(rounds)]), "leaves/s",
            f"blocks of {_OF_A_BLOCK} empty transactions through the whole of the read model, log included; CPU time",
        ),
        Metric(
            "receipt.ready_ms", median(ready), "ms",
            "from the answer of a recording to a receipt with both other gateways' cosignatures, three organisations "
            f"on one machine, {kind}; median of {len(ready)}",
        ),
    ]  # fmt: skip


def _leaves(count: int) -> list[bytes]:
    return [hashlib.sha512(number.to_bytes(8)).digest() for number in range(count)]


def _append() -> float:
    leaves = _leaves(_LEAVES)
    with tempfile.TemporaryDirectory() as folder:
        database = Database.open(Path(folder) / "readmodel.db", "readmodel", durable=False)
        began, size = time.process_time(), 0
        for at in range(0, _LEAVES, _OF_A_BLOCK):
            some = leaves[at : at + _OF_A_BLOCK]
            size = database.write(partial(_append_to, size=size, entries=some))
        spent = time.process_time() - began
        database.close()
    return size / spent


def _append_to(connection: sqlite3.Connection, size: int, entries: Sequence[bytes]) -> int:
    return append(connection, size, entries)


def _apply() -> float:
    leaves = _leaves(_LEAVES // 10)
    with tempfile.TemporaryDirectory() as folder:
        database = Database.open(Path(folder) / "readmodel.db", "readmodel", durable=False)
        model, began = ReadModelStore(database), time.process_time()
        for number, at in enumerate(range(0, len(leaves), _OF_A_BLOCK)):
            transactions = [
                LedgerTransaction(leaf[:32].hex(), index, 0, "LabMSP", "2026-01-01T00:00:00Z", None, (), leaf=leaf)
                for index, leaf in enumerate(leaves[at : at + _OF_A_BLOCK])
            ]
            previous = str(number - 1) if number else ""
            model.apply(LedgerBlock(number, str(number), previous, tuple(transactions)))
        spent = time.process_time() - began
        size = LogTree(database).size()
        database.close()
    return size / spent


def _ready(kind: str, count: int) -> list[float]:
    """Milliseconds to each receipt; between them the consortium rests."""
    spent: list[float] = []
    with founded(kind) as consortium, consortium.client("lab") as lab:
        for number in range(count):
            done = lab.register_model(f"receipt-{number}", title="T")
            began = time.perf_counter()
            content = lab.receipt(done.transaction_id)
            spent.append(1000 * (time.perf_counter() - began))
            names = {each.name for each in notes.parse(TlogProof.parse(content).checkpoint).signatures}
            if len(names) != 4:  # the log, and three cosigners
                raise RuntimeError(f"a receipt lacks cosignatures: {sorted(names)}")
            time.sleep(0.5)
    return spent
