# SPDX-License-Identifier: Apache-2.0
"""`pedigree offline`: transactions that are signed with a key which no gateway has."""

from pathlib import Path
from typing import Any

import click

from gateway.cli.console import Json, dumps, fields, plain, read_json, show
from gateway.cli.options import FILE, IDEMPOTENCY_KEY, using_gateway
from gateway.cli.outputs import OUTPUT, written

_LARGEST_PEM = 64 * 1024


@click.command()
@click.argument("function")
@click.argument("file", type=FILE)
@click.option("--cert", type=FILE, required=True, help="PEM file: the certificate of the key that will sign.")
@click.option("-o", "--output", type=OUTPUT, required=True, help="Where what is to be signed goes.")
@IDEMPOTENCY_KEY
@using_gateway
def offline_prepare(
    pedigree: Any, function: str, file: Path, cert: Path, output: Path, idempotency_key: str | None, as_json: bool
) -> None:
    """Prepare a transaction that you sign yourself.

    FUNCTION is what the ledger calls the command, such as model:register, and FILE has its fields as JSON. Then:
    pedigree sign, offline endorse, pedigree sign again, offline submit.
    """
    certificate = cert.read_text(encoding="ascii", errors="replace")[:_LARGEST_PEM]
    prepared = pedigree.prepare_transaction(function, read_json(file), certificate, key=idempotency_key)
    _keep(prepared, output, as_json)


@click.command()
@click.argument("file", type=FILE)
@click.option("-o", "--output", type=OUTPUT, help="Where what is to be signed goes; FILE itself by default.")
@using_gateway
def offline_endorse(pedigree: Any, file: Path, output: Path | None, as_json: bool) -> None:
    """Have a signed proposal endorsed."""
    _keep(pedigree.endorse_transaction(read_json(file)), output or file, as_json)


@click.command()
@click.argument("file", type=FILE)
@using_gateway
def offline_submit(pedigree: Any, file: Path, as_json: bool) -> None:
    """Have a signed transaction recorded, once."""
    answer = pedigree.submit_transaction(read_json(file))

    def render() -> None:
        if answer["result"] is None:
            click.echo(plain(f"It is under way: pedigree operation {answer['operation']}"))
            return
        transaction = answer["result"]["transaction"]
        click.echo(plain(f"recorded in block {transaction['block']}, transaction {transaction['id']}"))
        fields(answer["result"]["record"])

    show(answer, as_json, render)


def _keep(document: Json, output: Path, as_json: bool) -> None:
    written(output, dumps(document))
    told = {"written": str(output), "stage": document["stage"], "transaction_id": document["transaction_id"]}
    show(told, as_json, lambda: click.echo(plain(f"{output}: sign it with pedigree sign {output} --key K --cert C")))
