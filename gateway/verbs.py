# SPDX-License-Identifier: Apache-2.0
"""The verbs of `pedigree` that use a gateway, through the SDK: what an application can do, a shell can."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from gateway import endorsing
from gateway.console import (
    Failure,
    Json,
    dumps,
    fields,
    lineage_tree,
    plain,
    progressing,
    read_json,
    show,
    told,
    uploading,
    wrapped,
)
from gateway.exits import Exit
from gateway.options import (
    FIELDS,
    FILE,
    IDEMPOTENCY_KEY,
    announced,
    found,
    merged,
    recorded,
    refuse_taken,
    using_gateway,
)


def add_verbs(main: click.Group) -> None:
    """Add the verbs to the command."""
    for command in (dataset, model, run, evaluation, lineage, verify, ledger, *endorsing.VERBS):
        main.add_command(command)


@click.group()
def dataset() -> None:
    """Register data sets, commit to and verify records."""


@dataset.command("register")
@click.argument("name")
@click.option("--title", help="What people call it.")
@click.option("--licence", help="SPDX expression.")
@FIELDS
@IDEMPOTENCY_KEY
@using_gateway
def dataset_register(
    pedigree: Any,
    name: str,
    title: str | None,
    licence: str | None,
    given: Path | None,
    idempotency_key: str | None,
    as_json: bool,
) -> None:
    """Register a data set of your organisation."""
    rest = merged(given, "dataset", title=title, licence=licence)
    recorded(pedigree.register_dataset(name, idempotency_key=idempotency_key, **rest), as_json)


_DELIMITER = click.option("--delimiter", help="What separates fields in CSV: , ; | or tab; a comma by default.")


@dataset.command("commit")
@click.argument("name")
@click.argument("file", type=FILE)
@click.option("--id-field", help="Column or member that holds the record id.")
@_DELIMITER
@click.option(
    "--consent", default="ConsentUnknown", show_default=True, help="State of every record, such as ConsentGiven."
)
@click.option("--purpose", "purposes", multiple=True, help="What it permits, such as research; may be repeated.")
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

    FILE is CSV with a header line (.csv) or JSON Lines (.jsonl, .ndjson), in UTF-8. The records stay with your gateway;
    the ledger receives one root over all of them, and a digest of the column names. How FILE was read is remembered
    with the version. The gateway goes on when this command or its terminal is lost: the same command with the
    idempotency key that it printed continues it.
    """
    from gateway.sdk.uploads import Upload

    Upload.of(file, None)  # what cannot be sent has no key
    key = announced(idempotency_key, as_json)
    with _reading(file), uploading(file, as_json) as progress:
        outcome = pedigree.commit_records(name, file, progress=progress, idempotency_key=key, **reading)
    recorded(outcome, as_json)


@contextmanager
def _reading(file: Path | None) -> Iterator[None]:
    """Name the file where the gateway names a line of it."""
    from gateway.sdk import Refused

    try:
        yield
    except Refused as exc:
        if file is None or exc.code not in {"unreadable-records", "record-id-repeated"}:
            raise
        raise Failure.of(exc, str(file)) from None


@dataset.command("show")
@click.argument("name")
@click.argument("number", type=int, required=False)
@using_gateway
def dataset_show(pedigree: Any, name: str, number: int | None, as_json: bool) -> None:
    """Show a data set, or one version of it."""
    found(pedigree.dataset(name) if number is None else pedigree.dataset_version(name, number), as_json)


@dataset.command("proof")
@click.argument("name")
@click.argument("number", type=int)
@click.argument("record_id")
@click.argument("output", type=click.File("w"), default="-")
@using_gateway
def dataset_proof(pedigree: Any, name: str, number: int, record_id: str, output: Any, as_json: bool) -> None:
    """Write evidence that a record is in a version.

    OUTPUT is a file, standard output by default. Whoever has it sees that one record and no other.
    """
    click.echo(dumps(pedigree.record_proof(name, number, record_id)), file=output)


@dataset.command("verify")
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
    _report(report, as_json)


def _report(report: Json, as_json: bool) -> None:
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


@click.group()
def model() -> None:
    """Register models, record and verify versions."""


@model.command("register")
@click.argument("name")
@click.option("--title", help="What people call it.")
@FIELDS
@IDEMPOTENCY_KEY
@using_gateway
def model_register(
    pedigree: Any, name: str, title: str | None, given: Path | None, idempotency_key: str | None, as_json: bool
) -> None:
    """Register a model of your organisation."""
    rest = merged(given, "model", title=title)
    recorded(pedigree.register_model(name, idempotency_key=idempotency_key, **rest), as_json)


@model.command("record")
@click.argument("name")
@click.argument("path", type=FILE)
@click.option("--licence", required=True, help="SPDX expression.")
@click.option("--number", type=int, help="The next one by default.")
@click.option("--run", help="The training run that made it.")
@click.option(
    "--ignore", "ignored", multiple=True, metavar="PATH", help="Path in the folder that is no part of it; repeatable."
)
@FIELDS
@IDEMPOTENCY_KEY
@using_gateway
def model_record(
    pedigree: Any,
    name: str,
    path: Path,
    licence: str,
    number: int | None,
    run: str | None,
    ignored: tuple[str, ...],
    given: Path | None,
    idempotency_key: str | None,
    as_json: bool,
) -> None:
    """Record a version: every file of PATH by its SHA-256.

    Git's own files at the top of the folder are left out. A link, or what is not a plain file, is refused.
    """
    from gateway.sdk import digest_files
    from gateway.sdk.folders import ignored_paths

    with hashing(path, ignored, as_json) as progress:
        entries = digest_files(path, progress, ignore_paths=ignored)
    left_out = ignored_paths(ignored)
    rest = merged(given, "model", "files", "digest", "ignore_paths", "licence", "number", run=run)
    outcome = pedigree.record_model_version(
        name, entries, licence=licence, number=number, ignore_paths=left_out, idempotency_key=idempotency_key, **rest
    )
    recorded(outcome, as_json)


