# SPDX-License-Identifier: Apache-2.0
"""A saved run is whole and on the disk, or not there, whatever fails while it is written."""

import errno
import json
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pedigree.saving import read_run, replace_key, save_run


class Disk:
    """Notes what is synced, and fails at one of the calls."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fails_at = ""
        self.synced: list[str] = []
        fsync, replace = os.fsync, os.replace

        def sync(descriptor: int) -> None:
            what = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
            self.do(what)
            fsync(descriptor)

        def rename(source: Path, target: Path) -> None:
            self.do("rename")
            replace(source, target)

        monkeypatch.setattr(os, "fsync", sync)
        monkeypatch.setattr(os, "replace", rename)

    def do(self, what: str) -> None:
        if what == self.fails_at:
            raise OSError(errno.EIO, f"the {what} cannot be written")
        self.synced.append(what)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("write", [lambda f: save_run(f, "r", "k", {}), lambda f: replace_key(f / "old", "k")])
def test_content_then_name_then_folder_are_on_the_disk(
    disk: Disk, tmp_path: Path, write: Callable[[Path], object]
) -> None:
    (tmp_path / "old").write_text(json.dumps({"run": "r"}))
    write(tmp_path)
    assert disk.synced == ["file", "rename", "folder"]


@pytest.mark.parametrize("step", ["file", "rename", "folder"])
def test_a_key_that_cannot_be_replaced_leaves_a_whole_run_and_nothing_beside_it(
    disk: Disk, tmp_path: Path, step: str
) -> None:
    path = save_run(tmp_path, "r", "old", {"seed": 7})
    disk.fails_at = step
    with pytest.raises(OSError, match="cannot be written"):
        replace_key(path, "new")
    assert read_run(path) == ("r", "new" if step == "folder" else "old", {"seed": 7})
    assert names(tmp_path) == [path.name]


@pytest.mark.parametrize("step", ["file", "rename", "folder"])
def test_a_run_that_can_be_saved_nowhere_leaves_nothing(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    (folder := tmp_path / "here").mkdir()
    (other := tmp_path / "there").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(other))
    disk.fails_at = step
    with pytest.raises(OSError, match="cannot be written"):
        save_run(folder, "r", "k", {})
    assert (names(folder), names(other)) == ([], [])
