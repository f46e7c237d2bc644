# SPDX-License-Identifier: Apache-2.0
"""What the owner keeps of deliveries: who came for what, what they were given, and how it ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


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
    """Bytes that were sent, in all requests together."""
    outcome: str
    """`open`, `complete`, or the code of what was refused."""


class DeliveryLog(Protocol):
    """Keeps deliveries, and the nonces that were taken; thread-safe. What returned would survive a power cut."""

    def refused(self, asked: Asked, code: str) -> None:
        """Note that nothing was given out, and why."""
        ...

    def begin(self, asked: Asked, token: bytes, blob_id: bytes, total: int, until: float) -> bool:
        """Begin a delivery under the hash of a token; False, and nothing begun, where its nonce was taken before."""
        ...

    def find(self, token: bytes) -> Delivery | None:
        """The delivery under the hash of a token."""
        ...

    def sent(self, key: int, count: int, *, complete: bool) -> None:
        """Note that so many bytes more were sent, and whether the last of them was among these."""
        ...

    def is_used(self, attempt: str) -> bool:
        """Whether all that an attempt allowed was given out."""
        ...

    def list(self, *, before: int | None, limit: int) -> Sequence[Delivery]:
        """Deliveries and refusals, the last one first, those before a key."""
        ...
