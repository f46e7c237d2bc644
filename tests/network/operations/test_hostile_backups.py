# SPDX-License-Identifier: Apache-2.0
"""Backups that somebody made to harm whoever restores them: nothing outside the target is written, read or changed."""

import io
import json
import os
import stat
import tarfile
from contextlib import suppress
from pathlib import Path

import pytest
from hostilefiles.backups import ABOUT, ATTACKS, PASSPHRASE, Attack, Made, entry
from hypothesis import given
from hypothesis import strategies as st

from network.operations import backup, restoring
from network.operations.archives import judge_names, plain_files
from network.operations.errors import OperationsError
from network.operations.restoring import restore
from network.operations.sealing import open_sealed, seal


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


def state(folder: Path) -> dict[str, tuple[int, int, int, bytes]]:
    found = {}
    for path in [folder, *sorted(folder.rglob("*"))]:
        about = path.lstat()
        content = path.read_bytes() if path.is_file() else b""
        found[str(path)] = (about.st_mode, about.st_uid, about.st_gid, content)
    return found


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_hostile_backup_is_refused_and_changes_nothing(attack: Attack, made: Made, victim: Path) -> None:
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


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
def test_headers_that_only_extend_one_another_are_refused(kind: bytes) -> None:
    """The library reads what extends a header by calling itself."""
    extending = entry("x", kind=kind)
    extending.size = 9
    blocks = (extending.tobuf(tarfile.GNU_FORMAT) + b"9 a=bcde\n".ljust(512, b"\0")) * 3_000
    with pytest.raises(OperationsError, match="header"):
        list(plain_files(io.BytesIO(blocks + bytes(1024)), "it"))


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
