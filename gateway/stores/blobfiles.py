# SPDX-License-Identifier: Apache-2.0
"""Sealed blobs as files: `ab/abcd…` for each, whole or not there.

A blob is written beside its place under a name that no reader asks for, down to the disk, and then renamed. What a
crash leaves under such a name is removed when the store is next opened by its gateway.
"""

import errno
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from gateway.services.blobstores import NAME, BlobMissing, StoredBlob
from gateway.services.failures import PortError, StorageFailed, StorageFull

_NEW: Final = ".new-"


class BlobFiles:
    """Implements `services.blobstores.BlobStore` in a folder."""

    def __init__(
        self,
        folder: Path,
        *,
        sync: Callable[[int], None] = os.fsync,
        rename: Callable[[Path, Path], object] = os.replace,
    ) -> None:
        """Make the folder, which only its owner may enter.

        Args:
            sync: makes what was written to a descriptor durable.
            rename: puts a file in its place in one step.
        """
        self._folder = folder
        self._sync = sync
        self._rename = rename
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def recover(self) -> None:
        """Remove what a crash left half written; for the one process that writes here."""
        for leftover in self._folder.glob(f"*/{_NEW}*"):
            leftover.unlink(missing_ok=True)

    def forget_unfinished(self, before: float, most: int) -> int:
        """Remove what a put that broke off left, of those begun before a time."""
        try:
            old = (each for each in self._folder.glob(f"*/{_NEW}*") if _written_at(each) < before)
            found = list(islice(old, most))
            for leftover in found:
                leftover.unlink(missing_ok=True)
        except OSError as exc:
            raise _of_the_disk(exc) from exc
        return len(found)

    def put(self, name: str, pieces: Iterable[bytes]) -> int:
        """Keep a blob and return its size."""
        place = self._path(name)
        new = place.with_name(_NEW + secrets.token_hex(8))
        try:
            if not place.parent.exists():
                place.parent.mkdir(mode=0o700, exist_ok=True)
                self._sync_folder(self._folder)
            try:
                size = self._written(new, pieces)
                self._rename(new, place)
            except BaseException:
                new.unlink(missing_ok=True)
                raise
            self._sync_folder(place.parent)
        except OSError as exc:
            raise _of_the_disk(exc) from exc
        return size

    def head(self, name: str) -> StoredBlob | None:
        """What is known of a blob."""
        try:
            found = self._path(name).stat()
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise _of_the_disk(exc) from exc
        return StoredBlob(name, found.st_size, found.st_mtime)

    def read(self, name: str, start: int, length: int) -> bytes:
        """So many bytes from a place on."""
        try:
            descriptor = os.open(self._path(name), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            raise BlobMissing(f"the blob {name} is not in the store") from None
        except OSError as exc:
            raise _of_the_disk(exc) from exc
        try:
            return os.pread(descriptor, length, start)
        except OSError as exc:
            raise _of_the_disk(exc) from exc
        finally:
            os.close(descriptor)

    def list(self) -> Iterator[StoredBlob]:
        """Every blob."""
        for path in self._folder.glob("[0-9a-f][0-9a-f]/*"):
            if NAME.fullmatch(path.name) is not None and (found := self.head(path.name)) is not None:
                yield found

    def remove(self, name: str) -> None:
        """Remove a blob for good."""
        place = self._path(name)
        try:
            place.unlink(missing_ok=True)
            if place.parent.exists():
                self._sync_folder(place.parent)
        except OSError as exc:
            raise _of_the_disk(exc) from exc

    def _path(self, name: str) -> Path:
        if NAME.fullmatch(name) is None:
            raise ValueError("a blob's name is 64 hexadecimal digits")
        return self._folder / name[:2] / name

    def _written(self, path: Path, pieces: Iterable[bytes]) -> int:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        size = 0
        with os.fdopen(descriptor, "wb", buffering=1 << 20) as file:
            for piece in pieces:
                size += file.write(piece)
            file.flush()
            self._sync(file.fileno())
        return size

    def _sync_folder(self, folder: Path) -> None:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            self._sync(descriptor)
        finally:
            os.close(descriptor)


def _written_at(path: Path) -> float:
    """When a file was last written to; now where it is not there any more."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()


def _of_the_disk(exc: OSError) -> PortError:
    if exc.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StorageFull("the blob store's disk is full")
    return StorageFailed(f"the blob store's disk failed: {exc.strerror}")
