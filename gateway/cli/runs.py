# SPDX-License-Identifier: Apache-2.0
"""`pedigree run`: record a training run that is over, write its signed statement, check what it left."""

from pathlib import Path
from typing import Any

import click

from gateway.api.operations import READ_FROM
from gateway.cli.answers import print_comparison, recorded
from gateway.cli.console import dumps, read_json
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


@click.command()
@click.argument("name")
@click.option("-o", "--output", type=click.File("w", lazy=True), default="-", help="Write it to a file.")
@click.option("--from", "source", type=click.Choice(READ_FROM.choices), help=READ_FROM.meaning)
@using_gateway
def run_statement(pedigree: Any, name: str, output: Any, source: str | None, as_json: bool) -> None:
    """Print the signed statement of a run.

    It is SLSA provenance, in an in-toto statement, in a DSSE envelope. `pedigree verify FILE` checks it offline.
    """
    del as_json  # it is JSON in any case
    click.echo(dumps(pedigree.run_statement(name, source=source)), file=output)


@click.command()
@click.argument("name")
@click.option("--history", type=FILE, help="The file with the history of its metrics.")
@click.option(
    "--artifact",
    "artifacts",
    type=FILE,
    multiple=True,
    help="A file or folder that it wrote; name them all, repeatable.",
)
@using_gateway
def run_verify(pedigree: Any, name: str, history: Path | None, artifacts: tuple[Path, ...], as_json: bool) -> None:
    """Compare files that a run left with the ledger.

    Every file that was changed, added or removed is named; exit code 1 when there is one.
    """
    if history is None and not artifacts:
        raise click.UsageError("give --history, or each --artifact", click.get_current_context())
    print_comparison(pedigree.verify_run(name, history=history, artifacts=artifacts or None), as_json)
