# SPDX-License-Identifier: Apache-2.0
"""Batches: many commands in as few transactions as can be, each with its own outcome.

A batch is a submission like any other: its commands and their tokens are on disk before anything is ordered, its key
names it, and it is brought to its end whatever dies in between. Its commands go to the ledger in groups of as many as
fit into one transaction, one group after the other, since a command may build on those before it. Each group is a
submission of its own, whose key follows from the batch's and from its place in it. A group that fails for something
that may be of one command alone, such as a record that others change all the time, is tried again in halves: the rest
is recorded, and that command has its own failure.

Every record that a batch writes is guarded by the organisation that records it, or by nobody; so one set of endorsers
will do for all commands of a transaction.
"""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from typing import Any, Final

from chaincode.domain import batch, codec
from chaincode.domain.batch import OUTCOMES
from chaincode.domain.canonical import encode
from chaincode.domain.errors import AlreadyRecorded, LedgerError, rebuild
from chaincode.domain.values import Digest
from gateway.services.attempts import Attempts
from gateway.services.dispositions import FAILURES
from gateway.services.endings import failed
from gateway.services.halting import Halted
from gateway.services.limits import Limits
from gateway.services.ports import (
    Category,
    Clock,
    Ending,
    EndorsementMismatch,
    EndorsementRefused,
    Failed,
    Json,
    LedgerMisuse,
    NothingOrdered,
    PortError,
    Recorded,
    Submission,
    Submissions,
    TimedOut,
    TooLarge,
)
from gateway.services.recording import Recorder, command_from
from gateway.services.secret import Secret
from gateway.services.submitter import Answer, Intent, Submitter

_LOG = logging.getLogger(__name__)
MOST: Final = batch.MOST
"""Commands in one request."""
WHOLE: Final = "batches"
"""The function of a submission that stands for a whole batch; the chaincode has none of that name."""
_LARGEST_GROUP: Final = 512 * 1024
"""Bytes of the commands of one transaction, which has several times as many: what is asked, answered and written."""
_OF_A_GROUP: Final = 2
"""How many transactions of a group may end in the same way before it is tried in halves."""
_OF_A_COMMAND: Final = 5
_OF_ONE: Final = (EndorsementMismatch, EndorsementRefused, LedgerMisuse, TimedOut, TooLarge)
"""Failures before ordering that one command may have caused."""
_CODES_OF_ONE: Final = frozenset({"too-large", *(each.code for each in (*FAILURES, *_OF_ONE))})


@dataclass(frozen=True, slots=True)
class Asked:
    """One command of a batch, as it was asked for."""

    function: str
    fields: Json
    key: str | None = None
    """Its own idempotency key, by which it is recorded once whatever batch it is in, or alone."""
    refused: Failed | None = None
    """Why it goes no further than here."""


class Batches:
    """Has batches recorded."""

    def __init__(self, submitter: Submitter, recorder: Recorder, secret: Secret) -> None:
        self._submitter = submitter
        self._recorder = recorder
        self._secret = secret

    def record(self, intent: Intent, asked: Sequence[Asked]) -> Answer:
        """Record commands, each exactly once; raises as `Submitter.submit` does.

        What is wrong with one of them is its own outcome.
        """

        def build() -> str:
            items = [self._item(intent, at, each) for at, each in enumerate(asked)]
            return json.dumps({"items": items}, ensure_ascii=False, separators=(",", ":"))

        return self._submitter.submit(intent, WHOLE, build)

    def _item(self, intent: Intent, at: int, asked: Asked) -> Json:
        if asked.refused is not None:
            return {"function": asked.function, "failed": asdict(asked.refused)}
        try:
            body = self._recorder.worded(asked.function, asked.fields)
            command = codec.to_plain(command_from(asked.function, body))
        except (LedgerError, PortError) as refusal:
            return {"function": asked.function, "failed": asdict(failed(refusal))}
        # A space is in no key of a client: without a key of its own, a command is named by its place in the batch.
        token = self._secret.token_of(intent.client, asked.key or f"{intent.key} {at}")
        return {"function": asked.function, "token": token, "command": command}


