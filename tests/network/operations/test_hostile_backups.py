# SPDX-License-Identifier: Apache-2.0
"""Backups that somebody made to harm whoever restores them: nothing outside the target is written, read or changed."""

import hashlib
import io
import json
import os
import stat
import tarfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from network.operations import backup, restoring
from network.operations.archives import judge_names, plain_files
from network.operations.errors import OperationsError
from network.operations.restoring import restore
from network.operations.sealing import open_sealed, seal

PASSPHRASE = "correct horse battery"
ABOUT = {"mode": 0o600, "uid": os.getuid(), "gid": os.getgid()}


class Made:
    """A backup that is good until a test changes it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "made.backup"
        self.plain = {"network.json": b"{}", "gateways/lab/keys.db": b"x"}
        self.secrets: dict[str, bytes] = {}
        self.entries: list[tuple[tarfile.TarInfo, bytes]] = []
        """What stands in the archive beside what the manifest says."""
        self.manifest: dict[str, Any] = {
            "format": backup.FORMAT, "made": "2026-11-28T00:00:00+00:00", "run_as": "process", "channel": "pedigree",
            "genesis_hash": "00" * 32, "left_out": [], "folders": {"gateways": ABOUT | {"mode": 0o700}},
            "files": {name: self.about(content) for name, content in self.plain.items()},
        }  # fmt: skip

    @staticmethod
    def about(content: bytes) -> dict[str, Any]:
        return ABOUT | {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}

    def add(self, name: str, content: bytes = b"x") -> None:
        self.plain[name] = content
        self.manifest["files"][name] = self.about(content)

    def write(self) -> Path:
        with tarfile.open(self.file, "w", format=tarfile.PAX_FORMAT) as archive:
            for name, content in self.plain.items():
                archive.addfile(entry("files/" + name, content), io.BytesIO(content))
            for extra, content in self.entries:
                archive.addfile(extra, io.BytesIO(content))
            if self.secrets:
                sealed = seal(self.secrets, PASSPHRASE)
                archive.addfile(entry(backup.SECRETS, sealed), io.BytesIO(sealed))
            content = json.dumps(self.manifest).encode()
            archive.addfile(entry(backup.MANIFEST, content), io.BytesIO(content))
        return self.file


def entry(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.size, made.type, made.linkname = len(content), kind, link
    return made


@pytest.fixture
def made(tmp_path: Path) -> Made:
    (tmp_path / "work").mkdir()
    return Made(tmp_path / "work")


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A file of somebody else, beside the target, that every attack aims at."""
    path = tmp_path / "work" / "victim"
    path.write_text("mine")
    path.chmod(0o600)
    return path


def names_a_folder_outside(made: Made) -> None:
    made.manifest["folders"]["../victim"] = ABOUT | {"mode": 0o777}


def names_a_file_without_checksum(made: Made) -> None:
    made.manifest["files"]["../victim"] = ABOUT | {"mode": 0o666}


def names_a_secret_outside(made: Made) -> None:
    """The name has no checksum, so nothing in the archive need fit it."""
    made.manifest["files"]["../victim"] = ABOUT | {"mode": 0o666, "sealed": True}


def names_a_file_outside(made: Made) -> None:
    made.add("../victim")


def names_the_victim_itself(made: Made) -> None:
    made.manifest["folders"][str(made.file.parent / "victim")] = ABOUT | {"mode": 0o777}


def names_without_content(made: Made) -> None:
    made.manifest["files"]["absent"] = made.about(b"x")


def links_then_writes_through(made: Made) -> None:
    made.entries.append((entry("files/out", kind=tarfile.SYMTYPE, link=".."), b""))
    made.add("out/victim")


def links_hard(made: Made) -> None:
    made.entries.append((entry("files/out", kind=tarfile.LNKTYPE, link="../victim"), b""))


def makes_a_device(made: Made) -> None:
    made.entries.append((entry("files/null", kind=tarfile.CHRTYPE), b""))


def makes_a_pipe(made: Made) -> None:
    made.entries.append((entry("files/pipe", kind=tarfile.FIFOTYPE), b""))


def makes_a_folder_entry(made: Made) -> None:
    made.entries.append((entry("files/a", kind=tarfile.DIRTYPE), b""))


