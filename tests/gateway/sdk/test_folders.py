# SPDX-License-Identifier: Apache-2.0
"""One walk for models and code: the digests of the official library, and nothing passed over."""

import hashlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pedigree import CODE_NAMES, GIT_PATHS, InvalidInput, digest_file, digest_files, manifest_digest
from pedigree.folders import ignored_in_code, ignored_paths, list_files
from pedigree.runs import code_of

CLONE = {
    ".gitattributes": b"*.bin filter=lfs\n", ".git/HEAD": b"ref", ".git/objects/ab": b"o", ".github/workflows/ci": b"x",
    ".gitignore": b"*.pyc\n", "config.json": b'{"a":1}', "weights.bin": b"w",
}  # fmt: skip

# Folders, what is ignored in them, and the subject digest that `model-signing` 1.1.1 (the library of the OpenSSF Model
# Signing project, on PyPI) computes for them. It orders paths part by part, where the specification orders them as
# whole names by code points ("b.txt" before "b/w"); the specification is followed, and in these folders both agree.
OFFICIAL = [
    (CLONE, (), "8f00e992ff42bb1007586e7216a08098d67bd3c4fe2f667d37d0e3f8e4b616e9"),
    (
        {"a": b"1", "b/.git": b"gitdir", "b/.gitignore": b"", "b/c/d": b"2", "e.bin": bytes(range(256)) * 20},
        (),
        "db009acf1cc91763b52be75b8350186b277b8600d9b9cd20ab28848374950c36",
    ),
    (
        {".hidden": b"h", ".gitmodules": b"m", "z": b""},
        (),
        "281eb397a695343aee0dcf0fa1ac411b0b90a839ee5b806c6336cb078cdfd898",
    ),
    (
        {"modèle.bin": b"w", "重み": b"x", "Z": b"y", "a b": b"z"},
        (),
        "a9d3d631d3536c147ee01b0720e29eb94980988b81b7f641b84495b505d5e361",
    ),
    (
        {"cache/old": b"1", "cache/older": b"2", "cache2": b"3", "sub/cache/x": b"4", "model.sig": b"s", "w": b"5"},
        ("cache", "model.sig"),
        "30274d1406f5413bf8413d482eb4e1a4ac718abc40e8f996718237622d6f0621",
    ),
    ({"only": b"1"}, (), "9c2e4d8fe97d881430de4e754b4205b9c27ce96715231cffc4337340cb110280"),
]


def write(root: Path, files: dict[str, bytes]) -> Path:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return root


@pytest.mark.parametrize(("files", "ignored", "digest"), OFFICIAL)
def test_a_models_digest_is_that_of_the_official_library(
    tmp_path: Path, files: dict[str, bytes], ignored: Sequence[str], digest: str
) -> None:
    assert manifest_digest(digest_files(write(tmp_path, files), ignore_paths=ignored)) == digest


def test_a_model_of_one_file_has_the_digest_of_the_official_library(tmp_path: Path) -> None:
    file = write(tmp_path, {"w.bin": b"w"}) / "w.bin"
    assert [entry["path"] for entry in digest_files(file)] == ["w.bin"]
    expected = "dc87f8f8b91b839c7bfa59a4b2678f2400143c374ee684f0e05ca8fab3378358"
    assert manifest_digest(digest_files(file)) == expected


def test_paths_are_ordered_as_whole_names(tmp_path: Path) -> None:
    write(tmp_path, {"b/w": b"1", "b.txt": b"2"})
    assert [entry["path"] for entry in digest_files(tmp_path)] == ["b.txt", "b/w"]


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git, to make a clone")
def test_git_commands_do_not_change_a_model(tmp_path: Path) -> None:
    write(tmp_path, {"config.json": b'{"a":1}', "weights.bin": b"w", ".gitattributes": b"*.bin filter=lfs\n"})

    def git(*arguments: str) -> None:
        name = ("-c", "user.name=x", "-c", "user.email=x@example.org")
        subprocess.run(["git", *name, *arguments], cwd=tmp_path, check=True, capture_output=True)

    before = digest_files(tmp_path)
    git("init", "-q", "-b", "main")
    git("add", "config.json")
    git("commit", "-qm", "one")
    assert digest_files(tmp_path) == before
    git("checkout", "-qb", "other")
    assert digest_files(tmp_path) == before
    assert [entry["path"] for entry in before] == ["config.json", "weights.bin"]


