# SPDX-License-Identifier: Apache-2.0
"""`pedigree blobs`: what an operator may do with sealed blobs and their keys while the gateway does not run."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.console import Failure, show, table, told

if TYPE_CHECKING:
    from gateway.services.publications import Vault
    from gateway.stores.recordseals import RecordSeals

_DAY = 86_400


def _data(function: Callable[..., None]) -> Callable[..., None]:
    data = click.option("--data", required=True, type=click.Path(path_type=Path), help="The gateway's data folder.")
    place = click.option(
        "--blobs", "place", default="blobs", show_default=True, help="As `pedigree serve` is given it."
    )
    return data(place(function))


@contextmanager
def _at_rest(data: Path, place: str) -> "Iterator[tuple[Vault, ExitStack, RecordSeals]]":
    """What was published, and the keys of records, of a gateway that does not run, and will not start meanwhile."""
    from gateway.server.folders import has_store, open_store
    from gateway.server.settings import SettingsError
    from gateway.server.sharing import at_rest
    from gateway.server.vaults import DATABASE, open_seals, open_vault
    from gateway.services.failures import PortError

    if not has_store(data, "sealed"):
        raise Failure(f"{data} has no sealed.db: nothing was published there")
    with ExitStack() as guard:
        try:
            at_rest(data, guard)
        except SettingsError as exc:
            raise Failure(f"{exc}; stop it first") from None
        try:
            sealed, kept = (open_store(guard, data, name, durable=True) for name in (DATABASE, "records"))
            yield open_vault(data, sealed, kept, place), guard, open_seals(data, sealed, kept)
        except (PortError, SettingsError) as exc:
            raise Failure.of(exc) from None


@click.group()
def blobs() -> None:
    """Look after what was published, and its keys."""


@blobs.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_data
@told
def blobs_list(data: Path, place: str, as_json: bool) -> None:
    """List what was published."""
    with _at_rest(data, place) as (vault, _, _):
        rows = [_row(vault, each) for each in vault.publications.all()]
    show(rows, as_json, lambda: table(rows, "artifact", "bytes", "published", "key", "blob"))


@blobs.command("rotate")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_data
@told
def blobs_rotate(data: Path, place: str, as_json: bool) -> None:
    """Make a new key-encryption key; nothing is sealed again.

    Every data key, of blobs and of records, is wrapped under it. Where something else than the gateway's own file keeps
    the keys, put the new key before the others there: this then wraps every data key under the first one, and the
    others can go.
    """
    from gateway.sealing.errors import SealError
    from gateway.server import blobkeys
    from gateway.services.publications import rewrap

    with _at_rest(data, place) as (vault, _, seals):
        own = not blobkeys.given()
        keys = vault.keys().renewed() if own else vault.keys()
        try:
            if own:
                # Both keys are on the disk before anything is wrapped under the new one, and until all of it is.
                blobkeys.save(data / blobkeys.FILE, keys)
            count = rewrap(vault.publications, keys) + seals.rewrap(keys)
            if own:
                blobkeys.save(data / blobkeys.FILE, keys.alone())
        except (SealError, OSError) as exc:
            raise Failure(f"{exc}; nothing was lost: once that is mended, the same command goes on") from None
    answer = {"key": keys.current.hex(), "rewrapped": count}
    show(answer, as_json, lambda: click.echo(f"{count} data keys are under the key-encryption key {answer['key']}"))


@blobs.command("gc")
@click.option(
    "--older-than", type=click.IntRange(0), default=7, show_default=True, metavar="DAYS", help="Leave what is younger."
)
@click.option("--delete", is_flag=True, help="Delete what is listed, for good.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_data
@told
def blobs_collect(data: Path, older_than: int, delete: bool, place: str, as_json: bool) -> None:
    """List blobs that nothing depends on, or delete them.

    They are what a crash left, what was published again later, and what no version or selection on the ledger has the
    root of. What the ledger says is read from the gateway's read model, so let the gateway catch up with the ledger and
    stop it before.
    """
    from gateway.services.garbage import is_published
    from gateway.services.publications import unneeded
    from gateway.stores.database import Database
    from gateway.stores.readmodel import ReadModelStore

    if not (data / "readmodel.db").exists():
        raise Failure(f"{data} has no readmodel.db; without it nobody can tell what is still needed")
    with _at_rest(data, place) as (vault, guard, _):
        database = Database.open(data / "readmodel.db", "readmodel", durable=False)
        guard.callback(database.close)
        readmodel = ReadModelStore(database)
        if not readmodel.height():
            raise Failure(f"the read model in {data} holds no block; let the gateway catch up with the ledger first")
        recorded = partial(is_published, readmodel)
        found = list(unneeded(vault, recorded, before=time.time() - older_than * _DAY))
        for item in found if delete else ():
            # The key first: a blob that is left without it is found again.
            vault.publications.forget(bytes.fromhex(item.name))
            vault.blobs.remove(item.name)
    rows = [{"blob": item.name, "bytes": item.size, "why": item.why, "deleted": delete} for item in found]

    def render() -> None:
        if not rows:
            click.echo("every blob is needed")
            return
        table(rows, "blob", "bytes", "why")
        click.echo(f"{len(rows)} deleted" if delete else f"{len(rows)} can be deleted, with --delete")

    show(rows, as_json, render)


def _row(vault: "Vault", publication: Any) -> dict[str, Any]:
    stored = vault.blobs.head(publication.name)
    return {
        "artifact": publication.artifact,
        "bytes": publication.size,
        "sealed": None if stored is None else stored.size,
        "published": time.strftime("%Y-%m-%d %H:%M", time.gmtime(publication.at)),
        "key": publication.wrapped[1:9].hex(),
        "blob": publication.name,
    }
