# SPDX-License-Identifier: Apache-2.0
"""How the verbs of `pedigree` print what a gateway answered."""

from typing import Any

import click

from gateway.cli.console import Json, fields, plain, show, table
from gateway.cli.exits import Exit


def recorded(outcome: Any, as_json: bool) -> None:
    """Print what a recording wrote, and where it stands."""
    show(outcome_of(outcome), as_json, lambda: render_outcome(outcome))


def outcome_of(outcome: Any) -> Json:
    """What a recording wrote, and where it stands, for programs."""
    return {
        "record": outcome.record,
        "event": outcome.event,
        "transaction": {"id": outcome.transaction_id, "block": outcome.block},
        **({} if outcome.impact is None else {"impact": outcome.impact}),
        **({"unmarked": outcome.unmarked} if outcome.unmarked else {}),
    }


def render_outcome(outcome: Any) -> None:
    """The same for people."""
    click.echo(f"{outcome.event['name']} in block {outcome.block}, transaction")
    click.echo(outcome.transaction_id)
    fields(outcome.record)
    if "at_stage" in outcome.event:
        # The record's stage is the one that the word is on; where the artifact stands is another thing.
        click.echo(plain(f"{outcome.event['artifact']} is {outcome.event['stage']} now"))
    if outcome.impact is not None:
        print_impact(outcome.impact)
    if outcome.unmarked:
        left = _many(outcome.unmarked, "affected selection")
        click.echo(f"Not marked yet: {left}. The same command with the same --idempotency-key marks them.")


def found(answer: Json, as_json: bool) -> None:
    """Print a record that was asked for, and where it stands."""

    def render() -> None:
        print_place(answer)
        fields(answer["record"])

    show(answer, as_json, render)


def print_place(answer: Json) -> None:
    """Print where a record stands, or what it was read from where this gateway has not read its transaction yet."""
    if "transaction" in answer:
        click.echo(f"In block {answer['transaction']['block']}, transaction")
        click.echo(answer["transaction"]["id"])
    else:
        click.echo(f"On the ledger, at height {answer['height']}")


def print_impact(impact: Json) -> None:
    """Print what a withdrawal comes to: records, what they reached, and what each organisation has to do."""
    click.echo(f"As of height {impact['as_of']}, records of {_many(len(impact['subjects']), 'subject')}:")
    for each in impact["versions"]:
        count = each["count"] if each["certain"] else "any"
        click.echo(plain(f"  {each['version']}: {count} of its records, in {_many(each['selections'], 'selection')}"))
    if not impact["versions"]:
        click.echo("  none is in any version")
    rows = [{**each, "role": _word(each), "duty": each["duty"] or ""} for each in impact["items"]]
    if rows:
        table(rows, "reference", "owner", "role", "duty")
    if impact["count"] > len(rows) or not impact["count_exact"]:
        more = "" if impact["count_exact"] else "at least "
        click.echo(f"{len(rows)} of {more}{impact['count']}; `pedigree consent impact` goes on")
    if impact.get("next") is not None:
        click.echo(plain(f"There may be more: go on with --cursor {impact['next']}"))
    for each in impact["beyond"] or ():
        count = "all" if each["count"] is None else f"all {each['count']:,}"
        click.echo(plain(f"Too many to look at: list {count} that came of it with `pedigree impact {each['version']}`"))
    for each in impact["duties"]:
        rest = f" and {each['count'] - 1} more" if each["count"] > 1 else ""
        click.echo(plain(f"{each['organisation']}: {each['duty']} {each['first']}{rest}"))
    if impact["permitted"] and not impact["duties"]:
        click.echo("Every subject permits what its records are used for: nobody has to do anything.")
    click.echo(f"Not on the ledger yet, so not looked for: {', '.join(impact['not_covered'])}.")


def _word(item: Json) -> str:
    """How the records reached an artifact."""
    return str(item["role"]) if item["certain"] else f"{item['role']}?"


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def print_comparison(report: Json, as_json: bool) -> None:
    """Print what differs between bytes and their record; ends with exit code 1 when anything does."""

    def render() -> None:
        for what in ("columns", "changed", "added", "removed", "moved", "outside", "altered_in_store"):
            for item in report.get(what, ()):
                click.echo(plain(f"{what.replace('_', ' ')}: {item}"))
            more = report.get("counts", {}).get(what, 0) - len(report.get(what, ()))
            if more > 0:
                click.echo(f"{what}: {more} more")
        if "remark" in report:
            click.echo(plain(f"not named: {report['remark']}"))
        if "unreadable" in report:
            click.echo(plain(f"not compared: {report['unreadable']}"))
        click.echo("verified" if report["verified"] else "NOT verified")

    show(report, as_json, render)
    if not report["verified"]:
        raise SystemExit(Exit.DISAGREES)
