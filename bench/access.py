# SPDX-License-Identifier: Apache-2.0
"""What an attempt to use data costs over a bare submit: the decision, its record, and the gateway before it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from bench.consortia import founded
from bench.measure import Metric, median
from bench.rest import bare_contract, bare_submit, in_turn
from gateway.demo.founding import ORIGIN

_RESEARCH = "https://w3id.org/dpv#ScientificResearch"
_DATA, _GRANT = "bench-access", "bench-grant"
_HOUR = 3_600_000


def measure(kind: str, rounds: int, seconds: float) -> Sequence[Metric]:
    """Attempt to use data under a grant, and submit with the bare client, in turn."""
    with founded(kind) as consortium:
        hospital, lab = consortium.client("hospital"), consortium.client("lab")
        hospital.register_dataset(_DATA, title="T", licence="CC-BY-4.0", origin=ORIGIN, sensitivity="internal")
        hospital.commit_records(_DATA, b"id,age\np1,61\n", id_field="id")
        terms: Any = {"artifact": f"dataset-version:{_DATA}:1", "purpose": _RESEARCH}
        expires = time.time_ns() // 1_000_000 + _HOUR
        given = hospital.grant_access(_GRANT, grantee="LabMSP", actions=["process"], expires=expires, **terms)
        lab.at_least(given.height)
        contract = bare_contract(consortium.network())

        def attempt() -> None:
            if lab.attempt_access(_GRANT, action="process", **terms).record["decision"] != "allowed":
                raise RuntimeError("an attempt under the grant was denied")

        ours, bare = in_turn([attempt, lambda: bare_submit(contract)], 3 * rounds * seconds)
        hospital.close()
        lab.close()
    how = f"on {kind}, one caller, {len(bare)} times each, call by call in turn; over pedigree and REST"
    added = median([a - b for a, b in zip(ours, bare, strict=True)])
    return [
        Metric("access.added_p50_ms", added, "ms",
               f"attempt to use data under a grant, decided and committed, {how}; median of the differences to a model "
               "registered with the bare Gateway client"),
    ]  # fmt: skip
