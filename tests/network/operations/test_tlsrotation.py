# SPDX-License-Identifier: Apache-2.0
"""A rotation of TLS certificates, killed anywhere and asked for again, ends where an uninterrupted one does."""

import json
import shutil
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from network.durable import Disk
from network.material import Material, ensure_material
from network.operations import tlsrotation
from network.operations.errors import OperationsError
from network.operations.tlsrotation import JOURNAL, Step, exchange, is_unfinished, rotate
from network.topology import default_topology, parse

ORDERERS = ("orderer1.orderer.example", "orderer2.orderer.example", "orderer3.orderer.example")


class Killed(BaseException):
    """What a `kill -9` is to the code that it hits."""


@dataclass
class Cluster:
    """Programs in memory, of which the ordering ones admit only whom they know. Step `dies_at` kills, once."""

    material: Material
    running: dict[str, bytes] = field(default_factory=dict)
    """The certificate with which each program was started."""
    known: dict[str, bytes] = field(default_factory=dict)
    """The certificate by which the orderers know one another: the channel's configuration."""
    starts: dict[str, int] = field(default_factory=dict)
    steps_done: int = 0
    dies_at: int | None = None

    def __post_init__(self) -> None:
        for step in self.steps():
            self.running[step.name] = certificate(step.folder)
            if step.role == "orderer":
                self.known[step.name] = certificate(step.folder)

    def step(self) -> None:
        self.steps_done += 1
        if self.steps_done == self.dies_at:
            raise Killed(self.steps_done)

    def steps(self) -> Sequence[Step]:
        domain = "lab.example"
        owner = self.material.organisation(domain)
        found = [Step(f"peer0.{domain}", "peer", self.material.peer(domain) / "tls", owner, domain)]
        found.append(Step(f"User1@{domain}", "user", self.material.user(domain) / "tls", owner, domain))
        owner = self.material.orderer_organisation("orderer.example")
        for number, name in enumerate(ORDERERS, 1):
            folder = self.material.orderer("orderer.example", number) / "tls"
            found.append(Step(name, "orderer", folder, owner, "orderer.example"))
        return found

    def cut_off(self) -> list[str]:
        return [name for name in ORDERERS if self.running[name] != self.known[name]]

    def announce(self, step: Step) -> None:
        self.step()
        if step.role == "orderer":
            assert set(self.cut_off()) <= {step.name}, "two nodes away: nothing would be ordered"
            self.known[step.name] = certificate(step.beside)
        self.step()

    def restart(self, step: Step) -> None:
        self.step()
        now = certificate(step.folder)
        if self.running[step.name] != now:
            self.starts[step.name] = self.starts.get(step.name, 0) + 1
        self.running[step.name] = now
        self.step()

    def settle(self, step: Step) -> None:
        self.step()
        if step.role == "orderer":
            assert self.cut_off() == []


def certificate(folder: Path) -> bytes:
    name = "server.crt" if (folder / "server.crt").exists() else "client.crt"
    key = serialization.load_pem_private_key((folder / name).with_suffix(".key").read_bytes(), None)
    found = (folder / name).read_bytes()
    assert key.public_key() == x509.load_pem_x509_certificate(found).public_key(), "a key of another certificate"
    return found


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    topology = default_topology(any_port=True).to_json()
    topology["orderer"]["addresses"] = ["127.0.0.1:0"] * 3
    directory = tmp_path_factory.mktemp("keys")
    ensure_material(parse(topology), directory, at=datetime.now(UTC) - timedelta(days=3000))
    return directory


