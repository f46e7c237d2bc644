# SPDX-License-Identifier: Apache-2.0
"""Wallets keep what they are given: whole or not at all, for the owner alone, and changed by nobody unnoticed."""

import multiprocessing
import os
import stat
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.fabric.durable import Disk
from gateway.identities import bundle
from gateway.identities.credential import Credential
from gateway.identities.errors import DamagedIdentity, IdentityError, NoSuchIdentity, WalletError, WrongPassphrase
from gateway.identities.sealed import SealedWallet
from gateway.identities.wallet import MARK, Wallet, read_mark
from gateway.identities.wallets import open_wallet

PASSPHRASE = b"correct horse battery"
Make = Callable[..., Wallet]


def _files(folder: Path, disk: Disk | None = None) -> Wallet:
    open_wallet(folder, lambda: b"", make="files")
    return Wallet(folder, disk=disk)


def _sealed(folder: Path, disk: Disk | None = None) -> Wallet:
    if read_mark(folder) is None:
        SealedWallet.create(folder, PASSPHRASE, log_n=10)
    return SealedWallet.open(folder, PASSPHRASE, disk=disk)


@pytest.fixture(params=[_files, _sealed], ids=["files", "sealed"])
def make(request: pytest.FixtureRequest) -> Make:
    made: Make = request.param
    return made


def same(one: Credential, other: Credential) -> bool:
    numbers = [
        each.key.private_bytes_raw() if hasattr(each.key, "private_bytes_raw") else each.key.private_numbers()
        for each in (one, other)
    ]
    return numbers[0] == numbers[1] and (one.msp_id, one.certificate, one.authorities, one.since) == (
        other.msp_id,
        other.certificate,
        other.authorities,
        other.since,
    )


@pytest.mark.parametrize("algorithm", ["p256", "p384", "ed25519"])
def test_what_is_put_is_got(make: Make, tmp_path: Path, root: Any, algorithm: str) -> None:
    credential = root.member(algorithm=algorithm)
    make(tmp_path / "w").put("gateway@hospital.example", credential)
    again = make(tmp_path / "w")
    assert again.labels() == ["gateway@hospital.example"]
    assert "gateway@hospital.example" in again
    assert same(again.get("gateway@hospital.example"), credential)


def test_an_identity_without_authorities_and_beginning_is_kept_too(make: Make, tmp_path: Path, root: Any) -> None:
    credential = replace(root.member(), authorities=(), since=None)
    wallet = make(tmp_path / "w")
    wallet.put("gateway", credential)
    assert same(wallet.get("gateway"), credential)


def test_only_the_owner_may_enter_and_read(make: Make, tmp_path: Path, root: Any) -> None:
    previous = os.umask(0)
    try:
        make(tmp_path / "above" / "w").put("gateway", root.member())
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "above").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "above" / "w").stat().st_mode) == 0o700
    for path in (tmp_path / "above" / "w").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_an_open_folder_is_closed_and_an_open_file_is_refused(make: Make, tmp_path: Path, root: Any) -> None:
    (tmp_path / "w").mkdir(mode=0o755)
    wallet = make(tmp_path / "w")
    assert stat.S_IMODE((tmp_path / "w").stat().st_mode) == 0o700
    wallet.put("gateway", root.member())
    wallet.path("gateway").chmod(0o644)
    with pytest.raises(WalletError, match="chmod 600"):
        wallet.get("gateway")


def test_what_is_not_there_is_named_with_what_is(make: Make, tmp_path: Path, root: Any) -> None:
    wallet = make(tmp_path / "w")
    wallet.put("gateway", root.member())
    for call in (wallet.get, wallet.remove):
        with pytest.raises(NoSuchIdentity, match="'other'"):
            call("other")
    wallet.remove("gateway")
    assert wallet.labels() == []
    with pytest.raises(NoSuchIdentity, match="none yet"):
        wallet.get("gateway")


@pytest.mark.parametrize("label", ["", ".", "..", "../x", "a/b", ".hidden", "a b", "x" * 101, "a\n", "é"])
def test_a_label_that_is_no_file_name_is_refused(make: Make, tmp_path: Path, root: Any, label: str) -> None:
    wallet = make(tmp_path / "w")
    for call in (wallet.get, wallet.remove, lambda each: wallet.put(each, root.member())):
        with pytest.raises(IdentityError, match="label"):
            call(label)


# -- crashes ---------------------------------------------------------------------------------------------------


class Crash(Exception):
    """The machine stops here."""


