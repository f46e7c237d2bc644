# SPDX-License-Identifier: Apache-2.0
"""`pedigree lineage` and `pedigree impact`: what an artifact was made from, and what was made from it."""

from functools import partial
from typing import Any, Final

import click

from gateway.cli.console import Json, lineage_tree, show
from gateway.cli.options import using_gateway
from gateway.cli.verbs import CURSOR, LIMIT, gather, print_list

AS_OF: Final = click.option(
    "--as-of", type=click.IntRange(1), metavar="HEIGHT", help="Only what the blocks below this height say."
)


@click.command()
@click.argument("reference")
@click.option("--down", is_flag=True, help="What was made from it, instead of what it was made from.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=1_000, show_default=True, help="Most artifacts.")
@AS_OF
@using_gateway
def lineage(pedigree: Any, reference: str, down: bool, limit: int, as_of: int | None, as_json: bool) -> None:
    """Show the lineage of an artifact as a tree."""
    direction = "down" if down else "up"
    answer = pedigree.lineage(reference, direction, limit=limit, as_of=as_of)
    show(answer, as_json, lambda: lineage_tree(answer, direction))


@click.command()
@click.argument("reference")
@click.option(
    "--direction", type=click.Choice(["up", "down"]), default="down", show_default=True, help="Sources, or results."
)
@click.option("--depth", type=click.IntRange(1), help="Only what is at most so many steps away.")
@AS_OF
@LIMIT
@CURSOR
@using_gateway
def impact(
    pedigree: Any,
    reference: str,
    direction: str,
    depth: int | None,
    as_of: int | None,
    limit: int,
    cursor: str | None,
    as_json: bool,
) -> None:
    """List all that was made from an artifact, to any depth."""
    ask = partial(pedigree.impact, reference, direction=direction, depth=depth, as_of=as_of)
    answer = gather(ask, limit, cursor)

    def render() -> None:
        kinds = ", ".join(f"{each['count']:,} of {each['kind']}" for each in answer["kinds"]) or "nothing"
        words = "was made from" if direction == "down" else "is what went into"
        click.echo(f"As of height {answer['as_of']}, {words} {reference}: {kinds}.")
        shown = [_shown(each) for each in answer["items"]]
        columns = ("reference", "distance", "stage", *(("review",) if any(each["review"] for each in shown) else ()))
        print_list(shown, answer["next"], *columns, counted=answer)

    show(answer, as_json, render)


def _shown(item: Json) -> Json:
    """A line of the list: where a selection has no stage, that the consent to it was withdrawn."""
    stage = "consent withdrawn" if item["stopped"] == "withdrawn" else item["stage"]
    review = " < ".join(item["review_path"])
    if item["review_cause"] == "withdrawn":
        review += " (consent withdrawn)"
    return {**item, "stage": stage, "review": review}
