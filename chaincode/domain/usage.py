# SPDX-License-Identifier: Apache-2.0
"""What training runs and evaluations share: the data that went in, and the measurements that came out."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from chaincode.domain.errors import RepeatedEntry
from chaincode.domain.float64 import Float64
from chaincode.domain.values import Count, Digest, Ref, Text

MOST_METRICS: Final = 10_000
"""How many metrics a run or an evaluation has at most, each step of each counted."""


class InputRole(StrEnum):
    """What a run used a data set version for."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


class Found(StrEnum):
    """What comparing the copy that was read with the ledger came to."""

    VERIFIED = "verified"
    UNVERIFIED = "unverified"
    """Nothing was compared: the root is the one that was asked for."""
    DIFFERS = "differs"
    """The copy has another root, and was used all the same."""


@dataclass(frozen=True, slots=True)
class RunInput:
    """A data set version that a run used, or a selection from it, and the root that the trainer found in its copy."""

    version: Ref
    root: Digest
    """Of the selection, where one is named. It is the recorded one unless `found` is `DIFFERS`."""
    role: InputRole = InputRole.TRAIN
    selection: Ref | None = None
    """The selection from the version whose records were used; None where that was the whole version."""
    found: Found | None = None
    """None where it is not said: then the root is checked as if it had been compared."""
    grant: Ref | None = None
    """The grant under which another organisation's data was had; `covering` says where one is needed."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A named measurement, and at which step of the run it was taken; without a step, it speaks of the whole."""

    name: Text
    value: Float64
    step: Count | None = None


# --- Rules ------------------------------------------------------------------------------------------------------


def refuse_measuring_twice(metrics: tuple[Metric, ...]) -> None:
    """A name has one value at each step, and one for the whole."""
    seen: set[tuple[Text, Count | None]] = set()
    for metric in metrics:
        if (metric.name, metric.step) in seen:
            at = "" if metric.step is None else f" at step {metric.step}"
            raise RepeatedEntry("/metrics", metric.name + at)
        seen.add((metric.name, metric.step))
