# SPDX-License-Identifier: Apache-2.0
"""What the owner keeps of reads that had no transaction each, and of the lists that it commits to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Kept:
    """A read as it is kept."""

    key: int
    leaf: bytes
    """Its canonical JSON, as it was written."""
    batch: int | None
    """The list that it is in; None while it waits for one."""
    index: int | None
    """Its place there."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A list of reads, and what commits to it."""

    number: int
    root: bytes
    size: int
    since: int
    """When the first of them was, milliseconds since 1970."""
    until: int
    """When the last of them was."""


class ReadLog(Protocol):
    """Keeps reads in their order; thread-safe. What returned would survive a power cut."""

    def keep(self, leaf: bytes, grant: str) -> None:
        """Keep a read; it waits for a list."""
        ...

    def waiting(self, limit: int) -> Sequence[Kept]:
        """Those that no list has, the first ones first."""
        ...

    def close(self, batch: Batch, reads: Sequence[Kept]) -> None:
        """Make a list of these, in this order; it is not known yet whether the ledger has it."""
        ...

    def open_batch(self) -> Batch | None:
        """The list that was made and is not known to be on the ledger."""
        ...

    def renumber(self, batch: Batch, number: int) -> None:
        """Give such a list another number."""
        ...

    def anchored(self, number: int) -> None:
        """Note that the ledger has a list."""
        ...

    def last_number(self) -> int:
        """The number of the last list; 0 where there is none."""
        ...

    def of_batch(self, number: int) -> Sequence[bytes]:
        """The leaves of a list, in their order."""
        ...

    def list(self, *, before: int | None, grant: str | None, limit: int) -> Sequence[Kept]:
        """Reads, the last one first, those before a key."""
        ...

    def following(self, after: int, *, grant: str | None, limit: int) -> Sequence[Kept]:
        """Reads, the first one first, those after a key."""
        ...

    def take(self, organisation: str, nonce: str, at: float) -> bool:
        """Note that a nonce was taken; False where it was taken before."""
        ...
