# SPDX-License-Identifier: Apache-2.0
"""`pedigree reminders`: what the gateway reminded its organisation of, and what it reminds of next."""

import json
import time
from typing import Any, Final

import click

from gateway.api.operations import REMINDER_KINDS
from gateway.cli.console import Json, plain, show, table
from gateway.cli.options import using_gateway

_EVERY: Final = 5.0
"""Seconds between two questions of --follow."""
_COLUMNS: Final = ("number", "kind", "artifact", "stage", "at", "ends_at", "ended_at")


@click.command()
@click.option("--after", type=click.IntRange(1), help="Only those after this number: what `next` said.")
@click.option("--about", type=click.Choice(REMINDER_KINDS), help="Only those of this kind.")
@click.option("--state", type=click.Choice(("due", "over")), help="Only those of what is due still, or is over.")
@click.option("--follow", is_flag=True, help="Then print each that comes, until it is stopped; JSON Lines with --json.")
@using_gateway
def reminders(
    pedigree: Any, after: int | None, about: str | None, state: str | None, follow: bool, as_json: bool
) -> None:
    """List what your gateway reminded you of."""
    said = {"about": about, "state": state}
    if follow:
        _follow(pedigree, after, as_json, said)
        return
    items: list[Json] = []
    while True:
        answer = pedigree.reminders(after=after, **said)
        items += answer["items"]
        if not answer["items"]:
            break
        after = answer["next"]
    found = {**answer, "items": items, "next": after}

    def render() -> None:
        if not items:
            click.echo(f"{found['organisation']} was reminded of nothing.")
            return
        table(items, *_COLUMNS)

    show(found, as_json, render)


def _follow(pedigree: Any, after: int | None, as_json: bool, said: Json) -> None:
    while True:
        answer = pedigree.reminders(after=after, **said)
        for each in answer["items"]:
            click.echo(json.dumps(each) if as_json else plain(f"{each['number']}: {each['says']}"))
        if not answer["items"]:
            time.sleep(_EVERY)
        after = answer["next"]
