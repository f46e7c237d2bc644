# SPDX-License-Identifier: Apache-2.0
"""A file is the old one or the new one, each whole, wherever a write of it fails or is cut off; on either side."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType

import pytest

from gateway.fabric import durable as gateways
from gateway.fabric.checkpoint import CheckpointError, FileCheckpointer
from gateway.server.settings import load_secret
from network import durable as networks
from network.profiles import write_json

SIDES = pytest.mark.parametrize("durable", [gateways, networks], ids=["gateway", "network"])
STEPS = ("write", "rename", "sync_folder")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class Broken(OSError):
    """What the disk says."""


def failing(durable: ModuleType, step: str, *, half: bool = False) -> gateways.Disk:
    """A disk that fails at one step; at `write` with half of the content written, where asked to."""

    class Disk(durable.Disk):  # type: ignore[misc, name-defined]  # the base is a parameter
        def write(self, path: Path, content: bytes, mode: int) -> None:
            if step == "write":
                if half:
                    super().write(path, content[: len(content) // 2], mode)
                raise Broken
            super().write(path, content, mode)

        def sync(self, path: Path) -> None:
            if step == "sync":
                raise Broken
            super().sync(path)

        def rename(self, source: Path, target: Path) -> None:
            if step == "rename":
                raise Broken
            super().rename(source, target)

        def sync_folder(self, folder: Path) -> None:
            if step == "sync_folder":
                raise Broken
            super().sync_folder(folder)

    return Disk()


@SIDES
@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_file_is_written_with_its_mode_whatever_was_there(durable: ModuleType, mode: int, tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (b"one" * 100, b"two", b""):
        durable.write_file(path, content, mode=mode)
        assert (path.read_bytes(), path.stat().st_mode & 0o777) == (content, mode)
        path.chmod(0o666)
    assert names(tmp_path) == ["file"]


@SIDES
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("step", STEPS)
def test_a_failed_write_leaves_a_whole_file_and_nothing_beside_it(
    durable: ModuleType, step: str, half: bool, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    durable.write_file(path, b"old", mode=0o600)
    with pytest.raises(Broken):
        durable.write_file(path, b"the new one", mode=0o600, disk=failing(durable, step, half=half))
    assert path.read_bytes() == (b"the new one" if step == "sync_folder" else b"old")
    assert names(tmp_path) == ["file"]


@SIDES
def test_a_failed_fsync_leaves_the_old_file(
    durable: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fsync(_descriptor: int) -> None:
        raise Broken

    monkeypatch.setattr(durable.os, "fsync", fsync)
    with pytest.raises(Broken):
        durable.write_file(path, b"new", mode=0o600)
    assert (path.read_bytes(), names(tmp_path)) == (b"old", ["file"])


@SIDES
def test_content_and_folder_are_on_the_disk_before_it_returns(
    durable: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, seen = tmp_path / "file", []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        link = Path(f"/proc/self/fd/{descriptor}")
        what = link.readlink() if link.exists() else None
        seen.append((what, path.exists()))
        fsync(descriptor)

    monkeypatch.setattr(durable.os, "fsync", note)
    durable.write_file(path, b"new", mode=0o600)
    assert [there for _, there in seen] == [False, True], "the content before the rename, the folder after it"
    if seen[0][0] is not None:
        assert [what for what, _ in seen] == [tmp_path / ".file.new", tmp_path]


@SIDES
def test_what_a_crash_left_is_taken_over(durable: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    left = tmp_path / ".file.new"
    left.write_bytes(b"half of something long")
    left.chmod(0o666)
    durable.write_file(path, b"new", mode=0o600)
    assert (path.read_bytes(), path.stat().st_mode & 0o777, names(tmp_path)) == (b"new", 0o600, ["file"])


@SIDES
def test_a_link_in_the_place_of_the_new_file_is_not_followed(durable: ModuleType, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    (tmp_path / ".file.new").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic link"):
        durable.write_file(tmp_path / "file", b"new", mode=0o600)
    assert (victim.read_bytes(), (tmp_path / "file").exists()) == (b"mine", False)


@SIDES
def test_writers_of_one_file_wait_for_one_another(durable: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "file"
    contents = [bytes([letter]) * 10_000 for letter in range(4)]
    failures: list[BaseException] = []

    def write(content: bytes) -> None:
        try:
            for _ in range(5):
                durable.write_file(path, content, mode=0o600)
                assert path.read_bytes() in contents
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert path.read_bytes() in contents
    assert names(tmp_path) == ["file"]


@SIDES
def test_a_writer_that_is_killed_leaves_the_old_file_whole(durable: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    program = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        f"from {durable.__name__} import Disk, write_file\n"
        "class Cut(Disk):\n"
        "    def rename(self, source, target):\n        os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_file(Path(sys.argv[1]), b'new', mode=0o600, disk=Cut())\n"
    )
    assert subprocess.run([sys.executable, "-c", program, str(path)], check=False).returncode == -9
    assert (path.read_bytes(), names(tmp_path)) == (b"old", [".file.new", "file"])
    durable.write_file(path, b"newer", mode=0o600)
    assert (path.read_bytes(), names(tmp_path)) == (b"newer", ["file"])


@pytest.mark.parametrize("step", ["sync", "rename", "sync_folder"])
def test_what_another_program_wrote_is_published_whole_or_not_at_all(step: str, tmp_path: Path) -> None:
    new, path = tmp_path / "new", tmp_path / "file"
    path.write_bytes(b"old")
    new.write_bytes(b"made elsewhere")
    with pytest.raises(Broken):
        networks.publish_file(new, path, disk=failing(networks, step))
    assert path.read_bytes() == (b"made elsewhere" if step == "sync_folder" else b"old")
    assert names(tmp_path) == ["file"]
    new.write_bytes(b"made again")
    networks.publish_file(new, path)
    assert (path.read_bytes(), names(tmp_path)) == (b"made again", ["file"])


def full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_checkpoint_that_cannot_be_written_leaves_the_former(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = FileCheckpointer(tmp_path / "checkpoint")
    checkpoint.checkpoint_block(7)
    before = (tmp_path / "checkpoint").read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match="No space left"):
        checkpoint.checkpoint_block(8)
    monkeypatch.undo()
    assert ((tmp_path / "checkpoint").read_bytes(), names(tmp_path)) == (before, ["checkpoint"])


def test_a_secret_that_cannot_be_written_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        load_secret(tmp_path / "secret")
    monkeypatch.undo()
    assert names(tmp_path) == []
    assert load_secret(tmp_path / "secret") == load_secret(tmp_path / "secret")


def test_a_description_of_the_network_that_cannot_be_written_leaves_the_former(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "network.json"
    write_json(path, {"channel": "one"})
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_json(path, {"channel": "two"})
    assert (json.loads(path.read_text()), names(tmp_path)) == ({"channel": "one"}, ["network.json"])


class Steps(networks.Disk):
    """A disk that notes what it is asked for and fails at one step; the first `after` of it succeed."""

    def __init__(self, fails: str = "", after: int = 0) -> None:
        self.done: list[tuple[str, str]] = []
        self._fails = fails
        self._after = after

    def _note(self, step: str, path: Path) -> None:
        if step == self._fails and sum(done == step for done, _ in self.done) == self._after:
            raise Broken
        self.done.append((step, path.name))

    def sync(self, path: Path) -> None:
        self._note("sync", path)

    def rename(self, source: Path, target: Path) -> None:
        self._note("rename", target)
        super().rename(source, target)

    def sync_folder(self, folder: Path) -> None:
        self._note("sync_folder", folder)


def made_folder(parent: Path) -> Path:
    new = parent / "parent" / ".place.new"
    (new / "inner").mkdir(parents=True)
    (new / "outer.pem").write_bytes(b"certificate")
    (new / "inner" / "priv_sk").write_bytes(b"key")
    return new


def test_a_folder_takes_its_place_when_the_disk_holds_all_of_it(tmp_path: Path) -> None:
    new, disk = made_folder(tmp_path), Steps()
    networks.publish_folder(new, new.with_name("place"), disk=disk)
    assert sorted(disk.done[:2]) == [("sync", "outer.pem"), ("sync", "priv_sk")]
    assert sorted(disk.done[2:4]) == [("sync_folder", ".place.new"), ("sync_folder", "inner")]
    assert disk.done[4:] == [("rename", "place"), ("sync_folder", "parent")]
    assert names(new.parent) == ["place"]
    assert names(new.with_name("place")) == ["inner", "outer.pem"]


@pytest.mark.parametrize(("step", "after"), [("sync", 0), ("sync", 1), ("sync_folder", 0), ("sync_folder", 1)])
def test_a_folder_that_the_disk_may_not_hold_takes_no_place(step: str, after: int, tmp_path: Path) -> None:
    new = made_folder(tmp_path)
    with pytest.raises(Broken):
        networks.publish_folder(new, new.with_name("place"), disk=Steps(step, after))
    assert names(new.parent) == [".place.new"]


def test_folders_above_a_new_one_are_on_the_disk_too(tmp_path: Path) -> None:
    disk = Steps()
    networks.make_folder(tmp_path / "one" / "two", disk=disk)
    networks.make_folder(tmp_path / "one" / "two", disk=disk)
    assert disk.done == [("sync_folder", tmp_path.name), ("sync_folder", "one")]
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in ("one", "one/two")} == {0o700}
