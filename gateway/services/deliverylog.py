# SPDX-License-Identifier: Apache-2.0
"""What the owner keeps of deliveries: who came for what, what they were given, and how it ended."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

MOST_BEGUN: Final = 8
"""Deliveries that may be begun under one attempt, one after another."""
MOST_RANGES: Final = 64
"""Ranges that are kept of a delivery; the smallest gaps between more of them count as given."""
OPEN: Final = "open"
COMPLETE: Final = "complete"
REPLACED: Final = "replaced"
"""Another delivery was begun under the same attempt; this one gives nothing any more."""
ENDED: Final = "ended"
"""Its time was over before all of it was given."""
Range = tuple[int, int]
"""The first byte and the one after the last."""


class Begun(StrEnum):
    """What became of a delivery that was to begin."""

    BEGUN = "begun"
    REPEATED = "repeated"
    """Its nonce was taken before."""
    USED = "used"
    """Everything that the attempt allows was given out."""
    TOO_OFTEN = "too-often"
    """As many were begun under the attempt as may be."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks, for which attempt."""

    attempt: str
    organisation: str
    """The MSP id of the grantee, whose signature was checked."""
    signer: str
    """SHA-256 of the certificate or public key that signed, in hex."""
    nonce: str
    at: float
    """When it was asked, seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery as the log has it."""

    key: int
    asked: Asked
    blob_id: bytes
    """What is given out; empty where nothing is."""
    total: int
    """Bytes of all of it."""
    until: float
    """When the last part of it may begin, seconds since 1970."""
    sent: int
    """Bytes that were sent, in all requests together; never less than was sent."""
    outcome: str
    """`open`, `complete`, `replaced`, `ended`, or the code of what was refused."""
    given: tuple[Range, ...] = ()
    """Which bytes were given out; what a process that died may have sent is among them."""


class DeliveryLog(Protocol):
    """Keeps deliveries, and the nonces that were taken; thread-safe. What returned would survive a power cut."""

    def refused(self, asked: Asked, code: str) -> None:
        """Note that nothing was given out, and why."""
        ...

    def begin(self, asked: Asked, token: bytes, blob_id: bytes, total: int, until: float) -> Begun:
        """Begin a delivery under the hash of a token, in the place of those that are open under the same attempt.

        Nothing is begun, and nothing replaced, where the answer is another than `BEGUN`.
        """
        ...

    def find(self, token: bytes) -> Delivery | None:
        """The delivery under the hash of a token."""
        ...

    def promise(self, key: int, part: int | None, start: int, stop: int) -> int | None:
        """Note that bytes are about to be sent, before any of them is; the part, or `None` where nothing may be.

        Args:
            key: of the delivery; one that was replaced gives nothing more.
            part: of the same request, to say how far it goes now; `None` for a request that begins.
        """
        ...

    def sent(self, key: int, part: int, stop: int, most: int) -> None:
        """Note up to where a part was sent, and how far it may have been.

        A delivery is complete when all of it was sent, in this one and in those that it took the place of.

        Args:
            most: the byte after the last that may have left before the connection broke; `stop` where none did.
        """
        ...

    def is_used(self, attempt: str) -> bool:
        """Whether all that an attempt allowed was given out."""
        ...

    def list(self, *, before: int | None, limit: int) -> Sequence[Delivery]:
        """Deliveries and refusals, the last one first, those before a key."""
        ...

    def end_old(self, now: float, most: int) -> int:
        """End deliveries that are open though their time is over, and that nobody reads; how many, at most `most`."""
        ...

    def forget_nonces(self, now: float, most: int) -> int:
        """Forget nonces of statements that are stale in any case; how many."""
        ...

    def forget_refusals(self, before: float, kept: int, most: int) -> int:
        """Forget refusals from before a time, and the oldest where there are more than `kept`; how many.

        What was given out is never forgotten.
        """
        ...


def joined(ranges: Iterable[Range]) -> list[Range]:
    """Ranges without those that touch or overlap, in their order; empty ones are left out."""
    found: list[Range] = []
    for start, stop in sorted(each for each in ranges if each[0] < each[1]):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(stop, found[-1][1])
        else:
            found.append((start, stop))
    return found


def bounded(ranges: Iterable[Range], most: int = MOST_RANGES) -> list[Range]:
    """Ranges as `joined` has them, `most` at the most: the smallest gaps are counted to them."""
    found = joined(ranges)
    gaps = sorted(range(1, len(found)), key=lambda at: found[at][0] - found[at - 1][1])
    closed = set(gaps[: max(0, len(found) - most)])
    kept: list[Range] = []
    for at, (start, stop) in enumerate(found):
        if at in closed:
            kept[-1] = kept[-1][0], stop
        else:
            kept.append((start, stop))
    return kept


def shown(delivery: Delivery) -> dict[str, Any]:
    """A delivery as its owner lists it."""
    return {
        "attempt": delivery.asked.attempt,
        "organisation": delivery.asked.organisation,
        "signer": delivery.asked.signer,
        "at": int(delivery.asked.at * 1_000),
        "blob": delivery.blob_id.hex() or None,
        "sealed_size": delivery.total,
        "sent": delivery.sent,
        "given": [{"start": start, "stop": stop} for start, stop in delivery.given],
        "outcome": delivery.outcome,
    }
