# SPDX-License-Identifier: Apache-2.0
"""This gateway as a witness: it cosigns the other organisations' logs, each of which it recomputes from its own blocks.

Every log of a channel has the same entries in the same order. So a head is cosigned when it continues the one cosigned
last (c2sp.org/tlog-witness) and is, besides, the very head that this gateway comes to itself. What was cosigned is on
the disk before the cosignature leaves; a witness that lost its disk begins at the head that its own blocks give, and so
cosigns nothing older than what it may have cosigned before.
"""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from chaincode.domain.merkle import ProofError, verify_consistency
from gateway.services.logs import Head, Heads, Leaves, Refusal
from gateway.services.ports import Category, Clock, Meter, PortError, Unavailable
from gateway.tlog import notes
from gateway.tlog.checkpoints import Checkpoint
from gateway.tlog.errors import BadSignature, TlogError
from gateway.tlog.keys import Verifier
from gateway.tlog.notes import Note, NoteSigner
from gateway.tlog.submissions import Submission

_LOG = logging.getLogger(__name__)
_PATIENCE: Final = 2.0
"""Seconds that a submission waits for the blocks that it is about."""
_LOOK: Final = 0.005


class SubmissionRefused(PortError):
    """A submission is not what the protocol asks for."""

    code = "malformed-submission"
    category = Category.UNREADABLE


class UnknownLog(PortError):
    """No log with this origin is witnessed here."""

    code = "unknown-log"
    category = Category.NOT_FOUND


class NotSigned(PortError):
    """No trusted key of the log signed the checkpoint."""

    code = "not-signed-by-log"
    category = Category.FORBIDDEN


class NotAtThatSize(PortError):
    """The proof begins at another size than the one cosigned last; `size` is that one."""

    code = "another-size-cosigned"
    category = Category.CONFLICT

    def __init__(self, size: int) -> None:
        super().__init__(f"This witness has cosigned {size} entries.", size=size)
        self.size = size


class Inconsistent(PortError):
    """The consistency proof does not show what it should."""

    code = "inconsistent-checkpoint"
    category = Category.UNACCEPTABLE


class Forked(PortError):
    """The checkpoint has another root than the ledger gives."""

    code = "log-forked"
    category = Category.UNACCEPTABLE


