# SPDX-License-Identifier: Apache-2.0
"""`pedigree lineage`: what an artifact was made from, and what was made from it."""

from typing import Any

import click

from gateway.cli.console import lineage_tree, show
from gateway.cli.options import using_gateway


@click.command()
@click.argument("reference")
@click.option("--down", is_flag=True, help="What was made from it, instead of what it was made from.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=1_000, show_default=True, help="Most artifacts.")
@using_gateway
def lineage(pedigree: Any, reference: str, down: bool, limit: int, as_json: bool) -> None:
    """Show the lineage of an artifact as a tree."""
    direction = "down" if down else "up"
    answer = pedigree.lineage(reference, direction, limit=limit)
    show(answer, as_json, lambda: lineage_tree(answer, direction))
