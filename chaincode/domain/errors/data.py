# SPDX-License-Identifier: Apache-2.0
"""Refusals about data sets, records and training runs."""

from dataclasses import dataclass

from chaincode.domain.errors.base import Conflict, Malformed, Unmet


@dataclass
class RootWithoutSize(Malformed):
    """A Merkle root commits to nothing definite without the size of its tree."""

    code = "root-without-size"
    sentence = "A version needs the size of its tree (at least one record) beside the root."


@dataclass
class ParentRootDiffers(Conflict):
    """The version says that it follows a root that is not the last one."""

    code = "parent-root-differs"
    sentence = "Version {number} of '{reference}' follows the root {expected}, not {given}."
    reference: str
    number: int
    expected: str
    given: str


@dataclass
class ConsistencyProofFails(Unmet):
    """The version is said to extend the last one, and the proof does not show it."""

    code = "consistency-proof-fails"
    sentence = "The consistency proof for version {number} of '{reference}' fails: {reason}."
    reference: str
    number: int
    reason: str


@dataclass
class InclusionProofFails(Unmet):
    """A record is said to be under a root, and the proof does not show it."""

    code = "inclusion-proof-fails"
    sentence = "The record is not proven to be under this root: {reason}."
    reason: str


@dataclass
class RecordIdRepeated(Unmet):
    """A record id stands twice in one version."""

    code = "record-id-repeated"
    sentence = "The record id at position {index} is already at position {first}."
    index: int
    first: int


@dataclass
class SelectionOutOfRange(Unmet):
    """A split selects records that its parent does not have."""

    code = "selection-out-of-range"
    sentence = "The selection from '{parent}' reaches beyond its {size} records."
    parent: str
    size: int


@dataclass
class RunEndsBeforeItStarts(Unmet):
    """A training run that finished before it began."""

    code = "run-ends-before-it-starts"
    sentence = "The run started at {started} and is said to have finished at {finished} (milliseconds since 1970)."
    started: int
    finished: int


@dataclass
class DatedInTheFuture(Unmet):
    """Something is said to have happened after the transaction that reports it."""

    code = "dated-in-the-future"
    sentence = "'{pointer}' is dated {given}, later than the transaction at {at} (milliseconds since 1970)."
    pointer: str
    given: int
    at: int


@dataclass
class RunWithoutInput(Unmet):
    """A training run that used neither data nor a parent model."""

    code = "run-without-input"
    sentence = "The run '{reference}' names no data set version and no parent model."
    reference: str
