# SPDX-License-Identifier: Apache-2.0
"""One submission, from wherever it stands to its end: endorse, store, order, wait for the block, try again.

Requests and the reconciler run the same code; so does the first run and the run after a crash. The numbers
in the comments are the obligations listed in `submitter.py`.
"""

import hashlib
import logging
import math
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import replace
from typing import NamedTuple, TypeVar

from chaincode.domain.batch import FUNCTION as BATCH
from chaincode.domain.errors import LedgerError
from gateway.services.batched import part_of, records_nothing
from gateway.services.commits import Commits
from gateway.services.dispositions import TAKEN, Disposition, disposition_of
from gateway.services.endings import failed
from gateway.services.halting import Halted as Halted
from gateway.services.halting import invalidated
from gateway.services.limits import Limits as Limits
from gateway.services.monotonic import SYSTEM, Monotonic
from gateway.services.numbering import Numbering
from gateway.services.ports import (
    REQUESTS_APART,
    AlreadyProposed,
    Ending,
    Failed,
    Ledger,
    LedgerMisuse,
    Meter,
    NothingOrdered,
    Outcome,
    OutcomeUnknown,
    PortError,
    ReadModel,
    Recorded,
    Refused,
    Seen,
    Submission,
    Submissions,
    Unavailable,
)
from gateway.services.secret import Secret

Ended = TypeVar("Ended", Recorded, Failed)
_LOG = logging.getLogger(__name__)
_MOST_ATTEMPTS = 64
_FIRST_RESEND = 0.5
_LONGEST_UNKNOWN = 5.0
_LONGEST_RESEND = 60.0


class _Sent(NamedTuple):
    """When an envelope was sent and may be sent again (monotonic seconds), and how many copies were sent."""

    at: float = math.inf
    again_at: float = 0.0
    copies: int = 0


