# SPDX-License-Identifier: Apache-2.0
"""What the lineage in memory is asked and answers, and what it is read from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, Self

from chaincode.domain.taint import Cause


class Link(NamedTuple):
    """`child` was made from `parent`, replaces it or is a version of it, since a block."""

    parent: str
    child: str
    relation: str
    block: int
    place: int
    """Where the entry that says so stands among all, in the order of the ledger."""


class Standing(NamedTuple):
    """An artifact's stage, since a block."""

    artifact: str
    stage: str
    block: int
    lapses_at: int | None = None
    """When a quarantine ends by itself, in milliseconds since 1970."""
    stopped_at: str | None = None
    """The stage at which an artifact was that is quarantined."""

    @classmethod
    def read(cls, record: Mapping[str, Any], block: int) -> Self:
        """What a record of the kind `artifact-stage` says that was written in a block."""
        return cls(
            str(record.get("artifact")),
            str(record.get("stage")),
            block,
            record.get("lapses_at"),
            record.get("quarantined_from"),
        )

    def at(self, instant: int) -> str:
        """The stage at a time, as `chaincode.domain.lifecycle.standing_at` decides it."""
        if self.lapses_at is None or instant < self.lapses_at:
            return self.stage
        return self.stopped_at or self.stage


class Mark(NamedTuple):
    """The consent to a selection was withdrawn, since a block."""

    selection: str
    block: int


class Links(NamedTuple):
    """A piece of the lineage as it is on the ledger, read at one moment."""

    height: int
    places: int
    links: Sequence[Link]
    more: bool
    """Whether links follow these; `standings` and `marks` are then left out."""
    standings: Sequence[Standing]
    marks: Sequence[Mark] = ()


class Walked(NamedTuple):
    """An artifact that a walk came to."""

    reference: str
    distance: int
    stage: str | None
    """As of the height and the time; `None` for what was not submitted by then."""
    stopped: Cause | None
    """Why it was itself stopped then."""
    review_path: tuple[str, ...]
    """Up to the nearest ancestor that was stopped then; empty where there is none."""
    review_cause: Cause | None
    """Why that ancestor was stopped."""


@dataclass(frozen=True, slots=True)
class Linked:
    """A piece of what a walk came to."""

    height: int
    as_of: int
    items: tuple[Walked, ...]
    count: int
    """All that the walk came to."""
    depth: int
    """The distance of the farthest of all."""
    kinds: Mapping[str, int]
    """How many of all are of each kind of reference."""


class LineageGraph(Protocol):
    """The lineage in memory: what is walked over as a whole.

    Answers have all that the read model had when they were asked for. Safe for threads. Raises `Unavailable` while it
    is being read and takes longer than a question may wait.
    """

    def walk(
        self, of: str, *, down: bool, as_of: int | None, instant: int, depth: int | None, start: int, limit: int
    ) -> Linked:
        """What was made from an artifact (or what it was made from), nearest first, from the `start`-th on.

        Stages are those of the height `as_of`, but for quarantines that had lapsed at `instant`, in milliseconds since
        1970.
        """
        ...
