# SPDX-License-Identifier: Apache-2.0
"""What training runs and evaluations share: the data that went in, and the measurements that came out."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from chaincode.domain.errors import ArtifactAltered, ParentMissing, RepeatedEntry
from chaincode.domain.float64 import Float64
from chaincode.domain.provenance import DatasetVersion
from chaincode.domain.values import Count, Digest, Record, Ref, Text

MOST_METRICS: Final = 10_000
"""How many metrics a run or an evaluation has at most, each step of each counted."""


class InputRole(StrEnum):
    """What a run used a data set version for."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class RunInput:
    """A data set version that a run used, and the root that the trainer found in its copy."""

    version: Ref
    root: Digest
    role: InputRole = InputRole.TRAIN


@dataclass(frozen=True, slots=True)
class Metric:
    """A named measurement, and at which step of the run it was taken; without a step, it speaks of the whole."""

    name: Text
    value: Float64
    step: Count | None = None


# --- Rules ------------------------------------------------------------------------------------------------------


def check_input(used: RunInput, reference: Ref, cited: Mapping[Ref, Record]) -> None:
    """Refuse data that are not on the ledger, or not with the root that was found in the copy."""
    version = cited.get(used.version)
    if not isinstance(version, DatasetVersion):
        raise ParentMissing(reference, used.version)
    if version.root != used.root:
        raise ArtifactAltered(used.version, str(version.root), str(used.root))


def refuse_measuring_twice(metrics: tuple[Metric, ...]) -> None:
    """A name has one value at each step, and one for the whole."""
    seen: set[tuple[Text, Count | None]] = set()
    for metric in metrics:
        if (metric.name, metric.step) in seen:
            at = "" if metric.step is None else f" at step {metric.step}"
            raise RepeatedEntry("/metrics", metric.name + at)
        seen.add((metric.name, metric.step))
