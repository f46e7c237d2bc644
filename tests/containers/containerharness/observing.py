# SPDX-License-Identifier: Apache-2.0
"""One fault from beginning to end: a load that runs, the harm, the recovery, and the judgement by the blocks."""

from __future__ import annotations

import time
from collections.abc import Callable

from containerharness.chains import Chains
from containerharness.consortium import ORGANISATIONS, Consortium
from containerharness.load import Load
from containerharness.outcomes import Outcome


def observed(
    fault: str, harm: Callable[[], None], consortium: Consortium, load: Load, chains: Chains, *, within: float
) -> Outcome:
    """Do harm while the load runs, and judge; every gateway must acknowledge again `within` seconds of the harm's end.

    `harm` returns when nothing holds the node back any more.
    """
    load.wait(ORGANISATIONS, 0.0, within)
    began = time.monotonic()
    harm()
    ended = time.monotonic()
    recovered = max(load.wait(ORGANISATIONS, ended, within).values())
    load.stop()
    consortium.wait_until_healthy()
    chains.read_on()
    chains.judge(load)
    return Outcome(
        fault=fault,
        lasted=round(ended - began, 2),
        first_commit=round(min(load.first_after(began).values()) - began, 2),
        own_first_commit=round(recovered - ended, 2),
        longest_silence=round(load.longest_silence(began, recovered), 2),
        acknowledged=len(load.told),
        clients_saw=dict(load.answers(began)),
        invariant=f"{len(load.told)} acknowledged, each once on every peer",
    )
