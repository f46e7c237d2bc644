# SPDX-License-Identifier: Apache-2.0
"""A word on an artifact, shown before it is signed: `endorse`, `reject`, `withdraw`, `claim state`, and `sign`."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from gateway.api.operations import STAGES
from gateway.cli.answers import recorded
from gateway.cli.console import Json, dumps, plain, read_json, show, told
from gateway.cli.options import FILE, IDEMPOTENCY_KEY, using_gateway
from gateway.cli.outputs import OUTPUT, written

_STAGE = click.option("--stage", type=click.Choice(STAGES), help="The stage that the word is on; approved by default.")
_DIGEST = click.option("--digest", help="The bytes that you examined; the recorded ones by default.")
_REASON = click.option("--reason", help="Why, in words that are signed and that the ledger keeps.")
_DRY_RUN = click.option("--dry-run", is_flag=True, help="Show what would be signed; sign and record nothing.")
_PREPARE = click.option(
    "--prepare", type=OUTPUT, metavar="FILE", help="Write the statement, to be signed elsewhere by `pedigree sign`."
)
_SIGNED = click.option("--signed", type=FILE, metavar="FILE", help="Record what `pedigree sign` has signed.")


_OF_CLAIMS = ("against", "evidence", "evidence_digest")
_FIELDS = ("stage", "digest", *_OF_CLAIMS)
"""What may be said beside the reason."""
_VERBS = {"counter-claim": "claim state"}
"""How a decision is called whose own name is not a verb."""


def _options(*more: Callable[..., Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        for option in reversed((_STAGE, *more, _DRY_RUN, _PREPARE, _SIGNED, IDEMPOTENCY_KEY)):
            function = option(function)
        return function

    return decorate


@click.command()
@click.argument("reference", required=False)
@_options(_DIGEST)
@using_gateway
def endorse(pedigree: Any, reference: str | None, idempotency_key: str | None, as_json: bool, **said: Any) -> None:
    """Vouch for an artifact, signed.

    With --dry-run the statement is shown in words and as JSON, with what it does not cover and what the ledger would
    say to it. Your gateway signs, unless a person of your organisation does: --prepare FILE, then `pedigree sign FILE`
    where the key is, then --signed FILE, all within a day.
    """
    _speak(pedigree, "endorse", reference, None, idempotency_key, as_json, said)


@click.command()
@click.argument("reference", required=False)
@_REASON
@_options(_DIGEST)
@using_gateway
def reject(
    pedigree: Any, reference: str | None, reason: str | None, idempotency_key: str | None, as_json: bool, **said: Any
) -> None:
    """Say that an artifact must not be approved.

    The reason is a part of what is signed. --dry-run, --prepare and --signed are as for `pedigree endorse`.
    """
    _speak(pedigree, "reject", reference, reason, idempotency_key, as_json, said)


@click.command()
@click.argument("reference", required=False)
@_REASON
@_options()
@using_gateway
def withdraw(
    pedigree: Any, reference: str | None, reason: str | None, idempotency_key: str | None, as_json: bool, **said: Any
) -> None:
    """Take your endorsement back, signed.

    The reason is a part of what is signed. --dry-run, --prepare and --signed are as for `pedigree endorse`.
    """
    _speak(pedigree, "withdraw", reference, reason, idempotency_key, as_json, said)


@click.command()
@click.argument("reference", required=False)
@_REASON
@_options(
    click.option("--against", metavar="MSPID", help="Whose endorsement it is against; the artifact by default."),
    click.option("--evidence", metavar="REFERENCE", help="A record that shows it, such as an evaluation."),
    click.option("--evidence-digest", metavar="SHA256", help="The SHA-256 of a document that shows it."),
)
@using_gateway
def claim_state(
    pedigree: Any, reference: str | None, reason: str | None, idempotency_key: str | None, as_json: bool, **said: Any
) -> None:
    """Object to an artifact, signed.

    It stays open until you take it back; the organisation that it is against can answer it. --dry-run, --prepare and
    --signed are as for `pedigree endorse`.
    """
    _speak(pedigree, "counter-claim", reference, reason, idempotency_key, as_json, said)


@click.command()
@click.argument("file", type=FILE)
@click.option("--key", "key_file", type=FILE, required=True, help="PEM file: your private key (P-256, P-384, Ed25519).")
@click.option(
    "--cert", type=FILE, required=True, help="PEM file: your certificate, then those above it that are not declared."
)
@click.option("-o", "--output", type=OUTPUT, help="Where the signed statement goes; FILE itself by default.")
@click.option("--yes", is_flag=True, help="Sign without asking; the statement is shown all the same.")
@told
def sign(file: Path, key_file: Path, cert: Path, output: Path | None, yes: bool) -> None:
    """Sign a statement or a transaction that was prepared.

    What is signed is shown in words first, out of the very bytes that are signed. No gateway is asked: the key can be
    on a machine without a network.
    """
    from gateway.verifier.signing import LARGEST_PEM, load_key

    words, signing = _to_sign(file)
    for line in words:
        click.echo(plain(line))
    if not yes:
        click.confirm("Sign it?", abort=True)
    pem = _start_of(key_file, LARGEST_PEM)
    try:
        key = _reading(key_file, lambda: load_key(pem, None))
    except TypeError:
        passphrase = click.prompt(f"Passphrase of {key_file}", hide_input=True).encode()
        key = _reading(key_file, lambda: load_key(pem, passphrase))
    signed = _reading(cert, lambda: signing(key, _start_of(cert, LARGEST_PEM)))
    written(output or file, dumps(signed))
    click.echo(plain(f"signed into {output or file}"), err=True)


def _to_sign(file: Path) -> tuple[list[str], Callable[[Any, bytes], Json]]:
    """What is in a prepared file, in lines, and what signs it with a key and its certificates."""
    from gateway.services.wording import NOT_COVERED, in_words
    from gateway.verifier import offline
    from gateway.verifier.signing import read_prepared, sign_prepared

    value = _reading(file, lambda: read_json(file))
    if value.get("format") == offline.FORMAT:
        unsigned = _reading(file, lambda: offline.read_unsigned(value))
        lines = ["This is what you sign:", *(f"  - {sentence}" for sentence in unsigned.words())]
        return lines, lambda key, certificates: offline.sign_unsigned(unsigned, key, certificates)
    found = _reading(file, lambda: read_prepared(value))
    lines = ["This is what you sign:", *(f"  - {sentence}" for sentence in in_words(found.statement))]
    lines += ["What it does not cover:", *(f"  - {sentence}" for sentence in NOT_COVERED)]
    return lines, lambda key, certificates: sign_prepared(found, key, certificates)


def _speak(
    pedigree: Any,
    decision: str,
    reference: str | None,
    reason: str | None,
    idempotency_key: str | None,
    as_json: bool,
    said: Mapping[str, Any],
) -> None:
    """Show, prepare or record a word."""
    dry_run, prepare, signed = said["dry_run"], said["prepare"], said["signed"]
    context = click.get_current_context()
    if sum((bool(dry_run), prepare is not None, signed is not None)) > 1:
        raise click.UsageError("give one of --dry-run, --prepare and --signed", context)
    if signed is not None:
        if reference is not None or reason is not None or any(said.get(name) is not None for name in _FIELDS):
            raise click.UsageError("what is said is in the signed file: give --signed alone", context)
        recorded(_record_signed(pedigree, decision, signed, idempotency_key), as_json)
        return
    if reference is None:
        raise click.UsageError("Missing argument 'REFERENCE'.", context)
    if decision != "endorse" and reason is None:
        raise click.UsageError("Missing option '--reason'.", context)
    fields = {name: said[name] for name in _FIELDS if said.get(name) is not None}
    if reason is not None:
        fields["reason"] = reason
    if not dry_run and prepare is None:
        recorded(_method(pedigree, decision)(reference, idempotency_key=idempotency_key, **fields), as_json)
        return
    draft = pedigree.draft_statement(reference, decision=decision, **fields)
    if prepare is None:
        show(draft, as_json, lambda: _render(draft, click.echo))
        return
    from gateway.verifier.signing import prepared

    written(prepare, dumps(prepared(draft)))
    refused = draft["refused"]
    if refused is not None:
        click.echo(plain(f"The ledger would refuse it now: {refused['detail']} [{refused['code']}]"), err=True)


def _record_signed(pedigree: Any, decision: str, file: Path, idempotency_key: str | None) -> Any:
    """Record what a signed file says, and nothing beside it."""
    from gateway.verifier.signing import read_prepared

    found = _reading(file, lambda: read_prepared(read_json(file)))
    if not found.chain or not found.envelope.get("signatures"):
        raise ValueError(f"{file} is not signed yet: pedigree sign {file} --key KEY --cert CERTIFICATE")
    statement = found.statement
    if found.decision.value != decision:
        verb = _VERBS.get(found.decision.value, found.decision.value)
        raise ValueError(f"{file} holds a word to {found.decision.value}: pedigree {verb} --signed {file}")
    named = {name: getattr(statement, name) for name in ("reason", *_OF_CLAIMS)}
    more = {name: str(value) for name, value in named.items() if value is not None}
    return _method(pedigree, decision)(
        str(statement.artifact),
        envelope=found.envelope,
        chain=found.chain,
        stage=statement.stage,
        idempotency_key=idempotency_key,
        **more,
    )


def _method(pedigree: Any, decision: str) -> Callable[..., Any]:
    """What records a decision."""
    method: Callable[..., Any] = pedigree.state_claim if decision == "counter-claim" else getattr(pedigree, decision)
    return method


def _start_of(file: Path, most: int) -> bytes:
    """A file, but no more of it than one byte more than is taken."""
    with file.open("rb") as opened:
        return opened.read(most + 1)


def _reading(file: Path, reader: Callable[[], Any]) -> Any:
    """What a reader makes of a file; its `ValueError` names the file."""
    try:
        return reader()
    except ValueError as exc:
        text = plain(str(exc))
        raise ValueError(text if str(file) in text else f"{plain(str(file))}: {text}") from None


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
