# SPDX-License-Identifier: Apache-2.0
"""`pedigree endorse` and `pedigree reject`: a signed word on an artifact, shown before it is signed."""

from collections.abc import Callable
from typing import Any

import click

from gateway.api.operations import STAGES
from gateway.cli.answers import recorded
from gateway.cli.console import Json, dumps, plain, show
from gateway.cli.options import IDEMPOTENCY_KEY, using_gateway

_STAGE = click.option(
    "--stage", type=click.Choice(STAGES), default="approved", show_default=True, help="The stage that the word is on."
)
_DIGEST = click.option("--digest", help="The bytes that you examined; the recorded ones by default.")
_DRY_RUN = click.option("--dry-run", is_flag=True, help="Show what would be signed; sign and record nothing.")


def _without_none(**said: Any) -> Json:
    return {name: value for name, value in said.items() if value is not None}


@click.command()
@click.argument("reference")
@_STAGE
@_DIGEST
@_DRY_RUN
@IDEMPOTENCY_KEY
@using_gateway
def endorse(
    pedigree: Any,
    reference: str,
    stage: str,
    digest: str | None,
    dry_run: bool,
    idempotency_key: str | None,
    as_json: bool,
) -> None:
    """Vouch for an artifact, signed.

    With --dry-run the statement is shown in words and as JSON, with what it does not cover and what the ledger would
    say to it. When it is signed it is dated anew.
    """
    said = _without_none(stage=stage, digest=digest)
    if dry_run:
        show_draft(pedigree.draft_statement(reference, decision="endorse", **said), as_json)
        return
    recorded(pedigree.endorse(reference, idempotency_key=idempotency_key, **said), as_json)


@click.command()
@click.argument("reference")
@click.option("--reason", required=True, help="Why, in words that are signed and that the ledger keeps.")
@_STAGE
@_DIGEST
@_DRY_RUN
@IDEMPOTENCY_KEY
@using_gateway
def reject(
    pedigree: Any,
    reference: str,
    reason: str,
    stage: str,
    digest: str | None,
    dry_run: bool,
    idempotency_key: str | None,
    as_json: bool,
) -> None:
    """Say that an artifact must not be approved.

    The reason is a part of what is signed. With --dry-run the statement is shown in words and as JSON, with what it
    does not cover and what the ledger would say to it.
    """
    said = _without_none(stage=stage, digest=digest, reason=reason)
    if dry_run:
        show_draft(pedigree.draft_statement(reference, decision="reject", **said), as_json)
        return
    recorded(pedigree.reject(reference, idempotency_key=idempotency_key, **said), as_json)


def show_draft(draft: Json, as_json: bool) -> None:
    """Show a statement that is not signed."""
    show(draft, as_json, lambda: _render(draft, click.echo))


def _render(draft: Json, say: Callable[[str], None]) -> None:
    say("What would be signed, and nothing is recorded:")
    for sentence in draft["words"]:
        say(plain(f"  - {sentence}"))
    say("As JSON:")
    say(plain(dumps(draft["statement"])))
    say("What was found here:")
    for line in _found(draft):
        say(plain(f"  - {line}"))
    say("What it does not cover:")
    for sentence in draft["not_covered"]:
        say(plain(f"  - {sentence}"))
    refused = draft["refused"]
    if refused is None:
        say("The ledger would take it now.")
    else:
        say(plain(f"The ledger would refuse it now: {refused['detail']} [{refused['code']}]"))


def _found(draft: Json) -> list[str]:
    """What is known of the artifact where the word is given."""
    lines = [
        f"evaluation {each['evaluation']} by {each['owner']}, "
        + ("judged by no criteria" if each["verdict"] is None else f"verdict {each['verdict']}")
        + f"; its receipt: pedigree receipt {each['transaction']}"
        for each in draft["evaluations"]
    ]
    lines += [f"{taint['path'][-1]}, above it, is {taint['cause']}" for taint in draft["tainted_by"]]
    return lines or ["no evaluation of it, and nothing above it that is stopped"]
