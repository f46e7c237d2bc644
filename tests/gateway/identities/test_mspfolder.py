# SPDX-License-Identifier: Apache-2.0
"""MSP folders are taken in and written as cryptogen lays them out, and a crash leaves one that can be used."""

import stat
from pathlib import Path
from typing import Any

import pytest

from gateway.fabric import Identity, Signer
from gateway.fabric.certificates import read_certificate
from gateway.fabric.durable import Disk
from gateway.fabric.mspfolder import msp_from_folder
from gateway.identities.credential import Credential
from gateway.identities.errors import IdentityError
from gateway.identities.mspfolder import ensure_msp, read_msp, recover_msp, write_msp
from network.material import ensure_material
from network.topology import default_topology


@pytest.fixture
def member(root: Any) -> Credential:
    found: Credential = root.member()
    return found


def _same(one: Credential, other: Credential) -> bool:
    return one.certificate == other.certificate and one.key.public_key() == other.key.public_key()


def test_what_is_written_is_read_by_us_and_by_the_gateway(tmp_path: Path, member: Credential) -> None:
    write_msp(tmp_path / "msp", member)
    assert _same(read_msp("HospitalMSP", tmp_path / "msp"), member)
    assert read_msp("HospitalMSP", tmp_path / "msp").authorities == member.authorities
    identity = Identity.from_msp_folder("HospitalMSP", tmp_path / "msp")
    assert identity.serialized == member.identity.serialized
    assert Signer.from_msp_folder(tmp_path / "msp")(bytes(32))
    assert (
        msp_from_folder("HospitalMSP", tmp_path / "msp").accept(read_certificate(member.certificate), b"").role
        == "client"
    )


def test_the_key_is_for_its_owner_alone(tmp_path: Path, member: Credential) -> None:
    write_msp(tmp_path / "msp", member)
    assert stat.S_IMODE((tmp_path / "msp" / "keystore" / "priv_sk").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "msp" / "keystore").stat().st_mode) == 0o700


def test_a_users_folder_that_the_network_made_is_taken_in(tmp_path: Path) -> None:
    material = ensure_material(default_topology(), tmp_path)
    folder = material.user("hospital.example") / "msp"
    credential = read_msp("HospitalMSP", folder)
    assert credential.name == "User1@hospital.example"
    write_msp(folder, credential)
    assert _same(read_msp("HospitalMSP", folder), credential)
    assert (folder / "tlscacerts").is_dir()


def test_writing_again_replaces_the_identity_and_keeps_the_rest(tmp_path: Path, member: Credential, root: Any) -> None:
    write_msp(tmp_path / "msp", member)
    (tmp_path / "msp" / "crls").mkdir()
    (tmp_path / "msp" / "crls" / "crl.pem").write_bytes(root.crl())
    new = root.member()
    write_msp(tmp_path / "msp", new)
    assert _same(read_msp("HospitalMSP", tmp_path / "msp"), new)
    assert (tmp_path / "msp" / "crls" / "crl.pem").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["msp"]


def test_a_folder_that_holds_the_identity_already_is_left_alone(tmp_path: Path, member: Credential, root: Any) -> None:
    ensure_msp(tmp_path / "msp", member)
    before = (tmp_path / "msp").stat().st_ino
    ensure_msp(tmp_path / "msp", member)
    assert (tmp_path / "msp").stat().st_ino == before
    ensure_msp(tmp_path / "msp", root.member())
    assert (tmp_path / "msp").stat().st_ino != before


class Crash(Exception):
    """The machine stops here."""


class FailingDisk(Disk):
    """Stops before the operation of a number."""

    def __init__(self, at: int) -> None:
        self.left = at

    def _count(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Crash

    def write(self, path: Path, content: bytes, mode: int) -> None:
        self._count()
        super().write(path, content, mode)

    def rename(self, source: Path, target: Path) -> None:
        self._count()
        super().rename(source, target)

    def sync_folder(self, folder: Path) -> None:
        self._count()
        super().sync_folder(folder)


@pytest.mark.parametrize("at", range(1, 8))
def test_a_crash_leaves_the_old_folder_or_the_new(tmp_path: Path, member: Credential, root: Any, at: int) -> None:
    new = root.member()
    write_msp(tmp_path / "msp", member)
    with pytest.raises(Crash):
        write_msp(tmp_path / "msp", new, disk=FailingDisk(at))
    recover_msp(tmp_path / "msp")
    found = read_msp("HospitalMSP", tmp_path / "msp")
    assert _same(found, new if at == 7 else member)
    write_msp(tmp_path / "msp", new)
    assert [path.name for path in tmp_path.iterdir()] == ["msp"]


def test_a_folder_that_is_no_msp_is_not_replaced(tmp_path: Path, member: Credential) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"cat")
    with pytest.raises(IdentityError, match="is not an MSP folder"):
        write_msp(tmp_path / "photos", member)
    assert (tmp_path / "photos" / "cat.jpg").exists()


@pytest.mark.parametrize("missing", ["signcerts", "keystore", "cacerts"])
def test_what_is_missing_is_named(tmp_path: Path, member: Credential, missing: str) -> None:
    folder = tmp_path / "msp"
    write_msp(folder, member)
    for path in (folder / missing).iterdir():
        path.unlink()
    if missing == "cacerts":
        with pytest.raises(IdentityError, match="CAs above"):
            write_msp(tmp_path / "other", read_msp("HospitalMSP", folder))
    else:
        with pytest.raises(IdentityError, match=missing):
            read_msp("HospitalMSP", folder)


def test_another_key_is_found_and_the_right_one_of_several_is_taken(
    tmp_path: Path, member: Credential, root: Any
) -> None:
    write_msp(tmp_path / "msp", member)
    write_msp(tmp_path / "other", root.member())
    stray = (tmp_path / "other" / "keystore" / "priv_sk").read_bytes()
    (tmp_path / "msp" / "keystore" / "a_stray_key").write_bytes(stray)
    assert _same(read_msp("HospitalMSP", tmp_path / "msp"), member)
    (tmp_path / "msp" / "keystore" / "priv_sk").unlink()
    with pytest.raises(IdentityError, match="not issued for this private key"):
        read_msp("HospitalMSP", tmp_path / "msp")
