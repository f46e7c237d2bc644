# SPDX-License-Identifier: Apache-2.0
"""`pedigree dataset`: register data sets, commit to their records, prove and verify."""

import uuid
from functools import partial
from pathlib import Path
from typing import Any

import click

from gateway.api.operations import ACTIVITIES
from gateway.cli.answers import print_comparison, recorded
from gateway.cli.console import continued, dumps, fields, plain, read_json, reading_file, show, uploading
from gateway.cli.options import FILE, IDEMPOTENCY_KEY, using_gateway
from gateway.cli.outputs import OUTPUT, written

_NUMBER: click.ParamType[Any] = click.INT
_DELIMITER = click.option("--delimiter", help="What separates fields in CSV: , ; | or tab; a comma by default.")


@click.command()
@click.argument("name")
@click.argument("file", type=FILE)
@click.option("--id-field", help="Column or member that holds the record id.")
@_DELIMITER
@click.option(
    "--consent", default="ConsentUnknown", show_default=True, help="State of every record, such as ConsentGiven."
)
@click.option(
    "--purpose", "purposes", multiple=True, help="What it permits: a name, or yours by title or IRI; repeatable."
)
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
@click.option(
    "--grant",
    "grants",
    multiple=True,
    metavar="REFERENCE",
    help="The grant of a version that is not yours; may be repeated.",
)
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
    with continued(key), reading_file(file), uploading(file, as_json, key) as progress:
        outcome = pedigree.commit_records(name, file, progress=progress, idempotency_key=key, **reading)
    recorded(outcome, as_json)


@click.command()
@click.argument("name")
@click.argument("number", type=int)
@click.argument("record_id")
@click.argument("output", type=OUTPUT, default="-")
@using_gateway
def dataset_proof(pedigree: Any, name: str, number: int, record_id: str, output: Path, as_json: bool) -> None:
    """Write evidence that a record is in a version.

    OUTPUT is a file, standard output by default. Anyone who has it sees that one record and no other.
    """
    written(output, dumps(pedigree.record_proof(name, number, record_id)))


@click.command()
@click.argument("name")
@click.argument("number", type=int)
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The file to write."
)
@click.option(
    "--selection", "selections", multiple=True, metavar="SELECTION", help="One that copies can be of; may be repeated."
)
@using_gateway
def dataset_bundle(
    pedigree: Any, name: str, number: int, output: Path, selections: tuple[str, ...], as_json: bool
) -> None:
    """Write what checks a copy of a version without you.

    OUTPUT holds ids and salts of all records, and no content: with it, `pedigree dataset verify FILE --bundle OUTPUT`
    compares a copy with any organisation's ledger. It is as confidential as the records are: give it to those who may
    have a copy. It is compared with the ledger before it is there; what had its name is replaced. With --selection it
    says besides which records that selection from the version has.
    """
    with uploading(output, as_json) as progress:
        path = pedigree.save_bundle(name, number, output, selections=selections, progress=progress)
    size = path.stat().st_size
    show({"file": str(path), "bytes": size}, as_json, lambda: click.echo(plain(f"{path}: {size} bytes")))


@click.command()
@click.argument("name")
@click.argument("number", type=int)
@click.argument("file", type=FILE)
@click.option("--id-field", help="Column or member that holds the record id, if not the committed one.")
@click.option("--delimiter", help="What separates fields in CSV, if not what did in the committed file.")
@using_gateway
def dataset_publish(pedigree: Any, name: str, number: int, file: Path, as_json: bool, **reading: Any) -> None:
    """Seal the bytes of a version for those who get access.

    FILE must hold the very records that were committed, and its bytes are what recipients get. Your gateway keeps them
    sealed under a key of their own; only what the ledger allows releases it. Publishing again replaces what was
    published before.
    """
    with reading_file(file), uploading(file, as_json) as progress:
        answer = pedigree.publish_dataset(name, number, file, progress=progress, **reading)
    show(answer, as_json, lambda: fields({key: each for key, each in answer.items() if key != "transaction"}))


