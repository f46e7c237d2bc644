# SPDX-License-Identifier: Apache-2.0
"""Exactly once: from an idempotency key to at most one valid transaction, whatever dies in between.

The obligations, cited by number here and in `attempts.py`:

1.  A key names one request. The same key with another payload is refused; with the same payload it gets the
    first answer, or waits for it.
2.  The nonce, and with it the transaction id, is derived from the gateway's secret, the client, the key and the
    attempt: proposing again after any loss proposes the same transaction.
3.  The envelope is on disk before it is handed to ordering, so a restart can send the *same* one again.
4.  Once an envelope may have been ordered, only a block decides how it ends. No clock does.
5.  An attempt that committed as invalid has used up its id; the next attempt has the next number.
6.  A failure before ordering leaves the key free: the same request may be sent again with it.
7.  A command is what was first built, but for fields that nobody but the gateway chose: where another took a
    version's number, they are filled in again (`numbering.py`), only while nothing of the present attempt was ordered,
    and for the next attempt.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, replace

from chaincode.domain.errors import LedgerError
from gateway.services.attempts import Halted, Limits
from gateway.services.claims import Claims, busy
from gateway.services.driving import Driver, is_group
from gateway.services.intents import Answer as Answer
from gateway.services.intents import InProgress as InProgress
from gateway.services.intents import Intent as Intent
from gateway.services.intents import KeyReused as KeyReused
from gateway.services.monotonic import SYSTEM, Monotonic
from gateway.services.opening import Opening
from gateway.services.ports import (
    Clock,
    Failed,
    Meter,
    PortError,
    Submission,
    Submissions,
    Unavailable,
)
from gateway.services.progress import Lengthy as Lengthy
from gateway.services.progress import Progress, Stage
from gateway.services.secret import Secret
from gateway.services.shares import Shares, ShareTaken

_LOG = logging.getLogger(__name__)
_MAKERS = 2
"""Uploads that are read at the same time after their requests were answered."""
_MAKINGS = 8
"""Uploads that are being read, or wait for it, in this way."""
_INTERRUPTED = Unavailable(
    "the gateway was interrupted while it read the upload; send the same request again", code="interrupted"
)


@dataclass(slots=True)
class _Flight:
    digest: str
    submission_id: str
    future: "Future[Answer]"


class Submitter:
    """Turns requests into committed transactions; thread-safe."""

    def __init__(
        self,
        attempts: Driver,
        submissions: Submissions,
        *,
        secret: Secret,
        clock: Clock,
        meter: Meter,
        limits: Limits,
        monotonic: Monotonic = SYSTEM,
        on_failure: Callable[[Submission, Failed], None] = lambda *_: None,
        recorded: Callable[[str, str], Submission | None] = lambda *_: None,
    ) -> None:
        self._on_failure = on_failure  # called for those that end so after their requests were answered
        self._recorded = recorded  # finds what was forgotten here on the ledger
        self._attempts = attempts
        self._submissions = submissions
        self._secret = secret
        self._clock = clock
        self._meter = meter
        self._limits = limits
        self._monotonic = monotonic
        self._flights: dict[tuple[str, str], _Flight] = {}
        self._lock = threading.Lock()
        self._places = Shares(limits.in_flight + limits.backlog, "submissions that have not reached their end")
        self._slots = Shares(limits.in_flight, "requests in flight")
        self._waiters = threading.BoundedSemaphore(limits.waiters)
        self._opening = Opening(secret.submission_id, clock)
        self._claims = Claims(submissions, self._waiters, limits.wait, secret.submission_id, monotonic)
        self._orphans: deque[Submission] = deque()
        self._orphaned = threading.Semaphore(0)
        self._makers = ThreadPoolExecutor(_MAKERS, thread_name_prefix="maker")
        self._makings = Shares(_MAKINGS, "uploads that are being read")
        self._progress: dict[str, Progress] = {}
        self._complained: set[str] = set()
        """Submissions whose unexpected failure was logged with its traceback."""

    def submit(
        self,
        intent: Intent,
        function: str,
        command: Callable[[], str],
        *,
        filled: tuple[str, ...] = (),
        lengthy: Lengthy | None = None,
    ) -> Answer:
        """Record a command exactly once and answer with its committed outcome.

        Args:
            command: builds the canonical JSON; called once per key, so it may draw salts or sign statements.
            filled: fields of the command that the gateway chose, and may choose again while nothing was ordered.
            lengthy: how the command is made after a request that prefers `respond-async` was answered.

        Raises `KeyReused`, `InProgress`, `ShareTaken`, `Unavailable` with code `capacity`, or why nothing was ordered.
        """
        return self._flown(intent, lambda: self._first(intent, function, command, filled, lengthy))

    def send(self, sealed: Submission) -> Answer:
        """Have an envelope that was signed elsewhere ordered, exactly once for its key; raises as `submit`."""
        intent = Intent(sealed.client, sealed.key, sealed.request_hash)
        return self._flown(intent, lambda: self._sealed(intent, sealed))

    def answered(self, sealed: Submission) -> Answer | None:
        """How a request ended whose transaction was sent before, where that stands; raises `KeyReused`."""
        intent = Intent(sealed.client, sealed.key, sealed.request_hash)
        return self._answered(intent, self._submissions.find(sealed.client, sealed.key))

    def operation(self, submission_id: str, client: str | None = None) -> Submission | None:
        """A client's own submission by its operation id; whichever client's it is where none is named."""
        submission = self._submissions.get(submission_id)
        return submission if submission is not None and client in (None, submission.client) else None

    def operation_of(self, key: str, client: str) -> Submission | None:
        """The same by its idempotency key; it may have been begun at another gateway."""
        found = self._submissions.find(client, key)
        begun = (client, key) in self._flights or self._submissions.is_claimed(client, key)
        return found or (self._opening.begun(client, key) if begun else self._recorded(client, key))

    def progress(self, submission_id: str) -> Progress | None:
        """How far a submission has come whose command is, or was, made from an upload; `None` at its end."""
        return self._progress.get(submission_id)

    def stop(self) -> None:
        """Begin nothing more; a command that was not made is not recorded, and its request may be sent again."""
        self._makers.shutdown(wait=False, cancel_futures=True)

    @property
    def in_flight(self) -> int:
        """Submissions that have not reached their end."""
        return len(self._flights)

    # -- what requests left behind; called by the reconciler ------------------------------------------------

    def recover(self) -> int:
        """Take charge of what a former process, or a gateway that died, left unfinished; call it before serving."""
        return sum(self._adopt(each) for each in self._submissions.unfinished() if not is_group(each))

    def _adopt(self, submission: Submission) -> bool:
        """Take charge of a submission, unless somebody was faster."""
        place = submission.client, submission.key
        with self._lock:
            if place in self._flights:
                return False
            self._flights[place] = _Flight(submission.request_hash, submission.id, Future())
        self._places.take_anyway(submission.client)
        try:
            mine = self._submissions.claim(*place, submission.request_hash) is None
            found = self._submissions.get(submission.id) if mine else None
        except BaseException as exc:
            self._land(*place, exc)
            raise
        if found is None or found.ending is not None:  # another was at it, and has ended it meanwhile
            self._land(*place, busy(submission.id))
            return False
        if found.command:
            self.hand_over(found)
        else:
            self._fail(found, _INTERRUPTED)
        return True

    def take_orphan(self, timeout: float) -> Submission | None:
        """The next submission that no request is waiting for."""
        if not self._orphaned.acquire(timeout=timeout):
            return None
        try:
            return self._orphans.popleft()
        except IndexError:
            return None

    def wake(self, threads: int) -> None:
        """Let threads that wait for an orphan return, so that they can stop."""
        self._orphaned.release(threads)

    def settle(self, submission: Submission) -> Submission | None:
        """One round of work on an orphan: `None` when it reached its end, else how it stands now.

        Whatever is raised, the submission ends within its time; only one that may have been ordered and is in no
        block yet waits longer, for a block to decide.
        """
        overdue = self._clock() - submission.created >= self._limits.accepted_for
        try:
            result = self._attempts.drive(submission, self._monotonic.now() + self._limits.fallback_after)
        except Halted as halt:
            if halt.cause.transient and not overdue:
                return halt.submission
            result = self._attempts.give_up(halt.submission, halt.cause)
        except Exception as exc:
            self._complain(submission, exc)
            if not overdue:
                return submission
            result = self._attempts.abandon(submission)
        self._complained.discard(submission.id)
        if isinstance(result, Submission):
            return result
        if isinstance(result, Failed):
            self._on_failure(submission, result)
        self._land(submission.client, submission.key, Answer(result, submission.id))
        return None

    def _complain(self, submission: Submission, error: Exception) -> None:
        """Log why a round failed; the traceback of what nobody expected once for each submission."""
        if isinstance(error, PortError):
            _LOG.warning("submission %s is still open: %s", submission.id, error.message)
        elif submission.id in self._complained:
            _LOG.warning("submission %s is still open: %s", submission.id, type(error).__name__)
        else:
            self._complained.add(submission.id)
            _LOG.error("submission %s could not be settled; trying again", submission.id, exc_info=error)

    # -- the request path ---------------------------------------------------------------------------------

    def _flown(self, intent: Intent, work: Callable[[], Answer]) -> Answer:
        """What comes of `work`, which one request of a key does at a time; the others wait for its answer."""
        flight, mine = self._board(intent)
        if not mine:
            return self._await_other(flight, intent)
        try:
            mine = self._claims.take(intent.client, intent.key, intent.digest, wait=not intent.respond_async)
            answer = work() if mine else Answer(None, flight.submission_id, replayed=True)
        except BaseException as exc:
            self._land(intent.client, intent.key, exc)
            raise
        if not mine or not answer.pending:
            self._land(intent.client, intent.key, answer)
        return answer

    def _board(self, intent: Intent) -> tuple[_Flight, bool]:
        with self._lock:
            flight = self._flights.get((intent.client, intent.key))
            if flight is not None:
                if flight.digest != intent.digest:
                    raise KeyReused("this Idempotency-Key was used with another payload")  # 1
                return flight, False
            self._take(self._places, intent.client)
            flight = _Flight(intent.digest, self._secret.submission_id(intent.client, intent.key), Future())
            self._flights[intent.client, intent.key] = flight
            return flight, True

    def _land(self, client: str, key: str, result: Answer | BaseException) -> None:
        self._submissions.release(client, key)
        with self._lock:
            flight = self._flights.pop((client, key), None)
        if flight is None:
            return
        self._places.give_back(client)
        self._progress.pop(flight.submission_id, None)
        if isinstance(result, Answer):
            flight.future.set_result(result)
        else:
            flight.future.set_exception(result)

    def _await_other(self, flight: _Flight, intent: Intent) -> Answer:
        if intent.respond_async and not flight.future.done():
            return Answer(None, flight.submission_id, replayed=True)
        waiting = busy(flight.submission_id)
        if not self._waiters.acquire(blocking=False):
            raise waiting
        try:
            answer = self._monotonic.result(flight.future, self._limits.wait)
        except FutureTimeout:
            raise waiting from None
        finally:
            self._waiters.release()
        return replace(answer, replayed=True)

    def _first(
        self,
        intent: Intent,
        function: str,
        command: Callable[[], str],
        filled: tuple[str, ...],
        lengthy: Lengthy | None,
    ) -> Answer:
        stored = self._submissions.find(intent.client, intent.key)
        if (before := self._answered(intent, stored)) is not None:
            return before
        self._take(self._slots, intent.client)
        try:
            later = lengthy if intent.respond_async else None
            submission = self._opening.submission(intent, function, (lambda: "") if later else command, stored, filled)
            if later is not None and not submission.command:
                return self._make_later(submission, later)
            if intent.respond_async:
                self._submissions.save(submission)
                return self.hand_over(submission)
            result = self._attempts.drive(submission, self._monotonic.now() + self._limits.wait)
            return self.hand_over(result) if isinstance(result, Submission) else Answer(result, submission.id)
        except Halted as halt:
            if halt.submission.state == "prepared" or halt.submission.attempt > 1:
                # Transaction ids of this key are used up or on disk; the row remembers how many.
                self._attempts.give_up(halt.submission, halt.cause)
            raise halt.cause from None  # 6
        finally:
            self._slots.give_back(intent.client)

    def _answered(self, intent: Intent, stored: Submission | None) -> Answer | None:
        """How a request of this key ended before, where that stands; raises `KeyReused`."""
        if stored is None:
            return None
        if stored.request_hash != intent.digest:
            raise KeyReused("this Idempotency-Key was used with another payload")  # 1
        if stored.ending is None or self._attempts.may_go_on(stored, stored.ending):
            return None
        return Answer(stored.ending, stored.id, replayed=True)

    def _sealed(self, intent: Intent, sealed: Submission) -> Answer:
        stored = self._submissions.find(intent.client, intent.key)
        if (before := self._answered(intent, stored)) is not None:
            return before
        self._take(self._slots, intent.client)
        try:
            self._submissions.save(sealed)  # 3
            # What may have been sent before is not given up because a copy of it is refused. 4
            unsent = stored is None or stored.ending is not None
            result = self._attempts.drive(sealed, self._monotonic.now() + self._limits.wait, unsent=unsent)
            return self.hand_over(result) if isinstance(result, Submission) else Answer(result, sealed.id)
        except Halted as halt:
            self._attempts.give_up(halt.submission, halt.cause)
            raise halt.cause from None
        finally:
            self._slots.give_back(intent.client)

    def _make_later(self, submission: Submission, lengthy: Lengthy) -> Answer:
        """Promise a submission whose command is made after the answer; a crash before that leaves it to be repeated."""
        self._take(self._makings, submission.client)
        try:
            self._submissions.save(submission)
            self._progress[submission.id] = lengthy.progress
            self._makers.submit(self._make, submission, lengthy.detach())
        except BaseException:
            self._makings.give_back(submission.client)
            raise
        return Answer(None, submission.id)

    def _make(self, submission: Submission, make: Callable[[], str]) -> None:
        try:
            made = replace(submission, command=make())
            self._submissions.save(made)
        except (PortError, LedgerError) as exc:
            self._fail(submission, exc)
        except Exception:
            # Also where the stores were closed meanwhile: then the row says after the restart that it was interrupted.
            _LOG.exception("the command of submission %s could not be made", submission.id)
            self._fail(submission, _INTERRUPTED)
        else:
            self._progress[submission.id].stage = Stage.RECORDING
            self.hand_over(made)
        finally:
            self._makings.give_back(submission.client)

    def _fail(self, submission: Submission, error: PortError | LedgerError) -> None:
        """End a submission whose command was not made."""
        ending = self._attempts.give_up(submission, error)
        self._on_failure(submission, ending)
        self._land(submission.client, submission.key, Answer(ending, submission.id))

    def hand_over(self, submission: Submission) -> Answer:
        """Have the reconciler bring a submission to its end."""
        self._orphans.append(submission)
        self._orphaned.release()
        self._meter.count("pending")
        return Answer(None, submission.id)

    def _take(self, shares: Shares, client: str) -> None:
        try:
            shares.take(client)
        except Unavailable as exc:
            self._meter.count("refused_share" if isinstance(exc, ShareTaken) else "refused_capacity")
            raise
