# SPDX-License-Identifier: Apache-2.0
"""What a folder's files were when they were last recorded or verified, so that the next time only others are read.

A file is taken for unchanged while device, inode, size and both times of change are what they were; the second of these
times cannot be set by a program. Where files can change without that (some network file systems, a disk that is
written to directly), everything has to be read: `full` and `--full`. What is kept is the user's own, in the folder
for caches, and lost without harm.
"""

import json
import os
import stat
import time
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from pedigree.files import Hashed, Known

_COARSE = 2 * 10**9
"""Nanoseconds: the coarsest clock of a file system. What changed so shortly before it was read may change unseen."""
_LARGEST = 16 << 20
"""Bytes of what is kept of one folder."""
_SCHEMA = 1


class Remembered:
    """What is kept of one folder, or of one file that is a model.

    Args:
        root: the folder or file; links on the way to it are followed.
        folder: where to keep it; by default `pedigree/files` in `XDG_CACHE_HOME`, or in `~/.cache`.
    """

    def __init__(self, root: Path, folder: Path | None = None) -> None:
        self._root = str(root.resolve())
        name = sha256(os.fsencode(self._root)).hexdigest()
        self._file = (_folder() if folder is None else folder) / f"{name}.json"
        self._begun = time.time_ns()

    def recall(self) -> Known:
        """What the files were; nothing where that is not known, or what is kept cannot be relied upon."""
        if not hasattr(os, "geteuid"):
            return {}  # where the second time is that of the file's making, as on Windows
        try:
            with self._file.open("rb") as file:
                status = os.fstat(file.fileno())
                others_write = stat.S_IMODE(status.st_mode) & (stat.S_IWGRP | stat.S_IWOTH)
                if status.st_uid != os.geteuid() or others_write or status.st_size > _LARGEST:
                    return {}
                kept: Any = json.loads(file.read(_LARGEST + 1))
            if kept["schema"] != _SCHEMA or kept["root"] != self._root:
                return {}
            return {path: (_identity(identity), _digest(digest)) for path, identity, digest in kept["files"]}
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return {}

    def keep(self, files: Iterable[Hashed]) -> None:
        """Keep what was recorded, or verified, just now; where that cannot be written, the next time all is read."""
        before = self._begun - _COARSE
        settled = [
            (each.file.path, each.file.identity, each.digest)
            for each in files
            if max(each.file.identity[3:]) < before
        ]  # fmt: skip
        text = json.dumps({"schema": _SCHEMA, "root": self._root, "files": settled})
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._replace(text)
        except OSError:
            return

    def _replace(self, text: str) -> None:
        """Nothing is synced: what a power cut leaves of it is whole, or cannot be parsed and is not relied upon."""
        name = f"{self._file.name}."
        with NamedTemporaryFile("w", dir=self._file.parent, prefix=name, suffix=".part", delete=False) as file:
            part = Path(file.name)
            try:
                file.write(text)
                file.close()
                part.replace(self._file)
            except BaseException:
                part.unlink(missing_ok=True)
                raise


def _folder() -> Path:
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    root = named if named.is_absolute() else Path.home() / ".cache"
    return root / "pedigree" / "files"


def _identity(value: Any) -> tuple[int, int, int, int, int]:
    device, inode, size, modified, changed = value
    if not all(type(each) is int for each in value):
        raise ValueError("an identity is five whole numbers")
    return device, inode, size, modified, changed


def _digest(value: Any) -> str:
    if not isinstance(value, str) or len(value) != 64 or bytes.fromhex(value).hex() != value:
        raise ValueError("a digest is 64 lower-case hexadecimal digits")
    return value
