# SPDX-License-Identifier: Apache-2.0
"""Files that are as they were when last recorded are not read again; whatever is not surely so is."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pedigree.files import hash_files
from pedigree.remembering import Remembered

DAY = 86_400 * 10**9


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder of three files that were written long ago, as far as clocks go."""
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.bin", "b.bin", "sub/c.bin"):
        (folder / name).write_bytes(name.encode() * 1000)
    return folder


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a day later whenever somebody looks: a file's second time of change is the kernel's to set."""
    now = time.time_ns
    monkeypatch.setattr("pedigree.remembering.time.time_ns", lambda: now() + DAY)


def kept(model: Path, tmp_path: Path) -> Remembered:
    """The memory of a folder that was recorded."""
    remembered = Remembered(model, tmp_path / "cache")
    remembered.keep(hash_files(model))
    return Remembered(model, tmp_path / "cache")


def read_again(model: Path, remembered: Remembered) -> set[str]:
    """Which files are read; their digests must be right in every case."""
    hashed = hash_files(model, known=remembered.recall())
    assert [each.entry for each in hashed] == [each.entry for each in hash_files(model)]
    return {each.file.path for each in hashed if not each.was_known}


@pytest.mark.usefixtures("later")
def test_what_did_not_change_is_not_read_again(model: Path, tmp_path: Path) -> None:
    assert read_again(model, kept(model, tmp_path)) == set()


def replace_with_same_size(file: Path) -> None:
    status = file.stat()
    other = file.with_name("other")
    other.write_bytes(b"x" * status.st_size)
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(file)


def write_and_set_the_time_back(file: Path) -> None:
    status = file.stat()
    with file.open("r+b") as content:
        content.write(b"x")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize(
    "change",
    [
        replace_with_same_size,
        write_and_set_the_time_back,
        lambda file: file.write_bytes(b"shorter"),
        lambda file: os.utime(file),
    ],
)
def test_what_changed_is_read_again(model: Path, tmp_path: Path, change: Callable[[Path], None]) -> None:
    remembered = kept(model, tmp_path)
    change(model / "b.bin")
    assert read_again(model, remembered) == {"b.bin"}


@pytest.mark.usefixtures("later")
def test_a_file_that_was_not_there_is_read(model: Path, tmp_path: Path) -> None:
    remembered = kept(model, tmp_path)
    (model / "d.bin").write_bytes(b"d")
    (model / "a.bin").rename(model / "moved.bin")
    assert read_again(model, remembered) == {"d.bin", "moved.bin"}


def test_what_was_written_a_moment_before_is_read_again(model: Path, tmp_path: Path) -> None:
    # A clock that ticks every two seconds does not tell a write after the reading from one before it.
    assert read_again(model, kept(model, tmp_path)) == {"a.bin", "b.bin", "sub/c.bin"}


@pytest.mark.usefixtures("later")
def test_another_folder_of_the_same_files_is_read(model: Path, tmp_path: Path) -> None:
    kept(model, tmp_path)
    other = tmp_path / "other"
    model.rename(other)
    assert read_again(other, Remembered(other, tmp_path / "cache")) == {"a.bin", "b.bin", "sub/c.bin"}


ALL = {"a.bin", "b.bin", "sub/c.bin"}


def spoil(change: Callable[[dict[str, object]], object]) -> Callable[[Path], None]:
    """Change the JSON of what is kept."""

    def spoiling(file: Path) -> None:
        value = json.loads(file.read_text())
        change(value)
        file.write_text(json.dumps(value))

    return spoiling


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_bytes(b"\xff\xfe"),
        lambda file: file.write_text("[" * 100_000),
        lambda file: file.write_text("null"),
        lambda file: file.write_bytes(b" " * ((16 << 20) + 1)),
        lambda file: file.chmod(0o620),
        lambda file: file.unlink(),
        spoil(lambda kept: kept.update(schema=2)),
        spoil(lambda kept: kept.update(root="/elsewhere")),
        spoil(lambda kept: kept.update(files=[["a.bin", [1, 2, 3, 4], "00" * 32]])),
        spoil(lambda kept: kept.update(files=[["a.bin", [1, 2, 3, 4, True], "00" * 32]])),
        spoil(lambda kept: kept.update(files=[["a.bin", [1, 2, 3, 4, 5], "AA" * 32]])),
    ],
)
def test_what_cannot_be_relied_upon_is_not(model: Path, tmp_path: Path, damage: Callable[[Path], None]) -> None:
    remembered = kept(model, tmp_path)
    (file,) = (tmp_path / "cache").iterdir()
    damage(file)
    assert read_again(model, remembered) == ALL


@pytest.mark.usefixtures("later")
def test_where_nothing_can_be_kept_everything_is_read(model: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"a file, where a folder is needed")
    assert read_again(model, kept(model, tmp_path)) == ALL


@pytest.mark.usefixtures("later")
def test_only_its_owner_can_read_what_is_kept(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    Remembered(model).keep(hash_files(model))
    (file,) = (tmp_path / "home" / "pedigree" / "files").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    monkeypatch.setenv("HOME", str(tmp_path))
    Remembered(model).keep(hash_files(model))
    assert list((tmp_path / ".cache" / "pedigree" / "files").iterdir())
