# SPDX-License-Identifier: Apache-2.0
"""Criteria: what a model has to reach in an evaluation, said before the training that the evaluation judges.

An organisation registers criteria once: metrics with their thresholds, and the data that they are measured on. An
evaluation that names criteria is pre-registered: it is recorded only where every run that made the model version
started after the criteria had been registered, and where it was made on their very data; `domain.judging` says of
each criterion whether it is met. Fields follow in-toto's proposal of an eval-result predicate (in-toto/attestation,
pull request 575): metric, comparator, threshold.

By which times: that of criteria is their transaction's, which every endorsing organisation compares with its own clock;
a run's start is the word of the organisation that ran it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from chaincode.domain.errors import (
    AlreadyExists,
    InvalidField,
    ParentMissing,
)
from chaincode.domain.exactdecimal import ExactDecimal
from chaincode.domain.float64 import Float64
from chaincode.domain.lineage import Edge
from chaincode.domain.model import Model
from chaincode.domain.provenance import DatasetVersion
from chaincode.domain.selection import Selection, version_of
from chaincode.domain.taint import MOST_MARKS, Taint
from chaincode.domain.values import (
    Command,
    Count,
    Digest,
    Event,
    Instant,
    Name,
    OrgId,
    Outcome,
    Record,
    Ref,
    Text,
    criteria_ref,
    model_ref,
    refuse_repeats,
)

MOST_CRITERIA: Final = 64
"""How many criteria are registered together at most."""


class Comparator(StrEnum):
    """How a measurement has to compare with a threshold."""

    AT_LEAST = ">="
    ABOVE = ">"
    AT_MOST = "<="
    BELOW = "<"
    EQUAL = "=="


class EvaluationVerdict(StrEnum):
    """What judging by a criterion, or by all of them, comes to."""

    PASSED = "pass"
    FAILED = "fail"


@dataclass(frozen=True, slots=True)
class Criterion:
    """What one metric has to reach, such as ``auc >= 0.95``."""

    metric: Text
    comparator: Comparator
    threshold: ExactDecimal


@dataclass(frozen=True, slots=True)
class RegisterCriteria(Command):
    """Say what evaluations on some data have to reach, before the training that they judge."""

    criteria: Name
    title: Text
    version: Ref
    """The data set version that is measured on."""
    all_of: tuple[Criterion, ...] = field(metadata={"max": MOST_CRITERIA})
    """An evaluation passes where it meets all of these."""
    selection: Ref | None = None
    """The selection from that version, where not the whole of it is measured on."""
    model: Name | None = None
    """The model whose versions are judged; None for those of any model."""
    note: Text | None = None


@dataclass(frozen=True, slots=True)
class Criteria(Record):
    """Criteria of evaluations; never rewritten."""

    criteria: Name
    owner: OrgId
    """The organisation that set them."""
    registered_at: Instant
    title: Text
    version: Ref
    root: Digest
    """Of the data that is measured on: of the selection, where one is named."""
    size: Count
    """How many records that data has: the sample size."""
    all_of: tuple[Criterion, ...] = field(metadata={"max": MOST_CRITERIA})
    selection: Ref | None
    model: Name | None
    note: Text | None
    tainted_by: tuple[Taint, ...] | None = field(default=None, metadata={"max": MOST_MARKS})
    """What above it was stopped when it was recorded, the nearest first; None: nothing."""


@dataclass(frozen=True, slots=True)
class CriteriaRegistered(Event):
    """Criteria of evaluations were registered."""

    criteria: Name
    owner: OrgId


@dataclass(frozen=True, slots=True)
class Judged:
    """A criterion, what was measured, and whether it is met."""

    metric: Text
    comparator: Comparator
    threshold: ExactDecimal
    value: Float64
    verdict: EvaluationVerdict


# --- Rules ------------------------------------------------------------------------------------------------------


def register_criteria(
    command: RegisterCriteria,
    *,
    by: OrgId,
    at: Instant,
    existing: Criteria | None,
    cited: Mapping[Ref, Record],
) -> Outcome:
    """Register criteria of `by`; `cited` holds the data and the model where they exist."""
    reference = criteria_ref(command.criteria)
    if existing is not None:
        raise AlreadyExists(reference)
    data = _data_of(command, reference, cited)
    if command.model is not None and not isinstance(cited.get(model_ref(command.model)), Model):
        raise ParentMissing(reference, model_ref(command.model))
    if not command.all_of:
        raise InvalidField("/all_of", "there must be at least one criterion")
    refuse_repeats("/all_of", (f"{each.metric} {each.comparator}" for each in command.all_of))
    criteria = Criteria(
        criteria=command.criteria,
        owner=by,
        registered_at=at,
        title=command.title,
        version=command.version,
        root=data.root,
        size=data.size,
        all_of=command.all_of,
        selection=command.selection,
        model=command.model,
        note=command.note,
    )
    return Outcome(writes=(criteria, *parents_of_criteria(criteria)), event=CriteriaRegistered(command.criteria, by))


def cited_by_criteria(command: RegisterCriteria) -> tuple[Ref, ...]:
    """What criteria cite: the data that is measured on, and the model that is judged."""
    model = None if command.model is None else model_ref(command.model)
    return tuple(filter(None, (command.version, command.selection, model)))


def parents_of_criteria(criteria: Criteria) -> tuple[Edge, ...]:
    """The edges to the data that is measured on."""
    reference = criteria_ref(criteria.criteria)
    data = filter(None, (criteria.version, criteria.selection))
    return tuple(Edge(source, reference, Text("named")) for source in data)


def _data_of(command: RegisterCriteria, reference: Ref, cited: Mapping[Ref, Record]) -> DatasetVersion | Selection:
    version = cited.get(command.version)
    if not isinstance(version, DatasetVersion):
        raise ParentMissing(reference, command.version)
    if command.selection is None:
        return version
    selection = cited.get(command.selection)
    if not isinstance(selection, Selection):
        raise ParentMissing(reference, command.selection)
    if version_of(command.selection) != command.version:
        raise InvalidField("/selection", f"it is not a selection from '{command.version}'")
    return selection
