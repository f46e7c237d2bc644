# SPDX-License-Identifier: Apache-2.0
"""The guard that keeps a client's claim of the time close to the truth.

The transaction timestamp is the client's. A process refuses to execute a transaction whose timestamp is too
far from its own clock; a refusal changes no result, so what organisations endorse stays deterministic.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from chaincode.shim.router import FAILED, refuse
from chaincode.shim.stub import Response


@dataclass(frozen=True, slots=True)
class ClockGuard:
    """Refuses timestamps that are more than `window` seconds from `clock`."""

    window: float = 120.0
    clock: Callable[[], float] = time.time

    def check(self, claimed: float) -> Response | None:
        """The refusal (code `clock-skew`) of a time in seconds since 1970, or `None` when it is close enough."""
        skew = claimed - self.clock()
        if abs(skew) <= self.window:
            return None
        facts = {"skew_seconds": math.trunc(skew), "window_seconds": math.trunc(self.window)}
        return refuse(FAILED, "clock-skew", "the timestamp is too far from this organisation's clock", facts)
