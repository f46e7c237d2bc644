# SPDX-License-Identifier: Apache-2.0
"""`pedigree criteria register`: what evaluations have to reach, as people write it."""

from typing import Any

import click

from gateway.cli.answers import recorded
from gateway.cli.options import IDEMPOTENCY_KEY, using_gateway


@click.command()
@click.argument("name")
@click.option("--title", required=True, help="What people call it.")
@click.option(
    "--criterion",
    "all_of",
    required=True,
    multiple=True,
    metavar="TEXT",
    help="What a metric has to reach: 'auc >= 0.95'; >=, >, <=, < or ==. May be repeated: all have to be met.",
)
@click.option("--version", metavar="REFERENCE", help="The data set version that is measured on.")
@click.option("--selection", metavar="REFERENCE", help="The selection that is measured on, where it is not the whole.")
@click.option("--model", help="The model whose versions are judged; without it, those of any model.")
@click.option("--note", help="What the ledger is to keep about it.")
@IDEMPOTENCY_KEY
@using_gateway
def criteria_register(
    pedigree: Any, name: str, all_of: tuple[str, ...], idempotency_key: str | None, as_json: bool, **said: Any
) -> None:
    """Register what evaluations have to reach, before the training.

    They are never changed. `pedigree evaluation record NAME FILE --criteria NAME` is then judged by them: on the same
    data, and only where every run that made the model version started after they were registered.
    """
    recorded(pedigree.register_criteria(name, all_of=all_of, idempotency_key=idempotency_key, **said), as_json)
