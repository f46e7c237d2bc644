# SPDX-License-Identifier: Apache-2.0
"""The tables of the guide's page on operations, in Markdown."""

from collections.abc import Iterator
from typing import Final

from gateway.api.operations import BESIDE, NOUNS
from gateway.api.rows import Operation

BEGIN: Final = "<!-- What follows is written by `make generate`. -->"
END: Final = "<!-- What precedes is written by `make generate`. -->"


def within(page: str) -> str:
    """The page with its generated part as the table of operations has it; raises `ValueError` without the markers."""
    before, begun, rest = page.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not begun or not ended:
        raise ValueError("the page does not hold both markers")
    return "\n".join((before + BEGIN, "", *_lines(), END + after))


def _lines() -> Iterator[str]:
    for noun, rows in NOUNS.items():
        yield f"### {noun.capitalize()}\n"
        yield "| what it does | HTTP | query | role | Python | command line |"
        yield "|---|---|---|---|---|---|"
        yield from map(_row, rows)
        yield ""
    yield "### Beside the gateway\n"
    yield "| command line | why it is not an operation |"
    yield "|---|---|"
    for words, reason in BESIDE.items():
        yield f"| `pedigree {words}` | it {reason} |"
    yield ""


def _row(row: Operation) -> str:
    query = ", ".join(f"`{parameter.name}`" for parameter in row.taken)
    cells = (row.does, f"`{row.method} {row.path}`", query, row.role, f"`{row.sdk}`", f"`pedigree {row.verb.words}`")
    return f"| {' | '.join(cells)} |"
