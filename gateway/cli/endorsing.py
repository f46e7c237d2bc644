# SPDX-License-Identifier: Apache-2.0
"""`pedigree artifact` and `pedigree inbox`: how far an artifact has come, and what awaits an organisation."""

from typing import Any

import click

from gateway.cli.console import fields, show
from gateway.cli.options import using_gateway
from gateway.cli.verbs import CURSOR, LIMIT, gather, print_list

_SHOWN = ("endorsed_by", "rejected_by", "missing", "may_endorse")


@click.command()
@click.argument("reference")
@using_gateway
def artifact(pedigree: Any, reference: str, as_json: bool) -> None:
    """Show where an artifact stands and who vouches."""
    answer = pedigree.artifact(reference)

    def render() -> None:
        click.echo(f"{reference} is {answer['stage']}")
        if answer["status"] is not None:
            fields({name: answer["status"][name] for name in _SHOWN})

    show(answer, as_json, render)


@click.command()
@LIMIT
@CURSOR
@using_gateway
def inbox(pedigree: Any, limit: int, cursor: str | None, as_json: bool) -> None:
    """List what awaits your organisation's endorsement."""
    answer = gather(pedigree.inbox, limit, cursor)

    def render() -> None:
        nothing = f"Nothing awaits {answer['organisation']}'s endorsement."
        print_list(answer["items"], answer["next"], "artifact", "owner", "since", nothing=nothing)

    show(answer, as_json, render)
