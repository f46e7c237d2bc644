# SPDX-License-Identifier: Apache-2.0
"""A revoked, expired or unknown certificate is refused; a stale list refuses writes; lists never go back."""

from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.fabric.durable import Disk
from gateway.identities.credential import Credential
from gateway.identities.described import revocation_state
from gateway.identities.errors import (
    CaMisbehaved,
    CertificateExpired,
    CertificateRevoked,
    IdentityError,
    RevocationUnknown,
)
from gateway.identities.revocation import RevocationList, Revocations


class Clock:
    """A clock that tests set."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def clock(kit: SimpleNamespace) -> Clock:
    return Clock(kit.NOW + timedelta(minutes=1))


@pytest.fixture
def held(root: Any, tmp_path: Path, clock: Clock) -> Revocations:
    return Revocations([root.certificate], tmp_path / "crls" / "crl.pem", clock=clock)


@pytest.fixture
def member(root: Any) -> Credential:
    found: Credential = root.member()
    return found


def test_without_a_list_reads_go_on_and_writes_are_refused(held: Revocations, member: Credential) -> None:
    held.check(member.certificate, write=False)
    with pytest.raises(RevocationUnknown, match="pedigree identity crl"):
        held.check(member.certificate)


def test_a_fresh_list_without_the_certificate_lets_it_pass(held: Revocations, member: Credential, root: Any) -> None:
    held.update(root.crl(12345))
    held.check(member.certificate)


@pytest.mark.parametrize("write", [True, False])
def test_a_revoked_certificate_is_refused(held: Revocations, member: Credential, root: Any, write: bool) -> None:
    found = held.update(root.crl(member.certificate.serial_number))
    assert list(found.serials) == [member.serial]
    with pytest.raises(CertificateRevoked, match=member.serial):
        held.check(member.certificate, write=write)


def test_a_stale_list_refuses_writes_and_lets_reads_go_on(
    held: Revocations, member: Credential, root: Any, clock: Clock, kit: SimpleNamespace
) -> None:
    held.update(root.crl(12345))
    clock.at = kit.NOW + timedelta(hours=24, seconds=-1)
    held.check(member.certificate)
    clock.at = kit.NOW + timedelta(hours=24)
    held.check(member.certificate, write=False)
    with pytest.raises(RevocationUnknown, match="should have been replaced"):
        held.check(member.certificate)


def test_a_stale_list_still_names_the_revoked(
    held: Revocations, member: Credential, root: Any, clock: Clock, kit: SimpleNamespace
) -> None:
    held.update(root.crl(member.certificate.serial_number))
    clock.at = kit.NOW + timedelta(days=3)
    with pytest.raises(CertificateRevoked):
        held.check(member.certificate, write=False)


def test_time_is_checked_before_and_after(
    held: Revocations, member: Credential, root: Any, clock: Clock, kit: SimpleNamespace
) -> None:
    clock.at = kit.NOW - timedelta(seconds=1)
    with pytest.raises(CertificateExpired, match="clock"):
        held.check(member.certificate, write=False)
    clock.at = kit.NOW + timedelta(days=90)
    with pytest.raises(CertificateExpired, match="expired at 2030-08-30"):
        held.check(member.certificate, write=False)


def test_a_list_of_another_ca_says_nothing(
    held: Revocations, member: Credential, root: Any, kit: SimpleNamespace, tmp_path: Path, clock: Clock
) -> None:
    other = kit.Root("ca.lab.example")
    both = Revocations([root.certificate, other.certificate], tmp_path / "both.pem", clock=clock)
    both.update(other.crl(member.certificate.serial_number))
    with pytest.raises(RevocationUnknown):
        both.check(member.certificate)
    both.update(root.crl())
    both.check(member.certificate)
    again = Revocations([root.certificate, other.certificate], tmp_path / "both.pem", clock=clock)
    again.load()
    again.check(member.certificate)
    assert again.covering(other.certificate) is not None


def test_a_list_that_nobody_known_has_signed_is_refused(held: Revocations, root: Any, kit: SimpleNamespace) -> None:
    for pem in (kit.Root().crl(), root.crl(key=ec.generate_private_key(ec.SECP256R1())), b"", b"no list"):
        with pytest.raises(IdentityError):
            held.update(pem)


def test_an_older_list_is_not_taken(held: Revocations, member: Credential, root: Any, kit: SimpleNamespace) -> None:
    held.update(root.crl(member.certificate.serial_number))
    with pytest.raises(CaMisbehaved, match="older"):
        held.update(root.crl(at=kit.NOW - timedelta(seconds=1)))
    with pytest.raises(CertificateRevoked):
        held.check(member.certificate)


def test_lists_survive_a_restart(
    held: Revocations, member: Credential, root: Any, tmp_path: Path, clock: Clock
) -> None:
    held.update(root.crl(member.certificate.serial_number))
    again = Revocations([root.certificate], tmp_path / "crls" / "crl.pem", clock=clock)
    again.load()
    with pytest.raises(CertificateRevoked):
        again.check(member.certificate)


def test_a_list_that_cannot_be_stored_does_not_count(
    member: Credential, root: Any, tmp_path: Path, clock: Clock
) -> None:
    class Full(Disk):
        def write(self, path: Path, content: bytes, mode: int) -> None:
            raise OSError(28, "No space left on device")

    held = Revocations([root.certificate], tmp_path / "crl.pem", clock=clock, disk=Full())
    with pytest.raises(OSError, match="space"):
        held.update(root.crl())
    with pytest.raises(RevocationUnknown):
        held.check(member.certificate)


def test_a_damaged_file_is_named(tmp_path: Path, root: Any) -> None:
    file = tmp_path / "crl.pem"
    file.write_bytes(root.crl()[:-60] + b"\n-----END X509 CRL-----\n")
    with pytest.raises(IdentityError, match=r"crl\.pem"):
        Revocations([root.certificate], file).load()


def test_what_people_are_told(member: Credential, root: Any, kit: SimpleNamespace) -> None:
    at = kit.NOW + timedelta(minutes=1)
    assert revocation_state(member, root.crl(), "crl", at) == "not revoked"
    assert "revoked since" in revocation_state(member, root.crl(member.certificate.serial_number), "crl", at)
    assert "replaced" in revocation_state(member, root.crl(), "crl", at + timedelta(days=2))


def test_a_list_is_kept_as_it_came(root: Any) -> None:
    pem = root.crl(1, 2, 3)
    assert RevocationList.parse(pem, [root.certificate], "crl").pem == pem


def test_what_another_process_fetches_counts_at_once(
    held: Revocations, member: Credential, root: Any, tmp_path: Path, clock: Clock, kit: SimpleNamespace
) -> None:
    held.update(root.crl())
    held.check(member.certificate)
    other = Revocations([root.certificate], tmp_path / "crls" / "crl.pem", clock=clock)
    other.load()
    other.update(root.crl(member.certificate.serial_number, at=kit.NOW + timedelta(seconds=30)))
    with pytest.raises(CertificateRevoked):
        held.check(member.certificate)


def test_an_old_or_broken_file_does_not_take_back_what_is_known(
    held: Revocations, member: Credential, root: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "crls" / "crl.pem"
    old = root.crl(at=held._clock() - timedelta(hours=1))
    held.update(root.crl(member.certificate.serial_number))
    for content in (old, b"-----BEGIN X509 CRL-----\nbroken", b""):
        file.write_bytes(content)
        with pytest.raises(CertificateRevoked):
            held.check(member.certificate)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    file.unlink()
    with pytest.raises(CertificateRevoked):
        held.check(member.certificate)