def test_running_code_does_not_change_its_digest(tmp_path: Path) -> None:
    write(tmp_path, {"helper.py": b"X = 1\n", "train.py": b"import helper\n"})
    before = code_of(tmp_path)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([sys.executable, "train.py"], cwd=tmp_path, check=True, env=environment)
    assert (tmp_path / "__pycache__").is_dir()
    left = (".DS_Store", ".venv/bin/python", "pkg/__pycache__/m.pyc", "my-env/pyvenv.cfg", "sub/.git/HEAD", ".git/HEAD")
    write(tmp_path, dict.fromkeys((*left, "r.pedigree-run.json"), b"x"))
    (tmp_path / ".venv" / "bin" / "python3").symlink_to(sys.executable)
    (tmp_path / "my-env" / "python3").symlink_to(sys.executable)
    assert code_of(tmp_path) == before
    (tmp_path / "helper.py").write_bytes(b"X = 2\n")
    assert code_of(tmp_path)["digest"] != before["digest"]


def test_what_a_digest_of_code_leaves_out_is_recorded(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": b"1", "data/x": b"2", "deep/data/y": b"3", "deep/logs/z": b"4"})
    whole, part = code_of(tmp_path), code_of(tmp_path, ["data", "/deep/logs"])
    assert whole["ignored"] == ignored_in_code()
    assert set(part["ignored"]) - set(whole["ignored"]) == {"data", "/deep/logs"}
    assert part["digest"] == manifest_digest([{"path": "a.py", "digest": digest_file(tmp_path / "a.py")}])
    assert len(set(CODE_NAMES)) == len(CODE_NAMES)
    with pytest.raises(InvalidInput, match="at most 64"):
        code_of(tmp_path, [f"n{number}" for number in range(64)])


def test_the_digest_of_one_file_of_code_is_its_sha256(tmp_path: Path) -> None:
    file = write(tmp_path, {"train.py": b"print(1)\n"}) / "train.py"
    assert code_of(file) == {"digest": hashlib.sha256(b"print(1)\n").hexdigest()}


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening, tempfile.TemporaryDirectory() as short:
        listening.bind(f"{short}/s")  # the path of a socket may have about 100 bytes
        Path(short, "s").rename(path)


ODD: list[tuple[Callable[[Path], None], str]] = [
    (os.mkfifo, "a named pipe"),
    (make_socket, "a socket"),
    (lambda path: path.symlink_to("/etc/hostname"), "a symbolic link"),
    (lambda path: path.symlink_to("plain"), "a symbolic link"),
    (lambda path: path.symlink_to("nowhere"), "a symbolic link"),
    (lambda path: path.symlink_to(path.parent, target_is_directory=True), "a symbolic link"),
]


@pytest.mark.parametrize(("make", "kind"), ODD)
def test_what_is_not_a_plain_file_is_named(tmp_path: Path, make: Callable[[Path], None], kind: str) -> None:
    write(tmp_path, {"plain": b"1", "sub/plain": b"2"})
    make(tmp_path / "sub" / "odd")
    for digest in (digest_files, code_of):
        with pytest.raises(ValueError, match=rf"sub/odd is {kind}"):
            digest(tmp_path)
    assert [entry["path"] for entry in digest_files(tmp_path, ignore_paths=["sub/odd"])] == ["plain", "sub/plain"]
    assert code_of(tmp_path, ["odd"])["digest"]


def test_a_special_file_is_not_opened_as_the_model_itself(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for digest in (digest_files, code_of):
        with pytest.raises(ValueError, match="a named pipe"):
            digest(tmp_path / "pipe")


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_cannot_be_read_is_named_and_not_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    write(tmp_path, {"plain": b"1", "locked/inside": b"2"})
    locked = tmp_path / "locked" if kind == "folder" else tmp_path / "locked" / "inside"
    if os.geteuid() == 0:  # root may read everything, so the system's refusal is put in its place
        refuse(monkeypatch, locked)
    else:
        locked.chmod(0)
    try:
        for digest in (digest_files, code_of):
            with pytest.raises(PermissionError, match="locked"):
                digest(tmp_path)
    finally:
        if os.geteuid() != 0:
            locked.chmod(0o700)


def refuse(monkeypatch: pytest.MonkeyPatch, locked: Path) -> None:
    scandir, opened = os.scandir, Path.open

    def refusing(path: Path) -> None:
        if Path(path) == locked:
            raise PermissionError(13, "Permission denied", str(path))

    def scan(path: Path) -> object:
        refusing(path)
        return scandir(path)

    def open_file(path: Path, *arguments: object, **more: object) -> object:
        refusing(path)
        return opened(path, *arguments, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "scandir", scan)
    monkeypatch.setattr(Path, "open", open_file)


def test_a_folder_without_files_and_one_with_too_many_are_refused(tmp_path: Path) -> None:
    write(tmp_path, {".git/HEAD": b"x"})
    with pytest.raises(ValueError, match="holds no file"):
        digest_files(tmp_path)
    for number in range(4_097):
        (tmp_path / f"{number}").touch()
    with pytest.raises(ValueError, match="4097 files; a model version names at most 4096"):
        digest_files(tmp_path)
    assert code_of(tmp_path)["digest"]


@pytest.mark.parametrize(
    "name", ["cafe\u0301", "back\\slash", "tab\there", "x" * 200 + "/" + "y" * 200 + "/" + "z" * 200]
)
def test_a_path_that_the_ledger_refuses_is_refused_before_anything_is_read(tmp_path: Path, name: str) -> None:
    write(tmp_path, {name: b"1"})

    def read(_: int) -> None:
        raise AssertionError("it was read")

    with pytest.raises(InvalidInput):
        digest_files(tmp_path, read)


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has no file names that are not UTF-8")
def test_a_name_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))).touch()
    with pytest.raises(InvalidInput, match="not Unicode text"):
        digest_files(tmp_path)


