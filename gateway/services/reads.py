# SPDX-License-Identifier: Apache-2.0
"""Many small reads under one attempt: each is decided by the data gateway, and kept before it is answered.

Where a grant is batched, an attempt that the ledger allowed opens a reading of up to `SESSION` seconds, within the
grant's own time. Every read in it is decided anew, by the rule by which the chaincode decides attempts, on what this
gateway's read model has of the ledger at that moment. What was decided is on disk before a byte is sent; `anchoring`
commits to it.
"""

import threading
from collections import Counter
from typing import Any, Final, cast

from chaincode.domain import codec
from chaincode.domain.access import data_of
from chaincode.domain.attempting import AccessAttempt, AccessDecision, AttemptAccess, Condition, objection
from chaincode.domain.grants import AccessGrant, Reason
from chaincode.domain.lifecycle import ArtifactStage, standing_at
from chaincode.domain.policy import Stage
from chaincode.domain.reads import AccessRead, ReadPart
from chaincode.domain.values import Count, Instant, Ref
from gateway.services.catalogue import Catalogue
from gateway.services.deliverylog import Asked
from gateway.services.ports import Clock, Entry, Json
from gateway.services.readlog import ReadLog
from gateway.services.undelivered import AttemptStale, ReadDenied, ReadingEnded

SESSION: Final = 3_600.0
"""Seconds for which an attempt under a batched grant is read on, at most."""
MOST_DENIED: Final = 100
"""How many denied reads under one attempt are kept by this process; a reader that goes on adds nothing to the list."""
_ATTEMPTS: Final = 4_096
"""Attempts of which it is known how many reads were denied."""


class Reads:
    """Decides and keeps them."""

    def __init__(self, catalogue: Catalogue, log: ReadLog, clock: Clock) -> None:
        self._catalogue = catalogue
        self._log = log
        self._clock = clock
        self._denied: Counter[str] = Counter()
        self._lock = threading.Lock()

    def decide(self, asked: Asked, part: ReadPart, start: int, stop: int) -> bool:
        """Decide a read under an attempt, and keep it; False, and nothing done, where its grant is not batched.

        Raises `ReadDenied`, when the denial is kept, and, when nothing is, `AttemptStale` after the hour of a reading
        and `ReadingEnded` after so many denials.
        """
        attempt = self._catalogue.find("access-attempt", attempt=asked.attempt)
        grant = None if attempt is None else self._catalogue.find("access-grant", grant=attempt.value["grant"])
        if attempt is None or grant is None or not is_batched(grant):
            return False
        made = cast("AccessAttempt", _record(attempt.value))
        at = Instant(int(self._clock() * 1_000))
        if at > made.at + SESSION * 1_000:
            raise AttemptStale(f"the time to read on under the attempt {asked.attempt} is over; make another one")
        command = AttemptAccess(made.grant, made.artifact, made.action, made.purpose, made.recipient)
        terms = cast("AccessGrant", _record(grant.value))
        reason = objection(command, made.by, at, terms, self.condition(made.artifact))
        if reason is not None:
            self._count_denial(asked.attempt)
        self._log.keep(codec.to_json(_read(made, at, part, start, stop, reason)), made.grant)
        if reason is not None:
            raise ReadDenied(
                f"the read is denied, and kept as denied: {reason}", reason=str(reason), grant=str(made.grant)
            )
        return True

    def _count_denial(self, attempt: str) -> None:
        with self._lock:
            if len(self._denied) >= _ATTEMPTS:
                self._denied.clear()
            if self._denied[attempt] >= MOST_DENIED:
                raise ReadingEnded(f"{MOST_DENIED} reads under the attempt {attempt} were denied, and no more are kept")
            self._denied[attempt] += 1

    def condition(self, artifact: Ref) -> Condition:
        """What there is of the data beside the grant, as the chaincode looks at it."""
        standing = self._catalogue.find("artifact-stage", artifact=data_of(artifact))
        now = Instant(int(self._clock() * 1_000))
        stage = None if standing is None else standing_at(cast("ArtifactStage", _record(standing.value)), now).stage
        mark = self._catalogue.find("selection-mark", selection=artifact)
        return Condition(quarantined=stage is Stage.QUARANTINED, withdrawn=mark is not None)


def is_batched(grant: Entry) -> bool:
    """Whether reads under a grant have no transaction each."""
    return grant.value.get("batched") is True


def until_of(attempt: Json, grant: Entry) -> float:
    """When the last read under an attempt may begin, in seconds since 1970."""
    return min(int(attempt["at"]) / 1_000 + SESSION, int(grant.value["expires"]) / 1_000)


def _read(made: AccessAttempt, at: Instant, part: ReadPart, start: int, stop: int, reason: Reason | None) -> AccessRead:
    decision = AccessDecision.ALLOWED if reason is None else AccessDecision.DENIED
    return AccessRead(
        attempt=made.attempt,
        grant=made.grant,
        by=made.by,
        at=at,
        artifact=made.artifact,
        action=made.action,
        purpose=made.purpose,
        part=part,
        start=Count(start),
        stop=Count(stop),
        decision=decision,
        reason=reason,
    )


def _record(value: Json) -> Any:
    return codec.from_plain(value)
