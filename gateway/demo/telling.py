# SPDX-License-Identifier: Apache-2.0
"""What the story prints: each line says what was checked, or what was refused and with which code."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

from pedigree import Recorded, Refused


class Disagreement(Exception):
    """A step came out otherwise than it should."""


def expect(holds: bool, otherwise: str) -> None:
    """Stop the story unless `holds`."""
    if not holds:
        raise Disagreement(otherwise)


class Telling:
    """Prints what was done and checked."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def say(self, what: str, recorded: Recorded[object]) -> None:
        """What was recorded, and where it stands."""
        self.console.print(
            f"   [green]✓[/] {what}\n     [dim]transaction {recorded.transaction_id[:16]}…  block {recorded.block}"
            f"  {recorded.seconds * 1000:.0f} ms[/]"
        )

    def note(self, what: str) -> None:
        """What was checked."""
        self.console.print(f"   [green]✓[/] {what}")

    def found_out(self, what: str, why: str) -> None:
        """What was altered in evidence, and the sentence with which that is refused."""
        self.console.print(f"   [yellow]✗[/] altered: {what}\n     [dim]{escape(why)}[/]")

    def denied(self, what: str, reason: str, recorded: Recorded[object]) -> None:
        """What was denied: the denial is a record itself."""
        self.console.print(
            f"   [yellow]✗[/] {what} is denied: {escape(reason)}\n"
            f"     [dim]transaction {recorded.transaction_id[:16]}…  block {recorded.block}[/]"
        )

    def refused(self, what: str, attempt: Callable[[], object]) -> str:
        """Attempt what has to be refused; answers the code, and stops the story where it is accepted."""
        started = time.monotonic()
        try:
            attempt()
        except Refused as refusal:
            spent = (time.monotonic() - started) * 1000
            self.console.print(
                f"   [yellow]✗[/] {what} is refused: {refusal.code}\n     [dim]{refusal.detail}  {spent:.0f} ms[/]"
            )
            return refusal.code
        raise Disagreement(f"{what} was accepted")


@contextmanager
def timed(console: Console, number: int, title: str) -> Iterator[None]:
    """Announce a step and say how long it took."""
    console.print(f"\n[bold]{number}  {title}[/]")
    started = time.monotonic()
    yield
    console.print(f"   [dim]step {number} took {time.monotonic() - started:.1f} s[/]")
