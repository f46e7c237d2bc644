# SPDX-License-Identifier: Apache-2.0
"""How many records a second come under one Merkle root, on one core."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence

from bench.measure import Metric, alternate, median, paired_ratio
from chaincode.domain import merkle

COUNT = 200_000


def measure(_kind: str, rounds: int, _seconds: float) -> Sequence[Metric]:
    """Salt, identifier, content and consent of every record to a leaf, and all leaves to one root."""
    identifiers = [b"record-%07d" % i for i in range(COUNT)]
    contents = [b"%d,17.99,10.38,122.8,1001.0,0.1184,0.2776,0.3001,0.1471,0.2419" % i for i in range(COUNT)]

    def ours() -> float:
        started = time.process_time()
        salts = os.urandom(16 * COUNT)
        tail = merkle.record_tail(2, 1)
        rows = zip(
            (salts[i : i + 16] for i in range(0, 16 * COUNT, 16)), identifiers, contents, [tail] * COUNT, strict=True
        )
        merkle.root_of_hashes(merkle.record_hashes(rows))
        return COUNT / (time.process_time() - started)

    def plain() -> float:
        started = time.process_time()
        for content in contents:
            hashlib.sha256(content).digest()
        return COUNT / (time.process_time() - started)

    mine, theirs = alternate(rounds, ours, plain)
    how = f"{COUNT:,} records of 64 bytes, four hashes each for the leaf and one for the tree, median of {rounds}"
    return [
        Metric("records.per_s", median(mine), "records/s", how, "one bare SHA-256 a record", paired_ratio(mine, theirs))
    ]
