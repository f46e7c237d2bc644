# SPDX-License-Identifier: Apache-2.0
"""The transparency log that this organisation publishes: its heads are signed, cosigned by others, and proven from.

Heads are signed in rounds, in a thread of their own: sign, keep, give out, ask every witness at once. However many
blocks come meanwhile, one head covers them. A changed policy begins a round as well, and forgets who failed before.
What a crash leaves: a head is on the disk before its signature leaves this process, and no head is ever signed that
does not continue it.
"""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Final

from gateway.services.cosigning import Request, cosignatures
from gateway.services.logs import (
    Asked,
    Head,
    Heads,
    Leaves,
    Published,
    Refusal,
    Witnesses,
    WitnessRefused,
    serving,
)
from gateway.services.ports import Category, Clock, Meter, PortError, Unavailable
from gateway.tlog import notes
from gateway.tlog.checkpoints import Checkpoint
from gateway.tlog.errors import TlogError
from gateway.tlog.notes import NoteSignature, NoteSigner
from gateway.tlog.proofs import TlogProof

_LOG = logging.getLogger(__name__)
_ROUND: Final = 1.0
"""Seconds that a round waits for its witnesses; what comes later counts as well."""
_PERIOD: Final = 0.1
"""Seconds from one round's begin to the next one's, at least."""
_SUSTAINED: Final = 1.0
"""The most of the same: a round costs all organisations the same whatever it covers."""
_SHARE: Final = 20
"""How many times as long as a round took the next one waits: rounds take longer where the machines have other work."""
_LOOK: Final = 0.5
"""Seconds after which a changed policy is noticed at the latest."""
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0
_AT_ONCE: Final = 32


class NotLogged(PortError):
    """The log has no such transaction."""

    code = "not-in-the-log"
    category = Category.NOT_FOUND


@dataclass(slots=True)
class Standing:
    """How it stands with one witness."""

    asked: Asked
    cosigned: int = 0
    """The size of our log that it cosigned last, as far as this process knows."""
    trouble: str | None = None
    """Why it has not cosigned the last head, in one line."""
    mirror: bool = False
    """Whether it turned out to be a mirror: it is asked after the witness at its address."""
    pause: float = 0.0
    due: float = 0.0
    """When to ask it again (monotonic)."""
    answer: "Future[None] | None" = None


def pace(took: float) -> float:
    """Seconds from the begin of a round that took so many to the begin of the next one."""
    return min(_SUSTAINED, max(_PERIOD, _SHARE * took))


