# SPDX-License-Identifier: Apache-2.0
"""Backups of a network that is busy meanwhile, and what is restored from whole, damaged and foreign files."""

import io
import json
import re
import shutil
import sqlite3
import stat
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from network import overview
from network.lifecycle import Deployment, deploy, packages_for
from network.operations import backup as writing
from network.operations.errors import OperationsError
from network.operations.restoring import restore
from network.operations.sealing import open_sealed, seal
from network.packaging import Definition
from network.running import description
from network.topology import Endpoint

PASSPHRASE = "correct horse battery"


@pytest.fixture
def phrase(tmp_path: Path) -> Path:
    path = tmp_path / "passphrase"
    path.write_text(PASSPHRASE + "\n")
    return path


def deployed(directory: Path, version: str) -> None:
    described = description(directory)
    addresses = {entry["mspid"]: Endpoint("127.0.0.1", 9) for entry in described["organisations"]}
    plan = Deployment(described["channel"], Definition.make("cc", version), packages_for("cc", version, addresses))
    with overview.administrators(described) as administrators, overview.ordering(described) as ordering:
        deploy(plan, administrators, ordering)


@pytest.fixture
def busy(embedded: Path) -> Iterator[Path]:
    """The network while somebody deploys one version after the other."""
    ending = threading.Event()

    def work() -> None:
        number = 1
        while not ending.is_set():
            deployed(embedded, f"{number}.{id(ending)}")
            number += 1

    thread = threading.Thread(target=work)
    thread.start()
    yield embedded
    ending.set()
    thread.join()


