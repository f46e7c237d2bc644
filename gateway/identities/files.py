# SPDX-License-Identifier: Apache-2.0
"""Files and folders that hold keys: for the owner alone."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.identities.errors import WalletError


def private_folder(folder: Path) -> Path:
    """Make a folder, and those above that are missing, for the owner alone; an existing one stays as it is."""
    if not folder.is_dir():
        if not folder.parent.is_dir():
            private_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def closed_folder(folder: Path) -> Path:
    """Like `private_folder`, and closes an existing one that others may enter; raises `WalletError` when it cannot."""
    private_folder(folder)
    if folder.stat().st_mode & 0o077:
        try:
            folder.chmod(0o700)
        except OSError as exc:
            raise WalletError(f"{folder}: others may enter it, and it cannot be closed: {exc.strerror}") from None
    return folder


def read_private(path: Path) -> bytes:
    """The content of a file with a secret; raises `WalletError` when others may read it, `OSError` when nobody can."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_mode & 0o077:
            raise WalletError(f"{path}: others may read it; close it with: chmod 600 {path}")
        return file.read()


@contextmanager
def locked(folder: Path, name: str = ".lock") -> Iterator[None]:
    """Exclude others who lock this file of a folder, also in other processes; ends with the process at the latest."""
    descriptor = os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