class FailingDisk(Disk):
    """Stops before the operation of a number, or in the middle of it."""

    def __init__(self, at: int, *, midway: bool) -> None:
        self.left = at
        self.midway = midway

    def _count(self) -> bool:
        self.left -= 1
        if self.left == 0 and not self.midway:
            raise Crash
        return self.left == 0

    def write(self, path: Path, content: bytes, mode: int) -> None:
        if self._count():
            super().write(path, content[: len(content) // 2], mode)
            raise Crash
        super().write(path, content, mode)

    def rename(self, source: Path, target: Path) -> None:
        stop = self._count()
        super().rename(source, target)
        if stop:
            raise Crash

    def sync_folder(self, folder: Path) -> None:
        stop = self._count()
        super().sync_folder(folder)
        if stop:
            raise Crash


@pytest.mark.parametrize("midway", [False, True])
@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_crash_in_a_write_leaves_the_old_identity_or_the_new(
    make: Make, tmp_path: Path, root: Any, at: int, midway: bool
) -> None:
    old, new = root.member(), root.member()
    make(tmp_path / "w").put("gateway", old)
    with pytest.raises(Crash):
        make(tmp_path / "w", FailingDisk(at, midway=midway)).put("gateway", new)
    wallet = make(tmp_path / "w")
    assert wallet.labels() == ["gateway"]
    # Before the rename it is the old one, from the rename on the new one.
    assert same(wallet.get("gateway"), old if (at, midway) < (2, True) else new)
    third = root.member()
    wallet.put("gateway", third)
    assert same(wallet.get("gateway"), third)
    left = sorted(path.name for path in (tmp_path / "w").iterdir())
    assert left == sorted([".lock", wallet.path("gateway").name, MARK])


@pytest.mark.parametrize("at", [1, 2])
def test_a_crash_in_a_first_write_leaves_nothing(make: Make, tmp_path: Path, root: Any, at: int) -> None:
    with pytest.raises(Crash):
        make(tmp_path / "w", FailingDisk(at, midway=False)).put("gateway", root.member())
    assert make(tmp_path / "w").labels() == []


def _put_often(folder: str, content: bytes) -> None:
    wallet = Wallet(Path(folder))
    credential = bundle.parse(content, "given")
    for _ in range(40):
        wallet.put("gateway", credential)


def test_writers_in_several_processes_leave_one_of_theirs(tmp_path: Path, root: Any) -> None:
    wallet = _files(tmp_path / "w")
    members = [root.member() for _ in range(2)]
    wallet.put("gateway", members[0])
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_put_often, args=(str(tmp_path / "w"), bundle.encode(each))) for each in members
    ]
    for process in processes:
        process.start()
    while any(process.is_alive() for process in processes):
        assert wallet.get("gateway").certificate in [each.certificate for each in members]
    for process in processes:
        process.join()
        assert process.exitcode == 0


# -- the encrypted store -----------------------------------------------------------------------------------------


