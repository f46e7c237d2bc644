# SPDX-License-Identifier: Apache-2.0
"""Files that change while they are read: it is noticed, one sentence says so, and nothing is recorded."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from pedigree import Pedigree, Progress, digest_file, digest_files
from pedigree.runs import code_of
from pedigree.uploads import Upload

LONG = b"id\n" + b"0123456789\n" * 200_000
"""More than one piece, whoever reads it."""


def old(file: Path, content: bytes = LONG) -> Path:
    """A file that was written long ago, so that no clock is too coarse to tell a change of it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    os.utime(file, ns=(10**18, 10**18))
    return file


def grow(file: Path) -> None:
    with file.open("ab") as content:
        content.write(b"more\n")


def shrink(file: Path) -> None:
    os.truncate(file, 5)


def write_over(file: Path) -> None:
    with file.open("r+b") as content:
        content.write(b"ID")


def replace(file: Path) -> None:
    other = file.with_name("other")
    other.write_bytes(file.read_bytes())
    other.replace(file)


def remove(file: Path) -> None:
    file.unlink()


Change = Callable[[Path], None]
changes = pytest.mark.parametrize(
    ("change", "word"),
    [(grow, "changed"), (shrink, "changed"), (write_over, "changed"), (replace, "changed"), (remove, "removed")],
)


class Once:
    """Does something the first time that it is called, whatever it is told."""

    def __init__(self, change: Change, file: Path) -> None:
        self._todo: list[Callable[[], None]] = [lambda: change(file)]

    def __call__(self, *_: Any) -> None:
        while self._todo:
            self._todo.pop()()


@changes
def test_a_file_that_changes_while_its_digest_is_taken_has_none(tmp_path: Path, change: Change, word: str) -> None:
    file = old(tmp_path / "w.bin")
    with pytest.raises(ValueError, match=rf"w\.bin was {word} while it was read"):
        digest_file(file, Once(change, file))


def test_a_file_that_somebody_writes_to_without_end_is_not_followed(tmp_path: Path) -> None:
    file = old(tmp_path / "w.bin")
    read: list[int] = []

    def write_more(size: int) -> None:
        read.append(size)
        with file.open("ab") as content:
            content.write(bytes(1 << 20))

    with pytest.raises(ValueError, match="was changed"):
        digest_file(file, write_more)
    assert sum(read) < len(LONG) + (2 << 20)


@changes
@pytest.mark.parametrize("at", ["first", "last"])
def test_a_folder_of_a_model_that_changes_is_no_version(tmp_path: Path, change: Change, word: str, at: str) -> None:
    """Also where the file that changes was read before, or is read after."""
    folder = tmp_path / "model"
    for name in ("a.bin", "b.bin", "c.bin"):
        old(folder / name, b"weights")
    file = folder / ("a.bin" if at == "first" else "c.bin")
    with pytest.raises(ValueError, match=rf"{file.name} was {word} "):
        digest_files(folder, Once(change, file))
    if change is not remove:
        assert digest_files(folder)


def test_a_file_that_comes_to_a_folder_meanwhile_is_named(tmp_path: Path) -> None:
    folder = old(tmp_path / "model" / "a.bin", b"weights").parent
    with pytest.raises(ValueError, match=r"late\.bin was added while .*model was read"):
        digest_files(folder, Once(old, folder / "late.bin"))
    assert [entry["path"] for entry in digest_files(folder)] == ["a.bin", "late.bin"]


def test_a_folder_that_vanishes_is_named(tmp_path: Path) -> None:
    folder = old(tmp_path / "model" / "a.bin", b"weights").parent
    with pytest.raises((ValueError, FileNotFoundError), match="model"):
        digest_files(folder, Once(lambda file: (file.unlink(), file.parent.rmdir())[0], folder / "a.bin"))  # type: ignore[func-returns-value]


class Hash:
    """A hash during which something happens."""

    def __init__(self, happening: Once) -> None:
        self._happening = happening
        self._real = hashlib.new("sha256")

    def update(self, data: bytes) -> None:
        self._real.update(data)
        self._happening()

    def hexdigest(self) -> str:
        return self._real.hexdigest()


@changes
def test_code_and_folders_of_records_that_change_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Change, word: str
) -> None:
    folder = tmp_path / "data"
    for read in (lambda: code_of(folder), lambda: Upload.of(folder, None)):
        file = old(folder / "a.txt")
        happening = Once(change, file)
        with monkeypatch.context() as patch:
            patch.setattr("pedigree.files.hashlib.sha256", lambda: Hash(happening))  # noqa: B023 - called in this turn
            with pytest.raises(ValueError, match=rf"a\.txt was {word} while it was read"):
                read()


def test_a_file_of_a_folder_that_is_gone_before_its_turn_is_named(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        old(tmp_path / "data" / name, b"x")
    with pytest.raises(ValueError, match=r"b\.txt was removed before it was read"):
        Upload.of(tmp_path / "data", None, Once(remove, tmp_path / "data" / "b.txt"))


# -- on their way to a gateway ---------------------------------------------------------------------------------------


class Gateway:
    """Takes requests whose bodies arrive whole, and remembers them."""

    def __init__(self, *answers: Any) -> None:
        self.bodies: list[bytes] = []
        self._answers = list(answers)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.bodies.append(request.content)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(200, json=answer)

    def client(self) -> Pedigree:
        return Pedigree("http://gateway", "id.secret", timeout=5, transport=httpx.MockTransport(self))


@changes
@pytest.mark.parametrize("size", [5, len(LONG)])
def test_a_file_that_changes_while_it_is_sent_never_arrives_whole(
    tmp_path: Path, change: Change, word: str, size: int
) -> None:
    file = old(tmp_path / "d.csv", LONG[:size])
    upload = Upload.of(file, None)
    if size == 5:
        change(file)
    else:
        object.__setattr__(upload, "watcher", Once(change, file))
    sent: list[bytes] = []
    with pytest.raises((ValueError, FileNotFoundError), match=rf"d\.csv( was {word} while it was sent|')"):
        sent.extend(upload.pieces())
    assert sum(map(len, sent)) < size


@changes
def test_a_changing_file_is_neither_committed_nor_compared(tmp_path: Path, change: Change, word: str) -> None:
    for send in (
        lambda client, progress: client.commit_records("d", tmp_path / "d.csv", progress=progress),
        lambda client, progress: client.verify_dataset("d", 1, tmp_path / "d.csv", progress=progress),
    ):
        gateway = Gateway()
        with gateway.client() as client, pytest.raises(ValueError, match=rf"d\.csv was {word} while it was sent"):
            send(client, Once(change, old(tmp_path / "d.csv")))
        assert gateway.bodies == []


def test_what_is_sent_again_is_what_was_sent_first(tmp_path: Path) -> None:
    """The same size is not enough: under one key the gateway must never be sent other bytes."""
    file = old(tmp_path / "d.csv")
    lost = Gateway(httpx.ReadError("lost"), {"verified": True})

    def after_the_first(progress: Progress) -> None:
        if progress.done == progress.total:
            write_over(file)

    with lost.client() as client, pytest.raises(ValueError, match="was changed while it was sent"):
        client.verify_dataset("d", 1, file, progress=after_the_first)
    assert lost.bodies == [LONG]
