# SPDX-License-Identifier: Apache-2.0
"""The verbs of `pedigree` by which organisations agree: policies, and an artifact's way to approval."""

from pathlib import Path
from typing import Any

import click

from gateway.cli.answers import found, recorded
from gateway.cli.console import fields, plain, show, table
from gateway.cli.options import FILE, IDEMPOTENCY_KEY, merged, using_gateway

_REASON = click.option("--reason", required=True, help="Why, in words that stand on the ledger.")
_PAGE = 100
_SHOWN = ("endorsed_by", "rejected_by", "missing", "may_endorse")


@click.group()
def policy() -> None:
    """The consortium's endorsement policy."""


@policy.command("show")
@using_gateway
def policy_show(pedigree: Any, as_json: bool) -> None:
    """Show the policy in force."""
    found(pedigree.policy(), as_json)


@policy.command("vote")
@click.argument("file", type=FILE)
@IDEMPOTENCY_KEY
@using_gateway
def policy_vote(pedigree: Any, file: Path, idempotency_key: str | None, as_json: bool) -> None:
    """Vote for the policy in FILE (JSON).

    Once enough organisations have voted for the very same one, it is in force.
    """
    recorded(pedigree.set_policy(idempotency_key=idempotency_key, **merged(file)), as_json)


@click.command()
@click.argument("reference")
@IDEMPOTENCY_KEY
@using_gateway
def submit(pedigree: Any, reference: str, idempotency_key: str | None, as_json: bool) -> None:
    """Ask for endorsement of an artifact of yours."""
    recorded(pedigree.submit(reference, idempotency_key=idempotency_key), as_json)


@click.command()
@click.argument("reference")
@click.option("--digest", help="The bytes that you examined; the recorded ones by default.")
@IDEMPOTENCY_KEY
@using_gateway
def endorse(pedigree: Any, reference: str, digest: str | None, idempotency_key: str | None, as_json: bool) -> None:
    """Vouch for an artifact, signed."""
    recorded(pedigree.endorse(reference, digest=digest, idempotency_key=idempotency_key), as_json)


@click.command()
@click.argument("reference")
@_REASON
@IDEMPOTENCY_KEY
@using_gateway
def reject(pedigree: Any, reference: str, reason: str, idempotency_key: str | None, as_json: bool) -> None:
    """Say that an artifact must not be approved."""
    recorded(pedigree.reject(reference, reason, idempotency_key=idempotency_key), as_json)


@click.command()
@click.argument("reference")
@_REASON
@IDEMPOTENCY_KEY
@using_gateway
def withdraw(pedigree: Any, reference: str, reason: str, idempotency_key: str | None, as_json: bool) -> None:
    """Take your endorsement back."""
    recorded(pedigree.withdraw(reference, reason, idempotency_key=idempotency_key), as_json)


@click.command()
@click.argument("reference")
@_REASON
@IDEMPOTENCY_KEY
@using_gateway
def quarantine(pedigree: Any, reference: str, reason: str, idempotency_key: str | None, as_json: bool) -> None:
    """Stop an artifact at whatever stage it is."""
    recorded(pedigree.quarantine(reference, reason, idempotency_key=idempotency_key), as_json)


@click.command()
@click.argument("reference")
@_REASON
@IDEMPOTENCY_KEY
@using_gateway
def release(pedigree: Any, reference: str, reason: str, idempotency_key: str | None, as_json: bool) -> None:
    """End a quarantine that you imposed."""
    recorded(pedigree.release(reference, reason, idempotency_key=idempotency_key), as_json)


@click.command()
@click.argument("reference")
@click.argument("stage")
@IDEMPOTENCY_KEY
@using_gateway
def advance(pedigree: Any, reference: str, stage: str, idempotency_key: str | None, as_json: bool) -> None:
    """Move an artifact of yours to its next STAGE."""
    recorded(pedigree.advance(reference, stage, idempotency_key=idempotency_key), as_json)


@click.command()
@click.argument("reference")
@using_gateway
def artifact(pedigree: Any, reference: str, as_json: bool) -> None:
    """Show where an artifact stands and who vouches."""
    answer = pedigree.artifact(reference)

    def render() -> None:
        click.echo(f"{reference} is {answer['stage']}")
        if answer["status"] is not None:
            fields({name: answer["status"][name] for name in _SHOWN})

    show(answer, as_json, render)


@click.command()
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="Most artifacts to list.")
@click.option("--cursor", help="The `next` of an earlier answer, to go on after it.")
@using_gateway
def inbox(pedigree: Any, limit: int, cursor: str | None, as_json: bool) -> None:
    """List what awaits your organisation's endorsement."""
    items: list[Any] = []
    while True:
        answer = pedigree.inbox(cursor=cursor, limit=min(limit - len(items), _PAGE))
        items += answer["items"]
        cursor = answer["next"]
        if cursor is None or len(items) >= limit:
            break
    answer["items"] = items

    def render() -> None:
        if items:
            table(items, "artifact", "owner", "since")
        else:
            click.echo(f"Nothing awaits {answer['organisation']}'s endorsement.")
        if cursor is not None:
            click.echo(plain(f"There may be more: go on with --cursor {cursor}"))

    show(answer, as_json, render)


VERBS = (policy, submit, endorse, reject, withdraw, quarantine, release, advance, artifact, inbox)
