# SPDX-License-Identifier: Apache-2.0
"""`pedigree search` and `pedigree show`: find a record by what is known of it, and see all there is about it."""

from functools import partial
from typing import Any, Final

import click

from gateway.api.operations import KINDS, OPERATIONS
from gateway.api.rows import Operation
from gateway.cli.answers import print_place
from gateway.cli.console import Json, fields, show, table
from gateway.cli.judged import order_of, print_order
from gateway.cli.options import using_gateway
from gateway.cli.verbs import CURSOR, LIMIT, gather, print_list

_SHOWN: Final = 20
"""How many versions, evaluations and deployments are shown beside a record."""
_COLUMNS: Final = {row.answer.kinds[0]: row.verb.columns for row in OPERATIONS if row.answer.form == "page"}
_OF_KIND: Final = {"dataset": "dataset_versions", "model": "model_versions"}


@click.command()
@click.argument("words", nargs=-1, required=True)
@click.option("--kind", type=click.Choice(KINDS), help="Only records of this kind.")
@LIMIT
@CURSOR
@using_gateway
def search(
    pedigree: Any, words: tuple[str, ...], kind: str | None, limit: int, cursor: str | None, as_json: bool
) -> None:
    """Search names, titles, descriptions and digests.

    Each of WORDS begins a word of a record's name or of its texts, or a digest that the record names: whole, or its
    first 8 digits or more. A reference such as model-version:net:1 finds that record.
    """
    answer = gather(partial(pedigree.search, " ".join(words), kind=kind), limit, cursor)

    def render() -> None:
        rows = [{**item, "found": _places(item)} for item in answer["items"]]
        columns = ("reference", "title", "owner", *(("found",) if any(row["found"] for row in rows) else ()))
        print_list(rows, answer["next"], *columns, counted=answer, nothing="Nothing has these words.")
        if not answer["complete"]:
            click.echo("Very many words begin so, and not all were looked at: write more of them.")

    show(answer, as_json, render)


@click.command("show")
@click.argument("reference")
@using_gateway
def show_record(pedigree: Any, reference: str, as_json: bool) -> None:
    """Show a record, its versions, stage and evaluations.

    Such as dataset:wdbc, model-version:net:1, run:r-7 or evaluation:e-3: its fields and its place on the ledger; of
    data sets and models their versions, of versions their stage, of model versions their evaluations and deployments,
    of criteria the evaluations that they judged, and of an evaluation that criteria judged what the ledger shows of it.
    """
    answer = pedigree.artifact(reference)
    kind, _, rest = reference.partition(":")
    beside: Json = {}
    if kind in _OF_KIND:
        beside["versions"] = getattr(pedigree, _OF_KIND[kind])(rest, limit=_SHOWN)
    elif kind == "model-version":
        beside["evaluations"] = pedigree.evaluations(subject=reference, limit=_SHOWN)
        beside["deployments"] = pedigree.deployments(version=reference, limit=_SHOWN)
    elif kind == "criteria":
        beside["evaluations"] = pedigree.evaluations(criteria=rest, limit=_SHOWN)

    judged = {"order": order_of(pedigree, answer)} if "verdict" in answer["record"] else {}

    def render() -> None:
        print_place(answer)
        fields({**answer["record"], **({"stage": answer["stage"]} if kind.endswith("-version") else {})})
        for name, page in beside.items():
            _print_beside(name, page)
        if judged:
            print_order(judged["order"])

    show({**answer, **beside, **judged}, as_json, render)


def _print_beside(name: str, page: Json) -> None:
    records = [item["record"] for item in page["items"]]
    more = "" if page["count_exact"] else "at least "
    click.echo(f"\n{name}: {more}{page['count']}")
    if records:
        table(records, *_COLUMNS[records[0]["kind"]])
    if page["next"] is not None:
        click.echo(f"The first {len(records)} are shown.")


def _places(item: Json) -> str:
    """Where a record names a digest that was searched for."""
    return ", ".join(found["pointer"] for found in item["digests"])


def add_lists(main: click.Group) -> None:
    """Let `pedigree list` name every kind that can be listed as a whole, beside the verbs of that kind."""
    for row in OPERATIONS:
        group, _, name = row.verb.words.partition(" ")
        if row.answer.form == "page" and not row.places and group != "list":
            verb = _within(main, group).commands[name]
            _within(main, "list").add_command(verb, _listed(row, group, name))


def _listed(row: Operation, group: str, name: str) -> str:
    """What `pedigree list` calls the kind of a list."""
    if group in ("access", "audit"):
        return _plural(row.answer.kinds[0])
    return f"{group}-votes" if name == "votes" else _plural(group)


def _within(main: click.Group, name: str) -> click.Group:
    group = main.commands[name]
    if not isinstance(group, click.Group):
        raise TypeError(f"{name} is a verb, and has no verbs in it")
    return group


def _plural(name: str) -> str:
    if name.endswith("a"):  # it is a plural already
        return name
    return f"{name[:-1]}ies" if name.endswith("y") else f"{name}s"
