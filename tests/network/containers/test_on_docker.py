# SPDX-License-Identifier: Apache-2.0
"""The real thing: a consortium in containers, brought up once and looked at from outside.

Needs Docker, the images (`pedigree-network images`) and PEDIGREE_DOCKER=1, because it takes minutes and gigabytes.
"""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from testcontainers.compose import DockerCompose

from gateway.demo.founding import FOUNDING_POLICY
from network import running
from network.containers import lifetime as containers
from network.containers.engine import Docker
from pedigree import Pedigree

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
PHASES = (
    "files", "containers", "channel", "chaincode", "first transaction", "identities", "gateway containers", "gateways",
)  # fmt: skip


Run = Callable[..., "subprocess.CompletedProcess[str]"]
Heights = Callable[[Path], list[int]]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "network.cli", *arguments]


@pytest.fixture(scope="module")
def described(directory: Path) -> dict[str, Any]:
    return running.description(directory)


@pytest.fixture
def compose(directory: Path) -> DockerCompose:
    return DockerCompose(context=str(directory), compose_file_name="compose.yaml")


def test_compose_accepts_the_description(directory: Path) -> None:
    file = str(directory / "compose.yaml")
    done = subprocess.run(["docker", "compose", "--file", file, "config", "--quiet"], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_no_container_is_root_or_can_write_beside_its_own_folders(directory: Path) -> None:
    docker = Docker.find()
    found = containers.status(directory)
    assert len(found) == 16
    for container in found:
        described = docker.inspect(container.id)
        host = described["HostConfig"]
        assert described["Config"]["User"].split(":")[0] not in ("", "0", "root"), container.name
        assert host["ReadonlyRootfs"] is True, container.name
        assert host["CapDrop"] == ["ALL"], container.name
        assert host["SecurityOpt"] == ["no-new-privileges:true"], container.name
        assert host["Privileged"] is False, container.name
        assert host["Memory"] > 0, container.name
        addresses = [each["HostIp"] for bound in (host["PortBindings"] or {}).values() for each in bound]
        assert set(addresses) <= {"127.0.0.1"}, container.name


def test_a_container_says_who_it_is_and_that_it_cannot_write(compose: DockerCompose) -> None:
    out, _, code = compose.exec_in_container(["id", "-u"], "peer0.lab.example")
    assert (code, out.strip() != "0") == (0, True)
    out, error, _ = compose.exec_in_container(["sh", "-c", "echo x > /x || echo refused"], "chaincode.lab.example")
    assert out == "refused\n"
    assert "Read-only file system" in error


def test_whoever_has_no_certificate_is_not_let_in(described: dict[str, Any]) -> None:
    doors = [entry["peer"] for entry in described["organisations"]]
    doors += [*described["orderer"]["addresses"], *described["orderer"]["admin_addresses"]]
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for door in doors:
        host, _, port = door.rpartition(":")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            knock(context, host, int(port))


def knock(context: ssl.SSLContext, host: str, port: int) -> None:
    """Say hello in HTTP/2; with TLS 1.3 a refusal comes with the first answer only."""
    with socket.create_connection((host, port), timeout=10) as plain, context.wrap_socket(plain) as channel:
        channel.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        if channel.recv(1) == b"":
            raise ConnectionError("closed")


def test_a_gateway_signs_with_what_its_organisations_ca_issued(directory: Path, described: dict[str, Any]) -> None:
    for entry in described["organisations"]:
        (file,) = (directory / "gateways" / entry["name"] / "identity" / "msp" / "signcerts").iterdir()
        certificate = x509.load_pem_x509_certificate(file.read_bytes())
        root = next((Path(entry["msp"]) / "cacerts").iterdir())
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(root.read_bytes()))
        names = {attribute.oid: attribute.value for attribute in certificate.subject}
        assert names[x509.NameOID.COMMON_NAME] == "gateway"
        assert names[x509.NameOID.ORGANIZATIONAL_UNIT_NAME] == "client"


def test_a_record_goes_through_one_gateway_and_is_read_at_another(
    compose: DockerCompose, described: dict[str, Any]
) -> None:
    urls = {entry["name"]: entry["gateway"] for entry in described["organisations"]}
    keys = {}
    for name in ("hospital", "lab"):
        verb = ["pedigree", "keys", "add", "test", "--role", "operator", "--data", "/data"]
        out, error, code = compose.exec_in_container(verb, f"gateway.{name}.example")
        assert code == 0, error
        keys[name] = out.strip().splitlines()[-1]
    with Pedigree(urls["hospital"], keys["hospital"]) as hospital, Pedigree(urls["lab"], keys["lab"]) as lab:
        for client in (hospital, lab):
            client.set_policy(**FOUNDING_POLICY)
        recorded = hospital.register_model("seen", title="Seen by all", task="classification")
        lab.at_least(recorded.height)
        assert lab.model("seen")["record"]["title"] == "Seen by all"


def test_a_second_up_replaces_no_container(directory: Path, topology_file: Path, up: Run) -> None:
    before = {each.name: each.id for each in containers.status(directory)}
    done = up(directory, topology_file)
    assert done.returncode == 0, done.stderr
    assert {each.name: each.id for each in containers.status(directory)} == before


def test_status_and_logs_tell_of_the_containers(directory: Path) -> None:
    done = subprocess.run(command("status", "--json", "--dir", str(directory)), capture_output=True, check=False)
    report = json.loads(done.stdout)
    assert done.returncode == 0
    assert {entry["state"] for entry in report["containers"]} == {"running"}
    assert [entry["reachable"] for entry in report["organisations"]] == [True] * 3
    shown = subprocess.run(
        command("logs", "gateway.lab.example", "--tail", "5", "--dir", str(directory)),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "ready http" in shown.stdout


def test_all_killed_at_once_it_comes_back_with_its_ledger(
    directory: Path, topology_file: Path, up: Run, heights: Heights
) -> None:
    height = heights(directory)
    containers.kill(directory)
    assert not running.is_running(directory)
    done = up(directory, topology_file)
    assert done.returncode == 0, done.stderr
    assert min(heights(directory)) > max(height)  # the test transaction came on top


def test_the_tool_killed_after_every_phase_leaves_what_it_then_completes(
    tmp_path: Path, topology_file: Path, up: Run, heights: Heights, why_no_containers: Callable[..., str | None]
) -> None:
    """Each run is killed one phase later than the run before, from an empty directory on."""
    if (reason := why_no_containers()) is not None:
        pytest.skip(f"NOT RUN: {reason}")
    place = tmp_path / "net"
    arguments = ("up", "--ledger", "fabric", "--run-as", "containers", "--dir", str(place))
    try:
        for phase in PHASES:
            tool = subprocess.Popen(
                command(*arguments, "--topology", str(topology_file)), stderr=subprocess.PIPE,
                stdout=subprocess.DEVNULL, text=True, start_new_session=True,
            )  # fmt: skip
            assert tool.stderr is not None
            with tool.stderr:
                for line in tool.stderr:
                    if line.startswith(f"{phase}: "):
                        os.killpg(tool.pid, signal.SIGKILL)
                        break
            tool.wait(timeout=60)
        done = up(place, topology_file)
        assert done.returncode == 0, done.stderr
        assert len(set(heights(place))) == 1
    finally:
        if (place / "compose.yaml").exists():
            containers.down(place)