class Attempts:
    """Drives submissions; keeps only when each envelope without an outcome was sent last, so it is thread-safe."""

    def __init__(
        self,
        ledger: Ledger,
        submissions: Submissions,
        readmodel: ReadModel,
        commits: Commits,
        *,
        secret: Secret,
        meter: Meter,
        streaming: Callable[[], bool],
        limits: Limits,
        organisation: str,
        numbering: Numbering | None = None,
        monotonic: Monotonic = SYSTEM,
    ) -> None:
        """Assign.

        Args:
            numbering: gives versions numbers that nobody chose; without it the one that a command has is refused like
                any other.
            organisation: MSP id of the one whose requests these are.
            streaming: whether commits are being learnt from the block stream at the moment.
        """
        self._ledger = ledger
        self._submissions = submissions
        self._readmodel = readmodel
        self._commits = commits
        self._secret = secret
        self._meter = meter
        self._streaming = streaming
        self._limits = limits
        self._organisation = organisation
        self._numbering = numbering
        self._monotonic = monotonic
        self._stopping = threading.Event()
        self._sent: dict[str, _Sent] = {}

    def stop(self) -> None:
        """Let waiting threads go; what they waited for is on disk and is finished after the restart."""
        self._stopping.set()

    def drive(
        self, submission: Submission, deadline: float, *, unsent: bool = False, most: int = _MOST_ATTEMPTS
    ) -> Ending | Submission:
        """Bring a submission to its end, or as far as `deadline` (monotonic) allows.

        Returns how it ended, or the submission as it stands when its outcome must be awaited elsewhere.
        `unsent` says that an envelope which is stored was not sent yet; of `most` transactions that end in the same way
        the last is the end, where that comes before the number that there is for all. Raises `Halted` when the attempt
        failed before ordering.
        """
        if self._numbering is None or not submission.filled or submission.state == "prepared":
            return self._drive(submission, deadline, unsent=unsent, most=most)
        with self._numbering.turn(submission, deadline - self._monotonic.now()) as mine:
            if not mine:
                self._submissions.save(submission)
                return submission
            if submission.transaction_id is None:  # else what became of that transaction comes first
                submission = self._numbering.renewed(submission)
            return self._drive(submission, deadline)

    def _drive(
        self, submission: Submission, deadline: float, *, unsent: bool = False, most: int = _MOST_ATTEMPTS
    ) -> Ending | Submission:
        fresh = walked = 0
        ends: Counter[str] = Counter()
        while True:
            resent = submission.state == "prepared" and not unsent
            try:
                submission, outcome = self._endorsed(submission)
                if outcome is None:
                    outcome = self._order(submission, deadline, resent=resent)
                    fresh += 1
                else:
                    walked += 1
            except (Refused, LedgerError) as exc:
                following = self._after(submission, exc)
                if following is None:
                    return self.conclude(submission, failed(exc))
                submission = following
                continue
            except NothingOrdered as exc:
                raise Halted(submission, exc) from exc
            if outcome is None:
                return submission  # 4
            disposition = self._disposition(submission, outcome)
            if disposition.valid:
                return self.conclude(submission, self._committed(submission, outcome))
            ends[disposition.code] += fresh > 0
            spent = ends[disposition.code] >= min(most, disposition.attempts) or fresh >= self._limits.attempts
            if spent or walked >= self._limits.burned or submission.elsewhere:
                return self.conclude(submission, failed(invalidated(disposition, outcome)))
            self._meter.count(f"retried_{disposition.code}")
            if fresh:
                self._monotonic.pause(self._stopping, random.uniform(0, min(2.0, 0.05 * 2**fresh)))  # noqa: S311 - full jitter
            submission = replace(submission, state="accepted", attempt=submission.attempt + 1, envelope=None)  # 5

    def _after(self, submission: Submission, refusal: PortError | LedgerError) -> Submission | None:
        """The next attempt where another took a number that nobody chose; `None` where the refusal stands."""
        try:
            return None if self._numbering is None else self._numbering.after(submission, refusal)
        except NothingOrdered as exc:
            raise Halted(submission, exc) from exc

    def _disposition(self, submission: Submission, outcome: Outcome) -> Disposition:
        """What an outcome means for this attempt; an invalid occurrence that is not our envelope is not its outcome.

        An id is used up by it all the same: anyone who sees a proposal can have its id ordered first. Where the
        envelope is not known any more, nobody can tell whose an invalid occurrence was, and the id is as used up.
        """
        envelope = submission.envelope
        if outcome.valid or (envelope is not None and outcome.envelope in ("", self._ledger.mark(envelope))):
            return disposition_of(outcome)
        return TAKEN

    def may_go_on(self, stored: Submission, ending: Ending) -> bool:
        """Whether a request whose ending is stored is attempted again when it is repeated.

        So are failures that may be repeated; and one whose transaction is valid all the same, since an orderer that
        says it refused an envelope may have ordered it.
        """
        if isinstance(ending, Recorded):
            return False
        if ending.retryable:
            return True
        outcome = None if stored.transaction_id is None else self._seen(stored.transaction_id)
        return outcome is not None and outcome.valid

    def abandon(self, submission: Submission) -> Failed:
        """End a submission that something unexpected keeps from its end; a repetition finds what became of it."""
        unknown = OutcomeUnknown("an unexpected error keeps this request from its end; see the gateway's log")
        return self.conclude(submission, failed(unknown))

    def conclude(self, submission: Submission, ending: Ended) -> Ended:
        """Store how it ended; if a crash loses that, the transaction id leads to the same ending again."""
        self._sent.pop(submission.transaction_id or "", None)
        self._submissions.finish(replace(submission, state="final", ending=ending))
        return ending

    def give_up(self, submission: Submission, error: PortError | LedgerError) -> Failed:
        """End a submission of whose present attempt nothing was ordered."""
        return self.conclude(submission, failed(error))

    def _endorsed(self, submission: Submission) -> tuple[Submission, Outcome | None]:
        """The submission with an envelope on disk, or with the outcome that this transaction has already."""
        if submission.state == "prepared":
            return submission, self._seen(submission.transaction_id or "")
        try:
            submission = self._prepare(submission)
        except AlreadyProposed as exc:
            outcome = self._first_outcome(exc.transaction_id)
            if exc.recorded:
                self._check_recorded(submission, exc.transaction_id)
            return replace(submission, transaction_id=exc.transaction_id, envelope=None, reply=None), outcome
        started = time.perf_counter()
        self._submissions.save(submission)  # 3
        self._meter.observe("save", time.perf_counter() - started)
        return submission, None

    def _check_recorded(self, submission: Submission, transaction_id: str) -> None:
        """Raises unless the blocks show that the transaction which the chaincode names recorded this very request."""
        command = hashlib.sha256(submission.command.encode()).hexdigest()
        self._recording(transaction_id, self._secret.token(submission), command)

    def _recording(self, transaction_id: str, token: str, command: str) -> Seen:
        request = f"{self._organisation}:{token}:{command}"
        seen = self._readmodel.transaction(transaction_id)
        if seen is None or not seen.outcome.valid or request not in (seen.request or "").split(REQUESTS_APART):
            raise LedgerMisuse(
                "the chaincode names a transaction that did not record this request", transaction_id=transaction_id
            )
        return seen

    def first_answer(self, transaction_id: str, token: str, command: str) -> Recorded:
        """What a request was answered that the chaincode says was recorded before, alone or in a batch.

        `command` is the SHA-256 of its canonical JSON. Raises `Unavailable` where the transaction is not visible here
        yet, and `LedgerMisuse` where the blocks do not show that it recorded this very request.
        """
        outcome = self._first_outcome(transaction_id)
        seen = self._recording(transaction_id, token, command)
        transaction = {"id": transaction_id, "block": outcome.block}
        return Recorded({**part_of(seen.reply or {}, token), "transaction": transaction}, outcome.block + 1)

    def _seen(self, transaction_id: str) -> Outcome | None:
        found = self._readmodel.transaction(transaction_id)
        return None if found is None else found.outcome

    def _prepare(self, submission: Submission) -> Submission:
        nonce, token = self._secret.nonce(submission), self._secret.token(submission)
        tried = 0
        while True:
            started = time.perf_counter()
            try:
                prepared = self._ledger.prepare(
                    submission.function,
                    submission.command,
                    nonce=nonce,
                    token=token,
                    client=self._secret.acting(submission.client),
                    organisations=submission.organisations,
                )
            except NothingOrdered as exc:
                # Peers may be at different heights, or a process be back in a moment: the same proposal again. 2
                if tried >= exc.retries or self._stopping.is_set():
                    raise
                tried += 1
                self._meter.count(f"retried_{exc.code}")
                self._monotonic.pause(self._stopping, random.uniform(0.1, 0.5))  # noqa: S311 - jitter
                continue
            self._meter.observe("prepare", time.perf_counter() - started)
            if records_nothing(prepared.reply):
                # Each for a reason of its own, which the outcomes have: nothing is to be ordered.
                raise Refused("every command of the batch was refused", code="nothing-recorded", **prepared.reply)
            return replace(
                submission,
                state="prepared",
                transaction_id=prepared.transaction_id,
                envelope=prepared.envelope,
                reply=prepared.reply,
            )

    def _order(self, submission: Submission, deadline: float, *, resent: bool) -> Outcome | None:
        """Send the stored envelope until it is in a block, and learn how it ends; `None` when `deadline` came first.

        A caller that does not hear of it sends the same envelope again: of any number of copies the first one counts.
        """
        if submission.envelope is None or submission.transaction_id is None:
            raise RuntimeError(f"submission {submission.id} is prepared without an envelope")
        with self._commits.expect(submission.transaction_id) as future:
            while True:
                sent = self._send(submission, submission.transaction_id, resent=resent)
                resent = True
                started = time.perf_counter()
                outcome = self._await(future, submission.transaction_id, min(deadline, sent.again_at), sent.at)
                self._meter.observe("commit", time.perf_counter() - started)
                if outcome is not None or self._monotonic.now() >= deadline or self._stopping.is_set():
                    break
                self._meter.count("resent")
        if outcome is not None:
            self._sent.pop(submission.transaction_id, None)
        if outcome is not None and not outcome.valid:
            # Of several occurrences the valid one counts; its block may have been applied before this future was there.
            return self._seen(submission.transaction_id) or outcome
        return outcome

    def _send(self, submission: Submission, transaction_id: str, *, resent: bool) -> _Sent:
        """Hand the envelope to ordering unless that was done just now; answers when that was and is to be done again.

        A refusal of the first copy is raised.
        """
        now = self._monotonic.now()
        sent = self._sent.get(transaction_id, _Sent())
        if now < sent.again_at and not self._commits.passed_over(sent.at):
            return sent
        accepted = False
        try:
            self._ledger.submit(submission.envelope or b"")
            accepted = True
        except OutcomeUnknown as exc:
            _LOG.warning("submission %s: %s", submission.id, exc.message)
            self._meter.count("submit_unknown")
        except NothingOrdered as exc:
            if not resent:
                raise
            # This refusal is about the copy; the first one may be in a block tomorrow. 4
            _LOG.warning("submission %s could not be sent again: %s", submission.id, exc.message)
        ended = self._monotonic.now()
        self._meter.observe("submit", ended - now)
        # Where ordering is slow, copies would only make it slower: each one waits twice as long as the one before.
        first, longest = (self._limits.resend_after, _LONGEST_RESEND) if accepted else (_FIRST_RESEND, _LONGEST_UNKNOWN)
        again_at = ended + min(longest, first * (1 << min(sent.copies, 10))) * random.uniform(0.5, 1.0)  # noqa: S311
        self._sent[transaction_id] = sent = _Sent(ended, again_at, sent.copies + 1)
        return sent

    def _await(
        self, future: "Future[Outcome]", transaction_id: str, deadline: float, sent: float = math.inf
    ) -> Outcome | None:
        """The outcome; `None` at the deadline, or when what was sent at `sent` should have been in a block by now."""
        while not self._stopping.is_set():
            remaining = deadline - self._monotonic.now()
            if remaining <= 0:
                return None
            try:
                return self._monotonic.result(future, min(remaining, self._limits.fallback_after))
            except FutureTimeout:
                outcome = self._fallback(transaction_id, remaining)
            if outcome is not None or self._commits.passed_over(sent):
                return outcome
        return None

    def _fallback(self, transaction_id: str, remaining: float) -> Outcome | None:
        """CommitStatus holds one of the peer's slots while it waits, so it is asked only when blocks do not come."""
        found = self._seen(transaction_id)
        if found is not None or self._streaming():
            return found
        try:
            outcome = self._ledger.outcome(transaction_id, min(remaining, self._limits.fallback_after))
        except (NothingOrdered, OutcomeUnknown) as exc:
            _LOG.warning("asking for transaction %s: %s", transaction_id, exc.message)
            self._monotonic.pause(self._stopping, min(remaining, 0.2))
            return None
        if outcome is not None:
            self._commits.seen(outcome.block)
        # The peer tells the code of an id, and not whose envelope it was: what is invalid is for the blocks to show.
        return outcome if outcome is not None and outcome.valid else None

    def _first_outcome(self, transaction_id: str) -> Outcome:
        """The outcome of a transaction that an endorser found in its block index; the read model may lag a little."""
        with self._commits.expect(transaction_id) as future:
            found = self._seen(transaction_id)
            if found is not None:
                return found
            outcome = self._await(future, transaction_id, self._monotonic.now() + self._limits.wait)
        if outcome is None:
            raise Unavailable("the first outcome of this request is not visible yet", code="behind", retry_after=1)
        return outcome

    def _committed(self, submission: Submission, outcome: Outcome) -> Recorded:
        envelope, reply = submission.envelope, submission.reply
        if envelope is None or reply is None or outcome.envelope not in ("", self._ledger.mark(envelope)):
            # Our own copy of the answer is lost, or of another endorsement of the same id; the block holds it.
            self._commits.wait_for_height(outcome.block + 1, self._limits.wait)
            found = self._readmodel.transaction(outcome.transaction_id)
            reply = (found.reply if found is not None else None) or {}
            reply = reply if submission.function == BATCH else part_of(reply, self._secret.token(submission))
        transaction = {"id": outcome.transaction_id, "block": outcome.block}
        return Recorded({**reply, "transaction": transaction}, outcome.block + 1)