def is_sparse(made: Made) -> None:
    """A terabyte of nothing in a few bytes of archive."""
    sparse = entry("files/large", b"x")
    sparse.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(1 << 40),
                          "GNU.sparse.name": "files/large"}  # fmt: skip
    made.entries.append((sparse, b"x"))
    made.manifest["files"]["large"] = made.about(b"x") | {"size": 1 << 40}


def says_another_size(made: Made) -> None:
    made.manifest["files"]["network.json"]["size"] = 1 << 40


def is_there_twice(made: Made) -> None:
    made.entries.append((entry("files/network.json", b"[]"), b"[]"))


def differs_in_case(made: Made) -> None:
    made.add("NETWORK.json")


def differs_in_normal_form(made: Made) -> None:
    made.add("caf\u00e9")
    made.add("cafe\u0301")


def is_file_and_folder(made: Made) -> None:
    made.add("gateways/lab")


def is_file_under_a_secret(made: Made) -> None:
    made.secrets["a"] = b"x"
    made.manifest["files"]["a"] = ABOUT | {"sealed": True}
    made.add("a/b")


def secret_is_a_folder_too(made: Made) -> None:
    made.manifest["folders"]["network.json"] = ABOUT


def brings_a_pid_file(made: Made) -> None:
    """`down` signals what pid files name."""
    made.add("run/peer0.pid", b"1 now")


def brings_a_compose_file(made: Made) -> None:
    made.add("compose.yaml", b"services: {}")


def has_control_characters(made: Made) -> None:
    made.add("a\x1b[2Jb")


def has_a_very_long_name(made: Made) -> None:
    made.add("a" * 300)


def has_a_mode_of_text(made: Made) -> None:
    made.manifest["files"]["network.json"]["mode"] = "rwx"


def has_an_owner_below_nothing(made: Made) -> None:
    made.manifest["folders"]["gateways"]["uid"] = -1


def runs_as_something_else(made: Made) -> None:
    made.manifest["run_as"] = "root"


def lists_files_as_list(made: Made) -> None:
    made.manifest["files"] = list(made.manifest["files"])


def lacks_a_field(made: Made) -> None:
    del made.manifest["left_out"]


def has_two_manifests(made: Made) -> None:
    content = json.dumps(made.manifest).encode()
    made.entries.append((entry(backup.MANIFEST, content), content))


ATTACKS = [
    names_a_file_without_checksum,
    names_a_folder_outside, names_a_secret_outside, names_a_file_outside, names_the_victim_itself,
    names_without_content,
    links_then_writes_through, links_hard, makes_a_device, makes_a_pipe, makes_a_folder_entry, is_sparse,
    says_another_size, is_there_twice, differs_in_case, differs_in_normal_form, is_file_and_folder,
    is_file_under_a_secret, secret_is_a_folder_too, brings_a_pid_file, brings_a_compose_file, has_control_characters,
    has_a_very_long_name, has_a_mode_of_text, has_an_owner_below_nothing, runs_as_something_else, lists_files_as_list,
    lacks_a_field, has_two_manifests,
]  # fmt: skip


def state(folder: Path) -> dict[str, tuple[int, int, int, bytes]]:
    found = {}
    for path in [folder, *sorted(folder.rglob("*"))]:
        about = path.lstat()
        content = path.read_bytes() if path.is_file() else b""
        found[str(path)] = (about.st_mode, about.st_uid, about.st_gid, content)
    return found


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_hostile_backup_is_refused_and_changes_nothing(
    attack: Callable[[Made], None], made: Made, victim: Path
) -> None:
    attack(made)
    file = made.write()
    before = state(victim.parent)
    with pytest.raises(OperationsError) as refusal:
        restore(file, victim.parent / "target", PASSPHRASE)
    assert "\n" not in str(refusal.value)
    assert "\x1b" not in str(refusal.value)
    assert state(victim.parent) == before


def test_what_is_not_hostile_is_restored_with_its_permissions(made: Made, victim: Path) -> None:
    made.secrets["organizations/x/keystore/priv_sk"] = b"key"
    made.manifest["files"]["organizations/x/keystore/priv_sk"] = ABOUT | {"sealed": True, "mode": 0o4600}
    made.add("a..b/.c")
    restore(made.write(), victim.parent / "target", PASSPHRASE)
    key = victim.parent / "target/organizations/x/keystore/priv_sk"
    assert (key.read_bytes(), stat.S_IMODE(key.stat().st_mode)) == (b"key", 0o600)
    assert (victim.parent / "target/a..b/.c").read_bytes() == b"x"
    assert stat.S_IMODE((victim.parent / "target/gateways").stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["../victim", "/etc/x", "a/../../x"])
