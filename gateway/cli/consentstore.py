# SPDX-License-Identifier: Apache-2.0
"""`pedigree consent copy` and `adopt`: what one gateway keeps of its consent maps, for another of its organisation."""

import os
import sqlite3
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path

import click

from gateway.cli.console import Failure, show, table, told
from gateway.cli.options import FILE

_DATA = click.option("--data", required=True, type=click.Path(path_type=Path), help="The gateway's data folder.")


@click.command()
@click.argument("output", type=click.Path(path_type=Path))
@_DATA
@told
def consent_copy(output: Path, data: Path) -> None:
    """Copy a gateway's consent maps for another one of yours.

    The gateway may run meanwhile. OUTPUT holds the ids of your data subjects: keep it as you keep those, and delete it
    once it was adopted.
    """
    _refuse_without_store(data)
    try:
        os.close(os.open(output, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as exc:
        raise Failure(f"{output}: {exc.strerror}") from None
    try:
        with closing(sqlite3.connect(data / "consent.db")) as source, closing(sqlite3.connect(output)) as target:
            source.backup(target)
            # One file, whatever reads it: a log beside it would be left behind when it is carried elsewhere.
            target.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as exc:
        output.unlink(missing_ok=True)
        raise Failure(f"{data / 'consent.db'} cannot be copied: {exc}") from None


@click.command()
@click.argument("file", type=FILE)
@_DATA
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@told
def consent_adopt(file: Path, data: Path, as_json: bool) -> None:
    """Take over what `consent copy` wrote of another gateway.

    That are ids of subjects that are not known here, and maps that the other one opened; stop this gateway before. It
    then follows the ledger from there by itself.
    """
    from gateway.server.settings import SettingsError
    from gateway.server.sharing import sole_owner
    from gateway.stores.adoption import NotAConsentStore, adopt
    from gateway.stores.database import Database

    _refuse_without_store(data)
    with ExitStack() as guard:
        try:
            guard.enter_context(sole_owner(data / "lock"))
        except SettingsError as exc:
            raise Failure(f"{exc}; stop it first") from None
        database = Database.open(data / "consent.db", "consent", durable=True)
        guard.callback(database.close)
        try:
            rows = [asdict(each) for each in adopt(database, file)]
        except NotAConsentStore as exc:
            raise Failure(f"{file}: {exc.message}") from None
    show(rows, as_json, lambda: table(rows, "dataset", "subjects", "version", "unknown", "doubled"))


def _refuse_without_store(data: Path) -> None:
    from gateway.server.folders import database_of

    if database_of(data) is not None:
        raise Failure(
            f"the consent maps of {data} are in a PostgreSQL database, which its gateways share: nothing is copied"
        )
    if not (data / "consent.db").is_file():
        raise Failure(f"{data} has no consent.db; it is not the data folder of a gateway that was started")