class Witness:
    """Judges checkpoints of other organisations' logs, and cosigns them; thread-safe."""

    def __init__(
        self, signers: Sequence[NoteSigner], leaves: Leaves, heads: Heads, *,
        logs: Callable[[], Mapping[str, Sequence[Verifier]]], caught_up: Callable[[], bool], meter: Meter,
        heard: Callable[[str], None] = lambda origin: None, clock: Clock = time.time, patience: float = _PATIENCE,
    ) -> None:  # fmt: skip
        """Assign.

        Args:
            logs: the keys of the logs that are witnessed, by origin, as they are configured now.
            caught_up: whether every block that is known to exist has been read.
            heard: given the origin of each log that asks, once its signature is known to be its own.
        """
        self._signers = signers
        self._leaves = leaves
        self._heads = heads
        self._logs = logs
        self._caught_up = caught_up
        self._meter = meter
        self._heard = heard
        self._clock = clock
        self._patience = patience
        self._locks: dict[str, threading.Lock] = defaultdict(threading.Lock)

    def witnessed(self) -> Mapping[str, Head | None]:
        """The logs that are witnessed, by origin, each with the head that was cosigned last."""
        return {origin: self._heads.witnessed(origin) for origin in self._logs()}

    def add_checkpoint(self, content: bytes) -> bytes:
        """Cosign a submission: the signature lines.

        Raises `SubmissionRefused`, `UnknownLog`, `NotSigned`, `NotAtThatSize`, `Inconsistent`, `Forked`, and
        `Unavailable` where this witness has not read as far itself, or judges another submission of the log.
        """
        try:
            submission = Submission.parse(content)
            note = notes.parse(submission.checkpoint)
            checkpoint = Checkpoint.parse(note.text)
        except TlogError as exc:
            raise SubmissionRefused(f"This is not a submission to a witness: {exc}.") from None
        self._refuse_unsigned(note, checkpoint.origin)
        self._heard(checkpoint.origin)
        if submission.old > checkpoint.size:
            raise SubmissionRefused("The old size is greater than that of the checkpoint.")
        lock = self._locks[checkpoint.origin]
        if not lock.acquire(blocking=False):
            raise Unavailable("Another checkpoint of this log is being judged.", code="witness-busy")
        try:
            self._judge(submission, note, checkpoint)
        finally:
            lock.release()
        self._meter.count("log-cosigned")
        return b"".join(notes.signature_of(note.text, each).format() for each in self._signers)

    def _refuse_unsigned(self, note: Note, origin: str) -> None:
        verifiers = self._logs().get(origin)
        if not verifiers:
            raise UnknownLog("No log with this origin is witnessed here.")
        try:
            signed = notes.verify(note, {each.key: each for each in verifiers})
        except BadSignature as exc:
            raise NotSigned(f"The checkpoint is not the log's: {exc}.") from None
        if not signed:
            raise NotSigned("No key that is trusted for this log signed the checkpoint.")

    def _judge(self, submission: Submission, note: Note, checkpoint: Checkpoint) -> None:
        """Show that a head may be cosigned, and keep it as the one cosigned last; else raise."""
        origin, head = checkpoint.origin, Head(checkpoint.size, checkpoint.root)
        last = self._heads.witnessed(origin) or self._begin(origin)
        if submission.old != last.size:
            raise NotAtThatSize(last.size)
        if head.size == last.size and head.root != last.root:
            self._fork(note, origin, f"it has another root than the {head.size} entries that were cosigned before")
            raise NotAtThatSize(last.size)
        try:
            _refuse_inconsistent(submission, last, head)
        except ProofError as exc:
            why = f"It does not continue the {last.size} entries that were cosigned before: {exc}."
            self._fork(note, origin, why)
            raise Inconsistent(why) from None
        if self._root(head.size) != head.root:
            why = f"Its root over {head.size} entries is not the one that the ledger gives."
            self._fork(note, origin, why)
            raise Forked(why)
        signed = without_strangers(note, self._logs().get(origin, ()))
        if not self._heads.witness(origin, submission.old, head, signed):
            found = self._heads.witnessed(origin)
            raise NotAtThatSize(0 if found is None else found.size)

    def _begin(self, origin: str) -> Head:
        """Where to begin with a log that nothing is kept of, be it new or forgotten with a disk.

        Whatever was cosigned before was on the ledger then: what is on it now is no less.
        """
        if not self._caught_up():
            raise Unavailable("This witness is still reading the ledger.", code="catching-up")
        tree = self._leaves.tree()
        head = Head(tree.size, tree.root())
        if head.size:
            self._heads.witness(origin, 0, head)
        return head

    def _root(self, size: int) -> bytes:
        """The root that our own blocks give, once they have been read so far."""
        deadline = time.monotonic() + self._patience
        while (tree := self._leaves.tree()).size < size:
            if time.monotonic() > deadline:
                raise Unavailable(f"This witness has read {tree.size} entries itself.", code="catching-up")
            time.sleep(_LOOK)
        return tree.root(size)

    def _fork(self, note: Note, origin: str, why: str) -> None:
        """Say that a log forked, and keep the checkpoint that shows it: the log's own signature is on it.

        Others' lines are left out: to send it again with other ones adds nothing.
        """
        signed = without_strangers(note, self._logs().get(origin, ()))
        self._meter.count("log-fork-seen")
        if self._heads.refuse(Refusal(origin, self._clock(), why, signed)):
            _LOG.critical("the log %s forked, and is not cosigned: %s", origin, why)


def _refuse_inconsistent(submission: Submission, last: Head, head: Head) -> None:
    """Raises `ProofError`; nothing comes before the empty log, and so nothing shows that it does."""
    if last.size:
        verify_consistency(last.size, last.root, head.size, head.root, submission.proof)
    elif submission.proof:
        raise ProofError("the empty log needs no proof")


def without_strangers(note: Note, known: Iterable[Verifier]) -> bytes:
    """A checkpoint with the signatures of its log alone."""
    keys = {each.key for each in known}
    return Note(note.text, tuple(dict.fromkeys(each for each in note.signatures if each.key in keys))).format()
