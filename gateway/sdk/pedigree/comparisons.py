# SPDX-License-Identifier: Apache-2.0
"""What this client says of comparisons that it makes itself; a gateway's is in `documents`."""

from collections.abc import Mapping, Sequence
from typing import Literal, NotRequired, TypedDict


class ModelComparison(TypedDict):
    """What `verify_model` answers: the paths of the files that differ."""

    model: str
    number: int
    verified: bool
    changed: Sequence[str]
    added: Sequence[str]
    removed: Sequence[str]


class CopyComparison(TypedDict):
    """What `verify_copy` answers: how a copy differs from a version, by the ids of the records."""

    dataset: str
    number: int
    root: str
    """The version's, as the ledger has it."""
    size: int
    verified: bool
    columns: Sequence[str]
    """How the columns differ, a sentence each."""
    changed: Sequence[str]
    added: Sequence[str]
    removed: Sequence[str]
    moved: Sequence[str]
    outside: NotRequired[Sequence[str]]
    """Beside a selection: records of the version that the copy has, and the selection does not."""
    selection: NotRequired[str]
    """The selection that the copy was compared with."""
    selection_root: NotRequired[str]
    """That of the selection; the copy's, where it agrees."""
    remark: NotRequired[str]
    """What could not be named, and why."""
    counts: NotRequired[Mapping[str, int]]
    """How many differ in each way, where not all are named."""
    copy_root: NotRequired[str]
    """The root over the records of the copy, in its order; it is `root` where they are the committed ones."""
    unreadable: NotRequired[str]
    """Why the records could not be compared under other columns."""


class RunComparison(TypedDict):
    """What `verify_run` answers."""

    run: str
    verified: bool
    changed: Sequence[str]
    """Files that have another digest than the record says."""
    added: Sequence[str]
    """Files that the record does not name."""
    removed: Sequence[str]
    """Files that the record names and that are not there."""


class CheckedFile(TypedDict):
    """What `check_card` says of a file that a card lists, or that is in a set which it lists."""

    name: str
    """As the card identifies it."""
    file: str | None
    found: Literal["same", "differs", "unproven", "missing"]
    reason: str
    """Empty where it is the same."""


class CardComparison(TypedDict):
    """What `check_card` answers."""

    card: str
    """SHA-256 of the card in hex."""
    verified: bool
    """Whether every file is proven to be the one on the card, and has the columns that are read from it."""
    files: Sequence[CheckedFile]
    added: Sequence[str]
    """Files that are not on the card."""
    columns: Sequence[str]
    """A sentence for every column that a record set reads and that its file does not have."""
    remarks: Sequence[str]
    """What was not compared, and what the card contradicts itself in."""
