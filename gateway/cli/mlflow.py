# SPDX-License-Identifier: Apache-2.0
"""`pedigree mlflow`: what MLflow has tracked, recorded on the ledger."""

from typing import Any

import click

from gateway.cli.console import Failure, plain, show, table
from gateway.cli.exits import Exit, exit_of
from gateway.cli.options import using_gateway


@click.group()
def mlflow() -> None:
    """Record what MLflow has tracked."""


@mlflow.command("record")
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option("--experiment", help="Name of an experiment, all of whose finished runs are recorded.")
@click.option("--tag", "tags", multiple=True, metavar="NAME=VALUE", help="Tag of each run, set before; repeatable.")
@click.option("--tracking-uri", envvar="MLFLOW_TRACKING_URI", help="MLflow's store; also MLFLOW_TRACKING_URI.")
@using_gateway
def mlflow_record(
    pedigree: Any,
    runs: tuple[str, ...],
    experiment: str | None,
    tags: tuple[str, ...],
    tracking_uri: str | None,
    as_json: bool,
) -> None:
    """Record finished runs of MLflow on the ledger.

    It is done by itself as they end, where MLflow has the plug-in; this is for runs from before, and for those whose
    recording failed. Tags such as pedigree.use say what a run used. One that is recorded already stays as it is.
    """
    from pedigree.mlflowruns.stores import record_stored

    if not runs and experiment is None:
        raise click.UsageError("name runs by their ids, or give --experiment", click.get_current_context())
    for each in tags:
        if "=" not in each:
            raise click.UsageError(f"--tag is NAME=VALUE, not {each!r}", click.get_current_context())
    given = dict(each.partition("=")[::2] for each in tags)
    attempts = list(
        record_stored(pedigree, runs=runs, experiment=experiment, tags=given, tracking_uri=tracking_uri or None)
    )
    rows = [{"run": each.run_id, "reference": each.reference, "reason": each.reason} for each in attempts]

    def render() -> None:
        table(rows, "run", "reference", "reason")

    show(rows, as_json, render)
    wrong = [each for each in attempts if each.reason is not None]
    if wrong:
        first = next((each.error for each in wrong if each.error is not None), None)
        code = Exit.REFUSED if first is None else exit_of(first)
        raise Failure(plain(f"{len(wrong)} of {len(rows)} not recorded, or not as a whole; first {wrong[0]}"), code)