@pytest.mark.parametrize("path", ["*.pyc", "a?", "b[", "/cache", "../x", "a//b", "", "."])
def test_ignored_paths_of_a_model_are_exact(path: str) -> None:
    with pytest.raises(InvalidInput):
        ignored_paths([path])
    assert ignored_paths(["z", "a"]) == sorted([*GIT_PATHS, "z", "a"])


NAMES = st.sampled_from(["a", "b", "a.b", ".git", ".github", "cache", "__pycache__", "é"])


@given(paths=st.sets(st.lists(NAMES, min_size=1, max_size=3).map("/".join), min_size=1, max_size=8))
def test_every_file_is_listed_once_or_ignored(paths: set[str]) -> None:
    # A path that is the folder of another cannot be a file as well.
    files = {path for path in paths if not any(other.startswith(path + "/") for other in paths)}
    with tempfile.TemporaryDirectory() as name:
        root = write(Path(name), dict.fromkeys(files, b""))
        expected = sorted(path for path in files if path.split("/")[0] not in GIT_PATHS)
        if expected:
            assert [found.path for found in list_files(root, (f"/{path}" for path in GIT_PATHS))] == expected
        kept = sorted(path for path in expected if not {".git", "__pycache__"} & set(path.split("/")))
        if kept:
            assert [found.path for found in list_files(root, ignored_in_code())] == kept
