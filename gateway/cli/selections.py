# SPDX-License-Identifier: Apache-2.0
"""`pedigree dataset select` and `selection`: choose some records of a version, prove, publish and check them."""

import uuid
from collections.abc import Iterable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import click

from gateway.cli.answers import outcome_of, recorded, render_outcome
from gateway.cli.console import continued, dumps, fields, following, plain, reading_file, show, uploading
from gateway.cli.options import FILE, IDEMPOTENCY_KEY, using_gateway
from gateway.cli.outputs import OUTPUT, written

_ROLES = ("train", "validation", "test")


@click.command()
@click.argument("name")
@click.argument("number", type=int)
@click.option("--as", "selection", metavar="SELECTION", help="What the selection is called; of a split, a prefix.")
@click.option("--ids", type=FILE, help="Only records whose ids are in this file: one a line (.txt), .csv or .jsonl.")
@click.option("--purpose", help="Only records whose consent permits it, such as research, or an IRI.")
@click.option("--split", metavar="SHARES", help="Every part of a split, such as train=0.8,validation=0.1,test=0.1.")
@click.option("--seed", help="Of the split: with a record's id it says in which part the record is.")
@click.option(
    "--by",
    type=click.Choice(["record", "subject"]),
    help="With subject, all records of one are in the same part.",
)
@click.option("--role", type=click.Choice(_ROLES), help="Without a split: which part of one this is.")
@click.option("--parent", metavar="REFERENCE", help="Only records of this selection from the same version.")
@click.option("--note", help="What the ledger is to keep about it.")
@click.option("--id-field", help="Column or member of the file that holds the ids, if not the version's.")
@click.option("--delimiter", help="What separates fields in CSV: , ; | or tab; a comma by default.")
@IDEMPOTENCY_KEY
@using_gateway
def dataset_select(
    pedigree: Any,
    name: str,
    number: int,
    selection: str | None,
    split: str | None,
    seed: str | None,
    by: str | None,
    role: str | None,
    ids: Path | None,
    id_field: str | None,
    delimiter: str | None,
    idempotency_key: str | None,
    as_json: bool,
    **said: Any,
) -> None:
    """Commit to some records of a version.

    Your gateway chooses among the records that it holds: by a list of ids, by what consent permits as it is now, or
    each part of a split by a seed; several of these together choose what passes all of them. What is left out is
    counted by reasons. The ledger receives a root over the leaves of the chosen records, so that `selection proof` can
    show that a record is among them.

    A split is recorded part by part, each a selection that is called train, validation or test, after the prefix and a
    hyphen. A record's part follows from its id and the seed alone, whatever else is in the version; with --by subject,
    from its data subject and the seed, so that nobody is in training and test both.
    """
    key = idempotency_key or str(uuid.uuid4())
    if split is None and selection is None:
        raise click.UsageError("Missing option '--as': what the selection is called.")
    if by is not None and split is None:
        raise click.UsageError("--by is of use with --split only")
    if not any((ids, said["purpose"], split)):
        raise click.UsageError("say what to choose by: --ids, --purpose or --split")
    if split is not None:
        _refuse_with_split(seed, role, ids)
        prefix = "" if selection is None else f"{selection}-"
        with continued(key), following(as_json, key) as progress:
            parts = pedigree.split_records(
                name, number, split, seed=seed, by=by, prefix=prefix, progress=progress, idempotency_key=key, **said
            )
        outcomes = {part: outcome_of(outcome) for part, outcome in parts.items()}
        show(outcomes, as_json, partial(_render_each, parts.values()))
        return
    with ExitStack() as stack:
        stack.enter_context(continued(key))
        stack.enter_context(reading_file(ids))
        progress = stack.enter_context(following(as_json, key))
        outcome = pedigree.select_records(
            name, number, selection, ids, role=role, seed=seed, id_field=id_field, delimiter=delimiter,
            progress=progress, idempotency_key=key, **said,
        )  # fmt: skip
    recorded(outcome, as_json)


def _render_each(outcomes: Iterable[Any]) -> None:
    for outcome in outcomes:
        render_outcome(outcome)


def _refuse_with_split(seed: str | None, role: str | None, ids: Path | None) -> None:
    if seed is None:
        raise click.UsageError("Missing option '--seed': it says which records are in which part.")
    if role is not None:
        raise click.UsageError("--role is for a selection without a split; a split records every part of it")
    if ids is not None:
        raise click.UsageError("select the list first, then split that selection with --parent")


@click.command()
@click.argument("dataset")
@click.argument("number", type=int)
@click.argument("selection")
@click.argument("record_id")
@click.argument("output", type=OUTPUT, default="-")
@using_gateway
def selection_proof(
    pedigree: Any, dataset: str, number: int, selection: str, record_id: str, output: Path, as_json: bool
) -> None:
    """Write evidence that a record is in a selection.

    OUTPUT is a file, standard output by default. Anyone who has it sees that one record and no other.
    """
    written(output, dumps(pedigree.selection_proof(dataset, number, selection, record_id)))


@click.command()
@click.argument("dataset")
@click.argument("number", type=int)
@click.argument("selection")
@click.argument("file", type=FILE, required=False)
@click.option("--id-field", help="Column or member of FILE that holds the record id, if not the committed one.")
@click.option("--delimiter", help="What separates fields in FILE, of CSV, if not what did in the committed file.")
@using_gateway
def selection_publish(
    pedigree: Any, dataset: str, number: int, selection: str, file: Path | None, as_json: bool, **reading: Any
) -> None:
    """Seal the records of a selection for those who get access.

    Without FILE your gateway writes them itself, out of the records that it keeps. FILE must hold the records of the
    selection, all of them, no others and in their order, and its bytes are what recipients get; of a version of Parquet
    it is needed. A grant of the selection gives this and nothing else of the version. Publishing again replaces what
    was published before.
    """
    if file is None and any(reading.values()):
        raise click.UsageError("--id-field and --delimiter say how FILE is read: name it", click.get_current_context())
    with reading_file(file), uploading(file, as_json) as progress:
        answer = pedigree.publish_selection(dataset, number, selection, file, progress=progress, **reading)
    show(answer, as_json, lambda: fields({key: each for key, each in answer.items() if key != "transaction"}))


@click.command()
@click.argument("dataset")
@click.argument("number", type=int)
@click.argument("selection")
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The file to write."
)
@using_gateway
def selection_bundle(pedigree: Any, dataset: str, number: int, selection: str, output: Path, as_json: bool) -> None:
    """Write what checks a copy of a selection without you.

    OUTPUT holds ids and salts of the selection's records, no content, and nothing of the version's other records: with
    it, `pedigree dataset verify FILE --bundle OUTPUT` compares a copy with any organisation's ledger. It is as
    confidential as those records are: give it to those who may have a copy. It is compared with the ledger before it is
    there; what had its name is replaced.
    """
    with uploading(output, as_json) as progress:
        path = pedigree.save_selection_bundle(dataset, number, selection, output, progress=progress)
    size = path.stat().st_size
    show({"file": str(path), "bytes": size}, as_json, lambda: click.echo(plain(f"{path}: {size} bytes")))
