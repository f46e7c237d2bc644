# SPDX-License-Identifier: Apache-2.0
"""The verbs of `pedigree` that use a gateway, through the SDK: what an application can do, a shell can."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from gateway.console import Json, fields, hashing, lineage_tree, read_json, show, table, told

_FILE = click.Path(path_type=Path, exists=True)


def add_verbs(main: click.Group) -> None:
    """Add the verbs to the command."""
    for command in (dataset, model, run, policy, submit, endorse, reject, artifact, inbox, lineage, verify, ledger):
        main.add_command(command)


def using_gateway(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say which gateway, and open a client on it as the first argument."""

    def wrapper(url: str, key: str, timeout: float, **arguments: Any) -> None:
        from gateway.sdk import Pedigree

        with Pedigree(url, key, timeout=timeout) as pedigree:
            function(pedigree, **arguments)

    wrapper.__doc__ = function.__doc__
    wrapper.__name__ = function.__name__
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
        click.option("--timeout", type=float, default=60.0, show_default=True, help="Seconds."),
        click.option("--key", required=True, envvar="PEDIGREE_KEY", help="API key; also PEDIGREE_KEY."),
        click.option("--url", required=True, envvar="PEDIGREE_URL", help="Gateway; also PEDIGREE_URL."),
    ):
        wrapper = option(wrapper)
    return told_wrapper(wrapper)


def told_wrapper(wrapper: Callable[..., None]) -> Callable[..., None]:
    """`told`, keeping the options that click has stored on the function."""
    parameters = getattr(wrapper, "__click_params__", [])
    result = told(wrapper)
    result.__click_params__ = parameters  # type: ignore[attr-defined]
    return result


def _recorded(recorded: Any, as_json: bool) -> None:
    value = {
        "record": recorded.record,
        "event": recorded.event,
        "transaction": {"id": recorded.transaction_id, "block": recorded.block},
    }

    def render() -> None:
        click.echo(f"{recorded.event['name']}: transaction {recorded.transaction_id}, block {recorded.block}")
        fields(recorded.record)

    show(value, as_json, render)


def _found(found: Json, as_json: bool) -> None:
    def render() -> None:
        click.echo(f"transaction {found['transaction']['id']}, block {found['transaction']['block']}")
        fields(found["record"])

    show(found, as_json, render)


def _rest(given: Path | None, **options: Any) -> Json:
    """Fields from a file, overridden by options that were given."""
    return {
        **(read_json(given) if given is not None else {}),
        **{name: value for name, value in options.items() if value is not None},
    }


_FIELDS = click.option("--fields", "given", type=_FILE, help="JSON file with further fields of the record.")


@click.group()
def dataset() -> None:
    """Register data sets, commit to their records, compare copies with the ledger."""


@dataset.command("register")
@click.argument("name")
@click.option("--title")
@click.option("--licence", help="SPDX expression.")
@_FIELDS
@using_gateway
def dataset_register(
    pedigree: Any, name: str, title: str | None, licence: str | None, given: Path | None, as_json: bool
) -> None:
    """Register a data set of your organisation."""
    _recorded(pedigree.register_dataset(name, **_rest(given, title=title, licence=licence)), as_json)


@dataset.command("commit")
@click.argument("name")
@click.argument("file", type=_FILE)
@click.option("--id-field", help="Column or member that holds the record id.")
@click.option("--consent", default="ConsentUnknown", show_default=True)
@click.option("--purpose", "purposes", multiple=True)
@using_gateway
def dataset_commit(
    pedigree: Any, name: str, file: Path, id_field: str | None, consent: str, purposes: tuple[str, ...], as_json: bool
) -> None:
    """Commit to every record of a CSV or JSON Lines file as the next version."""
    recorded = pedigree.commit_records(name, file, id_field=id_field, consent=consent, purposes=purposes)
    _recorded(recorded, as_json)


@dataset.command("show")
@click.argument("name")
@click.argument("number", type=int, required=False)
@using_gateway
def dataset_show(pedigree: Any, name: str, number: int | None, as_json: bool) -> None:
    """Show a data set, or one version of it."""
    _found(pedigree.dataset(name) if number is None else pedigree.dataset_version(name, number), as_json)


@dataset.command("proof")
@click.argument("name")
@click.argument("number", type=int)
@click.argument("record_id")
@click.argument("output", type=click.File("w"), default="-")
@using_gateway
def dataset_proof(pedigree: Any, name: str, number: int, record_id: str, output: Any, as_json: bool) -> None:
    """Write evidence that a record is in a version; it discloses that record."""
    from gateway.console import dumps

    click.echo(dumps(pedigree.record_proof(name, number, record_id)), file=output)


@dataset.command("verify")
@click.argument("name")
@click.argument("number", type=int)
@click.argument("file", type=_FILE, required=False)
@click.option("--id-field")
@using_gateway
def dataset_verify(
    pedigree: Any, name: str, number: int, file: Path | None, id_field: str | None, as_json: bool
) -> None:
    """Compare a copy of the records, or the owner's own store, with the ledger, and name every difference."""
    _report(pedigree.verify_dataset(name, number, file, id_field=id_field), as_json)


def _report(report: Json, as_json: bool) -> None:
    def render() -> None:
        for what in ("changed", "added", "removed", "moved", "altered_in_store"):
            for item in report.get(what, ()):
                click.echo(f"{what.replace('_', ' ')}: {item}")
        click.echo("verified" if report["verified"] else "NOT verified")

    show(report, as_json, render)
    if not report["verified"]:
        raise SystemExit(1)


