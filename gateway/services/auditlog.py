# SPDX-License-Identifier: Apache-2.0
"""The audit log: what this gateway refused, and what failed, as a chain of entries that grows and never changes.

An entry is canonical JSON that names the hash of the one before. Its own hash, ``SHA-256(00 ‖ entry)``, is a leaf of
the Merkle tree over the log (RFC 6962), whose root is anchored on the ledger (`auditanchors.py`). An entry says who was
refused what and why; no body, no secret and no word of the caller's is in it.

Who is refused too often is counted: a client has some entries at once and a few a minute after that, and what goes
beyond them is one entry a minute for each reason, with their number. So nobody fills the disk by being refused.

What a crash leaves: an entry is with the operating system before the refusal is answered, whole or not at all, and
outlives the process. It is on the disk within a second, and before anything is anchored. Only numbers that are not an
entry yet end with the process.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple, Protocol

from chaincode.domain import canonical, merkle
from gateway.services.monotonic import SYSTEM, Monotonic
from gateway.services.ports import Clock, Json, Meter, PortError

_LOG = logging.getLogger(__name__)
REFUSED: Final = "refused"
"""The caller may not, or said something wrong."""
FAILED: Final = "failed"
"""The gateway, a peer or the ledger could not do it."""
BURST: Final = 240
"""Entries that a client may have at once."""
REGAINED: Final = 4 / 60
"""Entries that it may have again, a second."""
PERIOD: Final = 60.0
"""Seconds for which refusals beyond that are counted before their number is an entry."""
_CODES: Final = 3
"""Reasons that are counted apart for a client in one period."""
OTHER: Final = "other"
"""Stands for all further ones."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refused or failed attempt."""

    client: str | None
    """What the ledger calls the client (32 hexadecimal digits); `None` where nobody is known to have called."""
    operation: str | None
    """What was asked for, by its name; `None` where that is not an operation."""
    outcome: str
    """`REFUSED` or `FAILED`."""
    code: str
    """The permanent code of what was answered."""
    target: str | None = None
    """The reference of the record that it is about, where it names one."""
    request: str | None = None
    """The id under which it was answered."""


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """An entry, and what it can be found by."""

    number: int
    """1 for the first one."""
    content: bytes
    at: int
    """Milliseconds since 1970."""
    refusal: Refusal

    @property
    def hash(self) -> bytes:
        """The hash of its leaf."""
        return merkle.leaf_hash(self.content)


@dataclass(frozen=True, slots=True)
class Anchor:
    """What is, or is to be, committed to on the ledger."""

    number: int
    size: int
    root: bytes
    transaction_id: str | None = None
    """`None` until it is there."""
    block: int | None = None


@dataclass(frozen=True, slots=True)
class Sought:
    """What is asked of entries, all of it; `None` where nothing is asked."""

    client: str | None = None
    """Empty for those whom nobody knows."""
    operation: str | None = None
    outcome: str | None = None
    code: str | None = None
    target: str | None = None
    since: int | None = None
    before: int | None = None
    """Milliseconds since 1970."""


class AuditStore(Protocol):
    """Keeps the entries and the anchors of one audit log; thread-safe."""

    def append(self, make: Callable[[int, bytes | None], StoredEntry]) -> None:
        """Keep the entry that is made of its number and the hash of the one before; it outlives the process then.

        Raises `StorageFull` and `StorageFailed`.
        """
        ...

    def sync(self) -> None:
        """Return when all that was kept would survive a power cut."""
        ...

    def size(self) -> int:
        """How many entries there are."""
        ...

    def hashes(self, first: int) -> Iterable[bytes]:
        """The hashes of the entries from a number on, in their order."""
        ...

    def content(self, number: int) -> bytes | None:
        """An entry; `None` where there is none of that number."""
        ...

    def contents(self) -> Iterator[bytes]:
        """All entries that there are now, in their order."""
        ...

    def listed(self, sought: Sought, *, below: int | None, limit: int) -> tuple[list[bytes], int | None]:
        """Entries below a number that are as is asked, the last first; and below which number to go on, if at all.

        What one call looks at is bounded: there may be fewer than `limit`, or none, and more to come all the same.
        """
        ...

    def anchors(self) -> tuple[Anchor | None, Anchor | None]:
        """The last anchor that is on the ledger, and the one that is to be there next."""
        ...

    def keep_anchor(self, anchor: Anchor) -> None:
        """Keep an anchor; returns when it would survive a power cut.

        One that is on the ledger takes the place of what was kept under its number; one that is not yet does so only
        where nothing was.
        """
        ...


