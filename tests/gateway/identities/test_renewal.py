# SPDX-License-Identifier: Apache-2.0
"""An identity that was renewed is found in time, and swapped as a whole under those who use it."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.identities.credential import Credential
from gateway.identities.keys import generate, same_key
from gateway.identities.mspfolder import read_msp, write_msp
from gateway.identities.renewal import CurrentIdentity, RenewalWatch, due_at
from gateway.identities.wallet import Wallet
from gateway.identities.wallets import open_wallet

DAY = timedelta(days=1)


class World:
    """A wallet, somebody who renews in it, and a clock."""

    def __init__(self, folder: Path, root: Any, now: datetime) -> None:
        open_wallet(folder, lambda: b"", make="files")
        self.wallet = Wallet(folder)
        self.root = root
        self.now = now
        self.wallet.put("gateway", root.member(begin=now))
        self.identity = CurrentIdentity(lambda: self.wallet.get("gateway"))
        self.watch = RenewalWatch(self.identity, clock=lambda: self.now)

    def renew(self) -> None:
        """Put another key and certificate of the same name into the wallet."""
        old = self.wallet.get("gateway")
        key = generate("p256")
        certificate = self.root.issue(key.public_key(), old.name, begin=self.now)
        self.wallet.put("gateway", Credential(old.msp_id, certificate, key, old.authorities, self.now))


@pytest.fixture
def world(tmp_path: Path, root: Any, kit: SimpleNamespace) -> World:
    return World(tmp_path / "w", root, kit.NOW)


def test_two_thirds_of_the_time_are_waited(root: Any, kit: SimpleNamespace) -> None:
    credential = root.member(lifetime=90 * DAY)
    assert due_at(credential) == kit.NOW + 60 * DAY


def test_a_certificate_that_is_dated_back_is_not_due_at_once(root: Any, kit: SimpleNamespace) -> None:
    """A Fabric CA begins every certificate where its own begins, which may be years ago."""
    credential = root.member(begin=kit.NOW - 300 * DAY, lifetime=390 * DAY)
    assert credential.since == kit.NOW
    assert due_at(credential) == kit.NOW + 60 * DAY


def test_what_was_renewed_is_found(world: World) -> None:
    old = world.identity.current
    assert world.watch.step() == 30.0
    assert world.identity.current is old
    world.now += 60 * DAY
    world.renew()
    assert world.watch.step() == 30.0
    new = world.identity.current
    assert new.certificate != old.certificate
    assert new.key.public_key() != old.key.public_key()
    assert world.watch.failure is None


def test_what_cannot_be_read_keeps_the_old_identity_and_is_tried_again(world: World) -> None:
    old = world.identity.current
    kept = world.wallet.path("gateway").read_bytes()
    world.wallet.path("gateway").write_bytes(b"half of")
    waits = [world.watch.step() for _ in range(9)]
    assert waits == [15.0, 30.0, 60.0, 120.0, 240.0, 480.0, 900.0, 900.0, 900.0]
    assert world.identity.current is old
    assert world.watch.failure is not None
    world.wallet.path("gateway").write_bytes(kept)
    assert world.watch.step() == 30.0
    assert world.watch.failure is None


def test_all_who_watch_have_the_same(world: World) -> None:
    identities = [CurrentIdentity(lambda: world.wallet.get("gateway")) for _ in range(3)]
    world.renew()
    for each in identities:
        RenewalWatch(each, clock=lambda: world.now).step()
    assert {each.current.serial for each in identities} == {world.wallet.get("gateway").serial}


def test_anyone_who_takes_the_identity_takes_key_and_certificate_of_one_enrolment(world: World) -> None:
    stop = threading.Event()
    wrong: list[str] = []

    def use() -> None:
        while not stop.is_set():
            current = world.identity.current
            if not same_key(current.certificate, current.key):
                wrong.append(current.serial)

    first = world.identity.current.serial
    threads = [threading.Thread(target=use) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        world.renew()
        world.watch.step()
    stop.set()
    for thread in threads:
        thread.join()
    assert world.identity.current.serial != first
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
    world.renew()
    world.watch.step()
    assert gateway() == gateway() == world.identity.current.serial != first
    assert len(built) == 2
    assert told == [world.identity.current]


def test_an_msp_folder_is_watched_and_lateness_is_told(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "msp"
    write_msp(folder, world.wallet.get("gateway"))
    identity = CurrentIdentity(lambda: read_msp("HospitalMSP", folder))
    watching = RenewalWatch(identity, clock=lambda: world.now)
    first = identity.current
    assert watching.step() == 30.0
    world.now += 60 * DAY
    world.renew()
    write_msp(folder, world.wallet.get("gateway"))
    watching.step()
    assert identity.current.serial == world.wallet.get("gateway").serial != first.serial
    assert watching.failure is None
    # Where nobody renews, health tells; while the folder is being replaced, what is held stays.
    world.now += 62 * DAY
    watching.step()
    assert "nobody has renewed" in (watching.failure or "")
    (folder / "signcerts" / "cert.pem").unlink()
    watching.step()
    assert "signcerts" in (watching.failure or "")
    assert identity.current.serial == world.wallet.get("gateway").serial


def test_a_thread_finds_what_was_renewed_and_ends(world: World) -> None:
    old = world.identity.current
    world.renew()
    found = threading.Event()
    world.identity.when_changed(lambda _: found.set())
    world.watch.start()
    assert found.wait(10)
    world.watch.stop()
    assert world.identity.current.certificate != old.certificate
    assert "identity-renewal" not in {thread.name for thread in threading.enumerate()}
