# SPDX-License-Identifier: Apache-2.0
"""An identity is renewed in time, stored before it is used, and swapped as a whole under those who use it."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.fabric.durable import Disk
from gateway.identities.ca import FabricCa
from gateway.identities.credential import Credential
from gateway.identities.errors import CaUnreachable
from gateway.identities.keys import PrivateKey, same_key
from gateway.identities.mspfolder import read_msp, write_msp
from gateway.identities.renewal import CurrentIdentity, Renewal, due_at
from gateway.identities.wallet import Wallet
from gateway.identities.wallets import open_wallet

DAY = timedelta(days=1)


class World:
    """A wallet, an issuer that counts and fails when told to, and a clock."""

    def __init__(self, folder: Path, root: Any, now: datetime) -> None:
        open_wallet(folder, lambda: b"", make="files")
        self.wallet = Wallet(folder)
        self.root = root
        self.now = now
        self.asked = 0
        self.trouble: Exception | None = None
        self.wallet.put("gateway", root.member(begin=now))
        self.identity = CurrentIdentity(lambda: self.wallet.get("gateway"))
        self.renewal = self.another()

    def another(self, identity: CurrentIdentity | None = None) -> Renewal:
        return Renewal.for_wallet(
            identity or self.identity, self.enrol, self.wallet, "gateway", clock=lambda: self.now, chance=lambda: 0.0
        )

    def enrol(self, old: Credential, key: PrivateKey) -> Credential:
        self.asked += 1
        if self.trouble is not None:
            raise self.trouble
        certificate = self.root.issue(key.public_key(), old.name, begin=self.now)
        return Credential(old.msp_id, certificate, key, old.authorities, self.now)


@pytest.fixture
def world(tmp_path: Path, root: Any, kit: SimpleNamespace) -> World:
    return World(tmp_path / "w", root, kit.NOW)


def test_two_thirds_of_the_time_are_waited(root: Any, kit: SimpleNamespace) -> None:
    credential = root.member(lifetime=90 * DAY)
    assert due_at(credential) == kit.NOW + 60 * DAY
    assert kit.NOW + 55 * DAY < due_at(credential, 1.0) < kit.NOW + 56 * DAY


def test_a_certificate_that_is_dated_back_is_not_due_at_once(root: Any, kit: SimpleNamespace) -> None:
    """A Fabric CA begins every certificate where its own begins, which may be years ago."""
    credential = root.member(begin=kit.NOW - 300 * DAY, lifetime=390 * DAY)
    assert credential.since == kit.NOW
    assert due_at(credential) == kit.NOW + 60 * DAY


def test_nothing_is_asked_before_it_is_time(world: World) -> None:
    world.now += 59 * DAY
    assert world.renewal.step() == 300.0
    assert world.asked == 0
    world.now += DAY - timedelta(seconds=10)
    assert world.renewal.step() == 10.0


def test_it_is_renewed_when_it_is_time(world: World) -> None:
    old = world.identity.current
    world.now += 60 * DAY
    assert world.renewal.step() == 300.0
    new = world.identity.current
    assert world.asked == 1
    assert new.certificate != old.certificate
    assert new.key.public_key() != old.key.public_key()
    assert world.wallet.get("gateway").certificate == new.certificate
    assert world.renewal.failure is None
    world.renewal.step()
    assert world.asked == 1


def test_a_failure_keeps_the_old_identity_and_is_tried_again(world: World) -> None:
    old = world.identity.current
    world.now += 61 * DAY
    world.trouble = CaUnreachable("the CA cannot be reached")
    waits = [world.renewal.step() for _ in range(9)]
    assert waits == [15.0, 30.0, 60.0, 120.0, 240.0, 480.0, 900.0, 900.0, 900.0]
    assert world.identity.current is old
    assert world.renewal.failure == "the CA cannot be reached"
    world.trouble = None
    world.renewal.step()
    assert world.renewal.failure is None
    assert world.identity.current is not old


def test_what_cannot_be_stored_is_not_used(world: World) -> None:
    class Full(Disk):
        def write(self, path: Path, content: bytes, mode: int) -> None:
            raise OSError(28, "No space left on device")

    old = world.identity.current
    world.now += 61 * DAY
    world.wallet.disk = Full()
    assert world.renewal.step() == 15.0
    assert world.identity.current is old
    assert "space" in (world.renewal.failure or "")


def test_of_two_processes_one_renews_and_the_other_takes_it_up(world: World) -> None:
    other = CurrentIdentity(lambda: world.wallet.get("gateway"))
    world.now += 60 * DAY
    world.renewal.step()
    assert other.current.certificate != world.identity.current.certificate
    world.another(other).step()
    assert other.current.certificate == world.identity.current.certificate
    assert world.asked == 1


def test_renewals_at_the_same_time_ask_once(world: World) -> None:
    identities = [CurrentIdentity(lambda: world.wallet.get("gateway")) for _ in range(8)]
    renewals = [world.another(each) for each in identities]
    world.now += 60 * DAY
    threads = [threading.Thread(target=each.step) for each in renewals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert world.asked == 1
    assert {each.current.serial for each in identities} == {world.wallet.get("gateway").serial}


def test_whoever_takes_the_identity_takes_key_and_certificate_of_one_enrolment(world: World) -> None:
    stop = threading.Event()
    wrong: list[str] = []

    def use() -> None:
        while not stop.is_set():
            current = world.identity.current
            if not same_key(current.certificate, current.key):
                wrong.append(current.serial)

    threads = [threading.Thread(target=use) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        world.now += 61 * DAY
        world.renewal.step()
    stop.set()
    for thread in threads:
        thread.join()
    assert world.asked == 5
    assert wrong == []


def test_what_is_built_of_an_identity_follows_it(world: World) -> None:
    built: list[str] = []

    def build(credential: Credential) -> str:
        built.append(credential.serial)
        return credential.serial

    told: list[Credential] = []
    world.identity.when_changed(told.append)
    gateway: Callable[[], str] = world.identity.built(build)
    first = gateway()
    assert gateway() == first == world.identity.current.serial
    world.now += 61 * DAY
    world.renewal.step()
    assert gateway() == gateway() == world.identity.current.serial != first
    assert len(built) == 2
    assert told == [world.identity.current]


def test_who_only_watches_takes_up_what_another_renewed(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "msp"
    write_msp(folder, world.wallet.get("gateway"))
    identity = CurrentIdentity(lambda: read_msp("HospitalMSP", folder))
    watching = Renewal.watching(identity, clock=lambda: world.now)
    first = identity.current
    assert watching.step() == 30.0
    world.now += 60 * DAY
    world.renewal.step()
    write_msp(folder, world.wallet.get("gateway"))
    watching.step()
    assert identity.current.serial == world.identity.current.serial != first.serial
    assert watching.failure is None
    # Where nobody renews, health tells; while the folder is being replaced, what is held stays.
    world.now += 62 * DAY
    watching.step()
    assert "nobody has renewed" in (watching.failure or "")
    (folder / "signcerts" / "cert.pem").unlink()
    watching.step()
    assert "signcerts" in (watching.failure or "")
    assert identity.current.serial == world.identity.current.serial


def test_a_thread_renews_and_ends(tmp_path: Path, ca: FabricCa, fake: Any, kit: SimpleNamespace) -> None:
    fake.begin, fake.lifetime = kit.NOW - timedelta(hours=1), timedelta(hours=2)
    open_wallet(tmp_path / "w", lambda: b"", make="files")
    wallet = Wallet(tmp_path / "w")
    wallet.put("gateway", ca.enrol("admin", "adminpw-1234", msp_id="HospitalMSP"))
    fake.lifetime = timedelta(days=90)
    identity = CurrentIdentity(lambda: wallet.get("gateway"))
    old = identity.current
    renewal = Renewal.for_wallet(
        identity, lambda old, key: ca.reenrol(old, key=key), wallet, "gateway",
        clock=lambda: kit.NOW + timedelta(minutes=50),
    )  # fmt: skip
    renewal.start()
    deadline = threading.Event()
    for _ in range(200):
        if identity.current is not old:
            break
        deadline.wait(0.02)
    renewal.stop()
    assert identity.current.certificate == fake.issued[-1]
    assert len(fake.issued) == 2
    assert threading.active_count() <= 10
