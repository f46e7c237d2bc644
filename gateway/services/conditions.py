# SPDX-License-Identifier: Apache-2.0
"""What can be asked of entries of the read model, and in which order the answers come.

A question is a list of conditions that all hold. Answers come in the order in which entries were first written to the
ledger; where names or times are asked for by range, in the order of names, else of times.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

NAME: Final = "name"
"""The name by which a record is referred to, as a range asks for it."""
CREATED: Final = "created"
"""When an entry was first written, in milliseconds since 1970, as the transaction says."""

ANY_KIND: Final = ""
"""The kind under which attributes stand that are looked up whatever the kind of their entry."""
REFERENCE: Final = "reference"
DIGEST: Final = "digest"
WORD: Final = "word"
"""The attributes that are under `ANY_KIND`."""
LAST_CHARACTER: Final = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class OneOf:
    """An attribute has one of these values."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Begins:
    """A word or a digest of the entry begins so; each pair is an attribute's name and the text.

    A store looks at no more than `MOST_BEGINNINGS` values that begin so.
    """

    name: str
    text: str
    others: tuple[str, ...] = ()
    """Other attributes of which a value may begin so instead."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every attribute that is looked at."""
        return (self.name, *self.others)


@dataclass(frozen=True, slots=True)
class Within:
    """`NAME` or `CREATED` is at least `low` and below `high`."""

    name: str
    low: str | int
    high: str | int | None


@dataclass(frozen=True, slots=True)
class OfKinds:
    """The entry is of one of these kinds, where a question is about entries of any kind."""

    kinds: tuple[str, ...]


MOST_BEGINNINGS: Final = 32
Condition = OneOf | Begins | Within | OfKinds
Conditions = tuple[Condition, ...]
Where = Mapping[str, str | tuple[str, ...]] | Conditions
"""What is asked of entries: conditions, or for each attribute its text or several of which it has one."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How many entries are as asked for; where that is not `exact`, there are more, or may be."""

    count: int
    exact: bool


def conditions(where: Where) -> Conditions:
    """The same as conditions."""
    if isinstance(where, tuple):
        return where
    return tuple(OneOf(name, (value,) if isinstance(value, str) else value) for name, value in where.items())


def prefixed(text: str) -> Within:
    """Names that begin so."""
    return Within(NAME, text, text + LAST_CHARACTER)
