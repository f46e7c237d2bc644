# SPDX-License-Identifier: Apache-2.0
"""How the verdicts on evidence are written, for people and for programs."""

from collections.abc import Sequence
from typing import Final, Protocol

SAID: Final = "The file says, and nothing here shows it:"
RECORDED: Final = "Said by the ledger's version that you gave:"
NOT_PROVEN: Final = "Not proven:"


class Shown(Protocol):
    """What every verdict on evidence says."""

    @property
    def proven(self) -> tuple[str, ...]:
        """What the hashes show."""

    @property
    def recorded(self) -> tuple[str, ...]:
        """What the ledger's answer adds that the caller gave."""

    @property
    def said(self) -> tuple[str, ...]:
        """What only the file says."""

    @property
    def not_proven(self) -> tuple[str, ...]:
        """What nobody has shown."""


def text_of(summary: str, verdict: Shown, shown: str, *first: tuple[str, Sequence[str]]) -> str:
    """A verdict for people: in one line, and then in lists with their titles; what is empty is left out.

    Args:
        shown: the title of what is proven.
        first: lists that come before it, with their titles.
    """
    parts = (
        *first,
        (shown, verdict.proven),
        (RECORDED, verdict.recorded),
        (SAID, verdict.said),
        (NOT_PROVEN, verdict.not_proven),
    )
    lines = (line for title, items in parts if items for line in (title, *(f"  - {item}" for item in items)))
    return "\n".join([summary, *lines])


def lists_of(verdict: Shown) -> dict[str, list[str]]:
    """The lists of a verdict for programs."""
    return {
        "proven": list(verdict.proven),
        "recorded": list(verdict.recorded),
        "said": list(verdict.said),
        "not_proven": list(verdict.not_proven),
    }
