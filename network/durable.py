# SPDX-License-Identifier: Apache-2.0
"""Files and folders that are whole or not there, whatever happens in the middle of a write."""

import fcntl
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

__all__ = ["Disk", "make_folder", "publish_file", "publish_folder", "write_file"]

_AT_ONCE = 8
"""How many files of a folder are synced at once."""


class Disk:
    """The few operations that durability rests on, in one place so that tests can let each of them fail."""

    def write(self, path: Path, content: bytes, mode: int) -> None:
        """Write a file that only this process knows of yet, down to the disk."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)  # a left-over may have had another mode
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    def sync(self, path: Path) -> None:
        """Have the disk hold what another program, or a stream, wrote into a file."""
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Put a file in another's place in one step."""
        source.rename(target)

    def sync_folder(self, folder: Path) -> None:
        """Make renames in a folder durable."""
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


_DISK = Disk()


def write_file(path: Path, content: bytes, *, mode: int, disk: Disk = _DISK) -> None:
    """Put `content` in the place of `path`: after a crash the old file is there or the new one, each whole.

    The folder must exist. Writers of one file wait for one another. A failure leaves the old file and nothing beside
    it; a crash leaves `.<name>.new` behind, as closed as the file itself, and the next write takes it over. Raises
    `OSError`.
    """
    new = path.with_name(f".{path.name}.new")
    with _reserved(new):
        try:
            disk.write(new, content, mode)
            disk.rename(new, path)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
    disk.sync_folder(path.parent)


def publish_file(new: Path, path: Path, *, disk: Disk = _DISK) -> None:
    """Put `new`, which another program or a stream has written in the same folder, in the place of `path`.

    After a crash the old file is there or the new one, each whole. A failure removes `new`. Raises `OSError`.
    """
    try:
        disk.sync(new)
        disk.rename(new, path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    disk.sync_folder(path.parent)


def publish_folder(new: Path, place: Path, *, disk: Disk = _DISK) -> None:
    """Put the folder `new`, which was made beside it, in the place of `place`, which is not there or empty.

    After a crash `place` is not there, or there with all that `new` holds. A failure leaves `new`. Raises `OSError`.
    """
    files, folders = [], []
    for folder, _, names in os.walk(new):
        folders.append(Path(folder))
        files += [Path(folder, name) for name in names]
    # At once: one commit of the file system's journal then holds many of them.
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(disk.sync, files))
        list(pool.map(disk.sync_folder, folders))
    disk.rename(new, place)
    disk.sync_folder(place.parent)


def make_folder(folder: Path, *, disk: Disk = _DISK) -> None:
    """Make a folder, and those above it, for the owner alone, and have the disk hold them; raises `OSError`."""
    if not folder.is_dir():
        make_folder(folder.parent, disk=disk)
        folder.mkdir(mode=0o700, exist_ok=True)
        disk.sync_folder(folder.parent)


@contextmanager
def _reserved(path: Path) -> Iterator[None]:
    """Make a file, or take over what a crash left, and exclude other writers of it."""
    while True:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_at(descriptor, path):
                yield
                return
        finally:
            os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether an open file still has this path: the writer that we waited for has given it another one."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False