@model.command("show")
@click.argument("name")
@click.argument("number", type=int, required=False)
@using_gateway
def model_show(pedigree: Any, name: str, number: int | None, as_json: bool) -> None:
    """Show a model, or one version of it."""
    found(pedigree.model(name) if number is None else pedigree.model_version(name, number), as_json)


@model.command("verify")
@click.argument("name")
@click.argument("number", type=int)
@click.argument("path", type=FILE)
@using_gateway
def model_verify(pedigree: Any, name: str, number: int, path: Path, as_json: bool) -> None:
    """Compare the files of PATH with a recorded version.

    Every file that was changed, added or removed is named; exit code 1 when there is one.
    """
    ignored = pedigree.model_version(name, number)["record"].get("ignore_paths", ())
    with hashing(path, ignored, as_json) as progress:
        report = pedigree.verify_model(name, number, path, progress=progress)
    _report(report, as_json)


@contextmanager
def hashing(path: Path, ignored: Sequence[str], quiet: bool) -> Iterator[Callable[[int], None] | None]:
    """A progress bar over the bytes of a model's files."""
    from gateway.sdk.folders import ignored_paths, list_files

    files = list_files(path, (f"/{each}" for each in ignored_paths(ignored)))
    with progressing(f"hashing {path.name}", sum(file.size for file in files), quiet) as progress:
        yield progress


@click.group()
def run() -> None:
    """Record and show training runs."""


@run.command("show")
@click.argument("name")
@using_gateway
def run_show(pedigree: Any, name: str, as_json: bool) -> None:
    """Show a training run."""
    found(pedigree.get_run(name), as_json)


@run.command("record")
@click.argument("arguments", nargs=-1, required=True, metavar="[NAME] FILE")
@IDEMPOTENCY_KEY
@using_gateway
def run_record(pedigree: Any, arguments: tuple[str, ...], idempotency_key: str | None, as_json: bool) -> None:
    """Record a training run that is over, from FILE (JSON).

    A run that a program could not record is in such a file, with its name and its idempotency key: recorded with it,
    the run stands on the ledger once, however often that is tried.
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
    recorded(pedigree.record_run(name or named, idempotency_key=idempotency_key or key, **value), as_json)


@click.group()
def evaluation() -> None:
    """Record how a model version did on a data set."""


@evaluation.command("record")
@click.argument("name")
@click.argument("file", type=FILE)
@IDEMPOTENCY_KEY
@using_gateway
def evaluation_record(pedigree: Any, name: str, file: Path, idempotency_key: str | None, as_json: bool) -> None:
    """Record an evaluation, from FILE (JSON)."""
    fields = merged(file, "evaluation")
    recorded(pedigree.record_evaluation(name, idempotency_key=idempotency_key, **fields), as_json)


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


def _root(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    if value is None or re.fullmatch("[0-9a-fA-F]{64}", value):
        return None if value is None else value.lower()
    raise click.BadParameter(f"{value!r} is no root of 64 hexadecimal digits")


@click.command()
@click.argument("file", type=FILE)
@click.option("--root", callback=_root, help="Root of the version, as a ledger that you trust has it (64 hex digits).")
@click.option("--size", type=click.IntRange(1), help="The number of records under that root, from the same ledger.")
@click.option("--ledger", type=FILE, help="Instead: what `pedigree dataset show NAME NUMBER --json` printed.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@told
def verify(file: Path, root: str | None, size: int | None, ledger: Path | None, as_json: bool) -> None:
    """Check a file of evidence offline.

    It prints the record and says in plain words what was proven, what a ledger's answer that you give adds, what only
    the file says, and what was not proven. A root does not bind how many records are under it: only with --size or
    --ledger is the record's position proven. Without any of these the file agrees with itself only, which anyone can
    arrange, and the exit code is 3.
    """
    from gateway.sdk import InvalidEvidence, read_evidence, verify_record

    if size is not None and root is None:
        raise click.UsageError("--size is of use with its --root only")
    if ledger is not None and root is not None:
        raise click.UsageError("give --ledger, or --root and --size, and not both")
    try:
        version = None if ledger is None else read_evidence(ledger)
    except InvalidEvidence as exc:
        raise Failure(f"{ledger}: {exc.detail}") from None
    try:
        verdict = verify_record(read_evidence(file), root=root, size=size, version=version)
    except InvalidEvidence as exc:
        raise Failure(f"{file} proves nothing: {exc.detail}", Exit.DISAGREES, {"code": exc.code}) from None
    show(verdict.as_json(), as_json, lambda: click.echo(wrapped(plain(verdict.text()))))
    if not verdict.verified:
        raise SystemExit(Exit.UNPROVEN)


@click.command()
@using_gateway
def ledger(pedigree: Any, as_json: bool) -> None:
    """Show the ledger's height and this gateway's place."""
    answer = pedigree.ledger()
    show(answer, as_json, lambda: fields(answer))