def test_a_busy_network_is_backed_up_and_goes_on_elsewhere(
    busy: Path, tmp_path: Path, phrase: Path, run: Callable[..., Any]
) -> None:
    gateway = busy / "gateways" / "lab"
    gateway.mkdir(parents=True, mode=0o700, exist_ok=True)
    (gateway / "secret").write_bytes(b"x" * 32)
    (gateway / "key-encryption-key").write_bytes(b"5a" * 32)
    with sqlite3.connect(gateway / "records.db") as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE IF NOT EXISTS t (v)")
        database.execute("INSERT INTO t VALUES (7)")
        database.commit()
        file = tmp_path / "net.backup"
        arguments = ("backup", file, "--with-keys", "--passphrase-file", phrase, "--json", "--dir", busy)
        result = run(*arguments)
    database.close()
    assert result.exit_code == 0, result.output
    answer = json.loads(result.output)
    assert answer["left_out"] == []
    assert answer["secrets"] == 30 + 2, "a key for every certificate, and the gateway's secret and key-encryption key"
    assert b"5a" * 32 not in file.read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.glob(".*")) == [], "nothing unfinished is left beside it"

    target = tmp_path / "restored"
    result = run(
        "restore", file, "--sha256", answer["sha256"], "--passphrase-file", phrase, "--dir", target
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert not (target / "lock").exists()
    assert run("fsck", "--dir", target).output.startswith("clean (")
    for path in (busy / "organizations").rglob("*"):
        copy = target / path.relative_to(busy)
        assert copy.stat().st_mode == path.stat().st_mode
        assert path.is_dir() or copy.read_bytes() == path.read_bytes()
    with sqlite3.connect(target / "gateways/lab/records.db") as database:
        assert database.execute("SELECT max(v) FROM t").fetchone() == (7,)
    database.close()
    assert (target / "gateways/lab/secret").read_bytes() == b"x" * 32
    assert (target / "gateways/lab/key-encryption-key").read_bytes() == b"5a" * 32
    before = json.loads((busy / "network.json").read_text())
    assert json.loads((target / "network.json").read_text())["genesis_hash"] == before["genesis_hash"]


def test_the_restored_network_starts_and_answers_the_same(
    tmp_path: Path, phrase: Path, topology_file: Path, run: Callable[..., Any]
) -> None:
    first, second, file = tmp_path / "first", tmp_path / "second", tmp_path / "net.backup"
    assert run("up", "--detach", "--dir", first, "--topology", topology_file).exit_code == 0
    deployed(first, "1.0")
    assert run("backup", file, "--with-keys", "--passphrase-file", phrase, "--dir", first).exit_code == 0
    report = json.loads(run("status", "--json", "--dir", first).output)
    assert run("down", "--dir", first).exit_code == 0
    shutil.rmtree(first)
    assert run("restore", file, "--passphrase-file", phrase, "--dir", second).exit_code == 0
    assert run("up", "--detach", "--dir", second).exit_code == 0
    try:
        again = json.loads(run("status", "--json", "--dir", second).output)
        assert report | {"pid": 0} == again | {"pid": 0}
        assert again["chaincodes"] == [{"name": "cc", "version": "1.0", "sequence": 1}]
        deployed(second, "2.0")
        assert run("fsck", "--dir", second).output.startswith("clean (pedigree: ")
    finally:
        run("down", "--dir", second)


def test_without_being_asked_no_secret_leaves_the_directory(
    embedded: Path, tmp_path: Path, run: Callable[..., Any]
) -> None:
    file = tmp_path / "net.backup"
    result = run("backup", file, "--dir", embedded)
    assert result.exit_code == 0, result.output
    noted = result.stderr
    keys = [path.read_bytes() for path in (embedded / "organizations").rglob("*_sk")]
    content = file.read_bytes()
    assert keys
    assert not any(key in content or key.splitlines()[1] in content for key in keys)
    assert b"PRIVATE KEY" not in content
    result = run("restore", file, "--dir", tmp_path / "restored")
    left_out = re.search(r"(\d+) secret files are not in it", noted)
    assert left_out is not None
    assert f"put back {left_out[1]} secret files" in result.output
    assert not list((tmp_path / "restored").rglob("*_sk"))


def test_a_sealed_backup_holds_no_key_in_the_clear(embedded: Path, tmp_path: Path) -> None:
    writing.back_up(embedded, tmp_path / "net.backup", PASSPHRASE)
    assert b"PRIVATE KEY" not in (tmp_path / "net.backup").read_bytes()


def refused(result: Any) -> str:
    assert result.exit_code == 1, result.output
    (line,) = result.stderr.splitlines()
    assert "Traceback" not in result.output
    return str(line).removeprefix("Error: ")


def test_what_cannot_be_backed_up_is_refused_in_one_line(
    embedded: Path, tmp_path: Path, phrase: Path, run: Callable[..., Any]
) -> None:
    file = tmp_path / "x.backup"
    assert refused(run("backup", file, "--dir", tmp_path / "none")) == f"{tmp_path}/none holds no network to back up"
    assert "lies in the directory itself" in refused(run("backup", embedded / "x", "--dir", embedded))
    assert "--passphrase-file is for --with-keys" in refused(
        run("backup", file, "--passphrase-file", phrase, "--dir", embedded)
    )
    phrase.write_text("short\n")
    assert "at least 12 characters" in refused(
        run("backup", file, "--with-keys", "--passphrase-file", phrase, "--dir", embedded)
    )
    assert not file.exists()
    file.write_text("mine")
    assert refused(run("backup", file, "--dir", embedded)) == f"{file} exists already: name a new file"
    assert file.read_text() == "mine"


def test_a_directory_in_use_or_not_empty_is_not_restored_over(
    embedded: Path, tmp_path: Path, run: Callable[..., Any]
) -> None:
    file = tmp_path / "net.backup"
    assert run("backup", file, "--dir", embedded).exit_code == 0
    assert "is in use by process" in refused(run("restore", file, "--dir", embedded))
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine").write_text("x")
    assert refused(run("restore", file, "--dir", full)) == f"{full} is not empty: restore to a new directory"
    empty = tmp_path / "empty"
    empty.mkdir()
    assert run("restore", file, "--dir", empty).exit_code == 0


@pytest.fixture(scope="module")
def whole(embedded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("whole") / "net.backup"
    writing.back_up(embedded, file, None)
    return file


def members(file: Path) -> list[tuple[str, bytes]]:
    with tarfile.open(file) as archive:
        return [(entry.name, archive.extractfile(entry).read()) for entry in archive]  # type: ignore[union-attr]


def rewritten(file: Path, entries: list[tuple[str, bytes]], *, kind: bytes = tarfile.REGTYPE) -> Path:
    with tarfile.open(file, "w") as archive:
        for name, content in entries:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        if kind != tarfile.REGTYPE:
            entry = tarfile.TarInfo("files/link")
            entry.type, entry.linkname = kind, "/etc/passwd"
            archive.addfile(entry)
    return file


def test_any_damage_is_found_and_leaves_nothing(whole: Path, tmp_path: Path) -> None:
    entries = members(whole)
    manifest = json.loads(entries[-1][1])
    strange = manifest | {"format": "other"}
    damaged = {
        "is not what the manifest says": [(entries[0][0], b"?"), *entries[1:]],
        "is missing": entries[1:],
        "its end is missing": entries[:-1],
        "is not a backup: it holds '../../up'": [("files/../../up", b"x"), *entries],
        "is not a backup: it holds '/etc/x'": [("files//etc/x", b"x"), *entries],
        "is not a backup: it holds 'other'": [("other", b"x"), *entries],
        "is not a backup: it holds 'files/late'": [*entries, ("files/late", b"x")],
        "of a format that is known here": [*entries[:-1], ("manifest.json", json.dumps(strange).encode())],
        "its manifest is damaged": [*entries[:-1], ("manifest.json", b"{")],
    }
    for words, content in damaged.items():
        with pytest.raises(OperationsError, match="backup") as refusal:
            restore(rewritten(tmp_path / "x.backup", content), tmp_path / "target", None)
        assert words in str(refusal.value)
        assert [path.name for path in tmp_path.iterdir()] == ["x.backup"]
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE):
        with pytest.raises(OperationsError, match="it holds 'files/link'"):
            restore(rewritten(tmp_path / "x.backup", entries[:-1], kind=kind), tmp_path / "target", None)


def test_a_backup_that_was_cut_off_anywhere_is_refused(whole: Path, tmp_path: Path) -> None:
    content = whole.read_bytes()
    for share in (0.0, 0.1, 0.5, 0.9):
        cut = tmp_path / "cut.backup"
        cut.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(OperationsError, match="not a whole backup"):
            restore(cut, tmp_path / "target", None)
        assert not (tmp_path / "target").exists()


def test_another_digest_is_refused_before_anything_is_read(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(OperationsError, match="it is another file, or damaged"):
        restore(whole, tmp_path / "target", None, sha256="00" * 32)


def test_secrets_open_only_to_their_passphrase() -> None:
    sealed = seal({"a/priv_sk": b"key", "b": b""}, PASSPHRASE)
    assert open_sealed(sealed, PASSPHRASE) == {"a/priv_sk": b"key", "b": b""}
    with pytest.raises(OperationsError, match="is not the one"):
        open_sealed(sealed, "another passphrase")
    for index in (0, 20, 40, len(sealed) - 1):
        changed = bytearray(sealed)
        changed[index] ^= 1
        with pytest.raises(OperationsError):
            open_sealed(bytes(changed), PASSPHRASE)
    with pytest.raises(OperationsError, match="at least 12 characters"):
        seal({}, "short")


def test_a_link_in_the_directory_is_refused_rather_than_followed(tmp_path: Path, whole: Path) -> None:
    restore(whole, tmp_path / "net", None)
    (tmp_path / "net" / "link").symlink_to("/etc/passwd")
    with pytest.raises(OperationsError, match="is neither a file nor a folder"):
        writing.back_up(tmp_path / "net", tmp_path / "again.backup", None)
    assert [path.name for path in tmp_path.iterdir()] == ["net"]
