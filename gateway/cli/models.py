# SPDX-License-Identifier: Apache-2.0
"""`pedigree model`: register models, record versions by their files, and verify files."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from gateway.cli.answers import print_comparison, recorded
from gateway.cli.console import progressing
from gateway.cli.options import FIELDS, FILE, IDEMPOTENCY_KEY, merged, record, using_gateway


@click.command()
@click.argument("name")
@click.argument("path", type=FILE)
@click.option("--licence", required=True, help="SPDX expression.")
@click.option("--number", type=int, help="The next one by default.")
@click.option("--run", help="The training run that made it.")
@click.option(
    "--ignore", "ignored", multiple=True, metavar="PATH", help="Path in the folder that is not part of it; repeatable."
)
@click.option("--full", is_flag=True, help="Read every file, also those that are as they were when last recorded.")
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
    full: bool,
    given: Path | None,
    idempotency_key: str | None,
    as_json: bool,
) -> None:
    """Record a version: every file of PATH by its SHA-256.

    Git's own files at the top of the folder are left out. A link, or what is not a plain file, is refused. A file that
    is as it was when PATH was last recorded or verified is not read again.
    """
    from pedigree.files import hash_files
    from pedigree.folders import ignored_paths
    from pedigree.remembering import Remembered

    remembered = Remembered(path)
    known = {} if full else remembered.recall()
    with hashing(path, ignored, as_json) as progress:
        hashed = hash_files(path, progress, ignore_paths=ignored, known=known)
    entries = [each.entry for each in hashed]
    if reused := sum(each.was_known for each in hashed):
        click.echo(f"{reused} of {len(hashed)} files are as they were when last recorded; --full reads all", err=True)
    left_out = ignored_paths(ignored)
    rest = merged(given, "model", "files", "digest", "ignore_paths", "licence", "number", run=run)
    fields = {"licence": licence, "number": number, "ignore_paths": left_out, **rest}
    method = pedigree.record_model_version
    outcome = record(method, given, name, entries, idempotency_key=idempotency_key, **fields)
    remembered.keep(hashed)
    recorded(outcome, as_json)


@click.command()
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
    print_comparison(report, as_json)


@contextmanager
def hashing(path: Path, ignored: Sequence[str], quiet: bool) -> Iterator[Callable[[int], None] | None]:
    """A progress bar over the bytes of a model's files."""
    from pedigree.folders import ignored_paths, list_files

    files = list_files(path, (f"/{each}" for each in ignored_paths(ignored)))
    with progressing(f"hashing {path.name}", sum(file.size for file in files), quiet) as progress:
        yield progress