class _Pending(Exception):
    """The outcome of a group must be awaited."""


@dataclass(slots=True)
class _Work:
    """One round of work on a batch."""

    submission: Submission
    items: Sequence[Json]
    """Those that go to the ledger."""
    deadline: float
    overdue: bool
    ordered: bool = False
    """Whether anything of it may be on the ledger."""


class BatchAttempts:
    """Drives submissions that stand for batches; any other one goes to `Attempts`. Thread-safe."""

    def __init__(
        self,
        attempts: Attempts,
        submissions: Submissions,
        *,
        secret: Secret,
        clock: Clock,
        limits: Limits,
        on_failure: Callable[[Submission, Failed], None] = lambda *_: None,
    ) -> None:
        """Assign.

        Args:
            on_failure: called for each command of a batch that failed, with a submission that names its function.
        """
        self._attempts = attempts
        self._submissions = submissions
        self._secret = secret
        self._clock = clock
        self._limits = limits
        self._on_failure = on_failure

    def drive(self, submission: Submission, deadline: float, *, unsent: bool = False) -> Ending | Submission:
        """As `Attempts.drive`; a batch is recorded when every command of it has its outcome."""
        if submission.function != WHOLE:
            return self._attempts.drive(submission, deadline, unsent=unsent)
        items = json.loads(submission.command)["items"]
        asked = [each for each in items if "command" in each]
        overdue = self._clock() - submission.created >= self._limits.accepted_for
        # From here on a restart finds what is to be done; what was done is found by the keys of the groups.
        self._submissions.save(submission)
        work = _Work(submission, asked, deadline, overdue)
        try:
            found = iter([ending for low, high in _groups(asked) for ending in self._part(work, low, high)])
        except _Pending:
            return submission
        except Halted as halt:
            if work.ordered:
                _LOG.warning("batch %s is still open: %s", submission.id, halt.cause.message)
                return submission
            # Nothing was ordered, so the key is not used up, whatever the cause.
            self._attempts.conclude(submission, replace(failed(halt.cause), retryable=True))
            raise Halted(submission, halt.cause) from halt
        endings = [next(found) if "command" in each else Failed(**_read(each["failed"])) for each in items]
        for item, ending in zip(items, endings, strict=True):
            if isinstance(ending, Failed):
                self._on_failure(replace(submission, function=item["function"]), ending)
        height = max((ending.height for ending in endings if isinstance(ending, Recorded)), default=0)
        return self._attempts.conclude(submission, Recorded({OUTCOMES: [_plain(each) for each in endings]}, height))

    def may_go_on(self, stored: Submission, ending: Ending) -> bool:
        """As `Attempts.may_go_on`."""
        return self._attempts.may_go_on(stored, ending)

    def abandon(self, submission: Submission) -> Failed:
        """As `Attempts.abandon`."""
        return self._attempts.abandon(submission)

    def give_up(self, submission: Submission, error: PortError | LedgerError) -> Failed:
        """As `Attempts.give_up`."""
        return self._attempts.give_up(submission, error)

    def _part(self, work: _Work, low: int, high: int) -> list[Ending]:
        """How the commands from `low` to before `high` end; raises `_Pending` and `Halted`."""
        group = self._group(work, low, high)
        ending = group.ending or self._driven(work, group, high - low)
        if isinstance(ending, Recorded):
            work.ordered = True
            transaction = ending.body["transaction"]
            return self._each(work, low, ending.body[OUTCOMES], transaction, ending.height)
        refused = ending.facts.get(OUTCOMES)
        if refused is not None:  # nothing was recorded, and so nothing ordered
            return self._each(work, low, refused, {}, 0)
        if high - low == 1 or ending.code not in _CODES_OF_ONE:
            return [ending] * (high - low)
        work.ordered = True  # a transaction of the group may be on the ledger, though an invalid one
        middle = (low + high) // 2
        return [*self._part(work, low, middle), *self._part(work, middle, high)]

    def _group(self, work: _Work, low: int, high: int) -> Submission:
        whole = work.submission
        key = f"{whole.key} {low}-{high}"
        stored = self._submissions.find(whole.client, key)
        if stored is not None:
            work.ordered = work.ordered or stored.attempt > 1 or stored.state != "accepted"
            return stored
        entries = (batch.Entry(Digest.parse(each["token"]), each["command"]) for each in work.items[low:high])
        return Submission(
            id=self._secret.submission_id(whole.client, key),
            client=whole.client,
            key=key,
            request_hash=whole.request_hash,
            function=batch.FUNCTION,
            command=batch.document_of(entries).decode(),
            state="accepted",
            attempt=1,
            created=whole.created,
            organisations=whole.organisations,
        )

    def _driven(self, work: _Work, group: Submission, size: int) -> Ending:
        try:
            ended = self._attempts.drive(group, work.deadline, most=_OF_A_GROUP if size > 1 else _OF_A_COMMAND)
        except Halted as halt:
            return self._halted(work, halt, size)
        if isinstance(ended, Submission):
            work.ordered = True
            raise _Pending
        return ended

    def _halted(self, work: _Work, halt: Halted, size: int) -> Failed:
        """How a group ends of whose attempt nothing was ordered; raises `Halted` where it is to be tried again."""
        cause, group = halt.cause, halt.submission
        if work.overdue or (size > 1 and isinstance(cause, _OF_ONE)) or (size == 1 and not cause.transient):
            return self._attempts.give_up(group, cause)
        if work.ordered and not cause.transient:
            return self._attempts.give_up(group, cause)
        if group.state == "accepted" and group.attempt > 1:
            self._submissions.save(replace(group, envelope=None))  # the ids of so many attempts are used up
        raise halt

    def _each(self, work: _Work, low: int, outcomes: list[Json], transaction: Json, height: int) -> list[Ending]:
        found: list[Ending] = []
        for item, outcome in zip(work.items[low : low + len(outcomes)], outcomes, strict=True):
            if "record" in outcome:
                body = {"record": outcome["record"], "event": outcome["event"], "transaction": transaction}
                found.append(Recorded(body, height))
            else:
                found.append(self._refused(work, item, outcome["refusal"]))
        return found

    def _refused(self, work: _Work, item: Json, refusal: Json) -> Ending:
        code, facts = str(refusal["code"]), refusal["facts"]
        if code == AlreadyRecorded.code:
            command = sha256(encode(item["command"])).hexdigest()
            try:
                return self._attempts.first_answer(str(facts["transaction"]), item["token"], command)
            except LedgerMisuse as exc:
                return failed(exc)
            except NothingOrdered:
                work.ordered = True
                raise _Pending from None
        try:
            return failed(rebuild(code, facts))
        except ValueError:  # of a law that is newer than this gateway
            return Failed(Category.UNACCEPTABLE, code, str(refusal["message"]), retryable=False, facts=facts)


def _groups(items: Sequence[Json]) -> Iterator[tuple[int, int]]:
    """What goes into one transaction: as many as may, in their order; the same at each start."""
    low = size = 0
    for at, item in enumerate(items):
        larger = len(json.dumps(item["command"]))
        if at > low and (size + larger > _LARGEST_GROUP or at - low == MOST):
            yield low, at
            low, size = at, 0
        size += larger
    if low < len(items):
        yield low, len(items)


def _plain(ending: Ending) -> Json:
    return ending.body if isinstance(ending, Recorded) else {"failed": asdict(ending)}


def endings_of(whole: Recorded) -> list[Ending]:
    """How the commands of a batch ended, in their order."""
    return [
        Failed(**_read(each["failed"])) if "failed" in each else Recorded(each, whole.height)
        for each in whole.body[OUTCOMES]
    ]


def _read(plain: Json) -> dict[str, Any]:
    return {**plain, "category": Category(plain["category"])}
