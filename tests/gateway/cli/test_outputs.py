# SPDX-License-Identifier: Apache-2.0
"""Documents that verbs write: each is whole or not there, and goes where it was sent."""

import os
import threading
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from gateway.cli.outputs import OUTPUT, written


@click.command()
@click.argument("output", type=OUTPUT, default="-")
def say(output: Path) -> None:
    written(output, '{"id":"Köln"}')


def test_a_document_is_printed_unless_a_file_is_named(tmp_path: Path) -> None:
    for arguments in ([], ["-"]):
        assert CliRunner().invoke(say, arguments).stdout == '{"id":"Köln"}\n'
    file = tmp_path / "proof.json"
    assert CliRunner().invoke(say, [str(file)]).output == ""
    assert file.read_bytes() == '{"id":"Köln"}\n'.encode()
    assert file.stat().st_mode & 0o777 == 0o600
    refused = CliRunner().invoke(say, [str(tmp_path)])
    assert (refused.exit_code, "is a directory" in refused.output) == (2, True)


def test_what_fails_leaves_the_former_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "proof.json"
    file.write_text("former")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        written(file, "new")
    assert file.read_text() == "former"
    assert list(tmp_path.iterdir()) == [file]
    with pytest.raises(FileNotFoundError):
        written(tmp_path / "nowhere" / "proof.json", "new")


def test_until_it_is_on_the_disk_a_document_has_another_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "proof.json"
    file.write_text("former")
    seen: list[tuple[str, set[str]]] = []
    sync = os.fsync

    def watched(descriptor: int) -> None:
        seen.append((file.read_text(), {each.read_text() for each in tmp_path.glob("*.part")}))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    written(file, "new")
    assert seen == [("former", {"new\n"}), ("new\n", set())]


def test_links_and_pipes_stay_what_they_are(tmp_path: Path) -> None:
    target, link, pipe = (tmp_path / name for name in ("target", "link", "pipe"))
    link.symlink_to(target)
    written(link, "text")
    assert link.is_symlink()
    assert target.read_text() == "text\n"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    written(pipe, "text")
    reader.join()
    assert read == ["text\n"]
    assert pipe.is_fifo()
