# SPDX-License-Identifier: Apache-2.0
"""How the verbs of `pedigree` print what a gateway answered."""

from typing import Any

import click

from gateway.cli.console import Json, fields, plain, show
from gateway.cli.exits import Exit


def recorded(outcome: Any, as_json: bool) -> None:
    """Print what a recording wrote, and where it stands."""
    value = {
        "record": outcome.record,
        "event": outcome.event,
        "transaction": {"id": outcome.transaction_id, "block": outcome.block},
    }

    def render() -> None:
        click.echo(f"{outcome.event['name']} in block {outcome.block}, transaction")
        click.echo(outcome.transaction_id)
        fields(outcome.record)

    show(value, as_json, render)


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


def print_comparison(report: Json, as_json: bool) -> None:
    """Print what differs between bytes and their record; ends with exit code 1 when anything does."""

    def render() -> None:
        for what in ("columns", "changed", "added", "removed", "moved", "altered_in_store"):
            for item in report.get(what, ()):
                click.echo(plain(f"{what.replace('_', ' ')}: {item}"))
            more = report.get("counts", {}).get(what, 0) - len(report.get(what, ()))
            if more > 0:
                click.echo(f"{what}: {more} more")
        if "unreadable" in report:
            click.echo(plain(f"not compared: {report['unreadable']}"))
        click.echo("verified" if report["verified"] else "NOT verified")

    show(report, as_json, render)
    if not report["verified"]:
        raise SystemExit(Exit.DISAGREES)
