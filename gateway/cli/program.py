# SPDX-License-Identifier: Apache-2.0
"""The `pedigree` command: run a gateway, manage its keys, and use any organisation's gateway.

Everything heavy is imported by the command that needs it, so that `--help` answers at once.
"""

import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from gateway.cli.access import (
    access_attempt,
    access_expire,
    access_grant,
    access_policy,
    access_renew,
    access_request,
    access_review,
)
from gateway.cli.audit import audit_export, audit_list, audit_show, audit_verify
from gateway.cli.batch import batch
from gateway.cli.blobs import blobs
from gateway.cli.cards import dataset_check
from gateway.cli.consent import (
    SAYINGS,
    consent_change,
    consent_impact,
    consent_open,
    consent_proof,
    consent_receipt,
    consent_show,
    saying,
)
from gateway.cli.consentstore import consent_adopt, consent_copy
from gateway.cli.console import Failure, Tool, dumps, plain, show, told
from gateway.cli.criteria import criteria_register
from gateway.cli.datasets import dataset_bundle, dataset_commit, dataset_proof, dataset_publish, dataset_verify
from gateway.cli.deliveries import access_deliveries, access_fetch
from gateway.cli.deployments import deployment_show
from gateway.cli.embedding import model_embed, model_extract
from gateway.cli.endorsing import artifact, inbox
from gateway.cli.evidence import evidence, verify
from gateway.cli.exits import Exit
from gateway.cli.finding import add_lists, search, show_record
from gateway.cli.identity.verbs import identity
from gateway.cli.keys import keys
from gateway.cli.lineage import effective_licence, impact, lineage
from gateway.cli.log import log_checkpoint, log_policy, log_show, receipt
from gateway.cli.mlflow import mlflow
from gateway.cli.models import model_record, model_verify
from gateway.cli.modelsigning import model_check_signature, model_sign
from gateway.cli.offline import offline_endorse, offline_prepare, offline_submit
from gateway.cli.reads import access_attempts, access_reads
from gateway.cli.records import records
from gateway.cli.reminders import reminders
from gateway.cli.requests import Requests
from gateway.cli.roots import roots_declare
from gateway.cli.runs import run_record, run_statement, run_verify
from gateway.cli.selections import dataset_select, selection_bundle, selection_proof, selection_publish
from gateway.cli.transactions import history, log, transactions
from gateway.cli.verbs import add_verbs
from gateway.cli.vouching import claim_state, endorse, reject, sign, withdraw
from gateway.server.options import Options

_network = click.option(
    "--network",
    type=click.Path(path_type=Path),
    default=Path(".pedigree/network.json"),
    show_default=True,
    help="What `pedigree-network up` wrote about the network.",
)


def _options(function: Callable[..., None]) -> Callable[..., None]:
    """An option for each field of `Options`."""
    for each in reversed(fields(Options)):
        said, name = each.metadata, each.metadata.get("option", each.name).replace("_", "-")
        form: dict[str, Any] = {"type": type(each.default)}
        if isinstance(each.default, bool):
            form = {"is_flag": True}
        elif isinstance(each.default, tuple):
            form = {"multiple": True, "metavar": said["metavar"]}
        elif said["most"]:
            form = {"type": click.IntRange(said["least"], said["most"])}
        elif each.default is None and "metavar" in said:
            form = {"metavar": said["metavar"]}
        elif said.get("form") == "rate":
            form = {"type": Requests()}
        elif each.default is None:
            form = {"type": click.Path(path_type=Path)}
        shown = isinstance(each.default, int | str) and not isinstance(each.default, bool) and each.default != ""
        option = click.option(
            f"--{name}", each.name, default=each.default, show_default=shown, help=said["help"], **form
        )
        function = option(function)
    return function


@click.group(cls=Tool, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="pedigree")
def main() -> None:
    """Where AI data sets and models come from, who vouches for them, and proof of it."""


# -- running a gateway ------------------------------------------------------------------------------------------


@main.command()
@_network
@click.option("--organisation", required=True, help="Name or MSP id of the organisation.")
@_options
@click.option("--json", "as_json", is_flag=True, help="Announce readiness as JSON.")
@told
def serve(network: Path, organisation: str, as_json: bool, **given: Any) -> None:
    """Run one organisation's gateway until it is stopped."""
    from gateway.server.preflight import check
    from gateway.server.serving import serve as run_server
    from gateway.server.settings import Settings

    settings = Settings.build(network, organisation, Options(**given))
    check(settings)

    def announce(url: str, health: str) -> None:
        click.echo(dumps({"ready": url, "health": health}) if as_json else f"ready {url} health {health}")
        sys.stdout.flush()

    run_server(settings, announce)