@pytest.fixture
def cluster(keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    shutil.copytree(keys, tmp_path / "net")
    made = Cluster(Material(tmp_path / "net" / "organizations"))

    def mortal(work: Callable[..., Any]) -> Callable[..., Any]:
        def dying(*args: Any, **more: Any) -> Any:
            made.step()
            answer = work(*args, **more)
            made.step()
            return answer

        return dying

    for name in ("renew_tls", "exchange", "write_json"):  # the moments at which something on the disk changes
        monkeypatch.setattr(tlsrotation, name, mortal(getattr(tlsrotation, name)))
    return made


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "net"


def assert_renewed(cluster: Cluster, former: dict[str, bytes], directory: Path) -> None:
    for step in cluster.steps():
        now = certificate(step.folder)
        assert now != former[step.name]
        assert cluster.running[step.name] == now
        assert not step.beside.exists()
    assert cluster.cut_off() == []
    assert not is_unfinished(directory)


def test_everything_is_renewed_once(cluster: Cluster, directory: Path) -> None:
    former = dict(cluster.running)
    names = rotate(directory, "", cluster)
    assert names == [step.name for step in cluster.steps()]
    assert_renewed(cluster, former, directory)
    assert set(cluster.starts.values()) == {1}
    again = dict(cluster.running)
    rotate(directory, "", cluster)
    assert_renewed(cluster, again, directory)


STEPS = 67
"""More than an uninterrupted run takes: the last ones end without being killed."""


@pytest.mark.parametrize("kill", range(1, STEPS))
def test_killed_at_any_step_and_asked_again_it_converges(kill: int, cluster: Cluster, directory: Path) -> None:
    former, cluster.dies_at = dict(cluster.running), kill
    try:
        rotate(directory, "", cluster)
        assert cluster.steps_done < kill
    except Killed:
        assert len(cluster.cut_off()) <= 1
        cluster.dies_at = cluster.steps_done + 7  # and killed once more, while it goes on
        try:
            rotate(directory, "", cluster)
        except Killed:
            assert len(cluster.cut_off()) <= 1
            cluster.dies_at = None
            rotate(directory, "", cluster)
    assert_renewed(cluster, former, directory)
    assert set(cluster.starts.values()) == {1}, "nobody is started twice for one certificate"


def test_the_steps_of_a_run_are_fewer_than_those_that_are_killed(cluster: Cluster, directory: Path) -> None:
    rotate(directory, "", cluster)
    assert STEPS // 2 < cluster.steps_done < STEPS - 1


def test_what_is_new_proves_the_same_names_for_longer(cluster: Cluster, directory: Path) -> None:
    folder = cluster.material.peer("lab.example") / "tls"
    former = x509.load_pem_x509_certificate((folder / "server.crt").read_bytes())
    rotate(directory, "", cluster)
    now = x509.load_pem_x509_certificate((folder / "server.crt").read_bytes())
    root = x509.load_pem_x509_certificate(cluster.material.tls_ca("lab.example").read_bytes())
    now.verify_directly_issued_by(root)
    names = x509.SubjectAlternativeName
    assert now.extensions.get_extension_for_class(names) == former.extensions.get_extension_for_class(names)
    assert (now.subject, now.issuer) == (former.subject, former.issuer)
    assert now.not_valid_before_utc > former.not_valid_before_utc
    assert now.not_valid_after_utc == root.not_valid_after_utc, "no longer than who vouches for it"
    assert now.public_key() != former.public_key()
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == {
        "ca.crt": 0o644, "server.crt": 0o644, "server.key": 0o600,
    }  # fmt: skip
    ssl.create_default_context(cafile=str(folder / "ca.crt")).load_cert_chain(
        folder / "server.crt", folder / "server.key"
    )


def test_an_unfinished_rotation_is_finished_first(cluster: Cluster, directory: Path) -> None:
    cluster.dies_at = 9
    with pytest.raises(Killed):
        rotate(directory, "", cluster)
    with pytest.raises(OperationsError, match=r"--org: a rotation that began at .* is not finished; repeat it without"):
        rotate(directory, "lab.example", cluster)


def test_a_lost_successor_is_made_and_announced_anew(cluster: Cluster, directory: Path) -> None:
    former = dict(cluster.running)
    with pytest.raises(Killed):
        rotate(directory, "", _dying_before_exchange(cluster, ORDERERS[0]))
    shutil.rmtree(next(step.beside for step in cluster.steps() if step.name == ORDERERS[0]))
    rotate(directory, "", cluster)
    assert_renewed(cluster, former, directory)


def _dying_before_exchange(cluster: Cluster, name: str) -> Any:
    class Dying(Cluster):
        def __init__(self) -> None:
            vars(self).update(vars(cluster))

        def announce(self, step: Step) -> None:
            super().announce(step)
            if step.name == name:
                raise Killed(name)

    return Dying()


def test_a_damaged_journal_is_told(cluster: Cluster, directory: Path) -> None:
    (directory / JOURNAL).write_text("{", encoding="ascii")
    with pytest.raises(OperationsError, match=rf"{JOURNAL} is damaged: restore it, or remove it"):
        rotate(directory, "", cluster)
    (directory / JOURNAL).write_text(json.dumps({"scope": ""}), encoding="ascii")
    with pytest.raises(OperationsError, match="is damaged"):
        rotate(directory, "", cluster)


def test_an_authority_that_is_elsewhere_is_told_before_anything_is_made(cluster: Cluster, directory: Path) -> None:
    key = cluster.material.organisation("lab.example") / "tlsca" / "priv_sk"
    key.unlink()
    with pytest.raises(OperationsError, match=rf"{key} is missing: without it nothing is issued"):
        rotate(directory, "", cluster)
    assert cluster.steps_done == 0


def test_an_authority_that_has_ended_is_told(cluster: Cluster, directory: Path, tmp_path: Path) -> None:
    old = ensure_material(default_topology(any_port=True), tmp_path / "old", at=datetime.now(UTC) - timedelta(3700))
    former = cluster.material.organisation("lab.example") / "tlsca"
    shutil.rmtree(former)
    shutil.copytree(old.organisation("lab.example") / "tlsca", former)
    with pytest.raises(OperationsError, match=r"tlsca\.lab\.example-cert\.pem ended on .*trusted by nobody"):
        rotate(directory, "", cluster)


class SyncedFolders(Disk):
    """Remembers what each folder held when it was made durable."""

    def __init__(self) -> None:
        self.held: dict[Path, list[str]] = {}

    def sync_folder(self, folder: Path) -> None:
        self.held[folder] = sorted(path.name for path in folder.iterdir())
        super().sync_folder(folder)


@pytest.mark.parametrize("at_once", [True, False])
def test_two_folders_change_places(at_once: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not at_once:  # a system without renameat2
        monkeypatch.setattr(tlsrotation, "_exchanged_at_once", lambda _one, _other: False)
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name, encoding="ascii")
    disk = SyncedFolders()
    exchange(tmp_path / "one", tmp_path / "other", disk=disk)
    assert disk.held == {tmp_path: ["one", "other"]}  # before the journal says that the turn is over
    assert (tmp_path / "one" / "file").read_text(encoding="ascii") == "other"
    assert (tmp_path / "other" / "file").read_text(encoding="ascii") == "one"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "other"]


def test_without_an_exchange_a_crash_between_the_renames_is_mended(tmp_path: Path) -> None:
    (tmp_path / "next").mkdir()
    (tmp_path / "next.former").mkdir()
    (tmp_path / "next" / "file").write_text("new", encoding="ascii")
    exchange(tmp_path / "next", tmp_path / "present")
    assert (tmp_path / "present" / "file").read_text(encoding="ascii") == "new"