def test_names_of_secrets_are_judged_too(made: Made, victim: Path, name: str) -> None:
    """They are known only after decryption, and their maker knew the passphrase."""
    with pytest.raises(OperationsError, match="is not the name of a file below one folder"):
        open_sealed(seal({name: b"x"}, PASSPHRASE), PASSPHRASE)


def test_a_second_restoration_does_not_throw_away_the_first_ones_files(made: Made, victim: Path) -> None:
    target = victim.parent / "target"
    with restoring._beside(target) as place:
        (place / "half").write_text("x")
        with pytest.raises(OperationsError, match="another restoration"):
            restore(made.write(), target, None)
        assert (place / "half").read_text() == "x"
    restore(made.file, target, None)


def test_a_refused_backup_leaves_what_lies_beside_it(made: Made, victim: Path) -> None:
    """A killed backup's rest is written over, a running one's is not."""
    network = victim.parent / "network"
    restore(made.write(), network, None)
    (network / "network.json").write_text(json.dumps({"channel": "c", "genesis_hash": "0", "ledger": "embedded"}))
    file = victim.parent / "new.backup"
    unfinished = victim.parent / ".new.backup.new"
    with backup._create(unfinished) as running:
        running.write(b"half")
        running.flush()
        with pytest.raises(OperationsError, match="another backup"):
            backup.back_up(network, file, None)
        assert unfinished.read_bytes() == b"half"
    backup.back_up(network, file, None)
    assert not unfinished.exists()


def test_a_key_under_another_name_is_a_secret_too(made: Made, victim: Path) -> None:
    network = victim.parent / "network"
    restore(made.write(), network, None)
    (network / "network.json").write_text(json.dumps({"channel": "c", "genesis_hash": "0", "ledger": "embedded"}))
    (network / "gateways/lab/old.pem").write_text("text\n-----BEGIN EC PRIVATE KEY-----\nAAAA\n")
    done = backup.back_up(network, victim.parent / "new.backup", None)
    assert done.left_out == ["gateways/lab/old.pem"]
    assert b"PRIVATE KEY" not in done.file.read_bytes()


@given(st.lists(st.text(st.sampled_from("aAb./\u00e9e\u0301\\\0"), max_size=8), max_size=6))
def test_judged_names_stay_below_one_folder_and_apart(names: list[str]) -> None:
    try:
        judge_names(names, [], "it")
    except OperationsError:
        return
    paths = [os.path.normpath(os.path.join("/target", name)) for name in names]  # noqa: PTH118 -- as a system sees them
    assert all(path.startswith("/target/") for path in paths)
    folded = [path.casefold() for path in paths]
    assert len(set(folded)) == len(names)
    assert not any(one != other and one.startswith(f"{other}/") for one in folded for other in folded)


def test_an_entry_must_be_a_plain_file() -> None:
    assert [content.read() for _, content in plain_files(archive_of(entry("x", b"x")), "it")] == [b"x"]
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE,
                 tarfile.CONTTYPE, tarfile.GNUTYPE_SPARSE):  # fmt: skip
        with pytest.raises(OperationsError, match="which is not a plain file"):
            list(plain_files(archive_of(entry("files/x", kind=kind)), "it"))


def archive_of(*entries: tarfile.TarInfo) -> io.BytesIO:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for each in entries:
            archive.addfile(each, io.BytesIO(b"x"))
    return made


@given(st.integers(0, 1023), st.binary(min_size=1, max_size=40))
def test_whatever_headers_say_they_are_read_or_refused(at: int, change: bytes) -> None:
    """The library answers damaged headers with several unrelated types."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        large = entry("caf\u00e9" * 40, b"x")
        large.pax_headers = {"GNU.sparse.map": "0,1", "GNU.sparse.size": "1"}
        archive.addfile(large, io.BytesIO(b"x"))
    damaged = bytearray(made.getvalue())
    damaged[at : at + len(change)] = change
    with suppress(OperationsError, tarfile.TarError):
        list(plain_files(io.BytesIO(damaged), "it"))
