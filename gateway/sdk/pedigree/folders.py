# SPDX-License-Identifier: Apache-2.0
"""Which files of a folder are a model, or code: the one walk of both, by the rules of OpenSSF Model Signing 1.0.

Its section 6.1 lists plain files by their paths from the folder, in code point order; its section 6.2 leaves out what
belongs to git at the top of the folder, and the exact paths that were named. Code leaves out what running it leaves
behind as well. Nothing else is passed over: what is not a plain file, and what cannot be read, is an error.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from pedigree.errors import InvalidInput
from pedigree.rules import check_path

GIT_PATHS = (".git", ".gitattributes", ".github", ".gitignore")
"""What is never part of a model, at the top of its folder (OMS 1.0, section 6.2)."""

CODE_NAMES = (
    *("*.egg-info", "*.pedigree-run.json", "*.pyc", "*.pyo", "*.swp", "*/pyvenv.cfg", ".DS_Store", ".coverage"),
    *(".eggs", ".git", ".hg", ".idea", ".ipynb_checkpoints", ".mypy_cache", ".nox", ".pytest_cache", ".ruff_cache"),
    *(".svn", ".tox", ".venv", ".vscode", "Thumbs.db", "__pycache__", "node_modules", "venv"),
)
"""What is never part of code, at any depth: what editors, tools and running it leave behind, and environments.

`*` stands for any characters; `*/pyvenv.cfg` is a folder that holds this file: a virtual environment (PEP 405).
"""

_KINDS = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISCHR, "a device"),
)


Identity = tuple[int, int, int, int, int]
"""What a file is known by: device and number there, size, and the times of its last two kinds of change."""


def identity_of(status: os.stat_result) -> Identity:
    """The identity of a file; while it stays the same, so do the file's bytes."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


@dataclass(frozen=True, slots=True)
class PlainFile:
    """A file of a folder: its path from there with forward slashes, where it is, and what it is known by."""

    path: str
    file: Path
    identity: Identity

    @property
    def size(self) -> int:
        """Bytes."""
        return self.identity[2]


def ignored_paths(more: Iterable[str] = ()) -> list[str]:
    """What a model's folder leaves out, in order: git's own files and the exact paths that are named besides.

    Raises `InvalidInput` for what is not a relative path with forward slashes, or has wildcards in it.
    """
    for path in more:
        check_path(path, "an ignored path")
        if not set("*?[").isdisjoint(path):
            raise InvalidInput(f"{path!r}: an ignored path is exact, without '*', '?' and '['", field="ignore_paths")
    return sorted({*GIT_PATHS, *more})


def ignored_in_code(more: Iterable[str] = ()) -> list[str]:
    """What a folder of code leaves out: names at any depth, and paths from the folder where they begin with `/`."""
    return sorted({*(f"/{path}" for path in GIT_PATHS), *CODE_NAMES, *more})


def list_files(root: Path, ignore: Iterable[str]) -> list[PlainFile]:
    """Every file below a folder but those that are ignored, or the one file, in the order of their paths.

    `ignore` holds paths from the folder, which begin with `/`, and names at any depth. Raises `ValueError` for what is
    not a plain file and for a folder without files; `OSError` for what cannot be read.
    """
    status = root.stat()
    if not stat.S_ISDIR(status.st_mode):
        return [_plain(root, root.name, status)]
    entries = tuple(ignore)
    paths = {entry[1:] for entry in entries if entry.startswith("/")}
    names = [entry for entry in entries if not entry.startswith("/")]
    found = sorted(_walk(root, "", paths, names), key=lambda file: file.path)
    if not found:
        raise ValueError(f"{root} holds no file")
    return found


def _walk(folder: Path, before: str, paths: set[str], names: list[str]) -> Iterator[PlainFile]:
    waiting = [(folder, before)]
    while waiting:
        folder, before = waiting.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                path, file = before + entry.name, Path(entry.path)
                if path in paths or _is_named(file, names):
                    continue
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    waiting.append((file, path + "/"))
                else:
                    yield _plain(file, path, status)


def _is_named(file: Path, names: list[str]) -> bool:
    for name in names:
        if name.startswith("*/"):
            if os.path.lexists(file / name[2:]):
                return True
        elif fnmatchcase(file.name, name):
            return True
    return False


def _plain(file: Path, path: str, status: os.stat_result) -> PlainFile:
    if not stat.S_ISREG(status.st_mode):
        kind = next((kind for holds, kind in _KINDS if holds(status.st_mode)), "a special file")
        raise ValueError(f"{file} is {kind}; only plain files can be recorded: remove it, or name it as ignored")
    return PlainFile(path, file, identity_of(status))
