# SPDX-License-Identifier: Apache-2.0
"""Taint: what follows for an artifact from something stopped that it was made from.

Before an artifact is submitted, endorsed or moved on, and when something is recorded, the law looks at everything it
was made from, level by level and nearest first. What it finds it refuses where the policy says so, and otherwise
marks. Since the state of every ancestor is read by its key, a quarantine that is ordered first makes what was decided
without it invalid.

A transaction looks at `MOST_ANCESTORS` ancestors. Where there are more, nobody knows what the others are; so that is
refused like a taint, wherever a taint would be, and marked as `Cause.UNSEEN`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from chaincode.domain.endorsement import Endorse
from chaincode.domain.errors import AncestryTooLarge, Tainted
from chaincode.domain.lifecycle import Advance
from chaincode.domain.lineage import LONGEST_PATH, MOST_ANCESTORS
from chaincode.domain.policy import Stage, Step, TaintRules
from chaincode.domain.submission import Submit
from chaincode.domain.values import Command, Ref

MOST_MARKS: Final = 16
"""How many ancestors a record names that taint it: the nearest."""


class Cause(StrEnum):
    """Why an ancestor taints what was made from it."""

    QUARANTINED = "quarantined"
    WITHDRAWN = "withdrawn"
    """The consent to it was withdrawn."""
    UNSEEN = "not-looked-at"
    """It lies beyond the bound of what a transaction looks at."""


@dataclass(frozen=True, slots=True)
class Taint:
    """An ancestor that taints, and the way to it."""

    cause: Cause
    path: tuple[Ref, ...] = field(metadata={"max": LONGEST_PATH})
    """From what is tainted up to that ancestor; of a longer path the beginning and, last, that ancestor."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the ledger holds of an ancestor."""

    parents: tuple[Ref, ...]
    """What it was made from, in the order of its edges."""
    cause: Cause | None


Look = Callable[[Sequence[Ref]], Sequence[Seen]]
"""What the ledger holds of several ancestors, in their order."""

_UNDOING: Final = frozenset({Stage.DEPRECATED, Stage.RETIRED})
"""Stages that take an artifact out of use, which no taint should prevent."""


def step_of(command: Command) -> tuple[Step, Ref] | None:
    """The step at which a command may be refused for the ancestors of this artifact; None for all other commands."""
    if isinstance(command, Submit):
        return Step.SUBMIT, command.artifact
    if isinstance(command, Endorse) and command.stage not in _UNDOING:
        return Step.ENDORSE, command.artifact
    if isinstance(command, Advance) and command.to not in _UNDOING:
        return Step.ADVANCE, command.artifact
    return None


def look_up(of: Ref, parents: Iterable[Ref], look: Look, *, most: int = MOST_ANCESTORS) -> tuple[Taint, ...]:
    """What taints that which was made from `parents`: the nearest first, at most `MOST_MARKS`.

    Looks at `most` ancestors, one call of `look` for each level.
    """
    below: dict[Ref, Ref] = {}
    found: list[Taint] = []
    waiting = [(parent, of) for parent in parents]
    while waiting and len(found) < MOST_MARKS:
        level: list[Ref] = []
        left_out: Taint | None = None
        for here, child in waiting:
            if here in below:
                continue
            if len(below) == most:
                left_out = Taint(Cause.UNSEEN, _path(here, child, below))
                break
            below[here] = child
            level.append(here)
        waiting = []
        for here, seen in zip(level, look(level) if level else (), strict=True):
            if seen.cause is not None:
                found.append(Taint(seen.cause, _path(here, below[here], below)))
            waiting += ((parent, here) for parent in seen.parents)
        if left_out is not None:
            return (*found[: MOST_MARKS - 1], left_out)
    return tuple(found[:MOST_MARKS])


def _path(ancestor: Ref, child: Ref, below: dict[Ref, Ref]) -> tuple[Ref, ...]:
    path = [ancestor, child]
    while path[-1] in below:
        path.append(below[path[-1]])
    path.reverse()
    return tuple(path) if len(path) <= LONGEST_PATH else (*path[: LONGEST_PATH - 1], ancestor)


def is_refused(step: Step, cause: Cause, rules: TaintRules) -> bool:
    """Whether the policy refuses a step for an ancestor; for one that was not looked at, as for the worst."""
    if cause is Cause.QUARANTINED:
        return step in rules.quarantined
    if cause is Cause.WITHDRAWN:
        return step in rules.withdrawn
    return step in rules.quarantined or step in rules.withdrawn


def refuse_tainted(step: Step, of: Ref, found: Iterable[Taint], rules: TaintRules) -> None:
    """Refuse a step for the nearest ancestor for which the policy refuses it; the refusal names the path."""
    for taint in found:
        if not is_refused(step, taint.cause, rules):
            continue
        if taint.cause is Cause.UNSEEN:
            raise AncestryTooLarge(of, step, MOST_ANCESTORS, taint.path)
        raise Tainted(of, step, taint.path[-1], taint.cause, taint.path)
