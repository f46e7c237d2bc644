# SPDX-License-Identifier: Apache-2.0
"""`pedigree dataset`: register data sets, commit to their records, prove and verify."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from gateway.api.operations import ACTIVITIES
from gateway.cli.answers import print_comparison, recorded
from gateway.cli.console import Failure, continued, dumps, uploading
from gateway.cli.options import FILE, IDEMPOTENCY_KEY, using_gateway

_DELIMITER = click.option("--delimiter", help="What separates fields in CSV: , ; | or tab; a comma by default.")


@click.command()
@click.argument("name")
@click.argument("file", type=FILE)
@click.option("--id-field", help="Column or member that holds the record id.")
@_DELIMITER
@click.option(
    "--consent", default="ConsentUnknown", show_default=True, help="State of every record, such as ConsentGiven."
)
@click.option("--purpose", "purposes", multiple=True, help="What it permits, such as research; may be repeated.")
@click.option("--subject-field", help="Column or member that says whose record it is, by your own id.")
@click.option("--consent-field", help="Column or member that holds each record's consent state.")
@click.option("--purposes-field", help="Column or member that holds the purposes that each consent covers.")
@click.option("--indicated-field", help="Column or member that says when the subject indicated it.")
@click.option(
    "--parent",
    "parents",
    multiple=True,
    metavar="REFERENCE",
    help="A version that FILE was made from; may be repeated.",
)
@click.option("--activity", type=click.Choice(ACTIVITIES), help="How FILE was made from it.")
@IDEMPOTENCY_KEY
@using_gateway
def dataset_commit(
    pedigree: Any,
    name: str,
    file: Path,
    idempotency_key: str | None,
    as_json: bool,
    **reading: Any,
) -> None:
    """Commit to every record of FILE as the next version.

    FILE is CSV with a header line (.csv) or JSON Lines (.jsonl, .ndjson), in UTF-8, or Parquet (.parquet); or a folder,
    whose files are a record each: path and SHA-256. The records stay with your gateway; the ledger receives one root
    over all of them, and a digest of the column names. How FILE was read is remembered with the version. Once the
    gateway has accepted a large FILE it goes on, also when this command or its terminal is lost: the same command with
    the idempotency key that it then printed continues it.
    """
    key = idempotency_key or str(uuid.uuid4())
    with continued(key), _reading(file), uploading(file, as_json, key) as progress:
        outcome = pedigree.commit_records(name, file, progress=progress, idempotency_key=key, **reading)
    recorded(outcome, as_json)


@contextmanager
def _reading(file: Path | None) -> Iterator[None]:
    """Name the file where the gateway names a line of it."""
    from pedigree import Refused

    try:
        yield
    except Refused as exc:
        if file is None or exc.code not in {"unreadable-records", "record-id-repeated"}:
            raise
        raise Failure.of(exc, str(file)) from None


@click.command()
@click.argument("name")
@click.argument("number", type=int)
@click.argument("record_id")
@click.argument("output", type=click.File("w"), default="-")
@using_gateway
def dataset_proof(pedigree: Any, name: str, number: int, record_id: str, output: Any, as_json: bool) -> None:
    """Write evidence that a record is in a version.

    OUTPUT is a file, standard output by default. Anyone who has it sees that one record and no other.
    """
    click.echo(dumps(pedigree.record_proof(name, number, record_id)), file=output)


@click.command()
@click.argument("name")
@click.argument("number", type=int)
@click.argument("file", type=FILE, required=False)
@click.option("--id-field", help="Column or member that holds the record id, if not the committed one.")
@click.option("--delimiter", help="What separates fields in CSV, if not what did in the committed file.")
@using_gateway
def dataset_verify(
    pedigree: Any,
    name: str,
    number: int,
    file: Path | None,
    id_field: str | None,
    delimiter: str | None,
    as_json: bool,
) -> None:
    """Compare records with the ledger.

    FILE is a copy of the records, read as the committed file was; without it the gateway's own store is checked.
    Columns that are called otherwise are named, and every record that was changed, added, removed or moved; exit code 1
    when there is one.
    """
    with _reading(file), uploading(file, as_json) as progress:
        report = pedigree.verify_dataset(name, number, file, id_field=id_field, delimiter=delimiter, progress=progress)
    print_comparison(report, as_json)
