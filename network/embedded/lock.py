# SPDX-License-Identifier: Apache-2.0
"""One process per data directory."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class DirectoryInUseError(RuntimeError):
    """Another process runs on the directory."""


class DirectoryLock:
    """Held while a node runs on a directory; the kernel lets go of it however the process ends."""

    def __init__(self, directory: Path) -> None:
        """Take the lock; raises DirectoryInUseError with the other process's id, or OSError."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = directory / "lock"
        self._file: int | None = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            holder = os.pread(self._file, 32, 0).decode(errors="replace").strip()
            os.close(self._file)
            self._file = None
            raise DirectoryInUseError(f"{directory} is in use by process {holder or 'unknown'}") from exc
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let the next process in; may be called twice."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


@contextmanager
def held(directory: Path, refusal: type[Exception]) -> Iterator[None]:
    """Hold a directory's lock for as long as the block takes; raises `refusal` while another process has it."""
    try:
        lock = DirectoryLock(directory)
    except DirectoryInUseError as error:
        raise refusal(str(error)) from error
    try:
        yield
    finally:
        lock.release()