@click.group()
def model() -> None:
    """Register models, record their versions, compare files with the ledger."""


@model.command("register")
@click.argument("name")
@click.option("--title")
@_FIELDS
@using_gateway
def model_register(pedigree: Any, name: str, title: str | None, given: Path | None, as_json: bool) -> None:
    """Register a model of your organisation."""
    _recorded(pedigree.register_model(name, **_rest(given, title=title)), as_json)


@model.command("record")
@click.argument("name")
@click.argument("path", type=_FILE)
@click.option("--licence", required=True, help="SPDX expression.")
@click.option("--number", type=int, help="The next one by default.")
@click.option("--run", help="The training run that made it.")
@_FIELDS
@using_gateway
def model_record(
    pedigree: Any,
    name: str,
    path: Path,
    licence: str,
    number: int | None,
    run: str | None,
    given: Path | None,
    as_json: bool,
) -> None:
    """Record a version of a model: every file of PATH by its SHA-256."""
    from gateway.sdk import digest_files

    with hashing(path, as_json) as progress:
        entries = digest_files(path, progress)
    rest = _rest(given, run=run)
    _recorded(pedigree.record_model_version(name, entries, licence=licence, number=number, **rest), as_json)


@model.command("show")
@click.argument("name")
@click.argument("number", type=int, required=False)
@using_gateway
def model_show(pedigree: Any, name: str, number: int | None, as_json: bool) -> None:
    """Show a model, or one version of it."""
    _found(pedigree.model(name) if number is None else pedigree.model_version(name, number), as_json)


@model.command("verify")
@click.argument("name")
@click.argument("number", type=int)
@click.argument("path", type=_FILE)
@using_gateway
def model_verify(pedigree: Any, name: str, number: int, path: Path, as_json: bool) -> None:
    """Compare the files of PATH with the recorded version."""
    with hashing(path, as_json) as progress:
        report = pedigree.verify_model(name, number, path, progress=progress)
    _report(report, as_json)


@click.group()
def run() -> None:
    """Training runs."""


@run.command("show")
@click.argument("name")
@using_gateway
def run_show(pedigree: Any, name: str, as_json: bool) -> None:
    """Show a training run."""
    _found(pedigree.get_run(name), as_json)


@click.group()
def policy() -> None:
    """The consortium's endorsement policy."""


@policy.command("show")
@using_gateway
def policy_show(pedigree: Any, as_json: bool) -> None:
    """Show the policy in force."""
    _found(pedigree.policy(), as_json)


@policy.command("vote")
@click.argument("file", type=_FILE)
@using_gateway
def policy_vote(pedigree: Any, file: Path, as_json: bool) -> None:
    """Vote for the policy in FILE (JSON)."""
    _recorded(pedigree.set_policy(**read_json(file)), as_json)


@click.command()
@click.argument("reference")
@using_gateway
def submit(pedigree: Any, reference: str, as_json: bool) -> None:
    """Ask the consortium to endorse an artifact of your organisation."""
    _recorded(pedigree.submit(reference), as_json)


@click.command()
@click.argument("reference")
@click.option("--digest", help="The bytes that you examined; the recorded ones by default.")
@using_gateway
def endorse(pedigree: Any, reference: str, digest: str | None, as_json: bool) -> None:
    """Vouch for an artifact with a signed statement."""
    _recorded(pedigree.endorse(reference, digest=digest), as_json)


@click.command()
@click.argument("reference")
@click.option("--reason", required=True)
@using_gateway
def reject(pedigree: Any, reference: str, reason: str, as_json: bool) -> None:
    """Say that an artifact must not be approved."""
    _recorded(pedigree.reject(reference, reason), as_json)


@click.command()
@click.argument("reference")
@using_gateway
def artifact(pedigree: Any, reference: str, as_json: bool) -> None:
    """Show where an artifact stands, who vouches for it, and who is missing."""
    found = pedigree.artifact(reference)

    def render() -> None:
        click.echo(f"{reference} is {found['stage']}")
        if found["status"] is not None:
            fields({name: found["status"][name] for name in ("endorsed_by", "rejected_by", "missing", "may_endorse")})

    show(found, as_json, render)


@click.command()
@using_gateway
def inbox(pedigree: Any, as_json: bool) -> None:
    """List what awaits your organisation's endorsement."""
    found = pedigree.inbox()
    show(found, as_json, lambda: table(found["items"], "artifact", "owner", "since"))


@click.command()
@click.argument("reference")
@click.option("--down", is_flag=True, help="What was made from it, instead of what it was made from.")
@using_gateway
def lineage(pedigree: Any, reference: str, down: bool, as_json: bool) -> None:
    """Show the lineage of an artifact as a tree."""
    direction = "down" if down else "up"
    found = pedigree.lineage(reference, direction)
    show(found, as_json, lambda: lineage_tree(found, direction))


@click.command()
@click.argument("file", type=_FILE)
@click.option("--root", help="Root of the version as read from a ledger that you trust (hex).")
@click.option("--json", "as_json", is_flag=True)
@told
def verify(file: Path, root: str | None, as_json: bool) -> None:
    """Check a file of evidence off line, and say in plain words what it proves and what it does not."""
    from gateway.verifier.evidence import verify_evidence

    verdict = verify_evidence(read_json(file), root=root)
    show(verdict.as_json(), as_json, lambda: click.echo(verdict.text()))


@click.command()
@using_gateway
def ledger(pedigree: Any, as_json: bool) -> None:
    """Show the ledger's height and this gateway's place at it."""
    found = pedigree.ledger()
    show(found, as_json, lambda: fields(found))
