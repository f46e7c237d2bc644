# SPDX-License-Identifier: Apache-2.0
"""`pedigree lineage`, `impact` and `licence show`: what an artifact was made from, what from it, and what is asked."""

from functools import partial
from typing import Any, Final

import click

from gateway.cli.console import Json, fields, plain, show, table
from gateway.cli.options import using_gateway
from gateway.cli.trees import lineage_tree
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

    def render() -> None:
        if as_of is not None:
            click.echo(f"As of height {as_of}:")
        lineage_tree(answer, direction)

    show(answer, as_json, render)


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
        kinds = ", ".join(f"{each['count']:,} × {each['kind']}" for each in answer["kinds"])
        count = f"{answer['count']:,} artifact{'' if answer['count'] == 1 else 's'}"
        words = "came of" if direction == "down" else "went into"
        click.echo(f"As of height {answer['as_of']}, {count} {words} {reference}{f': {kinds}' if kinds else ''}.")
        shown = [_shown(each) for each in answer["items"]]
        columns = ("reference", "distance", "stage", *(("review",) if any(each["review"] for each in shown) else ()))
        print_list(shown, answer["next"], *columns, counted=answer)

    show(answer, as_json, render)


@click.command()
@click.argument("reference")
@click.option("--limit", type=click.IntRange(1, 10_000), default=1_000, show_default=True, help="Most ancestors.")
@AS_OF
@using_gateway
def effective_licence(pedigree: Any, reference: str, limit: int, as_of: int | None, as_json: bool) -> None:
    """Show what the licences along a lineage come to.

    REFERENCE is a version of a data set or a model. Its effective licence is the one, of its own and of those of all
    that it was made from, that keeps what each of them asks for. This finds contradictions between declared licences;
    it is not legal advice.
    """
    answer = pedigree.effective_licence(reference, limit=limit, as_of=as_of)
    show(answer, as_json, lambda: _print_licence(answer))


_WITHOUT: Final = {
    "none": "none: none of these licences keeps what each of the others asks for",
    "undecided": "undecided: some of these licences cannot be compared",
}


def _print_licence(answer: Json) -> None:
    asked = answer["conditions"]
    told = {
        "declared": answer["declared"] or "not known here",
        "effective": answer["licence"] or _WITHOUT[answer["verdict"]],
        "asks for": "not classified" if asked is None else ", ".join(asked) or "nothing",
        "ancestors alone": answer["inherited"] or ("none" if answer["ancestors"] else "no ancestor is recorded"),
    }
    if answer["licence"] is None:
        del told["asks for"]
    fields(told)
    if answer["ancestors"]:
        click.echo()
        table(answer["licences"], "licence", "count", "nearest")
    if answer["offending"] is not None:
        click.echo(f"\n{click.style('Does not fit:', fg='red')} {plain(answer['offending']['detail'])}")
    if not answer["complete"]:
        unknown = ", ".join(map(plain, answer["unknown"]))
        click.echo(
            f"\nIncomplete: {answer['ancestors']:,} ancestors were looked at"
            + (f", and the licences of these are not known: {unknown}." if unknown else ", and there are more.")
        )


def _shown(item: Json) -> Json:
    """A line of the list: where a selection has no stage, that the consent to it was withdrawn."""
    stage = "consent withdrawn" if item["stopped"] == "withdrawn" else item["stage"]
    review = " < ".join(item["review_path"])
    if item["review_cause"] == "withdrawn":
        review += " (consent withdrawn)"
    if item.get("quorum_lost"):
        stage = f"{stage}, quorum lost"
    if item.get("duty"):
        stage = "must stop"
    return {**item, "stage": stage, "review": review}
