# SPDX-License-Identifier: Apache-2.0
"""What is sealed in a data folder, opened: what was published, wherever its blobs are, and the records."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.sealing.datakeys import KeyEncryptionKeys
from gateway.server import blobkeys
from gateway.server.settings import SettingsError
from gateway.services.publications import Vault
from gateway.stores.blobfiles import BlobFiles
from gateway.stores.recordseals import RecordSeals, count_keys
from gateway.stores.sealed import SealedStore
from gateway.stores.sql import SqlDatabase

if TYPE_CHECKING:
    from gateway.stores.blobobjects import BlobObjects

DATABASE = "sealed"
"""The name of the database, and of its migrations."""


def open_vault(data: Path, sealed: SqlDatabase, records: SqlDatabase, place: str, *, alone: bool = True) -> Vault:
    """What was published.

    Args:
        sealed: the database of that name; so `records`.
        place: where the blobs are, as the option says it. Raises `SettingsError` where that cannot be.
        alone: whether no other process writes there.
    """
    blobs = _blobs(data, place)
    if alone:
        blobs.recover()
    return Vault(blobs, SealedStore(sealed), _keys(data, sealed, records))


def open_seals(data: Path, sealed: SqlDatabase, records: SqlDatabase) -> RecordSeals:
    """The data keys of the records; raises nothing before one of them is asked for."""
    return RecordSeals(records, _keys(data, sealed, records))


def _keys(data: Path, sealed: SqlDatabase, records: SqlDatabase) -> Callable[[], KeyEncryptionKeys]:
    """The key-encryption keys, which are made where nothing is wrapped under any."""

    def wrapped() -> int:
        return len(SealedStore(sealed).all()) + count_keys(records)

    return partial(blobkeys.load, data / blobkeys.FILE, wrapped)


def _blobs(data: Path, place: str) -> "BlobFiles | BlobObjects":
    if not place.startswith("s3:"):
        return BlobFiles(data / place)
    try:
        # Few gateways need it, and it is an extra.
        from gateway.stores.blobobjects import BlobObjects
    except ImportError:
        raise SettingsError(f"--blobs {place}: obstore is not installed, which is Pedigree's extra s3") from None
    try:
        return BlobObjects.open(place)
    except ValueError as exc:
        raise SettingsError(f"--blobs: {exc}") from None
