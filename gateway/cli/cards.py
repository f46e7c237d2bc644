# SPDX-License-Identifier: Apache-2.0
"""`pedigree dataset check`: compare files with the Croissant card that describes them."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.console import plain, progressing, show, told
from gateway.cli.exits import Exit
from gateway.cli.options import FILE

if TYPE_CHECKING:
    from pedigree.comparisons import CardComparison

_CONTRADICT = {"differs", "missing"}


@click.command()
@click.argument("files", type=FILE, nargs=-1, required=True, metavar="FILES...")
@click.option("--card", type=FILE, required=True, help="The card, in JSON.")
@click.option("--partial", is_flag=True, help="Some files that the card lists may be left out.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, errors too.")
@told
def dataset_check(files: tuple[Path, ...], card: Path, partial: bool, as_json: bool) -> None:
    """Compare files with their Croissant card.

    FILES may be folders, all of whose files are compared. A file is the one on the card that has its name, its place in
    `contentUrl`, or its digest. SHA-256 decides; a size or an MD5 can only contradict. The columns that record sets
    read must be in the headers of CSV files. No gateway is asked: whether a data set was registered with this card, the
    card's own digest says, which is printed.

    Exit code 1 where something differs, is missing or is not on the card; 3 where nothing contradicts the card, but not
    everything is proven.
    """
    from pedigree.cardfiles import check_card, given_bytes

    with progressing("hashing", given_bytes(card, files), as_json) as progress:
        report = check_card(card, files, partial=partial, progress=progress)
    show(report, as_json, lambda: _print(report))
    if report["added"] or report["columns"] or any(each["found"] in _CONTRADICT for each in report["files"]):
        raise SystemExit(Exit.DISAGREES)
    if not report["verified"]:
        raise SystemExit(Exit.UNPROVEN)


def _print(report: "CardComparison") -> None:
    for each in report["files"]:
        told_of = each["file"] if each["file"] in {None, each["name"]} else f"{each['file']} ({each['name']})"
        reason = f": {each['reason']}" if each["reason"] else ""
        click.echo(plain(f"{each['found']}: {told_of or each['name']}{reason}"))
    for added in report["added"]:
        click.echo(plain(f"added: {added}: the card does not list it"))
    for missing in report["columns"]:
        click.echo(plain(f"columns: {missing}"))
    for remark in report["remarks"]:
        click.echo(plain(remark), err=True)
    click.echo(f"card {report['card']}")
    click.echo("verified" if report["verified"] else "NOT verified")