class _Counted(NamedTuple):
    """Refusals that have no entry each."""

    attempts: int
    since: int


class _Allowance:
    """How many entries a client may have just now."""

    __slots__ = ("_at", "_left")

    def __init__(self, now: float) -> None:
        self._left, self._at = float(BURST), now

    def take(self, now: float) -> bool:
        """Use one of them, if there is one."""
        self._left = min(BURST, self._left + (now - self._at) * REGAINED)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class AuditLog:
    """Notes refusals; thread-safe."""

    def __init__(
        self, store: AuditStore, *, organisation: str, clock: Clock, meter: Meter, monotonic: Monotonic = SYSTEM
    ) -> None:
        self.store = store
        self._organisation = organisation
        self._clock = clock
        self._meter = meter
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._allowances: dict[str | None, _Allowance] = {}
        """By clients that have a key here, and one for all who have none."""
        self._counted: dict[tuple[str | None, str, str], _Counted] = {}
        self._due = 0.0
        """When what is counted becomes entries (monotonic)."""
        self._unsynced = False
        self._tree = merkle.Tree()
        self._growing = threading.Lock()

    def note(self, refusal: Refusal) -> None:
        """Keep a refusal, or count it; a log that cannot be written keeps nobody from being answered."""
        now, at = self._monotonic.now(), self._now()
        with self._lock:
            allowance = self._allowances.get(refusal.client)
            if allowance is None:
                allowance = self._allowances[refusal.client] = _Allowance(now)
            if not allowance.take(now):
                self._count(refusal, now, at)
                return
        self._append(refusal, _Counted(1, at))

    def settle(self, *, everything: bool = False) -> None:
        """Make entries of what was counted, where its period is over, or of `everything`."""
        with self._lock:
            if not self._counted or not (everything or self._monotonic.now() >= self._due):
                return
            counted, self._counted = self._counted, {}
        for (client, outcome, code), each in counted.items():
            self._append(Refusal(client, None, outcome, code), each)

    def sync(self) -> None:
        """Return when every entry would survive a power cut; raises `StorageFailed`."""
        if self._unsynced:
            self._unsynced = False
            self.store.sync()

    def tree(self) -> merkle.Tree:
        """The Merkle tree over the entries; it only grows, and may have grown further than an earlier size."""
        with self._growing:
            self._tree.extend(b"".join(self.store.hashes(self._tree.size + 1)))
            return self._tree

    def _count(self, refusal: Refusal, now: float, at: int) -> None:
        self._meter.count("audit_counted")
        if not self._counted:
            self._due = now + PERIOD
        key = refusal.client, refusal.outcome, refusal.code
        if key not in self._counted and sum(client == refusal.client for client, *_ in self._counted) >= _CODES:
            key = refusal.client, refusal.outcome, OTHER
        found = self._counted.get(key, _Counted(0, at))
        self._counted[key] = _Counted(found.attempts + 1, found.since)

    def _append(self, refusal: Refusal, counted: _Counted) -> None:
        def make(number: int, previous: bytes | None) -> StoredEntry:
            return self._entry(number, previous, refusal, counted)

        try:
            self.store.append(make)
            self._unsynced = True
            self._meter.count("audit_entries")
        except PortError as exc:
            self._meter.count("audit_lost")
            _LOG.error(
                "the audit log cannot be written (%s): lost %d of %s %s %s by %s about %s",
                exc.message, counted.attempts, refusal.outcome, refusal.code, refusal.operation, refusal.client,
                refusal.target,
            )  # fmt: skip

    def _entry(self, number: int, previous: bytes | None, refusal: Refusal, counted: _Counted) -> StoredEntry:
        at = self._now()
        members: Json = {
            "number": number,
            "previous": None if previous is None else previous.hex(),
            "at": instant(at),
            "since": instant(counted.since) if counted.attempts > 1 else None,
            "count": counted.attempts,
            "organisation": self._organisation,
            "client": refusal.client,
            "operation": refusal.operation,
            "target": refusal.target,
            "outcome": refusal.outcome,
            "code": refusal.code,
            "request": refusal.request,
        }
        said = {name: value for name, value in members.items() if value is not None}
        return StoredEntry(number, canonical.encode(said), at, refusal)

    def _now(self) -> int:
        return int(self._clock() * 1_000)


def instant(milliseconds: int) -> str:
    """An instant as RFC 3339 writes it, in UTC."""
    return datetime.fromtimestamp(milliseconds / 1_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