@click.command()
@click.argument("arguments", nargs=-1, required=True, metavar="NAME NUMBER [FILE] | FILE --bundle BUNDLE")
@click.option("--bundle", type=FILE, help="What `dataset bundle` or `selection bundle` wrote: FILE is a copy of that.")
@click.option(
    "--ledger",
    type=FILE,
    multiple=True,
    help="With it: what `pedigree dataset show NAME NUMBER --json` printed; and `selection show`.",
)
@click.option("--selection", help="Name of a selection from the version: FILE should have its records, and no others.")
@click.option("--id-field", help="Column or member that holds the record id, if not the committed one.")
@click.option("--delimiter", help="What separates fields in CSV, if not what did in the committed file.")
@partial(using_gateway, unless="ledger")
def dataset_verify(
    pedigree: Any,
    arguments: tuple[str, ...],
    bundle: Path | None,
    ledger: tuple[Path, ...],
    selection: str | None,
    as_json: bool,
    **reading: Any,
) -> None:
    """Compare records with the ledger.

    FILE is a copy of the records, or a folder of files, read as the committed file was. Columns that are called
    otherwise are named, and every record that was changed, added, removed or moved; exit code 1 when there is one.

    With NAME and NUMBER the owner's gateway compares them; without FILE it checks its own store. With --bundle they are
    compared here, and any organisation's gateway says what the ledger has of the version; with --ledger, no gateway is
    asked. With --selection, records of the version that the selection does not have are named as outside.
    """
    if bundle is not None:
        _verify_with(bundle, ledger, pedigree, arguments, {**reading, "selection": selection}, as_json)
        return
    if ledger:
        raise click.UsageError("--ledger is of use with --bundle", click.get_current_context())
    name, number, file = _copy_of(arguments)
    if selection is not None and file is None:
        raise click.UsageError("--selection is for a copy: name its FILE", click.get_current_context())
    with reading_file(file), uploading(file, as_json) as progress:
        report = pedigree.verify_dataset(name, number, file, selection=selection, progress=progress, **reading)
    print_comparison(report, as_json)


def _copy_of(arguments: tuple[str, ...]) -> tuple[str, int, Path | None]:
    context = click.get_current_context()
    if not 2 <= len(arguments) <= 3:
        raise click.UsageError("name the version, NAME and NUMBER, and perhaps a FILE; or a FILE and --bundle", context)
    number = _NUMBER.convert(arguments[1], None, context)
    return arguments[0], number, FILE.convert(arguments[2], None, context) if len(arguments) == 3 else None


def _verify_with(
    bundle: Path, ledger: tuple[Path, ...], pedigree: Any, arguments: tuple[str, ...], reading: Any, as_json: bool
) -> None:
    """Compare a copy here."""
    from pedigree import verify_copy
    from pedigree.bundles import Bundle

    context = click.get_current_context()
    if len(arguments) != 1:
        raise click.UsageError("with --bundle name the FILE alone; the bundle says of which version it is", context)
    file = Path(FILE.convert(arguments[0], None, context))
    report: Any
    with reading_file(file), uploading(file, as_json) as progress:
        if ledger:
            with Bundle(bundle) as opened:
                named = reading.pop("selection") or opened.head.part
            answers = _answers(ledger, named)
            report = verify_copy(file, bundle, progress=progress, **answers, **reading)
        else:
            report = pedigree.verify_copy(file, bundle, progress=progress, **reading)
    if not as_json:
        version = f"dataset-version:{report['dataset']}:{report['number']}"
        beside, root = report.get("selection", version), report.get("selection_root", report["root"])
        click.echo(plain(f"beside {beside}, root {root}"))
    print_comparison(report, as_json)


def _answers(files: tuple[Path, ...], selection: str | None) -> dict[str, Any]:
    """The ledger's answers for the version and for the selection that is named, out of files in any order."""
    found: dict[str, Any] = {}
    for file in files:
        answer = read_json(file)
        record = answer.get("record", answer)
        is_selection = isinstance(record, dict) and record.get("kind") == "selection"
        found["selection" if is_selection else "version"] = answer
    context = click.get_current_context()
    named = found.get("selection", {})
    if named.get("record", named).get("selection") != selection:
        raise click.UsageError("with --ledger, give the ledger's answer for the very selection too", context)
    if len(found) < len(files) or "version" not in found:
        raise click.UsageError("give --ledger once for the version, and once for the selection", context)
    return found
