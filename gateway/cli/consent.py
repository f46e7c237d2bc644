# SPDX-License-Identifier: Apache-2.0
"""`pedigree consent`: open a data set's consent map, record what subjects indicate, prove it."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import click

from gateway.cli.answers import found, print_impact, recorded
from gateway.cli.console import dumps, plain, show, table
from gateway.cli.lineage import AS_OF
from gateway.cli.options import FILE, IDEMPOTENCY_KEY, using_gateway
from gateway.cli.outputs import OUTPUT, written
from gateway.cli.verbs import CURSOR, LIMIT, gather

SAYINGS: Final = {
    "give": ("ConsentGiven", "Record that subjects gave their consent."),
    "renew": ("RenewedConsentGiven", "Record that subjects renewed their consent."),
    "refuse": ("ConsentRefused", "Record that subjects refused their consent."),
    "withdraw": ("ConsentWithdrawn", "Record that subjects withdrew their consent."),
}
"""The verbs that record one state, and what each means."""


@click.command()
@click.argument("dataset")
@click.argument("file", type=FILE, required=False)
@IDEMPOTENCY_KEY
@using_gateway
def consent_open(pedigree: Any, dataset: str, file: Path | None, idempotency_key: str | None, as_json: bool) -> None:
    """Open the consent map of a data set of yours, once.

    It begins with what the columns of the records said (`dataset commit --subject-field`), and with what FILE says:
    CSV, JSON Lines or Parquet with subject, state, purposes and indicated_at. Ids of subjects stay with your gateway.
    """
    recorded(pedigree.open_consent(dataset, file or (), idempotency_key=idempotency_key), as_json)


@click.command()
@click.argument("dataset")
@click.argument("file", type=FILE)
@IDEMPOTENCY_KEY
@using_gateway
def consent_change(pedigree: Any, dataset: str, file: Path, idempotency_key: str | None, as_json: bool) -> None:
    """Record what up to 500 data subjects indicated.

    FILE is CSV, JSON Lines or Parquet with subject, state, purposes and indicated_at.
    """
    recorded(pedigree.change_consent(dataset, file, idempotency_key=idempotency_key), as_json)


@click.command()
@click.argument("dataset")
@click.argument("subject")
@click.option("--number", type=click.IntRange(1), help="A version of the consent map; the last one by default.")
@using_gateway
def consent_proof(pedigree: Any, dataset: str, subject: str, number: int | None, as_json: bool) -> None:
    """Print evidence of a subject's consent, or of its absence.

    It shows the subject's random reference, and not your id of the subject.
    """
    click.echo(dumps(pedigree.consent_proof(dataset, subject=subject, number=number)))


@click.command()
@click.argument("dataset")
@click.argument("subject", required=False)
@click.option("--from", "source", type=click.Choice(["read-model", "ledger"]), help="Where the map is read from.")
@using_gateway
def consent_show(pedigree: Any, dataset: str, subject: str | None, source: str | None, as_json: bool) -> None:
    """Show a consent map, or what one of its subjects indicated.

    With a SUBJECT, by your own id: the state now, and every change of it, newest first.
    """
    if subject is None:
        found(pedigree.consent(dataset, source=source), as_json)
        return
    answer = pedigree.consent_history(dataset, subject=subject)

    def render() -> None:
        state = "not in the map" if answer["status"] is None else answer["status"]["status"]
        click.echo(plain(f"In version {answer['number']} of the consent map of {answer['dataset']}: {state}"))
        steps = [
            {
                "version": each["number"],
                **each["status"],
                **each["transaction"],
                "purposes": ", ".join(each["purposes"]),
            }
            for each in answer["history"]
        ]
        if steps:
            table(steps, "version", "status", "purposes", "indicated_at", "block")
        if answer["left"]:
            click.echo(f"{answer['left']} changes are older than these")

    show(answer, as_json, render)


@click.command()
@click.argument("dataset")
@click.argument("subject")
@click.option("-o", "--output", type=OUTPUT, default="-", help="The file; standard output by default.")
@click.option("--number", type=click.IntRange(1), help="A version of the consent map; the last one by default.")
@using_gateway
def consent_receipt(pedigree: Any, dataset: str, subject: str, output: Path, number: int | None, as_json: bool) -> None:
    """Write a receipt for a data subject.

    It says what the subject indicated in the terms of ISO/IEC TS 27560, holds the proof of it, and is checked by
    `pedigree verify`. It has the subject's random reference, and not your id of the subject.
    """
    written(output, dumps(pedigree.consent_receipt(dataset, subject=subject, number=number)["receipt"]))


@click.command()
@click.argument("dataset")
@click.argument("subject")
@click.option("-o", "--output", type=OUTPUT, help="Write it as a signed statement to a file.")
@AS_OF
@LIMIT
@CURSOR
@using_gateway
def consent_impact(
    pedigree: Any, dataset: str, subject: str, output: Path | None, as_of: int | None, limit: int, cursor: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Show what a data subject's withdrawal comes to.

    It names the subject's records, every selection, run and model that they reached, whether they reached training or
    were only held out, and what each owner has to do. The signed statement has the subject's random reference and the
    positions of the records in place of your ids; `pedigree verify` checks it.
    """
    if output is not None:
        written(output, dumps(pedigree.consent_impact_statement(dataset, subject=subject, as_of=as_of)))
        return
    answer = gather(partial(pedigree.consent_impact, dataset, subject=subject, as_of=as_of), limit, cursor)
    show(answer, as_json, lambda: print_impact(answer))


def saying(verb: str) -> click.Command:
    """The verb that records one state for subjects."""
    state, meaning = SAYINGS[verb]

    def say(
        pedigree: Any, dataset: str, subjects: Sequence[str], purposes: Sequence[str], at: str | None,
        idempotency_key: str | None, as_json: bool,
    ) -> None:  # fmt: skip
        said = {"state": state, "purposes": list(purposes), **({} if at is None else {"indicated_at": at})}
        indications = [{"subject": subject, **said} for subject in subjects]
        recorded(pedigree.change_consent(dataset, indications, idempotency_key=idempotency_key), as_json)

    decorated = using_gateway(say)
    for parameter in (
        IDEMPOTENCY_KEY,
        click.option("--at", help="When they indicated it (RFC 3339, or a date); now by default."),
        click.option(
            "--purpose", "purposes", multiple=True, help="What it covers: a name, or yours by title or IRI; repeatable."
        ),
        click.argument("subjects", nargs=-1, required=True, metavar="SUBJECT..."),
        click.argument("dataset"),
    ):
        decorated = parameter(decorated)
    return click.command(help=meaning)(decorated)
