# SPDX-License-Identifier: Apache-2.0
"""`pedigree access fetch` and `deliveries`: data under a grant, fetched by its grantee and given out by its owner."""

from pathlib import Path
from typing import Any

import click

from gateway.cli.console import fields, show, table, uploading
from gateway.cli.options import using_gateway


@click.command()
@click.argument("grant")
@click.option("--from", "source", required=True, metavar="URL", help="The address of the owner's gateway.")
@click.option(
    "--out", "output", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The file to write."
)
@click.option(
    "--recipient-key",
    "holder",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The private key that the grant names, in PEM; without one your gateway signs.",
)
@click.option(
    "--bundle",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep here what checks the copy again, for `dataset verify --bundle` and for training runs.",
)
@using_gateway
def access_fetch(
    pedigree: Any, grant: str, source: str, output: Path, holder: Path | None, bundle: Path | None, as_json: bool
) -> None:
    """Fetch data under a grant.

    Your gateway makes an attempt, which the ledger keeps whether it is allowed or denied. What is allowed comes from
    the owner's gateway, sealed for you alone: the version, or the selection, that the grant is of. It is opened here
    and compared with that one on the ledger, as your gateway has it; OUT is there once all of that is done, and what
    had its name is replaced.
    """
    with uploading(output, as_json) as progress:
        fetched = pedigree.fetch(grant, source, output, key=holder, bundle=bundle, progress=progress)
    answer = {
        "file": str(fetched.path), "artifact": fetched.artifact, "attempt": fetched.attempt, "root": fetched.root,
        "digest": fetched.digest, "bytes": fetched.size, "media_type": fetched.media_type,
    }  # fmt: skip
    show(answer, as_json, lambda: fields(answer))


@click.command()
@click.option("--before", type=click.IntRange(1), help="Only those before this one: what `next` said.")
@using_gateway
def access_deliveries(pedigree: Any, before: int | None, as_json: bool) -> None:
    """List what was given out of your data, and refused."""
    answer = pedigree.deliveries(before=before)
    show(
        answer,
        as_json,
        lambda: table(answer["items"], "at", "organisation", "attempt", "sent", "sealed_size", "outcome"),
    )
