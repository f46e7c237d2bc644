# SPDX-License-Identifier: Apache-2.0
"""Files in a tracking store, by the SHA-256 of their bytes: what MLflow says of them is not relied on."""

import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pedigree.errors import InvalidInput
from pedigree.files import digest_file
from pedigree.rules import check_path

if TYPE_CHECKING:
    from pedigree.documents import FileEntry

List = Callable[[str | None], Iterable[Any]]
"""What is directly in a folder of the store, by path and whether it is a folder (`mlflow.entities.FileInfo`)."""
Fetch = Callable[[str, str], str]
"""Brings a file of the store into a folder; answers where it is."""
OURS: Final = "pedigree"
"""The folder in a run's artifacts that the plug-in writes to; it is not among those of the record."""


def digest_stored(listed: List, fetch: Fetch, most: int) -> "list[FileEntry]":
    """Path, digest and size of every file that is listed, in the order of their paths.

    One file at a time is on this machine. Raises `InvalidInput` for more than `most` files or folders and for paths
    that the ledger does not take, before anything is fetched; `OSError`, and what MLflow raises.
    """
    found: list[FileEntry] = []
    for path in sorted(_walk(listed, most)):
        with tempfile.TemporaryDirectory(prefix="pedigree-") as folder:
            file = Path(fetch(path, folder))
            found.append({"path": path, "digest": digest_file(file), "size": file.stat().st_size})
    return found


def _walk(listed: List, most: int) -> Iterator[str]:
    files: set[str] = set()
    folders: list[str | None] = [None]
    for folder in folders:  # it grows meanwhile
        for each in listed(folder):
            path = check_path(str(each.path), "an artifact of MLflow")
            if path == OURS or path.startswith(f"{OURS}/"):
                continue
            if each.is_dir and path not in folders:
                folders.append(path)
            elif not each.is_dir:
                files.add(path)
        if len(files) > most or len(folders) > most:
            raise InvalidInput(
                f"MLflow has more than {most} artifacts here, and the ledger names no more", field="path"
            )
    return iter(files)
