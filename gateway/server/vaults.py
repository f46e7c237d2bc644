# SPDX-License-Identifier: Apache-2.0
"""What was published, opened out of a data folder, wherever its blobs are."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.server import blobkeys
from gateway.server.settings import SettingsError
from gateway.services.publications import Vault
from gateway.stores.blobfiles import BlobFiles
from gateway.stores.database import Database
from gateway.stores.sealed import SealedStore

if TYPE_CHECKING:
    from gateway.stores.blobobjects import BlobObjects

DATABASE = "sealed"
"""The name of the database, and of its migrations."""


def open_vault(data: Path, sealed: Database, place: str) -> Vault:
    """What was published; for the one process that writes there.

    Args:
        sealed: the database of that name.
        place: where the blobs are, as the option says it. Raises `SettingsError` where that cannot be.
    """
    publications = SealedStore(sealed)
    blobs = _blobs(data, place)
    blobs.recover()
    return Vault(blobs, publications, partial(blobkeys.load, data / blobkeys.FILE, publications))


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
