# SPDX-License-Identifier: Apache-2.0
"""What a controller keeps of its consent maps, and what it promises across a crash.

The ledger decides which version a map has; the store only ever follows it:

1.  Changes are kept as a draft, on disk, before the ledger is asked to record them.
2.  A draft becomes a version when the ledger is seen to hold a version with its number and its root, in one
    transaction of the store's own. A process that died in between leaves this to the next one that looks.
3.  Where no draft leads to the ledger's version, another gateway of the organisation made it. The changes are in the
    transaction, by references; they are taken where they lead to the ledger's root. Whose references they are, only
    that gateway knows: until it is known here too, nobody can be brought into the map.
4.  A version is never changed, and a draft whose base has a successor on the ledger can never become one: it goes.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.services.failures import Category, PortError
from gateway.services.statustree import Leaf, Path


@dataclass(frozen=True, slots=True)
class MapState:
    """A version of a map."""

    number: int
    """From 1, which is the map as it was opened; 0 for one that would be opened."""
    root: bytes
    size: int
    """How many subjects are in it."""


@dataclass(frozen=True, slots=True)
class Step:
    """One change of a draft, as it was found when those before it were made."""

    reference: bytes
    path: Path
    value: bytes

    @property
    def before(self) -> bytes | None:
        """The value before the change; `None` for a subject that was not in the map."""
        return self.path.value_of(self.reference)


@dataclass(frozen=True, slots=True)
class Draft:
    """Changes that were kept for the version after `base`."""

    base: MapState
    steps: tuple[Step, ...]
    root: bytes
    size: int


class MapUnknown(PortError):
    """This gateway keeps no consent map of that data set."""

    code = "consent-map-not-held"
    category = Category.NOT_FOUND


class MapBehind(PortError):
    """The ledger holds a version of the map that this gateway has no changes for."""

    code = "consent-map-behind"
    category = Category.CONFLICT


class SubjectsElsewhere(PortError):
    """Another gateway of this organisation brought subjects into the map whose ids are not here.

    A subject that is not known here may be one of them, who must not come into the map a second time.
    """

    code = "consent-subjects-elsewhere"
    category = Category.CONFLICT


class StatusMaps(Protocol):
    """Consent maps with all their versions, and the references of the subjects in them; thread-safe.

    What is written survives a power cut when the call returns.
    """

    def references(self, dataset: str, subjects: Sequence[str]) -> list[bytes]:
        """The reference of each subject, 32 random bytes that are drawn the first time it is asked for.

        Raises `SubjectsElsewhere` where one would be drawn that another gateway may have drawn already.
        """
        ...

    def reference(self, dataset: str, subject: str) -> bytes | None:
        """The reference of a subject; `None` where none was drawn."""
        ...

    def collect(self, dataset: str, values: Iterable[Leaf]) -> None:
        """Keep values that are to come into the map.

        Of several for a reference the one that was indicated last holds, and of the same instant the one given last.
        """
        ...

    def collected(self, dataset: str) -> Iterator[Leaf]:
        """What was collected and is in no version of the map, in the order of references."""
        ...

    def build(self, dataset: str) -> MapState:
        """The map of all that was collected, as it would be opened: number 0."""
        ...

    def head(self, dataset: str) -> MapState | None:
        """The last version that the ledger is known to hold; `None` where it is not known to hold any."""
        ...

    def draft(self, dataset: str, base: int, changes: Sequence[Leaf]) -> Draft:
        """Keep changes for the version after `base`; each of its steps is as the ledger wants to see it.

        Raises `MapUnknown` where `base` is not a version of the map that is here, and `SubjectsElsewhere` where they
        bring a subject into it whom another gateway may have brought into it already.
        """
        ...

    def drafted(self, dataset: str, base: int, root: bytes) -> Sequence[Leaf] | None:
        """The changes of a draft; `None` where there is no such draft."""
        ...

    def settle(self, dataset: str, number: int, root: bytes, changes: Sequence[Leaf] | None = None) -> MapState:
        """Follow the ledger, which holds this version; nothing happens where it is here already.

        Args:
            changes: those that the ledger's transaction names, where no draft leads to it.

        Raises `MapBehind` where neither leads to it, or where a version before it is not here.
        """
        ...

    def values(self, dataset: str, number: int, references: Sequence[bytes]) -> list[bytes | None]:
        """What each of these references has in a version of the map, `None` where it is not in it.

        Raises `MapUnknown`.
        """
        ...

    def find(self, dataset: str, number: int, reference: bytes) -> Path:
        """The way to a reference in a version of the map; raises `MapUnknown`."""
        ...

    def history(self, dataset: str, reference: bytes, limit: int) -> tuple[list[tuple[int, bytes]], int]:
        """The last changes of a reference, newest first, each with the version that made it; and how many there are.

        Raises `MapUnknown` where no map is open.
        """
        ...

    def state(self, dataset: str, number: int) -> MapState:
        """A version of the map; raises `MapUnknown`."""
        ...
