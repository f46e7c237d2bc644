# SPDX-License-Identifier: Apache-2.0
"""`pedigree verify`: check a file of evidence, without a gateway and offline."""

import re
from pathlib import Path

import click

from gateway.cli.console import Failure, plain, show, told, wrapped
from gateway.cli.exits import Exit
from gateway.cli.options import FILE


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
