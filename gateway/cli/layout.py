# SPDX-License-Identifier: Apache-2.0
"""How records and lists are laid out for people, in as many columns as the terminal has."""

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from textwrap import TextWrapper
from typing import Any, Final

import click

from gateway.printable import plain

WIDTH_OF_A_PIPE: Final = 160
"""Columns where the output is not a terminal and COLUMNS says nothing."""
_INSTANTS: Final = frozenset({"at", "since", "started", "finished", "ended", "collected_from", "collected_until"})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_SHOWN: Final = 200
_MOST_SHOWN: Final = 20
_ON_ONE_LINE: Final = 60
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\+00:00")
_GAP: Final = 2


def width() -> int:
    """Columns of the terminal, or what COLUMNS says there are."""
    said = os.environ.get("COLUMNS", "")
    if said.isdigit() and int(said):
        return int(said)
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or WIDTH_OF_A_PIPE
    except (OSError, ValueError):  # a pipe, a file, or a stream that a program put in place of either
        return WIDTH_OF_A_PIPE


def table(rows: Sequence[Mapping[str, Any]], *columns: str) -> None:
    """Print rows under column names; where there is no room, digests are cut to 16 digits and times to seconds."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    cells = [[plain("\n".join(_lines(column, row.get(column, "")))) for column in columns] for row in rows]
    room = width()
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    if sum(widths) + _GAP * (len(columns) - 1) > room:
        cells = [[_cut(cell) for cell in row] for row in cells]
    printed = Table(box=None, pad_edge=False)
    for column in columns:
        printed.add_column(column, overflow="fold")
    for row_of_cells in cells:
        printed.add_row(*map(Text, row_of_cells))
    Console(highlight=False, width=room).print(printed)


def _cut(cell: str) -> str:
    """What is enough of a digest or a time to know it by."""
    if _DIGEST.fullmatch(cell):
        return f"{cell[:16]}…"
    return f"{cell[:19]}Z" if _TIME.fullmatch(cell) else cell


def fields(value: Mapping[str, Any]) -> None:
    """Print a record, one field a line; of objects each member, and of a list each item, on a line of its own.

    A digest or an id is never broken, so that it can be copied.
    """
    shown = {name: item for name, item in value.items() if name != "schema"}
    margin = max(map(len, ("field", *map(plain, shown)))) + _GAP
    wrapper = TextWrapper(
        max(width(), margin + 20), subsequent_indent=" " * margin, break_long_words=False, break_on_hyphens=False,
        replace_whitespace=False,
    )  # fmt: skip
    click.echo(f"{'field':<{margin}}value")
    for name, item in shown.items():
        lines = (part for line in _lines(name, item) for part in plain(line).split("\n"))
        for number, line in enumerate(lines):
            wrapper.initial_indent = f"{'' if number else plain(name):<{margin}}"
            click.echo("\n".join(wrapper.wrap(line)) or wrapper.initial_indent.rstrip())


def _lines(name: str, value: Any) -> Iterator[str]:
    """A value of a record as people read it."""
    match value:
        case list() if value and name == "earlier_claims":
            yield from map(_claim, value)
        case list() if value:
            items = [_words("", item) for item in value[:_MOST_SHOWN]]
            brief = ", ".join(items)
            if len(brief) <= _ON_ONE_LINE and not any(isinstance(item, dict) for item in value):
                items = [brief]
            yield from items
            if len(value) > _MOST_SHOWN:
                yield f"… ({len(value)} of them; --json shows all)"
        case {"payload": _, "signatures": [*_]}:
            yield "a signed statement; --json shows it"
        case dict() if value:
            yield from (f"{member} {_words(member, item)}" for member, item in value.items())
        case _:
            yield _words(name, value)


def _words(name: str, value: Any) -> str:
    """A value on one line."""
    match value:
        case bool():
            return "yes" if value else "no"
        case int() if name.endswith("_at") or name in _INSTANTS:
            return (_EPOCH + timedelta(milliseconds=value)).isoformat(" ", "milliseconds")
        case None:
            return "none"
        case list() | dict() if not value:
            return "none"
        case list():
            return " and ".join(_words("", item) for item in value)
        case {"name": str(named), "value": str(said), **more} if more.keys() <= {"step"}:  # a parameter or a metric
            return f"{named} {_words('', said)}" + "".join(f" at step {step}" for step in more.values())
        case {"metric": str(metric), "comparator": str(comparator), "threshold": str(threshold), **more}:
            judged = f": {more['value']}, {more['verdict']}" if more.keys() == {"value", "verdict"} else ""
            return f"{metric} {comparator} {threshold}{judged}"
        case dict():
            return ", ".join(f"{member} {_words(member, item)}" for member, item in value.items())
    text = str(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:60]}… ({len(text)} characters; --json shows all)"


def _claim(claim: Mapping[str, Any]) -> str:
    """A claim of another organisation to bytes that this record names too."""
    when = _words("claimed_at", claim["claimed_at"])
    return (
        f"the same bytes ({claim['digest']}) were recorded by {claim['owner']} first, as {claim['reference']}, {when}"
    )
