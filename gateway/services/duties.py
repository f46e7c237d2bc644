# SPDX-License-Identifier: Apache-2.0
"""What this organisation is to be reminded of now, and when time alone will add to it.

Three things: an artifact awaits its word; an approval is about to lose the first of its endorsements; an approval has
lost its quorum. The last two are of artifacts that are its own, that it has endorsed or that await its word.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from chaincode.domain.lifecycle import ArtifactStage
from chaincode.domain.policy import Policy, Stage
from gateway.services.artifacts import Artifacts
from gateway.services.awaiting import OPEN, RESTS, Judged
from gateway.services.catalogue import Catalogue
from gateway.services.ports import Clock, Entry
from gateway.services.statements import read_document

MOST: Final = 20_000
"""Artifacts that one round looks at; those after them are passed over, and nothing is said to be over."""
_AT_ONCE: Final = 200
_LOOKED_AT: Final = tuple(sorted(stage.value for stage in OPEN | RESTS))


class ReminderKind(StrEnum):
    """What a reminder is of."""

    AWAITS = "awaits-endorsement"
    EXPIRES = "approval-expires"
    LOST = "quorum-lost"


@dataclass(frozen=True, slots=True)
class Due:
    """One thing to be reminded of; it is the same as long as all of this is."""

    kind: ReminderKind
    artifact: str
    stage: str
    """That the word is awaited for, or that the approval is of."""
    owner: str
    ends_at: int | None
    """When the first endorsement that counts ends, milliseconds since 1970; None where none does."""


@dataclass(frozen=True, slots=True)
class Duties:
    """All that is due."""

    due: tuple[Due, ...]
    whole: bool
    """Whether every artifact was looked at."""
    following: int | None
    """When something else falls due by time alone, milliseconds since 1970."""


class DutyFinder:
    """Finds them on what the read model has."""

    def __init__(self, artifacts: Artifacts, catalogue: Catalogue, organisation: str, clock: Clock) -> None:
        """Assign.

        Args:
            organisation: MSP id of the one that is reminded.
        """
        self._artifacts = artifacts
        self._catalogue = catalogue
        self._organisation = organisation
        self._clock = clock
        self._soon = artifacts.soon * 1_000

    def find(self) -> Duties:
        """What is due now."""
        now, due, times = int(self._clock() * 1_000), list[Due](), list[int]()
        policy = self._policy()
        for looked_at, entry in enumerate(self._entries()):
            if looked_at == MOST:
                return Duties(tuple(due), whole=False, following=min(times, default=None))
            judged = self._artifacts.judged(entry.value, policy)
            due += self._of(judged, now)
            times += (at for at in self._times(entry.value, judged) if at > now)
        return Duties(tuple(due), whole=True, following=min(times, default=None))

    def _of(self, judged: Judged, now: int) -> Iterator[Due]:
        standing, ends = judged.standing, None if judged.ends is None else int(judged.ends)
        if judged.status is not None:
            yield self._due(ReminderKind.AWAITS, standing, str(judged.status["for_stage"]), None)
        ending = ends is not None and ends <= now + self._soon
        if (judged.lost or ending) and self._concerns(judged):
            kind = ReminderKind.LOST if judged.lost else ReminderKind.EXPIRES
            yield self._due(kind, standing, Stage.APPROVED.value, None if judged.lost else ends)

    def _times(self, value: Mapping[str, object], judged: Judged) -> Iterator[int]:
        """When an artifact will be judged otherwise although nothing is written."""
        if judged.ends is not None:
            yield from (int(judged.ends) - self._soon, int(judged.ends))
        lapses = value.get("lapses_at")
        if isinstance(lapses, int):
            yield lapses

    def _concerns(self, judged: Judged) -> bool:
        standing = judged.standing
        if judged.status is not None or standing.owner == self._organisation:
            return True
        given = self._catalogue.all("endorsement", artifact=standing.artifact, stage=Stage.APPROVED.value)
        return any(each["record"]["by"] == self._organisation for each in given)

    def _due(self, kind: ReminderKind, standing: ArtifactStage, stage: str, ends: int | None) -> Due:
        return Due(kind, str(standing.artifact), stage, str(standing.owner), ends)

    def _entries(self) -> Iterator[Entry]:
        cursor: str | None = None
        while True:
            found, cursor = self._catalogue.some("artifact-stage", {"stage": _LOOKED_AT}, cursor=cursor, limit=_AT_ONCE)
            yield from found
            if cursor is None:
                return

    def _policy(self) -> Policy | None:
        found = self._catalogue.find("policy")
        return None if found is None else read_document(Policy, found.value)