class Publisher:
    """Signs, publishes and proves this organisation's log; thread-safe."""

    def __init__(
        self, origin: str, signers: Sequence[NoteSigner], leaves: Leaves, heads: Heads, *,
        asked: Callable[[], Sequence[Asked]], edition: Callable[[], object], witnesses: Witnesses, meter: Meter,
        clock: Clock = time.time, leads: Callable[[], bool] = lambda: True,
    ) -> None:  # fmt: skip
        """Assign.

        Args:
            signers: the log's own key and, as a witness of itself, this organisation's cosigning keys.
            asked: the witnesses as they are configured now.
            edition: what is another value whenever the policy is another; it must return at once.
            leads: whether it is for this gateway to sign; where it is for another one, that one's checkpoints are given
                out here too.
        """
        self._leads = leads
        self.origin = origin
        self._signers = signers
        self._leaves = leaves
        self._heads = heads
        self._asked = asked
        self._edition = edition
        self._known: object = self  # no edition is equal to it: the first look finds a new one
        self._renewals = 0
        self._witnesses = witnesses
        self._meter = meter
        self._clock = clock
        self._changed = threading.Condition()
        self._kept = list(heads.published())
        self._standings: dict[tuple[str, str], Standing] = {}
        self._settled = 0
        self._met = 0.0
        """When the last head of the gateway that leads was first seen here."""
        self._applied = 0.0
        self._stopping = False
        self.trouble: str | None = None
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="witness")
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)

    def start(self) -> None:
        """Begin to sign."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the round in hand, without waiting for witnesses."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(2 * _ROUND)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def grown(self) -> None:
        """Say that blocks were applied; returns at once."""
        with self._changed:
            self._applied = self._applied or time.monotonic()
            self._changed.notify_all()

    def heard(self, origin: str) -> None:
        """Say that a log asked for our cosignature: its gateway runs, and the witness beside it is asked at once."""
        with self._changed:
            for each in self._standings.values():
                if origin in each.asked.origins:
                    each.pause = each.due = 0.0
            self._changed.notify_all()

    # -- what is given out ------------------------------------------------------------------------------------------

    def latest(self) -> Published | None:
        """The checkpoint that was given out last."""
        with self._changed:
            return self._kept[0] if self._kept else None

    def standings(self) -> Sequence[Standing]:
        """How it stands with each witness that is asked."""
        with self._changed:
            return list(self._standings.values())

    def receipt(self, transaction_id: str, timeout: float) -> bytes:
        """A proof that the log holds a transaction, with as many cosignatures as there are (c2sp.org/tlog-proof).

        It waits until the witnesses that can be reached have cosigned a head which covers the transaction, for
        `timeout` seconds at most. Its extra data is the entry. Raises `NotLogged`, and `Unavailable` where no head was
        signed yet that covers it.
        """
        number = self._leaves.number_of(transaction_id)
        if number is None:
            raise NotLogged("The log holds what is valid alone, and no such transaction.")
        with self._changed:
            self._changed.wait_for(lambda: self._settled > number or self._stopping, timeout)
            found = [each for each in self._kept if each.head.size > number]
        if not found:
            why = self.trouble or "the head that covers it is about to be signed"
            raise Unavailable(f"There is no checkpoint yet that covers it: {why}.", code="not-signed-yet")
        best = max(found, key=lambda each: (len(each.witnesses), each.head.size))
        path = self._leaves.tree().inclusion(number, best.head.size)
        return TlogProof(number, tuple(path), best.note, self._leaves.entries(number, 1)).format()

    # -- rounds -----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        until = 0.0
        while self._wait_for_work(until):
            began = time.monotonic()
            try:
                if self._leads():
                    self.round()
                else:
                    self.follow()
            except Exception:
                _LOG.exception("the log could not be published; it is tried again")
                self._pause(_ROUND)
            until = began + pace(time.monotonic() - began)

    def _wait_for_work(self, until: float) -> bool:
        """Wait until there is something to sign or to ask, and answer whether to go on."""
        self._pause(until - time.monotonic())
        with self._changed:
            while not self._stopping and self._leads() and not self._applied and not self._renewed():
                due = min((each.due for each in self._standings.values() if each.trouble), default=None)
                left = None if due is None else due - time.monotonic()
                if left is not None and left <= 0:
                    break
                self._changed.wait(_LOOK if left is None else min(left, _LOOK))
            return not self._stopping

    def _renewed(self) -> bool:
        """Whether the policy is another one than at the last look; nobody's failures count any more then."""
        found = self._edition()
        with self._changed:
            if found == self._known:
                return False
            self._known = found
            self._renewals += 1
            self._settled = 0  # receipts wait for those that are asked anew
            for each in self._standings.values():
                each.pause = each.due = 0.0
            return True

    def _pause(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping, max(0.0, seconds))

    def round(self) -> None:
        """Sign the log as it is now, where that can be, and have it cosigned by those that can be reached."""
        self._renewed()
        with self._changed:
            applied, self._applied = self._applied, 0.0
        published = self._signed()
        if published is None:
            return
        due = self._due()
        waiting = [answer for each in due if (answer := self._begin(each, published.head)) is not None]
        wait(waiting, _ROUND)
        with self._changed:
            self._settled = max(self._settled, published.head.size)
            self._changed.notify_all()
        if applied:
            self._meter.observe("receipt", time.monotonic() - applied)

    def follow(self) -> None:
        """Give out what the gateway that leads has signed, as far as this one has read the ledger."""
        size = self._leaves.size()
        kept = [each for each in self._heads.published() if each.head.size <= size]
        with self._changed:
            self._known = self  # who comes to lead looks at everything anew
            if kept and (not self._kept or kept[0].head != self._kept[0].head):
                self._met = time.monotonic()
            self._kept = kept
            if kept and time.monotonic() - self._met >= _ROUND:  # its witnesses were asked meanwhile
                self._settled = kept[0].head.size
            self._changed.notify_all()

    def _signed(self) -> Published | None:
        """The head of the log as it is now, signed and kept; `None` where nothing may be signed, or is there."""
        tree, last = self._leaves.tree(), self._heads.signed()
        if last is not None and tree.size < last.size:
            self.trouble = f"{last.size} entries were signed, and only {tree.size} have been read from the ledger yet"
            return None
        if last is not None and last.size and tree.root(last.size) != last.root:
            self._say(f"the ledger that is read does not continue the {last.size} entries that were signed before")
            self._meter.count("log-forked")
            return None
        self.trouble = None
        if not tree.size:
            return None
        with self._changed:
            found = next((each for each in self._kept if each.head.size == tree.size), None)
        if found is not None:
            return found
        head = Head(tree.size, tree.root())
        note = notes.sign(Checkpoint(self.origin, head.size, head.root).format(), *self._signers)
        published = Published(head, note, ())
        self._heads.sign(published)  # on the disk before anybody sees it
        with self._changed:
            self._kept = serving([published, *self._kept])
        return published

    def _say(self, trouble: str) -> None:
        if self.trouble != trouble:
            _LOG.critical("nothing is signed: %s", trouble)
        self.trouble = trouble

    # -- witnesses --------------------------------------------------------------------------------------------------

    def _due(self) -> Sequence[Sequence[Standing]]:
        """Those that are to be asked now; those at one address together, one after the other."""
        asked = {(each.url, each.name): each for each in self._asked()}
        with self._changed:
            for place in self._standings.keys() - asked.keys():
                del self._standings[place]
            for place, each in asked.items():
                self._standings.setdefault(place, Standing(each)).asked = each
            now = time.monotonic()
            at: dict[str, list[Standing]] = defaultdict(list)
            for standing in sorted(self._standings.values(), key=lambda one: one.mirror):
                at[standing.asked.url].append(standing)
            idle = (some for some in at.values() if all(one.answer is None or one.answer.done() for one in some))
            return [[one for one in some if not one.trouble or one.due <= now] for some in idle]

    def _begin(self, some: Sequence[Standing], head: Head) -> "Future[None] | None":
        with self._changed:
            published = next((each for each in self._kept if each.head == head), None)
        if published is None:
            return None
        wanted = [each for each in some if each.asked.name not in published.witnesses]
        if not wanted:
            return None
        with self._changed:  # what comes of it is not noted before it is known to be under way
            try:
                answer = self._pool.submit(self._ask_each, wanted, published, self._renewals)
            except RuntimeError:  # the gateway stops
                return None
            for each in wanted:
                each.answer = answer
        return answer

    def _ask_each(self, some: Sequence[Standing], published: Published, renewals: int) -> None:
        """Runs in a thread of the pool."""
        for each in some:
            self._ask(each, published, renewals)

    def _ask(self, standing: Standing, published: Published, renewals: int) -> None:
        tree, own = self._leaves.tree(), {each.key for each in self._signers[:1]}
        try:
            answer = cosignatures(
                self._witnesses, standing.asked, Request(published, tree, own, standing.cosigned, standing.mirror)
            )
        except (PortError, TlogError, WitnessRefused) as exc:
            self._failed(standing, exc, published, renewals)
            return
        except Exception as exc:
            _LOG.exception("asking a witness failed")
            self._failed(standing, exc, published, renewals)
            return
        with self._changed:
            standing.trouble, standing.pause, standing.cosigned = None, 0.0, published.head.size
            standing.mirror = answer.mirror
            name, lines = standing.asked.name, answer.lines
            self._kept = serving([_with(each, published.head, name, lines) for each in self._kept])
            kept = tuple(self._kept)
        if self._leads():
            self._heads.keep(kept)

    def _failed(self, standing: Standing, exc: Exception, published: Published, renewals: int) -> None:
        refused = isinstance(exc, WitnessRefused | TlogError)
        trouble = str(exc)
        with self._changed:
            known, standing.trouble = standing.trouble == trouble, trouble
            if renewals == self._renewals:  # what was asked under the policy before counts no more
                standing.pause = min(max(_FIRST_PAUSE, 2 * standing.pause), _LONGEST_PAUSE)
                standing.due = time.monotonic() + standing.pause
            self._changed.notify_all()
        self._meter.count("witness-refused" if refused else "witness-unavailable")
        if known:
            return
        name = standing.asked.name
        if refused:
            _LOG.critical("the witness %s refuses our checkpoint of %d entries: %s", name, published.head.size, trouble)
            self._heads.refuse(Refusal(self.origin, self._clock(), f"{name}: {trouble}", published.note))
        else:
            _LOG.warning("the witness %s has not cosigned: %s", name, trouble)


def _with(published: Published, head: Head, name: str, added: Sequence[NoteSignature]) -> Published:
    """The checkpoint with a witness's lines, where it is of this head."""
    if published.head != head or name in published.witnesses:
        return published
    note = notes.parse(published.note).with_signatures(*added).format()
    return Published(head, note, (*published.witnesses, name))
