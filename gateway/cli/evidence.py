# SPDX-License-Identifier: Apache-2.0
"""`pedigree verify`: check a file of evidence, without a gateway and offline."""

from pathlib import Path

import click

from gateway.cli.console import told
from gateway.cli.exits import Exit
from gateway.cli.options import FILE


def _root(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    from pedigree.command import parse_root

    try:
        return None if value is None else parse_root(value)
    except ValueError as exc:
        raise click.BadParameter(str(exc)) from None


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
    from pedigree.command import check_file, shown

    verdict = check_file(file, root=root, size=size, ledger=ledger)
    click.echo(shown(verdict, as_json=as_json))
    if not verdict.verified:
        raise SystemExit(Exit.UNPROVEN)
