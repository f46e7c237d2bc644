# SPDX-License-Identifier: Apache-2.0
"""Files that others made, given to the programs that read them while the consortium runs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hostilefiles import backups, folders
from hostilefiles.packages import signed_anew
from hostileharness.world import World

from gateway.demo.consortium import held_ports, ready
from gateway.demo.processes import Program, command
from network.topology import Topology, loads

NETWORK = command("pedigree-network")


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([NETWORK, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)


def refused(*arguments: object, secret: str = "PRIVATE KEY") -> str:
    """What a command that must be refused says: one line, without the secret."""
    done = run(*arguments)
    said = done.stderr.strip()
    assert done.returncode == 1, done
    assert done.stdout == ""
    assert said.isprintable(), said
    assert secret not in said
    assert "Traceback" not in said
    return said


def copied(world: World, folder: Path) -> tuple[Path, str]:
    """All organisations' material in a folder that a test may spoil, and a line of the hospital's CA's key."""
    shutil.copytree(world.directory / "organizations", folder)
    key = folder / "peerOrganizations" / "hospital.example" / "ca" / "priv_sk"
    return key, key.read_text(encoding="utf-8").splitlines()[1]


def topology(world: World) -> Topology:
    return loads((world.directory / "topology.json").read_text(encoding="utf-8"))


def test_a_newcomers_folder_brings_no_key_into_an_update(world: World, tmp_path: Path) -> None:
    for trick in (
        folders.names_key_by_dots, folders.names_key_by_a_link, folders.holds_key_after_certificate,
        folders.holds_key_in_config,
    ):  # fmt: skip
        place = tmp_path / trick.__name__
        key, secret = copied(world, place)
        msp = place / "peerOrganizations" / "lab.example" / "msp"
        trick(msp, key)
        update = place / "update.pb"
        refused(
            *("config", "propose", "add-org", "--mspid", "NewMSP", "--msp", msp, "--out", update),
            *("--dir", world.directory),
            secret=secret,
        )
        assert not update.exists(), trick.__name__


def test_a_package_signed_for_a_key_joins_nobody(world: World, tmp_path: Path) -> None:
    key, secret = copied(world, tmp_path / "theirs" / "organizations")
    text = key.read_text(encoding="utf-8")
    named = "NodeOUs: {Enable: true, PeerOUIdentifier: {Certificate: ../ca/priv_sk, OrganizationalUnitIdentifier: p}}"
    for more in ({"config.yaml": named}, {"tlscacerts/x.pem": text}, {"../x.pem": text}, {"keystore/x_sk": text}):
        package = signed_anew(tmp_path / "theirs", topology(world), lambda msp, more=more: msp.update(more))  # type: ignore[misc]
        ours = tmp_path / "ours"
        refused("import-msp", package, "--dir", ours, secret=secret)
        assert not ours.exists()


@pytest.mark.parametrize(
    "attack",
    [
        backups.names_a_file_without_checksum, backups.names_a_secret_outside, backups.links_then_writes_through,
        backups.brings_a_pid_file,
    ],
)  # fmt: skip
def test_a_hostile_backup_restores_nothing(world: World, tmp_path: Path, attack: backups.Attack) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    victim.chmod(0o600)
    passphrase = tmp_path / "passphrase"
    passphrase.write_text(backups.PASSPHRASE)
    made = backups.Made(tmp_path)
    attack(made)
    refused("restore", made.write(), "--passphrase-file", passphrase, "--dir", tmp_path / "target")
    assert (victim.read_text(), victim.stat().st_mode & 0o777) == ("mine", 0o600)
    assert {path.name for path in tmp_path.iterdir()} == {"victim", "passphrase", made.file.name}


def test_a_gateway_reads_no_key_that_a_members_folder_names(world: World, tmp_path: Path) -> None:
    """The member's folder is passed over, and the channel's own configuration says who it is."""
    key, secret = copied(world, tmp_path / "organizations")
    folders.names_key_by_dots(tmp_path / "organizations" / "peerOrganizations" / "lab.example" / "msp", key)
    described = (world.directory / "network.json").read_text(encoding="utf-8")
    network = tmp_path / "network.json"
    network.write_text(described.replace(str(world.directory / "organizations"), str(key.parents[3])), encoding="utf-8")
    with held_ports(1) as (health,):
        pass
    gateway = Program(
        "gateway-beside",
        [
            *(command("pedigree"), "serve", "--network", str(network), "--organisation", "hospital", "--port", "0"),
            *("--health-port", str(health), "--data", str(tmp_path / "data")),
        ],
        tmp_path / "gateway.log",
    )
    gateway.start()
    try:
        gateway.wait_until(lambda: ready(health), within=60)
    finally:
        gateway.stop()
    (said,) = [line for line in gateway.tail(200).splitlines() if "priv_sk" in line]
    assert "LabMSP is not understood" in said
    for file in (gateway.log, *(tmp_path / "data").rglob("*")):
        assert not file.is_file() or secret.encode() not in file.read_bytes(), file
