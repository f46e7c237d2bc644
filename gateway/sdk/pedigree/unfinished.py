# SPDX-License-Identifier: Apache-2.0
"""A fetch that is not finished: kept beside the file that it is to become, so that the same call goes on with it.

The folder has what was asked (`fetch.json`, with the key that the data is released to) and the sealed bytes that came.
Only its owner may enter it. A program that is killed leaves it; the next fetch to the same file goes on where it can,
under the same attempt, and removes it in the end.
"""

import json
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, Final, Self

from pedigree.errors import InvalidInput

_STATE: Final = "fetch.json"
_SEALED: Final = "sealed"
_LOCK: Final = "lock"
_LARGEST: Final = 256 * 1024
"""Bytes of a state."""


class Unfinished:
    """What is known of a fetch so far; for one thread."""

    def __init__(self, folder: Path, state: dict[str, Any]) -> None:
        self.folder = folder
        self._state = state

    @classmethod
    @contextmanager
    def of(cls, path: Path) -> Iterator[Self]:
        """That of the fetch to a file, a new one where there is none.

        What it leaves is kept where the block is left before `finished` was called. Raises `OSError`, and
        `InvalidInput` where another program fetches to the same file.
        """
        path = path.absolute()
        if path.is_dir():
            raise IsADirectoryError(f"{path} is a folder; name the file to write")
        folder = path.parent / f".pedigree-fetch-{sha256(os.fsencode(path.name)).hexdigest()[:16]}"
        folder.mkdir(mode=0o700, exist_ok=True)
        _refuse_others(folder)
        with _alone(folder, path):
            for leftover in folder.iterdir():
                if leftover.name not in (_STATE, _SEALED, _LOCK):
                    leftover.unlink()
            yield cls(folder, _read(folder / _STATE))

    def matches(self, asked: Mapping[str, Any]) -> bool:
        """Whether it is of the same call."""
        return bool(self._state) and all(self._state.get(name) == value for name, value in asked.items())

    def begin(self, asked: Mapping[str, Any]) -> None:
        """Forget what is known, and begin anew with what is asked."""
        (self.folder / _SEALED).unlink(missing_ok=True)
        self._state = dict(asked)
        self._write()

    def get(self, name: str) -> Any:
        """What was kept under a name; None where nothing was."""
        return self._state.get(name)

    def keep(self, **said: Any) -> None:
        """Keep what came to be known; durable when this returns."""
        self._state |= said
        self._write()

    @contextmanager
    def sealed(self) -> Iterator[BinaryIO]:
        """The sealed bytes that came so far."""
        descriptor = os.open(self.folder / _SEALED, os.O_RDWR | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            yield file

    def finished(self) -> None:
        """Remove it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write(self) -> None:
        new = self.folder / f"{_STATE}.new"
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(self._state, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.folder / _STATE)


def _refuse_others(folder: Path) -> None:
    """Raise `InvalidInput` for a folder that another user made there, who could read what is written to it."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o077 or found.st_uid != getattr(os, "getuid", lambda: 0)():
        raise InvalidInput(f"{folder} must be a folder that you alone may enter; remove it", field="path")


def _read(path: Path) -> dict[str, Any]:
    """A state; an empty one where there is none that can be read."""
    with suppress(OSError, ValueError, RecursionError):
        with path.open("rb") as file:
            found = json.loads(file.read(_LARGEST))
        if isinstance(found, dict):
            return found
    return {}


@contextmanager
def _alone(folder: Path, path: Path) -> Iterator[None]:
    """Be the only program at a folder, where the system can lock files."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with (folder / _LOCK).open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InvalidInput(f"another program is fetching to {path}", field="path") from None
        yield
