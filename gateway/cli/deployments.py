# SPDX-License-Identifier: Apache-2.0
"""`pedigree deployment show`: where a model is in use, and when that ended."""

from typing import Any

import click

from gateway.api.operations import READ_FROM
from gateway.cli.answers import print_place
from gateway.cli.console import fields, show
from gateway.cli.options import using_gateway


@click.command()
@click.argument("name")
@click.option("--from", "source", type=click.Choice(READ_FROM.choices), help=READ_FROM.meaning)
@using_gateway
def deployment_show(pedigree: Any, name: str, source: str | None, as_json: bool) -> None:
    """Show a deployment, and when it ended."""
    answer = pedigree.deployment(name, source=source)
    end = answer["end"]

    def render() -> None:
        print_place(answer)
        over = {"ended": "no"} if end is None else {name: end[name] for name in ("ended", "reason") if name in end}
        due = {"due": "it must stop: its model has lost the quorum of its approval"} if answer.get("duty") else {}
        lost = {"approval": "quorum lost"} if answer.get("quorum_lost") and not due else {}
        fields({**answer["record"], **over, **lost, **due})

    show(answer, as_json, render)
