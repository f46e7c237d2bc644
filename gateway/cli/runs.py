# SPDX-License-Identifier: Apache-2.0
"""`pedigree run record`: a training run that is over, from a file."""

from pathlib import Path
from typing import Any

import click

from gateway.cli.answers import recorded
from gateway.cli.console import read_json
from gateway.cli.options import FILE, IDEMPOTENCY_KEY, record, refuse_taken, using_gateway


@click.command()
@click.argument("arguments", nargs=-1, required=True, metavar="[NAME] FILE")
@IDEMPOTENCY_KEY
@using_gateway
def run_record(pedigree: Any, arguments: tuple[str, ...], idempotency_key: str | None, as_json: bool) -> None:
    """Record a training run that is over, from FILE (JSON).

    A run that a program could not record is in such a file, with its name and its idempotency key: recorded with it,
    the run is on the ledger once, however often that is tried.
    """
    if len(arguments) > 2:
        raise click.UsageError(f"unexpected argument {arguments[2]!r}", click.get_current_context())
    file = Path(FILE.convert(arguments[-1], None, click.get_current_context()))
    value = read_json(file)
    name, named = arguments[0] if len(arguments) == 2 else None, value.pop("run", None)
    key = value.pop("idempotency_key", None)
    if name is not None and named is not None and name != named:
        raise ValueError(f"{file} holds the run {named!r}, not {name!r}")
    if name is None and not isinstance(named, str):
        raise ValueError(f"{file} names no run; give its NAME before the file")
    refuse_taken(file, value)
    outcome = record(pedigree.record_run, file, name or named, idempotency_key=idempotency_key or key, **value)
    recorded(outcome, as_json)
