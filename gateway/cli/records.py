# SPDX-License-Identifier: Apache-2.0
"""`pedigree records`: what an operator may do with the owner's record store while its gateway does not run."""

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.console import Failure, show, table, told

if TYPE_CHECKING:
    from gateway.stores.readmodel import ReadModelStore
    from gateway.stores.records import RecordStore
    from gateway.stores.submissions import SubmissionStore

_DAY = 86_400


def open_at_rest(data: Path, guard: ExitStack) -> "tuple[RecordStore, ReadModelStore, SubmissionStore]":
    """The stores of a gateway that does not run, and will not start meanwhile; raises `SettingsError` where it runs."""
    from gateway.server.folders import open_readmodel, open_store
    from gateway.server.sharing import at_rest
    from gateway.server.vaults import DATABASE, open_seals
    from gateway.stores.readmodel import ReadModelStore
    from gateway.stores.records import RecordStore
    from gateway.stores.sql import SqlDatabase
    from gateway.stores.submissions import SubmissionStore

    at_rest(data, guard)

    def opened(name: str) -> SqlDatabase:
        return open_store(guard, data, name, durable=True)

    sealed, kept = opened(DATABASE), opened("records")
    return (
        RecordStore(kept, open_seals(data, sealed, kept)),
        ReadModelStore(open_readmodel(guard, data)),
        SubmissionStore(opened("submissions"), ""),
    )


@click.group()
def records() -> None:
    """Look after the records that a gateway keeps."""


@records.command("erase")
@click.argument("dataset")
@click.option("--data", required=True, type=click.Path(path_type=Path), help="The gateway's data folder.")
@click.option("--yes", is_flag=True, help="Erase; without it, only say what would be.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@told
def erase(dataset: str, data: Path, yes: bool, as_json: bool) -> None:
    """Destroy the keys of a data set: nothing kept of it opens again.

    They are the key of its records and the keys of its published blobs. What the ledger has of it, roots and hashes,
    stays. Copies of the data folder still have the keys, wrapped: renew the key-encryption key (`pedigree blobs
    rotate`) and destroy what opens those copies.
    """
    from gateway.server.folders import has_store, open_store
    from gateway.server.settings import SettingsError
    from gateway.server.sharing import at_rest
    from gateway.server.vaults import DATABASE, open_seals
    from gateway.stores.sealed import SealedStore

    if not has_store(data, "records"):
        raise Failure(f"{data} has no records.db: no records are kept there")
    with ExitStack() as guard:
        try:
            at_rest(data, guard)
        except SettingsError as exc:
            raise Failure(f"{exc}; stop it first") from None
        sealed, kept = (open_store(guard, data, name, durable=True) for name in (DATABASE, "records"))
        publications = SealedStore(sealed)
        blobs = [each for each in publications.all() if each.dataset == dataset]
        seals = open_seals(data, sealed, kept)
        keys = seals.destroy(dataset) if yes else seals.count_of(dataset)
        for each in blobs if yes else ():
            publications.forget(each.blob_id)
        for database in (sealed, kept) if yes else ():
            database.empty_log()
    answer = {"dataset": dataset, "keys of records": keys, "keys of blobs": len(blobs), "erased": yes}
    said = f"{keys} keys of records and {len(blobs)} of blobs of {dataset}"
    show(answer, as_json, lambda: click.echo(f"{said} destroyed" if yes else f"{said} would be destroyed, with --yes"))


@records.command("gc")
@click.option("--data", required=True, type=click.Path(path_type=Path), help="The gateway's data folder.")
@click.option(
    "--older-than",
    type=click.IntRange(0),
    default=7,
    show_default=True,
    metavar="DAYS",
    help="Leave what was begun later.",
)
@click.option("--delete", is_flag=True, help="Delete what is listed, for good.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@told
def collect(data: Path, older_than: int, delete: bool, as_json: bool) -> None:
    """List records that nothing depends on, or delete them.

    They are what a crash left half written, and what requests left that the ledger refused. A set is never listed when
    a version on the ledger has its root, or a request may still come to record it. What the ledger says is read from
    the gateway's read model, so let the gateway catch up with the ledger and stop it before.
    """
    from gateway.server.settings import SettingsError
    from gateway.services.garbage import unneeded

    missing = [name for name in ("records.db", "readmodel.db", "submissions.db") if not (data / name).exists()]
    if missing:
        raise Failure(f"{data} has no {', '.join(missing)}; without it nobody can tell what is still needed")
    with ExitStack() as guard:
        try:
            store, readmodel, submissions = open_at_rest(data, guard)
        except SettingsError as exc:
            raise Failure(f"{exc}; stop it first") from None
        if not readmodel.height():
            raise Failure(f"the read model in {data} holds no block; let the gateway catch up with the ledger first")
        found = list(unneeded(store, readmodel, submissions, before=time.time() - older_than * _DAY))
        for item in found if delete else ():
            store.remove(item.set.key)
    rows = [
        {
            "set": item.set.key,
            "data set": item.set.dataset,
            "root": item.set.root[:16],
            "records": item.set.size or "",
            "begun": time.strftime("%Y-%m-%d %H:%M", time.gmtime(item.set.created)),
            "why": item.why,
            "deleted": delete,
        }
        for item in found
    ]

    def render() -> None:
        if not rows:
            click.echo("every set of records is needed")
            return
        table(rows, "set", "data set", "root", "records", "begun", "why")
        click.echo(f"{len(rows)} deleted" if delete else f"{len(rows)} can be deleted, with --delete")

    show(rows, as_json, render)