@main.command()
@_network
@click.option("--organisation", required=True, help="Name or MSP id of the organisation that looks.")
@click.option("--data", type=click.Path(path_type=Path), help="Its gateway's data folder, for the read model.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@told
def fsck(network: Path, organisation: str, data: Path | None, as_json: bool) -> None:
    """Judge the whole ledger from its blocks.

    Hash chain, orderers' signatures, every valid transaction's signatures, endorsements and reads, from the pinned
    first block on, as the organisation's own peer delivers them; other peers must hold the same, and the gateway's
    read model what the blocks give. Network and gateway may be running; nothing is changed.

    Each finding is one line; exit code 1 when there is any, or when peer or read model hold another chain.
    """
    from gateway.fsck import AnotherChain
    from gateway.fsck import fsck as judge
    from gateway.server.settings import Settings

    settings = Settings.build(network, organisation, Options(data=data))
    try:
        report = judge(settings.network, settings.organisation, settings.data, lambda line: click.echo(line, err=True))
    except AnotherChain as exc:
        raise Failure(str(exc), Exit.DISAGREES, {"code": "another-chain"}) from None

    def render() -> None:
        for finding in report.findings:
            click.echo(plain(str(finding)))
        for note in report.notes:
            click.echo(plain(f"note: {note}"), err=True)
        click.echo(plain(f"{report.summary()}: {'nothing is wrong' if report.ok else 'NOT sound'}"))

    show(report.as_json(), as_json, render)
    if not report.ok:
        raise SystemExit(Exit.DISAGREES)


main.add_command(keys)
main.add_command(log)
add_verbs(
    main,
    {
        "access attempt": access_attempt,
        "access attempts": access_attempts,
        "reminders": reminders,
        "access deliveries": access_deliveries,
        "access expire": access_expire,
        "access fetch": access_fetch,
        "access grant": access_grant,
        "access policy": access_policy,
        "access reads": access_reads,
        "access renew": access_renew,
        "access request": access_request,
        "access review": access_review,
        "artifact": artifact,
        **{f"consent {verb}": saying(verb) for verb in SAYINGS},
        "consent adopt": consent_adopt,
        "consent change": consent_change,
        "consent copy": consent_copy,
        "consent open": consent_open,
        "consent proof": consent_proof,
        "consent impact": consent_impact,
        "consent receipt": consent_receipt,
        "consent show": consent_show,
        "dataset check": dataset_check,
        "dataset commit": dataset_commit,
        "dataset bundle": dataset_bundle,
        "dataset proof": dataset_proof,
        "dataset publish": dataset_publish,
        "dataset select": dataset_select,
        "dataset verify": dataset_verify,
        "deployment show": deployment_show,
        "endorse": endorse,
        "evidence": evidence,
        "history": history,
        "impact": impact,
        "inbox": inbox,
        "licence show": effective_licence,
        "lineage": lineage,
        "model check-signature": model_check_signature,
        "audit export": audit_export,
        "audit list": audit_list,
        "audit show": audit_show,
        "audit verify": audit_verify,
        "log checkpoint": log_checkpoint,
        "log policy": log_policy,
        "log show": log_show,
        "model embed": model_embed,
        "model extract": model_extract,
        "model record": model_record,
        "model sign": model_sign,
        "model verify": model_verify,
        "claim state": claim_state,
        "batch": batch,
        "offline endorse": offline_endorse,
        "offline prepare": offline_prepare,
        "offline submit": offline_submit,
        "criteria register": criteria_register,
        "receipt": receipt,
        "reject": reject,
        "root declare": roots_declare,
        "run record": run_record,
        "run statement": run_statement,
        "run verify": run_verify,
        "search": search,
        "selection bundle": selection_bundle,
        "selection proof": selection_proof,
        "selection publish": selection_publish,
        "show": show_record,
        "transactions": transactions,
        "sign": sign,
        "verify": verify,
        "withdraw": withdraw,
    },
)
add_lists(main)
main.add_command(blobs)
main.add_command(identity)
main.add_command(mlflow)
main.add_command(records)
