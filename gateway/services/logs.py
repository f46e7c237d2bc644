# SPDX-License-Identifier: Apache-2.0
"""The transparency log that each organisation's gateway is: what it holds, and what is kept of it and of others' logs.

What an entry is, `gateway.tlog.entries` says. Every
organisation reads the same chain and so comes to the same entries in the same order, and to the same root for a size.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.services.tiles import TiledTree
from gateway.tlog.keys import Verifier
from gateway.tlog.notes import Key

TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 1 << TILE_HEIGHT
"""Hashes, or entries, that are kept together (C2SP tlog-tiles)."""


@dataclass(frozen=True, slots=True)
class Head:
    """The size and root of a log."""

    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Published:
    """A checkpoint of our own log that was given out."""

    head: Head
    note: bytes
    """As a signed note (C2SP signed-note), with the log's signature and every cosignature that was collected."""
    witnesses: tuple[str, ...]
    """Names of those that cosigned it."""


@dataclass(frozen=True, slots=True)
class SignedHead:
    """A checkpoint of another organisation's log."""

    head: Head
    note: bytes
    """As a signed note, with the log's signature."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A checkpoint that was found to fork a log, or that a witness refused; kept as evidence."""

    origin: str
    """Of the log."""
    at: float
    """Seconds since the epoch."""
    why: str
    note: bytes
    """The checkpoint."""


class Leaves(Protocol):
    """Our log's entries and tree, as the blocks that were read have them; thread-safe."""

    def size(self) -> int:
        """How many entries there are."""
        ...

    def tree(self) -> TiledTree:
        """The Merkle tree, as of now."""
        ...

    def tile(self, level: int, number: int) -> bytes:
        """Hashes of a tile, fewer than 256 where it is the last of its level; empty where there is none."""
        ...

    def entries(self, first: int, count: int) -> bytes:
        """Entries, joined, from one on; fewer where the log ends."""
        ...

    def number_of(self, transaction_id: str) -> int | None:
        """The place of a transaction in the log; `None` where it has none."""
        ...


class Heads(Protocol):
    """What must outlive everything that can be rebuilt: which heads were signed. What is kept survives a power cut."""

    def signed(self) -> Head | None:
        """The head of our own log that was signed last."""
        ...

    def sign(self, published: Published) -> None:
        """Keep a head as the one signed last, and its checkpoint; before anybody sees it."""
        ...

    def keep(self, published: Sequence[Published]) -> None:
        """Keep these checkpoints and forget all others; this may be a moment late, for each can be asked for again."""
        ...

    def published(self) -> Sequence[Published]:
        """The checkpoints that are kept, the largest first."""
        ...

    def witnessed(self, origin: str) -> Head | None:
        """The head of another log that was cosigned last, or below which none is ever to be."""
        ...

    def witness(self, origin: str, old: int, head: Head, note: bytes | None = None) -> bool:
        """Keep a head as the one cosigned last, where that had the size `old` (0 where there was none) until now.

        Answers whether it had; nothing is kept otherwise. `note` is the checkpoint, where the log has signed one.
        """
        ...

    def pending(self, origin: str) -> SignedHead | None:
        """The checkpoint that was cosigned last, where the log has signed it."""
        ...

    def mirrored(self, origin: str) -> SignedHead | None:
        """The checkpoint up to which another log is mirrored, with the mirror's lines."""
        ...

    def mirror(self, origin: str, found: SignedHead) -> bool:
        """Keep a checkpoint as the one up to which a log is mirrored; never one of fewer entries than the last.

        Answers whether it is kept.
        """
        ...

    def refuse(self, refusal: Refusal) -> bool:
        """Keep a checkpoint that was refused: the first of a log, and the last ones.

        Answers whether it is a new one; one that is kept already is left as it is, whatever is said of it now.
        """
        ...

    def refusals(self) -> Sequence[Refusal]:
        """Those that are kept, the latest first."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """A witness that is asked for cosignatures."""

    name: str
    """The name that its signature lines bear."""
    url: str
    """Where `add-checkpoint` is below."""
    verifiers: Mapping[Key, Verifier]
    origins: frozenset[str] = frozenset()
    """The logs at the same address: the gateway that publishes them is this witness too."""


class AnotherSize(Exception):
    """A witness last cosigned another size than the one that the proof begins at."""

    def __init__(self, size: int) -> None:
        super().__init__(f"it has cosigned {size} entries")
        self.size = size


class WitnessRefused(Exception):
    """A witness will not cosign a checkpoint; the text says why."""


class Witnesses(Protocol):
    """Other organisations' witnesses and mirrors; thread-safe."""

    def add_checkpoint(self, url: str, submission: bytes) -> bytes:
        """The signature lines that a witness answers.

        Raises `AnotherSize`, `WitnessRefused`, and `Unavailable` where it cannot be asked, or not now.
        """
        ...

    def add_entries(self, url: str, upload: bytes) -> bytes:
        """The signature lines that a mirror answers.

        Raises `WitnessRefused`, where it is not a mirror or needs another upload too, and `Unavailable`.
        """
        ...


def serving(published: Iterable[Published]) -> list[Published]:
    """Those that serve some entry better than all others, the largest first.

    From the largest down: one that no more witnesses cosigned than a larger one serves no entry better.
    """
    kept: list[Published] = []
    for each in sorted(published, key=lambda one: one.head.size, reverse=True):
        if not kept or len(each.witnesses) > len(kept[-1].witnesses):
            kept.append(each)
    return kept