def test_every_changed_byte_of_a_sealed_identity_is_found(tmp_path: Path, root: Any) -> None:
    wallet = _sealed(tmp_path / "w")
    wallet.put("gateway", root.member())
    path = wallet.path("gateway")
    content = path.read_bytes()
    for index in range(len(content)):
        # The cost is bounded, so that a changed one cannot take all memory; flipping its top bit leaves the bounds.
        flip = 0x80 if index == 8 else 1 << (index % 8)
        with pytest.raises(DamagedIdentity):
            wallet.unpack("gateway", content[:index] + bytes([content[index] ^ flip]) + content[index + 1 :])
    for size in (0, 1, 8, 36, 37, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(DamagedIdentity):
            wallet.get("gateway")
    path.write_bytes(content + b"\0")
    with pytest.raises(DamagedIdentity):
        wallet.get("gateway")
    path.write_bytes(content)
    assert wallet.get("gateway").name == "gateway"


def test_a_sealed_identity_under_another_label_is_found(tmp_path: Path, root: Any) -> None:
    wallet = _sealed(tmp_path / "w")
    wallet.put("admin", root.member("admin"))
    wallet.put("gateway", root.member())
    wallet.path("gateway").write_bytes(wallet.path("admin").read_bytes())
    with pytest.raises(DamagedIdentity, match="gateway"):
        wallet.get("gateway")


def test_a_sealed_file_shows_neither_key_nor_name(tmp_path: Path, root: Any) -> None:
    wallet = _sealed(tmp_path / "w")
    credential = root.member("someone")
    wallet.put("gateway", credential)
    content = wallet.path("gateway").read_bytes()
    for clear in (b"PRIVATE", b"CERTIFICATE", b"HospitalMSP", bundle.encode(credential)[-100:-60]):
        assert clear not in content
    wallet.put("gateway", credential)
    assert wallet.path("gateway").read_bytes() != content


def test_a_wrong_passphrase_is_one_line(tmp_path: Path, root: Any) -> None:
    _sealed(tmp_path / "w").put("gateway", root.member())
    with pytest.raises(WrongPassphrase) as caught:
        SealedWallet.open(tmp_path / "w", b"wrong horse battery")
    assert str(caught.value) == f"the passphrase does not open the wallet {tmp_path / 'w'}"


def test_a_short_passphrase_makes_no_wallet(tmp_path: Path) -> None:
    with pytest.raises(WalletError, match="12 bytes"):
        SealedWallet.create(tmp_path / "w", b"short")
    assert not (tmp_path / "w").exists()


def test_the_wallet_that_is_shipped_costs_an_attacker_something(tmp_path: Path) -> None:
    SealedWallet.create(tmp_path / "w", PASSPHRASE)
    wallet = SealedWallet.open(tmp_path / "w", PASSPHRASE)
    assert wallet._header[8] == 15


def test_a_sealed_identity_moves_to_another_wallet_of_the_same_passphrase(tmp_path: Path, root: Any) -> None:
    one, other = _sealed(tmp_path / "one"), _sealed(tmp_path / "other")
    one.put("gateway", root.member())
    other.path("gateway").write_bytes(one.path("gateway").read_bytes())
    other.path("gateway").chmod(0o600)
    assert same(other.get("gateway"), one.get("gateway"))


# -- which kind ------------------------------------------------------------------------------------------------


def _never() -> bytes:
    raise AssertionError("no passphrase is needed here")


def test_a_folder_is_opened_as_what_it_was_made(tmp_path: Path) -> None:
    open_wallet(tmp_path / "f", _never, make="files")
    open_wallet(tmp_path / "s", lambda: PASSPHRASE, make="sealed")
    assert type(open_wallet(tmp_path / "f", _never)) is Wallet
    assert isinstance(open_wallet(tmp_path / "s", lambda: PASSPHRASE), SealedWallet)
    with pytest.raises(WalletError, match="kind sealed, not files"):
        open_wallet(tmp_path / "s", _never, make="files")
    with pytest.raises(WalletError, match="is not a wallet"):
        open_wallet(tmp_path / "nothing", _never)
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize(
    "mark", [b"", b"{", b"[]", b'{"schema": 2, "kind": "files"}', b'{"schema": 1}', b'{"schema": 1, "kind": "x"}']
)
def test_a_description_that_is_not_understood_is_refused(tmp_path: Path, mark: bytes) -> None:
    (tmp_path / MARK).write_bytes(mark)
    with pytest.raises(WalletError, match=str(tmp_path)):
        open_wallet(tmp_path, lambda: PASSPHRASE)


@pytest.mark.parametrize("check", ["", "%%", "AAAA", 7, None])
def test_a_damaged_check_of_the_passphrase_opens_nothing(tmp_path: Path, check: Any) -> None:
    import json

    (tmp_path / MARK).write_text(json.dumps({"schema": 1, "kind": "sealed", "check": check}))
    with pytest.raises(WalletError):
        SealedWallet.open(tmp_path, PASSPHRASE)


# -- the text of an identity -----------------------------------------------------------------------------------


def test_other_tools_read_the_file(tmp_path: Path, root: Any) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    content = bundle.encode(root.member())
    assert len(x509.load_pem_x509_certificates(content)) == 2
    assert load_pem_private_key(content[content.index(b"-----BEGIN PRIVATE") :], None)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b"Pedigree-Identity: 1", b"Pedigree-Identity: 2"),
        lambda text: text.replace(b"MSP-ID: HospitalMSP\n", b""),
        lambda text: text.replace(b"Enrolled: 2", b"Enrolled: x"),
        lambda text: b"x" + text,
        lambda text: text[: text.index(b"-----BEGIN PRIVATE")],
        lambda text: text.replace(b"BEGIN PRIVATE KEY-----\nM", b"BEGIN PRIVATE KEY-----\nX"),
        lambda text: b"\xff" + text,
        lambda text: b"",
    ],
)
def test_a_text_that_is_no_identity_is_refused(root: Any, change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(DamagedIdentity, match="the file"):
        bundle.parse(change(bundle.encode(root.member())), "the file")


def test_a_certificate_without_its_key_is_no_identity(root: Any, kit: SimpleNamespace) -> None:
    one, other = root.member(), root.member()
    with pytest.raises(IdentityError, match="not issued for this private key"):
        replace(one, key=other.key)


def test_without_the_extra_a_token_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in sys.modules if each.startswith("gateway.identities.hsm")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    with pytest.raises(WalletError, match=r"pedigree\[hsm\]"):
        open_wallet(tmp_path / "w", lambda: b"1", make="hsm", module=tmp_path / "library.so", token="one")
